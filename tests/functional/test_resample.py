"""Upsampling and pooling."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pairs import assert_refuses_dy, assert_right, assert_same_on, assert_wrong, random
from PIL import Image

from tinydiff.base import InputError
from tinydiff.functional import (
    avg_pool,
    avg_pool_backward,
    conv2d,
    depth_to_space,
    depth_to_space_backward,
    linear,
    space_to_depth,
    space_to_depth_backward,
    upsample_bilinear,
    upsample_bilinear_backward,
    upsample_nearest,
    upsample_nearest_backward,
)
from tinydiff.gradcheck import adjoint_check

X = random(2, 6, 4, 3)


@pytest.mark.equation("UP-1")
@pytest.mark.parametrize("factor", [1, 2, 3])
def test_upsampling_equals_a_loop(factor):
    y, _ = upsample_nearest(X, factor)
    for n, h, w in np.ndindex(2, 6 * factor, 4 * factor):
        np.testing.assert_array_equal(y[n, h, w], X[n, h // factor, w // factor])


@pytest.mark.equation("UP-2")
def test_upsamplings_gradient():
    assert_right(upsample_nearest, upsample_nearest_backward, (X,), factor=2)
    assert adjoint_check(upsample_nearest, upsample_nearest_backward, (X,)) < 1e-14


@pytest.mark.equation("BIL-1")
@pytest.mark.parametrize("factor", [1, 2, 3])
def test_bilinear_upsampling_equals_a_loop(factor):
    y, _ = upsample_bilinear(X, factor)
    for h, w in np.ndindex(6 * factor, 4 * factor):
        row, column = (h + 0.5) / factor - 0.5, (w + 0.5) / factor - 0.5  # a new centre among the old ones
        above, left = int(np.floor(row)), int(np.floor(column))
        expected = 0
        for i, of_row in ((above, above + 1 - row), (above + 1, row - above)):
            for j, of_column in ((left, left + 1 - column), (left + 1, column - left)):
                expected = expected + of_row * of_column * X[:, min(max(i, 0), 5), min(max(j, 0), 3)]
        np.testing.assert_allclose(y[:, h, w], expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_bilinear_upsampling_is_what_pillow_makes(factor):
    image = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)
    there = Image.fromarray(image).resize((7 * factor, 5 * factor), Image.Resampling.BILINEAR)
    np.testing.assert_allclose(upsample_bilinear(image[None, :, :, None], factor)[0][0, :, :, 0], there, atol=1e-5)


def test_bilinear_upsampling_keeps_planes_but_for_their_borders():
    plane = np.add.outer(np.arange(6.0), 2 * np.arange(4.0))[None, :, :, None]
    y, _ = upsample_bilinear(plane, 2)
    expected = np.add.outer(np.arange(12) / 2 - 0.25, np.arange(8) - 0.5)
    np.testing.assert_allclose(y[0, 1:-1, 1:-1, 0], expected[1:-1, 1:-1], rtol=1e-12)


@pytest.mark.equation("BIL-2")
def test_bilinear_upsamplings_gradient():
    assert_right(upsample_bilinear, upsample_bilinear_backward, (X,), factor=2)
    assert adjoint_check(upsample_bilinear, upsample_bilinear_backward, (X,)) < 1e-14


@pytest.mark.equation("POOL-1")
@pytest.mark.parametrize("factor", [1, 2])
def test_pooling_equals_a_loop(factor):
    y, _ = avg_pool(X, factor)
    for n, h, w in np.ndindex(2, 6 // factor, 4 // factor):
        block = X[n, h * factor : (h + 1) * factor, w * factor : (w + 1) * factor]
        np.testing.assert_allclose(y[n, h, w], block.mean(axis=(0, 1)), rtol=1e-12)


@pytest.mark.equation("POOL-2")
def test_poolings_gradient():
    assert_right(avg_pool, avg_pool_backward, (X,), factor=2)
    assert adjoint_check(avg_pool, avg_pool_backward, (X,)) < 1e-14


@pytest.mark.equation("S2D-1")
@pytest.mark.parametrize("factor", [1, 2])
def test_space_to_depth_equals_a_loop(factor):
    y, _ = space_to_depth(X, factor)
    assert y.shape == (2, 6 // factor, 4 // factor, 3 * factor**2)
    for n, h, w, c in np.ndindex(X.shape):
        channel = (h % factor * factor + w % factor) * 3 + c
        assert y[n, h // factor, w // factor, channel] == X[n, h, w, c]


@pytest.mark.equation("D2S-1")
@pytest.mark.parametrize("factor", [1, 2, 3])
def test_depth_to_space_undoes_it(factor):
    x = random(2, 6, 6, 3)
    np.testing.assert_array_equal(depth_to_space(space_to_depth(x, factor)[0], factor)[0], x)


def test_space_to_depth_and_a_linear_layer_are_a_convolution_in_steps_of_the_kernel():
    """Patches do not overlap: `conv2d` with a 3 x 3 kernel whose first row and column are 0 reads the same four."""
    w, b = random(2, 2, 3, 5, seed=3), random(5, seed=4)
    kernel = np.zeros((3, 3, 3, 5))
    kernel[1:, 1:] = w
    expected, _ = conv2d(X, kernel, b, stride=2, padding=1)
    y, _ = linear(space_to_depth(X, 2)[0], w.reshape(-1, 5), b)
    np.testing.assert_allclose(y, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.equation("S2D-2")
def test_the_gradient_of_space_to_depth():
    assert_right(space_to_depth, space_to_depth_backward, (X,), factor=2)
    assert adjoint_check(space_to_depth, space_to_depth_backward, (X,)) < 1e-14


@pytest.mark.equation("D2S-2")
def test_the_gradient_of_depth_to_space():
    deep = random(2, 3, 2, 8)
    assert_right(depth_to_space, depth_to_space_backward, (deep,), factor=2)
    assert adjoint_check(depth_to_space, depth_to_space_backward, (deep,)) < 1e-14


def average_instead_of_sum(dy, cache):
    return (upsample_nearest_backward(dy, cache)[0] / 4,)


def nearest_backward(dy, cache):
    return upsample_nearest_backward(dy, upsample_nearest(X)[1])


def one_corner_only(dy, cache):
    return (dy[:, ::2, ::2],)


def upsample_sign(dy, cache):
    return (-upsample_nearest_backward(dy, cache)[0],)


def pool_sum_instead_of_average(dy, cache):
    return (4 * avg_pool_backward(dy, cache)[0],)


def pool_one_corner_only(dy, cache):
    dx = 0 * avg_pool_backward(dy, cache)[0]
    dx[:, ::2, ::2] = dy / 4
    return (dx,)


def pool_not_spread(dy, cache):
    return (dy,)


def channels_before_places(dy, cache):
    n, h, w, channels = dy.shape
    blocks = dy.reshape(n, h, w, channels // 4, 2, 2).transpose(0, 1, 4, 2, 5, 3)
    return (blocks.reshape(n, 2 * h, 2 * w, channels // 4),)


@pytest.mark.parametrize(
    ("f", "wrong", "mistake"),
    [
        (upsample_nearest, average_instead_of_sum, "a factor: it is 0.25 times"),
        (upsample_bilinear, nearest_backward, "WRONG"),
        (upsample_nearest, one_corner_only, "WRONG"),
        (upsample_nearest, upsample_sign, "the sign"),
        (avg_pool, pool_sum_instead_of_average, "a factor: it is 4 times"),
        (avg_pool, pool_one_corner_only, "WRONG"),
        (avg_pool, pool_not_spread, "its shape is (2, 3, 2, 3), but the argument's is (2, 6, 4, 3)"),
        (space_to_depth, channels_before_places, "WRONG"),
    ],
)
def test_wrong_backwards_are_caught(f, wrong, mistake):
    assert_wrong(f, wrong, (X,), mistake)


@pytest.mark.parametrize(
    ("f", "backward"),
    [
        (upsample_nearest, upsample_nearest_backward),
        (avg_pool, avg_pool_backward),
        (upsample_bilinear, upsample_bilinear_backward),
        (space_to_depth, space_to_depth_backward),
    ],
)
def test_both_array_modules(xp, f, backward):
    assert_same_on(xp, f, backward, (X,))


def test_bad_inputs_are_one_clear_sentence():
    with pytest.raises(InputError, match="the width of x = 4 cannot be divided into factor = 3"):
        avg_pool(X, 3)
    with pytest.raises(InputError, match="x has 3 axes"):
        upsample_nearest(X[0])
    with pytest.raises(InputError, match="the height of x = 6 cannot be divided into factor = 4"):
        space_to_depth(X, 4)
    with pytest.raises(InputError, match="the channels of x = 3 cannot be divided into factor"):
        depth_to_space(X, 2)
    for f in (upsample_nearest, upsample_bilinear, avg_pool, space_to_depth, depth_to_space):
        for factor in (0, -1, 2.0, "2"):
            with pytest.raises(InputError, match=f"factor is {factor!r}, but "):
                f(X, factor)


def test_a_dy_of_another_shape_is_refused():
    assert_refuses_dy(upsample_nearest, upsample_nearest_backward, (X,), (2, 11, 8, 3), (2, 12, 7, 3), (12, 8, 3))
    assert_refuses_dy(upsample_bilinear, upsample_bilinear_backward, (X,), (2, 11, 8, 3), (2, 12, 7, 3), (12, 8, 3))
    assert_refuses_dy(space_to_depth, space_to_depth_backward, (X,), (2, 3, 2, 11), (3, 2, 12))
    assert_refuses_dy(depth_to_space, depth_to_space_backward, (random(2, 3, 2, 8),), (2, 5, 4, 2), (6, 4, 2))


@settings(max_examples=15, deadline=None, derandomize=True)
@given(*[st.integers(1, 3)] * 5)
def test_pooling_undoes_upsampling_of_any_shape(n, h, w, c, factor):
    x = random(n, h, w, c)
    up, _ = upsample_nearest(x, factor)
    np.testing.assert_allclose(avg_pool(up, factor)[0], x, rtol=1e-12)
    assert_right(upsample_nearest, upsample_nearest_backward, (x,), factor=factor)
    assert_right(avg_pool, avg_pool_backward, (up,), factor=factor)
