"""Exercises of notebook 03: the posterior, its mean from the noise, and the true step back on a grid."""

import numpy as np

from tinydiff.course.exercise import Exercise

_RNG = np.random.default_rng(103)
_X_0, _X_T, _EPS = _RNG.standard_normal((3, 2, 3, 4))


def _product(x_0, x_t, alpha_bar_s, alpha_bar_t, prior=1.0, signal=0.5, back=0.5, divide=True):
    """Return mean and variance of the product of two bells, each weighted by one over its variance."""
    alpha = alpha_bar_t / alpha_bar_s
    from_x_0, from_x_t = prior / (1 - alpha_bar_s), alpha / (1 - alpha)
    total = from_x_0 * alpha_bar_s**signal * x_0 + from_x_t * x_t / alpha**back
    A = from_x_0 + from_x_t
    return (total / A if divide else total), 1 / A


def _posterior(x_0, x_t, alpha_bar_s, alpha_bar_t):
    return _product(x_0, x_t, alpha_bar_s, alpha_bar_t)


def _with_variance(change):
    def mistaken(x_0, x_t, alpha_bar_s, alpha_bar_t):
        mean, variance = _product(x_0, x_t, alpha_bar_s, alpha_bar_t)
        return mean, change(variance, alpha_bar_s, alpha_bar_t)

    return mistaken


