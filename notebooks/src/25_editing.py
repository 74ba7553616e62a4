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
# # 25 · Editing
#
# **You will learn** to change pictures with a model that was trained to draw them: make one anew from other words, fill in
# a part, find the noise that draws a picture, walk between two, and teach the model one new word.
#
# **Prerequisites:** notebooks 02 (exact densities), 10 (DDIM), 22 and 23 (words). **Time:** 80 minutes with the exercises.
#
# **Papers:** Meng et al., *SDEdit* (2022), Algorithm 1; Lugmayr et al., *RePaint* (2022), Eq. 8; Nichol et al., *GLIDE*
# (2021), section 4.3; Song et al., *Denoising diffusion implicit models* (2021), section 4.3; Gal et al., *An image is
# worth one word* (2022), Eq. 2.

# %%
from dataclasses import replace
from itertools import pairwise

import numpy as np

from tinydiff import plot
from tinydiff.base import Condition, Noise
from tinydiff.course import show_source, slider
from tinydiff.course.exercises import notebook_25 as exercises
from tinydiff.data import load_data, to_floats, to_images
from tinydiff.data.avatars import compose, judge, render
from tinydiff.data.avatars.judge import words_of
from tinydiff.data.avatars.rendering import parts_of
from tinydiff.data.avatars.slots import LAYERS
from tinydiff.diffusion import Gaussian, GaussianDiffusion, GaussianMixture, cosine_schedule, ddim, last, spaced_steps
from tinydiff.diffusion.editing import ddim_inversion, erased, keep_known, repaint, slerp
from tinydiff.diffusion.times import step_pairs
from tinydiff.models import (
    DiffusionModel,
    ModelConfig,
    Request,
    draw_from,
    fill_in,
    image_to_image,
    inpaint,
    interpolate,
    invert,
    load,
)
from tinydiff.networks import UNetConfig
from tinydiff.nn import Gradients
from tinydiff.train import Denoise, DenoiseConfig, NewWordConfig, Run, learn_word
from tinydiff.train.objectives.new_word import NewWord, token_of

model = replace(load("avatars"), micro_batch=4)  # the portraits at hand are few

# %% [markdown]
# ## Four portraits
#
# They are put together from parts, so we know what they show. All have long, brown hair and a green shirt; faces differ
# by chance.


# %%
def dress(portraits, layer, part, colour=""):
    """Give all portraits a part, and a colour where it has one by name; no part takes it away."""
    i, slot_parts = LAYERS.index(layer), parts_of(layer)
    portraits.parts[:, i] = slot_parts.part_words.index(part)
    if colour:
        portraits.colours[:, i] = slot_parts.colour_words.index(colour)


portraits = compose(4, seed=2)
dress(portraits, "hair", "long", "brown")
dress(portraits, "clothing", "shirt", "green")
for layer in ("hat", "glasses", "beard"):
    dress(portraits, layer, "")
pictures = to_floats(render(portraits))
CAPTION = "a person with long brown hair and a green shirt"
plot.image_grid(pictures, columns=4, scale=12)


# %%
def hair_of(pictures):
    """Return the colour of the hair in each picture, as the judge of the data set finds it."""
    return words_of(judge(to_images(pictures)).portraits, "hair")[1]


assert (hair_of(pictures) == "brown").all()

# %% [markdown]
# ## Part of the way up, and down again
#
# A chain begins with noise and ends with a picture. It may also begin in the middle. SDEdit adds noise to a picture up to
# a time $t_0$, and lets the model take it away again, while it is told other words:
#
# $$x_{t_0} = a_{t_0}\, x_0 + b_{t_0}\, \epsilon, \qquad t_0 = \text{strength} \cdot T \qquad \text{(Eq. SDEDIT-1)}$$
#
# What the noise has covered, the model must make up, and it goes by the words. What still shows through, it keeps. Coarse
# things show through longest (notebook 01).
#
# **Predict, then run:** the model is told "long red hair". With little strength the hair will stay brown, with full
# strength the picture is a new one. Is there a strength between them at which the hair is red and the face the same?

# %%
RED = "a person with long red hair and a green shirt"
STRENGTHS = (0.2, 0.4, 0.6, 0.8, 1.0)
edited = {
    s: image_to_image(model, pictures, Request(prompt=RED, guidance=2.0), strength=s, steps=25) for s in STRENGTHS
}
plot.image_rows({"before": pictures} | {f"strength {s}": x for s, x in edited.items()}, scale=8)

