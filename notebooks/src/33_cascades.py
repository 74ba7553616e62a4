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
# # 33 · Cascades
#
# **You will learn** how a large picture is drawn from a small one; how pictures are enlarged by two matrix products, and
# the way back; what averages lose, and why it has to be drawn; why a model that enlarges should be shown damaged small
# pictures in its training; and how to find out whether that helped.
#
# **Prerequisites:** notebooks 03 (what is behind a noisy number), 08 (the UNet), 10 (DDIM), 21 (guidance), 24 (text to
# picture) and 32 (latents). **Time:** 35 minutes to read and run; 75 minutes with the seven exercises.
#
# **Papers:** Ho et al., *Cascaded diffusion models for high fidelity image generation* (2021), section 4 (here NCA-1);
# Saharia et al., *Image super-resolution via iterative refinement* (2021); Saharia et al., *Photorealistic text-to-image
# diffusion models with deep language understanding* (2022), which is Imagen, section 2; Ramesh et al., *Hierarchical
# text-conditional image generation with CLIP latents* (2022), which is DALL-E 2, section 2.1.

# %%
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np

from tinydiff import functional as F
from tinydiff import plot
from tinydiff.base import Noise
from tinydiff.course import show_source, slider
from tinydiff.course.exercises import notebook_33 as exercises
from tinydiff.data import load_avatars, to_floats, to_images
from tinydiff.data.avatars import Portraits, Verdict, agreement, compose, judge, render
from tinydiff.data.avatars.rendering import parts_of
from tinydiff.data.avatars.slots import LAYERS
from tinydiff.diffusion import ddim, last, spaced_steps
from tinydiff.evaluate import wilson_share
from tinydiff.evaluate.obedience import captioned_portraits
from tinydiff.models import Cascade, Enlarger, Request, load
from tinydiff.models.request import other_seed
from tinydiff.networks import UNet
from tinydiff.nn import Tape
from tinydiff.train import Denoise, DenoiseConfig

rng = np.random.default_rng(0)
cascade = load("avatars-cascade", kind=Cascade)
base, (stage,) = cascade.parts[0], cascade.stages
clean_stage = load("avatars-8-to-16-clean", kind=Enlarger)  # trained as the stage was, but for one thing: see below

# %% [markdown]
# Here are three texts. One model drew the pictures of 8 x 8 pixels in the upper row, and a second one saw these, and the
# texts, and drew those of 16 x 16 pixels below.

# %%
PROMPTS = [
    "a person with long red hair, round glasses and a green shirt",
    "a person with a blue cap and a yellow turtleneck",
    "a person with short blond hair, a beard and sunglasses",
]


def shown(small):
    """Return small pictures with every pixel repeated, to be shown beside large ones."""
    return small.repeat(2, axis=1).repeat(2, axis=2)


request = Request(prompt=PROMPTS, seed=1, guidance=3.0)
states = [x for t, x, _ in cascade.chain(request, "dpmpp_2m", 10) if t == 0]  # where a chain has come to its end
print(*(x.shape for x in states))
assert [x.shape for x in states] == [(3, 8, 8, 3), (3, 16, 16, 3)]
plot.image_rows({"drawn first": shown(states[0]), "and of it": np.clip(states[1], -1, 1)}, scale=8)

# %% [markdown]
# ## Three ways to a large picture
#
# There are three ways to a large picture.
#
# - *Draw its pixels.* It is the simplest way, and you have seen in notebook 32 what it costs.
# - *Draw something smaller that a decoder makes a picture of:* latents.
# - *Draw a small picture, and enlarge it.* The small one holds what the picture shows, the large one adds the detail. That is
#   a *cascade*, and each of its *stages* is a diffusion model of its own.
#
# What does a step cost? Count multiplications and additions (FLOPs) of the base's UNet, and of the same UNet for larger pictures.
# A convolution of 3 x 3 takes $2 \cdot 9\, c_{in}\, c_{out}$ for each pixel, so twice the side is four times the work. The
# attention compares every position with every other, so that is 16 times.


# %%
def costs(config):
    """Return the FLOPs of one picture's forward through a UNet of this shape, without words, for each kind of layer."""
    unet, tape, found = UNet(replace(config, context_channels=None)), Tape(), Counter()
    unet.forward(*unet.one_input(), tape=tape)
    for entry in tape.entries:
        found[type(entry.owner).__name__] += entry.owner.flops(entry.cache)
    return found


row = "{:<8}{:>16}{:>14}{:>16}".format
print(row("side", "convolutions", "attention", "FLOPs"))
found = {side: costs(replace(base.config.unet, image_size=side)) for side in (8, 16, 32)}
for side, of_side in found.items():
    print(row(side, *(f"{n / 1e6:,.1f} M" for n in (of_side["Conv2d"], of_side["SelfAttention"], of_side.total()))))
for side in (8, 16):
    assert found[2 * side]["Conv2d"] == 4 * found[side]["Conv2d"]
    assert found[2 * side]["SelfAttention"] == 16 * found[side]["SelfAttention"]
c = base.config.unet.channels
upper = [(3, c), (c, c), (c, c), (2 * c, 2 * c), (3 * c, c), (c, c), (2 * c, c), (c, c), (c, 3)]  # at 8 x 8 positions
lower = [(c, c), (c, 2 * c), *[(2 * c, 2 * c)] * 5, (4 * c, 2 * c), (2 * c, 2 * c), (3 * c, 2 * c), (2 * c, 2 * c)]
assert found[8]["Conv2d"] == 2 * 9 * (64 * sum(a * b for a, b in upper) + 16 * sum(a * b for a, b in lower))

# %% [markdown]
# So the small picture is cheap, and nearly everything is decided there: who is seen, with which hair and which hat. The base
# can be a large network, it can be given many steps, and guidance, which asks it twice. The stage has an easier task: it must
# draw only what fits a small picture that is there already. It can be narrower, and does with fewer steps.
#
# Here, at 16 pixels, a cascade saves nothing. It is a model of one, small enough for this course.
#
# ## Small, and large again
#
# A small picture is made by averages: of every block of f x f pixels, their mean (POOL-1, notebook 08).

# %%
show_source(F.avg_pool, F.resample._sum_blocks)
x = rng.standard_normal((2, 6, 9, 4))
for factor in (1, 3):
    small, _ = F.avg_pool(x, factor)
    for n, h, w, c in np.ndindex(small.shape):
        block = x[n, h * factor : (h + 1) * factor, w * factor : (w + 1) * factor, c]
        assert np.isclose(small[n, h, w, c], block.sum() / factor**2)

