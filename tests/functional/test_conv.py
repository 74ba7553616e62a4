"""Convolution: three algorithms, one meaning."""

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
from scipy.signal import correlate2d

from tinydiff.base import InputError, plain
from tinydiff.functional import conv, conv2d, conv2d_backward, patches
from tinydiff.functional.conv import choose_algorithm
from tinydiff.functional.fast import winograd
from tinydiff.functional.fast.winograd import transform_weights, winograd_conv, winograd_dw
from tinydiff.gradcheck import adjoint_check

ALGORITHMS = ("im2col", "shift", "winograd")


def by_scipy(x, w, b, stride, padding):
    """Return the convolution by SciPy's correlation of every pair of channels."""
    (top, bottom), (left, right) = padding
    padded = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
    images = [
        [sum(correlate2d(p[..., c], w[:, :, c, o], "valid") for c in range(w.shape[2])) for o in range(w.shape[3])]
        for p in padded
    ]
    return np.moveaxis(np.array(images), 1, -1)[:, ::stride, ::stride] + b


def case(n=2, h=7, w=6, c_in=3, c_out=4, kh=3, kw=3):
    return random(n, h, w, c_in), random(kh, kw, c_in, c_out, seed=1), random(c_out, seed=2)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.data())
@pytest.mark.equation("CONV-1")
def test_forward_equals_scipy(data):
    draw = lambda low, high: data.draw(st.integers(low, high))  # noqa: E731
    kh, kw = 2 * draw(0, 2) + 1, 2 * draw(0, 2) + 1
    x, w, b = case(draw(1, 3), draw(5, 9), draw(5, 9), draw(1, 5), draw(1, 5), kh, kw)
    stride = draw(1, 2)
    padding = ((draw(0, kh - 1), draw(0, kh - 1)), (draw(0, kw - 1), draw(0, kw - 1)))
    expected = by_scipy(x, w, b, stride, padding)
    allowed = ["im2col"] + (["shift"] if stride == 1 else []) + (["winograd"] if stride == 1 and kh == kw == 3 else [])
    for algorithm in [*allowed, None]:
        y, _ = conv2d(x, w, b, stride, padding, algorithm)
        np.testing.assert_allclose(y, expected, rtol=1e-10, atol=1e-10, err_msg=str(algorithm))


@pytest.mark.equation("CONV-2")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("padding", [0, 1, ((0, 1), (0, 1)), ((2, 0), (1, 2))])
@pytest.mark.parametrize(("c_in", "c_out"), [(3, 4), (8, 1), (1, 8)])
def test_gradients_of_3_by_3(algorithm, padding, c_in, c_out):
    assert_right(conv2d, conv2d_backward, case(c_in=c_in, c_out=c_out), padding=padding, algorithm=algorithm)


@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("h", "w"), [(7, 6), (5, 5), (8, 8)])
def test_gradients_of_other_kernels_and_strides(kernel, stride, h, w):
    args = case(h=h, w=w, kh=kernel, kw=kernel)
    assert_right(conv2d, conv2d_backward, args, stride=stride, padding=kernel // 2)
    assert_right(conv2d, conv2d_backward, args[:2], stride=stride)


@pytest.mark.parametrize("stride", [1, 2])
def test_it_is_the_transpose_of_itself(stride):
    options = {"stride": stride, "padding": 1}
    assert adjoint_check(conv2d, conv2d_backward, case()[:2], options=options) < 1e-14


@pytest.mark.equation("WINO-1")
@pytest.mark.parametrize(("h", "w"), [(4, 4), (7, 7), (8, 16), (1, 9)])
def test_winograd_equals_im2col(h, w):
    x, kernel, _ = case(h=h, w=w, c_in=5, c_out=6)
    expected, _ = conv2d(x, kernel, None, 1, 1, "im2col")
    y, v = winograd_conv(np, np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))), transform_weights(kernel))
    np.testing.assert_allclose(y, expected, rtol=1e-11, atol=1e-11)
    assert v.shape == (2 * -(-h // 4) * -(-w // 4), 36, 5)


@pytest.mark.equation("WINO-2")
def test_winograds_weight_gradient_equals_im2cols():
    x, kernel, _ = case(c_in=5, c_out=6)
    y, cache = conv2d(x, kernel, None, 1, 1, "im2col")
    _, v = winograd_conv(np, np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))), transform_weights(kernel))
    np.testing.assert_allclose(winograd_dw(np, y, v)[0], conv2d_backward(y, cache)[1], rtol=1e-10, atol=1e-9)


