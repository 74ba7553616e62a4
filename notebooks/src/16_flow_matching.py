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
# # 16 · Flow matching: straight lines, and why paths bend
#
# **You will learn** how to learn a velocity field from straight lines between noise and data; why the mean of many
# velocities moves the whole density right, with the proof; and why the paths of that field are not straight.
#
# **Prerequisites:** notebooks 01, 02 and 10. **Time:** 30 minutes to read and run; 70 minutes with the six exercises.
#
# **Papers:** Lipman et al., *Flow matching for generative modeling* (2023); Liu et al., *Flow straight and fast* (2023)
# (here FLOW-1 to FLOW-3); Esser et al., *Scaling rectified flow transformers* (2024), for the times (LOGITN-1).

# %%
import itertools

import numpy as np

from tinydiff import plot
from tinydiff.base import Noise
from tinydiff.course import show_source, slider
from tinydiff.course.exercises import notebook_16 as exercises
from tinydiff.diffusion import (
    FiniteData,
    Gaussian,
    GaussianDiffusion,
    GaussianPath,
    cosine_schedule,
    ddim,
    last,
    straight_schedule,
)
from tinydiff.train import random_steps

rng = np.random.default_rng(0)
diffusion = GaussianPath(straight_schedule(100), "straight")

# %% [markdown]
# ## A straight line to the noise
#
# DDPM walks from data to noise on an arc: $a^2 + b^2 = 1$. Why not straight? Let time b run from 0 at the data to 1 at
# the noise, and let a be what is left:
#
# $$x_b = (1 - b)\, x_0 + b\, \epsilon, \qquad b = t / T \qquad \text{(Eq. FLOW-1)}$$
#
# How fast does $x_b$ move along its line? Differentiate by b. The first term gives $-x_0$, the second $\epsilon$:
#
# $$u = \frac{\mathrm{d} x_b}{\mathrm{d} b} = \epsilon - x_0 \qquad \text{(Eq. FLOW-2)}$$
#
# The same at all times, since the line is straight. **Write both.**


# %%
def my_line(x_0, eps, b):
    """Return x_b on the line from x_0 to eps, and the velocity there; b is a number from 0 to 1."""
    ### BEGIN SOLUTION
    return (1 - b) * x_0 + b * eps, eps - x_0
    ### END SOLUTION


# %%
my_line = exercises.LINE.check(my_line)

# %% [markdown]
# The library keeps this path as any other: a table of `alpha_bar`, and a scale. Is it the line, and is the table right?
# On a path with a and b, alpha_bar is $a^2 / (a^2 + b^2)$.

# %%
share = np.arange(101) / 100
assert np.allclose(straight_schedule(100), (1 - share) ** 2 / ((1 - share) ** 2 + share**2))
x_0, eps = rng.standard_normal((2, 5, 3))
for t in (1, 30, 99, 100):
    x_b, u = my_line(x_0, eps, t / 100)
    assert np.allclose(diffusion.q_sample(x_0, t, eps), x_b)
    assert np.allclose(diffusion.flow_from(x_0, eps, t), u)
    assert np.allclose(diffusion.scales(t), (1 - t / 100, t / 100))

# %% [markdown]
# ## What a velocity knows
#
# A network that predicts u has said all: with $x_b$ and u both ends of the line are known. **Derive it yourself:** solve
# FLOW-1 and FLOW-2 for $x_0$ and $\epsilon$.


# %%
def my_ends(x_b, u, b):
    """Return x_0 and eps."""
    ### BEGIN SOLUTION
    return x_b - b * u, x_b + (1 - b) * u
    ### END SOLUTION


# %%
my_ends = exercises.ENDS.check(my_ends)

# %% [markdown]
# Put $\epsilon = u + x_0$ into the line: $x_b = (1 - b) x_0 + b u + b x_0 = x_0 + b u$. So $x_0 = x_b - b u$, and
# $\epsilon = x_0 + u = x_b + (1 - b) u$: go back along the line by what has been walked, or on by what is left. On a path
# with other a and b, the same two equations give
#
# $$x_0 = \frac{x_t - b\, u}{a + b}, \qquad \epsilon = \frac{x_t + a\, u}{a + b} \qquad \text{(Eq. FLOW-3)}$$

