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
# # 09 · Train and sample
#
# **You will learn** to train a denoiser in ten lines, to read its loss, and to draw with it. The loss looks flat for
# most of the time, while the samples get better and better: you will see why.
#
# **Prerequisites:** notebooks 04 (the loss), 05 (gradients and the tape) and 08 (the UNet). **Time:** 110 minutes with the exercises.
#
# **Papers:** Ho, Jain, Abbeel, *Denoising diffusion probabilistic models* (2020), Algorithms 1 and 2 (here DDPM-ALG1
# and DDPM-ALG2); Loshchilov and Hutter, *Decoupled weight decay regularization* (2019), Algorithm 2 (ADAMW-1), and
# *SGDR* (2017), Eq. 5 (LR-1); Pascanu, Mikolov, Bengio (2013), Algorithm 1 (CLIP-1); Polyak and Juditsky (1992; EMA-1,
# with the warm-up EMA-2); Dowson and Landau (1982; FD-1); Wilson (1927; WILSON-1).

# %%
import numpy as np

from tinydiff import functional as F
from tinydiff import plot
from tinydiff.base import Noise
from tinydiff.course import show_source, slider
from tinydiff.course.exercises import notebook_09 as exercises
from tinydiff.data import load_data
from tinydiff.diffusion import GaussianDiffusion, GaussianMixture, ddpm, last, linear_schedule, predictor
from tinydiff.evaluate import frechet_distance, frechet_distance_of, loss_by_timestep, wilson_share
from tinydiff.models import DiffusionModel, ModelConfig, Request
from tinydiff.networks import UNet, UNetConfig
from tinydiff.nn import Gradients, Linear, Module, Sequential, SiLU, Tape
from tinydiff.train import (
    AdamW,
    Denoise,
    DenoiseConfig,
    Run,
    clip_by_global_norm,
    ema_decay,
    learning_rate,
    update_ema,
)

diffusion = GaussianDiffusion(linear_schedule(1000))

# %% [markdown]
# ## Data with a known answer
#
# Before digits, take points in the plane: five small clouds. Their exact denoiser is known (notebook 02), so we can
# tell how far a network is from the best that is possible. The network is small, too: $x_t$ and the time, three linear
# layers (notebook 05).

# %%
angles = 2 * np.pi * np.arange(5) / 5
means, variance = 0.75 * np.stack([np.cos(angles), np.sin(angles)], axis=1), 0.003
clouds = GaussianMixture(diffusion, np.ones(5), means, [variance] * 5)


def draw(n, rng):
    """Return n points of the data."""
    points = means[rng.integers(5, size=n)] + variance**0.5 * rng.standard_normal((n, 2))
    return points.astype(np.float32)


class Denoiser(Module):
    """Predicts the noise in a point: x_t and the embedded time go through three linear layers."""

    def __init__(self, rng, width=96, clock=32):
        self.clock = clock
        self.body = Sequential(
            Linear(2 + clock, width, rng), SiLU(), Linear(width, width, rng), SiLU(), Linear(width, 2)
        )
        self.pack()

    def forward(self, x_t, t, context=None, tape=None):
        clock = F.timestep_embedding(t, self.clock, dtype=x_t.dtype)
        return self.body.forward(np.concatenate([x_t, clock], axis=-1), tape)

    def backward(self, d_eps_hat, tape, grads=None):
        return self.body.backward(d_eps_hat, tape, grads)[:, :2]


network = Denoiser(np.random.default_rng(0))
print(f"{network.theta.size:,} weights")

# %% [markdown]
# ## Algorithm 1: one step of training
#
# Notebook 04 ended with the loss $\mathbb{E}\, \lVert \epsilon - \hat\epsilon(x_t, t) \rVert^2$ over random $t$, $x_0$
# and $\epsilon$. A mean over a *batch* of random draws estimates it, and the gradient of the estimate is, on average,
# the gradient of the loss: the expectation does not depend on the weights, so derivative and mean may be swapped. Line
# by line, as the paper's Algorithm 1 has it:
#
# $$x_0 \sim q, \quad t \sim \mathrm{U}\{1..T\}, \quad \epsilon \sim \mathcal{N}(0, I): \qquad
#   \nabla_\theta \lVert \epsilon - \hat\epsilon(\sqrt{\bar\alpha_t}\, x_0 + \sqrt{1 - \bar\alpha_t}\, \epsilon, t) \rVert^2
#   \qquad \text{(Eq. DDPM-ALG1)}$$


