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
# # 15 · Samplers and their orders
#
# **You will learn** why two dozen samplers are five ideas, how many calls of the network each needs, and how to find out
# whether one that you were given does what it says.
#
# **Prerequisites:** notebook 10. **Time:** 90 minutes with the exercises.
#
# **Papers:** Lu et al., *DPM-Solver* (2022) and *DPM-Solver++* (2022); Karras et al., *EDM* (2022); Zhao et al., *UniPC*
# (2023); Zhang and Chen, *DEIS* (2023); Xue et al., *SA-Solver* (2023); Cui et al., *ER-SDE* (2023).

# %%
import math
from itertools import pairwise

import numpy as np

from tinydiff import plot
from tinydiff.course import show_source, slider
from tinydiff.course.exercises import notebook_15 as exercises
from tinydiff.diffusion import (
    GaussianDiffusion,
    adaptive,
    deis,
    dpm_2,
    dpm_solver,
    dpmpp_2m,
    dpmpp_2m_sde,
    dpmpp_3m,
    dpmpp_3m_as_published,
    dpmpp_3m_sde,
    dpmpp_sde,
    dpmpp_singlestep,
    edm,
    er_sde,
    euler,
    euler_ancestral,
    linear_schedule,
    lms,
    plms,
    restart,
    sa_solver,
    unipc,
)
from tinydiff.diffusion.samplers.exponential import exponential_weights, interpolation_weights
from tinydiff.evaluate.court import court

diffusion = GaussianDiffusion(linear_schedule(1000))
rng = np.random.default_rng(0)

# %% [markdown]
# ## A network that is exact
#
# A sampler makes errors of its own, and a network makes others. To see the first alone, take data whose best denoiser is
# known (notebook 02): a mixture of three Gaussians in the plane. In terms of $\lambda = \log(a / b)$, half the log-SNR,
# $a = 1 / \sqrt{1 + e^{-2\lambda}}$ and $b = a\, e^{-\lambda}$, and there is one rule for all schedules.

# %%
WEIGHTS, MEANS, VARIANCES = (
    np.array([0.3, 0.4, 0.3]),
    np.array([[-1.0, 0.3], [0.8, -0.5], [0.2, 1.0]]),
    (0.1, 0.3, 0.15),
)


def scales(lam):
    """Return a and b."""
    a = 1 / math.sqrt(1 + math.exp(-2 * lam))
    return a, a * math.exp(-lam)


def guess_x_0(x, lam):
    """Return the mean of all x_0 that would fit x: each component guesses, weighted by how well it explains x."""
    a, b = scales(lam)
    logs, guesses = [], []
    for weight, mean, variance in zip(WEIGHTS, MEANS, VARIANCES, strict=True):
        total = a * a * variance + b * b
        logs.append(np.log(weight / total) - ((x - a * mean) ** 2).sum(axis=1) / (2 * total))
        guesses.append(mean + a * variance / total * (x - a * mean))
    shares = np.exp(np.array(logs) - np.max(logs, axis=0))
    return (shares[:, :, None] * np.array(guesses)).sum(axis=0) / shares.sum(axis=0)[:, None]


def guess_eps(x, lam):
    """Return the noise that goes with it."""
    a, b = scales(lam)
    return (x - a * guess_x_0(x, lam)) / b


asked = []


def predict(x, t, context=None):
    """Return (x_0_hat, eps_hat), as the library's samplers ask for them, and count."""
    asked.append(t)
    a, b = diffusion.scales(float(t[0]))
    lam = math.log(a / b)
    return guess_x_0(x, lam), guess_eps(x, lam)


def given(x, lams):
    """Return what every sampler of the library takes: to walk from the first of these lambdas to the last."""
    *steps, end = [diffusion.time_at(float(lam)) for lam in lams]
    return {"predict": predict, "diffusion": diffusion, "x_T": x, "steps": steps, "end": end}


def states(chain):
    """Return x after each step of a chain."""
    return [x_t for _, x_t, _ in chain]


# %% [markdown]
# The truth is the end of the ODE of notebook 10 in infinitely many steps. Walk it once in 4,000 small steps by Runge and
# Kutta's rule of order 4, in $y = x / a$, for which $\mathrm{d}y / \mathrm{d}\lambda = -e^{-\lambda}\, \hat\epsilon$
# (below). That is exact to ten digits, and knows no sampler.

# %%
FIRST, LAST = -1.0, 1.5
start = rng.standard_normal((8, 2))


def slope(y, lam):
    """Return dy / dlambda."""
    return -math.exp(-lam) * guess_eps(scales(lam)[0] * y, lam)


def exact_end(x, steps=1000):
    """Return x at LAST, from x at FIRST."""
    y, h = x / scales(FIRST)[0], (LAST - FIRST) / steps
    for lam in FIRST + h * np.arange(steps):
        k_1 = slope(y, lam)
        k_2 = slope(y + h / 2 * k_1, lam + h / 2)
        k_3 = slope(y + h / 2 * k_2, lam + h / 2)
        k_4 = slope(y + h * k_3, lam + h)
        y = y + h / 6 * (k_1 + 2 * k_2 + 2 * k_3 + k_4)
    return scales(LAST)[0] * y