# %%
change = {s: float(abs(x - pictures).mean()) for s, x in edited.items()}
for s in STRENGTHS:
    print(f"strength {s}: {np.mean(hair_of(edited[s]) == 'red'):.0%} have red hair; pixels change by {change[s]:.2f}")
assert np.array_equal(image_to_image(model, pictures, Request(prompt=RED), strength=0.0, steps=25), pictures)
assert np.array_equal(edited[1.0], last(model.chain(Request(n=4, prompt=RED, guidance=2.0), steps=25)))
assert change[0.2] < change[0.6] < change[1.0]
alpha_bar, eps = model.diffusion.alpha_bar, Noise(0).normal(pictures.shape, "x_T")
times = [t for t in spaced_steps(1000, 25) if t <= 400]  # strength 0.4: the steps of the whole chain up to 0.4 T
begun = alpha_bar[times[0]] ** 0.5 * pictures + (1 - alpha_bar[times[0]]) ** 0.5 * eps
predict = model.predictor(Request(n=4, prompt=RED, guidance=2.0))
by_hand = last(
    ddim(predict, model.diffusion, begun.astype(np.float32), times, context=model.read(model.tokens([RED] * 4)))
)
assert np.allclose(by_hand, edited[0.4], atol=0.01)

# %% [markdown]
# Strength 0 returns the picture, strength 1 draws from noise alone. At 0.4 the hair is red, and eyes and skin are still those
# of the portrait, but mouths have faded. From there on, the more the words count, the less stays: noise covers the hair
# and the face alike. To change the hair alone, we must say where it is.
#
# ## A part of the picture
#
# A *mask* says which pixels are known: m is 1 where the picture stays, 0 where it is to be drawn. The model was never
# trained for this. But a chain passes through noisy pictures, and how the known part looks in the noise of a time s, we can
# simply draw. RePaint takes the unknown part from the model and the known part from there:
#
# $$x_s = m \odot \left(a_s x_0 + b_s \epsilon\right) + (1 - m) \odot x_s^\text{DDPM} \qquad \text{(Eq. REPAINT-8)}$$
#
# Mind the time. The model's step went from t down to s; so both parts must be at s. (Equation 8a of the paper says $x_{t-1}$
# but takes $\bar\alpha_t$: a known part that is always one step late.)
#
# **Write it yourself:** the whole step from t to s. The model has guessed `x_0_hat` from `x_t`; the step of DDPM draws from
# the posterior of notebook 03, between t and s and with $\alpha = \bar\alpha_t / \bar\alpha_s$,
#
# $$x_s^\text{DDPM} = \frac{\sqrt{\bar\alpha_s}\, (1 - \alpha)}{1 - \bar\alpha_t}\, \hat x_0 +
#   \frac{\sqrt{\alpha}\, (1 - \bar\alpha_s)}{1 - \bar\alpha_t}\, x_t + \sqrt{\tilde\beta}\, \epsilon, \qquad
#   \tilde\beta = \frac{1 - \bar\alpha_s}{1 - \bar\alpha_t}\, (1 - \alpha) .$$
#
# Its noise is `eps`; the known part has a noise of its own, `eps_known`. `mask` is (N or 1, H, W, 1), the others
# (N, H, W, C). At the last step $\bar\alpha_s$ is 1, and the formulas hold as they are.


# %%
def my_join(x_t, x_0_hat, known, mask, eps, eps_known, alpha_bar_t, alpha_bar_s):
    """Return x_s: the known part as it looks at s, the unknown one from the model's step."""
    ### BEGIN SOLUTION
    alpha = alpha_bar_t / alpha_bar_s
    mean = alpha_bar_s**0.5 * (1 - alpha) * x_0_hat + alpha**0.5 * (1 - alpha_bar_s) * x_t
    variance = (1 - alpha_bar_s) / (1 - alpha_bar_t) * (1 - alpha)
    unknown_s = mean / (1 - alpha_bar_t) + variance**0.5 * eps
    known_s = alpha_bar_s**0.5 * known + (1 - alpha_bar_s) ** 0.5 * eps_known
    return mask * known_s + (1 - mask) * unknown_s
    ### END SOLUTION


# %%
my_join = exercises.JOIN.check(my_join)

# %% [markdown]
# How large is the mistake of one step? Take 20 steps, and measure how much noise the known part has at each time, made with
# the right $\bar\alpha$ and with that of one step before. The network expects b:

# %%
process = GaussianDiffusion(cosine_schedule(200))
known, eps = np.full((1, 4000), 0.8), np.random.default_rng(0).standard_normal((1, 4000))
nothing, everywhere = np.zeros((1, 4000)), np.ones((1, 4000))
pairs = [(t, s) for t, s in step_pairs(process, 20) if s > 0]
expected, right, late = [], [], []
for t, s in pairs:
    bar_t, bar_s = process.alpha_bar_at(t), process.alpha_bar_at(s)
    expected.append((1 - bar_s) ** 0.5)
    right.append(my_join(known, known, known, everywhere, nothing, eps, bar_t, bar_s).std())
    late.append(my_join(known, known, known, everywhere, nothing, eps, bar_t, bar_t * (1 - 1e-9)).std())
assert np.allclose(right, expected, rtol=0.05)
assert late[-1] > 1.5 * expected[-1]
plot.curves(
    np.array([s for _, s in pairs]),
    {"expected by the network": np.array(expected), "joined at s": np.array(right), "one step late": np.array(late)},
    "time s",
    "noise in the known part (standard deviation)",
)

# %% [markdown]
# Near the end, where fine things are drawn, the late one is twice as noisy as the network is told.
#
# There is another difficulty. The model's step did not know what it would be joined to, and the fresh noise of the known
# part changes nothing about that. RePaint's answer: go up again, from s to t, with fresh noise on the whole, and repeat the
# step. Each time the model sees both parts together, and mends them a little.

# %%
show_source(repaint)

# %% [markdown]
# Follow it from step to step, with a model that always guesses 0.3: what it yields must be our step, known part and
# unknown part, in mean and in spread. (Pictures of 20,000 numbers, the last quarter of which is unknown.)

# %%
TIMES, shape = [160, 90, 40], (2, 10_000)
mask = np.ones((1, 10_000))
mask[:, 7500:] = 0
guess_03 = lambda x_t, t, context=None: (0.3 + 0 * x_t, 0 * x_t)  # noqa: E731
for resample in (1, 3):
    x, drawn, before = Noise(1).normal(shape, "x_T", dtype=np.float64), np.random.default_rng(2), np.ones((2, 1))
    walk = repaint(guess_03, process, x, TIMES, np.full(shape, 0.8), mask, resample, Noise(3))
    for (t, s), (at, theirs, _) in zip([(160, 90), (90, 40), (40, 0)], walk, strict=True):
        bar_t, bar_s, mine = process.alpha_bar[t], process.alpha_bar[s], x
        for repeat in range(resample if s > 0 else 1):
            eps, eps_known, eps_up = drawn.standard_normal((3, *shape))
            if repeat:  # up again: the step of notebook 01, from s to t
                mine = (bar_t / bar_s) ** 0.5 * mine + (1 - bar_t / bar_s) ** 0.5 * eps_up
            mine = my_join(mine, 0.3 + 0 * x, 0.8 + 0 * x, mask, eps, eps_known, bar_t, bar_s)
        assert at == s
        for part in (slice(0, 7500), slice(7500, None)):
            assert abs(theirs[:, part].mean() - mine[:, part].mean()) < 0.05
            assert abs(theirs[:, part].std() - mine[:, part].std()) < 0.02
        noise = theirs[:, :7500] - bar_s**0.5 * 0.8  # what was added to the known part
        if s > 0 and before.shape == noise.shape:
            assert abs((noise * before).mean()) < 0.1 * noise.std() * before.std(), "each step has noise of its own"
        x, before = theirs, noise

# %% [markdown]
# Test it where the answer is known. Two numbers, each normal, with a correlation of 0.9. Let the first one be known to be 1.
# Then the second has the mean 0.9. The exact denoiser is the model:

# %%
data = Gaussian(process, np.zeros(2), np.array([[1.0, 0.9], [0.9, 1.0]]))
uneven, bar, x = np.array([[1.3, 0.5], [0.5, 0.4]]), process.alpha_bar[100], np.array([[0.4, -1.1], [2.0, 0.3]])
by_formula = bar**0.5 * x @ np.linalg.inv(bar * uneven + (1 - bar) * np.eye(2)) @ uneven
assert np.allclose(Gaussian(process, np.zeros(2), uneven).predict(x, np.array([100, 100]))[0], by_formula)
REPEATS, means = (1, 2, 4, 8, 16, 32), []
x_T, ones = np.random.default_rng(0).standard_normal((2000, 2)), np.ones((2000, 2))
for resample in REPEATS:
    x = last(repaint(data.predict, process, x_T, 20, ones, np.array([[1, 0]]), resample, Noise(0)))
    assert (x[:, 0] == 1).all()
    means.append(x[:, 1].mean())
