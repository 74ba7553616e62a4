"""float32 at its ends: elementwise functions, norms and softmax against float64, from the least to the largest number.

Each function gets float32 numbers, and the same numbers as float64, in which nothing here overflows. The tolerances are
shares of the largest right value of an array (or of 1, where values are at most 1). Warnings are errors, so nothing is
computed by an overflow on the way.
"""

import contextlib

import numpy as np
import pytest
from arrays import assert_close, to_xp

from tinydiff import functional as F
from tinydiff.base import plain, power_of_two
from tinydiff.diffusion.editing import slerp
from tinydiff.functional.fast import attention_in_pieces as in_pieces
from tinydiff.train.optim import clip_by_global_norm

LARGEST, TINY = float(np.finfo(np.float32).max), float(np.finfo(np.float32).tiny)
LEAST = float(np.nextafter(np.float32(0), np.float32(1)))  # 1.4e-45, with one digit; numbers below TINY have fewer
POSITIVE = [LEAST, 1e-42, TINY, 1e-30, 1e-20, 1e-8, *np.linspace(0.1, 25, 250), 89.0, 1e4, 1e6, 1e19, 1e30, LARGEST / 4]
X = np.array([*(-x for x in reversed(POSITIVE)), -0.0, 0.0, *POSITIVE], np.float32)
SCALES = [LEAST, 1e-42, TINY, 1e-30, 1e-20, 1e-12, 1e-3, 1.0, 1e6, 1e12, 1e19, 1e20, 1e30, LARGEST / 4]
TWINS = pytest.mark.parametrize("twin", [contextlib.nullcontext, plain], ids=["fast", "plain"])
RNG = np.random.default_rng(0)


def wide(*arrays):
    return [a.astype(np.float64) for a in arrays]


def assert_right(actual, expected, rtol):
    """Assert float32, everywhere finite, and within rtol of the largest number expected."""
    assert actual.dtype == np.float32
    scale = max(float(abs(expected).max()), LEAST / rtol)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=rtol * scale)


@TWINS
@pytest.mark.parametrize(
    ("f", "f_backward"),
    [(F.silu, F.silu_backward), (F.gelu, F.gelu_backward), (F.quick_gelu, F.quick_gelu_backward)],
    ids=["silu", "gelu", "quick_gelu"],
)
def test_activations_from_the_least_to_the_largest_number(twin, f, f_backward):
    """Within 2e-7 of the right value, plus what a sigmoid or Phi near 0 is off, 7e-8 of |x|; the ends are exact."""
    dy = np.float32(1.5) + 0 * X
    with twin():
        y, cache = f(X)
        (dx,) = f_backward(dy, cache)
    exact, exact_cache = f(X.astype(float))
    (exact_dx,) = f_backward(dy.astype(float), exact_cache)
    tolerance = 2e-7 * abs(exact) + 7e-8 * np.where(abs(X) <= 30, abs(X), 0) + LEAST
    assert (abs(y - exact) <= tolerance).all()
    assert (abs(dx - exact_dx) <= 4e-7 * (1 + np.where(abs(X) <= 30, abs(X), 0))).all()
    assert (y[X < -20] == 0).all()
    assert (y[X > 20] == X[X > 20]).all()
    assert (dx[X < -20] == 0).all()
    assert (dx[X > 20] == dy[X > 20]).all()


@TWINS
def test_geglu_where_the_gate_is_large(twin):
    gates = np.array([-1e6, -1e20, 1e6, 1e18], np.float32)
    x = np.concatenate([np.full(4, 3, np.float32), gates])[None]
    with twin():
        y, cache = F.geglu(x)
        (dx,) = F.geglu_backward(np.ones_like(y), cache)
    np.testing.assert_array_equal(y, [[0, 0, 3e6, np.float32(3e18)]])
    np.testing.assert_array_equal(dx[:, :4], [[0, 0, 1e6, np.float32(1e18)]])
    np.testing.assert_array_equal(dx[:, 4:], [[0, 0, 3, 3]])


