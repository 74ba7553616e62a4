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
# **Prerequisites:** notebook 05 (VJPs and the softmax). **Time:** 80 minutes with the exercises.
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
from tinydiff.nn import SelfAttention, Tape

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
# The small $\varepsilon$ guards against a division by 0. A group is made of *neighbouring* channels: with 6 channels in 2
# groups, channels 0, 1, 2 are one group and 3, 4, 5 the other. Every image has its own means and variances.
#
# **Write it yourself:** the whole forward. (`x.mean(axis=(1, 2), keepdims=True)` keeps the axes that it averages over,
# with length 1, so that the mean can be subtracted from x.)


# %%
def my_group_norm(x, gamma, beta, groups, eps):
    """Return y like x, (N, H, W, C); gamma and beta have shape (C,), and each group C / groups channels."""
    ### BEGIN SOLUTION
    cut = x.reshape(*x.shape[:3], groups, -1)
    centred = cut - cut.mean(axis=(1, 2, 4), keepdims=True)
    variance = (centred**2).mean(axis=(1, 2, 4), keepdims=True)
    x_hat = centred / (variance + eps) ** 0.5
    return gamma * x_hat.reshape(x.shape) + beta
    ### END SOLUTION


# %%
my_group_norm = exercises.GROUP_NORM.check(my_group_norm)
gamma, beta = rng.standard_normal(8), rng.standard_normal(8)
x = 3 + 2 * rng.standard_normal((3, 5, 4, 8)) + np.arange(8)
x_hat = my_group_norm(x, np.ones(8), np.zeros(8), 4, 1e-5)
first_group = x_hat[0, :, :, :2]  # 8 channels in 4 groups: two each
print(f"first group of the first image: mean {first_group.mean():.1e}, variance {first_group.var():.6f}")

# %% [markdown]
# The library's own lines sum with matrix products, which are fast; the numbers are the same. (Where no number of groups
# is given, it takes a quarter of the channels, but at most 32, and the next smaller number that divides them.)

# %%
with tinydiff.plain():
    show_source(F.group_norm)
    for groups, eps in ((4, 1e-5), (2, 0.3), (8, 1e-3)):
        y, _ = F.group_norm(x, gamma, beta, groups, eps)
        assert np.allclose(y, my_group_norm(x, gamma, beta, groups, eps))
    y, _ = F.group_norm(x, gamma, beta)
    assert np.allclose(y, my_group_norm(x, gamma, beta, 2, 1e-5), rtol=0, atol=1e-9)
assert [F.default_groups(c) for c in (3, 8, 20, 22, 1024)] == [1, 2, 5, 2, 32]
far = [a.astype(np.float32) for a in (1000 + x, gamma, beta)]  # squares of such numbers have too few digits
assert np.allclose(F.group_norm(*far, groups=2)[0], my_group_norm(x, gamma, beta, 2, 1e-5), atol=1e-3)

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
# **Through the variance:** $x_j$ stands in $\sigma^2$, $\sigma^2$ in r, and r in *every* $\hat x_i$, with the factor
# $x_i - \mu$. This one is yours.
#
# **Derive it yourself:** multiply the derivatives along the third path, on paper; express what comes out by g,
# $\hat x$ and r; then add up all three paths. Here every row is one group, so means go along the last axis, and `rstd`
# is r.


# %%
def my_norm_backward(g, x_hat, rstd):
    """Return dx, shape (groups, n); g and x_hat have shape (groups, n), rstd (groups, 1)."""
    ### BEGIN SOLUTION
    mean_g = g.mean(axis=-1, keepdims=True)
    mean_g_x_hat = (g * x_hat).mean(axis=-1, keepdims=True)
    return rstd * (g - mean_g - x_hat * mean_g_x_hat)
    ### END SOLUTION


# %%
my_norm_backward = exercises.NORM.check(my_norm_backward)

