"""Exercises of notebook 21: the classifier inside, guidance at some times, thresholds, and a guess with a fault."""

from functools import partial

import numpy as np

from tinydiff.course.by_hand import per_sample
from tinydiff.course.exercise import PLANTED, Exercise

_RNG = np.random.default_rng(21)


def _pull(given, nothing, alpha_bar, sign=1.0, noise=lambda a: 1 - a, signal=lambda a: a**0.5):
    a = per_sample(alpha_bar, given)
    return sign * signal(a) / noise(a) * (given - nothing)


PULL = Exercise(
    grade="derive",
    reference=_pull,
    cases=[
        (*_RNG.standard_normal((2, 3, 2, 5)), np.array([0.36, 0.9, 0.07])),
        (*_RNG.standard_normal((2, 2, 4)), np.array([0.62, 0.18])),
        (*_RNG.standard_normal((2, 4, 2, 3, 1)), np.array([0.97, 0.4, 0.75, 0.22])),
    ],
    returns=["gradient"],
    mistakes={
        "the sign is that of noise; a guess moves the way that the score points.": partial(_pull, sign=-1.0),
        "the noise is a size there, and should be a variance: once from DDPM-4, and once from the score.": (
            partial(_pull, noise=lambda a: (1 - a) ** 0.5)
        ),
        "the root of alpha_bar is missing: x_0 stands in x_t with that factor, and the noise takes what is left.": (
            partial(_pull, signal=lambda a: 1.0)
        ),
        "alpha_bar stands there itself; what multiplies x_0 is its root.": partial(_pull, signal=lambda a: a),
        "that is the difference of the guesses; write each of the two scores first.": (
            partial(_pull, noise=lambda a: 1.0, signal=lambda a: 1.0)
        ),
        "that is the difference of the noises; the score is that over minus the root of 1 - alpha_bar.": (
            partial(_pull, sign=-1.0, noise=lambda a: (1 - a) ** 0.5)
        ),
    },
    hints=[
        "A classifier's gradient is the difference of two scores. What is a score, in terms of a guess of x_0?",
        "The noise is (x_t - a x_0_hat) / b and the score is minus the noise over b; in the difference, x_t cancels.",
        "With a the root of alpha_bar and b_squared = 1 - alpha_bar: `a / b_squared * (given - nothing)`.",
    ],
    praise="Told less untold: the network holds a classifier, and nobody trained one.",
)

_TABLE = _RNG.standard_normal((2, 13, 3))  # of a guess and of a noise, for labels 0 .. 12


def _network(x_t, t, labels):
    """Return a guess and a noise for each row of a batch, as a network would, from each row alone."""
    row = (-1, *[1] * (np.ndim(x_t) - 1))
    t, labels = np.broadcast_to(t, len(x_t)), np.broadcast_to(labels, len(x_t))
    of_guess, of_noise = (np.reshape(part[labels] @ [1.0, 0.7, -0.4], row) for part in _TABLE)
    size = np.reshape(t / 1000, row)
    return np.tanh(x_t) * of_guess + size, np.sin(2 * x_t + of_noise) - size * of_noise


def _guided(
    predict,
    x_t,
    t,
    labels,
    nothing,
    scale,
    low,
    high,
    start=0,
    outside=1.0,
    both_ends=None,
    flip=False,
    one_for_all=False,
):
    given, null = predict(x_t, t, labels), predict(x_t, t, np.full(len(x_t), nothing))
    inside = (low < t) & (t <= high)
    if both_ends is not None:
        inside = both_ends(low, t, high)
    if one_for_all:
        inside = np.full(len(t), inside[0])
    s = per_sample(np.where(inside != flip, scale, outside), x_t)
    return tuple((g if start else n) + s * (g - n) for g, n in zip(given, null, strict=True))


def _case(shape, t, labels, scale, low, high):
    return (_network, _RNG.standard_normal(shape), np.array(t), np.array(labels), 10, scale, low, high)


GUIDED = Exercise(
    grade="transcribe",
    reference=_guided,
    cases=[
        _case((5, 2, 3), [700, 300, 301, 950, 20], [3, 1, 4, 1, 5], 2.6, 300, 700),
        _case((3, 4), [990, 40, 520], [9, 2, 6], 0.3, 250, 1000),
        _case((2, 3, 2, 1), [410, 87], [7, 8], 5.5, 0, 87),
    ],
    returns=["x_0_hat", "eps_hat"],
    mistakes={
        "that starts from what was given, as the paper's w does; s is 1 + w, and starts from nothing.": (
            partial(_guided, start=1)
        ),
        "outside the interval the scale is 1, the network as it was trained; 0 would ignore the label.": (
            partial(_guided, outside=0.0)
        ),
        "the interval is low < t <= high: its lower end is outside.": (
            partial(_guided, both_ends=lambda low, t, high: (low <= t) & (t <= high))
        ),
        "the interval is low < t <= high: its upper end is inside.": (
            partial(_guided, both_ends=lambda low, t, high: (low < t) & (t < high))
        ),
        "the interval has the wrong end closed: low < t <= high.": (
            partial(_guided, both_ends=lambda low, t, high: (low <= t) & (t < high))
        ),
        "it guides outside the interval, and not within.": partial(_guided, flip=True),
        "it guides at all times; the interval is not used.": partial(_guided, both_ends=lambda low, t, high: t > -1),
        "one time decides for the whole batch; each sample has its own.": partial(_guided, one_for_all=True),
    },
    hints=[
        "Ask the network twice, once with the labels, once with `nothing` for all. Then one scale for each sample.",
        "`np.where((low < t) & (t <= high), scale, 1.0)` has the shape (N,): give it as many axes as x_t has.",
        "With s so shaped, each of the two outputs is `nothing_said + s * (given - nothing_said)`.",
    ],
    praise="From nothing to what was asked for, and on in the same direction, while it is time.",
)