truth = exact_end(start)
assert abs(exact_end(start, 500) - truth).max() < 1e-9, "half the steps should hardly change it"

# %% [markdown]
# If a sampler's error is $c\, N^{-p}$ for N calls, it has *order* p, and on logarithmic axes it is a straight line with the
# slope $-p$: with twice the calls an error of order 1 is halved, of order 2 quartered, of order 3 an eighth.
#
# **Write it yourself:** the order between the last two of several errors.


# %%
def my_order(calls, errors):
    """Return by which power of the calls the errors fall, between the last two."""
    ### BEGIN SOLUTION
    return math.log(errors[-2] / errors[-1]) / math.log(calls[-1] / calls[-2])
    ### END SOLUTION


# %%
my_order = exercises.ORDER.check(my_order)


def curve(sampler, numbers=(8, 16, 32, 64), lengths=(1,), **options):
    """Return calls and largest errors of a sampler, in steps whose lengths in lambda are these, again and again."""
    calls, errors = [], []
    for n in numbers:
        asked.clear()
        steps = np.cumsum([0, *np.resize(lengths, n)])
        x = states(sampler(**given(start, FIRST + (LAST - FIRST) * steps / steps[-1]), **options))[-1]
        calls.append(len(asked))
        errors.append(abs(x - truth).max())
    return calls, errors


# %% [markdown]
# ## One integral
#
# Write $y = x / a$ and $\sigma = b / a = e^{-\lambda}$. Then $x = a y$ and $y = x_0 + \sigma \epsilon$, so the ODE says that
# y moves along the predicted noise (Eq. DDIM-14), $\mathrm{d}y = \hat\epsilon\; \mathrm{d}\sigma$. The first method that
# comes to mind follows the slope of the start:
#
# $$y_s = y_t + (\sigma_s - \sigma_t)\, \hat\epsilon \qquad \text{(Eq. EULER-1)}$$
#
# With $\mathrm{d}\sigma = -e^{-\lambda}\, \mathrm{d}\lambda$ nothing is left of the schedule:
#
# $$\frac{x_s}{a_s} = \frac{x_t}{a_t} - \int_{\lambda_t}^{\lambda_s} e^{-\lambda}\, \hat\epsilon\; \mathrm{d}\lambda, \qquad
#   \frac{x_s}{b_s} = \frac{x_t}{b_t} + \int_{\lambda_t}^{\lambda_s} e^{\lambda}\, \hat x_0\; \mathrm{d}\lambda .$$
#
# (The second one follows in the same way from $x / b = e^\lambda x_0 + \epsilon$.) All samplers of an ODE answer one
# question: *what is the prediction between t and s?* If it is constant, both integrals give the DDIM step. If it is what
# stands in the *middle* of the step, the error of a whole chain is of order 2, since the errors of the two halves cancel:
#
# $$x_s = \frac{a_s}{a_t} x_t - b_s (e^h - 1)\, \hat\epsilon(x_m), \quad
#   x_m = \frac{a_m}{a_t} x_t - b_m (e^{h/2} - 1)\, \hat\epsilon(x_t) \qquad \text{(Eq. DPM-2)}$$
#
# with $h = \lambda_s - \lambda_t$. **Write it yourself**, for a function `predict_eps(x, lam)`.


# %%
def my_midpoint(predict_eps, x, lam_t, lam_s):
    """Return x at lam_s, with a and b from `lambda` as above: scales(lam) is written out here again."""
    ### BEGIN SOLUTION
    h = lam_s - lam_t
    a_t, a_m, a_s = (1 / np.sqrt(1 + np.exp(-2 * lam)) for lam in (lam_t, lam_t + h / 2, lam_s))
    b_m, b_s = a_m * np.exp(-lam_t - h / 2), a_s * np.exp(-lam_s)
    x_m = a_m / a_t * x - b_m * np.expm1(h / 2) * predict_eps(x, lam_t)
    return a_s / a_t * x - b_s * np.expm1(h) * predict_eps(x_m, lam_t + h / 2)
    ### END SOLUTION


# %%
my_midpoint = exercises.MIDPOINT.check(my_midpoint)
show_source(dpm_solver)

# %% [markdown]
# The other member of the pair, in which $\hat x_0$ is held instead of $\hat\epsilon$ (DPM-Solver++, Eq. DPMPP-2S), has $b$
# in the place of $a$ and $-h$ in that of h. k-diffusion's midpoint rule in sigma, with the middle at
# $\sqrt{\sigma_t \sigma_s}$ (Eq. DPM2-1), is DPM-2 in other letters. With three predictions, at 0, 1/3 and 2/3 of the step,
# a *line* is drawn through the first and the last one (Eq. DPM-3 and Eq. DPMPP-3S): then the order is 3.

