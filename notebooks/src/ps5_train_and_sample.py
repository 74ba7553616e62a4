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
# # Problem set 5 · Train and sample
#
# **You will learn** to write the two whole things of a diffusion model: a step of training, from the noise to the average of
# the weights, and a sampler that needs a tenth of the steps; and to measure how good a sampler is.
#
# **Prerequisites:** notebooks 09 and 10. **Time:** 120 minutes.
#
# Write each function, and run the cell below it: the check says whether it is right, or what is not. `problems.NAME.hint()`
# says where to look; `hint(2)` and `hint(3)` say more. In a terminal, `tinydiff check ps5` checks all of them. The last
# problem has no check: you hand in a picture.

# %%
from itertools import pairwise

import numpy as np

from tinydiff import plot
from tinydiff.course.problem_sets import ps5 as problems

rng = np.random.default_rng(0)

# %% [markdown]
# ## Problem 1 · An optimizer that looks at signs (transcribe)
#
# AdamW divides by the usual size of a gradient. *Lion* (Chen and others, 2023; it was found by a search among programs) goes
# further and keeps the sign alone. It has one average, m, and mixes it with the gradient g twice, with different shares:
#
# $$c = 0.9\, m + 0.1\, g, \qquad \theta \leftarrow \theta - \eta \left(\mathrm{sign}(c) + \lambda \theta\right), \qquad
#   m \leftarrow 0.99\, m + 0.01\, g$$
#
# The m in c is the one from before the step; the $\theta$ in the decay, too. The sign of 0 is 0, as in `np.sign`. Return new
# arrays, or change theta and m in place, as you like.


# %%
def my_lion(theta, g, m, lr, weight_decay):
    """Return theta and m after the step; all arrays have one shape."""
    ### BEGIN SOLUTION
    c = 0.9 * m + 0.1 * g
    return theta - lr * (np.sign(c) + weight_decay * theta), 0.99 * m + 0.01 * g
    ### END SOLUTION


# %%
my_lion = problems.LION.check(my_lion)
theta, m, path = np.array([-1.5, 1.8]), np.zeros(2), []
for _ in range(60):
    path.append(theta)
    steep = np.array([1.0, 100.0])  # a valley: one side a hundred times as steep as the other
    theta, m = my_lion(theta.copy(), steep * theta, m.copy(), 0.05, 0.0)
plot.curves(
    np.arange(60),
    {"flat direction": np.array(path)[:, 0], "steep direction": np.array(path)[:, 1]},
    "step",
    "weight",
    title="Both directions move by the same amount",
)

# %% [markdown]
# ## Problem 2 · One network, three losses (derive)
#
# A network that predicts $\hat\epsilon$ predicts $\hat x_0$ as well, and also the *velocity* $v = a\, \epsilon - b\, x_0$,
# with $a = \sqrt{\bar\alpha}$ and $b = \sqrt{1 - \bar\alpha}$:
#
# $$\hat x_0 = \frac{x_t - b\, \hat\epsilon}{a}, \qquad \hat v = a\, \hat\epsilon - b\, \hat x_0 .$$
#
# So each of the three squared errors is a multiple of the first, with a factor that depends on $\bar\alpha$ alone:
# $\lVert x_0 - \hat x_0 \rVert^2 = w_{x_0} \lVert \epsilon - \hat\epsilon \rVert^2$ and
# $\lVert v - \hat v \rVert^2 = w_v \lVert \epsilon - \hat\epsilon \rVert^2$. Which factors are they?


# %%
def my_weights(alpha_bar):
    """Return w_x_0 and w_v; alpha_bar is a number or an array."""
    ### BEGIN SOLUTION
    return (1 - alpha_bar) / alpha_bar, 1 / alpha_bar
    ### END SOLUTION


# %%
my_weights = problems.WEIGHTS.check(my_weights)
alpha_bar = np.linspace(0.05, 0.95, 91)
of_x_0, of_v = my_weights(alpha_bar)
losses = {"of eps": np.ones(91), "of x_0": of_x_0, "of v": of_v}
plot.curves(alpha_bar, losses, "alpha_bar, from noise to data", "weight of the error of eps", log="y")

