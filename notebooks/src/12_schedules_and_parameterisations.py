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
# # 12 · Schedules and parameterisations: one diffusion in many languages
#
# **You will learn** what a schedule decides and what it does not, why the networks of this course predict v, what a weight of the
# loss means, and how to read any paper's formulas as those of another.
#
# **Prerequisites:** notebooks 04 and 09. **Time:** 75 minutes with the exercises.
#
# **Papers:** Nichol and Dhariwal, *Improved denoising diffusion probabilistic models* (2021); Salimans and Ho, *Progressive
# distillation* (2022); Karras et al., *Elucidating the design space* (2022); Hang et al., *Min-SNR* (2023); Lin et al., *Common
# diffusion noise schedules are flawed* (2024).

# %%
from itertools import pairwise

import numpy as np

import tinydiff
from tinydiff import plot
from tinydiff.base import Noise
from tinydiff.course import show_source, slider
from tinydiff.course.exercises import notebook_12 as exercises
from tinydiff.data import Dataset, load_data
from tinydiff.diffusion import (
    SCHEDULES,
    TARGETS,
    Gaussian,
    GaussianDiffusion,
    GaussianPath,
    best_variance,
    cosine_schedule,
    ddpm,
    exponential_schedule,
    karras_schedule,
    laplace_schedule,
    last,
    learned_log_variance,
    loss_weight,
    predictor,
    scaled_linear_schedule,
    shifted,
    sigmoid_beta_schedule,
    sigmoid_schedule,
    zero_terminal_snr,
)
from tinydiff.diffusion.prediction import Prediction
from tinydiff.diffusion.targets import edm_target, x_0_and_eps_from_edm
from tinydiff.models import DiffusionModel, ModelConfig
from tinydiff.networks import UNet, UNetConfig
from tinydiff.train import Denoise, DenoiseConfig, random_steps

rng = np.random.default_rng(0)
diffusion = GaussianDiffusion(cosine_schedule(1000))

# %% [markdown]
# ## How fast should a picture vanish?
#
# With $x_t = a\, x_0 + b\, \epsilon$, $a = \sqrt{\bar\alpha_t}$, $b = \sqrt{1 - \bar\alpha_t}$, all that matters of a time t is how much
# signal there is beside the noise:
#
# $$\mathrm{SNR} = \frac{a^2}{b^2} = \frac{\bar\alpha_t}{1 - \bar\alpha_t} .$$
#
# A *schedule* says at which t which SNR is met. The linear betas of DDPM make $\bar\alpha$ fall like a bell: pictures are hardly
# visible from the middle on, and the last third of the steps is spent on noise that is noise already. Nichol and Dhariwal's
# *cosine* falls evenly in the middle, and gently at both ends:
#
# $$\bar\alpha_t = \frac{f(t)}{f(0)}, \qquad f(t) = \cos^2\left(\frac{t / T + s}{1 + s} \cdot \frac{\pi}{2}\right)
#   \qquad \text{(Eq. IDDPM-17)}$$
#
# With s = 0 it would be a quarter turn from data to noise, $a = \cos\varphi$ and $b = \sin\varphi$, at a constant speed; the small s keeps
# the first steps from being too small.
#
# **Write it yourself:** the table for $t = 0 \ldots T$.


# %%
def my_cosine(T, s):
    """Return alpha_bar, an array of T + 1 numbers."""
    ### BEGIN SOLUTION
    f = np.cos((np.arange(T + 1) / T + s) / (1 + s) * np.pi / 2) ** 2
    return f / f[0]
    ### END SOLUTION


# %%
my_cosine = exercises.COSINE.check(my_cosine)
assert np.allclose(cosine_schedule(40, max_beta=1), my_cosine(40, 0.008), atol=1e-15)
assert np.allclose(cosine_schedule(40)[:-1], my_cosine(40, 0.008)[:-1]), "only the last step is held back, by max_beta"
assert cosine_schedule(40)[-1] > 0

# %% [markdown]
# Others give the betas, the root of them, the log-SNR, or $\sigma = b / a$, a simple shape (Eq. SD-BETA, Eq. SIGMOID-BETA,
# Eq. SIGMOID-1, Eq. LAPLACE-1, Eq. KARRAS-1, Eq. EXP-1). In each row, u = t / T:
#
# | schedule | what is simple | ID |
# |---|---|---|
# | scaled-linear (Stable Diffusion) | $\sqrt{\beta_i}$ grows evenly | SD-BETA |
# | sigmoid, of beta (older code) | $\beta_i$ grows like a sigmoid | SIGMOID-BETA |
# | sigmoid (newer code) | $\bar\alpha$ falls like one: $(f(u) - f(1)) / (f(0) - f(1))$ | SIGMOID-1 |
# | Laplace | $\log \mathrm{SNR} = \mu - b\, \mathrm{sgn}(\frac12 - u) \log(1 - 2 \lvert u - \frac12 \rvert)$ | LAPLACE-1 |
# | Karras | $\sigma^{1/\rho}$ grows evenly | KARRAS-1 |
# | exponential | $\sigma$ grows by one factor | EXP-1 |
#
# Where $\sigma$ is given, $\bar\alpha = a^2 / (a^2 + b^2) = 1 / (1 + \sigma^2)$. Where betas are, each step keeps $1 - \beta_i$ of the
# signal's variance, so that $\bar\alpha_t$ is a product. Each formula in one line of NumPy, against the library:

