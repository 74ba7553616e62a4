"""Changing the resolution of images (N, H, W, C): pixels repeated, interpolated or averaged; blocks as channels."""

from collections import namedtuple
from typing import Any

from tinydiff.base import Array, check_divisible, check_rank, check_shape, check_shapes, checked, xp_of
from tinydiff.functional.values import check_factor

UpsampleCache = namedtuple("UpsampleCache", "factor")
UpsampleBilinearCache = namedtuple("UpsampleBilinearCache", "rows columns")
AvgPoolCache = namedtuple("AvgPoolCache", "factor")
SpaceToDepthCache = namedtuple("SpaceToDepthCache", "factor")
DepthToSpaceCache = namedtuple("DepthToSpaceCache", "factor")


@checked("x", check_factor)
def upsample_nearest(x: Array, factor: int = 2) -> tuple[Array, UpsampleCache]:
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
    check_shapes("x: N H W C", x=x)
    xp = xp_of(x)
    n, h, w, c = x.shape
    y = xp.empty((n, h, factor, w, factor, c), x.dtype)
    y[...] = x[:, :, None, :, None]
    return y.reshape(n, h * factor, w * factor, c), UpsampleCache(factor)


@checked("dy")
def upsample_nearest_backward(dy: Array, cache: UpsampleCache) -> tuple[Array]:
    """Return dx: a pixel was read ``factor**2`` times, so its gradients add (Eq. UP-2)."""
    (factor,) = cache
    _check_blocks("dy", dy, factor)
    return (_sum_blocks(dy, factor),)


@checked("x", check_factor)
def upsample_bilinear(x: Array, factor: int = 2) -> tuple[Array, UpsampleBilinearCache]:
    """Enlarge images `factor` times along both sides, linear between the centres of pixels (Eq. BIL-1).

    A new pixel lies between the centres of two old ones, of which the nearer counts more; beyond the outermost centres
    the picture goes on as it is there. It is linear along each side, so two matrix products do it.

    Parameters
    ----------
    x : array, shape (N, H, W, C)
    factor : int

    Returns
    -------
    y : array, shape (N, H factor, W factor, C)
    cache : UpsampleBilinearCache
    """
    check_shapes("x: N H W C", x=x)
    xp = xp_of(x)
    rows, columns = (_between(xp, side, factor, x.dtype) for side in x.shape[1:3])
    return _along_both(x, rows, columns), UpsampleBilinearCache(rows, columns)


@checked("dy")
def upsample_bilinear_backward(dy: Array, cache: UpsampleBilinearCache) -> tuple[Array]:
    """Return dx: the same weights, transposed, give every old pixel its share of each gradient (Eq. BIL-2)."""
    rows, columns = cache
    check_shape("dy", dy, (None, len(rows), len(columns), None))
    return (_along_both(dy, rows.T, columns.T),)


@checked("x", check_factor)
def avg_pool(x: Array, factor: int = 2) -> tuple[Array, AvgPoolCache]:
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
    _check_blocks("x", x, factor)
    y = _sum_blocks(x, factor)
    y *= 1 / factor**2
    return y, AvgPoolCache(factor)


@checked("dy")
def avg_pool_backward(dy: Array, cache: AvgPoolCache) -> tuple[Array]:
    """Return dx: every pixel of a block had a share 1 / factor^2 in the average (Eq. POOL-2)."""
    (factor,) = cache
    dx, _ = upsample_nearest.bare(dy * (1 / factor**2), factor)
    return (dx,)


@checked("x", check_factor)
def space_to_depth(x: Array, factor: int = 2) -> tuple[Array, SpaceToDepthCache]:
    """Write the pixels of every ``factor x factor`` block behind each other, as one pixel (Eq. S2D-1).

    No number is lost or made: a linear layer after it is a convolution with kernel and stride `factor`.

    Parameters
    ----------
    x : array, shape (N, H, W, C)
    factor : int
        A divisor of H and W.

    Returns
    -------
    y : array, shape (N, H / factor, W / factor, factor**2 C)
        Rows of a block come first, then columns, then channels.
    cache : SpaceToDepthCache
    """
    return _gathered("x", x, factor), SpaceToDepthCache(factor)


@checked("dy")
def space_to_depth_backward(dy: Array, cache: SpaceToDepthCache) -> tuple[Array]:
    """Return dx: every number goes back to where it came from (Eq. S2D-2)."""
    (factor,) = cache
    return (_spread("dy", dy, factor),)


@checked("x", check_factor)
def depth_to_space(x: Array, factor: int = 2) -> tuple[Array, DepthToSpaceCache]:
    """Spread the channels of every pixel over a ``factor x factor`` block: `space_to_depth` undone (Eq. D2S-1).

    Parameters
    ----------
    x : array, shape (N, H, W, factor**2 C)
    factor : int

    Returns
    -------
    y : array, shape (N, H factor, W factor, C)
    cache : DepthToSpaceCache
    """
    return _spread("x", x, factor), DepthToSpaceCache(factor)


@checked("dy")
def depth_to_space_backward(dy: Array, cache: DepthToSpaceCache) -> tuple[Array]:
    """Return dx: every number goes back to where it came from (Eq. D2S-2)."""
    (factor,) = cache
    return (_gathered("dy", dy, factor),)


def _between(xp: Any, side: int, factor: int, dtype: Any) -> Array:
    """Return the weights (side factor, side) with which old pixels make new ones: two in each row, which sum to 1."""
    places = (xp.arange(side * factor, dtype=xp.float64) + 0.5) / factor - 0.5  # of new centres, counted in old pixels
    places = xp.clip(places, 0, side - 1)
    return xp.maximum(1 - abs(places[:, None] - xp.arange(side)), 0).astype(dtype)


def _along_both(x, rows, columns):
    """Multiply by a matrix along the height, and by another along the width."""
    n, height, width, c = x.shape
    x = (rows @ x.reshape(n, height, width * c)).reshape(n, len(rows), width, c)
    return columns @ x


def _gathered(name, x, factor):
    """Move every block of pixels into the channels of one."""
    _check_blocks(name, x, factor)
    if factor == 1:
        return x  # not a view with other strides, which makes later matrix products slow
    n, h, w, c = x.shape
    blocks = x.reshape(n, h // factor, factor, w // factor, factor, c).transpose(0, 1, 3, 2, 4, 5)
    return blocks.reshape(n, h // factor, w // factor, factor**2 * c)


def _spread(name, x, factor):
    """Move the channels of every pixel into a block of pixels."""
    check_rank(name, x, 4)
    if factor == 1:
        return x
    n, h, w, channels = x.shape
    check_divisible(f"the channels of {name}", channels, "factor ** 2", factor**2)
    blocks = x.reshape(n, h, w, factor, factor, channels // factor**2).transpose(0, 1, 3, 2, 4, 5)
    return blocks.reshape(n, h * factor, w * factor, channels // factor**2)


def _sum_blocks(x, factor):
    total = x[:, ::factor, ::factor].copy()
    for i in range(factor):
        for j in range(factor):
            if i or j:
                total += x[:, i::factor, j::factor]
    return total


def _check_blocks(name, x, factor):
    check_rank(name, x, 4)
    check_divisible(f"the height of {name}", x.shape[1], "factor", factor)
    check_divisible(f"the width of {name}", x.shape[2], "factor", factor)
