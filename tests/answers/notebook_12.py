"""Answers to the exercises of notebook 12."""

import math

import numpy as np

from tinydiff.diffusion import (
    TARGETS,
    GaussianDiffusion,
    cosine_schedule,
    loss_weight,
    zero_terminal_snr,
)


def cosine_one_by_one(T, s):
    return [
        math.cos((t / T + s) / (1 + s) * math.pi / 2) ** 2 / math.cos(s / (1 + s) * math.pi / 2) ** 2
        for t in range(T + 1)
    ]


def cosine_by_double_angle(T, s):
    f = 1 + np.cos((np.linspace(0, 1, T + 1) + s) / (1 + s) * np.pi)
    return (f / f[0]).astype(np.float32)


def library_betas(alpha_bar, times):
    diffusion = GaussianDiffusion(alpha_bar)
    return [diffusion.beta(t, s) for t, s in zip(times, [*times[1:], 0], strict=True)]


def betas_of_products(alpha_bar, times):
    keeps = alpha_bar[1:] / alpha_bar[:-1]
    return np.array([1 - np.prod(keeps[s:t]) for t, s in zip(times, [*times[1:], 0], strict=True)])


def turn_by_matrix(x_t, v, alpha_bar):
    angle = np.arccos(np.sqrt(alpha_bar))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return tuple(np.tensordot(turn, np.stack([x_t, v]), 1))


def library_turn(x_t, v, alpha_bar):
    diffusion = GaussianDiffusion(np.array([1.0, alpha_bar]))
    return diffusion.x_0_from_v(x_t, 1, v), diffusion.eps_from_v(x_t, 1, v)


def dark_by_interpolation(alpha_bar):
    root = np.sqrt(alpha_bar[1:])
    return np.append(1, (root[0] * (root - root[-1]) / (root[0] - root[-1])) ** 2).astype(np.float32)


def library_precondition(sigma, data):
    if data != 0.5:  # the library's is fixed; in other units it is the same
        c_skip, c_out = library_precondition(sigma * 0.5 / data, 0.5)
        return c_skip, c_out * data / 0.5
    found = []
    for one in sigma:
        diffusion = GaussianDiffusion(np.array([1.0, 1 / (1 + one**2)]))
        x = np.ones(1)
        (c_skip,), _ = TARGETS["edm"].x_0_and_eps(diffusion, x / (1 + one**2) ** 0.5, 1, 0 * x)
        (c_out,), _ = TARGETS["edm"].x_0_and_eps(diffusion, 0 * x, 1, x)
        found.append((c_skip, c_out))
    return tuple(np.array(found).T)


def precondition_by_search(sigma, data):
    """Least squares: c_skip is the slope of x_0 on y, c_out the rest."""
    c_skip = 1 / (1 + (sigma / data) ** 2)
    return c_skip, data * np.sqrt(1 - c_skip)


def library_weight(snr, gamma):
    alpha_bar = snr / (1 + snr)
    order = np.argsort(-alpha_bar)
    diffusion = GaussianDiffusion(np.append(1, alpha_bar[order]))
    found = loss_weight("min-snr", "v", diffusion, np.arange(1, len(snr) + 1), gamma)
    return found[np.argsort(order)]


