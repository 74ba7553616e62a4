"""Trained autoencoders with a codebook, in model folders."""

from dataclasses import dataclass

from tinydiff.models.network import NetworkSettings
from tinydiff.models.store import register
from tinydiff.networks import QuantisedAutoencoder, QuantisedAutoencoderConfig


@register("quantised-autoencoder", "an autoencoder with codes", QuantisedAutoencoder)
@dataclass(frozen=True)
class QuantisedAutoencoderSettings(NetworkSettings):
    """What config.json says of an autoencoder whose latents are codes."""

    config: QuantisedAutoencoderConfig