# %% [markdown]
# The loss of $x_0$ cares for noisy times, where the loss of $\epsilon$ sees little; that of v lies between them.
#
# ## Problem 3 · A clipped step (debug)
#
# Images have numbers in [-1, 1], so a sampler may clip $\hat x_0$. This function takes a step of DDIM ($\eta = 0$) from t to
# s, with the clipping. `a_t` and `b_t` are the roots of $\bar\alpha_t$ and of $1 - \bar\alpha_t$, and the same for s.
#
# **Find the fault:** a step to where we are, from t to t, should change nothing. This one does, as the cell below shows.
# Mend one line; the clipping of $\hat x_0$ should stay.


# %%
def clipped_step(x_t, eps_hat, a_t, b_t, a_s, b_s):
    """Return x at s, like x_t and eps_hat; the other four are numbers."""
    x_0_hat = np.clip((x_t - b_t * eps_hat) / a_t, -1, 1)
    ### BEGIN SOLUTION
    return a_s * x_0_hat + b_s * (x_t - a_t * x_0_hat) / b_t
    ### INSTEAD
    return a_s * x_0_hat + b_s * eps_hat
    ### END SOLUTION


# %%
x_t, eps_hat = np.array([0.3, 1.9, -1.2]), np.array([0.2, 0.9, -0.1])
print("x_t:                  ", x_t)
print("a step to where it is:", clipped_step(x_t, eps_hat, 0.6, 0.8, 0.6, 0.8))

# %%
clipped_step = problems.CLIPPED.check(clipped_step)

# %% [markdown]
# ## Problem 4 · A whole step of training (derive)
#
# All that a training run does, again and again. The state is `theta`, `m`, `v` and `ema`, four long vectors; the batch is
# `x_0` and `eps`, shape (N, D), and `t`, shape (N,), whole numbers. `alpha_bar` is the table of the schedule: `alpha_bar[t]`
# belongs to time t. The network is two functions:
#
# - `forward(theta, x_t, t)` returns `eps_hat`, shape (N, D), and a cache;
# - `backward(theta, d_eps_hat, cache)` returns the gradient, a vector like theta, if `d_eps_hat` is the gradient of the loss
#   with respect to `eps_hat`.
#
# In this order: make $x_t$; the loss is the mean of $(\hat\epsilon - \epsilon)^2$ over all N D numbers; take its gradient;
# if the gradient is longer than 1, shorten it to the length 1; take the AdamW step number k (from 1) with $\beta_1 = 0.9$,
# $\beta_2 = 0.99$, $\varepsilon = 10^{-8}$ outside the root, the learning rate `lr` and the decay $\lambda = 0.1$; and let the
# average come nearer to the *new* weights, with the decay 0.98, without a warm-up. Return the loss (that of the weights from
# before the step) and the new state.


# %%
def my_train_step(theta, m, v, ema, k, x_0, t, eps, alpha_bar, forward, backward, lr):
    """Return loss, theta, m, v, ema."""
    ### BEGIN SOLUTION
    level = alpha_bar[t][:, None]
    x_t = level**0.5 * x_0 + (1 - level) ** 0.5 * eps
    eps_hat, cache = forward(theta, x_t, t)
    error = eps_hat - eps
    g = backward(theta, 2 * error / error.size, cache)
    g = g * min(1.0, 1.0 / np.linalg.norm(g))
    m = 0.9 * m + 0.1 * g
    v = 0.99 * v + 0.01 * g**2
    m_hat, v_hat = m / (1 - 0.9**k), v / (1 - 0.99**k)
    theta = theta - lr * (m_hat / (v_hat**0.5 + 1e-8) + 0.1 * theta)
    ema = 0.98 * ema + 0.02 * theta
    return (error**2).mean(), theta, m, v, ema
    ### END SOLUTION


# %%
my_train_step = problems.TRAIN_STEP.check(my_train_step)

# %% [markdown]
# Let it train a network of two layers (given here, forward and backward) on points of five clouds. The process is one that the
# next problems need: at time t, from 0 to 1, the signal has the size $a(t) = \cos(\pi t / 2)$ and the noise
# $b(t) = \sin(\pi t / 2)$; step k of 1,000 is the time k / 1000.


# %%
def a(t):
    """Return the size of the signal at time t, from 0 to 1."""
    return np.cos(np.pi * t / 2)


def b(t):
    """Return the size of the noise at time t."""
    return np.sin(np.pi * t / 2)


WIDTH, CLOCK = 128, np.array([1.0, 2.0, 4.0, 8.0]) * np.pi / 1000


