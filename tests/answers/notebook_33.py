"""Answers to the exercises of notebook 33."""

from itertools import pairwise
from types import SimpleNamespace

import numpy as np

from tinydiff import functional as F
from tinydiff.diffusion import GaussianDiffusion
from tinydiff.functional.resample import UpsampleBilinearCache
from tinydiff.models import Enlarger


def weights_of_library(side, factor):
    rows = [F.upsample_bilinear(one[None, None, :, None], factor)[0][0, 0, :, 0] for one in np.eye(side)]
    return np.stack(rows, axis=1)


def collect_of_library(dy, rows, columns):
    return F.upsample_bilinear_backward(dy, UpsampleBilinearCache(rows, columns))[0]


def example_of_library(x_0, t, s, alpha_bar, eps, eps_small):
    diffusion = GaussianDiffusion(alpha_bar)
    return diffusion.q_sample(x_0, t, eps), diffusion.q_sample(F.avg_pool(x_0, 2)[0], s, eps_small)


def beside_of_library(small, s, alpha_bar, eps, rows, columns):
    model = SimpleNamespace(diffusion=GaussianDiffusion(alpha_bar), factor=len(rows) // rows.shape[1])
    return Enlarger.beside(model, small, s, eps)


def weights_loops(side, factor):
    weights = np.zeros((side * factor, side))
    for h in range(side * factor):
        place = (2 * h + 1 - factor) / (2 * factor)
        below = int(np.floor(place))
        for i, weight in ((below, 1 - (place - below)), (below + 1, place - below)):
            weights[h, min(max(i, 0), side - 1)] += weight
    return weights


def weights_interp(side, factor):
    new = (np.arange(side * factor, dtype=np.float32) + 0.5) / factor
    old = np.arange(side, dtype=np.float32) + 0.5
    return np.stack([np.interp(new, old, one) for one in np.eye(side)], axis=1).astype(np.float32)


def weights_of(change):
    return lambda side, factor: change(weights_loops(side, factor))


def collect_products(dy, rows, columns):
    dy = np.moveaxis(dy, 3, 1).astype(np.float32)
    return np.moveaxis(rows.T @ dy @ columns, 1, 3)


def collect_loops(dy, rows, columns):
    n, height, width, c = dy.shape
    dx = np.zeros((n, rows.shape[1], columns.shape[1], c))
    for h, w in np.ndindex(height, width):
        for i in np.flatnonzero(rows[h]):
            for j in np.flatnonzero(columns[w]):
                dx[:, i, j] += rows[h, i] * columns[w, j] * dy[:, h, w]
    return dx


def other_rolled(large, factor):
    n, height, width, c = large.shape
    blocks = large.reshape(n, height // factor, factor, width // factor, factor, c)
    return np.roll(blocks, 1, axis=2).reshape(large.shape)


def other_rows(large, factor):
    other = np.empty(large.shape, np.float32)
    for i in range(factor):
        other[:, i::factor] = large[:, factor - 1 - i :: factor]
    return other


def example_loops(x_0, t, s, alpha_bar, eps, eps_small):
    x_t, small = np.empty(eps.shape), np.empty(eps_small.shape)
    for i in range(len(x_0)):
        a, b = alpha_bar[t[i]], alpha_bar[s[i]]
        x_t[i] = a**0.5 * x_0[i] + (1 - a) ** 0.5 * eps[i]
        average = sum(x_0[i, j::2, k::2] for j in (0, 1) for k in (0, 1)) / 4
        small[i] = b**0.5 * average + (1 - b) ** 0.5 * eps_small[i]
    return x_t, small


def example_float32(x_0, t, s, alpha_bar, eps, eps_small):
    x_0, eps, eps_small, alpha_bar = (a.astype(np.float32) for a in (x_0, eps, eps_small, alpha_bar))
    a, b = (alpha_bar[step][:, None, None, None] for step in (t, s))
    average = (x_0[:, ::2] + x_0[:, 1::2]) / 2
    average = (average[:, :, ::2] + average[:, :, 1::2]) / 2
    return np.sqrt(a) * x_0 + np.sqrt(1 - a) * eps, np.sqrt(b) * average + np.sqrt(1 - b) * eps_small


def example_of(change):
    def answer(x_0, t, s, alpha_bar, eps, eps_small):
        return change(*example_loops(x_0, t, s, alpha_bar, eps, eps_small))

    return answer


def beside_after(small, s, alpha_bar, eps, rows, columns):
    """Enlarge picture and noise by themselves; enlarging is linear."""
    level = alpha_bar[s][:, None, None, None]
    wide = [np.moveaxis(rows @ np.moveaxis(a, 3, 1) @ columns.T, 1, 3) for a in (small, eps)]
    return np.sqrt(level) * wide[0] + np.sqrt(1 - level) * wide[1]


def beside_float32(small, s, alpha_bar, eps, rows, columns):
    pictures = []
    for one, step, noise in zip(small, s, eps, strict=True):
        noised = np.sqrt(alpha_bar[step]) * one + np.sqrt(1 - alpha_bar[step]) * noise
        pictures.append(np.tensordot(rows, np.tensordot(columns, noised, (1, 1)), (1, 1)))
    return np.array(pictures, np.float32)


def surprise_coins(one, other):
    tosses = one.astype(int) - other.astype(int)
    return tosses.sum() / max(abs(tosses).sum(), 1) ** 0.5


def surprise_loops(one, other):
    first = second = 0
    for a, b in zip(one, other, strict=True):
        first += bool(a and not b)
        second += bool(b and not a)
    return np.float32((first - second) / (first + second) ** 0.5) if first + second else 0


def hand_over_while(step, times, x_T, level, T):
    x, k = x_T, 0
    while k == 0 or times[k] > level * T:
        x, k = step(x, times[k], times[k + 1]), k + 1
    return x, times[k] / T


def hand_over_counted(step, times, x_T, level, T):
    steps = next(k for k, t in enumerate(times) if t <= level * T)
    x = x_T.astype(np.float32)
    for t, s in list(pairwise(times))[:steps]:
        x = step(x, t, s)
    return x, times[steps] / T


LIBRARY = {
    "WEIGHTS": weights_of_library,
    "COLLECT": collect_of_library,
    "OTHER": "The library makes small pictures of large ones, and has no use for another one of the same small one.",
    "EXAMPLE": example_of_library,
    "BESIDE": beside_of_library,
    "SURPRISE": "The library measures shares, and has no comparison of two models on the same questions.",
    "HAND_OVER": "The library's loop hands states on to the next stage and has no function that returns one.",
}
RIGHT = {
    "WEIGHTS": {"loops": weights_loops, "NumPy's interpolation in float32": weights_interp},
    "COLLECT": {"matrix products in float32": collect_products, "loops": collect_loops},
    "OTHER": {"rows of each block rolled": other_rolled, "rows of each block mirrored": other_rows},
    "EXAMPLE": {"loops": example_loops, "float32": example_float32},
    "BESIDE": {"picture and noise apart": beside_after, "one by one in float32": beside_float32},
    "SURPRISE": {"coins": surprise_coins, "loops": surprise_loops},
    "HAND_OVER": {"while": hand_over_while, "steps counted first": hand_over_counted},
}
WRONG = {
    "WEIGHTS": {
        "mirrored": weights_of(lambda a: a[::-1]),
        "rows twice as heavy": weights_of(lambda a: 2 * a),
        "old pixels in another order": weights_of(lambda a: a[:, ::-1]),
        "columns that sum to 1": weights_of(lambda a: a / a.sum(axis=0)),
    },
    "COLLECT": {
        "the other sign": lambda dy, rows, columns: -collect_loops(dy, rows, columns),
        "mirrored": lambda dy, rows, columns: collect_loops(dy, rows, columns)[:, ::-1],
        "of the first picture": lambda dy, rows, columns: 0 * dy[:, :1, :1] + collect_loops(dy, rows, columns)[:1],
        "channels together": lambda dy, rows, columns: (
            collect_loops(dy, rows, columns).sum(-1, keepdims=True) * np.ones(dy.shape[-1])
        ),
    },
    "OTHER": {
        "negative": lambda large, factor: -large,
        "zeros": lambda large, factor: 0 * large,
        "reflected at the averages": lambda large, factor: (
            2 * np.kron(F.avg_pool(large, factor)[0], np.ones((1, factor, factor, 1))) - large
        ),
        "one block only": lambda large, factor: np.concatenate(
            [other_rolled(large, factor)[:, :factor], large[:, factor:]], axis=1
        ),
        "hardly moved": lambda large, factor: 0.9 * large + 0.1 * other_rolled(large, factor),
    },
    "EXAMPLE": {
        "exchanged signs": example_of(lambda x_t, small: (-x_t, small)),
        "small pictures of others": example_of(lambda x_t, small: (x_t, small[::-1])),
        "mirrored": example_of(lambda x_t, small: (x_t, small[:, :, ::-1])),
        "levels exchanged": lambda x_0, t, s, *more: example_loops(x_0, s, t, *more),
    },
    "BESIDE": {
        "not noised": lambda small, s, alpha_bar, eps, rows, columns: beside_after(
            small, 0 * s, alpha_bar, eps, rows, columns
        ),
        "noise alone": lambda small, *more: beside_after(0 * small, *more),
        "the noise taken off": lambda small, s, alpha_bar, eps, *more: beside_after(small, s, alpha_bar, -eps, *more),
        "mirrored": lambda *given: beside_after(*given)[:, ::-1],
    },
    "SURPRISE": {
        "the difference": lambda one, other: one.sum() - other.sum(),
        "of wrong ones": lambda one, other: surprise_coins(~one, ~other),
        "never below 0": lambda one, other: abs(surprise_coins(one, other)),
        "of the first half": lambda one, other: surprise_coins(one[::2], other[::2]),
    },
    "HAND_OVER": {
        "the noise it began with": lambda *given: (given[2], hand_over_while(*given)[1]),
        "1 less": lambda *given: (hand_over_while(*given)[0], 1 - hand_over_while(*given)[1]),
        "one step": lambda step, times, x_T, level, T: (step(x_T, times[0], times[1]), times[1] / T),
        "every other time": lambda step, times, x_T, level, T: hand_over_while(step, times[::2], x_T, level, T),
    },
}
