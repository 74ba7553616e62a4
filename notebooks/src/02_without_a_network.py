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
# **Prerequisites:** notebook 01; Bayes' rule; the gradient. **Time:** 25 minutes.
#
# **Papers:** Robbins 1956 and Efron 2011 (Tweedie's formula, here TWEEDIE-1); Vincent, *A connection between score
# matching and denoising autoencoders* (2011; SCORE-1); Ho, Jain, Abbeel (2020), Eq. 15 (DDPM-15); Sohl-Dickstein et
# al., *Deep unsupervised learning using nonequilibrium thermodynamics* (2015), for the shape of small steps.

# %%
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
# the rest. The library does it axis by axis:

# %%
show_source(Gaussian.posterior)
m, S, t = 0.5, 0.3, 400
a, b = diffusion.alpha_bar[t] ** 0.5, (1 - diffusion.alpha_bar[t]) ** 0.5
x_t = np.linspace(-2, 2, 5)[:, None]
by_hand = m + a * S / (a**2 * S + b**2) * (x_t - a * m)
x_0_hat, _ = Gaussian(diffusion, np.array([m]), S).posterior(x_t, np.full((5, 1), diffusion.alpha_bar[t]))
assert np.allclose(x_0_hat, by_hand)

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
# bumps, the curve becomes a switch between -1 and 1. At $x_t = 0$ it is 0 at *every* t: a guess that is almost never
# right, and yet the best one.

# %%
bars = np.linspace(-4, 4, 4001)[:, None]  # a sum over all x_0 in place of the formula
prior = np.exp(two.log_density(bars, 0))
for t in (900, 300):
    alpha_bar = diffusion.alpha_bar[t]
    weight = prior * np.exp(-((0.4 - alpha_bar**0.5 * bars[:, 0]) ** 2) / (2 * (1 - alpha_bar)))
    x_0_hat, _ = two.posterior(np.array([[0.4]]), np.array([[alpha_bar]]))
    assert np.allclose(x_0_hat, (weight * bars[:, 0]).sum() / weight.sum())
    assert abs(two.predict(np.zeros((1, 1)), t)[0]).max() < 1e-12

# %% [markdown]
# ## If the data are a list of images
#
# Let the data be K points, all equally likely. Take GMM-1 with bells of no width: component $k$ is the point $p_k$, its
# own best guess is $p_k$ itself, and with noise its density is a bell round $a\, p_k$ with the variance $b^2$:
#
# $$\mathbb{E}[x_0 \mid x_t] = \sum_k r_k\, p_k, \qquad
#   r_k \propto \exp\left(-\frac{\lVert x_t - a\, p_k \rVert^2}{2 b^2}\right) \qquad \text{(Eq. DATA-1)}$$
#
# **Write it yourself:** `points` has the shape (K, D), `x_t` has (D,). The factors $r_k$ must sum to 1.


# %%
def my_denoiser(x_t, points, alpha_bar):
    """Return the mean of the points, weighted by how likely x_t came from each."""
    ### BEGIN SOLUTION
    distance_squared = ((x_t - alpha_bar**0.5 * points) ** 2).sum(axis=1)
    share = np.exp(-distance_squared / (2 * (1 - alpha_bar)))
    return share / share.sum() @ points
    ### END SOLUTION


# %%
my_denoiser = exercises.DENOISER.check(my_denoiser)
show_source(FiniteData.posterior)

# %% [markdown]
# The library's takes many $x_t$ at once, and takes the largest exponent out before `exp`, since `exp(-1000)` is 0 and 0
# / 0 is no number. On digits:

# %%
images, labels = load_data("digits", "train").batch(np.arange(1497))
digits = FiniteData(diffusion, images)
t = 600
noisy = diffusion.q_sample(images[:8], t, rng.standard_normal((8, 8, 8, 1)).astype(np.float32))
guess, _ = digits.posterior(noisy.reshape(8, -1).astype(float), np.full((8, 1), diffusion.alpha_bar[t]))
mine = [my_denoiser(x, digits.points, diffusion.alpha_bar[t]) for x in noisy.reshape(8, -1).astype(float)]
assert np.allclose(guess, mine)

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
assert np.allclose(diffusion.x_0_from_eps(noisy, t, eps_hat), x_0_hat, atol=1e-4)
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
# In words: uphill is where the noise is not. With the mean of $-(x_t - a x_0)/b^2$ in place of that of $-\epsilon / b$,
# the same line reads $\nabla \log q(x_t) = (a\, \hat x_0 - x_t) / b^2$. Solved for $\hat x_0$, it is Tweedie's formula:
#
# $$\mathbb{E}[x_0 \mid x_t] = \frac{x_t + (1 - \bar\alpha_t)\, \nabla_{x_t} \log q(x_t)}{\sqrt{\bar\alpha_t}}
#   \qquad \text{(Eq. TWEEDIE-1)}$$
#
# **Write it yourself:** the score, from the best guess of the image.


# %%
def my_score(x_t, x_0_hat, alpha_bar):
    """Return the gradient of log q at x_t."""
    ### BEGIN SOLUTION
    return (alpha_bar**0.5 * x_0_hat - x_t) / (1 - alpha_bar)
    ### END SOLUTION


# %%
my_score = exercises.SCORE.check(my_score)
show_source(GaussianDiffusion.score_from_eps, Density.score)

# %% [markdown]
# Is it the slope of log q? Move a little up and down along each axis and divide:

# %%
corners = np.array([[-1.0, -0.6], [1.0, -0.6], [0.0, 1.0]])
three = GaussianMixture(diffusion, [1, 1, 1], corners, [0.02, 0.02, 0.02])
place, t, h = np.array([[0.3, 0.2]]), 500, 1e-5
slope = [(three.log_density(place + h * d, t) - three.log_density(place - h * d, t)) / (2 * h) for d in np.eye(2)]
x_0_hat, eps_hat = three.predict(place, t)
score = three.score(place, t)
assert np.allclose(score, np.transpose(slope), atol=1e-6)
assert np.allclose(score, diffusion.score_from_eps(eps_hat, t))
assert np.allclose(score, my_score(place, x_0_hat, diffusion.alpha_bar[t]))
alpha_bar = diffusion.alpha_bar[t]
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
nearest = {name: [abs(images - row).max(axis=(1, 2, 3)).min() for row in found] for name, found in rows.items()}
for name, distances in nearest.items():
    print(f"{name:>8}: largest difference of a pixel from the nearest image of the list {max(distances):.3f}")
assert abs(rows["one jump"] - images.mean(axis=0)).max() < 0.2
assert max(nearest["50 steps"]) < 0.01
plot.image_rows(rows, scale=10, title="the exact denoiser of 1,497 digits")

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
plot.reverse_steps(x, exact, {name: best_bell(density) for name, density in exact.items()})

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