# %% [markdown]
# In full: first,
# $\partial \sigma^2 / \partial x_j = \frac2n (x_j - \mu) - \frac2n \sum_i (x_i - \mu) \frac1n$, where the second term
# is for the $\mu$ inside. It vanishes, because deviations from a mean sum to 0. Next,
# $\partial r / \partial \sigma^2 = -\tfrac12 (\sigma^2 + \varepsilon)^{-3/2} = -\tfrac12 r^3$. And with
# $x_i - \mu = \hat x_i / r$:
#
# $$\sum_i g_i\, \frac{\hat x_i}{r} \cdot \left(-\tfrac12 r^3\right) \cdot \frac2n \frac{\hat x_j}{r}
#   = -r\, \hat x_j\, \frac1n \sum_i g_i \hat x_i = -r\, \hat x_j\, \overline{g \hat x} .$$
#
# The three add up. ($\gamma$ and $\beta$ were used by every pixel of every image, so they sum over all.)
#
# $$d_x = r \left(g - \overline{g} - \hat x\, \overline{g \hat x}\right), \qquad d_\gamma = \sum d_y \hat x,
#   \quad d_\beta = \sum d_y \qquad \text{(Eq. GN-2)}$$
#
# Is it true? Move one entry of x a little both ways, and see how much the sum of `dy * y` moves:


# %%
def slopes(f, x, h=1e-5):
    """Return the slope of a number f(x) along each entry of x, by central differences."""
    found = np.empty(x.shape)
    for index in np.ndindex(x.shape):
        step = np.zeros(x.shape)
        step[index] = h
        found[index] = (f(x + step) - f(x - step)) / (2 * h)
    return found


def rows_of_groups(a, groups):
    """Return images (N, H, W, C) as one row for each image and group."""
    n, height, width, _ = a.shape
    return a.reshape(n, height, width, groups, -1).transpose(0, 3, 1, 2, 4).reshape(n * groups, -1)


x, dy = 2 + rng.standard_normal((3, 3, 2, 4)), rng.standard_normal((3, 3, 2, 4))
gamma, beta = rng.standard_normal(4), rng.standard_normal(4)
with tinydiff.plain():
    _, cache = F.group_norm(x, gamma, beta, groups=2, eps=0.1)
    dx, d_gamma, d_beta = F.group_norm_backward(dy, cache)
assert np.allclose(dx, slopes(lambda x: (dy * my_group_norm(x, gamma, beta, 2, 0.1)).sum(), x), atol=1e-8)
x_hat = my_group_norm(x, np.ones(4), np.zeros(4), 2, 0.1)
rstd = (rows_of_groups(x, 2).var(axis=1, keepdims=True) + 0.1) ** -0.5
mine = my_norm_backward(rows_of_groups(dy * gamma, 2), rows_of_groups(x_hat, 2), rstd)
assert np.allclose(rows_of_groups(dx, 2), mine)
assert np.allclose(d_gamma, (dy * x_hat).sum(axis=(0, 1, 2)))
assert np.allclose(d_beta, dy.sum(axis=(0, 1, 2)))

# %% [markdown]
# **Predict, then run:** one image, a 2, is one group. Instead of a loss, which should fall, take a *score*, a number
# which should rise: light in the output y counts where a *3* would be (the first map), and nowhere else. At which pixels
# of the input x does the score have a gradient?


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
x = images[digits == 2][0, ..., 0]
rstd = (x.var() + 1e-5) ** -0.5
x_hat = (x - x.mean()) * rstd
g, paths = three_paths(3)
assert np.allclose(sum(paths.values()), my_norm_backward(g.reshape(1, 64), x_hat.reshape(1, 64), rstd).reshape(8, 8))
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
    report = gradcheck(F.group_norm, F.group_norm_backward, [x, gamma, beta], options={"groups": 2, "eps": 0.1})
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
x, dy = 1 + 2 * rng.standard_normal((4, 3, 6)), rng.standard_normal((4, 3, 6))
gamma, beta = rng.standard_normal(6), rng.standard_normal(6)
y_layer, layer_cache = F.layer_norm(x, gamma, beta, 0.1)
y_batch, batch_cache = F.batch_norm(x, gamma, beta, 0.1)
by_library = {  # the axes over which each averages
    -1: (y_layer, F.layer_norm(x, gamma, beta)[0], F.layer_norm_backward(dy, layer_cache)),
    (0, 1): (y_batch, F.batch_norm(x, gamma, beta)[0], F.batch_norm_backward(dy, batch_cache)),
}
for axes, (y, y_with_default_eps, gradients) in by_library.items():
    centred, var = x - x.mean(axis=axes, keepdims=True), x.var(axis=axes, keepdims=True)
    assert np.allclose(y_with_default_eps, gamma * centred / np.sqrt(var + 1e-5) + beta, rtol=0, atol=1e-9)
    r = 1 / np.sqrt(var + 0.1)
    x_hat, g = centred * r, dy * gamma
    assert np.allclose(y, gamma * x_hat + beta)
    dx = r * (g - g.mean(axis=axes, keepdims=True) - x_hat * (g * x_hat).mean(axis=axes, keepdims=True))
    for mine, library in zip((dx, (dy * x_hat).sum(axis=(0, 1)), dy.sum(axis=(0, 1))), gradients, strict=True):
        assert np.allclose(mine, library)