# %%
T = 40
u, i = np.arange(T + 1) / T, np.arange(T)
with np.errstate(divide="ignore"):
    log_snr = 0.0 - 0.5 * np.sign(0.5 - u) * np.log(1 - 2 * abs(u - 0.5))
falls = 1 / (1 + np.exp(-3 + 6 * u))
by_hand = {
    "scaled_linear": np.cumprod(1 - (0.00085**0.5 + i / (T - 1) * (0.012**0.5 - 0.00085**0.5)) ** 2),
    "sigmoid_beta": np.cumprod(1 - (1e-4 + (0.02 - 1e-4) / (1 + np.exp(6 - 12 * i / (T - 1))))),
    "sigmoid": ((falls - falls[-1]) / (falls[0] - falls[-1]))[1:],
    "laplace": 1 / (1 + np.exp(-log_snr[1:])),
    "karras": 1 / (1 + (0.002 ** (1 / 7) + i / (T - 1) * (80 ** (1 / 7) - 0.002 ** (1 / 7))) ** 14),
    "exponential": 1 / (1 + (0.01 * (50 / 0.01) ** (i / (T - 1))) ** 2),
}
tables = {
    "scaled_linear": scaled_linear_schedule(T),
    "sigmoid_beta": sigmoid_beta_schedule(T),
    "sigmoid": sigmoid_schedule(T, max_beta=1),
    "laplace": laplace_schedule(T),
    "karras": karras_schedule(T),
    "exponential": exponential_schedule(T),
}
for name, expected in by_hand.items():
    assert tables[name][0] == 1, name
    assert np.allclose(tables[name][1:], expected, atol=1e-14), name
thousand = {name: SCHEDULES[name](1000)[1:-1] for name in ("linear", "cosine", "sigmoid", "laplace", "karras")}
share = np.arange(1, 1000) / 1000
plot.curves(share, {n: np.log(a / (1 - a)) for n, a in thousand.items()}, "t / T", "log SNR", "What a schedule decides")

# %% [markdown]
# **Predict, then run:** all five go from much signal to little, but spend their steps elsewhere. If training draws t evenly, it sees
# noise with $\lvert\log \mathrm{SNR}\rvert < 2$, the middle, in what share of its steps?

# %%
for name, a in thousand.items():
    middle = (abs(np.log(a / (1 - a))) < 2).mean()
    print(f"{name:<10} {middle:.0%} of the steps in the middle")
    if name == "laplace":
        assert abs(middle - (1 - np.exp(-2 / 0.5))) < 0.005  # Laplace's distribution of width 0.5

# %% [markdown]
# And to the eye: the same digits, with the same noise, at the same t. Move the slider, and see where each schedule hides them.

# %%
digits, labels = load_data("mnist-small", "test").batch(np.arange(32))
noise = rng.standard_normal(digits.shape).astype(np.float32)


def at_step(t):
    """Return eight digits at step t of each schedule, in units of x_t."""
    rows = {}
    for name, a in thousand.items():
        alpha_bar = a[t - 1]
        rows[name] = (alpha_bar**0.5 * digits[:8] + (1 - alpha_bar) ** 0.5 * noise[:8]).astype(np.float32)
    return plot.image_rows(rows, title=f"t = {t} of 1000")


slider(at_step, range(50, 1000, 50), "t", start=9)

# %% [markdown]
# So a schedule does three things, which are easily mixed up: it says how much signal is left at T, it says how often *training* looks at
# which noise, and it says where a *sampler* takes its steps. The second can be had without it (by a weight of the loss, or by drawing
# t otherwise, see below), and so can the third (by choosing times). Only the first is its own.
#
# ## Long steps
#
# A sampler that visits only some of the times takes long steps. Which beta has a step from s to t, a step that stands for
# many? (It is what all of DDPM's formulas need, and a stride in the wrong place is one of the commonest faults in public
# code.)
#
# **Derive it yourself:** `times` fall, and the last step ends at 0.


# %%
def my_betas(alpha_bar, times):
    """Return the beta of each step, from the first time to the second, ..., and from the last to 0."""
    ### BEGIN SOLUTION
    ends = [*times[1:], 0]
    return np.array([1 - alpha_bar[t] / alpha_bar[s] for t, s in zip(times, ends, strict=True)])
    ### END SOLUTION


