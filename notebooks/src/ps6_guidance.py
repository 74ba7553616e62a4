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
# # Problem set 6 · Guidance
#
# **You will learn** to combine several wishes, to say what a tilted density is, to guide by a wish that is no class,
# to find a fault in a guided chain, and to measure what a strong pull costs.
#
# **Prerequisites:** notebooks 20 and 21 (and 02, for the posterior of a bell). **Time:** 90 minutes.
#
# Write your answers in place of `raise NotImplementedError`, and run the cells below them. `tinydiff check ps6` in a
# terminal checks all of them at once, and `problems.WISHES.hint()` says where to look if you are stuck (`hint(2)` and
# `hint(3)` say more).
#
# **Letters.** $\bar\alpha$ is the share of the signal at a time t, as ever, so $x_t = \sqrt{\bar\alpha}\, x_0 + \sqrt{1 -
# \bar\alpha}\, \epsilon$. A scale s counts as in notebook 21: s = 0 is "told nothing", s = 1 "told", s > 1 beyond.

# %%
from itertools import pairwise

import numpy as np

from tinydiff import plot
from tinydiff.course.problem_sets import ps6 as problems
from tinydiff.diffusion import GaussianDiffusion, GaussianMixture, classifier_guidance, cosine_schedule, ddim, last

rng = np.random.default_rng(0)
diffusion = GaussianDiffusion(cosine_schedule(1000))

# %% [markdown]
# ## Problem 1 · Many wishes (transcribe)
#
# "Red hair" is one wish, "a hat" another. A network that was never told both together can be asked for each alone. With
# K wishes $c_1, \ldots, c_K$, let each pull from nothing in its own direction:
#
# $$\tilde\epsilon = \hat\epsilon(x_t) + \sum_{k=1}^{K} s_k \left(\hat\epsilon(x_t, c_k) - \hat\epsilon(x_t)\right)$$
#
# A negative scale pushes away. In a batch, every sample has scales of its own.
#
# **Write it:** `given` has the shape (K, N, ...), a prediction for each wish and each of N samples; `nothing` is (N, ...);
# `scales` is (K, N).


# %%
def my_wishes(given, nothing, scales):
    """Return the guided noise, shape (N, ...)."""
    ### BEGIN SOLUTION
    s = scales.reshape(*scales.shape, *[1] * (nothing.ndim - 1))
    return nothing + (s * (given - nothing)).sum(axis=0)
    ### END SOLUTION


# %%
my_wishes = problems.WISHES.check(my_wishes)

# %% [markdown]
# What is it good for? Here are data in four clouds, and two networks that know one word each: "right" (the two clouds on
# the right) and "top". Nobody knows "top right". Ask for both, and for "right, and not top":

# %%
corners, shares, size = np.array([[-1.0, -1], [-1, 1], [1, -1], [1, 1]]), np.array([0.3, 0.2, 0.3, 0.2]), 0.06


def of_clouds(which):
    """Return the exact predictor of some of the four clouds."""
    return GaussianMixture(diffusion, shares[which], corners[which], [size] * len(which)).predict


all_four, on_the_right, at_the_top = of_clouds([0, 1, 2, 3]), of_clouds([2, 3]), of_clouds([1, 3])
x_T = rng.standard_normal((400, 2))


def wishing(right, top):
    """Return points that are drawn with a scale for each of the two words."""

    def predict(x_t, t, context=None):
        given = np.stack([on_the_right(x_t, t)[1], at_the_top(x_t, t)[1]])
        eps = my_wishes(given, all_four(x_t, t)[1], np.array([[right], [top]]) * np.ones(len(x_t)))
        return diffusion.x_0_from_eps(x_t, t, eps), eps

    return last(ddim(predict, diffusion, x_T, 50))


asked = {"nothing": (0, 0), "right": (1, 0), "right and top": (1, 1), "right, not top": (1, -1)}
plot.point_clouds({name: wishing(*scales) for name, scales in asked.items()}, reach=4)

