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
# # Problem set 3 · Gradients by hand
#
# **You will learn** to use what notebooks 05 and 06 taught, until you have written the whole backward of a network alone,
# and trained with it.
#
# **Prerequisites:** notebooks 05 and 06. **Time:** 120 minutes, and 45 for the problem to hand in.
#
# Each problem has a cell to fill in, and below it a cell that checks. In a terminal, `tinydiff check ps3` checks all of
# them. If you are stuck, `problems.SLOPE.hint()` says where to look; `hint(2)` and `hint(3)` say more (and so for every
# other problem, by its name). Answers use NumPy only, and change none of their arguments. A notebook goes on after a
# wrong answer, with the course's own in its place.

# %%
import math

import numpy as np

from tinydiff import plot
from tinydiff.course.problem_sets import ps3 as problems

rng = np.random.default_rng(0)

# %% [markdown]
# ## The network
#
# Problems 1, 2, 6 and 7 are about one small network, and what you write for one helps with the next. (Problem 3 makes a
# tool; 4 and 5 are practice.) The network has a linear layer, an activation, and a linear layer:
#
# $$h = x W_1 + b_1, \qquad a = \mathrm{act}(h), \qquad y = a W_2 + b_2 .$$
#
# | name | x | w_1 | b_1 | h, a | w_2 | b_2 | y, target | m |
# |---|---|---|---|---|---|---|---|---|
# | shape | (N, c) | (c, k) | (k,) | (N, k) | (k, o) | (o,) | (N, o) | (N,) |
#
# The activation is not SiLU, but an approximation of GELU, which works on each number:
#
# $$a = \tfrac12 h\, (1 + \tanh u), \qquad u = \sqrt{2 / \pi}\, (h + 0.044715\, h^3) .$$
#
# And the loss gives each sample n a weight $m_n > 0$ of its own. It adds up the squared errors of a sample's outputs, and
# takes the weighted mean over the samples:
#
# $$L = \frac{\sum_n m_n \sum_j (y_{nj} - \mathrm{target}_{nj})^2}{\sum_n m_n} .$$
#
# ## Problem 1 · The forward (transcribe)
#
# Write the loss as a function of everything that it depends on.


# %%
def my_loss(x, w_1, b_1, w_2, b_2, target, m):
    """Return L, one number. The shapes are those of the table."""
    ### BEGIN SOLUTION
    h = x @ w_1 + b_1
    u = math.sqrt(2 / math.pi) * (h + 0.044715 * h**3)
    a = 0.5 * h * (1 + np.tanh(u))
    y = a @ w_2 + b_2
    return (m * ((y - target) ** 2).sum(axis=1)).sum() / m.sum()
    ### END SOLUTION


# %%
my_loss = problems.FORWARD.check(my_loss)

# %% [markdown]
# ## Problem 2 · The slope of the activation (derive)
#
# How fast does a grow with h? Derive it with the product rule and the chain rule, for each number of an array of any
# shape. (The slope of tanh is $1 - \tanh^2$.) Differences of a, which Problem 3 is about, are no answer here.


# %%
def my_slope(h):
    """Return the derivative of a in h, an array like h."""
    ### BEGIN SOLUTION
    c = math.sqrt(2 / math.pi)
    t = np.tanh(c * (h + 0.044715 * h**3))
    return 0.5 * (1 + t) + 0.5 * h * (1 - t**2) * c * (1 + 3 * 0.044715 * h**2)
    ### END SOLUTION


# %%
my_slope = problems.SLOPE.check(my_slope)
h = np.linspace(-4, 4, 161)
a = 0.5 * h * (1 + np.tanh(math.sqrt(2 / math.pi) * (h + 0.044715 * h**3)))
print(f"the slope is smallest, {my_slope(h).min():.3f}, at h = {h[my_slope(h).argmin()]:.2f}")
plot.curves(h, {"a": a, "its slope": my_slope(h)}, "h", "a")

# %% [markdown]
# ## Problem 3 · Your own gradient check (explore)
#
# Somebody hands you a function g of several arrays, and claims to know its gradient in each. Measure! For each argument,
# take a direction v (an array of its shape, which you are given), and compare
#
# - what is *claimed*, $\langle \text{gradient}, v \rangle$, the sum over all entries of the product, with
# - what is *measured*: move this one argument by + step · v and by - step · v, while all others stay where they are, and
#   divide the difference of g by twice the step. (This is Eq. GC-1 of notebook 05. There the step is h and the direction
#   d, but here h is a layer.)
#
# Return one error for each argument, $|\text{claimed} - \text{measured}| \,/\, (|\text{claimed}| + |\text{measured}|)$.