@pytest.mark.parametrize("scale", SCALES)
def test_softmax_and_the_losses_made_of_it(scale):
    """Within 1e-6; logits are compared by their differences, so these are exact numbers of float32."""
    x = np.float32(scale) * RNG.integers(-4, 5, (5, 5)).astype(np.float32)
    dy = RNG.uniform(-1, 1, x.shape).astype(np.float32)
    y, cache = F.softmax(x)
    exact, exact_cache = F.softmax(x.astype(float))
    assert_right(y, exact, 1e-6)
    assert_right(F.softmax_backward(dy, cache)[0], F.softmax_backward(dy.astype(float), exact_cache)[0], 1e-6)
    labels = x.argmax(axis=1)  # so that the loss is a number of float32
    loss, cache = F.cross_entropy(x, labels)
    exact_loss, exact_cache = F.cross_entropy(x.astype(float), labels)
    assert_close(loss, exact_loss, rtol=1e-6)
    d_logits, exact_d = (F.cross_entropy_backward(1.0, c)[0] for c in (cache, exact_cache))
    np.testing.assert_allclose(d_logits, exact_d, rtol=0, atol=1e-7)
    np.fill_diagonal(x, np.float32(4 * scale))
    loss, cache = F.contrastive_loss(x)
    exact_loss, exact_cache = F.contrastive_loss(x.astype(float))
    assert_close(loss, exact_loss, rtol=1e-6)
    d_logits, exact_d = (F.contrastive_loss_backward(1.0, c)[0] for c in (cache, exact_cache))
    np.testing.assert_allclose(d_logits, exact_d, rtol=0, atol=1e-7)


def test_a_class_that_has_no_chance_does_not_spoil_the_loss_of_another():
    for low in (-LARGEST, -np.inf):
        loss, cache = F.cross_entropy(np.array([[LARGEST, low], [0, 0]], np.float32), np.array([0, 1]))
        assert float(loss) == pytest.approx(np.log(2) / 2)
        np.testing.assert_allclose(F.cross_entropy_backward(1.0, cache)[0], [[0, 0], [0.25, -0.25]])


@pytest.mark.parametrize("scale", [1e-20, 1e-3, 1.0, 10.0, 1e4, 1e9, 1e18])
def test_attention_and_its_twin_in_pieces(monkeypatch, scale):
    """Scores up to 1e37. Keys come in equal pairs, so that no softmax is 1 at one key, where nothing could be wrong.

    q and k hold whole numbers times a power of two, so that scores are exact, and their differences those of float64.
    """
    monkeypatch.setattr(in_pieces, "WORKING_SET", 64)
    unit = np.float32(2.0 ** round(np.log2(scale)))
    q, k = (unit * RNG.integers(-3, 4, (2, 6, 4)).astype(np.float32) for _ in range(2))
    k[:, 1::2] = k[:, 0::2]
    v, dy = RNG.uniform(-1, 1, (2, 2, 6, 4)).astype(np.float32)
    exact, exact_cache = F.attention(*wide(q, k, v))
    exact_d = F.attention_backward(dy.astype(float), exact_cache)
    for f, f_backward in ((F.attention, F.attention_backward), (F.attention_in_pieces, F.attention_in_pieces_backward)):
        y, cache = f(q, k, v)
        assert_right(y, exact, 2e-6)
        dq, dk, dv = f_backward(dy, cache)
        assert_right(dv, exact_d[2], 2e-6)
        for d, right in ((dq, exact_d[0]), (dk, exact_d[1])):  # sums of numbers near `unit` that cancel
            np.testing.assert_allclose(d, right, rtol=0, atol=1e-5 * float(unit))


