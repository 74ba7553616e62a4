"""Exercises of notebook 40: evaluating polynomials, and one tile by Winograd's filtering."""

from functools import partial

import numpy as np

from tinydiff.course.exercise import Exercise
from tinydiff.functional.fast.winograd import A_T, B_T, G

_RNG = np.random.default_rng(40)


def _powers(points, k, infinity="last", from_zero=True, falling=False, transposed=False):
    first = 0 if from_zero else 1
    rows = [[float(a) ** p for p in range(first, first + k)] for a in points]
    if infinity:
        rows.append([float(p == (0 if infinity == "first" else k - 1)) for p in range(k)])
    matrix = np.array(rows)[:, :: -1 if falling else 1]
    return matrix.T if transposed else matrix


POWERS = Exercise(
    grade="transcribe",
    reference=_powers,
    cases=[([0, 1, -1, 2], 3), ([0, 1, -1], 2), ([3, -2], 4)],
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
    },
    hints=[],
    praise="A row for each point: the value of a polynomial is that row times its coefficients.",
)


def _tile(x, w, product=True, transpose_kernel=False, flip=False, g=G, b=B_T, one_side=False):
    w = w.T if transpose_kernel else w
    w = w[::-1, ::-1] if flip else w
    u, v = g @ w @ g.T, (b @ x @ b.T)
    m = u * v if product else u @ v
    return A_T @ m[:, :4] if one_side else A_T @ m @ A_T.T


TILE = Exercise(
    grade="transcribe",
    reference=_tile,
    cases=[(_RNG.standard_normal((6, 6)), _RNG.standard_normal((3, 3))) for _ in range(2)],
    returns=["Y"],
    mistakes={
        "the two are multiplied as matrices; the circle with a dot means number by number.": partial(
            _tile, product=False
        ),
        "rows and columns of the kernel are exchanged.": partial(_tile, transpose_kernel=True),
        "the taps are flipped: that multiplies polynomials; a layer of a network does not flip.": (
            partial(_tile, flip=True)
        ),
        "x is transformed by B, not by B^T: B_T already is the transpose.": partial(_tile, b=B_T.T),
        "A is applied to one side only: rows and columns both go from 6 numbers to 4.": partial(_tile, one_side=True),
    },
    hints=[],
    praise="36 products where the four loops take 144.",
)
