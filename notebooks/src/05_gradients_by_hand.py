# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 05 · Gradients by hand
#
# **You will learn** to write the backward of a layer, to check it, and to chain layers, with nothing that
# differentiates for you.
#
# **Prerequisites:** partial derivatives, the chain rule, matrix products; notebook 04 for why we want a gradient.
# **Time:** 70 minutes with the exercises.
#
# **Papers:** Rumelhart, Hinton, Williams, *Learning representations by back-propagating errors* (1986); Elfwing et al.
# (2017; SILU-1); Hendrycks and Gimpel (2016; GELU-1). LIN, SM, MSE, CE are textbook knowledge, GC-1 is the central
# difference.

# %%
import math

import numpy as np

import tinydiff
from tinydiff import functional as F
from tinydiff import plot
from tinydiff.course import show_source, slider
from tinydiff.course.exercises import notebook_05 as exercises
from tinydiff.gradcheck import gradcheck
from tinydiff.nn import Gradients, Linear, Module, SiLU, Tape

rng = np.random.default_rng(0)

# %% [markdown]
# ## Why not build the Jacobian?
#
# A network is a chain of functions with a number at its end, the loss L. Let $y = f(x)$ be one of them. We know how L
# depends on y, as a vector $d_y$ with the entries $\partial L / \partial y_i$. How does L depend on x? By the chain
# rule, through every $y_i$:
#
# $$\frac{\partial L}{\partial x_j} = \sum_i \frac{\partial L}{\partial y_i} \frac{\partial y_i}{\partial x_j},
#   \qquad\text{in short}\qquad d_x = J^\top d_y, \quad J_{ij} = \frac{\partial y_i}{\partial x_j} .$$
#
# J is the *Jacobian*, and $J^\top d_y$ a *vector-Jacobian product* (VJP). **Predict, then run:** one feature map of a
# small UNet has 28 x 28 pixels and 32 channels. How many bytes has the Jacobian of a layer that maps it to another of
# the same size?

# %%
sides = np.array([4, 8, 16, 28, 64])
numbers = sides**2 * 32
sizes = {"the Jacobian": 4.0 * numbers**2, "x, y, d_x and d_y together": 4.0 * 4 * numbers}
print(
    f"28 x 28 x 32: Jacobian {sizes['the Jacobian'][3] / 1e9:.1f} GB, the four vectors {sizes['x, y, d_x and d_y together'][3] / 1e6:.1f} MB"
)
assert sizes["the Jacobian"][3] > 1000 * sizes["x, y, d_x and d_y together"][3]
plot.curves(sides, sizes, "side of the image in pixels", "bytes, for 32 channels", log="xy")

# %% [markdown]
# Gigabytes for one layer and one image! But nobody needs J. What is needed is its product with one vector, and that can
# be computed directly, at about the price of the forward. A **backward** is a function that maps $d_y$ to $J^\top d_y$.
# To write one, write the sum over i for a single $d_{x,j}$, and find a fast way to do it for all j.
#
# In tinydiff a layer is a pair: `y, cache = f(x, ...)` and `dx, ... = f_backward(dy, cache)`. The *cache* holds what
# the backward needs from the forward.
#
# ## Is it right? The central difference
#
# Take any direction d in the space of x. The slope of a function g along d can be measured: step a little forwards, a
# little backwards. By Taylor's theorem,
# $g(x \pm h d) = g \pm h g' + \tfrac{h^2}{2} g'' \pm \tfrac{h^3}{6} g''' + \ldots$, with derivatives along d. In the
# difference the even terms cancel:
#
# $$\langle \nabla g, d \rangle = \frac{g(x + h d) - g(x - h d)}{2 h} + O(h^2) \qquad \text{(Eq. GC-1)}$$
#
# **Explore:** write a function that measures the slope of g in *each* entry of x, by GC-1 with the direction that is 1 at
# this entry and 0 elsewhere. x may have any number of axes, and it belongs to the caller: don't change it. (If you are
# stuck, `exercises.SLOPES.hint()` helps.)


