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
# # 04 · From the ELBO to the loss
#
# **You will learn** why least squares on the noise is the right thing to train: it is, up to weights, a bound on the
# likelihood of the data. And where the 1/2, the weight and the mean go on the way.
#
# **Prerequisites:** notebook 03; Jensen's inequality and the Kullback-Leibler divergence are explained here. **Time:**
# 75 minutes with the exercises.
#
# **Papers:** Ho, Jain, Abbeel, *Denoising diffusion probabilistic models* (2020), Eq. 3, 5, 12 and 14 (here DDPM-5,
# DDPM-12, DDPM-14); Sohl-Dickstein et al. (2015), for the bound; the divergence of normal densities is KL-1 here.

# %%
import numpy as np

from tinydiff import plot
from tinydiff.course import show_source, slider
from tinydiff.course.exercises import notebook_04 as exercises
from tinydiff.diffusion import (
    Gaussian,
    GaussianDiffusion,
    cosine_schedule,
    eps_weight,
    linear_schedule,
    normal_kl,
    prior_term,
    simple_loss,
    step_term,
)

rng = np.random.default_rng(0)

# %% [markdown]
# ## What the model says about an image
#
# The model is a chain that runs backwards: $x_T \sim \mathcal{N}(0, I)$, then steps $p(x_{t-1} \mid x_t)$, normal
# densities whose means come from a network, down to $x_0$. We would like the images of the data set to be likely under
# it: $\log p(x_0)$ should be large, on average over the data. But to compute $p(x_0)$ we would have to integrate over
# every way that leads to $x_0$:
#
# $$p(x_0) = \int p(x_{0:T})\, dx_{1:T}, \qquad p(x_{0:T}) = p(x_T) \prod_{t=1}^{T} p(x_{t-1} \mid x_t) ,$$
#
# where $x_{0:T}$ stands for all of $x_0, \ldots, x_T$. Most ways do not lead to $x_0$ at all. The forward chain
# $q(x_{1:T} \mid x_0)$ knows the ways that matter: they come from there. So write the integral as a mean over *its*
# ways:
#
# $$p(x_0) = \int q(x_{1:T} \mid x_0)\, \frac{p(x_{0:T})}{q(x_{1:T} \mid x_0)}\, dx_{1:T}
#   = \mathbb{E}_{x_{1:T} \sim q(x_{1:T} \mid x_0)}\left[\frac{p(x_{0:T})}{q(x_{1:T} \mid x_0)}\right] .$$
#
# **Jensen's inequality:** the logarithm is curved downwards, so the logarithm of a mean is at least the mean of the
# logarithms:
#
# $$\log p(x_0) \ge \mathbb{E}_{x_{1:T} \sim q(x_{1:T} \mid x_0)}\left[\log \frac{p(x_{0:T})}{q(x_{1:T} \mid x_0)}\right]
#   = \mathrm{ELBO}(x_0) .$$
#
# It is called the *evidence lower bound*. How much is lost? Put $p(x_{0:T}) = p(x_0)\, p(x_{1:T} \mid x_0)$ into it:
# the factor $p(x_0)$ does not depend on the way, so
#
# $$\mathrm{ELBO}(x_0) = \log p(x_0) - \mathbb{E}_{x_{1:T} \sim q(x_{1:T} \mid x_0)}\left[\log \frac{q(x_{1:T} \mid x_0)}{p(x_{1:T} \mid
#   x_0)}\right] .$$
#
# The mean is a *Kullback-Leibler divergence*, $\mathrm{KL}(q \,\Vert\, p) = \mathbb{E}_{x \sim q}[\log (q(x) / p(x))]$.
# It is 0 for equal densities and positive otherwise. So the bound is tight just if the model's ways to $x_0$ are those
# of the forward chain: who raises the bound makes the data likelier, or brings the model's way back nearer to the
# forward chain's, or both.

