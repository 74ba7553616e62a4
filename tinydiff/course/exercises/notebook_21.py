"""Exercises of notebook 21: from nothing to the condition and beyond, and a threshold that follows the picture."""

from functools import partial

import numpy as np

from tinydiff.course.exercise import Exercise
from tinydiff.diffusion import GaussianDiffusion, bounded, classifier_free_guidance

_GIVEN, _NOTHING = np.array([1.0, -0.4, 0.3]), np.array([0.2, 0.5, 0.3])


def _guided(given, nothing, scale):
    def predict(x_t, t, context):
        told = np.stack([given if c else nothing for c in context])
        return told, told

    diffusion = GaussianDiffusion(np.array([1.0, 0.5]))
    guided = classifier_free_guidance(predict, diffusion, np.zeros(1, bool), scale)
    return guided(np.zeros((1, *given.shape)), np.ones(1, int), np.ones(1, bool))[1][0]


GUIDED = Exercise(
    grade="transcribe",
    reference=_guided,
    cases=[(_GIVEN, _NOTHING, 1.0), (_GIVEN, _NOTHING, 3.0), (_GIVEN, _NOTHING, 0.0)],
    returns=["guided"],
    mistakes={
        "that starts from what was given, as the paper's w does; s is 1 + w, and starts from nothing.": (
            lambda given, nothing, scale: given + scale * (given - nothing)
        ),
        "the two are swapped: the way goes from nothing to what was given.": (
            lambda given, nothing, scale: given + scale * (nothing - given)
        ),
        "the scale multiplies all of it; it multiplies only the difference.": (
            lambda given, nothing, scale: scale * given
        ),
        "the difference is added to nothing at all: start from the prediction without the condition.": (
            lambda given, nothing, scale: scale * (given - nothing)
        ),
        "the difference is subtracted: that leads away from the condition.": (
            lambda given, nothing, scale: nothing - scale * (given - nothing)
        ),
    },
    hints=[],
    praise="From nothing to what was asked for, and on in the same direction.",
)

_X_0_HAT = np.array([0.3, -2.0, 1.5, 0.1, -0.6, 0.9, 3.0, -0.2, 0.0])


def _dynamic(x_0_hat, percentile):
    diffusion = GaussianDiffusion(np.array([1.0, 0.5]))
    within = bounded(lambda x_t, t, context: (x_0_hat[None], None), diffusion, "dynamic", percentile)
    return within(np.zeros_like(x_0_hat[None]), 1)[0][0]


def _by_hand(x_0_hat, percentile, least=1.0, absolute=True, clip=True, divide=True):
    q = np.quantile(abs(x_0_hat) if absolute else x_0_hat, percentile)
    q = max(least, q)
    x = np.clip(x_0_hat, -q, q) if clip else x_0_hat
    return x / q if divide else x


DYNAMIC = Exercise(
    grade="transcribe",
    reference=_dynamic,
    cases=[(_X_0_HAT, 0.75), (_X_0_HAT, 1.0), (0.3 * _X_0_HAT, 0.5)],
    returns=["x_0_hat"],
    mistakes={
        "q is below 1 where the picture is pale already, and would be stretched; take 1 if that is larger.": (
            partial(_by_hand, least=0.0)
        ),
        "the percentile is that of the values; that of their absolute values is meant, dark ones count too.": (
            partial(_by_hand, absolute=False)
        ),
        "nothing is clipped: what lies beyond q stays beyond 1.": partial(_by_hand, clip=False),
        "it is not divided by q: the picture still reaches from -q to q.": partial(_by_hand, divide=False),
        "that is the static threshold: everything beyond 1 becomes 1, and q is not used.": (
            lambda x_0_hat, percentile: np.clip(x_0_hat, -1, 1)
        ),
        "it is divided by the largest value; one bright pixel would make all of the picture pale.": (
            lambda x_0_hat, percentile: x_0_hat / max(1.0, abs(x_0_hat).max())
        ),
    },
    hints=[],
    praise="Clip at q, and scale the rest with it.",
)