# %% [markdown]
# In these data the two words are independent: whether a point is at the top does not depend on whether it is on the
# right. Then s = 1 and 1 is exact. Look at the last panel: does a push away from "top" end where "bottom" is?
#
# ## Problem 2 · A tilted bell (derive)
#
# Guidance is often said to draw from $q(x)\, p(y \mid x)^s$, scaled so that it sums to 1. You know from notebook 21 that
# it does not. But what is that density? Let all data be normal, $q = \mathcal{N}(m, v)$, and the class too, $q_y =
# \mathcal{N}(m_y, v_y)$, in one dimension. By Bayes' rule $p(y \mid x)$ is $q_y(x) / q(x)$, but for a constant.
#
# **Derive it:** the tilted density is a bell again. Which? Every argument but s is an array, (D,): a bell for each of D
# numbers. (In the checks, such a density exists: what you find for one over its variance is above 0.)


# %%
def my_tilted(mean_all, variance_all, mean_class, variance_class, scale):
    """Return the mean and the variance of the tilted density, each (D,)."""
    ### BEGIN SOLUTION
    a, b = (1 - scale) / variance_all, scale / variance_class
    variance = 1 / (a + b)
    return variance * (a * mean_all + b * mean_class), variance
    ### END SOLUTION


# %%
my_tilted = problems.TILTED.check(my_tilted)

# %% [markdown]
# And what does guidance draw? Both bells' predictions are lines in $x_t$, so DDIM takes a bell to a bell, and two numbers
# say all. Below, s = 3. Which of the two is further from the class, and which is narrower?

# %%
m, v, m_y, v_y, s = (np.array([value]) for value in (0.0, 1.0, 1.0, 0.4, 3.0))
everything, the_class = (
    GaussianMixture(diffusion, [1.0], mean[None], var).predict for mean, var in ((m, v), (m_y, v_y))
)


def beyond(x_t, t, context=None):
    """Return the guided prediction at s = 3."""
    return tuple(n + s[0] * (g - n) for g, n in zip(the_class(x_t, t), everything(x_t, t), strict=True))


ends = last(ddim(beyond, diffusion, rng.standard_normal((4000, 1)), 200))[:, 0]
x = np.linspace(-3, 5, 801)


def bell(mean, variance):
    """Return a normal density on the grid."""
    return np.exp(-((x - mean) ** 2) / (2 * variance)) / (2 * np.pi * variance) ** 0.5


tilted = [value[0] for value in my_tilted(m, v, m_y, v_y, s[0])]
print(
    f"the class {m_y[0]:.2f}, {v_y[0]:.2f}; tilted {tilted[0]:.2f}, {tilted[1]:.2f}; drawn {ends.mean():.2f}, {ends.var():.2f}"
)
plot.bells(x, {"the class": bell(m_y[0], v_y[0]), "tilted": bell(*tilted), "drawn": bell(ends.mean(), ends.var())})

# %% [markdown]
# ## Problem 3 · A wish that is no class (derive)
#
# "The sum of these two numbers should be 1" is no class, and no classifier was ever trained for it. But all that guidance
# needs is the gradient of a log-probability. Let a *meter* read $c = w \cdot x_0 + \text{error}$, where the error is
# normal with mean 0 and variance $\sigma^2$. Data are independent normal numbers: $x_{0,d}$ has the mean $m_d$ and the
# variance $v_d$. From notebook 02 you know what is left open when $x_t$ is seen: the numbers are still independent and
# normal, with
#
# $$\hat x_{0,d} = m_d + k_d \left(x_{t,d} - \sqrt{\bar\alpha}\, m_d\right), \qquad
#   k_d = \frac{\sqrt{\bar\alpha}\, v_d}{\bar\alpha\, v_d + 1 - \bar\alpha}, \qquad
#   u_d = \frac{v_d\, (1 - \bar\alpha)}{\bar\alpha\, v_d + 1 - \bar\alpha} ,$$
#
# their means and their variances.
#
# **Derive it:** the gradient of $\log p(c \mid x_t)$ in $x_t$. First say which distribution c has, given $x_t$. `x_t` is
# (N, D), `wish` is c for each sample, (N,); `mean`, `variance` and `w` are (D,); `alpha_bar` and `error` are numbers, and
# `error` is $\sigma^2$, the variance itself.


# %%
def my_measured(x_t, alpha_bar, mean, variance, w, wish, error):
    """Return the gradient of log p(c | x_t) in x_t, shape (N, D)."""
    ### BEGIN SOLUTION
    spread = alpha_bar * variance + 1 - alpha_bar
    k = alpha_bar**0.5 * variance / spread
    u = variance * (1 - alpha_bar) / spread
    x_0_hat = mean + k * (x_t - alpha_bar**0.5 * mean)
    miss = (wish - x_0_hat @ w) / (error + (w**2 * u).sum())
    return miss[:, None] * w * k
    ### END SOLUTION