LIBRARY = {
    "COSINE": lambda T, s: cosine_schedule(T, s, max_beta=1),
    "LONG_STEPS": library_betas,
    "TURN": library_turn,
    "ZERO_END": zero_terminal_snr,
    "PRECONDITION": library_precondition,
    "MIN_SNR": library_weight,
}
RIGHT = {
    "COSINE": {"one by one": cosine_one_by_one, "double angle, float32": cosine_by_double_angle},
    "LONG_STEPS": {
        "products": betas_of_products,
        "a list": lambda alpha_bar, times: [
            float((alpha_bar[s] - alpha_bar[t]) / alpha_bar[s]) for t, s in zip(times, [*times[1:], 0], strict=True)
        ],
    },
    "TURN": {
        "matrix": turn_by_matrix,
        "float32": lambda x_t, v, alpha_bar: [part.astype(np.float32) for part in turn_by_matrix(x_t, v, alpha_bar)],
    },
    "ZERO_END": {
        "float32": dark_by_interpolation,
        "a list": lambda alpha_bar: dark_by_interpolation(alpha_bar).tolist(),
    },
    "PRECONDITION": {
        "by regression": precondition_by_search,
        "float32": lambda sigma, data: [c.astype(np.float32) for c in precondition_by_search(sigma, data)],
    },
    "MIN_SNR": {
        "where": lambda snr, gamma: np.where(snr < gamma, snr, gamma) / (1 + snr),
        "by alpha_bar": lambda snr, gamma: np.minimum(snr / (snr + 1), gamma / (snr + 1)).astype(np.float32),
    },
}
WRONG = {
    "COSINE": {
        "sine": lambda T, s: 1 - cosine_by_double_angle(T, s),
        "without the first": lambda T, s: cosine_by_double_angle(T, s)[1:],
        "root": lambda T, s: cosine_by_double_angle(T, s) ** 0.25,
        "betas": lambda T, s: np.append(0, 1 - cosine_by_double_angle(T, s)[1:] / cosine_by_double_angle(T, s)[:-1]),
    },
    "LONG_STEPS": {
        "kept": lambda alpha_bar, times: 1 - betas_of_products(alpha_bar, times),
        "upside down": lambda alpha_bar, times: betas_of_products(alpha_bar, times)[::-1],
        "root": lambda alpha_bar, times: betas_of_products(alpha_bar, times) ** 0.5,
        "beta-tilde": lambda alpha_bar, times: np.array(
            [
                (1 - alpha_bar[s]) / (1 - alpha_bar[t]) * (1 - alpha_bar[t] / alpha_bar[s])
                for t, s in zip(times, [*times[1:], 0], strict=True)
            ]
        ),
    },
    "TURN": {
        "order": lambda x_t, v, alpha_bar: turn_by_matrix(x_t, v, alpha_bar)[::-1],
        "as eps": lambda x_t, v, alpha_bar: ((x_t - (1 - alpha_bar) ** 0.5 * v) / alpha_bar**0.5, v),
        "forward": lambda x_t, v, alpha_bar: turn_by_matrix(x_t, -v, alpha_bar),
        "flow": lambda x_t, v, alpha_bar: (x_t - (1 - alpha_bar) ** 0.5 * v, x_t + alpha_bar**0.5 * v),
    },
    "ZERO_END": {
        "as it was": lambda alpha_bar: alpha_bar,
        "with t = 0": lambda alpha_bar: ((alpha_bar**0.5 - alpha_bar[-1] ** 0.5) / (1 - alpha_bar[-1] ** 0.5)) ** 2,
        "without t = 0": lambda alpha_bar: dark_by_interpolation(alpha_bar)[1:],
        "stretched by a square": lambda alpha_bar: np.append(
            1, (alpha_bar[1:] ** 0.5 - alpha_bar[-1] ** 0.5) ** 2 * (1 / (1 - alpha_bar[-1] ** 0.5)) ** 2
        ),
    },
    "PRECONDITION": {
        "order": lambda sigma, data: precondition_by_search(sigma, data)[::-1],
        "for eps": lambda sigma, data: (np.ones_like(sigma), sigma),
        "c_in": lambda sigma, data: (precondition_by_search(sigma, data)[0], 1 / (sigma**2 + data**2) ** 0.5),
        "data 1": lambda sigma, data: precondition_by_search(sigma, 1.0),
    },
    "MIN_SNR": {
        "no limit": lambda snr, gamma: snr / (snr + 1),
        "gamma alone": lambda snr, gamma: gamma / (snr + 1),
        "soft": lambda snr, gamma: snr * gamma / (snr + gamma) / (snr + 1),
        "gamma 5": lambda snr, gamma: np.minimum(snr, 5) / (snr + 1),
    },
}
