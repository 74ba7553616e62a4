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
# # 02 · Diffusion without a network
#
# **You will learn** what the best possible denoiser is, to write it down for data that you know, and why sampling takes
# many steps.
#
# **Prerequisites:** notebook 01; Bayes' rule; the gradient. **Time:** 75 minutes.
#
# **Papers:** Robbins 1956 and Efron 2011 (Tweedie's formula, here TWEEDIE-1); Vincent, *A connection between score
# matching and denoising autoencoders* (2011; SCORE-1); Ho, Jain, Abbeel (2020), Eq. 15 (DDPM-15); Sohl-Dickstein et
# al., *Deep unsupervised learning using nonequilibrium thermodynamics* (2015), for the shape of small steps.

# %%
from itertools import pairwise

import numpy as np

from tinydiff import plot
from tinydiff.course import show_source, slider
from tinydiff.course.exercises import notebook_02 as exercises
from tinydiff.data import load_data
from tinydiff.diffusion import FiniteData, Gaussian, GaussianDiffusion, GaussianMixture, cosine_schedule, ddim, last
from tinydiff.diffusion.oracle import Density

rng = np.random.default_rng(0)
diffusion = GaussianDiffusion(cosine_schedule(1000))

# %% [markdown]
# ## The best guess is a mean
#
# A *denoiser* sees $x_t = a\, x_0 + b\, \epsilon$, with $a = \sqrt{\bar\alpha_t}$ and $b = \sqrt{1 - \bar\alpha_t}$,
# and guesses $x_0$. Which guess $g$ is best? Many clean images may lie behind one $x_t$; given $x_t$, they have the
# density $q(x_0 \mid x_t)$. Write $m = \mathbb{E}[x_0 \mid x_t]$ for their mean. The squared error that we must expect
# is
#
# $$\mathbb{E}\left[\lVert x_0 - g \rVert^2 \mid x_t\right]
#   = \mathbb{E}\left[\lVert x_0 - m \rVert^2 \mid x_t\right]
#   + 2\, \mathbb{E}\left[x_0 - m \mid x_t\right]^\top (m - g) + \lVert m - g \rVert^2 ,$$
#
# where $x_0 - g$ was written as $(x_0 - m) + (m - g)$ and squared. The middle term is 0, because $m$ is the mean. The
# first does not depend on $g$. So the error is least for $g = m$:
#
# **the best denoiser is $\hat x_0 = \mathbb{E}[x_0 \mid x_t]$**, the mean of the clean images, each weighted by how
# probable it is given $x_t$. It is a mean, and a mean of sharp images is blurry. What a network learns from squared
# errors is an approximation of it.
#
# ## If the data are one bell curve
#
# Let $x_0$ be one number from $\mathcal{N}(m, S)$. Bayes' rule: as a function of $x_0$, $q(x_0 \mid x_t)$ is
# proportional to prior times likelihood,
#
# $$\exp\left(-\frac{(x_0 - m)^2}{2 S}\right) \exp\left(-\frac{(x_t - a x_0)^2}{2 b^2}\right) .$$
#
# The exponent is $-\tfrac12$ times a parabola in $x_0$. Its term with $x_0^2$ has the factor $A = 1/S + a^2/b^2$, its
# term with $-2 x_0$ the factor $B = m/S + a x_t/b^2$. A parabola $A x_0^2 - 2 B x_0$ is lowest at $B / A$. So this is a
# normal density with the mean $B / A$. Multiply above and below by $S b^2$:
#
# $$\frac{B}{A} = \frac{b^2 m + a S x_t}{b^2 + a^2 S}
#   = m + \frac{b^2 m + a S x_t - (b^2 + a^2 S)\, m}{b^2 + a^2 S} = m + \frac{a S}{a^2 S + b^2} (x_t - a m) .$$
#
# With vectors and a covariance matrix $\Sigma$ the same holds along each principal axis, which gives
#
# $$\mathbb{E}[x_0 \mid x_t] = m + a \Sigma (a^2 \Sigma + b^2 I)^{-1} (x_t - a m) \qquad \text{(Eq. GAUSS-1)}$$
#
# In words: trust $x_t$ as far as its variance, $a^2 \Sigma + b^2$, comes from the data, and the mean of the data for
# the rest. The library does it axis by axis, for many $x_t$, each with a time of its own. Against the formula with the
# whole matrix, and in one dimension:

# %%
show_source(Gaussian.posterior)
mean, sigma = np.array([0.5, -0.2, 1.0]), np.array([[0.6, 0.2, -0.1], [0.2, 0.3, 0.05], [-0.1, 0.05, 0.4]])
x_t, times = rng.standard_normal((2, 3)), np.array([300, 700])
alpha_bar = diffusion.alpha_bar[times]
by_hand, log_q = np.empty((2, 3)), np.empty(2)
for n in range(2):
    a, total = alpha_bar[n] ** 0.5, alpha_bar[n] * sigma + (1 - alpha_bar[n]) * np.eye(3)  # the covariance of x_t
    by_hand[n] = mean + a * sigma @ np.linalg.inv(total) @ (x_t[n] - a * mean)
    square = (x_t[n] - a * mean) @ np.linalg.inv(total) @ (x_t[n] - a * mean)
    log_q[n] = -(square + np.log(np.linalg.det(2 * np.pi * total))) / 2
x_0_hat, log_density = Gaussian(diffusion, mean, sigma).posterior(x_t, alpha_bar[:, None])
assert np.allclose(x_0_hat, by_hand)
assert np.allclose(log_density, log_q)
x_0_hat, eps_hat = Gaussian(diffusion, mean, sigma).predict(x_t, times)
noise = (x_t - alpha_bar[:, None] ** 0.5 * by_hand) / (1 - alpha_bar[:, None]) ** 0.5
assert np.allclose(x_0_hat, by_hand)
assert np.allclose(eps_hat, noise)
a, diagonal = alpha_bar[:, None] ** 0.5, np.diag(sigma)  # a variance for each axis is a matrix too
x_0_hat, _ = Gaussian(diffusion, mean, diagonal).predict(x_t, times)
assert np.allclose(x_0_hat, mean + a * diagonal / (a**2 * diagonal + 1 - a**2) * (x_t - a * mean))

m, S, t = 0.5, 0.3, 400
a, b = diffusion.alpha_bar[t] ** 0.5, (1 - diffusion.alpha_bar[t]) ** 0.5

# %% [markdown]
# Two checks that use no formula. Draw many pairs of $x_0$ and $x_t$: the best straight line through them is the
# denoiser. And no other guess has a smaller error:

# %%
clean = m + S**0.5 * rng.standard_normal(200_000)
noisy = diffusion.q_sample(clean, t, rng.standard_normal(clean.shape))
slope, offset = np.polyfit(noisy, clean, 1)
denoised, _ = Gaussian(diffusion, np.array([m]), S).predict(noisy[:, None], t)
best = ((denoised[:, 0] - clean) ** 2).mean()
print(f"line through the pairs: {slope:.3f} x_t + {offset:.3f}; mean squared error of the denoiser {best:.4f}")
assert np.allclose(slope, a * S / (a**2 * S + b**2), atol=0.01)
for worse in (noisy, noisy / a, np.full_like(noisy, m)):
    assert ((worse - clean) ** 2).mean() > best

# %% [markdown]
# ## If the data are several bells
#
# Let component $k$ have the weight $w_k$ and, after noise, the density $q_k(x_t)$. By Bayes' rule, $x_t$ came from $k$
# with probability $r_k = w_k q_k(x_t) / \sum_j w_j q_j(x_t)$. If it did, the best guess is that component's own, by
# GAUSS-1. The mean over all is
#
# $$\mathbb{E}[x_0 \mid x_t] = \sum_k r_k\, \mathbb{E}_k[x_0 \mid x_t], \qquad r_k \propto w_k\, q_k(x_t)
#   \qquad \text{(Eq. GMM-1)}$$
#
# **Predict, then run:** data are near -1 or near 1, equally often. What is the best guess at $x_t = 0$, and how does
# the curve look when there is much noise, and when there is little?

# %%
show_source(GaussianMixture.posterior)
two = GaussianMixture(diffusion, [0.5, 0.5], np.array([[-1.0], [1.0]]), [0.01, 0.01])
x = np.linspace(-3, 3, 301)
guesses = {f"t = {t}": two.predict(x[:, None], t)[0][:, 0] for t in (900, 600, 300, 100)}
plot.curves(x, guesses, "x_t", "best guess of x_0", title="A denoiser with two answers")