assert means[0] < 0.8
assert abs(means[-1] - 0.9) < 0.06
plot.curves(
    np.array(REPEATS),
    {"mean of what is drawn": np.array(means), "exact": np.full(len(REPEATS), 0.9)},
    "times that each step is taken",
    "the second number, if the first is 1",
    log="x",
)

# %% [markdown]
# Taken once, what is drawn hardly fits what is known; repeated, it comes near the exact conditional mean. The price is as
# many calls of the network.
#
# Now the hair. Its pixels are those that change when it is taken away:

# %%
without = compose(4, seed=2)
for layer, part in (("clothing", "shirt"), ("hair", ""), ("hat", ""), ("glasses", ""), ("beard", "")):
    dress(without, layer, part, "green" if layer == "clothing" else "")
mask = (render(portraits) == render(without)).all(axis=-1, keepdims=True).astype(np.float32)
COLOURS = ("blond", "blue")
filled = {
    colour: inpaint(
        model, pictures, mask, Request(prompt=CAPTION.replace("brown", colour), guidance=2.0), steps=20, resample=4
    )
    for colour in COLOURS
}
plot.image_rows({"before": pictures, "known": pictures * mask} | filled, scale=8)

# %%
for colour, x in filled.items():
    assert np.array_equal(x * mask, pictures * mask), "what is known is kept to the bit"
    print(f"{colour}: {np.mean(hair_of(x) == colour):.0%}")
assert np.mean([np.mean(hair_of(x) == colour) for colour, x in filled.items()]) > 0.7

# %% [markdown]
# ## A network that was trained to fill in
#
# RePaint pays with repeated steps. GLIDE trains for it: the network sees, beside $x_t$, the mask and what is known of the
# picture, as further channels:
#
# $$\hat\epsilon\left(x_t, t, c, [m,\ m \odot x_0]\right) \qquad \text{(Eq. GLIDE-FILL)}$$
#
# In training, a random rectangle is erased in every picture, and sometimes all of it. Small digits are enough to see it:

# %%
show_source(erased)
digits, unseen = load_data("digits", "train"), load_data("digits", "test")
config = ModelConfig(UNetConfig(8, channels=16, channel_mult=(1, 2), blocks_per_level=1, image_channels=2))
filler = DiffusionModel(config.network(np.random.default_rng(0)), config, micro_batch=16)
run = Run(Denoise(filler, digits, DenoiseConfig(steps=600, batch=32, lr=3e-3, ema=0.99)), processes=False)
run.run(progress=False)
filler = run.trained()

# %% [markdown]
# Give it the upper halves of digits that it has never seen. On the way down we need not ask the network about what we
# know: its guess $\hat x_0$ is replaced there by the picture. At a soft edge, where m lies between 0 and 1, it becomes
# m times what is known and 1 - m times the guess.
#
# **Find the fault:** the function returns the new guess and the noise. A sampler that uses both draws grey rims at the
# mask. Picture and noise must always make $x_t = \sqrt{\bar\alpha_t}\, \hat x_0 + \sqrt{1 - \bar\alpha_t}\,
# \hat\epsilon$. Do they? Mend one line.


# %%
def my_keeping(x_t, x_0_hat, eps_hat, known, mask, alpha_bar_t):
    """Return x_0 and eps: the network's, with what is known in its place."""
    x_0 = mask * known + (1 - mask) * x_0_hat
    ### BEGIN SOLUTION
    eps = (x_t - alpha_bar_t**0.5 * x_0) / (1 - alpha_bar_t) ** 0.5
    ### INSTEAD
    eps = eps_hat
    ### END SOLUTION
    return x_0, eps


# %%
guess_rng, bar = np.random.default_rng(3), 0.36
x_t, guessed, picture = guess_rng.standard_normal((3, 2, 4, 5, 1))
belongs, half = (x_t - bar**0.5 * guessed) / (1 - bar) ** 0.5, np.ones((1, 4, 5, 1))
half[:, 1], half[:, 2:] = 0.3, 0.0
x_0, eps = my_keeping(x_t, guessed, belongs, picture, half, bar)
print(
    "picture and noise miss x_t, in each row, by",
    abs(bar**0.5 * x_0 + (1 - bar) ** 0.5 * eps - x_t).max(axis=(0, 2, 3)),
)

# %%
my_keeping = exercises.KEEP.check(my_keeping)

# %% [markdown]
# If the guess is replaced, the noise follows from it:
#
# $$\hat x_0 \leftarrow m \odot x_0 + (1 - m) \odot \hat x_0, \qquad \hat\epsilon \leftarrow \frac{x_t - a\, \hat x_0}{b}
#   \qquad \text{(Eq. KNOWN-1)}$$
#
# Every sampler ends with $\hat x_0$, so what is known is kept to the bit.