# %%
def my_slopes(g, x, h):
    """Return an array like x: how fast the number g(x) grows with each entry; h is the step to either side."""
    ### BEGIN SOLUTION
    slopes = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        step = np.zeros(x.shape)
        step[index] = h
        slopes[index] = (g(x + step) - g(x - step)) / (2 * h)
    return slopes
    ### END SOLUTION


# %% [markdown]
# How small should h be? **Predict, then run:** halving h quarters the error. For how long?

# %%
my_slopes = exercises.SLOPES.check(my_slopes)
h = 10.0 ** np.arange(-12, 0.5, 0.25)
at = np.array([0.7])
central = np.array([abs(my_slopes(lambda x: np.exp(x[0]), at, one)[0] - np.exp(0.7)) for one in h])
one_sided = abs((np.exp(0.7 + h) - np.exp(0.7)) / h - np.exp(0.7))
print(f"smallest error: central {central.min():.0e} at h = {h[central.argmin()]:.0e}, one-sided {one_sided.min():.0e}")
assert 1e-6 < h[central.argmin()] < 1e-4
errors = {"central": np.maximum(central, 1e-16), "one-sided": np.maximum(one_sided, 1e-16)}
plot.curves(h, errors, "h", "error of the slope of exp", log="xy")

# %% [markdown]
# From the right, the central error falls with the square of h, the one-sided with h. From the left, both rise as $1/h$:
# the difference of two nearly equal numbers keeps few digits. In float64, $h = 10^{-5}$ is about right.
#
# To check a backward, make a number of y with a random $d_y$: $g(x) = \langle d_y, f(x) \rangle$. Its gradient is
# $J^\top d_y$, that is, what the backward returns. One random direction sees every entry of it. That is all that
# `gradcheck` does, three times, in float64. On a function that is easy to see through, a square:


# %%
def square(x):
    """Return x^2, and what the backward needs."""
    return x**2, (x,)


def square_backward(dy, cache):
    """Return dx."""
    (x,) = cache
    return (2 * x * dy,)


x, dy, d, h = rng.standard_normal(5), rng.standard_normal(5), rng.standard_normal(5), 1e-5
slope = (dy @ (x + h * d) ** 2 - dy @ (x - h * d) ** 2) / (2 * h)
(dx,) = square_backward(dy, (x,))
print(f"measured slope {slope:.8f}, <dx, d> {dx @ d:.8f}")
assert np.isclose(slope, dx @ d)
report = gradcheck(square, square_backward, [x])
assert report.ok
report

# %% [markdown]
# And a mistake is found, and described:

# %%
report = gradcheck(square, lambda dy, cache: (cache[0] * dy,), [x], name="square, without the 2")
assert not report.ok
report

# %% [markdown]
# It also sees a single entry that is off by a millionth, in any argument, and says in which:


# %%
def weighted(a, b):
    """Return a^3 b, and what the backward needs."""
    return a**3 * b, (a, b)


for spoiled in (None, 0, 1):

    def weighted_backward(dy, cache, spoiled=spoiled):
        """Return da and db, and make one number in one of them wrong."""
        a, b = cache
        gradients = [3 * a**2 * b * dy, a**3 * dy]
        if spoiled is not None:
            gradients[spoiled][-1, 2] += 1e-6 * np.linalg.norm(gradients[spoiled])
        return tuple(gradients)

    report = gradcheck(weighted, weighted_backward, list(rng.standard_normal((2, 4, 3))))
    assert [finding.ok for finding in report.findings] == [spoiled != 0, spoiled != 1]
    assert bool(report) == (spoiled is None)