@pytest.mark.parametrize("images_at_once", [1, 2, 3, 5])
def test_winograd_in_pieces_gives_the_same(monkeypatch, images_at_once):
    x, kernel, b = case(n=5, h=7, w=9, c_in=5, c_out=6)
    expected, cache = conv2d(x, kernel, b, 1, 1, "winograd")
    of_one_image = 2 * 3 * 36 * 2 * (5 + 6) * 8
    monkeypatch.setattr(winograd, "WORKING_SET", images_at_once * of_one_image)
    y, pieces = conv2d(x, kernel, b, 1, 1, "winograd")
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(pieces.inputs, cache.inputs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_without_a_backward_nothing_is_kept_and_the_output_is_the_same(algorithm):
    args = case(n=3)
    expected, _ = conv2d(*args, 1, 1, algorithm)
    y, cache = conv2d(*args, 1, 1, algorithm, keep=False)
    assert cache is None
    np.testing.assert_array_equal(y, expected)


def test_winograd_in_float32_is_close_to_im2col():
    x, w, _ = (a.astype(np.float32) for a in case(n=4, h=16, w=16, c_in=64, c_out=64))
    a, b = (conv2d(x, w, None, 1, 1, algorithm)[0] for algorithm in ("im2col", "winograd"))
    assert abs(a - b).max() <= 3e-5 * abs(a).max()


def test_the_choice_of_algorithm():
    assert choose_algorithm((3, 3, 64, 64), 1) == "winograd"
    assert choose_algorithm((3, 3, 64, 64), 2) == "im2col"
    assert choose_algorithm((3, 3, 64, 64), 1, places=64) == "winograd", "narrow ones are transformed once for many"
    assert choose_algorithm((3, 3, 1280, 1280), 1, places=64) == "im2col", "the transform would cost more than it saves"
    assert choose_algorithm((3, 3, 1280, 1280), 1, places=4096) == "winograd"
    assert choose_algorithm((3, 3, 64, 1), 1) == "shift"
    assert choose_algorithm((5, 5, 64, 64), 1) == "im2col"
    with plain():
        assert choose_algorithm((3, 3, 64, 64), 1) == "im2col"


@pytest.mark.parametrize("algorithm", ["im2col", "shift"])
def test_patches_gathered_in_several_pieces_give_the_same(monkeypatch, algorithm):
    args = case(n=5, c_out=3)
    y, cache = conv2d(*args, 1, 1, algorithm)
    expected = conv2d_backward(y, cache)
    monkeypatch.setattr(patches, "PATCH_BYTES", 2 * 7 * 6 * 27 * 8)  # two images at a time
    pieces, cache = conv2d(*args, 1, 1, algorithm)
    np.testing.assert_allclose(pieces, y, rtol=1e-12, atol=1e-12)
    for a, b in zip(conv2d_backward(y, cache), expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11)


def flipped_taps(dy, cache):
    dx, dw, db = conv2d_backward(dy, cache)
    return dx, dw[::-1, ::-1], db


def unflipped_input_gradient(dy, cache):
    dx, _ = conv2d(dy, np.ascontiguousarray(cache.w.swapaxes(2, 3)), None, 1, 1)
    return dx, *conv2d_backward(dy, cache)[1:]


def bias_averaged(dy, cache):
    dx, dw, db = conv2d_backward(dy, cache)
    return dx, dw, db / (dy.size // dy.shape[-1])


def channels_exchanged(dy, cache):
    dx, dw, db = conv2d_backward(dy, cache)
    return dx, dw.swapaxes(2, 3), db


@pytest.mark.parametrize(
    ("wrong", "mistake"),
    [
        (flipped_taps, "flipped taps"),
        (unflipped_input_gradient, "argument 0 (x): WRONG"),
        (bias_averaged, "a factor"),
        (channels_exchanged, "a transpose"),
    ],
)
def test_wrong_backwards_are_caught(wrong, mistake):
    assert_wrong(conv2d, wrong, case(c_in=4, c_out=4), mistake, padding=1)


def test_what_nobody_reads_is_not_computed():
    for algorithm in ALGORITHMS:
        assert_skips_what_nobody_reads(conv2d, conv2d_backward, case(), padding=1, algorithm=algorithm)
    assert_skips_what_nobody_reads(conv2d, conv2d_backward, case(), padding=1, stride=2)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_both_array_modules(xp, algorithm):
    assert_same_on(xp, conv2d, conv2d_backward, case(), padding=1, algorithm=algorithm)


def test_stride_2_on_both_array_modules(xp):
    assert_same_on(xp, conv2d, conv2d_backward, case(), stride=2, padding=1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"w": random(2, 3, 3, 4)}, "must be odd"),
        ({"x": random(2, 7, 6, 5)}, r"c_in is 5 in x \(N, H, W, c_in\), but 3 in w \(kh, kw, c_in, c_out\)"),
        ({"x": random(7, 6, 3)}, "x has 3 axes"),
        ({"b": random(3)}, r"b has shape \(3,\): c_out is 4 in w .* but 3 in b"),
        ({"stride": 3}, "stride is 3"),
        ({"stride": 1.0}, "stride is 1.0"),
        ({"stride": "1"}, "stride is '1'"),
        ({"x": random(0, 7, 6, 3)}, r"x has shape \(0, 7, 6, 3\), but no axis .* may have size 0"),
        ({"padding": ((0.5, 0), (0, 0))}, r"padding\[0\]\[0\] is 0.5, but a whole number"),
        ({"padding": 3}, r"padding is \(\(3, 3\), \(3, 3\)\)"),
        ({"padding": (1, 1)}, r"padding\[0\] is 1, but a tuple of 2"),
        ({"padding": -1}, "padding is"),
        ({"x": random(2, 2, 6, 3)}, "smaller than the 3 x 3 kernel"),
        ({"algorithm": "fft"}, "algorithm is 'fft'"),
        ({"algorithm": "winograd", "stride": 2}, "needs stride 1"),
        ({"algorithm": "winograd", "w": random(5, 5, 3, 4)}, "needs a 3 x 3 kernel"),
    ],
)
def test_bad_inputs_are_one_clear_sentence(change, message):
    x, w, b = case()
    with pytest.raises(InputError, match=message):
        conv2d(**{"x": x, "w": w, "b": b, **change})


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_gradients_of_a_batch_of_one(algorithm):
    assert_right(conv2d, conv2d_backward, case(n=1), padding=1, algorithm=algorithm)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.data())
