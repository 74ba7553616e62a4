"""Exercises of notebook 05: slopes by differences, a linear layer, a softmax, and a weight that is read twice."""

from functools import partial

import numpy as np

from tinydiff.course.exercise import Exercise

_RNG = np.random.default_rng(5)
_A, _B = _RNG.standard_normal((2, 3)), _RNG.standard_normal(4)


def _cubic(x):
    """Return some number of an array of shape (2, 3)."""
    return ((x + _A) ** 3).sum() + x[0, 1] * x[1, 2]


def _wavy(x):
    """Return some number of an array of shape (4,)."""
    return np.exp(0.5 * x) @ _B + np.sin(3 * x[0]) * x[3]


def _deep(x):
    """Return some number of an array of shape (2, 1, 3)."""
    return np.tanh(x).sum() ** 2 + x[1, 0, 2] ** 4


def _slopes(g, x, h, back=1.0, forth=1.0, over=2.0, together=False, moved=False):
    x = np.array(x, np.float64)
    slopes, base = np.zeros(x.shape), x.copy()
    for index in np.ndindex(x.shape):
        step = np.zeros(x.shape)
        step[... if together else index] = h
        slopes[index] = (g(base + forth * step) - g(base - back * step)) / (over * h)
        base = base + step if moved else base
    return slopes


SLOPES = Exercise(
    grade="explore",
    reference=lambda g, x, h: _slopes(g, x, h),
    cases=[
        (_cubic, _RNG.standard_normal((2, 3)), 0.3),
        (_wavy, _RNG.standard_normal(4), 0.2),
        (_deep, _RNG.standard_normal((2, 1, 3)), 0.25),
    ],
    returns=["slopes"],
    mistakes={
        "that steps forwards only, from x to x + h; step to both sides, so that the even terms cancel.": (
            partial(_slopes, back=0.0, over=1.0)
        ),
        "that steps backwards only, from x - h to x; step to both sides, so that the even terms cancel.": (
            partial(_slopes, forth=0.0, over=1.0)
        ),
        "the two ends lie 2 h apart, so divide by 2 h.": partial(_slopes, over=1.0),
        "you step by h / 2 to each side; GC-1 steps by h.": partial(_slopes, back=0.5, forth=0.5, over=1.0),
        "you step by 2 h to each side; GC-1 steps by h.": partial(_slopes, back=2.0, forth=2.0, over=4.0),
        "all entries move at once, so every slope is that of one direction; move one entry at a time.": (
            partial(_slopes, together=True)
        ),
        "an entry that has moved stays moved when the next one does: put it back, or start from a copy.": (
            partial(_slopes, moved=True)
        ),
        "the sign is turned: the end in front, x + h, comes first in the difference.": partial(_slopes, over=-2.0),
    },
    hints=[
        "Eq. GC-1 with a direction that is 0 but for a 1 at one entry: once for each entry of x.",
        "`for index in np.ndindex(x.shape)` visits all entries of an array with any number of axes. x belongs to the "
        "caller: make an array of zeros with h at one entry, and add it.",
        "`step = np.zeros(x.shape)`, `step[index] = h`, and `slopes[index] = (g(x + step) - g(x - step)) / (2 * h)`.",
    ],
    praise="Slow, and it knows nothing of any formula: that makes it a good witness.",
)

_X, _W, _DY = _RNG.standard_normal((4, 3)), _RNG.standard_normal((3, 3)), _RNG.standard_normal((4, 3))
_TALL, _WIDE, _D_WIDE = _RNG.standard_normal((3, 2)), _RNG.standard_normal((2, 5)), _RNG.standard_normal((3, 5))
_FLAT, _NARROW, _D_NARROW = _RNG.standard_normal((2, 4)), _RNG.standard_normal((4, 3)), _RNG.standard_normal((2, 3))


def _linear(dy, x, w):
    return dy @ w.T, x.T @ dy, dy.sum(axis=0)


LINEAR = Exercise(
    grade="transcribe",
    reference=_linear,
    cases=[(_DY, _X, _W), (_D_WIDE, _TALL, _WIDE), (_D_NARROW, _FLAT, _NARROW)],
    returns=["dx", "dw", "db"],
    mistakes={
        "w is not transposed in dx (a reshape does not transpose): dx[n, i] sums dy[n, j] w[i, j] over j, so w's "
        "second index meets dy's.": (lambda dy, x, w: (dy @ w.reshape(w.shape[::-1]), x.T @ dy, dy.sum(axis=0))),
        "dw is transposed: dw has the shape of w, so it is x^T dy and not dy^T x.": (
            lambda dy, x, w: (dy @ w.T, dy.T @ x, dy.sum(axis=0))
        ),
        "db is summed over the wrong axis: every row used the same b, so sum over the rows.": (
            lambda dy, x, w: (dy @ w.T, x.T @ dy, dy.sum(axis=1))
        ),
        "db is dy itself; every row used the same b, so the rows must be summed.": (
            lambda dy, x, w: (dy @ w.T, x.T @ dy, dy)
        ),
        "db is one number; each entry of b has its own sum, over the rows.": (
            lambda dy, x, w: (dy @ w.T, x.T @ dy, dy.sum())
        ),
        "db is a mean; gradients of what was used several times add, they are not averaged.": (
            lambda dy, x, w: (dy @ w.T, x.T @ dy, dy.mean(axis=0))
        ),
        "dw and db are averaged over the rows; gradients of what was used several times add.": (
            lambda dy, x, w: (dy @ w.T, x.T @ dy / len(x), dy.mean(axis=0))
        ),
        "the order is that of the forward's arguments: dx, dw, db.": (
            lambda dy, x, w: (x.T @ dy, dy @ w.T, dy.sum(axis=0))
        ),
    },
    hints=[
        "Eq. LIN-2 has all three. Shapes help: each gradient has the shape of what it belongs to.",
        "dx and dw are products of dy with one of the others, transposed; db sums what all rows say.",
        "`dy @ w.T`, `x.T @ dy` and `dy.sum(axis=0)`, in this order.",
    ],
    praise="Two more matrix products, and a sum where b was used again and again.",
)


