"""Exercises of notebook 00: variety, a step of sampling, the noise behind a guess, and a lie about the time."""

from functools import partial
from itertools import pairwise

import numpy as np

from tinydiff.course.exercise import Exercise

_RNG = np.random.default_rng(100)


def _distances(images, power=2):
    return [
        (abs(images[i] - images[j]) ** power).sum() ** (1 / power) for i in range(len(images)) for j in range(i)
    ]  # every pair once


def _variety(images):
    return float(np.mean(_distances(images)))


VARIETY = Exercise(
    grade="explore",
    reference=_variety,
    cases=[
        (_RNG.standard_normal((4, 3, 2, 1)),),
        (_RNG.standard_normal((3, 2, 5, 1)) * 0.3 + 1,),
        (_RNG.standard_normal((5, 1, 2, 3)),),
        (_RNG.standard_normal((2, 4, 3, 1)),),
        (np.arange(16.0).reshape(4, 2, 2, 1)[[0, 3, 3, 1]] / 9,),  # two are the same, and are a pair as well
    ],
    returns=["variety"],
    mistakes={
        "an image is compared with itself too, and these zeros make the mean smaller: take pairs of two images.": (
            lambda images: _variety(images) * (len(images) - 1) / len(images)
        ),
        "that is the sum over all pairs; divide it by how many pairs there are.": (
            lambda images: float(np.sum(_distances(images)))
        ),
        "the root is missing: Pythagoras has the squared distance, the sum of squares.": (
            lambda images: float(np.mean(np.square(_distances(images))))
        ),
        "absolute differences are added; in the sense of Pythagoras squares are added, and then comes the root.": (
            lambda images: float(np.mean(_distances(images, 1)))
        ),
        "squares are averaged over the pixels; Pythagoras adds them up.": (
            lambda images: _variety(images) / images[0].size ** 0.5
        ),
        "that is the root of the mean squared distance; take the root for each pair, and the mean of the roots then.": (
            lambda images: float(np.mean(np.square(_distances(images))) ** 0.5)
        ),
        "that is the distance from the average image; asked for is the distance of two images.": (
            lambda images: float(np.mean([np.linalg.norm(one - images.mean(axis=0)) for one in images]))
        ),
        "each image is compared with the next one only; take all pairs.": (
            lambda images: float(np.mean([np.linalg.norm(a - b) for a, b in pairwise(images)]))
        ),
    },
    hints=[
        "How far are two images apart? Take that first, for one pair, as one number.",
        "Square the differences of all pixels, add, take the root. Then average over all pairs with j < i.",
        "One distance is `((images[i] - images[j]) ** 2).sum() ** 0.5`; take the mean of those with `j in range(i)`.",
    ],
    praise="One number for how different the pictures are: 0 if all are the same.",
)

_X_0_HAT, _EPS_HAT = _RNG.standard_normal((2, 3, 5)), _RNG.standard_normal((2, 3, 5))


def _mix(x_0_hat, eps_hat, alpha_bar_s):
    return alpha_bar_s**0.5 * x_0_hat + (1 - alpha_bar_s) ** 0.5 * eps_hat


