"""Vector quantisation: vectors become entries of a codebook, or numbers rounded to a few levels (FSQ).

Neither has a useful derivative: what is rounded does not change when its input changes a little. Both backwards are
*straight-through*: they hand the gradient on as if nothing had been rounded. That is no gradient of the function above
it, and no finite difference confirms it; it is what the papers train with.
"""

import math
from collections import namedtuple

import numpy as np

from tinydiff.base import Array, check_shape, check_shapes, checked, xp_of
from tinydiff.functional.loss import labels_to_one_hot
from tinydiff.functional.values import (
    check_average,
    check_code_indices,
    check_codes,
    check_counts_of_codes,
    check_d_loss,
    check_restart,
    check_scalar_indices,
    check_scalar_levels,
)

VectorQuantiseCache = namedtuple("VectorQuantiseCache", "indices")
CodebookLossCache = namedtuple("CodebookLossCache", "difference one_hot")
CommitmentLossCache = namedtuple("CommitmentLossCache", "difference")
FiniteScalarQuantiseCache = namedtuple("FiniteScalarQuantiseCache", "slope")

BELOW_LEVELS = 1e-3  # FSQ's outermost levels are this share beyond what tanh reaches, so that it is never quite there


@checked("z codebook")
def nearest_code(z: Array, codebook: Array) -> Array:
    """Return, for each vector, the index of the nearest row of the codebook (Eq. VQ-1); of equals, the lowest.

    The squared distance is |z|^2 - 2 <z, e> + |e|^2, and the first term is the same for all e. Far from the origin
    the other two are large, and their small differences would be lost in rounding: so both z and e are first counted
    from the mean of the codebook, which changes no distance.

    Parameters
    ----------
    z : array, shape (..., C)
    codebook : array, shape (K, C)

    Returns
    -------
    int64 array, shape (...)

    Source: van den Oord, Vinyals, Kavukcuoglu 2017 (arXiv 1711.00937), Eq. 1.
    """
    check_shapes("z: ... C, codebook: K C", z=z, codebook=codebook)
    centre = codebook.mean(axis=0)
    e = codebook - centre
    distance = (e * e).sum(axis=1) - 2 * ((z - centre).reshape(-1, e.shape[1]) @ e.T)  # less |z|^2
    return distance.argmin(axis=1).reshape(z.shape[:-1])


@checked("z codebook")
def vector_quantise(z: Array, codebook: Array) -> tuple[Array, VectorQuantiseCache]:
    """Replace each vector by the nearest row of the codebook (Eq. VQ-1).

    Parameters
    ----------
    z : array, shape (..., C)
        Such as what an encoder says of each position of a picture.
    codebook : array, shape (K, C)

    Returns
    -------
    z_q : array, shape of z
    cache : VectorQuantiseCache
        Its `indices`, shape (...), are the picture in another alphabet: one number from 0 to K - 1 for each vector.

    Source: van den Oord et al. 2017 (arXiv 1711.00937), Eq. 2.
    """
    indices = nearest_code.bare(z, codebook)
    return codebook[indices], VectorQuantiseCache(indices)


@checked("dy")
def vector_quantise_backward(dy: Array, cache: VectorQuantiseCache) -> tuple:
    """Return dz = dy, and None for the codebook: straight-through, which is not the gradient (Eq. VQ-ST).

    The gradient in z is 0, as z_q stays the same until another code is nearest, and an encoder would learn nothing from
    it. What is returned instead is the gradient of ``z + stop_gradient(z_q - z)``: the decoder says where z_q should
    go, and z is pushed there, in the hope that a code follows or is near. The nearer z is to its code, the truer that
    is, which is one reason for `commitment_loss`. The codebook learns by `codebook_loss` or `average_codebook`.
    """
    (indices,) = cache
    check_shape("dy", dy, (*indices.shape, None))
    return dy, None


