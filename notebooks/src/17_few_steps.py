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
# # 17 · Few steps: distillation, shortcuts, straight flows, consistency
#
# **You will learn** four ways to draw in one step what needed fifty; to what each of them leads in the limit, and which
# of its errors no training can mend; and how to compare them: error against calls.
#
# **Prerequisites:** notebooks 10 and 16. **Time:** 35 minutes to read and run; 75 minutes with the six exercises.
#
# **Papers:** Salimans and Ho, *Progressive distillation* (2022) (here PD-1 and PD-2); Frans et al., *One step diffusion via
# shortcut models* (2024) (SHORTCUT-1, SHORTCUT-2); Liu et al., *Flow straight and fast* (2023) (REFLOW-1, BEND-1); Geng
# et al., *Consistency models made easy* (2024) (ECT-1, ECT-2).

# %%
import itertools
from dataclasses import replace

import numpy as np

import tinydiff
from tinydiff import plot
from tinydiff.base import Condition, Noise
from tinydiff.course import show_source, slider
from tinydiff.course.exercises import notebook_17 as exercises
from tinydiff.data import LatentData
from tinydiff.diffusion import (
    SAMPLERS,
    Gaussian,
    GaussianDiffusion,
    bend,
    cosine_schedule,
    ddim,
    guess_between,
    last,
    shortcut,
)
from tinydiff.models import DiffusionModel, ModelConfig, Request
from tinydiff.networks import DiTConfig
from tinydiff.train import (
    Consistency,
    ConsistencyConfig,
    Denoise,
    DenoiseConfig,
    Distil,
    DistilConfig,
    Rectify,
    Run,
    Shortcut,
    ShortcutConfig,
    couplings,
    earlier_time,
)

rng = np.random.default_rng(0)

# %% [markdown]
# ## What we want to shorten
#
# A flow in the plane: the data are eight spots on a circle, points as pictures of one pixel with two channels. The network
# is a tiny Transformer of one token. Fewer than a hundred steps of training will do.


# %%
def spots(n, seed):
    """Return points (n, 2) near eight places on a circle."""
    rng = np.random.default_rng(seed)
    angle = rng.integers(0, 8, n) * np.pi / 4
    return 0.72 * np.stack([np.cos(angle), np.sin(angle)], axis=1) + 0.06 * rng.standard_normal((n, 2))


data = LatentData(spots(8192, 0).astype(np.float16)[:, None, None], np.zeros(8192, int), None, "spots", "none")
DIT = DiTConfig(1, 2, patch=1, channels=48, layers=2, heads=1)
HOW = {"steps": 80, "batch": 256, "micro_batch": 256, "warmup": 20, "lr": 3e-3, "ema": 0.99}


def new_model(told=False, **process):
    """Return a model with random weights; by default a flow on the straight path, with 64 times."""
    process = {"kind": "flow-v", "path": "straight", "schedule": "straight", "T": 64} | process
    config = ModelConfig(dit=replace(DIT, step_size=told), **process)
    return DiffusionModel(config.network(np.random.default_rng(0)), config, micro_batch=256, threads=1)


def copy_of(model):
    """Return the same model with weights of its own."""
    return replace(model, network=model.network.bind(model.network.theta.copy()))


def trained(objective):
    """Train, and return the model with the average of its weights."""
    run = Run(objective, threads=1)
    run.run(progress=False)
    return run.trained()


flow = trained(Denoise(new_model(), data, DenoiseConfig(**HOW)))
x_T = rng.standard_normal((1000, 1, 1, 2)).astype(np.float32)


def drawn(model, sampler, steps):
    """Return the points that a model draws from x_T, (1000, 2)."""
    return last(SAMPLERS[sampler](model.predict, model.diffusion, x_T, steps))[:, 0, 0]


plot.point_clouds({f"the flow in steps: {n}": drawn(flow, "ddim", n) for n in (1, 4, 32)}, 1.2)

# %% [markdown]
# One step leads to the mean, as it must (notebook 16). How far are these points from the data? A number for it is the
# *energy distance* of two clouds: $2\, \mathbb{E} \lVert x - y \rVert - \mathbb{E} \lVert x - x' \rVert - \mathbb{E} \lVert y - y' \rVert$,
# which is 0 only if both have the same distribution.


# %%
def energy(x, y):
    """Return the energy distance of two clouds of points."""
    apart = [np.linalg.norm(p[:, None] - q[None], axis=-1).mean() for p, q in ((x, y), (x, x), (y, y))]
    return 2 * apart[0] - apart[1] - apart[2]


