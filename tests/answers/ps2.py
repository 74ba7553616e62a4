"""Answers to problem set 2."""

import math
from functools import partial

import numpy as np

from tinydiff.diffusion import FiniteData, Gaussian, GaussianDiffusion, normal_kl, prior_term, step_term


def witnesses_one_by_one(means, variances):
    """Hear one after the other, each time two: notebook 03's formula again and again."""
    mean, variance = means[0], variances[0]
    for m, v in zip(means[1:], variances[1:], strict=True):
        mean, variance = (v * mean + variance * m) / (v + variance), v * variance / (v + variance)
    return mean, variance


def witnesses_einsum(means, variances):
    share = 1 / variances / np.sum(1 / variances)
    return np.einsum("k,k...->...", share, means), 1 / np.sum(1 / variances)


def chain_of_library(x_T, alpha_bar, noises, points):
    diffusion = GaussianDiffusion(alpha_bar)
    exact, x = FiniteData(diffusion, points[:, None]), x_T[:, None]
    for t in range(diffusion.T, 0, -1):
        x_0_hat, _ = exact.predict(x, t)
        x = diffusion.posterior_mean(x_0_hat, x, t) + diffusion.posterior_variance(t) ** 0.5 * noises[t - 1][:, None]
    return x[:, 0]


def chain_again(x_T, alpha_bar, noises, points, size=0.5, mean_of=lambda p, points: p @ points):
    x = x_T
    for t in reversed(range(1, len(alpha_bar))):
        a, b = alpha_bar[t - 1], alpha_bar[t]
        p = np.exp(-((x[:, None] - np.sqrt(b) * points) ** 2) / (2 * (1 - b)))
        guess = mean_of(p / p.sum(axis=1, keepdims=True), points)
        A, B = (1 / (1 - a), a**0.5 * guess / (1 - a)) if t > 1 else (1, guess)
        if t > 1:
            A, B = A + (b / a) / (1 - b / a), B + (b / a) ** 0.5 * x / (1 - b / a)
        x = B / A + (A**-size * noises[t - 1] if t > 1 else 0)
    return x


def price_of_library(s, t):
    """KL-1 of two steps with the posterior's variance, one unit of the image apart."""

    def one(s, t):
        diffusion = GaussianDiffusion(np.array([1.0, s, t]))
        means = [diffusion.posterior_mean(np.array([image]), np.zeros(1), 2)[0] for image in (0.0, 1.0)]
        v = diffusion.posterior_variance(2)
        return normal_kl(means[0], v, means[1], v)

    return np.vectorize(one)(s, t)


def back_of_library(x_t, s, t, points, weights):
    diffusion = GaussianDiffusion(np.array([1.0, s, t]))
    x, exact = x_t[:, None], FiniteData(diffusion, points[:, None], weights)
    squares = FiniteData(diffusion, points[:, None], weights).predict(x, 2)[0]
    x_0_hat = exact.predict(x, 2)[0]
    p = weights * np.exp(-((x - t**0.5 * points) ** 2) / (2 * (1 - t)))
    variance = (p * (points - squares) ** 2).sum(axis=1) / p.sum(axis=1)
    c = s**0.5 * (1 - t / s) / (1 - t)
    return diffusion.posterior_mean(x_0_hat, x, 2)[:, 0], diffusion.posterior_variance(2) + c**2 * variance


def back_by_moments(x_t, s, t, points, weights):
    """A mixture of K bells: its mean, and the mean of the squares less its square."""
    alpha = t / s
    means, variances = [], []
    for x in x_t:
        p = weights * np.exp(-((x - t**0.5 * points) ** 2) / 2 / (1 - t))
        p /= sum(p)
        centres = (s**0.5 * (1 - alpha) * points + alpha**0.5 * (1 - s) * x) / (1 - t)
        means.append(float(p @ centres))
        variances.append(float(p @ centres**2) - means[-1] ** 2 + (1 - s) * (1 - alpha) / (1 - t))
    return means, variances


def back_by_grid(x_t, s, t, points, weights):
    """Bayes' rule on a grid of x_s, where nothing was derived."""
    grid = np.linspace(-8, 8, 8001)
    prior = sum(w * np.exp(-((grid - s**0.5 * p) ** 2) / 2 / (1 - s)) for p, w in zip(points, weights, strict=True))
    back = prior * np.exp(-((x_t[:, None] - (t / s) ** 0.5 * grid) ** 2) / 2 / (1 - t / s))
    back /= back.sum(axis=1, keepdims=True)
    return back @ grid, back @ grid**2 - (back @ grid) ** 2


def bits_of_library(alpha_bar, mean, variance):
    """Average over x_0 and eps with two values each, which have the right mean and square."""
    diffusion = GaussianDiffusion(alpha_bar)
    exact = Gaussian(diffusion, np.array([mean]), variance)
    x_0 = (mean + variance**0.5 * np.array([-1.0, -1.0, 1.0, 1.0]))[:, None]
    eps = np.array([-1.0, 1.0, -1.0, 1.0])[:, None]
    nats = prior_term(diffusion, x_0)
    nats = nats + sum(step_term(exact.predict, diffusion, x_0, t, eps) for t in range(1, diffusion.T + 1))
    return nats.mean() / math.log(2)


