"""Exercises of notebook 05: the backwards of a linear layer and of a softmax."""

import numpy as np

from tinydiff.course.exercise import Exercise
from tinydiff.functional import linear, linear_backward, softmax_backward
from tinydiff.functional.activation import SoftmaxCache

_RNG = np.random.default_rng(5)
_X, _W, _DY = _RNG.standard_normal((3, 3)), _RNG.standard_normal((3, 3)), _RNG.standard_normal((3, 3))
_TALL, _D_TALL = _RNG.standard_normal((5, 3)), _RNG.standard_normal((5, 3))  # w stays square: `dy @ w` must run


def _linear_backward(dy, x, w):
    _, cache = linear(x, w, np.zeros(w.shape[1]))
    return linear_backward(dy, cache)


LINEAR = Exercise(
    grade="transcribe",
    reference=_linear_backward,
    cases=[(_DY, _X, _W), (_D_TALL, _TALL, _W)],
    returns=["dx", "dw", "db"],
    mistakes={
        "w is not transposed in dx: dx[n, i] sums dy[n, j] w[i, j] over j, so w's second index meets dy's.": (
            lambda dy, x, w: (dy @ w, x.T @ dy, dy.sum(axis=0))
        ),
        "dw is transposed: dw has the shape of w, so it is x^T dy and not dy^T x.": (
            lambda dy, x, w: (dy @ w.T, dy.T @ x, dy.sum(axis=0))
        ),
        "db is summed over the wrong axis: every row used the same b, so sum over the rows.": (
            lambda dy, x, w: (dy @ w.T, x.T @ dy, dy.sum(axis=1))
        ),
        "db is dy itself; every row used the same b, so the rows must be summed.": (
            lambda dy, x, w: (dy @ w.T, x.T @ dy, dy)
        ),
        "db is a mean; gradients of what was used several times add, they are not averaged.": (
            lambda dy, x, w: (dy @ w.T, x.T @ dy, dy.mean(axis=0))
        ),
        "the order is that of the forward's arguments: dx, dw, db.": (
            lambda dy, x, w: (x.T @ dy, dy @ w.T, dy.sum(axis=0))
        ),
    },
    hints=[],
    praise="Two more matrix products, and a sum where b was used again and again.",
)


def _exp_normalised(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


_Y, _Y_ROWS = _exp_normalised(_RNG.standard_normal(4)), _exp_normalised(_RNG.standard_normal((3, 4)))
_D_Y, _D_Y_ROWS = _RNG.standard_normal(4), _RNG.standard_normal((3, 4))

SOFTMAX = Exercise(
    grade="transcribe",
    reference=lambda dy, y: softmax_backward(dy, SoftmaxCache(y))[0],
    cases=[(_D_Y, _Y), (_D_Y_ROWS, _Y_ROWS)],
    returns=["dx"],
    mistakes={
        "only the diagonal of the Jacobian is there; raising one x lowers all the other y.": lambda dy, y: (
            dy * y * (1 - y)
        ),
        "the sum is missing: every x reaches every y through the common denominator.": lambda dy, y: y * dy,
        "the sum must be over dy * y, and not over dy only.": (lambda dy, y: y * (dy - dy.sum(axis=-1, keepdims=True))),
        "the rows are mixed: each row has a softmax of its own, so sum along the last axis only.": (
            lambda dy, y: y * (dy - (dy * y).sum())
        ),
        "the sum is added; it must be taken away, for raising one x lowers all the other y.": (
            lambda dy, y: y * (dy + (dy * y).sum(axis=-1, keepdims=True))
        ),
        "y is missing in front of the bracket.": lambda dy, y: dy - (dy * y).sum(axis=-1, keepdims=True),
    },
    hints=[],
    praise="The Jacobian was applied, and never written out.",
)