MIX = Exercise(
    grade="transcribe",
    reference=_mix,
    cases=[
        (_X_0_HAT, _EPS_HAT, 0.64),
        (_X_0_HAT[0], _EPS_HAT[0], 0.07),
        (_X_0_HAT[:, 1], _EPS_HAT[:, 2], 0.93),
        (_X_0_HAT, _EPS_HAT, 1.0),
    ],
    returns=["x_s"],
    mistakes={
        "the weights are square roots, of alpha_bar_s and of 1 - alpha_bar_s; yours are these numbers themselves.": (
            lambda x_0_hat, eps_hat, a: a * x_0_hat + (1 - a) * eps_hat
        ),
        "the clean image has its square root, but the noise has not: its weight is (1 - alpha_bar_s) ** 0.5.": (
            lambda x_0_hat, eps_hat, a: a**0.5 * x_0_hat + (1 - a) * eps_hat
        ),
        "the noise has its square root, but the clean image has not: its weight is alpha_bar_s ** 0.5.": (
            lambda x_0_hat, eps_hat, a: a * x_0_hat + (1 - a) ** 0.5 * eps_hat
        ),
        "the weight of the noise is 1 minus the root; it is the root of 1 - alpha_bar_s.": (
            lambda x_0_hat, eps_hat, a: a**0.5 * x_0_hat + (1 - a**0.5) * eps_hat
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
    hints=[
        "The sentence above names the two weights, one for each guess.",
        "x at time s is a sum: weight times x_0_hat, plus weight times eps_hat. A root is `** 0.5`.",
        "The weight of the noise is `(1 - alpha_bar_s) ** 0.5`, and that of the image is made in the same way.",
    ],
    praise="This is a step of DDIM: the guess, with as much of its noise as belongs to the time s.",
)


def _noise(x_t, x_0_hat, alpha_bar_t):
    return (x_t - alpha_bar_t**0.5 * x_0_hat) / (1 - alpha_bar_t) ** 0.5


NOISE = Exercise(
    grade="derive",
    reference=_noise,
    cases=[
        (_EPS_HAT, _X_0_HAT, 0.64),
        (_EPS_HAT[0], _X_0_HAT[0], 0.07),
        (_EPS_HAT[:, 1], _X_0_HAT[:, 2], 0.93),
    ],
    returns=["eps_hat"],
    mistakes={
        "the guess is subtracted at its full size; in x_t it has the weight sqrt(alpha_bar_t).": (
            lambda x_t, x_0_hat, a: (x_t - x_0_hat) / (1 - a) ** 0.5
        ),
        "that is x_t less the image, which is the noise times its weight; divide by the weight.": (
            lambda x_t, x_0_hat, a: x_t - a**0.5 * x_0_hat
        ),
        "the difference is divided by 1 - alpha_bar_t; the weight of the noise is the root of that.": (
            lambda x_t, x_0_hat, a: (x_t - a**0.5 * x_0_hat) / (1 - a)
        ),
        "the image has the weight sqrt(alpha_bar_t) in x_t, not alpha_bar_t.": (
            lambda x_t, x_0_hat, a: (x_t - a * x_0_hat) / (1 - a) ** 0.5
        ),
        "the difference is the wrong way round: take the image away from x_t.": lambda *args: -_noise(*args),
        "the difference is multiplied by the weight of the noise; x_t has it once, so divide to undo it.": (
            lambda x_t, x_0_hat, a: (x_t - a**0.5 * x_0_hat) * (1 - a) ** 0.5
        ),
    },
    hints=[
        "x_t is a mix of an image and a noise, as in my_mix. Two of these three are known.",
        "Write x_t = weight * x_0_hat + weight * eps_hat, and solve for eps_hat.",
        "First `x_t - alpha_bar_t ** 0.5 * x_0_hat`; this is eps_hat times its weight.",
    ],
    praise="Guessing the image is guessing the noise: each follows from the other.",
)


def _toy_predict(x, time):
    """Stand in for a model: its guesses depend on the time that it is told."""
    return x / (1 + time / 7), np.sin(x) + 0.02 * time**1.5


def _sample(predict, mix, alpha_bar, x, times, told, guess_at=lambda t, s, told: told, weight_at=lambda t, s, told: s):
    for t, s in pairwise(times):
        x_0_hat, eps_hat = predict(x, guess_at(t, s, told))
        x = mix(x_0_hat, eps_hat, alpha_bar[weight_at(t, s, told)])
    return x


_ALPHA_BAR = 0.97 ** (np.arange(13.0) ** 1.5)
_X = _RNG.standard_normal((2, 3))

LIE = Exercise(
    grade="explore",
    reference=_sample,
    cases=[
        (_toy_predict, _mix, _ALPHA_BAR, _X, [12, 9, 4, 3, 0], 5),
        (_toy_predict, _mix, _ALPHA_BAR, _X[0], [10, 7, 6, 2], 9),
        (_toy_predict, _mix, _ALPHA_BAR, _X[:, :2], [8, 3], 1),
    ],
    returns=["x"],
    mistakes={
        "the model is told the true time t; here it should be told `told`, whatever t is.": (
            partial(_sample, guess_at=lambda t, s, told: t)
        ),
        "the model is told s; here it should be told `told`, whatever the time is.": (
            partial(_sample, guess_at=lambda t, s, told: s)
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
        "there is a step too many: k + 1 times make k steps, and the first leads to times[1].": (
            lambda predict, mix, alpha_bar, x, times, told: _sample(
                predict, mix, alpha_bar, x, [times[0], *times], told
            )
        ),
        "the last step, to times[-1], is missing.": (
            lambda predict, mix, alpha_bar, x, times, told: _sample(predict, mix, alpha_bar, x, times[:-1], told)
        ),
    },
    hints=[
        "The loop is the one above. Which of its lines tells the model the time?",
        "For each pair (t, s) of neighbours in times: call predict with `told` in place of t, then mix at s.",
        "In the loop: `x = mix(*predict(x, told), alpha_bar[s])`; after it `return x`.",
    ],
    praise="Only the model is told the lie.",
)
