"""Changing the resolution of images (N, H, W, C): nearest-neighbour upsampling and average pooling."""

from collections import namedtuple
from numbers import Integral
from typing import Any

from tinydiff.base import InputError, check_divisible, check_rank, xp_of

UpsampleCache = namedtuple("UpsampleCache", "factor")
AvgPoolCache = namedtuple("AvgPoolCache", "factor")


def upsample_nearest(x: Any, factor: int = 2) -> tuple[Any, UpsampleCache]:
    """Repeat every pixel `factor` times along both sides (Eq. UP-1).

    Parameters
    ----------
    x : array, shape (N, H, W, C)
    factor : int

    Returns
    -------
    y : array, shape (N, H factor, W factor, C)
    cache : UpsampleCache
    """
    xp = xp_of(x=x)
    check_rank("x", x, 4)
    _check_factor(factor)
    n, h, w, c = x.shape
    y = xp.empty((n, h, factor, w, factor, c), x.dtype)
    y[...] = x[:, :, None, :, None]
    return y.reshape(n, h * factor, w * factor, c), UpsampleCache(factor)


def upsample_nearest_backward(dy: Any, cache: UpsampleCache) -> tuple[Any]:
    """Return dx: a pixel was read ``factor**2`` times, so its gradients add (Eq. UP-2)."""
    (factor,) = cache
    _check_blocks("dy", dy, factor)
    return (_sum_blocks(dy, factor),)


def avg_pool(x: Any, factor: int = 2) -> tuple[Any, AvgPoolCache]:
    """Average the pixels of every ``factor x factor`` block (Eq. POOL-1).

    Parameters
    ----------
    x : array, shape (N, H, W, C)
    factor : int
        A divisor of H and W.

    Returns
    -------
    y : array, shape (N, H / factor, W / factor, C)
    cache : AvgPoolCache
    """
    xp_of(x=x)
    _check_factor(factor)
    _check_blocks("x", x, factor)
    y = _sum_blocks(x, factor)
    y *= 1 / factor**2
    return y, AvgPoolCache(factor)


def avg_pool_backward(dy: Any, cache: AvgPoolCache) -> tuple[Any]:
    """Return dx: every pixel of a block had a share 1 / factor^2 in the average (Eq. POOL-2)."""
    (factor,) = cache
    dx, _ = upsample_nearest(dy * (1 / factor**2), factor)
    return (dx,)


def _sum_blocks(x, factor):
    total = x[:, ::factor, ::factor].copy()
    for i in range(factor):
        for j in range(factor):
            if i or j:
                total += x[:, i::factor, j::factor]
    return total


def _check_factor(factor):
    if not isinstance(factor, Integral) or factor < 1:
        raise InputError(f"factor is {factor!r}, but an integer from 1 was expected.")


def _check_blocks(name, x, factor):
    check_rank(name, x, 4)
    check_divisible(f"the height of {name}", x.shape[1], "factor", factor)
    check_divisible(f"the width of {name}", x.shape[2], "factor", factor)
