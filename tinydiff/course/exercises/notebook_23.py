"""Exercises of notebook 23: pixels look at words, and what comes back to the words."""

from functools import partial

import numpy as np

from tinydiff.course.exercise import Exercise
from tinydiff.functional import attention, linear, linear_backward

_RNG = np.random.default_rng(23)
_PIXELS, _WORDS, _FEW = (_RNG.standard_normal((n, 4)) for n in (5, 5, 3))
_W_Q, _W_K, _W_V = (_RNG.standard_normal((4, 4)) for _ in range(3))


def _cross_attention(x, context, w_q, w_k, w_v):
    q, k, v = (linear(a, w)[0] for a, w in ((x, w_q), (context, w_k), (context, w_v)))
    y, weights, _ = attention(q, k, v, return_weights=True)
    return y, weights


def _by_hand(x, context, w_q, w_k, w_v, scale=0.5, axis=-1, values=True, softmax=True, swap=False, itself=False):
    asked = x if itself else context
    q, k = x @ w_q, asked @ w_k
    v = asked @ (w_v if values else w_k)
    if swap and len(x) == len(context):
        q, k, v = context @ w_q, x @ w_k, x @ w_v
    scores = q @ k.T / q.shape[-1] ** scale
    if not softmax:
        return scores @ v, scores
    e = np.exp(scores - scores.max(axis=axis, keepdims=True))
    weights = e / e.sum(axis=axis, keepdims=True)
    return weights @ v, weights


CROSS = Exercise(
    grade="transcribe",
    reference=_cross_attention,
    cases=[(_PIXELS, _WORDS, _W_Q, _W_K, _W_V), (_PIXELS, _FEW, _W_Q, _W_K, _W_V)],
    returns=["y", "weights"],
    mistakes={
        "keys and values come from the pixels: that is self-attention, and no word is heard.": (
            partial(_by_hand, itself=True)
        ),
        "pixels and words are swapped: the pixels ask, so they make the queries.": partial(_by_hand, swap=True),
        "the values are made with the keys' matrix; what a word is and what it says are two things.": (
            partial(_by_hand, values=False)
        ),
        "the scores are not divided by the root of the number of channels.": partial(_by_hand, scale=0.0),
        "the scores are divided by the number of channels; it is its square root.": partial(_by_hand, scale=1.0),
        "the softmax is taken over the pixels; each pixel shares its attention among the words: the last axis.": (
            partial(_by_hand, axis=0)
        ),
        "the softmax is missing: weights must be positive and sum to 1 for each pixel.": partial(
            _by_hand, softmax=False
        ),
    },
    hints=[],
    praise="Pixels ask, words answer.",
)

_DK, _DV = _RNG.standard_normal((5, 4)), _RNG.standard_normal((5, 4))


def _context_backward(dk, dv, context, w_k, w_v):
    d_by_keys, dw_k, _ = linear_backward(dk, linear(context, w_k)[1])
    d_by_values, dw_v, _ = linear_backward(dv, linear(context, w_v)[1])
    return d_by_keys + d_by_values, dw_k, dw_v


def _back(dk, dv, context, w_k, w_v, keys=1.0, values=1.0, transposed=True, swapped=False, turned=False):
    by_keys, by_values = (dv, dk) if swapped else (dk, dv)
    d_context = keys * by_keys @ (w_k.T if transposed else w_k) + values * by_values @ (w_v.T if transposed else w_v)
    dw_k, dw_v = context.T @ dk, context.T @ dv
    return d_context, *((dw_k.T, dw_v.T) if turned else (dw_k, dw_v))


CONTEXT = Exercise(
    grade="transcribe",
    reference=_context_backward,
    cases=[(_DK, _DV, _WORDS, _W_K, _W_V), (_DK[:3], _DV[:3], _FEW, _W_K, _W_V)],
    returns=["d_context", "dw_k", "dw_v"],
    mistakes={
        "the values are forgotten: the context was read twice, by keys and by values, and gradients add.": (
            partial(_back, values=0.0)
        ),
        "the keys are forgotten: the context was read twice, by keys and by values, and gradients add.": (
            partial(_back, keys=0.0)
        ),
        "d_context is a mean of two; gradients of what was used twice add.": partial(_back, keys=0.5, values=0.5),
        "the two gradients are subtracted; they add.": partial(_back, values=-1.0),
        "w_k and w_v are not transposed: of y = x w it is dx = dy w^T.": partial(_back, transposed=False),
        "dk goes back through the values' matrix, and dv through the keys'.": partial(_back, swapped=True),
        "dw_k and dw_v are transposed: of y = x w it is dw = x^T dy.": partial(_back, turned=True),
    },
    hints=[],
    praise="Two readers, and their gradients add.",
)
