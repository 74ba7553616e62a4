"""Exercises of notebook 06: a convolution by loops, and its two gradients."""

from functools import partial

import numpy as np

from tinydiff.course.exercise import Exercise
from tinydiff.functional import conv2d, conv2d_backward

_RNG = np.random.default_rng(6)
_X, _X_SQUARE = _RNG.standard_normal((4, 5, 2)), _RNG.standard_normal((3, 3, 2))
_W, _W_WIDE = _RNG.standard_normal((3, 3, 2, 2)), _RNG.standard_normal((3, 3, 2, 3))


def _conv(x, w, flip=False, swap=False, mode="constant", pad=True, channels=True):
    w = w[::-1, ::-1] if flip else w
    w = w.swapaxes(0, 1) if swap else w
    if mode != "constant":
        x = np.pad(x, ((1, 1), (1, 1), (0, 0)), mode=mode)
    kernel = w if channels else np.broadcast_to(w.sum(axis=2, keepdims=True), w.shape) / w.shape[2]
    return conv2d(x[None], kernel, padding=int(pad and mode == "constant"))[0][0]


FORWARD = Exercise(
    grade="transcribe",
    reference=_conv,
    cases=[(_X, _W), (_X_SQUARE, _W_WIDE)],
    returns=["y"],
    mistakes={
        "the taps are flipped: y[h, w] reads x[h + i - 1, w + j - 1] through w[i, j], not through w[2 - i, 2 - j].": (
            partial(_conv, flip=True)
        ),
        "rows and columns of the kernel are swapped: the first index goes down, the second to the right.": (
            partial(_conv, swap=True)
        ),
        "the border is missing: with one ring of zeros round x, y is as large as x.": partial(_conv, pad=False),
        "the border repeats the edge; outside the image x counts as 0.": partial(_conv, mode="edge"),
        "the other side of the image is read at the border: outside it x counts as 0.": partial(_conv, mode="wrap"),
    },
    hints=[],
    praise="Four loops, and a small matrix product over the channels.",
)


def _gradients(dy, x, w):
    _, cache = conv2d(x, w, padding=1, algorithm="im2col")
    return conv2d_backward(dy, cache)


_BATCH, _D_BATCH = _RNG.standard_normal((2, 4, 5, 2)), _RNG.standard_normal((2, 4, 5, 2))
_D_WIDE, _D_SQUARE = _RNG.standard_normal((2, 4, 5, 3)), _RNG.standard_normal((1, 3, 3, 2))


def _dw(dy, x):
    return _gradients(dy, x, np.zeros((3, 3, x.shape[3], dy.shape[3])))[1]


def _circular_dw(dy, x):
    shifted = [[np.roll(x, (1 - i, 1 - j), axis=(1, 2)) for j in range(3)] for i in range(3)]
    return np.array([[np.einsum("nhwc,nhwo->co", x_ij, dy) for x_ij in row] for row in shifted])


DW = Exercise(
    grade="transcribe",
    reference=_dw,
    cases=[(_D_BATCH, _BATCH), (_D_WIDE, _BATCH)],
    returns=["dw"],
    mistakes={
        "the taps are flipped: w[i, j] met x[h + i - 1, w + j - 1] in the forward, so it meets it here.": (
            lambda dy, x: _dw(dy, x)[::-1, ::-1]
        ),
        "rows and columns are swapped: i shifts down, j to the right.": lambda dy, x: _dw(dy, x).swapaxes(0, 1),
        "only the first image counts: all images used the same w, so their gradients add.": (
            lambda dy, x: _dw(dy[:1], x[:1])
        ),
        "that is the mean over the images; their gradients add.": lambda dy, x: _dw(dy, x) / len(x),
        "the channels are swapped: dw[i, j] is (c_in, c_out), like w[i, j].": lambda dy, x: _dw(dy, x).swapaxes(2, 3),
        "at the border the other side of the image is read; there x counts as 0: pad it.": _circular_dw,
    },
    hints=[],
    praise="No flip: every tap multiplies dy by the pixels that it has read.",
)


def _dx(dy, w):
    return _gradients(dy, np.zeros((*dy.shape[:3], w.shape[2])), w)[0]


DX = Exercise(
    grade="transcribe",
    reference=_dx,
    cases=[(_D_BATCH, _W), (_D_SQUARE, _W)],  # as many channels in as out: unswapped ones must run
    returns=["dx"],
    mistakes={
        "the taps are not flipped: what w[i, j] read from below and right goes back to below and right.": (
            lambda dy, w: _dx(dy, w[::-1, ::-1])
        ),
        "only the rows of taps are flipped, and not the columns.": lambda dy, w: _dx(dy, w[:, ::-1]),
        "only the columns of taps are flipped, and not the rows.": lambda dy, w: _dx(dy, w[::-1]),
        "the channels are not swapped: dx has c_in channels, so sum over c_out.": (
            lambda dy, w: _dx(dy, w.swapaxes(2, 3))
        ),
        "neither are the taps flipped nor the channels swapped: that is the forward, with dy for x.": (
            lambda dy, w: _dx(dy, w[::-1, ::-1].swapaxes(2, 3))
        ),
        "all four axes are flipped: turn the taps only, w[::-1, ::-1], and leave the order of the channels.": (
            lambda dy, w: _dx(dy, w[:, :, ::-1, ::-1])
        ),
        "rows and columns are swapped; a flip is half a turn, w[::-1, ::-1].": (
            lambda dy, w: _dx(dy, w.swapaxes(0, 1)[::-1, ::-1])
        ),
        "the border is missing: dx must be as large as x.": lambda dy, w: _dx(dy, w)[:, 1:-1, 1:-1],
    },
    hints=[],
    praise="The gradient of a convolution is a convolution again, with flipped taps.",
)
