"""Scaled dot-product attention."""

import importlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pairs import assert_refuses_dy, assert_right, assert_same_on, assert_wrong, random

from tinydiff.base import InputError, plain
from tinydiff.functional import (
    attention,
    attention_backward,
    attention_in_pieces,
    attention_in_pieces_backward,
    merge_heads,
    softmax_backward,
    split_heads,
)
from tinydiff.functional.activation import SoftmaxCache
from tinydiff.nn import Gradients, SelfAttention, Tape

in_pieces = importlib.import_module("tinydiff.functional.fast.attention_in_pieces")  # also the name of a function
Q, K, V = random(2, 3, 5, 4), random(2, 3, 6, 4, seed=1), random(2, 3, 6, 7, seed=2)
MASK = np.random.default_rng(3).uniform(size=(5, 6)) < 0.6


def by_loops(q, k, v, mask=None):
    y = np.zeros((*q.shape[:-1], v.shape[-1]))
    for *lead, i in np.ndindex(q.shape[:-1]):
        lead = tuple(lead)
        allowed = range(k.shape[-2]) if mask is None else np.flatnonzero(mask[i])
        scores = np.array([np.exp(q[lead][i] @ k[lead][j] / np.sqrt(q.shape[-1])) for j in allowed])
        for j, score in zip(allowed, scores, strict=True):
            y[lead][i] += score / scores.sum() * v[lead][j]
    return y


@pytest.mark.equation("ATT-1")
@pytest.mark.parametrize("mask", [None, MASK])
def test_forward_equals_loops(mask):
    y, weights, _ = attention(Q, K, V, mask, return_weights=True)
    np.testing.assert_allclose(y, by_loops(Q, K, V, mask), rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(weights @ V, y, rtol=1e-11)
    if mask is not None:
        assert not weights[..., ~mask].any()


@pytest.mark.equation("ATT-2")
@pytest.mark.parametrize("mask", [None, MASK])
def test_gradients(mask):
    assert_right(attention, attention_backward, (Q, K, V), mask=mask)
    assert_right(attention, attention_backward, (Q[0, 0], K[0, 0], V[0, 0]), mask=mask)


def test_a_query_that_may_look_nowhere_gets_zeros_and_zero_gradients():
    mask = MASK.copy()
    mask[2] = False
    y, cache = attention(Q, K, V, mask)
    assert not y[..., 2, :].any()
    dq, dk, dv = attention_backward(random(*y.shape, seed=5), cache)
    assert not dq[..., 2, :].any()
    assert np.isfinite(dk).all()
    assert np.isfinite(dv).all()
    assert_right(attention, attention_backward, (Q, K, V), mask=mask)


def test_large_scores_do_not_overflow():
    y, _ = attention(1e3 * Q, 1e3 * K, V)
    assert np.isfinite(y).all()


def scale_forgotten(dy, cache):
    dq, dk, dv = attention_backward(dy, cache)
    return 2 * dq, dk, dv


def softmax_as_identity(dy, cache):
    q, k, v, weights = cache
    d_scores = (dy @ v.swapaxes(-1, -2)) * weights * q.shape[-1] ** -0.5
    return d_scores @ k, d_scores.swapaxes(-1, -2) @ q, weights.swapaxes(-1, -2) @ dy


def keys_and_queries_exchanged(dy, cache):
    q, k, v, weights = cache
    (d_scores,) = softmax_backward(dy @ v.swapaxes(-1, -2), SoftmaxCache(weights))
    d_scores *= q.shape[-1] ** -0.5
    return d_scores @ k, (d_scores.swapaxes(-1, -2) @ q)[..., ::-1, :], weights.swapaxes(-1, -2) @ dy


@pytest.mark.parametrize(
    ("wrong", "mistake"),
    [
        (scale_forgotten, "a factor: it is 2 times"),
        (softmax_as_identity, "WRONG"),
        (keys_and_queries_exchanged, "WRONG"),
    ],
)
def test_wrong_backwards_are_caught(wrong, mistake):
    assert_wrong(attention, wrong, (Q, K, V), mistake)


def test_heads_are_split_and_merged():
    x = random(2, 5, 12)
    heads = split_heads(x, 3)
    assert heads.shape == (2, 3, 5, 4)
    np.testing.assert_array_equal(heads[:, 1], x[..., 4:8])
    np.testing.assert_array_equal(merge_heads(heads), x)
    with pytest.raises(InputError, match="the number of channels = 12 cannot be divided into heads = 5"):
        split_heads(x, 5)


def test_both_array_modules(xp):
    assert_same_on(xp, attention, attention_backward, (Q, K, V))
    assert_same_on(xp, attention, attention_backward, (Q, K, V), mask=MASK)


def test_bad_inputs_are_one_clear_sentence():
    with pytest.raises(InputError, match=r"keys is 6 in k \(..., keys, d\), but 5 in v \(..., keys, d_v\)"):
        attention(Q, K, V[..., :5, :])
    with pytest.raises(InputError, match="k is float32"):
        attention(Q, K.astype(np.float32), V)
    with pytest.raises(InputError, match=r"k has shape \(2, 3, 0, 4\), but no axis .* may have size 0"):
        attention(Q, K[..., :0, :], V[..., :0, :])
    with pytest.raises(InputError, match=r"mask has shape \(6, 5\), which cannot be broadcast to .* = \(2, 3, 5, 6\)"):
        attention(Q, K, V, MASK.T)
    with pytest.raises(InputError, match=r"mask has shape \(4, 1, 1, 5, 6\)"):
        attention(Q, K, V, np.ones((4, 1, 1, 5, 6), bool))


def test_a_mask_that_is_meant_to_be_added_is_refused():
    """0 where a query may attend and -inf where not: read as a boolean, it would mean the opposite."""
    with pytest.raises(
        InputError, match="mask has dtype float64, but bool was expected: True where a query may attend"
    ):
        attention(Q, K, V, np.where(MASK, 0, -np.inf))


def test_a_dy_of_another_shape_is_refused():
    assert_refuses_dy(attention, attention_backward, (Q, K, V), (2, 3, 1, 7), (1, 3, 5, 7), (2, 3, 5, 4))


@pytest.mark.parametrize("shape", [(6,), (1, 6), (5, 1), (2, 1, 5, 6), (2, 1, 1, 6)])
def test_masks_are_broadcast(shape):
    mask = np.random.default_rng(4).uniform(size=shape) < 0.7
    full = np.broadcast_to(mask, (2, 3, 5, 6)).copy()
    np.testing.assert_array_equal(attention(Q, K, V, mask)[0], attention(Q, K, V, full)[0])
    assert_right(attention, attention_backward, (Q, K, V), mask=mask)


def test_where_nothing_may_be_seen_all_is_zero():
    y, weights, cache = attention(Q, K, V, np.zeros((5, 6), bool), return_weights=True)
    assert not y.any()
    assert not weights.any()
    assert not any(d.any() for d in attention_backward(random(*y.shape), cache))


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.lists(st.integers(1, 2), max_size=2), *[st.integers(1, 4)] * 4)
def test_any_shape_equals_loops(lead, queries, keys, d, d_v):
    q, k, v = random(*lead, queries, d), random(*lead, keys, d, seed=1), random(*lead, keys, d_v, seed=2)
    y, weights, _ = attention(q, k, v, return_weights=True)
    np.testing.assert_allclose(y, by_loops(q, k, v), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=1e-12)
    assert_right(attention, attention_backward, (q, k, v))