# %% [markdown]
# With much noise it stays careful, near the mean of all data, 0. As the noise gets small against the gap between the
# bumps, the curve switches from one of them to the other near $x_t = 0$. Away from there it follows the line of the
# nearer bell, so it goes beyond -1 and 1 where $x_t$ does: at little noise, $x_t$ is to be believed. At $x_t = 0$ it is
# 0 at *every* t: a guess that is almost never right, and yet the best one.
#
# These two bells are alike. What if they are not?
#
# **Find the fault:** the function below is GMM-1 for numbers, with any weights, means and variances. Component k is
# $\mathcal{N}(m_k, S_k)$, and so after noise $\mathcal{N}(a\, m_k,\, a^2 S_k + b^2)$. For the two bells above it is
# right. For a narrow and a wide one it is not: the cell after it compares with a sum over all $x_0$, which needs no
# formula. Mend one line.


# %%
def bells_denoiser(x_t, weights, means, variances, alpha_bar):
    """Return the best guess of x_0, (N,), for x_t, (N,), and bells with weights, means and variances, all (K,)."""
    a = alpha_bar**0.5
    total = alpha_bar * variances + 1 - alpha_bar  # the variances at t, (K,)
    gap = x_t[:, None] - a * means  # (N, K)
    x_0_hat_k = means + a * variances / total * gap  # Eq. GAUSS-1 for each bell
    ### BEGIN SOLUTION
    q = np.exp(-(gap**2) / (2 * total)) / total**0.5  # (2 pi)^0.5 is the same for all
    ### INSTEAD
    q = np.exp(-(gap**2) / (2 * total))
    ### END SOLUTION
    r = weights * q
    return (r * x_0_hat_k).sum(axis=1) / r.sum(axis=1)


# %%
weights, means, variances = np.array([0.3, 0.7]), np.array([-1.0, 0.6]), np.array([0.02, 0.5])
x_t, clean = np.linspace(-2, 2, 9), np.linspace(-8, 8, 8001)
bell = np.exp(-((clean[:, None] - means) ** 2) / (2 * variances)) / (2 * np.pi * variances) ** 0.5
prior = bell @ weights
alpha_bar = diffusion.alpha_bar[300]
likelihood = np.exp(-((x_t[:, None] - alpha_bar**0.5 * clean) ** 2) / (2 * (1 - alpha_bar)))
by_sum = likelihood @ (prior * clean) / (likelihood @ prior)
off = abs(np.subtract(bells_denoiser(x_t, weights, means, variances, alpha_bar), by_sum)).max()
print(f"largest difference from the sum over all x_0: {off:.4f}")

# %%
bells_denoiser = exercises.BELLS.check(bells_denoiser)

# %% [markdown]
# The library's, with these bells at two times, against the sum; its log density too:

# %%
unlike = GaussianMixture(diffusion, [3, 7], means[:, None], variances)  # weights are divided by their sum
assert np.allclose(np.exp(unlike.log_density(clean[:, None], 0)), prior)
for t in (900, 300):
    alpha_bar = diffusion.alpha_bar[t]
    likelihood = np.exp(-((x_t[:, None] - alpha_bar**0.5 * clean) ** 2) / (2 * (1 - alpha_bar)))
    likelihood = likelihood / (2 * np.pi * (1 - alpha_bar)) ** 0.5
    q = likelihood @ prior * (clean[1] - clean[0])
    by_sum = likelihood @ (prior * clean) * (clean[1] - clean[0]) / q
    x_0_hat, log_q = unlike.posterior(x_t[:, None], np.full((9, 1), alpha_bar))
    assert np.allclose(x_0_hat[:, 0], by_sum)
    assert np.allclose(log_q, np.log(q))
    assert np.allclose(unlike.log_density(x_t[:, None], t), np.log(q))
    assert abs(two.predict(np.zeros((1, 1)), t)[0]).max() < 1e-12

# %% [markdown]
# ## If the data are a list of images
#
# Let the data be K points, with weights $w_k$. Take GMM-1 with bells of no width: component $k$ is the point $p_k$, its
# own best guess is $p_k$ itself, and with noise its density is a bell round $a\, p_k$ with the variance $b^2$:
#
# $$\mathbb{E}[x_0 \mid x_t] = \sum_k r_k\, p_k, \qquad
#   r_k \propto w_k \exp\left(-\frac{\lVert x_t - a\, p_k \rVert^2}{2 b^2}\right) \qquad \text{(Eq. DATA-1)}$$
#
# **Write it yourself:** for N of the $x_t$ at once, all at the same time. For each of them, the K factors $r_k$ must
# sum to 1.


