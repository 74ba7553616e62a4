"""Small models that enlarge pictures, and cascades of them, that several tests share."""

import numpy as np
from latents import TOKENIZER, latent_diffusion

from tinydiff.models import Cascade, DiffusionModel, Enlarger, ModelConfig
from tinydiff.networks import TextConfig, UNetConfig

TEXT = TextConfig(len(TOKENIZER), length=64, channels=8, layers=1, heads=2)


def shape(side, **more):
    options = {"channels": 8, "channel_mult": (1, 1), "blocks_per_level": 1, "heads": 2, **more}
    return UNetConfig(side, 3, **options)


def network_of(config, seed):
    """Return a network away from its initial state, in which nothing has an effect."""
    rng = np.random.default_rng(seed)
    network = config.network(rng)
    network.theta[:] += 0.05 * rng.standard_normal(network.theta.shape).astype(np.float32)
    return network


def base(side=8, text=TEXT):
    context = None if text is None else text.channels
    config = ModelConfig(shape(side, context_channels=context), T=50, text=text)
    return DiffusionModel(network_of(config, 0), config, 4, 1, False, None if text is None else TOKENIZER)


def enlarger(side=16, text=TEXT, image_time=True, seed=1, **more):
    context = None if text is None else text.channels
    unet = shape(side, image_channels=3, image_time=image_time, patch=2, context_channels=context)
    config = ModelConfig(unet, T=50, text=text)
    tokenizer, image_noise = None if text is None else TOKENIZER, 0.2 if image_time else 0.0
    more = {"image_noise": image_noise, "tokenizer": tokenizer, "threads": 1, "processes": False, **more}
    return Enlarger(network_of(config, seed), config, 4, **more)


def cascade():
    return Cascade(base(), (enlarger(16), enlarger(32, None, seed=2)))


def behind_latents():
    return Cascade(latent_diffusion(), (enlarger(32),))