# %% [markdown]
# The network that enlarges is to see the small picture beside the noisy large one, so the small one must be made as large. One
# could repeat each pixel f times, as the UNet does inside. But that draws edges between pixels that were never in the picture.
# *Bilinear* enlarging draws lines between the old pixels instead: a new pixel lies between the centres of two old ones, and the
# nearer one counts more.
#
# Take one row, of 3 old pixels, to be made 6:
#
# ```
# old   |     0     |     1     |     2     |
# new   |  0  |  1  |  2  |  3  |  4  |  5  |
# ```
#
# A colour belongs to the *centre* of its pixel. Where is the centre of new pixel 1, if one counts old pixels, and old centre i is
# at the place i? Which old pixels does it lie between, and what does each count? And new pixel 0, whose centre lies beyond the
# outermost old one: there the picture goes on as it is at that centre.
#
# **Derive it yourself:** the weights, as a matrix A with a row for each new pixel and a column for each old one. One row of
# the picture is then enlarged by $y = A x$.


# %%
def my_weights(side, factor):
    """Return the matrix (side * factor, side)."""
    ### BEGIN SOLUTION
    places = (np.arange(side * factor) + 0.5) / factor - 0.5
    places = np.clip(places, 0, side - 1)
    return np.maximum(1 - abs(places[:, None] - np.arange(side)), 0)
    ### END SOLUTION


# %%
my_weights = exercises.WEIGHTS.check(my_weights)
print(my_weights(3, 2))

# %% [markdown]
# So the first is 0.75 of pixel 0 and 0.25 of pixel 1 where it lies between them, and at the edge it is pixel 0 alone. Old
# pixels are 1 wide, new ones 1 / f, so the centre of new pixel h is at (h + 1/2) / f from the left edge, and old centres begin
# at 1/2:
#
# $$y_{h w} = \sum_{i j} A_{h i}\, A_{w j}\, x_{i j}, \qquad A_{h i} = \max\left(0,\ 1 - \lvert p_h - i \rvert\right), \qquad
#   p_h = \frac{h + 1/2}{f} - \frac12 \quad \text{(Eq. BIL-1)}$$
#
# with $p_h$ clipped to the picture, 0 to side - 1. The same is done along both sides, one after the other: for one channel that
# is $Y = A\, X A^\top$, with another A along the width if the picture is no square.

# %%
show_source(F.upsample_bilinear, F.resample._between, F.resample._along_both)
x = rng.standard_normal((2, 3, 5, 4))
for factor in (2, 3):
    y, cache = F.upsample_bilinear(x, factor)
    for n, h, w, c in np.ndindex(y.shape):
        between = 0
        for i, j in np.ndindex(3, 5):
            p_h, p_w = (h + 0.5) / factor - 0.5, (w + 0.5) / factor - 0.5
            p_h, p_w = min(max(p_h, 0), 2), min(max(p_w, 0), 4)
            between += max(0, 1 - abs(p_h - i)) * max(0, 1 - abs(p_w - j)) * x[n, i, j, c]
        assert np.isclose(y[n, h, w, c], between)
    A, B = my_weights(3, factor), my_weights(5, factor)
    assert np.allclose(y[1, :, :, 2], A @ x[1, :, :, 2] @ B.T)
    assert np.allclose(cache.rows, A)
    assert np.allclose(cache.columns, B)
    assert np.allclose(y.mean(axis=(1, 2)), x.mean(axis=(1, 2))), "each old pixel counts as much as any other"
ramp = np.arange(6.0)[None, None, :, None]
print("a ramp:", F.upsample_bilinear(ramp, 2)[0][0, 0, :, 0])
plot.signed_maps({"3 to 6": my_weights(3, 2), "5 to 20": my_weights(5, 4)}, title="A, a row for each new pixel")

# %% [markdown]
# Inside the picture a ramp stays a ramp, of half the steps. And why half a pixel? Without it, new pixels would look a little
# too far to the right and too far down, so that the picture moves to the left and up, at every stage once more. A mirror shows
# it: a small portrait that is mirrored and then enlarged should be what one gets by enlarging first, and mirroring then.

# %%
portrait = to_floats(load_avatars("test", 8).images)[3:4]
little = F.avg_pool(portrait, 2)[0]
places = np.clip(np.arange(16) / 2, 0, 7)  # counted from edges
edges = np.maximum(0, 1 - abs(places[:, None] - np.arange(8)))
kinds = {
    "repeated": shown,
    "from centres": lambda small: F.upsample_bilinear(small, 2)[0],
    "from edges": lambda small: np.einsum("hi,wj,nijc->nhwc", edges, edges, small),
}
ways = {name: enlarged(little) for name, enlarged in kinds.items()}
uneven = {name: abs(enlarged(little[:, :, ::-1]) - ways[name][:, :, ::-1]).mean() for name, enlarged in kinds.items()}
for name, way in ways.items():
    print(f"{name:<14} two orders differ by {uneven[name]:.3f}; off the portrait by {abs(way - portrait).mean():.3f}")
assert uneven["from centres"] < 1e-6
assert uneven["from edges"] > 0.02
plot.image_grid(np.concatenate([portrait, *ways.values()]), columns=4, scale=8, labels=["large", *ways])

# %% [markdown]
# (In the second column, repeating is ahead: these portraits are pixel art, and their parts have hard edges. What
# counts for a network is that it sees the small picture in the right place.)
#
# Now backwards. One new pixel reads four old ones. An old pixel is read by many new ones, and must collect what all of them
# want, $d_{x} = \partial L / \partial x$ from $d_y$.
#
# **Derive it yourself:** `dy` is (N, H, W, C); `rows` is the A of the height, and `columns` that of the width.


# %%
def my_collect(dy, rows, columns):
    """Return dx (N, h, w, C)."""
    ### BEGIN SOLUTION
    return np.einsum("hi,wj,nhwc->nijc", rows, columns, dy)
    ### END SOLUTION


# %% [markdown]
# $$d_{x,\, i j} = \sum_{h w} A_{h i}\, A_{w j}\, d_{y,\, h w} \qquad \text{(Eq. BIL-2)}$$
#
# The same numbers, with the sums over the other indices: the backward of $A$ is $A^\top$. For whatever is linear there is a
# check that needs no finite differences. If B is the backward of A, then $\langle A x, y \rangle = \langle x, B y \rangle$ for
# any x and y, and for no other B is that so.

