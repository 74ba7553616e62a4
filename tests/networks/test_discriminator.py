"""The patch discriminator."""

import numpy as np
import pytest

from tinydiff.base import InputError, Noise
from tinydiff.functional import (
    hinge_discriminator,
    hinge_discriminator_backward,
    hinge_generator,
    hinge_generator_backward,
)
from tinydiff.networks import PatchDiscriminator, PatchDiscriminatorConfig
from tinydiff.nn import Gradients, GroupNorm, Parameter, Sequential, Tape
from tinydiff.train import AdamW

TINY = PatchDiscriminatorConfig(in_channels=2, channels=4, layers=2)


def make(config=TINY, dtype=np.float64):
    """Return a discriminator whose norms and biases are not as they begin."""
    rng = np.random.default_rng(0)
    model = PatchDiscriminator(config, rng, dtype)
    model.theta[:] += 0.1 * rng.standard_normal(model.theta.shape)
    return model


def test_whole_model_gradients_match_finite_differences():
    """The loss of its own training: real and fake pictures of different numbers, two passes whose gradients add."""
    rng, model = np.random.default_rng(1), make()
    real, fake = rng.standard_normal((3, 9, 8, 2)), 0.5 + rng.standard_normal((2, 9, 8, 2))

    def loss(theta, real, fake):
        bound = model.bind(theta)
        return float(hinge_discriminator(bound.forward(real), bound.forward(fake))[0])

    tape, grads = Tape(), Gradients(model.parameters())
    _, cache = hinge_discriminator(model.forward(real, tape), model.forward(fake, tape))
    d_of_real, d_of_fake = hinge_discriminator_backward(1.0, cache)
    d_fake = model.backward(d_of_fake, tape, grads)
    d_real = model.backward(d_of_real, tape, grads)
    assert len(tape) == 0
    h, v = 1e-6, rng.standard_normal(model.theta.shape)
    u, w = rng.standard_normal(real.shape), rng.standard_normal(fake.shape)
    theta = model.theta
    by_theta = (loss(theta + h * v, real, fake) - loss(theta - h * v, real, fake)) / (2 * h)
    by_real = (loss(theta, real + h * u, fake) - loss(theta, real - h * u, fake)) / (2 * h)
    by_fake = (loss(theta, real, fake + h * w) - loss(theta, real, fake - h * w)) / (2 * h)
    assert grads.flat @ v == pytest.approx(by_theta, rel=1e-6)
    assert (d_real * u).sum() == pytest.approx(by_real, rel=1e-6)
    assert (d_fake * w).sum() == pytest.approx(by_fake, rel=1e-6)


def test_without_grads_it_gives_the_gradient_of_the_picture_alone():
    rng, model = np.random.default_rng(1), make()
    x, found = rng.standard_normal((2, 8, 8, 2)), []
    for grads in (None, Gradients(model.parameters())):
        tape = Tape()
        _, cache = hinge_generator(model.forward(x, tape))
        (d_logits,) = hinge_generator_backward(1.0, cache)
        found.append(model.backward(d_logits, tape, grads))
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize(
    ("size", "layers", "expected"),
    [((64, 64), 3, (8, 8)), ((33, 17), 3, (5, 3)), ((1, 2), 2, (1, 1)), ((6, 8), 1, (3, 4))],
)
def test_there_is_one_logit_for_each_patch_of_a_picture_of_any_size(size, layers, expected):
    model = PatchDiscriminator(PatchDiscriminatorConfig(3, 4, layers))
    logits = model.forward(np.zeros((2, *size, 3), np.float32))
    assert logits.shape == (2, *expected, 1)
    assert logits.dtype == np.float32