NORMS = {
    "group": (F.group_norm, F.group_norm_backward, {"groups": 2}),
    "group and silu": (F.group_norm_silu, F.group_norm_silu_backward, {"groups": 2}),
    "layer": (F.layer_norm, F.layer_norm_backward, {}),
    "batch": (F.batch_norm, F.batch_norm_backward, {}),
}


@TWINS
@pytest.mark.parametrize(("eps", "scale"), [(1e-5, s) for s in SCALES[3:]] + [(0.0, s) for s in SCALES[3:]])
@pytest.mark.parametrize("name", NORMS)
def test_norms_from_the_least_to_the_largest_number(twin, name, eps, scale):
    """Within 3e-6 forward, and 1e-5 backward, of numbers of one scale."""
    f, f_backward, options = NORMS[name]
    x = (scale * RNG.uniform(-1, 1, (2, 4, 4, 8))).astype(np.float32)
    gamma, beta = RNG.uniform(0.5, 2, (2, 8)).astype(np.float32)
    dy = RNG.uniform(-1, 1, x.shape).astype(np.float32)
    with twin():
        y, cache = f(x, gamma, beta, eps=eps, **options)
        gradients = f_backward(dy, cache)
    exact, exact_cache = f(*wide(x, gamma, beta), eps=eps, **options)
    exact_gradients = f_backward(dy.astype(float), exact_cache)
    assert_right(y, exact, 3e-6)
    for actual, expected in zip(gradients, exact_gradients, strict=True):
        assert_right(actual, expected, 1e-5)


@TWINS
@pytest.mark.parametrize("mean", [1e3, 1e4, 1e6, 1e7])
@pytest.mark.parametrize("name", NORMS)
def test_norms_far_from_zero(twin, name, mean):
    """As right at a mean of 1e6 standard deviations as beside 0, given the digits that x still has: within 3e-6."""
    f, f_backward, options = NORMS[name]
    x = (mean + RNG.standard_normal((2, 4, 4, 8))).astype(np.float32)
    gamma, beta = RNG.uniform(0.5, 2, (2, 8)).astype(np.float32)
    dy = RNG.uniform(-1, 1, x.shape).astype(np.float32)
    with twin():
        y, cache = f(x, gamma, beta, **options)
        gradients = f_backward(dy, cache)
    exact, exact_cache = f(*wide(x, gamma, beta), **options)
    tolerance = 3e-6 if mean > 1e3 else 1e-3
    assert_right(y, exact, tolerance)
    for actual, expected in zip(gradients, f_backward(dy.astype(float), exact_cache), strict=True):
        assert_right(actual, expected, tolerance)


def test_one_image_of_a_batch_that_is_far_out_leaves_the_others_right():
    x = RNG.standard_normal((3, 4, 4, 8)).astype(np.float32)
    x[1] *= np.float32(1e25)
    gamma, beta = np.ones(8, np.float32), np.zeros(8, np.float32)
    y, _ = F.group_norm_silu(x, gamma, beta, 2)
    assert_right(y, F.group_norm_silu(*wide(x, gamma, beta), 2)[0], 1e-6)


@TWINS
@pytest.mark.parametrize("name", ["group", "group and silu", "layer"])
def test_a_sample_has_the_same_bits_beside_one_that_is_far_out(twin, name):
    f, _, options = NORMS[name]
    x = RNG.standard_normal((3, 4, 4, 8)).astype(np.float32)
    gamma, beta = RNG.uniform(0.5, 2, (2, 8)).astype(np.float32)
    with twin():
        beside_others, _ = f(x, gamma, beta, **options)
        for far_out in (1e25 * x[1], 1e5 + x[1], 0 * x[1] + 7):
            y, _ = f(np.stack([x[0], far_out.astype(np.float32), x[2]]), gamma, beta, **options)
            np.testing.assert_array_equal(y[::2], beside_others[::2])


