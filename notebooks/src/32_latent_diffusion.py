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
# # 32 · Latent diffusion: Stable Diffusion in small
#
# **You will learn** what a picture costs in pixels, and in latents; how tokenizer, text encoder, UNet, sampler and decoder
# make one system, by putting them together by hand; what each of them does, by exchanging them one at a time; how pictures
# are edited in latents; and what a discriminator teaches a decoder.
#
# **Prerequisites:** notebooks 10 (DDIM), 21 (guidance), 24 (text to picture), 25 (editing) and 30 (autoencoders).
# **Time:** 75 minutes with the exercises.
#
# **Papers:** Rombach et al., *High-resolution image synthesis with latent diffusion models* (2022), sections 3.2 and 3.3,
# and appendix G (here VAE-6); Esser et al., *Taming Transformers for high-resolution image synthesis* (2021), Eq. 6 and 7
# (here GAN-WEIGHT); Miyato et al., *Spectral normalization for generative adversarial networks* (2018), Eq. 16 and 17
# (here GAN-HINGE); Isola et al., *Image-to-image translation with conditional adversarial networks* (2017), section 3.2.2;
# Maas et al., *Rectifier nonlinearities improve neural network acoustic models* (2013), section 2 (here LRELU); Esser et al.,
# *Scaling rectified flow transformers for high-resolution image synthesis* (2024), Eq. 23 (here TSHIFT).

# %%
import time
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from tempfile import TemporaryDirectory

import numpy as np

import tinydiff
from tinydiff import functional as F
from tinydiff import plot
from tinydiff.base import Noise, map_arrays
from tinydiff.course import show_source, slider
from tinydiff.course.exercises import notebook_32 as exercises
from tinydiff.data import Dataset, encode_once, to_floats, to_images
from tinydiff.data.scenes import DrawnScenes, compose, describe, load_scenes
from tinydiff.diffusion import ddim, last, spaced_steps
from tinydiff.evaluate import scene_obedience
from tinydiff.models import (
    DiffusionModel,
    LatentAutoencoder,
    LatentDiffusion,
    Request,
    fit_preview,
    image_to_image,
    inpaint,
    read_attributes,
    word_maps,
)
from tinydiff.models.editing import mask_of_x
from tinydiff.networks import Autoencoder, AutoencoderConfig, PatchDiscriminator, PatchDiscriminatorConfig, UNet
from tinydiff.nn import BlockConfig, Gradients, ResBlock, Tape
from tinydiff.train import Denoise, DenoiseConfig, Reconstruct, ReconstructConfig, Run, random_steps

rng = np.random.default_rng(0)
model = replace(tinydiff.load("scenes"), micro_batch=4)  # few pictures at a time, so few rows together
autoencoder = model.autoencoder


def draw(prompt, seed=1, guidance=3.0, sampler="dpmpp_2m", steps=12, **asked):
    """Return a picture for each prompt, or as many of one prompt as `n` says."""
    request = Request(prompt=prompt, seed=seed, guidance=guidance, **asked)
    return replace(model, micro_batch=min(request.rows, 8)).draw(request, sampler, steps)


# %% [markdown]
# Here are eight texts, and the picture that the model of this notebook draws from each. The first two are those of the
# article that this course began with, more or less; in training there was no cabin on a mountain, and no robot on a road.

# %%
PROMPTS = [
    "a small cabin on top of a snowy mountain",
    "a robot on a road",
    "a red castle on a beach at sunset",
    "a white cat in a city street at night, in the snow",
    "a yellow hot-air balloon over a lake",
    "a line drawing of a windmill in a meadow",
    "a blue boat on a lake in the rain",
    "a green tent in a forest at night",
]
begun = time.perf_counter()
pictures = draw(PROMPTS)
print(f"{len(PROMPTS)} pictures in {time.perf_counter() - begun:.1f} s")
plot.captioned_images(pictures, PROMPTS, columns=4, scale=3)

# %% [markdown]
# Places, times of day and colours are what was asked, and so are most objects. But shapes are soft, and some of these are ideas of
# a robot or of a windmill, rather than robots and windmills. The model's card says how often each is right.
#
# ## What a pixel costs
#
# The portraits of notebook 24 had 16 x 16 pixels; these pictures have 64 x 64. Could the same UNet draw them, pixel by
# pixel? The article says that it is "computationally expensive". How expensive?
#
# Count the work in *multiply-adds*, one product that is added to a sum. Take the block that UNets are made of: two
# convolutions of 3 x 3, then self-attention of all positions to each other. The map has h x w positions of c channels all
# the way. The attention has a linear map to queries, keys and values, c channels each, and one more after it, c to c. Norms
# and the like hardly count.
#
# **Derive it yourself:** how many multiply-adds are there, first those that grow with the number of positions, and then those
# that grow with its square?


# %%
def my_cost(h, w, c):
    """Return two numbers of multiply-adds: by positions (all linear maps), by pairs (products of the attention)."""
    ### BEGIN SOLUTION
    return (2 * 9 + 4) * h * w * c**2, 2 * (h * w) ** 2 * c
    ### END SOLUTION


# %%
my_cost = exercises.COST.check(my_cost)

# %% [markdown]
# Each layer of the library can say how many multiplications and additions its forward took; half of it are multiply-adds.
# First the block, then whole UNets, with random weights, since only their shape counts: the UNet of this model, for latents
# of 16 x 16 positions, and *the same UNet* for 64 x 64 pixels of three colours.


# %%
def counted(network, *inputs):
    """Return the multiply-adds of a forward: of all layers but self-attention's products, and of these."""
    tape, by_pairs, together = Tape(), 0, 0
    network.forward(*inputs, tape)
    for owner, cache, _ in tape.entries:
        together += owner.flops(cache) // 2
        if type(owner).__name__ == "SelfAttention" or owner.path.endswith("self_attention"):
            by_pairs += owner.flops(cache) // 2
    return together - by_pairs, by_pairs


block = ResBlock(32, 32, BlockConfig(None), rng, heads=4)
assert counted(block, np.zeros((1, 6, 10, 32), np.float32), None) == my_cost(6, 10, 32)

words = model.read(model.tokens([PROMPTS[0]]))


def pixel_unet(side, channels=3):
    """Return a UNet of the model's shape with random weights, and an input for it."""
    network = UNet(replace(model.config.unet, image_size=side, in_channels=channels))
    x = rng.standard_normal((1, side, side, channels)).astype(np.float32)
    return network, (x, np.array([500]), words)


counts = {}
for side, channels in ((model.config.unet.size[0], model.config.unet.in_channels), (64, 3)):
    unet, inputs = pixel_unet(side, channels)
    counts[side] = counted(unet, *inputs)
grown = [large / small for small, large in zip(counts[16], counts[64], strict=True)]
print(f"from 16 x 16 to 64 x 64: linear maps {grown[0]:.1f} times, attention's products {grown[1]:.1f} times")
assert np.isclose(grown[0], 16, rtol=0.05), "16 times as many positions (but the words' keys are as many as before)"
assert grown[1] == 16**2

# %% [markdown]
# So we need not run anything to know what 128 x 128 pixels would cost. Beside it stands how long one forward takes on this
# machine. (Seconds depend on what else the machine does; read them as "about".)


# %%
def seconds_of(f, *args, tries=3):
    """Return how long a call takes: the shortest of some tries, since the first is slower, and others may be disturbed."""
    took = []
    for _ in range(tries):
        begun = time.perf_counter()
        f(*args)
        took.append(time.perf_counter() - begun)
    return min(took)


