"""Exercises of notebook 10: the family of steps, DDIM over any times, and what a chain does to the variance."""

from functools import partial
from itertools import pairwise

import numpy as np

from tinydiff.course.exercise import Exercise

_RNG = np.random.default_rng(10)


def _arrays(*shape):
    return tuple(_RNG.standard_normal(shape) for _ in range(3))


def _family(
    x_0, x_t, z, alpha_bar_s, alpha_bar_t, sigma, less=2, power=0.5, signal=0.5, fresh=1, sign=1, centre=True, k=None
):
    left = 1 - alpha_bar_s - (sigma**less if less else 0.0)
    k = sign * abs(left / (1 - alpha_bar_t)) ** power if k is None else k(alpha_bar_s, alpha_bar_t, sigma)
    old = x_t - alpha_bar_t**signal * x_0 if centre else x_t
    return alpha_bar_s**signal * x_0 + k * old + sigma**fresh * z


STEP = Exercise(
    grade="derive",
    reference=_family,
    cases=[
        (*_arrays(3, 4), 0.64, 0.2, 0.3),
        (*_arrays(2, 3, 1), 0.15, 0.1, 0.55),
        (*_arrays(5), 0.83, 0.31, 0.0),
        (*_arrays(2), 0.97, 0.9, 0.02),
    ],
    returns=["x_s"],
    mistakes={
        "the fresh noise comes on top of all the old: the variance at s must stay 1 - alpha_bar_s.": (
            partial(_family, less=0)
        ),
        "sigma is subtracted from a variance; subtract its square.": partial(_family, less=1),
        "k is the square of what it should be: variances are multiplied by k squared.": partial(_family, power=1.0),
        "the fresh noise is multiplied by its variance, and not by sigma.": partial(_family, fresh=2),
        "the clean part is multiplied by alpha_bar; it is the root, at s as at t.": partial(_family, signal=1.0),
        "k multiplies all of x_t; take off the clean part first, and what is left is noise.": (
            partial(_family, centre=False)
        ),
        "k is negative: the variance is right, but the noise would be turned round at every step.": (
            partial(_family, sign=-1)
        ),
        "k is 1, so the old noise keeps its size at t; at s there must be less.": (
            partial(_family, k=lambda s, t, sigma: 1.0)
        ),
        "k is not divided by the size that the noise has at t.": (
            partial(_family, k=lambda s, t, sigma: (1 - s - sigma**2) ** 0.5)
        ),
        "k is upside down: there is less noise at s than at t.": (
            partial(_family, k=lambda s, t, sigma: ((1 - t) / (1 - s - sigma**2)) ** 0.5)
        ),
    },
    hints=[
        "Which variance has x_s, given x_0? Two independent parts: k times the old noise, and sigma times z.",
        "The old noise has the variance 1 - alpha_bar_t. So k^2 (1 - alpha_bar_t) + sigma^2 should be 1 - alpha_bar_s.",
        "`k = ((1 - alpha_bar_s - sigma**2) / (1 - alpha_bar_t)) ** 0.5`.",
    ],
    praise="Any sigma will do: the squares of old and fresh noise sum to 1 - alpha_bar_s.",
)


def _wavy(x, alpha_bar):
    """Stand in for a network: the noise in x, of the shape of x."""
    return np.sin(2 * x) + (1 - alpha_bar) * x


def _shrinking(x, alpha_bar):
    """Stand in for another network."""
    return (1 - alpha_bar) ** 0.5 * x / (0.3 * alpha_bar + 1 - alpha_bar)


def _ddim(
    predict,
    x,
    alpha_bars,
    eta,
    noises,
    variance="tilde",
    of_eta=1,
    less=2,
    sign=1,
    fresh=1,
    noise_of="step",
    clean=0.5,
    at="t",
):
    x = np.asarray(x)
    for i, (t, s) in enumerate(pairwise(alpha_bars)):
        eps_hat = predict(x, t if at == "t" else s)
        x_0_hat = (x - (1 - t) ** 0.5 * eps_hat) / t**clean
        beta = 1 - t / s
        sigma = {
            "tilde": eta * ((1 - s) / (1 - t) * beta) ** 0.5,
            "under": (eta * (1 - s) / (1 - t) * beta) ** 0.5,
            "squared": eta**2 * (1 - s) / (1 - t) * beta,
            "always": ((1 - s) / (1 - t) * beta) ** 0.5,
            "level": eta * (1 - s) ** 0.5,
            "eta squared": eta**2 * ((1 - s) / (1 - t) * beta) ** 0.5,
        }[variance]
        old = abs(1 - s - (sigma**less if less else 0.0)) ** 0.5
        x = s**0.5 * x_0_hat + sign * old * eps_hat + sigma**fresh * noises[0 if noise_of == "first" else i]
    return x


_TO_DATA, _THREE, _ONE = [0.02, 0.15, 0.4, 0.77, 1.0], [0.05, 0.3, 0.85], [0.25, 0.3]

