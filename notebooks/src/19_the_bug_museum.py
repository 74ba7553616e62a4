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
# # 19 · The bug museum
#
# **You will learn** what the known mistakes of diffusion code do to a picture, how to tell from the picture where to look, and
# which test would have caught each of them; and why a figure of samples needs its number of images, and an interval.
#
# **Prerequisites:** notebooks 09 (training), 10 (DDIM) and 21 (guidance); 25 for one exhibit. **Time:** 30 minutes to read and
# run; 70 minutes with the six exercises.
#
# **Papers:** the exhibits come from issue threads of public code. For the figures of merit: Binkowski et al., *Demystifying MMD
# GANs* (2018), section 4.1 (here KID-1); Chong and Forsyth, *Effectively unbiased FID and Inception score* (2020; FD-2); Naeem
# et al., *Reliable fidelity and diversity metrics* (2020), Eq. 4 and 5 (DC-1); Tukey (1958), for the jackknife (JACK-1).

# %%
from dataclasses import replace
from functools import partial

import numpy as np

import tinydiff
from tinydiff import plot
from tinydiff.base import InputError, Noise
from tinydiff.course import museum_label, show_source, slider, what_now
from tinydiff.course.exercises import notebook_19 as exercises
from tinydiff.course.museum import SYMPTOMS
from tinydiff.data import load_data
from tinydiff.diffusion import (
    FiniteData,
    GaussianDiffusion,
    GaussianMixture,
    classifier_free_guidance,
    cosine_schedule,
    ddim,
    ddpm,
    last,
    spaced_steps,
)
from tinydiff.diffusion.editing import repaint
from tinydiff.evaluate import (
    density_and_coverage,
    feature_metrics,
    frechet_distance_of,
    frechet_infinity,
    kernel_distance,
    nearest_neighbours,
)
from tinydiff.evaluate.intervals import jackknife
from tinydiff.functional import timestep_embedding
from tinydiff.networks import UNet
from tinydiff.train import ema_decay

model = tinydiff.load("mnist")
alpha_bar = model.diffusion.alpha_bar
labels = np.array([2, 3, 5, 8, 0])
x_T = Noise(3).normal((5, 28, 28, 1), "x_T")
fresh = [Noise(4).at(step=k).normal(x_T.shape, "sampler", dtype=x_T.dtype) for k in range(10)]
times = spaced_steps(1000, 10, "linspace")
print(times)

# %% [markdown]
# ## A sampler with switches
#
# A test that freezes what the code gave on its first day would have kept every mistake in this notebook. So each exhibit is a
# *switch* in a small sampler that stands here, in the notebook, and not in the library. It is DDIM (notebook 10), with the
# shipped network, and ten steps; `bug` names the one line that is wrong.


