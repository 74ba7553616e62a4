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
# # 14 · Likelihoods in bits: what does a picture cost?
#
# **You will learn** how a diffusion model is scored in bits: by the bound, by a tighter bound, and by the flow; what
# each of these numbers includes that no model can help; and which parts of a schedule the bound does not feel.
#
# **Prerequisites:** notebooks 04 and 13. **Time:** 45 minutes to read and run; 90 minutes with the exercises.
#
# **Papers:** Ho et al., *Denoising diffusion probabilistic models* (2020), Eq. 13; Burda et al., *Importance weighted
# autoencoders* (2016); Song et al., *Score-based generative modeling through SDEs* (2021); Kingma et al., *Variational
# diffusion models* (2021); Nichol and Dhariwal, *Improved denoising diffusion probabilistic models* (2021).

# %%
import math

import numpy as np

from tinydiff import plot
from tinydiff.base import Noise
from tinydiff.course import show_source, slider
from tinydiff.course.exercises import notebook_14 as exercises
from tinydiff.data import Dataset
from tinydiff.data.avatars import compose, descriptions_of, log2_probability, portrait_entropy, render
from tinydiff.data.avatars.rendering import parts_of
from tinydiff.data.avatars.slots import SLOTS
from tinydiff.diffusion import (
    FiniteData,
    GaussianDiffusion,
    GaussianMixture,
    bits_per_dimension,
    continuous_term,
    cosine_schedule,
    dequantised,
    exact_velocity,
    flow_log_density,
    importance_weighted_bound,
    in_gamma,
    level_cost,
    likelihood_bound,
    noised,
    random_signs,
    slope_gradient,
    variance_loss,
)
from tinydiff.evaluate import decoder_floor, invention, network_velocity
from tinydiff.models import DiffusionModel, ModelConfig
from tinydiff.networks import NoiseSchedule, UNet, UNetConfig
from tinydiff.train import Denoise, DenoiseConfig, LearnSchedule, LearnScheduleConfig, Run
from tinydiff.train.objectives.learn_schedule import end_gradients
from tinydiff.train.objectives.loss_aware import LossHistory

rng = np.random.default_rng(0)

# %% [markdown]
# ## Bits, and levels of grey
#
# A file that is made for a model P spends $-\log_2 P(x)$ bits on a picture x: what is likely is short. So a model is
# good if pictures that it has *not seen* are short on average. Logarithms come in nats here, $\log e = 1$; a picture of
# D numbers costs
#
# $$\text{bits per dimension} = \frac{-\log P(x)}{D \log 2} . \qquad \text{(Eq. BPD-1)}$$
#
# A pixel is one of 256 levels, and has a *probability*. A diffusion model says a *density* of real numbers. DDPM closes
# the gap in its last step: the density $\mathcal{N}(\mu, \sigma^2)$ of that step is summed up over the cell of each
# level, from the middle to the level below to the middle to the level above:
#
# $$P(x_0 \mid x_1) = \prod_i \int_{\delta_-(x_{0,i})}^{\delta_+(x_{0,i})} \mathcal{N}(x; \mu_i, \sigma_1^2)\, \mathrm{d}x
#   \qquad \text{(Eq. DDPM-13)}$$
#
# The levels lie evenly in $[-1, 1]$, so a cell is $\frac{2}{\text{levels} - 1}$ wide. The lowest cell goes down to
# $-\infty$, the highest up to $\infty$: thus the probabilities of all levels add to 1. **Write it yourself.**


# %%
def my_level_cost(x_0, mean, sigma, levels):
    """Return -log P(x_0) in nats, elementwise; x_0 holds levels, and mean is an array of its shape."""
    below = np.vectorize(lambda z: math.erfc(-z / 2**0.5) / 2)  # the share of N(0, 1) that lies below z
    ### BEGIN SOLUTION
    half = 1 / (levels - 1)
    low = np.where(x_0 < half - 1, 0, below((x_0 - half - mean) / sigma))
    high = np.where(x_0 > 1 - half, 1, below((x_0 + half - mean) / sigma))
    return -np.log(high - low)
    ### END SOLUTION


# %%
my_level_cost = exercises.LEVEL.check(my_level_cost)
grid = np.linspace(-1, 1, 8)
for mean, sigma in ((0.1, 0.2), (-0.95, 0.4), (0.5, 0.09)):
    mine = my_level_cost(grid, np.full(8, mean), sigma, 8)
    assert np.allclose(level_cost(grid, np.full(8, mean), sigma, 8), mine)
    assert np.isclose(np.exp(-mine).sum(), 1), "one of the levels it must be"
assert np.isclose(bits_per_dimension(3 * np.log(2), 6), 0.5), "3 bits for 6 numbers"

# %% [markdown]
# **Predict, then run:** a model knows every pixel of a picture: $\mu$ is the level itself. DDPM's $\sigma$ is 0.01. How
# many bits per pixel does it pay? The cell is $\pm \frac{1}{255}$, that is $\pm 0.39\, \sigma$.

# %%
grey = np.full((2, 4, 4, 1), 100, np.uint8)
in_the_cell = math.erf(1 / 255 / 0.01 / 2**0.5)
print(f"grey pixels: {decoder_floor(grey, 0.01):.3f} bits; black ones: {decoder_floor(0 * grey, 0.01):.3f}")
assert np.isclose(decoder_floor(grey, 0.01), -np.log2(in_the_cell))
assert np.isclose(decoder_floor(0 * grey, 0.01), -np.log2((1 + in_the_cell) / 2)), "black has no neighbour below"

# %% [markdown]
# 1.71 bits are paid although nothing is unknown: the decoder has a spread, and cannot say that it is sure. No bound that
# ends with this decoder is lower, for levels between the ends. So look at $\sigma_1$ before two models are compared: a
# schedule that starts with less noise has a lower floor. See how the density is dealt out to 16 levels:


# %%
def dealt_out(sigma):
    """Show the probability of each of 16 levels, if the density is in the middle, or near the upper end."""
    levels = np.linspace(-1, 1, 16)
    lines = {f"mean {m}": np.exp(-level_cost(levels, np.full(16, m), sigma, 16)) for m in (0.05, 0.9)}
    return plot.curves(levels, lines, "level", "probability", title=f"sigma = {sigma}")


slider(dealt_out, [0.02, 0.05, 0.1, 0.2, 0.4], "sigma", start=2)

# %% [markdown]
# ## The bound, term by term
#
# Notebook 04 has derived the bound: a price for the start, one for each step, one for the data. How near is it to the
# truth? That can be told where the truth is known. Take data of one number, a mixture of two bells. All is written in
# NumPy: the density of $x_t$, the best guess of $x_0$, and the bound, whose means over $\epsilon$ are sums by Gauss'
# rule.

# %%
weights, means, variances = np.array([0.4, 0.6]), np.array([-0.5, 0.4]), np.array([0.01, 0.03])
nodes, of_nodes = np.polynomial.hermite_e.hermegauss(80)
of_nodes = of_nodes / of_nodes.sum()
many_x = np.linspace(-1.5, 1.6, 3101)