# %%
def gradient_of_a_batch(network, rng, batch=256):
    """Return the loss of a random batch, and its gradient as one long vector."""
    x_0 = draw(batch, rng)
    t = rng.integers(1, 1001, size=batch)
    eps = rng.standard_normal(x_0.shape).astype(np.float32)
    x_t = diffusion.q_sample(x_0, t, eps)
    tape, grads = Tape(), Gradients(network.parameters())
    eps_hat = network.forward(x_t, t, tape=tape)
    loss, cache = F.mse(eps_hat, eps)
    d_eps_hat, _ = F.mse_backward(1.0, cache)
    network.backward(d_eps_hat, tape, grads)
    return float(loss), grads.flat


loss, gradient = gradient_of_a_batch(network, np.random.default_rng(1))
print(f"loss {loss:.3f}, norm of the gradient {np.linalg.norm(gradient):.3f}")
again = np.random.default_rng(1)
x_0, t, eps = draw(256, again), again.integers(1, 1001, size=256), again.standard_normal((256, 2)).astype(np.float32)
alpha_bar = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))[t - 1, None]
x_t = (alpha_bar**0.5 * x_0 + (1 - alpha_bar) ** 0.5 * eps).astype(np.float32)
assert np.isclose(loss, ((network.forward(x_t, t) - eps) ** 2).mean(), rtol=1e-5)
along, ends = gradient / np.linalg.norm(gradient), []
for step in (0.01, -0.01):  # the slope along the gradient is its length
    moved = network.bind(network.theta + np.float32(step) * along)
    ends.append(((moved.forward(x_t, t) - eps) ** 2).mean(dtype=np.float64))
assert np.isclose((ends[0] - ends[1]) / 0.02, np.linalg.norm(gradient), rtol=0.01)
assert abs(loss - 1) < 0.15, "a network that says 0 should have the variance of the noise, 1, as its loss"

# %% [markdown]
# ## The optimizer: AdamW
#
# The gradient g of a batch is noisy, and its size differs from weight to weight. Adam keeps two averages for every
# weight: m of the gradients, v of their squares, both forgetting slowly. It steps by the average gradient in units of
# its usual size, $m / \sqrt{v}$.
#
# Both start at 0, and are too small at first. By how much? Written out,
# $m_k = (1 - \beta_1) \sum_{i=1}^{k} \beta_1^{k-i} g_i$. If all gradients have the same mean, then $\mathbb{E}[m_k] =
# \mathbb{E}[g]\, (1 - \beta_1) (1 + \beta_1 + \ldots + \beta_1^{k-1}) = \mathbb{E}[g]\, (1 - \beta_1^k)$, by the sum of
# the geometric series. So divide by $1 - \beta_1^k$; the same for v.
#
# Last, *weight decay*: let every weight shrink a little at each step, apart from the gradient. Together, with the
# learning rate $\eta$ and the decay $\lambda$:
#
# $$m = \beta_1 m + (1 - \beta_1) g, \quad v = \beta_2 v + (1 - \beta_2) g^2, \quad
#   \theta \leftarrow \theta - \eta \left(\frac{m / (1 - \beta_1^k)}{\sqrt{v / (1 - \beta_2^k)} + \varepsilon} + \lambda \theta\right)
#   \qquad \text{(Eq. ADAMW-1)}$$
#
# **Write it yourself:** step number k, from 1, with $\beta_1 = 0.9$, $\beta_2 = 0.99$ and $\varepsilon = 10^{-8}$. Return
# new arrays, or change theta, m and v in place, as you like.


# %%
def my_adamw(theta, g, m, v, k, lr, weight_decay):
    """Return theta, m and v after the step; all are arrays of the shape of g."""
    ### BEGIN SOLUTION
    m = 0.9 * m + 0.1 * g
    v = 0.99 * v + 0.01 * g**2
    m_hat, v_hat = m / (1 - 0.9**k), v / (1 - 0.99**k)
    return theta - lr * (m_hat / (v_hat**0.5 + 1e-8) + weight_decay * theta), m, v
    ### END SOLUTION


# %%
my_adamw = exercises.ADAMW.check(my_adamw)
show_source(AdamW._step)

# %% [markdown]
# The library works piece by piece, so that what is computed stays in the processor's cache, and skips a step whose
# gradient is not finite. Twenty steps of both, from the same start:

# %%
rng = np.random.default_rng(2)
theta = rng.standard_normal(5000)
mine, m, v = theta.copy(), np.zeros(5000), np.zeros(5000)
optimizer = AdamW(theta, weight_decay=0.1)
for k in range(1, 21):
    g = rng.standard_normal(5000) * np.array([1e-8, 1e-3, 1.0, 10.0, 1e3]).repeat(1000)
    optimizer.step(g, 0.01)
    mine, m, v = my_adamw(mine, g, m, v, k, 0.01, 0.1)
for found, wanted in ((theta, mine), (optimizer.m, m), (optimizer.v, v)):
    assert np.allclose(found, wanted, rtol=1e-9, atol=0)