# %%
def my_denoiser(x_t, points, weights, alpha_bar):
    """Return the best guess for each x_t, (N, D), from x_t (N, D), points (K, D), weights (K,) and a number."""
    ### BEGIN SOLUTION
    gap = x_t[:, None] - alpha_bar**0.5 * points  # (N, K, D)
    share = weights * np.exp(-(gap**2).sum(axis=2) / (2 * (1 - alpha_bar)))
    return share / share.sum(axis=1, keepdims=True) @ points
    ### END SOLUTION


# %%
my_denoiser = exercises.DENOISER.check(my_denoiser)
show_source(FiniteData.posterior)

# %% [markdown]
# The library's takes a time for each $x_t$, and takes the largest exponent out before `exp`, since `exp(-1000)` is 0
# and 0 / 0 is no number. With unequal weights, far from all points, and on digits:

# %%
points, weights = rng.standard_normal((4, 3)), np.array([0.1, 0.2, 0.3, 0.4])
x_t, times = rng.standard_normal((2, 3)), np.array([350, 800])
x_0_hat, log_q = FiniteData(diffusion, points, 5 * weights).posterior(x_t, diffusion.alpha_bar[times, None])
for n, alpha_bar in enumerate(diffusion.alpha_bar[times]):
    bell = np.exp(-((x_t[n] - alpha_bar**0.5 * points) ** 2).sum(axis=1) / (2 * (1 - alpha_bar)))
    share = weights * bell / (weights @ bell)
    assert np.allclose(x_0_hat[n], share @ points)
    assert np.allclose(log_q[n], np.log(weights @ bell / (2 * np.pi * (1 - alpha_bar)) ** 1.5))
near_and_far = np.stack([points[1], points[2] + 40])
guesses, _ = FiniteData(diffusion, points).predict(near_and_far, 30)
assert np.allclose(guesses, points[[1, points.sum(axis=1).argmax()]])  # of all, the furthest one in this direction

images, labels = load_data("digits", "train").batch(np.arange(1497))
digits = FiniteData(diffusion, images)
t = 600
noisy = diffusion.q_sample(images[:8], t, rng.standard_normal((8, 8, 8, 1)).astype(np.float32))
guess, _ = digits.posterior(noisy.reshape(8, -1).astype(float), np.full((8, 1), diffusion.alpha_bar[t]))
equal = np.full(len(images), 1 / len(images))
mine = my_denoiser(noisy.reshape(8, -1).astype(float), digits.points, equal, diffusion.alpha_bar[t])
assert np.allclose(guess, mine, atol=1e-3)

# %% [markdown]
# ## Noise or image?
#
# The guess of the noise comes with that of the image. Take means on both sides of $x_t = a\, x_0 + b\, \epsilon$, given
# $x_t$: $x_t = a\, \hat x_0 + b\, \hat\epsilon$. Solved for $\hat x_0$:
#
# $$\hat x_0 = \frac{x_t - \sqrt{1 - \bar\alpha_t}\; \hat\epsilon}{\sqrt{\bar\alpha_t}} \qquad \text{(Eq. DDPM-15)}$$
#
# So a network may learn either, and the other follows.

# %%
show_source(GaussianDiffusion.x_0_from_eps)
x_0_hat, eps_hat = digits.predict(noisy, t)
a, b = diffusion.alpha_bar[t] ** 0.5, (1 - diffusion.alpha_bar[t]) ** 0.5
assert np.allclose(x_0_hat.reshape(8, -1), guess, atol=1e-4)
assert np.allclose((noisy - b * eps_hat) / a, x_0_hat, atol=1e-4)
assert np.allclose(diffusion.x_0_from_eps(noisy, t, images[:8]), (noisy - b * images[:8]) / a, atol=1e-4)
two_times = diffusion.x_0_from_eps(noisy[:2], np.array([t, 100]), images[:2])  # a time for each
assert np.allclose(
    two_times[1],
    (noisy[1] - (1 - diffusion.alpha_bar[100]) ** 0.5 * images[1]) / diffusion.alpha_bar[100] ** 0.5,
    atol=1e-4,
)
plot.image_rows({"x_t": noisy, "best guess": x_0_hat, "x_0": images[:8]}, scale=10, title=f"t = {t}")

