"""Changing the resolution of images (N, H, W, C): repeating and averaging pixels, and moving blocks into channels."""

from collections import namedtuple

from tinydiff.base import Array, check_divisible, check_rank, check_shapes, checked, xp_of
from tinydiff.functional.values import check_factor

UpsampleCache = namedtuple("UpsampleCache", "factor")
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


def _gathered(name, x, factor):
    """Move every block of pixels into the channels of one."""
    _check_blocks(name, x, factor)
    n, h, w, c = x.shape
    blocks = x.reshape(n, h // factor, factor, w // factor, factor, c).transpose(0, 1, 3, 2, 4, 5)
    return blocks.reshape(n, h // factor, w // factor, factor**2 * c)


def _spread(name, x, factor):
    """Move the channels of every pixel into a block of pixels."""
    check_rank(name, x, 4)
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
