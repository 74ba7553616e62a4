"""Exercises of notebook 00: sampling in five lines."""

from functools import partial
from itertools import pairwise

import numpy as np

from tinydiff.course.exercise import Exercise

_X_0_HAT, _EPS_HAT = np.array([1.0, -1.0, 0.5, 0.0]), np.array([0.3, 1.2, -0.4, 2.0])


def _mix(x_0_hat, eps_hat, alpha_bar_s):
    return alpha_bar_s**0.5 * x_0_hat + (1 - alpha_bar_s) ** 0.5 * eps_hat


MIX = Exercise(
    grade="transcribe",
    reference=_mix,
    cases=[(_X_0_HAT, _EPS_HAT, 0.64), (_X_0_HAT, _EPS_HAT, 0.1), (_X_0_HAT, _EPS_HAT, 1.0)],
    returns=["x_s"],
    mistakes={
        "the weights are square roots, of alpha_bar_s and of 1 - alpha_bar_s; yours are these numbers themselves.": (
            lambda x_0_hat, eps_hat, a: a * x_0_hat + (1 - a) * eps_hat
        ),
        "the clean image has its square root, but the noise has not: its weight is (1 - alpha_bar_s) ** 0.5.": (
            lambda x_0_hat, eps_hat, a: a**0.5 * x_0_hat + (1 - a) * eps_hat
        ),
        "the two weights are swapped: the more signal is left, the more the clean image counts.": (
            lambda x_0_hat, eps_hat, a: (1 - a) ** 0.5 * x_0_hat + a**0.5 * eps_hat
        ),
        "the noise is gone: only the guess is left, and then one step would be the last.": (
            lambda x_0_hat, eps_hat, a: x_0_hat
        ),
        "the noise is subtracted; but the guess is clean already, and x at time s still has noise in it.": (
            lambda x_0_hat, eps_hat, a: a**0.5 * x_0_hat - (1 - a) ** 0.5 * eps_hat
        ),
    },
    hints=[],
    praise="This is a step of DDIM: the guess, with as much of its noise as belongs to the time s.",
)


def _toy_predict(x, t):
    """Stand in for a model: its guesses depend on the time that it is told."""
    return x / (1 + t / 1000), x * t / 1000


def _sample(predict, mix, alpha_bar, x, times, told, guess_at=lambda t, told: told, weight_at=lambda t, s, told: s):
    for t, s in pairwise(times):
        x_0_hat, eps_hat = predict(x, guess_at(t, told))
        x = mix(x_0_hat, eps_hat, alpha_bar[weight_at(t, s, told)])
    return x


_ALPHA_BAR = np.linspace(1.0, 0.0, 11)
_CASE = (_toy_predict, _mix, _ALPHA_BAR, _X_0_HAT, [10, 7, 3, 0], 5)

LIE = Exercise(
    grade="transcribe",
    reference=_sample,
    cases=[_CASE, (*_CASE[:-1], 9)],
    returns=["x"],
    mistakes={
        "the model is told the true time t; here it should be told `told`, whatever t is.": (
            partial(_sample, guess_at=lambda t, told: t)
        ),
        "the mix takes alpha_bar at the old time t; the step leads to s.": (
            partial(_sample, weight_at=lambda t, s, told: t)
        ),
        "the lie is for the model only; the mix must use alpha_bar at the true time s.": (
            partial(_sample, weight_at=lambda t, s, told: told)
        ),
        "x is not replaced: each step must start from what the step before gave.": (
            lambda predict, mix, alpha_bar, x, times, told: mix(*predict(x, told), alpha_bar[times[-1]])
        ),
    },
    hints=[],
    praise="Only the model is told the lie.",
)
