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
# # 11 · Score matching and Langevin's walk
#
# **You will learn** how one draws from a density of which only the slope is known, how a network learns that slope from
# points alone, and why it needs many levels of noise.
#
# **Prerequisites:** notebooks 02, 03 and 09. **Time:** 75 minutes with the exercises.
#
# **Papers:** Hyvärinen, *Estimation of non-normalized statistical models by score matching* (2005); Vincent, *A connection
# between score matching and denoising autoencoders* (2011); Song, Ermon, *Generative modeling by estimating gradients of
# the data distribution* (2019), Algorithm 1 (here NCSN-ALG1); Song et al., *Score-based generative modeling through
# stochastic differential equations* (2021), appendix G (here PC-1).

# %%
import numpy as np

from tinydiff import plot
from tinydiff.base import Noise
from tinydiff.course import show_source, slider
from tinydiff.course.exercises import notebook_11 as exercises
from tinydiff.data import load_points, point_shape, points
from tinydiff.diffusion import (
    BlurredPoints,
    Boxes,
    GaussianDiffusion,
    GaussianMixture,
    annealed_langevin,
    cosine_schedule,
    density_of,
    last,
    predictor_corrector,
    simple_loss,
)
from tinydiff.models import DiffusionModel, ModelConfig
from tinydiff.networks import MLPConfig
from tinydiff.train import Denoise, DenoiseConfig, Run

rng = np.random.default_rng(0)
diffusion = GaussianDiffusion(cosine_schedule(1000))

# %% [markdown]
# ## Data that can be seen whole
#
# A point in the plane is a picture of one pixel with two channels. All that was said of pictures holds of it, and it can
# be *looked at*: density, score and every path. Here are five sets of points:

# %%
sets = ("mixture", "two-moons", "swiss-roll", "checkerboard", "spirals")
plot.point_clouds({name: points(name, 2000) for name in sets}, 1.2)

# %% [markdown]
# Their densities are known, also after noise was added: $x_t = a\, x_0 + b\, \epsilon$ with $a = \sqrt{\bar\alpha_t}$,
# $b = \sqrt{1 - \bar\alpha_t}$.
#
# **Curves.** A moon is a curve with a little blur: a point p of the curve, plus a Gaussian of width $\sigma$. Given p, the
# clean point is $x_0 \sim \mathcal{N}(p, \sigma^2)$, and $x_t \sim \mathcal{N}(a p, a^2 \sigma^2 + b^2)$. What is the best
# guess of $x_0$, if p is known? Both are normal, and the covariance of $x_0$ and $x_t$ is $a \sigma^2$, so
#
# $$\mathbb{E}[x_0 \mid x_t, p] = p + \frac{a \sigma^2}{a^2 \sigma^2 + b^2} (x_t - a p) .$$
#
# p is not known: by Bayes' rule, point $p_k$ is as likely as it explains $x_t$, with the weight
# $r_k \propto w_k \exp\left(-\lVert x_t - a p_k \rVert^2 / (2 (a^2 \sigma^2 + b^2))\right)$. The formula is linear in p, so
# the mean over k puts $\bar p = \sum_k r_k\, p_k$ in the place of p:
#
# $$\mathbb{E}[x_0 \mid x_t] = \bar p + \frac{a \sigma^2}{a^2 \sigma^2 + b^2} (x_t - a \bar p) \qquad \text{(Eq. KERNEL-1)}$$
#
# (A curve has infinitely many points: their sum is an integral, which Gauss' rule takes at some nodes.)
#
# **Boxes.** In a square of the checkerboard all places are equally likely. Given the box, $x_0$ along one axis is, by
# Bayes' rule, proportional to $\exp(-(x_t - a x_0)^2 / (2 b^2))$ between the sides, and 0 outside: a normal distribution
# that is cut off. With $z = (a x_0 - x_t) / b$ it is the standard one, between $l = (a\, x_{low} - x_t) / b$ and
# $h = (a\, x_{high} - x_t) / b$. The mean of z is $\int_l^h z\, \varphi(z)\, \mathrm{d}z$ over $\Phi(h) - \Phi(l)$, and since
# $\varphi' = -z \varphi$ the integral is $\varphi(l) - \varphi(h)$:
#
# $$a\, \mathbb{E}[x_0 \mid x_t, \text{box}] = x_t + b\, \frac{\varphi(l) - \varphi(h)}{\Phi(h) - \Phi(l)} \qquad \text{(Eq. BOX-1)}$$
#
# Both against brute force: Bayes' rule on a fine grid of clean values.

