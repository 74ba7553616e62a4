"""Exercises of notebook 40: evaluating polynomials, one tile by Winograd's filtering, and its kernel's gradient."""

from functools import partial

import numpy as np

from tinydiff.course.exercise import Exercise

_RNG = np.random.default_rng(40)


def _powers(points, k, infinity="last", from_zero=True, falling=False, transposed=False, empty_zero=False):
    first = 0 if from_zero else 1
    rows = [[0.0 if empty_zero and a == 0 else float(a) ** p for p in range(first, first + k)] for a in points]
    if infinity:
        rows.append([float(p == (0 if infinity == "first" else k - 1)) for p in range(k)])
    matrix = np.array(rows)[:, :: -1 if falling else 1]
    return matrix.T if transposed else matrix


POWERS = Exercise(
    grade="transcribe",
    reference=_powers,
    cases=[([0, 1, -1, 2], 3), ([0, 1, -1], 2), ([3, -2], 4), ([0.5, -1.5, 0, 4, 1], 5), ([2], 1)],
    returns=["V"],
    mistakes={
        "the row for infinity is missing: 0, ..., 0, 1 picks the highest coefficient.": partial(_powers, infinity=None),
        "the row for infinity picks the lowest coefficient; far out, the highest power decides.": (
            partial(_powers, infinity="first")
        ),
        "the powers begin at 1; the constant coefficient needs the power 0, also of the point 0.": (
            partial(_powers, from_zero=False)
        ),
        "the powers fall from left to right; the coefficients begin with the constant one.": (
            partial(_powers, falling=True)
        ),
        "rows and columns are exchanged: each point has a row, each power a column.": partial(_powers, transposed=True),
        "the row of the point 0 is empty; its power 0 is 1, for a polynomial is its constant there.": (
            partial(_powers, empty_zero=True)
        ),
    },
    hints=[
        "What has a polynomial's list of coefficients to be multiplied by, to give its value at a?",
        "A row for each point: its powers 0 to k - 1. Then one row more, which picks the last coefficient.",
        "`[[a**p for p in range(k)] for a in points]`, and below it `[0] * (k - 1) + [1]`.",
    ],
    praise="A row for each point: the value of a polynomial is that row times its coefficients.",
)

# F(4, 3) at the points 0, 1, -1, 2, -2 and infinity, from the powers and the inverse of a matrix of them
_POINTS, _SCALE = (0, 1, -1, 2, -2), np.array([4, -6, -6, 24, 24, 1.0])[:, None]
_A_T = _powers(_POINTS, 4).T
_G = _powers(_POINTS, 3) / _SCALE
_B_T = np.round(np.linalg.inv(_powers(_POINTS, 6)).T * _SCALE)


def _tile(x, w, product=True, transpose_kernel=False, flip=False, g=_G, b=_B_T, sides=2):
    w = w.T if transpose_kernel else w
    w = w[::-1, ::-1] if flip else w
    u, v = g @ w @ g.T, (b @ x @ b.T if sides == 2 else b @ x)
    m = u * v if product else u @ v
    return _A_T @ m @ _A_T.T


TILE = Exercise(
    grade="transcribe",
    reference=_tile,
    cases=[
        (_RNG.standard_normal((6, 6)), _RNG.standard_normal((3, 3))),
        (3 * _RNG.standard_normal((6, 6)) + 1, 0.1 * _RNG.standard_normal((3, 3)) - 0.2),
        (_RNG.integers(-9, 9, (6, 6)), _RNG.integers(-4, 4, (3, 3))),
    ],
    returns=["Y"],
    mistakes={
        "the two are multiplied as matrices; the circle with a dot means number by number.": partial(
            _tile, product=False
        ),
        "rows and columns of the kernel are exchanged.": partial(_tile, transpose_kernel=True),
        "the taps are flipped: that multiplies polynomials; a layer of a network does not flip.": (
            partial(_tile, flip=True)
        ),
        "x is transformed by B, not by B^T: B_T already is the transpose.": partial(_tile, b=_B_T.T),
        "x is transformed along its rows only; B^T stands on its left, B on its right.": partial(_tile, sides=1),
        "A is applied to one side only: rows and columns both go from 6 numbers to 4.": (
            lambda x, w: _A_T @ ((_G @ w @ _G.T) * (_B_T @ x @ _B_T.T))[:, :4]
        ),
    },
    hints=[
        "Read the formula from inside: kernel and tile each become 6 x 6, then both meet, then 6 becomes 4.",
        "B^T x B is `B_T @ x @ B_T.T`, since the names hold the transposes; the same for A. What meets with `*`?",
        "`A_T @ ((G @ w @ G.T) * (B_T @ x @ B_T.T)) @ A_T.T`.",
    ],
    praise="36 products where the four loops take 144.",
    tolerance=1e-4,
)


def _kernel(x, dy, product=True, wrong_side=False, scale=1.0, forward=False, transposed=False):
    v, m = _B_T @ x @ _B_T.T, _A_T.T @ dy @ _A_T
    if wrong_side:
        v = _B_T.T @ x @ _B_T
    u = v * m if product else v @ m
    d = _G.T @ u @ _G
    return scale * (d.T if transposed else d)


KERNEL = Exercise(
    grade="derive",
    reference=_kernel,
    cases=[
        (_RNG.standard_normal((6, 6)), _RNG.standard_normal((4, 4))),
        (2 * _RNG.standard_normal((6, 6)) - 1, 0.3 * _RNG.standard_normal((4, 4)) + 0.5),
        (_RNG.integers(-9, 9, (6, 6)), _RNG.integers(-4, 4, (4, 4))),
    ],
    returns=["d_w"],
    mistakes={
        "the two are multiplied as matrices; forwards they met number by number, and so they do backwards.": (
            partial(_kernel, product=False)
        ),
        "the gradient of the kernel is transposed.": partial(_kernel, transposed=True),
        "x goes in as it went in forwards, B^T x B; only what stands between Y and w is turned round.": (
            partial(_kernel, wrong_side=True)
        ),
        "that is the mean over the 16 outputs; each has a gradient of its own, and they add.": (
            partial(_kernel, scale=1 / 16)
        ),
    },
    hints=[
        "Go back one step at a time: from Y to the product, from the product to G w G^T, from there to w.",
        "If Z = P M P^T, then d_M = P^T d_Z P. And of a product number by number, each factor is the other's slope.",
        "`G.T @ ((B_T @ x @ B_T.T) * (A_T.T @ dy @ A_T)) @ G`.",
    ],
    praise="The same matrices, transposed.",
    tolerance=1e-4,
)