before, mask = theta[:4].copy(), np.array([1.0, 0.0, 1.0, 0.0])  # with other settings, and decay for some weights only
optimizer, g = AdamW(before.copy(), mask, betas=(0.5, 0.8), eps=0.3, weight_decay=2.0), rng.standard_normal(4)
optimizer.step(np.full(4, np.nan), 0.1, ok=False)  # is skipped, and does not count
average = np.zeros(4)
optimizer.step(g, 0.1, ema=average, decay=0.75)  # m / (1 - 0.5) is g, v / (1 - 0.8) its square
assert np.allclose(optimizer.theta, before - 0.1 * (g / (abs(g) + 0.3) + 2.0 * mask * before))
assert np.allclose(average, 0.25 * optimizer.theta)
assert optimizer.steps == 1

# %% [markdown]
# ## Two guards: clipping and the learning rate
#
# Now and then a batch gives a very long gradient. *Clipping* shortens it to the length c and keeps its direction:
#
# $$g \leftarrow g\, \min\left(1, \frac{c}{\lVert g \rVert}\right) \qquad \text{(Eq. CLIP-1)}$$
#
# **Find the fault:** in many programs a network's gradients are a list of arrays, one for each weight matrix and bias. This
# function makes the three arrays of a gradient shorter. But the direction changes, as the cosine below says, which should
# be 1. Mend one line. (A gradient that is not longer than `largest` stays as it is.)


# %%
def clip(gradients, largest):
    """Return the three arrays of a gradient, together not longer than largest."""
    clipped = []
    for g in gradients:
        ### BEGIN SOLUTION
        norm = sum((one**2).sum() for one in gradients) ** 0.5
        ### INSTEAD
        norm = (g**2).sum() ** 0.5
        ### END SOLUTION
        clipped.append(g * min(1.0, largest / norm))
    return clipped


# %%
three = [np.array([[3.0, 4.0], [0.0, 12.0]]), np.array([0.3, 0.4]), np.array([0.5, -2.0])]
before, after = (np.concatenate([g.ravel() for g in arrays]) for arrays in (three, clip(three, 1.0)))
print(f"length {np.linalg.norm(before):.2f} before, {np.linalg.norm(after):.2f} after; ", end="")
print(f"cosine between both {before @ after / np.linalg.norm(before) / np.linalg.norm(after):.4f}")

# %%
clip = exercises.CLIP.check(clip)
show_source(clip_by_global_norm)
for largest in (0.7, 20.0):
    flat = before.copy()
    assert np.isclose(clip_by_global_norm(flat, largest), np.sqrt((before**2).sum()))
    assert np.allclose(flat, np.concatenate([g.ravel() for g in clip(three, largest)]))
assert np.allclose(before, flat), "a short gradient should stay as it is"

# %% [markdown]
# And the learning rate rises in a line while Adam's averages are young (*warm-up*, $K_w$ steps), and falls in half a
# cosine, from 1 to the share f of the peak, so that the weights settle at the end:
#
# $$\eta_k = \eta \frac{k}{K_w} \text{ up to } K_w, \text{ then } \eta \left(f + (1 - f) \frac{1 + \cos(\pi p)}{2}\right), \quad
#   p = \frac{k - K_w}{K - K_w} \qquad \text{(Eq. LR-1)}$$

# %%
show_source(learning_rate)
steps = np.arange(1, 1001)
rates = np.array([learning_rate(int(k), 1000, peak=0.5, warmup=100, final=0.1) for k in steps])
falling = 0.1 + (1 - 0.1) * (1 + np.cos(np.pi * (steps - 100) / 900)) / 2
assert np.allclose(rates, 0.5 * np.where(steps <= 100, steps / 100, falling))
assert np.isclose(learning_rate(30, 100, peak=2.0), 1 + np.cos(np.pi * 0.3)), (
    "no warm-up, and down to 0, if not asked for"
)
plot.curves(steps, {"learning rate": rates / 0.5}, "optimizer step", "share of the peak")

# %% [markdown]
# ## The average of the weights
#
# Noisy gradients keep the weights jumping round the best place. Their *average* over the last steps is much nearer to
# it. An average that needs no memory of old weights is the exponential one:
#
# $$\bar\theta_k = d\, \bar\theta_{k-1} + (1 - d)\, \theta_k \qquad \text{(Eq. EMA-1)}$$
#
# Written out, $\bar\theta_k = (1 - d) \sum_i d^{k-i} \theta_i + d^k\, \bar\theta_0$: weights i steps ago count $d^i$,
# and the start counts $d^k$. With d = 0.999 the random start would be remembered for thousands of steps. So let a young
# average forget faster:
#
# $$d_k = \min\left(d, \frac{1 + k}{10 + k}\right) \qquad \text{(Eq. EMA-2)}$$
#
# **Write it yourself:** the average after step k (from 1), with the decay $d_k$ of that step, where d is `decay`. Return a
# new array, or change ema in place, as you like.


