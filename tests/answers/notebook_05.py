"""Answers to the exercises of notebook 05."""

import numpy as np

from tinydiff import functional as F


def linear_by_library(dy, x, w):
    return F.linear_backward(dy, F.linear(x, w, np.zeros(w.shape[1]))[1])


def softmax_by_library(dy, y):
    return F.softmax_backward(dy, F.softmax(np.log(y))[1])[0]


def tied_by_library(dy, x, w):
    h, first = F.linear(x, w)
    _, second = F.linear(h, w.T.copy())
    dh, d_turned, _ = F.linear_backward(dy, second)
    dx, dw, _ = F.linear_backward(dh, first)
    return dx, dw + d_turned.T


def slopes_flat(g, x, h):
    found = []
    for k in range(x.size):
        ends = []
        for sign in (1, -1):
            moved = x.copy().ravel()
            moved[k] += sign * h
            ends.append(g(moved.reshape(x.shape)))
        found.append((ends[0] - ends[1]) / (2 * h))
    return np.array(found).reshape(x.shape)


def slopes_by_moving(g, x, h):
    x = x.astype(np.float64)
    slopes = np.empty_like(x)
    for index, value in np.ndenumerate(x.copy()):
        x[index] = value + h
        up = g(x)
        x[index] = value - h
        slopes[index] = (up - g(x)) / h / 2
        x[index] = value
    return slopes


def slopes_wrong(g, x, h, rows=False, square=False, abs_x=False):
    slopes = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        step = np.zeros(x.shape)
        step[index[0] if rows else index] = h * (abs(x[index]) if abs_x else 1)
        slopes[index] = (g(x + step) - g(x - step)) / (2 * h * (h if square else 1))
    return slopes


def linear_by_loops(dy, x, w):
    dx, dw, db = np.zeros(x.shape), np.zeros(w.shape), np.zeros(w.shape[1])
    for n in range(x.shape[0]):
        for j in range(w.shape[1]):
            db[j] += dy[n, j]
            for i in range(w.shape[0]):
                dx[n, i] += dy[n, j] * w[i, j]
                dw[i, j] += dy[n, j] * x[n, i]
    return dx, dw, db


def linear_for_squares(dy, x, w):
    dx, dw, db = np.zeros(x.shape), np.zeros(w.shape), np.zeros(w.shape[1])
    for n in range(x.shape[0]):
        for j in range(w.shape[0]):
            db[j % len(db)] += dy[n, j % len(db)]
            for i in range(w.shape[0]):
                dx[n, i] += dy[n, j % len(db)] * w[i, j % len(db)]
                dw[i, j % len(db)] += dy[n, j % len(db)] * x[n, i]
    return dx, dw, db


def softmax_by_matrices(dy, y):
    rows, d_rows = y.reshape(-1, y.shape[-1]), dy.reshape(-1, y.shape[-1])
    dx = [(np.diag(a) - np.outer(a, a)) @ d for a, d in zip(rows, d_rows, strict=True)]
    return np.array(dx).reshape(y.shape)


def tied_einsum(dy, x, w):
    dh = np.einsum("nc,ck->nk", dy, w)
    h = np.einsum("nc,ck->nk", x, w)
    return np.einsum("nk,ck->nc", dh, w), np.einsum("nc,nk->ck", x, dh) + np.einsum("nc,nk->ck", dy, h)


