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
# # Problem set 4 · The network
#
# **You will practise** to write and to derive parts of networks that no notebook has: a norm without a mean, pictures of
# different sizes in one batch, a pooling that learns where to look, and a whole small U, forward and backward.
#
# **Prerequisites:** notebooks 07 and 08. **Time:** 110 minutes.
#
# Write each function, and run the cell below it: the check says whether it is right, or what is not. `problems.NAME.hint()`
# says where to look; `hint(2)` and `hint(3)` say more. In a terminal, `tinydiff check ps4` checks all of them. The last
# problem has no check: you hand in a picture.

# %%
import numpy as np

from tinydiff import functional as F
from tinydiff import plot
from tinydiff.course.problem_sets import ps4 as problems
from tinydiff.data import load_data
from tinydiff.networks import UNet, UNetConfig

rng = np.random.default_rng(0)

# %% [markdown]
# ## Problem 1 · A norm without a mean (transcribe)
#
# Large language models have replaced layer norm by something simpler. At each position, *RMS norm* divides the n channels by the
# root of their mean square, and multiplies each by a learned number $\gamma_i$. No mean is taken off, and nothing is added:
#
# $$y_i = \gamma_i\, \frac{x_i}{\sqrt{m + \varepsilon}}, \qquad m = \frac1n \sum_i x_i^2$$
#
# The channels are the last axis of x; before it come any number of axes (one, two or three here), and each position in
# them has an m of its own.


# %%
def my_rms_norm(x, gamma, eps):
    """Return y like x, (..., C); gamma has shape (C,), eps is a number."""
    ### BEGIN SOLUTION
    return gamma * x / ((x**2).mean(axis=-1, keepdims=True) + eps) ** 0.5
    ### END SOLUTION


# %%
my_rms_norm = problems.RMS_NORM.check(my_rms_norm)
x = 5 + rng.standard_normal((2, 4))
y_rms, y_layer = my_rms_norm(x, np.ones(4), 1e-5), F.layer_norm(x, np.ones(4), np.zeros(4))[0]
print("four numbers near 5:", *(f"{number:6.2f}" for number in x[0]))
print("after RMS norm:     ", *(f"{number:6.2f}" for number in y_rms[0]))
print("after layer norm:   ", *(f"{number:6.2f}" for number in y_layer[0]))

# %% [markdown]
# ## Problem 2 · Its backward (derive)
#
# Given dy, find dx and $d_\gamma$. As in notebook 07: on which paths does one $x_j$ reach the loss? Note that m depends on
# $x_j$, and every $y_i$ of the same position on m.


# %%
def my_rms_backward(dy, x, gamma, eps):
    """Return dx, like x and dy, (..., C), and d_gamma, shape (C,)."""
    ### BEGIN SOLUTION
    r = ((x**2).mean(axis=-1, keepdims=True) + eps) ** -0.5
    g = dy * gamma
    dx = r * g - r**3 * x * (g * x).mean(axis=-1, keepdims=True)
    return dx, (dy * x * r).reshape(-1, x.shape[-1]).sum(axis=0)
    ### END SOLUTION


# %%
my_rms_backward = problems.RMS_BACKWARD.check(my_rms_backward)
dx, _ = my_rms_backward(dy=np.array([[1.0, 0.0, 0.0, 0.0]]), x=x[:1], gamma=np.ones(4), eps=1e-5)
print("If only the first y counts, the gradient of x is", *(f"{number:.3f}" for number in dx[0]))
print("and its product with x is", f"{(dx * x[:1]).sum():.1e}:", "a longer x gives the same y")

# %% [markdown]
# ## Problem 3 · Pictures of different sizes (debug)
#
# A batch holds sets of different sizes, for example pictures that were cut into different numbers of pieces. The shorter
# ones are filled up with pieces that are not there. `mask`, shape (N, keys), says which keys *are* there: True for a real
# one, at least one in each picture. Attention should be what it would be if the others did not exist.
#
# **Find the fault:** this function gives keys that are not there the weight 0. Yet the cell below shows that a picture's y
# still depends on how long the filled-up batch is. Mend it; the faulty lines are those between scores and y.


# %%
def masked_attention(q, k, v, mask):
    """Return y, (N, queries, d_v); q is (N, queries, d), k (N, keys, d), v (N, keys, d_v), mask (N, keys)."""
    scores = q @ k.swapaxes(-1, -2) / q.shape[-1] ** 0.5
    ### BEGIN SOLUTION
    scores = np.where(mask[:, None], scores, -np.inf)
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = e / e.sum(axis=-1, keepdims=True)
    ### INSTEAD
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = e / e.sum(axis=-1, keepdims=True)
    weights = weights * mask[:, None]
    ### END SOLUTION
    return weights @ v


# %%
q, k, v = (rng.standard_normal((1, 3, 4)) for _ in range(3))
alone = masked_attention(q, k, v, np.ones((1, 3), bool))
wide_k, wide_v = (np.concatenate([a, np.zeros((1, 5, 4))], axis=1) for a in (k, v))
filled_up = masked_attention(q, wide_k, wide_v, np.arange(8)[None] < 3)
print("first query alone:            ", np.round(alone[0, 0], 3))
print("with five keys that are not:  ", np.round(filled_up[0, 0], 3))

