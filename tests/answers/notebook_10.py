"""Answers to the exercises of notebook 10."""

from itertools import pairwise

import numpy as np

from tinydiff.base import Noise
from tinydiff.diffusion import GaussianDiffusion, ddim


def step(x_0, x_t, z, s, t, sigma):
    eps = (x_t - np.sqrt(t) * x_0) / np.sqrt(1 - t)
    return (np.sqrt(s) * x_0 + np.sqrt(1 - s - sigma**2) * eps + sigma * z).astype(np.float32)


def library_ddim(predict, x_T, alpha_bars, eta, noises):
    """Return what the library's sampler gives; its noise at each step is taken from the list."""
    table = [1.0, *(a for a in reversed(alpha_bars) if a < 1)]
    diffusion = GaussianDiffusion(np.array(table))
    x = x_T
    for k, (t, s) in enumerate(pairwise(alpha_bars)):
        time, end = table.index(t), table.index(s)

        def both(x, _, context, t=t):
            eps_hat = predict(x, t)
            return (x - (1 - t) ** 0.5 * eps_hat) / t**0.5, eps_hat

        options = {"eta": eta, "noise": Noise(0), "end": end}
        _, with_noise, _ = next(ddim(both, diffusion, x, [time], **options))
        z = Noise(0).at(step=0).normal(x.shape, "sampler", dtype=x.dtype)
        spread = eta * diffusion.posterior_variance(time, end) ** 0.5
        x = with_noise + spread * (noises[k] - z)
    return x


def by_recursion(predict, x_T, alpha_bars, eta, noises):
    if len(alpha_bars) == 1:
        return x_T
    t, s = alpha_bars[:2]
    eps_hat = predict(x_T, t)
    variance = eta * eta * (1 - s) * (s - t) / (s * (1 - t))
    x_s = np.sqrt(s / t) * (x_T - np.sqrt(1 - t) * eps_hat)
    x_s = x_s + np.sqrt(1 - s - variance) * eps_hat + np.sqrt(variance) * noises[0]
    return by_recursion(predict, x_s, alpha_bars[1:], eta, noises[1:])


def in_float32(predict, x_T, alpha_bars, eta, noises):
    x, a = x_T.astype(np.float32), np.array(alpha_bars)
    for k in range(len(a) - 1):
        eps_hat = predict(x, alpha_bars[k]).astype(np.float32)
        x_0_hat = (x - np.float32((1 - a[k]) ** 0.5) * eps_hat) / np.float32(a[k] ** 0.5)
        sigma = eta * ((1 - a[k + 1]) / (1 - a[k]) * (1 - a[k] / a[k + 1])) ** 0.5
        old = np.float32(np.sqrt(1 - a[k + 1] - sigma**2))
        x = np.float32(a[k + 1] ** 0.5) * x_0_hat + old * eps_hat + np.float32(sigma) * noises[k].astype(np.float32)
    return x.tolist()


def by_two_chains(c, alpha_bars, eta):
    """Follow the start, and each fresh noise, through the rest of the chain; their squares sum."""
    parts = [1.0]
    for t, s in pairwise(alpha_bars):
        guess = np.sqrt(t) * c / (t * c + 1 - t)  # x_0_hat for x_t = 1
        eps = (1 - np.sqrt(t) * guess) / np.sqrt(1 - t)
        sigma = eta * np.sqrt((1 - s) / (1 - t) * (1 - t / s))
        parts = [(np.sqrt(s) * guess + np.sqrt(1 - s - sigma**2) * eps) * part for part in parts] + [sigma]
    return sum(part**2 for part in parts)


def with_ddim(c, alpha_bars, eta):
    """Run a chain on unit inputs: it is linear, so its outputs are the factors."""
    n = len(alpha_bars)
    noises = np.eye(n)[1:]
    ends = by_recursion(lambda x, a: (1 - a) ** 0.5 * x / (a * c + 1 - a), np.eye(n)[0], alpha_bars, eta, noises)
    return float((ends**2).sum())


