"""Attention without an array of all weights: they are computed for a few heads or a few queries at a time.

The plain twin is `attention`, which computes all weights at once and keeps them; ``tinydiff.plain()`` takes it instead.
"""

from collections import namedtuple

import numpy as np

from tinydiff.base import Array, check_shape, check_shapes, checked, xp_of
from tinydiff.workers import pieces

AttentionInPiecesCache = namedtuple("AttentionInPiecesCache", "q k v y shift total")

# Bytes of weights that are computed at once, so that they stay in the processor's cache. If all weights fit, layers
# take `attention`, which keeps them for the backward.
WORKING_SET = 2**20

# Up to this score, the backward subtracts the logarithm of a softmax's denominator from the scores. Beside a larger one
# the logarithm, some log(keys), would be lost in rounding: there the backward divides, as the forward does.
LARGEST_SCORE = 2**10


@checked("q k v")
def attention_in_pieces(q: Array, k: Array, v: Array) -> tuple[Array, AttentionInPiecesCache]:
    """Return what `attention` returns, without keeping any weights (Eq. ATT-1; Dao et al. 2022, arXiv 2205.14135).

    An image of 32 x 32 pixels has a million weights for each head. Here they are computed for a few heads, or a few
    queries of one head, at a time, in an array that stays in the processor's cache. Only each query's softmax
    denominator is kept, as two numbers; from them the backward computes the weights again. A GPU computes all weights
    at once, and keeps none.

    Parameters
    ----------
    q : array, shape (..., queries, d)
    k : array, shape (..., keys, d)
    v : array, shape (..., keys, d_v)
    """
    check_shapes("q: ... queries d, k: ... keys d, v: ... keys d_v", q=q, k=k, v=v)
    xp = xp_of(q)
    y = xp.empty((*q.shape[:-1], v.shape[-1]), q.dtype)
    shift, total = (xp.empty((*q.shape[:-1], 1), q.dtype) for _ in range(2))  # weights = exp(scores - shift) / total
    of_queries = (q, y, shift, total)
    for (q_part, y_part, shift_part, total_part), (k_part, v_part) in _parts(xp, of_queries, (k, v)):
        scores = (q_part * q.shape[-1] ** -0.5) @ k_part.swapaxes(-1, -2)
        largest = scores.max(axis=-1, keepdims=True)
        with np.errstate(over="ignore"):  # a difference may be -inf, whose exponential is 0
            scores -= largest
        weights = xp.exp(scores, out=scores)
        sums = weights.sum(axis=-1, keepdims=True)
        y_part[...] = weights @ v_part
        y_part /= sums  # d_v divisions for each query; of the weights, there would be one for each key
        is_small = abs(largest) < LARGEST_SCORE
        shift_part[...] = xp.where(is_small, largest + xp.log(sums), largest)
        total_part[...] = xp.where(is_small, 1, sums)
    return y, AttentionInPiecesCache(q, k, v, y, shift, total)


@checked("dy cache.q")
def attention_in_pieces_backward(dy: Array, cache: AttentionInPiecesCache) -> tuple:
    """Return dq, dk and dv (Eq. ATT-2), with the weights computed again: exp(scores - shift) / total.

    The division is done where it is cheap, on queries instead of on weights. Eq. SM-2 needs the sum
    over keys of the weights times their gradients. It equals the sum of y times dy.
    """
    q, k, v, y, shift, total = cache
    xp = xp_of(dy)
    check_shape("dy", dy, y.shape)
    dq, dk, dv = xp.empty(q.shape, q.dtype), xp.zeros(k.shape, q.dtype), xp.zeros(v.shape, q.dtype)
    scale = q.shape[-1] ** -0.5
    of_queries, of_keys = (q, y, shift, dy / total, dq), (k, v, dk, dv)
    for (q_part, y_part, shift_part, dy_part, dq_part), (k_part, v_part, dk_part, dv_part) in _parts(
        xp, of_queries, of_keys
    ):
        scaled = q_part * scale
        weights = scaled @ k_part.swapaxes(-1, -2)
        with np.errstate(over="ignore"):
            weights -= shift_part
        xp.exp(weights, out=weights)
        dv_part += weights.swapaxes(-1, -2) @ dy_part  # y = weights v / total
        d_scores = dy_part @ v_part.swapaxes(-1, -2)
        d_scores -= (dy_part * y_part).sum(axis=-1, keepdims=True)  # the softmax, Eq. SM-2
        d_scores *= weights
        dq_part[...] = d_scores @ k_part  # scores = scale q k^T
        dq_part *= scale
        dk_part += d_scores.swapaxes(-1, -2) @ scaled
    return dq, dk, dv


@checked("q k", lambda q, k: check_shapes("q: ... queries d, k: ... keys d", q=q, k=k))
def fits_in_one_piece(q: Array, k: Array) -> bool:
    """Return whether the weights of these queries and keys are so few that `attention` can compute them all at once."""
    return (q.size // q.shape[-1]) * k.shape[-2] * q.itemsize <= WORKING_SET


def _parts(xp, of_queries, of_keys):
    """Yield views of some heads and some of their queries, with those heads' keys.

    Arrays that are written to must be contiguous: `reshape` copies others, and the views would be views of the copy.
    """
    of_queries = [a.reshape(-1, *a.shape[-2:]) for a in of_queries]
    of_keys = [a.reshape(-1, *a.shape[-2:]) for a in of_keys]
    heads, queries, _ = of_queries[0].shape
    bytes_of_a_query = of_keys[0].shape[1] * of_keys[0].itemsize
    for some_heads in pieces(xp, heads, queries * bytes_of_a_query, WORKING_SET):
        n_heads = some_heads.stop - some_heads.start
        for some_queries in pieces(xp, queries, n_heads * bytes_of_a_query, WORKING_SET):
            yield [a[some_heads, some_queries] for a in of_queries], [a[some_heads] for a in of_keys]