@checked("codebook z", check_code_indices)
def codebook_loss(codebook: Array, z: Array, indices: Array) -> tuple[Array, CodebookLossCache]:
    """Return the mean of ``(stop_gradient(z) - e)^2``, which draws codes to the vectors they stand for (Eq. VQ-BOOK).

    It is the mean over all numbers; the paper's norm is C times as large. It has the same value as `commitment_loss`:
    they differ in what stands still. Here z does.

    Parameters
    ----------
    codebook : array, shape (K, C)
    z : array, shape (..., C)
    indices : integer array, shape (...)
        The nearest code of each vector; constants, too.

    Returns
    -------
    loss : 0-d array
    cache : CodebookLossCache

    Source: van den Oord et al. 2017 (arXiv 1711.00937), Eq. 3, second term.
    """
    check_shapes("codebook: K C, z: ... C, indices: ...", codebook=codebook, z=z, indices=indices)
    difference = codebook[indices] - z
    one_hot = labels_to_one_hot(indices, len(codebook), codebook.dtype)
    return (difference * difference).mean(), CodebookLossCache(difference, one_hot)


@checked(check=check_d_loss)
def codebook_loss_backward(d_loss: float | Array, cache: CodebookLossCache) -> tuple:
    """Return d_codebook, each row the sum of ``d_loss 2 (e - z) / size`` over its vectors; None for z, indices."""
    difference, one_hot = cache
    d_e = difference * (d_loss * (2 / difference.size))
    return one_hot.reshape(-1, one_hot.shape[-1]).T @ d_e.reshape(-1, d_e.shape[-1]), None, None


@checked("z z_q")
def commitment_loss(z: Array, z_q: Array) -> tuple[Array, CommitmentLossCache]:
    """Return the mean of ``(z - stop_gradient(z_q))^2``, which keeps vectors near their codes (Eq. VQ-COMMIT).

    Without it nothing bounds z: an encoder could grow faster than its codes can follow. It is the mean over all
    numbers; the paper's norm is C times as large.

    Parameters
    ----------
    z, z_q : arrays of one shape

    Returns
    -------
    loss : 0-d array
    cache : CommitmentLossCache

    Source: van den Oord et al. 2017 (arXiv 1711.00937), Eq. 3, third term, without beta (0.25 there).
    """
    check_shapes("z: ... C, z_q: ... C", z=z, z_q=z_q)
    difference = z - z_q
    return (difference * difference).mean(), CommitmentLossCache(difference)


@checked(check=check_d_loss)
def commitment_loss_backward(d_loss: float | Array, cache: CommitmentLossCache) -> tuple:
    """Return dz = d_loss 2 (z - z_q) / size, and None for z_q, which stands still (Eq. VQ-COMMIT)."""
    (difference,) = cache
    return difference * (d_loss * (2 / difference.size)), None


@checked("z", check_codes)
def codebook_sums(z: Array, indices: Array, codes: int) -> tuple[Array, Array]:
    """Return how many vectors each code stands for, and their sum: what a batch has to say to `average_codebook`.

    Both are sums over vectors, so that those of the shards of a batch add up to those of the batch.

    Parameters
    ----------
    z : array, shape (..., C)
    indices : integer array, shape (...)
    codes : int
        K, the number of codes.

    Returns
    -------
    counts : array, shape (K,)
    sums : array, shape (K, C)
    """
    check_shapes("z: ... C, indices: ...", z=z, indices=indices)
    one_hot = labels_to_one_hot(indices.reshape(-1), codes, z.dtype)
    return one_hot.sum(axis=0), one_hot.T @ z.reshape(-1, z.shape[-1])