# %% [markdown]
# ## A linear layer
#
# Every row of x, one sample each, is multiplied by the same matrix:
#
# $$y = x W + b, \qquad y_{nj} = \sum_i x_{ni} W_{ij} + b_j \qquad \text{(Eq. LIN-1)}$$
#
# *Through x:* $x_{ni}$ is in $y_{nj}$ for every j, with the factor $W_{ij}$, and in no other row. So
# $d_{x,ni} = \sum_j d_{y,nj} W_{ij}$: a product with the transposed matrix. *Through W:* $W_{ij}$ is in $y_{nj}$ for
# every n, with the factor $x_{ni}$. So $d_{W,ij} = \sum_n x_{ni}\, d_{y,nj}$. *Through b:* $b_j$ is in $y_{nj}$ for
# every n, with the factor 1:
#
# $$d_x = d_y W^\top, \qquad d_W = x^\top d_y, \qquad d_b = \sum_n d_{y,n} \qquad \text{(Eq. LIN-2)}$$
#
# What is used several times collects from every use: **gradients add**. You will meet this sentence in every notebook
# from here on.
#
# **Write it yourself:**


# %%
def my_linear_backward(dy, x, w):
    """Return dx, dw and db of y = x w + b."""
    ### BEGIN SOLUTION
    return dy @ w.T, x.T @ dy, dy.sum(axis=0)
    ### END SOLUTION


# %%
my_linear_backward = exercises.LINEAR.check(my_linear_backward)
show_source(F.linear, F.linear_backward)
x, w, b, dy = (rng.standard_normal(shape) for shape in ((4, 3), (3, 2), (2,), (4, 2)))
y, cache = F.linear(x, w, b)
assert np.allclose(y, [[sum(x[n, i] * w[i, j] for i in range(3)) + b[j] for j in range(2)] for n in range(4)])
for mine, library in zip(my_linear_backward(dy, x, w), F.linear_backward(dy, cache), strict=True):
    assert np.allclose(mine, library)
for k, gradient in enumerate(F.linear_backward(dy, cache)):  # and your witness, who knows no formula

    def loss_of(argument, k=k):
        """Return <dy, y> with one argument replaced."""
        return (dy * F.linear(*[argument if k == other else (x, w, b)[other] for other in range(3)])[0]).sum()

    assert np.allclose(gradient, my_slopes(loss_of, (x, w, b)[k], 1e-5))
assert gradcheck(F.linear, F.linear_backward, [x, w, b])

# %% [markdown]
# Any axes may come before the last: they are all rows. And a layer may have no b.

# %%
x, dy = rng.standard_normal((2, 4, 5, 3)), rng.standard_normal((2, 4, 5, 2))
y, cache = F.linear(x, w, b)
dx, dw, db = F.linear_backward(dy, cache)
assert np.allclose(y, np.einsum("...i,ij->...j", x, w) + b)
assert np.allclose(dx, np.einsum("...j,ij->...i", dy, w))
assert np.allclose(dw, np.einsum("nhwi,nhwj->ij", x, dy))
assert np.allclose(db, dy.sum(axis=(0, 1, 2)))
y, cache = F.linear(x, w)
assert np.allclose(y, np.einsum("...i,ij->...j", x, w))
assert F.linear_backward(dy, cache)[2] is None

# %% [markdown]
# **Derive it yourself:** gradients add, also where *one weight is read twice*. To save weights, a layer goes down and up
# again with one and the same matrix: $h = x W$, $y = h W^\top$, with x of shape (N, c) and W of shape (c, k). Give the
# two uses different names, derive each, then add.


# %%
def my_tied_backward(dy, x, w):
    """Return dx and dw of y = (x w) w^T."""
    ### BEGIN SOLUTION
    h, dh = x @ w, dy @ w
    return dh @ w.T, x.T @ dh + dy.T @ h
    ### END SOLUTION


# %%
my_tied_backward = exercises.TWICE.check(my_tied_backward)
x, w, dy = rng.standard_normal((4, 3)), rng.standard_normal((3, 2)), rng.standard_normal((4, 3))
dx, dw = my_tied_backward(dy, x, w)
assert np.allclose(dw, my_slopes(lambda w: (dy * (x @ w @ w.T)).sum(), w, 1e-5))
print(
    "the slopes in W, measured, and by your formula:",
    my_slopes(lambda w: (dy * (x @ w @ w.T)).sum(), w, 1e-5)[0],
    dw[0],
)

