"""Exercises of notebook 06: a convolution by loops, its two gradients, one with a fault, and the kernel that flips."""

from functools import partial

import numpy as np

from tinydiff.course.exercise import PLANTED, Exercise

_RNG = np.random.default_rng(6)


def _padded(x, p, mode="constant"):
    return np.pad(x, ((p, p), (p, p), (0, 0)), mode=mode)


def _conv(
    x, w, b, stride, padding, flip=False, swap=False, mode="constant", bias=1.0, mixed=True, offset=0, step=None, pad=1
):
    kernel = w[::-1, ::-1] if flip else w
    kernel = kernel.swapaxes(0, 1) if swap else kernel
    kh, kw, _, c_out = kernel.shape
    padded = _padded(x, pad * padding, mode)
    H, W = (padded.shape[0] - kh) // stride + 1, (padded.shape[1] - kw) // stride + 1
    y, step = np.zeros((H, W, c_out)), stride if step is None else step
    for h in range(H):
        for v in range(W):
            top, left = (step * h + offset) % padded.shape[0], (step * v + offset) % padded.shape[1]
            patch = np.take(
                np.take(padded, range(top, top + kh), axis=0, mode="wrap"), range(left, left + kw), axis=1, mode="wrap"
            )
            y[h, v] = bias * b + (
                np.tensordot(patch, kernel, axes=3)
                if mixed
                else np.tensordot(patch.sum(axis=2), kernel.sum(axis=2), axes=2)
            )
    return y


FORWARD = Exercise(
    grade="transcribe",
    reference=lambda x, w, b, stride, padding: _conv(x, w, b, stride, padding),
    cases=[
        (_RNG.standard_normal((4, 5, 2)), _RNG.standard_normal((3, 3, 2, 2)), _RNG.standard_normal(2), 1, 1),
        (_RNG.standard_normal((6, 7, 2)), _RNG.standard_normal((3, 3, 2, 4)), _RNG.standard_normal(4), 2, 1),
        (_RNG.standard_normal((8, 5, 3)), _RNG.standard_normal((5, 5, 3, 1)), _RNG.standard_normal(1), 2, 2),
        (_RNG.standard_normal((4, 6, 1)), _RNG.standard_normal((3, 3, 1, 3)), _RNG.standard_normal(3), 1, 0),
    ],
    returns=["y"],
    mistakes={
        "the taps are flipped: w[i, j] meets x[h + i - p, w + j - p], and not w[k - 1 - i, k - 1 - j].": (
            partial(_conv, flip=True)
        ),
        "rows and columns of the kernel are swapped: the first index goes down, the second to the right.": (
            partial(_conv, swap=True)
        ),
        "the border is missing: put p rings of zeros round x first.": partial(_conv, pad=0),
        "the border repeats the edge; outside the image x counts as 0.": partial(_conv, mode="edge"),
        "the border mirrors the image; outside the image x counts as 0.": partial(_conv, mode="reflect"),
        "the other side of the image is read at the border: outside it x counts as 0.": partial(_conv, mode="wrap"),
        "the bias is missing: every output pixel gets b.": partial(_conv, bias=0.0),
        "the bias is added once for each tap; it is added once for each output pixel.": (
            lambda x, w, b, stride, padding: _conv(x, w, w.shape[0] * w.shape[1] * b, stride, padding)
        ),
        "the channels are summed before the product: each tap is a matrix, (c_in, c_out).": partial(_conv, mixed=False),
        "the patches move by one pixel at stride 2: the patch of the output pixel (h, w) begins at (s h, s w).": (
            partial(_conv, step=1)
        ),
    },
    hints=[
        "Eq. CONV-1 with s h in place of h. Pad first: the patch of (h, w) then begins at (s h, s w).",
        "Four loops: over the output's rows and columns, and over the taps; `pixel @ w[i, j]` mixes the channels.",
        "`y[h, v] += padded[stride * h + i, stride * v + j] @ w[i, j]`, on a y that begins as b everywhere.",
    ],
    praise="Four loops, and a small matrix product over the channels.",
)


