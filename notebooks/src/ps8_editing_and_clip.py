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
# # Problem set 8 · Editing and CLIP
#
# **You will practise** changing a picture and keeping it: find what is to be changed, change it, and choose among results
# by what they keep and how well they fit. **You will learn** how a network is asked *whether*, and not only *which*.
#
# **Prerequisites:** notebooks 25 and 26. **Time:** 120 minutes.
#
# `tinydiff check ps8` in a terminal checks all your answers. If you are stuck, `problems.MASK.hint()` says where to look;
# `hint(2)` and `hint(3)` say more. The problems are in the order of their difficulty.

# %%
import numpy as np

import tinydiff
from tinydiff import plot
from tinydiff.base import Noise
from tinydiff.course.problem_sets import ps8 as problems
from tinydiff.data import load_avatars, to_floats
from tinydiff.diffusion import spaced_steps
from tinydiff.models.clip import clip_scores

rng = np.random.default_rng(0)
model, clip = tinydiff.load("avatars"), tinydiff.load("avatars-clip")
alpha_bar = model.diffusion.alpha_bar


def guess_of(prompt, n, guidance=2.0):
    """Return guess(x, t), what the guided network guesses behind n pictures for a prompt, clipped to [-1, 1]."""
    predict, read = model.predictor(tinydiff.Request(n=n, prompt=prompt, guidance=guidance)), model.tokens([prompt] * n)
    words = model.read(read)
    return lambda x, t: predict(x.astype(np.float32), np.full(n, t), words)[0]


portraits = to_floats(load_avatars("test", 400).images)
ONE, OTHER = "long red hair", "long blue hair"
pictures = portraits[np.argsort(-clip_scores(clip, portraits, [ONE])[:, 0])[[0, 2, 4]]]
plot.image_grid(pictures, columns=3, scale=10, title=f'fit "{ONE}" well, says the CLIP')

# %% [markdown]
# ## Problem 1 · Where do two texts disagree? (transcribe)
#
# To change the hair alone, notebook 25 needed a mask that we made by hand. Couairon and others (*DiffEdit*, 2022) let the
# network find it: add noise to a picture, ask for two texts what is behind it, and see where the answers differ. Do it
# with K draws of noise, and
#
# 1. take for each draw the *absolute* difference of the two guesses;
# 2. take its mean over the draws and over the channels: one number for each pixel, the heat;
# 3. bring each picture's heat to the range 0 to 1: take away its lowest and divide by the distance from lowest to highest;
# 4. keep (mask 1) the pixels whose heat lies *below* the threshold; where it is at the threshold or above, draw (mask 0).


# %%
def my_mask(first, second, threshold):
    """Return heat and mask, both (N, H, W, 1); first and second, the guesses, are (K, N, H, W, C)."""
    ### BEGIN SOLUTION
    heat = abs(first - second).mean(axis=(0, 4))[..., None]
    low, high = heat.min(axis=(1, 2, 3), keepdims=True), heat.max(axis=(1, 2, 3), keepdims=True)
    heat = (heat - low) / (high - low)
    return heat, (heat < threshold) + 0.0
    ### END SOLUTION


# %%
my_mask = problems.MASK.check(my_mask)

# %%
t, draws = 500, 6
noisy = [
    (alpha_bar[t] ** 0.5 * pictures + (1 - alpha_bar[t]) ** 0.5 * rng.standard_normal(pictures.shape)).astype(
        np.float32
    )
    for _ in range(draws)
]
first, second = (np.stack([guess(x, t) for x in noisy]) for guess in (guess_of(ONE, 3), guess_of(OTHER, 3)))
heat, mask = my_mask(first, second, 0.35)
shown = {"picture": pictures, "heat": np.repeat(2 * heat - 1, 3, axis=-1), "kept": pictures * mask}
plot.image_rows(shown, scale=10)

# %% [markdown]
# ## Problem 2 · An edit that stays dirty (debug)
#
# This is SDEdit, for any network: noise the picture up to a part of the chain, and come down again with DDIM ($\eta = 0$).
# `times` fall, the last is not 0, and a last step goes to 0. The chain uses those of them that are at most strength times
# T (`alpha_bar` has T + 1 entries); if none is left, the picture stays. For a network that always guesses the same picture
# the result is that picture, whatever is done wrong on the way. But look at what a real one is told. Below, it is asked
# about pictures whose noise is not that of the time it is told, and some of it stays. Mend one line.


