"""Exercises of notebook 02: the exact denoiser of a data set, and the score."""

import numpy as np

from tinydiff.course.exercise import Exercise
from tinydiff.diffusion import FiniteData, GaussianDiffusion

_X_T, _POINTS = np.array([0.3, -0.2]), np.array([[1.0, 0.0], [-1.0, 0.5], [0.2, -1.0]])
_X_0_HAT = np.array([0.6, -0.4])


def _denoise(x_t, points, alpha_bar):
    process = GaussianDiffusion(np.array([1.0, alpha_bar]))  # one step, which leaves as much as was asked for
    x_0_hat, _ = FiniteData(process, points).predict(x_t[None], 1)
    return x_0_hat[0]


def _average(x_t, points, alpha_bar, scale=0.5, width=2.0, noise=1.0):
    distance = ((x_t - alpha_bar**scale * points) ** 2).sum(axis=1)
    share = np.exp(-distance / (width * (1 - alpha_bar) ** noise))
    return share / share.sum() @ points


def _nearest(x_t, points, alpha_bar):
    return points[((x_t - alpha_bar**0.5 * points) ** 2).sum(axis=1).argmin()]


def _without_norm(x_t, points, alpha_bar):
    distance = ((x_t - alpha_bar**0.5 * points) ** 2).sum(axis=1)
    return np.exp(-distance / (2 * (1 - alpha_bar))) @ points


DENOISER = Exercise(
    grade="transcribe",
    reference=_denoise,
    cases=[(_X_T, _POINTS, 0.5), (_X_T, _POINTS, 0.1), (_X_T, _POINTS, 0.9)],
    returns=["x_0_hat"],
    mistakes={
        "that is the nearest point; the best guess is an average in which each point has its share.": _nearest,
        "the shares do not sum to 1: divide them by their sum.": _without_norm,
        "noise has shrunk the points to sqrt(alpha_bar) times their size; compare x_t with these.": (
            lambda x_t, points, alpha_bar: _average(x_t, points, alpha_bar, scale=0.0)
        ),
        "the points shrink by the square root of alpha_bar, not by alpha_bar itself.": (
            lambda x_t, points, alpha_bar: _average(x_t, points, alpha_bar, scale=1.0)
        ),
        "the 2 is missing: the normal density falls as exp(-distance^2 / (2 variance)).": (
            lambda x_t, points, alpha_bar: _average(x_t, points, alpha_bar, width=1.0)
        ),
        "the distance is divided by the standard deviation of the noise; it must be the variance, 1 - alpha_bar.": (
            lambda x_t, points, alpha_bar: _average(x_t, points, alpha_bar, noise=0.5)
        ),
        "all points have the same share; those nearer to x_t must count more.": (
            lambda x_t, points, alpha_bar: points.mean(axis=0)
        ),
    },
    hints=[],
    praise="It is softmax attention: x_t is the query, and near points get the large weights.",
)


def _score(x_t, x_0_hat, alpha_bar):
    process = GaussianDiffusion(np.array([1.0, alpha_bar]))
    eps_hat = process.eps_from_x_0(x_t, 1, x_0_hat)
    return process.score_from_eps(eps_hat, 1)


SCORE = Exercise(
    grade="transcribe",
    reference=_score,
    cases=[(_X_T, _X_0_HAT, 0.5), (_X_T, _X_0_HAT, 0.2)],
    returns=["score"],
    mistakes={
        "the sign is wrong: the score points from x_t towards where data are likely.": (
            lambda x_t, x_0_hat, alpha_bar: -_score(x_t, x_0_hat, alpha_bar)
        ),
        "that is minus the noise; one more division by sqrt(1 - alpha_bar) makes it the score.": (
            lambda x_t, x_0_hat, alpha_bar: _score(x_t, x_0_hat, alpha_bar) * (1 - alpha_bar) ** 0.5
        ),
        "the guess must be shrunk to the size that it has at t: sqrt(alpha_bar) times x_0_hat.": (
            lambda x_t, x_0_hat, alpha_bar: (x_0_hat - x_t) / (1 - alpha_bar)
        ),
        "the guess shrinks by the square root of alpha_bar, not by alpha_bar itself.": (
            lambda x_t, x_0_hat, alpha_bar: (alpha_bar * x_0_hat - x_t) / (1 - alpha_bar)
        ),
        "the difference is divided by alpha_bar; divide it by the variance of the noise, 1 - alpha_bar.": (
            lambda x_t, x_0_hat, alpha_bar: (alpha_bar**0.5 * x_0_hat - x_t) / alpha_bar
        ),
    },
    hints=[],
    praise="Whoever can denoise knows the score, and the other way round.",
)