# %%
def my_check(g, args, gradients, directions, step):
    """Return the errors, shape (len(args),); args, gradients, directions are tuples of arrays, g(*args) is a number."""
    ### BEGIN SOLUTION
    errors = []
    for k in range(len(args)):
        forth, back = list(args), list(args)
        forth[k] = args[k] + step * directions[k]
        back[k] = args[k] - step * directions[k]
        measured = (g(*forth) - g(*back)) / (2 * step)
        claimed = (gradients[k] * directions[k]).sum()
        errors.append(abs(claimed - measured) / (abs(claimed) + abs(measured)))
    return np.array(errors)
    ### END SOLUTION


# %%
my_check = problems.CHECK.check(my_check)

# %% [markdown]
# From now on you need nobody to tell you whether a gradient is right. Here it looks at a product of two matrices, and at
# two claims about its gradients, one of which is wrong:


# %%
def is_right(g, args, gradients, names):
    """Print, for each gradient, how far it is from what is measured, along a random direction."""
    directions = tuple(rng.standard_normal(np.shape(a)) for a in args)
    for name, error in zip(names, my_check(g, args, gradients, directions, 1e-5), strict=True):
        print(f"{name:>5}: off by {error:.0e}  {'right' if error < 1e-6 else '<- WRONG'}")


p, q = rng.standard_normal((2, 3)), rng.standard_normal((3, 4))
is_right(lambda p, q: ((p @ q) ** 2).sum(), (p, q), (2 * p @ q @ q.T, p.T @ (p @ q)), ["dp", "dq"])

# %% [markdown]
# ## Problem 4 · A gate with a fault (debug)
#
# Deep networks let a part of the signal pass by. With a square matrix w, (c, c), and *one number* s, the gate:
#
# $$h = x w, \qquad a = \tanh h, \qquad y = x + s\, a .$$
#
# The backward below was tested with s = 1, and all was right. Now s is learned and has moved away from 1, and the training
# goes astray. Below it your own check looks at both. Mend one line.


# %%
def gate_backward(dy, x, w, s):
    """Return dx (N, c), dw (c, c) and the number ds, for dy and x of shape (N, c)."""
    a = np.tanh(x @ w)
    ds = (dy * a).sum()
    ### BEGIN SOLUTION
    dh = s * dy * (1 - a**2)
    ### INSTEAD
    dh = s * dy * (1 - (s * a) ** 2)
    ### END SOLUTION
    dw = x.T @ dh
    dx = dy + dh @ w.T
    return dx, dw, ds


# %%
x, w, dy = rng.standard_normal((4, 3)), rng.standard_normal((3, 3)), rng.standard_normal((4, 3))
for s in (1.0, 0.4):
    print(f"s = {s}")
    try:
        claimed = gate_backward(dy, x, w, s)
        is_right(
            lambda x, w, s: (dy * (x + s * np.tanh(x @ w))).sum(), (x, w, np.array(s)), claimed, ["dx", "dw", "ds"]
        )
    except Exception as error:  # while you are at work on it
        print(f"gate_backward raised {type(error).__name__}: {error}")

# %%
gate_backward = problems.GATE.check(gate_backward)

# %% [markdown]
# ## Problem 5 · A convolution in time (derive)
#
# Sound and text run in one direction, and what comes out at a time t must not depend on what comes later. So the taps of
# this convolution reach into the past, with steps of d, the *dilation*:
#
# $$y_{nto} = \sum_{i=0}^{k-1} \sum_c x_{n,\; t - d i,\; c}\; W_{ico} ,$$
#
# where x at times before 0 counts as 0. Sequences are (N, T, c_in) and (N, T, c_out), W is (k, c_in, c_out), and
# $d\, (k - 1) < T$. Derive both gradients. Ask, as in notebook 06: who read this input, and who used this weight? (In
# Python, `x[:, :-0]` is empty: count from the beginning, as in `x[:, : T - 0]`.)


# %%
def my_sequence_backward(dy, x, w, dilation):
    """Return dx, (N, T, c_in), and dw, (k, c_in, c_out), for dy of shape (N, T, c_out)."""
    ### BEGIN SOLUTION
    dx, dw, T = np.zeros(x.shape), np.zeros(w.shape), x.shape[1]
    for i in range(len(w)):
        far = dilation * i
        dw[i] = np.einsum("ntc,nto->co", x[:, : T - far], dy[:, far:])
        dx[:, : T - far] += dy[:, far:] @ w[i].T
    return dx, dw
    ### END SOLUTION


# %%
my_sequence_backward = problems.SEQUENCE.check(my_sequence_backward)
one = np.zeros((1, 16, 1))
one[0, 12] = 1
taps = np.array([1.0, 2.0, 3.0]).reshape(3, 1, 1)
dx, _ = my_sequence_backward(one, one, taps, 4)
print("dy is 1 at time 12; dx is not 0 at the times", *np.flatnonzero(dx[0, :, 0]))
plot.signed_maps({"d_y": one[..., 0], "d_x: what it read": dx[..., 0]}, numbers=True)