# %%
my_collect = exercises.COLLECT.check(my_collect)
show_source(F.upsample_bilinear_backward)
x = rng.standard_normal((2, 3, 5, 4))
y, cache = F.upsample_bilinear(x, 3)
dy = rng.standard_normal(y.shape)
(dx,) = F.upsample_bilinear_backward(dy, cache)
assert np.isclose((y * dy).sum(), (x * dx).sum()), "the adjoint test"
assert np.allclose(dx, my_collect(dy, my_weights(3, 3), my_weights(5, 3)))
one = np.zeros(y.shape)
one[1, 4, 2, 3] = 1  # one new pixel asks for more, and tells the old ones that it read
(asked,) = F.upsample_bilinear_backward(one, cache)
expected = np.zeros(x.shape)
expected[1, :, :, 3] = np.outer(my_weights(3, 3)[4], my_weights(5, 3)[2])
assert np.allclose(asked, expected)
print(f"<A x, y> = {(y * dy).sum():.6f}, <x, A^T y> = {(x * dx).sum():.6f}")

# %% [markdown]
# ## What averages lose
#
# Four pixels became one number, so three quarters of all numbers are gone. Many large pictures have the same small one.
#
# **Explore:** find some. Your function gets large pictures, and returns others that have *exactly the same* averages of blocks.
# They should stay between -1 and 1, differ from the given ones by 0.2 on average, and vary inside their blocks as much. There
# are many right answers.


