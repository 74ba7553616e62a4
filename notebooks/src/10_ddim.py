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
# # 10 · DDIM: another process with the same marginals
#
# **You will learn** why a network that was trained for a thousand random steps can draw in twenty that are not random
# at all.
#
# **Prerequisites:** notebooks 03 and 09. **Time:** 60 minutes with the exercises.
#
# **Papers:** Song, Meng, Ermon, *Denoising diffusion implicit models* (2021), Eq. 7, 12 and 16 (here DDIM-12 and
# DDIM-16).

# %%
import numpy as np

import tinydiff
from tinydiff import plot
from tinydiff.base import Noise
from tinydiff.course import show_source, slider
from tinydiff.course.exercises import notebook_10 as exercises
from tinydiff.diffusion import GaussianDiffusion, GaussianMixture, cosine_schedule, ddim, ddpm, last
from tinydiff.models import Request

rng = np.random.default_rng(0)
diffusion = GaussianDiffusion(cosine_schedule(1000))

# %% [markdown]
# ## What did the training ask for?
#
# Look at the loss once more: $\mathbb{E} \lVert \epsilon - \hat\epsilon(x_t, t) \rVert^2$ with
# $x_t = \sqrt{\bar\alpha_t}\, x_0 + \sqrt{1 - \bar\alpha_t}\, \epsilon$. It needs $q(x_t \mid x_0)$ for each t, the
# *marginals*. How $x_t$ hangs together with $x_{t-1}$ is never used! So every process with the same marginals trains
# the same network. Noise that is added step by step is only one of them. Which others are there, and is one of them
# better to walk back?
#
# ## All normal steps that fit
#
# Given $x_0$, we look for a step back from t to an earlier s, with fresh noise $z \sim \mathcal{N}(0, I)$ of size
# $\sigma$:
#
# $$x_s = \sqrt{\bar\alpha_s}\, x_0 + k\, (x_t - \sqrt{\bar\alpha_t}\, x_0) + \sigma z .$$
#
# If $x_t$ has the right marginal, $x_t - \sqrt{\bar\alpha_t}\, x_0 = \sqrt{1 - \bar\alpha_t}\, \epsilon$ is noise of
# variance $1 - \bar\alpha_t$. So $x_s$ has the right mean for every k. What must k be, so that it has the right variance,
# too, $1 - \bar\alpha_s$ given $x_0$?
#
# **Derive it yourself:** find k (the positive one), and take the step.


# %%
def my_step(x_0, x_t, z, alpha_bar_s, alpha_bar_t, sigma):
    """Return x at the earlier time s; x_0, x_t and the fresh noise z are arrays of one shape, the others numbers."""
    ### BEGIN SOLUTION
    k = ((1 - alpha_bar_s - sigma**2) / (1 - alpha_bar_t)) ** 0.5
    return alpha_bar_s**0.5 * x_0 + k * (x_t - alpha_bar_t**0.5 * x_0) + sigma * z
    ### END SOLUTION


# %%
my_step = exercises.STEP.check(my_step)

# %% [markdown]
# Old and fresh noise are independent, so $k^2 (1 - \bar\alpha_t) + \sigma^2$ must be $1 - \bar\alpha_s$:
#
# $$k = \sqrt{\frac{1 - \bar\alpha_s - \sigma^2}{1 - \bar\alpha_t}} .$$
#
# (The negative root would do as well for the variance; it would turn the noise round at every step.) Any $\sigma$ from
# 0 to $\sqrt{1 - \bar\alpha_s}$ will do: there is a whole family of processes. Put k in, and write $\epsilon$ for
# $(x_t - \sqrt{\bar\alpha_t}\, x_0) / \sqrt{1 - \bar\alpha_t}$. When we sample, the network's guesses stand for $x_0$
# and $\epsilon$:
#
# $$x_s = \sqrt{\bar\alpha_s}\, \hat x_0 + \sqrt{1 - \bar\alpha_s - \sigma^2}\; \hat\epsilon + \sigma z
#   \qquad \text{(Eq. DDIM-12)}$$
#
# In words: the guess of the image; as much of the *old* noise as there is room for; the rest is *fresh* noise.
#
# The marginals agree, whatever $\sigma$ is. Start from 200,000 samples of $x_t$ for one $x_0$, and step down with three
# sizes of fresh noise:

