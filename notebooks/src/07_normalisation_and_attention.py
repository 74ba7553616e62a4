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
# # 07 · Normalisation and attention
#
# **You will learn** to derive the backward of layers in which every number depends on every other, by following the
# paths from an input to the loss and adding up what comes back along each.
#
# **Prerequisites:** notebook 05 (VJPs and the softmax). **Time:** 25 minutes.
#
# **Papers:** Wu and He, *Group normalization* (2018), Eq. 1, 2, 6, 7 (here GN-1); Ba, Kiros, Hinton, *Layer normalization*
# (2016), Eq. 4 (LN-1); Ioffe and Szegedy, *Batch normalization* (2015), Algorithm 1 (BN-1); Vaswani et al., *Attention
# is all you need* (2017), Eq. 1 (ATT-1). GN-2, LN-2, BN-2 and ATT-2 are their gradients.

# %%
import numpy as np

import tinydiff
from tinydiff import functional as F
from tinydiff import plot
from tinydiff.course import show_source, slider
from tinydiff.course.exercises import notebook_07 as exercises
from tinydiff.data import load_data
from tinydiff.gradcheck import gradcheck
from tinydiff.nn import Tape

rng = np.random.default_rng(0)

# %% [markdown]
# ## Group norm: a common scale
#
# Deep networks learn better when the numbers in them keep a common scale. *Group norm* takes an image's channels in
# groups, and within each group (all pixels of its channels, n numbers) shifts and scales them to mean 0 and variance 1.
# Then each channel gets a scale $\gamma$ and a shift $\beta$ of its own, which are learned:
#
# $$\mu = \frac1n \sum_i x_i, \quad \sigma^2 = \frac1n \sum_i (x_i - \mu)^2, \quad
#   \hat x_i = \frac{x_i - \mu}{\sqrt{\sigma^2 + \varepsilon}}, \quad y_i = \gamma \hat x_i + \beta
#   \qquad \text{(Eq. GN-1)}$$
#
# The small $\varepsilon$ guards against a division by 0.

# %%
with tinydiff.plain():
    show_source(F.group_norm)
    x, gamma, beta = 3 + 2 * rng.standard_normal((2, 5, 5, 8)), rng.standard_normal(8), rng.standard_normal(8)
    y, cache = F.group_norm(x, gamma, beta, groups=4)
    x_hat, _ = F.group_norm(x, np.ones(8), np.zeros(8), groups=4)
    first_group = x_hat[0, :, :, :2]  # 8 channels in 4 groups: two each
    print(f"first group of the first image: mean {first_group.mean():.1e}, variance {first_group.var():.6f}")
    assert abs(first_group.mean()) < 1e-12
    assert abs(first_group.var() - 1) < 1e-4
    assert np.allclose(y, gamma * x_hat + beta)

# %% [markdown]
# ## Where do paths meet?
#
# Write $g_i = d_{y,i}\, \gamma$ for the gradient that reaches $\hat x_i$, and $r = 1 / \sqrt{\sigma^2 + \varepsilon}$,
# so that $\hat x_i = (x_i - \mu)\, r$. How does the loss depend on one input $x_j$? There are three paths, and at $x_j$
# they meet.
#
# **Directly:** $x_j$ stands in $\hat x_j$ with the factor r. It brings back $r\, g_j$.
#
# **Through the mean:** $\partial \mu / \partial x_j = 1/n$, and $\mu$ stands in *every* $\hat x_i$ with the factor
# $-r$. Together $\frac1n \sum_i (-r)\, g_i = -r\, \overline{g}$, with a bar for the mean over the group.
#
# **Through the variance:** first,
# $\partial \sigma^2 / \partial x_j = \frac2n (x_j - \mu) - \frac2n \sum_i (x_i - \mu) \frac1n$, where the second term
# is for the $\mu$ inside. It vanishes, because deviations from a mean sum to 0. Next,
# $\partial r / \partial \sigma^2 = -\tfrac12 (\sigma^2 + \varepsilon)^{-3/2} = -\tfrac12 r^3$. And r stands in every
# $\hat x_i$ with the factor $x_i - \mu = \hat x_i / r$:
#
# $$\sum_i g_i\, \frac{\hat x_i}{r} \cdot \left(-\tfrac12 r^3\right) \cdot \frac2n \frac{\hat x_j}{r}
#   = -r\, \hat x_j\, \frac1n \sum_i g_i \hat x_i = -r\, \hat x_j\, \overline{g \hat x} .$$
#
# The three add up. ($\gamma$ and $\beta$ were used by every pixel of every image, so they sum over all.)
#
# $$d_x = r \left(g - \overline{g} - \hat x\, \overline{g \hat x}\right), \qquad d_\gamma = \sum d_y \hat x,
#   \quad d_\beta = \sum d_y \qquad \text{(Eq. GN-2)}$$
#
# **Write it yourself**, with one group in each row (so means along the last axis):