# %%
show_source(keep_known)
one_step = GaussianDiffusion(np.array([1.0, 0.8, bar]))
kept = keep_known(lambda x, t, context: (guessed, belongs), one_step, picture, half)(x_t, np.array([2, 2]))
assert np.allclose(kept, my_keeping(x_t, guessed, belongs, picture, half, bar))
seen_of = erased(picture, half)
assert np.array_equal(
    seen_of, np.concatenate([np.broadcast_to(half == 1, picture.shape), (half == 1) * picture], axis=-1)
)
x_0, _ = unseen.batch(np.arange(8))
upper = np.zeros((1, 8, 8, 1), np.float32)
upper[:, :4] = 1
shown = erased(x_0, upper)
assert np.array_equal(shown[:, :4, :, 1:], x_0[:, :4])
assert not shown[:, 4:].any()
halves = {f"drawn, seed {seed}": fill_in(filler, x_0, upper, Request(seed=seed), steps=20) for seed in range(3)}
assert all(np.array_equal(x[:, :4], x_0[:, :4]) for x in halves.values())
predict = keep_known(filler.predict, filler.diffusion, x_0, upper)
x_0_hat, _ = predict(np.random.default_rng(0).standard_normal(x_0.shape).astype(np.float32), np.full(8, 900))
assert np.array_equal(x_0_hat[:, :4], x_0[:, :4])
plot.image_rows({"the digit": x_0, "what it sees": shown[..., 1:]} | halves, scale=8)

# %% [markdown]
# Does it go by what it sees? Compare the lower halves that it draws with the true ones, and do the same for digits drawn
# with nothing known:

# %%
x_0, _ = unseen.batch(np.arange(200))
error = abs(fill_in(filler, x_0, upper, steps=20) - x_0)[:, 4:].mean()
blind = abs(fill_in(filler, x_0, 0 * upper, steps=20) - x_0)[:, 4:].mean()
print(f"mean difference to the true lower half: {error:.2f} where the upper one is known, {blind:.2f} where not")
assert error < 0.93 * blind

# %% [markdown]
# It is far from 0: the same upper half may belong to a 3, a 5 or a 9, and each draw chooses one.
#
# ## The noise behind a picture
#
# With $\eta = 0$ DDIM draws from each noise one picture. Which noise draws a given picture? A DDIM step goes from t down to
# s with the prediction at t. Going up, we are at s, and do not know the prediction at t yet. Take that at s for it:
#
# $$x_t = a_t\, \hat x_0(x_s, s) + b_t\, \hat\epsilon(x_s, s) \qquad \text{(Eq. DDIM-INV)}$$
#
# Up and down again leads back only nearly. **Explore:** how nearly? Write the round trip, and then measure its error as the
# steps become many. `times` fall from T to the smallest, which is not 0: the path down ends with a step from there to 0,
# and the path up begins with it. At 0 there is no noise to predict, so this first step predicts at the smallest time.
# `predict(x, t)` returns $\hat x_0$ and $\hat\epsilon$, t a whole number; `alpha_bar` is an array.


# %%
def my_round_trip(predict, alpha_bar, x_0, times):
    """Return x_T, and the picture that is drawn from it."""

    ### BEGIN SOLUTION
    def moved(x, at, to):
        x_0_hat, eps_hat = predict(x, at)
        return alpha_bar[to] ** 0.5 * x_0_hat + (1 - alpha_bar[to]) ** 0.5 * eps_hat

    pairs = [*pairwise(times), (times[-1], 0)]
    x = x_0
    for t, s in reversed(pairs):
        x = moved(x, s if s > 0 else t, t)
    x_T = x
    for t, s in pairs:
        x = moved(x, t, s)
    return x_T, x
    ### END SOLUTION


# %%
my_round_trip = exercises.TRIP.check(my_round_trip)

# %% [markdown]
# Here on a mixture of two Gaussians, whose exact predictions are known. The predictions of a step differ by its length,
# 1/N; what does the error of the round trip do?

# %%
show_source(ddim_inversion)
mixture = GaussianMixture(process, [0.4, 0.6], np.array([[-1.0, 0.3], [0.8, -0.5]]), [0.2, 0.3])
points, NUMBERS, errors = 0.7 * np.random.default_rng(0).standard_normal((500, 2)), np.array([12, 25, 50, 100, 200]), []
for n in NUMBERS:
    times = [int(t) for t in np.linspace(200, 1, n)]
    x_T, back = my_round_trip(lambda x, t: mixture.predict(x, np.full(len(x), t)), process.alpha_bar, points, times)
    errors.append(abs(back - points).mean())
    *_, (_, theirs) = ddim_inversion(mixture.predict, process, points, times)
    assert np.allclose(theirs, x_T)