# %%
t = 250
a, b = diffusion.alpha_bar[t] ** 0.5, (1 - diffusion.alpha_bar[t]) ** 0.5
x_0 = np.linspace(-3, 3, 60_001)  # in one dimension


def by_brute_force(prior, x_t):
    """Return E[x_0 | x_t] and log q(x_t), by sums over the grid."""
    joint = prior * np.exp(-((x_t - a * x_0) ** 2) / (2 * b**2)) / (2 * np.pi * b**2) ** 0.5
    return (joint * x_0).sum() / joint.sum(), np.log(joint.sum() * (x_0[1] - x_0[0]))


centres, weights = np.array([-0.8, 0.1, 0.9]), np.array([0.2, 0.5, 0.3])
of_curve = (weights * np.exp(-((x_0[:, None] - centres) ** 2) / (2 * 0.3**2)) / (2 * np.pi * 0.3**2) ** 0.5).sum(axis=1)
blurred = BlurredPoints(diffusion, centres[:, None], 0.3, weights)
low, high = np.array([-1.0, 0.25]), np.array([-0.5, 1.0])
of_boxes = sum(w / (u - v) * ((x_0 > v) & (x_0 < u)) for w, v, u in zip((0.4, 0.6), low, high, strict=True))
boxes = Boxes(diffusion, low[:, None], high[:, None], [0.4, 0.6])
for density, prior in ((blurred, of_curve), (boxes, of_boxes)):
    for x_t in (-1.1, 0.05, 0.8):
        mean, log_q = by_brute_force(prior, x_t)
        x_0_hat, log_density = density.posterior(np.array([[x_t]]), np.array([[a**2]]))
        assert np.allclose(x_0_hat, mean, rtol=1e-4, atol=1e-4)
        assert np.allclose(log_density, log_q, rtol=1e-4, atol=1e-4)
        assert np.allclose(density.predict(np.array([[x_t]]), t)[0], x_0_hat)
print("the exact denoisers are Bayes' rule")

# %% [markdown]
# ## The score
#
# The *score* is the slope of the log density, $\nabla_x \log q(x)$. It points to where there is more. It has two
# virtues: a constant factor of the density, which nobody may know, drops out; and it is the denoiser in other words.
# From notebook 02,
#
# $$\nabla_{x_t} \log q(x_t) = -\,\mathbb{E}[\epsilon \mid x_t] / b = \left(a\, \mathbb{E}[x_0 \mid x_t] - x_t\right) / b^2 .$$

# %%
moons = density_of(point_shape("two-moons"), diffusion)
x = np.linspace(-1.7, 1.7, 64)
grid = np.stack(np.meshgrid(x, x), axis=-1).reshape(-1, 1, 1, 2)
densities, scores = {}, {}
for t in (30, 150, 400):
    densities[f"t = {t}"] = np.exp(moons.log_density(grid, t)).reshape(64, 64)
    scores[f"t = {t}"] = moons.score(grid, t).reshape(64, 64, 2)
plot.score_fields(x, x, densities, scores)

# %% [markdown]
# Move t, and with it the noise. Look where the arrows point: with little noise to the nearest piece of a moon, with much
# noise to the middle. At which t do two moons become one hill?

# %%
plane = np.linspace(-1.7, 1.7, 64)


def field_at(t):
    """Return the exact density at the time t, and its score."""
    name = f"t = {t} of 1000"
    density, score = np.exp(moons.log_density(grid, t)).reshape(64, 64), moons.score(grid, t).reshape(64, 64, 2)
    return plot.score_fields(plane, plane, {name: density}, {name: score})


slider(field_at, (30, 60, 100, 150, 200, 300, 400, 500, 600, 700, 800), "t", start=4)

# %%
some, h = grid[::97], 1e-5
for t in (30, 150, 400):
    slopes = [
        (moons.log_density(some + e, t) - moons.log_density(some - e, t)) / (2 * h)
        for e in h * np.eye(2).reshape(2, 1, 1, 2)
    ]
    exact = moons.score(some, t)[:, 0, 0]
    assert np.allclose(np.stack(slopes, axis=1), exact, atol=1e-5 * abs(exact).max()), "it should be the slope of log q"