def shares(x, alpha_bar):
    """Return the density of x_t that each bell explains, with a last axis for the bells."""
    total = alpha_bar * variances + 1 - alpha_bar
    off = x[..., None] - alpha_bar**0.5 * means
    return weights * np.exp(-(off**2) / (2 * total)) / (2 * np.pi * total) ** 0.5


def log_q(x, alpha_bar=1.0):
    """Return the log density of x_t; with alpha_bar 1, of the data."""
    return np.log(shares(x, alpha_bar).sum(axis=-1))


def guess(x, alpha_bar):
    """Return E[x_0 | x_t]: the guess of each bell, weighted by its share."""
    share = shares(x, alpha_bar)
    total = alpha_bar * variances + 1 - alpha_bar
    each = means + alpha_bar**0.5 * variances / total * (x[..., None] - alpha_bar**0.5 * means)
    return (share * each).sum(axis=-1) / share.sum(axis=-1)


def exact_bound(alpha_bar, x_0):
    """Return the prices in nats at the numbers x_0: of the start, of the steps T .. 2 (in rows), of the data."""
    T, steps = len(alpha_bar) - 1, []
    a_T = alpha_bar[T]
    start = (a_T * x_0**2 - a_T - np.log(1 - a_T)) / 2
    for t in range(T, 0, -1):
        a, a_s = alpha_bar[t], alpha_bar[t - 1]
        beta = 1 - a / a_s
        off = x_0[:, None] - guess(a**0.5 * x_0[:, None] + (1 - a) ** 0.5 * nodes, a)
        square = (off**2) @ of_nodes
        if t == 1:
            return start, np.array(steps), (square / beta + np.log(2 * np.pi * beta)) / 2
        ratio, c_0 = (1 - a_s) / (1 - a), a_s**0.5 * beta / (1 - a)
        steps.append((ratio - 1 - np.log(ratio) + c_0**2 * square / beta) / 2)


density = np.exp(log_q(many_x))
truth = -(density * log_q(many_x)).sum() * 0.001 / np.log(2)
print(f"the data cost {truth:.4f} bits (those of a density, which may be below 0)")

# %% [markdown]
# The library draws the noise and calls a denoiser. `likelihood_bound` returns the three parts, for each sample.

# %%
show_source(likelihood_bound)
few = GaussianDiffusion(cosine_schedule(20))
five = np.array([-0.7, -0.5, 0.0, 0.4, 0.8])
found = likelihood_bound(
    GaussianMixture(few, weights, means[:, None], variances).predict, few, np.repeat(five, 4000)[:, None], Noise(1)
)
start, steps, data = exact_bound(few.alpha_bar, five)
assert np.allclose(found.prior.reshape(5, -1), start[:, None])
for drawn, exact in ((found.steps, steps.sum(axis=0)), (found.data, data)):
    of_five = drawn.reshape(5, -1)
    error = of_five.std(axis=1) / 4000**0.5
    assert (abs(of_five.mean(axis=1) - exact) < 5 * error).all()  # by chance once in a hundred thousand times
assert np.allclose(found.bits, (found.prior + found.steps + found.data) / np.log(2))
levels = np.array([-1.0, -7 / 15, 5 / 15, 1.0])
found = likelihood_bound(
    GaussianMixture(few, weights, means[:, None], variances).predict,
    few,
    np.repeat(levels, 4000)[:, None],
    Noise(2),
    levels=16,
)
x_1 = few.alpha_bar[1] ** 0.5 * levels[:, None] + (1 - few.alpha_bar[1]) ** 0.5 * nodes
sigma_1 = (1 - few.alpha_bar[1]) ** 0.5
near = of_nodes > 1e-13  # beyond, a level has the probability 0 in float64
costs = my_level_cost(
    np.repeat(levels[:, None], near.sum(), axis=1), guess(x_1[:, near], few.alpha_bar[1]), sigma_1, 16
)
of_levels = found.data.reshape(4, -1)
assert (abs(of_levels.mean(axis=1) - costs @ of_nodes[near]) < 5 * of_levels.std(axis=1) / 4000**0.5).all()

# %% [markdown]
# The data's mean price, in bits, and what of it is gap:

# %%
gaps = {}
for T in (5, 10, 20, 50, 100, 200):
    start, steps, data = exact_bound(cosine_schedule(T), many_x[::10])
    nats = start + steps.sum(axis=0) + data
    gaps[T] = (density[::10] * nats).sum() * 0.01 / np.log(2) - truth
    print(f"T = {T:<4} bound {truth + gaps[T]:+.4f} bits, gap {gaps[T]:.4f}")
assert min(gaps.values()) > 0
assert (np.diff(list(gaps.values())) < 0).all(), "more steps should make the bound tighter"


# %%
def prices_with(T):
    """Show the mean price of each step of a chain."""
    _, steps, _ = exact_bound(cosine_schedule(T), many_x[::10])
    mean = steps @ density[::10] * 0.01 / np.log(2)
    t = np.arange(T, 1, -1)
    return plot.curves(t / T, {"price": mean}, "t / T", "bits", title=f"{T} steps: {mean.sum():.3f} bits together")


slider(prices_with, [5, 10, 20, 50, 100], "T", start=3)

# %% [markdown]
# ## A few steps for all
#
# Most of the price is asked near the data, where the noise no longer hides the picture and every digit counts. And each
# step asks for a call of the network: a thousand, for one number. But a sum can be estimated by a few of its terms: draw
# step t with probability p(t), and divide its price by p(t). Then the mean is the sum,
# $\sum_t p(t) \frac{L_t}{p(t)} = \sum_t L_t$. Better than to draw K steps anywhere: cut the probability into K *strata*
# of $\frac1K$ each, and draw one step from each.
#
# $$-\log p(x_0) \le \mathbb{E} \left[L_T + \sum_k \frac{L_{t_k - 1}}{K p(t_k)} + L_0\right] \qquad \text{(Eq. ELBO-1)}$$
#
# Why the K? Within stratum k, a step t has the probability $K p_k(t)$, where $p_k(t)$ is the part of p(t) in the
# stratum; and $\sum_k K p_k(t) \frac{L_t}{K p(t)} = L_t$, since the parts add to p(t).
#
# **Derive it yourself:** turn K uniform numbers into steps. The k-th is the share of the way through stratum k; the
# step is where the running sum of p first passes that place.


# %%
def my_estimate(prices, p, u):
    """Return an estimate of prices.sum() by len(u) of them; p, which adds to 1, says how probable each is."""
    ### BEGIN SOLUTION
    K = len(u)
    places = (np.arange(K) + u) / K
    drawn = np.searchsorted(np.cumsum(p), places, side="right")
    return (prices[drawn] / (K * p[drawn])).sum()
    ### END SOLUTION


# %%
my_estimate = exercises.STRATA.check(my_estimate)
prices, p = 2 * np.exp(-np.arange(30) / 8), np.linspace(1, 0.5, 30)
p /= p.sum()
anywhere = [np.mean([my_estimate(prices, p, np.array([one])) for one in rng.uniform(size=4)]) for _ in range(4000)]
from_strata = [my_estimate(prices, p, rng.uniform(size=4)) for _ in range(4000)]
print(
    f"sum {prices.sum():.2f}; deviation of 4 steps anywhere {np.std(anywhere):.2f}, from strata {np.std(from_strata):.2f}"
)
assert abs(np.mean(from_strata) - prices.sum()) < 5 * np.std(from_strata) / 4000**0.5
assert np.std(from_strata) < np.std(anywhere)

