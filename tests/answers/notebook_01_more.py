"""More answers to the exercises of notebook 01."""

import numpy as np


def walk_ratio(x_0, alpha_bar, times, noises):
    x = np.array(x_0)
    for s, t, noise in zip(times[:-1], times[1:], noises, strict=False):
        keep = np.sqrt(alpha_bar[t] / alpha_bar[s])
        x *= keep
        x += np.sqrt(1 - keep**2) * noise
    return x


def walk_prod(x_0, alpha_bar, times, noises):
    x = x_0
    for k in range(len(times) - 1):
        alpha = np.prod([alpha_bar[u] / alpha_bar[u - 1] for u in range(times[k] + 1, times[k + 1] + 1)])
        x = alpha**0.5 * x + (1 - alpha) ** 0.5 * noises[k]
    return x


def walk(line, weight=lambda a: (1 - a) ** 0.5):
    def walked(x_0, alpha_bar, times, noises):
        x = x_0
        for k in range(len(times) - 1):
            alpha = line(alpha_bar, times[k], times[k + 1])
            x = alpha**0.5 * x + weight(alpha) * noises[k]
        return x

    return walked


def walk_one_jump(x_0, alpha_bar, times, noises):
    a = alpha_bar[times[-1]] / alpha_bar[times[0]]
    return a**0.5 * x_0 + (1 - a) ** 0.5 * noises[0]


def walk_from_zero(x_0, alpha_bar, times, noises):
    x, s = x_0, 0
    for k, t in enumerate(times[1:]):
        a = alpha_bar[t] / alpha_bar[s]
        x, s = a**0.5 * x + (1 - a) ** 0.5 * noises[k], t
    return x


def schedule_loop(T, beta_1, beta_T):
    found = [1.0]
    for t in range(T):
        found.append(found[-1] * (1 - (beta_1 + (beta_T - beta_1) * t / (T - 1))))
    return found


def schedule_log(T, beta_1, beta_T):
    return np.exp(np.cumsum(np.log1p(-np.r_[0, np.linspace(beta_1, beta_T, T)])))