def forward(theta, x_t, t):
    """Return eps_hat of a network of two layers, and what its backward needs."""
    w_1, w_2 = theta[: 27 * WIDTH].reshape(27, WIDTH), theta[27 * WIDTH :].reshape(WIDTH + 1, 2)
    clock = np.concatenate(
        [np.cos(t[:, None] * CLOCK), np.sin(t[:, None] * CLOCK)], axis=1
    )  # products: x_t by the time
    inputs = np.concatenate([x_t, clock, clock * x_t[:, :1], clock * x_t[:, 1:], np.ones((len(t), 1))], axis=1)
    h = np.tanh(inputs @ w_1)
    hidden = np.concatenate([h, np.ones((len(t), 1))], axis=1)
    return hidden @ w_2, (inputs, h, hidden, w_2)


def backward(theta, d_eps_hat, cache):
    """Return the gradient of theta."""
    inputs, h, hidden, w_2 = cache
    d_before = (d_eps_hat @ w_2[:-1].T) * (1 - h**2)
    return np.concatenate([(inputs.T @ d_before).ravel(), (hidden.T @ d_eps_hat).ravel()])


def draw(n):
    """Return n points in five clouds, shape (n, 2)."""
    angle = 2 * np.pi * rng.integers(5, size=n) / 5 + 0.3
    return 0.9 * np.stack([np.cos(angle), np.sin(angle)], axis=1) + 0.1 * rng.standard_normal((n, 2))


alpha_bar = a(np.arange(1001) / 1000) ** 2
theta = 0.5 * rng.standard_normal(27 * WIDTH + 2 * WIDTH + 2)
m, v, ema, log = np.zeros_like(theta), np.zeros_like(theta), theta.copy(), []
for k in range(1, 6001):
    t, lr = rng.integers(1, 981, size=256), 0.01 * min(1, 2 - k / 3000)  # to 980: at 1,000 there is no signal to find
    x_0, eps = draw(256), rng.standard_normal((256, 2))
    loss, theta, m, v, ema = my_train_step(theta, m, v, ema, k, x_0, t, eps, alpha_bar, forward, backward, lr)
    if k % 50 == 0:
        log.append({"step": k, "loss": float(loss)})
plot.loss_curve(log)

# %% [markdown]
# ## Problem 5 · The order of a sampler (explore)
#
# A sampler without fresh noise follows a curve. If n steps end at a distance of about $c\, n^{-p}$ from where the exact curve
# ends, p is its *order*. Measure it: `sampler(n)` returns where n steps end, an array; `exact` is where the curve ends. The
# distance is the *largest* size of a difference between the two. Take it for each of `counts`, draw (in your mind) the
# logarithm of the distance over the logarithm of n, fit a line by least squares, and return p, which is positive for a
# sampler that gets better.


# %%
def my_order(sampler, exact, counts):
    """Return the order p, a number; counts is a list of numbers of steps."""
    ### BEGIN SOLUTION
    errors = [abs(sampler(n) - exact).max() for n in counts]
    slope, _ = np.polyfit(np.log(counts), np.log(errors), 1)
    return -slope
    ### END SOLUTION


# %%
my_order = problems.ORDER.check(my_order)

# %% [markdown]
# Here is DDIM with the *exact* denoiser of numbers near -1 and 1, which is known. It starts at t = 0.9 and ends at 0.15.
# Where is the exact end? We take many steps.


# %%
def predict(x, t):
    """Return the exact x_0_hat and eps_hat: 30 % of the data are near -1, 70 % near 1, each with the variance 0.1."""
    spread = 0.1 * a(t) ** 2 + b(t) ** 2
    odds = 0.7 / 0.3 * np.exp(2 * a(t) * x / spread)
    mean = a(t) * (odds - 1) / (odds + 1)
    eps_hat = b(t) * (x - mean) / spread
    return (x - b(t) * eps_hat) / a(t), eps_hat


def ddim(predict, a, b, x, times):
    """Return x at the last of the times."""
    for t, s in pairwise(times):
        x_0_hat, eps_hat = predict(x, t)
        x = a(s) * x_0_hat + b(s) * eps_hat
    return x


def in_steps(sampler):
    """Return a function of the number of steps."""
    return lambda n: sampler(predict, a, b, starts, np.linspace(0.9, 0.15, n + 1))


starts, counts = rng.standard_normal((200, 1)), [10, 20, 40, 80]
nearly_exact = in_steps(ddim)(40_000)
print(f"order of DDIM: {my_order(in_steps(ddim), nearly_exact, counts):.2f}")