# %%
my_measured = problems.MEASURED.check(my_measured)

# %% [markdown]
# With it, points are drawn on a line that nobody told the network of. (The second panel is $x_1 + x_2 = 1$, the third
# $x_1 - 2 x_2 = 0.5$.) Where the data are wide they stay wide: the meter takes away one direction, and not the other.

# %%
mean, variance = np.array([0.3, -0.2]), np.array([1.0, 0.25])
cloud = GaussianMixture(diffusion, [1.0], mean[None], [variance])


def on_a_line(w, wish):
    """Return points that are drawn with a meter's wish."""
    w = np.array(w)

    def slope(x_t, t, context=None):
        return my_measured(x_t, diffusion.alpha_bar[t[0]], mean, variance, w, np.full(len(x_t), wish), 1e-3)

    guided = classifier_guidance(cloud.predict, diffusion, slope)
    points = last(ddim(guided, diffusion, x_T, 200))
    print(
        f"the meter reads {(points @ w).mean():.2f} on average (asked for {wish}), give or take {(points @ w).std():.2f}"
    )
    return points


plot.point_clouds(
    {
        "no wish": last(ddim(cloud.predict, diffusion, x_T, 200)),
        "sum 1": on_a_line([1.0, 1.0], 1.0),
        "another line": on_a_line([1.0, -2.0], 0.5),
    },
    reach=3,
)

# %% [markdown]
# ## Problem 4 · It does not listen (debug)
#
# A whole guided chain, deterministic DDIM with an interval. `given(x, t)` and `nothing(x, t)` return the noise that the
# network predicts, told and untold; `alpha_bar[t]` is the table, `times` falls from the first time to the last, and the
# chain ends at the last. Guidance acts where the step *starts* at a time in low < t <= high; at all other times it should
# be as if nobody had ever spoken of guidance.
#
# Its author took s = 2, guided at 600 < t <= 900 alone, and found that more than a quarter of the points are in the wrong
# cloud, although the network that is told, without any guidance, hardly ever errs. "So intervals do not work", he wrote.
# The second cell shows the share of the right ones. Find his fault.


# %%
def my_chain(given, nothing, alpha_bar, times, x_T, scale, low, high):
    """Return the sample at the last of the times, of the shape of x_T."""
    x = x_T
    for t, s in pairwise(times):
        ### BEGIN SOLUTION
        strength = scale if low < t <= high else 1.0
        ### INSTEAD
        strength = scale if low < t <= high else 0.0
        ### END SOLUTION
        eps = nothing(x, t) + strength * (given(x, t) - nothing(x, t))
        x_0_hat = (x - (1 - alpha_bar[t]) ** 0.5 * eps) / alpha_bar[t] ** 0.5
        x = alpha_bar[s] ** 0.5 * x_0_hat + (1 - alpha_bar[s]) ** 0.5 * eps
    return x


# %%
centres = np.array([[-1.0, -0.6], [1.0, -0.6], [0.0, 1.0]])
TOP, WIDTH = 2, 0.12
three = GaussianMixture(diffusion, [0.5, 0.3, 0.2], centres, [WIDTH] * 3)


def told(x, t):
    """Return the noise that a good network predicts, told "top"."""
    return three.components[TOP].predict(x, t)[1]


def untold(x, t):
    """Return the noise that it predicts, told nothing."""
    return three.predict(x, t)[1]


times = np.linspace(1000, 0, 51).astype(int)
points = my_chain(told, untold, diffusion.alpha_bar, times, x_T, 2.0, 600, 900)
nearest = ((points[:, None] - centres) ** 2).sum(axis=-1).argmin(axis=1)
print(f"{(nearest == TOP).mean():.0%} of the points are nearest to the cloud that was asked for")

# %%
my_chain = problems.CHAIN.check(my_chain)

