"""Answers to the exercises of notebook 14."""

import itertools
import math

import numpy as np

from tinydiff.diffusion import continuous_term, level_cost, noised

SIGNS = np.array([[1.0], [1.0], [-1.0], [-1.0]]), np.array([[1.0], [-1.0], [1.0], [-1.0]])


def library_integral(S, gamma_0, gamma_1):
    """Integrate by Gauss' rule; the four signs have the squares of normal numbers in the mean."""
    nodes, weights = np.polynomial.legendre.leggauss(80)
    x_0, eps = S**0.5 * SIGNS[0], SIGNS[1]
    total = 0.0
    for node, weight in zip(nodes, weights, strict=True):
        gamma = np.full(4, gamma_0 + (node + 1) / 2 * (gamma_1 - gamma_0))
        b_squared = 1 / (1 + math.exp(-gamma[0]))
        eps_hat = b_squared**0.5 / ((1 - b_squared) * S + b_squared) * noised(x_0, gamma, eps)
        total += weight / 2 * continuous_term(eps, eps_hat, np.full(4, gamma_1 - gamma_0)).mean()
    return total


def level_by_quadrature(x_0, mean, sigma, levels):
    """Integrate the density over each cell, whose outer ends are far away."""
    found = []
    half = 1 / (levels - 1)
    for x, m in zip(x_0.ravel(), mean.ravel(), strict=True):
        low = m - 12 * sigma if x < half - 1 else x - half
        high = m + 12 * sigma if x > 1 - half else x + half
        nodes, weights = np.polynomial.legendre.leggauss(200)
        at = low + (nodes + 1) / 2 * (high - low)
        density = np.exp(-(((at - m) / sigma) ** 2) / 2) / (2 * np.pi) ** 0.5 / sigma
        found.append(-math.log(weights @ density * (high - low) / 2))
    return np.array(found).reshape(x_0.shape)


def level_by_the_other_tail(x_0, mean, sigma, levels):
    def above(z):
        return np.array([math.erfc(one / 2**0.5) / 2 for one in np.ravel(z)]).reshape(np.shape(z))

    half = 1 / (levels - 1)
    low = np.where(x_0 - half < -1, -np.inf, x_0 - half)
    high = np.where(x_0 + half > 1, np.inf, x_0 + half)
    return -np.log(above((low - mean) / sigma) - above((high - mean) / sigma))


def one_stratum_after_the_other(prices, p, u):
    total = 0.0
    for k, share in enumerate(u):
        place, t = (k + share) / len(u), 0
        while p[: t + 1].sum() < place:
            t += 1
        total += prices[t] / p[t] / len(u)
    return total


def by_comparison(prices, p, u):
    places = (np.arange(len(u)) + u) / len(u)
    drawn = (places[:, None] >= np.cumsum(p)).sum(axis=1)
    return np.mean(prices[drawn] / p[drawn])


def chains_by_logaddexp(prices):
    return math.log(len(prices)) - np.logaddexp.reduce(-prices, axis=0)


def chains_that_vanish(prices):
    with np.errstate(all="ignore"):
        return -np.log(np.exp(-prices).mean(axis=0))


def chains_one_by_one(prices):
    found = []
    for column in prices.T:
        shift = column.min()
        found.append(shift - math.log(sum(math.exp(shift - one) for one in column) / len(column)))
    return found


def flow_by_factors(v, slope, x, angles):
    """Return the log of the density by the logarithm of the spread that Euler's method adds up."""
    x, total = np.array(x), np.zeros(len(x))
    for angle, after in itertools.pairwise(angles):
        total += (after - angle) * slope(x, angle)
        x += (after - angle) * v(x, angle)
    return np.log(np.exp(-(x**2) / 2) / (2 * np.pi) ** 0.5) + total


def flow_one_by_one(v, slope, x, angles):
    found = []
    for one in x:
        total = -math.log(2 * math.pi) / 2
        for h, angle in zip(np.diff(angles), angles[:-1], strict=True):
            total += h * slope(one, angle)
            one = one + h * v(one, angle)
        found.append(total - one**2 / 2)
    return found