# %%
def my_norm_backward(g, x_hat, rstd):
    """Return dx; g and x_hat have shape (groups, n), rstd (groups, 1)."""
    ### BEGIN SOLUTION
    mean_g = g.mean(axis=-1, keepdims=True)
    mean_g_x_hat = (g * x_hat).mean(axis=-1, keepdims=True)
    return rstd * (g - mean_g - x_hat * mean_g_x_hat)
    ### END SOLUTION


# %%
my_norm_backward = exercises.NORM.check(my_norm_backward)

# %% [markdown]
# **Predict, then run:** one image, a 2, is one group. Instead of a loss, which should fall, take a *score*, which
# should rise: light in the output y counts where a *3* would be (the first map), and nowhere else. At which pixels of
# the input x does the score have a gradient?


# %%
def three_paths(wanted):
    """Return the gradient of the image along the three paths, if the score counts the pixels of another digit."""
    g = 1 + images[digits == wanted][0, ..., 0]
    direct = rstd * g
    through_mean = np.full((8, 8), -rstd * g.mean())
    through_variance = -rstd * x_hat * (g * x_hat).mean()
    return g, {"direct": direct, "through mean": through_mean, "through variance": through_variance}


def draw(wanted):
    """Draw them and their sum."""
    _, maps = three_paths(wanted)
    return plot.signed_maps(
        {**maps, "d_x": sum(maps.values())},
        ["+", "+", "="],
        title=f"The score asks for a {wanted}: purple, more light raises it; orange, it lowers it",
    )


images, digits = load_data("digits", "test").batch(np.arange(40))
images = images.astype(np.float64)
x = images[digits == 2][:1]
_, cache = F.group_norm(x, np.ones(1), np.zeros(1), groups=1)
rstd = cache.rstd.item()
x_hat = cache.centred.reshape(8, 8) * rstd
g, paths = three_paths(3)
dx, _, _ = F.group_norm_backward(g.reshape(1, 8, 8, 1), cache)
assert np.allclose(sum(paths.values()), dx.reshape(8, 8))
assert np.allclose(dx.reshape(1, 64), my_norm_backward(g.reshape(1, 64), x_hat.reshape(1, 64), rstd))
draw(3)

# %% [markdown]
# At all of them. Directly, the 3 that was asked for. Through the mean, light counts against the score at every pixel
# alike: it raises the mean, which is taken off everywhere. And the path through the variance draws the 2 that is
# *there*: more light on its bright pixels, far above the mean, widens the group, and so weakens all of y; more light on
# the dark ones narrows it. The three maps add up to $d_x$. Ask for another digit:

# %%
slider(draw, range(10), "digit", start=7)

# %%
with tinydiff.plain():
    show_source(F.group_norm_backward)
    x = rng.standard_normal((2, 3, 3, 4))
    report = gradcheck(F.group_norm, F.group_norm_backward, [x, gamma[:4], beta[:4]], options={"groups": 2})
    assert report.ok
report

# %% [markdown]
# ## Relatives: layer norm and batch norm
#
# Nothing above used *which* numbers form a group. **Layer norm** takes the channels of each position, **batch norm**
# takes each channel over all pixels of *all images of the batch*:
#
# $$y = \gamma \frac{x - \mu}{\sqrt{\sigma^2 + \varepsilon}} + \beta, \quad
#   \mu, \sigma \text{ over the channels of a position (Eq. LN-1), over the batch (Eq. BN-1)}$$
#
# So, with r as above, the backward is the same formula with other means,
# $d_x = r\, (g - \overline{g} - \hat x\, \overline{g \hat x})$ (Eq. LN-2, Eq. BN-2).

