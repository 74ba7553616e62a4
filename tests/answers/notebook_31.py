"""Answers to the exercises of notebook 31."""

import math
from collections import Counter

import numpy as np

from tinydiff import functional as F


def through_of_library(d_z_q, z, codebook, indices, beta):
    _, cache = F.vector_quantise(z, codebook)
    dz, _ = F.vector_quantise_backward(d_z_q, cache._replace(indices=indices))
    d_commit, _ = F.commitment_loss_backward(beta, F.commitment_loss(z, codebook[indices])[1])
    d_codebook, _, _ = F.codebook_loss_backward(1.0, F.codebook_loss(codebook, z, indices)[1])
    return dz + d_commit, d_codebook


def average_of_library(z, indices, sizes, sums, decay, smoothing):
    codebook = np.zeros(sums.shape)
    return F.average_codebook(
        codebook, sizes, sums, *F.codebook_sums(z, indices, len(sizes)), decay=decay, smoothing=smoothing
    )


def perplexity_of_library(indices, codes):
    return F.codebook_usage(np.bincount(indices.reshape(-1), minlength=codes))[1]


def restart_of_library(batches, codebook):
    sizes, sums, k = np.zeros(len(codebook)), np.zeros(codebook.shape), len(codebook)
    for z in batches:
        of_batch = F.codebook_sums(z, F.nearest_code(z, codebook), k)
        codebook, sizes, sums = F.average_codebook(codebook, sizes, sums, *of_batch, decay=0.9)
        codebook, sizes, sums = F.restart_codes(codebook, sizes, sums, z[:k].copy(), 1.0)
    return codebook


def nearest_loops(z, codebook):
    return [min(range(len(codebook)), key=lambda k: math.dist(vector, codebook[k])) for vector in z]


def nearest_products(z, codebook):
    z, e = z.astype(np.float32), codebook.astype(np.float32)
    return np.argmax(z @ e.T - 0.5 * np.einsum("kc,kc->k", e, e), axis=1).astype(np.int32)


def through_one_hot(d_z_q, z, codebook, indices, beta):
    one_hot = np.eye(len(codebook))[indices]
    pull = 2 * (z - one_hot @ codebook) / (len(z) * z.shape[1])
    return d_z_q + beta * pull, -one_hot.T @ pull


def through_loops(d_z_q, z, codebook, indices, beta):
    dz, d_codebook = d_z_q.astype(np.float32), np.zeros(codebook.shape, np.float32)
    for n, k in enumerate(indices):
        dz[n] += beta * 2 * (z[n] - codebook[k]) / z.size
        d_codebook[k] += 2 * (codebook[k] - z[n]) / z.size
    return dz, d_codebook


def through_wrong(change):
    return lambda *args: change(*through_one_hot(*args), *args)


def average_loops(z, indices, sizes, sums, decay, smoothing):
    new_sizes, new_sums = sizes.copy(), sums.copy()
    for k in range(len(sizes)):
        own = z[indices == k]
        new_sizes[k] = decay * sizes[k] + (1 - decay) * len(own)
        new_sums[k] = decay * sums[k] + (1 - decay) * own.sum(axis=0)
    n = new_sizes.sum()
    smooth = [(size + smoothing) / (n + len(sizes) * smoothing) * n for size in new_sizes]
    return new_sums / np.reshape(smooth, (-1, 1)), new_sizes, new_sums


def average_differences(z, indices, sizes, sums, decay, smoothing):
    one_hot = np.eye(len(sizes), dtype=np.float32)[indices]
    sizes = sizes + (1 - decay) * (one_hot.sum(0) - sizes)
    sums = sums + (1 - decay) * (one_hot.T @ z - sums)
    n = sizes.sum()
    return sums * ((n + len(sizes) * smoothing) / (n * (sizes + smoothing)))[:, None], sizes, sums


def average_wrong(change):
    return lambda *args: change(*average_loops(*args), *args)