# %% [markdown]
# ## Functions of each number: SiLU and GELU
#
# If $y_i$ depends on $x_i$ alone, J is diagonal, and the VJP is a product number by number with the derivative. The
# UNet's activation is SiLU, with the sigmoid $\sigma(x) = 1 / (1 + e^{-x})$:
#
# $$y = x\, \sigma(x) \qquad \text{(Eq. SILU-1)}$$
#
# The sigmoid's derivative is $\sigma' = e^{-x} / (1 + e^{-x})^2 = \sigma\, (1 - \sigma)$, since
# $1 - \sigma = e^{-x} / (1 + e^{-x})$. By the product rule $y' = \sigma + x\, \sigma (1 - \sigma)$, and $x \sigma$ is
# y:
#
# $$d_x = d_y \left(\sigma + y (1 - \sigma)\right) \qquad \text{(Eq. SILU-2)}$$
#
# Transformers use GELU, x times the chance $\Phi(x)$ that a standard normal number is smaller than x. The derivative of
# $\Phi$ is the normal density $\varphi$:
#
# $$y = x\, \Phi(x) \qquad \text{(Eq. GELU-1)}, \qquad d_x = d_y \left(\Phi(x) + x\, \varphi(x)\right) \qquad \text{(Eq. GELU-2)}$$

# %%
show_source(F.silu_backward, F.gelu_backward)
x = np.linspace(-5, 5, 201)
y_silu, silu_cache = F.silu(x)
y_gelu, gelu_cache = F.gelu(x)
(slope_silu,), (slope_gelu,) = F.silu_backward(np.ones(201), silu_cache), F.gelu_backward(np.ones(201), gelu_cache)
sigmoid, Phi = 1 / (1 + np.exp(-x)), np.array([(1 + math.erf(one / 2**0.5)) / 2 for one in x])
assert np.allclose(y_silu, x * sigmoid)
assert np.allclose(y_gelu, x * Phi)
for dtype in (np.float64, np.float32):  # in float32 the library takes a series for Phi
    assert np.allclose(F.gelu(x.astype(dtype))[0], x * Phi, atol=2e-6)
    assert np.allclose(F.silu(x.astype(dtype))[0], x * sigmoid, atol=2e-6)
dy = rng.standard_normal(201)
for f, f_backward in ((F.silu, F.silu_backward), (F.gelu, F.gelu_backward)):
    measured = (f(x + 1e-5)[0] - f(x - 1e-5)[0]) / 2e-5
    assert np.allclose(f_backward(dy, f(x)[1])[0], dy * measured)
    far, cache = f(np.array([[-800.0, 800.0]]))  # far out: 0 and x, and no NaN
    assert np.allclose(far, [[0, 800]])
    assert np.allclose(f_backward(np.array([[3.0, 3.0]]), cache)[0], [[0, 3]])
assert gradcheck(F.silu, F.silu_backward, [x])
assert gradcheck(F.gelu, F.gelu_backward, [x])
plot.curves(x, {"SiLU": y_silu, "its slope": slope_silu, "GELU": y_gelu, "GELU's slope": slope_gelu}, "x", "y")

# %% [markdown]
# ## Softmax: everything depends on everything
#
# $$y_i = \frac{e^{x_i}}{\sum_k e^{x_k}} \qquad \text{(Eq. SM-1)}$$
#
# The logarithm makes it easy: $\log y_i = x_i - \log \sum_k e^{x_k}$. Differentiate in $x_j$. The first term gives 1 if
# $i = j$ and 0 otherwise, written $\delta_{ij}$; the second gives $e^{x_j} / \sum_k e^{x_k} = y_j$. And
# $\partial y_i = y_i\, \partial \log y_i$. So
#
# $$J_{ij} = y_i (\delta_{ij} - y_j) .$$
#
# Here J is full. But its product with $d_y$ needs no matrix.
#
# **Derive it yourself:** write $d_{x,j} = \sum_i d_{y,i} J_{ij}$ for one j, and find what all j have in common. The
# softmax runs along the last axis; rows do not mix.


# %%
def my_softmax_backward(dy, y):
    """Return dx, from dy and the output y of the softmax; both have the shape (..., n)."""
    ### BEGIN SOLUTION
    inner = (dy * y).sum(axis=-1, keepdims=True)
    return y * (dy - inner)
    ### END SOLUTION