# %% [markdown]
# ## Problem 5 · What does a pull cost? (explore)
#
# In notebook 20 "variety" fell as s grew. But most of that was wrong digits that disappeared from the columns, and no cost
# at all. A good measurement keeps these things apart. For each scale:
#
# - `share`: of all points drawn, those that are nearest to the centre `centres[wanted]`. Call these *its own*;
# - `spread`: of its own points alone, the standard deviation about *their own* mean, over both coordinates together (the
#   root of the mean of all squares, divided by the number of numbers; NumPy's default);
# - `off`: how far the mean of its own points lies from `centres[wanted]`.
#
# Where no point is its own, spread and off are 0.
#
# **Write the experiment:** `draw(scale)` returns points, (N, 2); `centres` is (K, 2), `wanted` a number of one of them,
# `scales` a list.


# %%
def my_cost(draw, centres, wanted, scales):
    """Return share, spread and off, each an array with a number for each scale."""
    ### BEGIN SOLUTION
    found = []
    for scale in scales:
        points = draw(scale)
        nearest = ((points[:, None] - centres) ** 2).sum(axis=-1).argmin(axis=1)
        own = points[nearest == wanted]
        if len(own) == 0:
            found.append((0.0, 0.0, 0.0))
            continue
        middle = own.mean(axis=0)
        off = ((middle - centres[wanted]) ** 2).sum() ** 0.5
        found.append((len(own) / len(points), ((own - middle) ** 2).mean() ** 0.5, off))
    return tuple(np.array(found).T)
    ### END SOLUTION


# %%
my_cost = problems.COST.check(my_cost)

# %% [markdown]
# A network is never perfect. Take one that confuses: told "top", it thinks of clouds that are wider than they are, and now
# and then of another cloud. With it, s = 1 does not obey:


# %%
blurred = GaussianMixture(diffusion, [0.1, 0.1, 0.8], centres, [0.3, 0.3, 0.3])


def vaguely(x, t):
    """Return the noise that a poor network predicts, told "top"."""
    return blurred.predict(x, t)[1]


def drawn(scale, low=0, high=1000):
    """Return points, drawn with guidance of the poor network in an interval."""
    return my_chain(vaguely, untold, diffusion.alpha_bar, times, x_T, scale, low, high)


scales = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0]
share, spread, off = my_cost(drawn, centres, TOP, scales)
for row in zip(scales, share, spread, off, strict=True):
    print(
        "s = {:3.1f}: share {:4.0%}, spread {:.2f} (the cloud has {:.2f}), off by {:.2f}".format(
            *row[:3], WIDTH**0.5, row[3]
        )
    )

# %% [markdown]
# ## Problem 6 · When to guide (an open experiment, to hand in)
#
# At which times is guidance worth its cost? The cell below works as it stands: for three intervals it draws what a scale
# buys (points that obey) against what it costs (how far they go astray). **Change it**: find an interval that obeys as well
# as guidance at all times does, and costs less; or find that there is none. You may take other clouds (nearer, or of
# unequal weights), another confusion of the network, other scales, or measure the cost by the spread.
#
# **Hand in** the picture and three sentences: what you compared, what you found, and what speaks against it. It is judged
# by these:
#
# 1. It compares like with like: the same noise, the same network, and points that obey *equally well*.
# 2. Its axes say what they measure, and the share, the spread and the distance are kept apart.
# 3. The sentences say what the picture shows, also where it is not what you expected.
# 4. It says how sure it is: with 400 points, a share of 90 % is known to within 3 points (two standard errors); draw with
#    another x_T and see.

# %% tags=["hand-in"]
intervals = {"at all times": (0, 1000), "t > 500": (500, 1000), "t <= 500": (0, 500)}
scales = [1.0, 1.5, 2.0, 3.0, 4.0, 6.0]
lines = {}
for name, (low, high) in intervals.items():
    share, spread, off = my_cost(lambda scale, low=low, high=high: drawn(scale, low, high), centres, TOP, scales)
    lines[f"obey, {name}"], lines[f"off, {name}"] = share, off
    print(f"{name:<13}", "  ".join(f"s = {s:g}: {a:.0%}, {b:.2f}" for s, a, b in zip(scales, share, off, strict=True)))
plot.curves(np.array(scales), lines, "scale s", "share that obeys, and distance gone astray", "When to guide")

# %% [markdown]
# **Next:** a wish in words must be read before it can be followed:
# [22 · Tokens and the Transformer](22_tokens_and_the_transformer.ipynb).