# %% [markdown]
# ## Langevin's walk
#
# Can one draw from q, if only its score is known? Walk uphill, but with noise, so that not all end on the peak:
#
# $$x \leftarrow x + \delta\, \nabla \log q(x) + \sqrt{2 \delta}\; z, \qquad z \sim \mathcal{N}(0, I) .$$
#
# Why 2? Let p be the density of x now. The drift carries it along: in a short time $\delta$ it changes by
# $-\delta\, \nabla \cdot (p\, \nabla \log q)$ (what flows out of a place is missing there). Noise of variance $2 \delta$ smears
# it: by $\frac{2 \delta}{2} \nabla^2 p = \delta\, \nabla \cdot \nabla p$. If p is q, then $q\, \nabla \log q = \nabla q$, and the
# two changes cancel. So q stays as it is, for this ratio of drift and noise and for no other.


# %%
def my_step(x, score, size, z):
    """Return x after one step of Langevin's walk; score is the slope of log q at x, z standard normal noise."""
    ### BEGIN SOLUTION
    return x + size * score + (2 * size) ** 0.5 * z
    ### END SOLUTION


# %%
my_step = exercises.STEP.check(my_step)

# %% [markdown]
# **Predict, then run:** all points start in one corner. What happens in 30, 100 and 600 steps?

# %%
t, size = 150, 0.01
x_t = np.full((1000, 1, 1, 2), -1.4)
clouds = {"start": x_t[:, 0, 0]}
for step in range(1, 601):
    x_t = my_step(x_t, moons.score(x_t, t), size, rng.standard_normal(x_t.shape))
    if step in (30, 100, 600):
        clouds[f"{step} steps"] = x_t[:, 0, 0]
a, b = diffusion.scales(t)
clouds["noisy data"] = a * points("two-moons", 1000) + b * rng.standard_normal((1000, 2))
assert abs(clouds["600 steps"].mean(axis=0) - clouds["noisy data"].mean(axis=0)).max() < 0.15  # standard error 0.03
assert abs(clouds["600 steps"].std(axis=0) - clouds["noisy data"].std(axis=0)).max() < 0.1
plot.point_clouds(clouds, 2.2)

# %% [markdown]
# The start is forgotten. But steps are finite, and q stays only nearly as it is. **Derive it yourself:** for a Gaussian
# of mean 0 and variance v in one dimension the score is $-x / v$. If the walk goes on for ever with steps of size
# $\delta$, which variance does x have?


# %%
def stationary(v, size):
    """Return the variance that the walk ends up with, where the density has the variance v."""
    ### BEGIN SOLUTION
    return v / (1 - size / (2 * v))
    ### END SOLUTION


# %%
stationary = exercises.STATIONARY.check(stationary)
for size in (0.05, 0.2):
    x = rng.standard_normal(100_000) * 0.5
    for _ in range(60):
        x = my_step(x, -x / 0.25, size, rng.standard_normal(100_000))
    print(f"size {size}: variance {x.var():.4f}, derived {stationary(0.25, size):.4f} (the density has 0.25)")
    assert abs(x.var() - stationary(0.25, size)) < 6 * 2**0.5 * stationary(0.25, size) / 100_000**0.5

# %% [markdown]
# The step multiplies x by $1 - \delta / v$, so the variance w that stays satisfies $w = (1 - \delta / v)^2 w + 2 \delta$, and
# $w = v / (1 - \delta / (2 v))$: too wide, by about $\delta / 2$. Small steps, then, and many.
#
# ## Why one level of noise is not enough
#
# Two clouds, one with a fifth of the points. We want little noise, so that the samples are good; the start is anywhere.

# %%
two = GaussianMixture(diffusion, [0.2, 0.8], np.array([[[[-0.8, 0.0]]], [[[0.8, 0.0]]]]), [0.01, 0.01])
t = 60
_, b = diffusion.scales(t)
x_t = rng.uniform(-1.5, 1.5, (2000, 1, 1, 2))
start = x_t
for _ in range(150):
    x_t = my_step(x_t, two.score(x_t, t), 0.1 * b**2, rng.standard_normal(x_t.shape))
at_one_level = (x_t[..., 0] < 0).mean()
print(f"left cloud: {at_one_level:.2f} of the points, where 0.20 belong")
assert 0.4 < at_one_level < 0.6, "each point goes to the nearest cloud"

