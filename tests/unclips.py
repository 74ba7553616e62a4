"""Small CLIPs, priors, decoders and unCLIPs with random weights, that several tests share."""

import functools

import numpy as np
from latents import SCENES, TOKENIZER, autoencoder

from tinydiff.models import ClipModel, DiffusionModel, LatentDiffusion, ModelConfig, Prior, UnClip
from tinydiff.networks import CLIP, CLIPConfig, PriorConfig, TextConfig, UNetConfig

LENGTH, EMBEDDING = 64, 6
CLIP_TEXT = TextConfig(len(TOKENIZER), LENGTH, channels=8, layers=1, heads=2, causal=True)
CLIP_SHAPE = CLIPConfig(image_size=16, channels=(8, 8), embedding=EMBEDDING, text=CLIP_TEXT)
PRIOR = PriorConfig(EMBEDDING, text_channels=8, length=LENGTH, channels=8, layers=1, heads=2)
TEXT = TextConfig(len(TOKENIZER), LENGTH, channels=8, layers=1, heads=2)
CAPTIONS = SCENES.captions


def moved(network, seed):
    """Return the network with its weights away from the initial state, in which zeros would hide mistakes."""
    rng = np.random.default_rng(seed)
    network.theta[:] += 0.1 * rng.standard_normal(network.theta.shape).astype(network.theta.dtype)
    return network


@functools.cache
def clip(seed=0):
    """Return a CLIP that reads pictures of 16 x 16."""
    return ClipModel(
        moved(CLIP(CLIP_SHAPE, np.random.default_rng(seed)), seed), TOKENIZER, T=50, micro_batch=4, threads=1
    )


@functools.cache
def prior(seed=0):
    """Return a prior of that CLIP's embeddings, standardised somehow."""
    config = ModelConfig(prior=PRIOR, T=50, kind="x_0")
    mean, std = np.linspace(-0.2, 0.3, EMBEDDING), np.linspace(0.2, 0.5, EMBEDDING)
    network = moved(config.network(np.random.default_rng(seed)), seed)
    return Prior(network, config, 4, 1, False, clip=clip(seed), mean=mean, std=std)


def decoder_config(side, channels, **more):
    unet = UNetConfig(
        side, channels, channels=8, channel_mult=(1, 1), attention_levels=(1,), blocks_per_level=1, heads=2,
        context_channels=8, pooled_channels=EMBEDDING,
    )  # fmt: skip
    return ModelConfig(unet, T=50, text=TEXT, embedding=EMBEDDING, embedding_of=clip().checksum(), **more)


@functools.cache
def decoder():
    """Return one that draws pictures of 16 x 16."""
    config = decoder_config(16, 3)
    return DiffusionModel(moved(config.network(np.random.default_rng(1)), 1), config, 4, 1, False, TOKENIZER)


@functools.cache
def latent_decoder():
    """Return one that draws latents of pictures of 16 x 16."""
    config = decoder_config(8, 2)
    network = moved(config.network(np.random.default_rng(2)), 2)
    return LatentDiffusion(network, config, 4, 1, False, TOKENIZER, autoencoder())


def unclip():
    return UnClip(prior(), decoder())


def of_latents():
    return UnClip(prior(), latent_decoder())


def pictures(side=16, n=2):
    return np.random.default_rng(3).uniform(-1, 1, (n, side, side, 3)).astype(np.float32)
