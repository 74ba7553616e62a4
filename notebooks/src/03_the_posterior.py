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
# # 03 · One step back, if the image is known
#
# **You will learn** to derive the density of the step back, $q(x_{t-1} \mid x_t, x_0)$, by completing a square; and
# what is left for a network to do.
#
# **Prerequisites:** notebooks 01 and 02; Bayes' rule; the normal density. **Time:** 45 minutes.
#
# **Papers:** Ho, Jain, Abbeel, *Denoising diffusion probabilistic models* (2020), Eq. 6 and 7 (here DDPM-7) and Eq. 11
# (DDPM-11).

# %%
import numpy as np

from tinydiff import plot
from tinydiff.course import show_source, slider
from tinydiff.course.exercises import notebook_03 as exercises
from tinydiff.diffusion import GaussianDiffusion, GaussianMixture, cosine_schedule

rng = np.random.default_rng(0)
diffusion = GaussianDiffusion(cosine_schedule(1000))

# %% [markdown]
# ## Two witnesses
#
# We stand at $x_t$ and want to know where the chain was at an earlier time s, at $x_s$: one step before, $s = t - 1$,
# or as in the pictures below much earlier. The step from s to t keeps the share
# $\alpha_t = \bar\alpha_t / \bar\alpha_s$ of the variance (your `my_jump` of notebook 01), and adds noise of variance
# $\beta_t = 1 - \alpha_t$. Suppose for a moment that somebody tells us the clean image $x_0$. Then there are two
# witnesses:
#
# - **the image** says: at time s, $x_s$ is near $\sqrt{\bar\alpha_s}\, x_0$, with variance $1 - \bar\alpha_s$ (Eq.
# DDPM-4);
# - **the present** says: $x_t$ was made from $x_s$ by a step, $x_t = \sqrt{\alpha_t}\, x_s + \sqrt{\beta_t}\, \epsilon$
# (Eq. DDPM-2), so $x_s$ must be near $x_t / \sqrt{\alpha_t}$.
#
# Bayes' rule says how to hear both: multiply the two densities, as functions of $x_s$, and scale the product to the
# area 1:
#
# $$q(x_s \mid x_t, x_0) \propto q(x_s \mid x_0)\; q(x_t \mid x_s, x_0), \qquad q(x_t \mid x_s, x_0) = q(x_t \mid x_s) .$$
#
# The last equality holds because the step adds fresh noise: who knows $x_s$ learns nothing more about $x_t$ from $x_0$.
#
# (A word on words: $q(x_t \mid x_s)$ is the *transition* of the forward chain. The *posterior* is what stands here on
# the left: the density of the cause, $x_s$, after its effect, $x_t$, was seen.)
#
# **Predict, then run:** the product of the two bells below is a third. Is it wider or narrower than they are? Where is
# it?


# %%
def three_bells(x_0, x_t, s=250, t=500):
    """Return the densities of x_s: by the image, by the present, and by both, on a grid."""
    alpha_bar_s, alpha_bar_t = diffusion.alpha_bar[[s, t]]
    alpha = alpha_bar_t / alpha_bar_s
    prior = np.exp(-((x - alpha_bar_s**0.5 * x_0) ** 2) / (2 * (1 - alpha_bar_s)))
    likelihood = np.exp(-((x_t - alpha**0.5 * x) ** 2) / (2 * (1 - alpha)))
    return [bell / bell.sum() / (x[1] - x[0]) for bell in (prior, likelihood, prior * likelihood)]


def draw(x_0, x_t=1.2):
    """Draw them."""
    names = ("prior: what x_0 says", "likelihood: what x_t says", "product: the posterior")
    title = f"x_0 = {x_0:.1f}, x_t = {x_t:.1f}, one step from t = 500 to s = 250"
    return plot.bells(x, dict(zip(names, three_bells(x_0, x_t), strict=True)), "x_s", title)


x = np.linspace(-4, 5, 3001)
draw(-0.6)

# %% [markdown]
# It is narrower than both: two witnesses know more than one. And it stands between them, nearer to the surer one. With
# a live kernel, slide x_0, and the posterior follows:

# %%
slider(draw, np.linspace(-2, 2, 21).round(1).tolist(), "x_0")

