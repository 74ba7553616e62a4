"""The autoencoder: whole-model gradient checks with every loss, structure, sizes, and sentences."""

import dataclasses

import numpy as np
import pytest
from arrays import to_xp

from tinydiff.base import InputError, to_numpy
from tinydiff.functional import (
    edge_loss,
    edge_loss_backward,
    kl_to_standard_normal,
    kl_to_standard_normal_backward,
    mae,
    mae_backward,
)
from tinydiff.gradcheck import gradcheck
from tinydiff.networks import Autoencoder, AutoencoderConfig
from tinydiff.networks.autoencoder import FIRST_LOG_VARIANCE
from tinydiff.nn import Gradients, Tape

TINY = AutoencoderConfig(8, 2, channels=4, channel_mult=(1, 2, 3), latent_channels=2)
LIKE_STABLE_DIFFUSION = AutoencoderConfig(
    (4, 8), 3, 4, (1, 2), 2, 2, groups=2, mid_attention=True, asymmetric_pad=True, norm_eps=1e-6, quant_conv=True
)
VARIANTS = [TINY, LIKE_STABLE_DIFFUSION]


def random_autoencoder(config, seed=0, dtype=np.float64):
    """An autoencoder away from its initial state, where convolutions that start at zero would hide mistakes."""
    rng = np.random.default_rng(seed)
    model = Autoencoder(config, rng, dtype)
    model.theta[:] += 0.1 * rng.standard_normal(model.theta.shape)
    return model


def random_inputs(config, n=2, seed=1, dtype=np.float64):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (n, *config.shape)).astype(dtype)
    return x, rng.standard_normal((n, *config.latent_shape)).astype(dtype)


def training_loss(model, x, eps, tape=None):
    """Return L1 + edge + KL of x through a sample of its latents, and the caches of the three."""
    x_hat, mean, log_variance = model.forward(x, eps, tape)
    found = [mae(x_hat, x), edge_loss(x_hat, x), kl_to_standard_normal(mean, log_variance)]
    losses, caches = zip(*found, strict=True)
    return losses[0] + 0.5 * losses[1] + 0.1 * losses[2], caches


def training_gradient(model, caches, tape, grads, d_loss=1.0):
    """Return the gradient in x, which the losses read too."""
    of_mae, of_edges, of_kl = caches
    by_mae, by_edges = mae_backward(d_loss, of_mae), edge_loss_backward(0.5 * d_loss, of_edges)
    d_x_hat, d_x = (a + b for a, b in zip(by_mae, by_edges, strict=True))
    d_mean, d_log_variance = kl_to_standard_normal_backward(0.1 * d_loss, of_kl)
    return d_x + model.backward(d_x_hat, d_mean, d_log_variance, tape, grads)


@pytest.mark.parametrize("config", VARIANTS)
def test_gradients_of_the_whole_model_with_every_loss_match_finite_differences(config):
    model, (x, eps) = random_autoencoder(config), random_inputs(config)

    def forward(theta, x):
        bound, tape = model.bind(theta), Tape()
        loss, caches = training_loss(bound, x, eps, tape)
        return loss, (bound, caches, tape)

    def backward(d_loss, cache):
        bound, caches, tape = cache
        grads = Gradients(bound.parameters())
        d_x = training_gradient(bound, caches, tape, grads, float(d_loss))
        assert len(tape) == 0
        return grads.flat, d_x

    report = gradcheck(forward, backward, (model.theta, x))
    assert report, str(report)


@pytest.mark.parametrize("config", VARIANTS)
def test_gradients_of_all_three_outputs_match_finite_differences(config):
    """Also of eps; every output gets a random gradient of its own."""
    model, (x, eps) = random_autoencoder(config), random_inputs(config)
    rng = np.random.default_rng(2)
    out = model.forward(x, eps)
    d_out = [rng.standard_normal(y.shape) for y in out]
    tape, grads = Tape(), Gradients(model.parameters())
    model.forward(x, eps, tape)
    d_x = model.backward(*d_out, tape, grads)

    def projected(theta, x):
        return sum(float((y * d).sum()) for y, d in zip(model.bind(theta).forward(x, eps), d_out, strict=True))

    h, v, w = 1e-5, rng.standard_normal(model.theta.shape), rng.standard_normal(x.shape)
    by_theta = (projected(model.theta + h * v, x) - projected(model.theta - h * v, x)) / (2 * h)
    by_x = (projected(model.theta, x + h * w) - projected(model.theta, x - h * w)) / (2 * h)
    assert grads.flat @ v == pytest.approx(by_theta, rel=1e-6)
    assert (d_x * w).sum() == pytest.approx(by_x, rel=1e-6)
    assert all(g.any() for g in grads.named().values())
    without = Tape()
    model.forward(x, eps, without)
    np.testing.assert_array_equal(model.backward(*d_out, without), d_x)  # grads=None: the same, for x alone


