"""Group, layer and batch norm: one backward, three choices of what shares statistics."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pairs import assert_refuses_dy, assert_right, assert_same_on, assert_skips_what_nobody_reads, assert_wrong, random

from tinydiff.base import InputError
from tinydiff.functional import (
    batch_norm,
    batch_norm_backward,
    default_groups,
    group_norm,
    group_norm_backward,
    layer_norm,
    layer_norm_backward,
    unit_length,
    unit_length_backward,
)

X, GAMMA, BETA = random(3, 4, 2, 8), random(8, seed=1), random(8, seed=2)
EPS = 1e-5


@pytest.mark.equation("GN-1")
@pytest.mark.parametrize("groups", [1, 2, 4, 8])
def test_group_norm_equals_a_loop_over_images_and_groups(groups):
    y, _ = group_norm(X, GAMMA, BETA, groups)
    size = 8 // groups
    for n in range(3):
        for g in range(groups):
            channels = slice(g * size, (g + 1) * size)
            part = X[n, ..., channels]
            expected = (part - part.mean()) / np.sqrt(part.var() + EPS) * GAMMA[channels] + BETA[channels]
            np.testing.assert_allclose(y[n, ..., channels], expected, rtol=1e-10, atol=1e-12)


@pytest.mark.equation("GN-2")
@pytest.mark.parametrize(("shape", "groups"), [((3, 4, 2, 8), 2), ((1, 3, 3, 8), 8), ((2, 5, 8), 1), ((2, 1, 1, 8), 2)])
def test_group_norms_gradients(shape, groups):
    assert_right(group_norm, group_norm_backward, (random(*shape), GAMMA, BETA), groups=groups)


@pytest.mark.equation("LN-1")
def test_layer_norm_equals_a_loop_over_positions():
    y, _ = layer_norm(X, GAMMA, BETA)
    for index in np.ndindex(X.shape[:-1]):
        row = X[index]
        np.testing.assert_allclose(y[index], (row - row.mean()) / np.sqrt(row.var() + EPS) * GAMMA + BETA, rtol=1e-10)


@pytest.mark.equation("LN-2")
@pytest.mark.parametrize("shape", [(3, 4, 2, 8), (1, 8), (1, 3, 3, 8)])
def test_layer_norms_gradients(shape):
    assert_right(layer_norm, layer_norm_backward, (random(*shape), GAMMA, BETA))


@pytest.mark.equation("BN-1")
def test_batch_norm_equals_a_loop_over_channels():
    y, _ = batch_norm(X, GAMMA, BETA)
    for c in range(8):
        part = X[..., c]
        expected = (part - part.mean()) / np.sqrt(part.var() + EPS) * GAMMA[c] + BETA[c]
        np.testing.assert_allclose(y[..., c], expected, rtol=1e-10)


@pytest.mark.equation("BN-2")
@pytest.mark.parametrize("shape", [(3, 4, 2, 8), (5, 8), (1, 3, 3, 8)])
def test_batch_norms_gradients(shape):
    assert_right(batch_norm, batch_norm_backward, (random(*shape), GAMMA, BETA))


def test_batch_norm_couples_the_images_of_a_batch_and_group_norm_does_not():
    changed = X.copy()
    changed[0] += 3
    for f, coupled in ((batch_norm, True), (group_norm, False), (layer_norm, False)):
        before, after = f(X, GAMMA, BETA)[0][1:], f(changed, GAMMA, BETA)[0][1:]
        assert np.array_equal(before, after) != coupled


def from_moments(x, gamma, beta, groups):
    """Group norm with the variance as E[x^2] - mu^2: right on paper, wrong in float32."""
    rows = x.reshape(len(x), -1, groups, x.shape[-1] // groups)
    mu = rows.mean(axis=(1, 3), keepdims=True)
    variance = (rows * rows).mean(axis=(1, 3), keepdims=True) - mu * mu
    return ((rows - mu) / np.sqrt(np.maximum(variance, 0) + EPS)).reshape(x.shape) * gamma + beta


def test_the_variance_of_centred_numbers_survives_a_mean_of_a_thousand_sigma():
    x = 1000 + random(2, 16, 16, 8)
    exact, _ = group_norm(x, GAMMA, BETA, 2)
    x, gamma, beta = (a.astype(np.float32) for a in (x, GAMMA, BETA))
    ours, _ = group_norm(x, gamma, beta, 2)
    assert abs(ours - exact).max() < 2e-3
    assert abs(from_moments(x, gamma, beta, 2) - exact).max() > 0.02


def test_default_groups():
    assert [default_groups(c) for c in (1, 3, 4, 8, 64, 128, 512)] == [1, 1, 1, 2, 16, 32, 32]
    for channels in range(1, 200):
        assert channels % default_groups(channels) == 0


def no_path_through_the_mean(dy, cache):
    dx, dg, db = group_norm_backward(dy, cache)
    _, gamma, rstd, _ = cache
    g = (dy * gamma).reshape(len(dy), -1, 2, 4)
    return dx + rstd[:, :, None, :1] * g.mean(axis=(1, 3), keepdims=True).repeat(4, 3).reshape(len(dy), 1, 1, 8), dg, db


def no_path_through_the_variance(dy, cache):
    _, gamma, rstd, _ = cache
    g = (dy * gamma).reshape(len(dy), -1, 2, 4)
    dx = (g - g.mean(axis=(1, 3), keepdims=True)).reshape(dy.shape) * rstd[:, :, None]
    return dx, *group_norm_backward(dy, cache)[1:]


def gamma_gradient_without_x_hat(dy, cache):
    dx, _, db = group_norm_backward(dy, cache)
    return dx, db, db


def scale_forgotten(dy, cache):
    return group_norm_backward(dy, cache._replace(gamma=np.ones(8)))


@pytest.mark.parametrize(
    "wrong",
    [no_path_through_the_mean, no_path_through_the_variance, gamma_gradient_without_x_hat, scale_forgotten],
)
def test_wrong_backwards_of_group_norm_are_caught(wrong):
    assert_wrong(group_norm, wrong, (X, GAMMA, BETA), groups=2)


def direct_path_only(dy, cache):
    x_hat, gamma, rstd = cache
    rows = tuple(range(dy.ndim - 1))
    return dy * gamma * rstd, (dy * x_hat).sum(axis=rows), dy.sum(axis=rows)


def beta_not_summed(backward):
    def wrong(dy, cache):
        return *backward(dy, cache)[:2], dy

    return wrong


def beta_sign(backward):
    def wrong(dy, cache):
        dx, d_gamma, d_beta = backward(dy, cache)
        return dx, d_gamma, -d_beta

    return wrong


@pytest.mark.parametrize(("f", "backward"), [(layer_norm, layer_norm_backward), (batch_norm, batch_norm_backward)])
def test_wrong_backwards_of_layer_and_batch_norm_are_caught(f, backward):
    assert_wrong(f, direct_path_only, (X, GAMMA, BETA))
    assert_wrong(f, beta_not_summed(backward), (X, GAMMA, BETA), "a missing sum")
    assert_wrong(f, beta_sign(backward), (X, GAMMA, BETA), "the sign")


PAIRS = [(group_norm, group_norm_backward), (layer_norm, layer_norm_backward), (batch_norm, batch_norm_backward)]


@pytest.mark.parametrize(("f", "backward"), PAIRS)
def test_what_nobody_reads_is_not_computed(f, backward):
    assert_skips_what_nobody_reads(f, backward, (X, GAMMA, BETA))


@pytest.mark.parametrize(("f", "backward"), PAIRS)
def test_both_array_modules(xp, f, backward):
    assert_same_on(xp, f, backward, (X, GAMMA, BETA))


@pytest.mark.parametrize("f", [group_norm, layer_norm, batch_norm])
def test_bad_inputs_are_one_clear_sentence(f):
    with pytest.raises(InputError, match=r"gamma has shape \(7,\)"):
        f(X, GAMMA[:7], BETA)
    with pytest.raises(InputError, match="gamma is float32"):
        f(X, GAMMA.astype(np.float32), BETA)
    with pytest.raises(InputError, match=r"x has 1 axis \(shape \(8,\)\), but \(N, ..., C\) was expected"):
        f(X[0, 0, 0], GAMMA, BETA)
    with pytest.raises(InputError, match=r"x has shape \(0, 4, 2, 8\)"):
        f(X[:0], GAMMA, BETA)
    with pytest.raises(InputError, match="eps is -1e-05"):
        f(X, GAMMA, BETA, eps=-1e-5)


def test_channels_must_divide_into_groups():
    with pytest.raises(InputError, match="the number of channels = 8 cannot be divided into groups = 3"):
        group_norm(X, GAMMA, BETA, 3)


@pytest.mark.parametrize(("f", "backward"), PAIRS)
def test_a_dy_of_another_shape_is_refused(f, backward):
    assert_refuses_dy(f, backward, (X, GAMMA, BETA), (3, 4, 1, 8), (1, 4, 2, 8), (3, 4, 2, 1))


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.integers(1, 3), st.lists(st.integers(1, 4), max_size=2), st.sampled_from([1, 2, 3]), st.integers(1, 4))
def test_group_norm_of_any_shape_has_mean_0_and_variance_1_in_every_group(n, sides, groups, per_group):
    x, ones = random(n, *sides, groups * per_group), np.ones(groups * per_group)
    y, _ = group_norm(x, ones, 0 * ones, groups, eps=1e-12)
    parts = y.reshape(n, -1, groups, per_group)
    np.testing.assert_allclose(parts.mean(axis=(1, 3)), 0, atol=1e-10)
    if parts[0, :, 0].size > 1:
        np.testing.assert_allclose(parts.var(axis=(1, 3)), 1, rtol=1e-6)
    assert_right(group_norm, group_norm_backward, (x, ones, 0 * ones), groups=groups, eps=0.1)


def test_layer_norm_is_group_norm_of_one_group_where_an_image_has_one_position():
    x = random(5, 8)
    np.testing.assert_allclose(layer_norm(x, GAMMA, BETA)[0], group_norm(x, GAMMA, BETA, 1)[0], rtol=1e-11)


@pytest.mark.equation("UNIT-1")
@pytest.mark.equation("UNIT-2")
def test_unit_length(xp):
    x = random(3, 4, 5)
    y, _ = unit_length(x)
    np.testing.assert_allclose(np.linalg.norm(y, axis=-1), 1)
    np.testing.assert_allclose(np.cross(y[..., :3], x[..., :3]), 0, atol=1e-12)  # the direction stays
    assert_right(unit_length, unit_length_backward, (x,))
    assert_same_on(xp, unit_length, unit_length_backward, (x,))
    assert np.isfinite(unit_length(np.zeros((1, 3)))[0]).all()