# %%
t = 30
x_b, u = my_line(x_0, eps, 0.3)
assert np.allclose(diffusion.x_0_from_flow(x_b, t, u), my_ends(x_b, u, 0.3)[0])
assert np.allclose(diffusion.eps_from_flow(x_b, t, u), my_ends(x_b, u, 0.3)[1])
arc = GaussianDiffusion(cosine_schedule(100))
a, b = arc.alpha_bar[t] ** 0.5, (1 - arc.alpha_bar[t]) ** 0.5
x_t = a * x_0 + b * eps
assert np.allclose(arc.x_0_from_flow(x_t, t, u), (x_t - b * u) / (a + b))
assert np.allclose(arc.x_0_from_flow(x_t, t, u), x_0)
assert np.allclose(arc.eps_from_flow(x_t, t, u), eps)

# %% [markdown]
# ## One velocity for each place
#
# Through one place x, at one time b, go many lines: each pair $(x_0, \epsilon)$ with $(1 - b) x_0 + b \epsilon = x$ has
# one, with a velocity of its own, the *conditional* velocity. A sampler stands at x, does not know which line it is on,
# and needs one number. Take the mean over all lines through x, the *marginal* velocity:
#
# $$u(x, b) = \mathbb{E}\left[\epsilon - x_0 \mid x_b = x\right]$$
#
# Does a crowd of points that all move with u have the right density at every time? It does. **The proof** watches the
# mean of any smooth function h of the points.
#
# *The lines.* Along a line, $\frac{\mathrm{d}}{\mathrm{d} b} h(x_b) = \nabla h(x_b) \cdot (\epsilon - x_0)$, by the
# chain rule. Take the mean over all pairs:
#
# $$\frac{\mathrm{d}}{\mathrm{d} b}\, \mathbb{E}\, h(x_b) = \mathbb{E}\left[\nabla h(x_b) \cdot (\epsilon - x_0)\right] .$$
#
# *Mean of means.* Sort the pairs by the place where they are. At one place $\nabla h(x_b)$ is one vector and can be
# taken out of the mean there, so what is left inside is the mean of the velocities, u:
#
# $$\mathbb{E}\left[\nabla h(x_b) \cdot (\epsilon - x_0)\right]
#   = \mathbb{E}\left[\nabla h(x_b) \cdot \mathbb{E}[\epsilon - x_0 \mid x_b]\right]
#   = \mathbb{E}\left[\nabla h(x_b) \cdot u(x_b, b)\right] .$$
#
# *The crowd.* For points $y_b$ with $\frac{\mathrm{d}}{\mathrm{d} b} y_b = u(y_b, b)$ the chain rule says
# $\frac{\mathrm{d}}{\mathrm{d} b}\, \mathbb{E}\, h(y_b) = \mathbb{E}\left[\nabla h(y_b) \cdot u(y_b, b)\right]$: the same
# equation. Both start with the same density (the noise, at b = 1), and the equation says how every mean changes next;
# where u is smooth, it has one solution. So both have the same mean of every h, at all times: the same density. $\square$
#
# Nowhere was it used that lines are straight, or how $x_0$ and $\epsilon$ hang together: notebook 17 lives on that.
#
# **Derive it yourself:** for data that are K numbers $p_k$, each as likely, what is u(x, b)? Given $x_b = x$, the chance
# of $p_k$ is proportional to $\exp(-(x - (1 - b) p_k)^2 / (2 b^2))$ (notebook 02).


# %%
def my_velocity(x, b, points):
    """Return u at places x, an array (N,), at the time b > 0, for data that are the numbers in points, (K,)."""
    ### BEGIN SOLUTION
    far = x[:, None] - (1 - b) * points
    weights = np.exp(-(far**2) / (2 * b**2))
    x_0_hat = (weights * points).sum(axis=1) / weights.sum(axis=1)
    return (x - x_0_hat) / b
    ### END SOLUTION


# %%
my_velocity = exercises.VELOCITY.check(my_velocity)
points = np.array([-1.0, 0.2, 1.0])
oracle = FiniteData(diffusion, points[:, None])
x = np.linspace(-2, 2, 9)
for t in (20, 60, 100):
    x_0_hat, eps_hat = oracle.predict(x[:, None], t)
    assert np.allclose((eps_hat - x_0_hat)[:, 0], my_velocity(x, t / 100, points))

