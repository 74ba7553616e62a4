"""The training of a model that enlarges pictures: how its small pictures are noised, and that it follows them."""

import dataclasses

import numpy as np
import pytest

from tinydiff.base import InputError, Noise
from tinydiff.data import Dataset
from tinydiff.functional import upsample_bilinear
from tinydiff.models import Enlarger, ModelConfig
from tinydiff.networks import UNetConfig
from tinydiff.train import Denoise, DenoiseConfig, Run

UNET = UNetConfig(8, 1, channels=8, channel_mult=(1, 2), blocks_per_level=1, heads=2, image_channels=1, image_time=True)
CONFIG = DenoiseConfig(steps=120, batch=32, micro_batch=16, lr=5e-3, warmup=10, ema=0.98, validation_images=16)


def mosaics(n=256):
    """Pictures of 8 x 8 whose 2 x 2 blocks have one grey each, so that the small picture says all."""
    blocks = np.random.default_rng(0).integers(0, 256, (n, 4, 4, 1)).astype(np.uint8)
    images = blocks.repeat(2, axis=1).repeat(2, axis=2)
    return Dataset(images, np.zeros(n, int), name="mosaics", split="train", source="made in the test")


def objective(unet=UNET, **options):
    config = ModelConfig(unet, T=100)
    noise = 0.1 if unet.image_time else 0.0
    model = Enlarger(config.network(np.random.default_rng(0)), config, 16, threads=1, image_noise=noise)
    return Denoise(model, mosaics(), dataclasses.replace(CONFIG, **options), mosaics(16))


def contexts(task, steps):
    """Return what the network is shown of all pictures in some steps."""
    seen, forward = [], task.network.forward

    def noted(x_t, t, context=None, tape=None):
        seen.extend([] if context is None else [context])
        return forward(x_t, t, context, tape)

    task.network.forward = noted
    run = Run(task, None, threads=1)
    for _ in range(steps):
        run.train_step()
    return seen


def test_small_pictures_are_noised_up_to_times_that_are_spread_evenly():
    """Kolmogorov's distance of 640 draws stays below 1.95 / sqrt(640) but for one seed in 1,000; the seed is fixed."""
    times = np.sort(np.concatenate([c.image_time for c in contexts(objective(image_noise=0.4), 20)]))
    assert len(times) == 640
    assert 0 <= times[0] < times[-1] <= 40
    distance = abs(times / 40 - (np.arange(640) + 0.5) / 640).max()
    assert distance < 1.95 / 640**0.5


def test_the_noise_in_a_small_picture_is_that_of_the_time_that_is_told():
    task = objective(image_noise=1.0)
    x_0, _ = task.data.batch(np.arange(256), np, None)
    small = task.model.shrink(x_0)
    context = task._with_image(None, x_0, Noise(3))
    alpha_bar = task.diffusion.alpha_bar_at(context.image_time)[:, None, None, None]
    clean, _ = upsample_bilinear(small, 2)
    noise = (context.image - np.sqrt(alpha_bar) * clean) / np.sqrt(1 - alpha_bar)
    _, weights = upsample_bilinear(np.zeros((1, 4, 4, 1)), 2)
    variance = np.multiply.outer((weights.rows**2).sum(axis=1), (weights.columns**2).sum(axis=1))  # of enlarged noise
    ratio = (noise[..., 0] ** 2 / variance).mean(axis=0)
    assert abs(ratio - 1).max() < 6 * (2 / 256) ** 0.5  # six standard deviations of a chi-square of 256
    assert abs(noise.mean()) < 0.1


def test_without_a_time_of_the_image_small_pictures_are_clean():
    task = objective(dataclasses.replace(UNET, image_time=False))
    x_0, _ = task.data.batch(np.arange(8), np, None)
    context = task._with_image(None, x_0, Noise(3))
    np.testing.assert_array_equal(context.image, upsample_bilinear(task.model.shrink(x_0), 2)[0])
    assert context.image_time is None


@pytest.mark.slow
def test_a_short_training_draws_large_pictures_of_the_small_ones():
    task = objective()
    before = task.validate(task.network)["validation_loss"]
    run = Run(task, None, threads=1)
    run.run(progress=False)
    model = run.trained()
    assert isinstance(model, Enlarger)
    assert task.validate(model.network)["validation_loss"] < 0.5 * before
    x_0, _ = task.data.batch(np.arange(16), np, None)
    small = model.shrink(x_0)
    drawn = model.shrink(model.enlarge(small, steps=10))
    far, near = abs(drawn - small[::-1]).mean(), abs(drawn - small).mean()
    assert near < 0.5 * far  # of its own small picture, not of another


def test_what_does_not_fit_is_one_clear_sentence():
    for noise in (-0.1, 1.1):
        with pytest.raises(InputError, match=f"image_noise is {noise}"):
            dataclasses.replace(CONFIG, image_noise=noise)
