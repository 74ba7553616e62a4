"""Activations, softmax, dropout and the clamp."""

import math

import numpy as np
import pytest
import scipy.special
from arrays import to_xp
from hypothesis import given, settings
from hypothesis import strategies as st
from pairs import assert_refuses_dy, assert_right, assert_same_on, assert_wrong, random

from tinydiff.base import InputError, plain, to_numpy
from tinydiff.functional import (
    clamp,
    clamp_backward,
    dropout,
    dropout_backward,
    geglu,
    geglu_backward,
    gelu,
    gelu_backward,
    leaky_relu,
    leaky_relu_backward,
    quick_gelu,
    quick_gelu_backward,
    silu,
    silu_backward,
    softmax,
    softmax_backward,
)

X = random(3, 5)


@pytest.mark.equation("SILU-1")
def test_silu_equals_its_definition():
    y, _ = silu(X)
    np.testing.assert_allclose(y, X / (1 + np.exp(-X)), rtol=1e-13)
    y, _ = silu(np.array([-1e4, -100.0, 0.0, 100.0, 1e4]))
    np.testing.assert_allclose(y, [0, 0, 0, 100, 1e4], atol=1e-30)


@pytest.mark.equation("SILU-2")
def test_silus_gradient():
    assert_right(silu, silu_backward, (X,))


@pytest.mark.equation("GELU-1")
def test_gelu_equals_its_definition():
    y, _ = gelu(X)
    expected = [x * 0.5 * math.erfc(-x / math.sqrt(2)) for x in X.ravel()]
    np.testing.assert_allclose(y.ravel(), expected, rtol=1e-12)


def test_the_quick_normal_distribution_function_is_the_exact_one_to_the_last_bits_of_a_float32(xp):
    """Everywhere: a number as float32 near 1 is itself known to 6e-8 only."""
    gates = np.concatenate([np.linspace(-9, 9, 200_001), [-1e30, -40, 40, 1e30, 1e-30, -0.0]]).astype(np.float32)
    _, quick = gelu(to_xp(xp, gates))
    with plain():
        _, slow = gelu(to_xp(xp, gates))
    exact = 0.5 * (1 + scipy.special.erf(gates.astype(float) / math.sqrt(2)))
    for cdf in (to_numpy(quick.cdf), to_numpy(slow.cdf)):
        assert cdf.dtype == np.float32
        assert abs(cdf - exact).max() < 1.3e-7
    assert not np.array_equal(to_numpy(quick.cdf), to_numpy(slow.cdf)), "both took the same path"
    assert np.isnan(gelu(np.array([np.nan], np.float32))[0]).all()


@pytest.mark.equation("GELU-2")
def test_gelus_gradient():
    assert_right(gelu, gelu_backward, (X,))


@pytest.mark.equation("QGELU-1")
def test_quick_gelu_equals_its_definition_and_is_near_to_gelu():
    y, _ = quick_gelu(X)
    np.testing.assert_allclose(y, X / (1 + np.exp(-1.702 * X)), rtol=1e-13)
    x = np.linspace(-8, 8, 10_001)
    assert 0.020 < abs(quick_gelu(x)[0] - gelu(x)[0]).max() < 0.021  # as the docstring says


@pytest.mark.equation("QGELU-2")
def test_quick_gelus_gradient(xp):
    assert_right(quick_gelu, quick_gelu_backward, (X,))
    assert_same_on(xp, quick_gelu, quick_gelu_backward, (X,))
    assert_refuses_dy(quick_gelu, quick_gelu_backward, (X,), (3,), (3, 1))


@pytest.mark.equation("GEGLU-1")
def test_geglu_equals_its_definition():
    x = random(2, 3, 8)
    y, _ = geglu(x)
    for place in np.ndindex(2, 3, 4):
        gate = x[place[:2]][place[2] + 4]
        expected = x[place] * gate * 0.5 * math.erfc(-gate / math.sqrt(2))
        np.testing.assert_allclose(y[place], expected, rtol=1e-12)
    with pytest.raises(InputError, match="cannot be divided"):
        geglu(random(2, 3))


