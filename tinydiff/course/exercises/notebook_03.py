"""Exercises of notebook 03: the mean of the posterior, from x_0 and from the noise."""

import numpy as np

from tinydiff.course.exercise import Exercise
from tinydiff.diffusion import GaussianDiffusion

_X_0, _X_T, _EPS = np.array([1.0, -0.5, 0.2]), np.array([0.4, 0.9, -1.3]), np.array([0.1, -1.2, 0.6])


def _process(alpha_bar_s, alpha_bar_t):
    """Return a process of two steps, to s and then to t."""
    return GaussianDiffusion(np.array([1.0, alpha_bar_s, alpha_bar_t]))


def _mean(x_0, x_t, alpha_bar_s, alpha_bar_t):
    mean = _process(alpha_bar_s, alpha_bar_t).posterior_mean(np.atleast_1d(x_0), np.atleast_1d(x_t), 2)
    return mean.reshape(np.shape(x_t))  # numbers are arrays without axes


def _product(x_0, x_t, alpha_bar_s, alpha_bar_t, prior=1.0, signal=0.5, back=0.5, divide=True):
    """Return the mean of the product of two bells, each weighted by one over its variance."""
    alpha = alpha_bar_t / alpha_bar_s
    from_x_0, from_x_t = prior / (1 - alpha_bar_s), alpha / (1 - alpha)
    total = from_x_0 * alpha_bar_s**signal * x_0 + from_x_t * x_t / alpha**back
    return total / (from_x_0 + from_x_t) if divide else total


MEAN = Exercise(
    grade="transcribe",
    reference=_mean,
    cases=[(_X_0, _X_T, 0.6, 0.5), (_X_0, _X_T, 0.9, 0.2)],
    returns=["mean"],
    mistakes={
        "the two terms are swapped: the less noise is left at s, the more x_0 counts.": (
            lambda x_0, x_t, s, t: _mean(x_t, x_0, s, t)
        ),
        "the term of x_0 is not shrunk: at time s the image is sqrt(alpha_bar_s) times x_0.": (
            lambda x_0, x_t, s, t: _product(x_0, x_t, s, t, signal=0.0)
        ),
        "the image shrinks by sqrt(alpha_bar_s), not by alpha_bar_s.": (
            lambda x_0, x_t, s, t: _product(x_0, x_t, s, t, signal=1.0)
        ),
        "the step shrank x_s by sqrt(alpha): divide x_t by it to undo that (in your formula one sqrt(alpha) less).": (
            lambda x_0, x_t, s, t: _product(x_0, x_t, s, t, back=0.0)
        ),
        "the weights do not sum to what they should: B must be divided by A.": (
            lambda x_0, x_t, s, t: _product(x_0, x_t, s, t, divide=False)
        ),
        "x_0 is left out: x_t / sqrt(alpha) is only what the second witness says; weigh in the first.": (
            lambda x_0, x_t, s, t: _product(x_0, x_t, s, t, prior=0.0)
        ),
    },
    hints=[],
    praise="Two witnesses, each believed by one over its variance.",
)


def _from_eps(x_t, eps, alpha_bar_s, alpha_bar_t):
    return _process(alpha_bar_s, alpha_bar_t).posterior_mean_from_eps(x_t, 2, eps)


def _subtract(x_t, eps, alpha_bar_s, alpha_bar_t, share=0.5, scale=0.5, sign=1.0):
    alpha = alpha_bar_t / alpha_bar_s
    return (x_t - sign * (1 - alpha) / (1 - alpha_bar_t) ** share * eps) / alpha**scale


FROM_EPS = Exercise(
    grade="transcribe",
    reference=_from_eps,
    cases=[(_X_T, _EPS, 0.6, 0.5), (_X_T, _EPS, 0.9, 0.2)],
    returns=["mean"],
    mistakes={
        "all of the noise is taken away at once: a step takes only beta / sqrt(1 - alpha_bar_t) times eps.": (
            lambda x_t, eps, s, t: (x_t - (1 - t) ** 0.5 * eps) / t**0.5
        ),
        "beta is divided by 1 - alpha_bar_t; divide it by the square root of that.": (
            lambda x_t, eps, s, t: _subtract(x_t, eps, s, t, share=1.0)
        ),
        "the noise is added; the step back takes some of it away.": (
            lambda x_t, eps, s, t: _subtract(x_t, eps, s, t, sign=-1.0)
        ),
        "the shrinking is not undone: divide by sqrt(alpha).": (
            lambda x_t, eps, s, t: _subtract(x_t, eps, s, t, scale=0.0)
        ),
        "the shrinking is undone by alpha; the step multiplied by its square root.": (
            lambda x_t, eps, s, t: _subtract(x_t, eps, s, t, scale=1.0)
        ),
        "that is the standard deviation of one step, sqrt(beta) eps; but eps is the noise of all steps together.": (
            lambda x_t, eps, s, t: (x_t - (1 - t / s) ** 0.5 * eps) / (t / s) ** 0.5
        ),
    },
    hints=[],
    praise="This is the mean in line 4 of Algorithm 2 of the DDPM paper; the line then adds fresh noise, sigma_t z.",
)