# %% [markdown]
# ## Problem 6 · A sampler of order 2 (derive)
#
# DDIM without fresh noise is Euler's method: with $z = x / a$ and $\sigma = b / a$, its step reads
# $z_s = z_t + (\sigma_s - \sigma_t)\, \hat\epsilon(x_t, t)$. (Put it into Eq. DDIM-12 with $\sigma = 0$ there, and see.) It
# follows a curve with the slope $\hat\epsilon$, and takes the slope at the beginning of each step for all of it.
#
# Write a sampler of order 2: one whose error falls to a quarter with twice as many steps. There are many, and the check
# takes any: it measures the order. You may ask the network twice in a step, or remember what it said before.
#
# `predict(x, t)` returns `x_0_hat` and `eps_hat` at time t, a number; `a(t)` and `b(t)` are functions, `times` an array that
# falls from the time of x to the time at which to stop, where there is still some noise: return x there.


# %%
def my_sampler(predict, a, b, x, times):
    """Return x at times[-1], like x, which is at times[0]."""
    ### BEGIN SOLUTION
    for k in range(len(times) - 1):
        t, s = times[k], times[k + 1]
        z, length = x / a(t), b(s) / a(s) - b(t) / a(t)
        _, eps_hat = predict(x, t)
        _, eps_hat_s = predict(a(s) * (z + length * eps_hat), s)
        x = a(s) * (z + length * (eps_hat + eps_hat_s) / 2)
    return x
    ### END SOLUTION


# %%
my_sampler = problems.SAMPLER.check(my_sampler)
exact_end = in_steps(my_sampler)(2000)
for name, sampler in {"DDIM": ddim, "yours": my_sampler}.items():
    print(f"order of {name}: {my_order(in_steps(sampler), exact_end, counts):.2f}")

# %% [markdown]
# And with the network that you trained, on the five clouds. All start from the same noise:


# %%
def by_network(x, t):
    """Return x_0_hat and eps_hat of the trained network."""
    eps_hat, _ = forward(ema, x, np.full(len(x), 1000 * t))
    return (x - b(t) * eps_hat) / a(t), eps_hat


noise = rng.standard_normal((600, 2))
drawn = {
    f"{name}, {n} steps": sampler(by_network, a, b, noise, np.linspace(0.9, 0.02, n + 1))
    for n, name, sampler in ((5, "DDIM", ddim), (5, "yours", my_sampler), (100, "DDIM", ddim))
}
plot.point_clouds({**drawn, "data": draw(600)}, reach=1.8)

# %% [markdown]
# ## Problem 7 · What is a prediction worth? (explore, to hand in)
#
# A sampler of order 2 may ask the network twice in each step. Is it better for the same *work*? The cell below draws the error
# over the number of predictions, for DDIM and for yours, with the exact denoiser.
#
# **Change it**, and find an answer to a question of yours. Some: which sampler is the best with 10 predictions, and which with
# 100? Write one that predicts once in each step and remembers (with what was said before, the slope at the middle can be
# guessed): where does it lie? Do other times help, such as more of them near the end (`np.linspace(...) ** 2` in some form), or
# equal steps in the logarithm of b / a? Does the order still count with the *trained* network, whose own error stays whatever
# the sampler does? (Compare with many steps of the same network, and with the data.)
#
# **Hand in** the picture, with three sentences below it. It is judged by these four:
#
# 1. At least three curves, over the number of *predictions* and not of steps, on logarithmic axes with names.
# 2. The curves of two samplers that predict differently often in a step are compared at equal work.
# 3. The sentences name a number that was read from the picture, such as how many predictions an error of 0.001 costs.
# 4. They say where the picture differs from what theory promises (a line with the slope -1 or -2), and a guess why.


# %% tags=["hand-in"]
def errors(sampler, predictions_per_step, work):
    """Return the largest error for each number of predictions."""
    return np.array([abs(in_steps(sampler)(n // predictions_per_step) - exact_end).max() for n in work])


work = np.array([4, 8, 16, 32, 64, 128])
found = {"DDIM": errors(ddim, 1, work), "mine": errors(my_sampler, 2, work)}
plot.curves(work, found, "number of predictions", "largest error of the end", log="xy", title="Error and work")

# %% [markdown]
# **Next:** guidance tells a model what to draw: [20 · Classifier guidance](20_classifier_guidance.ipynb).
