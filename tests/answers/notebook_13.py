"""Answers to the exercises of notebook 13."""

import itertools

import numpy as np

from tinydiff.diffusion import GaussianDiffusion, GaussianPath, heun, vp_sde_schedule


def by_quadrature(tau, beta_min, beta_max):
    """Integrate beta by Simpson's rule, which is exact for a line."""
    first, middle, last = (beta_min + t * (beta_max - beta_min) for t in (0, tau / 2, tau))
    return np.exp(-tau * (first + 4 * middle + last) / 6)


def library_alpha_bar(tau, beta_min, beta_max):
    T = 100
    return vp_sde_schedule(T, beta_min, beta_max)[round(tau * T)]


def library_heun(eps_of, y, sigmas):
    """Return what the library's sampler gives, on the path where nothing shrinks."""
    table = [1.0, *(1 / (1 + s**2) for s in reversed(sigmas) if s > 0)]
    path = GaussianPath(np.array(table), "ve")
    levels = [0.0, *(s for s in reversed(sigmas) if s > 0)]

    def both(x, t, context):
        sigma = levels[int(np.ravel(t)[0])]
        eps_hat = eps_of(x, sigma)
        return x - sigma * eps_hat, eps_hat

    assert isinstance(path, GaussianDiffusion)
    for _, x, _ in heun(both, path, y, [levels.index(s) for s in sigmas[:-1]], end=levels.index(sigmas[-1])):
        found = x
    return found


def by_recursion(eps_of, y, sigmas):
    if len(sigmas) == 1:
        return y
    t, s = sigmas[:2]
    first = eps_of(y, t)
    moved = y + (s - t) * first
    if s > 0:
        moved = moved + 0.5 * (s - t) * (eps_of(moved, s) - first)
    return by_recursion(eps_of, moved, sigmas[1:])


def in_float32(eps_of, y, sigmas):
    y = y.astype(np.float32)
    for k, s in enumerate(sigmas[1:]):
        t = sigmas[k]
        first = eps_of(y, t).astype(np.float32)
        second = eps_of(y + np.float32(s - t) * first, s).astype(np.float32) if s else first
        y = y + np.float32((s - t) / 2) * (first + second)
    return y.tolist()


def by_jacobians(velocity, x, taus, h):
    """Follow one point at a time, by the trace of its Jacobian."""
    ends, changes = [], []
    for row in x:
        change = 0.0
        for now, then in itertools.pairwise(taus):
            basis = h * np.eye(len(row))
            jacobian = (velocity(row + basis, now) - velocity(row - basis, now)) / (2 * h)
            change -= (then - now) * np.trace(jacobian)
            row = row + (then - now) * velocity(row[None], now)[0]
        ends.append(row)
        changes.append(change)
    return np.array(ends), np.array(changes)


def follow(velocity, x, taus, h, at_end=False, own=True):
    x, change = np.array(x), 0.0
    for now, then in itertools.pairwise(taus):
        there = x + (then - now) * velocity(x, now)
        where = there if at_end else x
        for i, e in enumerate(h * np.eye(x.shape[1])):
            change = change - (then - now) * (velocity(where + e, now) - velocity(where - e, now))[:, i] / (2 * h)
        x = there if own else x
    return x, change


LIBRARY = {
    "ALPHA_BAR": library_alpha_bar,
    "VELOCITY": "the library's samplers walk in sigma, and have no velocity in time.",
    "REVERSE": "the library's steps back are those of DDPM, which agree in the limit.",
    "HEUN": library_heun,
    "CHANGE": "the library has no sum of divergences here.",
}
RIGHT = {
    "ALPHA_BAR": {
        "by Simpson's rule": by_quadrature,
        "with the mean of both betas": lambda tau, low, high: np.float32(
            np.exp(-tau * (2 * low + tau * (high - low)) / 2)
        ),
    },
    "VELOCITY": {
        "as a difference": lambda x, score, beta: beta * (-score - x) / 2,
        "float32, as a list": lambda x, score, beta: (np.float32(-beta / 2) * (x + score).astype(np.float32)).tolist(),
    },
    "REVERSE": {
        "as two steps": lambda x, score, beta, h, z: x * (1 + beta * h / 2) + beta * h * score + np.sqrt(beta * h) * z,
        "float32": lambda x, score, beta, h, z: (
            x + h * beta * (x / 2 + score) + np.sqrt(beta) * np.sqrt(h) * z
        ).astype(np.float32),
    },
    "HEUN": {"recursive": by_recursion, "float32, as a list": in_float32},
    "CHANGE": {
        "by Jacobians": by_jacobians,
        "in another order": lambda velocity, x, taus, h: tuple(follow(velocity, x, taus, h)),
    },
}
WRONG = {
    "ALPHA_BAR": {
        "linear in beta": lambda tau, low, high: 1 - tau * low - 0.5 * tau**2 * (high - low),
        "plus": lambda tau, low, high: np.exp(tau * low + 0.5 * tau**2 * (high - low)),
        "mean beta": lambda tau, low, high: np.exp(-tau * (low + high) / 2),
    },
    "VELOCITY": {
        "of the other sign": lambda x, score, beta: 0.5 * beta * (x + score),
        "with the root of beta": lambda x, score, beta: -0.5 * beta**0.5 * (x + score),
        "score alone": lambda x, score, beta: -0.5 * beta * score,
    },
    "REVERSE": {
        "noise of the root of h": lambda x, score, beta, h, z: x + h * beta * (x / 2 + score) + h**0.5 * z,
        "noise minus": lambda x, score, beta, h, z: x + h * beta * (x / 2 + score) - (beta * h) ** 0.5 * z,
        "forward": lambda x, score, beta, h, z: x - h * beta * x / 2 + (beta * h) ** 0.5 * z,
    },
    "HEUN": {
        "midpoint": lambda eps_of, y, sigmas: by_recursion(lambda y, s: eps_of(y, s) * 1.01, y, sigmas),
        "one step less": lambda eps_of, y, sigmas: by_recursion(eps_of, y, sigmas[:-1]),
        "upwards": lambda eps_of, y, sigmas: 2 * y - by_recursion(eps_of, y, sigmas),
    },
    "CHANGE": {
        "divergence at the end": lambda velocity, x, taus, h: follow(velocity, x, taus, h, at_end=True),
        "x stands still": lambda velocity, x, taus, h: follow(velocity, x, taus, h, own=False),
        "one step less": lambda velocity, x, taus, h: follow(velocity, x, taus[:-1], h),
    },
}