@checked("codebook sizes sums counts batch_sums", check_average)
def average_codebook(
    codebook: Array,
    sizes: Array,
    sums: Array,
    counts: Array,
    batch_sums: Array,
    decay: float = 0.99,
    smoothing: float = 1e-5,
) -> tuple[Array, Array, Array]:
    """Return the codebook after one more batch, with its averages: each code is a mean of its vectors (Eq. VQ-EMA).

    It is k-means on a stream: instead of over all data, the mean is taken over the last ``1 / (1 - decay)`` batches or
    so. No learning rate is needed.

    Parameters
    ----------
    codebook : array, shape (K, C)
    sizes : array, shape (K,)
        The average of the counts; 0 at first.
    sums : array, shape (K, C)
        The average of the sums; 0 at first.
    counts, batch_sums : arrays, shapes (K,) and (K, C)
        Of this batch, from `codebook_sums`.
    decay : float
    smoothing : float
        Laplace smoothing: every code is given so much of the total, so that the mean of a code that hardly anything is
        near is a division by no tiny number. A code that nothing has been near for about ``log(smoothing) /
        log(decay)`` batches is drawn to 0 by it.

    Returns
    -------
    codebook, sizes, sums : new arrays
        A code that nothing has ever been near stays where it is.

    Source: van den Oord et al. 2017 (arXiv 1711.00937), appendix A.1; the smoothing is that of the authors' library,
    Sonnet.
    """
    check_shapes(
        "codebook: K C, sizes: K, sums: K C, counts: K, batch_sums: K C",
        **{"codebook": codebook, "sizes": sizes, "sums": sums, "counts": counts, "batch_sums": batch_sums},
    )
    sizes = sizes + (1 - decay) * (counts - sizes)
    sums = sums + (1 - decay) * (batch_sums - sums)
    total = sizes.sum()
    smoothed = (sizes + smoothing) * (total / (total + len(sizes) * smoothing))
    ever_used = (sizes > 0)[:, None]
    divisor = xp_of(sizes).where(ever_used, smoothed[:, None], 1)
    return xp_of(sizes).where(ever_used, sums / divisor, codebook), sizes, sums


@checked("codebook sizes sums candidates", check_restart)
def restart_codes(
    codebook: Array, sizes: Array, sums: Array, candidates: Array, below: float
) -> tuple[Array, Array, Array]:
    """Return the codebook with each code that is hardly used in a new place, where data are (Eq. VQ-RESTART).

    Whatever the encoder says is nearer to some other code, so such a code would never be chosen again, nor moved. One
    whose average count is below `below` becomes its candidate, a vector of the batch at hand, with a count of `below`.

    Parameters
    ----------
    codebook, sizes, sums
        See `average_codebook`.
    candidates : array, shape (K, C)
        Random vectors of the batch, one for each code.
    below : float
        Before anything is averaged all sizes are 0: the first batch restarts all codes that it does not use often, and
        so is where the codebook begins.

    Returns
    -------
    codebook, sizes, sums : new arrays

    Source: Zeghidour et al. 2021 (SoundStream, arXiv 2107.03312), section III-C, where `below` is 2.
    """
    check_shapes(
        "codebook: K C, sizes: K, sums: K C, candidates: K C",
        **{"codebook": codebook, "sizes": sizes, "sums": sums, "candidates": candidates},
    )
    xp, unused = xp_of(codebook), sizes < below
    codes = unused[:, None]
    return (
        xp.where(codes, candidates, codebook),
        xp.where(unused, below, sizes).astype(sizes.dtype),
        xp.where(codes, below * candidates, sums).astype(sums.dtype),
    )


@checked(check=check_counts_of_codes)
def codebook_usage(counts: Array) -> tuple[int, float]:
    """Return how many codes were used, and the perplexity: of how many used equally it is worth (Eq. VQ-USE).

    Count over an epoch. In one batch of few vectors, most codes of a large codebook are missing whatever it is worth.

    Parameters
    ----------
    counts : array, shape (K,)
        How often each code was used; if none was, both results are 0.

    Returns
    -------
    used : int
    perplexity : float
        From 1, where all vectors have one code, to K, where all codes are used equally.
    """
    check_shapes("counts: K", counts=counts)
    total = float(counts.sum(dtype=np.float64))
    p = counts[counts > 0].astype(np.float64) / (total or 1)
    return len(p), math.exp(-float((p * xp_of(p).log(p)).sum())) if len(p) else 0.0