def halves_exchanged(dy, cache):
    (dx,) = geglu_backward(dy, cache)
    return (np.roll(dx, dx.shape[-1] // 2, axis=-1),)


@pytest.mark.equation("GEGLU-2")
def test_geglus_gradient(xp):
    assert_right(geglu, geglu_backward, (random(2, 3, 8),))
    assert_same_on(xp, geglu, geglu_backward, (random(2, 3, 8),))
    assert_refuses_dy(geglu, geglu_backward, (random(2, 8),), (2, 8), (4,))
    assert_wrong(geglu, halves_exchanged, (random(2, 3, 8),))


@pytest.mark.equation("LRELU-1")
def test_leaky_relu_equals_its_definition():
    y, _ = leaky_relu(X, 0.3)
    np.testing.assert_array_equal(y, [[x if x > 0 else 0.3 * x for x in row] for row in X])
    for slope, expected in [(0, np.maximum(X, 0)), (1, X)]:  # ReLU, and nothing at all
        np.testing.assert_array_equal(leaky_relu(X, slope)[0], expected)
    for slope in (-0.1, 1.1, math.nan):
        with pytest.raises(InputError, match=f"slope is {slope}"):
            leaky_relu(X, slope)


@pytest.mark.equation("LRELU-2")
def test_leaky_relus_gradient(xp):
    assert_right(leaky_relu, leaky_relu_backward, (X,), slope=0.3)
    assert_same_on(xp, leaky_relu, leaky_relu_backward, (X,), slope=0.3)
    assert_refuses_dy(leaky_relu, leaky_relu_backward, (X,), (3,), (3, 1))
    _, cache = leaky_relu(np.array([0.0, -0.0]))
    np.testing.assert_array_equal(leaky_relu_backward(np.ones(2), cache)[0], 0.2)  # at the kink, as PyTorch does


@pytest.mark.equation("SM-1")
def test_softmax_equals_its_definition_and_does_not_overflow():
    y, _ = softmax(X)
    for row, out in zip(X, y, strict=True):
        np.testing.assert_allclose(out, [math.exp(a) / sum(math.exp(b) for b in row) for a in row], rtol=1e-13)
    y, _ = softmax(np.array([[1e4, 1e4, -1e4]]))
    np.testing.assert_allclose(y, [[0.5, 0.5, 0]])


@pytest.mark.equation("SM-2")
def test_softmaxs_gradient():
    assert_right(softmax, softmax_backward, (random(2, 3, 5),))


UNIFORM = np.random.default_rng(0).uniform(size=(3, 5))


@pytest.mark.equation("DROP-1")
def test_dropout_drops_and_keeps_the_mean():
    """False-alarm rate: the mean of 10^5 numbers of variance 2/3 lies within 6 sigma but for 1 seed in 10^8."""
    uniform = np.random.default_rng(0).uniform(size=100_000)
    y, _ = dropout(np.ones(100_000), 0.4, uniform)
    assert set(np.unique(y)) == {0, 1 / 0.6}
    assert abs(y.mean() - 1) < 6 * (2 / 3 / 100_000) ** 0.5
    y, _ = dropout(X, 0.0, UNIFORM)
    np.testing.assert_array_equal(y, X)


@pytest.mark.equation("DROP-2")
def test_dropouts_gradient_passes_only_what_was_kept():
    _, cache = dropout(X, 0.5, UNIFORM)
    dy = random(3, 5, seed=3)
    (dx,) = dropout_backward(dy, cache)
    np.testing.assert_allclose(dx, np.where(UNIFORM >= 0.5, 2 * dy, 0))
    assert_right(lambda x: dropout(x, 0.3, UNIFORM), dropout_backward, (X,))
    with pytest.raises(InputError, match="rate is 1"):
        dropout(X, 1.0, UNIFORM)
    with pytest.raises(InputError, match=r"uniform has shape \(3, 4\)"):
        dropout(X, 0.5, UNIFORM[:, :4])


def silu_slope_of_sigmoid_only(dy, cache):
    return (dy * cache.sigmoid,)


def silu_sign(dy, cache):
    return (-silu_backward(dy, cache)[0],)


def silu_halved(dy, cache):
    return (0.5 * silu_backward(dy, cache)[0],)


def gelu_without_density(dy, cache):
    return (dy * cache.cdf,)


def gelu_density_without_x(dy, cache):
    x, cdf = cache
    return (dy * (cdf + np.exp(-0.5 * x * x) / (2 * np.pi) ** 0.5),)


def quick_gelu_without_its_slope(dy, cache):
    return (dy * (cache.sigmoid + cache.y * (1 - cache.sigmoid)),)


def gelu_zero(dy, cache):
    return (0 * dy,)


def leaky_relu_as_relu(dy, cache):
    return (dy * (cache.x > 0),)


def leaky_relu_by_the_sign_of_dy(dy, cache):
    return leaky_relu(dy, cache.slope)[:1]


def softmax_diagonal_only(dy, cache):
    (y,) = cache
    return (y * dy,)


def softmax_sum_over_wrong_axis(dy, cache):
    (y,) = cache
    return (y * (dy - (dy * y).sum(axis=0, keepdims=True)),)


def softmax_of_sigmoids(dy, cache):
    (y,) = cache
    return (dy * y * (1 - y),)


@pytest.mark.parametrize(
    ("f", "wrong", "mistake"),
    [
        (silu, silu_slope_of_sigmoid_only, "a missing or a wrong term"),
        (silu, silu_sign, "the sign"),
        (silu, silu_halved, "a factor: it is 0.5 times"),
        (gelu, gelu_without_density, ""),
        (gelu, gelu_density_without_x, ""),
        (gelu, gelu_zero, "all zeros"),
        (quick_gelu, quick_gelu_without_its_slope, ""),
        (leaky_relu, leaky_relu_as_relu, ""),
        (leaky_relu, leaky_relu_by_the_sign_of_dy, ""),
        (softmax, softmax_diagonal_only, ""),
        (softmax, softmax_sum_over_wrong_axis, ""),
        (softmax, softmax_of_sigmoids, ""),
    ],
)
def test_wrong_backwards_are_caught(f, wrong, mistake):
    assert_wrong(f, wrong, (X,), mistake)


def dropout_of(x, uniform):
    return dropout(x, 0.5, uniform)


def dropout_not_scaled(dy, cache):
    return (dy * (cache.factor > 0),)


def dropout_mask_forgotten(dy, cache):
    return (2 * dy,)


def dropout_mask_inverted(dy, cache):
    return (2 * dy * (cache.factor == 0),)


@pytest.mark.parametrize("wrong", [dropout_not_scaled, dropout_mask_forgotten, dropout_mask_inverted])
def test_wrong_backwards_of_dropout_are_caught(wrong):
    def f(x):
        return dropout_of(x, UNIFORM)

    assert_wrong(f, wrong, (X,))


@pytest.mark.parametrize(
    ("f", "f_backward"), [(silu, silu_backward), (gelu, gelu_backward), (softmax, softmax_backward)]
)
def test_both_array_modules(xp, f, f_backward):
    assert_same_on(xp, f, f_backward, (X,))


def test_dropout_on_both_array_modules(xp):
    assert_same_on(xp, dropout, dropout_backward, (X, 0.5, UNIFORM))


@pytest.mark.parametrize("f", [silu, gelu, softmax])
def test_bad_inputs_are_one_clear_sentence(f):
    with pytest.raises(InputError, match="x has dtype int64"):
        f(np.arange(3))
    with pytest.raises(InputError, match="x is of type list"):
        f([1.0, 2.0])


def test_dropout_of_integers_and_a_softmax_of_nothing_are_refused():
    with pytest.raises(InputError, match="x has dtype int64"):
        dropout(np.arange(15).reshape(3, 5), 0.5, UNIFORM)
    with pytest.raises(InputError, match=r"x has shape \(2, 0\): a softmax of no numbers"):
        softmax(np.zeros((2, 0)))


def test_a_dy_of_another_shape_is_refused():
    for f, f_backward in ((silu, silu_backward), (gelu, gelu_backward), (softmax, softmax_backward)):
        assert_refuses_dy(f, f_backward, (X,), (1, 5), (3, 1), (5,), ())
    assert_refuses_dy(dropout, dropout_backward, (X, 0.5, UNIFORM), (1, 5), (3, 1))


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.integers(0, 100))
def test_any_shape_goes_in_and_comes_out(shape, seed):
    x = random(*shape, seed=seed)
    for f, f_backward in ((silu, silu_backward), (gelu, gelu_backward)):
        assert f(x)[0].shape == x.shape
        assert_right(f, f_backward, (x,))
    y, cache = softmax(x)
    np.testing.assert_allclose(y.sum(axis=-1), 1, rtol=1e-12)
    (dx,) = softmax_backward(random(*shape, seed=seed + 1), cache)
    np.testing.assert_allclose(dx.sum(axis=-1), 0, atol=1e-12)  # a constant added to x changes nothing


def clamp_that_is_deaf(dy, cache):
    return (dy,)


@pytest.mark.equation("CLAMP-1")
@pytest.mark.equation("CLAMP-2")
def test_the_clamp(xp):
    x = np.array([[-31.0, -30.0, -2.0], [19.5, 20.0, 1e300]])
    y, cache = clamp(x, -30.0, 20.0)
    np.testing.assert_array_equal(y, [[-30, -30, -2], [19.5, 20, 20]])
    np.testing.assert_array_equal(clamp_backward(0 * x + 3, cache)[0], [[0, 3, 3], [3, 3, 0]])
    assert np.isnan(clamp(np.array([np.nan]), 0.0, 1.0)[0]).all()  # what went wrong before is not hidden
    assert_right(clamp, clamp_backward, (X, -0.5, 0.8))
    assert_same_on(xp, clamp, clamp_backward, (X, -0.5, 0.8))
    assert_refuses_dy(clamp, clamp_backward, (X, -0.5, 0.8), (3,), (3, 1))
    assert_wrong(clamp, clamp_that_is_deaf, (X, -0.5, 0.8))
    with pytest.raises(InputError, match="least is 1 and most is 1"):
        clamp(X, 1, 1)