# %%
x_0, s, t = 0.8, 400, 600
eps, z = rng.standard_normal(200_000), rng.standard_normal(200_000)
x_t = diffusion.q_sample(np.full(200_000, x_0), t, eps)
alpha_bar_s, alpha_bar_t = diffusion.alpha_bar[[s, t]]
print(f"wanted at s: mean {alpha_bar_s**0.5 * x_0:.3f}, variance {1 - alpha_bar_s:.3f}")
for sigma in (0.0, 0.3, 0.5):
    x_s = my_step(np.full(200_000, x_0), x_t, z, alpha_bar_s, alpha_bar_t, sigma)
    together = np.corrcoef(x_s, x_t)[0, 1]
    print(f"sigma = {sigma}: mean {x_s.mean():.3f}, variance {x_s.var():.3f}, correlation with x_t {together:.2f}")
    assert abs(x_s.mean() - alpha_bar_s**0.5 * x_0) < 0.01  # standard error 0.0013
    assert abs(x_s.var() - (1 - alpha_bar_s)) < 0.01  # standard error 0.0012

asked = []
first = np.full((5, 1), x_0), x_t[:5, None]


def knows_all(x, t, context):
    """Return the x_0 and the eps that x was made of, and write down what it is asked."""
    asked.append((t, context))
    return first[0], eps[:5, None]


_, x_s, _ = next(ddim(knows_all, diffusion, first[1], [t], context=np.arange(5), end=s))
assert (asked[0][0] == t).all()
assert (asked[0][1] == np.arange(5)).all(), "the network should be told which digit is wanted"
assert np.allclose(x_s, my_step(*first, np.zeros((5, 1)), alpha_bar_s, alpha_bar_t, 0.0))

# %% [markdown]
# Same mean, same variance; but how much $x_s$ has to do with $x_t$ differs: with $\sigma = 0$ one follows from the
# other. (All this is *given* $x_0$. A sampler has a guess in its place; what this costs is measured below.)
#
# ## How much fresh noise?
#
# DDPM is a member of the family. Its step back has the variance $\tilde\beta_t$ (Eq. DDPM-7). With
# $\sigma^2 = \tilde\beta_t$, is the mean the same, too? Compare what multiplies $x_t$. Under the root in k,
#
# $$1 - \bar\alpha_s - \tilde\beta_t = (1 - \bar\alpha_s) \left(1 - \frac{\beta_t}{1 - \bar\alpha_t}\right)
#   = (1 - \bar\alpha_s)\, \frac{\alpha_t - \bar\alpha_t}{1 - \bar\alpha_t} = \frac{\alpha_t (1 - \bar\alpha_s)^2}{1 - \bar\alpha_t} ,$$
#
# since $1 - \beta_t = \alpha_t$ and $\bar\alpha_t = \alpha_t \bar\alpha_s$. Therefore
# $k = \sqrt{\alpha_t} (1 - \bar\alpha_s) / (1 - \bar\alpha_t)$, the factor of $x_t$ in DDPM-7. The factor of $x_0$ is
# then the same as well, since both have the mean of the marginal. So one number $\eta$ ("eta") leads from no fresh
# noise to that of DDPM:
#
# $$\sigma^2 = \eta^2\, \tilde\beta_t = \eta^2\, \frac{1 - \bar\alpha_s}{1 - \bar\alpha_t} \left(1 - \frac{\bar\alpha_t}{\bar\alpha_s}\right)
#   \qquad \text{(Eq. DDIM-16)}$$
#
# **Write it yourself:** the whole sampler. `alpha_bars` are the levels that it visits, rising from that of the start,
# `alpha_bars[0]`, to that of the end, which may be 1; step k goes from level k to level k + 1. The network is a function,
# `predict(x, alpha_bar)`, that returns $\hat\epsilon$ in x at a level; $\hat x_0$ follows from it.


# %%
def my_ddim(predict, x, alpha_bars, eta, noises):
    """Return x at the last level, from x at the first; noises[k], like x, is the fresh noise of step k."""
    ### BEGIN SOLUTION
    for k in range(len(alpha_bars) - 1):
        t, s = alpha_bars[k], alpha_bars[k + 1]
        eps_hat = predict(x, t)
        x_0_hat = (x - (1 - t) ** 0.5 * eps_hat) / t**0.5
        sigma = eta * ((1 - s) / (1 - t) * (1 - t / s)) ** 0.5
        x = s**0.5 * x_0_hat + (1 - s - sigma**2) ** 0.5 * eps_hat + sigma * noises[k]
    return x
    ### END SOLUTION


# %%
my_ddim = exercises.DDIM.check(my_ddim)
show_source(ddim)