# %% [markdown]
# ## Noise or score?
#
# Many papers speak of the *score*, the gradient of the log density, $\nabla_{x_t} \log q(x_t)$: it says in which
# direction $x_t$ would become more likely. It is the denoiser in other words. To see it, write
# $q(x_t) = \int q(x_t \mid x_0)\, q(x_0)\, dx_0$ and differentiate:
#
# $$\nabla \log q(x_t) = \frac{\nabla q(x_t)}{q(x_t)} = \int \frac{q(x_0)\, \nabla q(x_t \mid x_0)}{q(x_t)}\, dx_0
#   = \int \frac{q(x_0)\, q(x_t \mid x_0)}{q(x_t)}\, \nabla \log q(x_t \mid x_0)\, dx_0 ,$$
#
# since $\nabla q = q\, \nabla \log q$. By Bayes' rule the fraction is $q(x_0 \mid x_t)$. So the score is a mean:
# $\mathbb{E}[\nabla \log q(x_t \mid x_0) \mid x_t]$. And
# $\log q(x_t \mid x_0) = -\lVert x_t - a x_0 \rVert^2 / (2 b^2)$ + a constant, with the gradient
# $-(x_t - a x_0) / b^2 = -\epsilon / b$. Therefore
#
# $$\nabla_{x_t} \log q(x_t) = -\frac{\mathbb{E}[\epsilon \mid x_t]}{\sqrt{1 - \bar\alpha_t}} \qquad \text{(Eq. SCORE-1)}$$
#
# In words: uphill is where the noise is not.
#
# **Derive it yourself:** a denoiser gives $\hat x_0$. Write the score with $x_t$ and $\hat x_0$ alone. `x_t` and
# `x_0_hat` are arrays of one shape, `alpha_bar` is a number between 0 and 1.


# %%
def my_score(x_t, x_0_hat, alpha_bar):
    """Return the gradient of log q at x_t, an array like x_t."""
    ### BEGIN SOLUTION
    return (alpha_bar**0.5 * x_0_hat - x_t) / (1 - alpha_bar)
    ### END SOLUTION


# %%
my_score = exercises.SCORE.check(my_score)

# %% [markdown]
# With the mean of $-(x_t - a x_0)/b^2$ in place of that of $-\epsilon / b$, the line above reads
# $\nabla \log q(x_t) = (a\, \hat x_0 - x_t) / b^2$. Solved for $\hat x_0$, it is Tweedie's formula:
#
# $$\mathbb{E}[x_0 \mid x_t] = \frac{x_t + (1 - \bar\alpha_t)\, \nabla_{x_t} \log q(x_t)}{\sqrt{\bar\alpha_t}}
#   \qquad \text{(Eq. TWEEDIE-1)}$$
#
# Is it the slope of log q? Move a little up and down along each axis and divide:

# %%
show_source(GaussianDiffusion.score_from_eps, Density.score)
corners = np.array([[-1.0, -0.6], [1.0, -0.6], [0.0, 1.0]])
three = GaussianMixture(diffusion, [1, 1, 1], corners, [0.02, 0.02, 0.02])
place, t, h = np.array([[0.3, 0.2]]), 500, 1e-5
slope = [(three.log_density(place + h * d, t) - three.log_density(place - h * d, t)) / (2 * h) for d in np.eye(2)]
x_0_hat, eps_hat = three.predict(place, t)
score = three.score(place, t)
alpha_bar = diffusion.alpha_bar[t]
assert np.allclose(score, np.transpose(slope), atol=1e-6)
assert np.allclose(score, -eps_hat / (1 - alpha_bar) ** 0.5)
assert np.allclose(diffusion.score_from_eps(eps_hat, t), -eps_hat / (1 - alpha_bar) ** 0.5)
assert np.allclose(score, my_score(place, x_0_hat, alpha_bar), atol=1e-5)


def pull(place, alpha_bar):
    """Return the mean of each bell's own slope, by its share."""
    total = alpha_bar * 0.02 + 1 - alpha_bar
    share = np.exp(-((place - alpha_bar**0.5 * corners) ** 2).sum(axis=1) / (2 * total))
    return share / share.sum() @ (alpha_bar**0.5 * corners - place) / total


