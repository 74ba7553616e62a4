"""Exercises of notebook 26: the backward of a vector brought to length 1, and the riddle that a CLIP learns from."""

from functools import partial

import numpy as np

from tinydiff.course.exercise import Exercise
from tinydiff.functional import contrastive_loss, contrastive_loss_backward, unit_length, unit_length_backward

_RNG = np.random.default_rng(26)
_X, _DY = (2 * _RNG.standard_normal((3, 4)) for _ in range(2))


def _turned(dy, x):
    (dx,) = unit_length_backward(dy, unit_length(x)[1])
    return dx


def _turn(dy, x, along=1.0, power=1.0, unit=True, keep=False, axis=-1):
    length = np.sqrt((x * x).sum(axis=-1, keepdims=True))
    y = x / length if unit else x
    part = y * (dy * y).sum(axis=axis, keepdims=True)
    return (part if keep else dy - along * part) / length**power


TURN = Exercise(
    grade="transcribe",
    reference=_turned,
    cases=[(_DY, _X), (_DY[0], _X[1]), (_X, _DY)],
    returns=["dx"],
    mistakes={
        "nothing is taken away: the part of dy along y cannot turn the vector, so it has no effect on y.": (
            partial(_turn, along=0.0)
        ),
        "the part along y is added; it is taken away.": partial(_turn, along=-1.0),
        "that is the part along y; it is what should go, and the rest stays.": partial(_turn, keep=True),
        "the part is measured along x, which has another length than 1; measure it along y = x / |x|.": (
            partial(_turn, unit=False)
        ),
        "the division by the length of x is missing: a long vector is harder to turn.": partial(_turn, power=0.0),
        "it is divided by the square of the length; only y = x / |x| divides, and once.": partial(_turn, power=2.0),
        "it is multiplied by the length of x: a long vector is harder to turn, so divide.": partial(_turn, power=-1.0),
        "the products are summed over all vectors; each vector has its own: sum over the last axis.": (
            partial(_turn, axis=None)
        ),
    },
    hints=[],
    praise="What would make the vector longer is gone, and the rest turns it.",
)

_LOGITS = 2 * _RNG.standard_normal((4, 4))


def _riddle(logits):
    loss, cache = contrastive_loss(logits)
    (d_logits,) = contrastive_loss_backward(1.0, cache)
    return loss, d_logits


def _solved(logits, rows=0.5, columns=0.5, true=1.0, mean=True, sign=1.0, log=True, together=False, everywhere=False):
    n, e = len(logits), np.exp(logits)
    p, q = e / e.sum(axis=1, keepdims=True), e / e.sum(axis=0, keepdims=True)
    if together:
        p = q = e / e.sum()
    found = rows * np.log(p) + columns * np.log(q) if log else rows * p + columns * q
    loss = -found.mean() if everywhere else -np.diag(found).mean()
    d_logits = sign * (rows * p + columns * q - true * (rows + columns) * np.eye(n))
    return loss, d_logits / (n if mean else 1)


RIDDLE = Exercise(
    grade="transcribe",
    reference=_riddle,
    cases=[(_LOGITS,), (_LOGITS[:3, 1:] - 1.0,)],
    returns=["loss", "d_logits"],
    mistakes={
        "only the rows are asked: which picture belongs to a text is the other half of the riddle.": (
            partial(_solved, rows=1.0, columns=0.0)
        ),
        "only the columns are asked: which text belongs to a picture is the other half of the riddle.": (
            partial(_solved, rows=0.0, columns=1.0)
        ),
        "the two halves are added; the loss is their mean, so that a guess costs log N.": (
            partial(_solved, rows=1.0, columns=1.0)
        ),
        "d_logits is not divided by the number of pairs; the loss is a mean over them.": partial(_solved, mean=False),
        "what was true is subtracted once; both directions have probabilities, so subtract it from each.": (
            partial(_solved, true=0.5)
        ),
        "what was true is not taken away from what was believed: on the diagonal it is 1.": partial(_solved, true=0.0),
        "d_logits has the other sign: it is what was believed less what was true, the way up of the loss.": (
            partial(_solved, sign=-1.0)
        ),
        "the loss is the mean of the probabilities; a loss in nats is the mean of their logarithms.": (
            partial(_solved, log=False)
        ),
        "the softmax is taken over the whole table; take it once along each row and once along each column.": (
            partial(_solved, together=True)
        ),
        "the loss is a mean over the whole table; only the pairs on the diagonal were asked for.": (
            partial(_solved, everywhere=True)
        ),
    },
    hints=[],
    praise="What was believed in both directions, less what was true.",
)
