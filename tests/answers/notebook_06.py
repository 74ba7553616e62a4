"""Answers to the exercises of notebook 06."""

import numpy as np

from tinydiff import functional as F


def forward_by_library(x, w, b, stride, padding):
    return F.conv2d(x[None], w, b, stride, padding)[0][0]


def dw_by_library(dy, x):
    _, cache = F.conv2d(x, np.zeros((3, 3, x.shape[3], dy.shape[3])), padding=1)
    return F.conv2d_backward(dy, cache)[1]


def paint_by_library(dy, w, x_shape, stride, padding):
    _, cache = F.conv2d(np.zeros((1, *x_shape)), w, None, stride, padding)
    return F.conv2d_backward(dy[None], cache)[0][0]


def forward_by_taps(x, w, b, stride, padding):
    k = w.shape[0]
    padded = np.pad(x, ((padding, padding), (padding, padding), (0, 0)))
    H, W = ((side + 2 * padding - k) // stride + 1 for side in x.shape[:2])
    y = np.zeros((H, W, len(b))) + b
    for i in range(k):
        for j in range(k):
            y += padded[i : i + stride * H : stride, j : j + stride * W : stride][:H, :W] @ w[i, j]
    return y


def forward_without_padding(x, w, b, stride, padding):
    """Asks for each tap whether it lies inside, and pads nothing."""
    k, c_in, c_out = w.shape[0], w.shape[2], w.shape[3]
    H, W = ((side + 2 * padding - k) // stride + 1 for side in x.shape[:2])
    y = [[[float(b[o]) for o in range(c_out)] for _ in range(W)] for _ in range(H)]
    for h in range(H):
        for v in range(W):
            for i in range(k):
                for j in range(k):
                    r, c = stride * h + i - padding, stride * v + j - padding
                    if 0 <= r < x.shape[0] and 0 <= c < x.shape[1]:
                        for o in range(c_out):
                            y[h][v][o] += sum(x[r, c, m] * w[i, j, m, o] for m in range(c_in))
    return y


def forward_windows(x, w, b, stride, padding):
    padded = np.pad(x, ((padding, padding), (padding, padding), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, w.shape[:2], axis=(0, 1))[::stride, ::stride]
    return (np.einsum("hwcij,ijco->hwo", windows, w) + b).astype(np.float32)


def forward_wrong(x, w, b, stride, padding, size=None, k=None, off=0, always=None):
    """The taps' loops, with something wrong."""
    side = k or w.shape[0]
    padding = padding if always is None else always
    padded = np.pad(x, ((padding, padding), (padding, padding), (0, 0)))
    H, W = ((n + 2 * padding - w.shape[0]) // stride + 1 for n in x.shape[:2])
    y = np.zeros((H, W, len(b))) + b
    for i in range(min(side, w.shape[0])):
        for j in range(min(side, w.shape[0])):
            rows = padded[i + off : i + off + stride * H : stride][:H]
            part = rows[:, j : j + stride * W : stride][:, :W] @ w[i, j]
            y[: part.shape[0], : part.shape[1]] += part
    return y


def dw_by_windows(dy, x):
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))), (3, 3), axis=(1, 2))
    return np.einsum("nhwcij,nhwo->ijco", windows, dy)


def dw_by_images(dy, x):
    dw = 0
    for image, d in zip(x, dy, strict=True):
        padded = np.pad(image, ((1, 1), (1, 1), (0, 0)))
        H, W, c = image.shape
        rows = [
            [padded[i : i + H, j : j + W].reshape(-1, c).T @ d.reshape(H * W, -1) for j in range(3)] for i in range(3)
        ]
        dw = dw + np.array(rows)
    return dw


def dw_inside(dy, x):
    """Leaves the border pixels of dy out."""
    cut = np.zeros(dy.shape)
    cut[:, 1:-1, 1:-1] = dy[:, 1:-1, 1:-1]
    return dw_by_windows(cut, x)


def paint_by_taps(dy, w, x_shape, stride, padding):
    H, W, c_in = x_shape
    h, v = dy.shape[:2]
    dx = np.zeros((H + 2 * padding + stride, W + 2 * padding + stride, c_in))
    for i in range(w.shape[0]):
        for j in range(w.shape[1]):
            dx[i : i + stride * h : stride, j : j + stride * v : stride] += dy @ w[i, j].T
    return dx[padding : padding + H, padding : padding + W]


def paint_by_asking(dy, w, x_shape, stride, padding):
    dx = np.zeros(x_shape)
    for h, v in np.ndindex(dy.shape[:2]):
        for i, j in np.ndindex(w.shape[:2]):
            r, c = stride * h + i - padding, stride * v + j - padding
            if 0 <= r < x_shape[0] and 0 <= c < x_shape[1]:
                dx[r, c] += np.einsum("co,o->c", w[i, j], dy[h, v])
    return dx.astype(np.float32)