assert np.allclose(score, pull(place, alpha_bar))
at_two_times = three.score(np.concatenate([place, -place]), np.array([t, 200]))
assert np.allclose(at_two_times, [pull(place, alpha_bar), pull(-place, diffusion.alpha_bar[200])])
assert np.allclose((place + (1 - alpha_bar) * score) / alpha_bar**0.5, x_0_hat)
print("slope of log q:", np.ravel(slope), " score:", score[0])

# %% [markdown]
# All of the score at once, at three times. With much noise, the arrows lead to the middle of everything. With less,
# they part, and each leads to the nearest corner:

# %%
side = np.linspace(-2, 2, 65)
grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
densities = {f"t = {t}": np.exp(three.log_density(grid, t)).reshape(65, 65) for t in (800, 500, 200)}
scores = {f"t = {t}": three.score(grid, t).reshape(65, 65, 2) for t in (800, 500, 200)}
plot.score_fields(side, side, densities, scores)

# %%
slider(
    lambda t: plot.score_fields(
        side,
        side,
        {f"t = {t}": np.exp(three.log_density(grid, t)).reshape(65, 65)},
        {f"t = {t}": three.score(grid, t).reshape(65, 65, 2)},
    ),
    range(50, 1000, 50),
    "t",
)

# %% [markdown]
# ## Why not subtract the noise in one go?
#
# We have the best denoiser of our 1,497 digits. From pure noise, take its guess at once, or go down in 5 steps, or in
# 50 (the steps of notebook 00). **Predict, then run:** what will the last row be, digits that nobody wrote, or digits
# of the list?

# %%
x_T = rng.standard_normal((10, 8, 8, 1))
rows = {
    "one jump": digits.predict(x_T, 1000)[0],
    "5 steps": last(ddim(digits.predict, diffusion, x_T, 5)),
    "50 steps": last(ddim(digits.predict, diffusion, x_T, 50)),
}
assert abs(rows["one jump"] - images.mean(axis=0)).max() < 0.2
plot.image_rows(rows, scale=10, title="the exact denoiser of 1,497 digits")

# %% [markdown]
# **Explore:** are they copies? For each sample, take the largest difference of a pixel from an image of the list, and
# of these the smallest over the list: how far is it from the image that it is nearest to, in this sense?


# %%
def off_the_list(samples, images):
    """Return for each sample, (N, H, W, C), how far it is from the list, (K, H, W, C): an array (N,)."""
    ### BEGIN SOLUTION
    return np.array([abs(images - sample).max(axis=(1, 2, 3)).min() for sample in samples])
    ### END SOLUTION


# %%
off_the_list = exercises.COPIES.check(off_the_list)
for name, samples in rows.items():
    print(f"{name:>8}: {max(off_the_list(samples, images)):.3f} at most")
assert max(off_the_list(rows["50 steps"], images)) < 0.01
x, steps = x_T, [1000, 600, 300, 0]  # three steps of notebook 00, written out
for t, s in pairwise(steps):
    alpha_bar, alpha_bar_s = diffusion.alpha_bar[t], diffusion.alpha_bar[s]
    x_0_hat = np.reshape(my_denoiser(x.reshape(10, -1), digits.points, equal, alpha_bar), x.shape)
    eps_hat = (x - alpha_bar**0.5 * x_0_hat) / (1 - alpha_bar) ** 0.5
    x = alpha_bar_s**0.5 * x_0_hat + (1 - alpha_bar_s) ** 0.5 * eps_hat
assert np.allclose(last(ddim(digits.predict, diffusion, x_T, steps[:-1])), x, atol=1e-2)

# %% [markdown]
# One jump gives the mean of all digits, ten times over: pure noise says nothing about which one to draw. The guess is
# an *average over possibilities*, and only steps in between let one of them win.
#
# The last row holds exact copies of images of the list. The *best* denoiser of a list has learned it by heart! A
# network is useful because it does *not* reach this optimum: limited weights, limited training and its convolutions
# make it treat similar images alike, and so it finds what they have in common.
#
# ## Why small steps?
#
# Each step back should draw from $q(x_{t-1} \mid x_t)$. We can compute it exactly, by Bayes' rule on a grid: it is
# proportional to $q(x_t \mid x_{t-1})\, q(x_{t-1})$. Take data near -1 or 1, and noise them by one step of variance
# $\beta$, so that the step lands at $x_t = 0.1$. Which values had $x$ before?