# %%
my_softmax_backward = exercises.SOFTMAX.check(my_softmax_backward)
show_source(F.softmax, F.softmax_backward)

# %% [markdown]
# For one j:
#
# $$d_{x,j} = \sum_i d_{y,i}\, y_i\, (\delta_{ij} - y_j) = d_{y,j}\, y_j - y_j \sum_i d_{y,i}\, y_i .$$
#
# The sum over i is one number, the same for every j. It is written $\langle d_y, y \rangle$:
#
# $$d_x = y \odot \left(d_y - \langle d_y, y \rangle\right) \qquad \text{(Eq. SM-2)}$$

# %%
x, dy = 2 * rng.standard_normal((3, 2, 4)), rng.standard_normal((3, 2, 4))
y, cache = F.softmax(x)
assert np.allclose(y, np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True))
assert np.allclose(y, F.softmax(x + 1000)[0])  # large numbers are no trouble: the largest is taken off first
(dx,) = F.softmax_backward(dy, cache)
for row in np.ndindex(3, 2):
    assert np.allclose(dx[row], (np.diag(y[row]) - np.outer(y[row], y[row])).T @ dy[row])
assert np.allclose(dx, my_slopes(lambda x: (dy * F.softmax(x)[0]).sum(), x, 1e-5))
assert np.allclose(dx, my_softmax_backward(dy, y))

# %% [markdown]
# The matrix that we never build, built this once: purple is positive, orange negative, white 0.

# %%
x, dy = rng.standard_normal(12), rng.standard_normal(12)
y, cache = F.softmax(x)
J = np.diag(y) - np.outer(y, y)
(dx,) = F.softmax_backward(dy, cache)
assert np.allclose(dx, J.T @ dy)
assert np.allclose(dx, my_softmax_backward(dy, y))
assert gradcheck(F.softmax, F.softmax_backward, [x])
plot.jacobian(J, dy, dx)

# %% [markdown]
# What if all x are multiplied by the same number? With 0 all y are $1/n$, and SM-2 says: take the mean off $d_y$,
# divide by n. If the number is large, one y takes all, every $y_i (1 - y_i)$ is nearly 0, and J fades away, and with it
# the gradient. (Attention will divide by a root for this reason.) All pictures of the slider have one scale: no entry
# of J is above 1/4.


# %%
def sharpened(factor):
    """Draw the Jacobian of the softmax at factor times x."""
    y, cache = F.softmax(factor * x)
    (dx,) = F.softmax_backward(dy, cache)
    return plot.jacobian(np.diag(y) - np.outer(y, y), dy, dx, largest=0.25)


(flat,), (sharp,) = (F.softmax_backward(dy, F.softmax(factor * x)[1]) for factor in (0, 64))
assert np.allclose(flat, (dy - dy.mean()) / 12)
assert abs(sharp).max() < abs(flat).max() / 50
slider(sharpened, [0, 0.5, 1, 2, 4, 8, 16, 32, 64], "factor", start=4)

# %% [markdown]
# ## Losses
#
# The mean squared error of n numbers, and its derivative in one of them:
#
# $$L = \frac1n \sum_k (a_k - b_k)^2 \qquad \text{(Eq. MSE-1)}, \qquad d_a = d_L\, \frac2n (a - b) = -d_b \qquad \text{(Eq. MSE-2)}$$
#
# ($d_L$ is 1 if L is the end of the chain.) For a classifier, the *cross entropy* is the mean surprise at the right
# labels $k_n$:
#
# $$L = -\frac1N \sum_n \log \mathrm{softmax}(x_n)_{k_n} \qquad \text{(Eq. CE-1)}$$
#
# From above, the derivative of $\log y_k$ in $x_j$ is $\delta_{kj} - y_j$. With the sign turned, and $1_k$ for the
# vector with a 1 at k:
#
# $$d_x = \frac{d_L}{N} \left(\mathrm{softmax}(x) - 1_k\right) \qquad \text{(Eq. CE-2)}$$
#
# What was believed, less what was true.