# %%
lam_t, lam_s = -0.4, 0.5
h, (a_t, b_t), (a_s, b_s) = lam_s - lam_t, scales(lam_t), scales(lam_s)
one_step = [lam_t, lam_s]

by_euler = a_s * (start / a_t + (b_s / a_s - b_t / a_t) * guess_eps(start, lam_t))
assert np.allclose(states(euler(**given(start, one_step)))[-1], by_euler, atol=1e-9)
by_midpoint = my_midpoint(guess_eps, start, lam_t, lam_s)
assert np.allclose(states(dpm_solver(**given(start, one_step), order=2))[-1], by_midpoint, atol=1e-9)
assert np.allclose(states(dpm_2(**given(start, one_step)))[-1], by_midpoint, atol=1e-9), "DPM2 is DPM-Solver-2"

a_m, b_m = scales(lam_t + h / 2)
x_m = b_m / b_t * start - a_m * np.expm1(-h / 2) * guess_x_0(start, lam_t)
by_2s = b_s / b_t * start - a_s * np.expm1(-h) * guess_x_0(x_m, lam_t + h / 2)
assert np.allclose(states(dpmpp_singlestep(**given(start, one_step), order=2))[-1], by_2s, atol=1e-9)


def three_predictions(guess, rate):
    """Return DPM-3 (rate = 1: eps_hat, scaled by b) or DPMPP-3S (rate = -1: x_0_hat, scaled by a)."""
    keep, size = (0, 1) if rate == 1 else (1, 0)  # x / a is kept, or x / b

    def to(share, x_0, bent=0.0):
        lam = lam_t + share * h
        grow = np.expm1(rate * share * h)
        moved = grow * x_0 + (grow / (rate * share * h) - 1) * bent
        return scales(lam)[keep] / scales(lam_t)[keep] * start - scales(lam)[size] * moved, lam

    m_0 = guess(start, lam_t)
    m_1 = guess(*to(1 / 3, m_0))
    m_2 = guess(*to(2 / 3, m_0, 2 * (m_1 - m_0)))
    return to(1, m_0, 3 / 2 * (m_2 - m_0))[0]


assert np.allclose(
    states(dpm_solver(**given(start, one_step), order=3))[-1], three_predictions(guess_eps, 1), atol=1e-9
)
assert np.allclose(
    states(dpmpp_singlestep(**given(start, one_step), order=3))[-1], three_predictions(guess_x_0, -1), atol=1e-9
)

# %% [markdown]
# **Predict, then run:** which line will be steeper, and which lower with ten calls?

# %%
SHOWN = {
    "Euler, or DDIM": (euler, {}, 1),
    "DPM-Solver-2": (dpm_solver, {"order": 2}, 2),
    "DPM-Solver-3": (dpm_solver, {"order": 3}, 3),
}


def draw(shown, title):
    """Return errors against calls of several samplers; assert that each has the order that is written beside it."""
    lines = {}
    for name, (sampler, options, order) in shown.items():
        calls, errors = curve(sampler, **options)
        print(f"{name:<28} order {my_order(calls, errors):.2f}")
        assert abs(my_order(calls, errors) - order) < 0.5
        lines[name] = plot.Line(np.array(calls, float), np.array(errors), order)
    return plot.error_against_calls(lines, title)


draw(SHOWN, "One step, several predictions")

# %% [markdown]
# ## Weights
#
# A step of several predictions throws them away at its end. Why not keep them, and draw a polynomial through the *last*
# predictions? Each step then costs one call, whatever its order. What each prediction weighs is an integral, which is the
# same for all networks:
#
# $$x_s = \frac{b_s}{b_t} x_t + a_s \sum_j w_j\, \hat x_0^{(j)}, \qquad
#   w_j = \int_{\lambda_t}^{\lambda_s} r\, e^{r (\lambda - \lambda_s)} L_j(\lambda)\, \mathrm{d}\lambda \qquad \text{(Eq. EXPAB-1)}$$
#
# $L_j$ is the polynomial that is 1 at the lambda of prediction j and 0 at those of the others; $r = 1$ here. (Divide by
# $b_s$ and put $a_s = b_s e^{\lambda_s}$ into it: it is the integral above.)
#
# **Derive it yourself:** the two weights of the last two predictions, at $\lambda_0 = \lambda_t$ and an earlier $\lambda_1$.


# %%
def my_weights(lam_0, lam_1, lam_s):
    """Return (w_0, w_1) of a step from lam_0 to lam_s."""
    ### BEGIN SOLUTION
    h = lam_s - lam_0
    w_1 = (h - 1 + math.exp(-h)) / (lam_1 - lam_0)
    return 1 - math.exp(-h) - w_1, w_1
    ### END SOLUTION


# %%
my_weights = exercises.WEIGHTS.check(my_weights)