def in_pieces_of(monkeypatch, size):
    monkeypatch.setattr(in_pieces, "WORKING_SET", size)


@pytest.mark.equation("ATT-1")
@pytest.mark.equation("ATT-2")
@pytest.mark.parametrize("size", [1, 2 * 6 * 8, 5 * 6 * 8, 2 * 5 * 6 * 8, 10**6])  # one query .. all heads at once
@pytest.mark.parametrize("leading", [(), (2,), (2, 3)])
def test_attention_in_pieces_equals_attention(monkeypatch, size, leading):
    in_pieces_of(monkeypatch, size)
    q, k, v = random(*leading, 5, 4), random(*leading, 6, 4, seed=1), random(*leading, 6, 3, seed=2)
    dy = random(*leading, 5, 3, seed=3)
    expected, plain_cache = attention(q, k, v)
    y, cache = attention_in_pieces(q, k, v)
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-13)
    for a, b in zip(attention_in_pieces_backward(dy, cache), attention_backward(dy, plain_cache), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def test_attention_in_pieces_of_heads_that_are_views(monkeypatch):
    in_pieces_of(monkeypatch, 3 * 6 * 8)
    q, k, v, dy = (split_heads(random(2, 6, 8, seed=seed), 2) for seed in range(4))
    assert not q.flags.c_contiguous
    expected = attention_backward(dy, attention(q, k, v)[1])
    for a, b in zip(attention_in_pieces_backward(dy, attention_in_pieces(q, k, v)[1]), expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("size", [1, 10**6])
def test_gradients_of_attention_in_pieces(monkeypatch, xp, size):
    in_pieces_of(monkeypatch, size)
    args = random(2, 5, 4), random(2, 6, 4, seed=1), random(2, 6, 3, seed=2)
    assert_right(attention_in_pieces, attention_in_pieces_backward, args)
    assert_same_on(xp, attention_in_pieces, attention_in_pieces_backward, args)
    assert_refuses_dy(attention_in_pieces, attention_in_pieces_backward, args, (2, 5, 4), (5, 3))


def test_attention_in_pieces_keeps_no_weights_and_survives_large_scores():
    q, k, v = (1e3 * random(1, 40, 4, seed=seed) for seed in range(3))
    y, cache = attention_in_pieces(q, k, v)
    assert np.isfinite(y).all()
    assert all(np.isfinite(d).all() for d in attention_in_pieces_backward(y, cache))
    assert max(a.size for a in cache) == q.size


def scale_forgotten(dy, cache):
    dq, dk, dv = attention_in_pieces_backward(dy, cache)
    return dq * 2, dk, dv  # d = 4


def sum_over_keys_forgotten(dy, cache):
    return attention_in_pieces_backward(dy, cache._replace(y=0 * cache.y))


@pytest.mark.parametrize("wrong", [scale_forgotten, sum_over_keys_forgotten])
def test_wrong_backwards_of_attention_in_pieces_are_caught(wrong):
    assert_wrong(attention_in_pieces, wrong, (random(2, 5, 4), random(2, 6, 4, seed=1), random(2, 6, 3, seed=2)))


def test_the_module_takes_pieces_where_the_weights_are_many_and_nothing_else_changes(monkeypatch):
    module = SelfAttention(8, 2, np.random.default_rng(0), dtype=np.float64)
    module.pack()
    module.theta[...] += 0.3 * random(module.theta.size)
    x, dy = random(2, 3, 4, 8), random(2, 3, 4, 8, seed=1)

    def run():
        tape, grads = Tape(), Gradients(module.parameters())
        y = module.forward(x, tape)
        kind = type(tape.entries[2].cache).__name__
        return kind, y, module.backward(dy, tape, grads), grads.flat

    kind, *expected = run()
    assert kind == "AttentionCache"
    in_pieces_of(monkeypatch, 1)
    kind, *found = run()
    assert kind == "AttentionInPiecesCache"
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-11)
    with plain():
        assert run()[0] == "AttentionCache"