truth, calls = spots(1000, 99), np.array([1, 2, 4, 8, 16, 32])
error = {"flow": np.array([energy(drawn(flow, "ddim", int(n)), truth) for n in calls])}
chance = energy(spots(1000, 7), truth)
print("calls", calls.tolist(), "error of the flow", error["flow"].round(3).tolist(), f"(of data: {chance:.3f})")
assert error["flow"][0] > 5 * error["flow"][-1]

# %% [markdown]
# ## What should have been said
#
# A network says $\hat x_0$ and $\hat\epsilon$, and a step without fresh noise goes from $x_t$ to $x_s = a_s \hat x_0 + b_s \hat\epsilon$.
# Somebody walks from $x_t$ to $x_s$ in many small steps. What should a network have said, to be there at once? Two
# unknowns, two equations:
#
# $$a_t x_0 + b_t \epsilon = x_t, \qquad a_s x_0 + b_s \epsilon = x_s \qquad \text{(Eq. PD-1)}$$
#
# **Derive it yourself.**


# %%
def my_guess(x_t, x_s, a_t, b_t, a_s, b_s):
    """Return x_0 and eps."""
    ### BEGIN SOLUTION
    area = a_s * b_t - a_t * b_s
    return (b_t * x_s - b_s * x_t) / area, (a_s * x_t - a_t * x_s) / area
    ### END SOLUTION


# %%
my_guess = exercises.GUESS.check(my_guess)
arc = GaussianDiffusion(cosine_schedule(100))
x_t, x_s = rng.standard_normal((2, 3, 4))
for t, s in ((100, 60), (60, 59), (30, 0)):
    a_t, a_s = arc.alpha_bar[[t, s]] ** 0.5
    b_t, b_s = (1 - arc.alpha_bar[[t, s]]) ** 0.5
    x_0, eps = guess_between(arc, x_t, t, x_s, s)
    assert np.allclose(x_0, my_guess(x_t, x_s, a_t, b_t, a_s, b_s)[0])
    assert np.allclose(eps, my_guess(x_t, x_s, a_t, b_t, a_s, b_s)[1])

# %% [markdown]
# Multiply the first equation by $b_s$ and the second by $b_t$, and subtract: $\epsilon$ is gone. On the straight path what
# the network should have said is simply the mean velocity, $u = (x_t - x_s) / (t - s)$.
#
# ## One: progressive distillation
#
# A *student* learns to go in one step where its *teacher* goes in two:
#
# $$\text{target} = \text{PD-1 from } x_t \text{ to where two steps of the teacher lead} \qquad \text{(Eq. PD-2)}$$
#
# Then the student teaches the next: 32 steps, 16, 8, 4, 2, 1. **Write** the target on the straight path: b is the time,
# each of the teacher's steps is d long, and `velocity(x, b)` is what it says.


# %%
def my_target(velocity, x, b, d):
    """Return the velocity that leads in one step, 2 d long, where two steps of length d lead."""
    ### BEGIN SOLUTION
    first = velocity(x, b)
    second = velocity(x - d * first, b - d)
    return (first + second) / 2
    ### END SOLUTION


# %%
my_target = exercises.TARGET.check(my_target)
show_source(Distil.two_steps)

# %%
task = Distil(copy_of(flow), data, DistilConfig(teacher_steps=16, **HOW), flow)
t, n = np.array([64, 32, 8]), 3


def teacher(x, b):
    return flow.network.forward(x, np.rint(64 * b).astype(int))


by_library = task.two_steps(x_T[:3], t, t - 4, t - 8, None)
assert np.allclose(by_library, my_target(teacher, x_T[:3], np.array([1, 0.5, 0.125]), 1 / 16), atol=1e-4)

