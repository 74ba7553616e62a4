"""Scaled dot-product attention, and the reshaping of channels into heads."""

from collections import namedtuple

import numpy as np

from tinydiff.base import Array, check_divisible, check_rank, check_shape, check_shapes, checked, xp_of
from tinydiff.functional.activation import SoftmaxCache, softmax_backward
from tinydiff.functional.values import check_mask

AttentionCache = namedtuple("AttentionCache", "q k v weights")


@checked("q k v", check_mask)
def attention(q: Array, k: Array, v: Array, mask: Array | None = None, return_weights: bool = False) -> tuple:
    """Return ``softmax(q k^T / sqrt(d)) v`` (Eq. ATT-1; Vaswani et al. 2017, arXiv 1706.03762, Eq. 1).

    Parameters
    ----------
    q : array, shape (..., queries, d)
        The leading axes are batch and heads.
    k : array, shape (..., keys, d)
    v : array, shape (..., keys, d_v)
    mask : boolean array or None
        Broadcastable to (..., queries, keys); True where a query may attend to a key. A query without any such key
        gets zeros.
    return_weights : bool
        Also return the softmax weights.

    Returns
    -------
    y : array, shape (..., queries, d_v)
    weights : array, shape (..., queries, keys)
        Only with `return_weights`.
    cache : AttentionCache

    Raises
    ------
    InputError
        If shapes, dtypes or devices do not fit, if there are no keys, or if the mask is not boolean.
    """
    check_shapes("q: ... queries d, k: ... keys d, v: ... keys d_v", q=q, k=k, v=v)
    xp = xp_of(q)
    weights = (q * q.shape[-1] ** -0.5) @ k.swapaxes(-1, -2)
    if mask is not None:
        weights = xp.where(mask, weights, -xp.inf)
    largest = weights.max(axis=-1, keepdims=True)
    if mask is not None:
        largest = xp.where(xp.isfinite(largest), largest, 0)  # a row without any allowed key
    with np.errstate(over="ignore"):  # a difference may be -inf, whose exponential is 0
        weights -= largest
    xp.exp(weights, out=weights)
    total = weights.sum(axis=-1, keepdims=True)
    weights /= total if mask is None else xp.where(total > 0, total, 1)
    y = weights @ v
    cache = AttentionCache(q, k, v, weights)
    return (y, weights, cache) if return_weights else (y, cache)


@checked("dy cache.q")
def attention_backward(dy: Array, cache: AttentionCache) -> tuple:
    """Return dq, dk and dv (Eq. ATT-2).

    The mask is not needed: a masked entry has weight 0, and the gradient of its score is proportional to the weight.
    """
    q, k, v, weights = cache
    check_shape("dy", dy, (*q.shape[:-1], v.shape[-1]))
    dv = weights.swapaxes(-1, -2) @ dy  # y = weights v
    d_weights = dy @ v.swapaxes(-1, -2)
    (d_scores,) = softmax_backward.bare(d_weights, SoftmaxCache(weights))
    d_scores *= q.shape[-1] ** -0.5  # scores = q k^T / sqrt(d)
    dq = d_scores @ k
    dk = d_scores.swapaxes(-1, -2) @ q
    return dq, dk, dv


@checked()
def split_heads(x: Array, heads: int) -> Array:
    """Reshape tokens (N, tokens, C) to (N, heads, tokens, C / heads)."""
    check_rank("x", x, 3)
    check_divisible("the number of channels", x.shape[-1], "heads", heads)
    n, tokens, channels = x.shape
    return x.reshape(n, tokens, heads, channels // heads).swapaxes(1, 2)


@checked()
def merge_heads(x: Array) -> Array:
    """Reshape (N, heads, tokens, d) back to (N, tokens, heads d)."""
    check_rank("x", x, 4)
    n, heads, tokens, d = x.shape
    return x.swapaxes(1, 2).reshape(n, tokens, heads * d)
