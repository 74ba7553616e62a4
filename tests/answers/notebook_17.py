"""Answers to the exercises of notebook 17."""

from itertools import pairwise

import numpy as np

from tinydiff.diffusion import Gaussian, GaussianPath, bend, ddim, last, straight_schedule

PATH = GaussianPath(straight_schedule(840), "straight")  # 840 can be divided by 3, 5 and 8


def predict_of(velocity):
    def predict(x, t, context):
        b = float(t[0]) / 840
        u = velocity(x, b)
        return x - b * u, x + (1 - b) * u

    return predict


def library_target(velocity, x, b, d):
    x_s = last(ddim(predict_of(velocity), PATH, x, [840 * b, 840 * (b - d)], end=840 * (b - 2 * d)))
    return (x - x_s) / (2 * d)


def library_limit(S, N):
    return float(last(ddim(Gaussian(PATH, np.zeros(1), S).predict, PATH, np.ones((1, 1)), N))[0, 0])


def library_bend(velocity, x_1, times):
    return bend(predict_of(velocity), PATH, x_1, [840 * b for b in times[:-1]])


def by_solving(x_t, x_s, a_t, b_t, a_s, b_s):
    x_0, eps = np.linalg.solve([[a_t, b_t], [a_s, b_s]], np.stack([x_t.ravel(), x_s.ravel()]))
    return x_0.reshape(x_t.shape), eps.reshape(x_t.shape)


def by_walking(velocity, x, b, d):
    end = x - d * velocity(x, b)
    end = end - d * velocity(end, b - d)
    return (x - end) / (2 * d)


def by_product(S, N):
    b = np.arange(N, 0, -1) / N
    return np.prod(1 - (b - (1 - b) * S) / ((1 - b) ** 2 * S + b**2) / N)


def by_integral(velocity, x_1, times):
    """E (u - way)^2 = E u^2 - way^2, since the mean of u is the way."""
    x, squares = np.array(x_1, dtype=float), 0.0
    for b, after in pairwise(times):
        u = velocity(x, b)
        squares, x = squares + (b - after) * u**2, x - (b - after) * u
    return (squares - (x_1 - x) ** 2).mean()


LIBRARY = {
    "GUESS": "the library takes times, and looks the scales up.",
    "TARGET": library_target,
    "LIMIT": library_limit,
    "BEND": library_bend,
    "EARLIER": "the library takes and returns times.",
    "RATIO": "the library trains; it has no formula for what a linear denoiser learns.",
}
RIGHT = {
    "GUESS": {
        "by solving": by_solving,
        "x_0 first, then eps from it": lambda x_t, x_s, a_t, b_t, a_s, b_s: (
            (x_0 := (x_s / b_t - b_s * x_t / b_t**2) / (a_s / b_t - a_t * b_s / b_t**2)),
            (x_t - a_t * x_0) / b_t,
        ),
    },
    "TARGET": {"by walking": by_walking, "in float32": lambda v, x, b, d: by_walking(v, x, b, d).astype(np.float32)},
    "LIMIT": {"a product": by_product, "in float32": lambda S, N: np.float32(by_product(S, N))},
    "BEND": {
        "as a variance": by_integral,
        "in float32": lambda v, x, times: np.float32(by_integral(v, x, times)),
    },
    "EARLIER": {
        "by a sigmoid": lambda sigma, k: np.clip(
            sigma - sigma / 2**k * (1 + 8 * np.exp(-sigma) / (1 + np.exp(-sigma))), 0, None
        ),
        "where": lambda sigma, k: np.where(
            2**k > 1 + 8 / (1 + np.exp(sigma)), sigma * (1 - (1 + 8 / (1 + np.exp(sigma))) / 2**k), 0
        ),
    },
    "RATIO": {
        "less a difference": lambda S, r, t: 1 - t * (t - r) / (S + t**2),
        "by the conditional means": lambda S, r, t: S / (S + t * t) + r * t / (S + t * t),
    },
}
WRONG = {
    "GUESS": {
        "as if s were clean": lambda x_t, x_s, a_t, b_t, a_s, b_s: (x_s, (x_t - a_t * x_s) / b_t),
        "the difference": lambda x_t, x_s, a_t, b_t, a_s, b_s: (x_s - x_t, x_t - x_s),
        "noise of s": lambda x_t, x_s, a_t, b_t, a_s, b_s: (
            by_solving(x_t, x_s, a_t, b_t, a_s, b_s)[0],
            x_s - a_s * x_t,
        ),
    },
    "TARGET": {
        "the way": lambda v, x, b, d: by_walking(v, x, b, d) * 2 * d,
        "the middle": lambda v, x, b, d: v(x - d / 2 * v(x, b), b - d / 2),
        "one third": lambda v, x, b, d: (v(x, b) + 2 * v(x - d * v(x, b), b - d)) / 3,
    },
    "LIMIT": {
        "one step less": lambda S, N: by_product(S, N + 1),
        "S": lambda S, N: S,
        "the mean": lambda S, N: 0.0 * S,
    },
    "BEND": {
        "without the way": lambda v, x, times: library_bend(v, x, times) + 1,
        "half": lambda v, x, times: 0.5 * library_bend(v, x, times),
        "the root": lambda v, x, times: library_bend(v, x, times) ** 0.5,
    },
    "EARLIER": {
        "half of it": lambda sigma, k: sigma / 2,
        "without 8 / (1 + e^sigma)": lambda sigma, k: sigma * (1 - 2.0**-k),
        "one stage later": lambda sigma, k: np.maximum(
            0, sigma * (1 - 2.0 ** (-k - 1) * (1 + 8 / (1 + np.exp(sigma))))
        ),
    },
    "RATIO": {
        "upside down": lambda S, r, t: (S + t**2) / (S + r * t),
        "the sigmas": lambda S, r, t: r / t + 0 * S,
        "without S below": lambda S, r, t: (S + r * t) / t**2,
    },
}
