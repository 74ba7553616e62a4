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
# **Prerequisites:** notebooks 01 and 02; Bayes' rule; the normal density. **Time:** 20 minutes.
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
# We stand at $x_t$ and want to know where the chain was one step before, at $x_s$ with $s = t - 1$. Suppose for a
# moment that somebody tells us the clean image $x_0$. Then there are two witnesses:
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
# **Write it yourself:** the mean. You may use the simplified formula, or $A$ and $B$ as they are.


# %%
def my_posterior_mean(x_0, x_t, alpha_bar_s, alpha_bar_t):
    """Return the mean of q(x_s | x_t, x_0)."""
    ### BEGIN SOLUTION
    alpha = alpha_bar_t / alpha_bar_s
    A = 1 / (1 - alpha_bar_s) + alpha / (1 - alpha)
    B = alpha_bar_s**0.5 * x_0 / (1 - alpha_bar_s) + alpha**0.5 * x_t / (1 - alpha)
    return B / A
    ### END SOLUTION


# %%
my_posterior_mean = exercises.MEAN.check(my_posterior_mean)
show_source(GaussianDiffusion.posterior_mean, GaussianDiffusion.posterior_variance)

# %% [markdown]
# Against Bayes on a grid, where nothing was derived. The library's functions take any two times, not only neighbours:

# %%
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
    assert np.allclose(mean, my_posterior_mean(x_0, x_t, alpha_bar_s, alpha_bar_t))

# %% [markdown]
# ## The same mean, from the noise
#
# A network usually predicts the noise. With $x_0 = (x_t - \sqrt{1 - \bar\alpha_t}\, \epsilon) / \sqrt{\bar\alpha_t}$
# (Eq. DDPM-15 of notebook 02) in $\tilde\mu$, collect what multiplies $x_t$, using
# $\sqrt{\bar\alpha_s / \bar\alpha_t} = 1 / \sqrt{\alpha_t}$:
#
# $$\frac{\beta_t}{\sqrt{\alpha_t}\, (1 - \bar\alpha_t)} + \frac{\sqrt{\alpha_t}\, (1 - \bar\alpha_s)}{1 - \bar\alpha_t}
#   = \frac{\beta_t + \alpha_t - \bar\alpha_t}{\sqrt{\alpha_t}\, (1 - \bar\alpha_t)} = \frac{1}{\sqrt{\alpha_t}} ,$$
#
# because $\beta_t + \alpha_t = 1$. And what multiplies $\epsilon$: $-\dfrac{\beta_t}{\sqrt{\alpha_t}\, (1 -
# \bar\alpha_t)} \sqrt{1 - \bar\alpha_t} = -\dfrac{1}{\sqrt{\alpha_t}} \dfrac{\beta_t}{\sqrt{1 - \bar\alpha_t}}$.
# Together:
#
# $$\tilde\mu = \frac{1}{\sqrt{\alpha_t}} \left(x_t - \frac{\beta_t}{\sqrt{1 - \bar\alpha_t}}\, \epsilon\right)
#   \qquad \text{(Eq. DDPM-11)}$$
#
# In words: take away the part of the noise that this step is expected to have added, $\beta_t / (1 - \bar\alpha_t)$ of
# it, and undo the shrinking of one step.
#
# **Write it yourself:**


# %%
def my_mean_from_eps(x_t, eps, alpha_bar_s, alpha_bar_t):
    """Return the same mean from the noise in x_t."""
    ### BEGIN SOLUTION
    alpha = alpha_bar_t / alpha_bar_s
    return (x_t - (1 - alpha) / (1 - alpha_bar_t) ** 0.5 * eps) / alpha**0.5
    ### END SOLUTION


# %%
my_mean_from_eps = exercises.FROM_EPS.check(my_mean_from_eps)
show_source(GaussianDiffusion.posterior_mean_from_eps)
x_0, eps, t = rng.standard_normal(5), rng.standard_normal(5), 300
x_t = diffusion.q_sample(x_0, t, eps)
assert np.allclose(diffusion.posterior_mean_from_eps(x_t, t, eps), diffusion.posterior_mean(x_0, x_t, t))
assert np.allclose(my_mean_from_eps(x_t, eps, *diffusion.alpha_bar[[t - 1, t]]), diffusion.posterior_mean(x_0, x_t, t))

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
# Check it where everything is known, for data near -1 or 1, whose exact denoiser we have from notebook 02:

# %%
two = GaussianMixture(diffusion, [0.5, 0.5], np.array([[-1.0], [1.0]]), [0.05, 0.05])
x = np.linspace(-4, 4, 8001)
for s, t, x_t in ((299, 300, 0.3), (400, 500, 0.2)):
    alpha_bar_s, alpha_bar_t = diffusion.alpha_bar[[s, t]]
    alpha = alpha_bar_t / alpha_bar_s
    back = np.exp(two.log_density(x[:, None], s) - (x_t - alpha**0.5 * x) ** 2 / (2 * (1 - alpha)))  # q(x_s | x_t)
    back /= back.sum()
    clean = np.exp(two.log_density(x[:, None], 0) - (x_t - alpha_bar_t**0.5 * x) ** 2 / (2 * (1 - alpha_bar_t)))
    clean /= clean.sum()  # q(x_0 | x_t)
    x_0_hat, _ = two.predict(np.array([[x_t]]), t)
    mean, variance = (back * x).sum(), (back * x**2).sum() - (back * x).sum() ** 2
    x_0_variance = (clean * x**2).sum() - (clean * x).sum() ** 2
    c = alpha_bar_s**0.5 * (1 - alpha) / (1 - alpha_bar_t)
    assert np.allclose(mean, diffusion.posterior_mean(x_0_hat, np.array([[x_t]]), t, s))
    assert np.allclose(variance, diffusion.posterior_variance(t, s) + c**2 * x_0_variance)
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