# %% [markdown]
# ## Completing the square
#
# The product of two normal densities is one exponential. Its exponent is $-\tfrac12$ times
#
# $$\frac{(x_s - \sqrt{\bar\alpha_s}\, x_0)^2}{1 - \bar\alpha_s} + \frac{(x_t - \sqrt{\alpha_t}\, x_s)^2}{\beta_t} .$$
#
# Multiply out and sort by powers of $x_s$. What has no $x_s$ in it is a constant factor of the density, which the
# scaling to the area 1 takes care of:
#
# $$\underbrace{\left(\frac{1}{1 - \bar\alpha_s} + \frac{\alpha_t}{\beta_t}\right)}_{A} x_s^2
#   - 2 \underbrace{\left(\frac{\sqrt{\bar\alpha_s}\, x_0}{1 - \bar\alpha_s} + \frac{\sqrt{\alpha_t}\, x_t}{\beta_t}\right)}_{B} x_s
#   + \text{constant}.$$
#
# Complete the square: $A x_s^2 - 2 B x_s = A (x_s - B / A)^2 - B^2 / A$. So it is a normal density with the variance
# $1 / A$ and the mean $B / A$. Now simplify. For $A$, take the common denominator, with
# $\alpha_t \bar\alpha_s = \bar\alpha_t$ and $\beta_t = 1 - \alpha_t$:
#
# $$A = \frac{\beta_t + \alpha_t (1 - \bar\alpha_s)}{(1 - \bar\alpha_s)\, \beta_t}
#     = \frac{1 - \alpha_t + \alpha_t - \bar\alpha_t}{(1 - \bar\alpha_s)\, \beta_t}
#     = \frac{1 - \bar\alpha_t}{(1 - \bar\alpha_s)\, \beta_t} .$$
#
# Then $B / A$, each of its two terms times $(1 - \bar\alpha_s)\, \beta_t / (1 - \bar\alpha_t)$:
#
# $$\tilde\mu = \frac{\sqrt{\bar\alpha_s}\, \beta_t}{1 - \bar\alpha_t}\, x_0
#   + \frac{\sqrt{\alpha_t}\, (1 - \bar\alpha_s)}{1 - \bar\alpha_t}\, x_t, \qquad
#   \tilde\beta_t = \frac{1}{A} = \frac{1 - \bar\alpha_s}{1 - \bar\alpha_t}\, \beta_t \qquad \text{(Eq. DDPM-7)}$$
#
# In words: the mean lies between what the two witnesses say, $\sqrt{\bar\alpha_s}\, x_0$ and $x_t / \sqrt{\alpha_t}$.
# Each is weighted by one over its variance, $1 - \bar\alpha_s$ and $\beta_t / \alpha_t$: these weights are the two
# terms of A. Pixels do not mix, so for images the same holds pixel by pixel.
#
# **Write it yourself:** mean and variance. You may use the simplified formulas, or $A$ and $B$ as they are. `x_0` and
# `x_t` are arrays of one shape, `alpha_bar_s` and `alpha_bar_t` numbers, and s > 0.


# %%
def my_posterior(x_0, x_t, alpha_bar_s, alpha_bar_t):
    """Return (mean, variance) of q(x_s | x_t, x_0): an array like x_t, and one number."""
    ### BEGIN SOLUTION
    alpha = alpha_bar_t / alpha_bar_s
    A = 1 / (1 - alpha_bar_s) + alpha / (1 - alpha)
    B = alpha_bar_s**0.5 * x_0 / (1 - alpha_bar_s) + alpha**0.5 * x_t / (1 - alpha)
    return B / A, 1 / A
    ### END SOLUTION


# %%
my_posterior = exercises.POSTERIOR.check(my_posterior)
show_source(GaussianDiffusion.posterior_mean, GaussianDiffusion.posterior_variance)

# %% [markdown]
# The library's functions take any two times, not only neighbours, and a time for each sample; even times between two
# steps, where the logarithm of the signal-to-noise ratio is taken to be linear (before the first step, where it is
# infinite at t = 0, $\bar\alpha$ itself is). Against the formula, and then against Bayes on a grid, where nothing was
# derived:

# %%
t, s = np.array([1000, 500, 7]), np.array([650, 499, 2])
x_0, x_t = rng.standard_normal((3, 4)), rng.standard_normal((3, 4))
alpha_bar_s, alpha_bar_t = diffusion.alpha_bar[s], diffusion.alpha_bar[t]
alpha, beta = alpha_bar_t / alpha_bar_s, 1 - alpha_bar_t / alpha_bar_s
of_x_0, of_x_t = alpha_bar_s**0.5 * beta / (1 - alpha_bar_t), alpha**0.5 * (1 - alpha_bar_s) / (1 - alpha_bar_t)
assert np.allclose(diffusion.posterior_mean(x_0, x_t, t, s), of_x_0[:, None] * x_0 + of_x_t[:, None] * x_t)
assert np.allclose(diffusion.posterior_variance(t, s), (1 - alpha_bar_s) / (1 - alpha_bar_t) * beta)
assert np.allclose(diffusion.beta(t, s), beta)
assert np.allclose(diffusion.beta(400), 1 - diffusion.alpha_bar[400] / diffusion.alpha_bar[399])  # s is t - 1
assert np.allclose(diffusion.posterior_mean(x_0, x_t, t, 0), x_0)  # at s = 0 the image is sure
assert diffusion.posterior_variance(500, 0) == 0

between = diffusion.alpha_bar_at(np.array([0.25, 2.25]))
log_snr = np.log(diffusion.alpha_bar[[2, 3]] / (1 - diffusion.alpha_bar[[2, 3]])) @ [0.75, 0.25]
assert np.allclose(between, [1 - 0.25 * (1 - diffusion.alpha_bar[1]), 1 / (1 + np.exp(-log_snr))], rtol=1e-9)
assert np.allclose(diffusion.beta(2.25, 0.25), 1 - between[1] / between[0])
assert np.allclose(diffusion.beta(0.25, 0.125), 0.125 * (1 - diffusion.alpha_bar[1]) / diffusion.alpha_bar_at(0.125))

for x_0, x_t, s, t in ((-0.6, 1.2, 250, 500), (0.9, -0.3, 0.5, 3), (1.0, 2.0, 700, 701)):
    alpha_bar_s, alpha_bar_t = diffusion.alpha_bar_at(s), diffusion.alpha_bar_at(t)
    alpha = alpha_bar_t / alpha_bar_s
    mean = diffusion.posterior_mean(np.array([x_0]), np.array([x_t]), t, s)[0]
    variance = diffusion.posterior_variance(t, s)
    grid = mean + np.linspace(-10, 10, 4001) * variance**0.5
    exponent = (grid - alpha_bar_s**0.5 * x_0) ** 2 / (1 - alpha_bar_s) + (x_t - alpha**0.5 * grid) ** 2 / (1 - alpha)
    weight = np.exp(-(exponent - exponent.min()) / 2)
    weight /= weight.sum()
    print(f"from t = {t} to s = {s}: mean {mean:.4f}, by Bayes on a grid {(weight * grid).sum():.4f}")
    assert np.allclose(mean, (weight * grid).sum())
    assert np.allclose(variance, (weight * (grid - mean) ** 2).sum())
    my_mean, my_variance = my_posterior(np.array([x_0]), np.array([x_t]), alpha_bar_s, alpha_bar_t)
    assert np.allclose(mean, my_mean, rtol=1e-3)
    assert np.allclose(variance, my_variance, rtol=1e-3)

# %% [markdown]
# ## The same mean, from the noise
#
# A network usually predicts the noise. The mean of DDPM-7 can then be written with $x_t$ and $\epsilon$ alone.
#
# **Derive it yourself:** on paper first. Put $x_0 = (x_t - \sqrt{1 - \bar\alpha_t}\, \epsilon) / \sqrt{\bar\alpha_t}$
# (Eq. DDPM-15 of notebook 02) into $\tilde\mu$, and collect what multiplies $x_t$ and what multiplies $\epsilon$. Both
# become much simpler than they look at first, with $\beta_t + \alpha_t = 1$ and
# $\alpha_t \bar\alpha_s = \bar\alpha_t$. `x_t` and `eps` are arrays of one shape.


# %%
def my_mean_from_eps(x_t, eps, alpha_bar_s, alpha_bar_t):
    """Return the mean of q(x_s | x_t, x_0), an array like x_t, from the noise in x_t."""
    ### BEGIN SOLUTION
    alpha = alpha_bar_t / alpha_bar_s
    return (x_t - (1 - alpha) / (1 - alpha_bar_t) ** 0.5 * eps) / alpha**0.5
    ### END SOLUTION


# %%
my_mean_from_eps = exercises.FROM_EPS.check(my_mean_from_eps)

