"""Exercises of notebook 14: levels, strata, several chains, the flow's density, the bound's integral, and times."""

import math
from functools import partial

import numpy as np

from tinydiff.course.exercise import Exercise

_RNG = np.random.default_rng(14)


def _below(z):
    return np.vectorize(lambda one: math.erfc(-one / 2**0.5) / 2)(z)


def _level(x_0, mean, sigma, levels, tails=True, half=lambda n: 1 / (n - 1), unit=1.0, spread=lambda s: s):
    width, sigma = half(levels), spread(sigma)
    low, high = _below((x_0 - width - mean) / sigma), _below((x_0 + width - mean) / sigma)
    if tails:
        edge = 1 / (levels - 1)
        low, high = np.where(x_0 < edge - 1, 0, low), np.where(x_0 > 1 - edge, 1, high)
    return -np.log(high - low) / unit


def _by_density(x_0, mean, sigma, levels):
    density = np.exp(-((x_0 - mean) ** 2) / (2 * sigma**2)) / (2 * np.pi) ** 0.5 / sigma
    return -np.log(density * 2 / (levels - 1))


LEVEL = Exercise(
    grade="transcribe",
    reference=_level,
    cases=[
        (np.array([-1.0, -3 / 7, 1 / 7, 1.0]), np.array([-0.8, -0.3, 0.5, 0.9]), 0.3, 8),
        (np.linspace(-1, 1, 5).reshape(5, 1), np.array([[0.2], [-0.3], [0.1], [0.4], [-0.2]]), 0.7, 5),
        (np.array([-1.0, 1.0, 0.2]), np.array([0.1, 0.3, 0.05]), 0.4, 16),
    ],
    returns=["nats"],
    mistakes={
        "the lowest level gets all below it, and the highest all above it: the probabilities must add to 1.": (
            partial(_level, tails=False)
        ),
        "that is the density times the width of the cell; it is not flat there: integrate.": _by_density,
        "the cell is too small: n levels have n - 1 gaps, so half a cell is 1 / (n - 1).": (
            partial(_level, half=lambda n: 1 / n)
        ),
        "the cell ends in the middle to the neighbour, not at the neighbour.": partial(
            _level, half=lambda n: 2 / (n - 1)
        ),
        "that is in bits; nats are asked for.": partial(_level, unit=math.log(2)),
        "that divides by the variance; distances are counted in sigmas.": partial(_level, spread=lambda s: s**2),
    },
    hints=[
        "How much of N(mean, sigma^2) lies below the upper end of the cell, how much below its lower end?",
        "The ends are x_0 - 1 / (levels - 1) and x_0 + 1 / (levels - 1); below(z) wants them less the mean, in sigmas.",
        "`low = np.where(x_0 < half - 1, 0, below((x_0 - half - mean) / sigma))`, so high, and `-np.log(high - low)`.",
    ],
    praise="A density became probabilities that add to 1.",
)


def _estimate(prices, p, u, strata=True, over=lambda p, K, T: K * p, at=lambda u: u, table=np.cumsum):
    K = len(u)
    places = (np.arange(K) + at(u)) / K if strata else u
    drawn = np.minimum(np.searchsorted(table(p), places, side="right"), len(p) - 1)
    return (prices[drawn] / over(p[drawn], K, len(p))).sum()


def _prices(T):
    p = _RNG.uniform(0.2, 1, T)
    return _RNG.uniform(0.5, 3, T), p / p.sum()


