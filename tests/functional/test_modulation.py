"""Tokens that a vector of their image scales, shifts and gates."""

import numpy as np
import pytest
from pairs import assert_refuses_dy, assert_right, assert_same_on, assert_wrong, random

from tinydiff.base import InputError
from tinydiff.functional import gate, gate_backward, modulate, modulate_backward
from tinydiff.gradcheck import adjoint_check

X, SHIFT, SCALE = random(2, 3, 4), random(2, 4, seed=1), random(2, 4, seed=2)


@pytest.mark.equation("MOD-1")
def test_modulation_equals_a_loop():
    y, _ = modulate(X, SHIFT, SCALE)
    for n, i, c in np.ndindex(X.shape):
        assert y[n, i, c] == pytest.approx(X[n, i, c] * (1 + SCALE[n, c]) + SHIFT[n, c], rel=1e-12)
    np.testing.assert_array_equal(modulate(X, 0 * SHIFT, 0 * SCALE)[0], X)


@pytest.mark.equation("MOD-2")
def test_modulations_gradient():
    assert_right(modulate, modulate_backward, (X, SHIFT, SCALE))
    assert_right(modulate, modulate_backward, (X[:1, :1], SHIFT[:1], SCALE[:1]))


@pytest.mark.equation("GATE-1")
def test_a_gate_equals_a_loop():
    y, _ = gate(X, SCALE)
    for n, i, c in np.ndindex(X.shape):
        assert y[n, i, c] == pytest.approx(X[n, i, c] * SCALE[n, c], rel=1e-12)
    assert not gate(X, 0 * SCALE)[0].any()


@pytest.mark.equation("GATE-2")
def test_a_gates_gradient():
    assert_right(gate, gate_backward, (X, SCALE))
    assert adjoint_check(lambda x: gate(x, SCALE), lambda dy, cache: gate_backward(dy, cache)[:1], (X,)) < 1e-14


def one_forgotten(dy, cache):
    dx, d_shift, d_scale = modulate_backward(dy, cache)
    return dx - dy, d_shift, d_scale


def the_first_token_only(dy, cache):
    dx, _, d_scale = modulate_backward(dy, cache)
    return dx, dy[:, 0], d_scale


def averaged(dy, cache):
    dx, d_shift, d_scale = modulate_backward(dy, cache)
    return dx, d_shift, d_scale / 3


def gate_not_applied(dy, cache):
    return dy, gate_backward(dy, cache)[1]


@pytest.mark.parametrize(
    ("f", "wrong", "inputs", "mistake"),
    [
        (modulate, one_forgotten, (X, SHIFT, SCALE), "WRONG"),
        (modulate, the_first_token_only, (X, SHIFT, SCALE), "WRONG"),
        (modulate, averaged, (X, SHIFT, SCALE), "a factor"),
        (gate, gate_not_applied, (X, SCALE), "WRONG"),
    ],
)
def test_wrong_backwards_are_caught(f, wrong, inputs, mistake):
    assert_wrong(f, wrong, inputs, mistake)


def test_both_array_modules(xp):
    assert_same_on(xp, modulate, modulate_backward, (X, SHIFT, SCALE))
    assert_same_on(xp, gate, gate_backward, (X, SCALE))


def test_bad_inputs_are_one_clear_sentence():
    with pytest.raises(InputError, match=r"C is 4 in x \(N, tokens, C\), but 3 in shift"):
        modulate(X, SHIFT[:, :3], SCALE)
    with pytest.raises(InputError, match="gate has 3 axes"):
        gate(X, X)
    assert_refuses_dy(modulate, modulate_backward, (X, SHIFT, SCALE), (2, 2, 4), (1, 3, 4), (2, 4))
    assert_refuses_dy(gate, gate_backward, (X, SCALE), (2, 2, 4), (1, 3, 4), (2, 4))
