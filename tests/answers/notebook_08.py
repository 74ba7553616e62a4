"""Answers to the exercises of notebook 08."""

import numpy as np

from tinydiff.functional import embedding, embedding_backward, upsample_nearest_backward
from tinydiff.functional.resample import UpsampleCache


def by_strides(dy, f):
    return sum(dy[:, i::f, j::f] for i in range(f) for j in range(f))


def pixel_by_pixel(dy, f):
    dx = np.zeros((dy.shape[0], dy.shape[1] // f, dy.shape[2] // f, dy.shape[3]), np.float32)
    for h in range(dy.shape[1]):
        for w in range(dy.shape[2]):
            dx[:, h // f, w // f] += dy[:, h, w]
    return dx


def with_add_at(dy, indices, rows):
    d_table = np.zeros((rows, dy.shape[-1]))
    np.add.at(d_table, indices, dy)
    return d_table


def at_once(dy, indices, rows):
    d_table = np.zeros((rows, dy.shape[-1]))
    d_table[indices] += dy
    return d_table


def block(dy, f_backward, g_backward):
    dh = f_backward(dy)
    return np.add(g_backward(dh), dy), np.einsum("nhwc->nc", dh)


def block_in_lists(dy, f_backward, g_backward):
    dh = f_backward(dy.astype(np.float32))
    return [dy + g_backward(dh), dh.reshape(len(dy), -1, dy.shape[-1]).sum(1).tolist()]


def with_pop(dy, down, middle, up):
    d_skips = []
    for back in up[::-1]:
        dy, d_skip = np.split(back(dy), 2, axis=-1)
        d_skips.append(d_skip)
    dy = middle(dy)
    for back in down[::-1]:
        dy = back(dy + d_skips.pop())
    return dy


def with_indices(dy, down, middle, up):
    d_skips, c = [None] * len(up), dy.shape[-1]
    for i in range(len(up) - 1, -1, -1):
        both = up[i](dy)
        dy, d_skips[i] = both[..., :c], both[..., c:]
    dy = middle(dy)
    for i in range(len(down) - 1, -1, -1):
        dy = down[i](dy + d_skips[len(down) - 1 - i])
    return dy


def recursive(dy, down, middle, up, forgetful=False, last_too=False):
    if not up:
        return middle(dy)
    both = up[-1](dy)
    c = dy.shape[-1]
    inner = recursive(both[..., :c], down[1:], middle, up[:-1], forgetful and len(up) > 1)
    skip = 0 if forgetful and len(up) == 1 else both[..., c:]
    return down[0](inner + skip) + (both[..., c:] if last_too else 0)


LIBRARY = {
    "UPSAMPLE": lambda dy, f: upsample_nearest_backward(dy, UpsampleCache(f))[0],
    "EMBEDDING": lambda dy, indices, rows: embedding_backward(
        dy, embedding(indices, np.zeros((rows, dy.shape[-1])))[1]
    )[1],
    "BLOCK": "the library's block has norms and convolutions in the place of f and g.",
    "SKIPS": "the library's UNet has levels of many blocks in the place of these.",
}
RIGHT = {
    "UPSAMPLE": {
        "strides": by_strides,
        "loops in float32": pixel_by_pixel,
        "two sums": lambda dy, f: np.add.reduceat(
            np.add.reduceat(dy, np.arange(0, dy.shape[1], f), axis=1), np.arange(0, dy.shape[2], f), axis=2
        ),
    },
    "EMBEDDING": {
        "add.at": with_add_at,
        "one-hot": lambda dy, indices, rows: (
            (np.ravel(indices) == np.arange(rows)[:, None]).astype(np.float32) @ dy.reshape(-1, dy.shape[-1])
        ),
        "rows": lambda dy, indices, rows: [dy[np.asarray(indices) == r].sum(0) for r in range(rows)],
    },
    "BLOCK": {"einsum": block, "lists": block_in_lists},
    "SKIPS": {"pop": with_pop, "indices": with_indices, "recursive": recursive},
}
WRONG = {
    "UPSAMPLE": {
        "four pixels only": lambda dy, f: by_strides(dy, f) if f == 2 else dy[:, ::f, ::f],
        "largest": lambda dy, f: dy.reshape(len(dy), dy.shape[1] // f, f, dy.shape[2] // f, f, -1).max(axis=(2, 4)),
        "over the batch": lambda dy, f: by_strides(dy, f).sum(0, keepdims=True) + 0 * by_strides(dy, f),
        "diagonal": lambda dy, f: sum(dy[:, i::f, i::f] for i in range(f)),
        "last pixel twice": lambda dy, f: by_strides(dy, f) + dy[:, f - 1 :: f, f - 1 :: f],
    },
    "EMBEDDING": {
        "set, not added": lambda dy, indices, rows: at_once(dy, indices, rows),
        "too few rows": lambda dy, indices, rows: with_add_at(dy, indices, rows)[: np.max(indices) + 1],
        "transposed": lambda dy, indices, rows: with_add_at(dy, indices, rows).T,
        "distinct indices only": lambda dy, indices, rows: (
            at_once(dy, indices, rows) * (np.bincount(np.ravel(indices), minlength=rows) == 1)[:, None]
        ),
        "twice": lambda dy, indices, rows: 2 * with_add_at(dy, indices, rows) - at_once(dy, indices, rows),
    },
    "BLOCK": {
        "dx twice": lambda dy, f, g: (2 * dy + g(f(dy)), f(dy).sum((1, 2))),
        "no g": lambda dy, f, g: (dy + f(dy), f(dy).sum((1, 2))),
        "subtracted": lambda dy, f, g: (dy - g(f(dy)), f(dy).sum((1, 2))),
        "emb over channels": lambda dy, f, g: (dy + g(f(dy)), f(dy).sum((1, 3))),
        "dy added inside": lambda dy, f, g: (g(f(dy) + dy) + dy, f(dy).sum((1, 2))),
        "emb keeps its axes": lambda dy, f, g: (dy + g(f(dy)), f(dy).sum((1, 2), keepdims=True)),
        "one pixel": lambda dy, f, g: (dy + g(f(dy)), f(dy)[:, 0, 0]),
    },
    "SKIPS": {
        "lowest skip forgotten": lambda *args: recursive(*args, forgetful=True),
        "skip added twice": lambda *args: recursive(*args, last_too=True),
        "no middle": lambda dy, down, middle, up: with_pop(dy, down, lambda d: d, up),
        "middle first": lambda dy, down, middle, up: with_pop(middle(dy), down, lambda d: d, up),
        "one block less": lambda dy, down, middle, up: with_pop(dy, down[1:], middle, up[1:]),
    },
}
