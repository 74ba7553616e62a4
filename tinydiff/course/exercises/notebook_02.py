"""Exercises of notebook 02: exact denoisers of a list and of bells, the score, and copies of a list."""

import numpy as np

from tinydiff.course.exercise import PLANTED, Exercise

_RNG = np.random.default_rng(102)


def _denoise(x_t, points, weights, alpha_bar, scale=0.5, width=2.0, noise=1.0):
    gap = x_t[:, None] - alpha_bar**scale * points  # (N, K, D)
    share = weights * np.exp(-(gap**2).sum(axis=2) / (width * (1 - alpha_bar) ** noise))
    return share / share.sum(axis=1, keepdims=True) @ points


def _nearest(x_t, points, weights, alpha_bar):
    gap = x_t[:, None] - alpha_bar**0.5 * points
    return points[(gap**2).sum(axis=2).argmin(axis=1)]


def _without_norm(x_t, points, weights, alpha_bar):
    gap = x_t[:, None] - alpha_bar**0.5 * points
    return weights * np.exp(-(gap**2).sum(axis=2) / (2 * (1 - alpha_bar))) @ points


def _norm_over_batch(x_t, points, weights, alpha_bar):
    gap = x_t[:, None] - alpha_bar**0.5 * points
    share = weights * np.exp(-(gap**2).sum(axis=2) / (2 * (1 - alpha_bar)))
    return share / share.sum() @ points


def _without_squares(x_t, points, weights, alpha_bar):
    gap = x_t[:, None] - alpha_bar**0.5 * points
    share = weights * np.exp(-((gap**2).sum(axis=2) ** 0.5) / (2 * (1 - alpha_bar)))
    return share / share.sum(axis=1, keepdims=True) @ points


DENOISER = Exercise(
    grade="transcribe",
    reference=_denoise,
    cases=[
        (_RNG.standard_normal((2, 3)), _RNG.standard_normal((4, 3)), np.array([0.1, 0.2, 0.3, 0.4]), 0.45),
        (_RNG.standard_normal((3, 2)), _RNG.standard_normal((5, 2)), np.array([0.3, 0.1, 0.35, 0.2, 0.05]), 0.1),
        (_RNG.standard_normal((4, 1)), _RNG.standard_normal((2, 1)), np.array([0.85, 0.15]), 0.8),
    ],
    returns=["x_0_hat"],
    mistakes={
        "that is the nearest point; the best guess is an average in which each point has its share.": _nearest,
        "the shares do not sum to 1: divide them by their sum.": _without_norm,
        "the shares are divided by the sum over the whole batch; those of each x_t must sum to 1.": _norm_over_batch,
        "the weights of the points are forgotten: a frequent point is a likely cause.": (
            lambda x_t, points, weights, alpha_bar: _denoise(x_t, points, np.ones(len(points)), alpha_bar)
        ),
        "noise has shrunk the points to sqrt(alpha_bar) times their size; compare x_t with these.": (
            lambda x_t, points, weights, alpha_bar: _denoise(x_t, points, weights, alpha_bar, scale=0.0)
        ),
        "the points shrink by the square root of alpha_bar, not by alpha_bar itself.": (
            lambda x_t, points, weights, alpha_bar: _denoise(x_t, points, weights, alpha_bar, scale=1.0)
        ),
        "the 2 is missing: the normal density falls as exp(-distance^2 / (2 variance)).": (
            lambda x_t, points, weights, alpha_bar: _denoise(x_t, points, weights, alpha_bar, width=1.0)
        ),
        "the distance is divided by the standard deviation of the noise; it must be the variance, 1 - alpha_bar.": (
            lambda x_t, points, weights, alpha_bar: _denoise(x_t, points, weights, alpha_bar, noise=0.5)
        ),
        "the distance is not squared.": _without_squares,
        "the average is of the shrunken points; the guess is of the clean ones.": (
            lambda x_t, points, weights, alpha_bar: alpha_bar**0.5 * _denoise(x_t, points, weights, alpha_bar)
        ),
        "the points have the same share for every x_t; those nearer to x_t must count more.": (
            lambda x_t, points, weights, alpha_bar: np.tile(weights @ points, (len(x_t), 1))
        ),
    },
    hints=[
        "Eq. DATA-1 has two parts: the shares r_k, one for each x_t and each point, and then an average with them.",
        "`x_t[:, None] - alpha_bar ** 0.5 * points` has the shape (N, K, D): square it, and sum over D.",
        "With `share` of shape (N, K), divide by `share.sum(axis=1, keepdims=True)`, then `share @ points`.",
    ],
    praise="It is softmax attention: x_t is the query, and near points get the large weights.",
)


def _of_bells(x_t, weights, means, variances, alpha_bar, height=0.5, data=True, weighted=True, own=True):
    total = alpha_bar * variances + 1 - alpha_bar
    gap = x_t[:, None] - alpha_bar**0.5 * means
    guess = means + alpha_bar**0.5 * variances / total * gap if own else means + 0 * gap
    q = np.exp(-(gap**2) / (2 * (total if data else 1 - alpha_bar))) / total**height
    share = (weights if weighted else 1) * q
    return (share * guess).sum(axis=1) / share.sum(axis=1)