# %%
my_betas = exercises.LONG_STEPS.check(my_betas)
times = [1000, 720, 500, 90, 7]
for t, s, beta in zip(times, [*times[1:], 0], my_betas(diffusion.alpha_bar, times), strict=True):
    assert np.isclose(diffusion.beta(t, s), beta)
    one_by_one = np.prod([1 - diffusion.beta(k, k - 1) for k in range(s + 1, t + 1)])
    assert np.isclose(1 - one_by_one, beta), "what single steps keep multiplies"

# %% [markdown]
# What a step keeps multiplies, $\bar\alpha_t = \bar\alpha_s (1 - \beta_{t \mid s})$, and so
#
# $$\beta_{t \mid s} = 1 - \frac{\bar\alpha_t}{\bar\alpha_s} . \qquad \text{(Eq. IDDPM-19)}$$

# %% [markdown]
# ## Is it dark at the end?
#
# Drawing begins at pure noise. Training never showed that, unless $\bar\alpha_T = 0$. How much is left with Stable Diffusion's schedule,
# and does it matter? Look at the *mean* of a picture of $N$ pixels, how light it is as a whole. Signal and noise of the mean are
#
# $$\mathrm{mean}(x_T) = a\; \mathrm{mean}(x_0) + b\; \mathrm{mean}(\epsilon), \qquad \mathrm{mean}(\epsilon) \sim \mathcal{N}(0, 1 / N) .$$
#
# The noise of a mean is $\sqrt{N}$ times smaller, and the signal is not. So with 64 x 64 latents:

# %%
stable = SCHEDULES["scaled_linear"](1000)
a, b = stable[-1] ** 0.5, (1 - stable[-1]) ** 0.5
light, dark = (a * mean + b * rng.standard_normal((2000, 64 * 64)).mean(axis=1) for mean in (0.5, -0.5))
print(f"a at T: {a:.3f}; of a mean, signal over noise is {a * 0.5 / (b / 64):.1f}")
print(f"mean of x_T of light pictures {light.mean():+.3f}, of dark ones {dark.mean():+.3f}, spread {light.std():.4f}")
assert a * 0.5 > 2 * b / 64
assert (light > 0).mean() > 0.95, "a network can nearly always see at T whether a picture is light or dark"

# %% [markdown]
# A single pixel tells nothing at T, but the mean tells whether the picture is light or dark. The network learns to rely on
# it, and when a sampler starts from pure noise, whose mean says "neither light nor dark", it draws pictures of middle brightness.
# Lin and others move the roots down until the last is 0, and stretch them so that the first is what it was:
#
# $$\sqrt{\bar\alpha_t} \leftarrow \left(\sqrt{\bar\alpha_t} - \sqrt{\bar\alpha_T}\right)
#   \frac{\sqrt{\bar\alpha_1}}{\sqrt{\bar\alpha_1} - \sqrt{\bar\alpha_T}} \quad (t \ge 1) \qquad \text{(Eq. ZTSNR-1)}$$
#
# **Write it yourself.**


# %%
def my_zero_end(alpha_bar):
    """Return a table whose last entry is 0; the entries 0 and 1 stay as they are."""
    ### BEGIN SOLUTION
    root = alpha_bar[1:] ** 0.5
    moved = (root - root[-1]) * root[0] / (root[0] - root[-1])
    return np.concatenate([[1.0], moved**2])
    ### END SOLUTION


# %%
my_zero_end = exercises.ZERO_END.check(my_zero_end)
rescaled = zero_terminal_snr(stable)
assert np.allclose(rescaled, my_zero_end(stable), atol=1e-15)
assert rescaled[-1] == 0
assert np.isclose(rescaled[1], stable[1])

# %% [markdown]
# Another way: let the noise have a part that a whole channel shares, so that the mean is noisy too,
#
# $$\epsilon = z + s\, z_c, \qquad z \text{ for each pixel},\ z_c \text{ for each channel of a picture.} \qquad \text{(Eq. OFFSET-1)}$$
#
# Its variance is $1 + s^2$ for a pixel, but that of the mean grows from $1 / N$ to $s^2 + 1 / N$: with s = 0.1 and 4,096 pixels to 42
# times as much. (The formulas of a sampler stay as if it were not there. It is a patch, which ZTSNR-1 makes unnecessary.)

# %%
tiny = UNetConfig(4, channels=8, channel_mult=(1,), blocks_per_level=1)
pictures = Dataset(np.zeros((4, 4, 4, 1), np.uint8), np.zeros(4, int), name="dark", split="train", source="made here")
model = DiffusionModel(UNet(tiny, rng), ModelConfig(tiny))
noisy = Denoise(model, pictures, DenoiseConfig(offset_noise=0.5)).eps(Noise(1), np.zeros((4000, 4, 4, 3)))
print(f"variance of a pixel {noisy.var():.3f}, of a channel's mean {noisy.mean(axis=(1, 2)).var():.3f}")
assert abs(noisy.var() - 1.25) < 0.03  # standard error 0.005
assert abs(noisy.mean(axis=(1, 2)).var() - (0.25 + 1 / 16)) < 0.02  # standard error 0.004