slope = np.polyfit(np.log(NUMBERS), np.log(errors), 1)[0]
print(f"slope on logarithmic axes: {slope:.2f}")
assert abs(slope + 1) < 0.2
plot.curves(
    NUMBERS,
    {"round trip": np.array(errors), "proportional to 1/N": errors[-1] * 200 / NUMBERS},
    "steps N",
    "error",
    log="xy",
)

# %% [markdown]
# The same with the portraits, under their caption:

# %%
asked = {"prompt": CAPTION}
trips = {}
for n in (10, 20, 40, 80):
    x_T = invert(model, pictures, Request(**asked), steps=n)
    trips[n] = draw_from(model, x_T, Request(**asked), steps=n)
    print(f"{n} steps: round trip error {abs(trips[n] - pictures).mean():.3f}; noise with deviation {x_T.std():.2f}")
errors = [abs(x - pictures).mean() for x in trips.values()]
assert errors[0] > errors[1] > errors[3]
read = model.read(model.tokens([CAPTION] * 4))
of_network = model.predictor(Request(n=4, prompt=CAPTION))
mine = my_round_trip(
    lambda x, t: of_network(x.astype(np.float32), np.full(4, t), read), alpha_bar, pictures, spaced_steps(1000, 10)
)
assert np.allclose(mine[0], invert(model, pictures, Request(**asked), steps=10), atol=0.01)
assert np.allclose(mine[1], trips[10], atol=0.01)
*_, (_, of_context) = ddim_inversion(of_network, model.diffusion, pictures, spaced_steps(1000, 10), read)
assert np.allclose(mine[0], of_context, atol=0.01)
plot.image_rows({"before": pictures, "noise": x_T} | {f"back, {n} steps": x for n, x in trips.items()}, scale=8)

# %% [markdown]
# Twice the steps, half the error, here too. But look at the noise: its deviation is far below 1, and the portrait shows in
# it. Flat areas, such as the white ground, are drawn from many noises alike, and the way up finds one in their middle.
# Guidance would add to the error: it exaggerates the difference of two predictions. So invert without.
#
# ## From one noise to another
#
# What lies between two pictures? Take what lies between their noises. But not on the straight line: noise of many numbers
# has nearly always the same length, $\sqrt{D}$, so all of it lies on a sphere, and the straight line leads through its
# inside, where no noise ever is. Take the arc, the shortest way on the sphere.
#
# **Derive it yourself:** a and b are (N, ...), and sample by sample they are equally long. What lies at the share w of the
# arc, that is, in the plane of a and b, as long as they are, and turned from a towards b by w times their angle $\omega$?
# Each of the N samples has an angle of its own, between 0 and $\pi$; its cosine is the inner product divided by both
# lengths. (Draw the plane. Seek weights $w_a$ and $w_b$ of a and b; there is a triangle.)


# %%
def my_slerp(a, b, w):
    """Return what lies at the share w, a number from 0 to 1, of the arc from a to b."""
    ### BEGIN SOLUTION
    axes = tuple(range(1, a.ndim))
    inner, lengths = (a * b).sum(axis=axes, keepdims=True), (a * a).sum(axis=axes, keepdims=True)
    angle = np.arccos(inner / (lengths * (b * b).sum(axis=axes, keepdims=True)) ** 0.5)
    return (np.sin((1 - w) * angle) * a + np.sin(w * angle) * b) / np.sin(angle)
    ### END SOLUTION


# %%
my_slerp = exercises.SLERP.check(my_slerp)

# %% [markdown]
# The law of sines gives the weights:
#
# $$\frac{\sin((1 - w)\, \omega)}{\sin \omega}\, a + \frac{\sin(w\, \omega)}{\sin \omega}\, b, \qquad
#   \cos \omega = \frac{\langle a, b \rangle}{\lVert a \rVert\, \lVert b \rVert} \qquad \text{(Eq. SLERP-1)}$$
#
# The same for noises whose lengths differ a little:

# %%
first, second = np.random.default_rng(4).standard_normal((2, 1, 16, 16, 3)).astype(np.float32)
SHARES = np.linspace(0, 1, 7)
arc = np.concatenate([slerp(first, second, w) for w in SHARES])
line = np.concatenate([(1 - w) * first + w * second for w in SHARES]).astype(np.float32)
assert np.allclose(arc, np.concatenate([my_slerp(first, second, w) for w in SHARES]), atol=1e-5)
both, turned = np.concatenate([first, second]), np.concatenate([second, -first[:, ::-1]])
inner, squares = (both * turned).sum(axis=(1, 2, 3)), [(x * x).sum(axis=(1, 2, 3)) for x in (both, turned)]
omega = np.arccos(inner / np.sqrt(squares[0] * squares[1]))[:, None, None, None]  # two samples, two angles
by_formula = (np.sin(0.7 * omega) * both + np.sin(0.3 * omega) * turned) / np.sin(omega)
assert np.allclose(slerp(both, turned, 0.3), by_formula, atol=1e-5)
assert np.allclose(arc.std(axis=(1, 2, 3)), 1, atol=0.05)
assert line[3].std() < 0.75
plot.image_rows(
    {
        name: draw_from(model, x_T, Request(prompt=CAPTION), steps=25)
        for name, x_T in (("along the arc", arc), ("straight", line))
    },
    scale=8,
    column_labels=[f"w = {w:.2f}" for w in SHARES],
)

# %% [markdown]
# Half-way along the straight line the noise has only 0.7 of its length. The network takes weak noise for flat areas, and
# paints plainer than it should: shirts lose their patterns, colours and mouths fade. Along the arc colours and shirts stay
# strong; still not every picture on it is a good one, for eyes may go.
#
# ## From one prompt to another
#
# A text has no half-way, but what the network looks at has: the vectors that the text encoder made. With the noise of a
# portrait, found by inversion, and with vectors between those of two prompts, the words change while the person stays
# (`interpolate` does both):

# %%
OTHER = "a person with short blue hair and a yellow shirt"
x_T = invert(model, pictures[:2], Request(prompt=CAPTION), steps=40)
walks = {f"portrait {i + 1}": interpolate(model, (x_T[[i]], x_T[[i]]), (CAPTION, OTHER), 7, steps=40) for i in range(2)}
assert all(abs(walk[0] - pictures[i]).mean() < 0.15 for i, walk in enumerate(walks.values()))
one, other = (model.read(model.tokens([text])) for text in (CAPTION, OTHER))
for step in (2, 6):
    between = Condition(tokens=(1 - step / 6) * one.tokens + step / 6 * other.tokens)  # vectors on the straight line
    if one.pooled is not None:
        between = between._replace(pooled=(1 - step / 6) * one.pooled + step / 6 * other.pooled)
    mixed = draw_from(model, x_T[[0]], Request(prompt=between), steps=40)
    assert np.allclose(walks["portrait 1"][[step]], mixed, atol=0.02)
plot.image_rows(walks, scale=8, column_labels=[CAPTION[14:24], *[""] * 5, OTHER[14:24]])

# %%
slider(lambda step: plot.image_grid(walks["portrait 1"][[step]], columns=1, scale=16), range(7), "step", start=3)

# %% [markdown]
# ## One new word
#
# Some things have no name. Here is a club whose members wear a purple beanie and sunglasses. Let us call that look "*".
# The sign is a token (every byte is one), but no caption has it, so its row in the table of the text encoder says nothing
# yet.

# %%
members = compose(8, seed=5)
for layer, part, colour in (("hat", "beanie", "purple"), ("glasses", "sunglasses", ""), ("beard", "", "")):
    dress(members, layer, part, colour)
club = to_floats(render(members))
plot.image_grid(club, columns=8, scale=8)

# %% [markdown]
# *Textual inversion* learns this row, and nothing else: 64 numbers out of four million. The loss is that of training; its
# gradient goes back through the UNet, through cross-attention into the text encoder, and down to the one row. The search
# begins at the row of a word that goes in the right direction, "sunglasses".
#
# $$E_* = \arg\min_{E_*}\ \mathbb{E}_{t, x_0, \epsilon} \lVert v - v_\theta(x_t, t, c(E_*)) \rVert^2
#   \qquad \text{(Eq. TI-2)}$$

# %%
log = []
WORDS = ["a person with *", "a portrait of a person with *", "a person who wears *", "*"]
knows = learn_word(model, club, WORDS, like="sunglasses", config=NewWordConfig(steps=160, lr=0.1), log=log.append)
table, learned = (m.network.text.token.table.value for m in (model, knows))
changed = np.flatnonzero((table != learned).any(axis=1))
assert list(changed) == [token_of(model, "*")]
assert (model.network.theta != knows.network.theta).sum() <= table.shape[1]
plot.loss_curve(log)