# %% [markdown]
# ## Problem 6 · The whole thing: three layers backwards (derive)
#
# Write the complete backward of the network and its loss. (m and target are given, and need no gradient.) Go from the end
# to the beginning, one link at a time, and return the gradients in the order in which you find them:
#
# | name | dw_2 | db_2 | dw_1 | db_1 | dx |
# |---|---|---|---|---|---|
# | shape | (k, o) | (o,) | (c, k) | (k,) | (N, c) |
#
# Every gradient has the shape of what it belongs to. The first test has N = 5, c = 3, k = 4 and o = 2. So if NumPy
# complains that a "size 4 is different from 2", a k has met an o, and the two tables say which factor must be transposed
# or stands in the wrong place. Your function has to run the forward itself, for it needs h, a and y. You may call
# `my_slope`, but measure nothing: differences are the other witness. The check says which gradient is off, and how; it
# follows the chain as you did, from the loss back to x, and names the first link that is wrong.


# %%
def my_backward(x, w_1, b_1, w_2, b_2, target, m):
    """Return dw_2, db_2, dw_1, db_1 and dx, the gradients of L."""
    ### BEGIN SOLUTION
    c = math.sqrt(2 / math.pi)
    h = x @ w_1 + b_1
    t = np.tanh(c * (h + 0.044715 * h**3))
    a = 0.5 * h * (1 + t)
    y = a @ w_2 + b_2

    dy = 2 * m[:, None] * (y - target) / m.sum()
    dw_2, db_2 = a.T @ dy, dy.sum(axis=0)
    da = dy @ w_2.T
    dh = da * (0.5 * (1 + t) + 0.5 * h * (1 - t**2) * c * (1 + 3 * 0.044715 * h**2))
    dw_1, db_1 = x.T @ dh, dh.sum(axis=0)
    dx = dh @ w_1.T
    return dw_2, db_2, dw_1, db_1, dx
    ### END SOLUTION


# %%
my_backward = problems.BACKWARD.check(my_backward)

# %% [markdown]
# Two witnesses, who know nothing of each other: what was derived, and what Problem 3 measures.

# %%
print("Here is", "the course's backward:" if my_backward is problems.BACKWARD.reference else "your backward:")
x, w_1, b_1, w_2, b_2, target = (rng.standard_normal(s) for s in ((5, 3), (3, 4), 4, (4, 2), 2, (5, 2)))
m = rng.uniform(0.5, 2, 5)
is_right(
    lambda w_2, b_2, w_1, b_1, x: my_loss(x, w_1, b_1, w_2, b_2, target, m),
    (w_2, b_2, w_1, b_1, x),
    my_backward(x, w_1, b_1, w_2, b_2, target, m),
    ["dw_2", "db_2", "dw_1", "db_1", "dx"],
)

# %% [markdown]
# And now it learns. The data are single numbers, near -1 or near 1, with noise:
# $x_t = \sqrt{\bar\alpha}\, x_0 + \sqrt{1 - \bar\alpha}\, \epsilon$. The network sees $x_t$ and should say the noise. The
# best answer is known (notebook 02), and drawn beside it.


# %%
alpha_bar = 0.8


def batch(n, rng):
    """Return n noisy numbers and the noise in them, both (n, 1)."""
    x_0 = rng.choice([-1.0, 1.0], (n, 1)) + 0.1 * rng.standard_normal((n, 1))
    eps = rng.standard_normal((n, 1))
    return alpha_bar**0.5 * x_0 + (1 - alpha_bar) ** 0.5 * eps, eps


def train(backward, steps=1500, rate=0.05, hidden=12, seed=2):
    """Return the losses of gradient descent, and the last w_1, b_1, w_2, b_2; the seed fixes the start and all data."""
    rng = np.random.default_rng(seed)
    shapes = (1, hidden), hidden, (hidden, 1), 1
    weights = [rng.standard_normal(shape) * size for shape, size in zip(shapes, (1, 1, 1 / 4, 0), strict=True)]
    losses = []
    with np.errstate(all="ignore"):  # a wrong backward may explode
        for _ in range(steps):
            x, eps = batch(64, rng)
            losses.append(my_loss(x, *weights, eps, np.ones(64)))
            dw_2, db_2, dw_1, db_1, _ = backward(x, *weights, eps, np.ones(64))
            for weight, gradient in zip(weights, (dw_1, db_1, dw_2, db_2), strict=True):
                weight -= rate * gradient
    return np.array(losses), weights