# %% [markdown]
# With $\hat\epsilon$ in the place of $\hat x_0$ the exponential has the other sign: that is DEIS (Eq. DEIS-1). And if the
# polynomial is one in $\sigma$ and not in $\lambda$, there is no exponential left, and what remains is Adams and Bashforth's
# method of 1883 (Eq. LMS-1), $y_s = y_t + \sum_j \hat\epsilon_j \int L_j(\sigma)\, \mathrm{d}\sigma$. Check the library's
# weights by the midpoints of 20,000 thin strips, and the samplers by their second and third steps:

# %%
nodes, end = [0.3, -0.1, -0.9], 1.1


def by_strips(weigh, first, last, at):
    """Return the integral of weigh(u) L_j(u) for each node, by midpoints."""
    edges = np.linspace(first, last, 20_001)
    u = (edges[1:] + edges[:-1]) / 2
    lines = [np.prod([(u - n) / (m - n) for n in at if n != m], axis=0) for m in at]
    return [float((weigh(u) * line).sum() * (edges[1] - edges[0])) for line in lines]


for rate in (1, -1, 1.5):
    wanted = by_strips(lambda u, rate=rate: rate * np.exp(rate * (u - end)), nodes[0], end, nodes)
    assert np.allclose(exponential_weights(nodes, nodes[0], end, rate), wanted, atol=1e-7)
assert np.allclose(exponential_weights(nodes[:2], nodes[0], end, 1), my_weights(*nodes[:2], end), atol=1e-12)
assert np.allclose(
    interpolation_weights(nodes, nodes[0], end), by_strips(np.ones_like, nodes[0], end, nodes), atol=1e-7
)

lams = [-0.5, -0.1, 0.2, 0.9]
path = [start, *states(lms(**given(start, lams), order=3))]
sigmas, eps_hats = [math.exp(-lam) for lam in lams], [guess_eps(x, lam) for x, lam in zip(path, lams, strict=True)]
weights = by_strips(np.ones_like, sigmas[2], sigmas[3], sigmas[2::-1])
y = path[2] / scales(lams[2])[0] + sum(w * eps for w, eps in zip(weights, eps_hats[2::-1], strict=True))
assert np.allclose(path[3], scales(lams[3])[0] * y, atol=1e-7)

path = [start, *states(deis(**given(start, lams), order=3))]
eps_hats, (a_t, _), (a_s, b_s) = [guess_eps(x, lam) for x, lam in zip(path, lams, strict=True)], *map(scales, lams[2:])
weights = by_strips(lambda u: -np.exp(lams[3] - u), lams[2], lams[3], lams[2::-1])
moved = sum(w * eps for w, eps in zip(weights, eps_hats[2::-1], strict=True))
assert np.allclose(path[3], a_s / a_t * path[2] + b_s * moved, atol=1e-7)

# %% [markdown]
# PNDM, the first sampler of Stable Diffusion, takes the weights for steps of *one* length, $55, -59, 37, -9$ over 24, and a
# DDIM step along their sum (Eq. PLMS-1). But a chain's steps in $\sigma$ are never of one length. What does that cost?

# %%
lams = np.linspace(-0.6, 1.0, 6)
path = [start, *states(plms(**given(start, lams)))]
eps_hats = [guess_eps(x, lam) for x, lam in zip(path, lams, strict=True)]
mean = (55 * eps_hats[4] - 59 * eps_hats[3] + 37 * eps_hats[2] - 9 * eps_hats[1]) / 24
(a_t, b_t), (a_s, b_s) = scales(lams[4]), scales(lams[5])
assert np.allclose(path[5], a_s / a_t * path[4] + (b_s - a_s * b_t / a_t) * mean, atol=1e-9)

for name, sampler, options, (on_equal, on_uneven) in (
    ("LMS of order 4", lms, {"order": 4}, (4, 4)),
    ("DEIS of order 3", deis, {"order": 3}, (3, 3)),
    ("PLMS, four predictions", plms, {}, (2, 1)),
):
    orders = [my_order(*curve(sampler, (64, 128), lengths, **options)) for lengths in ((1,), (2, 1))]
    print(f"{name:<24} order {orders[0]:.2f} on equal steps, {orders[1]:.2f} if they alternate 2 : 1")
    assert abs(orders[0] - on_equal) < 0.3
    assert abs(orders[1] - on_uneven) < 0.3

# %% [markdown]
# ## A parabola, and a factor of 2
#
# Three predictions of $\hat x_0$ make a parabola. In Taylor's form, $\hat x_0(\lambda_t + u) = m + u\, m' + \frac{u^2}{2} m''$,
# the integral of $e^{u - h}$ times each term gives
#
# $$x_s = \frac{b_s}{b_t} x_t + a_s \left[(1 - e^{-h})\, m + (h - 1 + e^{-h})\, m' +
#   \left(\tfrac{h^2}{2} - h + 1 - e^{-h}\right) m''\right] \qquad \text{(Eq. DPMPP-3M)}$$
#
# (each is the integral by parts of the one before). What are $m'$ and $m''$? Between two predictions the slope is
# $(m_0 - m_1) / h_0$, which belongs to the *middle* of that step. The middles of two neighbouring steps are
# $(h_0 + h_1) / 2$ apart.
#
# **Find the fault:** this is the step as it stands in public code (the authors' own file, diffusers with `solver_order=3`,
# k-diffusion's `sample_dpmpp_3m_sde`), in these letters. A number is missing in it.