def flow_of_factors(v, slope, x, angles):
    """Multiply the density by what each Euler step stretches: right for short steps, and not what is asked."""
    total = 0 * x
    for angle, after in itertools.pairwise(angles):
        total = total + np.log(abs(1 + (after - angle) * slope(x, angle)) + 1e-9)
        x = x + (after - angle) * v(x, angle)
    return total - x**2 / 2 - np.log(2 * np.pi) / 2


def integral_by_sum(S, gamma_0, gamma_1):
    nodes, weights = np.polynomial.legendre.leggauss(60)
    gamma = gamma_0 + (nodes + 1) / 2 * (gamma_1 - gamma_0)
    return weights @ (S / (S + np.exp(gamma))) * (gamma_1 - gamma_0) / 4


LIBRARY = {
    "LEVEL": level_cost,
    "STRATA": "the library draws its numbers itself, and calls a model.",
    "CHAINS": "the library draws the chains whose prices these are.",
    "FLOW": "the library follows the flow by a method of order 4.",
    "INTEGRAL": library_integral,
    "TIMES": "the library draws one step in a thousand evenly, so that none is forgotten.",
}
RIGHT = {
    "LEVEL": {"by quadrature": level_by_quadrature, "by the other tail": level_by_the_other_tail},
    "STRATA": {"one after the other": one_stratum_after_the_other, "by comparison": by_comparison},
    "CHAINS": {"by logaddexp": chains_by_logaddexp, "one by one": chains_one_by_one},
    "FLOW": {"by factors": flow_by_factors, "one by one": flow_one_by_one},
    "INTEGRAL": {
        "by quadrature": integral_by_sum,
        "by the SNR": lambda S, g, h: math.log((1 + S * math.exp(-g)) / (1 + S * math.exp(-h))) / 2,
    },
    "TIMES": {
        "by a norm": lambda squares: (
            squares**0.5 / np.linalg.norm(squares**0.25) ** 2,
            (squares**0.5).mean() / squares**0.5,
        ),
        "by logarithms": lambda squares: (
            np.exp(np.log(squares) / 2) / np.exp(np.log(squares) / 2).sum(),
            (squares**0.5).sum() / len(squares) / squares**0.5,
        ),
    },
}
WRONG = {
    "LEVEL": {
        "the probability": lambda x, m, s, n: np.exp(-level_cost(x, m, s, n)),
        "the sign": lambda x, m, s, n: -level_cost(x, m, s, n),
        "one level too many": lambda x, m, s, n: level_by_quadrature(x, m, s, n + 1),
    },
    "STRATA": {
        "the mean": lambda prices, p, u: by_comparison(prices, p, u) / len(prices),
        "the sum itself": lambda prices, p, u: prices.sum(),
        "from the back": lambda prices, p, u: by_comparison(prices, p, 1 - u),
    },
    "CHAINS": {
        "the median": lambda prices: np.median(prices, axis=0),
        "half the chains": lambda prices: chains_by_logaddexp(prices[: len(prices) // 2 + 1]),
        "without taking anything out": chains_that_vanish,
        "in bits": lambda prices: chains_by_logaddexp(prices) / math.log(2),
    },
    "FLOW": {
        "one step": lambda v, s, x, angles: flow_by_factors(v, s, x, angles[[0, -1]]) * 1.01,
        "the stretch of each step": flow_of_factors,
        "the density": lambda v, s, x, angles: np.exp(flow_by_factors(v, s, x, angles)),
    },
    "INTEGRAL": {
        "of a square": lambda S, g, h: integral_by_sum(S**2, g, h),
        "in bits": lambda S, g, h: integral_by_sum(S, g, h) / math.log(2),
        "from 0": lambda S, g, h: integral_by_sum(S, 0.0, h),
    },
    "TIMES": {
        "by logarithm": lambda squares: (np.log1p(squares) / np.log1p(squares).sum(), 1 / squares),
        "the weights are scaled to 1": lambda squares: (
            squares**0.5 / (squares**0.5).sum(),
            squares**-0.5 / (squares**-0.5).sum(),
        ),
        "in the other order": lambda squares: (
            (squares**0.5).mean() / squares**0.5,
            squares**0.5 / (squares**0.5).sum(),
        ),
    },
}