counts[128] = 4 * counts[64][0], 16 * counts[64][1]
print(f"{'':<22}{'multiply-adds':>15}{'of these, pairs':>17}{'seconds':>10}")
for side, name in ((16, "16 x 16 x 8 latents"), (64, "64 x 64 x 3 pixels"), (128, "128 x 128 x 3 pixels")):
    unet, inputs = pixel_unet(side, model.config.unet.in_channels if side == 16 else 3)
    seconds = seconds_of(unet.forward, *inputs, tries=3 if side == 16 else 1)
    together = sum(counts[side])
    print(f"{name:<22}{together / 1e9:>13.2f} G{counts[side][1] / together:>16.0%}{seconds:>11.3f}")
print(f"{sum(counts[64]) / sum(counts[16]):.0f} and {sum(counts[128]) / sum(counts[16]):.0f} times as much as latents")
assert sum(counts[64]) > 15 * sum(counts[16])
assert sum(counts[128]) > 80 * sum(counts[16])
assert counts[128][1] / sum(counts[128]) > 2 * counts[64][1] / sum(counts[64])

# %% [markdown]
# Twice as many pixels on a side are four times the work for convolutions and *sixteen* times for attention, which takes over.
# A picture needs dozens of such forwards, and a training millions.
#
# There are two ways out, and the article names both. *Cascades* draw a small picture and let further models enlarge it.
# *Latent diffusion* asks what those pixels are for. Notebook 30 packed 64 x 64 x 3 numbers into 16 x 16 x 8, from which a
# decoder paints the picture again, once. Details such as edges and texture are its business. The UNet, which has to be run
# again and again, only sees the 16 x 16.
#
# ## All parts by name
#
# | the article's figure | here | Stable Diffusion 1 |
# |---|---|---|
# | the description becomes tokens | `model.tokenizer`, byte-pair encoding (22) | the same, 49,408 tokens, rows of 77 |
# | "run Transformer on them" | `model.network.text` (22), learns with the UNet | the text encoder of CLIP ViT-L/14 (26), 123 M numbers, 77 vectors of 768; learned before, on its own |
# | UNet, to which they are attended | `model.network.unet` (08, 23), predicts v | 860 M numbers, on latents of 64 x 64 x 4; predicts the noise |
# | encoder, "project to a smaller latent space" | `model.autoencoder.encode` (30), factor 4 | factor 8; 84 M numbers with the decoder |
# | the noise and its schedule | `model.diffusion`, T = 1000 (01) | T = 1000, the roots of the betas on a line |
# | "learn to reverse the steps" | any of the samplers (10) with guidance (21) | the same; PNDM, 50 steps, guidance 7.5 |
# | decoder, "upsample to the original resolution" | `model.autoencoder.decode` (30) | to 512 x 512 pixels |
#
# The two systems differ in size, in what the network predicts, and in who taught the text encoder; not in how the parts fit
# together. Where does the encoder stand when a picture is *drawn*? Nowhere. It is needed in training, and for editing, where
# there is a picture to begin with.

# %%
tokens = model.tokens([PROMPTS[0]])
words, nothing = model.read(tokens), model.read(model.null_context())
pieces = [model.tokenizer.decode([number]) for number in tokens[0]]
print(*(f"{piece!r}" for piece in pieces if piece.strip()))
print("tokens", tokens.shape, "-> vectors", words.tokens.shape)
for name, part in (
    ("text encoder", model.network.text),
    ("UNet", model.network.unet),
    ("encoder", autoencoder.network.encoder),
    ("decoder", autoencoder.network.decoder),
):
    print(f"{name:<13}{sum(p.size for p in part.parameters()):>11,} numbers")
print("latents", autoencoder.latent_shape, "-> pictures", model.picture_shape)

# %% [markdown]
# Now put them together. You have seen such a loop in notebook 24, so here is one, made from that one. Only the network now says
# v, from which $\hat x_0 = a\, x_t - b\, v$ and $\hat\epsilon = b\, x_t + a\, v$; guidance can go beyond in v as well as in
# $\hat x_0$, since both are linear. At the end the scale of the latents is undone, and they are decoded.
#
# **Find the fault:** it draws, but look at what. One line does not belong here. (`network(x, t, context)` returns v;
# `decoder` takes latents as the encoder gives them, with the mean and the standard deviation of each channel.)


# %%
def my_picture(network, decoder, alpha_bar, x_T, words, nothing, guidance, times, mean, std):
    """Return the pictures; alpha_bar is a list, and times are whole numbers that fall to 0."""
    x = x_T
    for t, s in pairwise(times):
        a, b = alpha_bar[t] ** 0.5, (1 - alpha_bar[t]) ** 0.5
        given, free = network(x, t, words), network(x, t, nothing)
        v = free + guidance * (given - free)
        x_0, eps = a * x - b * v, b * x + a * v
        ### BEGIN SOLUTION
        x = alpha_bar[s] ** 0.5 * x_0 + (1 - alpha_bar[s]) ** 0.5 * eps
        ### INSTEAD
        x_0 = np.clip(x_0, -1, 1)
        x = alpha_bar[s] ** 0.5 * x_0 + (1 - alpha_bar[s]) ** 0.5 * eps
        ### END SOLUTION
    return np.clip(decoder(x * std + mean), -1, 1)


# %%
def network(x, t, context):
    """Return what the model's network says, with the context's rows repeated for all pictures."""
    rows = map_arrays(lambda row: np.broadcast_to(row, (len(x), *row.shape[1:])), context)
    return model.network.forward(x.astype(np.float32), np.full(len(x), t), rows)


def decoder(z):
    """Return what the decoder paints from latents as its encoder would give them."""
    return autoencoder.network.decode(z.astype(np.float32))


FOUR = [PROMPTS[0], PROMPTS[2], PROMPTS[4], PROMPTS[6]]
MEAN, STD = np.array(autoencoder.mean), np.array(autoencoder.std)
four_words = model.read(model.tokens(FOUR))
x_T = Noise(1).normal((4, *model.x_size(), model.config.unet.in_channels), "x_T")
given = network, decoder, model.diffusion.alpha_bar.tolist(), x_T, four_words, nothing, 3.0
times = [*spaced_steps(1000, 12), 0]
mine, theirs = my_picture(*given, times, MEAN, STD), draw(FOUR, sampler="ddim")
plot.image_rows({"my_picture": mine, "the library's": theirs}, scale=2)

# %%
my_picture = exercises.PICTURE.check(my_picture)

# %% [markdown]
# In pixels, clipping helps: no picture is blacker than black. Latents have no such bounds (notebook 30); what is cut off
# there is contrast, and whatever else stands in large numbers. Without that line it is what the library draws, but for
# the order of sums:

# %%
show_source(DiffusionModel.draw, LatentDiffusion.decode, LatentAutoencoder.decode)
mine = my_picture(*given, times, MEAN, STD)
assert abs(mine - theirs).max() < 0.02
assert not model.is_bounded
print(f"off by {abs(mine - theirs).max():.6f}; deviations of the channels:", np.round(STD, 2))
z = last(model.chain(Request(prompt=FOUR, seed=1, guidance=3.0), "ddim", 12))
wrong = {
    "scale not undone": np.clip(decoder(z), -1, 1),
    "and if it were 5.49": np.clip(decoder(z * STD / 5.49 + MEAN), -1, 1),
}
print({name: f"off by {abs(one - theirs).mean():.3f}" for name, one in wrong.items()})
assert np.allclose(np.clip(decoder(z * STD + MEAN), -1, 1), theirs, atol=0.02)
assert wrong["and if it were 5.49"].std() < 0.8 * theirs.std()
plot.image_rows({"right": mine, **wrong}, scale=2)