# %% [markdown]
# The proof in numbers: how fast does the mean of $h(x) = \cos 3 x$ change at b = 0.6? Once along the lines, once with
# the marginal velocity, from 400,000 pairs:

# %%
x_0, eps = rng.choice(points, 400_000), rng.standard_normal(400_000)
x_b, u = my_line(x_0, eps, 0.6)
of_lines = (-3 * np.sin(3 * x_b) * u).mean()
of_crowd = (-3 * np.sin(3 * x_b) * my_velocity(x_b, 0.6, points)).mean()
print(f"along the lines {of_lines:.4f}, with the marginal velocity {of_crowd:.4f}")
assert abs(of_lines - of_crowd) < 0.02  # standard error 0.003

# %% [markdown]
# ## What a network learns
#
# Nobody can compute u for pictures. But a mean is what least squares find: of all functions of $(x_b, b)$ the one with
# the smallest $\mathbb{E} \lVert \epsilon - x_0 - \hat u(x_b, b) \rVert^2$ is $\mathbb{E}[\epsilon - x_0 \mid x_b]$. So
# draw pairs, and train on the velocities of their lines. This is *flow matching*: in tinydiff
# `tinydiff train --schedule straight --path straight --kind flow-v`.
#
# The loss does not fall to 0: what the lines through one place differ by is left. **Derive it yourself:** the *floor* of
# the loss for one number of data of mean 0 and variance S, at time b. All is Gaussian, so
# $\mathrm{Var}[u \mid x_b] = \mathrm{Var}[u] - \mathrm{Cov}[u, x_b]^2 / \mathrm{Var}[x_b]$.


# %%
def my_floor(S, b):
    """Return the smallest mean square of eps - x_0 - u_hat(x_b); b may be an array."""
    ### BEGIN SOLUTION
    return S / ((1 - b) ** 2 * S + b**2)
    ### END SOLUTION


# %%
my_floor = exercises.FLOOR.check(my_floor)

# %% [markdown]
# With $\mathrm{Var}[u] = 1 + S$, $\mathrm{Cov}[u, x_b] = b - (1 - b) S$ and $\mathrm{Var}[x_b] = (1 - b)^2 S + b^2$:
#
# $$\frac{(1 + S) \left((1 - b)^2 S + b^2\right) - \left(b - (1 - b) S\right)^2}{(1 - b)^2 S + b^2}
#   = \frac{S}{(1 - b)^2 S + b^2} ,$$
#
# since in the numerator $(1 - b)^2 S^2$ and $b^2$ cancel, and $(1 - b)^2 S + b^2 S + 2 b (1 - b) S = S$ is left.
# At b = 0 it is 1, the variance of the noise, which clean data do not show; at b = 1 it is S, that of the data, which
# noise does not show.

# %%
S, losses = 0.3, []
gaussian = Gaussian(diffusion, np.zeros(1), S)
for t in (10, 50, 90):
    x_0, eps = S**0.5 * rng.standard_normal((200_000, 1)), rng.standard_normal((200_000, 1))
    x_0_hat, eps_hat = gaussian.predict(diffusion.q_sample(x_0, t, eps), t)
    losses.append(((diffusion.flow_from(x_0, eps, t) - (eps_hat - x_0_hat)) ** 2).mean())
    assert abs(losses[-1] / my_floor(S, t / 100) - 1) < 0.02  # standard error 0.003
b = np.linspace(0.01, 1, 100)
floors = {f"S = {s}": my_floor(s, b) for s in (0.05, 0.3, 1.0)}
plot.curves(b, floors, "b, from data to noise", "floor of the loss", log="y")

# %% [markdown]
# The floor says where there is most to be *known* and nothing to be learned. Both ends are easy: at b = 1 the answer is
# $\epsilon - \mathbb{E} x_0$, near b = 0 it is $\mathbb{E} \epsilon - x_0$. The middle is hard, so show it more often: let
# the logit of time be normal,
#
# $$b = \frac{1}{1 + e^{-z}}, \qquad z \sim \mathcal{N}(0, 1) \qquad \text{(Eq. LOGITN-1)}$$

