"""Autoencoders at work: latents of mean 0 and deviation 1, images again, folders, and the sum that tells them apart."""

import dataclasses

import numpy as np
import pytest
from arrays import to_xp
from model_folders import config_of, refused, rewrite

from tinydiff.base import InputError, Noise, to_numpy
from tinydiff.models import DiffusionModel, LatentAutoencoder, load, measure_latents, save
from tinydiff.networks import Autoencoder, AutoencoderConfig

CONFIG = AutoencoderConfig(8, 3, 4, (1, 2), 1, 2)
IMAGES = np.random.default_rng(0).uniform(-1, 1, (7, 8, 12, 3)).astype(np.float32)


def make(seed=0, mean=(0.5, -1.0), std=(0.25, 2.0), dtype=np.float32, **more):
    network = Autoencoder(CONFIG, np.random.default_rng(seed), dtype)
    network.theta[:] += 0.05 * np.random.default_rng(1).standard_normal(network.theta.shape)
    return LatentAutoencoder(network, mean, std, 3, 1, **more)


def test_latents_are_what_the_encoder_says_less_the_mean_over_the_deviation():
    model = make()
    mean, log_variance = model.network.encode(IMAGES)
    expected = (mean - np.array([0.5, -1.0])) / np.array([0.25, 2.0])
    latents = model.encode(IMAGES)
    assert latents.shape == (7, 4, 6, 2)
    assert latents.dtype == np.float32
    np.testing.assert_allclose(latents, expected, rtol=1e-4, atol=1e-5)
    eps = Noise(5).normal(mean.shape, "latents")
    sampled = (mean + np.exp(log_variance / 2) * eps - np.array([0.5, -1.0])) / np.array([0.25, 2.0])
    np.testing.assert_allclose(model.encode(IMAGES, Noise(5)), sampled, rtol=1e-4, atol=1e-5)