# %%
def my_edit(guess, alpha_bar, picture, eps, times, strength):
    """Return the picture made anew; picture and eps are (N, H, W, C), guess(x, t) returns what is behind x."""
    highest = strength * (len(alpha_bar) - 1)
    left = [t for t in times if t <= highest + 1e-9]
    if not left:
        return picture
    ### BEGIN SOLUTION
    level = alpha_bar[left[0]]
    ### INSTEAD
    level = alpha_bar[round(highest)]
    ### END SOLUTION
    x = level**0.5 * picture + (1 - level) ** 0.5 * eps
    for t, s in zip(left, [*left[1:], 0], strict=True):
        x_0 = guess(x, t)
        eps_hat = (x - alpha_bar[t] ** 0.5 * x_0) / (1 - alpha_bar[t]) ** 0.5
        x = alpha_bar[s] ** 0.5 * x_0 + (1 - alpha_bar[s]) ** 0.5 * eps_hat
    return x


# %%
def noise_told_and_true(picture, eps, strength, times):
    """Print how noisy the network's first picture is, and how noisy it believes it to be."""
    seen = []
    my_edit(lambda x, t: seen.append((x, t)) or x, alpha_bar, picture, eps, times, strength)
    x, t = seen[0]
    print(f"told: noise {(1 - alpha_bar[t]) ** 0.5:.3f}; true: {x.std():.3f}")


grey, noise = np.zeros((1, 64, 64, 1)), rng.standard_normal((1, 64, 64, 1))
noise_told_and_true(grey, noise, 0.55, [1000, 800, 600, 400, 200])

# %%
my_edit = problems.EDITED.check(my_edit)
noise_told_and_true(grey, noise, 0.55, [1000, 800, 600, 400, 200])
eps = Noise(1).normal(pictures.shape, "x_T")
rows = {
    f"strength {strength}": my_edit(
        guess_of(OTHER, 3), alpha_bar, pictures, eps, list(spaced_steps(1000, 20)), strength
    )
    for strength in (0.3, 0.5, 0.7, 0.9)
}
plot.image_rows({"before": pictures} | rows, scale=8)

# %% [markdown]
# ## Problem 3 · Whether, and not only which (derive)
#
# A CLIP is asked which text belongs to a picture, and "none of these" is no answer (notebook 26). Zhai and others (*Sigmoid
# loss for language image pre-training*, 2023) ask of each pair by itself: do you belong together? With the logits
# $\ell_{ij}$ and one learned bias $\beta$, and with $z_{ij}$ = 1 on the diagonal and -1 off it,
#
# $$L = \frac{1}{N} \sum_{i,j} \log\left(1 + e^{-z_{ij} (\ell_{ij} + \beta)}\right) .$$
#
# (Mind that all $N^2$ pairs are summed, and the sum divided by N.) Derive the gradients in the logits and in the bias. The
# logits may be hundreds in size, of either sign: neither the loss nor the gradients may overflow, or become 0 or infinite
# where they are not. (`np.logaddexp(0, x)` is $\log(1 + e^x)$ without overflow.)


# %%
def my_yes_no(logits, bias):
    """Return the loss, d_logits (N, N) and d_bias, a number; bias is a number."""
    ### BEGIN SOLUTION
    n = len(logits)
    z = 2 * np.eye(n) - 1
    a = z * (logits + bias)
    d_logits = -z * np.exp(-np.logaddexp(0, a)) / n
    return np.logaddexp(0, -a).sum() / n, d_logits, d_logits.sum()
    ### END SOLUTION


# %%
my_yes_no = problems.YES_NO.check(my_yes_no)

# %% [markdown]
# The shipped CLIP has never been asked whether. Teach it: keep its vectors, and learn a scale and a bias by gradient
# descent, on 400 portraits and their captions. Then ask it about captions of its own, captions of others, and a dog.