far = [a.astype(np.float32) for a in (500 + x, gamma, beta)]
for axes, norm in ((-1, F.layer_norm), ((0, 1), F.batch_norm)):
    assert np.allclose(norm(*far)[0], by_library[axes][1], atol=1e-3)
assert gradcheck(F.layer_norm, F.layer_norm_backward, [x, gamma, beta])
assert gradcheck(F.batch_norm, F.batch_norm_backward, [x, gamma, beta])

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
# The library's forward against the formula, for two images at once, with values that are narrower than the keys. A *mask*
# forbids some queries some keys: their scores are set to minus infinity, so that they get the weight 0; and a query
# that may look at nothing gets zeros.


# %%
def softmax(scores):
    """Return weights that are positive and sum to 1 along the last axis."""
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


with tinydiff.plain():
    show_source(F.attention)
    q, k, v = (rng.standard_normal(shape) for shape in ((2, 5, 8), (2, 6, 8), (2, 6, 3)))
    y, weights, _ = F.attention(q, k, v, return_weights=True)
    P = softmax(q @ k.swapaxes(-1, -2) / np.sqrt(8))
    assert np.allclose(weights, P)
    assert np.allclose(y, P @ v)

    mask = rng.uniform(size=(2, 5, 6)) < 0.5
    mask[:, 1:, 2], mask[0, 0] = True, False
    y, _ = F.attention(q, k, v, mask)
    P = softmax(np.where(mask, q @ k.swapaxes(-1, -2) / np.sqrt(8), -1e9))
    P[0, 0] = 0
    assert np.allclose(y, P @ v)

# %% [markdown]
# The way back goes through three known things (notebook 05): $y = P v$ is a matrix product, P is a softmax in every row
# (with a gradient $d_P$ of its output, a softmax p gives back $p \odot (d_p - \langle d_p, p \rangle)$, Eq. SM-2), and
# $S = q k^\top / \sqrt d$ is a matrix product again. The gradient of a product is one of its factors times what came
# back; its shape tells where to transpose.
#
# **Derive it yourself:** the gradients of q, k and v for one image. `weights` is P, from the forward. (In NumPy `a.T`
# transposes; d is the width of a query, `q.shape[-1]`; v may have another width.)


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

# %% [markdown]
# A value collects from all queries that read it; the inner product is taken row by row:
#
# $$d_v = P^\top d_y, \quad d_S = P \odot \left(d_y v^\top - \langle d_y v^\top, P \rangle\right), \quad
#   d_q = \frac{d_S k}{\sqrt d}, \quad d_k = \frac{d_S^\top q}{\sqrt d} \qquad \text{(Eq. ATT-2)}$$

# %%
with tinydiff.plain():
    show_source(F.attention_backward)
    dy = rng.standard_normal((2, 5, 3))
    y, cache = F.attention(q, k, v)
    found = F.attention_backward(dy, cache)
    for image in range(2):
        one = dy[image], q[image], k[image], v[image]
        mine = my_attention_backward(*one, softmax(q[image] @ k[image].T / np.sqrt(8)))
        for by_hand, library in zip(mine, found, strict=True):
            assert np.allclose(by_hand, library[image])
    assert np.allclose(found[1], slopes(lambda k: (dy * (softmax(q @ k.swapaxes(-1, -2) / 8**0.5) @ v)).sum(), k))
    _, cache = F.attention(q, k, v, mask)
    dq, dk, dv = F.attention_backward(dy, cache)
    assert np.allclose(dv, P.swapaxes(-1, -2) @ dy), "what is masked has the weight 0, forward and backward"
    assert (dq[0, 0] == 0).all()
    assert gradcheck(F.attention, F.attention_backward, [q, k, v])
    assert gradcheck(F.attention, F.attention_backward, [q, k, v], options={"mask": mask})