DDIM = Exercise(
    grade="transcribe",
    reference=_ddim,
    cases=[
        (_wavy, _RNG.standard_normal((3, 2)), _TO_DATA, 0.4, _RNG.standard_normal((4, 3, 2))),
        (_shrinking, _RNG.standard_normal((2, 3, 1)), _THREE, 0.3, _RNG.standard_normal((2, 2, 3, 1))),
        (_wavy, _RNG.standard_normal(5), _ONE, 1.0, _RNG.standard_normal((1, 5))),
        (_wavy, _RNG.standard_normal(4), _THREE, 0.0, _RNG.standard_normal((2, 4))),
    ],
    returns=["x"],
    mistakes={
        "eta stands alone under the root; sigma squared has eta squared.": partial(_ddim, variance="under"),
        "sigma has eta squared; sigma squared has it, so sigma has eta.": partial(_ddim, variance="eta squared"),
        "that takes the variance for sigma: sigma is its root.": partial(_ddim, variance="squared"),
        "eta is not used: with eta = 0 no fresh noise should be added.": partial(_ddim, variance="always"),
        "all noise at s is fresh, at eta = 1; the share of DDPM is Eq. DDIM-16's.": partial(_ddim, variance="level"),
        "the fresh noise comes on top of all the old: the variance at s must stay 1 - alpha_bar_s.": (
            partial(_ddim, less=0)
        ),
        "sigma is subtracted under the root; variances are subtracted, so it must be sigma squared.": (
            partial(_ddim, less=1)
        ),
        "the predicted noise is subtracted; x_0_hat is clean already, and x at s must still be noisy.": (
            partial(_ddim, sign=-1)
        ),
        "the fresh noise is multiplied by its variance, and not by sigma.": partial(_ddim, fresh=2),
        "the same fresh noise is added at every step; step k adds noises[k].": partial(_ddim, noise_of="first"),
        "x_0_hat is divided by alpha_bar_t; it is the root.": partial(_ddim, clean=1.0),
        "the network is asked about the level that the step leads to; x is still at the one that it comes from.": (
            partial(_ddim, at="s")
        ),
    },
    hints=[
        "A loop over neighbours in alpha_bars, and in each step four lines: eps_hat, x_0_hat, sigma, x.",
        "x_0_hat is x without its noise, divided by the root of alpha_bar_t (notebook 03). Then DDIM-16 and DDIM-12.",
        "`sigma = eta * ((1 - s) / (1 - t) * (1 - t / s)) ** 0.5`, and "
        "`x = s**0.5 * x_0_hat + (1 - s - sigma**2) ** 0.5 * eps_hat + sigma * noises[k]`, for t, s = alpha_bars[k], "
        "alpha_bars[k + 1].",
    ],
    praise="That is the whole sampler: guess, old noise, fresh noise, at any times.",
)


def _variance(c, alpha_bars, eta, start=1.0, posterior=False, added=True, squared=True, kept=False):
    variance = start if start is not None else alpha_bars[0] * c + 1 - alpha_bars[0]
    for t, s in pairwise(alpha_bars):
        of_x_t = t * c + 1 - t
        sigma_squared = eta**2 * (1 - s) / (1 - t) * (1 - t / s)
        factor = s**0.5 * t**0.5 * c / of_x_t + (1 - s - sigma_squared) ** 0.5 * (1 - t) ** 0.5 / of_x_t
        variance = (factor**2 if squared else factor) * variance + (sigma_squared if added else 0.0)
        if posterior:
            variance += s * c * (1 - t) / of_x_t
    return s * c + 1 - s if kept else variance


def _parts(c, alpha_bars, eta):
    """Add the variances of x_0_hat's part and eps_hat's part, as if they were independent."""
    variance = 1.0
    for t, s in pairwise(alpha_bars):
        of_x_t = t * c + 1 - t
        sigma_squared = eta**2 * (1 - s) / (1 - t) * (1 - t / s)
        factor = s * t * (c / of_x_t) ** 2 + (1 - s - sigma_squared) * (1 - t) / of_x_t**2
        variance = factor * variance + sigma_squared
    return variance


VARIANCE = Exercise(
    grade="explore",
    reference=_variance,
    cases=[
        (0.25, [0.01, 0.2, 0.6, 0.9, 1.0], 0.0),
        (0.25, [0.01, 0.2, 0.6, 0.9, 1.0], 1.0),
        (1.8, [0.05, 0.45, 0.7], 0.4),
        (0.6, [0.3, 0.97], 0.7),
    ],
    returns=["variance"],
    mistakes={
        "that is what the data have at the last level; measure what the chain has.": partial(_variance, kept=True),
        "the chain starts from noise of variance 1, which is not quite the variance of x at the first level.": (
            partial(_variance, start=None)
        ),
        "a factor multiplies sizes; variances are multiplied by its square.": partial(_variance, squared=False),
        "the fresh noise is left out: it adds its variance, sigma squared.": partial(_variance, added=False),
        "x_0_hat is used, not a draw of x_0: no variance of x_0 given x_t comes in. That is just what is lost.": (
            partial(_variance, posterior=True)
        ),
        "x_0_hat and eps_hat are multiples of the same x_t: add the two factors first, and square then.": _parts,
        "eta is not used.": lambda c, alpha_bars, eta: _variance(c, alpha_bars, 1.0),
    },
    hints=[
        "Everything is linear: in each step x_s is a factor times x_t, and fresh noise. What is the factor?",
        "Put x_0_hat and eps_hat, the two multiples of x_t, into Eq. DDIM-12, and add them up to one factor. Its "
        "square multiplies the variance, and sigma squared comes on top.",
        "With d = t * c + 1 - t: `factor = s**0.5 * t**0.5 * c / d + (1 - s - sigma_2) ** 0.5 * (1 - t) ** 0.5 / d`, "
        "then `variance = factor**2 * variance + sigma_2`, where sigma_2 is Eq. DDIM-16, and variance starts with 1.",
    ],
    praise="Exact at every step, without drawing one number.",
)