# %%
data = load_avatars("test", 400)
u, v = clip.image_vectors(portraits), clip.text_vectors(list(data.captions))
tau, bias, losses = np.log(10.0), -5.0, []
for _ in range(300):
    loss, d_logits, d_bias = my_yes_no(np.exp(tau) * u @ v.T, bias)
    tau, bias = tau - 0.02 * (d_logits * np.exp(tau) * (u @ v.T)).sum(), bias - 0.2 * d_bias
    losses.append(loss)


def is_pair(cosine):
    """Return the probability that picture and text belong together."""
    return 1 / (1 + np.exp(-(np.exp(tau) * cosine + bias)))


dog = u @ clip.text_vectors(["a dog"])[0]
print(f"loss {losses[0]:.2f} -> {losses[-1]:.2f}; scale {np.exp(tau):.1f}, bias {bias:.1f}")
print(f"own captions: {is_pair(np.diag(u @ v.T)).mean():.0%}; those of others: {is_pair(u @ v.T).mean():.1%}")
print(f"a dog: {is_pair(dog).mean():.1%}, at most {is_pair(dog).max():.0%}")

# %% [markdown]
# ## Problem 4 · RePaint, the whole of it (transcribe: a whole thing)
#
# In notebook 25 you wrote one step that joins a known and an unknown part. Now the chain. For each step from t to the next
# time s (the last one goes to 0), and for each repeat r = 0, 1, ...:
#
# 1. if r > 0, go up first, all of the picture, from s to t: with $\alpha = \bar\alpha_t / \bar\alpha_s$,
#    $x \leftarrow \sqrt{\alpha}\, x + \sqrt{1 - \alpha}\, \epsilon^\text{up}$;
# 2. guess $\hat x_0$ from x at t;
# 3. the unknown part is the step of DDPM, the mean of the posterior,
#    $\big(\sqrt{\bar\alpha_s}\, (1 - \alpha)\, \hat x_0 + \sqrt{\alpha}\, (1 - \bar\alpha_s)\, x\big) / (1 - \bar\alpha_t)$,
#    plus noise $\epsilon^\text{step}$ of the variance $\tilde\beta = (1 - \alpha)(1 - \bar\alpha_s) / (1 - \bar\alpha_t)$;
# 4. the known part is $\sqrt{\bar\alpha_s}\, x_0 + \sqrt{1 - \bar\alpha_s}\, \epsilon^\text{known}$; join them by the mask.
#
# Each step is taken `resample` times, but the one to 0 only once. The noise is given: in step i (counted from 0) and repeat
# r take `eps_up[i, r]`, `eps_step[i, r]` and `eps_known[i, r]`.


# %%
def my_repaint(guess, alpha_bar, x_T, known, mask, times, resample, eps_step, eps_known, eps_up):
    """Return the picture at 0; mask is 1 where `known` stays. The last three are (steps, repeats or more, N, H, W, C)."""
    ### BEGIN SOLUTION
    x = x_T
    for i, (t, s) in enumerate(zip(times, [*times[1:], 0], strict=True)):
        bar_t, bar_s = alpha_bar[t], alpha_bar[s]
        alpha = bar_t / bar_s
        for r in range(resample if s > 0 else 1):
            if r > 0:
                x = alpha**0.5 * x + (1 - alpha) ** 0.5 * eps_up[i, r]
            x_0 = guess(x, t)
            mean = (bar_s**0.5 * (1 - alpha) * x_0 + alpha**0.5 * (1 - bar_s) * x) / (1 - bar_t)
            variance = (1 - alpha) * (1 - bar_s) / (1 - bar_t)
            unknown = mean + variance**0.5 * eps_step[i, r]
            known_s = bar_s**0.5 * known + (1 - bar_s) ** 0.5 * eps_known[i, r]
            x = mask * known_s + (1 - mask) * unknown
    return x
    ### END SOLUTION


# %%
my_repaint = problems.REPAINTED.check(my_repaint)

# %% [markdown]
# With the mask that the network found itself in Problem 1:

# %%
times = list(spaced_steps(1000, 15))
noises = rng.standard_normal((3, len(times), 3, *pictures.shape))
repainted = {
    f"resample {resample}": my_repaint(
        guess_of(OTHER, 3), alpha_bar, noises[0, 0, 0], pictures, mask, times, resample, *noises
    )
    for resample in (1, 3)
}
plot.image_rows({"before": pictures, "kept": pictures * mask} | repainted, scale=8)

# %% [markdown]
# ## Problem 5 · Which edits are worth a look? (explore)
#
# An edit should keep the picture and fit the text, and one is paid for with the other. Which setting is the best? There is
# no single answer; but some settings can be left out. Setting j *beats* i if j is at least as good as i in both figures,
# and better in one. What no setting beats lies on the *front*. Two settings that are equal in both do not beat each other.
#
# `kept` and `fits` are arrays (settings,), and larger is better in both.


# %%
def my_front(kept, fits):
    """Return for each setting whether it lies on the front, (settings,) of truth values."""
    ### BEGIN SOLUTION
    found = []
    for k, f in zip(kept, fits, strict=True):
        no_worse = (kept >= k) & (fits >= f)
        found.append(not (no_worse & ((kept > k) | (fits > f))).any())
    return np.array(found)
    ### END SOLUTION


# %%
my_front = problems.FRONT.check(my_front)

# %% [markdown]
# ## Problem 6 · A front of your own (open)
#
# The cell below makes the three portraits' red hair blue, by SDEdit at five strengths and by RePaint with masks of four
# thresholds. For each setting it measures how much is kept (1 minus the mean change of a pixel, over pixels that the other
# text does not concern: where Problem 1's heat is below 0.2) and how well the result fits (the CLIP's score), and rings what
# lies on the front.
#
# Make of it an experiment of your own, with pictures and texts of your choice, and **hand in one picture** with two or three
# sentences. You may add guidance scales, mix mask and strength (begin RePaint part of the way), compare seeds, or look for
# edits that please the CLIP and not you. It is judged by four things:
#
# 1. two ways of editing, at least, and several settings of each, with axes and names that a reader understands;
# 2. the front is marked, and you say which setting you would choose and why;
# 3. you show pictures of two settings at least, one of them not chosen;
# 4. an honest word on the measure: the notebook says not to judge pictures by a network that pulled them. What pulled these?

# %% tags=["hand-in"]
import matplotlib.pyplot as plt

guess, results = guess_of(OTHER, 3), {}
for strength in (0.3, 0.45, 0.6, 0.75, 0.9):
    results["SDEdit", strength] = my_edit(guess, alpha_bar, pictures, eps, list(spaced_steps(1000, 20)), strength)
for threshold in (0.15, 0.25, 0.4, 0.6):
    _, keep = my_mask(first, second, threshold)
    results["RePaint", threshold] = my_repaint(guess, alpha_bar, noises[0, 0, 0], pictures, keep, times, 2, *noises)
unconcerned = np.broadcast_to(heat < 0.2, pictures.shape)
kept = np.array([1 - abs(x - pictures)[unconcerned].mean() / 2 for x in results.values()])
fits = np.array([clip_scores(clip, np.clip(x, -1, 1).astype(np.float32), [OTHER]).mean() for x in results.values()])
on_front = my_front(kept, fits)
figure, axes = plt.subplots(figsize=(6, 4))
for way, marker in (("SDEdit", "o"), ("RePaint", "s")):
    chosen = [i for i, (name, _) in enumerate(results) if name == way]
    axes.plot(kept[chosen], fits[chosen], marker, label=way)
axes.plot(kept[on_front], fits[on_front], "o", markersize=14, fillstyle="none", color="black", label="on the front")
for i, (_, setting) in enumerate(results):
    axes.annotate(f" {setting}", (kept[i], fits[i]))
axes.set(xlabel="kept, where nothing was to change", ylabel=f'fits "{OTHER}" (cosine of the CLIP)')
axes.legend()
plt.show()

# %% [markdown]
# ## Where you are
#
# You can say what is to be changed, change it, and tell good settings from beaten ones. Hand in the picture of Problem 6.
#
# **Next:** bigger pictures, drawn as a few numbers: [30 · Autoencoders](30_autoencoders.ipynb)