# %%
def my_third_step(x, m, lams, lam_s):
    """Return x at lam_s from the last three predictions m of x_0, at the lambdas lams, the latest first."""
    a_s, b_s = 1 / math.sqrt(1 + math.exp(-2 * lam_s)), 1 / math.sqrt(1 + math.exp(2 * lam_s))
    b_t, h = 1 / math.sqrt(1 + math.exp(2 * lams[0])), lam_s - lams[0]
    h_0, h_1 = lams[0] - lams[1], lams[1] - lams[2]
    change = ((m[0] - m[1]) / h_0 - (m[1] - m[2]) / h_1) / (h_0 + h_1)
    d_1 = (m[0] - m[1]) / h_0 + h_0 * change
    ### BEGIN SOLUTION
    d_2 = 2 * change
    ### INSTEAD
    d_2 = change
    ### END SOLUTION
    fall = 1 - math.exp(-h)
    return b_s / b_t * x + a_s * (fall * m[0] + (h - fall) * d_1 + (h**2 / 2 - h + fall) * d_2)


# %%
my_third_step = exercises.THIRD_STEP.check(my_third_step)

# %% [markdown]
# The library has both: `dpmpp_3m`, and the exhibit `dpmpp_3m_as_published` (Eq. DPMPP-3M-CODE), in which
# $h^2 m'' = D_2$ is half of what it should be. Half of the bend is missing in each step, an error of third order; and N
# steps with errors of order 3 make a chain of order 2:

# %%
lams = [-0.5, -0.1, 0.2, 0.9]
path = [start, *states(dpmpp_3m(**given(start, lams)))]
m = [guess_x_0(x, lam) for x, lam in zip(path[:3], lams, strict=False)][::-1]
assert np.allclose(path[3], my_third_step(path[2], m, lams[2::-1], lams[3]), atol=1e-9)

path = [start, *states(dpmpp_3m_as_published(**given(start, lams)))]
m = [guess_x_0(x, lam) for x, lam in zip(path[:3], lams, strict=False)][::-1]
with_half = my_third_step(path[2], m, lams[2::-1], lams[3])
h, h_0, h_1, a_s = 0.7, 0.3, 0.4, scales(0.9)[0]
bend = 2 * ((m[0] - m[1]) / h_0 - (m[1] - m[2]) / h_1) / (h_0 + h_1)
with_half = with_half - a_s * (h**2 / 2 - h + 1 - math.exp(-h)) * bend / 2
assert np.allclose(path[3], with_half, atol=1e-9)

draw(
    {
        "2M, a line": (dpmpp_2m, {}, 2),
        "3M as published": (dpmpp_3m_as_published, {}, 2),
        "3M, with its whole bend": (dpmpp_3m, {}, 3),
        "UniPC-2": (unipc, {"order": 2}, 3),
        "UniPC-3": (unipc, {"order": 3}, 4),
    },
    "One prediction a step",
)

# %% [markdown]
# **The start.** The first step has nothing behind it. A chain of order p may begin with an error of order p, made once: so
# one step of order $p - 1$, and no less. The noise-free form of `dpmpp_3m_sde` (Eq. EXPAB-1) draws the same parabola, but
# begins with a step of order 1; how much does that cost?

# %%
low_start, high_start = (
    curve(sampler, (64, 128), **options) for sampler, options in ((dpmpp_3m_sde, {"eta": 0.0}), (dpmpp_3m, {}))
)
print(
    f"a parabola after a step of order 1: order {my_order(*low_start):.2f}, after one of order 2: {my_order(*high_start):.2f}"
)
assert my_order(*low_start) < 2.3
assert my_order(*high_start) > 2.7

# %% [markdown]
# ## Predict, then correct
#
# When the next step begins, the network is asked at s anyway. Then $\hat x_0$ at the *end* of the step before is known, and
# that step can be taken once more, along a polynomial that goes through it too. It costs no call, and gives an order more:
#
# $$\tilde x_s = \frac{b_s}{b_t} x_t + a_s \sum_{j \le 0} w_j \hat x_0^{(j)}, \qquad
#   x_s = \frac{b_s}{b_t} x_t + a_s \sum_{j \le 1} w_j' \hat x_0^{(j)} \qquad \text{(Eq. UNIPC-1)}$$
#
# UniPC-p draws p predictions forward, and p + 1 after. (With two predictions its published code takes half of the line,
# $w_1 = \frac12 (1 - e^{-h}) \frac{h}{\lambda_1 - \lambda_0}$, instead of the integral; the order is the same.) Two steps of
# UniPC-2, by hand:

# %%
lams = [-0.5, 0.1, 0.6]