# %% [markdown]
# Half of the points end in each cloud: between the two there is nothing, the score points to the nearer one, and the
# walk never crosses. A learned score is even worse there, since no data were there to learn it from.
#
# With much noise, the two clouds are one hill, and crossing is easy. So begin there, and lower the noise: *anneal*. At
# each level a few steps, of a size in proportion to the noise, $\delta b^2$:
#
# $$x \leftarrow x + \delta b^2\, \nabla \log q(x) + \sqrt{2 \delta}\; b\; z \qquad \text{(Eq. NCSN-ALG1)}$$
#
# With $\nabla \log q = -\hat\epsilon / b$ the drift is $-\delta b\, \hat\epsilon$. In our units x also shrinks with a: from the level t to
# the level s it is multiplied by $a_s / a_t$, so that $x / a$ stays where it is. The step to clean data is the guess $\hat x_0$.


# %%
def my_annealed(predict, x, alpha_bars, size, noises):
    """Return x at the last level.

    The levels alpha_bars rise; noises[k][j] is for step j at level k, and there are as many steps as noises. predict(x,
    alpha_bar) returns eps_hat. No step is made at the last level; if it is 1, x_0_hat leads there.
    """
    ### BEGIN SOLUTION
    for k in range(len(alpha_bars) - 1):
        t, s = alpha_bars[k], alpha_bars[k + 1]
        b = (1 - t) ** 0.5
        for z in noises[k]:
            x = x - size * b * predict(x, t) + (2 * size) ** 0.5 * b * z
        x = (s / t) ** 0.5 * x if s < 1 else (x - b * predict(x, t)) / t**0.5
    return x
    ### END SOLUTION


# %%
my_annealed = exercises.ANNEALED.check(my_annealed)
show_source(annealed_langevin)


# %%
def exact_eps(x, alpha_bar):
    """Return the exact eps_hat of two clouds, in NumPy: each component guesses, as far as it explains x."""
    spread = 0.01 * alpha_bar + 1 - alpha_bar
    far = [x - alpha_bar**0.5 * np.array([m, 0.0]) for m in (-0.8, 0.8)]
    squares = [(d**2).sum(axis=-1, keepdims=True) for d in far]
    nearest = np.minimum(*squares)  # drops out of the quotient; without it, far away, both weights would be 0
    weights = [w * np.exp((nearest - d) / (2 * spread)) for w, d in zip((0.2, 0.8), squares, strict=True)]
    return (1 - alpha_bar) ** 0.5 / spread * (weights[0] * far[0] + weights[1] * far[1]) / sum(weights)


few, times = rng.standard_normal((5, 1, 1, 2)), [900, 500, 120]
for end in (0, 40):
    noises = [
        [Noise(3).at(step=k).normal(few.shape, "sampler", layer=f"repeat {j}", dtype=few.dtype) for j in range(4)]
        for k in range(3)
    ]
    library = last(annealed_langevin(two.predict, diffusion, few, times, 0.15, 4, Noise(3), end=end))
    assert np.allclose(library, my_annealed(exact_eps, few, diffusion.alpha_bar[[*times, end]].tolist(), 0.15, noises))

x_0 = last(annealed_langevin(two.predict, diffusion, rng.standard_normal((2000, 1, 1, 2)), 60, 0.1, 10, Noise(1)))
annealed = (x_0[..., 0] < 0).mean()
print(f"left cloud: {annealed:.2f} of the points")
assert abs(annealed - 0.2) < 0.05  # standard error 0.009; the rest is the bias of finite steps
plot.point_clouds({"start at one level": start[:, 0, 0], "one level": x_t[:, 0, 0], "annealed": x_0[:, 0, 0]}, 1.7)

# %% [markdown]
# **Explore:** how many levels and steps does it take? For numbers of mean 0 and variance c all is linear,
# $\hat\epsilon = b\, x / (\bar\alpha c + 1 - \bar\alpha)$ and $\hat x_0 = \sqrt{\bar\alpha}\, c\, x / (\bar\alpha c + 1 - \bar\alpha)$, so
# follow the variance, from 1 at the start.


# %%
def variance_after(c, alpha_bars, size, repeats):
    """Return the variance of x at the last level, after `repeats` steps at each level but that one."""
    ### BEGIN SOLUTION
    variance = 1.0
    for k in range(len(alpha_bars) - 1):
        t, s = alpha_bars[k], alpha_bars[k + 1]
        total = t * c + 1 - t
        for _ in range(repeats):
            variance = (1 - size * (1 - t) / total) ** 2 * variance + 2 * size * (1 - t)
        variance *= s / t if s < 1 else t * (c / total) ** 2
    return variance
    ### END SOLUTION


