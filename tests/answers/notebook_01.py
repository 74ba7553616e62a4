"""Answers to the exercises of notebook 01."""

import numpy as np

from tinydiff.diffusion import GaussianDiffusion, linear_schedule


def jump(x_s, alpha_bar_s, alpha_bar_t, eps):
    return GaussianDiffusion(np.array([1.0, alpha_bar_s * (1 - 1e-12), alpha_bar_t])).q_step(x_s, 2, eps)


def by_loop(T, beta_1, beta_T):
    table = [1.0]
    for t in range(T):
        table.append(table[-1] * (1 - beta_1 - (beta_T - beta_1) * t / max(T - 1, 1)))
    return table


LIBRARY = {
    "STEP": lambda x, beta, eps: GaussianDiffusion(np.array([1.0, 1 - beta])).q_step(x, 1, eps),
    "SCHEDULE": linear_schedule,
    "JUMP": jump,
    "WALK": "the library has no walk through given times with given noises.",
}
RIGHT = {
    "STEP": {
        "float32": lambda x, beta, eps: np.sqrt(1 - beta) * x.astype(np.float32) + np.sqrt(beta) * eps,
        "in a list": lambda x, beta, eps: (np.sqrt(1 - beta) * x + np.sqrt(beta) * eps).tolist(),
    },
    "SCHEDULE": {
        "a loop": by_loop,
        "logarithms": lambda T, a, b: np.exp(np.r_[0, np.cumsum(np.log1p(-np.linspace(a, b, T)))]),
    },
}
WRONG = {
    "STEP": {
        "noise of its own": lambda x, beta, eps: (1 - beta) ** 0.5 * x + beta**0.5 * np.random.standard_normal(x.shape),
        "one image for all": lambda x, beta, eps: (1 - beta) ** 0.5 * x[:1] + beta**0.5 * eps,
    },
    "SCHEDULE": {"one number too many": lambda T, a, b: np.r_[1, 1, np.cumprod(1 - np.linspace(a, b, T))]},
    "JUMP": {"a root too many": lambda x, s, t, eps: (t / s) ** 0.25 * x + (1 - (t / s) ** 0.5) ** 0.5 * eps},
}