def line_of_two(x, t, s, here, other, at):
    """Return x_s from the prediction `here`, at t, and another one, at the lambda `at`."""
    fall = 1 - math.exp(t - s)
    w = fall / 2 * (s - t) / (at - t)
    (_, b_t), (a_s, b_s) = scales(t), scales(s)
    return b_s / b_t * x + a_s * ((fall - w) * here + w * other)


first = guess_x_0(start, lams[0])
predicted = scales(lams[1])[1] / scales(lams[0])[1] * start - scales(lams[1])[0] * np.expm1(lams[0] - lams[1]) * first
second = guess_x_0(predicted, lams[1])
corrected = line_of_two(start, lams[0], lams[1], first, second, lams[1])
by_hand = line_of_two(corrected, lams[1], lams[2], second, first, lams[0])
assert np.allclose(states(unipc(**given(start, lams), order=2)), [predicted, by_hand], atol=1e-9)

# %% [markdown]
# ## Noise
#
# Fresh noise forgives errors, and costs calls. In EDM's letters, an Euler step goes down too far, to
# $\sigma_\text{down}$, and noise is added up to $\sigma_s$ (Eq. ANCESTRAL-1): DDIM's $\eta$. In $\lambda$ the same idea reads:
# the old noise fades faster, by $e^{-\eta h}$ besides, and what is missing is drawn afresh, exactly:
#
# $$x_s = \frac{b_s}{b_t} e^{-\eta h} x_t + a_s \left(1 - e^{-(1 + \eta) h}\right) \hat x_0 + b_s \sqrt{1 - e^{-2 \eta h}}\; z
#   \qquad \text{(Eq. DPMPP-SDE)}$$
#
# $\eta = 0$ is the ODE, $\eta = 1$ the reverse of the noising process. With a polynomial in the place of $\hat x_0$ it is
# SA-Solver, $\eta = \tau^2$, a predictor (Eq. SA-14) and a corrector that keeps the noise z (Eq. SA-17); its weights are
# those of EXPAB-1 with $r = 1 + \tau^2$. ER-SDE lets any function $\phi(\sigma)$ say how fast the noise is renewed, here
# $\phi = \sigma (e^{\sigma^{0.3}} + 10)$:
#
# $$y_s = \frac{\phi_s}{\phi_t} y_t + \left(1 - \frac{\phi_s}{\phi_t}\right) \hat x_0 + \dots +
#   \sqrt{\sigma_s^2 - \sigma_t^2 \frac{\phi_s^2}{\phi_t^2}}\; z \qquad \text{(Eq. ERSDE-1)}$$
#
# And two samplers keep the ODE's step, but go back first: EDM raises $\sigma$ by a little before each step (Eq. EDM-ALG2),
# Restart leaps back once, far, and comes down again (Eq. RESTART-1). All of them with noises that we choose:


# %%
class Given:
    """A source of noise: z[0] in the first step, z[1] in the second, ..."""

    def __init__(self, z, step=0):
        self.z, self.step = z, step

    def at(self, step=0, **others):
        return Given(self.z, step)

    def normal(self, shape, purpose, layer="", dtype=None):
        return self.z[self.step]


z = rng.standard_normal((2, 8, 2))
lam_t, lam_s = -0.4, 0.5
h, (a_t, b_t), (a_s, b_s), x_0_hat = lam_s - lam_t, scales(lam_t), scales(lam_s), guess_x_0(start, lam_t)
sigma_t, sigma_s, noise = b_t / a_t, b_s / a_s, Given(z)
y, eps_hat = start / a_t, guess_eps(start, lam_t)


def heun(y, high, low):
    """Take a step of EDM's Heun rule, in y and sigma."""
    here = guess_eps(scales(-math.log(high))[0] * y, -math.log(high))
    there = guess_eps(scales(-math.log(low))[0] * (y + (low - high) * here), -math.log(low))
    return y + (low - high) * (here + there) / 2


up = 0.6 * sigma_s * math.sqrt(1 - sigma_s**2 / sigma_t**2)
down = math.sqrt(sigma_s**2 - up**2)
by_ancestral = a_s * (y + (down - sigma_t) * eps_hat + up * z[0])
assert np.allclose(states(euler_ancestral(**given(start, one_step), eta=0.6, noise=noise))[-1], by_ancestral, atol=1e-9)

for eta in (0.5, 1.0):
    by_sde = b_s / b_t * math.exp(-eta * h) * start - a_s * math.expm1(-(1 + eta) * h) * x_0_hat
    by_sde = by_sde + b_s * math.sqrt(1 - math.exp(-2 * eta * h)) * z[0]
    assert np.allclose(states(dpmpp_2m_sde(**given(start, one_step), eta=eta, noise=noise))[-1], by_sde, atol=1e-9)

phi_t, phi_s = (sigma * (math.exp(sigma**0.3) + 10) for sigma in (sigma_t, sigma_s))
kept = phi_s / phi_t
by_er = a_s * (kept * y + (1 - kept) * x_0_hat + math.sqrt(sigma_s**2 - (sigma_t * kept) ** 2) * z[0])
assert np.allclose(states(er_sde(**given(start, one_step), order=1, noise=noise))[-1], by_er, atol=1e-9)

