"""A small latent diffusion model, and scenes for it, that several tests share."""

import functools

import numpy as np

from tinydiff.data import LatentData, encode_once
from tinydiff.data.scenes import DrawnScenes
from tinydiff.models import LatentAutoencoder, LatentDiffusion, ModelConfig
from tinydiff.networks import Autoencoder, AutoencoderConfig, TextConfig, UNetConfig
from tinydiff.text import Tokenizer

SCENES = DrawnScenes("train", 6, 16)
TOKENIZER = Tokenizer.train(SCENES.captions, 300)


@functools.cache
def autoencoder(seed=0, latent_channels=2):
    """Return one of factor 2: pictures of 16 x 16 become latents of 8 x 8, standardised somehow."""
    config = AutoencoderConfig(16, 3, 4, (1, 2), 1, latent_channels)
    network = Autoencoder(config, np.random.default_rng(seed))
    mean, std = (0.3, -0.2, 0.1)[:latent_channels], (0.5, 2.0, 1.5)[:latent_channels]
    return LatentAutoencoder(network, mean, std, micro_batch=4, threads=1)


@functools.cache
def latent_diffusion():
    """Return a model of these latents that reads text."""
    text = TextConfig(len(TOKENIZER), length=64, channels=8, layers=1, heads=2)
    unet = UNetConfig(
        8, 2, channels=8, channel_mult=(1, 1), attention_levels=(1,), blocks_per_level=1, heads=2, context_channels=8
    )
    config, rng = ModelConfig(unet, T=50, text=text), np.random.default_rng(0)
    network = config.network(rng)
    network.theta[:] += 0.05 * rng.standard_normal(network.theta.shape).astype(np.float32)
    return LatentDiffusion(network, config, 4, 1, False, TOKENIZER, autoencoder())


def latents_of(folder, data=SCENES, model=None) -> LatentData:
    """Return the latents of scenes."""
    model = autoencoder() if model is None else model
    return encode_once(data, model.encode, model.checksum(), folder)
