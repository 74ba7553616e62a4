"""Adversarial losses and their weight."""

import numpy as np
import pytest
from arrays import no_synchronisation, to_xp
from pairs import assert_right, assert_same_on, assert_wrong, random

from tinydiff.base import InputError
from tinydiff.functional import (
    adaptive_weight,
    hinge_discriminator,
    hinge_discriminator_backward,
    hinge_generator,
    hinge_generator_backward,
)

REAL, FAKE = 2 * random(3, 2, 2, 1), 2 * random(2, 5, seed=1)


@pytest.mark.equation("GAN-HINGE-D")
def test_the_discriminators_loss_equals_a_loop():
    loss, _ = hinge_discriminator(REAL, FAKE)
    of_real = [1 - x if x < 1 else 0 for x in REAL.flat]
    of_fake = [1 + x if x > -1 else 0 for x in FAKE.flat]
    assert float(loss) == pytest.approx((sum(of_real) / 12 + sum(of_fake) / 10) / 2, rel=1e-12)


def test_a_discriminator_that_knows_nothing_pays_1_and_one_that_is_sure_pays_nothing():
    nothing, sure = np.zeros((3, 4)), np.full((3, 4), 1.5)
    assert hinge_discriminator(nothing, nothing)[0] == 1
    loss, cache = hinge_discriminator(sure, -sure)
    assert loss == 0
    for d in hinge_discriminator_backward(1.0, cache):
        np.testing.assert_array_equal(d, 0)


def test_exchanging_real_and_fake_with_their_signs_changes_nothing():
    assert hinge_discriminator(REAL, FAKE)[0] == pytest.approx(hinge_discriminator(-FAKE, -REAL)[0], rel=1e-15)


@pytest.mark.equation("GAN-HINGE-D2")
def test_the_discriminators_gradient(xp):
    assert_right(hinge_discriminator, hinge_discriminator_backward, (REAL, FAKE))
    assert_same_on(xp, hinge_discriminator, hinge_discriminator_backward, (REAL, FAKE))


def both_upwards(d_loss, cache):
    d_real, d_fake = hinge_discriminator_backward(d_loss, cache)
    return d_real, -d_fake


def without_margin(d_loss, cache):
    return tuple(d_loss * sign * np.full(a.shape, 0.5 / a.size) for sign, a in zip((-1, 1), cache, strict=True))


def without_half(d_loss, cache):
    return tuple(2 * d for d in hinge_discriminator_backward(d_loss, cache))


@pytest.mark.parametrize(
    ("wrong", "mistake"), [(both_upwards, "the sign"), (without_margin, "WRONG"), (without_half, "it is 2 times")]
)
def test_wrong_backwards_are_caught(wrong, mistake):
    assert_wrong(hinge_discriminator, wrong, (REAL, FAKE), mistake)


@pytest.mark.equation("GAN-HINGE-G")
def test_the_generators_loss_falls_with_every_logit():
    loss, _ = hinge_generator(FAKE)
    assert float(loss) == pytest.approx(-sum(FAKE.flat) / 10, rel=1e-12)
    assert hinge_generator(FAKE + 3)[0] == pytest.approx(loss - 3)  # also beyond the discriminator's margin


@pytest.mark.equation("GAN-HINGE-G2")
def test_the_generators_gradient(xp):
    assert_right(hinge_generator, hinge_generator_backward, (FAKE,))
    assert_same_on(xp, hinge_generator, hinge_generator_backward, (FAKE,))


@pytest.mark.equation("GAN-WEIGHT")
def test_the_weighted_gradients_are_equally_long(xp):
    a, b = random(3, 3, 4), 1e-3 * random(3, 3, 4, seed=1)
    with no_synchronisation(xp):
        weight = adaptive_weight(to_xp(xp, a), to_xp(xp, b))
    assert weight.dtype == np.float64
    assert float(weight) == pytest.approx(np.linalg.norm(a) / (np.linalg.norm(b) + 1e-6), rel=1e-12)
    assert np.linalg.norm(float(weight) * b) == pytest.approx(np.linalg.norm(a), rel=1e-3)  # but for the 1e-6


def test_the_weight_is_bounded_and_keeps_the_dtype():
    a, nothing = np.ones(3, np.float32), np.zeros(3, np.float32)
    assert adaptive_weight(a, nothing) == 1e4
    assert adaptive_weight(nothing, a) == 0
    assert adaptive_weight(nothing, nothing) == 0
    assert adaptive_weight(a, a).dtype == np.float32
    assert adaptive_weight(a * np.float32(1e30), a * np.float32(1e30)) == 1  # squares beyond float32
    assert np.isnan(adaptive_weight(a, a * np.float32(np.nan)))  # what is wrong stays visible


def test_bad_inputs_are_one_clear_sentence():
    for f, arguments, words in [
        (hinge_discriminator, (REAL[:0], FAKE), r"real has shape \(0, 2, 2, 1\): the mean of no numbers"),
        (hinge_discriminator, (REAL, FAKE[:0]), r"fake has shape \(0, 5\): the mean of no numbers"),
        (hinge_discriminator, (REAL, FAKE.astype(np.float32)), "fake is float32"),
        (hinge_generator, (FAKE[:0],), "mean of no numbers"),
        (adaptive_weight, (REAL, FAKE), r"d_adversary has shape \(2, 5\), but \(3, 2, 2, 1\) was expected"),
    ]:
        with pytest.raises(InputError, match=words):
            f(*arguments)


def test_losses_are_0_d_float32():
    real, fake = REAL.astype(np.float32), FAKE.astype(np.float32)
    loss, cache = hinge_discriminator(real, fake)
    assert loss.ndim == 0
    assert loss.dtype == np.float32
    for d in hinge_discriminator_backward(np.float32(0.5), cache):
        assert d.dtype == np.float32
    (d_fake,) = hinge_generator_backward(0.5, hinge_generator(fake)[1])
    np.testing.assert_array_equal(d_fake, np.full((2, 5), -0.05, np.float32))