raised = sigma_t * (1 + min(0.3, math.sqrt(2) - 1))
by_edm = a_s * heun(y + 1.003 * math.sqrt(raised**2 - sigma_t**2) * z[0], raised, sigma_s)
assert np.allclose(states(edm(**given(start, one_step), churn=0.3, noise=noise))[-1], by_edm, atol=1e-8)

leapt = heun(y, sigma_t, sigma_s) + math.sqrt(1.5**2 - sigma_s**2) * z[0]
by_restart = a_s * heun(leapt, 1.5, sigma_s)
options = {"low": 1.0, "high": 1.5, "repeats": 1, "inner": 1, "noise": noise}
assert np.allclose(states(restart(**given(start, one_step), **options))[-1], by_restart, atol=1e-8)

# %% [markdown]
# SA-Solver over two steps. The predictor's first step is DPMPP-SDE; then x is corrected, with the same z, along the line
# through both predictions, and the second step goes along that line, too:

# %%
tau, lams = 0.7, [-0.4, 0.1, 0.5]
rate = 1 + tau**2


def with_noise(x, t, s, guesses, at, z):
    """Return x_s along the line through two predictions, or along one that stays, with noise of strength tau."""
    (_, b_t), (a_s, b_s) = scales(t), scales(s)
    weights = by_strips(lambda u: rate * np.exp(rate * (u - s)), t, s, at)
    moved = sum(w * guess for w, guess in zip(weights, guesses, strict=True))
    fresh = b_s * math.sqrt(1 - math.exp(-2 * tau**2 * (s - t))) * z
    return b_s / b_t * math.exp(-(tau**2) * (s - t)) * x + a_s * moved + fresh


first = guess_x_0(start, lams[0])
weight = 1 - math.exp(-rate * 0.5)
(_, b_t), (a_s, b_s) = scales(lams[0]), scales(lams[1])
predicted = b_s / b_t * math.exp(-(tau**2) * 0.5) * start + a_s * weight * first
predicted = predicted + b_s * math.sqrt(1 - math.exp(-2 * tau**2 * 0.5)) * z[0]
second = guess_x_0(predicted, lams[1])
corrected = with_noise(start, *lams[:2], [second, first], [lams[1], lams[0]], z[0])
by_hand = with_noise(corrected, *lams[1:], [second, first], [lams[1], lams[0]], z[1])
assert np.allclose(
    states(sa_solver(**given(start, lams), tau=tau, corrector=2, noise=noise)), [predicted, by_hand], atol=1e-6
)
uncorrected = with_noise(predicted, *lams[1:], [second, first], [lams[1], lams[0]], z[1])
assert np.allclose(
    states(sa_solver(**given(start, lams), tau=tau, corrector=0, noise=noise))[-1], uncorrected, atol=1e-6
)

# %% [markdown]
# What is the error of a sampler that draws noise? No path is the right one. But the *variance* of what comes out can be
# known exactly, without a single random number: for a Gaussian of variance c, $\hat x_0 = \frac{a c}{a^2 c + b^2} x$, so
# that every step is a factor, plus fresh noise.
#
# **Explore:** follow the variance through a chain of DPMPP-SDE steps, from that of the noisy data, $a^2 c + b^2$.


# %%
def my_variance(c, lams, eta):
    """Return the variance of x at the last lambda, if x at the first has that of the noisy data."""
    ### BEGIN SOLUTION
    scale = [(1 / math.sqrt(1 + math.exp(-2 * lam)), 1 / math.sqrt(1 + math.exp(2 * lam))) for lam in lams]
    variance = scale[0][0] ** 2 * c + scale[0][1] ** 2
    for k in range(len(lams) - 1):
        (a_t, b_t), (a_s, b_s), h = scale[k], scale[k + 1], lams[k + 1] - lams[k]
        factor = b_s / b_t * math.exp(-eta * h)
        factor += a_s * (1 - math.exp(-(1 + eta) * h)) * a_t * c / (a_t**2 * c + b_t**2)
        variance = factor**2 * variance + b_s**2 * (1 - math.exp(-2 * eta * h))
    return variance
    ### END SOLUTION


# %%
my_variance = exercises.VARIANCE.check(my_variance)
a, b = scales(LAST)
lost = {}
for eta in (0.0, 0.5, 1.0):
    found = [my_variance(0.3, np.linspace(FIRST, LAST, n + 1).tolist(), eta) for n in (8, 16, 32, 64)]
    lost[f"eta {eta:g}"] = np.array([1 - one / (a * a * 0.3 + b * b) for one in found])
    print(
        f"eta = {eta:g}: with 8 steps {lost[f'eta {eta:g}'][0]:.3f} of the variance is lost, with 64 {lost[f'eta {eta:g}'][-1]:.3f}"
    )
    assert abs(my_order((8, 16, 32, 64), lost[f"eta {eta:g}"]) - 1) < 0.1