# %%
masked_attention = problems.MASKED.check(masked_attention)

# %% [markdown]
# ## Problem 4 · A pooling that learns where to look (derive)
#
# How can an image with P positions of C channels become one vector of C channels? A mean takes all positions alike.
# *Attention pooling* has one learned query q, shape (C,), for all images; the positions $x_{ni}$ are both keys and values:
#
# $$p_{n} = \mathrm{softmax}\left(\frac{x_n\, q}{\sqrt C}\right), \qquad y_n = \sum_i p_{ni}\, x_{ni}$$
#
# The softmax goes over the positions i of each image n. CLIP's image encoder pools in a similar way. From dy, what are the
# gradients of q and of x? Count the readers of each.


# %%
def my_pooling_backward(dy, q, x):
    """Return dq, shape (C,), and dx, shape (N, P, C); dy has shape (N, C), q (C,), x (N, P, C)."""
    ### BEGIN SOLUTION
    root = len(q) ** 0.5
    scores = x @ q / root
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    dp = (x * dy[:, None]).sum(axis=-1)
    ds = p * (dp - (p * dp).sum(axis=1, keepdims=True)) / root
    return (ds[..., None] * x).sum(axis=(0, 1)), p[..., None] * dy[:, None] + ds[..., None] * q
    ### END SOLUTION


# %%
my_pooling_backward = problems.POOLING.check(my_pooling_backward)

# %% [markdown]
# What is it good for? Each of these pictures has ten positions; at one of them, channel 0 is 4 and channel 1 holds a
# number; elsewhere channel 1 holds other numbers. Learn a q that makes channel 1 of y the number at the marked position:

# %%
N, P, C = 500, 10, 4
x = rng.standard_normal((N, P, C))
where = rng.integers(P, size=N)
x[..., 0] = 0
x[np.arange(N), where, 0] = 4
wanted = x[np.arange(N), where, 1]
q, losses = np.zeros(C), []
for _ in range(200):
    scores = x @ q / C**0.5
    p = np.exp(scores - scores.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    error = (p * x[..., 1]).sum(axis=1) - wanted
    dy = np.zeros((N, C))
    dy[:, 1] = 2 * error / N
    dq, _ = my_pooling_backward(dy, q, x)
    q -= 0.5 * dq
    losses.append((error**2).mean())
print(f"loss {losses[0]:.2f} at first, {losses[-1]:.4f} at the end; q =", np.round(q, 2))
plot.curves(np.arange(200), {"loss": np.array(losses)}, "step", "mean squared error", title="It learns where to look")

# %% [markdown]
# ## Problem 5 · A whole U (derive)
#
# The smallest U that is one. Everything is linear in the channels (so `@` with a matrix), but for SiLU,
# $\mathrm{silu}(z) = z / (1 + e^{-z})$. Images are (N, H, W, channels), with H and W even.
#
#     s = silu(x @ w_1)                                  # the skip
#     h = silu(pool(s) @ w_2)                            # pool: the mean of each block of 2 x 2
#     y = np.concatenate([up(h), s], axis=-1) @ w_3      # up: each pixel four times, 2 x 2
#
# Write the backward, all of it: the gradients of x and of the three matrices, from dy. You need the numbers of the
# forward, so compute them first. The matrices have any sizes that fit: h may have another number of channels than s.


# %%
def my_whole_backward(dy, x, w_1, w_2, w_3):
    """Return dx, dw_1, dw_2 and dw_3, each of the shape of what it is the gradient of."""
    ### BEGIN SOLUTION
    n, height, width, _ = x.shape
    a = x @ w_1
    sig_a = 1 / (1 + np.exp(-a))
    s = a * sig_a
    pooled = s.reshape(n, height // 2, 2, width // 2, 2, -1).mean(axis=(2, 4))
    b = pooled @ w_2
    sig_b = 1 / (1 + np.exp(-b))
    h = b * sig_b
    both = np.concatenate([h.repeat(2, axis=1).repeat(2, axis=2), s], axis=-1)

    def dw(inputs, d):
        return inputs.reshape(-1, inputs.shape[-1]).T @ d.reshape(-1, d.shape[-1])

    d_both, c = dy @ w_3.T, h.shape[-1]
    dh = d_both[..., :c].reshape(n, height // 2, 2, width // 2, 2, c).sum(axis=(2, 4))
    db = dh * sig_b * (1 + b * (1 - sig_b))
    ds = d_both[..., c:] + (db @ w_2.T).repeat(2, axis=1).repeat(2, axis=2) / 4
    da = ds * sig_a * (1 + a * (1 - sig_a))
    return da @ w_1.T, dw(x, da), dw(pooled, db), dw(both, dy)
    ### END SOLUTION


# %%
my_whole_backward = problems.WHOLE_U.check(my_whole_backward)

# %% [markdown]
# A network whose backward is right can be trained. This one learns to take noise off 8 x 8 digits (it sees single pixels
# and blocks of four, no more, so do not expect much):

# %%
images, _ = load_data("digits", "train").batch(np.arange(200))
images = images.astype(np.float64)
noisy = images + 0.7 * rng.standard_normal(images.shape)


def forward(x, w_1, w_2, w_3):
    """Return y of the small U."""

    def silu(z):
        return z / (1 + np.exp(-z))

    s = silu(x @ w_1)
    h = silu(s.reshape(len(x), 4, 2, 4, 2, -1).mean(axis=(2, 4)) @ w_2)
    return np.concatenate([h.repeat(2, axis=1).repeat(2, axis=2), s], axis=-1) @ w_3


matrices, losses = [rng.standard_normal(shape) / 3 for shape in ((1, 12), (12, 12), (24, 1))], []
for _ in range(200):
    error = forward(noisy, *matrices) - images
    losses.append((error**2).mean())
    _, *gradients = my_whole_backward(2 * error / error.size, noisy, *matrices)
    matrices = [w - 0.1 * dw for w, dw in zip(matrices, gradients, strict=True)]
print(f"mean squared error: {((noisy - images) ** 2).mean():.3f} of the noisy images, {losses[-1]:.3f} after training")
rows = {"noisy": noisy[:8], "cleaned": forward(noisy[:8], *matrices), "clean": images[:8]}
plot.image_rows({name: np.clip(row, -1, 1).astype(np.float32) for name, row in rows.items()}, scale=6)

# %% [markdown]
# ## Problem 6 · How far does it see? (explore)
#
# Which pixels of the input can one pixel of the output see? Ask the network itself, whatever it is: move each pixel of the
# input a little, and measure how much that one pixel of the output moves.
#
# `f` takes one image, an array (H, W), and returns one of the same shape. Return the slope of `f(x)[row, column]` along
# each pixel of x, by central differences (x + h and x - h, h near 1e-3), as a map of the shape of x.


# %%
def my_reach(f, x, row, column):
    """Return the slopes of f(x)[row, column] along each pixel, shape (H, W)."""
    ### BEGIN SOLUTION
    slopes, h = np.zeros(x.shape), 1e-3
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            step = np.zeros(x.shape)
            step[i, j] = h
            slopes[i, j] = (f(x + step) - f(x - step))[row, column] / (2 * h)
    return slopes
    ### END SOLUTION


# %%
my_reach = problems.REACH.check(my_reach)

# %% [markdown]
# ## Problem 7 · A map of what networks see (explore, to hand in)
#
# The cell below measures the reach of UNets with random weights, on noise: one with a single level, so without pooling,
# and one with two levels. The darker a pixel, the more the middle of the output sees of it. (The sizes are shown as
# logarithms: 4 is the largest slope of its map, 3 a tenth of it, and 0 a ten-thousandth or less.)
#
# **Change it**, and draw a picture that answers a question of yours. Some: how far does each further level see? What does
# attention in the middle change? (Here its last layer, `proj`, still has the zeros that it starts with, so it does nothing:
# fill it, and compare.) Why is the rest of the map not quite white, though convolutions see neighbours only? Does a *trained* network use what it could see: take
# `tinydiff.load("mnist")`, a noisy digit and a small and a large t? (A trained one has 28 x 28 pixels; 1,568 runs of it take
# a minute.)
#
# **Hand in** the picture, with two or three sentences below it: what was asked, what is seen, what it means. It is judged by
# these four:
#
# 1. At least three maps side by side, on the same scale, each with a title that says what differs.
# 2. Only *one* thing differs between neighbouring maps.
# 3. The sentences name a number that was read from the maps, such as how many pixels lie above a hundredth.
# 4. They say what surprised you, or what you expected and saw confirmed, and why.


# %% tags=["hand-in"]
def as_function(network, t=300):
    """Return a function from one image (H, W) to the network's output (H, W)."""
    return lambda x: network.forward(x[None, :, :, None], np.array([t]))[0, :, :, 0]


def random_unet(levels):
    """Return a small UNet with random weights, also where it would start from zeros, but for its attention."""
    config = UNetConfig(image_size=16, channels=4, channel_mult=(1,) * levels, blocks_per_level=1, heads=1)
    network, draws = UNet(config, np.random.default_rng(1), dtype=np.float64), np.random.default_rng(2)
    for parameter in network.parameters():
        if not parameter.value.any() and "attention" not in parameter.name:
            parameter.value[...] = 0.2 * draws.standard_normal(parameter.value.shape)
    return network


x = rng.standard_normal((16, 16))
maps = {}
for levels in (1, 2):
    slopes = abs(my_reach(as_function(random_unet(levels)), x, 8, 8))
    maps[f"levels: {levels}"] = np.log10(np.maximum(slopes / slopes.max(), 1e-4)) + 4
    print(
        f"levels: {levels}; pixels above a hundredth of the largest slope: {(slopes > slopes.max() / 100).sum()} of 256"
    )
plot.signed_maps(maps, title="What the middle of the output sees")

# %% [markdown]
# **Next:** the network learns: notebook [09 · Train and sample](09_train_and_sample.ipynb), and then
# [problem set 5](ps5_train_and_sample.ipynb).
