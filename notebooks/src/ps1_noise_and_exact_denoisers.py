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
# # Problem set 1 · Noise and exact denoisers
#
# **You will practise** what notebooks 00 to 02 teach, in new situations, and learn to write a whole sampler: the loop
# from noise to data, of which those notebooks had one step.
#
# **Prerequisites:** notebooks 00, 01 and 02. **Time:** 100 minutes.
#
# Each problem is checked by the cell below it; `problems.BATCH.hint()` and, with more in them, `hint(2)` and `hint(3)`
# help. `tinydiff check ps1` in a terminal checks all of them at once. The set ends with an experiment of your own, to
# hand in.
#
# Everywhere `alpha_bar` is a table of T + 1 numbers that falls from `alpha_bar[0] = 1`, and $a = \sqrt{\bar\alpha_t}$,
# $b = \sqrt{1 - \bar\alpha_t}$ are the weights of the signal and of the noise: $x_t = a\, x_0 + b\, \epsilon$. Write
# with NumPy, and leave the arguments as they are: make new arrays.

# %%
from itertools import pairwise

import numpy as np

from tinydiff import plot
from tinydiff.course.problem_sets import ps1 as problems
from tinydiff.data import load_data
from tinydiff.diffusion import FiniteData, GaussianDiffusion, GaussianMixture, cosine_schedule

rng = np.random.default_rng(0)
alpha_bar = cosine_schedule(1000)

# %% [markdown]
# ## Problem 1 · A batch, each image at its own time (transcribe)
#
# A network learns from batches in which every image has a time of its own. Given N clean images, N times and N noises,
# return the N noisy images, Eq. DDPM-4 for each. Images may have any number of axes after the first: (N, H, W, C), or
# (N, D). The times are whole numbers from 1 to T.


# %%
def noisy_batch(x_0, t, eps, alpha_bar):
    """Return x_t, an array like x_0 and eps, (N, ...), with t an integer array (N,) and alpha_bar (T + 1,)."""
    ### BEGIN SOLUTION
    share = alpha_bar[t].reshape(-1, *[1] * (x_0.ndim - 1))
    return share**0.5 * x_0 + (1 - share) ** 0.5 * eps
    ### END SOLUTION


# %%
noisy_batch = problems.BATCH.check(noisy_batch)
images, _ = load_data("mnist-small", "test").batch(np.arange(10))
times = np.linspace(50, 950, 10).astype(int)
batch = noisy_batch(images, times, rng.standard_normal(images.shape), alpha_bar)
plot.image_grid(np.asarray(batch), columns=10, title=f"one batch, t = {times[0]} to {times[-1]}")

# %% [markdown]
# ## Problem 2 · What a chain remembers (derive)
#
# One noising chain passes $x_s$ and later $x_t$, $s < t$. How much does $x_t$ remember of $x_s$? Let the data be
# numbers of variance S, whatever their distribution. The *correlation* of two numbers is their covariance divided by
# both standard deviations:
#
# $$\mathrm{corr}(x_s, x_t) = \frac{\mathrm{Cov}(x_s, x_t)}{\sqrt{\mathrm{Var}(x_s)\, \mathrm{Var}(x_t)}}$$
#
# Derive it from $\bar\alpha_s$, $\bar\alpha_t$ and S. (S is not 1 here. And $x_s$ holds an image *and* noise; the chain
# keeps some of both.) At s = 0, $\bar\alpha_s$ is 1, and this must be right too.


# %%
def memory(alpha_bar_s, alpha_bar_t, S):
    """Return the correlation of x_s and x_t, one number, from three numbers."""
    ### BEGIN SOLUTION
    variance_s = alpha_bar_s * S + 1 - alpha_bar_s
    variance_t = alpha_bar_t * S + 1 - alpha_bar_t
    covariance = (alpha_bar_t / alpha_bar_s) ** 0.5 * variance_s
    return covariance / (variance_s * variance_t) ** 0.5
    ### END SOLUTION


# %%
memory = problems.MEMORY.check(memory)
later = np.arange(0, 1001, 25)
curves = {
    f"x at s = {s}, data of variance {S}": np.array(
        [memory(alpha_bar[min(s, t)], alpha_bar[max(s, t)], S) for t in later]
    )
    for s, S in ((0, 1.0), (0, 0.1), (400, 0.1))
}
plot.curves(later, curves, "t", "correlation with x_t", title="Forgetting")

# %% [markdown]
# Data of a small variance are forgotten sooner: there is less of them. What has become noise is remembered like
# anything else.
#
# ## Problem 3 · The best guess of a coin (derive)
#
# Each pixel of a picture is $+1$ with probability p and $-1$ otherwise, independently of the others. Noise makes
# $x_t = a\, x_0 + b\, \epsilon$ of it. Derive the exact denoiser, $\mathbb{E}[x_0 \mid x_t]$.
#
# Your function must also be right where there is little noise, and exponents are in the thousands: `exp(1000)` is
# infinity, and infinity divided by itself is no number. Look for a form that cannot overflow.


