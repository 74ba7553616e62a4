"""Normalisations: group, layer and batch norm, and unit length.

The first three subtract a mean and divide by a standard deviation; they differ in which numbers share them. All three
therefore have one backward: x reaches y along three paths, directly, through the mean and through the variance,
and the three gradients add.

In float32 the three are right for numbers of ordinary size. A sample whose numbers are not of that kind (their squares
are infinite or zero, or their mean is a thousand standard deviations away from 0) is computed once more, in float64.
This is done on the host only: a GPU would have to wait for such a look at its numbers.
"""

from collections import namedtuple
from typing import Any

import numpy as np

from tinydiff.base import Array, Checked, check_count, check_shape, check_shapes, checked, power_of_two, xp_of
from tinydiff.functional.values import check_direction, check_dy, check_group_norm, check_norm

GroupNormCache = namedtuple("GroupNormCache", "centred gamma rstd groups")
LayerNormCache = namedtuple("LayerNormCache", "x_hat gamma rstd")
BatchNormCache = namedtuple("BatchNormCache", "x_hat gamma rstd")
UnitLengthCache = namedtuple("UnitLengthCache", "y length shrink is_short")

SHORTEST = 1e-12  # a vector is divided by at least this length


@checked(check=lambda channels: check_count("channels", channels))
def default_groups(channels: int) -> int:
    """Return the number of groups where none is asked for: ``min(32, channels // 4)``, at least 1.

    Where that does not divide the channels, the next smaller number that does is taken.
    """
    groups = max(1, min(32, channels // 4))
    while channels % groups:
        groups -= 1
    return groups


@checked("x gamma beta", check_group_norm)
def group_norm(x: Array, gamma: Array, beta: Array, groups: int | None = None, eps: float = 1e-5) -> tuple:
    """Normalise each image's channels in groups (Eq. GN-1; Wu and He 2018, arXiv 1803.08494).

    Parameters
    ----------
    x : array, shape (N, ..., C)
    gamma, beta : arrays, shape (C,)
        Scale and shift of each channel.
    groups : int or None
        Number of groups, each of C / groups neighbouring channels; None takes `default_groups`.
    eps : float
        Added to the variance.

    Returns
    -------
    y : array, shape of x
    cache : GroupNormCache

    Raises
    ------
    InputError
        If C cannot be divided into the groups, or if shapes, dtypes or devices do not fit.
    """
    check_shapes("x: N ... C, gamma: C, beta: C", x=x, gamma=gamma, beta=beta)
    xp, channels = xp_of(x), x.shape[-1]
    groups = default_groups(channels) if groups is None else groups
    rows = x.reshape(len(x), -1, channels)

    # The mean is subtracted before squaring: E[x^2] - mu^2 would lose every digit when |mu| >> sigma.
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is computed in float64
        mu = group_mean(row_sums(xp, rows), groups, len(rows[0]))
        centred = rows - mu
    variance = group_mean(row_dots(xp, centred, centred), groups, len(rows[0])) + eps
    beyond = beyond_float32(mu, variance)
    if beyond is not None:
        return in_float64(group_norm, beyond, x, gamma, beta, groups=groups, eps=eps)
    rstd = variance**-0.5
    y = centred * (rstd * gamma)
    y += beta
    return y.reshape(x.shape), GroupNormCache(centred, gamma, rstd, groups)


@checked("dy cache.gamma", check_dy)
def group_norm_backward(dy: Array, cache: GroupNormCache, need_dx: bool = True, need_dw: bool = True) -> tuple:
    """Return dx, d_gamma and d_beta (Eq. GN-2).

    With x_hat = (x - mu) rstd and g = dy gamma, and with means over one image's group,

        dx = rstd (g - mean(g) - x_hat mean(g x_hat)):

    what x does directly, less what it does through the mean, less what it does through the variance.
    """
    centred, gamma, rstd, groups = cache
    xp = xp_of(dy)
    rows = dy.reshape(len(dy), -1, dy.shape[-1])
    check_shape("dy as (N, rows, C)", rows, centred.shape)
    sum_dy = row_sums(xp, rows)  # (N, 1, C): every gradient is made from this sum, the next, and dy itself
    sum_dy_x_hat = row_dots(xp, rows, centred) * rstd
    dx = None
    if need_dx:
        mean_g = group_mean(sum_dy * gamma, groups, len(rows[0]))
        mean_g_x_hat = group_mean(sum_dy_x_hat * gamma, groups, len(rows[0]))
        dx = rows * (rstd * gamma)
        dx -= rstd * mean_g
        dx -= centred * (rstd * rstd * mean_g_x_hat)
        dx = dx.reshape(dy.shape).astype(dy.dtype, copy=False)
    if not need_dw:
        return dx, None, None
    return dx, sum_dy_x_hat.sum(axis=(0, 1)).astype(dy.dtype, copy=False), sum_dy.sum(axis=(0, 1))


@checked("x gamma beta", check_norm)
def layer_norm(x: Array, gamma: Array, beta: Array, eps: float = 1e-5) -> tuple[Array, LayerNormCache]:
    """Normalise each position over its channels (Eq. LN-1; Ba et al. 2016, arXiv 1607.06450).

    Parameters
    ----------
    x : array, shape (..., C)
    gamma, beta : arrays, shape (C,)
    eps : float
        Added to the variance.
    """
    check_shapes("x: N ... C, gamma: C, beta: C", x=x, gamma=gamma, beta=beta)
    return _normalise(layer_norm, x, gamma, beta, eps, axes=-1, cache=LayerNormCache)


@checked("dy cache.gamma")
def layer_norm_backward(dy: Array, cache: LayerNormCache, need_dx: bool = True, need_dw: bool = True) -> tuple:
    """Return dx, d_gamma and d_beta: the three paths of Eq. GN-2, with means over channels (Eq. LN-2)."""
    x_hat, gamma, rstd = cache
    return _normalise_backward(dy, x_hat, gamma, rstd, -1, need_dx, need_dw)


@checked("x gamma beta", check_norm)
def batch_norm(x: Array, gamma: Array, beta: Array, eps: float = 1e-5) -> tuple[Array, BatchNormCache]:
    """Normalise each channel over the whole batch (Eq. BN-1; Ioffe and Szegedy 2015, arXiv 1502.03167).

    It is here as a warning: one image's output depends on the other images of its batch, so in a diffusion model
    a sample would depend on the samples beside it. tinydiff's networks do not use it.

    Parameters
    ----------
    x : array, shape (N, ..., C)
    gamma, beta : arrays, shape (C,)
    eps : float
        Added to the variance.
    """
    check_shapes("x: N ... C, gamma: C, beta: C", x=x, gamma=gamma, beta=beta)
    return _normalise(batch_norm, x, gamma, beta, eps, axes=tuple(range(x.ndim - 1)), cache=BatchNormCache)


@checked("dy cache.gamma")
def batch_norm_backward(dy: Array, cache: BatchNormCache, need_dx: bool = True, need_dw: bool = True) -> tuple:
    """Return dx, d_gamma and d_beta: the three paths of Eq. GN-2, with means over the batch (Eq. BN-2)."""
    x_hat, gamma, rstd = cache
    return _normalise_backward(dy, x_hat, gamma, rstd, tuple(range(dy.ndim - 1)), need_dx, need_dw)


@checked("x", check_direction)
def unit_length(x: Array) -> tuple[Array, UnitLengthCache]:
    """Divide each vector by its length, so that only its direction stays (Eq. UNIT-1).

    A vector shorter than `SHORTEST` is divided by `SHORTEST`: so 0 stays 0.

    Parameters
    ----------
    x : array, shape (..., C)
    """
    xp = xp_of(x)
    shrink = 1 / xp.maximum(power_of_two(abs(x).max(axis=-1, keepdims=True)), 1)  # the squares of x may be infinite
    x = x * shrink
    length, shortest = xp.sqrt((x * x).sum(axis=-1, keepdims=True)), SHORTEST * shrink
    is_short = length < shortest
    length = xp.maximum(length, shortest)
    y = x / length
    return y, UnitLengthCache(y, length, shrink, is_short)


@checked("dy cache.y")
def unit_length_backward(dy: Array, cache: UnitLengthCache) -> tuple:
    """Return dx = (dy - y <dy, y>) / |x|: a change of x along y does not change the direction (Eq. UNIT-2).

    A vector shorter than `SHORTEST` was divided by a constant: dx = dy / SHORTEST.
    """
    y, length, shrink, is_short = cache
    xp = xp_of(y)
    check_shape("dy", dy, y.shape)
    along = xp.where(is_short, 0, (dy * y).sum(axis=-1, keepdims=True))
    return ((dy - y * along) / length * shrink,)


def _normalise(norm, x, gamma, beta, eps, axes, cache):
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is computed in float64
        mu = x.mean(axis=axes, keepdims=True)
        x_hat = x - mu
        variance = (x_hat * x_hat).mean(axis=axes, keepdims=True) + eps
    beyond = beyond_float32(mu, variance)
    if beyond is not None:
        return in_float64(norm, beyond, x, gamma, beta, eps=eps)
    rstd = variance**-0.5
    x_hat *= rstd
    y = x_hat * gamma
    y += beta
    return y, cache(x_hat, gamma, rstd)


def _normalise_backward(dy, x_hat, gamma, rstd, axes, need_dx, need_dw):
    check_shape("dy", dy, x_hat.shape)
    dx = d_gamma = d_beta = None
    if need_dx:
        g = dy * gamma
        mean_g = g.mean(axis=axes, keepdims=True)
        mean_g_x_hat = (g * x_hat).mean(axis=axes, keepdims=True)
        dx = (rstd * (g - mean_g - x_hat * mean_g_x_hat)).astype(dy.dtype, copy=False)
    if need_dw:
        rows = tuple(range(dy.ndim - 1))
        d_gamma, d_beta = (dy * x_hat).sum(axis=rows).astype(dy.dtype, copy=False), dy.sum(axis=rows)
    return dx, d_gamma, d_beta


def beyond_float32(mu: Array, variance: Array) -> np.ndarray | None:
    """Return which samples, (N,), have a mean or a variance (eps included) for which float32 is too coarse, or None.

    The mean is wrong by some 1e-7 of itself, and so is every number that it is subtracted from: that counts as soon as
    a standard deviation is a thousandth of the mean. And squares are infinite from 1.8e19 on, and inexact below 1e-19.
    """
    if type(mu) is not np.ndarray or mu.dtype != np.float32:
        return None
    mu, variance = mu.reshape(len(mu), -1), variance.reshape(len(mu), -1)
    least = float(variance.min())
    if least > 1e-30 and float(np.vdot(mu, mu)) <= 1e6 * least and np.vdot(variance, variance) < 1e30:
        return None  # so it nearly always is: the sums, which are quick, bound each number
    with np.errstate(over="ignore", invalid="ignore"):
        is_ordinary = (mu * mu <= 1e6 * variance) & (variance > 1e-30) & (variance < 1e30)
    is_beyond = ~is_ordinary.all(axis=1)
    return is_beyond if is_beyond.any() else None


def in_float64(norm: Checked, beyond: np.ndarray, x: Array, gamma: Array, beta: Array, **options: Any) -> tuple:
    """Return what a norm returns, in the dtype of x, computed in float64 for the samples that are beyond float32.

    The others are normalised without them, so that no sample's y depends on those beside it. The cache is float64 for
    all. In a batch norm, where all samples share their mean, `beyond` has one entry for all of them.
    """
    y, cache = norm.bare(*(a.astype(np.float64) for a in (x, gamma, beta)), **options)
    y = y.astype(x.dtype)
    if not beyond.all():
        y[~beyond], _ = norm.bare(x[~beyond], gamma, beta, **options)
    kept = {name: a for name, a in (("gamma", gamma), ("beta", beta)) if name in cache._fields}
    return y, cache._replace(**kept)


def row_sums(xp, a):
    """Sum `a` (N, R, C) over its rows, as a product with a row of ones: faster than ``a.sum(axis=1)``."""
    return xp.ones((1, a.shape[1]), a.dtype) @ a


def row_dots(xp, a, b):
    """Sum ``a * b`` (N, R, C) over rows, without an array for the product."""
    return xp.einsum("nrc,nrc->nc", a, b)[:, None]


def group_mean(sums, groups, n_rows):
    """Turn sums of each channel (N, 1, C) into means of each group, written once per channel (N, 1, C)."""
    per_group = sums.shape[-1] // groups
    means = sums.reshape(len(sums), 1, groups, per_group).sum(axis=-1) * (1 / (n_rows * per_group))
    return means.repeat(per_group, axis=-1)
