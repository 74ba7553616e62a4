"""Exercises of notebook 25: where the known part is joined, and the arc between two noises."""

from functools import partial

import numpy as np

from tinydiff.course.exercise import Exercise
from tinydiff.diffusion import GaussianDiffusion
from tinydiff.diffusion.editing import slerp

_RNG = np.random.default_rng(25)
_KNOWN, _X_S, _EPS = (_RNG.standard_normal((3, 4)) for _ in range(3))
_MASK = np.array([1.0, 1.0, 0.0, 0.0])


def _join(known, mask, x_s, eps, alpha_bar_t, alpha_bar_s):
    process = GaussianDiffusion(np.array([1.0, alpha_bar_s]))
    return mask * process.q_sample(known, 1, eps) + (1 - mask) * x_s


def _by_hand(
    known, mask, x_s, eps, alpha_bar_t, alpha_bar_s, late=False, noise=0.5, signal=0.5, fresh=True, turn=False
):
    alpha_bar = alpha_bar_t if late else alpha_bar_s
    known_s = alpha_bar**signal * known + (1 - alpha_bar) ** noise * eps if fresh else known
    mask = 1 - mask if turn else mask
    return mask * known_s + (1 - mask) * x_s


JOIN = Exercise(
    grade="transcribe",
    reference=_join,
    cases=[(_KNOWN, _MASK, _X_S, _EPS, 0.3, 0.6), (_KNOWN, 1 - _MASK, _X_S, _EPS, 0.9, 0.95)],
    returns=["x_s"],
    mistakes={
        "the known part has the noise of t, but the unknown part has come down to s: take alpha_bar_s.": (
            partial(_by_hand, late=1)
        ),
        "the known part is joined without noise; the network would see a clean patch in a noisy picture.": (
            partial(_by_hand, fresh=False)
        ),
        "the noise is multiplied by its variance; it is the square root of 1 - alpha_bar_s.": partial(
            _by_hand, noise=1.0
        ),
        "the known picture is multiplied by alpha_bar_s; it is the square root.": partial(_by_hand, signal=1.0),
        "the mask is turned round: it is 1 where the picture is known.": partial(_by_hand, turn=True),
    },
    hints=[],
    praise="Both parts have come down to the same time.",
)

_A, _B = _RNG.standard_normal(6), _RNG.standard_normal(6)


def _slerp(a, b, w):
    return slerp(a[None], b[None], w)[0]


def _arc(a, b, w, lengths=True, swap=False, divide=True, inside=True):
    cosine = (a * b).sum() / ((a**2).sum() * (b**2).sum()) ** 0.5 if lengths else (a * b).sum() / len(a)
    angle = np.arccos(np.clip(cosine, -1, 1))
    w = 1 - w if swap else w
    parts = (np.sin((1 - w) * angle), np.sin(w * angle)) if inside else ((1 - w) * np.sin(angle), w * np.sin(angle))
    return (parts[0] * a + parts[1] * b) / (np.sin(angle) if divide else 1.0)


SLERP = Exercise(
    grade="transcribe",
    reference=_slerp,
    cases=[(_A, _B, 0.25), (_B, -_A, 0.5), (_A, _B, 1.0)],
    returns=["x"],
    mistakes={
        "that is the straight line; the share belongs inside the sine, with the angle.": partial(_arc, inside=False),
        "w = 0 should give a and w = 1 should give b; the two weights are swapped.": partial(_arc, swap=True),
        "the division by the sine of the whole angle is missing.": partial(_arc, divide=False),
        "the cosine is the product of a and b divided by the product of their own lengths.": partial(
            _arc, lengths=False
        ),
    },
    hints=[],
    praise="At an even pace along the sphere.",
)
