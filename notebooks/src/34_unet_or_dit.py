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
# # 34 · UNet or DiT
#
# **You will learn** how a picture becomes a row of tokens, and what these cost; how a Transformer is told where a patch lies,
# and what time it is; why its blocks begin by doing nothing, and how they come to do something; and what can be said, and what
# not, from a race between a small UNet and a small Transformer.
#
# **Prerequisites:** notebooks 05 (gradients by hand), 07 (layer norm and attention), 08 (the UNet, clocks for the time), 09
# (training) and 22 (the Transformer, and why order needs places). **Time:** 35 minutes to read and run; 75 minutes with the
# seven exercises.
#
# **Papers:** Peebles and Xie, *Scalable diffusion models with Transformers* (2022), section 3.2 (here MOD-1, GATE-1, GRID-1);
# Dosovitskiy et al., *An image is worth 16x16 words* (2020), section 3.1, for the patches (S2D-1, D2S-1); He et al., *Masked
# autoencoders are scalable vision learners* (2021), for the places; Perez et al., *FiLM* (2017), for the modulation.

# %%
import math
import time
from collections import Counter
from functools import partial
from unittest import mock

import numpy as np

from tinydiff import functional as F
from tinydiff import plot
from tinydiff.course import show_source, slider
from tinydiff.course.exercises import notebook_34 as exercises
from tinydiff.data import load_data, to_floats
from tinydiff.diffusion import last
from tinydiff.evaluate import frechet_distance_of, wilson_share
from tinydiff.models import DiffusionModel, ModelConfig, Request
from tinydiff.networks import DiT, DiTConfig, UNet, UNetConfig
from tinydiff.networks.dit import DiTBlock
from tinydiff.nn import Gradients, Tape
from tinydiff.train import Denoise, DenoiseConfig, Run

rng = np.random.default_rng(0)
train, test = load_data("digits"), load_data("digits", "test")
pictures = to_floats(train.images)


def slope(function, array, h=1e-6):
    """Return the slopes of a number in each entry of an array: plain central differences."""
    slopes = np.zeros(array.shape)
    for i in np.ndindex(array.shape):
        moved = np.zeros(array.shape)
        moved[i] = h
        slopes[i] = (function(array + moved) - function(array - moved)) / (2 * h)
    return slopes


# %% [markdown]
# ## A picture as a row of tokens
#
# A UNet looks through windows of 3 x 3 pixels, and sees far only because it makes the picture smaller. A Transformer
# (notebook 22) sees everything at once, and knows nothing of pictures: it takes a row of vectors, the *tokens*. Can it denoise?
#
# First the picture must become such a row. One token for each pixel would do. But attention compares every token with every
# other, and 64 x 64 pixels are 4,096 tokens, so nearly 17 million pairs. So cut the picture into *patches* of p x p pixels,
# and write the numbers of each behind each other:
#
# $$y_{h w,\, (i p + j) C + c} = x_{h p + i,\, w p + j,\, c} \qquad \text{(Eq. S2D-1)}$$
#
# h and w say which patch, i and j which pixel in it, c which channel. No number is lost; the picture is only p times lower and
# narrower, and $p^2$ times deeper: *space to depth*.
#
# **Write it yourself**, with the patches of a picture in one row, as one reads.