# %% [markdown]
# The library's sampler against yours, with its own noise. The data are numbers near -1 and 1, so the exact denoiser is
# known (notebook 02). And with $\eta = 1$ a step is one of DDPM, with the variance $\tilde\beta_t$:

# %%
two = GaussianMixture(diffusion, [0.3, 0.7], np.array([[-1.0], [1.0]]), [0.02, 0.02])


def exact_eps(x, alpha_bar):
    """Return the exact eps_hat for numbers x: each component guesses, weighted by how well it explains x."""
    spread = 0.02 * alpha_bar + 1 - alpha_bar
    far = [x - alpha_bar**0.5 * mean for mean in (-1.0, 1.0)]
    weights = [share * np.exp(-(d**2) / (2 * spread)) for share, d in zip((0.3, 0.7), far, strict=True)]
    return (1 - alpha_bar) ** 0.5 / spread * (weights[0] * far[0] + weights[1] * far[1]) / sum(weights)


x_t, noise = rng.standard_normal((6, 1)), Noise(4)
times = [900, 600, 350, 100]
noises = [noise.at(step=k).normal(x_t.shape, "sampler", dtype=x_t.dtype) for k in range(4)]
for eta, end in ((0.0, 0), (0.4, 0), (1.0, 0), (0.7, 20)):
    library = last(ddim(two.predict, diffusion, x_t, times, eta, noise, end=end))
    assert np.allclose(library, my_ddim(exact_eps, x_t, diffusion.alpha_bar[[*times, end]].tolist(), eta, noises))
by_default = last(ddim(two.predict, diffusion, x_t, 4))
every_250 = diffusion.alpha_bar[[1000, 750, 500, 250, 0]].tolist()
assert np.allclose(by_default, my_ddim(exact_eps, x_t, every_250, 0.0, noises)), "eta is 0 if it is not given"

level_t, level_s = diffusion.alpha_bar[[600, 400]].tolist()
mine = my_ddim(exact_eps, x_t, [level_t, level_s], 1.0, noises)
eps_hat = exact_eps(x_t, level_t)
x_0_hat = (x_t - (1 - level_t) ** 0.5 * eps_hat) / level_t**0.5
beta, alpha = 1 - level_t / level_s, level_t / level_s
mean = (level_s**0.5 * beta * x_0_hat + alpha**0.5 * (1 - level_s) * x_t) / (1 - level_t)  # DDPM-7
assert np.allclose(mine, mean + ((1 - level_s) / (1 - level_t) * beta) ** 0.5 * noises[0])
_, by_ddpm, _ = next(ddpm(two.predict, diffusion, x_t, steps=[600], variance="beta_tilde", noise=noise, end=400))
assert np.allclose(mine, by_ddpm)

# %% [markdown]
# ## Two ways down
#
# **Predict, then run:** from the same noise, 250 steps of DDPM and 250 of DDIM with $\eta = 0$. What differs in the
# paths, and what in the histogram of the ends?

# %%
x_T = rng.standard_normal((5000, 1))
chains = {
    "DDPM: fresh noise in every step": list(ddpm(two.predict, diffusion, x_T, 250, noise=Noise(1))),
    "DDIM, eta = 0: no fresh noise": list(ddim(two.predict, diffusion, x_T, 250)),
}
assert all(np.allclose(chain[-1][1], chain[-1][2]) for chain in chains.values())  # both end with their last guess
paths = {name: np.stack([x_T, *(x for _, x, _ in chain)])[..., 0] for name, chain in chains.items()}
times = np.array([1000, *(t for t, _, _ in chains["DDPM: fresh noise in every step"])])
x = np.linspace(-2, 2, 401)
plot.paths_to_data(times, paths, x, np.exp(two.log_density(x[:, None], 0)))

# %% [markdown]
# The paths of DDPM are jagged, those of DDIM smooth, and the ends have the same histogram. In numbers: about 70 % end
# near 1 under both. And smooth paths in one dimension cannot cross, so the order of the starts is the order of the
# ends. With fresh noise the start is forgotten:

# %%
for name, path in paths.items():
    order = np.corrcoef(np.argsort(np.argsort(path[0])), np.argsort(np.argsort(path[-1])))[0, 1]
    print(f"{name:<32} near 1: {(path[-1] > 0).mean():.3f}; order of starts and ends, correlation {order:.2f}")
    assert abs((path[-1] > 0).mean() - 0.7) < 0.03  # standard error 0.0065
ddpm_ends, ddim_ends = (np.sort(path[-1]) for path in paths.values())
assert abs(ddpm_ends - ddim_ends).mean() < 0.06, "both should end in the same distribution"
smooth = paths["DDIM, eta = 0: no fresh noise"]
assert (np.diff(smooth[-1][np.argsort(smooth[0])]) > 0).all(), "no two paths should cross"

