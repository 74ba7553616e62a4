"""More answers to the exercises of notebook 06."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def conv_windows(x, w, b, stride, padding):
    k = w.shape[0]
    windows = sliding_window_view(np.pad(x, ((padding,) * 2, (padding,) * 2, (0, 0))), (k, k), axis=(0, 1))
    return np.einsum("hwcij,ijco->hwo", windows[::stride, ::stride], w) + b


def conv_loops(x, w, b, stride, padding):
    (H, W, _c_in), (k, _, _, c_out) = x.shape, w.shape
    y = [
        [list(b) for _ in range((W + 2 * padding - k) // stride + 1)]
        for _ in range((H + 2 * padding - k) // stride + 1)
    ]
    for h, row in enumerate(y):
        for v, pixel in enumerate(row):
            for i in range(k):
                for j in range(k):
                    r, s = stride * h + i - padding, stride * v + j - padding
                    if 0 <= r < H and 0 <= s < W:
                        for o in range(c_out):
                            pixel[o] += float(x[r, s] @ w[i, j, :, o])
    return y


def conv(pad=0, tap=lambda w, i, j: w[i, j], rows=None, bias=1, mode="constant", square=False, start=0, odd=None):
    def answer(x, w, b, stride, padding):
        k = odd or w.shape[0]
        p = padding + pad
        xp = np.pad(x, ((p, p), (p, p), (0, 0)), mode=mode)
        H = (rows or (lambda n, k, s: (n - k) // s + 1))(xp.shape[0], k, stride)
        W = H if square else (rows or (lambda n, k, s: (n - k) // s + 1))(xp.shape[1], k, stride)
        y = np.zeros((H, W, w.shape[3])) + bias * b
        for i in range(k):
            for j in range(k):
                y += xp[start + i : start + i + stride * H : stride, j : j + stride * W : stride] @ tap(w, i, j)
        return y

    return answer


def conv_bias_per_tap(x, w, b, stride, padding):
    return conv()(x, w, b * w.shape[0] ** 2, stride, padding)


def conv_stride_one(x, w, b, stride, padding):
    return conv()(x, w, b, 1, padding)


def conv_pad_one(x, w, b, stride, padding):
    return conv()(x, w, b, stride, w.shape[0] // 2)


def dw_pad(shift=1, mean=None, tap=lambda d: d, mode="constant"):
    def answer(dy, x):
        _N, H, W, _ = x.shape
        xp = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode=mode)
        dw = np.zeros((3, 3, x.shape[3], dy.shape[3]))
        for i in range(3):
            for j in range(3):
                dw[i, j] = np.einsum("nhwc,nhwo->co", xp[:, i : i + H, j : j + W], dy)
        return tap(dw) / (mean or (lambda dy: 1))(dy)

    return answer


def dw_windows(dy, x):
    windows = sliding_window_view(np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))), (3, 3), axis=(1, 2))
    return np.tensordot(windows, dy, ((0, 1, 2), (0, 1, 2))).transpose(1, 2, 0, 3)


def dw_products(dy, x):
    _N, H, W, c = x.shape
    dw = np.zeros((3, 3, c, dy.shape[3]))
    for i in range(3):
        for j in range(3):
            for h in range(H):
                for v in range(W):
                    if 0 <= h + i - 1 < H and 0 <= v + j - 1 < W:
                        dw[i, j] += x[:, h + i - 1, v + j - 1].T @ dy[:, h, v]
    return dw


def dw_patch_last_image(dy, x):
    return dw_products(dy[-1:], x[-1:])


def dw_roll(dy, x):
    return [[np.einsum("nhwc,nhwo->co", np.roll(x, (1 - i, 1 - j), (1, 2)), dy) for j in range(3)] for i in range(3)]


def dw_no_pad(dy, x):
    H, W = x.shape[1:3]
    return [
        [np.einsum("nhwc,nhwo->co", x[:, i : H - 2 + i, j : W - 2 + j], dy[:, 1:-1, 1:-1]) for j in range(3)]
        for i in range(3)
    ]


def paint_taps(dy, w, x_shape, stride, padding):
    H, W, c = x_shape
    k = len(w)
    dx = np.zeros((H + 2 * padding, W + 2 * padding, c))
    for i in range(k):
        for j in range(k):
            dx[i : i + stride * dy.shape[0] : stride, j : j + stride * dy.shape[1] : stride] += dy @ w[i, j].T
    return dx[padding : padding + H, padding : padding + W]


def paint(do=None, cut=None, pad=1, order=1):
    def answer(dy, w, x_shape, stride, padding):
        H, W, c = x_shape
        k = w.shape[0]
        dx = np.zeros((H + 2 * padding, W + 2 * padding, c))
        for h in range(dy.shape[0])[::order]:
            for v in range(dy.shape[1])[::order]:
                at = slice(stride * h, stride * h + k), slice(stride * v, stride * v + k)
                (do or (lambda d, at, p: d.__setitem__(at, d[at] + p)))(dx, at, w @ dy[h, v])
        return (cut or (lambda d, p, H, W: d[p : p + H, p : p + W]))(dx, padding, H, W)

    return answer


def flip_loop(w, padding):
    k = len(w)
    kernel = np.empty((k, k, w.shape[3], w.shape[2]), w.dtype)
    for i in range(k):
        for j in range(k):
            kernel[k - 1 - i, k - 1 - j] = w[i, j].T
    return [kernel, np.int64(k - 1 - padding)]


def flip(kernel=lambda w: w[::-1, ::-1].swapaxes(2, 3), p=lambda k, p: k - 1 - p):
    return lambda w, padding: (kernel(w), p(w.shape[0], padding))


RIGHT = {
    "FORWARD": {
        "windows": conv_windows,
        "nested lists": conv_loops,
        "float32": lambda x, w, b, stride, padding: conv()(
            x.astype("f"), w.astype("f"), b.astype("f"), stride=stride, padding=padding
        ).astype("f"),
        "taps": conv(),
    },
    "DW": {"windows": dw_windows, "pixels": dw_products, "slices": dw_pad()},
    "PAINT": {
        "taps": paint_taps,
        "backwards": paint(order=-1),
        "add at": paint(lambda d, at, p: np.add.at(d, at, p)),
    },
    "FLIP": {
        "loop, a list": flip_loop,
        "np.flip": flip(lambda w: np.flip(w, (0, 1)).transpose(0, 1, 3, 2)),
        "rot90": flip(lambda w: np.einsum("ijco->ijoc", np.rot90(w, 2))),
        "a whole number as float": flip(p=lambda k, p: float(k - 1 - p)),
        "further default": lambda w, padding, turns=2: (np.moveaxis(np.rot90(w, turns), 3, 2), len(w) - 1 - padding),
    },
}
WRONG = {
    "FORWARD": {
        "flipped": conv(tap=lambda w, i, j: w[-1 - i, -1 - j]),
        "taps turned": conv(tap=lambda w, i, j: w[j, i]),
        "no bias": conv(bias=0),
        "bias for each tap": conv_bias_per_tap,
        "stride ignored": conv_stride_one,
        "padding ignored": conv_pad_one,
        "edges repeated": conv(mode="edge"),
        "round": conv(mode="wrap"),
        "square": conv(square=True),
        "rows without + 1": conv(rows=lambda n, k, s: (n - k) // s),
        "rows by n // s": conv(rows=lambda n, k, s: (n - k + 1) // s),
        "ceil": conv(rows=lambda n, k, s: -(-(n - k) // s) + 1),
        "3 x 3": conv(odd=3),
        "middle tap": conv(tap=lambda w, i, j: w[i, j] * (i == len(w) // 2)),
        "minus the bias": conv(bias=-1),
        "one pad more": conv(pad=1),
        "matrix turned": conv(tap=lambda w, i, j: w[i, j].T),
    },
    "DW": {
        "flipped": dw_pad(tap=lambda d: d[::-1, ::-1]),
        "taps turned": dw_pad(tap=lambda d: d.swapaxes(0, 1)),
        "matrices turned": dw_pad(tap=lambda d: d.swapaxes(2, 3)),
        "mean over images": dw_pad(mean=len),
        "mean over all": dw_pad(mean=lambda dy: dy[..., 0].size),
        "last image": dw_patch_last_image,
        "rolled": dw_roll,
        "inside only": dw_no_pad,
        "edges repeated": dw_pad(mode="edge"),
        "no batch sum": lambda dy, x: dw_products(dy[:1], x[:1]),
        "sum of both": lambda dy, x: np.ones((3, 3, 1, 1)) * np.einsum("nhwc,nhwo->co", x, dy),
    },
    "PAINT": {
        "as it is": paint(lambda d, at, p: d.__setitem__(at, p)),
        "largest": paint(lambda d, at, p: d.__setitem__(at, np.maximum(d[at], p))),
        "minus": paint(lambda d, at, p: d.__setitem__(at, d[at] - p)),
        "times": paint(lambda d, at, p: d.__setitem__(at, (d[at] + 1) * p)),
        "mean": paint(lambda d, at, p: d.__setitem__(at, (d[at] + p) / 2)),
        "first": paint(order=-1, do=lambda d, at, p: d.__setitem__(at, p)),
        "flipped": paint(lambda d, at, p: d.__setitem__(at, d[at] + p[::-1, ::-1])),
        "turned": paint(lambda d, at, p: d.__setitem__(at, d[at] + p.swapaxes(0, 1))),
        "where nothing is yet": paint(lambda d, at, p: d.__setitem__(at, np.where(d[at] == 0, p, d[at]))),
        "cut from the top": paint(cut=lambda d, p, H, W: d[:H, :W]),
        "not cut": paint(cut=lambda d, p, H, W: d),
        "minus p": paint(cut=lambda d, p, H, W: d[p : -p or None, p : -p or None][::-1]),
    },
    "FLIP": {
        "not flipped": flip(lambda w: w.swapaxes(2, 3)),
        "not swapped": flip(lambda w: w[::-1, ::-1]),
        "flipped once": flip(lambda w: w[::-1].swapaxes(2, 3)),
        "taps transposed": flip(lambda w: w.T),
        "all flipped": flip(lambda w: w[::-1, ::-1, ::-1, ::-1].swapaxes(2, 3)),
        "all transposed and flipped": flip(lambda w: w[::-1, ::-1].transpose(1, 0, 3, 2)),
        "same padding": flip(p=lambda k, p: p),
        "k - p": flip(p=lambda k, p: k - p),
        "k - 1": flip(p=lambda k, p: k - 1),
        "k // 2": flip(p=lambda k, p: k // 2),
        "2 - p": flip(p=lambda k, p: 2 - p),
        "abs": flip(p=lambda k, p: abs(k - 2 - p)),
        "at least 1": flip(p=lambda k, p: max(k - 1 - p, 1)),
        "channels reversed": flip(lambda w: w[::-1, ::-1, :, ::-1].swapaxes(2, 3)),
        "p - k + 1": flip(p=lambda k, p: p - k + 1),
        "order": lambda w, padding: (len(w) - 1 - padding, w[::-1, ::-1].swapaxes(2, 3)),
    },
}
