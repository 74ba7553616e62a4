"""Answers to the exercises of notebook 03."""

import numpy as np

from tinydiff.diffusion import GaussianDiffusion


def process(alpha_bar_s, alpha_bar_t):
    return GaussianDiffusion(np.array([1.0, alpha_bar_s, alpha_bar_t]))  # two steps, to s and then to t


def posterior(x_0, x_t, s, t):
    return process(s, t).posterior_mean(x_0, x_t, 2), process(s, t).posterior_variance(2)


def simplified(x_0, x_t, s, t):
    alpha = t / s
    mean = (s**0.5 * (1 - alpha) * x_0 + alpha**0.5 * (1 - s) * x_t) / (1 - t)
    return mean, (1 - s) / (1 - t) * (1 - alpha)


def through_x_0(x_t, eps, s, t):
    return simplified((x_t - (1 - t) ** 0.5 * eps) / t**0.5, x_t, s, t)[0]


def with_trapezoids(x, density, x_t, alpha):
    joint = density * np.exp(-((x_t - np.sqrt(alpha) * x) ** 2) / (2 * (1 - alpha))) / np.sqrt(2 * np.pi * (1 - alpha))
    area = np.trapezoid(joint, x)
    mean = np.trapezoid(x * joint, x) / area
    return mean, np.trapezoid(x**2 * joint, x) / area - mean**2


def in_a_loop(x, density, x_t, alpha):
    total = first = second = 0.0
    for one, q in zip(x, density, strict=True):
        w = q * np.exp(-((x_t - alpha**0.5 * one) ** 2) / 2 / (1 - alpha))
        total, first, second = total + w, first + w * one, second + w * one * one
    return [first / total, second / total - (first / total) ** 2]


def not_scaled(x, density, x_t, alpha):
    weight = density * np.exp(-((x_t - alpha**0.5 * x) ** 2) / (2 * (1 - alpha)))
    mean = (weight * x).sum()
    return mean, (weight * (x - mean) ** 2).sum()


LIBRARY = {
    "POSTERIOR": posterior,
    "FROM_EPS": lambda x_t, eps, s, t: process(s, t).posterior_mean_from_eps(x_t, 2, eps),
    "STEP_BACK": "the library does not take Bayes' rule on a grid.",
}
RIGHT = {
    "POSTERIOR": {
        "simplified": simplified,
        "float32": lambda x_0, x_t, s, t: [
            np.float32(one) for one in simplified(x_0.astype(np.float32), x_t.astype(np.float32), s, t)
        ],
        "weights of witnesses": lambda x_0, x_t, s, t: (
            np.average([s**0.5 * x_0, x_t / (t / s) ** 0.5], axis=0, weights=[1 / (1 - s), (t / s) / (1 - t / s)]),
            1 / (1 / (1 - s) + (t / s) / (1 - t / s)),
        ),
    },
    "FROM_EPS": {
        "through x_0": through_x_0,
        "two fractions": lambda x_t, eps, s, t: np.sqrt(s / t) * x_t - np.sqrt(s / t / (1 - t)) * (1 - t / s) * eps,
        "float32": lambda x_t, eps, s, t: through_x_0(x_t.astype(np.float32), eps, s, t).tolist(),
    },
    "STEP_BACK": {"trapezoids": with_trapezoids, "a loop": in_a_loop},
}
WRONG = {
    "POSTERIOR": {
        "mean of both witnesses": lambda x_0, x_t, s, t: (
            (s**0.5 * x_0 + x_t / (t / s) ** 0.5) / 2,
            simplified(x_0, x_t, s, t)[1],
        ),
        "alpha_bar_t in place of alpha": lambda x_0, x_t, s, t: simplified(x_0, x_t, s, s * t),
        "s and t swapped": lambda x_0, x_t, s, t: simplified(x_0, x_t, t, s),
        "noise of s below": lambda x_0, x_t, s, t: (
            simplified(x_0, x_t, s, t)[0] * (1 - t) / (1 - s),
            simplified(x_0, x_t, s, t)[1],
        ),
        "only the first image": lambda x_0, x_t, s, t: simplified(x_0[:1] + 0 * x_0, x_t, s, t),
        "order": lambda *args: simplified(*args)[::-1],
        "variances added": lambda x_0, x_t, s, t: (simplified(x_0, x_t, s, t)[0], (1 - s) + (1 - t / s)),
        "variance at s": lambda x_0, x_t, s, t: (simplified(x_0, x_t, s, t)[0], 1 - s),
        "variance twice": lambda *args: (simplified(*args)[0], 2 * simplified(*args)[1]),
    },
    "FROM_EPS": {
        "noise of s": lambda x_t, eps, s, t: (x_t - (1 - t / s) / (1 - s) ** 0.5 * eps) / (t / s) ** 0.5,
        "alpha for beta": lambda x_t, eps, s, t: (x_t - (t / s) / (1 - t) ** 0.5 * eps) / (t / s) ** 0.5,
        "noise outside": lambda x_t, eps, s, t: x_t / (t / s) ** 0.5 - (1 - t / s) / (1 - t) ** 0.5 * eps,
        "multiplied": lambda x_t, eps, s, t: (x_t - (1 - t / s) / (1 - t) ** 0.5 * eps) * (t / s) ** 0.5,
        "undone by alpha_bar": lambda x_t, eps, s, t: (x_t - (1 - t / s) / (1 - t) ** 0.5 * eps) / t**0.5,
        "no noise": lambda x_t, eps, s, t: x_t / (t / s) ** 0.5,
    },
    "STEP_BACK": {
        "not scaled": not_scaled,
        "most likely": lambda x, q, x_t, alpha: (
            x[(q * np.exp(-((x_t - alpha**0.5 * x) ** 2) / (2 * (1 - alpha)))).argmax()],
            in_a_loop(x, q, x_t, alpha)[1],
        ),
        "forwards": lambda x, q, x_t, alpha: in_a_loop(alpha**0.5 * x, q, x_t, 1 - alpha),
        "alpha for beta": lambda x, q, x_t, alpha: in_a_loop(
            x, q * np.exp((x_t - alpha**0.5 * x) ** 2 / 2 * (1 / (1 - alpha) - 1 / alpha)), x_t, alpha
        ),
        "second moment about 0 and x_t": lambda x, q, x_t, alpha: (
            in_a_loop(x, q, x_t, alpha)[0],
            in_a_loop(x, q, x_t, alpha)[1] + (in_a_loop(x, q, x_t, alpha)[0] - x_t) ** 2,
        ),
        "the bell without data": lambda x, q, x_t, alpha: (in_a_loop(x, q, x_t, alpha)[0], (1 - alpha) / alpha),
    },
}
