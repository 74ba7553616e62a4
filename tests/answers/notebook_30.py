"""Answers to the exercises of notebook 30."""

import numpy as np

from tinydiff.evaluate import fit_block_pca
from tinydiff.functional import (
    kl_to_standard_normal,
    kl_to_standard_normal_backward,
    reparameterise,
    reparameterise_backward,
)


def library_pca(blocks, k):
    pictures = blocks.reshape(len(blocks), 1, 1, -1)
    return fit_block_pca([pictures[:7], pictures[7:]], 1, k).reconstruct(pictures).reshape(blocks.shape)


def library_sample(dz, mean, log_variance, eps):
    z, cache = reparameterise(mean, log_variance, eps)
    d_mean, d_log_variance, _ = reparameterise_backward(dz, cache)
    return z, d_mean, d_log_variance


def library_kl(mean, log_variance):
    loss, cache = kl_to_standard_normal(mean, log_variance)
    return loss, *kl_to_standard_normal_backward(1.0, cache)


def pca_svd(blocks, k):
    mean = blocks.mean(0)
    u, s, v = np.linalg.svd(blocks - mean, full_matrices=False)
    return (u[:, :k] * s[:k]) @ v[:k] + mean


def pca_one_by_one(blocks, k):
    """Add one direction after the other, from np.cov, whose division by n - 1 changes no direction."""
    values, directions = np.linalg.eig(np.cov(blocks.T))
    mean = blocks.mean(axis=0)
    found = np.tile(mean, (len(blocks), 1))
    for i in np.argsort(-values.real)[:k]:
        v = directions[:, i].real
        found += np.outer((blocks - mean) @ v, v)
    return found


def pca_of_rows(blocks, k):
    """As if each block were a number, and each of its numbers a sample."""
    return pca_svd(blocks.T, k).T


def pca_one_more(blocks, k):
    return pca_svd(blocks, k + 1)


def pca_standardised(blocks, k):
    std = blocks.std(0)
    return pca_svd(blocks / std, k) * std


def pca_error(blocks, k):
    return blocks - pca_svd(blocks, k)


def sample_loops(dz, mean, log_variance, eps):
    z, d_mean, d_log_variance = np.zeros((3, *mean.shape))
    for i in np.ndindex(mean.shape):
        sigma = np.exp(log_variance[i]) ** 0.5
        z[i] = mean[i] + sigma * eps[i]
        d_mean[i] = dz[i]
        d_log_variance[i] = dz[i] * (z[i] - mean[i]) / 2
    return z, d_mean, d_log_variance


def sample_chain(dz, mean, log_variance, eps):
    """Through the variance, step by step, in float32."""
    dz, mean, log_variance, eps = (a.astype(np.float32) for a in (dz, mean, log_variance, eps))
    variance = np.exp(log_variance)
    sigma = np.sqrt(variance)
    d_variance = dz * eps / (2 * sigma)
    return mean + sigma * eps, dz.copy(), d_variance * variance


def sample_wrong(change):
    def wrong(dz, mean, log_variance, eps):
        return change(*sample_loops(dz, mean, log_variance, eps), dz, mean, log_variance, eps)

    return wrong


def kl_loops(mean, log_variance):
    n, loss = mean.size, 0.0
    d_mean, d_log_variance = np.zeros((2, *mean.shape))
    for i in np.ndindex(mean.shape):
        sigma = np.exp(log_variance[i] / 2)
        loss += ((mean[i] ** 2 + sigma**2 - 1) / 2 - np.log(sigma)) / n
        d_mean[i], d_log_variance[i] = mean[i] / n, (sigma**2 - 1) / (2 * n)
    return loss, d_mean, d_log_variance


def kl_slopes(mean, log_variance, h=1e-4):
    """Gradients by central differences."""

    def loss(m, v):
        return 0.5 * (m * m + np.expm1(v) - v).mean()

    found = np.zeros((2, *mean.shape))
    for i in np.ndindex(mean.shape):
        step = np.zeros(mean.shape)
        step[i] = h
        found[0][i] = (loss(mean + step, log_variance) - loss(mean - step, log_variance)) / (2 * h)
        found[1][i] = (loss(mean, log_variance + step) - loss(mean, log_variance - step)) / (2 * h)
    return loss(mean, log_variance), *found


def kl_wrong(change):
    def wrong(mean, log_variance):
        return change(*kl_loops(mean, log_variance), mean, log_variance)

    return wrong


def kl_reversed(mean, log_variance):
    """KL(p || q), the other way round."""
    variance, n = np.exp(log_variance), mean.size
    loss = 0.5 * ((1 + mean**2) / variance - 1 + log_variance).mean()
    return loss, mean / variance / n, (1 - (1 + mean**2) / variance) / (2 * n)


def scale_sums(batches):
    count, total, squares = 0, 0.0, 0.0
    for z in batches:
        count += z[..., 0].size
        total = total + z.sum(axis=(0, 1, 2))
        squares = squares + (z.astype(np.float64) ** 2).sum(axis=(0, 1, 2))
    mean = total / count
    return mean, np.sqrt(squares / count - mean**2)