# %%
show_source(F.layer_norm_backward, F.batch_norm_backward)
x = rng.standard_normal((4, 3, 6))
y_layer, _ = F.layer_norm(x, np.ones(6), np.zeros(6))
y_batch, _ = F.batch_norm(x, np.ones(6), np.zeros(6))
assert abs(y_layer.mean(axis=-1)).max() < 1e-12
assert abs(y_batch.mean(axis=(0, 1))).max() < 1e-12
for pair in ((F.layer_norm, F.layer_norm_backward), (F.batch_norm, F.batch_norm_backward)):
    assert gradcheck(*pair, [x, rng.standard_normal(6), rng.standard_normal(6)])
_, cache = F.layer_norm(x, np.ones(6), np.zeros(6))
dx, _, _ = F.layer_norm_backward(x**2, cache)
assert np.allclose(dx, my_norm_backward(x**2, cache.x_hat, cache.rstd))
_, cache = F.batch_norm(x, np.ones(6), np.zeros(6))
dx, _, _ = F.batch_norm_backward(x**2, cache)
by_rows = [a.transpose(2, 0, 1).reshape(6, 12) for a in (x**2, cache.x_hat)]  # one row for each channel
assert np.allclose(dx.transpose(2, 0, 1).reshape(6, 12), my_norm_backward(*by_rows, cache.rstd.reshape(6, 1)))

# %% [markdown]
# Batch norm was made for classifiers. Why do diffusion models, as a rule, not use it? **Predict, then run:** a small
# denoiser gets four noisy digits. We replace the *last* of them by another one. What happens to the predictions for the
# first three?

# %%
weights = rng.standard_normal((3, 3, 1, 8)) / 3, rng.standard_normal((3, 3, 8, 1)) / 8


def denoise(x, norm):
    """Return eps_hat by convolution, norm, SiLU, convolution (random weights will do)."""
    h, _ = F.conv2d(x, weights[0], padding=1)
    h, _ = norm(h, np.ones(8), np.zeros(8))
    h, _ = F.silu(h)
    eps_hat, _ = F.conv2d(h, weights[1], padding=1)
    return eps_hat


images, _ = load_data("mnist-small", "test").batch(np.arange(5))
noisy = images.astype(np.float64) + rng.standard_normal(images.shape)
here, there = noisy[:4], noisy[[0, 1, 2, 4]]
moved = {}
for name, norm in (("group norm", F.group_norm), ("batch norm", F.batch_norm)):
    moved[name] = abs(denoise(here, norm) - denoise(there, norm))[:3].max()
    print(f"{name}: the first three predictions change by up to {moved[name]:.4f}")
assert moved["group norm"] == 0
assert moved["batch norm"] > 0.01

# %% [markdown]
# With batch norm the images of a batch are tied to each other: what is drawn for you depends on what is drawn for your
# neighbour. And in training, a batch mixes all times t, from nearly clean images to pure noise, and one mean and one
# variance have to serve them all. (After training, one commonly puts averages collected during training in the place of
# the batch's own. This unties the images, but then the network computes something else than what was trained; and these
# averages, too, are taken over all t.) With group norm each image is alone.
#
# ## Attention: everyone asks everyone
#
# A convolution sees neighbours. With *attention* every position can look at every other. Each makes three vectors out
# of its channels: a query q (what am I looking for?), a key k (what am I?) and a value v (what do I have to say?). The
# *scores* are products of queries and keys; a softmax along the keys makes weights of them; and each query gets the
# weighted mean of the values:
#
# $$y = P v, \qquad P = \mathrm{softmax}\left(S\right), \quad S = \frac{q k^\top}{\sqrt d} \qquad \text{(Eq. ATT-1)}$$
#
# Why $\sqrt d$? A product of two vectors of d independent numbers of variance 1 has the variance d: d terms, each of
# variance 1. Divided by $\sqrt d$, such scores have the variance 1 whatever d is; without it, for large d the softmax
# would choose a single key, and pass hardly any gradient.

# %%
for d in (4, 64, 1024):
    products = (rng.standard_normal((5_000, d)) * rng.standard_normal((5_000, d))).sum(axis=1)
    print(f"d = {d:4}: variance of q . k {products.var():7.1f}, of q . k / sqrt(d) {products.var() / d:.2f}")
    assert abs(products.var() / d - 1) < 0.1  # standard error about 0.02