# %% [markdown]
# ## Same training, fewer steps
#
# A smooth path can be walked in large steps; a jagged one cannot. How far are the ends from the data, if we take few?
# In one dimension the distance of two distributions is easy: sort both, and take the mean difference.

# %%
truth = np.sort(np.where(rng.uniform(size=5000) < 0.3, -1.0, 1.0) + 0.02**0.5 * rng.standard_normal(5000))
counts = np.array([5, 10, 20, 50, 100, 250])
ends = {
    f"eta = {eta:.0f}": [last(ddim(two.predict, diffusion, x_T, int(n), eta, Noise(1)))[:, 0] for n in counts]
    for eta in (1.0, 0.0)
}
distance = {name: np.array([abs(np.sort(x) - truth).mean() for x in found]) for name, found in ends.items()}
assert (distance["eta = 0"][:4] < distance["eta = 1"][:4]).all(), "with few steps eta = 0 should be nearer to the data"
plot.curves(counts, distance, "number of steps", "mean distance of the ends from the data", log="xy")

# %% [markdown]
# Without fresh noise, about half of the steps do as well. (At the right, the curves end in the noise of 5,000 samples.)
#
# But why is there a distance at all, with the *exact* denoiser? The marginals were right *given* $x_0$. A sampler puts a
# guess, the mean of all $x_0$ that would fit, in its place, and so loses, in each step, the spread of $x_0$ round it.
#
# **Explore:** how much is lost? Let the data be numbers of mean 0 and variance c. Then all is linear,
#
# $$\hat x_0 = \frac{\sqrt{\bar\alpha_t}\, c}{\bar\alpha_t c + 1 - \bar\alpha_t}\, x_t, \qquad
#   \hat\epsilon = \frac{\sqrt{1 - \bar\alpha_t}}{\bar\alpha_t c + 1 - \bar\alpha_t}\, x_t,$$
#
# and nothing need be drawn: follow the variance of x through the steps of DDIM, from 1 at the start (the noise that
# samplers start from, whatever `alpha_bars[0]` is).


# %%
def variance_after(c, alpha_bars, eta):
    """Return the variance of x at the last level, if it is 1 at the first; the levels rise, as in my_ddim."""
    ### BEGIN SOLUTION
    variance = 1.0
    for k in range(len(alpha_bars) - 1):
        t, s = alpha_bars[k], alpha_bars[k + 1]
        sigma_squared = eta**2 * (1 - s) / (1 - t) * (1 - t / s)
        to_x_0_hat, to_eps_hat = (share / (t * c + 1 - t) for share in (t**0.5 * c, (1 - t) ** 0.5))
        factor = s**0.5 * to_x_0_hat + (1 - s - sigma_squared) ** 0.5 * to_eps_hat
        variance = factor**2 * variance + sigma_squared
    return variance
    ### END SOLUTION


# %%
variance_after = exercises.VARIANCE.check(variance_after)


def levels(steps):
    """Return alpha_bar at so many times from 1000 down to 0, with equal gaps."""
    return [float(diffusion.alpha_bar_at(t)) for t in np.linspace(1000, 0, steps + 1)]


counts = np.array([5, 10, 20, 50, 100, 250])
lost = {f"eta = {eta:.0f}": np.array([0.25 - variance_after(0.25, levels(n), eta) for n in counts]) for eta in (1, 0)}
for n, with_noise, without in zip(counts, *lost.values(), strict=True):
    print(
        f"{n:3} steps: variance {0.25 - without:.3f} with eta = 0, {0.25 - with_noise:.3f} with eta = 1 (data: 0.250)"
    )
one = GaussianMixture(diffusion, [1.0], np.zeros((1, 1)), [0.25])
drawn = last(ddim(one.predict, diffusion, rng.standard_normal((50_000, 1)), 10, 1.0, Noise(2)))
assert abs(drawn.var() - (0.25 - lost["eta = 1"][1])) < 0.005  # standard error 0.001
assert (lost["eta = 0"] < lost["eta = 1"]).all()
plot.curves(counts, lost, "number of steps", "variance that is lost", log="xy")

# %% [markdown]
# With twice as many steps, half as much is lost: each step loses in proportion to the square of its length. With small
# steps the guess is replaced by a better one before it does harm.
#
# Now digits, with the network that ships with tinydiff. All rows start from the same noise, and even 5 steps draw
# digits:

# %%
model = tinydiff.load("mnist")
rows = {
    f"eta = {eta:.0f}, {steps} steps": last(model.chain(Request(n=10, seed=2), steps=steps, eta=eta))
    for steps in (5, 10, 20)
    for eta in (1.0, 0.0)
}
plot.image_rows(rows, title="few steps", column_labels=range(10))

# %% [markdown]
# Which $\eta$ draws the better digits? It is hard to say from ten, and a classifier that looks at 200 samples finds little
# between them: with 5, 10 and 20 steps it sees the digit that was asked for in 96.5, 98.5 and 98.5 % with $\eta = 0$, and
# in 99.5, 98.5 and 97.0 % with $\eta = 1$, which is hardly more than chance. A network makes errors of its own, and a
# classifier sees no loss of variety. In DDIM's Table 1 (a thousand steps, pictures of objects) $\eta = 0$ is the better one.
#
# And since nothing is random but the start, the *same noise gives the same digit* with 10 steps and with 20, only
# sharper. With $\eta = 1$ it gives two different ones:

# %%
change = {eta: abs(rows[f"eta = {eta}, 20 steps"] - rows[f"eta = {eta}, 10 steps"]).mean() for eta in (0, 1)}
print(f"mean change of a pixel from 10 to 20 steps: {change[1]:.3f} for eta = 1, {change[0]:.3f} for eta = 0")
assert change[0] < change[1] / 2

# %% [markdown]
# ## A space to walk in
#
# So noise is an address: each $x_T$ belongs to one image, and near addresses to similar images. Between two noises $u$
# and $v$ one can walk. A straight line will not do: half-way, $(u + v) / 2$ has the variance 1/2, and the network was
# never shown such a start. On the arc $\cos\varphi\; u + \sin\varphi\; v$ the variance is
# $\cos^2\varphi + \sin^2\varphi = 1$ all the way.

# %%
u, v = rng.standard_normal((2, 28, 28, 1)).astype(np.float32)


def walk(label, stops=9):
    """Return digits on the arc from u to v."""
    angles = np.linspace(0, np.pi / 2, stops)
    x_T = np.stack([float(np.cos(a)) * u + float(np.sin(a)) * v for a in angles])
    return last(ddim(model.predict, model.diffusion, x_T, 20, context=np.full(stops, label)))


walks = {f"digit {label}": walk(label) for label in (2, 8, 3)}
steps = np.concatenate([abs(np.diff(images, axis=0)).mean(axis=(1, 2, 3)) for images in walks.values()])
ends = [abs(images[-1] - images[0]).mean() for images in walks.values()]
print(f"mean change of a pixel: from stop to stop {steps.mean():.3f}, from end to end {np.mean(ends):.3f}")
assert steps.mean() < np.mean(ends)
plot.image_rows(walks, title="from one noise to another")

# %%
slider(lambda label: plot.image_rows({f"digit {label}": walk(label)}), range(10), "digit", start=2)

# %% [markdown]
# ## Summary
#
# 1. The training uses the marginals $q(x_t \mid x_0)$ alone; how the steps hang together is free.
# 2. All normal steps with these marginals, given $x_0$, form a family: guess, old noise, fresh noise.
# 3. $\eta$ says how much of the noise is fresh: 1 is DDPM, 0 is DDIM.
# 4. A guess in the place of $x_0$ loses variance, less with small steps; without fresh noise large steps do less harm.
# 5. Then noise is an address: the same noise gives the same image, and near noises similar ones.
#
# <details><summary>Same training, fewer steps: what changed?</summary>
#
# Only the sampler. It walks back another process that has the same marginals, and was therefore learned by the same
# network.
#
# </details>
#
# <details><summary>Why not always eta = 0?</summary>
#
# It is the safer choice for few steps, where the exact denoiser loses less with it. But fresh noise forgives: it replaces
# errors that a network made in earlier steps. On the digits above the two can hardly be told apart.
#
# </details>
#
# <details><summary>Why not one single step, then?</summary>
#
# Smooth is not straight. A single step follows the tangent at the start, and that leads to the mean of all images
# (notebook 02). Better ways to follow the curve need even fewer steps: `heun` and `dpmpp_2m`.
#
# </details>
#
# **Next:** the first part of the course ends here. You have seen every piece from noise to digits, and written many of
# them: look back at [00 · Noise becomes digits](00_noise_becomes_digits.ipynb) with new eyes. Scores, schedules, likelihoods and faster samplers
# follow in the notebooks from [11 · Score matching](11_score_matching.ipynb) on, guidance and words in those from 20 on.
