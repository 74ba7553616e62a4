"""Exercises of notebook 07: the backward of a normalisation, and of attention."""

from functools import partial

import numpy as np

from tinydiff.course.exercise import Exercise
from tinydiff.functional import attention_backward, layer_norm_backward
from tinydiff.functional.attention import AttentionCache
from tinydiff.functional.norm import LayerNormCache

_RNG = np.random.default_rng(7)
_X = _RNG.standard_normal((2, 6)) * 3 + 1
_RSTD = (_X.var(axis=1, keepdims=True) + 1e-5) ** -0.5
_X_HAT = (_X - _X.mean(axis=1, keepdims=True)) * _RSTD
_G = _RNG.standard_normal((2, 6))


def _norm_dx(g, x_hat, rstd):
    return layer_norm_backward(g, LayerNormCache(x_hat, np.ones(x_hat.shape[-1]), rstd))[0]


def _paths(g, x_hat, rstd, mean=1.0, variance=1.0, scale=1.0, axis=-1, total=False, shape=True):
    add = np.sum if total else np.mean
    through_mean = add(g, axis=axis, keepdims=True)
    through_variance = add(g * x_hat, axis=axis, keepdims=True) * (x_hat if shape else 1.0)
    return rstd**scale * (g - mean * through_mean - variance * through_variance)


NORM = Exercise(
    grade="transcribe",
    reference=_norm_dx,
    cases=[(_G, _X_HAT, _RSTD), (_G[:1] + 0.5, _X_HAT[:1], _RSTD[:1])],
    returns=["dx"],
    mistakes={
        "the path through the mean is missing: raising one x raises the mean, and lowers every x_hat.": (
            partial(_paths, mean=0.0)
        ),
        "the path through the variance is missing: an x far from the mean widens the group, and shrinks every x_hat.": (
            partial(_paths, variance=0.0)
        ),
        "only the direct path is there; x also reaches every x_hat through the mean and through the variance.": (
            partial(_paths, mean=0.0, variance=0.0)
        ),
        "rstd is missing: x_hat is x in units of the standard deviation.": partial(_paths, scale=0.0),
        "the paths through mean and variance are means over the group, not sums.": partial(_paths, total=True),
        "the path through the variance must be multiplied by x_hat: it is strongest far from the mean.": (
            partial(_paths, shape=False)
        ),
        "the means are taken over all rows together; each group has its own mean and variance.": (
            partial(_paths, axis=None)
        ),
    },
    hints=[],
    praise="Three paths meet: direct, through the mean, through the variance.",
)


def _weights(q, k):
    scores = q @ k.T * q.shape[-1] ** -0.5
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


_Q, _K, _V, _DY = (_RNG.standard_normal((3, 4)) for _ in range(4))
_P = _weights(_Q, _K)
_LONG_K, _LONG_V = _RNG.standard_normal((5, 4)), _RNG.standard_normal((5, 4))


def _attention(dy, q, k, v, weights):
    return attention_backward(dy, AttentionCache(q, k, v, weights))


def _by_hand(dy, q, k, v, weights, scaled=True, softmax=True, inner=True, transposed=True, mixed=False):
    dp = dy @ v.T
    ds = weights * (dp - (dp * weights).sum(axis=-1, keepdims=True) * inner) if softmax else dp
    ds = ds * q.shape[-1] ** -0.5 if scaled else ds
    square = weights.shape[0] == weights.shape[1]
    dv = weights.T @ dy if transposed or not square else weights @ dy
    dq, dk = ds @ k, ds.T @ q
    if mixed and square:
        dq, dk = ds.T @ k, ds @ q
    return dq, dk, dv


ATTENTION = Exercise(
    grade="transcribe",
    reference=_attention,
    cases=[(_DY, _Q, _K, _V, _P), (_DY, _Q, _LONG_K, _LONG_V, _weights(_Q, _LONG_K))],
    returns=["dq", "dk", "dv"],
    mistakes={
        "the factor 1 / sqrt(d) is missing: the scores were q k^T / sqrt(d), so it comes back in their gradient.": (
            partial(_by_hand, scaled=False)
        ),
        "the softmax is missing: what reaches the weights must go back through it to reach the scores.": (
            partial(_by_hand, softmax=False)
        ),
        "the softmax has only half of its gradient: subtract the sum of d_weights * weights in every row.": (
            partial(_by_hand, inner=False)
        ),
        "dv uses the weights as they are; the keys collect from all queries that read them: transpose.": (
            partial(_by_hand, transposed=False)
        ),
        "d_scores is transposed in the wrong place: rows are queries, so dq = d_scores k and dk = d_scores^T q.": (
            partial(_by_hand, mixed=True)
        ),
    },
    hints=[],
    praise="Back through the average, the softmax and the product.",
)
