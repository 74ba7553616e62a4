"""A tiny training of bright squares in one of three places, for the tests of the training loop."""

import numpy as np

from tinydiff.data import Dataset
from tinydiff.models import DiffusionModel, ModelConfig
from tinydiff.networks import UNet, UNetConfig
from tinydiff.train import Denoise, DenoiseConfig, Run

UNET = UNetConfig(
    image_size=8, channels=8, channel_mult=(1, 2), blocks_per_level=1, heads=2, num_classes=3, dropout=0.1
)
CONFIG = DenoiseConfig(
    steps=6, batch=10, micro_batch=3, lanes=3, warmup=2, save_every=100, validate_every=3, validation_images=8
)


def squares(n=40, seed=0):
    """Images of bright squares in one of three places, the label."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    images = rng.integers(0, 40, (n, 8, 8, 1)).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[2 * label : 2 * label + 3, 2 * label : 2 * label + 3] = 250
    return Dataset(images, labels, name="squares", split="train", source="made in the test")


def make(folder=None, config=CONFIG, data=None, validation=None, **options):
    model = DiffusionModel(UNet(UNET, np.random.default_rng(0)), ModelConfig(UNET, T=100), micro_batch=4)
    return Run(Denoise(model, squares() if data is None else data, config, validation), folder, **options)


def only(trainer):
    """Return what learns: there is one."""
    (learner,) = trainer.learners.values()
    return learner


def run(*args, **options):
    trainer = make(*args, **options)
    trainer.run(progress=False)
    return trainer


def state(trainer):
    return np.concatenate(list(only(trainer).state().values()))