# %%
def my_ema(ema, theta, k, decay):
    """Return the average after theta came in."""
    ### BEGIN SOLUTION
    d = min(decay, (1 + k) / (10 + k))
    return d * ema + (1 - d) * theta
    ### END SOLUTION


# %%
my_ema = exercises.EMA.check(my_ema)
show_source(update_ema, ema_decay)
library, mine, start_left = np.ones(3), np.ones(3), 1.0
for k in range(1, 101):
    theta = rng.standard_normal(3)
    update_ema(library, theta, ema_decay(k, 0.9))
    mine = my_ema(mine, theta, k, 0.9)
    start_left *= min(0.999, (1 + k) / (10 + k))
    assert np.allclose(library, mine)
update_ema(library, theta, 0.5, ok=False)
assert np.allclose(library, mine), "where not ok, nothing should change"
print(f"share of the start after 100 steps: {start_left:.1e} with the warm-up, {0.999**100:.2f} without")
assert start_left < 1e-6

# %% [markdown]
# ## Ten thousand steps
#
# **Predict, then run:** the loss starts near 1. Where will it be after 100, 1,000 and 10,000 steps? And the samples?
#
# On the way we look at 20,000 held-out points, always the same, with the same t and noise. After a hundred steps of
# warm-up the learning rate stays constant here, to see what the average does.

# %%
rng = np.random.default_rng(3)
held_out, t_held = draw(20_000, rng), rng.integers(1, 1001, size=20_000)
eps_held = rng.standard_normal(held_out.shape).astype(np.float32)
x_held = diffusion.q_sample(held_out, t_held, eps_held)
starts = rng.standard_normal((1000, 2)).astype(np.float32)


def errors(network):
    """Return the squared error for each held-out point."""
    return ((network.forward(x_held, t_held) - eps_held) ** 2).mean(axis=1)


def samples(network):
    """Return points drawn by a network, from the same 1,000 starts each time, by 100 steps of DDPM."""
    return last(ddpm(predictor(network.forward, diffusion), diffusion, starts, 100, noise=Noise(0)))


optimizer, ema = AdamW(network.theta), network.theta.copy()
log, by_t, drawn, average_of = [], {}, {}, {}
for k in range(1, 10_001):
    loss, gradient = gradient_of_a_batch(network, rng)
    clip_by_global_norm(gradient, 1.0)
    optimizer.step(gradient, 3e-3 * min(1, k / 100))
    update_ema(ema, network.theta, ema_decay(k, 0.999))
    if k % 50 == 0:
        log.append({"step": k, "loss": loss})
    if k in (100, 1000, 3000, 10_000):
        average = network.bind(ema.copy())
        by_t[f"step {k:,}"] = loss_by_timestep(t_held, errors(average), 1000)
        drawn[f"step {k:,}"] = samples(average)
        average_of[k] = errors(average).mean()
plot.loss_curve(log)

# %% [markdown]
# This is what everybody sees who trains a diffusion model: the loss falls at once, and then it hardly moves, in a band
# of noise. And the samples?

# %%
plot.point_clouds({**drawn, "data": draw(1000, rng)}, reach=1.2)

# %%
slider(lambda k: plot.point_clouds({f"step {k:,}": drawn[f"step {k:,}"]}, reach=1.2), (100, 1000, 3000, 10_000), "step")

# %% [markdown]
# They go on getting better. From 1,000 to 3,000 steps the loss still falls visibly; but from 3,000 to 10,000, in what looks
# like a flat line, the points between the clouds disappear. (How sure that is, is measured below.)
#
# ## Why is my loss flat while samples improve?
#
# Because most of the loss cannot be removed. Notebook 04 found that even the exact denoiser has a loss: nobody who sees
# $x_t$ can know which noise was drawn. How high is this floor?
#
# **Derive it yourself:** let $x_0$ be a normal number of mean 0 and variance c, and
# $x_t = \sqrt{\bar\alpha}\, x_0 + \sqrt{1 - \bar\alpha}\, \epsilon$. The best guess of $\epsilon$ from $x_t$ is its expectation
# given $x_t$; as all is normal, this is a multiple of $x_t$. What is the mean of the squared error that is left?


# %%
def my_floor(alpha_bar, variance):
    """Return the loss of the exact denoiser of N(0, variance); alpha_bar is a number or an array."""
    ### BEGIN SOLUTION
    return alpha_bar * variance / (alpha_bar * variance + 1 - alpha_bar)
    ### END SOLUTION


# %%
my_floor = exercises.FLOOR.check(my_floor)

# %% [markdown]
# Five clouds are no single normal density, but at small t a point lies near one of them, and this floor is that of its
# cloud. For all t, take the exact denoiser of the five:

# %%
_, eps_hat = clouds.predict(x_held, t_held)
of_exact = ((eps_hat - eps_held) ** 2).mean(axis=1)
print(f"loss of the exact denoiser: {of_exact.mean():.4f}")
for k, loss in average_of.items():
    print(f"step {k:>6,}: loss {loss:.4f} = floor + {loss - of_exact.mean():.4f}")
excess = {k: loss - of_exact.mean() for k, loss in average_of.items()}
assert average_of[10_000] > 0.9 * average_of[3000], "the loss should hardly fall from 3,000 to 10,000 steps ..."
assert excess[10_000] < 0.6 * excess[3000], "... while what can be removed of it falls by half"
floor = loss_by_timestep(t_held, of_exact, 1000)
for b in (0, 7, 19):  # what the library puts into a bin
    inside = (t_held > 50 * b) & (t_held <= 50 * (b + 1))
    assert np.isclose(floor.mean[b], of_exact[inside].mean())
    assert np.isclose(floor.standard_error[b], of_exact[inside].std(ddof=1) / inside.sum() ** 0.5)
    assert (floor.t[b], floor.n[b]) == (50 * b + 25, inside.sum())
of_one_cloud = my_floor(diffusion.alpha_bar[1:51], variance).mean()
print(f"floor at t = 1 .. 50: measured {floor.mean[0]:.3f}, of one cloud, by your formula {of_one_cloud:.3f}")
assert abs(floor.mean[0] - of_one_cloud) < 0.1 * of_one_cloud
plot.loss_by_timestep_runs(floor.t, {name: found.mean for name, found in by_t.items()}, floor.mean)

# %% [markdown]
# From 3,000 to 10,000 steps the loss falls by a few per cent, but what is *left to learn* falls by more than half. The
# picture says where (mind the logarithms). Nearly all of the loss lies at small t, and nearly all of that is floor. In
# the middle the network is on the floor after a hundred steps. What fell later are the first two or three points: at
# small t the network must know the five clouds exactly. (At large t it stays far above the floor in proportion, but
# that is less than 0.001 of loss.) A single number averages over all t, and adds the noise of a random batch on top.
#
# So look at the loss by t, at a fixed set of t and noise, at samples, and never at the loss of one batch.
#
# And the average of the weights? At the last step, the weights themselves are further from the floor:

# %%
of_weights = errors(network).mean() - of_exact.mean()
print(f"above the floor: the weights {of_weights:.4f}, their average {excess[10_000]:.4f}")
assert excess[10_000] < of_weights

# %% [markdown]
# ## Algorithm 2: sampling
#
# Sampling walks back by the step of notebook 03: to the mean of the posterior at the network's guess, and fresh noise
# with one of the two variances; at the last step none, for what it leads to is the sample:
#
# $$x_s = \tilde\mu(\hat x_0, x_t) + \sigma_t z, \quad \sigma_t^2 \in \{\beta_t, \tilde\beta_t\}, \quad z = 0 \text{ at the last step}
#   \qquad \text{(Eq. DDPM-ALG2)}$$
#
# Here a step leads from t to any earlier s; $\alpha = \bar\alpha_t / \bar\alpha_s$ is the share that it keeps, and
# $\beta = 1 - \alpha$. Put $\hat x_0 = (x_t - \sqrt{1 - \bar\alpha_t}\, \hat\epsilon) / \sqrt{\bar\alpha_t}$ into the mean of the
# posterior, and it becomes (notebook 03) $\frac{1}{\sqrt\alpha} \left(x_t - \frac{\beta}{\sqrt{1 - \bar\alpha_t}}\, \hat\epsilon\right)$.
#
# **Write it yourself**, with $\sigma^2 = \beta$ and the mean in this form. The last step is the one whose `alpha_bar_s` is 1.


# %%
def my_ddpm_step(x_t, eps_hat, z, alpha_bar_s, alpha_bar_t):
    """Return x at the earlier time s, like x_t, eps_hat and z; the two alpha_bar are numbers."""
    ### BEGIN SOLUTION
    alpha = alpha_bar_t / alpha_bar_s
    mean = (x_t - (1 - alpha) / (1 - alpha_bar_t) ** 0.5 * eps_hat) / alpha**0.5
    return mean if alpha_bar_s == 1 else mean + (1 - alpha) ** 0.5 * z
    ### END SOLUTION


# %%
my_ddpm_step = exercises.DDPM.check(my_ddpm_step)
show_source(ddpm)

# %% [markdown]
# The library's first steps, with its own noise, against yours. It clips $\hat x_0$ to [-1, 1] in `predictor`, as the
# paper's code does (`clip=False` leaves it), and then takes the $\hat\epsilon$ that belongs to it. With
# `variance="beta_tilde"` it adds the other one of the two variances.

