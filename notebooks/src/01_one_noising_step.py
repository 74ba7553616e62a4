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
# # 01 · From an image to noise, one step at a time
#
# **You will learn** to write a noising step, jump over any number of steps at once, and say what a schedule does.
#
# **Prerequisites:** notebook 00; mean and variance; that variances of independent numbers add. **Time:** 60 minutes.
#
# **Papers:** Ho, Jain, Abbeel, *Denoising diffusion probabilistic models* (2020), Eq. 2 and 4 (here DDPM-2 and DDPM-4)
# and section 4 (DDPM-BETA); Kingma, Salimans, Poole, Ho, *Variational diffusion models* (2021), Eq. 2 (here SNR-1);
# Nichol, Dhariwal, *Improved denoising diffusion probabilistic models* (2021), Eq. 17 (IDDPM-17);
# Salmon and others, *Parallel random numbers: as easy as 1, 2, 3* (2011; here PHILOX-1); Box and Muller (1958; BM-1).

# %%
import zlib

import numpy as np

from tinydiff import plot
from tinydiff.base import Noise, philox
from tinydiff.course import show_source, slider
from tinydiff.course.exercises import notebook_01 as exercises
from tinydiff.data import load_data
from tinydiff.diffusion import GaussianDiffusion, GaussianMixture, cosine_schedule, linear_schedule

rng = np.random.default_rng(0)
images, _ = load_data("mnist-small", "test").batch(np.arange(8))
print(f"{images.shape[0]} images, numbers from {images.min():.0f} (black) to {images.max():.0f} (white)")

# %% [markdown]
# ## Why not just add noise?
#
# The simplest step adds a little noise, again and again: $x_t = x_{t-1} + \sqrt{\beta}\, \epsilon$, where every number
# of $\epsilon$ is drawn from the standard normal distribution $\mathcal{N}(0, 1)$. So $\sqrt\beta\,\epsilon$ has the
# variance $\beta$.
#
# **Predict, then run:** after a thousand such steps with $\beta = 0.02$, which values does a pixel have?

# %%
beta, x, spread = 0.02, images.astype(np.float64), []
for _ in range(1000):
    x = x + beta**0.5 * rng.standard_normal(x.shape)
    spread.append(x.std())
print(
    f"standard deviation: {images.std():.2f} at first, {spread[99]:.2f} after 100 steps, {spread[999]:.2f} after 1000"
)
assert spread[-1] > 4

# %% [markdown]
# It grows without end: independent variances add, so after t steps the noise alone has the variance $t\beta$. A network
# would be given inputs of ever changing size, and where the chain ends would depend on how long it is.
#
# ## The step: shrink, then add
#
# Let $x$ have the variance 1. Shrunk by a factor $c$ it has the variance $c^2$, and with noise of variance $\beta$
# added (independent, so variances add) it has $c^2 + \beta$. For this to be 1 again, $c = \sqrt{1 - \beta}$. So the
# square root is there because variances are *squares* of sizes:
#
# $$x_t = \sqrt{1 - \beta_t}\, x_{t-1} + \sqrt{\beta_t}\, \epsilon \qquad \text{(Eq. DDPM-2)}$$
#
# In words: each step forgets a little of the image and puts as much noise in its place. As a distribution,
# $q(x_t \mid x_{t-1}) = \mathcal{N}(x_t;\, \sqrt{1 - \beta_t}\, x_{t-1},\, \beta_t I)$: the first is the mean, the
# second the *variance*, which is $\beta_t$ itself and not its square.
#
# **Write it yourself:** one step. (If you are stuck, `exercises.STEP.hint()` says where to look; `hint(2)` and
# `hint(3)` say more.) `beta` is the variance of the noise, `eps` standard normal, of the shape of `x`.


# %%
def my_step(x, beta, eps):
    """Return x after one noising step."""
    ### BEGIN SOLUTION
    return (1 - beta) ** 0.5 * x + beta**0.5 * eps
    ### END SOLUTION


# %%
my_step = exercises.STEP.check(my_step)

# %% [markdown]
# The library's own lines, and the same numbers from them. They take any step from an earlier time s to t, not only from
# t - 1:

# %%
diffusion = GaussianDiffusion(linear_schedule(1000))
show_source(GaussianDiffusion.q_step)
eps = rng.standard_normal(images.shape).astype(np.float32)
betas = np.linspace(1e-4, 0.02, 1000)  # the variances of steps 1 to 1000, more on them below
assert np.allclose(diffusion.beta(np.arange(1, 1001)), betas)
assert np.allclose(diffusion.q_step(images, 700, eps), my_step(images, betas[699], eps), atol=1e-5)
each = diffusion.q_step(images[:3], np.array([5, 400, 999]), eps[:3])  # a time for each image
for n, t in enumerate((5, 400, 999)):
    assert np.allclose(each[n], (1 - betas[t - 1]) ** 0.5 * images[n] + betas[t - 1] ** 0.5 * eps[n], atol=1e-5)

# %% [markdown]
# Data of variance 1 now keep it, step after step, however long the chain is:

# %%
x, variances = rng.standard_normal(100_000), []
for t in range(1, 1001):
    x = diffusion.q_step(x, t, rng.standard_normal(x.shape))
    variances.append(x.var())
print(f"variance between {min(variances):.3f} and {max(variances):.3f}")
assert max(abs(np.array(variances) - 1)) < 0.03  # a sample of 100,000 has a standard error of 0.0045

# %% [markdown]
# ## A thousand steps in one go
#
# To train we need $x_t$ for any t. Must we walk there? Take two steps, with $\alpha = 1 - \beta$:
#
# $$x_2 = \sqrt{\alpha_2}\, x_1 + \sqrt{1 - \alpha_2}\, \epsilon_2
#       = \sqrt{\alpha_2 \alpha_1}\, x_0 + \sqrt{\alpha_2 (1 - \alpha_1)}\, \epsilon_1 + \sqrt{1 - \alpha_2}\, \epsilon_2$$
#
# The last two terms are independent normal noise. Their sum is normal, and its variance is the sum of theirs,
# $\alpha_2 (1 - \alpha_1) + (1 - \alpha_2) = 1 - \alpha_2 \alpha_1$. So they are *one* noise,
# $\sqrt{1 - \alpha_2 \alpha_1}\, \epsilon$, and $x_2$ has the form of a single step whose $\alpha$ is the product. The
# same argument takes us from $t$ to $t + 1$. With $\bar\alpha_t = \alpha_1 \alpha_2 \cdots \alpha_t$:
#
# $$x_t = \sqrt{\bar\alpha_t}\, x_0 + \sqrt{1 - \bar\alpha_t}\, \epsilon \qquad \text{(Eq. DDPM-4)}$$
#
# Coefficients are enough to check it: follow an image of ones without noise, and the variance of the noise.

# %%
signal, noise_variance = np.ones(1), 0.0
for t in range(1, 301):
    signal = diffusion.q_step(signal, t, np.zeros(1))
    noise_variance = (1 - diffusion.beta(t)) * noise_variance + diffusion.beta(t)
kept = np.prod(1 - betas[:300])  # alpha-bar at t = 300
assert np.allclose([signal[0], noise_variance], [kept**0.5, 1 - kept])
assert np.allclose(diffusion.q_sample(images, 300, eps), kept**0.5 * images + (1 - kept) ** 0.5 * eps, atol=1e-5)
times = np.array([5, 300, 999])
weights = [(np.prod(1 - betas[:t]) ** 0.5, (1 - np.prod(1 - betas[:t])) ** 0.5) for t in times]
by_hand = [a * image + b * noise for (a, b), image, noise in zip(weights, images, eps, strict=False)]
assert np.allclose(diffusion.q_sample(images[:3], times, eps[:3]), by_hand, atol=1e-5)
print(f"300 steps, or one: {signal[0]:.4f} x_0 + {noise_variance**0.5:.4f} eps")

# %% [markdown]
# **Derive it yourself:** the same argument takes any earlier time s to t, not only 0. Given $x_s$, what is $x_t$?
# `alpha_bar_s` and `alpha_bar_t` are all that you need.


# %%
def my_jump(x_s, alpha_bar_s, alpha_bar_t, eps):
    """Return x at t, from x at the earlier time s."""
    ### BEGIN SOLUTION
    alpha = alpha_bar_t / alpha_bar_s
    return alpha**0.5 * x_s + (1 - alpha) ** 0.5 * eps
    ### END SOLUTION


# %%
my_jump = exercises.JUMP.check(my_jump)
for s, t in ((0, 300), (299, 300), (200, 900)):
    mine = my_jump(images, np.prod(1 - betas[:s]), np.prod(1 - betas[:t]), eps)
    assert np.allclose(diffusion.q_step(images, t, eps, s), mine, atol=1e-5)
    assert np.allclose(diffusion.beta(t, s), 1 - np.prod(1 - betas[s:t]))