students, teacher_of = {32: flow}, flow
for steps in (32, 16, 8, 4, 2):
    how = DistilConfig(**HOW | {"steps": 16, "teacher_steps": steps, "lr": 2e-3, "warmup": 4})
    teacher_of = trained(Distil(copy_of(teacher_of), data, how, teacher_of))
    students[steps // 2] = teacher_of
error["distilled"] = np.array([energy(drawn(students[int(n)], "ddim", int(n)), truth) for n in calls])
print("distilled, one network for each number of calls:", error["distilled"].round(3).tolist())
assert error["distilled"][0] < error["flow"][0] / 3

# %% [markdown]
# ## Two: shortcuts
#
# Why five networks, where one could be told how far it is to go? A *shortcut model* gets the length of the step beside
# the time, and steps by
#
# $$x_s = a_s\, \hat x_0(x_t, t, t - s) + b_s\, \hat\epsilon(x_t, t, t - s) \qquad \text{(Eq. SHORTCUT-1)}$$
#
# For length 0 the data teach it the velocity, as any flow. For a step of length 2d it is its own teacher: where do two
# steps of length d lead?
#
# $$\text{target}(x_t, t, 2 d) = \text{PD-1 from } x_t \text{ to where its own two steps of length } d \text{ lead}
#   \qquad \text{(Eq. SHORTCUT-2)}$$
#
# without gradient through the target. All lengths are learned at once, a share of each batch for them.

# %%
task = Shortcut(new_model(told=True), data, ShortcutConfig(finest=32, bootstrap=0.5, **HOW))
task.network.theta[:] += 0.1 * np.random.default_rng(1).standard_normal(task.network.theta.shape)


def told(x, b, d=4):
    return task.network.forward(x, np.rint(64 * b).astype(int), Condition(step_size=np.full(len(x), d)))


by_library = task.two_steps(x_T[:3], t, t - 4, t - 8, Condition())
assert np.allclose(by_library, my_target(told, x_T[:3], np.array([1, 0.5, 0.125]), 1 / 16), atol=1e-4)
lengths = []


def predict(x, t, context):
    """Say what a flow with velocity x would, and note how far it is told to go."""
    lengths.append(context.step_size[0])
    return x - t[0] / 64 * x, x + (1 - t[0] / 64) * x


x_0 = last(shortcut(predict, flow.diffusion, np.ones((1, 2)), [64, 48, 8]))
assert lengths == [16, 40, 8]
assert np.allclose(x_0, (1 - 16 / 64) * (1 - 40 / 64) * (1 - 8 / 64))

short = trained(Shortcut(new_model(told=True), data, ShortcutConfig(finest=32, bootstrap=0.5, **HOW)))
error["shortcut"] = np.array([energy(drawn(short, "shortcut", int(n)), truth) for n in calls])
print("shortcuts, one network for all:", error["shortcut"].round(3).tolist())
assert error["shortcut"][0] < error["flow"][0] / 3

# %% [markdown]
# **Explore:** to what do both lead, if all is learned perfectly? Not to the flow: to the chain of the finest steps. For
# data that are a number of mean 0 and variance S, the velocity is $\frac{b - (1 - b) S}{(1 - b)^2 S + b^2}\, x$
# (notebook 16), so a chain of N equal steps of Euler's method multiplies $x_1$ by a number. By which? The flow itself
# multiplies by $\sqrt{S}$.


# %%
def my_limit(S, N):
    """Return by what N equal steps from b = 1 to b = 0 multiply x."""
    ### BEGIN SOLUTION
    factor = 1.0
    for k in range(N):
        b = 1 - k / N
        factor = factor * (1 - (b - (1 - b) * S) / ((1 - b) ** 2 * S + b**2) / N)
    return factor
    ### END SOLUTION


# %%
my_limit = exercises.LIMIT.check(my_limit)
one = Gaussian(flow.diffusion, np.zeros(1), 0.36)
for steps in (1, 4, 16):
    assert np.allclose(last(ddim(one.predict, flow.diffusion, np.ones((1, 1)), steps)), my_limit(0.36, steps))
    assert np.allclose(last(shortcut(one.predict, flow.diffusion, np.ones((1, 1)), steps)), my_limit(0.36, steps))
left = np.array([0.6 - my_limit(0.36, int(2**k)) for k in range(1, 9)])
assert (abs(left[2:-1] / left[3:] - 2) < 0.3).all(), "Euler's method has order 1"
plot.curves(
    2 ** np.arange(1, 9),
    {"sqrt(S) - limit": abs(left)},
    "steps of the finest chain",
    "error no training mends",
    log="xy",
)

# %% [markdown]
# ## Three: straight flows
#
# One Euler step is exact where paths are straight. How bent is a flow? Compare its velocity with the way as a whole:
#
# $$\int_0^1 \mathbb{E} \left\lVert u(x_b, b) - (x_1 - x_0) \right\rVert^2 \mathrm{d} b \qquad \text{(Eq. BEND-1)}$$
#
# **Write it** for a chain of Euler steps: the mean over numbers, weighted by how long each step is.


# %%
def my_bend(velocity, x_1, times):
    """Return the mean square of u - (x_1 - x_0) along Euler's chain; the times fall from 1 to 0, velocity(x, b) is u."""
    ### BEGIN SOLUTION
    x, us, lengths = x_1, [], []
    for k in range(len(times) - 1):
        us.append(velocity(x, times[k]))
        lengths.append(times[k] - times[k + 1])
        x = x - lengths[k] * us[k]
    return sum(length * ((u - (x_1 - x)) ** 2).mean() for length, u in zip(lengths, us, strict=True))
    ### END SOLUTION


# %%
my_bend = exercises.BEND.check(my_bend)


def exact(x, b):
    return (b - (1 - b) * 0.36) / ((1 - b) ** 2 * 0.36 + b**2) * x


places = rng.standard_normal((50, 1))
by_library = bend(one.predict, flow.diffusion, places, [64, 40, 10])
assert np.allclose(by_library, my_bend(exact, places, [1, 40 / 64, 10 / 64, 0]))

# %% [markdown]
# Paths bend where lines cross, and lines cross because noise and data were paired by chance. But the proof of notebook 16
# allows any pairs! Take those that the flow itself makes:
#
# $$(x_0, \epsilon) = (\mathrm{ODE}(z), z), \qquad z \sim \mathcal{N}(0, I) \qquad \text{(Eq. REFLOW-1)}$$
#
# Paths of a flow never cross, so lines between their ends cross less, and a new flow that is trained on them is straighter.

# %%
pairs = couplings(flow, 2048, steps=32)
z = pairs.x_T
assert np.array_equal(z, Noise(0).normal((2048, 1, 1, 2), "x_T"))
assert np.allclose(pairs.latents, last(ddim(flow.predict, flow.diffusion, z, 32)), atol=1e-5)
task = Rectify(copy_of(flow), pairs, DenoiseConfig(**HOW))
ends, starts = task.pairs(np.array([3, 0]), Noise(5))
assert np.array_equal(starts, z[[3, 0]]), "the noise should be the one that the point was drawn from"
assert np.array_equal(ends, pairs.latents[[3, 0]])

straight = trained(task)
bends = {name: bend(one.predict, one.diffusion, x_T, 32) for name, one in (("flow", flow), ("rectified", straight))}
error["rectified"] = np.array([energy(drawn(straight, "ddim", int(n)), truth) for n in calls])
print(
    f"bend {bends['flow']:.4f} before and {bends['rectified']:.4f} after; error {error['rectified'].round(3).tolist()}"
)
assert bends["rectified"] < bends["flow"] / 10
assert error["rectified"][0] < error["flow"][0] / 3

# %% [markdown]
# One number of data with a Gaussian: $x_0 = \sqrt{S} z$, all lines are multiples of one, none cross, and one step of the
# new flow is the exact map. What is left are the errors of the old flow, which made the pairs.
#
# ## Four: consistency
#
# Say where the path ends, from wherever you stand: $\hat x_0(x_t) = \hat x_0(x_r)$ for two times on one path. At the clean
# end $\hat x_0$ is x itself, and the answer spreads from there. Consistency *tuning* starts from a trained denoiser, takes
# two points with the same $x_0$ and the same noise, and lowers
#
# $$\frac{1}{\sigma_t - \sigma_r} \left(\sqrt{\lVert \hat x_0(x_t) - \hat x_0(x_r) \rVert^2 / D + c^2} - c\right)
#   \qquad \text{(Eq. ECT-1)}$$
#
# where $\hat x_0(x_r)$ stands still, and D is how many numbers a picture has. How near is r? In stage k
#
# $$\sigma_r = \max\left(0,\, \sigma_t \left(1 - 2^{-k} \left(1 + \frac{8}{1 + e^{\sigma_t}}\right)\right)\right)
#   \qquad \text{(Eq. ECT-2)}$$


# %%
def my_earlier(sigma, k):
    """Return sigma at r, for an array of sigma at t and the stage k."""
    ### BEGIN SOLUTION
    return np.maximum(0, sigma * (1 - 2.0**-k * (1 + 8 / (1 + np.exp(sigma)))))
    ### END SOLUTION


# %%
my_earlier = exercises.EARLIER.check(my_earlier)
edm = trained(Denoise(new_model(kind="edm", path="vp", schedule="cosine", T=1000), data, DenoiseConfig(**HOW)))
table = edm.diffusion.alpha_bar
t = np.array([30, 400, 800, 960])
sigma = ((1 - table[t]) / table[t]) ** 0.5
for k in (0, 1, 3, 8):
    r = earlier_time(edm.diffusion, t, k)
    alpha_bar = np.array([edm.diffusion.alpha_bar_at(float(one)) for one in r])
    assert np.allclose(((1 - alpha_bar) / alpha_bar) ** 0.5, my_earlier(sigma, k), rtol=1e-5)

task = Consistency(copy_of(edm), data, ConsistencyConfig(**HOW | {"lr": 1e-3}, huber=0.01))
x_0, eps = data.batch(np.arange(4))[0], rng.standard_normal((4, 1, 1, 2)).astype(np.float32)
r = earlier_time(edm.diffusion, t, 3)
column = np.reshape(my_earlier(sigma, 3), (-1, 1, 1, 1))
y_r = x_0 + column * eps
output = edm.network.forward((y_r / (1 + column**2) ** 0.5).astype(np.float32), np.where(r == 0, 1, r))
answer = 0.25 / (column**2 + 0.25) * y_r + 0.5 * column / (column**2 + 0.25) ** 0.5 * output  # EDM's c_skip and c_out
target = task.of_earlier(x_0, eps, r, None)
assert np.allclose(target, np.where(column == 0, x_0, answer), atol=1e-4)
x_t, output = edm.diffusion.q_sample(x_0, t, eps), rng.standard_normal((4, 1, 1, 2)).astype(np.float32)
sigma_t = np.reshape(sigma, (-1, 1, 1, 1))
said = 0.25 / (sigma_t**2 + 0.25) * (x_0 + sigma_t * eps) + 0.5 * sigma_t / (sigma_t**2 + 0.25) ** 0.5 * output
size = (((said - target) ** 2).mean(axis=(1, 2, 3)) + 0.01**2) ** 0.5 - 0.01
loss, _ = task.consistency_loss(output, x_t, t, r, target, 1.0)
assert np.allclose(loss, (size / (sigma - my_earlier(sigma, 3))).mean(), rtol=1e-4)

tuned = trained(task)
in_one = {name: energy(drawn(one, "ddim", 1), truth) for name, one in (("denoiser", edm), ("tuned", tuned))}
print(f"error of one call: {in_one['denoiser']:.3f} of the denoiser, {in_one['tuned']:.3f} tuned")
assert in_one["tuned"] < in_one["denoiser"] / 3

# %% [markdown]
# While r is a finite way from t, the answer is too cautious. Least squares make $\hat x_0(x_t)$ the mean of
# $\hat x_0(x_r)$ over all $(x_0, \epsilon)$ that give $x_t$. **Derive it yourself:** for one number of variance S and
# $y = x_0 + \sigma \epsilon$, a linear denoiser that says $c_r\, y_r$ at r learns to say $c_t\, y_t$ at t. What is
# $c_t / c_r$? Start with $\mathbb{E}[y_r \mid y_t] = \frac{\mathrm{Cov}[y_r, y_t]}{\mathrm{Var}[y_t]} y_t$.


# %%
def my_ratio(S, sigma_r, sigma_t):
    """Return c_t / c_r; all may be arrays."""
    ### BEGIN SOLUTION
    return (S + sigma_r * sigma_t) / (S + sigma_t**2)
    ### END SOLUTION


# %%
my_ratio = exercises.RATIO.check(my_ratio)
S, found = 0.36, {}
for k in (0, 2, 4, 6, 8):
    sigmas = [2.0]
    while sigmas[-1] > 1e-6:
        sigmas.append(float(my_earlier(np.array(sigmas[-1]), k)))
    found[k] = np.prod([my_ratio(S, r, t) for t, r in itertools.pairwise(sigmas)])
mean, path = S / (S + 4), (S / (S + 4)) ** 0.5
print(
    "c at sigma = 2, by stage:",
    {k: round(float(c), 4) for k, c in found.items()},
    f"posterior mean {mean:.4f}, ODE {path:.4f}",
)
assert np.isclose(found[0], mean)
assert mean < found[2] < found[4] < found[6] < found[8] < path
x_0, eps = rng.standard_normal((2, 400_000))
y_r, y_t = 0.6 * x_0 + 0.5 * eps, 0.6 * x_0 + 1.2 * eps
assert abs((y_r * y_t).sum() / (y_t**2).sum() - my_ratio(0.36, 0.5, 1.2)) < 0.005  # standard error 0.0004

# %% [markdown]
# Stage 0 is the denoiser, the posterior mean; the ODE's end is reached in the limit only. In between the answer is biased
# towards the mean: points of a consistency model lie a little too near together.
#
# ## Error against calls

# %%
plot.curves(
    calls, error, "calls of the network", "energy distance to the data", "eighty steps of training each", log="xy"
)

# %%
at_once = {"flow": drawn(flow, "ddim", 1), "distilled": drawn(students[1], "ddim", 1)}
at_once |= {
    "shortcut": drawn(short, "shortcut", 1),
    "rectified": drawn(straight, "ddim", 1),
    "consistency": drawn(tuned, "ddim", 1),
}
plot.point_clouds(at_once, 1.2)

# %% [markdown]
# All four draw spots in one call, where the flow draws one blot. Do not read a ranking out of it: two numbers a picture,
# one seed, eighty steps.
#
# | | learns from | networks | limit | error that stays |
# |---|---|---|---|---|
# | distilled | a teacher's two steps | one for each halving | the teacher's DDIM chain | of that chain, and of each halving |
# | shortcut | data, and its own two steps | one | the finest Euler chain | of that chain |
# | rectified | pairs that a flow drew | one more | a straight flow | of the flow that drew the pairs |
# | consistency | data, and its own answer nearby | one | the ODE's end | a bias to the mean, at a finite stage |

# %% [markdown]
# ## Digits in one call
#
# `mnist-shortcut` ships with tinydiff. It began with the weights of `mnist`, and learned the long steps (its card
# says how). **Predict, then run:** both draw in one call of the network, from the same noise. Which one will the judge like better?

# %%
labels = np.arange(50) % 10
digits = {}
for name, sampler in (("mnist", "ddim"), ("mnist-shortcut", "shortcut")):
    asked = Request(n=50, labels=labels.tolist(), seed=1)
    digits[name] = np.clip(last(tinydiff.load(name).chain(asked, sampler, 1)), -1, 1)
judge = tinydiff.load("mnist-classifier-28")
for name, x in digits.items():
    right = (judge.forward(x).argmax(axis=1) == labels).mean()
    spread = np.mean([x[labels == k].std(axis=0).mean() for k in range(10)])
    print(f"{name:<15} called as asked {right:.0%}, spread within a class {spread:.3f}")
    digits[name] = (x, right, spread)
assert digits["mnist-shortcut"][1] > 0.7
assert digits["mnist-shortcut"][2] > 2 * digits["mnist"][2], "digits of a class should differ"
rows = {"mnist, one step of ddim": digits["mnist"][0][:10], "the same, other noise": digits["mnist"][0][10:20]}
rows |= {"mnist-shortcut": digits["mnist-shortcut"][0][:10], "other noise": digits["mnist-shortcut"][0][10:20]}
plot.image_rows(rows, title="one call of the network", column_labels=range(10))

# %% [markdown]
# The judge calls nearly all digits of `mnist` right, and yet they are worthless: one step leads to the mean of a class,
# the same whatever the noise. Correctness alone says nothing; look at diversity beside it. Other noises:

# %%
one_call = tinydiff.load("mnist-shortcut")
slider(
    lambda seed: plot.image_rows(
        {"one call": last(one_call.chain(Request(n=10, labels=list(range(10)), seed=seed), "shortcut", 1))}
    ),
    range(10),
    "seed",
    start=3,
)

# %% [markdown]
# ## Summary
#
# 1. What many steps did is one guess of data and noise: the target of every student of a chain.
# 2. Distillation halves the steps again and again; a shortcut model is told the length, and learns all at once.
# 3. Their limit is the finest chain, with its error of order 1; no training comes nearer to the flow.
# 4. A flow's own pairs never cross in it: a flow that learns from them is straight, and one step is enough.
# 5. Consistency asks for one answer all along a path; at a finite stage it is biased to the posterior mean.
#
# <details><summary>Why is the target not differentiated?</summary>
#
# Two things may be made equal by moving either. The long step should learn from the short ones, which know better, and
# not the other way round.
#
# </details>
#
# <details><summary>Does a second rectification make the flow straighter still?</summary>
#
# A little; but each time the pairs carry the errors of the flow that drew them, and these add up.
#
# </details>
#
# <details><summary>Why must a consistent denoiser give x back where there is no noise?</summary>
#
# A constant is consistent, too: it says the same everywhere. What is said at the clean end, x itself, is what rules that
# out, and all other answers spread from there.
#
# </details>
#
# **Next:** [18 · GAN, VAE, flow, diffusion](18_gan_vae_flow_diffusion.ipynb): what others do in one pass.
