"""The linear pair."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pairs import (
    assert_refuses_dy,
    assert_right,
    assert_same_on,
    assert_skips_what_nobody_reads,
    assert_wrong,
    random,
)

from tinydiff.base import InputError
from tinydiff.functional import linear, linear_backward
from tinydiff.gradcheck import adjoint_check

ARGS = (random(2, 5, 3), random(3, 4, seed=1), random(4, seed=2))


@pytest.mark.equation("LIN-1")
def test_forward_equals_a_loop():
    x, w, b = ARGS
    y, _ = linear(x, w, b)
    for n, i, o in np.ndindex(2, 5, 4):
        assert y[n, i, o] == pytest.approx(sum(x[n, i, c] * w[c, o] for c in range(3)) + b[o], rel=1e-12)


@pytest.mark.equation("LIN-2")
@pytest.mark.parametrize("shape", [(3,), (1, 3), (7, 3), (2, 5, 3)])
def test_gradients(shape):
    assert_right(linear, linear_backward, (random(*shape), *ARGS[1:]))
    assert_right(linear, linear_backward, (random(*shape), ARGS[1]))


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.lists(st.integers(1, 4), max_size=3), st.integers(1, 5), st.integers(1, 5))
def test_any_leading_axes_are_rows(leading, c_in, c_out):
    x, w, b = random(*leading, c_in), random(c_in, c_out, seed=1), random(c_out, seed=2)
    np.testing.assert_allclose(linear(x, w, b)[0], np.einsum("...i,io->...o", x, w) + b, rtol=1e-10, atol=1e-12)
    assert_right(linear, linear_backward, (x, w, b))


def test_it_is_the_transpose_of_itself():
    assert adjoint_check(linear, linear_backward, ARGS[:2]) < 1e-14


def wrong_sign(dy, cache):
    dx, dw, db = linear_backward(dy, cache)
    return dx, -dw, db


def forgotten_transpose(dy, cache):
    dx, dw, db = linear_backward(dy, cache)
    return dx, dw.T, db


def bias_not_summed(dy, cache):
    dx, dw, _ = linear_backward(dy, cache)
    return dx, dw, dy


@pytest.mark.parametrize(
    ("wrong", "mistake"),
    [(wrong_sign, "the sign"), (forgotten_transpose, "a transpose"), (bias_not_summed, "a missing sum")],
)
def test_wrong_backwards_are_caught(wrong, mistake):
    assert_wrong(linear, wrong, ARGS, mistake)


def test_what_nobody_reads_is_not_computed():
    assert_skips_what_nobody_reads(linear, linear_backward, ARGS)
    assert linear_backward(random(2, 5, 4), linear(*ARGS[:2])[1])[2] is None


def test_both_array_modules(xp):
    assert_same_on(xp, linear, linear_backward, ARGS)


def test_bad_inputs_are_one_clear_sentence():
    x, w, b = ARGS
    with pytest.raises(
        InputError, match=r"x has shape \(2, 5, 2\) and w has shape \(3, 4\): c_in is 2 in x .* but 3 in w"
    ):
        linear(x[..., :2], w, b)
    with pytest.raises(InputError, match="w has 1 axis"):
        linear(x, b)
    with pytest.raises(InputError, match=r"b has shape \(3,\): c_out is 4 in w .* but 3 in b"):
        linear(x, w, b[:3])
    with pytest.raises(InputError, match="x is float64, w is float32"):
        linear(x, w.astype(np.float32))
    with pytest.raises(InputError, match="list"):
        linear([1.0], w)


def test_a_dy_of_another_shape_is_refused():
    assert_refuses_dy(linear, linear_backward, ARGS, (2, 5, 3), (1, 5, 4), (10, 4), ())