# %% [markdown]
# What multiplies $x_t$, using $\sqrt{\bar\alpha_s / \bar\alpha_t} = 1 / \sqrt{\alpha_t}$:
#
# $$\frac{\beta_t}{\sqrt{\alpha_t}\, (1 - \bar\alpha_t)} + \frac{\sqrt{\alpha_t}\, (1 - \bar\alpha_s)}{1 - \bar\alpha_t}
#   = \frac{\beta_t + \alpha_t - \bar\alpha_t}{\sqrt{\alpha_t}\, (1 - \bar\alpha_t)} = \frac{1}{\sqrt{\alpha_t}} .$$
#
# And what multiplies $\epsilon$: $-\dfrac{\beta_t}{\sqrt{\alpha_t}\, (1 -
# \bar\alpha_t)} \sqrt{1 - \bar\alpha_t} = -\dfrac{1}{\sqrt{\alpha_t}} \dfrac{\beta_t}{\sqrt{1 - \bar\alpha_t}}$.
# Together:
#
# $$\tilde\mu = \frac{1}{\sqrt{\alpha_t}} \left(x_t - \frac{\beta_t}{\sqrt{1 - \bar\alpha_t}}\, \epsilon\right)
#   \qquad \text{(Eq. DDPM-11)}$$
#
# In words: take away the part of the noise that this step is expected to have added, $\beta_t / (1 - \bar\alpha_t)$ of
# it, and undo the shrinking of one step. The library's takes any two times too:

# %%
show_source(GaussianDiffusion.posterior_mean_from_eps)
t, s = np.array([900, 500, 7]), np.array([650, 499, 2])
x_0, eps = rng.standard_normal((3, 4)), rng.standard_normal((3, 4))
alpha_bar_s, alpha_bar_t = diffusion.alpha_bar[s, None], diffusion.alpha_bar[t, None]
x_t = alpha_bar_t**0.5 * x_0 + (1 - alpha_bar_t) ** 0.5 * eps
alpha = alpha_bar_t / alpha_bar_s
by_hand = (x_t - (1 - alpha) / (1 - alpha_bar_t) ** 0.5 * eps) / alpha**0.5
assert np.allclose(diffusion.posterior_mean_from_eps(x_t, t, eps, s), by_hand)
from_x_0, _ = my_posterior(x_0[1], x_t[1], *diffusion.alpha_bar[[499, 500]])
assert np.allclose(by_hand[1], from_x_0, rtol=1e-3)  # the same mean, from x_0
neighbours = my_mean_from_eps(x_t[1], eps[1], *diffusion.alpha_bar[[499, 500]])
assert np.allclose(
    diffusion.posterior_mean_from_eps(x_t[1], 500, eps[1]), neighbours, rtol=1e-3
)  # s is t - 1 if not given

# %% [markdown]
# ## If it is in closed form, why a network?
#
# Because of the $x_0$ in it. When we sample, $x_0$ is what we are looking for. What we need is the step back *without*
# knowing it, and that is an average over all images, each weighted by how probable it is given $x_t$:
#
# $$q(x_s \mid x_t) = \int q(x_s \mid x_t, x_0)\; q(x_0 \mid x_t)\, dx_0 .$$
#
# Its mean is easy: $\tilde\mu$ is linear in $x_0$, so the mean over $x_0$ is $\tilde\mu$ at the mean of $x_0$. That is
# $\tilde\mu(\hat x_0, x_t)$ with the best guess $\hat x_0 = \mathbb{E}[x_0 \mid x_t]$. **This guess is all that the
# network adds.** Its variance is the sum of two parts (the law of total variance): the mean of the variances,
# $\tilde\beta_t$, and the variance of the means, $c^2\, \mathrm{Var}[x_0 \mid x_t]$, where
# $c = \sqrt{\bar\alpha_s}\, \beta_t / (1 - \bar\alpha_t)$ is the factor of $x_0$ in $\tilde\mu$.
#
# **Explore:** is that so? Measure it, on data whose density you know at every time. Given the density of $x_s$ on a
# grid of numbers `x` (equally spaced, wide enough that it is 0 at both ends), and an `x_t` that came from $x_s$ by a
# step that keeps the share `alpha`, find mean and variance of $q(x_s \mid x_t)$ by Bayes' rule alone. This time nobody
# tells us $x_0$.


# %%
def step_back(x, density, x_t, alpha):
    """Return (mean, variance) of x_s given x_t, two numbers; x and density have the shape (n,), x_t is a number."""
    ### BEGIN SOLUTION
    weight = density * np.exp(-((x_t - alpha**0.5 * x) ** 2) / (2 * (1 - alpha)))
    weight = weight / weight.sum()
    mean = (weight * x).sum()
    return mean, (weight * (x - mean) ** 2).sum()
    ### END SOLUTION