def perplexity_counter(indices, codes):
    counts = Counter(indices.reshape(-1).tolist())
    total = sum(counts.values())
    return math.exp(-sum(n / total * math.log(n / total) for n in counts.values()))


def perplexity_bits(indices, codes):
    p = np.bincount(indices.ravel(), minlength=codes).astype(np.float32) / indices.size
    p = np.where(p > 0, p, 1)
    return np.float32(2) ** -(p * np.log2(p)).sum()


def perplexity_unguarded(indices, codes):
    with np.errstate(divide="ignore", invalid="ignore"):
        p = np.bincount(indices.ravel(), minlength=codes) / indices.size
        return np.exp(-(p * np.log(p)).sum())


def levels_loops(z, levels):
    z_q = np.zeros(z.shape)
    for c, n in enumerate(levels):
        half, offset = (n - 1) * 0.999 / 2, 0.5 if n % 2 == 0 else 0.0
        z_q[..., c] = np.round(half * np.tanh(z[..., c] + math.atanh(offset / half)) - offset) / (n // 2)
    return z_q


def levels_float32(z, levels):
    n = np.array(levels, np.float32)
    half, offset = (n - 1) * np.float32(0.4995), np.float32(0.5) * (1 - n % 2)
    return np.floor(half * np.tanh(z.astype(np.float32) + np.arctanh(offset / half)) - offset + 0.5) / (n // 2)


def levels_of(change):
    return lambda z, levels: change(levels_loops(z, levels), z, np.array(levels))


def restart_random(batches, codebook):
    """Codes begin anew at random vectors, where their average count is below 0.5."""
    rng, k = np.random.default_rng(5), len(codebook)
    sizes, sums = np.zeros(k), np.zeros(codebook.shape)
    for z in batches:
        indices = ((z[:, None] - codebook) ** 2).sum(axis=2).argmin(axis=1)
        one_hot = np.eye(k)[indices]
        sizes, sums = 0.8 * sizes + 0.2 * one_hot.sum(0), 0.8 * sums + 0.2 * one_hot.T @ z
        for i in np.flatnonzero(sizes < 0.5):
            sums[i], sizes[i] = z[rng.integers(len(z))], 1.0
        codebook = sums / sizes[:, None]
    return codebook


def restart_farthest(batches, codebook):
    """Each batch, the code that is used least begins anew at the vector that is farthest from all codes."""
    codebook = codebook.astype(np.float32)
    sizes = np.ones(len(codebook))
    for z in batches:
        distance = ((z[:, None] - codebook) ** 2).sum(axis=2)
        indices = distance.argmin(axis=1)
        for i in range(len(codebook)):
            if (indices == i).any():
                codebook[i] += 0.5 * (z[indices == i].mean(axis=0) - codebook[i])
        sizes = 0.9 * sizes + 0.1 * np.bincount(indices, minlength=len(codebook))
        if distance.min(axis=1).max() > 0.05:
            codebook[sizes.argmin()] = z[distance.min(axis=1).argmax()]
            sizes[sizes.argmin()] = 4.0
    return codebook


def restart_of_first(batches, codebook):
    """All unused codes begin at one and the same vector of the batch."""
    sizes, k = np.zeros(len(codebook)), len(codebook)
    codebook = codebook.copy()
    for z in batches:
        indices = F.nearest_code(z, codebook)
        sizes = 0.9 * sizes + 0.1 * np.bincount(indices, minlength=k)
        codebook[sizes < 1] = z[0]
    return np.tile(codebook.mean(axis=0), (k, 1))


LIBRARY = {
    "NEAREST": F.nearest_code,
    "THROUGH": through_of_library,
    "AVERAGE": average_of_library,
    "PERPLEXITY": perplexity_of_library,
    "LEVELS": lambda z, levels: F.finite_scalar_quantise(z, levels)[0],
    "RESTART": restart_of_library,
}
RIGHT = {
    "NEAREST": {"loops": nearest_loops, "products in float32": nearest_products},
    "THROUGH": {"one-hot": through_one_hot, "loops in float32": through_loops},
    "AVERAGE": {"loops": average_loops, "differences": average_differences},
    "PERPLEXITY": {"a counter": perplexity_counter, "bits in float32": perplexity_bits},
    "LEVELS": {"loops": levels_loops, "float32 and floor": levels_float32},
    "RESTART": {"random vectors": restart_random, "the farthest vector": restart_farthest},
}
WRONG = {
    "NEAREST": {
        "largest inner product": lambda z, e: (z @ e.T).argmax(axis=1),
        "largest cosine": lambda z, e: (z @ (e / np.linalg.norm(e, axis=1, keepdims=True)).T).argmax(axis=1),
        "counted from 1": lambda z, e: F.nearest_code(z, e) + 1,
        "distances themselves": lambda z, e: ((z[:, None] - e) ** 2).sum(axis=2).min(axis=1),
        "nearest vector of each code": lambda z, e: F.nearest_code(e, z),
        "largest difference": lambda z, e: abs(z[:, None] - e).max(axis=2).argmin(axis=1),
    },
    "THROUGH": {
        "only the decoder": lambda d, z, e, i, beta: (d, 0 * e),
        "codes go away": through_wrong(lambda dz, de, *args: (dz, -de)),
        "codes weighed by beta": through_wrong(lambda dz, de, d, z, e, i, beta: (dz, beta * de)),
        "mean of a code's vectors": through_wrong(
            lambda dz, de, d, z, e, i, beta: (dz, de / np.maximum(np.bincount(i, minlength=len(e)), 1)[:, None])
        ),
        "beta for the decoder": through_wrong(lambda dz, de, d, z, e, i, beta: (dz + (beta - 1) * d, de)),
    },
    "AVERAGE": {
        "a step of its own": average_wrong(lambda e, n, m, z, i, sizes, sums, *args: (e, n, m - sums)),
        "sizes smoothed for good": average_wrong(lambda e, n, m, z, i, s, t, g, eps: (e, n + eps, m)),
        "epsilon without K": average_wrong(
            lambda e, n, m, z, i, s, t, g, eps: (m / ((n + eps) * n.sum() / (n.sum() + eps))[:, None], n, m)
        ),
        "this batch alone": lambda z, i, s, t, g, eps: average_loops(z, i, s, t, 0.0, eps),
        "sizes of uses": average_wrong(lambda e, n, m, *args: (e, (n > 0) + 0.0, m)),
    },
    "PERPLEXITY": {
        "NaN": perplexity_unguarded,
        "inverse of the sum of squares": lambda i, k: 1 / ((np.bincount(i.ravel(), minlength=k) / i.size) ** 2).sum(),
        "entropy as a share": lambda i, k: np.log(perplexity_counter(i, k)) / np.log(k),
        "minus forgotten": lambda i, k: 1 / perplexity_counter(i, k),
        "of all codes, smoothed": lambda i, k: perplexity_counter(np.append(i.ravel(), np.arange(k)), k),
    },
    "LEVELS": {
        "cut off": levels_of(lambda y, z, n: np.rint(np.clip(z, -1, 1) * (n // 2)) / (n // 2)),
        "not divided": levels_of(lambda y, z, n: y * (n // 2)),
        "not rounded": levels_of(lambda y, z, n: np.tanh(z)),
        "the other side": levels_of(lambda y, z, n: -levels_loops(-z, n)),
        "one level for all": levels_of(lambda y, z, n: levels_loops(z, [n[0]] * len(n))),
    },
    "RESTART": {
        "as it began": lambda batches, codebook: codebook.copy(),
        "the first batch": lambda batches, codebook: batches[0][: len(codebook) // 2].copy(),
        "one vector for all": restart_of_first,
        "mean of the stream": lambda batches, codebook: 0 * codebook + batches.mean(axis=(0, 1)),
    },
}