# %%
show_source(F.mse_backward, F.cross_entropy_backward)
a, b = rng.standard_normal((2, 3)), rng.standard_normal((2, 3))
loss, cache = F.mse(a, b)
d_a, d_b = F.mse_backward(0.7, cache)  # as if this loss were one part of a larger one
assert np.allclose(loss, ((a - b) ** 2).mean())
assert np.allclose(d_a, 0.7 * 2 / 6 * (a - b))
assert np.allclose(d_b, -d_a)
assert np.allclose(d_a, 0.7 * my_slopes(lambda a: ((a - b) ** 2).mean(), a, 1e-5))
assert gradcheck(F.mse, F.mse_backward, [a, b])

logits, labels = rng.standard_normal((4, 3)), np.array([0, 2, 1, 1])
loss, cache = F.cross_entropy(logits, labels)
(d_logits,) = F.cross_entropy_backward(0.7, cache)
believed = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
assert np.isclose(loss, -np.log(believed[np.arange(4), labels]).mean())
assert np.isclose(loss, F.cross_entropy(logits - 1000, labels)[0])
assert np.isclose(F.cross_entropy(np.array([[1000.0, 0.0]]), np.array([1]))[0], 1000)  # log(1 + exp(1000))
assert np.allclose(d_logits, 0.7 * (believed - np.eye(3)[labels]) / 4)
assert np.allclose(d_logits, 0.7 * my_slopes(lambda x: F.cross_entropy(x, labels)[0], logits, 1e-5))
assert gradcheck(F.cross_entropy, F.cross_entropy_backward, [logits, labels])

# %% [markdown]
# ## Three layers, caches carried by hand
#
# Chain rule on chain rule: the $d_x$ of one layer is the $d_y$ of the layer before it. So run the backwards in the
# reverse order, each with the cache of its forward. (`plain` makes the library take its plainest path, so that nothing
# stands between you and the equations; here it would not matter.)

# %%
x, target = rng.standard_normal((6, 3)), rng.standard_normal((6, 2))
w_1, b_1, w_2, b_2 = (
    rng.standard_normal((3, 8)),
    rng.standard_normal(8),
    rng.standard_normal((8, 2)),
    rng.standard_normal(2),
)

with tinydiff.plain():
    h, cache_1 = F.linear(x, w_1, b_1)
    a, cache_2 = F.silu(h)
    y, cache_3 = F.linear(a, w_2, b_2)
    loss, cache_4 = F.mse(y, target)

    dy, _ = F.mse_backward(1.0, cache_4)
    da, dw_2, db_2 = F.linear_backward(dy, cache_3)
    (dh,) = F.silu_backward(da, cache_2)
    dx, dw_1, db_1 = F.linear_backward(dh, cache_1)


def all_three(x=x, w_1=w_1, b_1=b_1, w_2=w_2, b_2=b_2):
    """Return the loss, in NumPy."""
    h = x @ w_1 + b_1
    return ((h / (1 + np.exp(-h)) @ w_2 + b_2 - target) ** 2).mean()


assert np.isclose(loss, all_three())
gradients = {"x": dx, "w_1": dw_1, "b_1": db_1, "w_2": dw_2, "b_2": db_2}
for name, gradient in gradients.items():
    argument = {"x": x, "w_1": w_1, "b_1": b_1, "w_2": w_2, "b_2": b_2}[name]
    assert np.allclose(gradient, my_slopes(lambda a, name=name: all_three(**{name: a}), argument, 1e-5), atol=1e-8)

# %% [markdown]
# It works, but for a UNet with a hundred layers somebody must look after a hundred caches. Since the backward runs in
# the reverse order, the cache needed next is always the *last one not yet used*. A stack will do, and that is the whole
# `Tape`: a layer's forward pushes its cache, its backward pops it. A `Module` holds the weights, `Gradients` collects
# what the backwards find out about them.