# %% [markdown]
# And larger pictures? Four neighbouring pixels that show the same have a mean with half the noise. So in a picture of twice the side, the
# same $\sigma$ hides less, and the schedule that was good for small ones should have twice the $\sigma$, f = 2 in
#
# $$\log \mathrm{SNR} \leftarrow \log \mathrm{SNR} - 2 \log f . \qquad \text{(Eq. SHIFT-1)}$$

# %%
table = cosine_schedule(1000)
for f in (2.0, 0.5, 3.0):
    moved, before = shifted(table, f)[1:], table[1:]
    assert np.allclose(np.log(moved / (1 - moved)), np.log(before / (1 - before)) - 2 * np.log(f))
large = np.kron(rng.uniform(-1, 1, (8, 8)), np.ones((2, 2)))  # twice the side, and no more to see
t = 500
sigma = {side: ((1 - a) / a) ** 0.5 for side, a in ((8, table[t]), (16, shifted(table, 2.0)[t]))}
seen = (large + sigma[16] * rng.standard_normal((20_000, 16, 16))).reshape(-1, 8, 2, 8, 2).mean(axis=(2, 4))
spread = seen.std(axis=0).mean()
print(f"noise of a block's mean: {spread:.3f}; of a pixel of the small picture: {sigma[8]:.3f}")
assert abs(spread / sigma[8] - 1) < 0.01

# %% [markdown]
# ## What should the network say?
#
# Given $x_t$, to know $\epsilon$ is to know $x_0$: one is what is left after the other. But for a network that errs, it is not the same.
# If it predicts $\epsilon$, then $\hat x_0 = (x_t - b\, \hat\epsilon) / a$, and each error of $\hat\epsilon$ becomes $b / a$ times as large: at the
# noisy end without bound. If it predicts $x_0$, then $\hat\epsilon = (x_t - a\, \hat x_0) / b$, and the same happens at the clean end.
#
# Look at $x_0$ and $\epsilon$ as two directions at right angles. Then $x_t = \cos\varphi\; x_0 + \sin\varphi\; \epsilon$, with $a = \cos\varphi$ and
# $b = \sin\varphi$, is a unit arrow that turns from one to the other. How does it turn? Its derivative in $\varphi$ is
#
# $$v = -\sin\varphi\; x_0 + \cos\varphi\; \epsilon = a\, \epsilon - b\, x_0 , \qquad \text{(Eq. V-1)}$$
#
# the arrow at a right angle to it. At the clean end it is $\epsilon$, at the noisy end $-x_0$: always what cannot be seen in
# $x_t$. That the derivative is right can be measured:

# %%
x_0, eps = rng.standard_normal((2, 5, 3))
angles = np.array([0.1, 0.7, 1.3])
for angle in angles:
    a, b, h = np.cos(angle), np.sin(angle), 1e-5
    slope = sum(sign * (np.cos(angle + sign * h) * x_0 + np.sin(angle + sign * h) * eps) for sign in (1, -1)) / (2 * h)
    t = float(GaussianDiffusion.time_at(diffusion, np.log(a / b)))
    v = diffusion.v_from(x_0, eps, t)
    assert np.allclose(v, slope, atol=1e-5)
    assert np.allclose(v, a * eps - b * x_0, atol=1e-6)

# %% [markdown]
# **Derive it yourself:** how do $x_0$ and $\epsilon$ follow from $x_t$ and v? (Two arrows at right angles are turned back together.)


# %%
def my_turn(x_t, v, alpha_bar):
    """Return (x_0, eps); x_t and v are arrays of one shape, alpha_bar a number."""
    ### BEGIN SOLUTION
    a, b = alpha_bar**0.5, (1 - alpha_bar) ** 0.5
    return a * x_t - b * v, b * x_t + a * v
    ### END SOLUTION


# %%
my_turn = exercises.TURN.check(my_turn)
x_t, v = rng.standard_normal((2, 4, 3))
for t in (3, 400, 1000):
    of_x_0, of_eps = my_turn(x_t, v, diffusion.alpha_bar[t])
    assert np.allclose(diffusion.x_0_from_v(x_t, t, v), of_x_0)
    assert np.allclose(diffusion.eps_from_v(x_t, t, v), of_eps)

# %% [markdown]
# $$x_0 = a\, x_t - b\, v \quad \text{(Eq. V-2)}, \qquad \epsilon = b\, x_t + a\, v \quad \text{(Eq. V-3)}$$
#
# An error of v becomes b times as large in $\hat x_0$, and a times as large in $\hat\epsilon$: never more than 1. And nothing is divided, so
# that it works where no signal is left. Both others would divide by zero at one end.
#
# The network that ships with tinydiff predicts v. How wrong is it, in each language? It is the same network and the same guess:

# %%
mnist = tinydiff.load("mnist")
times = np.array([20, 150, 300, 450, 600, 750, 900, 980])
errors = {"v": [], "x_0": [], "eps": []}
for t in times:
    steps = np.full(32, t)
    a, b = diffusion.alpha_bar[t] ** 0.5, (1 - diffusion.alpha_bar[t]) ** 0.5
    x_t = (a * digits + b * noise).astype(np.float32)
    output = mnist.network_output(x_t, steps, labels)
    for name, guess, true in (
        ("v", output, a * noise - b * digits),
        ("x_0", a * x_t - b * output, digits),
        ("eps", b * x_t + a * output, noise),
    ):
        errors[name].append(((guess - true) ** 2).mean())
errors = {name: np.array(found) for name, found in errors.items()}
alpha_bars = diffusion.alpha_bar[times]
assert np.allclose(errors["x_0"], (1 - alpha_bars) * errors["v"], rtol=1e-3)
assert np.allclose(errors["eps"], alpha_bars * errors["v"], rtol=1e-3)
plot.curves(times, errors, "t", "mean squared error", "One network, three languages", log="y")

# %% [markdown]
# In the squared error of $\epsilon$ the noisy end hardly counts: its curve falls by orders of magnitude, although just there it is
# decided which digit it will be. In the squared error of $x_0$ the clean end hardly counts. That of v is their sum,
#
# $$\lVert v - \hat v \rVert^2 = \lVert x_0 - \hat x_0 \rVert^2 + \lVert \epsilon - \hat\epsilon \rVert^2 ,$$
#
# since a turn keeps lengths. This is why a short training with v shows a digit's shape earlier, and why the networks of this course
# predict it.

# %%
assert np.allclose(errors["v"], errors["x_0"] + errors["eps"], rtol=1e-3)

# %% [markdown]
# ## EDM: what is left to say
#
# Karras and others write $y = x_0 + \sigma\, \epsilon$ ($y = x_t / a$) and ask: what should a network be given to do? Its answer should
# be of variance 1 at every $\sigma$, since networks like such numbers, and its errors should be amplified as little as possible. Let
# the denoiser be
#
# $$\hat x_0 = c_\text{skip}\, y + c_\text{out}\, F, \qquad \text{so} \qquad F = \frac{x_0 - c_\text{skip}\, y}{c_\text{out}} \qquad \text{(Eq. EDM-F1, Eq. EDM-F2)}$$
#
# **Derive it yourself:** the data have mean 0 and the standard deviation `data`. Which $c_\text{skip}$ leaves the least variance to the
# network, and which $c_\text{out}$ is then needed to make it 1?


# %%
def my_precondition(sigma, data):
    """Return (c_skip, c_out) for an array of sigmas."""
    ### BEGIN SOLUTION
    total = sigma**2 + data**2
    return data**2 / total, sigma * data / total**0.5
    ### END SOLUTION


# %%
my_precondition = exercises.PRECONDITION.check(my_precondition)
x_0, eps = 0.5 * rng.standard_normal(100_000), rng.standard_normal(100_000)
for t in (50, 500, 950):
    alpha_bar = diffusion.alpha_bar[t]
    sigma = ((1 - alpha_bar) / alpha_bar) ** 0.5
    c_skip, c_out = my_precondition(np.array(sigma), 0.5)
    x_t = alpha_bar**0.5 * x_0 + (1 - alpha_bar) ** 0.5 * eps
    F = edm_target(diffusion, x_0, eps, t)
    assert np.allclose(F, (x_0 - c_skip * x_t / alpha_bar**0.5) / c_out)
    assert abs(F.var() - 1) < 0.03  # standard error 0.0045
    back, noise_back = x_0_and_eps_from_edm(diffusion, x_t, t, F)
    assert np.allclose(back, x_0)
    assert np.allclose(noise_back, eps)
    guess, _ = x_0_and_eps_from_edm(diffusion, x_t, t, 0.8 * F)
    assert np.allclose(guess, c_skip * x_t / alpha_bar**0.5 + c_out * 0.8 * F), "also of a wrong F"
    print(f"t = {t}: c_skip {c_skip:.4f}, c_out {c_out:.4f}, variance of F {F.var():.3f}")

# %% [markdown]
# $$c_\text{skip} = \frac{\sigma_d^2}{\sigma^2 + \sigma_d^2}, \qquad c_\text{out} = \frac{\sigma\, \sigma_d}{\sqrt{\sigma^2 + \sigma_d^2}}$$
#
# Little noise: pass y on, and say only what noise to take away. Much noise: ignore y, and say the picture. If that sounds like v,
# it should: with data of standard deviation 1, F is -v.

# %%
x_0, eps = rng.standard_normal((2, 1000))
for t in (50, 500, 950):
    a, b = diffusion.alpha_bar[t] ** 0.5, (1 - diffusion.alpha_bar[t]) ** 0.5
    c_skip, c_out = my_precondition(np.array(b / a), 1.0)
    assert np.allclose((x_0 - c_skip * (x_0 + b / a * eps)) / c_out, b * x_0 - a * eps)

