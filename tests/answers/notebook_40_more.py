"""More answers to the exercises of notebook 40."""

import numpy as np

from tinydiff.functional.fast.winograd import A_T, B_T, G


def powers_loop(points, k):
    rows = []
    for a in points:
        row = [1]
        for _ in range(k - 1):
            row.append(row[-1] * a)
        rows.append(row)
    return rows + [[0] * (k - 1) + [1]]


def tile_plain(x, w):
    return [[(x[i : i + 3, j : j + 3] * w).sum() for j in range(4)] for i in range(4)]


def kernel_plain(x, dy):
    return [[(x[i : i + 4, j : j + 4] * dy).sum() for j in range(3)] for i in range(3)]


def kernel(f):
    return lambda x, dy: f(B_T @ x @ B_T.T, A_T.T @ dy @ A_T)


RIGHT = {
    "POWERS": {
        "nested lists": powers_loop,
        "vander": lambda points, k: np.vstack([np.vander(points, k, increasing=True), np.eye(k)[-1]]),
        "float32": lambda points, k: np.array(powers_loop(points, k), dtype="f"),
        "broadcast": lambda points, k: np.concatenate(
            [np.asarray(points, float)[:, None] ** np.arange(k), (np.arange(k) == k - 1)[None]]
        ),
    },
    "TILE": {
        "the plain convolution": tile_plain,
        "einsum": lambda x, w: np.einsum(
            "pi,ij,qj->pq",
            A_T,
            np.einsum("ia,ab,jb->ij", G, w, G) * np.einsum("ia,ab,jb->ij", B_T, x, B_T),
            A_T,
        ),
        "kron, float32": lambda x, w: (
            (np.kron(A_T, A_T) @ ((np.kron(G, G) @ w.ravel()) * (np.kron(B_T, B_T) @ x.ravel())))
            .reshape(4, 4)
            .astype("f")
        ),
    },
    "KERNEL": {
        "the plain sum": kernel_plain,
        "einsum": lambda x, dy: np.einsum("ia,ij,jb->ab", G, (B_T @ x @ B_T.T) * (A_T.T @ dy @ A_T), G),
        "kron": lambda x, dy: (
            np.kron(G, G).T @ ((np.kron(B_T, B_T) @ x.ravel()) * (np.kron(A_T, A_T).T @ dy.ravel()))
        ).reshape(3, 3),
    },
}
WRONG = {
    "POWERS": {
        "falling": lambda points, k: np.vstack([np.vander(points, k), np.eye(k)[-1]]),
        "falling all": lambda points, k: np.vstack([np.vander(points, k), np.eye(k)[0]]),
        "infinity first": lambda points, k: np.vstack([np.eye(k)[-1], np.vander(points, k, increasing=True)]),
        "no infinity": lambda points, k: np.vander(points, k, increasing=True),
        "infinity is all ones": lambda points, k: np.vstack([np.vander(points, k, increasing=True), np.ones(k)]),
        "infinity 1, 0, 0": lambda points, k: np.vstack([np.vander(points, k, increasing=True), np.eye(k)[0]]),
        "from 1": lambda points, k: np.vstack(
            [np.asarray(points, float)[:, None] ** np.arange(1, k + 1), np.eye(k)[-1]]
        ),
        "turned": lambda points, k: np.array(powers_loop(points, k)).T,
        "k + 1": lambda points, k: powers_loop(points, k + 1),
        "0 to the 0 is 0": lambda points, k: (
            np.array(powers_loop(points, k)) * np.vstack([*[[1] * k if p else [0] * k for p in points], [1] * k])
        ),
        "whole": lambda points, k: np.array(powers_loop(points, k)).astype(int),
        "abs": lambda points, k: np.array(powers_loop([abs(p) for p in points], k)),
        "multiples": lambda points, k: np.vstack([np.outer(points, np.arange(k)), np.eye(k)[-1]]),
        "the given ones": lambda points, k: powers_loop([0, 1, -1], k),
    },
    "TILE": {
        "x first": lambda x, w: A_T @ ((G @ w @ G.T) @ (B_T @ x @ B_T.T)) @ A_T.T,
        "flipped": lambda x, w: tile_plain(x, w[::-1, ::-1]),
        "w turned": lambda x, w: tile_plain(x, w.T),
        "x turned": lambda x, w: tile_plain(x.T, w),
        "both turned": lambda x, w: tile_plain(x.T, w.T),
        "B not turned": lambda x, w: A_T @ ((G @ w @ G.T) * (B_T @ x @ B_T)) @ A_T.T,
        "B_T.T first": lambda x, w: A_T @ ((G @ w @ G.T) * (B_T.T @ x @ B_T)) @ A_T.T,
        "no x transform": lambda x, w: A_T @ ((G @ w @ G.T) * x) @ A_T.T,
        "sum": lambda x, w: A_T @ ((G @ w @ G.T) + (B_T @ x @ B_T.T)) @ A_T.T,
        "cut": lambda x, w: ((G @ w @ G.T) * (B_T @ x @ B_T.T))[:4, :4],
        "one side": lambda x, w: A_T @ ((G @ w @ G.T) * (B_T @ x)) @ A_T.T,
        "no kernel": lambda x, w: A_T @ (B_T @ x @ B_T.T) @ A_T.T,
    },
    "KERNEL": {
        "turned": lambda x, dy: np.array(kernel_plain(x, dy)).T,
        "flipped": lambda x, dy: np.array(kernel_plain(x, dy))[::-1, ::-1],
        "inverse": lambda x, dy: np.linalg.pinv(G) @ ((B_T @ x @ B_T.T) * (A_T.T @ dy @ A_T)) @ np.linalg.pinv(G).T,
        "no x": lambda x, dy: G.T @ (A_T.T @ dy @ A_T) @ G,
        "x not transformed": lambda x, dy: G.T @ (x * (A_T.T @ dy @ A_T)) @ G,
        "pinv of A": lambda x, dy: G.T @ ((B_T @ x @ B_T.T) * (np.linalg.pinv(A_T) @ dy @ np.linalg.pinv(A_T).T)) @ G,
        "product": kernel(lambda u, m: G.T @ (u @ m) @ G),
        "G not turned": kernel(lambda u, m: G @ (u * m) @ G.T),
        "dx": kernel(lambda u, m: B_T.T @ (u * m) @ B_T),
        "dy turned": lambda x, dy: kernel_plain(x, dy.T),
        "one side": kernel(lambda u, m: (G.T @ (u * m))[:, :3]),
        "mean": lambda x, dy: np.array(kernel_plain(x, dy)) / 16,
        "sign": lambda x, dy: -np.array(kernel_plain(x, dy)),
        "dy twice": kernel(lambda u, m: G.T @ (u * m * m) @ G),
    },
}