# %% [markdown]
# The way back, one step at a time. Each is known from notebook 05:
#
# - $y = P v$ is a matrix product: $d_v = P^\top d_y$ (a value collects from all queries that read it) and
#   $d_P = d_y v^\top$.
# - P is a softmax in every row: $d_S = P \odot (d_P - \langle d_P, P \rangle)$ (Eq. SM-2), the inner product taken row
#   by row.
# - $S = q k^\top / \sqrt d$ is a matrix product, too: $d_q = d_S\, k / \sqrt d$ and $d_k = d_S^\top q / \sqrt d$.
#
# $$d_v = P^\top d_y, \quad d_S = P \odot \left(d_y v^\top - \langle d_y v^\top, P \rangle\right), \quad
#   d_q = \frac{d_S k}{\sqrt d}, \quad d_k = \frac{d_S^\top q}{\sqrt d} \qquad \text{(Eq. ATT-2)}$$
#
# **Write it yourself:** `weights` is P, from the forward. (In NumPy `a.T` transposes; d is `q.shape[-1]`.)


# %%
def my_attention_backward(dy, q, k, v, weights):
    """Return dq, dk and dv; all have two axes, (positions, channels), and weights (queries, keys)."""
    ### BEGIN SOLUTION
    dv = weights.T @ dy
    d_weights = dy @ v.T
    d_scores = weights * (d_weights - (d_weights * weights).sum(axis=-1, keepdims=True))
    d_scores = d_scores / q.shape[-1] ** 0.5
    return d_scores @ k, d_scores.T @ q, dv
    ### END SOLUTION


# %%
my_attention_backward = exercises.ATTENTION.check(my_attention_backward)
with tinydiff.plain():
    show_source(F.attention, F.attention_backward)
    q, k, v, dy = (
        rng.standard_normal((5, 8)),
        rng.standard_normal((6, 8)),
        rng.standard_normal((6, 3)),
        rng.standard_normal((5, 3)),
    )
    y, cache = F.attention(q, k, v)
    for mine, library in zip(
        my_attention_backward(dy, q, k, v, cache.weights), F.attention_backward(dy, cache), strict=True
    ):
        assert np.allclose(mine, library)
    assert gradcheck(F.attention, F.attention_backward, [q, k, v])

# %% [markdown]
# In *self*-attention q, k and v are made from the same x, so three more paths meet there, and a fourth that goes round
# the whole layer ($x + \ldots$): gradients add.
#
# What does a trained network look at? The shipped model has attention where the image is 7 x 7. Here are, for a noisy
# digit, the weights with which one position of the 7 x 7, the middle, looks at all others: four heads, which look at
# different things.

# %%
model = tinydiff.load("mnist")
digit, _ = load_data("mnist-small", "test").batch(np.array([3]))
x_t = model.diffusion.q_sample(digit, 400, rng.standard_normal(digit.shape).astype(np.float32))
tape = Tape()
model.network.forward(x_t, np.array([400]), None, tape)
attention = tape["mid_1.attention"].weights[0]  # (heads, 49 queries, 49 keys)
assert np.allclose(attention.sum(axis=-1), 1, atol=1e-5)
heads = {f"head {i + 1}": attention[i, 24].reshape(7, 7) for i in range(4)}
plot.signed_maps(heads, title="Where the middle looks")

# %%
plot.image_grid(np.concatenate([digit, x_t]), columns=2, scale=4, labels=["the digit", "x_t"])

# %% [markdown]
# ## Summary
#
# 1. To derive a backward, follow every path from one input to the loss; where paths meet, gradients add.
# 2. A norm has three: direct, through the mean, through the variance.
# 3. Group, layer and batch norm share one backward; they differ in which numbers form a group.
# 4. Batch norm ties the images of a batch together; group norm leaves each alone.
# 5. Attention is two matrix products round a softmax, and so is its backward.
#
# <details><summary>Why does the mean inside the variance bring nothing back?</summary>
#
# Because deviations from the mean sum to 0: moving the centre a little does not change the mean square, to first order.
# The mean is just the centre for which it is smallest.
#
# </details>
#
# <details><summary>Is the sum of d_x over a group always 0?</summary>
#
# Yes. Adding the same number to all x of a group changes nothing, so the loss has no slope in that direction. Check it
# on a map above.
#
# </details>
#
# <details><summary>Why compute the variance from x - mu, and not as the mean of squares less the squared mean?</summary>
#
# If the mean is much larger than the spread, two nearly equal large numbers are subtracted, and float32 has no digits
# left.
#
# </details>
#
# **Next:** all layers are there; put them together: [08 · The UNet](08_the_unet.ipynb).