STRATA = Exercise(
    grade="derive",
    reference=_estimate,
    cases=[
        (*_prices(9), np.array([0.31, 0.83, 0.12])),
        (*_prices(23), np.array([0.94, 0.07, 0.55, 0.71, 0.22])),
        (*_prices(12), np.array([0.67])),
    ],
    returns=["estimate"],
    mistakes={
        "that draws all steps anywhere; the k-th place should lie in the k-th stratum.": partial(
            _estimate, strata=False
        ),
        "a price stands for others as far as it is rarely drawn: divide it by its p.": (
            partial(_estimate, over=lambda p, K, T: K / T)
        ),
        "that is K times too large: K steps are drawn, and each stands for a K-th.": (
            partial(_estimate, over=lambda p, K, T: p)
        ),
        "that always takes the middle of a stratum; u says where in it.": partial(_estimate, at=lambda u: 0.5 + 0 * u),
        "the step is where the running sum of p passes the place; that took the steps as evenly spaced.": (
            partial(_estimate, table=lambda p: (np.arange(len(p)) + 1) / len(p))
        ),
        "that multiplies by p; what is often drawn must count less.": partial(_estimate, over=lambda p, K, T: K / p),
    },
    hints=[
        "K places between 0 and 1, one in each K-th; then steps; then a weighted sum.",
        "The k-th place is (k + u[k]) / K, and `np.searchsorted(np.cumsum(p), places)` finds the steps.",
        "`return (prices[drawn] / (K * p[drawn])).sum()`.",
    ],
    praise="Few calls, no bias, and little variance.",
)


def _log_mean(prices, least=np.min, mean=np.mean, sign=1):
    taken = least(prices, axis=0)
    return taken - sign * np.log(mean(np.exp(taken - prices), axis=0))


CHAINS = Exercise(
    grade="derive",
    reference=_log_mean,
    cases=[
        (_RNG.uniform(0, 3, (4, 3)),),
        (20 + _RNG.uniform(-2, 2, (7, 2)),),
        (3000 + np.array([[0.0, 4.0], [2.0, -30.0], [1.0, 5.0]]),),
    ],
    returns=["price"],
    mistakes={
        "that is the mean of the prices, the bound of one chain: take the mean of exp(-price) first.": (
            lambda prices: prices.mean(axis=0)
        ),
        "that is the price of the cheapest chain alone; the others are in the mean too.": lambda p: p.min(axis=0),
        "that sums over the chains; of K chains the mean is wanted.": partial(_log_mean, mean=np.sum),
        "the logarithm has the wrong sign: the mean of exp(least - price) is below 1, and its -log above 0.": (
            partial(_log_mean, sign=-1)
        ),
        "that is the mean of exp(price): the dear chains should count least.": (
            lambda prices: prices.max(axis=0) + np.log(np.exp(prices - prices.max(axis=0)).mean(axis=0))
        ),
    },
    hints=[
        "exp(-l_k) = exp(-c) exp(c - l_k) for any c. Which c lets no number overflow, and not all be 0?",
        "The smallest price, c = min l_k: then the largest number in the mean is 1.",
        "`return least - np.log(np.exp(least - prices).mean(axis=0))`.",
    ],
    praise="The cheapest chains decide.",
)


def _density(v, slope, x, angles, sign=1, order="together", constant=True, prior="end"):
    spread, first = 0 * x, x
    for k in range(len(angles) - 1):
        h = angles[k + 1] - angles[k]
        moved = x + h * v(x, angles[k])
        spread = spread + h * slope(moved if order == "late" else x, angles[k])
        x = moved
    x = first if prior == "start" else x
    return sign * spread - x**2 / 2 - (np.log(2 * np.pi) / 2 if constant else 0)


def _wave(x, angle):
    return np.sin(2 * x) + angle * x


def _of_wave(x, angle):
    return 2 * np.cos(2 * x) + angle


def _bowl(x, angle):
    return 0.3 * x**2 - angle


def _of_bowl(x, angle):
    return 0.6 * x