# %% [markdown]
# Below stands the other mistake that everybody makes once: the standardisation is not undone before decoding. How bad that is
# depends on the deviations. These are not far from 1, so that the second row is still pictures, only harsh ones, and the bug may
# live long. Stable Diffusion's latents have a deviation of 5.49 (the 1 / 0.18215 of notebook 30); the last row shows what becomes
# of pictures whose latents are so much too small.
#
# ## One step of training
#
# Where do the weights come from? Every picture of the training set is encoded *once*, before the training begins. What comes
# out of the encoder is standardised: each channel less its mean, over its deviation, because schedules are made for data of
# variance 1 (notebook 30). Then all is as in notebook 09, but for the name of what is noised:
#
# $$z_0 = \frac{E(x) - \text{mean}}{\text{std}}, \qquad z_t = a\, z_0 + b\, \epsilon, \qquad v = a\, \epsilon - b\, z_0,
#   \qquad L = \lVert v - v_\theta(z_t, t, c) \rVert^2$$
#
# with $a = \sqrt{\bar\alpha_t}$ and $b = \sqrt{1 - \bar\alpha_t}$. (The article writes $z_t = g(x_t)$, as if the encoder saw
# noisy pictures. It never does: noise is added to the latents.)
#
# **Write it yourself:** what the network sees, and what it should say. `raw` and `eps` are (N, h, w, C), `mean` and `std` (C,),
# and `alpha_bar_t` (N,), for each picture that of its time.


# %%
def my_pair(raw, mean, std, eps, alpha_bar_t):
    """Return the noised, standardised latents, and the v that belongs to them; raw is what the encoder says."""
    ### BEGIN SOLUTION
    x_0 = (raw - mean) / std
    alpha_bar = alpha_bar_t[:, None, None, None]
    a, b = alpha_bar**0.5, (1 - alpha_bar) ** 0.5
    return a * x_0 + b * eps, a * eps - b * x_0
    ### END SOLUTION


# %%
my_pair = exercises.PAIR.check(my_pair)

# %% [markdown]
# With your function, a whole step of training: loss and gradient, beside those of the library. One caption in two is hidden
# here (in the training it was one in ten), so that a batch of four has both.

# %%
show_source(encode_once, Denoise.add_gradient)
scenes = DrawnScenes("train", 6)
with TemporaryDirectory() as folder:
    latents = encode_once(scenes, autoencoder.encode, autoencoder.checksum(), folder)
raw, _ = autoencoder.network.encode(to_floats(scenes.pictures(np.arange(6))))
assert np.allclose(latents.latents, (raw - MEAN) / STD, rtol=0.01, atol=0.01), "kept with 11 bits"
lesson = Denoise(model, latents, DenoiseConfig(batch=4, micro_batch=4, condition_dropout=0.5, seed=11))
grads, expected = Gradients(model.network.parameters()), Gradients(model.network.parameters())
loss = lesson.add_gradient(0, 0, grads)

noise, chosen = lesson.noise(0, 0), lesson.indices(0)
t, eps = noise.integers(1, 1000, 4, "t"), noise.normal((4, *latents.shape), "eps", dtype=np.float32)
x_t, v = my_pair(raw[chosen], MEAN, STD, eps, model.diffusion.alpha_bar[t])
hidden = noise.uniform((4,), "label dropout") < 0.5
captions = ["" if is_hidden else scenes.captions[i] for i, is_hidden in zip(chosen, hidden, strict=True)]
tape = Tape()
said = model.network.forward(x_t.astype(np.float32), t, model.tokens(captions), tape)
model.network.backward((2 * (said - v) / v.size).astype(np.float32), tape, expected)
print(*(f"t = {at}: {caption or '(hidden)'}" for at, caption in zip(t, captions, strict=True)), sep="\n")
print(f"loss {((said - v) ** 2).mean():.4f}, by the library {loss:.4f}")
assert 0 < hidden.sum() < 4
assert np.isclose(((said - v) ** 2).mean(), loss, rtol=0.01)
assert np.allclose(grads.flat, expected.flat, atol=0.02 * abs(expected.flat).max())
of_encoder = np.concatenate(
    [grads[name].ravel() for name in model.network.named_parameters() if name.startswith("text")]
)
assert abs(of_encoder).max() > 0, "the gradient reaches the text encoder"

# %% [markdown]
# What does the network see of a scene, and what does it guess? Noised latents cannot be looked at, but their decoder can be
# asked. First row: what is in $z_t$, divided by a. Below: the guess $\hat z_0$ with the caption, and without.
#
# **Predict, then run:** up to which t does it need the words?

# %%
scene = autoencoder.encode(to_floats(scenes.pictures(np.arange(1))))
TIMES = (100, 300, 500, 700, 850, 950)
eps = rng.standard_normal((len(TIMES), *latents.shape)).astype(np.float32)
t = np.array(TIMES)
a, b = (
    root[t][:, None, None, None] for root in (model.diffusion.alpha_bar**0.5, (1 - model.diffusion.alpha_bar) ** 0.5)
)
z_t = (a * scene + b * eps).astype(np.float32)
rows = {"z_t / a": autoencoder.decode((z_t / a).astype(np.float32))}
for name, caption in (("with its caption", scenes.captions[0]), ("without", "")):
    context = model.read(model.tokens([caption] * len(TIMES)))
    guess, of_noise = model.predict(z_t, t, context)
    by_formula = a * z_t - b * model.network.forward(z_t, t, context)
    assert np.allclose(guess, by_formula, atol=1e-3)
    assert np.allclose(a * guess + b * of_noise, z_t, atol=1e-3)
    rows[name] = autoencoder.decode(guess)
print(scenes.captions[0])
plot.image_rows(rows, scale=2, column_labels=[f"t = {at}" for at in TIMES])

# %% [markdown]
# With little noise the picture itself says what it is. With much noise only the words do, and without them the guess is the
# mean of all scenes. Here the rows differ much at t = 950 alone. As soon as the noise leaves a trace of the balloon, the network
# trusts its eyes.
#
# ## Watch it draw
#
# A chain yields its guess after every step, and the guess can be decoded: this is how programs show a picture while it is drawn.
# The decoder costs about as much as a call of the UNet. Notebook 30 had a cheaper way, the matrix from eight latent numbers to a colour
# (Eq. PREVIEW-1).

# %%
preview = fit_preview(autoencoder, [to_floats(load_scenes("train", 100).images)])
frames = []
for t, _, x_0_hat in model.chain(Request(prompt=FOUR[1], n=1, seed=1, guidance=3.0), "dpmpp_2m", 12):
    frames.append((t, x_0_hat))
by_decoder = autoencoder.decode(np.concatenate([x_0_hat for _, x_0_hat in frames]))
by_matrix = np.concatenate([preview.pictures(x_0_hat) for _, x_0_hat in frames])
by_formula = np.clip(np.concatenate([x_0_hat for _, x_0_hat in frames]) @ preview.weight + preview.bias, -1, 1)
assert np.allclose(by_matrix, by_formula, atol=1e-4)
assert np.allclose(by_decoder[-1], draw(FOUR[1], n=1)[0], atol=0.01), "the last guess is the picture"
of_decoder, of_matrix = (seconds_of(f, frames[0][1]) for f in (autoencoder.decode, preview.pictures))
print(f"one look takes {1000 * of_decoder:.1f} ms by the decoder, {1000 * of_matrix:.2f} ms by the matrix")
enlarged = by_matrix.repeat(4, axis=1).repeat(4, axis=2)
shrunk = by_decoder[-1].reshape(16, 4, 16, 4, 3).mean(axis=(1, 3))
assert abs(shrunk - by_matrix[-1]).mean() < 0.15
plot.image_rows(
    {"decoder": by_decoder[::2], "27 numbers": enlarged[::2]},
    scale=2,
    column_labels=[f"t = {t:.0f}" for t, _ in frames[::2]],
)