def test_float64_at_its_ends():
    """What divides by a power of two before it squares is right in float64, too, where squares end at 1e154."""
    for scale in (1e-300, 1e200, 1e300):
        vector = scale * np.array([[0.6, 0.0, 0.8]])
        if scale > 1:
            assert_close(F.unit_length(vector)[0], [[0.6, 0.0, 0.8]])
        assert_close(slerp(vector, vector[:, ::-1], 0.5) / scale, [[0.7, 0.0, 0.7]] / np.sqrt(0.98))
        g = vector[0].copy()
        assert clip_by_global_norm(g, 1e-310 if scale < 1 else 1.0) == pytest.approx(scale)
        assert_close(g / np.abs(g).max(), [0.75, 0.0, 1.0])


@pytest.mark.parametrize("scale", SCALES)
def test_unit_length(xp, scale):
    """Within 1e-6. Below a length of 1e-12, x is divided by 1e-12."""
    x = (scale * RNG.uniform(0.5, 1, (3, 4))).astype(np.float32)
    dy = RNG.uniform(-1, 1, x.shape).astype(np.float32)
    y, cache = F.unit_length(to_xp(xp, x))
    (dx,) = F.unit_length_backward(to_xp(xp, dy), cache)
    wide_x, wide_dy = wide(x, dy)
    length = np.linalg.norm(wide_x, axis=1, keepdims=True)
    right = wide_x / np.maximum(length, 1e-12)
    along = np.where(length < 1e-12, 0, (wide_dy * right).sum(axis=1, keepdims=True))
    assert_close(y, right, rtol=1e-6, atol=LEAST)
    assert_close(dx, (wide_dy - right * along) / np.maximum(length, 1e-12), rtol=2e-5, atol=1e-6 / max(scale, 1e-12))


@pytest.mark.parametrize("scale", [1e-20, 1e-13, 9e-13])
def test_unit_length_below_its_shortest_length_is_a_division(scale):
    """Its gradient is that of what is computed, by the definition of a derivative: y is linear in x there."""
    x = scale * np.array([[0.6, 0.0, 0.8]])
    _, cache = F.unit_length(x)
    for i in range(3):
        step = np.zeros((1, 3))
        step[0, i] = scale * 1e-3
        slope = (F.unit_length(x + step)[0] - F.unit_length(x - step)[0]) / (2e-3 * scale)
        for j in range(3):
            dy = np.zeros((1, 3))
            dy[0, j] = 1
            (dx,) = F.unit_length_backward(dy, cache)
            assert dx[0, i] == pytest.approx(slope[0, j], rel=1e-6, abs=1e-3)


def test_powers_of_two(xp):
    """To divide by one is exact, and brings any number to between 1/2 and 4, but for those below 1e-38."""
    x = np.array([*POSITIVE, LARGEST], np.float32)
    powers = power_of_two(to_xp(xp, x))
    host = np.asarray(powers.get() if hasattr(powers, "get") else powers)
    assert host.dtype == np.float32
    assert (np.frexp(host)[0] == 0.5).all()
    shares = x.astype(float) / host
    assert (shares < 4.001).all()
    assert (shares[x >= TINY] >= 0.5).all()
    assert_close(power_of_two(xp.asarray(np.array([0, np.inf, np.nan], np.float32))), [1.0, 1.0, 1.0])


def test_one_large_pixel_through_winograd_stays_in_its_tile():
    """The limit that winograd.py states: what a pixel cannot reach gets rounding of it, within its 4 x 4 tiles only."""
    x, w = np.zeros((1, 16, 16, 16), np.float32), RNG.uniform(-1, 1, (3, 3, 16, 16)).astype(np.float32)
    x[0, 5, 5, 0] = 1e6
    fast, _ = F.conv2d(x, w, padding=1, algorithm="winograd")
    slow, _ = F.conv2d(x, w, padding=1, algorithm="im2col")
    assert not np.delete(slow, [4, 5, 6], axis=1).any()
    assert not np.delete(fast, [4, 5, 6, 7], axis=1).any()
    assert abs(fast - slow).max() < 5e-6 * 1e6