# %%
step_back = exercises.STEP_BACK.check(step_back)

# %% [markdown]
# For data near -1 or 1, whose exact denoiser we have from notebook 02. The step from 0 to t gives the mean and the
# variance of $x_0$ in the same way:

# %%
two = GaussianMixture(diffusion, [0.5, 0.5], np.array([[-1.0], [1.0]]), [0.05, 0.05])
x = np.linspace(-4, 4, 8001)
for s, t, x_t in ((299, 300, 0.3), (400, 500, 0.2)):
    alpha_bar_s, alpha_bar_t = diffusion.alpha_bar[[s, t]]
    alpha = alpha_bar_t / alpha_bar_s
    mean, variance = step_back(x, np.exp(two.log_density(x[:, None], s)), x_t, alpha)
    x_0_mean, x_0_variance = step_back(x, np.exp(two.log_density(x[:, None], 0)), x_t, alpha_bar_t)
    x_0_hat, _ = two.predict(np.array([[x_t]]), t)
    c = alpha_bar_s**0.5 * (1 - alpha) / (1 - alpha_bar_t)
    assert np.allclose(x_0_mean, x_0_hat, rtol=1e-3)
    assert np.allclose(mean, diffusion.posterior_mean(x_0_hat, np.array([[x_t]]), t, s), rtol=1e-3)
    assert np.allclose(variance, diffusion.posterior_variance(t, s) + c**2 * x_0_variance, rtol=1e-3)
    low, high = diffusion.posterior_variance(t, s), diffusion.beta(t, s)
    print(f"from {t} to {s}: beta-tilde {low:.5f}, variance of the step back {variance:.5f}, beta {high:.5f}")

# %% [markdown]
# The variance of the true step back is never below $\tilde\beta_t$, which would be right if the image were known. For
# data that are standard normal noise themselves it is $\beta_t$ (a chain of noise looks the same in both directions).
# Between two humps, as in the second line above, it is larger still. DDPM took one or the other, with similar results:
# they differ by the factor $(1 - \bar\alpha_s) / (1 - \bar\alpha_t)$, which is near 1 wherever the noise left at s is
# nearly that at t.

# %%
t = np.arange(2, 1001)
ratio = diffusion.posterior_variance(t) / diffusion.beta(t)
assert (ratio < 1).all()
assert ratio[50:].min() > 0.95
plot.curves(t, {"beta-tilde / beta": ratio}, "step t", "ratio", title="Two choices for the variance", log="x")

# %% [markdown]
# Only the very last steps, at small t, differ: there each step takes a large share of the noise that is left, and
# $\tilde\beta_1 = 0$.

# %% [markdown]
# ## Summary
#
# 1. Knowing $x_0$ and $x_t$, the step between them is a normal density: two witnesses, multiplied.
# 2. Completing the square gives its mean and its variance, $\tilde\beta_t$.
# 3. The same mean can be written with the noise: take away the share of it that the step is expected to have added.
# 4. When sampling, $x_0$ is not known; the network's guess stands in for it. If the guess is
# $\mathbb{E}[x_0 \mid x_t]$, the mean of the step is exact.
# 5. For the variance it is not: the truth has a part more than $\tilde\beta_t$.
#
# <details><summary>Is q(x_t | x_{t-1}) a posterior?</summary>
#
# No. It is the transition of the forward chain, chosen by us. The posterior is the density of what came *before*.
#
# </details>
#
# <details><summary>Why does the last step, to s = 0, have no noise?</summary>
#
# At s = 0 the first witness has the variance $1 - \bar\alpha_0 = 0$: it is sure. So the mean is $x_0$ itself and
# $\tilde\beta$ is 0.
#
# </details>
#
# <details><summary>Is the formula only for neighbours, s = t - 1?</summary>
#
# No. Only $\alpha_t \bar\alpha_s = \bar\alpha_t$ and $\beta_t = 1 - \alpha_t$ were used, so with
# $\alpha_t = \bar\alpha_t / \bar\alpha_s$ it holds for any earlier s. What fails for long steps is another thing: then
# the average over $x_0$ is no bell curve any more (notebook 02).
#
# </details>
#
# **Next:** why should the network be trained to predict noise by least squares? [04 · From the ELBO to the
# loss](04_from_elbo_to_loss.ipynb).