@checked("z", check_scalar_levels)
def finite_scalar_quantise(z: Array, levels: tuple[int, ...]) -> tuple[Array, FiniteScalarQuantiseCache]:
    """Round each channel to a few levels, evenly spaced in [-1, 1]: FSQ, a codebook that nobody learns (Eq. FSQ-1).

    tanh bounds the channel; it is stretched to L levels, a distance of 1 apart, and rounded. An even L has no level in
    the middle, so everything is shifted by half a level: 4 levels are -2, -1, 0, 1. In the end they are divided by
    ``L // 2``. All combinations of all channels' levels are the codes, and every one can be reached.

    Parameters
    ----------
    z : array, shape (..., channels)
    levels : tuple of int
        How many levels each channel has, from 3 to 256.

    Returns
    -------
    z_q : array, shape of z
    cache : FiniteScalarQuantiseCache

    Notes
    -----
    tanh is shifted, too, so that 0 stays 0 before rounding. The paper's listing shifts by tan where the inverse of
    tanh does this exactly; here it is the inverse.

    Source: Mentzer et al. 2023 (arXiv 2309.15505), section 3.1 and appendix A.1.
    """
    check_shapes(f"z: ... {len(levels)}", z=z)
    xp, (half, offset, shift, width) = xp_of(z), _scalar_constants(xp_of(z), levels, z.dtype)
    bounded = xp.tanh(z + shift)
    z_q = xp.rint(half * bounded - offset) / width
    return z_q, FiniteScalarQuantiseCache((1 - bounded * bounded) * (half / width))


@checked("dy cache.slope")
def finite_scalar_quantise_backward(dy: Array, cache: FiniteScalarQuantiseCache) -> tuple:
    """Return dz = dy times the slope of the bounded number before it was rounded: straight-through (Eq. FSQ-2)."""
    (slope,) = cache
    check_shape("dy", dy, slope.shape)
    return (dy * slope,)


@checked("z_q", check_scalar_levels)
def finite_scalar_indices(z_q: Array, levels: tuple[int, ...]) -> Array:
    """Return the number of each code, from 0 to the product of the levels less 1 (Eq. FSQ-3).

    The channels are the digits of a number whose places count different levels; the first channel is the last digit.

    Parameters
    ----------
    z_q : array, shape (..., channels)
        From `finite_scalar_quantise`.
    levels : tuple of int

    Returns
    -------
    int64 array, shape (...)
    """
    check_shapes(f"z_q: ... {len(levels)}", z_q=z_q)
    xp, (_, _, _, width) = xp_of(z_q), _scalar_constants(xp_of(z_q), levels, z_q.dtype)
    digits = xp.rint(z_q * width + width).astype(xp.int64)
    return (digits * xp.asarray(_places(levels))).sum(axis=-1)


@checked(check=check_scalar_indices)
def finite_scalar_codes(indices: Array, levels: tuple[int, ...]) -> Array:
    """Return the codes with these numbers, float32: the inverse of `finite_scalar_indices` (Eq. FSQ-3).

    Parameters
    ----------
    indices : integer array, shape (...)
    levels : tuple of int

    Returns
    -------
    array, shape (..., channels)
    """
    xp = xp_of(indices)
    digits = indices[..., None] // xp.asarray(_places(levels)) % xp.asarray(levels)
    _, _, _, width = _scalar_constants(xp, levels, np.float32)
    return ((digits - width) / width).astype(np.float32)


def _scalar_constants(xp, levels, dtype):
    """Return for each channel: half the stretch of tanh, the half level of an even number, its shift, and the width."""
    levels = np.asarray(levels)
    half = (levels - 1) * (1 - BELOW_LEVELS) / 2
    offset = np.where(levels % 2, 0.0, 0.5)
    return [xp.asarray(a.astype(dtype)) for a in (half, offset, np.arctanh(offset / half), levels // 2)]


def _places(levels):
    """Return the worth of each digit, the product of the levels before it."""
    return np.cumprod([1, *levels[:-1]])