# %%
def draw(bug="", eta=0.0, network=model, context=labels):
    """Return five digits; `bug` says which line is wrong, and eta how much of the noise is fresh."""
    x = x_T
    for k, t in enumerate(times):
        s = times[k + 1] if k + 1 < len(times) else 0
        if bug == "stride":
            s = max(t - 1000 // len(times), 0)
        a_t, a_s = alpha_bar[t], alpha_bar[s]
        if bug == "index":
            a_s = alpha_bar[1:][s - 1]  # a table without the entry of clean data; for s = 0 this is entry -1
        if bug == "no square":
            a_t, a_s = a_t**0.5, a_s**0.5
        told = np.full(len(x), float(t))
        if bug == "0 to 1":
            told = told / 1000
        if bug == "slot":
            told = told * (1 + np.arange(len(x))) / len(x)
        x_0_hat, eps_hat = network.predict(x, told, context)
        if bug == "no square":
            v = alpha_bar[t] ** 0.5 * eps_hat - (1 - alpha_bar[t]) ** 0.5 * x_0_hat  # what the network said
            x_0_hat, eps_hat = a_t**0.5 * x - (1 - a_t) ** 0.5 * v, (1 - a_t) ** 0.5 * x + a_t**0.5 * v
        sigma = max(eta**2 * (1 - a_s) / (1 - a_t) * (1 - a_t / a_s), 0) ** 0.5
        if bug == "last noise":
            sigma = eta * (1 - a_t / a_s) ** 0.5
        old = max(1 - a_s - sigma**2, 0) ** 0.5
        if bug == "on top":
            old = (1 - a_s) ** 0.5
        x = (a_s**0.5 * x_0_hat + old * eps_hat + sigma * fresh[k]).astype(np.float32)
    return x


right, with_noise = draw(), draw(eta=1.0)
assert np.allclose(right, last(ddim(model.predict, model.diffusion, x_T, times, context=labels)), atol=1e-3)
library = last(ddim(model.predict, model.diffusion, x_T, times, 1.0, Noise(4), labels))
assert np.allclose(with_noise, library, atol=1e-3), "without a bug, the small sampler is the library's"
plot.image_rows({"eta = 0": right, "eta = 1": with_noise}, title="without a bug", column_labels=labels)

# %% [markdown]
# ## First hall: the step
#
# **Predict, then run:** four mistakes in one line each. (2) Fresh noise of variance $\beta$ at every step, the last included.
# (4) The step before t is found by a stride, $s = t - 1000 / 10$, but these times have gaps of 111. (5) The table of
# $\bar\alpha$ begins with t = 1, and is asked for $\bar\alpha_s$ at `s - 1`. (6) Fresh noise comes on top of all the old noise.
# Which one spoils everything, which one only a little, and which can you not see with other times?

# %%
first_hall = {
    "right": right,
    "2: last noise": draw("last noise", eta=1.0),
    "4: stride": draw("stride"),
    "5: index": draw("index"),
    "6: on top": draw("on top", eta=1.0),
}


def grain(x):
    """Return the mean difference between a pixel in the corner, where digits are black, and black."""
    return abs(x[:, :3, :3] + 1).mean()


for name, x in first_hall.items():
    print(f"{name:<16} far from black in the corner: {grain(x):.3f}")
for number in (2, 4, 5, 6):
    print(museum_label(number))
assert grain(right) < 0.02
assert all(grain(x) > 0.04 for name, x in first_hall.items() if name != "right")
plot.image_rows(first_hall, title="the step", column_labels=labels)

# %% [markdown]
# The worst is 5, and its chain looks perfect until the last step: entry -1 of a Python list is its other end, here
# $\bar\alpha_{1000} \approx 0$, and the finished digit becomes noise. With times of equal gaps, 1000, 900, .. 100, the stride
# of 4 would be right: that is how it lived for years in much used code.
#
# How large is the damage of 6? Given $x_0$, the noise in $x_s$ should have the variance $1 - \bar\alpha_s$. Eq. DDIM-16 says how
# much of it is fresh, $\sigma^2 = \eta^2 \frac{1 - \bar\alpha_s}{1 - \bar\alpha_t} (1 - \frac{\bar\alpha_t}{\bar\alpha_s})$.
#
# **Derive it yourself:** the variance of $x_s$, given $x_0$, after one step with the bug: the old noise keeps the size
# $\sqrt{1 - \bar\alpha_s}$, and $\sigma z$ is added.


# %%
def variance_on_top(alpha_bar_s, alpha_bar_t, eta):
    """Return the variance of x_s given x_0, if fresh noise comes on top of all the old noise."""
    ### BEGIN SOLUTION
    sigma_squared = eta**2 * (1 - alpha_bar_s) / (1 - alpha_bar_t) * (1 - alpha_bar_t / alpha_bar_s)
    return 1 - alpha_bar_s + sigma_squared
    ### END SOLUTION


# %%
variance_on_top = exercises.LOUD.check(variance_on_top)

a_t, a_s, n = alpha_bar[600], alpha_bar[400], 100_000
x_600 = a_t**0.5 * 0.6 + (1 - a_t) ** 0.5 * Noise(0).normal((n, 1), "eps", dtype=np.float64)
point = FiniteData(model.diffusion, np.array([[0.6]]))  # the exact denoiser of one number
_, x_400, _ = next(ddim(point.predict, model.diffusion, x_600, [600], 1.0, Noise(1), end=400))
sigma_squared = (1 - a_s) / (1 - a_t) * (1 - a_t / a_s)
print(
    f"variance at s: the library's {x_400.var():.4f}, wanted {1 - a_s:.4f}, with the bug {variance_on_top(a_s, a_t, 1):.4f}"
)
assert abs(x_400.var() - (1 - a_s)) < 5 * (1 - a_s) * (2 / n) ** 0.5  # five standard errors
assert abs(variance_on_top(a_s, a_t, 1.0) - (1 - a_s)) > 20 * (1 - a_s) * (2 / n) ** 0.5
assert np.isclose(variance_on_top(a_s, a_t, 1.0), 1 - a_s + sigma_squared)

# %% [markdown]
# That is the test of pitfall 6: an exact denoiser, whose marginal is known after *every* step. And of 5 and 4: for a single
# point the end must be that point to the last bit, from any times.
#
# **Find the bug:** a function that says from which time to which each step goes. It is right for the times 1000, 900, ..., 100.


# %%
def my_pairs(times):
    """Return an array of rows (t, s): the steps from each time to the next, and from the last one to 0."""
    times = np.asarray(times)
    ### BEGIN SOLUTION
    to = np.append(times[1:], 0)
    ### INSTEAD
    to = np.maximum(times - times[0] / len(times), 0)
    ### END SOLUTION
    return np.stack([times, to], axis=1)


# %%
my_pairs = exercises.PAIRS.check(my_pairs)
reached = [s for s, _, _ in ddim(model.predict, model.diffusion, x_T[:1], [1000, 650, 30], context=labels[:1])]
assert reached == my_pairs([1000, 650, 30])[:, 1].tolist() == [650, 30, 0]

# %% [markdown]
# ## Second hall: what the network is told
#
# (7) The sampler's schedule lacks the square of $\cos^2$. (15) The time embedding depends on the place in the batch. (16) The
# network is told t / 1000, but learned with steps from 1 to 1000. (19) The picture is drawn with an average of the weights that
# has gone 50 steps with a decay of 0.999: the random start still has the share $0.999^{50} = 0.95$.
#
# **Predict, then run:** in one row only one digit is spoiled less than the others. In which row, and which digit?

# %%
random_start = UNet(model.network.config, np.random.default_rng(0)).theta
share = 0.999**50
young = replace(model, network=model.network.bind((1 - share) * model.network.theta + np.float32(share) * random_start))
second_hall = {
    "right": right,
    "7: no square": draw("no square"),
    "15: slot": draw("slot"),
    "16: 0 to 1": draw("0 to 1"),
    "19: early EMA": draw(network=young),
}
for number in (7, 15, 16, 19):
    print(museum_label(number))
damage = {name: abs(x - right).mean(axis=(1, 2, 3)) for name, x in second_hall.items()}
assert damage["15: slot"][-1] < 1e-3 < 0.1 < damage["15: slot"][:-1].min(), "only the last one is told its own t"
assert min(damage["16: 0 to 1"].min(), damage["19: early EMA"].min()) > 0.3
plot.image_rows(second_hall, title="what the network is told", column_labels=labels)

# %% [markdown]
# A network that is told 0.7 instead of 700 believes that hardly any noise is there, and takes off none. It will train without
# complaint, and learn to ignore the time. What would have shown it is a property of the embedding, before any training: the
# smallest distance of two steps. The other tests are formulas, too:

# %%
steps, half = np.arange(1, 1001), 32
frequencies = 10000.0 ** (-np.arange(half) / half)
angles = steps[:, None] * frequencies
by_hand = np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
assert np.allclose(timestep_embedding(steps, 2 * half), by_hand, atol=1e-4)
shuffled = np.random.default_rng(0).permutation(1000)
assert np.allclose(timestep_embedding(steps[shuffled], 2 * half), by_hand[shuffled], atol=1e-4), (
    "its place is no matter"
)
for name, t in {"1 .. 1000": steps, "0 .. 1": steps / 1000}.items():
    gaps = np.linalg.norm(np.diff(timestep_embedding(t, 2 * half, dtype=np.float64), axis=0), axis=1)
    print(f"times from {name}: two steps are at least {gaps.min():.4f} apart")

f = np.cos((np.arange(1001) / 1000 + 0.008) / 1.008 * np.pi / 2) ** 2
assert np.allclose(cosine_schedule(1000)[:1000], (f / f[0])[:1000]), "the cosine has its square"
warmed = np.prod([ema_decay(step, 0.999) for step in range(1, 51)])
print(f"share of the random start after 50 steps: {share:.2f}, and {warmed:.1e} where young averages forget faster")
assert np.isclose(warmed, np.prod([min(0.999, (1 + k) / (10 + k)) for k in range(1, 51)]))
show_source(ema_decay)

# %% [markdown]
# ## Third hall: conditions
#
# The paper of classifier-free guidance writes $(1 + w)\, \hat\epsilon(c) - w\, \hat\epsilon(\varnothing)$. Much code, and this
# library, writes $\hat\epsilon(\varnothing) + s\, (\hat\epsilon(c) - \hat\epsilon(\varnothing))$. Multiply out: s = 1 + w.
#
# **Write it yourself** in the second form.


# %%
def my_guided(given, nothing, s):
    """Return the guided prediction from those with and without the condition; s = 1 is no guidance."""
    ### BEGIN SOLUTION
    return nothing + s * (given - nothing)
    ### END SOLUTION


# %%
my_guided = exercises.GUIDE.check(my_guided)

told, null = np.full(5, 500.0), np.full(5, 10)
given, nothing = model.predict(x_T, told, labels)[1], model.predict(x_T, told, null)[1]
for s in (0.0, 1.0, 3.0):
    guided = classifier_free_guidance(model.predict, model.diffusion, null[:1], s)
    assert np.allclose(guided(x_T, told, labels)[1], my_guided(given, nothing, s), atol=1e-4)
    assert np.allclose(my_guided(given, nothing, s), s * given - (s - 1) * nothing, atol=1e-4)  # with w = s - 1

# %% [markdown]
# (11) Somebody reads "no guidance: w = 0" in a paper, and passes 0 as the scale s: that is the prediction *without* the
# condition. (12) The condition was never dropped in training, so "without" is the same as "with": any scale gives the same
# picture. (13) Guidance acts on the first channel only; the data here are patches of one colour, orange or blue, whose exact
# denoiser is known.
#
# **Predict, then run:** what will the digits in the second row be? And which colour is orange that is guided in red alone?

# %%
diffusion = GaussianDiffusion(cosine_schedule(200))
orange, blue = np.array([0.5, 0.1, -0.4]), np.array([-0.4, 0.0, 0.5])
colours = GaussianMixture(diffusion, [0.5, 0.5], np.stack([orange, blue]), [0.05, 0.05])
alone = GaussianMixture(diffusion, [1.0], orange[None], [0.05])


def patches(s, guided_channels):
    """Return patches of a colour, drawn with guidance towards orange on some of the three channels."""

    def predict(x, t, context):
        (x_0, eps), (x_0_null, eps_null) = alone.predict(x, t), colours.predict(x, t)
        scale = np.where(np.arange(3) < guided_channels, s, 1.0)
        return x_0_null + scale * (x_0 - x_0_null), eps_null + scale * (eps - eps_null)

    x = last(ddim(predict, diffusion, Noise(5).normal((5, 3), "colours", dtype=np.float64), 50))
    return np.tile(x[:, None, None].clip(-1, 1), (1, 28, 28, 1))


def in_colour(x):
    """Return digits as pictures of three channels, to be shown beside patches."""
    return np.repeat(x, 3, axis=3)


third_hall = {
    "s = 1": in_colour(right),
    "11: s = 0": in_colour(draw(context=null)),
    "13: right, s = 3": patches(3.0, 3),
    "13: red only": patches(3.0, 1),
}
for number in (11, 12, 13):
    print(museum_label(number))
never_dropped = my_guided(given, given, 3.0)  # the branch without the condition sees it all the same
assert np.allclose(never_dropped, given, atol=1e-5), "guidance does nothing"
assert abs(my_guided(given, nothing, 3.0) - given).mean() > 1e-3
all_of_them, red_only = (third_hall[name][:, 0, 0].mean(axis=0) for name in ("13: right, s = 3", "13: red only"))
assert all_of_them[2] < red_only[2] - 0.02, "blue should have been pushed down, too"
plot.image_rows(third_hall, title="conditions")

# %% [markdown]
# ## Fourth hall: black and grey
#
# (9) Predict $\epsilon$ where $\bar\alpha_t = 0$: $\hat x_0 = (x_t - \hat\epsilon) / 0$. Where $\hat x_0$ is then clipped, the
# infinite numbers become -1 and 1, and nobody notices. (18) Latents are divided by their standard deviation before a network
# learns them. Who forgets to multiply again, before they are decoded, gets 0.18 of the contrast. The library refuses the first:

# %%
empty = GaussianDiffusion(cosine_schedule(1000, max_beta=1))
with np.errstate(divide="ignore"):
    x_0_hat = (x_T - 0.9 * x_T) / np.sqrt(empty.alpha_bar[1000])
assert np.isinf(x_0_hat).all()
try:
    empty.x_0_from_eps(x_T, 1000, 0.9 * x_T)
    refused = ""
except InputError as error:
    refused = str(error)
print(refused)
assert "alpha_bar is 0" in refused
for number in (9, 18, 25):
    print(museum_label(number))

# %% [markdown]
# (25) Half precision: float16 ends at 65,504, and what is below 0.00000006 is 0. Gradients are small numbers. So the loss is
# multiplied by a *scale* before the backward pass, and the gradient divided by it after. Too small a scale, and they are 0; too
# large, and they are infinite. Nobody knows the right one beforehand, so it is searched for: an overflow means *skip the step*,
# and halve the scale; so many good steps in a row, and it is doubled.
#
# **Write it yourself:** the rule. (tinydiff trains in float32 and has no scale; the first half, to skip, to say so, and to stop
# after too many in a row, it does have: `most_skipped`.)


# %%
def next_scale(scale, good, finite, every):
    """Return the scale and the number of good steps in a row, after a step whose gradient was finite or not.

    An overflow halves the scale, and the count begins anew; after `every` good steps the scale is doubled, and the count
    begins anew.
    """
    ### BEGIN SOLUTION
    if not finite:
        return scale / 2, 0
    if good + 1 == every:
        return scale * 2, 0
    return scale, good + 1
    ### END SOLUTION


# %%
next_scale = exercises.SCALE.check(next_scale)

# %% [markdown]
# A denoiser of one matrix, for the 8 x 8 digits at one noise level, trained by plain gradient descent. Its gradient passes
# through float16, and its loss has a small weight, as losses at some t have.

# %%
digits, _ = load_data("digits").batch(np.arange(500))
x_0 = digits.reshape(500, 64)
x_t = (0.8 * x_0 + 0.6 * np.random.default_rng(1).standard_normal(x_0.shape)).astype(np.float32)
WEIGHT = 1e-6


def learn(scale, search=False, steps=400):
    """Return the matrix, the scales, and how many steps were skipped; with `search`, by the rule above."""
    W, good, scales, skipped = np.zeros((64, 64), np.float32), 0, [], 0
    for _ in range(steps):
        with np.errstate(over="ignore", invalid="ignore"):
            d_y = np.float16(scale * WEIGHT * 2 * (x_t @ W - x_0) / x_0.size)
            d_W = np.float16(x_t.T @ np.float32(d_y))
            finite = bool(np.isfinite(d_W).all())
            scales.append(scale)
            if search:
                scale, good = next_scale(scale, good, finite, 50)
            if search and not finite:
                skipped += 1
                continue
            W -= np.float32(2.0) * np.float32(d_W) / np.float32(scales[-1] * WEIGHT)
    return W, scales, skipped


results = {
    "no scale": learn(1.0),
    "2^60": learn(2.0**60),
    "2^60, searched": learn(2.0**60, search=True),
}
pictures = {"x_t": x_t[:5], "float32": x_t[:5] @ np.linalg.lstsq(x_t, x_0, rcond=None)[0]}
pictures |= {f"25: {name}": x_t[:5] @ W for name, (W, _, _) in results.items()}
pictures["18: not scaled back"] = 0.18215 * x_0[:5]
error = {name: ((x - x_0[:5]) ** 2).mean() for name, x in pictures.items()}
print({name: f"{e:.3f}" for name, e in error.items()}, "skipped:", results["2^60, searched"][2])
assert np.allclose(results["no scale"][0], 0), "every gradient is 0 in half precision: it never learns"
assert not np.isfinite(results["2^60"][0]).any(), "one infinite gradient, and the weights are gone"
assert 10 < results["2^60, searched"][2] < 40
assert error["25: 2^60, searched"] < error["18: not scaled back"]
shown = {name: np.nan_to_num(x, nan=-1.0).reshape(-1, 8, 8, 1).clip(-1, 1) for name, x in pictures.items()}
plot.image_rows(shown, title="black and grey")

# %%
exponents = np.log2(results["2^60, searched"][1])
plot.curves(
    np.arange(400), {"log2 of the scale": exponents}, "step", "log2 of the scale", title="the search for a scale"
)

# %% [markdown]
# ## Fifth hall: a picture with a hole
#
# RePaint (notebook 25) draws the unknown part by DDPM, and puts the known part into it at every step, with as much noise as the
# rest has. (22) The paper's Eq. 8a gives it the noise of t; the joined picture is at s.
#
# **Find the bug:**


# %%
def my_join(unknown_s, known, z, mask, alpha_bar_t, alpha_bar_s):
    """Return x_s: where the mask is 1 the known picture with noise, elsewhere what was drawn."""
    ### BEGIN SOLUTION
    known_s = alpha_bar_s**0.5 * known + (1 - alpha_bar_s) ** 0.5 * z
    ### INSTEAD
    known_s = alpha_bar_t**0.5 * known + (1 - alpha_bar_t) ** 0.5 * z
    ### END SOLUTION
    return mask * known_s + (1 - mask) * unknown_s


# %%
my_join = exercises.KNOWN.check(my_join)

left = np.zeros((1, 28, 28, 1), np.float32)
left[:, :, :14] = 1
even = spaced_steps(1000, 10)
plain = partial(model.predict, context=labels)


def fill_in(late=False):
    """Return digits whose left half is given; late: with the noise of the time before."""
    x = x_T
    for k, (t, s) in enumerate(my_pairs(even).astype(int).tolist()):
        x_0_hat, _ = plain(x, np.full(5, float(t)))
        unknown = model.diffusion.posterior_mean(x_0_hat, x, t, s)
        unknown = unknown + model.diffusion.posterior_variance(t, s) ** 0.5 * fresh[k]
        z = Noise(6).normal(x.shape, f"known {k}")
        x = my_join(unknown, right, z, left, alpha_bar[t], alpha_bar[t] if late else alpha_bar[s]).astype(np.float32)
    return x


fifth_hall = {"known": right, "without a bug": fill_in(), "22: noise of t": fill_in(late=True)}
print(museum_label(22))
known_error = {name: abs((x - right) * left).max() for name, x in fifth_hall.items()}
assert known_error["without a bug"] < 1e-3 < 0.1 < known_error["22: noise of t"]
seen = []


def watching(x, t):
    """Predict for the exact denoiser of one number, and write down what is seen of the known half."""
    seen.append((float(t[0]), x[:, 0].copy()))
    return point.predict(x, t)


many, half_known = Noise(7).normal((20_000, 2), "x", dtype=np.float64), np.array([[1.0, 0.0]])
point = FiniteData(model.diffusion, np.array([[0.6, 0.6]]))
end = last(repaint(watching, model.diffusion, many, [700, 400], np.full(many.shape, 0.6), half_known, 1, Noise(8)))
assert np.allclose(end, 0.6)
t, x = seen[1]
assert abs(x.var() - (1 - alpha_bar[int(t)])) < 5 * (2 / 20_000) ** 0.5, "the known half has the marginal of its time"
plot.image_rows(fifth_hall, title="a picture with a hole: the left half is known", column_labels=labels)

# %% [markdown]
# ## Sixth hall: figures
#
# (21) "Our FID is 4, and theirs 17." On which features, which split, and how many images? Take two samples of *one* normal
# distribution with F numbers, N of each. Their Fréchet distance should be 0. But the means of both samples are off by a variance
# of 1 / N in each number, and $\lVert \mu_1 - \mu_2 \rVert^2$ adds up 2 F of these. The covariances S are off as well; for two that
# are nearly the identity, the distance is a quarter of $\lVert S_1 - S_2 \rVert^2$, whose F diagonal entries have the variance
# 2 / N each, and the F (F - 1) others 1 / N, in both samples:
#
# $$\mathbb{E}\, d^2 \approx \frac{2 F}{N} + \frac14 \cdot 2 \cdot \frac{2 F + F (F - 1)}{N}
#   = \frac{1}{N} \left( 2 F + \frac{F (F + 1)}{2} \right) .$$
#
# Inception has F = 2048 features: at N = 10,000 the second part alone would be about 210, if all had variance 1. So only figures
# of equal N can be compared. Or take the bias off: with half as many images it is twice as large, so that
#
# $$d_\infty^2 = 2\, d^2_N - d^2_{N/2} \qquad \text{(Eq. FD-2)}$$
#
# has none in 1 / N. Another distance has no bias at all. Let k be any kernel, a measure of likeness; how much more alike are two
# images of one kind than two of different kinds?
#
# $$\mathrm{MMD}^2 = \mathbb{E}\, k(x, x') + \mathbb{E}\, k(y, y') - 2\, \mathbb{E}\, k(x, y), \qquad
#   k(x, y) = \left(\tfrac1F\, x \cdot y + 1\right)^3 \qquad \text{(Eq. KID-1)}$$
#
# A mean over pairs has the right expectation for every N, as long as x and x' are *different* images: leave out the pairs of an
# image with itself. What does it compare? With $z = x \cdot y / F$, $k = 1 + 3 z + 3 z^2 + z^3$, and the mean of $z^p$ is a
# product of two p-th moments, one of x and one of y. So the whole is three squared differences: of means, of second, and of
# third moments. The formula as it stands, in NumPy:


# %%
def kid_by_hand(x, y):
    """Return the kernel distance from the matrices of all pairs."""

    def k(a, b):
        return (a @ b.T / a.shape[1] + 1) ** 3

    n, m = len(x), len(y)
    within_x = (k(x, x).sum() - np.trace(k(x, x))) / (n * (n - 1))
    within_y = (k(y, y).sum() - np.trace(k(y, y))) / (m * (m - 1))
    return within_x + within_y - 2 * k(x, y).mean()


rng, F = np.random.default_rng(2), 6
x, y = rng.standard_normal((40, F)), 0.5 + rng.standard_normal((30, F))
assert np.isclose(kernel_distance(x, y), kid_by_hand(x, y))
halves = frechet_distance_of(x[:20], y[:15]), frechet_distance_of(x[20:], y[15:])
assert np.isclose(frechet_infinity(x, y), 2 * frechet_distance_of(x, y) - np.mean(halves))

counts, repeats = np.array([20, 40, 80, 160, 320]), 60
found = np.zeros((3, len(counts)))
for column, n in enumerate(counts):
    pairs = rng.standard_normal((repeats, 2, n, F))
    for row, distance in enumerate((frechet_distance_of, frechet_infinity, kernel_distance)):
        found[row, column] = np.mean([distance(*pair) for pair in pairs])
bias = (2 * F + F * (F + 1) / 2) / counts
assert np.allclose(found[0][2:], bias[2:], rtol=0.15), "the bias of the Fréchet distance"
assert (abs(found[1:, 2:]) < 0.25 * found[0][2:]).all(), "the others have none"
lines = {"Fréchet": found[0], "its known bias": bias, "extrapolated": found[1], "kernel": found[2]}
plot.curves(counts, lines, "N", "distance of one distribution to itself", log="x", title="which figures depend on N")

# %% [markdown]
# Two distances say how far, and not in which way. Density and coverage do. Draw a ball round each real image, as far as its k-th
# nearest real neighbour:
#
# $$\mathrm{density} = \frac{1}{k M} \sum_j \sum_i 1\left[\hat\phi_j \in B_k(\phi_i)\right], \qquad
#   \mathrm{coverage} = \frac1N \sum_i 1\left[\exists j: \hat\phi_j \in B_k(\phi_i)\right] \qquad \text{(Eq. DC-1)}$$
#
# If samples and real images have one distribution, whatever it is, all N - 1 + M others of $\phi_i$ are alike. A sample is then in
# its ball if it comes before the k-th real one, with probability k / N, so density is 1 in the mean. A ball is missed if the k
# nearest of all are real ones, with probability
# $\frac{N-1}{N+M-1} \cdots \frac{N-k}{N+M-k} \approx 2^{-k}$.
#
# And how sure is a figure? Leave out a tenth of the images in turn, and look how much the figure $\hat\theta$ moves. Of the mean
# of B blocks, leaving out block b moves it by $(\bar x - x_b) / (B - 1)$, too little by a factor of B - 1. So the variance of the
# mean, $\frac{1}{B (B - 1)} \sum_b (x_b - \bar x)^2$, is
#
# $$\widehat{\mathrm{var}}\, \hat\theta = \frac{B - 1}{B} \sum_b \left(\hat\theta_{(b)} - \bar\theta_{(\cdot)}\right)^2
#   \qquad \text{(Eq. JACK-1)}$$
#
# of what is left after block b. Nothing in it needs a mean: the same is done with any figure.

# %%
real, drawn = rng.standard_normal((200, F)), np.concatenate([rng.standard_normal((100, F)), np.zeros((100, F))])
apart = np.linalg.norm(real[:, None] - real, axis=2)
radii = np.sort(apart, axis=1)[:, 5]  # entry 0 is the point itself
inside = np.linalg.norm(real[:, None] - drawn, axis=2) <= radii[:, None]
assert np.allclose(density_and_coverage(real, drawn), (inside.sum() / (5 * 200), inside.any(axis=1).mean()))

drawn = drawn[rng.permutation(200)]  # blocks are neighbours in order, which should say nothing
blocks = np.array_split(np.arange(200), 10)
left_out = [kid_by_hand(np.delete(real, b, axis=0), np.delete(drawn, b, axis=0)) for b in blocks]
error = np.sqrt(9 / 10 * ((left_out - np.mean(left_out)) ** 2).sum())
(kernel,) = jackknife(lambda i, j: (kernel_distance(real[i], drawn[j]),), 200, 200)
assert np.isclose(kernel.value, kid_by_hand(real, drawn))
assert np.isclose(kernel.high - kernel.value, 2.262157 * error, rtol=1e-5)  # Student's t of 9 degrees of freedom
print(feature_metrics(real, drawn, "the numbers themselves", "normal numbers"))  # which shuffles for itself
print(museum_label(21))

# %% [markdown]
# Half of these samples are one and the same point in the middle. Precision and density find nothing to blame, as that point is
# where real ones are dense; recall and coverage fall.
#
# ## What now?
#
# Now backwards. A picture is grey, or noise: which questions tell the causes apart, the cheapest first?

# %%
plot.decision_tree(
    "My samples are ...", {name: [f"{q} Yes: {cause}" for q, cause in rows] for name, rows in SYMPTOMS.items()}
)

# %%
print(what_now("grain"))
exhibits = {**first_hall, **second_hall}
slider(lambda name: plot.image_rows({name: exhibits[name]}, column_labels=labels), list(exhibits), "exhibit")

# %% [markdown]
# **Explore:** spoiled pictures. Write what looks at an array of pictures, shape (N, H, W), and says what is wrong with them. The
# first of these that holds:
#
# 1. *black*: a number is not finite, or the mean of all is below -0.98;
# 2. *grey*: the standard deviation over all numbers is below 0.2;
# 3. *noise*: neighbours from left to right have a correlation below 0.3;
# 4. *alike*: the standard deviation from picture to picture, averaged over the pixels, is below a tenth of that over all numbers;
# 0. and nothing, if none does.


# %%
def my_symptom(x):
    """Return 1 for black, 2 for grey, 3 for noise, 4 for alike, and 0 for none of these."""
    ### BEGIN SOLUTION
    if not np.isfinite(x).all() or x.mean() < -0.98:
        return 1
    if x.std() < 0.2:
        return 2
    if np.corrcoef(x[:, :, :-1].ravel(), x[:, :, 1:].ravel())[0, 1] < 0.3:
        return 3
    return 4 if x.std(axis=0).mean() < 0.1 * x.std() else 0
    ### END SOLUTION


# %%
my_symptom = exercises.SYMPTOM.check(my_symptom)
names = ["none", "black", "grey", "noise", "alike"]
verdicts = {name: names[int(my_symptom(x[..., 0]))] for hall in (first_hall, second_hall) for name, x in hall.items()}
verdicts |= {name: names[int(my_symptom(np.asarray(x).reshape(-1, 8, 8)))] for name, x in pictures.items()}
print(verdicts)
assert verdicts["right"] == "none"
assert verdicts["5: index"] == verdicts["16: 0 to 1"] == "noise"
assert verdicts["25: 2^60"] == "black"
assert verdicts["18: not scaled back"] == "grey"

# %% [markdown]
# "4: stride" has no symptom by this rule, and yet its figures are worse. That is why tests compare with what is known, and do
# not look.
#
# ## Is it a bug to redraw the training set?
#
# The best denoiser of a finite set is known (notebook 02), and draws that set, and nothing else. So a network that trained
# *perfectly* would have learned its pictures by heart. Take 200 digits as the whole set:

# %%
training, _ = load_data("mnist-small").batch(np.arange(200))
by_heart = FiniteData(model.diffusion, training)
copies = last(ddpm(by_heart.predict, model.diffusion, x_T, times, noise=Noise(9)))
everything, _ = load_data("mnist-small").batch(np.arange(len(load_data("mnist-small"))))
of_copies, of_network = (nearest_neighbours(x, everything)[1][:, 0] for x in (copies, right))
print(f"distance to the nearest training picture: exact denoiser {of_copies.max():.4f}, network {of_network.min():.2f}")
assert of_copies.max() < 1e-2, "each is a copy"
assert of_network.min() > 1
plot.image_rows({"exact": copies, "network": right}, title="who redraws?")

# %% [markdown]
# Why does the network invent? It cannot be that denoiser: at small noise this one jumps from picture to picture, while a
# convolution sees small windows, treats every place alike, and is smooth, so that it mixes strokes of many pictures. Few pictures,
# a large network and a long training bring the copies back; the figure that shows it is this distance, beside that of real
# pictures that were not trained on. (`tinydiff evaluate` prints both.)
#
# ## Summary
#
# 1. Samples that look right prove little: a stride, a missing square, a late noise leave digits that one can read.
# 2. Exact denoisers know every marginal: after each step, for each number of steps, mean and variance must be theirs.
# 3. Symptoms name a hall, not a line: whether the first or the last step, one sample or all, one scale or all, tells them apart.
# 4. What overflows is skipped, said and counted: a gradient that is not finite must not reach the weights.
# 5. A figure without extractor, split, N and interval is none; the Fréchet distance falls like 1 / N by itself.
#
# <details><summary>Why are the switches not in the library?</summary>
#
# Whoever reads a formula should see the formula. A wrong variant beside it would have to be tested, documented and kept, and
# might be switched on.
#
# </details>
#
# <details><summary>Which of these would a test with a frozen picture have caught?</summary>
#
# All that came in after the picture was frozen, and none that was there before. It says *changed*, not *wrong*.
#
# </details>
#
# <details><summary>A kernel distance came out below 0. Is that a bug?</summary>
#
# No. Its mean is right for every N, so that for equal distributions it is negative about as often as positive. Rounding it up to
# 0 would give it a bias.
#
# </details>
#
# **Next:** [20 · Classifier guidance](20_classifier_guidance.ipynb), the first notebook on conditions.