FLOW = Exercise(
    grade="derive",
    reference=_density,
    cases=[
        (_wave, _of_wave, np.array([-1.1, 0.2, 0.7]), np.array([0.1, 0.5, 0.8, 1.5])),
        (_bowl, _of_bowl, np.array([0.4, -0.8, 1.3, 0.9]), np.array([0.05, 0.7, 1.1])),
        (_wave, _of_wave, np.array([0.45, -0.3]), np.array([0.2, 1.2])),
    ],
    returns=["log_p"],
    mistakes={
        "the sign of the integral is turned: where the flow spreads points, they were denser before.": (
            partial(_density, sign=-1)
        ),
        "the slope belongs to x before the step, where v is taken too.": partial(_density, order="late"),
        "the standard normal density has the constant -log(2 pi) / 2.": partial(_density, constant=False),
        "the standard normal density is that of the end of the way, not of its start.": partial(
            _density, prior="start"
        ),
        "how the flow spreads is missing: add the integral of the slope.": partial(_density, sign=0),
    },
    hints=[
        "Two sums along the same way: x by v, and the integral by the slope.",
        "In each step x and the integral change by h times their rates at the old x. At the end add log N(x; 0, 1).",
        "`x, spread = x + h * v(x, angles[k]), spread + h * slope(x, angles[k])`.",
    ],
    praise="The density is exact, but for the steps.",
)


def _integral(S, gamma_0, gamma_1, half=0.5, grown=np.exp, signs=1):
    log = np.log((S + grown(gamma_1)) / (S + grown(gamma_0)))
    return half * signs * (gamma_1 - gamma_0 - log)


INTEGRAL = Exercise(
    grade="derive",
    reference=_integral,
    cases=[(0.3, -3.0, 2.0), (1.7, -6.0, 4.0), (0.05, -2.0, 1.0)],
    returns=["nats"],
    mistakes={
        "the half of VDM-INV is missing.": partial(_integral, half=1.0),
        "the ends are exchanged: gamma grows from gamma_0 to gamma_1, and prices are above 0.": partial(
            _integral, signs=-1
        ),
        "that is half the length of the way, as if the error were 1 at all noise.": (
            lambda S, gamma_0, gamma_1: (gamma_1 - gamma_0) / 2
        ),
        "that is the integral of e^gamma / (S + e^gamma), what is left to 1.": (
            lambda S, gamma_0, gamma_1: np.log((S + np.exp(gamma_1)) / (S + np.exp(gamma_0))) / 2
        ),
        "gamma is minus the log SNR, so that e^gamma is the noise over the signal; yours is turned round.": (
            partial(_integral, grown=lambda gamma: np.exp(-gamma))
        ),
        "that takes the error at the middle for all; it falls along the way.": (
            lambda S, gamma_0, gamma_1: (gamma_1 - gamma_0) / 2 * S / (S + np.exp((gamma_0 + gamma_1) / 2))
        ),
    },
    hints=[
        "S / (S + e^g) = 1 - e^g / (S + e^g). What is the derivative of log(S + e^g)?",
        "The integral is gamma_1 - gamma_0 less the difference of log(S + e^gamma) at the two ends; and half of it.",
        "`return (gamma_1 - gamma_0 - np.log((S + np.exp(gamma_1)) / (S + np.exp(gamma_0)))) / 2`.",
    ],
    praise="Only the ends are in it.",
)


def _times(squares, power=0.5, weight=lambda p: 1 / (len(p) * p)):
    p = squares**power / (squares**power).sum()
    return p, weight(p)


TIMES = Exercise(
    grade="explore",
    reference=_times,
    cases=[(_RNG.uniform(0.1, 4, 5),), (np.array([9.0, 1.0, 0.25]),), (_RNG.uniform(0.01, 1, 8),)],
    returns=["p", "weight"],
    mistakes={
        "that is in proportion to the mean square; take its root.": partial(_times, power=1.0),
        "that draws all steps alike.": partial(_times, power=0.0),
        "the weight is 1 / (T p): for even steps it should be 1.": partial(_times, weight=lambda p: 1 / p),
        "what is drawn often must count less: divide by T p.": partial(_times, weight=lambda p: len(p) * p),
        "that draws most often where the loss is small.": partial(_times, power=-0.5),
        "without weights the mean is that of other steps than even ones.": partial(_times, weight=lambda p: 0 * p + 1),
    },
    hints=[
        "The probabilities are in proportion to a root, and add to 1.",
        "`p = squares**0.5`, divided by its sum. For even steps p is 1 / T, and the weight 1.",
        "`return p, 1 / (len(squares) * p)`.",
    ],
    praise="Where losses are large, look often, and count each look less.",
)
