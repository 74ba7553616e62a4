"""Nearest neighbours agree with brute force."""

import numpy as np
import pytest
from arrays import assert_close, to_host, to_xp

from tinydiff.base import InputError
from tinydiff.evaluate import nearest_neighbours, neighbours


@pytest.mark.parametrize("k", [1, 3, 400, 600])
@pytest.mark.parametrize("chunk", [7, 500, 4096])
def test_nearest_neighbours_agree_with_brute_force(xp, monkeypatch, k, chunk):
    monkeypatch.setattr(neighbours, "CHUNK", chunk)
    rng = np.random.default_rng(9)
    samples = rng.uniform(-1, 1, (7, 4, 3, 2)).astype(np.float32)
    images = rng.uniform(-1, 1, (600, 4, 3, 2)).astype(np.float32)
    differences = samples[:, None].astype(float) - images[None]
    brute = np.sqrt((differences**2).sum(axis=(2, 3, 4)))
    indices, distances = nearest_neighbours(to_xp(xp, samples), to_xp(xp, images), k)
    np.testing.assert_array_equal(to_host(indices), np.argsort(brute, axis=1)[:, :k])
    assert_close(distances, np.sort(brute, axis=1)[:, :k], rtol=1e-14)


@pytest.mark.parametrize("offset", [1e3, 1e6, 1e9, 1e15])
def test_nearest_neighbours_far_from_zero_are_the_nearest(xp, offset):
    """|s|^2 - 2 s.x + |x|^2 keeps no digit of such distances, so it may only say who might be near."""
    rng = np.random.default_rng(11)
    samples, images = offset + rng.uniform(-1, 1, (7, 12)), offset + rng.uniform(-1, 1, (300, 12))
    brute = np.sqrt(((samples[:, None] - images[None]) ** 2).sum(axis=2))
    indices, distances = nearest_neighbours(to_xp(xp, samples), to_xp(xp, images), 3)
    assert_close(distances, np.sort(brute, axis=1)[:, :3], rtol=1e-12)
    assert_close(np.take_along_axis(brute, to_host(indices), axis=1), np.sort(brute, axis=1)[:, :3], rtol=1e-12)


@pytest.mark.parametrize("scale", [1e-45, 1e-30, 1e30, 1e38])
def test_nearest_neighbours_of_the_least_and_the_largest_float32(scale):
    images = np.float32(scale) * np.array([[0, 0], [3, 0], [1, 1]], np.float32)
    indices, distances = nearest_neighbours(np.float32(scale) * np.array([[2, 1]], np.float32), images, 3)
    assert indices.tolist() == [[2, 1, 0]]
    np.testing.assert_allclose(distances / float(np.float32(scale)), [[1, 2**0.5, 5**0.5]], rtol=1e-6)


def test_nearest_neighbour_of_a_copy_is_the_original_at_distance_zero():
    rng = np.random.default_rng(10)
    images = rng.uniform(-1, 1, (50, 28, 28, 1)).astype(np.float32)
    indices, distances = nearest_neighbours(images[[31, 4]], images)
    assert indices.tolist() == [[31], [4]]
    assert distances.tolist() == [[0.0], [0.0]]


def test_nearest_neighbours_take_bytes_for_numbers_from_minus_one_to_one(xp):
    black, white = xp.zeros((1, 2, 2, 1), dtype=xp.uint8), xp.full((1, 2, 2, 1), 255, dtype=xp.uint8)
    assert_close(nearest_neighbours(black, white)[1], [[2 * 4**0.5]])
    assert_close(nearest_neighbours(xp.ones((1, 2, 2, 1), dtype=xp.float32), white)[1], [[0.0]])


@pytest.mark.parametrize(
    ("samples", "images", "k", "message"),
    [
        (np.zeros((2, 4, 4, 1)), np.zeros((3, 4, 5, 1)), 1, r"images has shape \(3, 4, 5, 1\)"),
        (np.zeros((2, 4)), np.zeros((3, 4)), 4, "k is 4, but from 1 to 3"),
        (np.zeros((2, 4)), np.zeros((3, 4)), 0, "k is 0, but from 1 to 3"),
        (np.full((2, 4), np.nan), np.zeros((3, 4)), 1, "samples holds NaN"),
        (np.zeros((2, 4)), np.full((3, 4), np.inf), 1, "images holds NaN"),
        (np.zeros((0, 4)), np.zeros((3, 4)), 1, "samples has shape .* it is empty"),
        ([[0.0]], np.zeros((3, 1)), 1, "list, but a NumPy or CuPy array"),
    ],
)
def test_nearest_neighbours_refuse(samples, images, k, message):
    with pytest.raises(InputError, match=message):
        nearest_neighbours(samples, images, k)