# %%
class ThreeLayers(Module):
    """Linear, SiLU, Linear."""

    def __init__(self):
        self.first = Linear(3, 8, rng, dtype=np.float64)
        self.act = SiLU()
        self.second = Linear(8, 2, rng, dtype=np.float64)
        self.pack()

    def forward(self, x, tape=None):
        h = self.first.forward(x, tape)
        a = self.act.forward(h, tape)
        return self.second.forward(a, tape)

    def backward(self, dy, tape, grads=None):
        da = self.second.backward(dy, tape, grads)
        dh = self.act.backward(da, tape, grads)
        return self.first.backward(dh, tape, grads)


model = ThreeLayers()
for parameter, value in zip(model.parameters(), (w_1, b_1, w_2, b_2), strict=True):
    parameter.value[...] = value
assert np.allclose(model.theta, np.concatenate([w_1.ravel(), b_1, w_2.ravel(), b_2]))  # parameters are views of it
tape, grads = Tape(), Gradients(model.parameters())
y = model.forward(x, tape)
h = x @ w_1 + b_1
assert np.allclose(y, h / (1 + np.exp(-h)) @ w_2 + b_2)
assert len(tape) == 3
assert np.allclose(tape["second"].x, h / (1 + np.exp(-h)))
print(tape)

# %%
loss, cache = F.mse(y, target)
dy, _ = F.mse_backward(1.0, cache)
dx_of_tape = model.backward(dy, tape, grads)
assert len(tape) == 0, "every cache should have been used"
assert np.allclose(dx_of_tape, dx)
by_hand = {"first.weight": dw_1, "first.bias": db_1, "second.weight": dw_2, "second.bias": db_2}
for name, gradient in by_hand.items():
    assert np.allclose(grads[name], gradient)
    print(f"{name:<14} gradient of shape {gradient.shape}: the same by hand and by tape")

# %% [markdown]
# `Gradients` *adds*. A layer that is used twice in one forward leaves two caches, and both of its gradients go into one
# place; `zero` starts anew.

# %%
layer = Linear(3, 3, rng, bias=False, dtype=np.float64)
w, tape, grads = layer.weight.value, Tape(), Gradients(layer.parameters())
y = layer.forward(layer.forward(x, tape), tape)
dy = rng.standard_normal(y.shape)
dx = layer.backward(layer.backward(dy, tape, grads), tape, grads)
assert np.allclose(y, x @ w @ w)
assert np.allclose(dx, dy @ w.T @ w.T)
assert np.allclose(grads[layer.weight], (x @ w).T @ dy + x.T @ (dy @ w.T))
assert np.allclose(grads.flat, grads[layer.weight].ravel())
grads.zero()
assert not grads.flat.any()

# %% [markdown]
# The tape differentiates nothing: every backward here is a few lines that somebody wrote by hand, and you have written
# some of them. It only remembers, and it notices if the order is wrong:

# %%
tape = Tape()
y = model.forward(x, tape)
refused = ""
try:
    model.first.backward(dy, tape)
except tinydiff.base.InputError as error:
    refused = str(error)
print(refused)
assert "out of order" in refused

# %% [markdown]
# ## Summary
#
# 1. A backward maps $d_y$ to $J^\top d_y$, and never builds the Jacobian, which would be thousands of times larger.
# 2. To derive one: write the sum for a single entry, then find the array operation that does it for all.
# 3. What is used several times collects from every use: gradients add.
# 4. A central difference along random directions checks any backward.
# 5. Backwards run in the reverse order of the forwards, so a stack of caches is enough.
#
# <details><summary>Why is the upstream gradient of a check random, and never all ones?</summary>
#
# Ones hide mistakes. The softmax's backward of ones is exactly 0, for its outputs always sum to 1; a backward that
# returns nothing but zeros would pass.
#
# </details>
#
# <details><summary>Why in float64?</summary>
#
# The difference of two nearly equal numbers keeps few digits. With h = 0.00001, float32 would leave about two.
#
# </details>
#
# <details><summary>Does a right gradient mean a right layer?</summary>
#
# No. The check compares the backward with the forward. If the forward is wrong, both are wrong together. Forwards need
# another witness: a slow loop, a formula, another library.
#
# </details>
#
# **Next:** the layer that sees neighbours: [06 · Convolution](06_convolution.ipynb).