@pytest.mark.pitfall(18)
def test_decoding_undoes_the_scale_and_clips_at_the_end_only():
    model = make()
    plain = dataclasses.replace(model, mean=None, std=None)
    assert (plain.mean, plain.std) == ((0.0, 0.0), (1.0, 1.0))
    latents = 3 * model.encode(IMAGES)
    images = model.decode(latents)
    assert images.shape == IMAGES.shape
    unclipped = plain.network.decode(latents * np.array([0.25, 2.0], "f4") + np.array([0.5, -1.0], "f4"))
    assert abs(unclipped).max() > 1
    np.testing.assert_allclose(images, unclipped.clip(-1, 1), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(plain.decode(plain.encode(IMAGES)), model.decode(model.encode(IMAGES)), atol=1e-5)


def test_a_pictures_latents_do_not_depend_on_the_batch_nor_on_the_threads():
    model = make()
    many = dataclasses.replace(model, threads=3)
    np.testing.assert_array_equal(model.encode(IMAGES), many.encode(IMAGES))
    np.testing.assert_array_equal(model.encode(IMAGES, Noise(0))[:3], model.encode(IMAGES[:3], Noise(0)))
    latents = model.encode(IMAGES)
    np.testing.assert_array_equal(model.decode(latents)[:3], many.decode(latents[:3]))


def test_the_same_under_both_array_modules(xp):
    here = make(dtype=np.float64)
    there = dataclasses.replace(here, network=here.network.bind(to_xp(xp, here.network.theta)))
    images = IMAGES.astype(float)
    latents = there.encode(to_xp(xp, images))
    np.testing.assert_allclose(to_numpy(latents), here.encode(images), rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(to_numpy(there.decode(latents)), here.decode(here.encode(images)), atol=1e-8)
    assert there.checksum() == here.checksum()


@pytest.mark.pitfall(18)
def test_measured_over_batches_of_any_size_it_is_mean_and_deviation_over_all():
    model = make()
    z = model.network.encode(IMAGES)[0].reshape(-1, 2).astype(float)
    for sizes in ([7], [1] * 7, [3, 4], [5, 2]):
        mean, std = measure_latents(model, iter(np.split(IMAGES, np.cumsum(sizes)[:-1])))
        np.testing.assert_allclose(mean, z.mean(axis=0), rtol=1e-6)
        np.testing.assert_allclose(std, z.std(axis=0), rtol=1e-6)
    measured = dataclasses.replace(model, mean=mean, std=std)
    latents = measured.encode(IMAGES)
    np.testing.assert_allclose(latents.mean(axis=(0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(latents.std(axis=(0, 1, 2)), 1, rtol=1e-5)


def test_a_mean_far_from_0_does_not_spoil_the_deviation():
    """Sums of squares less squares of sums would lose half the digits of float64, or all of float32's."""
    model = make()
    bias = model.network.encoder.head.layers[1].bias.value
    _, std = measure_latents(model, [IMAGES[:4], IMAGES[4:]])
    bias[:2] += 1024  # a power of two, of which float32 keeps 13 binary digits after the point
    mean, far = measure_latents(model, [IMAGES[:4], IMAGES[4:]])
    assert (mean > 1000).all()
    np.testing.assert_allclose(far, std, rtol=1e-2)


def test_saved_and_loaded_it_is_the_same(tmp_path):
    model = make(mean=(0.1, 1 / 3), std=(1e-3, 7.7))
    save(tmp_path, model, data="mine")
    config = config_of(tmp_path)
    assert (config["model"], config["parts"], config["micro_batch"]) == ("autoencoder", ["network"], 3)
    assert config["about"] == {"data": "mine"}
    again = load(tmp_path, kind=LatentAutoencoder)
    assert (again.mean, again.std, again.config) == (model.mean, model.std, model.config)
    assert again.checksum() == model.checksum()
    np.testing.assert_array_equal(again.encode(IMAGES), dataclasses.replace(model, threads=None).encode(IMAGES))
    with pytest.raises(InputError, match="is an autoencoder, but a diffusion model was expected"):
        load(tmp_path, kind=DiffusionModel)
    rewrite(tmp_path, {"std": [1.0]})
    refused(tmp_path, "does not describe an autoencoder", "std holds 1 number, but the latents have 2 channels")
    rewrite(tmp_path, {"std": [1.0, 0.0]})
    refused(tmp_path, "std holds 0 for channel 1")


def test_the_sum_tells_autoencoders_apart():
    model = make()
    assert len(model.checksum()) == 16
    assert model.checksum() == make(mean=np.array([0.5, -1.0]), std=[0.25, 2]).checksum()
    last_bit = make()
    bias = last_bit.network.encoder.head.layers[1].bias.value
    bias[-1] = np.nextafter(bias[-1], np.float32(9))
    others = [make(seed=1), make(mean=(0.5, -1.5)), make(std=(0.25, 2.5)), last_bit]
    assert len({model.checksum(), *(other.checksum() for other in others)}) == 5
    assert dataclasses.replace(model, threads=2, micro_batch=4).checksum() == model.checksum()


def test_a_decoder_that_was_trained_on_decodes_the_same_latents():
    model = make()
    network = model.network.bind(model.network.theta.copy())
    for name, parameter in network.named_parameters().items():
        if name.startswith("decoder."):
            parameter.value[...] += 0.1
    other = dataclasses.replace(model, network=network)
    assert other.checksum() == model.checksum()
    assert (other.encode(IMAGES) == model.encode(IMAGES)).all()
    assert (other.decode(model.encode(IMAGES)) != model.decode(model.encode(IMAGES))).any()


def test_what_it_is_made_for():
    model = make()
    assert (model.factor, model.latent_shape, model.config) == (2, (4, 4, 2), CONFIG)


def test_bad_inputs_are_one_clear_sentence():
    model = make()
    broken = make()
    broken.network.theta[:] = np.inf
    for call, words in [
        (lambda: make(mean=(0.5,)), "mean holds 1 number, but the latents have 2 channels: one for each"),
        (lambda: make(mean=("a", "b")), "mean is .*, but 2 numbers were expected"),
        (lambda: make(mean=3), "mean is 3, but 2 numbers were expected"),
        (lambda: make(std=(1.0, 0.0)), "std holds 0 for channel 1, but positive numbers"),
        (lambda: make(std=(np.nan, 1.0)), "finite numbers were expected"),
        (lambda: dataclasses.replace(model, micro_batch=0), "micro_batch is 0"),
        (lambda: dataclasses.replace(model, threads=0), "threads is 0"),
        (lambda: model.encode(IMAGES[:, :, :7]), r"x is 8 x 7, but .* multiples of 2: 8 x 6 or 8 x 8 would do"),
        (lambda: model.encode(127.5 * (IMAGES + 1)), "images runs from .*, but numbers from -1"),
        (lambda: model.decode(IMAGES), r"latents has shape \(7, 8, 12, 3\)"),
        (lambda: model.decode(model.encode(IMAGES).astype(float)), "latents is float64, theta is float32"),
        (lambda: measure_latents(model, []), "batches holds no images"),
        (lambda: measure_latents(model, [2 * IMAGES]), "a batch runs from"),
    ]:
        with pytest.raises(InputError, match=words):
            call()
    with np.errstate(all="ignore"), pytest.raises(InputError, match="not finite"):
        measure_latents(broken, [IMAGES])