# %%
x, noise = starts[:4].astype(np.float64), Noise(5)
asked = []


def exact_network(x_t, t, context):
    """Return the exact eps_hat, and write down what was asked."""
    asked.append(context)
    return clouds.predict(x_t, t)[1]


exact = predictor(exact_network, diffusion, clip=False)
chain = ddpm(exact, diffusion, x, [600, 400, 200], noise=noise)
for step, (t, s) in enumerate([(600, 400), (400, 200), (200, 0)]):
    _, expected, _ = next(chain)
    z = noise.at(step=step).normal(x.shape, "sampler", dtype=x.dtype)
    x_t, (_, eps_hat) = x, clouds.predict(x, t)
    alpha_bar_s, alpha_bar_t = diffusion.alpha_bar[[s, t]]
    x = my_ddpm_step(x_t, eps_hat, z, alpha_bar_s, alpha_bar_t)
    assert np.allclose(x, expected)
    options = {"steps": [t], "variance": "beta_tilde", "noise": noise, "end": s, "context": np.arange(4)}
    _, expected, x_0_hat = next(ddpm(exact, diffusion, x_t, **options))
    assert (asked[-1] == np.arange(4)).all(), "the network should be told which digit is wanted"
    z = noise.at(step=0).normal(x.shape, "sampler", dtype=x.dtype)  # now it is the first step
    beta_tilde = (1 - alpha_bar_s) / (1 - alpha_bar_t) * (1 - alpha_bar_t / alpha_bar_s)
    assert np.allclose(expected, my_ddpm_step(x_t, eps_hat, 0 * z, alpha_bar_s, alpha_bar_t) + beta_tilde**0.5 * z)
    assert np.allclose(x_0_hat, (x_t - (1 - alpha_bar_t) ** 0.5 * eps_hat) / alpha_bar_t**0.5)
x, t = 2 * rng.standard_normal((50, 2)), np.full(50, 300)
clipped, eps_hat = predictor(lambda x_t, t, context: 0.9 * x_t, diffusion)(x, t)
alpha_bar = diffusion.alpha_bar[300]
assert np.allclose(clipped, np.clip((x - (1 - alpha_bar) ** 0.5 * 0.9 * x) / alpha_bar**0.5, -1, 1))
assert np.allclose(eps_hat, (x - alpha_bar**0.5 * clipped) / (1 - alpha_bar) ** 0.5)

# %% [markdown]
# ## How good are the samples?
#
# **In the right place?** Count the points that lie within three standard deviations of a cloud. But 1,000 samples are
# not all: if a share $\hat p$ was counted among n, which true shares p are possible? Those from which $\hat p$ is at
# most z = 1.96 standard deviations away (a normal number is so in 95 % of cases):
# $(\hat p - p)^2 \le z^2\, p (1 - p) / n$. Sorted by powers of p, this reads
# $(1 + z^2/n)\, p^2 - (2 \hat p + z^2/n)\, p + \hat p^2 \le 0$: p lies between the two roots of a parabola,
#
# $$\left(\hat p + \frac{z^2}{2n} \pm z \sqrt{\frac{\hat p (1 - \hat p)}{n} + \frac{z^2}{4 n^2}}\right) / \left(1 + \frac{z^2}{n}\right)
#   \qquad \text{(Eq. WILSON-1)}$$

# %%
show_source(wilson_share)
shares = {}
for name, points in {**drawn, "data": draw(1000, rng)}.items():
    distance = np.linalg.norm(points[:, None] - means, axis=2).min(axis=1)
    share = wilson_share((distance < 3 * variance**0.5).sum(), len(points))
    shares[name] = share
    print(f"{name:>12}: {share.value:.1%} near a cloud, between {share.low:.1%} and {share.high:.1%}")
    for p in (share.low, share.high):
        assert np.isclose(abs(share.value - p), 1.96 * (p * (1 - p) / 1000) ** 0.5, atol=1e-4)
low, high = (wilson_share(np.array([0, 3]), 20)[k] for k in (1, 2))
for p_hat, ends in ((0.0, (low[0], high[0])), (0.15, (low[1], high[1]))):  # the roots of the parabola
    roots = np.roots([1 + 1.96**2 / 20, -(2 * p_hat + 1.96**2 / 20), p_hat**2])
    assert np.allclose(sorted(roots), ends, atol=1e-4)
assert shares["step 3,000"].high < shares["step 10,000"].low, "the gain should be larger than chance"