# %%
steps = random_steps(Noise(0), 20_000, 1000, times="logit-normal")
z = np.log((steps - 0.5) / (1000.5 - steps))
print(
    f"logit of the time: mean {z.mean():.3f}, deviation {z.std():.3f}; in the middle half {(abs(steps - 500) < 250).mean():.2f}"
)
assert abs(z.mean()) < 0.05  # standard error 0.007
assert abs(z.std() - 1) < 0.05  # standard error 0.005

# %% [markdown]
# ## Walking back
#
# Start at noise, b = 1, and follow u down to b = 0 by Euler's method. **Write it.**


# %%
def my_euler(velocity, x, times):
    """Return x at the last of the times, which fall from 1; velocity(x, b) is u."""
    ### BEGIN SOLUTION
    for k in range(len(times) - 1):
        x = x + (times[k + 1] - times[k]) * velocity(x, times[k])
    return x
    ### END SOLUTION


# %%
my_euler = exercises.EULER.check(my_euler)
show_source(ddim)

# %% [markdown]
# The library has no sampler of its own for it. A step of DDIM (notebook 10) goes to $x_s = a_s \hat x_0 + b_s \hat\epsilon$;
# on this path that is $(1 - s)(x - b u) + s (x + (1 - b) u) = x + (s - b) u$, with s for the later b. Euler's method:

# %%
x_T = rng.standard_normal(6)
mine = my_euler(lambda x, b: my_velocity(x, b, points), x_T, [1.0, 0.7, 0.45, 0.2, 0.0])
assert np.allclose(last(ddim(oracle.predict, diffusion, x_T[:, None], [100, 70, 45, 20]))[:, 0], mine)

# %% [markdown]
# ## Why straight lines make bent paths
#
# **Predict, then run:** the lines are straight, and the paths of the mean velocity? And how near to the data does one
# single step lead, along the tangent at the start?

# %%
times = np.linspace(1, 0, 101)
starts, ends = rng.standard_normal(400), rng.choice(points, 400)
lines = np.stack([my_line(ends, starts, b)[0] for b in times])
flow = [starts]
for b, after in itertools.pairwise(times):
    flow.append(my_euler(lambda x, b: my_velocity(x, b, points), flow[-1], [b, after]))
flow = np.stack(flow)
x = np.linspace(-2.5, 2.5, 501)
density = sum(np.exp(-((x - p) ** 2) / (2 * 0.03**2)) for p in points) / (3 * 0.03 * (2 * np.pi) ** 0.5)
once = my_euler(lambda x, b: my_velocity(x, b, points), starts, [1.0, 0.0])
crossings = (np.diff(np.sign(lines[:, :40, None] - lines[:, None, :40]), axis=0) != 0).any(axis=0).mean()
print(f"of two lines, {crossings:.0%} cross; one step leads to {once.min():.3f} ... {once.max():.3f}")
assert crossings > 0.2
assert (np.diff(flow[:, np.argsort(starts)], axis=1) > -1e-9).all(), "paths of one field should not cross"
assert np.allclose(once, points.mean()), "at b = 1 the noise says nothing: the tangent leads to the mean"
plot.paths_to_data(100 * times, {"the lines: given both ends": lines, "the paths of the mean": flow}, x, density)

# %% [markdown]
# Lines cross. Where they cross, one place has two velocities, and the field has their mean. So a path goes on one line for
# a while and then on another: it bends where lines cross, and it never crosses another path. At b = 1 every line passes
# every place, the mean velocity is $x - \mathbb{E} x_0$, and one step leads all noise to the mean of the data.
#
# How much do they bend? For data of variance S the path is known: it keeps the number of standard deviations (notebook
# 10). From $x_1 = 1$ it goes through $\sqrt{(1 - b)^2 S + b^2}$.
#
# **Explore:** how far is the path from the straight line between its own ends, and for which S is it straight?


# %%
def my_bow(S, b):
    """Return the path at b less the straight line between its ends at b, for x_1 = 1; b may be an array."""
    ### BEGIN SOLUTION
    return ((1 - b) ** 2 * S + b**2) ** 0.5 - ((1 - b) * S**0.5 + b)
    ### END SOLUTION