def test_encoding_and_decoding_alone_give_what_both_give_together():
    model, (x, eps) = random_autoencoder(TINY), random_inputs(TINY)
    x_hat, mean, log_variance = model.forward(x, eps)
    for ours, theirs in zip(model.encode(x), (mean, log_variance), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(model.decode(mean + np.exp(log_variance / 2) * eps), x_hat)
    rng = np.random.default_rng(3)
    d_x_hat, d_mean, d_log_variance = (rng.standard_normal(a.shape) for a in (x_hat, mean, log_variance))
    tape, grads = Tape(), Gradients(model.parameters())
    model.forward(x, 0 * eps, tape)
    together = model.backward(d_x_hat, d_mean, d_log_variance, tape, grads)
    tape, apart = Tape(), Gradients(model.parameters())
    model.encode(x, tape)
    model.decode(mean, tape)
    dz = model.decode_backward(d_x_hat, tape, apart)  # at eps = 0 the sample is the mean
    np.testing.assert_allclose(model.encode_backward(d_mean + dz, d_log_variance, tape, apart), together, rtol=1e-12)
    np.testing.assert_allclose(apart.flat, grads.flat, rtol=1e-12)


def test_an_untrained_autoencoder_hears_the_image_and_lets_the_gradient_through():
    """Where its last convolutions started at zero, x_hat would not depend on x, nor the encoder get a gradient."""
    model, (x, eps) = Autoencoder(TINY, dtype=np.float64), random_inputs(TINY)
    tape, grads = Tape(), Gradients(model.parameters())
    _, caches = training_loss(model, x, eps, tape)
    d_x = training_gradient(model, caches, tape, grads)
    assert np.isfinite(d_x).all()
    assert grads["encoder.stem.weight"].any()
    x_hat, other = model.forward(x, eps)[0], model.forward(x[::-1], eps)[0]
    assert abs(x_hat - other).max() > 0.01
    assert 0.05 < x_hat.std() < 2


@pytest.mark.parametrize("config", VARIANTS)
def test_an_untrained_encoder_says_what_is_louder_than_the_noise_around_it(config):
    mean, log_variance = Autoencoder(config).encode(random_inputs(config, n=20, dtype=np.float32)[0])
    assert abs(log_variance - FIRST_LOG_VARIANCE).max() < 5
    assert mean.std() > 4 * np.exp(log_variance / 2).mean()


def test_all_gradients_of_a_float32_model_are_float32():
    model, (x, eps) = random_autoencoder(TINY, dtype=np.float32), random_inputs(TINY, dtype=np.float32)
    tape, grads = Tape(), Gradients(model.parameters())
    _, caches = training_loss(model, x, eps, tape)
    for entry in tape.entries:
        for array in entry.cache:
            assert getattr(array, "dtype", np.float32) != np.float64, entry.owner.path
    assert training_gradient(model, caches, tape, grads).dtype == grads.flat.dtype == np.float32


def test_the_same_numbers_under_both_array_modules(xp):
    model, (x, eps) = random_autoencoder(LIKE_STABLE_DIFFUSION), random_inputs(LIKE_STABLE_DIFFUSION)
    there = model.bind(to_xp(xp, model.theta))
    tape, tape_there = Tape(), Tape()
    grads, grads_there = Gradients(model.parameters()), Gradients(there.parameters())
    _, caches = training_loss(model, x, eps, tape)
    _, caches_there = training_loss(there, to_xp(xp, x), to_xp(xp, eps), tape_there)
    d_x = training_gradient(model, caches, tape, grads)
    d_x_there = training_gradient(there, caches_there, tape_there, grads_there)
    np.testing.assert_allclose(to_numpy(d_x_there), d_x, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(to_numpy(grads_there.flat), grads.flat, rtol=1e-8, atol=1e-10)


def test_a_log_variance_out_of_bounds_is_clamped_and_gets_no_gradient():
    config = dataclasses.replace(TINY, latent_channels=1)
    model, (x, eps) = random_autoencoder(config), random_inputs(config)
    bias = model.encoder.head.layers[1].bias.value
    bias[1] = 1e4
    x_hat, _, log_variance = model.forward(x, eps)
    assert (log_variance == 20).all()
    assert np.isfinite(x_hat).all()
    tape, grads = Tape(), Gradients(model.parameters())
    _, caches = training_loss(model, x, eps, tape)
    training_gradient(model, caches, tape, grads)
    d_mean, d_log_variance = grads["encoder.head.layers.1.bias"]
    assert d_mean != 0
    assert d_log_variance == 0


def test_shapes_and_sizes():
    assert (TINY.factor, TINY.latent_shape, TINY.shape) == (4, (2, 2, 2), (8, 8, 2))
    assert AutoencoderConfig((16, 24)).latent_shape == (4, 6, 8)
    model = Autoencoder(TINY)
    mean, log_variance = model.encode(np.zeros((2, 12, 20, 2), np.float32))  # any multiples of the factor
    assert mean.shape == log_variance.shape == (2, 3, 5, 2)
    assert model.decode(mean).shape == (2, 12, 20, 2)
    assert model.decode(mean).dtype == np.float32
    assert f"{model.theta.size:,}" in model.summary().splitlines()[-1]
    assert len(model.encoder.down[0].blocks) + 1 == len(model.decoder.up[0].blocks) == 2


def test_an_image_does_not_see_the_others_of_its_batch():
    model, (x, eps) = random_autoencoder(LIKE_STABLE_DIFFUSION), random_inputs(LIKE_STABLE_DIFFUSION, n=3)
    together = model.forward(x, eps)[0]
    alone = np.concatenate([model.forward(x[i : i + 1], eps[i : i + 1])[0] for i in range(3)])
    np.testing.assert_allclose(together, alone, rtol=1e-10, atol=1e-12)


def test_the_pad_decides_where_a_halved_image_lies():
    """An even map of 2 x 2 numbers for 4 x 4 pixels, either way; only zeros on all sides pad pixel (0, 0)."""
    for asymmetric, taps in [(True, 9), (False, 4)]:
        config = AutoencoderConfig(4, 1, 4, (1, 2), 1, 1, asymmetric_pad=asymmetric)
        halve = Autoencoder(config, dtype=np.float64).encoder.down[0].resample
        halve.weight.value[...] = 1
        y = halve.forward(np.ones((1, 4, 4, 4)))
        assert y.shape == (1, 2, 2, 4)
        assert y[0, 0, 0, 0] == 4 * taps  # how many pixels of 4 channels the first output reads


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_size": (60, 70)}, r"image_size is 60 x 70, but .* multiples of 4: 60 x 68 or 60 x 72"),
        ({"channels": 0}, "channels is 0"),
        ({"latent_channels": 0}, "latent_channels is 0"),
        ({"channel_mult": ()}, "channel_mult is empty"),
        ({"blocks_per_level": 0}, "blocks_per_level is 0"),
        ({"norm_eps": 0}, "norm_eps is 0"),
        ({"groups": 3}, "groups = 3"),
        ({"mid_attention": 1}, "mid_attention is 1"),
    ],
)
def test_a_bad_configuration_is_one_clear_sentence(changes, message):
    with pytest.raises(InputError, match=message):
        Autoencoder(dataclasses.replace(TINY, **changes))


def test_bad_inputs_are_one_clear_sentence():
    model, (x, eps) = random_autoencoder(TINY), random_inputs(TINY)
    tape = Tape()
    x_hat, mean, log_variance = model.forward(x, eps, tape)
    for call, words in [
        (
            lambda: model.encode(np.zeros((1, 60, 70, 2))),
            r"x is 60 x 70, but height .* multiples of 4: 60 x 68 or 60 x 72 would",
        ),
        (lambda: model.encode(x[..., :1]), r"x has shape \(2, 8, 8, 1\)"),
        (lambda: model.encode(x.astype("f4")), "x is float32, theta is float64"),
        (lambda: model.decode(mean[..., :1]), r"z has shape \(2, 2, 2, 1\)"),
        (lambda: model.forward(x, eps[:1]), r"eps has shape \(1, 2, 2, 2\)"),
        (lambda: model.forward(x, eps.astype("f4")), "eps is float32"),
        (lambda: model.backward(x_hat, mean[:1], log_variance, tape), r"d_mean has shape \(1, 2, 2, 2\)"),
    ]:
        with pytest.raises(InputError, match=words):
            call()
