"""Data in two bells, on the line: the exact prediction, and where the path without fresh noise ends."""

from itertools import pairwise

import numpy as np


def a(t):
    """Return the scale of the signal at t."""
    return np.cos(np.pi * t / 2)


def b(t):
    """Return the scale of the noise at t."""
    return np.sin(np.pi * t / 2)


def predict(x, t):
    """Return the exact x_0_hat and eps_hat, for data near -1 (30 %) and near 1 (70 %)."""
    a_t, b_t = a(t), b(t)
    spread = 0.1 * a_t**2 + b_t**2
    odds = 0.7 / 0.3 * np.exp(2 * a_t * x / spread)
    share = odds / (1 + odds)
    eps_hat = b_t * ((1 - share) * (x + a_t) + share * (x - a_t)) / spread
    return (x - b_t * eps_hat) / a_t, eps_hat


def exact_end(x, first, last, steps=400):
    """Follow d(x / a) / d(b / a) = eps_hat by the method of Runge and Kutta, of order 4, in steps that grow with t."""
    times = np.linspace(first, last, steps + 1)
    z, sigma = x / a(first), b(times) / a(times)

    def slope(z, sigma):
        t = np.arctan(sigma) * 2 / np.pi
        return predict(a(t) * z, t)[1]

    for now, after in pairwise(sigma):
        h = after - now
        k_1 = slope(z, now)
        k_2 = slope(z + h / 2 * k_1, now + h / 2)
        k_3 = slope(z + h / 2 * k_2, now + h / 2)
        k_4 = slope(z + h * k_3, after)
        z = z + h / 6 * (k_1 + 2 * k_2 + 2 * k_3 + k_4)
    return a(last) * z