def _exp_normalised(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def _softmax(dy, y, axis=-1):
    return y * (dy - (dy * y).sum(axis=axis, keepdims=True))


SOFTMAX = Exercise(
    grade="derive",
    reference=lambda dy, y: _softmax(dy, y),
    cases=[
        (_RNG.standard_normal(4), _exp_normalised(_RNG.standard_normal(4))),
        (_RNG.standard_normal((3, 5)), _exp_normalised(_RNG.standard_normal((3, 5)))),
        (_RNG.standard_normal((2, 3, 4)), _exp_normalised(2 * _RNG.standard_normal((2, 3, 4)))),
    ],
    returns=["dx"],
    mistakes={
        "only the diagonal of the Jacobian is there; raising one x lowers all the other y.": (
            lambda dy, y: dy * y * (1 - y)
        ),
        "the sum is missing: every x reaches every y through the common denominator.": lambda dy, y: y * dy,
        "the sum must be over dy * y, and not over dy only.": (lambda dy, y: y * (dy - dy.sum(axis=-1, keepdims=True))),
        "that takes the mean of dy away; the sum is over dy * y.": (
            lambda dy, y: y * (dy - dy.mean(axis=-1, keepdims=True))
        ),
        "dy * y is averaged; sum it.": lambda dy, y: y * (dy - (dy * y).mean(axis=-1, keepdims=True)),
        "the rows are mixed: each row has a softmax of its own, so sum along the last axis only.": (
            lambda dy, y: y * (dy - (dy * y).sum())
        ),
        "the sum runs along the first axis; the softmax is along the last one.": lambda dy, y: _softmax(dy, y, axis=0),
        "the sum is added; it must be taken away, for raising one x lowers all the other y.": (
            lambda dy, y: y * (dy + (dy * y).sum(axis=-1, keepdims=True))
        ),
        "y is missing in front of the bracket.": lambda dy, y: dy - (dy * y).sum(axis=-1, keepdims=True),
        "the second term lacks a y: y_i and y_j are both in it.": (
            lambda dy, y: y * dy - (dy * y).sum(axis=-1, keepdims=True)
        ),
    },
    hints=[
        "For a single j, dx[j] is the sum over i of dy[i] times J[i, j]. Put J in, and split the sum in two.",
        "The first part has one term, i = j. In the second y[j] does not depend on i: take it out of the sum.",
        "With `inner = (dy * y).sum(axis=-1, keepdims=True)`, one number for each row, dx is `y * (dy - inner)`.",
    ],
    praise="The Jacobian was applied, and never written out.",
)


def _tied(dy, x, w, first=1.0, second=1.0):
    return dy @ w @ w.T, first * x.T @ (dy @ w) + second * dy.T @ (x @ w)


TWICE = Exercise(
    grade="derive",
    reference=lambda dy, x, w: _tied(dy, x, w),
    cases=[
        (_RNG.standard_normal((4, 3)), _RNG.standard_normal((4, 3)), _RNG.standard_normal((3, 2))),
        (_RNG.standard_normal((2, 3)), _RNG.standard_normal((2, 3)), _RNG.standard_normal((3, 5))),
        (_RNG.standard_normal((3, 5)), _RNG.standard_normal((3, 5)), _RNG.standard_normal((5, 4))),
    ],
    returns=["dx", "dw"],
    mistakes={
        "dx is right, but dw is that of the first use only; w is read a second time, on the way back up.": (
            partial(_tied, second=0.0)
        ),
        "dx is right, but dw is that of the second use only; w is also read at first, in x w.": (
            partial(_tied, first=0.0)
        ),
        "dw is the mean of its two uses; gradients add, they are not averaged.": (
            partial(_tied, first=0.5, second=0.5)
        ),
        "dw takes the first use away from the second or the other way round; gradients add.": (
            partial(_tied, second=-1.0)
        ),
        "dw counts the first use twice; the second has a gradient of its own.": partial(_tied, first=2.0, second=0.0),
        "dx is half way back: that is the gradient of h; one more product takes it to x.": (
            lambda dy, x, w: (dy @ w, _tied(dy, x, w)[1])
        ),
        "in dw, h was used where its gradient, dy w, belongs.": (
            lambda dy, x, w: (dy @ w @ w.T, x.T @ (x @ w) + dy.T @ (x @ w))
        ),
        "in the second use dw = dy^T h, not x^T h: the matrix there is w^T, so its gradient comes out transposed.": (
            lambda dy, x, w: (dy @ w @ w.T, x.T @ (dy @ w) + x.T @ (x @ w))
        ),
    },
    hints=[
        "Give the two uses different names: h = x u, y = h v with v the transpose of w. What are du and dv by LIN-2?",
        "du is x^T dh with dh = dy v^T = dy w; dv is h^T dy. v is w transposed: so is its gradient. Then add.",
        "dw is `x.T @ (dy @ w) + dy.T @ (x @ w)`, and dx is `dy @ w @ w.T`.",
    ],
    praise="Two uses, two gradients, one sum.",
)