def _dw(dy, x, mode="constant", images=slice(None), flip=False, reduce=1.0, centre=0):
    p = ((0, 0), (1 + centre, 1 + centre), (1 + centre, 1 + centre), (0, 0))
    padded, dw = np.pad(x[images], p, mode=mode), np.zeros((3, 3, x.shape[3], dy.shape[3]))
    for i in range(3):
        for j in range(3):
            seen = padded[:, i : i + x.shape[1], j : j + x.shape[2]]
            dw[i, j] = np.einsum("nhwc,nhwo->co", seen, dy[images])
    return (dw[::-1, ::-1] if flip else dw) * reduce


DW = Exercise(
    grade="transcribe",
    reference=lambda dy, x: _dw(dy, x),
    cases=[
        (_RNG.standard_normal((2, 4, 5, 2)), _RNG.standard_normal((2, 4, 5, 2))),
        (_RNG.standard_normal((3, 4, 6, 5)), _RNG.standard_normal((3, 4, 6, 2))),
        (_RNG.standard_normal((2, 5, 3, 1)), _RNG.standard_normal((2, 5, 3, 4))),
    ],
    returns=["dw"],
    mistakes={
        "the taps are flipped: w[i, j] met x[h + i - 1, w + j - 1] in the forward, so it meets it here.": (
            partial(_dw, flip=True)
        ),
        "rows and columns are swapped: i shifts down, j to the right.": lambda dy, x: _dw(dy, x).swapaxes(0, 1),
        "only the first image counts: all images used the same w, so their gradients add.": (
            partial(_dw, images=slice(1))
        ),
        "only the last image counts: all images used the same w, so their gradients add.": (
            partial(_dw, images=slice(-1, None))
        ),
        "that is the mean over the images; their gradients add.": lambda dy, x: _dw(dy, x) / len(x),
        "that is the mean over the pixels; all of them used the same w, so their gradients add.": (
            lambda dy, x: _dw(dy, x) / (x.shape[1] * x.shape[2])
        ),
        "the channels are swapped: dw[i, j] is (c_in, c_out), like w[i, j].": lambda dy, x: _dw(dy, x).swapaxes(2, 3),
        "at the border the other side of the image is read; there x counts as 0: pad it.": partial(_dw, mode="wrap"),
        "the border repeats the edge; outside the image x counts as 0.": partial(_dw, mode="edge"),
        "x is shifted one pixel too far: with a ring of one pixel, tap (i, j) reads rows i to i + H of the padded x.": (
            partial(_dw, centre=1)
        ),
    },
    hints=[
        "The sum above, for one tap at a time: which part of the padded x did the tap (i, j) read?",
        "`padded[:, i : i + H, j : j + W]` is what it read, for all output pixels. Multiply by dy, and sum over "
        "images and pixels.",
        '`dw[i, j] = np.einsum("nhwc,nhwo->co", padded[:, i : i + H, j : j + W], dy)` in two loops.',
    ],
    praise="No flip: every tap multiplies dy by the pixels that it has read.",
)


def _paint(dy, w, x_shape, stride, padding, add=True, flip=False, step=None, crop=None, swap=False, mean=False):
    kh, kw, c_in, _ = w.shape
    kernel = w[::-1, ::-1] if flip else w
    kernel = kernel.swapaxes(0, 1) if swap else kernel
    H, W, _ = x_shape
    dx = np.zeros((H + 2 * padding, W + 2 * padding, c_in))
    times, step = np.zeros((*dx.shape[:2], 1)), stride if step is None else step
    for h in range(dy.shape[0]):
        for v in range(dy.shape[1]):
            rows, columns = slice(step * h, step * h + kh), slice(step * v, step * v + kw)
            times[rows, columns] += 1
            dx[rows, columns] = add * dx[rows, columns] + kernel @ dy[h, v]
    dx = dx / np.maximum(times, 1) if mean else dx
    crop = padding if crop is None else crop
    return dx[crop : crop + H, crop : crop + W]