def network(x, w_1, b_1, w_2, b_2):
    """Return y."""
    h = x @ w_1 + b_1
    return 0.5 * h * (1 + np.tanh(math.sqrt(2 / math.pi) * (h + 0.044715 * h**3))) @ w_2 + b_2


losses, weights = train(my_backward)
grid = np.linspace(-2.5, 2.5, 101)[:, None]
spread = alpha_bar * 0.1**2 + 1 - alpha_bar  # the variance of each hump of x_t
off = [grid + alpha_bar**0.5, grid - alpha_bar**0.5]
near = [np.exp(-(one**2) / (2 * spread)) for one in off]
guess = [(1 - alpha_bar) ** 0.5 * one / spread for one in off]  # the noise, if we knew the hump
exact = (near[0] * guess[0] + near[1] * guess[1]) / (near[0] + near[1])
print(f"mean loss of the first 50 steps {losses[:50].mean():.3f}, of the last 300 {losses[-300:].mean():.3f}")
assert losses[-300:].mean() < 0.5 * losses[:50].mean()
plot.curves(grid[:, 0], {"your network": network(grid, *weights)[:, 0], "exact": exact[:, 0]}, "x_t", "the noise in it")

# %% [markdown]
# ## Problem 7 · A mistake that trains (open; hand in)
#
# Notebook 06 said that wrong gradients often train. Explore it with your own backward. Each of the `mistakes` is a whole
# backward: one below calls yours and spoils what it returns, and one is to be a copy of yours, in which a line is changed.
# Find **at least four**, of different kinds, such as a link that is missing in the chain, a mean in the place of a sum, a
# wrong slope, a gradient that is always 0, or a sign in a single place; and look for one that trains *nearly as well as
# the truth*, and one that trains well at first and then fails. A picture has room for five beside the right one. All
# runs have the same start and see the same data, and where a run explodes, its curve ends. Change the learning rate or
# the number of steps where that shows something.
#
# Hand in the picture, and under it five to ten sentences. It is judged by these:
#
# 1. The picture shows the loss of the right gradient and of at least four wrong ones, with one start for all, and curves
#    that can be told apart.
# 2. You say of each mistake in which line of a backward it could be made.
# 3. You explain, from the chain rule, why one of them does little harm and why another does much. ("It is wrong" explains
#    nothing.)
# 4. You say which of them a look at the loss alone would not have found, and show with `is_right`, as below Problem 6,
#    that a check finds it.


# %%
def one_line_changed(x, w_1, b_1, w_2, b_2, target, m):
    """Return the gradients of a copy of my_backward in which one line is changed."""
    ### BEGIN SOLUTION
    h = x @ w_1 + b_1
    a = 0.5 * h * (1 + np.tanh(math.sqrt(2 / math.pi) * (h + 0.044715 * h**3)))
    dy = 2 * m[:, None] * (a @ w_2 + b_2 - target) / m.sum()
    dh = dy @ w_2.T  # the slope is missing
    return a.T @ dy, dy.sum(axis=0), x.T @ dh, dh.sum(axis=0), dh @ w_1.T
    ### INSTEAD
    return my_backward(x, w_1, b_1, w_2, b_2, target, m)  # put the lines of yours here, and change one
    ### END SOLUTION


# %% tags=["hand-in"]
def fixed_first_layer(*args):
    """Return the gradients, but 0 for the first layer, which never learns."""
    dw_2, db_2, dw_1, db_1, dx = my_backward(*args)
    return dw_2, db_2, 0 * dw_1, 0 * db_1, dx


mistakes = {"first layer fixed": fixed_first_layer, "one line changed": one_line_changed}  # add yours: five at most


def smooth(losses, width=50):
    """Return means over the last steps, so that curves can be told apart; where a run explodes, its curve ends."""
    means = np.convolve(losses, np.ones(width) / width, mode="valid")
    return np.where(np.logical_and.accumulate(means < 3), means, np.nan)


runs = {}
for name, backward in {"right": my_backward, **mistakes}.items():
    losses, _ = train(backward)
    runs[name] = smooth(losses)
    exploded = np.isnan(runs[name][-1])
    print(f"{name}:", "it explodes" if exploded else f"mean loss of the last 300 steps {losses[-300:].mean():.3f}")
plot.curves(np.arange(len(runs["right"])), runs, "step", "loss", title="Mistakes that train", log="y")

# %% [markdown]
# **My sentences:** (write them here, five to ten)

# %% [markdown]
# ## When you are done
#
# You have differentiated a network by hand, checked it with a tool of your own, and trained it. Larger networks are made
# in the same way: links, each with a forward and a backward, and gradients that add where something is read twice.
#
# **Next:** the layers in which everything depends on everything,
# [07 · Normalisation and attention](07_normalisation_and_attention.ipynb).