# %% [markdown]
# ## What a loss weighs
#
# So the choice of what is predicted is two choices: what the network's numbers are (of which size, from what), and *how much the error at
# each noise counts*. The second can be said in one language, as a factor of the squared error of $x_0$:
#
# $$L = w(\mathrm{SNR})\, \lVert x_0 - \hat x_0 \rVert^2 = w(\mathrm{SNR}) \left(\frac{\partial \hat x_0}{\partial\, \text{output}}\right)^2
#   \lVert \text{target} - \text{output} \rVert^2 \qquad \text{(Eq. WEIGHT-1)}$$
#
# | what is minimised | w |
# |---|---|
# | squared error of $x_0$ | 1 |
# | of $\epsilon$: DDPM's simple loss | SNR, since $\epsilon - \hat\epsilon = -\frac{a}{b} (x_0 - \hat x_0)$ |
# | of v | SNR + 1 |
# | of EDM's F | SNR + $1 / \sigma_d^2$ |
# | min-SNR | min(SNR, 5): as $\epsilon$, but no more than 5 |
# | P2 | SNR / (1 + SNR): as $\epsilon$, less at the clean end |
#
# **Find the fault:** min-SNR, for a network that predicts v. This function says by what the squared error *of v* is multiplied. It stood
# like that in public code, and trains another loss than min-SNR. Mend one line.


# %%
def min_snr_of_v(snr, gamma):
    """Return the weight of the squared error of v, for an array of SNRs."""
    weight_of_x_0 = np.minimum(snr, gamma)
    ### BEGIN SOLUTION
    return weight_of_x_0 / (snr + 1)
    ### INSTEAD
    return weight_of_x_0 / snr
    ### END SOLUTION


# %%
min_snr_of_v = exercises.MIN_SNR.check(min_snr_of_v)
show_source(loss_weight)
t = np.array([1, 60, 300, 600, 900, 990])
snr = diffusion.alpha_bar[t] / (1 - diffusion.alpha_bar[t])
of_x_0 = {
    "x_0": np.ones(6),
    "eps": snr,
    "v": snr + 1,
    "edm": snr + 4,
    "min-snr": np.minimum(snr, 5),
    "soft-min-snr": 5 * snr / (snr + 5),
    "p2": snr / (1 + snr),
}
squared_gain = {"x_0": 1, "eps": 1 / snr, "v": 1 / (snr + 1), "edm": 1 / (snr + 4)}
for weighting, expected in of_x_0.items():
    for kind, gain in squared_gain.items():
        assert np.allclose(loss_weight(weighting, kind, diffusion, t), expected * gain), (weighting, kind)
assert np.allclose(loss_weight("min-snr", "v", diffusion, t), min_snr_of_v(snr, 5.0))

# %% [markdown]
# One guess, said in four languages, and one loss in all of them (and in any other that is linear):

# %%
x_0, eps, guess = rng.standard_normal((3, 6, 10))
x_t = diffusion.q_sample(x_0, t, eps)
eps_of_guess = (x_t - diffusion.alpha_bar[t][:, None] ** 0.5 * guess) / (1 - diffusion.alpha_bar[t][:, None]) ** 0.5
for kind, target in TARGETS.items():
    wrong = target.of(diffusion, guess, eps_of_guess, t) - target.of(diffusion, x_0, eps, t)
    loss = loss_weight("min-snr", kind, diffusion, t) * (wrong**2).mean(axis=1)
    print(f"{kind:<7} error {np.array2string((wrong**2).mean(axis=1), precision=3, suppress_small=True)}")
    assert np.allclose(loss, np.minimum(snr, 5) * ((x_0 - guess) ** 2).mean(axis=1))
fine = np.arange(1, 1000)
fine_snr = diffusion.alpha_bar[fine] / (1 - diffusion.alpha_bar[fine])
weights = {"eps": fine_snr, "x_0": 1 + 0 * fine_snr, "v": fine_snr + 1, "min-snr": np.minimum(fine_snr, 5)}
plot.curves(np.log(fine_snr), weights, "log SNR", "weight of the squared error of x_0", log="y")

# %% [markdown]
# A weight and the times that are drawn are two sides of one thing: to see a noise twice as often, or to count it twice, is the same in the
# mean. It is not the same in how much a batch varies. If each sample draws a time for itself, some parts of 0 .. T are met twice
# and others not at all. Better one in each of N equal parts, all moved by one random number:
#
# $$u_i = \left(u_0 + \frac{i}{N}\right) \bmod 1, \quad u_0 \sim \mathrm{U}(0, 1), \qquad t = \lfloor T\, u \rfloor + 1 \qquad \text{(Eq. STRATA-1)}$$