# %% [markdown]
# **Find the fault:** this function walks to the last of `times` in as many steps as you like, with fresh noise for
# each. It runs, and its pictures look like noisy digits. But the digits fade too fast. Mend one line.


# %%
def walk(x_0, alpha_bar, times, noises):
    """Return x at the last of the times, from x at the first."""
    x = x_0
    for k in range(len(times) - 1):
        s, t = times[k], times[k + 1]
        ### BEGIN SOLUTION
        alpha = alpha_bar[t] / alpha_bar[s]
        ### INSTEAD
        alpha = alpha_bar[t]
        ### END SOLUTION
        x = alpha**0.5 * x + (1 - alpha) ** 0.5 * noises[k]
    return x


# %%
walk = exercises.WALK.check(walk)
left = [walk(np.ones(1), diffusion.alpha_bar, times, np.zeros((5, 1)))[0] for times in ([0, 500], [0, 100, 499, 500])]
print(f"of an image of ones is left, in one step and in three: {left[0]:.4f}, {left[1]:.4f}")
assert np.allclose(left, diffusion.alpha_bar[500] ** 0.5)

# %% [markdown]
# ## Schedules
#
# Which $\beta$ at which step? DDPM lets it grow evenly from $\beta_1 = 10^{-4}$ to $\beta_T = 0.02$; $\bar\alpha$ is
# then the running product (Eq. DDPM-BETA).
#
# **Write it yourself:** `alpha_bar`, T + 1 numbers, the first of them 1 (no step taken). `np.linspace` and `np.cumprod`
# help.


# %%
def my_alpha_bar(T, beta_1, beta_T):
    """Return alpha_bar at t = 0, 1, ..., T for variances that grow evenly."""
    ### BEGIN SOLUTION
    beta = np.linspace(beta_1, beta_T, T)
    return np.concatenate([[1.0], np.cumprod(1 - beta)])
    ### END SOLUTION


# %%
my_alpha_bar = exercises.SCHEDULE.check(my_alpha_bar)
print(f"after 1000 steps {my_alpha_bar(1000, 1e-4, 0.02)[-1]:.6f} of the variance is left")
assert np.allclose(my_alpha_bar(1000, 1e-4, 0.02), linear_schedule(), atol=1e-5)  # these are its defaults
assert np.allclose(linear_schedule()[1:], np.cumprod(1 - betas))
assert np.allclose(linear_schedule(3, 0.1, 0.5), [1, 0.9, 0.9 * 0.7, 0.9 * 0.7 * 0.5])
show_source(linear_schedule)

# %% [markdown]
# What counts is how the signal compares with the noise, the *signal-to-noise ratio*
#
# $$\mathrm{SNR}(t) = \frac{\bar\alpha_t}{1 - \bar\alpha_t} \qquad \text{(Eq. SNR-1)}$$
#
# It compares variances, and is best seen on a logarithmic scale: 0 is as much noise as signal. Above the curves, one
# digit under both schedules, with the same noise. **Predict, then run:** at which t will you no longer see the digit?

# %%
schedules = {"linear": diffusion, "cosine": GaussianDiffusion(cosine_schedule(1000))}
times = np.linspace(1, 1000, 13).astype(int)
seven, noise = images[:1], eps[:1]
strips = {name: np.concatenate([d.q_sample(seven, int(t), noise) for t in times]) for name, d in schedules.items()}
every_t = np.arange(1, 1001)
plot.noising_strips(times, strips, {name: np.log(d.snr(every_t)) for name, d in schedules.items()})

# %% [markdown]
# With a live kernel, move t:


# %%
def at(t):
    """Show eight digits at t under both schedules."""
    rows = {f"{name}, t = {t}": d.q_sample(images, t, eps) for name, d in schedules.items()}
    return plot.image_rows(rows, scale=3)


slider(at, range(50, 1001, 50), "t")

# %% [markdown]
# The linear schedule drowns the digit soon, and its whole right half looks like noise: a network learns little there,
# and a sampler spends half of its steps on it. The cosine schedule (Eq. IDDPM-17) keeps the digit longer. It chooses
# $\bar\alpha$ itself, a squared cosine that falls from 1 to 0, and not the betas:
#
# $$\bar\alpha_t = \frac{f(t)}{f(0)}, \qquad f(t) = \cos^2\left(\frac{t / T + 0.008}{1.008}\, \frac{\pi}{2}\right)$$
#
# The 0.008 keeps the first steps from being too small. Only the last step is not let to remove all: at most 0.999 of
# the variance.