# %%
def my_other(large, factor):
    """Return other pictures (N, H, W, C) whose blocks of factor x factor pixels have the same averages."""
    ### BEGIN SOLUTION
    n, h, w, c = large.shape
    blocks = large.reshape(n, h // factor, factor, w // factor, factor, c)
    return blocks[:, :, ::-1, :, ::-1].reshape(large.shape)
    ### END SOLUTION


# %%
my_other = exercises.OTHER.check(my_other)
eight = to_floats(load_avatars("test", 8).images)
others = my_other(eight, 2)
assert np.allclose(F.avg_pool(others, 2)[0], F.avg_pool(eight, 2)[0], atol=1e-6)
plot.image_rows({"large": eight, "other": others, "small, both": shown(F.avg_pool(eight, 2)[0])}, scale=4)

# %% [markdown]
# What you found has the right averages, and is no portrait. Are there *portraits* with the same small picture? Take one person,
# and give her all eyes (12, in 6 colours) and all mouths (23, in 4 colours) that there are: 6,624 faces. How many small
# pictures have they?


# %%
def faces_of(portraits):
    """Return all portraits that differ from one in eyes and mouth alone."""
    slots = [LAYERS.index(layer) for layer in ("eyes", "mouth")]
    numbers = [range(1, len(parts_of(layer).part_words)) for layer in ("eyes", "mouth")]
    colours = [range(len(parts_of(layer).colour_words)) for layer in ("eyes", "mouth")]
    all_of_them = np.stack(np.meshgrid(*numbers, *colours, indexing="ij"), axis=-1).reshape(-1, 4)
    parts, tones = (np.repeat(array, len(all_of_them), axis=0) for array in portraits)
    parts[:, slots], tones[:, slots] = all_of_them[:, :2], all_of_them[:, 2:]
    return Portraits(parts, tones)


faces = render(faces_of(compose(1, seed=5))) / 127.5 - 1
small_faces = F.avg_pool(faces, 2)[0]
different = [len({picture.round(6).tobytes() for picture in pictures}) for pictures in (faces, small_faces)]
print(f"{different[0]:,} faces that differ, {different[1]:,} small pictures that differ")
assert different[1] < different[0] == 6624

# %% [markdown]
# Nearly every face has a small picture of its own. Small pictures are averages of bytes, and their last digits are a
# *fingerprint* of the face. If one could trust every digit, one could look the large picture up. Keep that in mind; it will be
# the trouble of this notebook.
#
# But small pictures that another model has drawn are never exact. How much is left of the fingerprint, if the small picture is
# only known up to noise of the forward process? Notebook 02 said what is then behind it: with all 6,624 faces equally likely
# before,
#
# $$p(x_k \mid z_s) \propto \exp\left(-\frac{\lVert z_s - \sqrt{\bar\alpha_s}\, z_k \rVert^2}{2 (1 - \bar\alpha_s)}\right)$$
#
# where $z_k$ is the small picture of face k, and $z_s$ the noisy one that we were given.
#
# **Predict, then run:** how many faces are left, at s = 10, 100, 300 of 1,000 steps? (Counted as in notebook 24: the
# exponential of the entropy.) And what does their *mean* look like?

# %%
true, eps, dice = 1234, Noise(2).normal(small_faces[0].shape, "damage"), np.random.default_rng(2)
behind, chosen, squares = {}, {}, (faces**2).mean(axis=(1, 2, 3))
print(f"{'s':>5}{'deviation of the noise':>26}{'faces left':>14}{'error of the mean':>21}{'of one drawn':>16}")
for s in (10, 50, 100, 200, 300):
    level = stage.diffusion.alpha_bar[s]
    z_s = level**0.5 * small_faces[true] + (1 - level) ** 0.5 * eps
    log_p = -((z_s - level**0.5 * small_faces) ** 2).sum(axis=(1, 2, 3)) / (2 * (1 - level))
    p = np.exp(log_p - log_p.max())
    p /= p.sum()
    left = np.exp(-(p[p > 0] * np.log(p[p > 0])).sum())
    mean = np.tensordot(p, faces, 1)
    error = p @ squares - (mean**2).mean()  # of the mean, if the truth is any of them: the variance, in each number
    one, truth = faces[dice.choice(len(p), (2, 500), p=p)]
    of_one = ((one - truth) ** 2).mean()  # of one that is drawn, likewise
    behind[f"{s}: mean"], chosen[f"{s}: drawn"] = mean, faces[dice.choice(len(p), p=p)]
    print(f"{s:>5}{(1 - level) ** 0.5:>26.3f}{left:>14,.1f}{error:>21.4f}{of_one:>16.4f}")
    assert s < 100 or 1.6 * error < of_one < 2.4 * error
rows = {"the mean of all": np.stack([*behind.values()]), "one of them, drawn": np.stack([*chosen.values()])}
plot.image_rows(
    {"the face": faces[[true] * 5], **rows}, scale=9, column_labels=[f"s = {s}" for s in (10, 50, 100, 200, 300)]
)

# %% [markdown]
# With noise of a tenth of the steps there are dozens of faces. In their mean the mouth is a smear, and with more noise the eyes
# are, too: it is *blurred*, although each of the faces is sharp. A network that is trained to return the large picture, with
# squared errors, learns just that mean, for nothing has a smaller squared error (notebook 02). Look at the last two columns:
# one that is *drawn* from the faces that are left has an error that is twice as large. It is a worse guess, and a better
# picture.
#
# So enlarging by a model is not "finding the details". They are gone. It is *drawing* some that fit, from
# p(large | small), and for that we have diffusion models.
#
# ## A model that sees the small picture
#
# How does the UNet see it? The small picture is enlarged and put beside $x_t$ as further channels: 3 + 3 here. All else
# is as it was. In training, the small picture is made from the large one, so that no new data are needed.

# %%
for name, config in (("base", base.config.unet), ("stage", stage.config.unet)):
    found = costs(config)
    print(
        f"{name:<7}{config.size}, {config.channels} channels times {config.channel_mult}: {found.total() / 1e6:.0f} M FLOPs"
    )
unet = stage.network.unet
print("the stage's first kernel:", unet.stem.weight.value.shape)
assert unet.stem.weight.value.shape[2] == stage.config.unet.in_channels + stage.config.unet.image_channels == 6
assert stage.factor == 2
assert cascade.factor == 2
assert np.allclose(stage.shrink(eight), F.avg_pool(eight, 2)[0])

# %% [markdown]
# **Find the fault:** this makes one example for the training of such a stage: the noisy large picture, and the small one that
# it sees (not yet enlarged). The small one is noised, too, by less: why, comes next. Trained with it, the stage draws fine
# portraits, but of anybody; what the small picture shows is of no use to it. Mend one line. `t` and `s` are steps for each
# picture, `alpha_bar` begins with that of step 0.


# %%
def my_example(x_0, t, s, alpha_bar, eps, eps_small):
    """Return x_t (N, H, W, C), and the small picture (N, H / 2, W / 2, C), noised up to s."""
    a_t, a_s = (alpha_bar[step].reshape(-1, 1, 1, 1) for step in (t, s))
    x_t = a_t**0.5 * x_0 + (1 - a_t) ** 0.5 * eps
    n, height, width, c = x_0.shape
    ### BEGIN SOLUTION
    blocks = x_0.reshape(n, height // 2, 2, width // 2, 2, c)
    ### INSTEAD
    blocks = x_t.reshape(n, height // 2, 2, width // 2, 2, c)
    ### END SOLUTION
    small = blocks.mean(axis=(2, 4))
    return x_t, a_s**0.5 * small + (1 - a_s) ** 0.5 * eps_small


# %%
t, s = np.array([900, 500, 100]), np.array([50, 50, 50])
noises = rng.standard_normal((3, 16, 16, 3)), rng.standard_normal((3, 8, 8, 3))
x_t, seen = my_example(eight[:3], t, s, stage.diffusion.alpha_bar, *noises)
plot.image_rows({"x_t": np.clip(x_t, -1, 1), "beside it": np.clip(shown(seen), -1, 1), "x_0": eight[:3]}, scale=7)

# %%
my_example = exercises.EXAMPLE.check(my_example)
x_t, seen = my_example(eight[:3], t, s, stage.diffusion.alpha_bar, *noises)
plot.image_rows({"x_t": np.clip(x_t, -1, 1), "beside it": np.clip(shown(seen), -1, 1), "x_0": eight[:3]}, scale=7)

# %% [markdown]
# ## The gap, and noise against it
#
# There is a gap between training and drawing. In training, small pictures are averages of real portraits, with their
# fingerprints. In a cascade, they are what the base has drawn: a little off everywhere, and sometimes wrong.
# A stage that has learned to read fingerprints will read them there, too, and find something.
#
# How bad is that? The faces can tell, without any network. Damage 100 of their small pictures by noise of s = 100, and look
# each of them up, in the *belief* that the noise is that of another step. What does one believe then, and how well? To each
# face a chance is given; what the true one gets is measured in nats, $-\log p(\text{true})$, the surprise on hearing the truth
# (notebook 04).
#
# **Predict, then run:** which belief costs the least? And what happens to one who believes in nearly clean pictures?

# %%
alpha_bar, dice = stage.diffusion.alpha_bar, np.random.default_rng(3)
tried, known = dice.choice(len(faces), 100), small_faces.reshape(len(faces), -1)


def deviation(s):
    """Return the deviation of the noise of step s in a picture that is made as bright as it was."""
    return ((1 - alpha_bar[s]) / alpha_bar[s]) ** 0.5


damaged = known[tried] + deviation(100) * dice.standard_normal((100, known.shape[1]))
squares = (damaged**2).sum(axis=1)[:, None] - 2 * damaged @ known.T + (known**2).sum(axis=1)
surprise = {}
print(f"{'believed':>9}{'faces left':>13}{'nats for the truth':>21}")
for s in (10, 30, 60, 100, 170, 300, 500):
    log_p = -squares / (2 * deviation(s) ** 2)
    log_p -= log_p.max(axis=1, keepdims=True)
    log_p -= np.log(np.exp(log_p).sum(axis=1, keepdims=True))
    left = np.exp(-(np.exp(log_p) * log_p).sum(axis=1)).mean()
    surprise[s] = -log_p[np.arange(100), tried].mean()
    print(f"{s:>9}{left:>13,.1f}{surprise[s]:>21.1f}")
assert min(surprise, key=surprise.get) == 100
assert surprise[10] > 10 * surprise[100]
assert surprise[500] < np.log(6624) + 1e-9

# %% [markdown]
# Who believes in clean pictures is left with about two faces, and is sure of them, and they are mostly wrong: the noise has
# changed the fingerprint into that of somebody else. Who believes in too much noise has too many faces left, but not the wrong
# ones; at worst one knows nothing, which costs $\log 6{,}624 = 8.8$ nats. The truth costs the least (and must, on average: that
# is what the cross-entropy of notebook 04 says). *To trust too much costs far more than to trust too little.*
#
# Ho et al. found a remedy for the stage's belief that is simple: damage the small pictures in training, each by noise of
# another strength, and tell the network how strong:
#
# $$c = U\left(\sqrt{\bar\alpha_s}\, z + \sqrt{1 - \bar\alpha_s}\, \epsilon\right), \qquad s \sim \mathrm{Uniform}(0, S) \qquad \text{(Eq. NCA-1)}$$
#
# z is the small picture, U enlarges, and s is embedded like a second time, by a small network of its own, and added to the
# embedding of t. That is *noise-conditioning augmentation*. So the stage knows for each picture how far it may trust it. When
# it draws, s is *ours to choose*: 0 says "trust every digit", more says "the large features only, the rest is yours".
#
# **Write it yourself:** `alpha_bar` is the table, `s` (N,) whole steps, `rows` and `columns` are the weights of BIL-1.


# %%
def my_beside(small, s, alpha_bar, eps, rows, columns):
    """Return what the network sees beside x_t, (N, H, W, C)."""
    ### BEGIN SOLUTION
    level = alpha_bar[s].reshape(-1, 1, 1, 1)
    noised = level**0.5 * small + (1 - level) ** 0.5 * eps
    return np.einsum("hi,wj,nijc->nhwc", rows, columns, noised)
    ### END SOLUTION


# %%
my_beside = exercises.BESIDE.check(my_beside)
show_source(Enlarger.beside)
small, s = F.avg_pool(eight, 2)[0], np.array([0, 30, 100, 200, 300, 450, 600, 900])
eps = rng.standard_normal(small.shape).astype(np.float32)
A = my_weights(8, 2)
image = stage.beside(small, s, eps)
for n, step in enumerate(s):
    level = stage.diffusion.alpha_bar[step]
    noised = np.sqrt(level) * small[n] + np.sqrt(1 - level) * eps[n]
    for c in range(3):
        assert np.allclose(image[n, :, :, c], A @ noised[:, :, c] @ A.T, atol=1e-5)
assert np.allclose(image, my_beside(small, s, stage.diffusion.alpha_bar, eps, A, A), atol=1e-5)
plot.image_rows({"s": np.clip(image, -1, 1)}, scale=6, column_labels=[f"{step}" for step in s])

# %% [markdown]
# In training, every picture has an s of its own, somewhere from 0 to S, here half of all steps. The library's lines, and what
# the network is shown in a step:

# %%
show_source(Denoise._with_image)
data = load_avatars("train", 64)
learning = Denoise(stage, data, DenoiseConfig(batch=32, micro_batch=32, image_noise=0.5))
noise, x_0 = Noise(3), to_floats(data.images[:32])
context = learning._with_image(None, x_0, noise)
s = 500 * noise.uniform((32,), "image time", dtype=np.float64)
assert np.allclose(context.image_time, s)
assert 0 < context.image_time.min() < 100
assert 400 < context.image_time.max() < 500
level = stage.diffusion.alpha_bar_at(s)[:, None, None, None]
noised = level**0.5 * F.avg_pool(x_0, 2)[0] + (1 - level) ** 0.5 * noise.normal((32, 8, 8, 3), "small picture")
assert np.allclose(context.image, np.einsum("hi,wj,nijc->nhwc", A, A, noised), atol=1e-5)
trusting = Denoise(clean_stage, data, DenoiseConfig(batch=32, micro_batch=32))._with_image(None, x_0, noise)
assert trusting.image_time is None
assert np.allclose(trusting.image, F.upsample_bilinear(F.avg_pool(x_0, 2)[0], 2)[0], atol=1e-5)
print("steps up to which the first small pictures are noised:", context.image_time[:6].round().astype(int))

# %% [markdown]
# And when it draws: `image_noise` is s as a share of all steps. The small picture is noised once, before the first step of the
# chain.

# %%
show_source(Enlarger.request_for)
asked = stage.request_for(small, Request(seed=4), image_noise=0.2)
eps = Noise(4).normal((8, 8, 8, 3), "small picture")
assert np.allclose(asked.image, my_beside(small, np.full(8, 200), stage.diffusion.alpha_bar, eps, A, A), atol=1e-5)
assert np.array_equal(asked.image_time, np.full(8, 200))
again = stage.request_for(small, Request(seed=4), image_noise=0.2, is_noised=True)
assert np.allclose(again.image, F.upsample_bilinear(small, 2)[0], atol=1e-6), "what is noisy already is left as it is"
assert np.array_equal(again.image_time, np.full(8, 200))
assert not np.allclose(stage.request_for(small, Request(seed=5), image_noise=0.2).image, asked.image, atol=0.01)

# %% [markdown]
# ## A gap of a size that we choose
#
# Now the experiment. There are two stages, of the same shape, trained on the same portraits for as many steps. One has learned
# with noise in its small pictures, and the other, the *clean* one, with true ones only; it has no second time, and cannot be
# told of any.
#
# First a gap that we make ourselves, so that we can turn it. Take true small pictures, and noise them by the forward process up
# to s. (As a picture, that is $z_s / \sqrt{\bar\alpha_s}$: the true one, with noise of deviation $\sqrt{(1 - \bar\alpha_s) /
# \bar\alpha_s}$.) The clean stage takes it as it is. The other one is told once that there is no noise, which is not true, and
# once the right s. No words are given, so that only the small picture speaks.
#
# What comes out is shown to the judge of notebook 24, who finds the nearest of all portraits that there can be. How far is it?
# Where a picture is a portrait at all, it is near to one.
#
# **Predict, then run:** which of the three is nearest to portraits where there is no noise? And which where there is?


# %%
def distance_to_portraits(pictures):
    """Return how far pictures are from the nearest portrait: in levels of 0 .. 255, per number (root of mean squares)."""
    return (judge(to_images(pictures)).distances / pictures[0].size) ** 0.5


few = to_floats(load_avatars("test", 12).images)
z = F.avg_pool(few, 2)[0]
eps = Noise(8).normal(z.shape, "damage")
levels, made, far = (0, 50, 150, 300), {}, {"clean": [], "told nothing": [], "told how much": []}
for s in levels:
    level = stage.diffusion.alpha_bar[s]
    z_s = level**0.5 * z + (1 - level) ** 0.5 * eps
    damaged = np.clip(z_s / level**0.5, -1, 1)
    told = stage.request_for(z_s.astype(np.float32), Request(seed=3), s / 1000, is_noised=True)
    made[s] = {
        "damaged": shown(damaged),
        "clean": clean_stage.enlarge(damaged, Request(seed=3), "dpmpp_2m", 10),
        "told nothing": stage.enlarge(damaged, Request(seed=3), "dpmpp_2m", 10, image_noise=0.0),
        "told how much": stage.draw(told, "dpmpp_2m", 10),
    }
together = distance_to_portraits(np.concatenate([made[s][name] for name in far for s in levels]))
together = together.reshape(len(far), len(levels), len(few))
far = dict(zip(far, together.mean(axis=2), strict=True))
deviations = ((1 - stage.diffusion.alpha_bar[list(levels)]) / stage.diffusion.alpha_bar[list(levels)]) ** 0.5
for name, line in far.items():
    print(f"{name:<15}" + "".join(f"{one:>8.1f}" for one in line))
assert far["told how much"][-1] < far["clean"][-1]
plot.curves(deviations, far, "deviation of the noise in small pictures", "levels from the nearest portrait")

# %%
slider(
    lambda s: plot.image_rows(
        {name: np.clip(pictures[:8], -1, 1) for name, pictures in {"true": few, **made[s]}.items()}, scale=4
    ),
    levels,
    "s",
)

# %% [markdown]
# Read the lines from left to right. At the left nothing is damaged, and the clean stage is ahead: it reads the digits as it has
# learned to, and had an easier task for as many steps of training. To the right its line rises steeply, for what it reads there
# are digits of nobody, and it copies the noise. The lines of the other stage hardly rise. It leaves the small picture where that
# is not to be believed, and draws a portrait, though not always of the same person (move the slider, and look at the hats).
#
# And is it important that it is *told*? Look at the two lines of one network. Where it has been told a lie it does a little
# worse, and no more than that: noise of this kind can be seen in a small picture. It was the damage that taught it, more than
# the number. The number gives us something to choose.
#
# That was noise, which the stage knows from its training. Now errors of another kind: six of the 64 pixels get the colour of
# another pixel of the same picture. Nobody knows that there is "a level" of such errors. But one can add noise on top, and tell
# the stage of that; it hides what is wrong, together with what is right.

# %%
changed = z.reshape(12, 64, 3).copy()
for one in changed:
    at = dice.choice(64, 12, replace=False)
    one[at[:6]] = one[at[6:]]
changed = changed.reshape(z.shape)
ways = {"clean": clean_stage.enlarge(changed, Request(seed=3), "dpmpp_2m", 10)}
for noise in (0.0, 0.1, 0.3):
    ways[f"noise {noise}"] = stage.enlarge(changed, Request(seed=3), "dpmpp_2m", 10, image_noise=noise)
together = distance_to_portraits(np.concatenate([*ways.values()])).reshape(4, 12)
for name, distances in zip(ways, together, strict=True):
    print(f"{name:<10} {distances.mean():>6.1f} levels from the nearest portrait")
rows = {"true": few, "changed": shown(changed), **ways}
plot.image_rows({name: np.clip(pictures[:8], -1, 1) for name, pictures in rows.items()}, scale=4)

# %% [markdown]
# ## What the base draws
#
# What a base draws is off in ways of its own. So draw 40 small portraits (once well, and once in haste, with DDPM in 12 steps,
# which leaves noise in them) from captions that are new to both models, and let both stages enlarge them; and, to compare, the
# true small pictures of the same captions. All get the same captions, seeds and steps.
#
# Now there is something to count, for captions say what should be seen: the part or the colour of hair, hat, glasses and so on.

# %%
N = 40
portraits, captions = captioned_portraits(N, "test")
texts = [caption.text for caption in captions]
true_small = F.avg_pool(to_floats(render(portraits)), 2)[0]
of_base = Request(prompt=texts, seed=1, guidance=3.0)
drawn_small = np.clip(base.draw(of_base, "dpmpp_2m", 12), -1, 1)
hasty_small = np.clip(base.draw(of_base, "ddpm", 12), -1, 1)  # too few steps for this sampler (notebook 10)
request = Request(prompt=texts, seed=2)
sweep = (0.0, 0.1, 0.3, 0.5)
results = {
    "true, clean stage": clean_stage.enlarge(true_small, request, "dpmpp_2m", 10),
    "true, noise 0.1": stage.enlarge(true_small, request, "dpmpp_2m", 10, image_noise=0.1),
    "drawn, bilinear": F.upsample_bilinear(drawn_small, 2)[0],
    "drawn, clean stage": clean_stage.enlarge(drawn_small, request, "dpmpp_2m", 10),
}
for noise in sweep:
    results[f"drawn, noise {noise}"] = stage.enlarge(drawn_small, request, "dpmpp_2m", 10, image_noise=noise)
results |= {
    "hasty, clean stage": clean_stage.enlarge(hasty_small, request, "dpmpp_2m", 10),
    "hasty, noise 0.1": stage.enlarge(hasty_small, request, "dpmpp_2m", 10, image_noise=0.1),
}
verdict = judge(to_images(np.concatenate([*results.values()])))
right, far = {}, {}
for i, name in enumerate(results):
    part = slice(i * N, (i + 1) * N)
    of_part = Verdict(
        Portraits(*(a[part] for a in verdict.portraits)), verdict.distances[part], verdict.ambiguous[part]
    )
    found = agreement(of_part, portraits, captions)
    right[name] = np.concatenate([is_right[asked] for asked, is_right in found.values()])
    far[name] = (of_part.distances / 768) ** 0.5
row = "{:<20}{:>7}{:>16}{:>11}{:>11}".format
print(row("", "right", "", "levels off", "moved"))
for name, pictures in results.items():
    share = wilson_share(int(right[name].sum()), len(right[name]))
    given = {"true": true_small, "drawn": drawn_small, "hasty": hasty_small}[name.partition(",")[0]]
    moved = abs(F.avg_pool(np.clip(pictures, -1, 1), 2)[0] - given).mean()
    print(
        row(
            name,
            f"{share.value:.0%}",
            f"({share.low:.0%} to {share.high:.0%})",
            f"{far[name].mean():.1f}",
            f"{moved:.3f}",
        )
    )

# %% [markdown]
# "Right" is the share of all things named in the captions; "levels off" is the distance to the nearest portrait, as above; and
# "moved" says by how much the averages of the large picture are off those of the small one, in pixels of -1 to 1.
#
# Which of these differences are more than chance? The intervals are wide, but they are not the right question. All rows were
# asked *the same* questions, about the same captions, and mostly have the same answers. What tells two rows apart are the
# questions that only one of them has right.
#
# **Derive it yourself:** let b be the number of questions that only the first has right, and c that of those only the second
# has. If both were equally good, each of these would be a fair coin. How many standard deviations is b - c from 0 then?


# %%
def my_surprise(one, other):
    """Return the z of b - c for two rows of booleans, right or not; 0 if there is no difference."""
    ### BEGIN SOLUTION
    b, c = (one & ~other).sum(), (other & ~one).sum()
    return (b - c) / (b + c) ** 0.5 if b + c else 0.0
    ### END SOLUTION


# %%
my_surprise = exercises.SURPRISE.check(my_surprise)
best = "drawn, noise 0.1"
for name in results:
    if name.startswith("drawn") and name != best:
        z_right, nearer = (
            my_surprise(right[best], right[name]),
            my_surprise(far[best] < far[name], far[name] < far[best]),
        )
        print(f"{best} against {name:<20} right: z = {z_right:+.1f}   nearer to a portrait: z = {nearer:+.1f}")
of_true = my_surprise(
    far["true, clean stage"] < far["true, noise 0.1"], far["true, noise 0.1"] < far["true, clean stage"]
)
print(f"on true small pictures the clean stage is nearer than noise 0.1: z = {of_true:+.1f}")
gap = {name: (far[f"drawn, {name}"] - far[f"true, {name}"]).mean() for name in ("clean stage", "noise 0.1")}
print("from true to drawn, levels further off:", {name: round(float(levels), 1) for name, levels in gap.items()})
assert gap["clean stage"] > gap["noise 0.1"]
of_hasty = my_surprise(
    far["hasty, noise 0.1"] < far["hasty, clean stage"], far["hasty, clean stage"] < far["hasty, noise 0.1"]
)
print(f"behind the hasty base noise 0.1 is nearer than the clean stage: z = {of_hasty:+.1f}")
assert far["hasty, noise 0.1"].mean() < far["hasty, clean stage"].mean()
lines = {"with noise": np.array([far[f"drawn, noise {noise}"].mean() for noise in sweep])}
lines["clean"] = np.full(len(sweep), far["drawn, clean stage"].mean())
plot.curves(
    np.array(sweep), lines, "image_noise", "levels from the nearest portrait", title="What the base draws, enlarged"
)

# %%
eights = {"drawn by the base": shown(drawn_small[:8]), "clean stage": results["drawn, clean stage"][:8]}
slider(
    lambda noise: plot.image_rows(
        {
            name: np.clip(a, -1, 1)
            for name, a in (eights | {f"noise {noise}": results[f"drawn, noise {noise}"][:8]}).items()
        },
        scale=4,
    ),
    sweep,
    "image_noise",
)

# %% [markdown]
# Read a sweep in this order.
#
# - *What is the best that can be had?* The rows of true small pictures say what a stage does behind a perfect base. The row of
#   bilinear pictures says what the judge can guess from the base's pictures alone; he knows what portraits look like.
# - *Is there a gap?* Yes, for both: from true small pictures to drawn ones, things get worse. For the clean stage they get
#   worse by more, as the last line of the print says. But it began ahead, and where the two end is another question.
# - *Who is ahead in the end?* Look at z; between -2 and 2 this experiment cannot tell two rows apart. The lines of the experiment
#   above cross at some size of the damage: below it the clean stage is ahead, above it the other. Our base has an easy task,
#   pictures of 64 pixels, and the errors of its good pictures are small, so that noise hardly pays for itself here. Behind the
#   hasty base it does. A base that draws 64 x 64 pixels makes many more errors than ours.
# - *How much noise?* "Moved" grows with it: the stage leaves more of what the base has drawn, what is right as well as what is
#   wrong. A little costs nothing, and much costs a lot. A flat curve with a steep end is the usual picture; take a level well
#   before the steep end.
#
# ## The whole cascade
#
# A cascade is its parts, one after the other. The prompt goes to each, and so does guidance; each begins from noise of its own,
# but one seed decides all.

# %%
show_source(Cascade._walk)
request = Request(prompt=PROMPTS, seed=5, guidance=2.0)
told = []
whole = cascade.draw(request, "dpmpp_2m", 6, progress=lambda step, steps: told.append((step, steps)))
small = base.draw(request, "dpmpp_2m", 6)
large = stage.enlarge(np.clip(small, -1, 1), replace(request, seed=other_seed(5, 1)), "dpmpp_2m", 6)
assert abs(whole - large).max() < 0.01
assert other_seed(5, 1) != 5
assert told == [(step, 12) for step in range(1, 13)]
assert cascade.steps_of("dpmpp_2m", 6) == [6, 6]
same_noise = stage.enlarge(np.clip(small, -1, 1), request, "dpmpp_2m", 6)
without = stage.enlarge(np.clip(small, -1, 1), Request(seed=other_seed(5, 1)), "dpmpp_2m", 6)
assert abs(whole - same_noise).max() > 0.1
assert abs(whole - without).max() > 0.1
print(f"the cascade and its parts by hand differ by at most {abs(whole - large).max():.1e}")

# %% [markdown]
# Look at what goes on between the two parts: the small picture is finished, and then noised again, up to `image_noise`. Would
# it not be simpler to stop the base's chain where its x has as much noise, and hand that over as it is? It would, and saves the
# last steps. Ho et al. call it *truncated* conditioning augmentation. But a chain can only stop at its own times, so the stage
# must be told where it did.
#
# **Write it yourself:** walk from $x_T$ through `times`, whole numbers that fall to 0, until the first that is `level * T` or
# less. `step(x, t, s)` makes $x_s$ of $x_t$. Return x, and what the stage is told: the time where x is, as a share of T.


# %%
def my_hand_over(step, times, x_T, level, T):
    """Return the unfinished small picture, and its level."""
    ### BEGIN SOLUTION
    x = x_T
    for t, s in pairwise(times):
        x = step(x, t, s)
        if s <= level * T:
            return x, s / T
    ### END SOLUTION


# %%
my_hand_over = exercises.HAND_OVER.check(my_hand_over)
request = Request(prompt=PROMPTS, seed=5)
predict = base.predictor(request)


def step(x, t, s):
    """Return x_s of x_t by DDIM."""
    return last(ddim(predict, base.diffusion, x, [t], end=s))


x_T, _ = base.start(request)
times = [*spaced_steps(1000, 12), 0]
x, level = my_hand_over(step, times, x_T, 0.3, 1000)
asked = stage.request_for(x, replace(request, seed=other_seed(5, 1)), level, is_noised=True)
mine, whole = stage.draw(asked, "ddim", 12), cascade.draw(request, "ddim", 12, truncated=True, image_noise=0.3)
print(
    f"times {times}: stopped at {level:.3f} of T; yours and the library's differ by at most {abs(mine - whole).max():.1e}"
)
assert abs(mine - whole).max() < 0.01
finished = cascade.draw(request, "ddim", 12, image_noise=0.3)
assert abs(finished - whole).max() > 0.1
plot.image_rows(
    {"handed over": np.clip(shown(x), -1, 1), "large": np.clip(mine, -1, 1), "finished first": finished}, scale=7
)

# %% [markdown]
# Compare the second row with the third. Both saw the same noise in the base's chain up to there; the second has skipped the
# chain's last steps. Ho et al. tried both ways, and prefer to finish: then pictures can be kept, and the level can be searched
# for without drawing them anew.
#
# And *guidance*? In a cascade it belongs to each part alone. For the base, it decides how well words are followed (notebook
# 21). For the stage most is decided, and guidance costs it a second forward in each step for what the small picture says
# already. Below, base and stage have it or not.

# %%
guided = {}
for of_base in (1.0, 3.0):
    small = np.clip(base.draw(Request(prompt=PROMPTS, seed=6, guidance=of_base), "dpmpp_2m", 10), -1, 1)
    for of_stage in (1.0, 3.0):
        asked = Request(prompt=PROMPTS, seed=7, guidance=of_stage)
        guided[f"base {of_base:g}, stage {of_stage:g}"] = np.clip(stage.enlarge(small, asked, "dpmpp_2m", 10), -1, 1)
apart = {
    "the stage's guidance": abs(guided["base 3, stage 3"] - guided["base 3, stage 1"]).mean(),
    "the base's guidance": abs(guided["base 3, stage 1"] - guided["base 1, stage 1"]).mean(),
}
print({name: round(float(difference), 3) for name, difference in apart.items()})
plot.image_rows(guided, scale=7)

# %% [markdown]
# ## Large systems
#
# | | base | stages | damage of small pictures in training |
# |---|---|---|---|
# | Ho et al. (2021) | 32, told a class | to 64, then to 128 or 256; both told the class | noise as above where they become 64, blur in the stage after it |
# | Imagen (2022) | 64, told words | to 256, then to 1,024; both told words | noise as above, and the level is told |
# | DALL-E 2 (2022) | 64, told an embedding of CLIP (26) and words | to 256, then to 1,024; told no words | blur in the first stage, several kinds of damage in the second |
#
# Imagen searched for the best level when drawing, as the sweep above does. It also guided its base strongly, and clipped $\hat
# x_0$ not at 1 but at a percentile of its own numbers, the *dynamic threshold* of notebook 21: strong guidance pushes pixels
# beyond what there is, and clipping at 1 leaves flat, glaring areas.
#
# A stage that draws 256 pixels on a side must be cheap. Imagen's *efficient UNet* moves width and depth to where pictures are
# small. Why does that pay? A block has two convolutions of c to c channels on $h \times w$ positions: $2 \cdot 2 \cdot 9\, c^2
# h w$ FLOPs, and $2 \cdot 9\, c^2$ weights. With half the side and twice the channels, the FLOPs are the same, and the weights
# are *four times* as many.
#
# **Predict, then run:** two UNets for 256 pixels on a side, with as many blocks. One has them spread evenly; the other has most
# on the lower levels. Which has more weights, and which needs more FLOPs and more memory for what a forward has to keep?

# %%
row = "{:<24}{:>14}{:>14}{:>26}".format
print(row("blocks on each level", "weights", "FLOPs", "numbers kept per picture"))
shapes = {"even: 6, 6, 6, 6": (6, 6, 6, 6), "efficient: 2, 4, 8, 10": (2, 4, 8, 10)}
sizes = {}
for name, blocks in shapes.items():
    levels_of = [(256 // 2**i, 64 * 2**i, n) for i, n in enumerate(blocks)]
    weights = sum(n * 2 * 9 * c**2 for side, c, n in levels_of)
    flops = sum(n * 2 * 2 * 9 * c**2 * side**2 for side, c, n in levels_of)
    kept = sum(n * 2 * c * side**2 for side, c, n in levels_of)  # what goes into each convolution
    sizes[name] = weights, flops, kept
    print(row(name, f"{weights / 1e6:.0f} M", f"{flops / 1e9:.0f} G", f"{kept / 1e6:.0f} M"))
even, efficient = sizes.values()
assert even[1] == efficient[1]
assert efficient[0] > 1.5 * even[0]
assert efficient[2] < 0.7 * even[2]

# %% [markdown]
# As many FLOPs, but half again as many weights, and a third less memory. (Imagen's authors write that theirs is simpler and
# converges faster, too.)
#
# **Cascade or latents?** Both draw something small first, and both leave detail to somebody else.
#
# - In *latents* (notebook 32), that somebody is a decoder: one network, run once, trained once for all models. But what the
#   autoencoder lost is lost for good, a decoder paints the same detail from the same latents every time, and latents are not to
#   be looked at.
# - In a *cascade*, each stage is a diffusion model. It can draw many large pictures of one small one, and mend a little of what
#   is wrong with it. Every state is a picture, so that one can stop early, look, and throw away. But there are more models to
#   train, and to keep together, each has a chain to walk, and between any two there is a gap.
#
# Most systems after 2022 draw in latents. But the two ways can be joined: a base may draw latents, and a stage enlarge what is
# decoded.
#
# ## Summary
#
# 1. A cascade draws a small picture, which decides what is seen, and then larger ones, each of the one before. The expensive
#    thinking is done where pictures are small.
# 2. Bilinear enlarging is $A\, X A^\top$, with the centres of pixels half a pixel from their edges; the way back is the
#    transpose.
# 3. Averages lose three quarters of the numbers. The mean of all that would fit is blurred, so detail is drawn, from p(large |
#    small).
# 4. A stage that has only seen true small pictures relies on digits that no base draws right. Noise of a level that it is told
#    teaches it how far to trust, and when it draws, the level is ours to choose.
# 5. Two models are compared on the same questions: what only one of them has right is a coin that was tossed. A sweep says
#    which levels are bad; it seldom says which is best.
#
# <details><summary>Noise is added to the small picture before it is enlarged. Would it be different afterwards?</summary>
#
# Enlarging is linear: U(a z + b e) = a U z + b U e. If the noise is *enlarged*, there is no difference. But noise that is drawn
# for the large picture, one number for each of its pixels, is another thing: an average over four of its pixels has half the
# deviation, so that the small picture could be read through it much better. The level would mean less than it says.
#
# </details>
#
# <details><summary>Why is the level told to the network? It could see how noisy the picture is.</summary>
#
# It can, and the experiment above says that it does. But told, it need not guess, which is one task less; and a guess needs
# noise that looks like that of the training. A picture that a base has drawn has none, and its errors look like detail. With the
# level we add noise that hides those errors, and say how much may be hidden.
#
# </details>
#
# <details><summary>Could base and stages be trained together, so that the stage sees what the base draws?</summary>
#
# One could train the stage on small pictures that the base has drawn from the captions. But which large picture belongs to
# them? The one that the caption was written for has another face. A small picture that is noised from a true one and then drawn
# to its end by the base would nearly do (notebook 25 did that to edit), at the price of a chain for each example. Noise costs
# nothing, and serves any base.
#
# </details>
#
# **Next:** what else can denoise besides a UNet, and what it costs: [34 · UNet or DiT](34_unet_or_dit.ipynb).
