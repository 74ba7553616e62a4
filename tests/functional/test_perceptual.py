"""The distance of feature maps."""

import math

import numpy as np
import pytest
from arrays import no_synchronisation, to_host, to_xp
from pairs import random

from tinydiff.base import InputError
from tinydiff.functional import perceptual_distance, perceptual_distance_backward
from tinydiff.gradcheck import gradcheck

SHAPES = [(2, 4, 4, 3), (2, 2, 3, 5)]
A, B = ([random(*shape, seed=seed + i) for i, shape in enumerate(SHAPES)] for seed in (0, 10))


def of_arrays(a_0, a_1, b_0, b_1):
    return perceptual_distance([a_0, a_1], [b_0, b_1])


def of_arrays_backward(d_loss, cache):
    d_maps_a, d_maps_b = perceptual_distance_backward(d_loss, cache)
    return (*d_maps_a, *d_maps_b)


def distance(maps_a, maps_b):
    return float(perceptual_distance(maps_a, maps_b)[0])


@pytest.mark.equation("PERC-1")
def test_it_is_two_less_twice_the_cosine_in_a_loop():
    by_hand = 0.0
    for a, b in zip(A, B, strict=True):
        positions = list(np.ndindex(a.shape[:-1]))
        for at in positions:
            dot, lengths = sum(a[at] * b[at]), math.sqrt(sum(a[at] ** 2)) * math.sqrt(sum(b[at] ** 2))
            by_hand += (2 - 2 * dot / lengths) / len(positions) / 2
    assert distance(A, B) == pytest.approx(by_hand, rel=1e-12)


@pytest.mark.equation("PERC-2")
def test_its_gradient():
    report = gradcheck(of_arrays, of_arrays_backward, (*A, *B))
    assert report, str(report)


def test_only_the_directions_count():
    """To scale the features of a position by a positive number changes nothing; its gradient stands across them."""
    scale = np.exp(random(2, 4, 4, 1, seed=3))
    assert distance([A[0] * scale, 7 * A[1]], B) == pytest.approx(distance(A, B), rel=1e-12)
    _, cache = perceptual_distance(A, B)
    for d, a in zip(perceptual_distance_backward(1.0, cache)[0], A, strict=True):
        np.testing.assert_allclose((d * a).sum(axis=-1), 0, atol=1e-16)


def test_it_runs_from_0_to_4_and_is_symmetric():
    assert distance(A, A) == 0
    assert distance(A, [-a for a in A]) == pytest.approx(4)
    assert distance(A, B) == distance(B, A)
    right, up = np.zeros((1, 2, 2, 2)), np.zeros((1, 2, 2, 2))
    right[..., 0], up[..., 1] = 3, 5
    assert distance([right], [up]) == pytest.approx(2)  # orthogonal everywhere


def test_a_level_counts_as_much_as_another_however_many_positions_it_has():
    first, second = (distance([a], [b]) for a, b in zip(A, B, strict=True))
    assert distance(A, B) == pytest.approx((first + second) / 2, rel=1e-12)


def test_features_of_length_0_stay_so():
    zero = [np.zeros_like(a) for a in A]
    assert distance(zero, zero) == 0
    assert distance(zero, A) == pytest.approx(1)  # the squared length of a direction


def without_the_levels(d_loss, cache):
    return tuple(2 * d for d in of_arrays_backward(d_loss, cache))


def without_the_length(d_loss, cache):
    """As if the features had been of length 1 before."""
    positions = [d.size // d.shape[-1] for d in cache.differences]
    d_a = [d * (d_loss / p) for d, p in zip(cache.differences, positions, strict=True)]
    return (*d_a, *(-d for d in d_a))


def same_sign(d_loss, cache):
    d_maps_a, d_maps_b = perceptual_distance_backward(d_loss, cache)
    return (*d_maps_a, *(-d for d in d_maps_b))


@pytest.mark.parametrize("wrong", [without_the_levels, without_the_length, same_sign])
def test_wrong_backwards_are_caught(wrong):
    assert not gradcheck(of_arrays, wrong, (*A, *B))


def test_it_keeps_float32_and_is_the_same_on_both_array_modules(xp):
    here, cache_here = perceptual_distance(A, B)
    there_a, there_b = ([to_xp(xp, a) for a in maps] for maps in (A, B))
    with no_synchronisation(xp):
        there, cache_there = perceptual_distance(there_a, there_b)
        gradients = perceptual_distance_backward(1.0, cache_there)
    assert there.ndim == 0
    np.testing.assert_allclose(to_host(there), here, rtol=1e-12)
    for mine, theirs in zip(perceptual_distance_backward(1.0, cache_here), gradients, strict=True):
        for d, e in zip(mine, theirs, strict=True):
            np.testing.assert_allclose(to_host(e), d, rtol=1e-9, atol=1e-15)
    loss, cache = perceptual_distance(*([xp.asarray(a.astype(np.float32)) for a in maps] for maps in (A, B)))
    d_maps_a, d_maps_b = perceptual_distance_backward(0.5, cache)
    assert {loss.dtype, *(d.dtype for d in (*d_maps_a, *d_maps_b))} == {np.dtype(np.float32)}


def test_bad_inputs_are_one_clear_sentence():
    for maps_a, maps_b, words in [
        ([], [], "maps_a is empty, but a list of feature maps"),
        (A, A[0], "maps_b is of type ndarray, but a list of feature maps"),
        (A, B[:1], "maps_a has 2 levels and maps_b 1"),
        (A, [B[0], B[1][:, :1]], r"maps_a\[1\] has shape \(2, 2, 3, 5\) and maps_b\[1\] has shape \(2, 1, 3, 5\)"),
        (A, [B[0].astype(np.float32), B[1]], r"maps_b\[0\] is float32"),
        ([A[0][:0]], [B[0][:0]], r"maps_a\[0\] has shape \(0, 4, 4, 3\), but no axis"),
    ]:
        with pytest.raises(InputError, match=words):
            perceptual_distance(maps_a, maps_b)
    _, cache = perceptual_distance(A, B)
    with pytest.raises(InputError, match="d_loss is an array of shape"):
        perceptual_distance_backward(np.ones(2), cache)