BELLS = Exercise(
    grade="debug",
    reference=_of_bells,
    cases=[
        (_RNG.standard_normal(5), np.array([0.3, 0.7]), np.array([-1.2, 0.9]), np.array([0.02, 0.6]), 0.8),
        (
            _RNG.standard_normal(2),
            np.array([0.2, 0.5, 0.3]),
            np.array([-1.0, 0.3, 1.4]),
            np.array([0.3, 0.05, 1.5]),
            0.6,
        ),
        (_RNG.standard_normal(4), np.array([0.9, 0.1]), np.array([0.4, -0.7]), np.array([2.0, 0.1]), 0.3),
    ],
    returns=["x_0_hat"],
    mistakes={
        PLANTED: (lambda *args: _of_bells(*args, height=0)),
        "the height of a bell falls as one over its standard deviation; yours falls as one over the variance.": (
            lambda *args: _of_bells(*args, height=1)
        ),
        "the height is turned round: a wider bell is a lower one.": lambda *args: _of_bells(*args, height=-0.5),
        "at t a bell is wider than the noise alone: its variance is alpha_bar * variances + 1 - alpha_bar.": (
            lambda *args: _of_bells(*args, data=False)
        ),
        "the weights of the bells are gone from their shares.": lambda *args: _of_bells(*args, weighted=False),
        "each bell's guess is its mean; by Eq. GAUSS-1 it also follows x_t.": lambda *args: _of_bells(*args, own=False),
    },
    hints=[
        "It is right if all bells are equally wide. Which line does not know what the width does?",
        "Write down the normal density of variance `total`, whole: what stands before the exp?",
        "q should be the exp divided by `total ** 0.5`; the root of 2 pi is the same for all bells.",
    ],
    praise="A factor may be dropped only if it is the same for all of the bells.",
)


def _score(x_t, x_0_hat, alpha_bar):
    return (alpha_bar**0.5 * x_0_hat - x_t) / (1 - alpha_bar)


_X, _GUESS = _RNG.standard_normal((2, 3, 5)), _RNG.standard_normal((2, 3, 5))

SCORE = Exercise(
    grade="derive",
    reference=_score,
    cases=[(_X, _GUESS, 0.4), (_X[0], _GUESS[0], 0.15), (_X[:, 1], _GUESS[:, 2], 0.85)],
    returns=["score"],
    mistakes={
        "the sign is wrong: the score points from x_t towards where data are likely.": lambda *args: -_score(*args),
        "that is minus the noise; one more division by sqrt(1 - alpha_bar) makes it the score.": (
            lambda x_t, x_0_hat, alpha_bar: _score(x_t, x_0_hat, alpha_bar) * (1 - alpha_bar) ** 0.5
        ),
        "that is sqrt(1 - alpha_bar) times the noise; twice divided by this root, and with a minus, it is the score.": (
            lambda x_t, x_0_hat, alpha_bar: x_t - alpha_bar**0.5 * x_0_hat
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
    hints=[
        "Eq. SCORE-1 has the expected noise. What is it, if x_t and the expected image are known?",
        "Solve x_t = a x_0_hat + b eps_hat for eps_hat, and put it into SCORE-1; b comes twice.",
        "eps_hat is `(x_t - alpha_bar**0.5 * x_0_hat) / b`; the score is `-eps_hat / b`, and b * b is 1 - alpha_bar.",
    ],
    praise="Whoever can denoise knows the score, and the other way round.",
)


def _off(samples, images):
    return abs(samples[:, None] - images).max(axis=(2, 3, 4)).min(axis=1)


def _differences(samples, images):
    return samples[:, None] - images


def _by_squares(samples, images):
    gap = _differences(samples, images)
    nearest = (gap**2).sum(axis=(2, 3, 4)).argmin(axis=1)
    return abs(samples - images[nearest]).max(axis=(1, 2, 3))


_IMAGES = _RNG.uniform(-1, 1, (5, 2, 4, 1))
_GREY = _RNG.uniform(-0.02, 0.02, (2, 2, 4, 1))
_NEAR_GREY = np.stack([np.full((2, 4, 1), -0.3), np.pad([[[0.5]]], ((0, 1), (2, 1), (0, 0))), np.full((2, 4, 1), 0.6)])

COPIES = Exercise(
    grade="explore",
    reference=_off,
    cases=[
        (_RNG.uniform(-1, 1, (3, 2, 4, 1)), _IMAGES),
        (_IMAGES[[4, 0]] + _RNG.uniform(-0.2, 0.1, (2, 2, 4, 1)), _IMAGES),
        (_GREY, _NEAR_GREY),
        (_RNG.uniform(-1, 1, (7, 3, 1, 2)), _RNG.uniform(-1, 1, (4, 3, 1, 2))),
    ],
    returns=["off"],
    mistakes={
        "that is the mean over the pixels; one pixel that is far off should be seen, so take the largest.": (
            lambda samples, images: abs(_differences(samples, images)).mean(axis=(2, 3, 4)).min(axis=1)
        ),
        "without abs, a pixel that is too dark counts as near.": (
            lambda samples, images: _differences(samples, images).max(axis=(2, 3, 4)).min(axis=1)
        ),
        "the smallest difference of a pixel is near 0 for almost any two images; first take the largest pixel.": (
            lambda samples, images: abs(_differences(samples, images)).min(axis=(1, 2, 3, 4))
        ),
        "that is the image of the list that is furthest off; take the nearest.": (
            lambda samples, images: abs(_differences(samples, images)).max(axis=(1, 2, 3, 4))
        ),
        "the nearest image is chosen by another measure than the largest difference of a pixel.": _by_squares,
        "there is a number for each image of the list; asked for is one for each sample.": (
            lambda samples, images: _off(images, samples)
        ),
    },
    hints=[
        "Compare one sample with one image first: a single number, the largest difference of a pixel.",
        "Then the smallest of these numbers over the list, for each sample; a loop over the samples is good enough.",
        "For one sample: `abs(images - sample).max(axis=(1, 2, 3)).min()`.",
    ],
    praise="0 is a copy, to the last pixel.",
)