# %% [markdown]
# The library's p is half even, half as the log SNR falls. 4 of 99 steps, against all of them, exactly:

# %%
long = GaussianDiffusion(cosine_schedule(100))
of_long = GaussianMixture(long, weights, means[:, None], variances)
_, steps, _ = exact_bound(long.alpha_bar, five)
by_four = likelihood_bound(of_long.predict, long, np.repeat(five, 4000)[:, None], Noise(3), strata=4)
drawn = by_four.steps.reshape(5, -1)
print("steps, by 4 of them:", drawn.mean(axis=1).round(3), "exactly:", steps.sum(axis=0).round(3))
assert (abs(drawn.mean(axis=1) - steps.sum(axis=0)) < 5 * drawn.std(axis=1) / 4000**0.5).all()

# %% [markdown]
# ## Several chains
#
# The gap came from Jensen's inequality: the logarithm of a mean is at least the mean of logarithms. The nearer all
# numbers in the mean are to each other, the smaller the loss. So take a mean over K chains first, and the logarithm
# then:
#
# $$-\log p(x_0) \le -\mathbb{E} \log \frac{1}{K} \sum_k \frac{p(x_0, x_{1:T}^{(k)})}{q(x_{1:T}^{(k)} \mid x_0)}
#   \qquad \text{(Eq. IWAE-1)}$$
#
# Inside stands a number whose mean is $p(x_0)$, for every K (notebook 04); so the inequality is Jensen's again. For K =
# 1 it is the old bound. With $K \to \infty$ the mean stops varying, and the price tends to $-\log p(x_0)$.
#
# **Derive it yourself:** let $\ell_k$ be the price of chain k, $-\log$ of its fraction. A picture costs thousands of
# nats, and $e^{-3000}$ is 0 in any float. Which number may be taken out of the mean first?


# %%
def my_log_mean(prices):
    """Return -log of the mean over k of exp(-prices[k]), shape (N,); prices has the shape (K, N)."""
    ### BEGIN SOLUTION
    least = prices.min(axis=0)
    return least - np.log(np.exp(least - prices).mean(axis=0))
    ### END SOLUTION


# %% [markdown]
# Now few steps, T = 5, so that there is a gap to close. *This model's* density is not that of the data: its five normal
# steps cannot do better. It can be followed down on a grid, by one integral for each step:

# %%
my_log_mean = exercises.CHAINS.check(my_log_mean)
short = GaussianDiffusion(cosine_schedule(5))
x = np.linspace(-6, 6, 2401)
of_model = np.exp(-(x**2) / 2) / (2 * np.pi) ** 0.5
for t in range(5, 0, -1):
    a, a_s = short.alpha_bar[t], short.alpha_bar[t - 1]
    beta = 1 - a / a_s
    mean = (a_s**0.5 * beta * guess(x, a) + (a / a_s) ** 0.5 * (1 - a_s) * x) / (1 - a)
    ends = five if t == 1 else x
    step = np.exp(-((ends[:, None] - mean) ** 2) / (2 * beta)) / (2 * np.pi * beta) ** 0.5
    of_model = step @ of_model * 0.005
minus_log_p = -np.log(of_model)

predict = GaussianMixture(short, weights, means[:, None], variances).predict
start, steps, data = exact_bound(short.alpha_bar, five)
before = np.full(5, np.inf)
for K in (1, 4, 16, 64):
    prices = importance_weighted_bound(predict, short, np.repeat(five, 1000)[:, None], Noise(4), chains=K).reshape(
        5, -1
    )
    mean, error = prices.mean(axis=1), prices.std(axis=1) / 1000**0.5
    print(f"K = {K:<3} gap to the model's own -log p, in nats: {(mean - minus_log_p).round(3)}")
    assert (mean > minus_log_p - 5 * error).all(), "still a bound"
    assert (mean < before).all(), "and tighter"
    fractions = np.exp(minus_log_p[:, None] - prices)
    assert (abs(fractions.mean(axis=1) - 1) < 5 * fractions.std(axis=1) / 1000**0.5).all(), "its mean is p(x_0)"
    if K == 1:
        assert (abs(mean - (start + steps.sum(axis=0) + data)) < 5 * error).all(), "one chain: the old bound"
    before = mean

# %% [markdown]
# ## The flow knows its own density
#
# On DDPM's path $a = \cos \varphi$ and $b = \sin \varphi$, so along the angle
# $x = \cos \varphi\, x_0 + \sin \varphi\, \epsilon$ moves with $-\sin \varphi\, x_0 + \cos \varphi\, \epsilon = v$. As
# in notebook 13, a crowd that moves with the mean of v given x keeps the right density:
#
# $$\frac{\mathrm{d} x}{\mathrm{d} \varphi} = \hat v(x), \qquad a = \cos \varphi,\ b = \sin \varphi
#   \qquad \text{(Eq. PFODE-1)}$$
#
# No noise is added on the way: the flow is a map, and the density follows by a change of variables. In a short time h,
# $x' = x + h \hat v(x)$. The volume around x grows by $\det(I + h J)$, $J = \frac{\partial \hat v}{\partial x}$, and
# the density falls by the same factor. The determinant is the product of $1 + h \lambda_i$ over the eigenvalues, so its
# logarithm is $h \sum \lambda_i = h\, \mathrm{tr}\, J$, up to $h^2$. Add up all short times:
#
# $$\log p_t(x_t) = \log p_T(x_T) + \int_{\varphi_t}^{\varphi_T} \mathrm{tr}\, \frac{\partial \hat v}{\partial x}\,
#   \mathrm{d} \varphi \qquad \text{(Eq. PFODE-2)}$$
#
# **Derive it yourself**, for one number and by Euler's method: the trace is then the slope of v.


# %%
def my_log_density(v, slope, x, angles):
    """Return log p at x, an array, at the first angle; v(x, angle) and slope(x, angle), its derivative in x, are given.

    At the last angle the density is the standard normal one.
    """
    ### BEGIN SOLUTION
    spread = 0 * x
    for k in range(len(angles) - 1):
        h = angles[k + 1] - angles[k]
        x, spread = x + h * v(x, angles[k]), spread + h * slope(x, angles[k])
    return spread - x**2 / 2 - np.log(2 * np.pi) / 2
    ### END SOLUTION


# %%
my_log_density = exercises.FLOW.check(my_log_density)


def exact_v(x, angle):
    """Return (a x - x_0_hat) / b, the mean of v given x."""
    return (np.cos(angle) * x - guess(x, np.cos(angle) ** 2)) / np.sin(angle)


def exact_slope(x, angle):
    """Return its derivative by differences."""
    return (exact_v(x + 1e-5, angle) - exact_v(x - 1e-5, angle)) / 2e-5