# %%
variance_after = exercises.VARIANCE.check(variance_after)
counts = np.array([5, 10, 20, 50, 100])
too_much = {}
for repeats in (1, 5, 25):
    ends = []
    for n in counts:
        levels = [float(diffusion.alpha_bar_at(t)) for t in np.linspace(980, 0, n + 1)]
        ends.append(abs(variance_after(0.25, levels, 0.1, repeats) - 0.25))
    too_much[f"{repeats} a level"] = np.array(ends)
assert too_much["25 a level"][-1] < too_much["1 a level"][-1]
plot.curves(counts, too_much, "number of levels", "error of the variance", log="xy")

# %% [markdown]
# Hundreds of calls, where DDIM needs twenty: nothing leads from one level to the next. But Langevin's walk can *repair*.
# The *predictor-corrector* makes an ancestral step, and then a step of Langevin at the level that it has reached. The paper
# sets its size by the lengths of score and noise, $\varepsilon = 2 (r \lVert z \rVert / \lVert \text{score} \rVert)^2$. The score is
# $-\epsilon / b$ on average, so the quotient of the lengths is b:
#
# $$x \leftarrow x + \varepsilon\, \nabla \log q(x) + \sqrt{2 \varepsilon}\; z, \qquad \varepsilon = 2 r^2 b^2 \qquad \text{(Eq. PC-1)}$$

# %%
alpha_bar_t, alpha_bar_s, r = *diffusion.alpha_bar[[600, 350]], 0.2
z_step = Noise(5).at(step=0).normal(few.shape, "sampler", dtype=few.dtype)
z_fix = Noise(5).at(step=0).normal(few.shape, "sampler", layer="correction 0", dtype=few.dtype)
eps_hat = exact_eps(few, alpha_bar_t)
x_0_hat = (few - (1 - alpha_bar_t) ** 0.5 * eps_hat) / alpha_bar_t**0.5
fresh = ((1 - alpha_bar_s) / (1 - alpha_bar_t) * (1 - alpha_bar_t / alpha_bar_s)) ** 0.5  # DDIM-16 with eta = 1
mine = alpha_bar_s**0.5 * x_0_hat + (1 - alpha_bar_s - fresh**2) ** 0.5 * eps_hat + fresh * z_step
b = (1 - alpha_bar_s) ** 0.5
mine = mine + 2 * r**2 * b**2 * (-exact_eps(mine, alpha_bar_s) / b) + (4 * r**2 * b**2) ** 0.5 * z_fix
_, library, _ = next(predictor_corrector(two.predict, diffusion, few, [600], r, 1, Noise(5), end=350))
assert np.allclose(mine, library)

# %% [markdown]
# ## A network learns the score
#
# The loss that one would want compares the network with the score: $\mathbb{E} \lVert s(x_t) - \nabla \log q(x_t) \rVert^2$,
# *explicit* score matching. But for pictures nobody knows $\nabla \log q$. Two ways round it:
#
# **Denoising.** Take the score of $q(x_t \mid x_0)$ instead, which is known: $-(x_t - a x_0) / b^2 = -\epsilon / b$. Is the
# minimum the same? Expand both squares. $\lVert s(x_t) \rVert^2$ is in both, and the last terms do not depend on s. In
# the middle stands, with $\nabla q = q\, \nabla \log q$,
#
# $$\mathbb{E}[s \cdot \nabla \log q(x_t)] = \int s \cdot \nabla q(x_t)\, \mathrm{d}x_t
#   = \int s \cdot \nabla \int q(x_t \mid x_0)\, q(x_0)\, \mathrm{d}x_0\, \mathrm{d}x_t
#   = \iint s \cdot \nabla \log q(x_t \mid x_0)\; q(x_t \mid x_0)\, q(x_0)\, \mathrm{d}x_0\, \mathrm{d}x_t ,$$
#
# the middle term of the other loss. So the two differ by a constant, whatever s is. Measure it, with two very different
# s on the same noisy points:

# %%
t, n = 200, 20_000
a, b = diffusion.scales(t)
x_0 = points("two-moons", n).astype(np.float64)
eps = rng.standard_normal((n, 2))
x_t = a * x_0 + b * eps
exact = moons.score(x_t.reshape(-1, 1, 1, 2), t)[:, 0, 0]
differences = []
for s in (-0.5 * x_t, np.sin(3 * x_t) + 1):
    explicit = ((s - exact) ** 2).sum(axis=1)
    denoising = ((s + eps / b) ** 2).sum(axis=1)
    differences.append(denoising - explicit)
    print(f"explicit {explicit.mean():.3f}, denoising {denoising.mean():.3f}, difference {differences[-1].mean():.3f}")
error = (differences[0] - differences[1]).std() / n**0.5
assert abs((differences[0] - differences[1]).mean()) < 5 * error, "the difference should not depend on s"

# %% [markdown]
# **Derive it yourself:** let the network predict the noise; its score is then $-\hat\epsilon / b$. What is the loss of
# denoising score matching, written with $\epsilon$ and $\hat\epsilon$?


# %%
def dsm_loss(eps_hat, eps, b):
    """Return the squared length of the difference of the two scores, (N,), of noises (N, D) and sizes b (N,)."""
    ### BEGIN SOLUTION
    return ((eps - eps_hat) ** 2).sum(axis=1) / b**2
    ### END SOLUTION


# %%
dsm_loss = exercises.MATCHING.check(dsm_loss)

# %% [markdown]
# So **the simple loss of DDPM is denoising score matching, times $b^2$**: the loss of a score network with the weight
# $\lambda_t = b^2$, which Song and Ermon chose so that all levels count alike. Same network, same loss, two histories.

# %%
t = np.array([100, 300, 500, 900])
x_0, eps = rng.standard_normal((2, 4, 1, 1, 2))


def some_network(x_t, t, context):
    """Predict something."""
    return np.sin(x_t) + 0.1


eps_hat = some_network(diffusion.q_sample(x_0, t, eps), t, None)
b = (1 - diffusion.alpha_bar[t]) ** 0.5
weighted = (b**2 * dsm_loss(eps_hat[:, 0, 0], eps[:, 0, 0], b)).mean() / 2  # the mean over both coordinates
assert np.allclose(simple_loss(some_network, diffusion, x_0, t, eps), weighted)
assert np.allclose(diffusion.score_from_eps(eps_hat, t)[:, 0, 0], -eps_hat[:, 0, 0] / b[:, None])

# %% [markdown]
# **Implicit.** Hyvärinen's way needs no noise at all. Integrate the middle term by parts instead,
# $\int s \cdot \nabla q\, \mathrm{d}x = -\int q\, \nabla \cdot s\, \mathrm{d}x$ (q vanishes far away), and half of the explicit loss is, up to
# a constant, $\mathbb{E}[\frac12 \lVert s \rVert^2 + \nabla \cdot s]$: data and the slopes of s, nothing else. The divergence costs a
# backward for each coordinate, which is why pictures are learned the other way.
#
# **Debug:** for $s(x) = A x + c$ the divergence is known. This code gives losses that fall without end; why?


# %%
def implicit_loss(A, c, x):
    """Return the mean of |s|^2 / 2 + div s over points x (N, D), for s(x) = A x + c."""
    score = x @ A.T + c
    ### BEGIN SOLUTION
    divergence = np.trace(A)
    ### INSTEAD
    divergence = A.sum()
    ### END SOLUTION
    return 0.5 * (score**2).sum(axis=1).mean() + divergence


# %%
implicit_loss = exercises.IMPLICIT.check(implicit_loss)
covariance = np.array([[0.5, 0.3], [0.3, 0.4]])
x = rng.standard_normal((50_000, 2)) @ np.linalg.cholesky(covariance).T
best = -np.linalg.inv(np.cov(x.T, bias=True))  # the score of a Gaussian: -covariance^-1 (x - mean)
at_best = implicit_loss(best, -best @ x.mean(axis=0), x)
for _ in range(20):
    A, c = best + 0.1 * rng.standard_normal((2, 2)), -best @ x.mean(axis=0) + 0.1 * rng.standard_normal(2)
    assert implicit_loss(A, c, x) > at_best, "the score of the data should be the best"

# %% [markdown]
# ## Learned in seconds
#
# Now a network: three residual blocks of an MLP, trained by the simple loss on 20,000 points.

# %%
config = ModelConfig(mlp=MLPConfig(width=64, depth=3))
model = DiffusionModel(config.network(np.random.default_rng(0)), config, threads=1, processes=False)
objective = Denoise(model, load_points("two-moons"), DenoiseConfig(steps=500, batch=256, lr=3e-3))
run = Run(objective, threads=1, processes=False)
run.run(progress=False)
learned = run.trained()

