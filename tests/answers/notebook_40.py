"""Answers to the exercises of notebook 40."""

import numpy as np

from tinydiff import functional as F
from tinydiff.functional.fast.winograd import A_T, B_T, G, transform_weights, winograd_conv, winograd_dw


def tile_of_library(x, w):
    x, w = x.astype(float)[None, :, :, None], w.astype(float)[:, :, None, None]
    return winograd_conv(np, x, transform_weights(w))[0][0, :, :, 0]


def kernel_of_library(x, dy):
    x, dy = x.astype(float)[None, :, :, None], dy.astype(float)[None, :, :, None]
    _, v = winograd_conv(np, x, transform_weights(np.ones((3, 3, 1, 1))))
    return winograd_dw(np, dy, v)[0][:, :, 0, 0]


def correlation(x, w):
    y, _ = F.conv2d(x.astype(float)[None, :, :, None], w.astype(float)[:, :, None, None], algorithm="im2col")
    return y[0, :, :, 0]


def whole_powers(points, k):
    return np.array([[a**p for p in range(k)] for a in points] + [[0] * (k - 1) + [1]])


def vander(points, k):
    matrix = np.zeros((len(points) + 1, k), np.float32)
    matrix[:-1] = np.vander(np.asarray(points, float), k, increasing=True)
    matrix[-1, -1] = 1
    return matrix


def by_loops(x, w):
    y = np.zeros((4, 4))
    for i in range(4):
        for j in range(4):
            y[i, j] = sum(x[i + k, j + m] * w[k, m] for k in range(3) for m in range(3))
    return y.tolist()


def by_kron(x, w):
    u, v = np.kron(G, G) @ w.ravel(), np.kron(B_T, B_T) @ x.ravel()
    return (np.kron(A_T, A_T) @ (u * v)).reshape(4, 4)


def tile_float32(x, w):
    a, b, g = (m.astype(np.float32) for m in (A_T, B_T, G))
    x, w = x.astype(np.float32), w.astype(np.float32)
    return a @ ((g @ w @ g.T) * (b @ x @ b.T)) @ a.T


def kernel_by_loops(x, dy):
    return [[float((x[k : k + 4, m : m + 4] * dy).sum()) for m in range(3)] for k in range(3)]


def kernel_einsum(x, dy):
    v = np.einsum("ai,ij,bj->ab", B_T, x, B_T)
    m = np.einsum("ia,ij,jb->ab", A_T, dy, A_T)
    return np.einsum("ak,ab,bl->kl", G, v * m, G)


LIBRARY = {"POWERS": whole_powers, "TILE": tile_of_library, "KERNEL": kernel_of_library}
RIGHT = {
    "POWERS": {"whole numbers": whole_powers, "vander": vander, "lists": lambda p, k: whole_powers(p, k).tolist()},
    "TILE": {"loops": by_loops, "kron": by_kron, "float32": tile_float32, "correlation": correlation},
    "KERNEL": {"loops": kernel_by_loops, "einsum": kernel_einsum},
}
WRONG = {
    "POWERS": {
        "one power too many": lambda p, k: whole_powers(p, k + 1),
        "infinity first": lambda p, k: np.roll(whole_powers(p, k), 1, axis=0),
        "absolute": lambda p, k: abs(whole_powers(p, k)),
        "bases exchanged": lambda p, k: np.array([[float(n) ** abs(a) for n in range(k)] for a in p] + [[1.0] * k]),
    },
    "TILE": {
        "turned": lambda x, w: np.array(by_loops(x.T, w)),
        "one output": lambda x, w: np.full((4, 4), by_loops(x, w)[0][0]),
        "no scale": lambda x, w: tile_float32(x, w) / 4,
        "G from the wrong side": lambda x, w: A_T @ ((G @ w.T @ G.T) * (B_T @ x @ B_T.T)) @ A_T.T,
        "B from the wrong side": lambda x, w: A_T @ ((G @ w @ G.T) * (B_T @ x @ B_T)) @ A_T.T,
    },
    "KERNEL": {
        "flipped": lambda x, dy: np.array(kernel_by_loops(x, dy))[::-1, ::-1],
        "x from the other corner": lambda x, dy: kernel_by_loops(x[::-1, ::-1], dy),
        "dy turned": lambda x, dy: kernel_by_loops(x, dy.T),
        "G inverted": lambda x, dy: np.linalg.pinv(G) @ ((B_T @ x @ B_T.T) * (A_T.T @ dy @ A_T)) @ np.linalg.pinv(G).T,
    },
}