# %%
for T in (1000, 7):
    f = np.cos((np.arange(T + 1) / T + 0.008) / 1.008 * np.pi / 2) ** 2
    assert np.allclose(cosine_schedule(T)[:-1], f[:-1] / f[0], rtol=1e-6)
    assert np.allclose(cosine_schedule(T)[-1], cosine_schedule(T)[-2] * 0.001)
f = np.cos((np.arange(8) / 7 + 0.1) / 1.1 * np.pi / 2) ** 2
assert np.allclose(cosine_schedule(7, s=0.1, max_beta=0.9)[:-1], f[:-1] / f[0])
assert np.allclose(cosine_schedule(7, s=0.1, max_beta=0.9)[-1], f[-2] / f[0] * 0.1)

# %%
half = {name: int(np.argmin(abs(np.log(d.snr(every_t))))) + 1 for name, d in schedules.items()}
print("as much noise as signal at", half)
assert half["linear"] < half["cosine"]
for d, table in ((diffusion, np.cumprod(1 - betas)), (schedules["cosine"], cosine_schedule(1000)[1:])):
    assert np.allclose(d.alpha_bar[1:], table)
    assert np.allclose(d.snr(every_t), table / (1 - table))
    assert np.allclose(d.snr(300), table[299] / (1 - table[299]))
    assert (np.diff(d.snr(every_t)) < 0).all(), "every step should lose signal"

# %% [markdown]
# ## Where it ends
#
# Whatever the data are, after enough steps $x_t$ is standard normal noise: that is what lets a sampler start from
# noise. Take data of one number that is near -1 or near 1. With noise, each of the two becomes a bell, wider and nearer
# to 0 with t:

# %%
cosine = schedules["cosine"]
two = GaussianMixture(cosine, [0.5, 0.5], np.array([[-1.0], [1.0]]), [0.02, 0.02])
x = np.linspace(-6, 6, 1201)
ts = np.arange(0, 1001, 5)
density = np.stack([np.exp(two.log_density(x[:, None], int(t))) for t in ts], axis=1)
near = abs(x) <= 3
plot.density_over_time(ts, x[near], density[near], title="Two ridges melt into one bell")

# %% [markdown]
# How far is $q(x_t)$ from $\mathcal{N}(0, 1)$? The Kullback-Leibler divergence $\int q \log(q / p)\, dx$ says it in one
# number: 0 for equal distributions, positive for all others (in nats, as the logarithm is the natural one). It must
# fall at every step, for noise never brings information back:

# %%
normal = np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
log_ratio = np.log(np.maximum(density, 1e-300)) - np.log(normal)[:, None]
kl = (density * log_ratio).sum(axis=0) * (x[1] - x[0])
for t in (0, 250, 500, 750, 1000):
    print(f"t = {t:4}: {kl[ts == t][0]:.6f} nats")
assert (np.diff(kl) < 1e-9).all(), "the divergence should fall at every step"
assert kl[-1] < 1e-6

# %% [markdown]
# ## Where the noise comes from
#
# A computer makes nothing at random. Most generators keep a state and stir it at every draw; then the noise of image 7
# depends on how many numbers were drawn before, so on the batch, on the threads, on where a run was interrupted.
# tinydiff's noise has no state. It is a *function*: of the seed, of what it is for, of which sample, which step. Its
# input is a counter of four words of 32 bits, and two more words, the key. One round multiplies two of the words by odd
# constants $M$, to 64 bits; the low half goes on as it is, and the high half is mixed, bit by bit ($\oplus$, exclusive
# or), with a word of the key and with a word that was not multiplied:
#
# $$(L', R') = \big(\mathrm{lo}(M R),\ \mathrm{hi}(M R) \oplus k \oplus L\big) \qquad \text{(Eq. PHILOX-1)}$$
#
# After ten rounds, each with a new key, no test that was tried tells the words from chance. Python's integers are large
# enough to do it by hand; the two pairs exchange their halves, so here is one round as four lines:


# %%
def by_hand(counter, key):
    c_0, c_1, c_2, c_3 = counter
    k_0, k_1 = key
    for _ in range(10):
        low_0, high_0 = (0xD2511F53 * c_0) % 2**32, (0xD2511F53 * c_0) // 2**32
        low_1, high_1 = (0xCD9E8D57 * c_2) % 2**32, (0xCD9E8D57 * c_2) // 2**32
        c_0, c_1, c_2, c_3 = high_1 ^ c_1 ^ k_0, low_1, high_0 ^ c_3 ^ k_1, low_0
        k_0, k_1 = (k_0 + 0x9E3779B9) % 2**32, (k_1 + 0xBB67AE85) % 2**32
    return c_0, c_1, c_2, c_3