# %%
my_bow = exercises.BOW.check(my_bow)
b = np.linspace(0, 1, 101)
for S in (0.05, 0.3, 1.0):
    exact = [Gaussian(diffusion, np.zeros(1), S).flow(np.ones((1, 1)), 100, t)[0, 0] for t in (20, 50, 80)]
    assert np.allclose(np.array(exact) - ((1 - b) * S**0.5 + b)[[20, 50, 80]], my_bow(S, b)[[20, 50, 80]])
    assert (my_bow(S, b) <= 1e-12).all()
assert np.allclose(my_bow(0.0, b), 0), "towards one point all paths are straight"
plot.curves(b, {f"S = {S}": my_bow(S, b) for S in (0.05, 0.3, 1.0)}, "b, from data to noise", "path - straight line")

# %%
slider(
    lambda S: plot.curves(b, {f"S = {S / 10}": my_bow(S / 10, b)}, "b, from data to noise", "path - straight line"),
    range(1, 21),
    "10 S",
    start=4,
)

# %% [markdown]
# Every path sags below its line, and only data that are one point give straight paths: the hypotenuse is shorter than the
# sum of the two legs, $\sqrt{(1 - b)^2 S + b^2} \le (1 - b) \sqrt{S} + b$.
#
# Was it worth while to leave DDPM's arc? The *map* from noise to data is the same: divide $x_b$ by $\sqrt{a^2 + b^2}$, and
# it lies on the arc at the time with the same ratio of a and b, and the ODE is that of DDIM.

# %%
x_T = rng.standard_normal((6, 1))
data = Gaussian(diffusion, np.array([0.3]), 0.4)
on_the_arc = Gaussian(GaussianDiffusion(straight_schedule(100)), np.array([0.3]), 0.4)
ends = data.flow(x_T, 100, 0)
assert np.allclose(ends, 0.3 + 0.4**0.5 * x_T)
assert np.allclose(ends, on_the_arc.flow(x_T, 100, 0))
few = {name: last(ddim(one.predict, one.diffusion, x_T, 4)) for name, one in (("line", data), ("arc", on_the_arc))}
error = {name: abs(x_0 - ends).mean() for name, x_0 in few.items()}
print(f"error of 4 Euler steps: {error['line']:.4f} on the line, {error['arc']:.4f} of 4 DDIM steps on the arc")
assert np.allclose(few["line"], few["arc"])

# %% [markdown]
# The same numbers, for the same times in ratio of signal to noise. What flow matching chose well is the *schedule*: equal
# steps of b, on which Euler's steps do little harm.
#
# ## Summary
#
# 1. On a straight line from data to noise, $x_b = (1 - b) x_0 + b \epsilon$, the velocity is $\epsilon - x_0$ at all times.
# 2. The mean of the velocities of all lines through a place moves the whole density right: means of every function agree.
# 3. Least squares find that mean; what lines differ by is the floor of the loss, $S / ((1 - b)^2 S + b^2)$.
# 4. Lines cross and paths cannot, so paths bend, and one step from noise leads to the mean of the data.
# 5. The map from noise to data is that of DDIM's ODE: flow matching is a schedule, a target and a way to teach.
#
# <details><summary>Is the velocity of flow matching the v of v-prediction?</summary>
#
# No. v is $a \epsilon - b x_0$, the velocity on the arc by its angle; u is $\epsilon - x_0$. They agree up to the scale
# where a = b only.
#
# </details>
#
# <details><summary>May noise and data be paired otherwise than by chance?</summary>
#
# Yes: the proof never asked how. Pairs whose lines cross less give straighter paths; notebook 17 lets the flow itself
# make them.
#
# </details>
#
# <details><summary>Why does one step lead to the mean, and not to some digit?</summary>
#
# At b = 1 the place is pure noise and says nothing about $x_0$, so the mean over all lines is
# $\epsilon - \mathbb{E}[x_0]$. The tangent is right, the path just leaves it soon.
#
# </details>
#
# **Next:** [17 · Few steps](17_few_steps.ipynb): four ways to make one step enough.