# %% [markdown]
# ## The divergence of two bell curves
#
# Everything here is normal, so we need the divergence of $\mathcal{N}(\mu_1, v_1)$ from $\mathcal{N}(\mu_2, v_2)$. The
# logarithm of a normal density is $-\tfrac12 \log(2 \pi v) - (x - \mu)^2 / (2 v)$. So the mean under the first one of
# the difference of the two logarithms is
#
# $$\tfrac12 \log \frac{v_2}{v_1} - \frac{\mathbb{E}[(x - \mu_1)^2]}{2 v_1} + \frac{\mathbb{E}[(x - \mu_2)^2]}{2 v_2} .$$
#
# The first mean is $v_1$, by definition of the variance. For the second, $x - \mu_2 = (x - \mu_1) + (\mu_1 - \mu_2)$,
# squared; the mixed term has the mean 0, which leaves $v_1 + (\mu_1 - \mu_2)^2$. Together:
#
# $$\mathrm{KL}\left(\mathcal{N}(\mu_1, v_1) \,\Vert\, \mathcal{N}(\mu_2, v_2)\right)
#   = \tfrac12 \left(\log \frac{v_2}{v_1} + \frac{v_1}{v_2} - 1 + \frac{(\mu_1 - \mu_2)^2}{v_2}\right) \qquad \text{(Eq. KL-1)}$$
#
# For a vector of D *independent* numbers the density is a product, its logarithm a sum, and so divergences add: one for
# each number. (NumPy's `np.log` is the natural logarithm; the result is in *nats*.)
#
# **Write it yourself**, for N pairs of vectors at once. Means are arrays; variances are one number for all.


# %%
def my_kl(mean_1, variance_1, mean_2, variance_2):
    """Return KL(N(mean_1, variance_1 I) || N(mean_2, variance_2 I)), shape (N,); the means have the shape (N, D)."""
    ### BEGIN SOLUTION
    ratio = variance_1 / variance_2
    each = (ratio - 1 - np.log(ratio) + (mean_1 - mean_2) ** 2 / variance_2) / 2
    return each.sum(axis=1)
    ### END SOLUTION


# %%
my_kl = exercises.KL.check(my_kl)
means_1, means_2 = rng.standard_normal((3, 4)), rng.standard_normal((3, 4))
for v_1, v_2 in ((0.5, 2.0), (3.0, 0.2), (0.7, 0.6)):
    assert np.allclose(normal_kl(means_1, v_1, means_2, v_2).sum(axis=1), my_kl(means_1, v_1, means_2, v_2))

# %% [markdown]
# And as an integral, $\int p \log (p / q)\, dx$, where nothing was derived:

# %%
show_source(normal_kl)
x = np.linspace(-10, 10, 100_001)
p, q = (np.exp(-((x - m) ** 2) / (2 * v)) / (2 * np.pi * v) ** 0.5 for m, v in ((0.3, 0.5), (-0.4, 2.0)))
integral = (p * np.log(p / q)).sum() * (x[1] - x[0])
print(f"formula {normal_kl(0.3, 0.5, -0.4, 2.0):.6f} nats, integral {integral:.6f} nats")
assert np.allclose(normal_kl(0.3, 0.5, -0.4, 2.0), integral)
assert np.allclose(my_kl(np.array([[0.3]]), 0.5, np.array([[-0.4]]), 2.0), integral)