assert lost["eta 0"][0] < lost["eta 0.5"][0] < lost["eta 1"][0], "the more noise, the more steps are needed"


# %%
def losses(eta):
    """Return the picture of what is lost for one strength of the noise."""
    steps = np.array([4, 8, 16, 32, 64])
    found = [my_variance(0.3, np.linspace(FIRST, LAST, n + 1).tolist(), eta / 4) for n in steps]
    share = 1 - np.array(found) / (a * a * 0.3 + b * b)
    return plot.curves(steps, {f"eta {eta / 4:g}": share}, "number of steps", "share of the variance lost", log="xy")


slider(losses, range(9), "4 eta", start=4)

# %% [markdown]
# A step of two predictions makes it order 2, also with noise: `dpmpp_sde` (Eq. DPMPP-SDE) asks in the middle. The
# court below measures it.
#
# ## How long may a step be?
#
# So far somebody chose the steps. An adaptive solver takes each step twice, by Euler and by the midpoint rule, which share
# a call, and looks at their difference, in units of what is allowed (Eq. ADAPT-1):
#
# $$E = \left\lVert \frac{x' - x''}{\max(\epsilon_a, \epsilon_r |x|)} \right\rVert, \qquad h \leftarrow 0.9\; h\, E^{-1/2}$$
#
# If $E > 1$ the step is taken again. The difference is of order $h^2$: so h goes like the root of the tolerance, and the
# error of the chain, of order 2, like the tolerance itself.

# %%
for tolerance in (1e-2, 1e-3, 1e-4):
    asked.clear()
    x = states(adaptive(**given(start[:1], [FIRST, LAST]), rtol=tolerance, atol=tolerance))[-1]
    error = abs(x - truth[:1]).max()
    print(f"tolerance {tolerance:g}: error {error:.1e} after {len(asked)} calls")
    assert error < 5 * tolerance

# %% [markdown]
# ## The court
#
# `tinydiff arena` does this for every sampler of the library, and `court` for any function of yours: it measures the
# order on equal and on uneven steps and after a start in tiny steps, the variance, and whether it always ends; and it names
# the mistake that it looks like. Here is Euler's method with half of each step's noise:


# %%
def half_a_step_of_noise(predict, diffusion, x_T, steps, noise=None, end=0):
    """Sample by DPMPP-SDE with eta = 1, with the noise of half a step."""
    x, times = x_T, [*steps, end]
    for k, (t, s) in enumerate(pairwise(times)):
        (a_t, b_t), (a_s, b_s) = diffusion.scales(t), diffusion.scales(s)
        x_0_hat, _ = predict(x, np.full(len(x), t))
        kept = (a_t * b_s / (a_s * b_t)) ** 2  # e^(-2 h)
        x = b_s / b_t * kept**0.5 * x + a_s * (1 - kept) * x_0_hat
        x = x + b_s * (1 - kept**0.5) ** 0.5 * noise.at(step=k).normal(x.shape, "mine", dtype=x.dtype)
        yield s, x, x_0_hat


verdict = court(half_a_step_of_noise, to_zero=False)
print(verdict)
assert verdict.mistakes == ("half_noise",)
of_two = court(dpmpp_sde, to_zero=False)
assert of_two.is_right
assert abs(of_two.order("variance") - 2) < 0.2
print(court("dpmpp_3m_as_published", numbers=(20, 40, 80), to_zero=False))

# %% [markdown]
# ## Summary
#
# 1. In lambda the ODE is one integral; a sampler says what the prediction is between two calls.
# 2. Constant, middle, line, parabola: orders 1, 2, 2 and 3; the weights are integrals that no network changes.
# 3. A formula is worth its order only with a start of one order less, on steps for which its weights are right.
# 4. With noise, moments are what is judged, and impulses give them exactly; noise costs calls.
# 5. An order that is not measured on something exact is a rumour: a factor of 2 went unseen in public code for years.
#
# <details><summary>Which sampler should I take?</summary>
#
# With guidance and ten to thirty calls `dpmpp_2m` or `unipc`; where ten digits are wanted, of order 3 or 4; with noise,
# where a network's errors should be forgiven, `dpmpp_2m_sde`. `tinydiff arena --model mnist` measures it on a network.
#
# </details>
#
# <details><summary>Why does nobody use order 4 for pictures?</summary>
#
# With ten calls the steps are long, and a polynomial of high degree goes astray beyond its points. And a network's
# prediction is no smooth function, but one that was clipped, with errors of its own. Orders tell what happens with small
# steps.
#
# </details>
#
# <details><summary>Why is the last step, to t = 0, of order 1?</summary>
#
# Lambda is infinite there, and so is the length of the step. What is left is the prediction itself.
#
# </details>
#
# **Next:** [16 · Flow matching](16_flow_matching.ipynb) makes the paths themselves straighter. Few steps by training are
# notebook 17's.
