"""Scaled dot-product attention, and the reshaping of channels into heads."""

from collections import namedtuple
from typing import Any

from tinydiff.base import InputError, check_divisible, check_rank, check_shape, xp_of
from tinydiff.functional.activation import SoftmaxCache, softmax_backward
from tinydiff.workers import pieces

AttentionCache = namedtuple("AttentionCache", "q k v weights")
AttentionInPiecesCache = namedtuple("AttentionInPiecesCache", "q k v y log_total")

# Bytes of weights that are made at once. What fits is made in one piece, and kept for the backward.
WORKING_SET = 2**20


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


def attention_in_pieces(q: Any, k: Any, v: Any) -> tuple[Any, AttentionInPiecesCache]:
    """Return what `attention` returns, without keeping any weights (Eq. ATT-1; Dao et al. 2022, arXiv 2205.14135).

    An image of 32 x 32 pixels has a million weights for each head. Here they are made for a few heads, or a few
    queries of one head, at a time, in an array that stays in the cache. Of each query only the logarithm of its
    softmax's denominator is kept; the backward makes the weights again from it. A GPU makes all at once, and keeps
    none.

    Parameters
    ----------
    q : array, shape (..., queries, d)
    k : array, shape (..., keys, d)
    v : array, shape (..., keys, d_v)
    """
    xp = xp_of(q=q, k=k, v=v)
    _check_attention_shapes(q, k, v)
    y, log_total = xp.empty((*q.shape[:-1], v.shape[-1]), q.dtype), xp.empty((*q.shape[:-1], 1), q.dtype)
    for (q_part, y_part, log_part), (k_part, v_part) in _parts(xp, (q, y, log_total), (k, v)):
        scores = (q_part * q.shape[-1] ** -0.5) @ k_part.swapaxes(-1, -2)
        largest = scores.max(axis=-1, keepdims=True)
        scores -= largest
        weights = xp.exp(scores, out=scores)
        total = weights.sum(axis=-1, keepdims=True)
        y_part[...] = weights @ v_part
        y_part /= total  # d_v numbers to divide instead of as many as there are keys
        log_part[...] = largest + xp.log(total)
    return y, AttentionInPiecesCache(q, k, v, y, log_total)


def attention_in_pieces_backward(dy: Any, cache: AttentionInPiecesCache) -> tuple:
    """Return dq, dk and dv (Eq. ATT-2), with the weights made again: exp(scores - log_total).

    The sum over keys of weights times their gradients is that of y times dy, so it needs no weights.
    """
    q, k, v, y, log_total = cache
    xp = xp_of(dy=dy, q=q)
    check_shape("dy", dy, y.shape)
    dq, dk, dv = xp.empty(q.shape, q.dtype), xp.zeros(k.shape, q.dtype), xp.zeros(v.shape, q.dtype)
    scale = q.shape[-1] ** -0.5
    of_queries, of_keys = (q, y, log_total, dy, dq), (k, v, dk, dv)
    for (q_part, y_part, log_part, dy_part, dq_part), (k_part, v_part, dk_part, dv_part) in _parts(
        xp, of_queries, of_keys
    ):
        scaled = q_part * scale
        weights = scaled @ k_part.swapaxes(-1, -2)
        weights -= log_part
        xp.exp(weights, out=weights)
        dv_part += weights.swapaxes(-1, -2) @ dy_part  # y = weights v
        d_scores = dy_part @ v_part.swapaxes(-1, -2)
        d_scores -= (dy_part * y_part).sum(axis=-1, keepdims=True)  # the softmax, Eq. SM-2
        d_scores *= weights
        dq_part[...] = d_scores @ k_part  # scores = scale q k^T
        dq_part *= scale
        dk_part += d_scores.swapaxes(-1, -2) @ scaled
    return dq, dk, dv


def fits_in_one_piece(q: Any, k: Any) -> bool:
    """Return whether the weights of these queries and keys are few enough for `attention` to make them all at once."""
    return (q.size // q.shape[-1]) * k.shape[-2] * q.itemsize <= WORKING_SET


def _parts(xp, of_queries, of_keys):
    """Yield views of some heads and some of their queries, with those heads' keys.

    What is written to must be contiguous: of other arrays, the views are views of a copy.
    """
    of_queries = [a.reshape(-1, *a.shape[-2:]) for a in of_queries]
    of_keys = [a.reshape(-1, *a.shape[-2:]) for a in of_keys]
    heads, queries, _ = of_queries[0].shape
    bytes_of_a_query = of_keys[0].shape[1] * of_keys[0].itemsize
    for some in pieces(xp, heads, queries * bytes_of_a_query, WORKING_SET):
        for rows in pieces(xp, queries, (some.stop - some.start) * bytes_of_a_query, WORKING_SET):
            yield [a[some, rows] for a in of_queries], [a[some] for a in of_keys]


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