# %% [markdown]
# ## The bound, step by step
#
# Inside the bound stands $\log \frac{p(x_T) \prod p(x_{t-1} \mid x_t)}{\prod q(x_t \mid x_{t-1})}$, both products over
# $t = 1 \ldots T$. The trouble is that p steps down and q steps up, so their factors cannot be compared. Bayes' rule
# turns q round. For $t > 1$, as in notebook 03,
#
# $$q(x_t \mid x_{t-1}) = q(x_t \mid x_{t-1}, x_0) = \frac{q(x_{t-1} \mid x_t, x_0)\; q(x_t \mid x_0)}{q(x_{t-1} \mid x_0)} .$$
#
# Multiply these over $t = 2 \ldots T$. The fractions $q(x_t \mid x_0) / q(x_{t-1} \mid x_0)$ cancel each other, all but
# the last numerator and the first denominator, $q(x_T \mid x_0) / q(x_1 \mid x_0)$. The factor of $t = 1$, which was
# left alone, is $q(x_1 \mid x_0)$: it cancels the denominator. So
#
# $$\prod_{t=1}^{T} q(x_t \mid x_{t-1}) = q(x_T \mid x_0) \prod_{t=2}^{T} q(x_{t-1} \mid x_t, x_0) ,$$
#
# and the bound, with its sign turned, is a price in three parts:
#
# $$-\log p(x_0) \le \underbrace{\mathrm{KL}\left(q(x_T \mid x_0) \,\Vert\, p(x_T)\right)}_{\text{the start}}
#   + \sum_{t=2}^{T} \mathbb{E}_{x_t \sim q(x_t \mid x_0)}\, \underbrace{\mathrm{KL}\left(q(x_{t-1} \mid x_t, x_0) \,\Vert\,
#     p(x_{t-1} \mid x_t)\right)}_{\text{a step}}
#   - \mathbb{E}_{x_1 \sim q(x_1 \mid x_0)}\, \underbrace{\log p(x_0 \mid x_1)}_{\text{the image}} \qquad \text{(Eq. DDPM-5)}$$
#
# Each expectation over the whole way has become one over a single $x_t$: the term of t contains only $x_{t-1}$ and
# $x_t$, and under $q(\cdot \mid x_0)$ this pair has the density $q(x_t \mid x_0)\, q(x_{t-1} \mid x_t, x_0)$. The mean
# over $x_{t-1}$ of the logarithm of the quotient is, by definition, the divergence; the mean over $x_t$ is left. In
# words: we pay for starting from pure noise; at each step, for stepping otherwise than the posterior, which knows the
# image; and at the end for the image itself. All densities are normal, so every term is KL-1 (the last one is a
# logarithm of a density).
#
# **Find the fault:** here are the three parts in code, for N numbers `x_0`, with one noise for each step t, `eps[t - 1]`,
# and each number. `predict(x_t, t)` guesses $x_0$; the model's step has the mean of DDPM-7 (notebook 03) with the guess
# in place of $x_0$, and the variance $\beta_t$ (also at t = 1). It runs. But on the schedule below, for a model that
# always guesses 0, it asks 1.1 nats for the number 0, -6.2 for 1, and -28.0 for 2: the further away, the *cheaper*.
# Mend one line.


# %%
def price(predict, alpha_bar, x_0, eps):
    """Return the price of each number in nats, shape (N,); alpha_bar has T + 1 entries, eps has the shape (T, N)."""

    def kl(mean_1, variance_1, mean_2, variance_2):
        return (np.log(variance_2 / variance_1) + variance_1 / variance_2 - 1 + (mean_1 - mean_2) ** 2 / variance_2) / 2

    T = len(alpha_bar) - 1
    price = kl(alpha_bar[T] ** 0.5 * x_0, 1 - alpha_bar[T], 0.0, 1.0)
    for t in range(1, T + 1):
        alpha_bar_s, alpha_bar_t = alpha_bar[t - 1], alpha_bar[t]
        alpha = alpha_bar_t / alpha_bar_s
        beta = 1 - alpha
        x_t = alpha_bar_t**0.5 * x_0 + (1 - alpha_bar_t) ** 0.5 * eps[t - 1]
        of_image = alpha_bar_s**0.5 * beta / (1 - alpha_bar_t)  # the weights of DDPM-7
        of_x_t = alpha**0.5 * (1 - alpha_bar_s) / (1 - alpha_bar_t)
        mean = of_image * predict(x_t, t) + of_x_t * x_t
        if t > 1:
            variance = (1 - alpha_bar_s) / (1 - alpha_bar_t) * beta
            price = price + kl(of_image * x_0 + of_x_t * x_t, variance, mean, beta)
        else:
            ### BEGIN SOLUTION
            price = price + (x_0 - mean) ** 2 / (2 * beta) + np.log(2 * np.pi * beta) / 2
            ### INSTEAD
            price = price - (x_0 - mean) ** 2 / (2 * beta) - np.log(2 * np.pi * beta) / 2
            ### END SOLUTION
    return price


# %%
price = exercises.PRICE.check(price)
few = GaussianDiffusion(linear_schedule(6, 0.05, 0.7))
numbers = np.array([0.0, 1.0, 2.0])
asked = price(lambda x_t, t: 0 * x_t, few.alpha_bar, numbers, np.zeros((6, 3)))
print("nats for the numbers 0, 1 and 2, if the model always guesses 0:", asked.round(1))
assert (np.diff(asked) > 0).all()