LIBRARY = {
    "SLOPES": "the library's gradcheck measures along random directions only.",
    "LINEAR": linear_by_library,
    "SOFTMAX": softmax_by_library,
    "TWICE": tied_by_library,
}
RIGHT = {
    "SLOPES": {
        "flat": slopes_flat,
        "moving": slopes_by_moving,
        "a list": lambda g, x, h: slopes_flat(g, x, h).tolist(),
        "float32": lambda g, x, h: slopes_flat(g, x, h).astype(np.float32),
    },
    "LINEAR": {
        "loops": linear_by_loops,
        "einsum": lambda dy, x, w: [
            np.einsum("nj,ij->ni", dy, w),
            np.einsum("ni,nj->ij", x, dy),
            np.einsum("nj->j", dy),
        ],
        "ones": lambda dy, x, w: ((w @ dy.T).T, (dy.T @ x).T, np.ones(len(dy)) @ dy),
    },
    "SOFTMAX": {
        "matrices": softmax_by_matrices,
        "multiplied out": lambda dy, y: dy * y - y * np.einsum("...i,...i->...", dy, y)[..., None],
        "float32": lambda dy, y: (y * (dy - np.sum(dy * y, -1, keepdims=True))).astype(np.float32),
    },
    "TWICE": {
        "einsum": tied_einsum,
        "w w^T": lambda dy, x, w: (dy @ (w @ w.T), (x.T @ dy + dy.T @ x) @ w),
        "transposed": lambda dy, x, w: ((w @ (w.T @ dy.T)).T, x.T @ dy @ w + ((x @ w).T @ dy).T),
    },
}
WRONG = {
    "SLOPES": {
        "rows move together": lambda g, x, h: slopes_wrong(g, x, h, rows=True),
        "divided by h squared": lambda g, x, h: slopes_wrong(g, x, h, square=True),
        "relative steps": lambda g, x, h: slopes_wrong(g, x, h, abs_x=True),
        "its own h": lambda g, x, h: slopes_flat(g, x, 1e-5),
        "flat": lambda g, x, h: slopes_flat(g, x, h).ravel(),
        "one number": lambda g, x, h: (g(x + h) - g(x - h)) / (2 * h),
        "the last entry only": lambda g, x, h: (
            slopes_flat(g, x, h) * (np.arange(x.size) == x.size - 1).reshape(x.shape)
        ),
    },
    "LINEAR": {
        "for squares": linear_for_squares,
        "db a row": lambda dy, x, w: (dy @ w.T, x.T @ dy, dy.sum(axis=0, keepdims=True)),
        "dw with w": lambda dy, x, w: (dy @ w.T, x.T @ dy * w, dy.sum(axis=0)),
        "dx of the signs": lambda dy, x, w: (dy @ np.sign(w).T, x.T @ dy, dy.sum(axis=0)),
        "first row only": lambda dy, x, w: (dy @ w.T, np.outer(x[0], dy[0]), dy[0]),
        "dx, db only": lambda dy, x, w: (dy @ w.T, dy.sum(axis=0)),
    },
    "SOFTMAX": {
        "the sum of absolute values": lambda dy, y: y * (dy - abs(dy * y).sum(axis=-1, keepdims=True)),
        "squares": lambda dy, y: y * (dy - (dy * y**2).sum(axis=-1, keepdims=True)),
        "log softmax": lambda dy, y: dy - y * dy.sum(axis=-1, keepdims=True),
        "the largest": lambda dy, y: y * (dy - (dy * y).max(axis=-1, keepdims=True)),
        "axis 1": lambda dy, y: y * (dy - (dy * y).sum(axis=min(1, y.ndim - 1), keepdims=True)),
        "a sigmoid each": lambda dy, y: dy * y * (1 - y),
    },
    "TWICE": {
        "dx of one use": lambda dy, x, w: (dy @ w @ w.T + dy, (x.T @ dy + dy.T @ x) @ w),
        "doubled": lambda dy, x, w: (2 * (dy @ w @ w.T), 2 * (x.T @ dy + dy.T @ x) @ w),
        "dw of the second use with y": lambda dy, x, w: (dy @ w @ w.T, x.T @ dy @ w + (x @ w @ w.T).T @ dy @ w),
        "swapped": lambda dy, x, w: tied_einsum(dy, x, w)[::-1],
        "without x": lambda dy, x, w: (dy @ w @ w.T, 2 * dy.T @ dy @ w),
        "averaged over rows": lambda dy, x, w: (dy @ w @ w.T, (x.T @ dy + dy.T @ x) @ w / len(x)),
    },
}