counters = [(0, 7, 1, 0), (1, 7, 1, 0), (2, 0, 5, 9)]  # block, sample, step, layer
words = philox(tuple(np.array(counters, np.uint64).T), (42, 3))
print("the first words of sample 7:", *(f"{word:08x}" for word in by_hand((0, 7, 1, 0), (42, 3))))
assert np.stack(words, axis=1).tolist() == [list(by_hand(counter, (42, 3))) for counter in counters]
changed = by_hand((1, 7, 1, 0), (42, 3))  # one bit of the counter
flipped = sum((a ^ b).bit_count() for a, b in zip(changed, by_hand((0, 7, 1, 0), (42, 3)), strict=True))
print(f"one bit of the counter changed {flipped} of 128 bits")
assert 32 < flipped < 96

# %% [markdown]
# A word divided by $2^{32}$ is a uniform number. To make it normal, look at a pair of independent normal numbers as a
# point in the plane. The density $e^{-(z_1^2 + z_2^2) / 2}$ depends on the radius $r$ alone, so every angle is as
# likely. And how often is $r$ larger than $a$? Integrating over rings, $\int_a^\infty e^{-r^2 / 2}\, r\, dr =
# e^{-a^2 / 2}$, a share between 0 and 1. Let this share be a uniform number $u$, and solve for the radius:
# $r = \sqrt{-2 \log u}$. With a second one, $v$, for the angle:
#
# $$z_1 = \sqrt{-2 \log u}\, \cos 2 \pi v, \qquad z_2 = \sqrt{-2 \log u}\, \sin 2 \pi v \qquad \text{(Eq. BM-1)}$$

# %%
noise = Noise(seed=5, step=2)
x_code, layer_code = zlib.crc32(b"x"), zlib.crc32(b"up")  # a name becomes a word
mine = [[*by_hand((0, n, 2, layer_code), (5, x_code)), *by_hand((1, n, 2, layer_code), (5, x_code))] for n in range(3)]
assert noise.words(3, 7, "x", "up").tolist() == [row[:7] for row in mine]

u, v = ((noise.words(100_000, 2, "x") + 0.5) / 2**32).T
radius, angle = np.sqrt(-2 * np.log(u)), 2 * np.pi * v
z = noise.normal((100_000, 2), "x", dtype=np.float64)
assert np.allclose(z, np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1))
print(f"mean {z.mean():.4f}, variance {z.var():.4f}, share within 1: {(abs(z) < 1).mean():.4f} (0.6827 expected)")
assert abs(z.mean()) < 0.01
assert abs(z.var() - 1) < 0.02
assert abs((abs(z) < 1).mean() - 0.6827) < 0.005
assert abs(np.corrcoef(z.T)[0, 1]) < 0.02  # two numbers from one radius and one angle are independent all the same
assert (noise.at(first=7).normal((1, 2), "x") == noise.normal((8, 2), "x")[7]).all()  # sample 7, alone or among others

# %% [markdown]
# ## Summary
#
# 1. A step shrinks by $\sqrt{1 - \beta}$ and adds noise of variance $\beta$, so that a variance of 1 stays 1.
# 2. Roots are there because variances add, and sizes are their roots.
# 3. Many steps are one step: $x_t = \sqrt{\bar\alpha_t}\, x_0 + \sqrt{1 - \bar\alpha_t}\, \epsilon$.
# 4. A schedule says how fast the signal-to-noise ratio falls; the linear one wastes its tail.
# 5. At the end there is only standard normal noise, whatever the data were.
#
# <details><summary>Is beta a standard deviation or a variance?</summary>
#
# A variance. The noise is multiplied by its root.
#
# </details>
#
# <details><summary>MNIST has no variance of 1. Does it matter?</summary>
#
# No: the variance of each pixel goes from its own value to 1, and never grows beyond the larger of both. It only helps
# if it starts near 1.
#
# </details>
#
# <details><summary>Is the eps of Eq. DDPM-4 the noise of the last step?</summary>
#
# No. It stands for all noise so far, $\epsilon_1$ to $\epsilon_t$, mixed into one. A network that predicts it predicts
# that mixture.
#
# </details>
#
# **Next:** going back. If the data are known exactly, the best denoiser can be written down, without a network:
# [02 · Diffusion without a network](02_without_a_network.ipynb).