# %%
slider(lambda step: plot.image_grid(by_decoder[[step - 1]], scale=6), range(1, 13), "step", start=3)

# %% [markdown]
# Sky, ground and a red something are there at once, then the outline. Below t = 400 hardly anything happens that one could see.
#
# **Predict, then run:** when do the words count? Begin with one text, and go on with another from a time t on. Three things
# differ between the two: object, place and time of day.

# %%
FIRST, THEN = "a red castle on a beach at sunset", "a white cat in a forest at night"
SWITCH = np.array([1000, 950, 850, 700, 500, 0])  # from this time on the second text
request = {"n": len(SWITCH), "guidance": 3.0}
first, then = (model.predictor(Request(prompt=text, **request)) for text in (FIRST, THEN))
same_noise = Noise(1).normal((1, *x_T.shape[1:]), "x_T").repeat(len(SWITCH), axis=0)


def switched(x, t, context=None):
    """Predict with the first text down to the time of the switch, and with the second one below."""
    is_first = (t > SWITCH)[:, None, None, None]
    return tuple(np.where(is_first, one, other) for one, other in zip(first(x, t), then(x, t), strict=True))


between = autoencoder.decode(last(ddim(switched, model.diffusion, same_noise, 15)))
assert np.allclose(between[0], draw(THEN, n=1, sampler="ddim", steps=15)[0], atol=0.05)
assert np.allclose(between[-1], draw(FIRST, n=1, sampler="ddim", steps=15)[0], atol=0.05)
kept = abs(between - between[-1]).mean(axis=(1, 2, 3))
print("how far from the first text's picture:", np.round(kept, 2))
assert kept[0] > kept[3] > kept[4] > kept[5]
plot.image_grid(between, columns=6, labels=["second only", *(f"until {t}" for t in SWITCH[1:-1]), "first only"])

# %% [markdown]
# Words count early. Where things are, and which colours there are, is settled while there is hardly anything to be seen, and a
# text that comes later has to make do with it. At t = 950 it is still in time for the cat and the forest, but it remains
# evening. At 850 castle and colour are settled too, and of the forest there are some trees at the horizon.
#
# The loss says so too. Here are scenes of the test set with captions of their own, and each with that of the next scene: how
# much worse is the network's answer for the wrong words?

# %%
others = DrawnScenes("test", 24)
z_0 = autoencoder.encode(to_floats(others.pictures(np.arange(24))))
own, wrong = (model.tokens(captions) for captions in (others.captions, [*others.captions[1:], others.captions[0]]))
WHEN = np.array([50, 200, 400, 600, 700, 800, 900, 950, 1000])
help_of_words = []
for t in WHEN:
    a, b = model.diffusion.alpha_bar[t] ** 0.5, (1 - model.diffusion.alpha_bar[t]) ** 0.5
    eps = Noise(int(t)).normal(z_0.shape, "eps")
    z_t, v = (a * z_0 + b * eps).astype(np.float32), a * eps - b * z_0
    loss_own, loss_wrong = (
        ((model.network.forward(z_t, np.full(24, t), words) - v) ** 2).mean() for words in (own, wrong)
    )
    help_of_words.append(loss_wrong - loss_own)
help_of_words = np.array(help_of_words)
print({int(t): round(float(one), 3) for t, one in zip(WHEN, help_of_words, strict=True)})
assert help_of_words[WHEN >= 800].min() > 3 * help_of_words[WHEN <= 400].max()

# %% [markdown]
# Words matter in the noisier half, and most in the last fifth. A training that shows every t equally often learns what words mean
# from less than half of its pictures. Stable Diffusion 3 was trained with noisy ones more often. From u, uniform between 0 and 1, comes
#
# $$t = \left\lfloor T\, \frac{s u}{1 + (s - 1) u} \right\rfloor + 1 \qquad \text{(Eq. TSHIFT-1)}$$
#
# With s = 1 this is Algorithm 1. How often is a share of t / T = p shown with another s? Solve p = su / (1 + (s - 1) u) for u, and
# differentiate: u = p / (s - (s - 1) p), and du/dp = s / (s - (s - 1) p)^2. At p = 1 that is s, at p = 0 it is 1 / s.

# %%
show_source(random_steps)
T, S, n = 1000, 3.0, 50_000
drawn = random_steps(Noise(1), n, T, S)
u = Noise(1).uniform((n,), "t", dtype=np.float64)
assert np.array_equal(drawn, np.floor(T * S * u / (1 + (S - 1) * u)).astype(int) + 1)
assert np.array_equal(random_steps(Noise(1), n, T), Noise(1).integers(1, T, n, "t")), "without a shift, Algorithm 1"
share = (np.arange(10) + 0.5) / 10
counted = np.histogram(drawn, bins=10, range=(0.5, T + 0.5))[0] / n * 10
by_formula = S / (S - (S - 1) * share) ** 2
assert np.allclose(counted, by_formula, rtol=0.15)
print(f"more often than without a shift, by tenths of T: {np.round(counted, 2)}")
plot.curves(
    share * T,
    {"s = 3, counted": counted, "s = 3, du/dp": by_formula, "s = 1": np.ones(10)},
    "t",
    "how often, s = 1 being 1",
)

# %% [markdown]
# The training of this notebook's model showed what that is worth. After 400,000 pictures, every t equally often, it knew nothing of
# left and right: with the two words exchanged, the loss at t = 930 grew by less than 0.001 (measured as above, over 128 captions).
# Few captions name a side, few t need one, and to what these few ask for, the gradients of all others are noise. Then it saw only
# captions with a side or with two objects, with s = 10. After 400 steps of 32 pictures the exchange cost 0.04, after 800 it cost
# 0.25, two thirds of the loss. Which colour belongs to which of two objects came later, from captions with "and" alone: to exchange
# the colours cost nothing before, 0.005 after 500 steps, and 0.12 after 1,500. Meanwhile it had forgotten on which side *one* object
# stands, and saw both kinds of captions for 600 steps more. From there the training went on with all captions, and s = 3.
#
# ## Swap each part
#
# A system is understood when one knows what changes if a part does. All of the following are the same call, with one part
# exchanged. **The words** (the noise is the same in each column of all these rows), **the noise**, and **no words at all**:
# the null context that guidance starts from, for which no text encoder is needed.

# %%
OBJECTS = ("cabin", "car", "cat", "lighthouse", "robot", "rocket")
by_words = {
    f"a {colour} ...": draw([f"a {colour} {one} in a meadow" for one in OBJECTS], seed=3) for colour in ("red", "blue")
}
by_words["..., night"] = draw([f"a blue {one} in a meadow at night" for one in OBJECTS], seed=3)
by_words["other noise"] = draw([f"a blue {one} in a meadow at night" for one in OBJECTS], seed=4)
by_words["no words"] = draw("", n=6, seed=3)
plot.image_rows(by_words, scale=2, column_labels=OBJECTS)

# %%
brightness = {name: float(one.mean()) for name, one in by_words.items()}
print({name: round(value, 2) for name, value in brightness.items()})
assert brightness["..., night"] < brightness["a blue ..."] - 0.1
assert abs(by_words["other noise"] - by_words["..., night"]).mean() > 0.01
free = draw("a rocket", n=2, seed=3, guidance=0.0)
assert abs(by_words["no words"][:2] - free).max() < 0.02, "with guidance 0 no word is heard"

# %% [markdown]
# Where the words leave something open, the noise decides, often alike for all words of a column: where the object stands, and
# sun, clouds or evening. (Not always, and one blue cat was forgotten.)
#
# **The sampler**, and how many steps it takes. The columns have one noise and one text:

# %%
STEPS = (3, 6, 12, 25)
by_sampler = {
    name: np.concatenate([draw(PROMPTS[4], n=1, sampler=name, steps=steps) for steps in STEPS])
    for name in ("ddim", "dpmpp_2m", "ddpm")
}
finest = draw(PROMPTS[4], n=1, sampler="dpmpp_2m", steps=50)
for name in ("ddim", "dpmpp_2m"):
    off = abs(by_sampler[name] - finest).mean(axis=(1, 2, 3))
    print(
        f"{name:<9}", *(f"{steps} steps: {one:.3f}  " for steps, one in zip(STEPS, off, strict=True)), "from 50 steps"
    )
    assert off[-1] < off[0]
plot.image_rows(by_sampler, scale=2, column_labels=[f"{steps} steps" for steps in STEPS])

# %% [markdown]
# DDIM and DPM-Solver++ go to the same picture. DDPM draws fresh noise in each step, so it ends elsewhere, and needs many more.
# With 3 steps the first two have drawn a dull day, from 6 on a night with a moon: the words do not say which, and the first long
# step decided. From 12 on both have arrived, DPM-Solver++ a little nearer; DDPM is rough up to 12.
#
# **Guidance.** With 0 the words are not heard, with 1 they are heard as learned. A judge, a network that reads scenes and was
# trained apart (`scenes-judge`), says how much of each caption is there. The captions are of the test set.

# %%
judge = tinydiff.load("scenes-judge")
asked = [compose(i, split="test") for i in range(20)]
told = [describe(scene) for scene in asked]
of_real = scene_obedience(
    read_attributes(judge, load_scenes("test", 20).images), asked, [caption.named for caption in told]
)
assert of_real.mean > 0.9, "the judge can read"
SCALES, by_guidance, obeyed = (0.0, 1.0, 3.0, 7.0), {}, {}
for scale in SCALES:
    drawn = draw([caption.text for caption in told], guidance=scale, seed=2, steps=10)
    obeyed[scale] = scene_obedience(read_attributes(judge, drawn), asked, [caption.named for caption in told])
    by_guidance[f"guidance {scale:g}"] = drawn[:8]
    shares = {name: f"{share.value:.0%}" for name, share in obeyed[scale].attributes.items()}
    print(
        f"guidance {scale:g}: {obeyed[scale].mean:.0%} on average;",
        *(f"{name} {share}" for name, share in shares.items()),
    )
assert obeyed[3.0].mean > obeyed[0.0].mean + 0.15
assert obeyed[1.0].attributes["place"].value > obeyed[0.0].attributes["place"].value
contrast = [float(one.std(axis=(1, 2)).mean()) for one in by_guidance.values()]
print(
    "contrast:",
    np.round(contrast, 2),
    "real:",
    round(float(to_floats(load_scenes("test", 8).images).std(axis=(1, 2)).mean()), 2),
)
print(*(caption.text for caption in told[:8]), sep=" | ")
plot.image_rows(by_guidance, scale=2)

# %% [markdown]
# Most of it comes with scale 1, a little more with 3, and 7 obeys no better; what it costs is detail, for shapes become smooth
# and pictures of one caption alike. In pixels a strong guidance ends at black and white, where the clip is. In latents nothing
# holds it.
#
# **The decoder.** Here are the latents of four drawings, and four ways to look at them: the model's own decoder; the linear
# preview, as if 27 numbers were a decoder; the decoder with the channels in another order, a stranger to these latents; and its
# own, with noise of deviation 0.5 added to the latents.

# %%
request = Request(prompt=FOUR, seed=1, guidance=3.0)
z = last(model.chain(request, "dpmpp_2m", 12))
noisy = (z + 0.5 * rng.standard_normal(z.shape)).astype(np.float32)
looks = {
    "its own": autoencoder.decode(z),
    "27 numbers": preview.pictures(z).repeat(4, axis=1).repeat(4, axis=2),
    "a stranger": autoencoder.decode(z[..., ::-1].copy()),
    "noise, 0.5": autoencoder.decode(noisy),
}
assert np.allclose(looks["its own"], draw(FOUR), atol=0.01)
off = {name: float(abs(one - looks["its own"]).mean()) for name, one in looks.items()}
print({name: round(value, 2) for name, value in off.items()})
assert off["a stranger"] > 1.5 * off["noise, 0.5"]
plot.image_rows(looks, scale=2)

# %% [markdown]
# Latents mean something to one decoder only, as the library's checksum says, which every set of encoded latents carries.
#
# How much noise can be in the latents before anybody sees it? **Explore:** among levels that rise, find the last one for which
# the picture is still as near to that of clean latents as so many decibels say (30 is hard to tell by eye). Colours go from -1
# to 1, so the decibels are $10 \log_{10}(4 / \text{mean square})$.


# %%
def my_tolerance(decode, z, eps, levels, decibels):
    """Return the largest level for which z + level * eps is decoded well enough; 0 if there is none."""
    ### BEGIN SOLUTION
    found, clean = 0.0, decode(z)
    for level in levels:
        error = ((decode(z + level * eps) - clean) ** 2).mean()
        if 10 * np.log10(4 / error) >= decibels:
            found = level
    return found
    ### END SOLUTION


# %%
my_tolerance = exercises.TOLERANCE.check(my_tolerance)
real = autoencoder.encode(to_floats(load_scenes("test", 8).images))
levels = np.geomspace(0.01, 2, 16).astype(np.float32)
eps = rng.standard_normal(real.shape).astype(np.float32)
heard = my_tolerance(autoencoder.decode, real, eps, levels, 30.0)
_, log_variance = autoencoder.network.encode(to_floats(load_scenes("test", 8).images))
of_training = float((np.exp(log_variance / 2) / STD).mean())
ratio = (1 - model.diffusion.alpha_bar) ** 0.5 / model.diffusion.alpha_bar**0.5
print(f"noise of {heard:.2f} is not seen at 30 dB; the encoder's own noise was {of_training:.2f}")
print(f"z_t / a has so much noise at t = {int((ratio < heard).sum()) - 1}")
assert 0 < heard < 2
assert 10 * np.log10(4 / ((autoencoder.decode(real + heard * eps) - autoencoder.decode(real)) ** 2).mean()) >= 30

# %% [markdown]
# A decoder is used to noise: in its training each latent was drawn from a bell (Eq. VAE-1). So the UNet need not be exact to the
# last decimal, and what a chain would do below the t that was printed, nobody sees.
#
# ## Editing, in latents
#
# What notebook 25 did to pixels can be done to latents, and here the *encoder* has its work. **Image to image**: encode, noise up
# to a time, draw down with other words, decode.

# %%
TEXT, OTHER = "a red castle on a beach at sunset", "a blue castle on a snowy mountain at night"
original = draw(TEXT, n=1, seed=5)
STRENGTHS = (0.6, 0.8, 0.9, 1.0)
edited = [
    image_to_image(model, original, Request(prompt=OTHER, guidance=3.0), strength=s, sampler="ddim", steps=20)
    for s in STRENGTHS
]
change = [float(abs(one - original).mean()) for one in edited]
print("change:", np.round(change, 2))
assert change[0] < change[-1]
alpha_bar, z = model.diffusion.alpha_bar, autoencoder.encode(original)
below = [at for at in spaced_steps(1000, 20) if at <= 800]  # those of strength 0.8
begun = alpha_bar[below[0]] ** 0.5 * z + (1 - alpha_bar[below[0]]) ** 0.5 * Noise(0).normal(z.shape, "x_T")
by_hand = my_picture(*given[:3], begun, model.read(model.tokens([OTHER])), nothing, 3.0, [*below, 0], MEAN, STD)
assert np.allclose(by_hand, edited[1], atol=0.02)
assert np.allclose(edited[-1], draw(OTHER, n=1, seed=0, sampler="ddim", steps=20), atol=0.02)
plot.image_grid(
    np.concatenate([original, *edited]), columns=5, labels=["before", *(f"strength {s}" for s in STRENGTHS)]
)