def _case(x_shape, k, c_out, stride, padding):
    H, W, c_in = x_shape
    sides = [(side + 2 * padding - k) // stride + 1 for side in (H, W)]
    return _RNG.standard_normal((*sides, c_out)), _RNG.standard_normal((k, k, c_in, c_out)), x_shape, stride, padding


PAINT = Exercise(
    grade="debug",
    reference=lambda dy, w, x_shape, stride, padding: _paint(dy, w, x_shape, stride, padding),
    cases=[_case((4, 5, 2), 3, 3, 1, 1), _case((6, 7, 3), 3, 2, 2, 1), _case((7, 5, 1), 5, 4, 2, 2)],
    returns=["dx"],
    mistakes={
        PLANTED: (partial(_paint, add=False)),
        "overlaps are averaged; gradients add.": partial(_paint, mean=True),
        "the kernel is flipped; painted, it lies as it did when the patch was read.": partial(_paint, flip=True),
        "rows and columns of the kernel are swapped; they were right.": partial(_paint, swap=True),
        "at stride 2 the patches lie too close: the one of (h, w) begins at (2 h, 2 w), and that was right.": (
            partial(_paint, step=1)
        ),
        "the sign is turned: gradients are added to dx, not taken away.": (
            lambda dy, w, x_shape, stride, padding: -_paint(dy, w, x_shape, stride, padding)
        ),
        "the wrong part is cut out: p pixels at each border are padding, and go.": partial(_paint, crop=0),
    },
    hints=[
        "With a dy that is 1 at a single pixel the result is right, and with two pixels far apart as well. When not?",
        "Where patches overlap, a pixel of x was read twice. What does the line with `dx[rows, columns]` do with what "
        "was there?",
        "It should be `dx[rows, columns] += w @ dy[h, v]`.",
    ],
    praise="Where patches overlap, gradients add.",
)


def _flipped(w, padding, rows=True, columns=True, channels=True, rest=True):
    kernel = w[:: -1 if rows else 1, :: -1 if columns else 1]
    kernel = kernel.swapaxes(2, 3) if channels else kernel
    return kernel, w.shape[0] - 1 - padding if rest else padding


FLIP = Exercise(
    grade="derive",
    reference=lambda w, padding: _flipped(w, padding),
    cases=[
        (_RNG.standard_normal((3, 3, 2, 2)), 1),
        (_RNG.standard_normal((3, 3, 4, 2)), 0),
        (_RNG.standard_normal((5, 5, 2, 3)), 1),
        (_RNG.standard_normal((1, 1, 3, 5)), 0),
    ],
    returns=["kernel", "padding"],
    mistakes={
        "the taps are not flipped: a convolution has plus signs, and here are minus signs.": (
            partial(_flipped, rows=False, columns=False)
        ),
        "only the rows of taps are flipped, and not the columns.": partial(_flipped, columns=False),
        "only the columns of taps are flipped, and not the rows.": partial(_flipped, rows=False),
        "the channels are not swapped: dy has c_out channels, and dx has c_in.": partial(_flipped, channels=False),
        "that is the kernel itself: neither are the taps flipped nor the channels swapped.": (
            partial(_flipped, rows=False, columns=False, channels=False)
        ),
        "all four axes are flipped: turn the taps only, and swap the channels without turning their order.": (
            lambda w, padding: (w[::-1, ::-1, ::-1, ::-1].swapaxes(2, 3), w.shape[0] - 1 - padding)
        ),
        "rows and columns are swapped; minus signs in both make it half a turn.": (
            lambda w, padding: (w.transpose(1, 0, 3, 2), w.shape[0] - 1 - padding)
        ),
        "that turns the kernel by a quarter; minus signs in rows and columns make it half a turn.": (
            lambda w, padding: (np.rot90(w).swapaxes(2, 3), w.shape[0] - 1 - padding)
        ),
        "the kernel is right, but the padding is not: counting i from the other end moves it, too.": (
            partial(_flipped, rest=False)
        ),
        "the kernel is right, but the padding is one too large: taps are counted from 0 to k - 1.": (
            lambda w, padding: (_flipped(w, padding)[0], w.shape[0] - padding)
        ),
    },
    hints=[
        "Put i = k - 1 - i' and j = k - 1 - j' into CONV-2. Which index has W now, and what stands in that of dy?",
        "h' - i + p = h' + i' - (k - 1 - p): plus signs, as in CONV-1, with another padding. And which channels does "
        "the kernel read, which does it write?",
        "The kernel is `w[::-1, ::-1].swapaxes(2, 3)`, the padding `w.shape[0] - 1 - padding`.",
    ],
    praise="The gradient of a convolution is a convolution again, with flipped taps.",
)
