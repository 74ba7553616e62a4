"""Group norm and SiLU in one pair, against the two plain pairs one after the other."""

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

from tinydiff.base import InputError, plain
from tinydiff.functional import (
    group_norm,
    group_norm_backward,
    group_norm_silu,
    group_norm_silu_backward,
    silu,
    silu_backward,
)

X, GAMMA, BETA = random(3, 4, 2, 8), random(8, seed=1), random(8, seed=2)
ARGS = (X, GAMMA, BETA)


def one_after_the_other(x, gamma, beta, dy, **options):
    h, norm_cache = group_norm(x, gamma, beta, **options)
    y, silu_cache = silu(h)
    (dh,) = silu_backward(dy, silu_cache)
    return y, *group_norm_backward(dh, norm_cache)


@pytest.mark.equation("GN-1")
@pytest.mark.equation("GN-2")
@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.integers(1, 3), st.lists(st.integers(1, 5), max_size=2), st.sampled_from([1, 2, 3]), st.integers(1, 4))
def test_it_equals_the_plain_pairs_one_after_the_other(n, sides, groups, per_group):
    c = groups * per_group
    x, gamma, beta, dy = random(n, *sides, c), random(c, seed=1), random(c, seed=2), random(n, *sides, c, seed=3)
    y, cache = group_norm_silu(x, gamma, beta, groups, 1e-3)
    expected = one_after_the_other(x, gamma, beta, dy, groups=groups, eps=1e-3)
    for a, b in zip((y, *group_norm_silu_backward(dy, cache)), expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("forward_is_plain", [False, True])
@pytest.mark.parametrize("backward_is_plain", [False, True])
def test_the_plain_twin_and_the_fused_one_can_take_each_others_caches(forward_is_plain, backward_is_plain):
    dy = random(*X.shape, seed=3)
    expected = one_after_the_other(*ARGS, dy)
    if forward_is_plain:
        with plain():
            y, cache = group_norm_silu(*ARGS)
    else:
        y, cache = group_norm_silu(*ARGS)
    if backward_is_plain:
        with plain():
            gradients = group_norm_silu_backward(dy, cache)
    else:
        gradients = group_norm_silu_backward(dy, cache)
    for a, b in zip((y, *gradients), expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(("shape", "groups"), [((3, 4, 2, 8), 2), ((1, 3, 3, 8), 8), ((2, 5, 8), 1), ((2, 8), 2)])
def test_gradients(shape, groups):
    assert_right(group_norm_silu, group_norm_silu_backward, (random(*shape), GAMMA, BETA), groups=groups)


def test_the_variance_of_centred_numbers_survives_a_mean_of_a_thousand_sigma():
    """What E[x^2] - mu^2 does to the same numbers, tests/functional/test_norm.py shows."""
    x = 1000 + random(2, 16, 16, 8)
    exact, _ = group_norm_silu(x, GAMMA, BETA, 2)
    ours, _ = group_norm_silu(*(a.astype(np.float32) for a in (x, GAMMA, BETA)), 2)
    assert abs(ours - exact).max() < 2e-3


def test_it_remembers_one_array_of_the_size_of_x():
    _, cache = group_norm_silu(*ARGS)
    assert sum(a.nbytes for a in cache if getattr(a, "shape", None) == X.shape) == X.nbytes


def test_large_inputs_do_not_overflow():
    x = np.zeros((1, 4, 4, 8), np.float32)
    x[0, 0, 0] = 1e15
    y, cache = group_norm_silu(x, np.full(8, 100, np.float32), np.zeros(8, np.float32), 2)
    assert np.isfinite(y).all()
    assert all(np.isfinite(d).all() for d in group_norm_silu_backward(y, cache))


def slope_of_silu_forgotten(dy, cache):
    rows = cache.centred.reshape(len(dy), -1, 8)
    return group_norm_backward(dy, (rows, cache.gamma, cache.rstd, cache.groups))


def factor_of_one_half_forgotten(dy, cache):
    dx, d_gamma, d_beta = group_norm_silu_backward(dy, cache)
    return dx, 2 * d_gamma, 2 * d_beta


@pytest.mark.parametrize("wrong", [slope_of_silu_forgotten, factor_of_one_half_forgotten])
def test_wrong_backwards_are_caught(wrong):
    assert_wrong(group_norm_silu, wrong, ARGS, groups=2)


def test_what_nobody_reads_is_not_computed():
    assert_skips_what_nobody_reads(group_norm_silu, group_norm_silu_backward, ARGS)


def test_both_array_modules(xp):
    assert_same_on(xp, group_norm_silu, group_norm_silu_backward, ARGS)


def test_bad_inputs_are_one_clear_sentence():
    with pytest.raises(InputError, match=r"gamma has shape \(7,\)"):
        group_norm_silu(X, GAMMA[:7], BETA)
    with pytest.raises(InputError, match="gamma is float32"):
        group_norm_silu(X, GAMMA.astype(np.float32), BETA)
    with pytest.raises(InputError, match="the number of channels = 8 cannot be divided into groups = 3"):
        group_norm_silu(*ARGS, 3)
    assert_refuses_dy(group_norm_silu, group_norm_silu_backward, ARGS, (3, 4, 1, 8), (1, 4, 2, 8), (3, 4, 2, 1))
