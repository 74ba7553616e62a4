"""Group norm and SiLU as one pair: the same numbers, with fewer passes over the arrays.

Matrix products are so fast that the operations between two convolutions take as long as the convolutions, because they
are limited by memory: every line reads an array and writes one. So the lines are few and work in place, factors of 1/2
are moved into the small arrays, and an image's row of W pixels is taken as one long row of W C numbers, because NumPy's
inner loops run along rows. To keep one array of the size of x instead of three, the backward computes SiLU's sigmoid
again, which makes it a third longer.

The plain twins are `group_norm` and `silu`, one after the other; ``tinydiff.plain()`` takes them instead.
"""

from collections import namedtuple

import numpy as np

from tinydiff.base import Array, check_shape, check_shapes, checked, is_plain, xp_of
from tinydiff.functional.activation import silu, silu_backward
from tinydiff.functional.norm import (
    GroupNormCache,
    beyond_float32,
    default_groups,
    group_mean,
    group_norm,
    group_norm_backward,
    in_float64,
    row_dots,
    row_sums,
)
from tinydiff.functional.values import check_group_norm

GroupNormSiLUCache = namedtuple("GroupNormSiLUCache", "centred gamma beta rstd groups")


@checked("x gamma beta", check_group_norm)
def group_norm_silu(x: Array, gamma: Array, beta: Array, groups: int | None = None, eps: float = 1e-5) -> tuple:
    """Return ``silu(group_norm(x, gamma, beta))`` (Eq. GN-1 and SILU-1).

    Parameters
    ----------
    x : array, shape (N, ..., C)
    gamma, beta : arrays, shape (C,)
    groups : int or None
        None takes `default_groups`.
    eps : float
        Added to the variance.

    Returns
    -------
    y : array, shape of x
    cache : GroupNormSiLUCache

    Raises
    ------
    InputError
        As `group_norm`.
    """
    check_shapes("x: N ... C, gamma: C, beta: C", x=x, gamma=gamma, beta=beta)
    xp = xp_of(x)
    groups = default_groups(x.shape[-1]) if groups is None else groups
    if is_plain():
        h, (centred, _, rstd, _) = group_norm.bare(x, gamma, beta, groups, eps)
        return silu.bare(h)[0], GroupNormSiLUCache(centred.reshape(x.shape), gamma, beta, rstd, groups)
    rows, pixels = _long_rows(x), x[0].size // len(gamma)
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is computed in float64
        mu = group_mean(_channel_sums(xp, row_sums(xp, rows), gamma), groups, pixels)
        centred = rows - _spread(xp, mu, rows)
        variance = group_mean(_channel_sums(xp, row_dots(xp, centred, centred), gamma), groups, pixels) + eps
    beyond = beyond_float32(mu, variance)
    if beyond is not None:
        return in_float64(group_norm_silu, beyond, x, gamma, beta, groups=groups, eps=eps)
    rstd = variance**-0.5
    y, twice_sigmoid = _half_and_twice_sigmoid(xp, centred, gamma, beta, rstd)
    y *= twice_sigmoid
    return y.reshape(x.shape), GroupNormSiLUCache(centred.reshape(x.shape), gamma, beta, rstd, groups)


@checked("dy cache.gamma")
def group_norm_silu_backward(dy: Array, cache: GroupNormSiLUCache, need_dx: bool = True, need_dw: bool = True) -> tuple:
    """Return dx, d_gamma and d_beta: Eq. SILU-2 gives the gradient of the norm's output, then Eq. GN-2."""
    centred, gamma, beta, rstd, groups = cache
    xp = xp_of(dy)
    check_shape("dy", dy, centred.shape)
    pixels = dy[0].size // len(gamma)
    if is_plain():
        rows = centred.reshape(len(dy), pixels, len(gamma))
        h = (rows * (rstd * gamma) + beta).reshape(dy.shape)
        dh = silu_backward.bare(dy, silu.bare(h)[1])[0].astype(dy.dtype, copy=False)
        return group_norm_backward.bare(dh, GroupNormCache(rows, gamma, rstd, groups), need_dx, need_dw)
    centred, dy = _long_rows(centred), _long_rows(dy)
    half_h, twice_sigmoid = _half_and_twice_sigmoid(xp, centred, gamma, beta, rstd)
    # silu' = sigmoid + h sigmoid (1 - sigmoid); with s = 2 sigmoid, twice that is s (1 + (h / 2) (2 - s)).
    twice_dh = 2 - twice_sigmoid
    twice_dh *= half_h
    twice_dh += 1
    twice_dh *= twice_sigmoid
    twice_dh *= dy
    sum_dh = 0.5 * _channel_sums(xp, row_sums(xp, twice_dh), gamma)
    sum_dh_x_hat = 0.5 * _channel_sums(xp, row_dots(xp, twice_dh, centred), gamma) * rstd
    dx = None
    if need_dx:
        mean_g = group_mean(sum_dh * gamma, groups, pixels)
        mean_g_x_hat = group_mean(sum_dh_x_hat * gamma, groups, pixels)
        dx = twice_dh
        dx *= _spread(xp, rstd * (0.5 * gamma), dy)
        indirect = xp.multiply(centred, _spread(xp, rstd * rstd * mean_g_x_hat, dy), out=half_h)
        indirect += _spread(xp, rstd * mean_g, dy)
        dx -= indirect
        dx = dx.reshape(cache.centred.shape).astype(dy.dtype, copy=False)
    if not need_dw:
        return dx, None, None
    return dx, *(sums.sum(axis=(0, 1)).astype(dy.dtype, copy=False) for sums in (sum_dh_x_hat, sum_dh))


def _half_and_twice_sigmoid(xp, centred, gamma, beta, rstd):
    """Return h / 2 and 2 sigmoid(h) of h = gamma x_hat + beta: silu(h) is their product."""
    half_h = centred * _spread(xp, rstd * (0.5 * gamma), centred)
    half_h += _spread(xp, 0.5 * beta, centred)
    twice_sigmoid = xp.tanh(half_h)  # 2 sigmoid(h) = 1 + tanh(h / 2)
    twice_sigmoid += 1
    return half_h, twice_sigmoid


def _long_rows(x):
    """View images (N, H, W, C) as (N, H, W C), and tokens (N, T, C) as (N, 1, T C)."""
    return x.reshape(len(x), -1, x.shape[-1] * (x.shape[-2] if x.ndim > 2 else 1))


def _channel_sums(xp, sums, gamma):
    """Turn sums over rows (N, 1, W C) into sums over rows and columns (N, 1, C)."""
    return row_sums(xp, sums.reshape(len(sums), -1, len(gamma)))


def _spread(xp, per_channel, rows):
    """Repeat numbers of each channel, (..., C), along a long row: (..., W C)."""
    return xp.tile(per_channel, rows.shape[-1] // per_channel.shape[-1])