# %% [markdown]
# With 0.6 the castle is still red. With 0.8 it is blue and higher up, and it is still evening: the time of day was decided first,
# as we saw, and a picture noised to t = 800 still tells it. With 0.9 it is night, nearly as with 1.0, which has forgotten the
# picture.
#
# **Filling in.** The user paints a mask over pixels, 1 where the picture stays. The chain needs a mask for latents.
#
# **Derive it yourself:** which latents may stay? A latent stands for `factor` x `factor` pixels. `mask` is (N, H, W, 1).


# %%
def my_mask(mask, factor):
    """Return the mask of the latents, (N, H / factor, W / factor, 1): 1 where they are known, 0 where not."""
    ### BEGIN SOLUTION
    n, height, width, _ = mask.shape
    return mask.reshape(n, height // factor, factor, width // factor, factor).min(axis=(2, 4))[..., None]
    ### END SOLUTION


# %%
my_mask = exercises.MASK.check(my_mask)
show_source(mask_of_x)
mask = np.ones((1, 64, 64, 1), np.float32)
mask[:, 4:27, 34:61] = 0
assert np.array_equal(mask_of_x(mask, original, autoencoder.encode(original)), my_mask(mask, autoencoder.factor))
filled = {"before": original, "known": original * mask}
for text in ("a red castle and a hot-air balloon on a beach at sunset", "a red castle on a beach, in the snow"):
    filled[text] = inpaint(model, original, mask, Request(prompt=text, guidance=3.0), steps=12, resample=3)
    assert np.array_equal(filled[text] * mask, original * mask), "what is known is kept to the bit"
    assert abs(filled[text] - original)[:, 4:27, 34:61].mean() > 0.01
plot.image_grid(
    np.concatenate(list(filled.values())), columns=4, labels=["before", "known", "and a balloon", "in the snow"]
)

# %% [markdown]
# The decoder paints the whole picture, and would change what is known a little, as far as it is no perfect copyist. So at the
# end the known pixels are put back, also those whose latent is not known whole.
#
# **A negative prompt** takes the place of *nothing* in the guidance, and **word maps** show to which word each position
# attends. A latent UNet looks at few, large places; each number is spread over the pixels that it stands for.

# %%
plain_words, negative = "a tree in a meadow", "night"
mine = my_picture(
    *given[:3],
    Noise(7).normal((1, *x_T.shape[1:]), "x_T"),
    model.read(model.tokens([plain_words])),
    model.read(model.tokens([negative])),
    3.0,
    times,
    MEAN,
    STD,
)
assert np.allclose(mine, draw(plain_words, n=1, seed=7, negative=negative, sampler="ddim"), atol=0.02)
against = {text: draw(plain_words, n=6, seed=7, negative=text) for text in ("day", "night")}
print({f"negative: {text}": round(float(one.mean()), 2) for text, one in against.items()})
assert against["night"].mean() > against["day"].mean()
plot.image_rows({f"negative: {text}": one for text, one in against.items()}, scale=2)

# %%
text = "a red castle on a beach at sunset"
shown = {}
for t, x_t, x_0_hat in model.chain(Request(n=1, seed=5, prompt=text, guidance=3.0), "dpmpp_2m", 12):
    if t > 0 and len(shown) < 3 and t < 900 - 300 * len(shown):
        looked_for, maps = zip(*word_maps(model, text, x_t, t), strict=True)
        shown[f"t = {t:.0f}"] = autoencoder.decode(x_0_hat)[0], np.stack(maps)
        tape = Tape()
        with tinydiff.plain():  # which keeps the weights of attention
            model.network.forward(x_t, np.full(1, t), model.tokens([text]), tape)
        weights = [entry.cache.weights[0] for entry in tape.entries if entry.owner.path.endswith("cross_attention")]
        finest = max(one.shape[1] for one in weights)
        mean = np.mean([one.mean(axis=0) for one in weights if one.shape[1] == finest], axis=0)  # (places, tokens)
        of_words = mean[:, 1 : 1 + len(model.tokenizer.encode(text))].sum(axis=1)
        assert np.allclose(sum(maps).ravel(), of_words, atol=1e-4), "the rest looks at the start and the ends"
print(f"{len(maps)} words, maps of {maps[0].shape[0]} x {maps[0].shape[1]} places")
plot.attention_maps(shown, looked_for, scale=2)

# %% [markdown]
# "Red" and "castle" are looked for where the castle stands, "beach" around it. "Sunset" has no place of its own: it is
# everywhere, and the vector of the whole text, which is added to that of the time, has told it already.
#
# ## A decoder against a detective
#
# Stable Diffusion's autoencoder has one more loss. Why? Here is a world where an autoencoder must fail: meadows, whose grass is
# chance, blade by blade. Pictures of 16 x 16 x 3 = 768 numbers become 4 x 4 x 2 = 32, and 32 numbers cannot say where each
# blade stands.


# %%
def meadows(n):
    """Return pictures of sky over grass; of the grass, every blade is chance."""
    rows = np.arange(16)[:, None, None]
    sky = np.array([0.1, 0.5, 0.95]) - rng.uniform(0, 0.3, (n, 1, 1, 1)) + 0 * rows
    blades = rng.standard_normal((n, 18, 16, 1))
    blades = (blades[:, :-2] + blades[:, 1:-1] + blades[:, 2:]) / 3**0.5  # each is three pixels tall
    grass = np.array([-0.4, 0.25, -0.5]) + 0.35 * blades * np.array([1, 1, 0.6])
    return to_images(np.where(rows > rng.uniform(3, 11, (n, 1, 1, 1)), grass, sky).astype(np.float32))


def contrast_of_blades(pictures):
    """Return how much pixels of the lowest rows, which are always grass, differ from their neighbours."""
    return float(abs(np.diff(pictures[:, 12:], axis=2)).mean())


meadow_data = Dataset(meadows(2000), np.zeros(2000, int), "meadows", "train", "this notebook")
unseen = to_floats(meadows(200))
shape = AutoencoderConfig(16, 3, channels=12, channel_mult=(1, 2, 2), latent_channels=2)
usual = {
    "batch": 8,
    "micro_batch": 8,
    "lr": 3e-3,
    "warmup": 30,
    "ema": 0.98,
    "kl": 1e-3,
    "edge": 0.0,
    "latent_images": 300,
}
run = Run(
    Reconstruct(
        LatentAutoencoder(Autoencoder(shape, np.random.default_rng(0)), threads=1),
        meadow_data,
        ReconstructConfig(steps=300, **usual),
    )
)
run.run(progress=False)
lawn = run.trained()
code = lawn.encode(unseen)
blurred = lawn.decode(code)
print(f"contrast of blades: real {contrast_of_blades(unseen):.2f}, drawn {contrast_of_blades(blurred):.2f}")
assert contrast_of_blades(blurred) < 0.5 * contrast_of_blades(unseen)
plot.image_rows({"meadows": unseen[:8], "32 numbers": blurred[:8]}, scale=4)

# %% [markdown]
# L1 paints the median of all meadows that have this code: a lawn of plastic. It is the best answer to the question that was
# asked, "how far is each pixel off?". But nobody would take it for a meadow. So ask another question: *can one tell it from
# data?* Ask it of a network, the *discriminator* D, which sees real pictures x and drawn ones $\hat x$, and learns to tell them
# apart. And let the decoder learn to deceive it. It is a game of two: the idea of generative adversarial networks.
#
# D answers with a *logit* for each patch of the picture, high for real, low for drawn. Its loss here is the hinge: every
# logit should be beyond a margin of 1, on its side, and what is beyond costs nothing. The decoder simply wants its logits
# to be high:
#
# $$L_D = \tfrac12 \left( \mathbb{E}_x \max(0, 1 - D(x)) + \mathbb{E}_{\hat x} \max(0, 1 + D(\hat x)) \right)
#   \quad \text{(Eq. GAN-HINGE-D)}, \qquad L_G = -\mathbb{E}_{\hat x} D(\hat x) \quad \text{(Eq. GAN-HINGE-G)}$$
#
# **Derive it yourself:** the gradients of both losses in the logits. There are n real ones and m drawn ones, and $\mathbb{E}$ is
# the mean over all of a kind.


# %%
def my_game(real, fake):
    """Return the gradients of L_D in real and in fake logits, and that of L_G in fake logits."""
    ### BEGIN SOLUTION
    d_real = -0.5 / real.size * (real < 1)
    d_fake = 0.5 / fake.size * (fake > -1)
    return d_real, d_fake, np.full(fake.shape, -1 / fake.size)
    ### END SOLUTION


# %%
my_game = exercises.GAME.check(my_game)

# %% [markdown]
# $$d_{D(x)} = -\frac{d_L}{2 n}\, 1[D(x) < 1], \quad d_{D(\hat x)} = \frac{d_L}{2 m}\, 1[D(\hat x) > -1]
#   \quad \text{(Eq. GAN-HINGE-D2)}, \qquad d_{D(\hat x)} = -\frac{d_L}{m} \quad \text{(Eq. GAN-HINGE-G2)}$$
#
# The generator has no margin: where D is sure that a patch is a fake, its own loss is flat, and the generator's is not. So the
# generator goes on learning where it needs it most.

# %%
show_source(F.hinge_discriminator, F.hinge_discriminator_backward, F.hinge_generator, F.hinge_generator_backward)
of_real, of_fake = 1.5 * rng.standard_normal((3, 4, 4, 1)) + 0.5, 1.5 * rng.standard_normal((2, 4, 4, 1)) - 0.5
loss, cache = F.hinge_discriminator(of_real, of_fake)
assert np.isclose(loss, (np.maximum(0, 1 - of_real).mean() + np.maximum(0, 1 + of_fake).mean()) / 2)
d_real, d_fake = F.hinge_discriminator_backward(1.7, cache)
loss, cache = F.hinge_generator(of_fake)
assert np.isclose(loss, -of_fake.mean())
(d_generator,) = F.hinge_generator_backward(1.7, cache)
for by_hand, theirs in zip(my_game(of_real, of_fake), (d_real, d_fake, d_generator), strict=True):
    assert np.allclose(1.7 * by_hand, theirs)

# %% [markdown]
# D itself is a small stack of convolutions that halve the picture, a *PatchGAN*: each logit sees a patch only, for where things
# are is what L1 looks after; D is there for texture. Between the convolutions stands a *leaky* ReLU, which lets a little
# through where x is negative:
#
# $$y = \max(x, 0) + s \min(x, 0) \quad \text{(Eq. LRELU-1)}, \qquad
#   d_x = d_y \left( 1[x > 0] + s\, 1[x \le 0] \right) \quad \text{(Eq. LRELU-2)}$$
#
# A plain ReLU (s = 0) sends no gradient back where it is off, and the gradient that comes back through D is all that the decoder
# hears from it.

# %%
show_source(F.leaky_relu, F.leaky_relu_backward, PatchDiscriminator.forward)
x, dy = np.array([-3.0, -0.5, 0.0, 0.7, 2.0]), np.array([1.0, 2.0, 3.0, 4.0, 5.0])
for s in (0.2, 0.05):
    y, cache = F.leaky_relu(x, s)
    assert np.allclose(y, np.maximum(x, 0) + s * np.minimum(x, 0))
    assert np.allclose(F.leaky_relu_backward(dy, cache)[0], dy * ((x > 0) + s * (x <= 0)))
detective = PatchDiscriminator(PatchDiscriminatorConfig(3, 16, layers=1), np.random.default_rng(5))
print(f"patches of {detective.config.patch} x {detective.config.patch}; logits {detective.forward(unseen[:2]).shape}")
assert detective.forward(unseen[:2]).shape == (2, 8, 8, 1)

# %% [markdown]
# How strongly should D pull? Its gradients have no natural size, and grow and shrink while it learns. So they are measured by
# those of the reconstruction, at the weights W of the decoder's last layer:
#
# $$\lambda = \min\left( \frac{\lVert \nabla_{W} L_\text{rec} \rVert}{\lVert \nabla_{W} L_G \rVert + 10^{-6}},\ 10^4 \right)
#   \quad \text{(Eq. GAN-WEIGHT)}, \qquad
#   L = L_\text{rec} + w_k L_\text{KL} + w_a \lambda L_G \quad \text{(Eq. VAE-6)}$$
#
# where $L_\text{rec}$ is L1, perhaps with edges and features ($\overline{\lvert \hat x - x \rvert} + w_e L_\text{edge} + w_p
# L_\text{perc}$, notebook 30). With $w_a = 0.5$ D pulls half as strongly as all the rest. Here is one step by hand, a batch of
# six in two parts, and the library's. The weight needs the whole batch: that is why each part *yields* what it knows, and waits.

# %%
show_source(F.adaptive_weight, Reconstruct.add_gradient_against_discriminator, Reconstruct.weigh)
d_one, d_other = rng.standard_normal((2, 3, 3, 4, 3))
weight = F.adaptive_weight(d_one, 0.2 * d_other)
assert np.isclose(weight, np.sqrt((d_one**2).sum()) / (0.2 * np.sqrt((d_other**2).sum()) + 1e-6))
assert F.adaptive_weight(d_one, 0 * d_other) == 1e4

config = ReconstructConfig(adversarial=0.5, **usual | {"batch": 6, "micro_batch": 4, "kl": 0.03})
lesson = Reconstruct(LatentAutoencoder(Autoencoder(shape)), meadow_data, config, discriminator=detective)
net = lesson.model.network
parts, of_losses = [], [Gradients(net.parameters()) for _ in range(2)]  # the gradients of L_rec and of L_G
loss_rec = loss_kl = loss_g = 0.0
for shard, n in ((0, 4), (1, 2)):
    x = to_floats(meadow_data.images[lesson.indices(0)[4 * shard : 4 * shard + n]])
    eps = lesson.noise(0, shard).normal((n, 4, 4, 2), "eps", dtype=np.float32)
    x_hat, mean, log_variance = net.forward(x, eps)
    tape = Tape()
    logits = detective.forward(x_hat, tape)
    d_rec = np.sign(x_hat - x) / x.size * np.float32(n / 6)
    d_g = detective.backward(np.full(logits.shape, -n / 6 / logits.size, np.float32), tape)
    for d, of_loss in zip((d_rec, d_g), of_losses, strict=True):
        tape = Tape()
        net.forward(x, eps, tape)
        net.decode_backward(d, tape, of_loss)
    kl = 0.5 * (mean**2 + np.exp(log_variance) - 1 - log_variance)
    loss_rec, loss_kl, loss_g = (
        loss_rec + n / 6 * abs(x_hat - x).mean(),
        loss_kl + n / 6 * kl.mean(),
        loss_g - n / 6 * logits.mean(),
    )
    parts.append((x, eps, d_rec, d_g, n / 6 * mean / mean.size, n / 12 * (np.exp(log_variance) - 1) / mean.size))
last_layer = f"{net.decoder.head.layers[-1].path}.weight"
of_rec, of_g = (np.linalg.norm(of_loss[last_layer]) for of_loss in of_losses)
lam = of_rec / (of_g + 1e-6)
expected = Gradients(net.parameters())
for x, eps, d_rec, d_g, d_mean, d_log_variance in parts:
    tape = Tape()
    net.forward(x, eps, tape)
    net.backward(
        *(d.astype(np.float32) for d in (d_rec + 0.5 * lam * d_g, 0.03 * d_mean, 0.03 * d_log_variance)), tape, expected
    )

grads = Gradients(net.parameters())
shards = [lesson.add_gradient_against_discriminator(0, shard, grads) for shard in (0, 1)]
total, weights = lesson.weigh(0, [next(shard) for shard in shards], grads)
for shard, weight in zip(shards, weights, strict=True):
    with suppress(StopIteration):  # a shard that has gone on is at its end
        shard.send(weight)
print(f"lambda {lam:.3g}; loss {loss_rec + 0.03 * loss_kl + 0.5 * lam * loss_g:.4f}, by the library {total:.4f}")
assert np.allclose(weights, 0.5 * lam, rtol=1e-3)
assert np.isclose(total, loss_rec + 0.03 * loss_kl + 0.5 * lam * loss_g, rtol=1e-3)
assert np.allclose(grads.flat, expected.flat, atol=1e-3 * abs(expected.flat).max())

# %% [markdown]
# In the other half of the step the autoencoder stands still, and D learns:

# %%
grads, expected = Gradients(detective.parameters()), Gradients(detective.parameters())
found = sum(lesson.add_gradient_of_discriminator(0, shard, grads) for shard in (0, 1))
for (x, eps, *_), n in zip(parts, (4, 2), strict=True):
    tapes = Tape(), Tape()
    logits = [detective.forward(one, tape) for one, tape in zip((x, net.forward(x, eps)[0]), tapes, strict=True)]
    found -= n / 12 * (np.maximum(0, 1 - logits[0]).mean() + np.maximum(0, 1 + logits[1]).mean())
    for d, tape in zip(my_game(*logits), tapes, strict=False):
        detective.backward((n / 6 * d).astype(np.float32), tape, expected)
assert abs(found) < 1e-5
assert np.allclose(grads.flat, expected.flat, atol=1e-3 * abs(expected.flat).max())

# %% [markdown]
# Now train the decoder on, against a detective, with its encoder standing still: so the latents stay what they are, and what
# has been trained on them, such as a diffusion model, need not be trained again. Beside it, the same time without a detective.
#
# **Predict, then run:** which one has the smaller error, and which one would you take for a meadow?

# %%
judged, log = {"meadows": unseen[:8], "before": blurred[:8]}, []
contrast, errors = {}, {}
for name, weight in (("250 steps more", 0.0), ("against D", 0.5)):
    again = Autoencoder(shape)
    again.theta[:] = lawn.network.theta
    against = (
        PatchDiscriminator(PatchDiscriminatorConfig(3, 16, layers=1), np.random.default_rng(5)) if weight else None
    )
    config = ReconstructConfig(steps=250, adversarial=weight, decoder_only=True, **usual)
    run = Run(Reconstruct(replace(lawn, network=again), meadow_data, config, discriminator=against), hooks=[log.append])
    run.run(progress=False)
    trained = run.trained()
    assert np.array_equal(trained.encode(unseen[:20]), code[:20]), "the latents are what they were"
    drawn = trained.decode(code)
    contrast[name], errors[name] = contrast_of_blades(drawn), float(abs(drawn - unseen).mean())
    judged[name] = drawn[:8]
    print(
        f"{name:<16}L1 {errors[name]:.3f}, contrast of blades {contrast[name]:.2f} (real {contrast_of_blades(unseen):.2f})"
    )
assert contrast["against D"] > 2 * contrast["250 steps more"]
assert errors["against D"] > errors["250 steps more"]
plot.image_rows(judged, scale=4)

# %% [markdown]
# None of these blades stands where it stood. The decoder has made them up, from whatever in the code is of no use otherwise, and
# that is what was asked of it: *it looks like grass*. By the error in pixels it got worse.
#
# So is fur in the pictures of Stable Diffusion, and hair, and gravel. Mind what follows. Such a decoder must not be used
# where a detail could be evidence: it shows what is likely, not what was there.
#
# ## Time for a picture
#
# At last, the whole: a picture takes N steps, each with two rows through the UNet, with words and without; then one decoding.
# Here one picture and four at a time. For 128 x 128 pixels take an autoencoder of factor 8 (its weights do not matter for the
# clock), and the same UNet.

# %%
N = 12
wide = Autoencoder(AutoencoderConfig(128, 3, channels=24, channel_mult=(1, 2, 4, 4), latent_channels=8))
print(f"{'':<28}{'one picture':>14}{'four, each':>14}")
for side, decode in ((64, autoencoder.network.decode), (128, wide.decode)):
    took = {}
    for name, at, channels in (("latents", 16, 8), ("pixels", side, 3)):
        unet, inputs = pixel_unet(at, channels)
        took[name] = []
        for n in (1, 4):
            rows = [map_arrays(lambda row, n=n: np.repeat(row, n, axis=0), one) for one in inputs]
            whole = 2 * N * seconds_of(unet.forward, *rows, tries=3 if name == "latents" else 1)
            if name == "latents":
                whole += seconds_of(decode, np.zeros((n, 16, 16, 8), np.float32))
            took[name].append(whole / n)
        print(f"{f'{side} x {side}, {name}':<28}{took[name][0]:>12.2f} s{took[name][1]:>12.2f} s")
    one, four = (pixels / latent for latent, pixels in zip(took["latents"], took["pixels"], strict=True))
    print(f"{'times as fast':<28}{one:>14.0f}{four:>14.0f}")

# %% [markdown]
# These are computed from one forward each. Compare the factors with those that were counted above: the clock's are mostly larger,
# since large arrays do not fit into the cache. (Nobody would use just this UNet on pixels. There would be more levels, and
# attention at the lowest of them alone; it would still be slow.) A training has the same factors.
#
# ## Summary
#
# 1. Convolutions cost by the number of positions, attention by its square. Latents are a sixteenth of the positions.
# 2. Tokenizer, text encoder, UNet, sampler and decoder draw; the encoder is for training and for editing.
# 3. Latents are standardised on the way in, never clipped, and their scale is undone before they are decoded.
# 4. Words settle early where things are. All edits of pictures work on latents; a mask keeps what is known whole.
# 5. A discriminator asks whether a picture can be told from data. It buys texture with error, and what it paints is made up.
#
# <details><summary>Why not take a still smaller latent?</summary>
#
# The UNet would be faster, and the decoder would have to make up more. At factor 8 with four channels, small faces and letters
# suffer; the decoder cannot paint what the code does not say, only what is likely. Where the balance lies, is measured: Rombach
# et al. found factors 4 to 8 best.
#
# </details>
#
# <details><summary>Could the text encoder be exchanged for another one?</summary>
#
# Not as it is. The UNet has learned to read the vectors of this one, as a decoder has learned its encoder's latents. With
# another one the cross-attention must be trained anew. Stable Diffusion 1 took one that was trained before, on pairs of
# pictures and texts (notebook 26), and kept it as it was.
#
# </details>
#
# <details><summary>Why does the discriminator not see the latents?</summary>
#
# It is to judge pictures: the texture that is missing there. Its patches are small, so that it judges nothing else. What a scene
# is, the diffusion model knows, and there no discriminator is needed.
#
# </details>
#
# **Next:** the other way to large pictures: [33 · Cascades](33_cascades.ipynb).
