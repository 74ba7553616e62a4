"""Scaled dot-product attention, and the reshaping of channels into heads."""

from collections import namedtuple
from typing import Any

from tinydiff.backend import xp_of
from tinydiff.errors import InputError, check_divisible, check_rank, check_shape
from tinydiff.functional.activation import SoftmaxCache, softmax_backward

AttentionCache = namedtuple("AttentionCache", "q k v weights")


def attention(q: Any, k: Any, v: Any, mask: Any = None, return_weights: bool = False) -> tuple:
    """Return ``softmax(q k^T / sqrt(d)) v`` (Eq. ATT-1; Vaswani et al. 2017, arXiv 1706.03762, Eq. 1).

    Parameters
    ----------
    q : array, shape (..., queries, d)
        The leading axes are batch and heads.
    k : array, shape (..., keys, d)
    v : array, shape (..., keys, d_v)
    mask : boolean array or None
        Broadcastable to (..., queries, keys); True where a query may look. A query that may look nowhere gets
        zeros.
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
    xp = xp_of(q=q, k=k, v=v)
    _check_attention_shapes(q, k, v)
    weights = (q * q.shape[-1] ** -0.5) @ k.swapaxes(-1, -2)
    if mask is not None:
        _check_mask(q, mask, weights.shape)
        weights = xp.where(mask, weights, -xp.inf)
    largest = weights.max(axis=-1, keepdims=True)
    if mask is not None:
        largest = xp.where(xp.isfinite(largest), largest, 0)  # a row without any allowed key
    weights -= largest
    xp.exp(weights, out=weights)
    total = weights.sum(axis=-1, keepdims=True)
    weights /= total if mask is None else xp.where(total > 0, total, 1)
    y = weights @ v
    cache = AttentionCache(q, k, v, weights)
    return (y, weights, cache) if return_weights else (y, cache)


def attention_backward(dy: Any, cache: AttentionCache) -> tuple:
    """Return dq, dk and dv (Eq. ATT-2).

    A masked entry has weight 0, and the softmax gradient is proportional to the weight: the mask needs no line.
    """
    q, k, v, weights = cache
    xp_of(dy=dy, q=q)
    check_shape("dy", dy, (*q.shape[:-1], v.shape[-1]))
    dv = weights.swapaxes(-1, -2) @ dy  # y = weights v
    d_weights = dy @ v.swapaxes(-1, -2)
    (d_scores,) = softmax_backward(d_weights, SoftmaxCache(weights))
    d_scores *= q.shape[-1] ** -0.5  # scores = q k^T / sqrt(d)
    dq = d_scores @ k
    dk = d_scores.swapaxes(-1, -2) @ q
    return dq, dk, dv


def split_heads(x: Any, heads: int) -> Any:
    """Reshape tokens (N, tokens, C) to (N, heads, tokens, C / heads)."""
    check_rank("x", x, 3)
    check_divisible("the number of channels", x.shape[-1], "heads", heads)
    n, tokens, channels = x.shape
    return x.reshape(n, tokens, heads, channels // heads).swapaxes(1, 2)


def merge_heads(x: Any) -> Any:
    """Reshape (N, heads, tokens, d) back to (N, tokens, heads d)."""
    check_rank("x", x, 4)
    n, heads, tokens, d = x.shape
    return x.swapaxes(1, 2).reshape(n, tokens, heads * d)


def _check_attention_shapes(q, k, v):
    fits = (
        q.ndim == k.ndim == v.ndim >= 2
        and q.shape[:-2] == k.shape[:-2] == v.shape[:-2]
        and q.shape[-1] == k.shape[-1]
        and k.shape[-2] == v.shape[-2]
        and min(q.shape[-1], k.shape[-2]) >= 1
    )
    if not fits:
        raise InputError(
            f"q, k, v have shapes {tuple(q.shape)}, {tuple(k.shape)}, {tuple(v.shape)}, but "
            "(..., queries, d), (..., keys, d), (..., keys, d_v) with equal leading axes were expected, and d and keys "
            "at least 1."
        )


def _check_mask(q, mask, shape):
    xp_of(q, mask)
    if mask.dtype != bool:  # a mask to be added, of 0 and -inf, would be read the wrong way round
        raise InputError(f"mask has dtype {mask.dtype}, but bool was expected: True where a query may look.")
    if mask.ndim > len(shape) or any(m not in (1, n) for m, n in zip(mask.shape[::-1], shape[::-1], strict=False)):
        raise InputError(
            f"mask has shape {tuple(mask.shape)}, which cannot be broadcast to (..., queries, keys) = {tuple(shape)}."
        )