def bits_again(alpha_bar, mean, variance, base=2.0, error_at="t", once=True):
    a = np.asarray(alpha_bar, np.float64)
    s, t = a[1:-1], a[2:]
    at = s if error_at == "s" else t
    error = 1 / (1 / variance + at / (1 - at))
    steps = (s - t) / (1 - t) ** 2 * error + (1 - s) / (1 - t) - 1 - np.log((1 - s) / (1 - t))
    first = 1 / (1 / variance + a[1] / (1 - a[1])) / (1 - a[1]) + math.log(2 * math.pi * (1 - a[1]))
    start = a[-1] * (mean**2 + variance - 1) - math.log(1 - a[-1])
    return (steps.sum() * (1 if once else 2) + first + start) / 2 / math.log(base)


LIBRARY = {
    "WITNESSES": "the library never hears more than two.",
    "CHAIN": chain_of_library,
    "FALL": price_of_library,
    "BACK": back_of_library,
    "BOUND": bits_of_library,
}
RIGHT = {
    "WITNESSES": {
        "one by one": witnesses_one_by_one,
        "einsum": witnesses_einsum,
        "float32": lambda means, variances: [a.astype(np.float32) for a in witnesses_einsum(means, variances)],
    },
    "CHAIN": {"A and B": chain_again, "float32": lambda *args: chain_again(*args).astype(np.float32)},
    "FALL": {
        "over one denominator": lambda s, t: (s - t) / (2 * (1 - s) * (1 - t)),
        "of noise": lambda s, t: (1 / (1 - s) - 1 / (1 - t)) / 2,
        "not simplified": lambda s, t: s * (1 - t / s) ** 2 / (1 - t) ** 2 / (2 * (1 - s) / (1 - t) * (1 - t / s)),
    },
    "BACK": {"moments": back_by_moments, "grid": back_by_grid},
    "BOUND": {"again": bits_again, "float32": lambda *args: np.float32(bits_again(*args))},
}
WRONG = {
    "WITNESSES": {
        "the surest alone": lambda means, variances: (means[variances.argmin()], variances.min()),
        "variances added": lambda means, variances: (witnesses_einsum(means, variances)[0], variances.sum()),
        "of K": lambda means, variances: (witnesses_einsum(means, variances)[0], variances.mean() / len(variances)),
        "one number": lambda means, variances: (
            witnesses_einsum(means, variances)[0].mean(),
            1 / (1 / variances).sum(),
        ),
        "the first two": lambda means, variances: witnesses_einsum(means[:2], variances[:2]),
        "squared precisions": lambda means, variances: (
            np.einsum("k,k...->...", variances**-2.0, means) / (variances**-2.0).sum(),
            1 / (1 / variances).sum(),
        ),
    },
    "CHAIN": {
        "twice the root": partial(chain_again, size=0.25),
        "the nearest point": partial(chain_again, mean_of=lambda p, points: points[p.argmax(axis=1)]),
        "the mean point": partial(chain_again, mean_of=lambda p, points: points.mean() + 0 * p[:, 0]),
        "the last x": lambda x_T, a, noises, points: x_T,
        "absolute noise": lambda x_T, a, noises, points: chain_again(x_T, a, abs(noises), points),
        "points as bits": lambda x_T, a, noises, points: points[
            abs(chain_again(x_T, a, noises, points)[:, None] - points).argmin(axis=1)
        ],
    },
    "FALL": {
        "the logarithm": lambda s, t: (np.log(s / (1 - s)) - np.log(t / (1 - t))) / 2,
        "of roots": lambda s, t: ((s / (1 - s)) ** 0.5 - (t / (1 - t)) ** 0.5) / 2,
        "beta": lambda s, t: (1 - t / s) / 2,
        "s alone": lambda s, t: s / (1 - s) / 2 + 0 * t,
        "inverse": lambda s, t: ((1 - t) / t - (1 - s) / s) / 2,
    },
    "BACK": {
        "beta": lambda x, s, t, p, w: (back_by_moments(x, s, t, p, w)[0], 0 * x + 1 - t / s),
        "plain mean": lambda x, s, t, p, w: back_by_moments(x, s, t, np.full(1, p @ w), np.ones(1)),
        "weights as roots": lambda x, s, t, p, w: back_by_moments(x, s, t, p, w**0.5),
        "s and t swapped in p": lambda x, s, t, p, w: (
            back_by_moments(x * (s / t) ** 0.5, s, t, p, w)[0],
            back_by_moments(x, s, t, p, w)[1],
        ),
        "no noise": lambda x, s, t, p, w: (
            back_by_moments(x, s, t, p, w)[0],
            np.array(back_by_moments(x, s, t, p, w)[1]) - (1 - s) * (1 - t / s) / (1 - t),
        ),
        "x_t not heard": lambda x, s, t, p, w: back_by_moments(0 * x, s, t, p, w),
    },
    "BOUND": {
        "base ten": partial(bits_again, base=10.0),
        "errors at s": partial(bits_again, error_at="s"),
        "steps without the 1/2": partial(bits_again, once=False),
        "entropy": lambda a, mean, variance: math.log2(2 * math.pi * math.e * variance) / 2,
        "mean not used": lambda a, mean, variance: bits_again(a, 0.0, variance),
        "prior variance": lambda a, mean, variance: bits_again(a, mean, 1.0),
        "per step": lambda a, mean, variance: bits_again(a, mean, variance) / (len(a) - 1),
    },
}