# %% [markdown]
# ## Heads
#
# One softmax gives one pattern of looking. So the channels are cut into *heads*, each of C / heads neighbouring channels,
# the first head the first ones; every head attends on its own, with $d = C / \text{heads}$; then the heads' outputs are
# put side by side again.
#
# **Find the fault:** this function runs, its shapes fit, and a network with it even trains. But it cannot be right:
# attention does not know the order of the tokens, so if they come in another order, the same outputs should come, in
# that order. The number below says how far they are apart. Mend `split`, in one line.


# %%
def multi_head(q, k, v, heads):
    """Return attention in heads, (N, queries, C); q has shape (N, queries, C), k and v (N, keys, C)."""
    n, tokens, c = q.shape

    def split(x):
        """Return x, (N, tokens, C), as (N, heads, tokens, C / heads)."""
        ### BEGIN SOLUTION
        return x.reshape(n, -1, heads, c // heads).swapaxes(1, 2)
        ### INSTEAD
        return x.reshape(n, heads, -1, c // heads)
        ### END SOLUTION

    scores = split(q) @ split(k).swapaxes(-1, -2) / (c // heads) ** 0.5
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = weights / weights.sum(axis=-1, keepdims=True)
    y = weights @ split(v)
    return y.swapaxes(1, 2).reshape(n, tokens, c)


# %%
x, order = rng.standard_normal((3, 5, 6)), np.array([2, 0, 4, 3, 1])
y, y_in_order = multi_head(x, x, x, 2), multi_head(x[:, order], x[:, order], x[:, order], 2)
print(f"largest difference between the same outputs in another order: {abs(y[:, order] - y_in_order).max():.2f}")

# %%
multi_head = exercises.HEADS.check(multi_head)
show_source(F.split_heads, F.merge_heads)
q, k, v = (rng.standard_normal((2, length, 6)) for length in (5, 4, 4))
y, _ = F.attention(*(F.split_heads(a, 3) for a in (q, k, v)))
assert np.allclose(F.merge_heads(y), multi_head(q, k, v, 3))
assert np.allclose(F.split_heads(q, 3)[:, 1], q[..., 2:4]), "head 1 of three: the third and the fourth channel of six"

# %% [markdown]
# In *self*-attention q, k and v are made from the same x, so three more paths meet there, and a fourth that goes round
# the whole layer ($x + \ldots$): gradients add.
#
# The layer in the network does this with the pixels as tokens, round a way straight through, and gets q, k and v, in this
# order, from one product with a matrix of C x 3C:

# %%
layer = SelfAttention(6, heads=2, rng=rng, groups=3, dtype=np.float64)
for weight in (layer.norm.gamma, layer.norm.beta, layer.qkv.bias, layer.proj.weight, layer.proj.bias):
    weight.value[...] = rng.standard_normal(weight.value.shape)  # a new layer starts as its way straight through
x, dy = rng.standard_normal((2, 3, 4, 6)), rng.standard_normal((2, 3, 4, 6))


def by_hand(x):
    """Return x + proj(attention of norm(x)), with the layer's weights."""
    tokens = my_group_norm(x, layer.norm.gamma.value, layer.norm.beta.value, 3, 1e-5).reshape(2, 12, 6)
    q, k, v = np.split(tokens @ layer.qkv.weight.value + layer.qkv.bias.value, 3, axis=-1)
    y = multi_head(q, k, v, 2)
    return x + (y @ layer.proj.weight.value + layer.proj.bias.value).reshape(x.shape)


tape = Tape()
assert np.allclose(layer.forward(x, tape), by_hand(x))
assert np.allclose(layer.backward(dy, tape), slopes(lambda x: (dy * by_hand(x)).sum(), x), atol=1e-6)

# %% [markdown]
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
