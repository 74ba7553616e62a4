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


def walk_by_sums(x_0, alpha_bar, times, noises):
    """Sum what is left of each part at the end."""
    end = alpha_bar[times[-1]]
    total = np.sqrt(end / alpha_bar[times[0]]) * x_0
    for k, t in enumerate(times[1:]):
        beta = 1 - alpha_bar[t] / alpha_bar[times[k]]
        total = total + np.sqrt(end / alpha_bar[t] * beta) * noises[k]
    return total


def walk_by(alpha_of):
    def walk(x_0, alpha_bar, times, noises):
        x = x_0
        for k in range(len(times) - 1):
            alpha = alpha_of(alpha_bar, times[k], times[k + 1])
            x = alpha**0.5 * x + abs(1 - alpha) ** 0.5 * noises[k]
        return x

    return walk


walk_rightly = walk_by(lambda alpha_bar, s, t: np.prod(alpha_bar[s + 1 : t + 1] / alpha_bar[s:t]))

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
        "betas with a 0": lambda T, a, b: np.cumprod(1 - np.append(0, np.linspace(a, b, T))),
    },
    "JUMP": {
        "roots": lambda x, s, t, eps: np.sqrt(t) / np.sqrt(s) * x + np.sqrt((s - t) / s) * eps,
        "float32": lambda x, s, t, eps: (
            np.float32(t / s) ** 0.5 * x.astype("f4") + np.float32(1 - t / s) ** 0.5 * eps.astype("f4")
        ),
        "list": lambda x, s, t, eps: ((t**0.5 * x + (s - t) ** 0.5 * eps) / s**0.5).tolist(),
    },
    "WALK": {"sums": walk_by_sums, "products of alphas": walk_rightly},
}
WRONG = {
    "STEP": {
        "noise of its own": lambda x, beta, eps: (
            (1 - beta) ** 0.5 * x + beta**0.5 * np.random.default_rng(0).standard_normal(x.shape)
        ),
        "one image for all": lambda x, beta, eps: (1 - beta) ** 0.5 * x[:1] + beta**0.5 * eps,
        "clipped": lambda x, beta, eps: np.clip((1 - beta) ** 0.5 * x + beta**0.5 * eps, -1, 1),
        "noise subtracted": lambda x, beta, eps: (1 - beta) ** 0.5 * x - beta**0.5 * eps,
        "squares": lambda x, beta, eps: (1 - beta**2) ** 0.5 * x + beta * eps,
        "signal not rooted": lambda x, beta, eps: (1 - beta) * x + beta**0.5 * eps,
        "scaled": lambda x, beta, eps: (x + beta**0.5 * eps) / (1 + beta) ** 0.5,
    },
    "SCHEDULE": {
        "one number too many": lambda T, a, b: np.r_[1, 1, np.cumprod(1 - np.linspace(a, b, T))],
        "a sum of logs": lambda T, a, b: np.exp(np.r_[0, np.cumsum(-np.linspace(a, b, T))]),
        "from T down": lambda T, a, b: by_loop(T, b, a),
        "beta at T + 1 times": lambda T, a, b: np.cumprod(1 - np.linspace(a, b, T + 1)),
        "geometric": lambda T, a, b: np.r_[1, np.cumprod(1 - np.geomspace(a, b, T))],
        "last step missing": lambda T, a, b: np.r_[1, 1, np.cumprod(1 - np.linspace(a, b, T))[:-1]],
        "noise": lambda T, a, b: 1 - np.array(by_loop(T, a, b)),
        "starts with 0": lambda T, a, b: np.r_[0, by_loop(T, a, b)[1:]],
    },
    "JUMP": {
        "a root too many": lambda x, s, t, eps: (t / s) ** 0.25 * x + (1 - (t / s) ** 0.5) ** 0.5 * eps,
        "difference": lambda x, s, t, eps: (1 - (s - t)) ** 0.5 * x + (s - t) ** 0.5 * eps,
        "noise of t": lambda x, s, t, eps: (t / s) ** 0.5 * x + (1 - t) ** 0.5 * eps,
        "product": lambda x, s, t, eps: (t * s) ** 0.5 * x + (1 - t * s) ** 0.5 * eps,
        "root missing for the noise": lambda x, s, t, eps: (t / s) ** 0.5 * x + (1 - t / s) * eps,
        "difference of noise sizes": lambda x, s, t, eps: (t / s) ** 0.5 * x + ((1 - t) ** 0.5 - (1 - s) ** 0.5) * eps,
    },
    "WALK": {
        "as it was": walk_by(lambda alpha_bar, s, t: alpha_bar[t]),
        "difference": walk_by(lambda alpha_bar, s, t: 1 + alpha_bar[t] - alpha_bar[s]),
        "upside down": walk_by(lambda alpha_bar, s, t: alpha_bar[s] / alpha_bar[t]),
        "one step only": walk_by(lambda alpha_bar, s, t: alpha_bar[t] / alpha_bar[t - 1]),
        "from the step after s": walk_by(lambda alpha_bar, s, t: alpha_bar[t] / alpha_bar[min(s + 1, t)]),
        "by places": lambda x_0, alpha_bar, times, noises: walk_rightly(
            x_0, alpha_bar, list(range(len(times))), noises
        ),
        "in one go": lambda x_0, alpha_bar, times, noises: walk_rightly(x_0, alpha_bar, times[:1] + times[-1:], noises),
        "noises backwards": lambda x_0, alpha_bar, times, noises: walk_rightly(x_0, alpha_bar, times, noises[::-1]),
    },
}