@pytest.mark.parametrize(("layers", "patch"), [(1, 11), (2, 23), (3, 47)])
def test_a_logit_sees_as_many_pixels_as_the_config_says(layers, patch):
    """Without the norms, whose mean and variance are those of the whole picture."""
    config = PatchDiscriminatorConfig(1, 4, layers)
    model = make(config)
    model.body = Sequential(*(layer for layer in model.body.layers if not isinstance(layer, GroupNorm)))
    tape = Tape()
    logits = model.forward(np.random.default_rng(0).standard_normal((1, 96, 96, 1)), tape)
    d_logits = np.zeros_like(logits)
    d_logits[0, logits.shape[1] // 2, logits.shape[2] // 2] = 1
    rows, columns = np.nonzero(model.backward(d_logits, tape)[0, :, :, 0])
    assert np.ptp(rows) + 1 == np.ptp(columns) + 1 == config.patch == patch


def test_pictures_of_a_batch_do_not_see_each_other():
    """As they would with a BatchNorm; the tolerance is for sums of matrix products in another order."""
    x, model = np.random.default_rng(0).standard_normal((3, 8, 8, 2)), make()
    whole = model.forward(x)
    for i in range(3):
        np.testing.assert_allclose(model.forward(x[i : i + 1]), whole[i : i + 1], rtol=1e-12, atol=1e-13)


def test_widths_grow_up_to_eight_times():
    model = PatchDiscriminator(PatchDiscriminatorConfig(3, 2, 5))
    widths = [p.value.shape[-1] for p in model.parameters() if p.value.ndim == 4]
    assert widths == [2, 4, 8, 16, 16, 16, 1]


def test_bad_inputs_are_one_clear_sentence():
    with pytest.raises(InputError, match=r"x has shape \(1, 8, 8, 3\), but \(any, any, any, 2\)"):
        make().forward(np.zeros((1, 8, 8, 3)))
    for change, words in [
        ({"in_channels": 0}, "in_channels is 0"),
        ({"channels": 2.5}, "channels is 2.5"),
        ({"layers": 0}, "layers is 0"),
        ({"layers": 9}, "layers is 9"),
    ]:
        with pytest.raises(InputError, match=words):
            PatchDiscriminatorConfig(**change)


def pictures(noise, name, brightness):
    """Return noisy pictures of 8 x 8 pixels around a brightness."""
    return brightness + 0.3 * noise.normal((8, 8, 8, 1), name)


def test_it_learns_to_tell_bright_pictures_from_dark_ones_and_a_generator_follows_it():
    """A generator of one number, the brightness of its pictures, begins at -0.5; data are at 0.5.

    Both descend in turns. The number moves towards that of the data, since there the discriminator's logits are higher.
    """
    critic = PatchDiscriminator(PatchDiscriminatorConfig(1, 4, 2), np.random.default_rng(0))
    generator = Sequential()
    generator.brightness = Parameter(np.full(1, -0.5, np.float32))
    generator.pack()
    critic_adam, generator_adam = AdamW(critic.theta, betas=(0.5, 0.9)), AdamW(generator.theta, betas=(0.5, 0.9))
    losses, path = [], []
    for step in range(120):
        noise = Noise(0, step=step)
        real, fake = pictures(noise, "real", 0.5), pictures(noise, "fake", generator.theta)
        tape, grads = Tape(), Gradients(critic.parameters())
        loss, cache = hinge_discriminator(critic.forward(real, tape), critic.forward(fake, tape))
        d_real, d_fake = hinge_discriminator_backward(1.0, cache)
        critic.backward(d_fake, tape, grads)
        critic.backward(d_real, tape, grads)
        critic_adam.step(grads.flat, 5e-3)
        losses.append(float(loss))
        if step < 30:
            continue  # the critic goes ahead
        _, cache = hinge_generator(critic.forward(fake, tape))
        (d_logits,) = hinge_generator_backward(1.0, cache)
        d_brightness = critic.backward(d_logits, tape).sum(keepdims=True).reshape(1)  # of every pixel alike
        generator_adam.step(d_brightness, 2e-2)
        path.append(float(generator.theta[0]))
    assert losses[0] > 0.8  # at first it knows nothing
    assert losses[29] < 0.2  # 30 steps later it tells them apart
    assert path[-1] == pytest.approx(0.5, abs=0.25)
    assert losses[-1] > 0.5  # and cannot any more