LIBRARY = {
    "STEP": "the library's step takes a network's guesses, in the form with eps_hat.",
    "DDIM": library_ddim,
    "VARIANCE": "the library draws samples; it has no formula for the variance of a chain.",
}
RIGHT = {
    "STEP": {
        "with eps, float32": step,
        "a list": lambda x_0, x_t, z, s, t, sigma: (
            s**0.5 * x_0 + ((1 - s - sigma * sigma) / (1 - t)) ** 0.5 * (x_t - t**0.5 * x_0) + sigma * z
        ).tolist(),
        "sorted by x": lambda x_0, x_t, z, s, t, sigma: (
            np.sqrt((1 - s - sigma**2) / (1 - t)) * x_t
            + (np.sqrt(s) - np.sqrt(t * (1 - s - sigma**2) / (1 - t))) * x_0
            + sigma * z
        ),
    },
    "DDIM": {"recursive": by_recursion, "float32, as a list": in_float32},
    "VARIANCE": {
        "all parts": by_two_chains,
        "with a chain": with_ddim,
        "float32": lambda *args: np.float32(by_two_chains(*args)),
    },
}
WRONG = {
    "STEP": {
        "no fresh noise": lambda x_0, x_t, z, s, t, sigma: step(x_0, x_t, 0 * z, s, t, sigma),
        "posterior of DDPM": lambda x_0, x_t, z, s, t, sigma: (
            (s**0.5 * (1 - t / s) * x_0 + (t / s) ** 0.5 * (1 - s) * x_t) / (1 - t) + sigma * z
        ),
        "sigma added": lambda x_0, x_t, z, s, t, sigma: (
            s**0.5 * x_0 + ((1 - s + sigma**2) / (1 - t)) ** 0.5 * (x_t - t**0.5 * x_0) + sigma * z
        ),
        "roots apart": lambda x_0, x_t, z, s, t, sigma: (
            s**0.5 * x_0 + ((1 - s) ** 0.5 - sigma) / (1 - t) ** 0.5 * (x_t - t**0.5 * x_0) + sigma * z
        ),
        "sigma outside k": lambda x_0, x_t, z, s, t, sigma: (
            s**0.5 * x_0 + (((1 - s) / (1 - t)) - sigma**2) ** 0.5 * (x_t - t**0.5 * x_0) + sigma * z
        ),
        "clean part at t": lambda x_0, x_t, z, s, t, sigma: step(x_0, x_t, z, s, t, sigma) + (t**0.5 - s**0.5) * x_0,
        "1 - alpha_bar_t without its root": lambda x_0, x_t, z, s, t, sigma: (
            s**0.5 * x_0 + (1 - s - sigma**2) ** 0.5 / (1 - t) * (x_t - t**0.5 * x_0) + sigma * z
        ),
    },
    "DDIM": {
        "one step less": lambda predict, x, a, eta, z: by_recursion(predict, x, a[:-1], eta, z),
        "noise backwards": lambda predict, x, a, eta, z: by_recursion(predict, x, a, eta, z[::-1] * 1.001),
        "predicts once": lambda predict, x, a, eta, z: by_recursion(lambda _, b: predict(x, a[0]), x, a, eta, z),
        "ends with the guess": lambda predict, x, a, eta, z: (
            (
                by_recursion(predict, x, a[:-1], eta, z)
                - (1 - a[-2]) ** 0.5 * predict(by_recursion(predict, x, a[:-1], eta, z), a[-2])
            )
            / a[-2] ** 0.5
        ),
        "eta 1": lambda predict, x, a, eta, z: by_recursion(predict, x, a, 1.0, z),
        "eta 0": lambda predict, x, a, eta, z: by_recursion(predict, x, a, 0.0, z),
        "eta rooted": lambda predict, x, a, eta, z: by_recursion(predict, x, a, eta**0.5, z),
        "clipped": lambda predict, x, a, eta, z: np.clip(by_recursion(predict, x, a, eta, z), -1, 1),
    },
    "VARIANCE": {
        "standard deviation": lambda *args: by_two_chains(*args) ** 0.5,
        "of data": lambda c, a, eta: c,
        "sigma, not its square": lambda c, a, eta: by_two_chains(c, a, eta) + 0.01 * eta,
        "last step only": lambda c, a, eta: by_two_chains(c, a[-2:], eta),
        "one step less": lambda c, a, eta: by_two_chains(c, a[:-1], eta),
        "eta unsquared": lambda c, a, eta: by_two_chains(c, a, eta**0.5),
        "no noise": lambda c, a, eta: by_two_chains(c, a, 0.0),
        "c as a standard deviation": lambda c, a, eta: by_two_chains(c * c, a, eta),
    },
}