# %%
def my_patches(x, p):
    """Return the patches of pictures (N, H, W, C) as tokens, (N, H W / p^2, p^2 C)."""
    ### BEGIN SOLUTION
    n, height, width, c = x.shape
    blocks = x.reshape(n, height // p, p, width // p, p, c)
    return blocks.swapaxes(2, 3).reshape(n, -1, p * p * c)
    ### END SOLUTION


# %%
my_patches = exercises.PATCHES.check(my_patches)
show_source(F.space_to_depth, F.resample._gathered)
x = rng.standard_normal((2, 6, 9, 4))
deep, deep_cache = F.space_to_depth(x, 3)
for n, h, w, i, j, c in np.ndindex(2, 2, 3, 3, 3, 4):
    assert deep[n, h, w, (i * 3 + j) * 4 + c] == x[n, h * 3 + i, w * 3 + j, c]
assert np.array_equal(deep.reshape(2, 6, 36), my_patches(x, 3))
assert np.array_equal(F.space_to_depth(x, 1)[0], x)
digit = pictures[:1]
tokens = my_patches(digit, 2)
plot.image_grid(digit, scale=28)

# %% [markdown]
# Here are the patches of this digit, 16 of 2 x 2 pixels, in the order in which the network reads them.

# %%
plot.image_grid(tokens.reshape(16, 2, 2, 1), columns=16, scale=22, labels=range(16))

# %% [markdown]
# Then every token goes through one linear layer, from $p^2 C$ numbers to as many as the Transformer is wide. Have you seen such
# a thing before? A weighted sum over a window of p x p pixels, with the same weights in every place: it is a *convolution*, whose
# stride is as large as its kernel, so that windows touch and do not overlap. The matrix $(p^2 C, D)$ and the kernel (p, p, C, D)
# are even the same numbers in the same order.

# %%
two = rng.standard_normal((3, 4, 6, 5))
weight, bias = rng.standard_normal((20, 7)), rng.standard_normal(7)
by_patches = my_patches(two, 2) @ weight + bias
kernel = weight.reshape(2, 2, 5, 7)
windows = [np.tensordot(two[:, h : h + 2, w : w + 2], kernel, 3) for h in (0, 2) for w in (0, 2, 4)]
assert np.allclose(by_patches, np.stack(windows, axis=1) + bias)
odd = np.zeros((3, 3, 5, 7))  # the library's kernels have odd sides: a row and a column of zeros change nothing
odd[:2, :2] = kernel
assert np.allclose(by_patches, F.conv2d(two, odd, bias, stride=2, padding=((0, 1), (0, 1)))[0].reshape(3, 6, 7))

# %% [markdown]
# At the other end the network has a token for each patch, and must give a picture. So all goes back to its place,
# *depth to space*:
#
# $$y_{h p + i,\, w p + j,\, c} = x_{h w,\, (i p + j) C + c} \qquad \text{(Eq. D2S-1)}$$
#
# **Find the fault:** one line of this is wrong. And what is worse: a network that is trained with it becomes as good as any
# other. (Why? An answer is at the end.) Only a picture shows it, or weights that were trained elsewhere. Mend the line.


# %%
def my_unpatch(tokens, p, height, width):
    """Return pictures (N, height, width, C) from tokens (N, height width / p^2, p^2 C)."""
    blocks = tokens.reshape(len(tokens), height // p, width // p, p, p, -1)
    ### BEGIN SOLUTION
    blocks = blocks.transpose(0, 1, 3, 2, 4, 5)
    ### INSTEAD
    blocks = blocks.transpose(0, 1, 4, 2, 3, 5)
    ### END SOLUTION
    return blocks.reshape(len(tokens), height, width, -1)


# %%
there_and_back = my_unpatch(my_patches(pictures[:8], 4), 4, 8, 8)
print(f"largest difference of a pixel, there and back: {abs(there_and_back - pictures[:8]).max():.2f}")
plot.image_rows({"digits": pictures[:8], "there and back": there_and_back}, scale=8)

# %%
my_unpatch = exercises.UNPATCH.check(my_unpatch)
assert np.array_equal(my_unpatch(my_patches(pictures[:8], 4), 4, 8, 8), pictures[:8])
show_source(F.depth_to_space, F.resample._spread)
wide, wide_cache = F.depth_to_space(deep, 3)
assert np.array_equal(wide, x)
assert np.array_equal(wide, my_unpatch(deep.reshape(2, 6, 36), 3, 6, 9))
assert np.array_equal(F.depth_to_space(x, 1)[0], x)

# %% [markdown]
# Their backwards need no derivation: each number of y is one number of x, so its gradient goes back to where the number came
# from. The backward of each is the other one's forward:
#
# $$d_{x,\, h p + i,\, w p + j,\, c} = d_{y,\, h w,\, (i p + j) C + c} \quad \text{(Eq. S2D-2)}, \qquad
#   d_{x,\, h w,\, (i p + j) C + c} = d_{y,\, h p + i,\, w p + j,\, c} \quad \text{(Eq. D2S-2)}$$

# %%
show_source(F.space_to_depth_backward, F.depth_to_space_backward)
d_deep, d_wide = rng.standard_normal(deep.shape), rng.standard_normal(x.shape)
(dx,), (d_in,) = F.space_to_depth_backward(d_deep, deep_cache), F.depth_to_space_backward(d_wide, wide_cache)
for n, h, w, i, j, c in np.ndindex(2, 2, 3, 3, 3, 4):
    assert dx[n, h * 3 + i, w * 3 + j, c] == d_deep[n, h, w, (i * 3 + j) * 4 + c]
    assert d_in[n, h, w, (i * 3 + j) * 4 + c] == d_wide[n, h * 3 + i, w * 3 + j, c]

# %% [markdown]
# ## What tokens cost
#
# Half the side of a patch makes four times as many tokens. What does that cost? Count multiplications and additions, as two
# operations each (FLOPs): a linear layer from a to b numbers takes $2 a b$ for each token. A block of this Transformer is built
# like this, for T tokens of C channels:
#
# - queries, keys and values: three linear layers, C to C;
# - attention: $q k^\top$ and $P v$. All heads together have C channels;
# - a linear layer after it, C to C;
# - a feed-forward network: C to 4 C, GELU, 4 C to C;
# - and a layer that reads the time and the class, *once for each picture*, C to 6 C. What for, comes later.
#
# **Derive it yourself:** the FLOPs of all blocks together, for one picture. (Norms, softmax and GELU are left out: they are no
# products of matrices, and few.)


# %%
def my_cost(tokens, channels, layers):
    """Return the FLOPs of the blocks in a forward of one picture."""
    ### BEGIN SOLUTION
    of_linear = 2 * (3 + 1 + 4 + 4) * channels**2 * tokens
    of_attention = 2 * 2 * channels * tokens**2
    return layers * (of_linear + of_attention + 2 * 6 * channels**2)
    ### END SOLUTION


# %%
my_cost = exercises.COST.check(my_cost)


def costs(network):
    """Return the FLOPs of one picture's forward, as the library counts them, for each kind of layer."""
    tape, found = Tape(), Counter()
    network.forward(*network.one_input(), tape=tape)
    for entry in tape.entries:
        found[type(entry.owner).__name__] += entry.owner.flops(entry.cache)
    return found


def new_dit(patch=2, side=8, seed=0, dtype=np.float32, **options):
    """Return a DiT of 3 blocks for digits, unless something else is asked for."""
    shape = {"channels": 40, "layers": 3, "heads": 4} | options
    return DiT(DiTConfig(side, 1, patch=patch, num_classes=10, **shape), np.random.default_rng(seed), dtype)


print(new_dit().summary())

# %% [markdown]
# The table is for one picture of 8 x 8 pixels, and patches of 2 x 2. Does it agree with your formula? Around the blocks there are
# only the embedding of the time, the *stem*, which makes tokens of patches, a last modulation, and the *head*, which makes
# patches of tokens.

# %%
C, layers = 40, 3
row = "{:<10}{:>8}{:>14}{:>16}{:>12}{:>12}".format
print(row("patch", "tokens", "parameters", "linear layers", "attention", "FLOPs"))
for p in (4, 2, 1):
    dit, T = new_dit(p), (8 // p) ** 2
    found = costs(dit)
    around = 2 * (C * C + C * C) + 2 * T * p**2 * C + 2 * C * 2 * C + 2 * T * C * p**2  # time, stem, modulation, head
    assert found["Attention"] == layers * 4 * C * T**2
    assert found["Attention"] + found["Linear"] == found.total() == my_cost(T, C, layers) + around
    print(
        row(f"{p} x {p}", T, *(f"{n:,}" for n in (dit.theta.size, found["Linear"], found["Attention"], found.total())))
    )

# %% [markdown]
# The parameters are nearly the same, for a block does not know how many tokens there are. The FLOPs are not: from patches of
# 4 x 4 to single pixels they become 17 times as many, and attention's 256 times. So *parameters say little about what a network
# costs*, and the side of a patch changes the cost with hardly a change in the weights.
#
# Attention is still the smaller part here. When does it overtake all the rest? The linear layers take $24\, C^2\, T$ and attention
# $4\, C\, T^2$: they are equal where $T = 6\, C$.
#
# **Predict, then run:** here C is 40. From which side of a picture on does attention cost more than all the rest, for patches of
# 1, 2 and 4?

# %%
sides = np.array([8, 12, 16, 24, 32, 48, 64, 96, 128])
share = {
    f"patch {p}": np.array([layers * 4 * C * (side // p) ** 4 / my_cost((side // p) ** 2, C, layers) for side in sides])
    for p in (1, 2, 4)
}
for p in (1, 2, 4):
    print(f"patch {p}: half of it from a side of {p * (6 * C) ** 0.5:.0f} pixels on")
plot.curves(sides, share, "side of the picture in pixels", "share of attention in all FLOPs", log="x")

# %% [markdown]
# The larger of two numbers wins, and C is one of them. Peebles and Xie's largest network has 28 blocks of 1,152 channels, and
# patches of 2 x 2 of a latent of 32 x 32 (notebook 32). So it has 256 tokens, and attention would overtake at 6,912.

# %%
largest = my_cost(256, 1152, 28)
print(
    f"{largest / 1e9:.1f} billion FLOPs, {largest / 2e9:.1f} billion if a multiplication and its addition count as one"
)
print(f"share of attention: {28 * 4 * 1152 * 256**2 / largest:.1%}")
assert round(largest / 2e9, 1) == 118.6

# %% [markdown]
# The paper gives 118.6 billion for it, DiT-XL/2, in the second way of counting. (What is around the blocks is too little to be
# seen.)
#
# And a UNet? A convolution of 3 x 3 takes $2 \cdot 9\, c_{in}\, c_{out}$ for each pixel of its output. Here is a UNet with as many
# weights as the DiTs above: 12 channels on the upper level, 24 on the lower one.


# %%
def new_unet(patch=1, side=8, seed=0, **options):
    """Return a UNet of two levels for digits, unless something else is asked for."""
    shape = {"channels": 12, "channel_mult": (1, 2), "blocks_per_level": 1} | options
    return UNet(UNetConfig(side, patch=patch, num_classes=10, **shape), np.random.default_rng(seed))


unet = new_unet()
upper = [(1, 12), (12, 12), (12, 12), (24, 24), (36, 12), (12, 12), (24, 12), (12, 12), (12, 1)]  # at 64 pixels
lower = [(12, 12), (12, 24), *[(24, 24)] * 5, (48, 24), (24, 24), (36, 24), (24, 24)]  # at 16
by_hand = 2 * 9 * (64 * sum(a * b for a, b in upper) + 16 * sum(a * b for a, b in lower))
assert costs(unet)["Conv2d"] == by_hand
for name, network in {"UNet": unet, **{f"DiT, patch {p}": new_dit(p) for p in (4, 2, 1)}}.items():
    print(f"{name:<14}{network.theta.size:>8,} parameters{costs(network).total():>12,} FLOPs")
print(f"convolutions are {by_hand / costs(unet).total():.0%} of the UNet's")
assert costs(new_unet(patch=2, side=16))["Conv2d"] == by_hand + 2 * 9 * 64 * 12 * (3 + 3), "only stem and head differ"

# %% [markdown]
# So "equal" can mean two things. With equal parameters, this UNet is between the DiT with patches of 2 and the DiT with single
# pixels, if one counts FLOPs. The last line shows that patches are no privilege of Transformers: a UNet takes them, too, and
# then a picture of twice the side costs hardly more.
#
# ## Where is a patch?
#
# Notebook 22 showed that attention is blind to order: if tokens come in another order, the same outputs come in that order. For
# words that was bad. For patches it is worse, for a picture whose patches were shaken in a box is no picture.
#
# So each token needs to be told where it lies: a vector for each place of the grid, which is added to the token.
#
# **Explore:** find such vectors yourself, for a grid of `height` x `width` places in rows. There are many good answers. The check
# asks for three things: all numbers lie between -1 and 1; any two places differ, by a distance of 0.5 at least (the root of
# the sum of squares); and neighbours are nearer to each other than other places are, on average. (`np.divmod` of the number of
# a place by the width gives its row and its column.)


# %%
def my_places(height, width, channels):
    """Return an array (height * width, channels); channels is height + width or more, and a multiple of 4."""
    ### BEGIN SOLUTION
    rows, columns = np.divmod(np.arange(height * width), width)
    numbers = np.arange(channels // 2)
    return np.concatenate([numbers < columns[:, None], numbers < rows[:, None]], axis=1).astype(float)
    ### END SOLUTION


# %%
my_places = exercises.PLACES.check(my_places)

# %% [markdown]
# Some networks learn a table of such vectors. This one takes the clocks of notebook 08 (TEMB-1), once for the column w and once
# for the row h:
#
# $$\left[ \sin(w \omega_i),\ \cos(w \omega_i),\ \sin(h \omega_i),\ \cos(h \omega_i) \right], \quad
#   \omega_i = 10000^{-i / n}, \quad i = 0 \ldots n - 1, \quad n = C / 4 \qquad \text{(Eq. GRID-1)}$$
#
# First come all sines of the column, then all its cosines, then the row's. Nothing is learned, and a larger grid is no problem:
# its new places just have new vectors. (The network must have learned what to do with them, of course.)
#
# **Write it yourself.**


# %%
def my_grid(height, width, channels):
    """Return the embedding of all places, row by row: (height * width, channels)."""
    ### BEGIN SOLUTION
    rows, columns = np.divmod(np.arange(height * width), width)
    omega = 10000.0 ** (-np.arange(channels // 4) / (channels // 4))
    w, h = columns[:, None] * omega, rows[:, None] * omega
    return np.concatenate([np.sin(w), np.cos(w), np.sin(h), np.cos(h)], axis=1)
    ### END SOLUTION


# %%
my_grid = exercises.GRID.check(my_grid)
show_source(F.grid_embedding)
for height, width, channels in ((2, 7, 12), (5, 3, 40)):
    embedding = F.grid_embedding(height, width, channels)
    for h, w, i in np.ndindex(height, width, channels // 4):
        omega, place = 10000 ** (-i / (channels // 4)), h * width + w
        found = embedding[place, i :: channels // 4]
        assert np.allclose(found, [math.sin(w * omega), math.cos(w * omega), math.sin(h * omega), math.cos(h * omega)])
    assert np.allclose(embedding, my_grid(height, width, channels))
assert np.allclose(F.grid_embedding(1, 4, 8, max_period=100.0)[3, :4], [*np.sin([3, 0.3]), *np.cos([3, 0.3])])
embedding = F.grid_embedding(8, 8, 40)
products = (embedding @ embedding.T).reshape(8, 8, 8, 8)
products -= products.mean()
chosen = {f"row {h}, column {w}": products[h, w] for h, w in ((0, 0), (3, 4), (7, 2))}
plot.signed_maps(chosen, title="Product of a place's embedding with those of all, less the mean")

# %% [markdown]
# As with times, near places look alike, in both directions.
#
# **Predict, then run:** take a DiT with random weights, and exchange patches of its input. Will its output be the same, with
# the same patches exchanged? Once with the embedding of the grid, and once with zeros in its place.


# %%
def random_dit(seed=1, **options):
    """Return a DiT in float64 whose weights are all random, but for its norms; a new one does nothing (see below)."""
    dit, rng = new_dit(seed=seed, dtype=np.float64, **options), np.random.default_rng(seed)
    for name, parameter in dit.named_parameters().items():
        if not name.endswith(("gamma", "beta")):
            parameter.value[...] = rng.standard_normal(parameter.value.shape) / len(parameter.value) ** 0.5
    return dit


def without_places():
    """Return a context in which all places of the grid are told the same: nothing."""
    return mock.patch.object(F, "grid_embedding", lambda height, width, channels: np.zeros((height * width, channels)))


dit, x, t, labels = (
    random_dit(),
    rng.standard_normal((3, 8, 8, 1)),
    np.array([10.0, 400.0, 999.0]),
    np.array([3, 10, 7]),
)
order = rng.permutation(16)


def exchanged(x):
    """Return pictures whose patches of 2 x 2 are in another order."""
    return my_unpatch(my_patches(x, 2)[:, order], 2, 8, 8)


apart = {"with the embedding": abs(exchanged(dit.forward(x, t, labels)) - dit.forward(exchanged(x), t, labels)).max()}
with without_places():
    apart["without it"] = abs(exchanged(dit.forward(x, t, labels)) - dit.forward(exchanged(x), t, labels)).max()
for name, difference in apart.items():
    print(f"{name:<20} the outputs differ by up to {difference:.1e}")
assert apart["with the embedding"] > 0.1
assert apart["without it"] < 1e-12

# %% [markdown]
# Without it, a DiT *cannot* tell a digit from its shaken patches; to it they are the same tokens. What such a network makes of
# digits is shown below, once it is trained. (A UNet needs no such embedding: a convolution knows left from right by the
# place of a weight in its window.)
#
# ## One vector for all tokens: modulation
#
# The network must also know the time, and the digit that is asked for. Both are one vector, emb, as in notebook 08. The UNet
# adds it to every pixel. This Transformer lets it *modulate* the tokens: from emb a linear layer computes a shift b and a scale s
# for each channel, the same for all tokens of the picture:
#
# $$y_{n i c} = x_{n i c}\, (1 + s_{n c}) + b_{n c} \qquad \text{(Eq. MOD-1)}$$
#
# n counts pictures, i tokens and c channels. Where s and b are 0, nothing happens; that is what the 1 is for. x comes from a
# layer norm (notebook 07), which has just taken mean and scale out; now emb says which ones to put in. So the whole is
# called *adaptive* layer norm, adaLN.
#
# **Derive it yourself:** the backward. Which numbers y are touched by one number of x, of b, of s?


# %%
def my_modulate_backward(dy, x, scale):
    """Return dx (N, tokens, C), d_shift (N, C) and d_scale (N, C)."""
    ### BEGIN SOLUTION
    return dy * (1 + scale[:, None]), dy.sum(axis=1), (dy * x).sum(axis=1)
    ### END SOLUTION


# %%
my_modulate_backward = exercises.MODULATE.check(my_modulate_backward)

# %% [markdown]
# One number of x is read by one y, with the slope $1 + s$. A shift is read by all tokens of its picture, and a scale, too, with the
# slope x; where several read, gradients add:
#
# $$d_x = d_y\, (1 + s), \quad d_b = \sum_i d_{y,\, i}, \quad d_s = \sum_i d_{y,\, i}\, x_i \qquad \text{(Eq. MOD-2)}$$

# %%
show_source(F.modulate, F.modulate_backward)
x, dy = rng.standard_normal((2, 2, 5, 3))
shift, scale, gate = rng.standard_normal((3, 2, 3))
y, cache = F.modulate(x, shift, scale)
for n, i, c in np.ndindex(2, 5, 3):
    assert np.isclose(y[n, i, c], x[n, i, c] * (1 + scale[n, c]) + shift[n, c])
dx, d_shift, d_scale = F.modulate_backward(dy, cache)


def loss_of_modulate(x, shift, scale):
    """Return a number whose gradient in y is dy."""
    return (dy * (x * (1 + scale[:, None]) + shift[:, None])).sum()


assert np.allclose(dx, slope(lambda a: loss_of_modulate(a, shift, scale), x))
assert np.allclose(d_shift, slope(lambda a: loss_of_modulate(x, a, scale), shift))
assert np.allclose(d_scale, slope(lambda a: loss_of_modulate(x, shift, a), scale))
for mine, library in zip(my_modulate_backward(dy, x, scale), (dx, d_shift, d_scale), strict=True):
    assert np.allclose(mine, library)

# %% [markdown]
# At the end of a branch, emb gets a third word: a *gate* g for each channel, by which what the branch has computed is
# multiplied before it is added to the way straight through. There is no 1 here: a gate of 0 is shut.
#
# $$y_{n i c} = g_{n c}\, x_{n i c} \quad \text{(Eq. GATE-1)}, \qquad
#   d_x = g\, d_y, \quad d_g = \sum_i d_{y,\, i}\, x_i \quad \text{(Eq. GATE-2)}$$
#
# It is the modulation without shift and without the 1, and so is its backward. Read it twice, for it is all there is to the
# next section: behind a shut gate no gradient arrives ($d_x = 0$); but the gate itself hears what would have come through
# ($d_g$ does not depend on g).

# %%
show_source(F.gate, F.gate_backward)
y, cache = F.gate(x, gate)
for n, i, c in np.ndindex(2, 5, 3):
    assert np.isclose(y[n, i, c], gate[n, c] * x[n, i, c])
dx, d_gate = F.gate_backward(dy, cache)
assert np.allclose(dx, slope(lambda a: (dy * a * gate[:, None]).sum(), x))
assert np.allclose(d_gate, slope(lambda a: (dy * x * a[:, None]).sum(), gate))
dx, d_gate = F.gate_backward(dy, F.gate(x, 0 * gate)[1])
assert not dx.any()
assert d_gate.all(), "a shut gate hears, and lets nothing through"

# %% [markdown]
# Now the branch. It is always the same: normalise, modulate, compute, gate, add,
#
# $$y = x + g \odot f\left( \mathrm{norm}(x) \odot (1 + s) + b \right),$$
#
# with b, s and g, in this order, from one linear layer on emb. A block has two of them: f is attention in the first, and the
# feed-forward network in the second.
#
# **Write it yourself.** The norm is over the channels of each token, with $\varepsilon = 10^{-6}$ under the root, and has no
# weights of its own.


# %%
def my_branch(x, emb, weight, bias, f):
    """Return y like x, (N, tokens, C); emb is (N, E), weight (E, 3 C), bias (3 C,), and f a function of such an x."""
    ### BEGIN SOLUTION
    shift, scale, gate = np.split((emb @ weight + bias)[:, None], 3, axis=-1)
    x_hat = (x - x.mean(axis=-1, keepdims=True)) / np.sqrt(x.var(axis=-1, keepdims=True) + 1e-6)
    return x + gate * f(x_hat * (1 + scale) + shift)
    ### END SOLUTION


# %%
my_branch = exercises.BRANCH.check(my_branch)
show_source(DiTBlock.forward, DiTBlock.backward)

# %% [markdown]
# Follow the backward from its last line to its first, beside the forward. Where x has two readers, the branch and the way straight
# through, there is a +. The gradients of all shifts, scales and gates meet in one vector, and go through the linear layer that had
# made them, to emb.
#
# (There is a third branch for a network that reads text: cross-attention, as in notebook 23.)
#
# With these pieces, the whole network is short. Here it is in NumPy, from your own lines: clocks and class become emb, patches
# become tokens, places are added, then come the blocks, and all goes back.


# %%
def softmax(scores):
    """Return weights that are positive and sum to 1 along the last axis."""
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def by_formulas(theta, config, x_t, t, labels):
    """Return what a DiT predicts, from its weights in a dict."""
    C, p, (height, width) = config.channels, config.patch, config.size

    def linear(name, x):
        return x @ theta[f"{name}.weight"] + theta.get(f"{name}.bias", 0)

    def silu(x):
        return x / (1 + np.exp(-x))

    def attend(name, h):
        q, (k, v) = linear(f"{name}.query", h), np.split(linear(f"{name}.key_value", h), 2, axis=-1)
        q, k, v = (part.reshape(*h.shape[:2], config.heads, -1).swapaxes(1, 2) for part in (q, k, v))
        heads = softmax(q @ k.swapaxes(-1, -2) / q.shape[-1] ** 0.5) @ v
        return linear(f"{name}.proj", heads.swapaxes(1, 2).reshape(h.shape))

    def feed_forward(name, h):
        h = linear(f"{name}.layers.0", h)
        return linear(f"{name}.layers.2", h * (1 + np.vectorize(math.erf)(h / 2**0.5)) / 2)

    angles = t[:, None] * 1e4 ** (-np.arange(C // 2) / (C // 2))
    emb = silu(linear("embed.mlp.layers.0", np.concatenate([np.cos(angles), np.sin(angles)], axis=1)))
    emb = silu(linear("embed.mlp.layers.2", emb) + theta["embed.label.table"][labels])
    h = linear("stem", my_patches(x_t, p)) + my_grid(height // p, width // p, C)
    for i in range(config.layers):
        weight, bias = theta[f"blocks.{i}.modulation.weight"], theta[f"blocks.{i}.modulation.bias"]
        attention, network = (
            partial(attend, f"blocks.{i}.self_attention"),
            partial(feed_forward, f"blocks.{i}.feed_forward"),
        )
        h = my_branch(h, emb, weight[:, : 3 * C], bias[: 3 * C], attention)
        h = my_branch(h, emb, weight[:, 3 * C :], bias[3 * C :], network)
    shift, scale = np.split(linear("modulation", emb)[:, None], 2, axis=-1)
    h = (h - h.mean(axis=-1, keepdims=True)) / np.sqrt(h.var(axis=-1, keepdims=True) + 1e-6)
    return my_unpatch(linear("head", h * (1 + scale) + shift), p, height, width)


# %% [markdown]
# Does the library's DiT do the same? Its weights are random here. And its backward: move all weights a little in a random
# direction, by the NumPy code, and compare the slope with what the gradients say. The same for the input.

# %%
small = random_dit(side=(4, 6), channels=8, layers=2, heads=2)
x_t, t, labels = rng.standard_normal((2, 4, 6, 1)), np.array([30.0, 700.0]), np.array([4, 10])


def weights_of(dit):
    """Return name -> array."""
    return {name: parameter.value for name, parameter in dit.named_parameters().items()}


assert np.allclose(small.forward(x_t, t, labels), by_formulas(weights_of(small), small.config, x_t, t, labels))
tape, grads, d_out = Tape(), Gradients(small.parameters()), rng.standard_normal(x_t.shape)
small.forward(x_t, t, labels, tape)
d_x_t, _, _ = small.backward(d_out, tape, grads)
wanted = slope(lambda a: (d_out * by_formulas(weights_of(small), small.config, a, t, labels)).sum(), x_t)
assert np.allclose(d_x_t, wanted, atol=1e-6)
for name, parameter in small.named_parameters().items():
    if name.endswith(("gamma", "beta")):
        continue  # your norm has none
    direction, ends, h = rng.standard_normal(parameter.value.shape), [], 1e-5
    for step in (h, -h):
        moved = weights_of(small) | {name: parameter.value + step * direction}
        ends.append((d_out * by_formulas(moved, small.config, x_t, t, labels)).sum())
    assert np.isclose((grads[name] * direction).sum(), (ends[0] - ends[1]) / (2 * h), rtol=1e-4, atol=1e-7), name
print(f"{len(grads.named())} arrays of weights: forward and gradients agree with the formulas")

# %% [markdown]
# ## Blocks that begin by doing nothing
#
# What should be the first weights? In a new DiT, the layer that makes shifts, scales and gates is all zeros, weights and bias.
# So all gates are shut, and every block is the identity: $y = x + 0$. The head is zeros, too, so that the network predicts 0. This
# start is called *adaLN-zero*.
#
# **Predict, then run:** if nearly everything is shut, which weights get a gradient in the first step? Which in the second? Will
# it learn at all?

# %%
new = new_dit(dtype=np.float64)
tokens, emb = rng.standard_normal((3, 16, 40)), rng.standard_normal((3, 40))
assert np.array_equal(new.blocks[1].forward(tokens, emb), tokens), "a new block is the identity"
x_0, labels = train.batch(np.arange(8))
x_t, t, target = x_0 + rng.standard_normal(x_0.shape), np.linspace(100, 800, 8), rng.standard_normal(x_0.shape)
assert not new.forward(x_t, t, labels).any()
PARTS = {
    "head": ("head.",),
    "last norm and modulation": ("norm.", "modulation."),
    "stem": ("stem.",),
    "attention and feed-forward": ("blocks.",),
    "time and class": ("embed.",),
}


def norms(grads):
    """Return the norm of the gradient in each part of a DiT; gates are told from shifts and scales."""
    squares = Counter()
    for name, g in grads.named().items():
        if name.startswith("blocks") and ".modulation." in name:
            in_three = g.reshape(-1, 2, 3, 40)
            squares["gates"] += (in_three[:, :, 2] ** 2).sum()
            squares["shifts and scales"] += (in_three[:, :, :2] ** 2).sum()
        else:
            squares[next(part for part, starts in PARTS.items() if name.startswith(starts))] += (g**2).sum()
    return {part: squares[part] ** 0.5 for part in [*PARTS, "gates", "shifts and scales"]}


history = []
for _ in range(4):
    tape, grads = Tape(), Gradients(new.parameters())
    _, cache = F.mse(new.forward(x_t, t, labels, tape), target)
    new.backward(F.mse_backward(1.0, cache)[0], tape, grads)
    history.append(norms(grads))
    new.theta[:] -= 0.3 * grads.flat
print(f"{'norm of the gradient in step':<30}" + "".join(f"{k:>10}" for k in (1, 2, 3, 4)))
for part in history[0]:
    print(f"{part:<30}" + "".join(f"{one[part]:>10.1e}" for one in history))
assert [part for part, norm in history[0].items() if norm] == ["head"]
opened = ["head", "last norm and modulation", "stem", "gates"]
assert [part for part, norm in history[1].items() if norm] == opened
assert all(history[2].values())

# %% [markdown]
# The way opens at the end of the network, and then backwards.
#
# - *Step 1.* The head is a linear layer with weights W = 0, so what it hands back is $d_h = d_y W^\top = 0$. But its own
#   gradient, $d_W = h^\top d_y$, does not ask for W. So the head learns, and nobody else.
# - *Step 2.* Now W is not 0, and a gradient arrives at the blocks. It goes straight through all of them to the stem. In each
#   branch it arrives at the gate, which hears it ($d_g = \sum d_y\, x$), but lets nothing through ($d_x = g\, d_y = 0$). So what
#   is behind the gate gets nothing, shift and scale among them. Time and class get nothing either: they are read only by the
#   layers that make shifts, scales and gates, and these still have weights of 0.
# - *Step 3.* The gates are open by a crack, and everything learns.
#
# Three steps of a training are nothing. What is it good for, then? At the start, the stem's tokens reach the head as they are, and
# the head's gradient reaches the stem as it is, however many blocks lie between. Blocks that are open and random would each add
# noise to the stream, and to the gradient. Each block here comes in when it has something to say.
#
# That is a thought; is it true? Train three networks of 6 blocks for 200 steps, which differ only in how they begin: as above; with
# all gates at 1, as in a Transformer without gates; and with random weights in the head and in all modulations.


# %%
def trained(network, steps=500, lr=1e-2, seed=0, warmup=50, validate_every=50, processes=None):
    """Return a trained model, its losses on unseen digits, and how long a step took, in seconds."""
    kind = "dit" if isinstance(network, DiT) else "unet"
    model = DiffusionModel(network, ModelConfig(**{kind: network.config}), micro_batch=16, processes=processes)
    settings = DenoiseConfig(steps=steps, lr=lr, seed=seed, warmup=warmup, validate_every=validate_every)
    log, clock = [], [time.perf_counter()]
    run = Run(Denoise(model, train, settings, validation=test), hooks=[log.append], processes=processes)
    run.run(progress=False, on_step=lambda run: clock.append(time.perf_counter()))
    losses = np.array([record["validation_loss"] for record in log if "validation_loss" in record])
    return run.trained(), losses, np.median(np.diff(clock))


def begun(gates, random=False):
    """Return a DiT of 6 blocks of 32 channels with another beginning."""
    dit, rng, C = new_dit(channels=32, layers=6), np.random.default_rng(7), 32
    for weight in [dit.head.weight, *(layer.modulation.weight for layer in (*dit.blocks, dit))] if random else []:
        bound = (3 / C) ** 0.5  # variance 1 / C, as other layers begin
        weight.value[...] = rng.uniform(-bound, bound, weight.value.shape)
    for block in dit.blocks:
        block.modulation.bias.value.reshape(2, 3, C)[:, 2] = gates
    return dit


beginnings = {
    "adaLN-zero": begun(gates=0),
    "gates 1": begun(gates=1),
    "all random": begun(gates=0, random=True),
}
first = {name: trained(dit, 200, lr=5e-3, warmup=20, validate_every=20)[1] for name, dit in beginnings.items()}
for name, losses in first.items():
    print(
        f"{name:<22} loss on unseen digits after 40, 100, 200 steps: {losses[1]:.3f}, {losses[4]:.3f}, {losses[9]:.3f}"
    )
assert first["adaLN-zero"][-1] < first["gates 1"][-1] < first["all random"][-1]
plot.curves(np.arange(20, 201, 20), first, "step", "loss on unseen digits")

# %% [markdown]
# Here adaLN-zero is ahead all the way, although its first two steps taught it nearly nothing: 0.404 after 200 steps, against 0.431
# with gates of 1 and 0.485 with all random. (Tried once more with another seed, they ended at 0.405, 0.433 and 0.493.) This is
# one small network, one learning rate and 200 steps. It does not say whether the others would catch up. Peebles and Xie compared
# adaLN with and without such gates in a network of 28 blocks, and found adaLN-zero much better there.
#
# ## A race
#
# Now train: the UNet and the DiT with patches of 4, 2 and 1, all of about 95,000 weights, for 500 steps of 32 digits each. And
# once more the DiT with patches of 2, without the embedding of the grid. All have the same batches, the same noise, and the
# same learning rate. (The rate, 0.01, was the best of 0.002, 0.005 and 0.01, both for the UNet and for patches of 2: after 600
# steps their losses were 0.291, 0.277, 0.268 and 0.337, 0.317, 0.306. Larger ones were not tried.)
#
# **Predict, then run:** after as many steps, who is ahead? After as many seconds? And which patch is best?

# %%
networks = {"UNet": new_unet()} | {f"DiT, patch {p}": new_dit(p) for p in (4, 2, 1)}
races = {name: trained(network) for name, network in networks.items()}
with without_places():  # in threads, for other processes would not hear of it
    races["patch 2, no places"] = trained(new_dit(2), processes=False)
steps = np.arange(50, 501, 50)
plot.curves(steps, {name: losses for name, (_, losses, _) in races.items()}, "step", "loss on unseen digits", log="y")

# %% [markdown]
# But a step of one is not a step of another. For patches of 2 it has less than half of the UNet's FLOPs. So give this DiT as
# many more steps as make its FLOPs equal to the UNet's, in a training of its own, since the learning rate must come down at the
# end of it and not before. Then all losses over the time that they took, on your machine (steps times the median of a step).

# %%
more = 10 * round(50 * costs(networks["UNet"]).total() / costs(networks["DiT, patch 2"]).total())
races["patch 2, longer"] = trained(new_dit(2), steps=more, validate_every=more // 10)
timed = {
    name: ((more if "longer" in name else 500) * second * np.arange(1, 11) / 10, losses)
    for name, (_, losses, second) in races.items()
    if "places" not in name
}
clock = np.geomspace(min(t[0] for t, _ in timed.values()), max(t[-1] for t, _ in timed.values()), 200)
over_time = {name: np.interp(clock, t, losses, left=np.nan, right=np.nan) for name, (t, losses) in timed.items()}
print(f"{more} steps of patch 2 have the FLOPs of 500 of the UNet")
plot.curves(clock, over_time, "seconds of training", "loss on unseen digits", log="xy")

# %% [markdown]
# And what do they draw? 20 of each digit, from the same noise.

# %%
asked = np.arange(200) % 10


def drawn_by(model):
    """Return 200 digits."""
    return last(model.chain(Request(seed=0, labels=asked.tolist()), steps=20))


drawn = {name: drawn_by(model) for name, (model, _, _) in races.items() if "places" not in name}
with without_places():
    drawn["patch 2, no places"] = drawn_by(races["patch 2, no places"][0])
real = to_floats(test.images)[[np.flatnonzero(test.labels == digit)[0] for digit in range(10)]]
rows = {"real, unseen": real} | {name: images[:10] for name, images in drawn.items()}
plot.image_rows(rows, scale=7, column_labels=range(10))

# %%
slider(
    lambda digit: plot.image_rows({name: images[asked == digit][:10] for name, images in drawn.items()}, scale=6),
    range(10),
    "digit",
)

# %% [markdown]
# Two figures for them. *As asked:* find the training picture that is nearest to a drawn one, in pixels; has it the digit that was
# asked for? And the *Fréchet distance* of notebook 09, in pixels, between the 200 and all training pictures. To know what these
# are worth, take them of 200 real digits that nobody trained on, too. (Without places it was trained in threads, so that the time
# of its steps does not compare.)


# %%
def nearest_label(images):
    """Return the label of the training picture that is nearest to each image."""
    flat, known = images.reshape(-1, 64), pictures.reshape(-1, 64)
    return train.labels[((flat[:, None] - known) ** 2).sum(axis=2).argmin(axis=1)]


def distance(images):
    """Return the Fréchet distance between images and the training pictures, in pixels."""
    return frechet_distance_of(images.reshape(-1, 64).astype(float), pictures.reshape(-1, 64).astype(float))


row = "{:<20}{:>11}{:>12}{:>9}{:>7}{:>10}{:>16}{:>9}".format
print(row("", "parameters", "FLOPs", "ms/step", "loss", "as asked", "", "Fréchet"))
for name, images in (drawn | {"real, unseen": to_floats(test.images[:200])}).items():
    is_real = name.startswith("real")
    share = wilson_share((nearest_label(images) == (test.labels[:200] if is_real else asked)).sum(), 200)
    about = ["", "", "", ""]
    if not is_real:
        model, losses, second = races[name]
        about = [f"{model.size:,}", f"{costs(model.network).total():,}", f"{1000 * second:.0f}", f"{losses[-1]:.3f}"]
    between = f"({share.low:.0%} to {share.high:.0%})"
    print(row(name, *about, f"{share.value:.0%}", between, f"{distance(images):.2f}"))
ends = {name: losses[-1] for name, (_, losses, _) in races.items()}
assert ends["UNet"] < 0.97 * min(end for name, end in ends.items() if name.startswith("DiT"))
assert ends["patch 2, longer"] < ends["DiT, patch 2"]
assert ends["patch 2, no places"] > 1.4 * ends["DiT, patch 2"]

# %% [markdown]
# Read it slowly; it is easy to read too much. (The figures below are those of one run of this notebook. In a second one, with
# another seed, the losses were 0.271 for the UNet and 0.330, 0.316 and 0.302 for patches of 4, 2 and 1.)
#
# - *After as many steps* the UNet is ahead: 0.277, and the DiTs 0.328, 0.318 and 0.313. Smaller patches have the lower loss; the
#   last of them has 17 times the FLOPs of the first, for a loss that is a twentieth lower.
# - *After as many FLOPs* as the UNet, the DiT with patches of 2 has 0.291: two thirds of the gap are gone, and a third is left.
# - *By the clock* it depends on the clock; compare with yours. Where this was written, a core needed 19 ms for 16 digits through
#   the UNet, there and back, and 6, 11 and 42 ms for patches of 4, 2 and 1. FLOPs say most of that, but not all: patches of 4 have an
#   eighth of the UNet's FLOPs, and took a third of its time, for small matrices are slow. (In the picture, a curve lies too high
#   before its end: its learning rate was not yet down. Compare the ends.)
# - *What is drawn* hardly tells them apart. Nearly all the intervals of the shares overlap, with each other and with that of real
#   digits. The Fréchet distance puts the UNet first, and next to it the DiT with the *highest* loss. And that some drawn digits are
#   nearer to the training pictures than real ones are is no praise: they were learned from just these.
# - *Without places*, a DiT learns which patches there are and not where: it draws shaken digits, and the share is what guessing gives.
#
# What may one conclude? That with 1,497 pictures of 8 x 8 pixels, 95,000 weights and a minute, a UNet is a good first choice. That is
# plausible, too: a convolution takes for granted that neighbours belong together, and that what holds in one place holds in the
# others. A DiT takes nothing of the kind for granted, not even which patches are neighbours, and must learn it from the pictures.
#
# And what not? That UNets are better. Peebles and Xie trained networks of up to 675 million weights on more than a million pictures.
# There, more FLOPs gave better pictures, whether they came from smaller patches, more channels or more blocks, and the largest
# network was better than the UNets that they compared it with. Nothing that was measured here speaks for or against that. Nor was
# each network given its own best learning rate, width and depth. A race of a minute says who wins a race of a minute.
#
# ## Summary
#
# 1. Patches make a picture a row of tokens: space to depth, then a linear layer, which together are a convolution with stride. Half
#    the side of a patch is four times the tokens: four times the linear layers, and sixteen times the attention.
# 2. A Transformer cannot tell exchanged patches unless each is told its place; sines and cosines of column and row do that.
# 3. The time and the class scale and shift all tokens of a picture after the norm, and gate each branch. All tokens read these
#    vectors, so their gradients add.
# 4. With adaLN-zero, a new network is the identity and predicts 0. First the head learns, then the gates, then everything.
# 5. With equal parameters, costs may differ by a factor of 17. On few small pictures and in a minute the UNet had the lowest loss; what
#    holds for many large pictures and long trainings, such a race does not say.
#
# <details><summary>Why does a network that is trained with the faulty `my_unpatch` become as good as any other?</summary>
#
# The head is a linear layer, and each of its outputs has its own weights, which begin at 0 like all the others. So it does not
# matter which output is which pixel: with the fault, the weights of two outputs change places, in every step of the training,
# and the picture is the same. But weights that were trained with one order draw every patch mirrored with the other. It is
# the same with the patches that go in.
#
# </details>
#
# <details><summary>Why is it 1 + s for the scale, and g alone for the gate?</summary>
#
# Both begin at 0, and each should then be what does no harm: the branch sees what the norm gave, and the block is the identity.
# And without the 1 the branch would never wake. It would see zeros, and since its biases begin at 0, too, it would compute zeros:
# then the gate hears nothing ($d_g = \sum d_y \cdot 0$), and the scale, behind a shut gate, hears nothing either.
#
# </details>
#
# <details><summary>Can a DiT draw pictures of another size than those that it was trained on?</summary>
#
# It runs: there are as many tokens as there are patches, and the embedding of the grid has a vector for each place. But it has
# never seen the vectors of the new places, nor attended to so many tokens, and has learned for its own grid alone where strokes
# begin and end. A UNet has no vectors of places that it could not know; but it, too, has seen strokes of one size only.
#
# </details>
#
# **Next:** a Transformer that draws no pictures, but what pictures say: [35 · unCLIP](35_unclip.ipynb).