T = 200
diffusion = GaussianDiffusion(cosine_schedule(T))
mixture = GaussianMixture(diffusion, weights, means[:, None], variances)
first, last = np.arccos(diffusion.alpha_bar[[1, T]] ** 0.5)
angles = np.linspace(first ** (1 / 3), last ** (1 / 3), 3001) ** 3  # smaller steps where v changes fast
x_1 = diffusion.alpha_bar[1] ** 0.5 * five
known = log_q(x_1, diffusion.alpha_bar[1])
euler = my_log_density(exact_v, exact_slope, x_1, angles)
library = flow_log_density(exact_velocity(mixture), diffusion, x_1[:, None], 1.0, steps=64)
print("log q(x_1):", known.round(4), "by Euler:", euler.round(4), "by the library:", library.round(4), sep="\n")
assert np.allclose(euler, known, atol=0.02)
assert np.allclose(library, known, atol=1e-3)

# %% [markdown]
# The library takes Runge-Kutta's method of order 4: half the step, a sixteenth of the error. And the velocity it is
# given returns, beside v, the product $z^\top J$, since that is what a backward can do. For the best denoiser J is
# known. Write $\hat x_0 = \int x_0\, q(x_0 \mid x_t)\, \mathrm{d}x_0$, where $q(x_0 \mid x_t)$ is proportional to
# $q(x_0) \exp(a\, x_0^\top x_t / b^2 - a^2 \lVert x_0 \rVert^2 / (2 b^2))$. Its logarithm has the derivative
# $\frac{a}{b^2} (x_0 - \hat x_0)$ in $x_t$ (the second term comes from the normaliser). So
#
# $$\frac{\partial \hat x_0}{\partial x_t} = \frac{a}{b^2}\, \mathbb{E}\left[x_0 (x_0 - \hat x_0)^\top \mid x_t\right]
#   = \frac{a}{b^2}\, \mathrm{Cov}(x_0 \mid x_t) . \qquad \text{(Eq. TWEEDIE-2)}$$
#
# The guess moves with $x_t$ as far as it is uncertain.

# %%
ends = diffusion.alpha_bar[[1, T]]
errors = []
for steps in (40, 80, 160):
    log_p = flow_log_density(
        exact_velocity(mixture), diffusion, x_1[:, None], 1.0, steps=steps, log_prior=lambda x: log_q(x[:, 0], ends[1])
    )
    errors.append(abs(log_p - known).max())
print("errors of 40, 80 and 160 steps:", errors)
assert errors[0] > 8 * errors[1] > 64 * errors[2]

points, d = rng.standard_normal((6, 3)), rng.standard_normal((4, 3))
x_t, t = rng.standard_normal((4, 3)), 90
alpha_bar = diffusion.alpha_bar[t]
far = x_t[:, None] - alpha_bar**0.5 * points
share = np.exp(-(far**2).sum(axis=2) / (2 * (1 - alpha_bar)))
share /= share.sum(axis=1, keepdims=True)
off = points - (share @ points)[:, None]
covariance = np.einsum("nk,nki,nkj->nij", share, off, off)
by_covariance = alpha_bar**0.5 / (1 - alpha_bar) * np.einsum("nij,nj->ni", covariance, d)
assert np.allclose(FiniteData(diffusion, points).predict_backward(x_t, t, d), by_covariance)
for t, x in ((5, x_1), (60, 2 * five)):
    alpha_bar = diffusion.alpha_bar[t]
    by_differences = (guess(x + 1e-5, alpha_bar) - guess(x - 1e-5, alpha_bar)) / 2e-5
    assert np.allclose(
        mixture.predict_backward(x[:, None], t, np.ones((5, 1)))[:, 0], by_differences, rtol=1e-5, atol=1e-6
    )
    v, row = exact_velocity(mixture)(x[:, None], t, np.full((5, 1), 2.0))
    angle = np.arccos(alpha_bar**0.5)
    assert np.allclose(v[:, 0], exact_v(x, angle))
    assert np.allclose(row[:, 0], 2 * exact_slope(x, angle), rtol=1e-5, atol=1e-5)

# %% [markdown]
# For a network, $z^\top J$ is its backward down to the input. Is it? A small UNet with random weights, against
# differences:

# %%
shape = UNetConfig(4, channels=8, channel_mult=(1,), blocks_per_level=1, dropout=0.0)
network = UNet(shape, rng, np.float64)
network.theta[...] += 0.1 * rng.standard_normal(network.theta.shape)
model = DiffusionModel(network, ModelConfig(shape))
x, z, h = rng.standard_normal((2, 4, 4, 1)), rng.standard_normal((2, 4, 4, 1)), 1e-5
velocity, t = network_velocity(model), 400.0
v, row = velocity(x, t, z)
x_0_hat, eps_hat = model.diffusion.x_0_from_v(x, t, v), model.diffusion.eps_from_v(x, t, v)
a, b = model.diffusion.scales(t)
assert np.allclose(v, a * eps_hat - b * x_0_hat)
assert np.allclose(v, network.forward(x, np.full(2, t), None)), "the network predicts v itself"
direction = rng.standard_normal(x.shape)
moved = (velocity(x + h * direction, t, z)[0] - velocity(x - h * direction, t, z)[0]) / (2 * h)
assert np.isclose((z * moved).sum(), (row * direction).sum(), rtol=1e-5)

# %% [markdown]
# ## A trace by random signs
#
# The exact trace of a picture with D numbers takes D products, one for each diagonal entry. Instead, draw random signs
# z. In $\mathbb{E}\, z^\top J z = \sum_{ij} J_{ij}\, \mathbb{E}\, z_i z_j$, the mean $\mathbb{E}\, z_i z_j$ is 1 where
# $i = j$ and 0 elsewhere. So
#
# $$\mathrm{tr}\, J = \mathbb{E}\, z^\top J z, \qquad z_i \in \{-1, 1\} . \qquad \text{(Eq. HUTCH-1)}$$
#
# Any z with $\mathbb{E}\, z z^\top = I$ would do. With signs $z_i^2 = 1$ does not vary: the diagonal gives no noise,
# and the variance is $\sum_{i < j} (J_{ij} + J_{ji})^2$.

# %%
J = rng.standard_normal((6, 6)) + 3 * np.eye(6)
z = random_signs(Noise(5), (1, 6), probes=20_000, dtype=np.float64)[:, 0]
assert (abs(z) == 1).all()
by_signs = ((z @ J) * z).sum(axis=1)
z = rng.standard_normal((20_000, 6))
by_normals = ((z @ J) * z).sum(axis=1)
deviation = (np.triu(J + J.T, 1) ** 2).sum() ** 0.5
print(
    f"trace {np.trace(J):.2f}; by signs {by_signs.mean():.2f} +- {by_signs.std():.2f}, by normals +- {by_normals.std():.2f}"
)
assert abs(by_signs.mean() - np.trace(J)) < 5 * deviation / 20_000**0.5
assert abs(by_signs.std() / deviation - 1) < 0.05
assert by_signs.std() < by_normals.std()

# %% [markdown]
# In the flow, the same signs are kept along the whole way. In two dimensions, where the bells are tilted, one probe
# errs, and the mean over probes is right:

# %%
tilted = [np.array([[0.3, 0.2], [0.2, 0.3]]), np.array([[0.2, -0.1], [-0.1, 0.4]])]
plane = GaussianMixture(diffusion, [0.5, 0.5], np.array([[-0.5, 0.0], [0.8, 0.3]]), tilted)
x_t, t = rng.standard_normal((3, 2)), 40
alpha_bar, each = diffusion.alpha_bar[t], []
for mean, covariance in zip([[-0.5, 0.0], [0.8, 0.3]], tilted, strict=True):
    total = alpha_bar * covariance + (1 - alpha_bar) * np.eye(2)
    off = x_t - alpha_bar**0.5 * np.array(mean)
    square = np.einsum("ni,ij,nj->n", off, np.linalg.inv(total), off)
    each.append(0.5 * np.exp(-square / 2) / (2 * np.pi * np.linalg.det(total) ** 0.5))
known = np.log(sum(each))
log_p = flow_log_density(exact_velocity(plane), diffusion, x_t, float(t), steps=16)
copies = np.repeat(x_t, 200, axis=0)
probes = random_signs(Noise(6), copies.shape, dtype=np.float64)
by_probes = flow_log_density(exact_velocity(plane), diffusion, copies, float(t), probes, steps=16).reshape(3, -1)
print(
    "exact trace", log_p.round(4), "by one probe", by_probes.mean(axis=1).round(4), "+-", by_probes.std(axis=1).round(4)
)
assert np.allclose(log_p, known, atol=1e-3)
assert (abs(by_probes.mean(axis=1) - known) < 5 * by_probes.std(axis=1) / 200**0.5 + 1e-3).all()
assert by_probes.std(axis=1).max() > 0.01

# %% [markdown]
# **Three numbers for the same data**, in bits: the truth, the flow and the bound. The flow ends at t = 1, where a
# little noise is left, so that $x_1 / a$ stands for the data: $-\log p(x_1) - D \log a$. With the best denoiser the
# flow's density is that of the data. The bound lies above, at any finite T.

# %%
start, steps, data = exact_bound(diffusion.alpha_bar, many_x[::10])
bound = density[::10] @ (start + steps.sum(axis=0) + data) * 0.01 / np.log(2)
a_1 = diffusion.alpha_bar[1] ** 0.5
log_p = flow_log_density(exact_velocity(mixture), diffusion, a_1 * many_x[::10, None], 1.0, steps=48)
by_flow = -density[::10] @ (log_p + np.log(a_1)) * 0.01 / np.log(2)
print(f"truth {truth:.4f}, flow {by_flow:.4f}, bound {bound:.4f} bits")
assert abs(by_flow - truth) < 0.003
assert bound > by_flow

# %% [markdown]
# ## Levels for a density
#
# The flow gives a density of real numbers, and pixels are levels. On levels alone a density can be as high as one
# likes, and so mean nothing. Spread each level over its cell: $x = x_0 + u$. The probability of the cell is
# $P(x_0) = \int_\text{cell} p = w\, \mathbb{E}_u\, p(x_0 + u)$, with w its volume, $(2 / 255)^D$. By Jensen's
# inequality $\log \mathbb{E}_u\, p \ge \mathbb{E}_u \log p$, so
#
# $$-\log P(x_0) \le -\mathbb{E}_u \log p(x_0 + u) + D \log \tfrac{255}{2}, \qquad
#   u \sim \mathrm{U}\left(-\tfrac{1}{255}, \tfrac{1}{255}\right)
#   \qquad \text{(Eq. DEQ-1)}$$
#
# Again a bound from above; it is tight if p is flat within a cell. With our mixture as p, and few levels:

# %%
u = (np.arange(400) + 0.5) / 400 - 0.5
costs_more = []
for number in (9, 17, 33):
    levels, width = np.linspace(-1, 1, number)[number // 4 : -(number // 4)], 2 / (number - 1)
    cells = levels[:, None] + width * u
    price = -np.log(width * np.exp(log_q(cells)).mean(axis=1))  # -log P, by the integral
    jensen = -log_q(cells).mean(axis=1) - np.log(width)
    x, nats = dequantised(np.repeat(levels, 4000)[:, None], Noise(7), number)
    drawn = (nats - log_q(x[:, 0])).reshape(len(levels), -1)
    assert (abs(x.reshape(len(levels), -1) - levels[:, None]) <= width / 2).all(), "within its cell"
    assert (abs(drawn.mean(axis=1) - jensen) < 5 * drawn.std(axis=1) / 4000**0.5).all()
    assert (jensen >= price).all()
    costs_more.append((jensen - price).mean())
    print(f"{number} levels: Jensen's inequality costs {costs_more[-1] / np.log(2):.4f} bits")
_, nats = dequantised(np.zeros((2, 3, 5)), Noise(0))
assert np.isclose(nats, 15 * np.log(255 / 2)), "for each of the numbers of a sample"
assert costs_more[0] > 2 * costs_more[1] > 4 * costs_more[2], "a smaller cell is flatter"

# %% [markdown]
# ## Infinitely many steps
#
# More steps made the bound better. Take infinitely many. Measure time by $\gamma = -\log \mathrm{SNR}$, which grows
# from the data to the noise. Since $a^2 + b^2 = 1$ and $a^2 / b^2 = e^{-\gamma}$,
#
# $$x_t = a\, x_0 + b\, \epsilon, \qquad a^2 = \mathrm{sigmoid}(-\gamma), \quad b^2 = \mathrm{sigmoid}(\gamma) .
#   \qquad \text{(Eq. VDM-Z)}$$
#
# With the posterior's own variance $\tilde\beta$, a step from t to s costs
# $\tfrac12 (\mathrm{SNR}(s) - \mathrm{SNR}(t)) \lVert x_0 - \hat x_0 \rVert^2$ (problem set 2). For short steps the
# difference is $-\mathrm{d}\, e^{-\gamma} = e^{-\gamma} \gamma'(t)\, \mathrm{d}t$. And
# $x_0 - \hat x_0 = -\frac{b}{a} (\epsilon - \hat\epsilon)$, so the square is
# $e^{\gamma} \lVert \epsilon - \hat\epsilon \rVert^2$: the exponentials cancel. What is left is a mean over random
# times $t \sim \mathrm{U}(0, 1)$,
#
# $$L_\infty = \tfrac12\, \mathbb{E}_{t, \epsilon}\left[\gamma'(t)\, \lVert \epsilon - \hat\epsilon \rVert^2\right]
#   \qquad \text{(Eq. VDM-INF)}$$
#
# and, with $\gamma'(t)\, \mathrm{d}t = \mathrm{d}\gamma$,
#
# $$L_\infty = \tfrac12 \int_{\gamma_0}^{\gamma_1} \mathbb{E}\, \lVert \epsilon - \hat\epsilon \rVert^2\, \mathrm{d}\gamma .
#   \qquad \text{(Eq. VDM-INV)}$$
#
# There is no t any more: *the bound knows the ends of a schedule, and not its inside.*
#
# **Derive it yourself:** for one number of variance S,
# $\mathbb{E} (\epsilon - \hat\epsilon)^2 = \frac{a^2 S}{a^2 S + b^2} = \frac{S}{S + e^\gamma}$. What is the integral?
# (Write the fraction as $1 - \frac{e^\gamma}{S + e^\gamma}$.)


# %%
def my_integral(S, gamma_0, gamma_1):
    """Return L_infinity in nats for data of variance S, between two ends."""
    ### BEGIN SOLUTION
    return (gamma_1 - gamma_0 - np.log((S + np.exp(gamma_1)) / (S + np.exp(gamma_0)))) / 2
    ### END SOLUTION


# %% [markdown]
# A schedule that is learned should grow whatever its weights are. It is a straight line and some sigmoids, with
# positive weights, stretched so that it has the right ends:
#
# $$\gamma(t) = \gamma_0 + (\gamma_1 - \gamma_0) \frac{f(t) - f(0)}{f(1) - f(0)}, \qquad
#   f(t) = t + \sum_j r_j\, \mathrm{sigmoid}(a_j t + c_j)
#   \qquad \text{(Eq. VDM-GAMMA)}$$
#
# **Predict, then run:** a straight schedule and a bent one, both from -7 to 4. Which gives the better bound?

# %%
my_integral = exercises.INTEGRAL.check(my_integral)
S, n = 0.3, 40_000
straight, bent = NoiseSchedule(-7.0, 4.0, hidden=0), NoiseSchedule(-7.0, 4.0, hidden=4)
bent.log_height.value[...] += 3.0
t = (np.arange(n) + 0.5) / n
steepness, height = np.exp(bent.log_steepness.value), np.exp(bent.log_height.value)


def f(t):
    """Return the line and its sigmoids, before they are stretched."""
    return t + (height / (1 + np.exp(-(steepness * np.reshape(t, (-1, 1)) + bent.shift.value)))).sum(axis=1)


gamma, slope, curvature = bent.forward(t)
assert np.allclose(gamma, -7 + 11 * (f(t) - f(0)) / (f(1) - f(0)))
assert np.allclose(slope[1:-1], (gamma[2:] - gamma[:-2]) * n / 2, rtol=1e-4)
assert np.allclose(curvature[1:-1], (slope[2:] - slope[:-2]) * n / 2, rtol=1e-3, atol=1e-2)
assert (slope > 0).all()


def denoise(x_t, gamma):
    """Return the best eps_hat for data of variance S."""
    a_squared, b_squared = 1 / (1 + np.exp(gamma)), 1 / (1 + np.exp(-gamma))
    return (b_squared**0.5 / (a_squared * S + b_squared))[:, None] * x_t


x_0, eps = S**0.5 * rng.standard_normal((n, 1)), rng.standard_normal((n, 1))
deviations = {}
for name, schedule in (("straight", straight), ("bent", bent)):
    gamma, slope, _ = schedule.forward(t)
    x_t = noised(x_0, gamma, eps)
    odds = np.exp(-gamma)[:, None]  # SNR = a^2 / b^2
    assert np.allclose(x_t, (odds / (1 + odds)) ** 0.5 * x_0 + (1 / (1 + odds)) ** 0.5 * eps)
    terms = continuous_term(eps, denoise(x_t, gamma), slope)
    assert np.allclose(terms, slope * (eps - denoise(x_t, gamma))[:, 0] ** 2 / 2)
    deviations[name] = terms.std()
    print(
        f"{name:<9} bound {terms.mean():.3f} nats, exactly {my_integral(S, -7, 4):.3f}; deviation of a term {terms.std():.2f}"
    )
    assert abs(terms.mean() - my_integral(S, -7, 4)) < 5 * terms.std() / n**0.5
assert abs(deviations["bent"] / deviations["straight"] - 1) > 0.05
lines = {name: schedule.forward(t[::200]).gamma for name, schedule in (("straight", straight), ("bent", bent))}
plot.curves(t[::200], lines, "t", "gamma", "The same ends, the same bound")

# %% [markdown]
# ## What the inside of a schedule does
#
# Neither is better. They differ in how much a random term *varies*: who trains or measures with few times wants little
# variance. So learn the inside such that the mean square is small. With $p = 1 / \gamma'$ the density of the noise
# levels that are looked at, the mean square is
# $\mathbb{E}[\ell^2] = \int \frac{S_4(\gamma)}{4\, p(\gamma)}\, \mathrm{d}\gamma$, with $S_4$ the mean of
# $\lVert \epsilon - \hat\epsilon \rVert^4$: the schedule enters by p only. Move $\gamma(t)$ by a little
# $\mathrm{d}\gamma(t)$. At a fixed $\gamma$ it is met at a time that is earlier by $\mathrm{d}\gamma / \gamma'$, so the
# slope there changes by $\mathrm{d}\gamma' - \gamma''\, \mathrm{d}\gamma / \gamma'$, and $1 / p = \gamma'$ with it:
#
# $$\mathrm{d}\, \mathbb{E}[\ell^2]
#   = \mathbb{E}\left[\frac{\ell^2}{\gamma'} \left(\mathrm{d}\gamma' - \frac{\gamma''}{\gamma'}\, \mathrm{d}\gamma\right)\right]
#   \qquad \text{(Eq. VDM-VAR)}$$
#
# No gradient through the denoiser is needed. The *ends* do change the bound, which is a price of the start at
# $\gamma_1$, the integral, and a price of the data at $\gamma_0$. With the density $\mathcal{N}(x_t / a, b^2 / a^2)$
# for the data, whose variance is $e^{\gamma_0}$, the last is $\tfrac{D}{2} (\log 2 \pi e + \gamma_0)$. Differentiate:
#
# $$\frac{\partial L}{\partial \gamma_0} = \tfrac12 \left(D - \mathbb{E}\, \lVert \epsilon - \hat\epsilon \rVert^2\right), \quad
#   \frac{\partial L}{\partial \gamma_1} = \tfrac12\, \mathbb{E}\, \lVert \epsilon - \hat\epsilon \rVert^2
#   {} + \frac{\partial}{\partial \gamma_1} \mathrm{KL}\left(q(x_T \mid x_0) \,\Vert\, \mathcal{N}(0, I)\right)
#   \qquad \text{(Eq. VDM-ENDS)}$$


# %%
def curve(c):
    """Return gamma, its slope and its curvature at t, of a family of schedules with the same ends."""
    return -7 + 11 * (t + c * t * (1 - t)), 11 * (1 + c * (1 - 2 * t)), np.full(n, -22 * c)


def mean_square(c):
    """Return E[l^2]; the error is normal with variance S / (S + e^gamma), its fourth power has 3 of that squared."""
    gamma, slope, _ = curve(c)
    return (slope**2 * 3 * (S / (S + np.exp(gamma))) ** 2 / 4).mean()


gamma, slope, curvature = curve(0.3)
root_mean_square = slope / 2 * 3**0.5 * S / (S + np.exp(gamma))
d_gamma, d_slope = slope_gradient(root_mean_square, slope, curvature)
by_formula = (d_gamma * 11 * t * (1 - t) + d_slope * 11 * (1 - 2 * t)).mean()
by_differences = (mean_square(0.3 + 1e-4) - mean_square(0.3 - 1e-4)) / 2e-4
print(f"derivative of the mean square: {by_formula:.4f}, by differences {by_differences:.4f}")
assert np.isclose(by_formula, by_differences, rtol=1e-4)


def whole_bound(first, last):
    """Return the bound for data of variance S and the best denoiser, in nats."""
    a_squared = 1 / (1 + np.exp(last))
    start = (a_squared * S - a_squared - np.log(1 - a_squared)) / 2
    return start + my_integral(S, first, last) + (np.log(2 * np.pi * np.e) + first) / 2


x_0, eps = (
    S**0.5 * np.array([[1.0], [1.0], [-1.0], [-1.0]]),
    np.array([[1.0], [-1.0], [1.0], [-1.0]]),
)  # means of squares are exact
d_first, d_last = end_gradients(denoise, x_0, eps, (-3.0, 1.0))
assert np.isclose(d_first.mean(), (whole_bound(-3 + 1e-5, 1) - whole_bound(-3 - 1e-5, 1)) / 2e-5)
assert np.isclose(d_last.mean(), (whole_bound(-3, 1 + 1e-5) - whole_bound(-3, 1 - 1e-5)) / 2e-5)

# %% [markdown]
# Let it learn, with the mixture and its exact denoiser. The bound should stay, and the deviation of a term fall:

# %%
fine = GaussianDiffusion(np.concatenate([[1.0], 1 / (1 + np.exp(np.linspace(-20, 15, 900)))]))
narrow = GaussianMixture(fine, [0.5, 0.5], [[-1.0], [1.0]], [0.003, 0.003])
x_0 = rng.choice([-1.0, 1.0], (4000, 1)) + 0.003**0.5 * rng.standard_normal((4000, 1))
config = LearnScheduleConfig(steps=200, batch=256, lr=0.05, warmup=10, validation_images=4000)
learner = LearnSchedule(NoiseSchedule(-8.0, 5.0, hidden=16), in_gamma(narrow.predict, fine), x_0, config, x_0)
run = Run(learner)
before = run.validate()
run.run(progress=False)
after = run.validate()
print(
    f"bound {before['bound']:.3f}, then {after['bound']:.3f} nats; "
    f"deviation {before['deviation']:.2f}, then {after['deviation']:.2f}"
)
assert after["deviation"] < 0.93 * before["deviation"]
assert abs(after["bound"] - before["bound"]) < 5 * 2**0.5 * before["deviation"] / 4000**0.5

# %% [markdown]
# ## Steps whose loss is large
#
# The same thought for T steps: draw t with probability $p_t$, and divide by $T p_t$, so that the mean is that of even
# steps. The mean square is $\frac{1}{T^2} \sum_t \frac{\mathbb{E} L_t^2}{p_t}$. By the inequality of Cauchy and Schwarz
# $\sum_t \frac{\mathbb{E} L_t^2}{p_t} = \sum_t \frac{\mathbb{E} L_t^2}{p_t} \sum_t p_t \ge \left(\sum_t
# \sqrt{\mathbb{E} L_t^2}\right)^2$, with equality if $p_t$ is in proportion to the root:
#
# $$L = \mathbb{E}_{t \sim p}\left[\frac{L_t}{T\, p_t}\right], \qquad p_t \propto \sqrt{\mathbb{E}\left[L_t^2\right]}
#   \qquad \text{(Eq. IDDPM-18)}$$
#
# **Explore:** write the probabilities and the weights, and see what is gained where losses differ a thousandfold.


# %%
def my_times(squares):
    """Return (p, weight), (T,): how probable each step is, and by what its loss is multiplied; squares is E[L_t^2]."""
    ### BEGIN SOLUTION
    p = squares**0.5 / (squares**0.5).sum()
    return p, 1 / (len(squares) * p)
    ### END SOLUTION


# %%
my_times = exercises.TIMES.check(my_times)
losses = np.exp(np.linspace(0, -7, 40))
p, weight = my_times(losses**2)
for name, q in (
    ("even", np.full(40, 1 / 40)),
    ("in proportion to the square", losses**2 / (losses**2).sum()),
    ("best", p),
):
    spread = max((losses**2 / q).sum() / 40**2 - losses.mean() ** 2, 0) ** 0.5
    print(f"steps drawn {name:<28} deviation {spread:.4f} of a mean {losses.mean():.4f}")
assert np.isclose((losses**2 / p).sum() / 40**2, losses.mean() ** 2), "if every step has one loss, nothing varies"
assert np.isclose((losses**2 / (losses**2 / (losses**2).sum())).sum() / 40**2, (losses**2).mean()), (
    "the square gains nothing"
)
history = LossHistory(40, np.zeros(1))
history.squares_and_counts.value[:] = [losses**2, np.full(40, 10)]
assert np.allclose(history.probabilities(), 0.999 * p + 0.001 / 40), (
    "one draw in a thousand is even: no step is forgotten"
)
drawn, weight = history.draw(Noise(8), 20_000)
terms = weight * losses[drawn - 1]
assert np.allclose(weight, 1 / (40 * (0.999 * p + 0.001 / 40)[drawn - 1]))
assert abs(terms.mean() - losses.mean()) < 5 * terms.std() / 20_000**0.5
assert abs((drawn == 1).mean() - (0.999 * p[0] + 0.001 / 40)) < 0.02  # standard error 0.003

# %% [markdown]
# ## A variance that is learned
#
# The bound asks for more than a mean: how wide is the step? The true width is between $\tilde\beta$ (the data are one
# point) and $\beta$ (they are normal). A network says by w where the logarithm lies,
# $\log \sigma^2 = \frac{1 + w}{2} \log \beta + \frac{1 - w}{2} \log \tilde\beta$ (notebook 12), and learns it by the
# bound, while the mean is learned by the simple loss:
#
# $$L = L_\text{simple} + \lambda\, T\, \mathbb{E}_t\,
#   \mathrm{KL}\left(q(x_{t-1} \mid x_t, x_0) \,\Vert\, \mathcal{N}(\mu, \sigma^2)\right), \quad \mu \text{ held still}
#   \qquad \text{(Eq. IDDPM-16)}$$
#
# Where is its slope 0? By KL-1 a number of the step costs
# $\frac12 (\log \sigma^2 + (\tilde\beta + \text{missed}^2) / \sigma^2)$ and a constant. That is least at
# $\sigma^2 = \tilde\beta + \text{missed}^2$: the variance takes up what the mean misses.


# %%
def cost(w, beta, low, spread, constant):
    """Return KL-1 of a step, or at t = 1 the price of a density, for each number."""
    log_variance = (1 + w) / 2 * np.log(beta) + (1 - w) / 2 * np.log(low)
    return (log_variance + spread / np.exp(log_variance) - constant) / 2


twice = UNetConfig(4, channels=8, channel_mult=(1,), blocks_per_level=1, out_channels=2)
dark = Dataset(np.zeros((4, 4, 4, 1), np.uint8), np.zeros(4, int), name="dark", split="train", source="made here")
learner = DiffusionModel(UNet(twice, rng), ModelConfig(twice, T=10))
objective, ten = Denoise(learner, dark, DenoiseConfig(variance_weight=0.02)), learner.diffusion
x_0, x_0_hat, w = rng.standard_normal((3, 2, 4))
x_0_hat = x_0 + 0.2 * x_0_hat
costs = []
loss, d_w = variance_loss(ten, x_0, x_0_hat, np.array([6, 1]), w)
for row, t in enumerate((6, 1)):
    a, a_s = ten.alpha_bar[t], ten.alpha_bar[t - 1]
    beta, c_0 = 1 - a / a_s, a_s**0.5 * (1 - a / a_s) / (1 - a)
    tilde = (1 - a_s) / (1 - a) * beta
    after = ten.alpha_bar[2]
    low = tilde if t > 1 else (1 - a) / (1 - after) * (1 - after / a)  # at t = 1 that of the step before it
    missed = c_0 * (x_0 - x_0_hat)[row]
    known = beta, low, tilde + missed**2, 1 + np.log(tilde) if t > 1 else -np.log(2 * np.pi)

    costs.append(cost(w[row], *known))
    assert np.allclose(loss[row], costs[-1])
    assert np.allclose(
        d_w[row], (cost(w[row] + 1e-5, *known) - cost(w[row] - 1e-5, *known)) / 2e-5, rtol=1e-5, atol=1e-8
    )
    best = (2 * np.log(tilde + missed**2) - np.log(beta) - np.log(low)) / (np.log(beta) - np.log(low))
    both = np.stack([best, best])
    assert np.allclose(variance_loss(ten, x_0, x_0_hat, np.array([6, 1]), both)[1][row], 0, atol=1e-10)

a, b = ten.alpha_bar[[6, 1], None] ** 0.5, (1 - ten.alpha_bar[[6, 1], None]) ** 0.5
x_t = a * x_0 + b * rng.standard_normal((2, 4))
says_v = (a * x_t - x_0_hat) / b  # this network says v, and x_0_hat = a x_t - b v
added, d_said = objective.bound(says_v, w, x_0, x_t, np.array([6, 1]), 1.0, None)
assert np.allclose(added, 0.02 * 10 * np.mean(costs, axis=1)), "lambda T times the mean price of a number"
assert np.allclose(d_said, 0.02 * 10 * d_w / 8)

# %% [markdown]
# ## Portraits: data with a known floor
#
# Of photographs nobody knows how few bits would do. The course's portraits are put together by rules, slot by slot, so
# their probabilities are known:
#
# $$P(x) = \frac1Z \sum_{\text{descriptions } d \text{ that draw } x} \prod_\text{slots} p(d_\text{slot}), \quad
#   H = -\mathbb{E} \log_2 P(x)
#   \qquad \text{(Eq. AVATARS-1)}$$
#
# Z is the share of descriptions that is kept: some combinations are held out. Each colour of hair excludes one of the 7
# words for the colour of clothing; curly hair (1 of 5 words) excludes sunglasses (45 %, 1 of 3), long hair (1 of 5)
# beanies (35 %, 1 of 4). So
# $Z = \frac67 \left(\frac35 + \frac15 (1 - \frac{0.45}{3}) + \frac15 (1 - \frac{0.35}{4})\right)$.


# %%
def chance(portraits, i):
    """Return the product over the slots of portrait i: is it filled, which word, which part; likewise the colour."""
    product = 1.0
    for slot, part, colour in zip(SLOTS, portraits.parts[i], portraits.colours[i], strict=True):
        if part == 0:
            product *= 1 - slot.share
            continue
        groups = [len(parts) for parts in slot.words.values() for _ in parts]
        product *= slot.share / len(slot.words) / groups[part - 1]
        if slot.layer != "beard" and parts_of(slot.layer).weight[part].any():  # a beard has the hair's colour
            shades = [len(colours) for colours in slot.colours.values() for _ in colours]
            product *= 1 / len(slot.colours) / shades[colour]
    return product


Z = 6 / 7 * (3 / 5 + (1 - 0.45 / 3) / 5 + (1 - 0.35 / 4) / 5)
portraits = compose(24, 0, "test")
pictures = render(portraits)
bits, ways = -log2_probability(pictures), descriptions_of(pictures)
by_rules = np.array([-np.log2(chance(portraits, i) / Z) for i in range(24)])
print(f"{(ways == 1).sum()} of 24 portraits have one description; they cost {bits.min():.1f} to {bits.max():.1f} bits")
assert np.allclose(bits[ways == 1], by_rules[ways == 1])
assert (bits <= by_rules + 1e-9).all(), "more descriptions make a picture more probable"
spoiled = pictures[:1].copy()
spoiled[0, 0, 0] ^= 1
assert np.isinf(log2_probability(spoiled)).all(), "a picture that the rules never draw"

found = portrait_entropy(60)
dimensions = 16 * 16 * 3
print(f"entropy {found.bits:.1f} bits ({found.low:.1f} to {found.high:.1f}), {found.bits / dimensions:.3f} per number")
assert np.isclose(found.bits, -log2_probability(render(compose(60, 0, "test"))).mean())
print(f"floor of DDPM's decoder, by itself: {decoder_floor(pictures, 0.01):.2f} bits per number")
plot.captioned_images(pictures[:6] / 127.5 - 1, [f"{b:.0f} bits" for b in bits[:6]])

# %% [markdown]
# About 40 bits for a whole picture: 40 questions with yes or no, if they are well chosen. DDPM's decoder alone costs as
# much for some thirty of its 768 numbers. So bits per dimension of a diffusion model say much about the last grain of
# the pixels, and little about who is seen in the picture. And the other way round: does a model that is short on bits
# *invent*? With these rules that can be counted too. The *invention meter* rounds each drawn picture to the nearest
# portrait, and looks whether training showed it.

# %%
seen = render(compose(6, 0, "train"))
noise = rng.integers(0, 256, (4, 16, 16, 3)).astype(np.uint8)
drawn = np.concatenate([seen, pictures[:10], noise])
meter = invention(drawn, training=500)
print(f"valid {meter.valid.value:.0%}, seen {meter.seen.value:.0%}, new {meter.new.value:.0%}")
assert np.isclose(meter.valid.value, 16 / 20)
assert np.isclose(meter.seen.value, 6 / 20)
assert np.isclose(meter.new.value, 10 / 20)

# %% [markdown]
# ## Summary
#
# 1. A model is scored by the bits of pictures that it has not seen; the decoder's spread alone costs 1.71 bits at DDPM's 0.01.
# 2. The bound is above the truth, and falls towards it with more steps, or with several chains inside the logarithm.
# 3. The flow has a density: that of the noise where it ends, and the integral of a trace, which random signs estimate.
# 4. With infinitely many steps the bound knows only the ends of a schedule; its inside decides how much a term varies.
# 5. Bits are about grain first: portraits hold 40 bits in all, and whether a model invents is another question.
#
# <details><summary>The flow of a model has fewer bits per dimension than its bound. Is the flow better?</summary>
#
# Not for that reason. They score two models, the chain of random steps and the flow, and the bound is above its model's
# truth. The flow's number is exact up to dequantisation and the solver's error, both of which can be made small.
#
# </details>
#
# <details><summary>Why is a density below 0 bits no wonder, and a probability would be?</summary>
#
# A density depends on the unit: in numbers half as large it is twice as high. A probability is at most 1, so its price
# is at least 0. Comparing densities of data in different units says nothing.
#
# </details>
#
# <details><summary>If the inside of a schedule does not change the bound, why do papers compare schedules?</summary>
#
# The bound is that of infinitely many steps, with its weights. Training drops them (so the schedule weighs the losses),
# samplers take few steps, and the gradient's noise depends on the inside.
#
# </details>
#
# **Next:** [15 · Samplers and their orders](15_samplers_and_their_orders.ipynb): how few calls of the network are
# enough?
