"""Modulation: a vector of each image, such as the embedding of the time, scales, shifts or gates all its tokens."""

from collections import namedtuple

from tinydiff.base import Array, check_shape, check_shapes, checked

ModulateCache = namedtuple("ModulateCache", "x scale")
GateCache = namedtuple("GateCache", "x gate")


@checked("x shift scale")
def modulate(x: Array, shift: Array, scale: Array) -> tuple[Array, ModulateCache]:
    """Scale each image's tokens by 1 + scale, and shift them (Eq. MOD-1; Peebles and Xie 2022, arXiv 2212.09748).

    A scale of 0 changes nothing: so a network starts where layers that write zeros leave x alone.

    Parameters
    ----------
    x : array, shape (N, tokens, C)
    shift, scale : arrays, shape (N, C)

    Returns
    -------
    y : array, shape of x
    cache : ModulateCache
    """
    check_shapes("x: N tokens C, shift: N C, scale: N C", x=x, shift=shift, scale=scale)
    return x * (1 + scale[:, None]) + shift[:, None], ModulateCache(x, scale)


@checked("dy cache.x")
def modulate_backward(dy: Array, cache: ModulateCache) -> tuple[Array, Array, Array]:
    """Return dx, d_shift and d_scale: all tokens of an image read the last two, so their gradients add (Eq. MOD-2)."""
    x, scale = cache
    check_shape("dy", dy, x.shape)
    return dy * (1 + scale[:, None]), dy.sum(axis=1), (dy * x).sum(axis=1)


@checked("x gate")
def gate(x: Array, gate: Array) -> tuple[Array, GateCache]:
    """Multiply each image's tokens by a number for each channel (Eq. GATE-1; Peebles and Xie 2022, arXiv 2212.09748).

    Parameters
    ----------
    x : array, shape (N, tokens, C)
    gate : array, shape (N, C)
        0 shuts a residual branch, which is how it starts in adaLN-zero.

    Returns
    -------
    y : array, shape of x
    cache : GateCache
    """
    check_shapes("x: N tokens C, gate: N C", x=x, gate=gate)
    return x * gate[:, None], GateCache(x, gate)


@checked("dy cache.x")
def gate_backward(dy: Array, cache: GateCache) -> tuple[Array, Array]:
    """Return dx and d_gate, to which all tokens of an image add (Eq. GATE-2)."""
    x, gate = cache
    check_shape("dy", dy, x.shape)
    return dy * gate[:, None], (dy * x).sum(axis=1)
