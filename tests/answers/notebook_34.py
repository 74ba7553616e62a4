"""Answers to the exercises of notebook 34."""

import numpy as np

from tinydiff import functional as F


def patches_of_library(x, p):
    y, _ = F.space_to_depth(x, p)
    return y.reshape(len(x), -1, y.shape[-1])


def unpatch_of_library(tokens, p, height, width):
    return F.depth_to_space(tokens.reshape(len(tokens), height // p, width // p, -1), p)[0]


def modulate_of_library(dy, x, scale):
    return F.modulate_backward(dy, F.modulate(x, 0 * scale, scale)[1])


def branch_of_library(x, emb, weight, bias, f):
    shift, scale, gate = np.split(F.linear(emb, weight, bias)[0], 3, axis=-1)
    h, _ = F.layer_norm(x, np.ones(x.shape[-1]), np.zeros(x.shape[-1]), 1e-6)
    return x + F.gate(f(F.modulate(h, shift, scale)[0]), gate)[0]


def patches_loops(x, p):
    n, height, width, _ = x.shape
    return [
        [one[h : h + p, w : w + p].ravel() for h in range(0, height, p) for w in range(0, width, p)] for one in x[:n]
    ]


def patches_slices(x, p):
    x = x.astype(np.float32)
    parts = np.concatenate([x[:, i::p, j::p] for i in range(p) for j in range(p)], axis=-1)
    return parts.reshape(len(x), -1, parts.shape[-1])


def unpatch_loops(tokens, p, height, width):
    x = np.zeros((len(tokens), height, width, tokens.shape[-1] // p**2))
    for k in range(tokens.shape[1]):
        h, w = k // (width // p) * p, k % (width // p) * p
        x[:, h : h + p, w : w + p] = tokens[:, k].reshape(len(tokens), p, p, -1)
    return x


def unpatch_slices(tokens, p, height, width):
    maps = tokens.astype(np.float32).reshape(len(tokens), height // p, width // p, p, p, -1)
    x = np.zeros((len(tokens), height, width, maps.shape[-1]), np.float32)
    for i in range(p):
        for j in range(p):
            x[:, i::p, j::p] = maps[:, :, :, i, j]
    return x


def cost_of_layers(tokens, channels, layers):
    sizes = [(channels, channels)] * 4 + [(channels, 4 * channels), (4 * channels, channels)]
    of_linear = sum(2 * a * b * tokens for a, b in sizes)
    return sum(of_linear + 2 * 2 * tokens * tokens * channels + 2 * channels * 6 * channels for _ in range(layers))


def cost_factored(tokens, channels, layers):
    return np.float32(4 * layers * channels * (tokens * (6 * channels + tokens) + 3 * channels))


def cost_of(change):
    return lambda tokens, channels, layers: change(cost_of_layers(tokens, channels, layers), tokens, channels, layers)


def grid_loops(height, width, channels):
    n = channels // 4
    omega = [10_000 ** (-i / n) for i in range(n)]
    return [
        [f(place * o) for place in (w, h) for f in (np.sin, np.cos) for o in omega]
        for h in range(height)
        for w in range(width)
    ]


def grid_complex(height, width, channels):
    n = channels // 4
    omega = np.exp(-np.log(1e4) * np.arange(n) / n)
    w, h = (np.exp(1j * np.arange(side)[:, None] * omega) for side in (width, height))
    w, h = np.tile(w, (height, 1)), np.repeat(h, width, axis=0)
    return np.hstack([w.imag, w.real, h.imag, h.real]).astype(np.float32)


def grid_of(change):
    return lambda height, width, channels: change(np.array(grid_loops(height, width, channels)))


def places_one_hot(height, width, channels):
    embedding = np.zeros((height * width, channels))
    for k in range(height * width):
        embedding[k, k % width] = embedding[k, width + k // width] = 1
    return embedding


def places_thermometer(height, width, channels):
    half = channels // 2
    rows, columns = np.divmod(np.arange(height * width), width)
    marks = np.arange(half)
    return np.concatenate([columns[:, None] > marks, rows[:, None] > marks], axis=1).astype(np.float32)


def modulate_einsum(dy, x, scale):
    dx = dy + np.einsum("nic,nc->nic", dy, scale)
    return dx, np.einsum("nic->nc", dy), np.einsum("nic,nic->nc", dy, x)


def modulate_loops(dy, x, scale):
    dx, d_shift, d_scale = np.zeros(dy.shape, np.float32), np.zeros(scale.shape), np.zeros(scale.shape)
    for n, i, c in np.ndindex(dy.shape):
        dx[n, i, c] = dy[n, i, c] * (1 + scale[n, c])
        d_shift[n, c] += dy[n, i, c]
        d_scale[n, c] += dy[n, i, c] * x[n, i, c]
    return dx, d_shift, d_scale


def modulate_wrong(change):
    return lambda dy, x, scale: change(*modulate_einsum(dy, x, scale), dy, x, scale)


def branch_pictures(x, emb, weight, bias, f):
    c, shifted, gates = x.shape[-1], [], []
    for one, vector in zip(x, emb, strict=True):
        vectors = vector @ weight + bias
        centred = one - one.mean(axis=1, keepdims=True)
        one_hat = centred / (np.mean(centred**2, axis=1, keepdims=True) + 1e-6) ** 0.5
        shifted.append(one_hat + one_hat * vectors[c : 2 * c] + vectors[:c])
        gates.append(vectors[2 * c :])
    return x + f(np.array(shifted)) * np.array(gates)[:, None]


def branch_reshaped(x, emb, weight, bias, f):
    n, _, c = x.shape
    vectors = (emb @ weight + bias).reshape(n, 3, 1, c)
    x_hat = (x - x.mean(axis=2, keepdims=True)) * (x.var(axis=2, keepdims=True) + 1e-6) ** -0.5
    return (x + vectors[:, 2] * f(vectors[:, 0] + x_hat * (1 + vectors[:, 1]))).astype(np.float32)


LIBRARY = {
    "PATCHES": patches_of_library,
    "UNPATCH": unpatch_of_library,
    "COST": "The library counts the layers of a network that is there, and has no formula for one that is not.",
    "GRID": F.grid_embedding,
    "PLACES": F.grid_embedding,
    "MODULATE": modulate_of_library,
    "BRANCH": branch_of_library,
}
RIGHT = {
    "PATCHES": {"loops": patches_loops, "slices in float32": patches_slices},
    "UNPATCH": {"loops": unpatch_loops, "slices in float32": unpatch_slices},
    "COST": {"layer by layer": cost_of_layers, "one product": cost_factored},
    "GRID": {"loops": grid_loops, "complex numbers": grid_complex},
    "PLACES": {"ones for row and column": places_one_hot, "as many ones as steps": places_thermometer},
    "MODULATE": {"einsum": modulate_einsum, "loops": modulate_loops},
    "BRANCH": {"picture by picture": branch_pictures, "reshaped": branch_reshaped},
}
WRONG = {
    "PATCHES": {
        "of the picture, mirrored": lambda x, p: patches_slices(x[:, :, ::-1], p),
        "from the last": lambda x, p: patches_slices(x, p)[:, ::-1],
        "a map": lambda x, p: F.space_to_depth(x, p)[0],
        "averages": lambda x, p: np.tile(F.avg_pool(x, p)[0], p * p).reshape(len(x), -1, p * p * x.shape[-1]),
        "pixels from the last": lambda x, p: patches_slices(x[:, ::-1, ::-1], p)[:, ::-1],
    },
    "UNPATCH": {
        "mirrored": lambda t, p, h, w: unpatch_loops(t, p, h, w)[:, :, ::-1],
        "patches from the last": lambda t, p, h, w: unpatch_loops(t[:, ::-1], p, h, w),
        "sides exchanged": lambda t, p, h, w: unpatch_loops(t, p, w, h).swapaxes(1, 2),
        "pixels from the last": lambda t, p, h, w: unpatch_loops(
            t.reshape(*t.shape[:2], p * p, -1)[:, :, ::-1].reshape(t.shape), p, h, w
        ),
    },
    "COST": {
        "one layer": lambda tokens, channels, layers: cost_of_layers(tokens, channels, 1),
        "with the backward": cost_of(lambda cost, *sizes: 3 * cost),
        "no attention": cost_of(lambda cost, t, c, n: cost - 4 * n * t * t * c),
        "square of the channels in attention": cost_of(lambda cost, t, c, n: cost + 4 * n * t * (c * c - t * c)),
        "a norm, too": cost_of(lambda cost, t, c, n: cost + n * t * c * 10),
    },
    "GRID": {
        "of the transposed grid": lambda h, w, c: np.array(grid_loops(w, h, c)),
        "negative sines": grid_of(lambda e: np.where(np.arange(e.shape[1]) // (e.shape[1] // 4) % 2, e, -e)),
        "halved": grid_of(lambda e: e / 2),
        "slow frequencies first": grid_of(
            lambda e: e.reshape(len(e), 4, -1)[:, :, ::-1].reshape(e.shape),
        ),
    },
    "PLACES": {
        "zeros": lambda h, w, c: np.zeros((h * w, c)),
        "the number of the place": lambda h, w, c: np.arange(h * w)[:, None] / (h * w) * np.ones(c),
        "one clock for all": lambda h, w, c: np.array(grid_loops(h, w, c)) * (np.arange(c) < c // 2),
        "twice as large": grid_of(lambda e: 2 * e),
        "too small": grid_of(lambda e: e / 4),
        "a table that was shuffled": grid_of(lambda e: np.random.default_rng(3).permutation(e)),
    },
    "MODULATE": {
        "a norm's": modulate_wrong(lambda dx, d_b, d_s, *given: (dx - dx.mean(axis=-1, keepdims=True), d_b, d_s)),
        "exchanged": modulate_wrong(lambda dx, d_b, d_s, *given: (dx, d_s, d_b)),
        "the other sign": modulate_wrong(lambda dx, d_b, d_s, *given: (dx, d_b, -d_s)),
        "dx unchanged": modulate_wrong(lambda dx, d_b, d_s, dy, x, scale: (dy, d_b, d_s)),
        "for each token": modulate_wrong(lambda dx, d_b, d_s, dy, x, scale: (dx, dy, dy * x)),
        "of the last token": modulate_wrong(lambda dx, d_b, d_s, dy, x, scale: (dx, dy[:, -1], (dy * x)[:, -1])),
        "of y": modulate_wrong(lambda dx, d_b, d_s, dy, x, scale: (dx, d_b, (dy * x * (1 + scale[:, None])).sum(1))),
    },
    "BRANCH": {
        "shut": lambda x, emb, weight, bias, f: x,
        "no bias": lambda x, emb, weight, bias, f: branch_pictures(x, emb, weight, 0 * bias, f),
        "the branch taken off": lambda *given: 2 * given[0] - branch_pictures(*given),
        "f of the sum": lambda x, emb, weight, bias, f: f(branch_pictures(x, emb, weight, bias, f)),
        "1 + gate": lambda x, emb, weight, bias, f: branch_pictures(
            x, emb, weight, bias + (np.arange(len(bias)) >= 2 * x.shape[-1]), f
        ),
        "the norm over everything": lambda x, emb, weight, bias, f: branch_pictures(
            (x - x.mean()) / x.std(), emb, weight, bias, f
        ),
    },
}