RIGHT = {
    "STEP": {
        "np.sqrt, float32": lambda x, beta, eps: (np.sqrt(1 - beta) * x + np.sqrt(beta) * eps).astype(np.float32),
        "pow": lambda x, beta, eps: x * pow(1 - beta, 1 / 2) + eps * pow(beta, 1 / 2),
        "list": lambda x, beta, eps: (x * (1 - beta) ** 0.5 + eps * beta**0.5).tolist(),
    },
    "JUMP": {
        "of variances": lambda x, s, t, eps: np.sqrt(t / s) * x + np.sqrt((1 - t) - t / s * (1 - s)) * eps,
        "numerator": lambda x, s, t, eps: (np.sqrt(t) * x + np.sqrt(s - t) * eps) / np.sqrt(s),
        "float32": lambda x, s, t, eps: (
            np.float32(t / s) ** 0.5 * x.astype(np.float32) + np.float32(1 - t / s) ** 0.5 * eps
        ),
    },
    "WALK": {"in place in a copy": walk_ratio, "product": walk_prod},
    "SCHEDULE": {
        "list": schedule_loop,
        "logs": schedule_log,
        "inserted": lambda T, beta_1, beta_T: np.insert(np.cumprod(1 - np.linspace(beta_1, beta_T, T)), 0, 1),
        "tuple": lambda T, beta_1, beta_T: tuple(schedule_log(T, beta_1, beta_T)),
        "float32": lambda T, beta_1, beta_T: np.append(
            np.float32(1), np.multiply.accumulate(1 - np.linspace(beta_1, beta_T, T, dtype=np.float32))
        ),
    },
}
WRONG = {
    "STEP": {
        "no root of the noise": lambda x, b, e: (1 - b) ** 0.5 * x + b * e,
        "no root of the image": lambda x, b, e: (1 - b) * x + b**0.5 * e,
        "no roots": lambda x, b, e: (1 - b) * x + b * e,
        "roots apart": lambda x, b, e: (1 - b**0.5) * x + b**0.5 * e,
        "beta as std": lambda x, b, e: (1 - b * b) ** 0.5 * x + b * e,
        "not shrunk": lambda x, b, e: x + b**0.5 * e,
        "taylor": lambda x, b, e: (1 - b / 2) * x + b**0.5 * e,
        "swapped": lambda x, b, e: b**0.5 * x + (1 - b) ** 0.5 * e,
        "minus": lambda x, b, e: (1 - b) ** 0.5 * x - b**0.5 * e,
        "own noise": lambda x, b, e: (1 - b) ** 0.5 * x + b**0.5 * np.random.default_rng(0).standard_normal(x.shape),
        "clipped": lambda x, b, e: np.clip((1 - b) ** 0.5 * x + b**0.5 * e, -1, 1),
        "measured variance": lambda x, b, e: (1 - b) ** 0.5 * x + b**0.5 * (e - e.mean()),
    },
    "JUMP": {
        "from the start": lambda x, s, t, e: t**0.5 * x + (1 - t) ** 0.5 * e,
        "difference of noise variances": lambda x, s, t, e: (t / s) ** 0.5 * x + (s - t) ** 0.5 * e,
        "difference of stds": lambda x, s, t, e: (t / s) ** 0.5 * x + ((1 - t) ** 0.5 - (1 - s) ** 0.5) * e,
        "image share of the difference": lambda x, s, t, e: (1 - (s - t)) ** 0.5 * x + (s - t) ** 0.5 * e,
        "upside down": lambda x, s, t, e: (s / t) ** 0.5 * x + abs(1 - s / t) ** 0.5 * e,
        "no root": lambda x, s, t, e: t / s * x + (1 - t / s) * e,
        "product": lambda x, s, t, e: (t * s) ** 0.5 * x + (1 - t * s) ** 0.5 * e,
        "noise of t": lambda x, s, t, e: (t / s) ** 0.5 * x + (1 - t) ** 0.5 * e,
        "back to 0 first": lambda x, s, t, e: (t / s) ** 0.5 * (x - (1 - s) ** 0.5 * e) + (1 - t) ** 0.5 * e,
    },
    "WALK": {
        "alpha bar of s": walk(lambda ab, s, t: ab[s]),
        "upside down root": walk(lambda ab, s, t: ab[t] / ab[0]),
        "step": walk(lambda ab, s, t: ab[t] / ab[t - 1]),
        "step to s+1": walk(lambda ab, s, t: ab[s + 1] / ab[s]),
        "difference": walk(lambda ab, s, t: ab[t - s]),
        "minus": walk(lambda ab, s, t: 1 - (ab[s] - ab[t])),
        "root": walk(lambda ab, s, t: (ab[t] / ab[s]) ** 0.5),
        "noise weight": walk(lambda ab, s, t: ab[t] / ab[s], lambda a: 1 - a),
        "one jump": walk_one_jump,
        "first taken as time 0": walk_from_zero,
    },
    "SCHEDULE": {
        "T - 1 steps": lambda T, a, b: np.r_[1, np.cumprod(1 - np.linspace(a, b, T - 1))],
        "no 1": lambda T, a, b: np.cumprod(1 - np.linspace(a, b, T)),
        "T + 1 betas": lambda T, a, b: np.cumprod(1 - np.linspace(a, b, T + 1)),
        "1 and then T + 1 cut": lambda T, a, b: np.r_[1, np.cumprod(1 - np.linspace(a, b, T + 1))][:-1],
        "0 at first": lambda T, a, b: np.cumprod(1 - np.linspace(0, b, T + 1)),
        "betas": lambda T, a, b: np.r_[1, np.cumprod(np.linspace(a, b, T))],
        "alpha": lambda T, a, b: np.r_[1, 1 - np.linspace(a, b, T)],
        "sum": lambda T, a, b: np.r_[1, 1 - np.cumsum(np.linspace(a, b, T))],
        "geometric": lambda T, a, b: np.r_[1, np.cumprod(1 - np.geomspace(a, b, T))],
        "endpoint": lambda T, a, b: np.r_[1, np.cumprod(1 - np.linspace(a, b, T, endpoint=False))],
        "roots": lambda T, a, b: np.r_[1, np.cumprod(1 - np.linspace(a, b, T)) ** 0.5],
        "1000": lambda T, a, b: np.r_[1, np.cumprod(1 - np.linspace(a, b, 1000))],
        "exp": lambda T, a, b: np.exp(-np.cumsum(np.r_[0, np.linspace(a, b, T)])),
        "roots of betas": lambda T, a, b: np.r_[1, np.cumprod(1 - np.linspace(a**0.5, b**0.5, T) ** 2)],
        "defaults": lambda T, a, b: np.r_[1, np.cumprod(1 - np.linspace(1e-4, 0.02, T))],
        "backwards": lambda T, a, b: np.r_[1, np.cumprod(1 - np.linspace(b, a, T))],
    },
}