# %%
def coin_denoiser(x_t, alpha_bar_t, p):
    """Return the best guess of each pixel, an array like x_t, from two numbers between 0 and 1."""
    ### BEGIN SOLUTION
    log_odds = np.log(p / (1 - p)) + 2 * alpha_bar_t**0.5 * x_t / (1 - alpha_bar_t)
    return np.tanh(log_odds / 2)
    ### END SOLUTION


# %%
coin_denoiser = problems.COIN.check(coin_denoiser)
x = np.linspace(-3, 3, 201)
guesses = {f"t = {t}": np.asarray(coin_denoiser(x, alpha_bar[t], 0.7)) for t in (900, 600, 300, 100)}
plot.curves(x, guesses, "x_t", "best guess of x_0", title="A coin that shows +1 in 7 of 10 throws")

# %% [markdown]
# ## Problem 4 · The denoiser that goes blind in company (debug)
#
# This is the exact denoiser of a list of equally likely points, Eq. DATA-1, for a batch. Its author knew that `exp` of
# a large negative number is 0, and takes the largest exponent out first. It was tested with one image at a time, and
# works. In a batch it returns `nan` for some images, and which ones depends on the *others* in the batch. Mend one
# line.


# %%
def list_denoiser(x_t, points, alpha_bar_t):
    """Return the best guesses, (N, D), for x_t, (N, D), from points, (K, D), and one number."""
    gap = x_t[:, None] - alpha_bar_t**0.5 * points  # (N, K, D)
    z = -(gap**2).sum(axis=2) / (2 * (1 - alpha_bar_t))
    ### BEGIN SOLUTION
    z = z - z.max(axis=1, keepdims=True)
    ### INSTEAD
    z = z - z.max()
    ### END SOLUTION
    share = np.exp(z)
    return share / share.sum(axis=1, keepdims=True) @ points


# %%
three = np.array([[1.0, 0.0], [-1.0, 0.5], [0.0, -1.0]])
with np.errstate(invalid="ignore"):
    print("alone:     ", list_denoiser(np.array([[5.0, 5.0]]), three, 0.98))
    print("in company:", list_denoiser(np.array([[5.0, 5.0], [0.9, 0.1]]), three, 0.98)[:1])

# %%
list_denoiser = problems.STABLE.check(list_denoiser)

# %% [markdown]
# ## Problem 5 · The sampling loop (a whole thing: derive)
#
# Write a sampler, from noise to data. What you are given:
#
# - `predict(x_t, t)` returns $\hat\epsilon$, a guess of the noise in `x_t`, of the same shape. `t` is one whole number,
#   the
#   time of all samples. It is what a network gives.
# - `alpha_bar`, the table, T + 1 numbers. None of them is 0.
# - `times`, whole numbers that fall: the times at which `predict` is asked. The first need not be T, the steps need not
#   be equal, and there may be one time only. **The last step goes from the last of the times to t = 0.**
# - `x_T`, the noise to start from: x at `times[0]`.
# - `clip`, True or False.
#
# A step from t to the next time s, as in notebook 00: from $x_t$ and $\hat\epsilon$ find $\hat x_0$ (Eq. DDPM-15), then
# mix both with the weights of s, $x_s = \sqrt{\bar\alpha_s}\, \hat x_0 + \sqrt{1 - \bar\alpha_s}\, \hat\epsilon$. There
# is no fresh noise. If `clip` is True, pixels of $\hat x_0$ outside of [-1, 1] are set to the nearer end, and then
# $\hat\epsilon$ is found again, so that $x_t = a\, \hat x_0 + b\, \hat\epsilon$ holds for the clipped guess as well,
# with the same $x_t$.


# %%
def sample(predict, alpha_bar, times, x_T, clip):
    """Return x at t = 0, an array like x_T."""
    ### BEGIN SOLUTION
    x = x_T
    for t, s in pairwise([*times, 0]):
        a, b = alpha_bar[t] ** 0.5, (1 - alpha_bar[t]) ** 0.5
        eps_hat = predict(x, t)
        x_0_hat = (x - b * eps_hat) / a
        if clip:
            x_0_hat = np.clip(x_0_hat, -1, 1)
            eps_hat = (x - a * x_0_hat) / b
        x = alpha_bar[s] ** 0.5 * x_0_hat + (1 - alpha_bar[s]) ** 0.5 * eps_hat
    return x
    ### END SOLUTION


# %%
sample = problems.SAMPLE.check(sample)