# %% [markdown]
# The library has a function for each part, and takes images: it sums over the pixels.

# %%
show_source(prior_term, step_term)
x_0, eps = rng.standard_normal((3, 2)), rng.standard_normal((3, 2))
mean_T, v_T = few.alpha_bar[6] ** 0.5 * x_0, 1 - few.alpha_bar[6]
assert np.allclose(prior_term(few, x_0), ((mean_T**2 + v_T - 1 - np.log(v_T)) / 2).sum(axis=1))


def shrink(x_t, t, context):
    """Guess x_0 somehow, and eps; t has one entry for each sample."""
    x_0_hat = 0.5 * x_t + 0.1 * t[:, None] + (0 if context is None else context)
    return x_0_hat, few.eps_from_x_0(x_t, t, x_0_hat)


for t in (1, 2, 6):  # DDPM-7, KL-1 and the normal density, as NumPy
    alpha_bar_s, alpha_bar_t = few.alpha_bar[[t - 1, t]]
    beta = 1 - alpha_bar_t / alpha_bar_s
    x_t = alpha_bar_t**0.5 * x_0 + (1 - alpha_bar_t) ** 0.5 * eps
    for context in (None, np.array([[0.3], [-0.2], [1.0]])):
        off = x_0 - (0.5 * x_t + 0.1 * t + (0 if context is None else context))
        squares = (alpha_bar_s**0.5 * beta / (1 - alpha_bar_t) * off) ** 2 / (2 * beta)
        ratio = (1 - alpha_bar_s) / (1 - alpha_bar_t)
        rest = np.log(2 * np.pi * beta) / 2 if t == 1 else (ratio - 1 - np.log(ratio)) / 2
        assert np.allclose(step_term(shrink, few, x_0, t, eps, context), (squares + rest).sum(axis=1))
one_by_one = [price(lambda x_t, t: 0.5 * x_t + 0.1 * t, few.alpha_bar, x_0[:, 0], np.tile(eps[:, 0], (6, 1)))]
terms = [step_term(shrink, few, x_0[:, :1], t, eps[:, :1]) for t in range(1, 7)]
assert np.allclose(one_by_one, prior_term(few, x_0[:, :1]) + sum(terms))

# %% [markdown]
# Does it hold? Take data of one number, $x_0 \sim \mathcal{N}(0.7, 0.3)$, and few, large steps, so that there is a gap
# to see. The model uses the exact denoiser. All its steps are straight lines plus noise, so $p(x_0)$ is normal too, and
# we can follow its mean and variance down the chain. The mean over $\epsilon$ of a parabola in $\epsilon$ is its mean
# over $\epsilon = -1$ and $\epsilon = 1$ (both have $\mathbb{E}[\epsilon] = 0$ and $\mathbb{E}[\epsilon^2] = 1$), so no
# random numbers are needed.
#
# **Predict, then run:** for which $x_0$ is the bound worst?