densities, scores, errors = {}, {}, {}
b_of = {t: diffusion.scales(t)[1] for t in (60, 150, 400)}
x = np.linspace(-1.7, 1.7, 64)
for t in (60, 150, 400):
    exact = moons.score(grid, t)
    _, eps_hat = learned.predict(grid.astype(np.float32), np.full(len(grid), t))
    score = diffusion.score_from_eps(eps_hat.astype(np.float64), t)
    q = np.exp(moons.log_density(grid, t))
    densities[f"t = {t}, learned"], scores[f"t = {t}, learned"] = q.reshape(64, 64), score.reshape(64, 64, 2)
    wrong = b_of[t] ** 2 * ((score - exact) ** 2).mean(axis=(1, 2, 3))  # of the noise that is predicted
    errors[t] = {"where the data are": ((q / q.sum()) * wrong).sum() ** 0.5, "everywhere": wrong.mean() ** 0.5}
    print(f"t = {t}: error of the noise: " + ", ".join(f"{v:.3f} {k}" for k, v in errors[t].items()))
assert errors[400]["where the data are"] < 0.1
assert errors[400]["where the data are"] < errors[60]["where the data are"], "with less noise it should be harder"
assert all(e["where the data are"] < e["everywhere"] for e in errors.values()), "nothing was learned where nothing was"
plot.score_fields(x, x, densities, scores)

# %% [markdown]
# With much noise the field is nearly right. With little noise it is worse, and worst where no noisy point ever was. That is
# the second reason for many levels: each is used where the one before has led to. Does the walk draw moons?

# %%
x_T = rng.standard_normal((1500, 1, 1, 2)).astype(np.float32)
walk = list(annealed_langevin(learned.predict, diffusion, x_T, 60, 0.1, 5, Noise(2)))
drawn = walk[-1][1]
on_moons = {
    "learned": moons.log_density(drawn.astype(np.float64), 20),
    "data": moons.log_density(points("two-moons", 1500, seed=7).reshape(-1, 1, 1, 2).astype(np.float64), 20),
    "noise": moons.log_density(x_T.astype(np.float64), 20),
}
for name, log_q in on_moons.items():
    print(f"{name:<8} mean log density {log_q.mean():8.2f}, median {np.median(log_q):8.2f}")
assert np.median(on_moons["learned"]) > np.median(on_moons["noise"]) + 5
clouds = {f"t = {t:.0f}": x_t[:, 0, 0] for t, x_t, _ in walk[19::20]}
plot.point_clouds({**clouds, "data": points("two-moons", 1500)}, 1.7)

# %% [markdown]
# It finds where they lie, but not their form: points are left between them. The last levels decide that, with hardly any
# noise, and there the network was worst. Give it more steps of training, and look again.
#
# ## Summary
#
# 1. The score is the slope of the log density; Langevin's walk, uphill with noise, draws with nothing else.
# 2. Finite steps leave too much variance, and one level of noise is not enough: walks do not cross empty land.
# 3. Annealing lowers the noise level by level; a corrector repairs what another sampler has left.
# 4. Denoising score matching learns the score without knowing it, and is the simple loss divided by $b^2$.
# 5. A learned score is better where noisy data were seen; the levels lead there.
#
# <details><summary>Why does the score not need the constant of the density?</summary>
#
# The logarithm makes a sum of a product, and the slope of a constant is 0. So a score can be learned where a density, which
# must integrate to 1, could not.
#
# </details>
#
# <details><summary>Is Langevin's walk better than DDPM?</summary>
#
# No: it takes many more calls, since nothing leads from one level to the next. Its worth is that it repairs: after any
# step, it brings x nearer to the density of the level, whatever went wrong before.
#
# </details>
#
# <details><summary>Why is the weight b squared, and not 1?</summary>
#
# Scores are of size 1 / b, so their squared errors grow as 1 / b^2 where there is little noise. Weighted by b^2 all levels
# count alike; weighted by 1, almost only the cleanest would.
#
# </details>
#
# **Next:** the steps of this walk were small and many. What is its limit, when they are infinitely small, and which smooth
# path has the same densities? That is the subject of [13 · SDE and ODE](13_sde_and_ode.ipynb); before it,
# [12 · Schedules and parameterisations](12_schedules_and_parameterisations.ipynb) says in which words a network answers.