# %% [markdown]
# **As many and as varied as the data?** Compare the mean $\mu$ and the covariance $\Sigma$ of samples and of data. The
# *Fréchet distance* is the least mean squared way that points must go to turn one normal density into the other. In one
# dimension, send the point that lies k standard deviations from the first mean to the one that lies k from the second,
# $x \mapsto \mu_2 + k \sigma_2$ (plans that keep the order are best). The mean square of
# $(\mu_2 + k \sigma_2) - (\mu_1 + k \sigma_1)$ over a standard normal k is
# $(\mu_1 - \mu_2)^2 + (\sigma_1 - \sigma_2)^2$, since $\mathbb{E}[k] = 0$ and $\mathbb{E}[k^2] = 1$. Multiplied out,
# $(\sigma_1 - \sigma_2)^2 = \sigma_1^2 + \sigma_2^2 - 2\, \sigma_1 \sigma_2$, and this is the form that Dowson and
# Landau proved for matrices:
#
# $$d^2 = \lVert \mu_1 - \mu_2 \rVert^2 + \mathrm{tr}\left(\Sigma_1 + \Sigma_2 - 2 \left(\Sigma_1^{1/2}\, \Sigma_2\,
#   \Sigma_1^{1/2}\right)^{1/2}\right) \qquad \text{(Eq. FD-1)}$$

# %%
one, other = (np.array([0.3]), np.array([[4.0]])), (np.array([-0.2]), np.array([[0.25]]))
assert np.isclose(frechet_distance(*one, *other), (0.3 + 0.2) ** 2 + (2.0 - 0.5) ** 2)
data = draw(1000, rng).astype(float)
leaning = data @ np.array([[1.0, 0.6], [0.0, 0.3]]) + 0.5
mu_1, mu_2, cov_1, cov_2 = data.mean(axis=0), leaning.mean(axis=0), np.cov(data.T), np.cov(leaning.T)
roots = np.sqrt(np.linalg.eigvals(cov_1 @ cov_2))  # the root in FD-1 has the same eigenvalues, so the same trace
by_formula = ((mu_1 - mu_2) ** 2).sum() + np.trace(cov_1) + np.trace(cov_2) - 2 * roots.sum()
assert np.isclose(frechet_distance(mu_1, cov_1, mu_2, cov_2), by_formula)
assert np.isclose(frechet_distance_of(data, leaning), by_formula)
for name, points in {**drawn, "data": draw(1000, rng)}.items():
    print(f"{name:>12}: Fréchet distance from the data {frechet_distance_of(points.astype(float), data):.4f}")

# %% [markdown]
# Here it hardly tells the samples apart: a ring of points has nearly the same mean and covariance as five clouds. A
# figure sees only what it was made to see. For images, one takes the means and covariances of a classifier's
# *features*, which see far more than pixels (the "FID" of papers does so with one large network).
#
# ## Digits
#
# Now the same with images, with the UNet of notebook 08 and the library's `Run`. It does what `gradient_of_a_batch`
# and the loop around it do, in small shards on all cores, with noise that depends only on the seed and the step (so that any number of
# threads gives the same bits). What it minimises is an *objective*, here `Denoise`, whose inner lines are Algorithm 1,
# Eq. DDPM-ALG1, once more:

# %%
show_source(Denoise.add_gradient)
train, test = load_data("digits", "train"), load_data("digits", "test")
shape = UNetConfig(image_size=8, channels=16, channel_mult=(1, 2), blocks_per_level=1, num_classes=10)
model = DiffusionModel(UNet(shape, np.random.default_rng(0)), ModelConfig(shape, "linear", kind="eps"), micro_batch=16)
log = []
objective = Denoise(model, train, DenoiseConfig(steps=800, validate_every=100), validation=test)
run = Run(objective, hooks=[log.append])

# %% [markdown]
# 800 steps take a minute or less. Every now and then it draws from the same ten starts, asked for the digits 0 to 9:

# %%
progress = []


def redraw(run):
    """Draw from the same starts at some steps."""
    if run.step in (25, 50, 100, 200, 400, 800):
        images = last(run.trained().chain(Request(n=10, seed=0), steps=20))
        progress.append((run.step, images))


run.run(progress=False, on_step=redraw)
plot.training_progress(progress, scale=8, column_labels=range(10))

# %%
plot.loss_curve(log)

# %% [markdown]
# Does it do what we wrote? First the gradient of a shard, with the trained weights (a fresh UNet has layers of zeros,
# which would hide mistakes); then three steps of a short run, with your AdamW and your average:

# %%
for step, shard in ((0, 0), (3, 1)):  # each batch of 32 is computed in two shards of 16
    library = Gradients(model.network.parameters())
    part_of_loss = objective.add_gradient(step, shard, library)
    noise = objective.noise(step, shard)
    x_0, labels = train.batch(objective.indices(step)[16 * shard : 16 * shard + 16])
    context = np.where(noise.uniform((16,), "label dropout") < 0.1, 10, labels)  # a tenth is told "no class"
    t, eps = noise.integers(1, 1000, 16, "t"), noise.normal(x_0.shape, "eps", dtype=np.float32)
    alpha_bar = diffusion.alpha_bar[t].reshape(16, 1, 1, 1)
    x_t = (alpha_bar**0.5 * x_0 + (1 - alpha_bar) ** 0.5 * eps).astype(np.float32)
    tape, grads = Tape(), Gradients(model.network.parameters())
    error = model.network.forward(x_t, t, context, tape) - eps
    model.network.backward(np.float32(0.5 * 2 / error.size) * error, tape, grads)  # 16 of 32: half of the mean
    assert np.allclose(library.flat, grads.flat, atol=1e-6)
    assert np.isclose(part_of_loss, 0.5 * (error**2).mean())

n = len(train) // 32  # whole batches in an epoch: each image once, and in another order each time
first, second = (np.concatenate([objective.indices(e * n + step) for step in range(n)]) for e in (0, 1))
assert len(set(first)) == len(first)
assert (first != second).any()

config = DenoiseConfig(steps=4, warmup=2, lr=0.01, final_lr=0.5, clip=0.1, ema=0.2)
objective = Denoise(model, train, config)
theta, ema, m, v = (model.network.theta * share for share in (1, 1, 0, 0))
short, norms, clear = Run(objective, processes=False), [], np.ones(theta.shape, bool)
for k, lr in ((1, 0.005), (2, 0.01), (3, 0.0075)):  # warm-up, peak, half of the way down
    grads = Gradients(model.network.parameters())
    objective.add_gradient(k - 1, 0, grads)
    objective.add_gradient(k - 1, 1, grads)
    norms.append(np.linalg.norm(grads.flat))
    clipped = grads.flat * min(1, 0.1 / norms[-1])
    clear &= abs(clipped) > 1e-6  # AdamW goes as far along a gradient that is a mere rounding error as along any other
    theta, m, v = my_adamw(theta, clipped, m, v, k, lr, 0.0)
    ema = my_ema(ema, theta, k, 0.2)
    record = short.train_step()
    assert np.isclose(record["gradient_norm"], norms[-1], rtol=1e-3)
    assert np.allclose(model.network.theta[clear], theta[clear], atol=1e-4)
    assert np.allclose(short.trained().network.theta[clear], ema[clear], atol=1e-4)
assert clear.mean() > 0.5  # the rest are of classes that no batch has shown, and the like
print("norms of the gradients, which were clipped to 0.1:", *(f"{norm:.2f}" for norm in norms))
assert max(norms) > 0.1, "the clipping should have something to do"

# %% [markdown]
# Sixty samples, none left out, below as many real images. At 8 x 8 pixels, even real digits are hard to read.

# %%
images = np.clip(last(run.trained().chain(Request(n=60, seed=1), steps=100, sampler="ddpm")), -1, 1)
real, _ = test.batch(np.arange(60))
pixels = [x.reshape(60, -1).astype(float) for x in (images, real, train.batch(np.arange(60))[0])]
print(
    f"Fréchet distance of the pixels to 60 test images: samples {frechet_distance_of(pixels[0], pixels[1]):.2f}, ",
    end="",
)
print(f"real training images {frechet_distance_of(pixels[2], pixels[1]):.2f}, ", end="")
print(f"noise {frechet_distance_of(np.random.default_rng(0).uniform(-1, 1, (60, 64)), pixels[1]):.2f}")
assert frechet_distance_of(pixels[0], pixels[1]) < 20
plot.image_grid(np.concatenate([images, real]), columns=20, title="60 samples; below them 60 real images")

# %% [markdown]
# ## Summary
#
# 1. A step of training: noise some data to random times, predict the noise, follow the gradient of the squared error.
# 2. AdamW steps by the average gradient in units of its usual size; clipping and the learning rate keep it steady.
# 3. Draw with the average of the weights: it is nearer to the best place than the weights themselves.
# 4. Most of the loss is a floor that nothing can remove; what is left to learn hides in a few per cent.
# 5. Judge by the loss at fixed t and noise, by t, and by samples with honest intervals.
#
# <details><summary>Why is my loss flat while samples improve?</summary>
#
# Because it is the sum of a floor, of the noise of a random batch, and of a small part that can be learned. The last
# part falls by half while the sum seems to stand still.
#
# </details>
#
# <details><summary>Is a lower loss better when I compare two schedules?</summary>
#
# No. Another schedule has other $x_t$, so another floor. Compare losses only for the same schedule, the same data and
# the same law of t.
#
# </details>
#
# <details><summary>Why not draw with the weights of the last step?</summary>
#
# You may: with a learning rate that falls to almost 0 they are nearly as good, since they no longer jump. At any
# earlier step the average is far better.
#
# </details>
#
# **Next:** a thousand steps are many. The same network, without training it again, can draw in twenty: [10 ·
# DDIM](10_ddim.ipynb).
