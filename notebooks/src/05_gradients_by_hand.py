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
# **Time:** 25 minutes.
#
# **Papers:** Rumelhart, Hinton, Williams, *Learning representations by back-propagating errors* (1986); Elfwing et al.
# (2017; SILU-1); Hendrycks and Gimpel (2016; GELU-1). LIN, SM, MSE, CE are textbook knowledge, GC-1 is the central
# difference.

# %%
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
for mine, library in zip(my_linear_backward(dy, x, w), F.linear_backward(dy, cache), strict=True):
    assert np.allclose(mine, library)
assert gradcheck(F.linear, F.linear_backward, [x, w, b])

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
assert np.allclose(slope_silu, np.gradient(y_silu, x), atol=0.02)  # differences of neighbours: rough, but independent
assert np.allclose(slope_gelu, np.gradient(y_gelu, x), atol=0.02)
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
# Here J is full. Its product with $d_y$, for one j:
#
# $$d_{x,j} = \sum_i d_{y,i}\, y_i\, (\delta_{ij} - y_j) = d_{y,j}\, y_j - y_j \sum_i d_{y,i}\, y_i .$$
#
# The sum over i is one number, the same for every j. It is written $\langle d_y, y \rangle$:
#
# $$d_x = y \odot \left(d_y - \langle d_y, y \rangle\right) \qquad \text{(Eq. SM-2)}$$
#
# n numbers, and no matrix. **Write it yourself**, for a softmax along the last axis (rows do not mix):


# %%
def my_softmax_backward(dy, y):
    """Return dx, from dy and the output y of the softmax."""
    ### BEGIN SOLUTION
    inner = (dy * y).sum(axis=-1, keepdims=True)
    return y * (dy - inner)
    ### END SOLUTION


# %%
my_softmax_backward = exercises.SOFTMAX.check(my_softmax_backward)
show_source(F.softmax, F.softmax_backward)

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
d_a, d_b = F.mse_backward(1.0, cache)
assert np.allclose(loss, ((a - b) ** 2).mean())
assert np.allclose(d_a, 2 / 6 * (a - b))
assert gradcheck(F.mse, F.mse_backward, [a, b])

logits, labels = rng.standard_normal((4, 3)), np.array([0, 2, 1, 1])
loss, cache = F.cross_entropy(logits, labels)
(d_logits,) = F.cross_entropy_backward(1.0, cache)
believed, _ = F.softmax(logits)
assert np.isclose(loss, -np.log(believed[np.arange(4), labels]).mean())
assert np.allclose(d_logits, (believed - np.eye(3)[labels]) / 4)
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
tape, grads = Tape(), Gradients(model.parameters())
y = model.forward(x, tape)
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
# The tape differentiates nothing: you wrote every line of the backward. It only remembers, and it notices if the order
# is wrong:

# %%
tape = Tape()
y = model.forward(x, tape)
try:
    model.first.backward(dy, tape)
except tinydiff.base.InputError as error:
    print(error)

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