def _dynamic(x_0_hat, percentile, least=1.0, absolute=True, clip=True, divide=True, together=False, method="linear"):
    rows = x_0_hat.reshape(1 if together else len(x_0_hat), -1)
    q = np.quantile(abs(rows) if absolute else rows, percentile, axis=1, method=method)
    q = per_sample(np.maximum(least, q), x_0_hat)
    x = np.clip(x_0_hat, -q, q) if clip else x_0_hat
    return x / q if divide else x


def _by_largest(x_0_hat, percentile):
    return x_0_hat / per_sample(np.maximum(1, abs(x_0_hat).reshape(len(x_0_hat), -1).max(axis=1)), x_0_hat)


_SIZES = np.array([1.9, 0.3, 1.2])
_GUESSES = per_sample(_SIZES, np.zeros((3, 2, 5))) * _RNG.standard_normal((3, 2, 5)) + 0.2

DYNAMIC = Exercise(
    grade="transcribe",
    reference=_dynamic,
    cases=[
        (_GUESSES, 0.6),
        (2.5 * _RNG.standard_normal((2, 3, 2, 1)) - 0.5, 0.87),
        (1.5 * _RNG.standard_normal((4, 7)), 0.93),
        (2 * _RNG.standard_normal((2, 3)), 1.0),
    ],
    returns=["x_0_hat"],
    mistakes={
        "q is below 1 where the picture is pale already, and would be stretched; take 1 if that is larger.": (
            partial(_dynamic, least=1e-9)
        ),
        "the percentile is that of the values; that of their absolute values is meant, dark ones count too.": (
            partial(_dynamic, absolute=False)
        ),
        "nothing is clipped: what lies beyond q stays beyond 1.": partial(_dynamic, clip=False),
        "it is not divided by q: the picture still reaches from -q to q.": partial(_dynamic, divide=False),
        "one q for the whole batch: a picture would depend on those beside it.": partial(_dynamic, together=True),
        "q is a value of the picture; between two values the quantile interpolates, as np.quantile does.": (
            partial(_dynamic, method="higher")
        ),
        "q is the value just below the percentile; between two values go that share of the way, as np.quantile does.": (
            partial(_dynamic, method="lower")
        ),
        "that is the static threshold, as if each q were 1 (np.percentile counts to 100, np.quantile to 1).": (
            lambda x_0_hat, percentile: np.clip(x_0_hat, -1, 1)
        ),
        "it is divided by the largest value; one bright pixel would make all of the picture pale.": _by_largest,
    },
    hints=[
        "One q for each picture. Over which numbers is the quantile taken, and what if it is below 1?",
        "Put each picture into a row, `abs(x_0_hat).reshape(len(x_0_hat), -1)`, and take the quantile along axis 1.",
        "With q of the shape (N, 1, ...), return `np.clip(x_0_hat, -q, q) / q`.",
    ],
    praise="Clip at q, and scale the rest with it, picture by picture.",
)


def _clipped(x_t, given, nothing, alpha_bar, scale, early=False, late=True, noise=True, swapped=False):
    a, b = alpha_bar**0.5, (1 - alpha_bar) ** 0.5
    told, untold = ((x_t - b * eps) / a for eps in (given, nothing))
    if early:
        told, untold = told.clip(-1, 1), untold.clip(-1, 1)
    if swapped:
        told, untold = untold, told
    x_0 = untold + scale * (told - untold)
    eps = nothing + scale * (given - nothing)
    x_0 = x_0.clip(-1, 1) if late else x_0
    return x_0, (x_t - a * x_0) / b if noise else eps


CLIPPED = Exercise(
    grade="debug",
    reference=_clipped,
    cases=[
        (*_RNG.standard_normal((3, 3, 2, 5)), 0.36, 2.6),
        (*_RNG.standard_normal((3, 2, 4)), 0.9, 3.3),
        (*0.2 * _RNG.standard_normal((3, 4, 3)), 0.7, 1.8),
    ],
    returns=["x_0_hat", "eps_hat"],
    mistakes={
        PLANTED: (partial(_clipped, early=True)),
        "now nothing is clipped: the combined guess leaves the range of pictures.": partial(_clipped, late=False),
        "clip once, at the end; before, each clip bends the line through the two guesses, and after, nothing holds.": (
            partial(_clipped, early=True, late=False)
        ),
        "the guess is right, but the noise is that before the clip; it must belong to the clipped guess.": (
            partial(_clipped, noise=False)
        ),
        "the two guesses are swapped: that leads away from what was asked for.": partial(_clipped, swapped=True),
    },
    hints=[
        "Where both guesses lie beyond 1, one a little and one far: what is their difference before a clip, and after?",
        "Guidance goes along the line through two predictions as they are; only what comes out is kept within bounds.",
        "Let `guess` return `(x_t - b * eps) / a` without a clip; the clip at the end is enough.",
    ],
    praise="Combine first, clip last, and find the noise again.",
)