# %%
loss_of_t = np.exp(-np.arange(1001) / 300)  # as if it depended on t alone
spread = {}
for times in ("uniform", "stratified"):
    drawn = np.array([random_steps(Noise(0, step=k), 64, 1000, times=times) for k in range(1000)])
    spread[times] = loss_of_t[drawn].mean(axis=1).std()
    print(f"{times:<11} standard deviation of a batch's loss {spread[times]:.5f}")
    assert abs(drawn.mean() - 500.5) < 5  # standard error 1.1 at most
assert spread["stratified"] < spread["uniform"] / 5
parts = [random_steps(Noise(7, first=k), 16, 1000, times="stratified", batch=64) for k in (0, 16, 32, 48)]
whole = np.sort(np.concatenate(parts))
assert (np.diff(np.floor((whole - whole[0]) * 64 / 1000 + 0.5)) == 1).all(), "one in each of 64 parts, also in pieces"

# %% [markdown]
# ## The variance of a step
#
# One number of DDPM's chain was left open in notebook 03: the variance of a step back. $\tilde\beta$ is right if the data are one point,
# $\beta$ if they are standard normal; the truth lies between. Which is best? The mean of the step is linear in $\hat x_0$, by the factor
# $c_0$ of DDPM-7. What $x_t$ does not tell of $x_0$ is missing in it, and must be in the variance:
#
# $$\sigma^2 = \tilde\beta + c_0^2\; \mathrm{E}\left[(x_0 - \hat x_0)^2\right] \qquad \text{(Eq. ADPM-1)}$$
#
# A network can learn it: with a second half of channels it says w, where the *logarithm* lies between the two,
#
# $$\log \sigma^2 = \frac{1 + w}{2} \log \beta + \frac{1 - w}{2} \log \tilde\beta . \qquad \text{(Eq. IDDPM-15)}$$
#
# Both ends are those of the step that is taken, long or short. For Gaussian data of variance S, what is left of $x_0$ is
# $S b^2 / (a^2 S + b^2)$, so that three steps can be right to the last digit:

# %%
S, visited = 0.1, [700, 400, 150, 10]
data = Gaussian(diffusion, np.zeros(1), S)


def parts_of(t, s):
    """Return the true variance of the step from t to s, and beta and beta-tilde, all by hand."""
    at_t, at_s = diffusion.alpha_bar[[t, s]]
    beta = 1 - at_t / at_s
    tilde = (1 - at_s) / (1 - at_t) * beta
    left = S * (1 - at_t) / (at_t * S + 1 - at_t)
    return tilde + (at_s**0.5 * beta / (1 - at_t)) ** 2 * left, beta, tilde


def says_variance(x_t, t, context=None):
    """Return the exact prediction, and w of the true variance: Eq. IDDPM-15 solved for it."""
    t = int(t[0])
    true, beta, tilde = parts_of(t, visited[visited.index(t) + 1])
    w = (2 * np.log(true) - np.log(beta) - np.log(tilde)) / (np.log(beta) - np.log(tilde))
    return Prediction(*data.predict(x_t, t), np.full_like(x_t, w))


for t, s in pairwise(visited):
    true, beta, tilde = parts_of(t, s)
    left = S * (1 - diffusion.alpha_bar[t]) / (diffusion.alpha_bar[t] * S + 1 - diffusion.alpha_bar[t])
    assert np.isclose(best_variance(diffusion, float(left), t, s), true)
    for w in (-1.0, 0.3, 1.0):
        by_formula = (1 + w) / 2 * np.log(beta) + (1 - w) / 2 * np.log(tilde)
        assert np.isclose(learned_log_variance(diffusion, np.array([w]), t, s)[0], by_formula)
start = (diffusion.alpha_bar[700] * S + 1 - diffusion.alpha_bar[700]) ** 0.5 * rng.standard_normal((200_000, 1))
wanted = diffusion.alpha_bar[10] * S + 1 - diffusion.alpha_bar[10]
for variance in ("beta", "learned", "beta_tilde"):
    drawn = last(ddpm(says_variance, diffusion, start, visited[:-1], variance, Noise(3), end=visited[-1]))
    print(f"{variance:<11} variance after three steps {drawn.var():.4f} (true: {wanted:.4f})")
    is_right = abs(drawn.var() / wanted - 1) < 0.02  # standard error 0.003
    assert is_right == (variance == "learned")