# %%
def elbo(predict, diffusion, x_0):
    """Return the bound at the numbers x_0, exactly."""
    x_0 = np.repeat(x_0, 2)[:, None]  # each with eps = -1 and with eps = 1
    eps = np.tile([-1.0, 1.0], len(x_0) // 2)[:, None]
    price = prior_term(diffusion, x_0) + sum(
        step_term(predict, diffusion, x_0, t, eps) for t in range(1, diffusion.T + 1)
    )
    return -price.reshape(-1, 2).mean(axis=1)


def log_likelihood(predict, diffusion, x_0):
    """Return log p(x_0) of the model, by the mean and the variance of each x_t."""
    mean, variance, ends = 0.0, 1.0, np.array([[0.0], [1.0]])
    for t in range(diffusion.T, 0, -1):
        offset, at_1 = diffusion.posterior_mean(predict(ends, np.full(2, t))[0], ends, t)[:, 0]
        slope = at_1 - offset
        mean, variance = slope * mean + offset, slope**2 * variance + diffusion.beta(t)
    return -((x_0 - mean) ** 2) / (2 * variance) - np.log(2 * np.pi * variance) / 2


exact = Gaussian(few, np.array([0.7]), 0.3)
x = grid = np.linspace(-2.5, 3.5, 61)
bound, truth = elbo(exact.predict, few, x), log_likelihood(exact.predict, few, x)
assert (bound <= truth).all(), "a lower bound should be lower"
print(f"at x_0 = 0.7: log p {truth[32]:.3f} nats, ELBO {bound[32]:.3f} nats")
gap = truth - bound
print(f"largest gap {gap.max():.4f} nats at x_0 = {x[gap.argmax()]:.1f}, smallest {gap.min():.4f}")

# %% [markdown]
# The gap should be the divergence of the two chains. (The appendix at the end computes that without any of the terms
# above; they agree.) It is worst far from the mean of the data. Here every true step back is a bell curve, for the data are one. Two other
# things cost: the variance $\beta_t$ of the model's step is not the true one, and the model starts from
# $\mathcal{N}(0, 1)$, not from $q(x_T)$. With more steps both errors get smaller, and the gap falls. (For data with
# several humps the shape of large steps, notebook 02, would cost as well.)

# %%
gaps = {}
for T in (3, 6, 12, 50):
    steps = GaussianDiffusion(cosine_schedule(T, max_beta=0.7))
    model = Gaussian(steps, np.array([0.7]), 0.3)
    gaps[f"{T} steps"] = log_likelihood(model.predict, steps, x) - elbo(model.predict, steps, x)
means = [values.mean() for values in gaps.values()]
assert min(np.min(values) for values in gaps.values()) >= 0
assert (np.diff(means) < 0).all(), "more steps should make the bound tighter"
plot.curves(x, gaps, "x_0", "log p(x_0) - ELBO, in nats", title="What the bound loses")


# %%
def with_steps(T):
    """Show likelihood and bound for T steps."""
    steps = GaussianDiffusion(cosine_schedule(T, max_beta=0.7))
    model = Gaussian(steps, np.array([0.7]), 0.3)
    lines = {"log p(x_0)": log_likelihood(model.predict, steps, x), "ELBO": elbo(model.predict, steps, x)}
    return plot.curves(x, lines, "x_0", "nats", title=f"{T} steps")


slider(with_steps, [2, 3, 4, 6, 8, 12, 20, 50], "steps", start=0)

# %% [markdown]
# ## The price of a step is an error of the noise
#
# Look at one step, $t > 1$. The posterior has the mean $\tilde\mu$ and the variance $\tilde\beta_t$; the model's step
# has a mean $\mu_\theta$ and, let us say, the variance $\beta_t$. By KL-1 the price is
# $(\tilde\mu - \mu_\theta)^2 / (2 \beta_t)$ and a constant, in which no network occurs. *Here is the 1/2.* For images,
# sum over the pixels. Let the network predict the noise, $\hat\epsilon$. In the form of DDPM-11 (notebook 03) both
# means are $\frac{1}{\sqrt{\alpha_t}} (x_t - \frac{\beta_t}{\sqrt{1 - \bar\alpha_t}}\, \cdot\,)$, with $\epsilon$ for
# the posterior and $\hat\epsilon$ for the model. Their difference is
#
# $$\tilde\mu - \mu_\theta = \frac{\beta_t}{\sqrt{\alpha_t} \sqrt{1 - \bar\alpha_t}} (\hat\epsilon - \epsilon), \qquad
#   \frac{\lVert \tilde\mu - \mu_\theta \rVert^2}{2 \beta_t}
#   = \underbrace{\frac{\beta_t}{2 \alpha_t (1 - \bar\alpha_t)}}_{\text{weight}} \lVert \epsilon - \hat\epsilon \rVert^2
#   \qquad \text{(Eq. DDPM-12)}$$

# %%
show_source(eps_weight)
many = GaussianDiffusion(cosine_schedule(1000))
t = np.array([1, 2, 300, 999])
beta = 1 - many.alpha_bar[t] / many.alpha_bar[t - 1]
assert np.allclose(eps_weight(many, t), beta / (2 * (1 - beta) * (1 - many.alpha_bar[t])))
assert np.allclose([eps_weight(many, int(one)) for one in t], eps_weight(many, t))
model = Gaussian(many, np.array([0.7]), 0.3)
for t in (2, 100, 900):
    x_0, eps = 0.7 + 0.3**0.5 * rng.standard_normal((4, 1)), rng.standard_normal((4, 1))
    _, eps_hat = model.predict(many.q_sample(x_0, t, eps), t)
    constant = normal_kl(0.0, many.posterior_variance(t), 0.0, many.beta(t))
    weighted = eps_weight(many, t) * ((eps - eps_hat) ** 2).sum(axis=1)
    assert np.allclose(step_term(model.predict, many, x_0, t, eps), weighted + constant)

# %% [markdown]
# **Derive it yourself:** a network may as well predict the image. Both means are DDPM-7,
# $\tilde\mu = \frac{\sqrt{\bar\alpha_s}\, \beta_t}{1 - \bar\alpha_t}\, x_0 + \frac{\sqrt{\alpha_t}\, (1 -
# \bar\alpha_s)}{1 - \bar\alpha_t}\, x_t$ with $s = t - 1$, once with $x_0$ and once with the guess $\hat x_0$. The
# model's step still has the variance $\beta_t$. So the price is a weight times $\lVert x_0 - \hat x_0 \rVert^2$, and
# the same constant. Which weight? (It should work for numbers and for arrays of the two $\bar\alpha$.)


# %%
def my_weight(alpha_bar_s, alpha_bar_t):
    """Return what multiplies the squared error of the image in the price of the step from t to s."""
    ### BEGIN SOLUTION
    beta = 1 - alpha_bar_t / alpha_bar_s
    factor = alpha_bar_s**0.5 * beta / (1 - alpha_bar_t)
    return factor**2 / (2 * beta)
    ### END SOLUTION


# %%
my_weight = exercises.WEIGHT.check(my_weight)
for t in (2, 100, 900):
    x_0_hat, eps_hat = model.predict(many.q_sample(x_0, t, eps), t)
    by_image = my_weight(*many.alpha_bar[[t - 1, t]]) * ((x_0 - x_0_hat) ** 2).sum(axis=1)
    by_noise = eps_weight(many, t) * ((eps - eps_hat) ** 2).sum(axis=1)
    print(f"t = {t}: {by_image[0]:.6f} nats by the image, {by_noise[0]:.6f} by the noise")
    assert np.allclose(by_image, by_noise)

# %% [markdown]
# ## The simple loss
#
# Add up the steps, and average over the data. A sum over t is T times a mean over random t, so the network's part of
# the price is
#
# $$T \cdot \mathbb{E}_{t \sim \mathrm{U}\{1..T\}}\, \mathbb{E}_{x_0 \sim q(x_0)}\, \mathbb{E}_{\epsilon \sim \mathcal{N}(0, I)}
#   \left[\frac{\beta_t}{2 \alpha_t (1 - \bar\alpha_t)} \lVert \epsilon - \hat\epsilon(x_t, t) \rVert^2\right],
#   \qquad x_t = \sqrt{\bar\alpha_t}\, x_0 + \sqrt{1 - \bar\alpha_t}\, \epsilon .$$
#
# (At $t = 1$ the price is a logarithm of a density, but it is the same square again: the posterior's mean is then $x_0$
# itself. For pixels with 256 levels DDPM integrates that density over each level, its Eq. 13; here data are real
# numbers.) Look at the weight:

# %%
t = np.arange(1, 1001)
weights = {"linear": eps_weight(GaussianDiffusion(linear_schedule(1000)), t), "cosine": eps_weight(many, t)}
title = "What the bound gives to each step"
picture = plot.curves(t, weights, "step t", "weight of the squared error", title=title, log="xy")
assert all(weight[0] > 20 * weight[199] for weight in weights.values())
picture

# %% [markdown]
# At small t, where almost no noise is left, the bound weighs an error a hundred times (linear) or 160 times (cosine)
# more than at the lowest point of the curve: there it counts every bit of information in the last digits of a pixel. (The cosine's weight rises again in the second
# half, because its $\beta_t$ grows towards 0.999. There $x_t$ is nearly all noise, so the noise is easy to guess, and
# the large weight meets a tiny error.) For an eye, other steps decide: those where a picture gets its shape. DDPM
# therefore **drops the weight**:
#
# $$L_\text{simple} = \mathbb{E}_{t \sim \mathrm{U}\{1..T\},\; x_0 \sim q(x_0),\; \epsilon \sim \mathcal{N}(0, I)}
#   \left\lVert \epsilon - \hat\epsilon\left(\sqrt{\bar\alpha_t}\, x_0 + \sqrt{1 - \bar\alpha_t}\, \epsilon,\; t\right) \right\rVert^2
#   \qquad \text{(Eq. DDPM-14)}$$
#
# The code takes the mean over the pixels in place of the sum, which is the same up to a constant factor. So the 1/2
# went with the weight, and the factor T and the number of pixels went into the learning rate. Is it allowed? A network
# with a perfect answer at every t makes each term as small as it can be, whatever its weight: all weights have the same
# best network. Weights only say where an imperfect network should be less wrong.
#
# **Write it yourself:** the loss for a batch, as it is trained: each sample has *its own* t. `t` has the shape (N,),
# `x_0` and `eps` have the shape (N, ...) with any number of further axes, and `network(x_t, t)` returns its guess of the
# noise, shaped like `x_t`.


# %%
def my_loss(network, alpha_bar, x_0, t, eps):
    """Return the mean over samples and pixels of the squared error of the noise; alpha_bar has T + 1 entries."""
    ### BEGIN SOLUTION
    a = alpha_bar[t].reshape(-1, *[1] * (x_0.ndim - 1))
    x_t = a**0.5 * x_0 + (1 - a) ** 0.5 * eps
    return ((network(x_t, t) - eps) ** 2).mean()
    ### END SOLUTION


# %%
my_loss = exercises.LOSS.check(my_loss)
show_source(simple_loss)
pictures, noises = rng.standard_normal((3, 4, 5, 2)), rng.standard_normal((3, 4, 5, 2))
t = np.array([30, 700, 250])
a = many.alpha_bar[t].reshape(3, 1, 1, 1)
x_t = a**0.5 * pictures + (1 - a) ** 0.5 * noises
shift = np.array([0.3, 1.0, -2.0]).reshape(3, 1, 1, 1)
by_formula = ((0.5 * x_t + t.reshape(3, 1, 1, 1) / 1000 + shift - noises) ** 2).mean()
bent = simple_loss(
    lambda x, t, context: 0.5 * x + t.reshape(3, 1, 1, 1) / 1000 + context, many, pictures, t, noises, shift
)
assert np.allclose(bent, by_formula)

# %% [markdown]
# With the exact denoiser in the network's place, no other function does better. Two tries: a network that says 0, and
# one that is right but for a tenth:

# %%
n, t = 100_000, 300
x_0, eps = 0.7 + 0.3**0.5 * rng.standard_normal((n, 1)), rng.standard_normal((n, 1))
ts = np.full(n, t)
networks = {
    "the exact denoiser": lambda x_t, t, context: model.predict(x_t, t)[1],
    "a tenth too much": lambda x_t, t, context: 1.1 * model.predict(x_t, t)[1],
    "always 0": lambda x_t, t, context: 0 * x_t,
}
losses = {name: float(simple_loss(network, many, x_0, ts, eps)) for name, network in networks.items()}
for name, loss in losses.items():
    print(f"{name:>20}: {loss:.4f}")
mine = my_loss(lambda x_t, t: model.predict(x_t, t)[1], many.alpha_bar, x_0, ts, eps)
assert np.allclose(mine, losses["the exact denoiser"])
assert min(losses, key=losses.get) == "the exact denoiser"

# %% [markdown]
# Its loss is *not 0*. Who sees $x_t$ cannot know exactly which noise was drawn, however clever he is. This floor is
# different at every t; notebook 09 measures a network against it.

# %% [markdown]
# ## Appendix: the gap, by matrices
#
# (For those who know normal vectors; nothing later needs it.) The gap between $\log p(x_0)$ and the bound should be the
# divergence of the two chains. Compute it without any of the terms above: both chains, given $x_0$, are normal vectors $(x_1, \ldots, x_T)$ with means and covariance matrices. For the forward chain these are
# $a_t x_0$ and, for $s \le t$, $\frac{a_t}{a_s} (1 - \bar\alpha_s)$ (the noise in $x_s$, shrunk on its way to t). For
# the model, write each $x_t$ as a sum of the noises drawn before it. Two formulas for normal vectors are needed. Given
# $x_0$, a vector x with the covariance C and $c = \mathrm{Cov}(x, x_0)$ has the mean
# $\mathbb{E}[x] + g\, (x_0 - \mathbb{E}[x_0])$ and the covariance $C - g c^\top$, with $g = c / \mathrm{Var}[x_0]$. And
# KL-1 for T numbers at once is
# $\tfrac12 (\log(\det C_2 / \det C_1) - T + \mathrm{tr}(C_2^{-1} C_1) + d^\top C_2^{-1} d)$, where d is the difference
# of the means.


# %%
def divergence_of_chains(predict, diffusion, x_0):
    """Return KL(q(x_1 .. x_T | x_0) || p(x_1 .. x_T | x_0)), by matrices."""
    T, ends = diffusion.T, np.array([[0.0], [1.0]])
    mean, factor = np.zeros(T + 1), np.zeros((T + 1, T + 1))  # x = mean + factor @ noises
    factor[T, T] = 1
    for t in range(T, 0, -1):
        offset, at_1 = diffusion.posterior_mean(predict(ends, np.full(2, t))[0], ends, t)[:, 0]
        mean[t - 1] = (at_1 - offset) * mean[t] + offset
        factor[t - 1] = (at_1 - offset) * factor[t]
        factor[t - 1, t - 1] += diffusion.beta(t) ** 0.5
    covariance = factor @ factor.T
    gain = covariance[1:, 0] / covariance[0, 0]
    p_mean = mean[1:] + gain * (x_0 - mean[0])
    p_covariance = covariance[1:, 1:] - np.outer(gain, covariance[0, 1:])

    a = diffusion.alpha_bar[1:] ** 0.5
    shrink = np.minimum(a[None, :] / a[:, None], a[:, None] / a[None, :])
    q_covariance = shrink * (1 - np.maximum.outer(a, a) ** 2)
    inverse, d = np.linalg.inv(p_covariance), p_mean - a * x_0
    logs = np.linalg.slogdet(p_covariance)[1] - np.linalg.slogdet(q_covariance)[1]
    return (logs - T + np.trace(inverse @ q_covariance) + d @ inverse @ d) / 2


by_matrices = np.array([divergence_of_chains(exact.predict, few, value) for value in grid])
print(f"the largest difference of gap and divergence: {abs(gap - by_matrices).max():.1e} nats")
assert np.allclose(gap, by_matrices)

# %% [markdown]
# ## Summary
#
# 1. The likelihood of an image is an integral over all ways to it; a mean over the ways of the forward chain bounds it.
# 2. The gap is the divergence of the model's ways from those of the forward chain.
# 3. The bound is the price of the start, a divergence of normal steps for each t > 1, and a log density at t = 1.
# 4. With the variance fixed, each step's price is a weighted squared error of the noise, and a constant.
# 5. The simple loss drops the weights: the best network stays the same, and an imperfect one looks after the shapes.
#
# <details><summary>Where did the 1/2 go?</summary>
#
# It is in the weight, $\beta_t / (2 \alpha_t (1 - \bar\alpha_t))$, and that was dropped.
#
# </details>
#
# <details><summary>Is a smaller L_simple always a better bound?</summary>
#
# No. A network can gain in the middle, where the bound has little weight, and lose a little at small t, where it has
# much. To compare likelihoods, compute the bound with its weights.
#
# </details>
#
# <details><summary>Over which laws are the expectations taken, when a network is trained?</summary>
#
# t is drawn evenly from 1 to T, $x_0$ from the data set, $\epsilon$ from the normal distribution, all three independent
# and anew for each sample of a batch. $x_t$ is computed from them.
#
# </details>
#
# **Next:** to make the loss small we need its gradient. There is no autograd here: [05 · Gradients by
# hand](05_gradients_by_hand.ipynb).