def flip_by_loops(w, padding):
    k = len(w)
    kernel = np.empty((k, k, w.shape[3], w.shape[2]))
    for i in range(k):
        for j in range(k):
            kernel[i, j] = w[k - 1 - i, k - 1 - j].T
    return kernel, k - padding - 1


LIBRARY = {
    "FORWARD": forward_by_library,
    "DW": dw_by_library,
    "PAINT": paint_by_library,
    "FLIP": "the library flips within conv2d_dx.",
}
RIGHT = {
    "FORWARD": {"taps": forward_by_taps, "without padding": forward_without_padding, "windows": forward_windows},
    "DW": {"windows": dw_by_windows, "images": dw_by_images, "a list": lambda dy, x: dw_by_windows(dy, x).tolist()},
    "PAINT": {"taps": paint_by_taps, "asking": paint_by_asking},
    "FLIP": {
        "loops": flip_by_loops,
        "rot90": lambda w, p: (np.rot90(w, 2).transpose(0, 1, 3, 2), len(w) - 1 - p),
        "np.flip": lambda w, p: [np.flip(w, (0, 1)).swapaxes(-1, -2).astype(np.float32), w.shape[1] - p - 1],
        "einsum": lambda w, p: (np.einsum("ijco->ijoc", w[::-1, ::-1]), np.int64(len(w) - 1 - p)),
    },
}
WRONG = {
    "FORWARD": {
        "always 3 x 3": lambda *args: forward_wrong(*args, k=3),
        "always padding 1": lambda x, w, b, stride, padding: forward_wrong(x, w, b, stride, padding, always=1),
        "one row too low": lambda *args: forward_wrong(*args, off=1),
        "no stride": lambda x, w, b, stride, padding: forward_by_taps(x, w, b, 1, padding),
        "stride from the middle": lambda x, w, b, stride, padding: forward_by_taps(x, w, b, 1, padding)[
            stride - 1 :: stride, stride - 1 :: stride
        ],
        "channels in order": lambda x, w, b, stride, padding: forward_by_taps(x[..., ::-1], w, b, stride, padding),
        "bias of the first": lambda x, w, b, stride, padding: forward_by_taps(x, w, 0 * b + b[0], stride, padding),
        "padded with ones": lambda x, w, b, s, p: forward_by_taps(
            np.pad(x, ((p, p), (p, p), (0, 0)), constant_values=1.0), w, b, s, 0
        ),
    },
    "DW": {
        "no border": dw_inside,
        "shifted the other way": lambda dy, x: dw_by_windows(x, dy).swapaxes(2, 3),
        "images mixed": lambda dy, x: dw_by_windows(dy[::-1], x),
        "summed first": lambda dy, x: dw_by_windows(dy.sum(0, keepdims=True), x.sum(0, keepdims=True)),
        "rows flipped": lambda dy, x: dw_by_windows(dy, x)[::-1],
        "columns flipped": lambda dy, x: dw_by_windows(dy, x)[:, ::-1],
        "mean over all": lambda dy, x: dw_by_windows(dy, x) / dy[..., 0].size,
    },
    "PAINT": {
        "the largest": lambda dy, w, s, stride, p: np.maximum(paint_by_taps(dy, w, s, stride, p), 0),
        "stride 1 always": lambda dy, w, s, stride, p: paint_by_taps(dy, w, s, 1, p)[: s[0], : s[1]],
        "with its border": lambda dy, w, s, stride, p: np.pad(
            paint_by_taps(dy, w, s, stride, p), ((p, p), (p, p), (0, 0))
        ),
        "absolute": lambda dy, w, s, stride, p: paint_by_taps(abs(dy), abs(w), s, stride, p),
        "one row too low": lambda dy, w, s, stride, p: np.roll(paint_by_taps(dy, w, s, stride, p), 1, axis=0),
    },
    "FLIP": {
        "padding of 3 x 3": lambda w, p: (flip_by_loops(w, p)[0], 2 - p),
        "channels flipped": lambda w, p: (flip_by_loops(w, p)[0][:, :, ::-1], len(w) - 1 - p),
        "padding and kernel swapped": lambda w, p: (len(w) - 1 - p, flip_by_loops(w, p)[0]),
        "negative": lambda w, p: (-flip_by_loops(w, p)[0], len(w) - 1 - p),
        "same padding": lambda w, p: (flip_by_loops(w, p)[0], len(w) // 2),
    },
}