# %% [markdown]
# ## The Rosetta table
#
# The same things in six languages. (tinydiff's are DDPM's.)
#
# | here | score papers (VE) | EDM | VDM | flow matching | diffusers |
# |---|---|---|---|---|---|
# | $x_t / a$ | $x$ | $y$ | $z_t / \alpha_t$ | $x_t / (1 - t)$ | `sample / sqrt(alphas_cumprod)` |
# | $b / a$ | $\sigma$ | $\sigma$ | $e^{\gamma / 2}$ | $t / (1 - t)$ | `sigmas` |
# | $\bar\alpha_t$ | $1 / (1 + \sigma^2)$ | $1 / (1 + \sigma^2)$ | $\mathrm{sigmoid}(-\gamma)$ | $(1 - t)^2 / ((1 - t)^2 + t^2)$ | `alphas_cumprod[t - 1]` |
# | log SNR | $-2 \log \sigma$ | $-2 \log \sigma$ | $-\gamma$ | $2 \log((1 - t) / t)$ | |
# | $t = 1 \ldots T$ | $\sigma_1 \ldots \sigma_L$ | $\sigma$ itself | 0 .. 1 | 0 .. 1 | 0 .. T - 1 |
# | $\hat\epsilon$ | $-\sigma\, s$ | $(y - D) / \sigma$ | $\hat\epsilon$ | $x_t + (1 - t) u$ | `epsilon` |
# | guidance s | | | | | `guidance_scale`; w + 1 in the paper |
#
# Each row of numbers, checked:

# %%
t = np.array([5, 400, 900])
alpha_bar = diffusion.alpha_bar[t]
sigma, gamma = ((1 - alpha_bar) / alpha_bar) ** 0.5, -np.log(alpha_bar / (1 - alpha_bar))
flow_time = sigma / (1 + sigma)  # solve sigma = t / (1 - t)
assert np.allclose(alpha_bar, 1 / (1 + sigma**2))
assert np.allclose(alpha_bar, 1 / (1 + np.exp(gamma)))
assert np.allclose(alpha_bar, (1 - flow_time) ** 2 / ((1 - flow_time) ** 2 + flow_time**2))
assert np.allclose(diffusion.snr(t), sigma**-2)
assert np.allclose(diffusion.snr(t), np.exp(-gamma))
linear = SCHEDULES["linear"](1000)
alphas_cumprod = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))  # as diffusers makes it, counted from 0
assert np.allclose(linear[t], alphas_cumprod[t - 1])

x_0, eps = rng.standard_normal((2, 3, 4))
ve, straight = (GaussianPath(diffusion.alpha_bar, path) for path in ("ve", "straight"))
y = x_0 + sigma[:, None] * eps
assert np.allclose(ve.q_sample(x_0, t, eps), y)
x_t = diffusion.q_sample(x_0, t, eps)
assert np.allclose(x_t / alpha_bar[:, None] ** 0.5, y)
x_flow = (1 - flow_time)[:, None] * x_0 + flow_time[:, None] * eps
assert np.allclose(straight.q_sample(x_0, t, eps), x_flow)
score = (x_0 - y) / sigma[:, None] ** 2  # of N(y; x_0, sigma^2)
assert np.allclose(-sigma[:, None] * score, eps)
assert np.allclose(x_flow + (1 - flow_time)[:, None] * (eps - x_0), eps)

cond, null, w = rng.standard_normal((2, 3, 4))[0], rng.standard_normal((3, 4)), 1.5
guided = predictor(lambda x, t, context: cond + w * (cond - null), diffusion, "eps", clip=False)(x_t, t)[1]
assert np.allclose(guided, null + (1 + w) * (cond - null)), "the paper's w is s - 1"

# %% [markdown]
# ## Summary
#
# 1. Only SNR matters of a time: a schedule says what is left at T, what training sees, and where steps lie; only the first is its own.
# 2. A long step has $\beta = 1 - \bar\alpha_t / \bar\alpha_s$; with no signal at T drawing begins where training ended.
# 3. $\epsilon$, $x_0$, v and F say the same; errors of v, a turn, are never amplified, and nothing is divided.
# 4. What is predicted implies a weight, a function of SNR times the squared error of $x_0$; min-SNR for v is divided by SNR + 1.
# 5. The best variance of a step lies between $\tilde\beta$ and $\beta$, in the logarithm, and can be learned.
#
# <details><summary>Which schedule is best?</summary>
#
# Ask which of its three jobs you mean. For the end: no signal, or so little that even the mean of a picture is hidden. For training: much
# in the middle of log-SNR, for which Laplace's schedule, a weight or logit-normal times will do alike. For sampling: see notebook 15 (to
# come); the times of a sampler need not be those of the training.
#
# </details>
#
# <details><summary>May I sample a v-network with a schedule that it was not trained with?</summary>
#
# With other *times*, yes. With another table, the network must be told its own t at which it met this SNR, and v must be
# made of a and b of that SNR. The library's samplers go by times of one table.
#
# </details>
#
# <details><summary>Is the flow of flow matching v?</summary>
#
# No. Both are velocities: v is that of a turn, $\mathrm{d}x / \mathrm{d}\varphi$ on the circle $a^2 + b^2 = 1$, and $u = \epsilon - x_0$ that of a
# straight line, $a + b = 1$. In each other's units they are linear combinations with $x_t$, so that a network of one can be
# read as one of the other.
#
# </details>
#
# **Next:** [13 · SDE and ODE](13_sde_and_ode.ipynb): what is left of a chain whose steps are infinitely small.