# %%
def reverse_density(beta, x_t=0.1):
    """Return the density of x before a step of variance beta that led to x_t, over the grid x."""
    before = np.exp(bumps.log_density(x[:, None], 0))
    step = np.exp(-((x_t - (1 - beta) ** 0.5 * x) ** 2) / (2 * beta))
    return before * step / (before * step).sum() / (x[1] - x[0])


def best_bell(density):
    """Return the normal density with the same mean and variance."""
    dx = x[1] - x[0]
    mean = (x * density).sum() * dx
    variance = ((x - mean) ** 2 * density).sum() * dx
    return np.exp(-((x - mean) ** 2) / (2 * variance)) / (2 * np.pi * variance) ** 0.5


x = np.linspace(-3, 3, 6001)
bumps = GaussianMixture(diffusion, [0.5, 0.5], np.array([[-1.0], [1.0]]), [0.1, 0.1])
exact = {f"beta = {beta}": reverse_density(beta) for beta in (0.8, 0.3, 0.02)}
near = abs(x) < 1.8
bells = {name: best_bell(density)[near] for name, density in exact.items()}
plot.reverse_steps(x[near], {name: density[near] for name, density in exact.items()}, bells)

# %% [markdown]
# A large step has two humps: it must decide between -1 and 1, and no bell can. A small step hardly moves. Over so small
# a range the logarithm of a smooth density is nearly a straight line, and a bell times the exponential of a line is the
# same bell, only shifted. So the step back is nearly the bell of the step itself, shifted to where data are more
# likely. That is why the reverse process may use normal steps with a mean that a network predicts, *if the steps are
# small*. In numbers, the Kullback-Leibler divergence from the exact step to the best bell:

# %%
betas = np.array([0.8, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001])
kl = []
for beta in betas:
    p = reverse_density(beta)
    there = p > 1e-12  # elsewhere it adds nothing, and both densities may be too small for a number
    kl.append((p[there] * np.log(p[there] / best_bell(p)[there])).sum() * (x[1] - x[0]))
    print(f"beta = {beta:.3f}: {kl[-1]:.2e} nats")
assert (np.diff(kl) < 0).all(), "smaller steps should be nearer to a bell"
assert kl[-1] < 1e-3 * kl[0]
to_bell = {"to the best bell": np.array(kl)}
plot.curves(betas, to_bell, "beta, the variance of the step", "KL divergence in nats", log="xy")

# %% [markdown]
# ## Summary
#
# 1. The best guess is the mean of the clean images, each weighted by how probable it is given $x_t$.
# 2. For a bell it is a line, for several bells a weighted mean of lines, for a list of images a softmax over the list.
# 3. Guess of the image, guess of the noise and score are one knowledge in three forms.
# 4. One jump gives an average; many steps let one possibility win.
# 5. Small steps back are bell curves, large ones are not.
#
# <details><summary>Why is the first guess blurry, though the denoiser is perfect?</summary>
#
# Because it is perfect: it has the least squared error, and that is the mean of all that is possible. A sharp guess is
# far off whenever another image was the true one, and on average that costs more than being a little off always.
#
# </details>
#
# <details><summary>Should a network learn the noise or the score?</summary>
#
# They differ by the factor $-\sqrt{1 - \bar\alpha_t}$, which is known. As a target for learning, $\epsilon$ has the
# same size at every t; the target for the score, $-\epsilon / \sqrt{1 - \bar\alpha_t}$, grows without bound as t goes
# to 0. With plain squared errors, that makes the noise the easier thing to learn; weighted with $1 - \bar\alpha_t$, the
# score's loss is the same loss.
#
# </details>
#
# <details><summary>If the exact denoiser copies, do trained models copy too?</summary>
#
# They can: a large network, trained for long on few images, comes near the exact denoiser of its list. More data and
# fewer weights make it harder. `tinydiff evaluate` shows samples beside their nearest training images for this reason.
#
# </details>
#
# **Next:** the step back has a closed form, if only $x_0$ is known: [03 · The posterior](03_the_posterior.ipynb).