POSTERIOR = Exercise(
    grade="transcribe",
    reference=_posterior,
    cases=[(_X_0, _X_T, 0.6, 0.45), (_X_0[0], _X_T[0], 0.9, 0.2), (_X_0[:, 1], _X_T[:, 2], 0.35, 0.3)],
    returns=["mean", "variance"],
    mistakes={
        "the two terms are swapped: the less noise is left at s, the more x_0 counts.": (
            lambda x_0, x_t, s, t: _product(x_t, x_0, s, t)
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
        "alpha belongs to the one step, alpha_bar_t / alpha_bar_s; alpha_bar_t itself stands before x_t.": (
            lambda x_0, x_t, s, t: (
                _posterior(x_0, 0 * x_t, s, t)[0] + s**0.5 * _posterior(0 * x_0, x_t, s, t)[0],
                _posterior(x_0, x_t, s, t)[1],
            )
        ),
        "beta is 1 - alpha_bar_t / alpha_bar_s, and not the difference of the two alpha_bar.": (
            lambda x_0, x_t, s, t: (
                s * _posterior(x_0, 0 * x_t, s, t)[0] + _posterior(0 * x_0, x_t, s, t)[0],
                s * _posterior(x_0, x_t, s, t)[1],
            )
        ),
        "the mean is right, but 1 / A is a variance already: no root.": _with_variance(lambda v, s, t: v**0.5),
        "the mean is right, but that is A; the variance is one over it.": _with_variance(lambda v, s, t: 1 / v),
        "the mean is right, but that is beta, the variance of the step forward; knowing x_0 makes it smaller.": (
            _with_variance(lambda v, s, t: 1 - t / s)
        ),
        "the mean is right, but the fraction of beta-tilde is upside down: 1 - alpha_bar_s stands above.": (
            _with_variance(lambda v, s, t: (1 - t) / (1 - s) * (1 - t / s))
        ),
    },
    hints=[
        "First alpha, the share that the step from s to t keeps: alpha_bar_t / alpha_bar_s; beta is 1 - alpha.",
        "With A and B as above, the mean is B / A and the variance 1 / A.",
        "`A = 1 / (1 - alpha_bar_s) + alpha / beta`, and B has the same two terms, times where each witness points.",
    ],
    praise="Two witnesses, each believed by one over its variance.",
)


def _from_eps(x_t, eps, alpha_bar_s, alpha_bar_t, share=0.5, scale=0.5, sign=1.0):
    alpha = alpha_bar_t / alpha_bar_s
    return (x_t - sign * (1 - alpha) / (1 - alpha_bar_t) ** share * eps) / alpha**scale


FROM_EPS = Exercise(
    grade="derive",
    reference=_from_eps,
    cases=[(_X_T, _EPS, 0.6, 0.45), (_X_T[0], _EPS[0], 0.9, 0.2), (_X_T[:, 1], _EPS[:, 2], 0.35, 0.3)],
    returns=["mean"],
    mistakes={
        "all of the noise is taken away at once; the mean is a step back to s, not to 0.": (
            lambda x_t, eps, s, t: (x_t - (1 - t) ** 0.5 * eps) / t**0.5
        ),
        "the noise is divided by 1 - alpha_bar_t; x_0 has the root of that before eps, so one root goes.": (
            lambda x_t, eps, s, t: _from_eps(x_t, eps, s, t, share=1.0)
        ),
        "the noise has no 1 / sqrt(1 - alpha_bar_t): look at what multiplies eps once more.": (
            lambda x_t, eps, s, t: _from_eps(x_t, eps, s, t, share=0.0)
        ),
        "the noise is added; the step back takes some of it away.": (
            lambda x_t, eps, s, t: _from_eps(x_t, eps, s, t, sign=-1.0)
        ),
        "the shrinking is not undone: what multiplies x_t is more than 1.": (
            lambda x_t, eps, s, t: _from_eps(x_t, eps, s, t, scale=0.0)
        ),
        "the shrinking is undone by alpha; the step multiplied by its square root.": (
            lambda x_t, eps, s, t: _from_eps(x_t, eps, s, t, scale=1.0)
        ),
        "that is the standard deviation of one step, sqrt(beta) eps; but eps is the noise of all steps together.": (
            lambda x_t, eps, s, t: (x_t - (1 - t / s) ** 0.5 * eps) / (t / s) ** 0.5
        ),
        "that mixes x_0 and the same noise again at s; the mean has less noise, since some of it was fresh.": (
            lambda x_t, eps, s, t: s**0.5 * (x_t - (1 - t) ** 0.5 * eps) / t**0.5 + (1 - s) ** 0.5 * eps
        ),
    },
    hints=[
        "Only x_0 must go: by Eq. DDPM-15 it is (x_t - sqrt(1 - alpha_bar_t) eps) / sqrt(alpha_bar_t).",
        "Put that into the mean of DDPM-7, and collect what multiplies x_t, and what multiplies eps.",
        "What multiplies x_t becomes `1 / alpha ** 0.5`; eps has `-(1 - alpha) / (1 - alpha_bar_t)**0.5` times that.",
    ],
    praise="This is the mean in line 4 of Algorithm 2 of the DDPM paper; the line then adds fresh noise, sigma_t z.",
)


def _on_grid(x, density, x_t, alpha, prior=True, likelihood=True, shrink=0.5, share=1.0, width=2.0):
    weight = np.ones(len(x))
    if prior:
        weight = weight * density
    if likelihood:
        weight = weight * np.exp(-((x_t - alpha**shrink * x) ** 2) / (width * (1 - alpha) ** share))
    weight = weight / weight.sum()
    mean = (weight * x).sum()
    return mean, (weight * (x - mean) ** 2).sum()


def _bell(x, mean, variance):
    return np.exp(-((x - mean) ** 2) / (2 * variance)) / (2 * np.pi * variance) ** 0.5


def _density(x, parts):
    return sum(weight * _bell(x, mean, variance) for weight, mean, variance in parts)


_GRID, _FINE = np.linspace(-5, 6, 89), np.linspace(-6, 5, 131)

STEP_BACK = Exercise(
    grade="explore",
    reference=_on_grid,
    cases=[
        (_GRID, _density(_GRID, [(0.3, -0.9, 0.2), (0.7, 1.1, 0.35)]), 0.3, 0.6),
        (_FINE, _density(_FINE, [(0.6, -0.8, 0.15), (0.4, 0.9, 0.3)]), -0.2, 0.8),
        (_GRID, _density(_GRID, [(1.0, 0.4, 0.7)]), 1.7, 0.35),
    ],
    returns=["mean", "variance"],
    mistakes={
        "the density before the step is left out: by Bayes' rule it multiplies the likelihood.": (
            lambda *args: _on_grid(*args, prior=False)
        ),
        "x_t is left out: by Bayes' rule the density at s is multiplied by q(x_t | x_s).": (
            lambda *args: _on_grid(*args, likelihood=False)
        ),
        "the step shrinks first: x_t is near sqrt(alpha) times x_s, not near x_s.": (
            lambda *args: _on_grid(*args, shrink=0.0)
        ),
        "the step shrinks by sqrt(alpha), not by alpha.": lambda *args: _on_grid(*args, shrink=1.0),
        "the square is divided by the step's standard deviation; it must be the variance, 1 - alpha.": (
            lambda *args: _on_grid(*args, share=0.5)
        ),
        "the 2 of the normal density, exp(-square / (2 variance)), is missing.": lambda *args: _on_grid(
            *args, width=1.0
        ),
        "the mean is right, but the variance is not: the square of the mean must be subtracted.": (
            lambda *args: (_on_grid(*args)[0], sum(np.square(_on_grid(*args)[:1])) + _on_grid(*args)[1])
        ),
        "the mean is right, but that is the standard deviation.": (
            lambda *args: (_on_grid(*args)[0], _on_grid(*args)[1] ** 0.5)
        ),
    },
    hints=[
        "By Bayes' rule q(x_s | x_t) is proportional to q(x_t | x_s) q(x_s); both are known at each point of the grid.",
        "q(x_t | x_s) is a bell round sqrt(alpha) x_s with the variance 1 - alpha. Scale the product to the sum 1.",
        "With `weight` of sum 1: the mean is `(weight * x).sum()`, the variance `(weight * (x - mean) ** 2).sum()`.",
    ],
    praise="No formula was solved: on a line, Bayes' rule is a product and a sum.",
)