# %% [markdown]
# With the exact denoiser of two bells in the plane, which is known without a network, from a few steps to many:

# %%
diffusion = GaussianDiffusion(alpha_bar)
bells = GaussianMixture(diffusion, [0.3, 0.7], np.array([[-0.8, -0.5], [0.7, 0.4]]), [0.02, 0.05])
x_T = rng.standard_normal((1000, 2))


def even_times(n):
    """Return n times from 1000 down at equal distances; the one after the last would be 0."""
    return [1000 * k // n for k in range(n, 0, -1)]


clouds = {
    f"{n} step{'s' * (n > 1)}": sample(lambda x, t: bells.predict(x, t)[1], alpha_bar, even_times(n), x_T, False)
    for n in (1, 3, 8, 40)
}
plot.point_clouds(clouds, reach=1.6)

# %% [markdown]
# ## Problem 6 · Does it draw what is frequent as often as it should? (explore)
#
# Data are a list of points with unequal weights, and the denoiser is exact. Does the sampler draw each point as often
# as its weight says? Measure it: for each sample find the nearest point (the root of the sum of squares; of two equally
# near ones, the first of the list). Return, for each point, the share of the samples that are nearest to it. Points
# that no sample is near have the share 0.


# %%
def shares(samples, points):
    """Return an array (K,) that sums to 1, from samples (N, D) and points (K, D)."""
    ### BEGIN SOLUTION
    nearest = ((samples[:, None] - points) ** 2).sum(axis=2).argmin(axis=1)
    return np.bincount(nearest, minlength=len(points)) / len(samples)
    ### END SOLUTION


# %%
shares = problems.SHARES.check(shares)
points, weights = np.array([[0.9, 0.0], [-0.3, 0.8], [-0.4, -0.6]]), np.array([0.6, 0.3, 0.1])
exact = FiniteData(diffusion, points, weights)
x_T = rng.standard_normal((4000, 2))
print("weights ", weights)
for n in (1, 2, 5, 20, 100):
    drawn = sample(lambda x, t: exact.predict(x, t)[1], alpha_bar, even_times(n), x_T, False)
    print(f"{n:3} steps", np.round(shares(drawn, points), 3))

# %% [markdown]
# With one step all samples are the mean of the data, and lie nearest to one and the same point: everything that is rare
# has vanished. With few steps the rare point is still drawn too seldom. With many, the shares are the weights: 4,000
# samples have a standard error of less than 0.008.
#
# ## Problem 7 · To hand in: times of your own (an open experiment)
#
# You have a sampler and data whose every secret is known. A step costs time, so: **where should ten steps lie?** Choose
# data of your own (points, or bells, in the plane, ten at most), and compare at least three ways to spread ten times
# between 1000 and 0: equal steps, and others that you think up, for instance more of them near t = 0, or near T.
# Measure how good each is. The cell works as it stands, with two ways and one measure: change all three.
#
# **Hand in** one picture and two or three sentences below it. The picture must show what each way draws, and a number
# that says how good it is. It is judged by this:
#
# 1. The data are your own, and one can see from the picture whether a cloud is right.
# 2. There are at least three ways to spread the times, with the same number of steps and the same `x_T` for all.
# 3. The number fits the question (shares, distances from the nearest point, the spread of each bell, ...), and you say
#    how much of it is chance: what does another `x_T` give?
# 4. The sentences claim what the picture shows and no more, and offer a reason for it.

# %% tags=["hand-in"]
corners = np.array([[0.9, 0.0], [-0.3, 0.8], [-0.4, -0.6]])
mine = GaussianMixture(diffusion, [0.6, 0.3, 0.1], corners, [0.01, 0.01, 0.01])
spread = {
    "equal": even_times(10),
    "near t = 0": [max(10 - k, round(1000 * (1 - k / 10) ** 2)) for k in range(10)],
}
generator = np.random.default_rng(1)
x_T = generator.standard_normal((1000, 2))
data = corners[generator.choice(3, 1000, p=[0.6, 0.3, 0.1])] + 0.1 * generator.standard_normal((1000, 2))
clouds = {"the data": data}
for name, times in spread.items():
    clouds[name] = sample(lambda x, t: mine.predict(x, t)[1], alpha_bar, times, x_T, False)
measured = {}
for name, cloud in clouds.items():
    off = np.sqrt(((cloud[:, None] - corners) ** 2).sum(axis=2).min(axis=1)).mean()  # from the nearest corner
    measured[f"{name}: {off:.3f}"] = cloud
plot.point_clouds(measured, reach=1.5)

# %% [markdown]
# **Next:** the step back when the clean image is known, and the sampler that adds fresh noise: [03 · One step back, if
# the image is known](03_the_posterior.ipynb).