# %% [markdown]
# Is the gradient that reaches the row right? One step's loss, with the row moved a little to both sides:

# %%
lesson = NewWord(model, club, WORDS, like="sunglasses", config=NewWordConfig(batch=2))
row, h = lesson.network.vector.value, np.float32(0.05)
assert np.array_equal(row, table[token_of(model, "sunglasses")]), "it begins at the row of the word that is named"
grads = Gradients(lesson.network.parameters())
lesson.add_gradient(3, 0, grads)
way, ends = grads["vector"] / np.linalg.norm(grads["vector"]), []  # where it is steepest
for step in (h, -h):
    lesson.table.value[lesson.row] = table[token_of(model, "sunglasses")] + step * way
    ends.append(float(lesson.add_gradient(3, 0, Gradients(lesson.network.parameters()))))
measured, by_gradient = (ends[0] - ends[1]) / 0.1, float(grads["vector"] @ way)
print(f"slope by the gradient {by_gradient:.3g}, measured {measured:.3g}")
assert np.isclose(by_gradient, measured, rtol=0.02)
turned = NewWord(model, np.concatenate([club[:1], -club[1:]]), WORDS, config=NewWordConfig(batch=2))
turned.table.value[turned.row] = lesson.table.value[lesson.row] = row
losses = [
    [float(one.add_gradient(step, 0, Gradients(one.network.parameters()))) for one in (lesson, turned)]
    for step in range(4)
]
assert any(abs(a - b) > 0.01 for a, b in losses), "other pictures than the first count, too"


# %%
def share_of_club(pictures):
    """Return how often pictures show the beanie, its colour, and the sunglasses."""
    found = judge(to_images(pictures)).portraits
    (hat, colour), (glasses, _) = words_of(found, "hat"), words_of(found, "glasses")
    return {
        "beanie": np.mean(hat == "beanie"),
        "purple": np.mean(colour == "purple"),
        "sunglasses": np.mean(glasses == "sunglasses"),
    }


drawn = {
    "before": last(model.chain(Request(n=8, seed=1, prompt="a person with *", guidance=2.0), steps=25)),
    "with the new word": last(knows.chain(Request(n=8, seed=1, prompt="a person with *", guidance=2.0), steps=25)),
    "* and blond hair": last(
        knows.chain(Request(n=8, seed=1, prompt="a person with * and short blond hair", guidance=2.0), steps=25)
    ),
}
for name, x in drawn.items():
    print(name, *(f"{part} {share:.0%}" for part, share in share_of_club(x).items()), sep=", ")
before, after = (np.mean(list(share_of_club(drawn[name]).values())) for name in ("before", "with the new word"))
assert after > before + 0.3
plot.image_rows(drawn, scale=8)

# %% [markdown]
# Alone, the word says much of what it should. In a sentence with another it does not: asked for blond hair as well, the
# network draws blond hair, and little or nothing of the club. Such a row says something where it was learned, between "a
# person with" and the end, and nothing made it give way to others. (Longer training with more sentences helps.) And one row
# has little room: how much of a look it takes up depends on where the search begins and on how long it lasts. The shape of
# the beanie comes before its colour.
#
# ## Summary
#
# 1. A picture can be noised part of the way and drawn anew; the strength trades the words against the picture.
# 2. With a mask, the known part is drawn in the noise of the time at which it is joined; repeated steps make both parts fit.
# 3. A network that sees mask and picture as further channels learns to fill in, and keeps what is known at every step.
# 4. DDIM's steps can be walked upwards; the way up and down again misses by O(1/N).
# 5. Between two noises go along an arc, between two prompts through their vectors; a new word is one row of a table.
#
# <details><summary>Why does RePaint draw the noise of the known part anew at every step?</summary>
#
# At each time the known part must look like a noisy picture with noise of that time, independent of the model's. Only its
# distribution matters, and fresh noise has the right one. Old noise would do as well, if it were as strong; but when a step
# is repeated, fresh noise is what lets the unknown part move.
#
# </details>
#
# <details><summary>Why not replace the known part in SDEdit as well?</summary>
#
# One can, and then it is RePaint started part of the way: with a mask *and* a strength below 1, the unknown part is
# changed and not drawn from nothing.
#
# </details>
#
# <details><summary>Could textual inversion learn a face?</summary>
#
# It finds the row that explains the pictures best, among all that the frozen network can draw. What the network cannot
# draw, no word can ask for.
#
# </details>
#
# **Next:** one network that knows how well a picture and a text go together: [26 · CLIP](26_clip.ipynb).