def test_all_algorithms_have_the_same_gradients(data):
    draw = lambda low, high: data.draw(st.integers(low, high))  # noqa: E731
    args = case(draw(1, 3), draw(3, 9), draw(3, 9), draw(1, 5), draw(1, 5))
    padding = ((draw(0, 2), draw(0, 2)), (draw(0, 2), draw(0, 2)))
    plain_y, plain_cache = conv2d(*args, 1, padding, "im2col")
    dy = random(*plain_y.shape, seed=3)
    for algorithm in ("shift", "winograd"):
        _, cache = conv2d(*args, 1, padding, algorithm)
        for a, b in zip(conv2d_backward(dy, cache), conv2d_backward(dy, plain_cache), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9, err_msg=algorithm)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_dy_of_another_shape_is_refused(algorithm):
    shapes = (2, 5, 6, 4), (1, 7, 6, 4), (2, 7, 6, 1), (84, 4)
    assert_refuses_dy(conv2d, conv2d_backward, case(), *shapes, padding=1, algorithm=algorithm)


def test_the_transform_of_a_wide_kernel_is_not_kept(monkeypatch):
    """All transforms of a large network would take four times the room of its kernels."""
    asked = []
    monkeypatch.setattr(conv, "derived", lambda make, w: asked.append(w.shape) or make(w))
    monkeypatch.setattr(conv, "WIDE", 16 * 32)
    for c_out in (16, 32):
        conv2d(random(1, 24, 24, 16), random(3, 3, 16, c_out), padding=1)
    assert asked == [(3, 3, 16, 16)]