def scale_two_passes(batches):
    sizes = np.array([z[..., 0].size for z in batches])
    share = sizes / sizes.sum()
    mean = sum(s * z.mean(axis=(0, 1, 2)) for s, z in zip(share, batches, strict=True))
    variance = sum(s * ((z - mean) ** 2).mean(axis=(0, 1, 2)) for s, z in zip(share, batches, strict=True))
    return mean, variance**0.5


def scale_within(batches):
    """The mean is right, but the spread is only that within the batches."""
    mean, _ = scale_sums(batches)
    return mean, np.mean([z.std(axis=(0, 1, 2)) for z in batches], axis=0)


def scale_of_variances(batches):
    mean, _ = scale_sums(batches)
    return mean, np.mean([z.var(axis=(0, 1, 2)) for z in batches], axis=0) ** 0.5


def scale_of_largest(batches):
    mean, _ = scale_sums(batches)
    return mean, np.max([abs(z - mean).max(axis=(0, 1, 2)) for z in batches], axis=0)


def scale_last(batches):
    return scale_sums(batches[-1:])


def numbers_cumulative(eigenvalues, decibels):
    values = np.sort(eigenvalues)[::-1]
    error = np.append(np.cumsum(values[::-1])[::-1], 0.0) / len(values)
    with np.errstate(divide="ignore"):
        return int(np.argmax(10 * np.log10(4 / error) >= decibels))


def numbers_count(eigenvalues, decibels):
    """Drop the smallest ones, as many as may be dropped."""
    allowed, dropped = 4 * 10 ** (-decibels / 10) * len(eigenvalues), 0
    for value in sorted(eigenvalues):
        allowed -= value
        if allowed < 0:
            break
        dropped += 1
    return len(eigenvalues) - dropped


def numbers_unsorted(eigenvalues, decibels):
    for k in range(len(eigenvalues) + 1):
        if eigenvalues[k:].mean() <= 4 / 10 ** (decibels / 10) if k < len(eigenvalues) else True:
            return k
    return len(eigenvalues)


def numbers_bytes(eigenvalues, decibels):
    values = np.sort(eigenvalues)[::-1]
    return next(k for k in range(len(values) + 1) if values[k:].sum() / len(values) <= 255**2 / 10 ** (decibels / 10))


def numbers_share(eigenvalues, decibels):
    """So many decibels below the variance of the blocks, and not below the largest square."""
    values = np.sort(eigenvalues)[::-1]
    least = values.sum() / 10 ** (decibels / 10)
    return next(k for k in range(len(values) + 1) if values[k:].sum() <= least)


LIBRARY = {
    "PCA": library_pca,
    "SAMPLE": library_sample,
    "KL": library_kl,
    "SCALE": "The library measures an encoder's latents, measure_latents, and has no function of latents alone.",
    "NUMBERS": "The library fits a given number of components and never asks how many are enough.",
}
RIGHT = {
    "PCA": {"singular values": pca_svd, "one by one": pca_one_by_one},
    "SAMPLE": {"loops": sample_loops, "through the variance, float32": sample_chain},
    "KL": {"loops": kl_loops, "central differences": kl_slopes},
    "SCALE": {"sums": scale_sums, "two passes": scale_two_passes},
    "NUMBERS": {"cumulative sums": numbers_cumulative, "dropped one by one": numbers_count},
}
WRONG = {
    "PCA": {
        "rows for columns": pca_of_rows,
        "one more": pca_one_more,
        "pixels standardised": pca_standardised,
        "the error": pca_error,
    },
    "SAMPLE": {
        "nothing random": sample_wrong(lambda z, dm, dl, dz, mean, *args: (mean, dm, dl)),
        "gradient of sigma": sample_wrong(lambda z, dm, dl, dz, mean, lv, eps: (z, dm, dz * eps)),
        "gradient of the variance": sample_wrong(lambda z, dm, dl, dz, mean, lv, eps: (z, dm, dl / np.exp(lv))),
        "gradients exchanged": sample_wrong(lambda z, dm, dl, *args: (z, dl, dm)),
        "eps of its own": sample_wrong(lambda z, dm, dl, dz, mean, lv, eps: (mean + np.exp(lv / 2) * dz, dm, dl)),
    },
    "KL": {
        "the other way round": kl_reversed,
        "in bits": kl_wrong(lambda loss, dm, dl, *args: (loss / np.log(2), dm, dl)),
        "log variance for variance": kl_wrong(
            lambda loss, dm, dl, m, lv: (0.5 * (m**2 + lv - 1 - np.log(abs(lv))).mean(), dm, dl)
        ),
        "d_mean of the square": kl_wrong(lambda loss, dm, dl, *args: (loss, 2 * dm, dl)),
        "d_log_variance of the variance": kl_wrong(lambda loss, dm, dl, m, lv: (loss, dm, dl / np.exp(lv))),
        "a sum for each sample": kl_wrong(
            lambda loss, dm, dl, m, lv: (loss * m[0].size, dm * m[0].size, dl * m[0].size)
        ),
    },
    "SCALE": {
        "spread within batches": scale_within,
        "variances averaged": scale_of_variances,
        "largest differences": scale_of_largest,
        "the last batch": scale_last,
    },
    "NUMBERS": {
        "not sorted": numbers_unsorted,
        "bytes": numbers_bytes,
        "share of the variance": numbers_share,
    },
}
