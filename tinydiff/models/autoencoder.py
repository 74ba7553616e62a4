"""A trained autoencoder at work: images become latents of mean 0 and standard deviation 1, and latents images."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinydiff.base import (
    Array,
    InputError,
    Noise,
    check_alike,
    check_count,
    check_images,
    check_shape,
    checked,
    checks_arguments,
    to_numpy,
    to_table,
    xp_of,
)
from tinydiff.functional import reparameterise
from tinydiff.models.config import LARGEST_MICRO_BATCH
from tinydiff.models.standardise import keep_mean_and_std, mean_and_std
from tinydiff.models.store import register
from tinydiff.models.weights import checksum_of
from tinydiff.networks import Autoencoder, AutoencoderConfig
from tinydiff.workers import MOST_THREADS, map_shards

ENCODES = ("encoder.", "quant.")  # how the names of the weights begin that decide latents


@checks_arguments()
@dataclass(frozen=True)
class LatentAutoencoder:
    """An autoencoder, and what its latents are standardised by: each channel less its mean, over its deviation.

    A diffusion model expects numbers of about mean 0 and standard deviation 1, and what an encoder gives has neither.
    Stable Diffusion multiplies all by one number, 0.18215; here each channel has its own two, measured over a training
    set (`measure_latents`).

    Parameters
    ----------
    network : Autoencoder
    mean, std : numbers for each channel of the latents, or None
        Kept as float32 has them. None is 0 for the mean and 1 for the standard deviation: latents as the encoder gives
        them.
    micro_batch : int
        How many images are computed together.
    threads : int or None
        How many shards are computed at the same time; None takes one for each core.

    Examples
    --------
    >>> latents = autoencoder.encode(images)    # doctest: +SKIP
    >>> again = autoencoder.decode(latents)     # doctest: +SKIP
    """

    network: Autoencoder
    mean: Any = None
    std: Any = None
    micro_batch: int = 8
    threads: int | None = None

    def __post_init__(self):
        channels = self.network.config.latent_channels
        keep_mean_and_std(self, channels, "latents")
        check_count("micro_batch", self.micro_batch, most=LARGEST_MICRO_BATCH)
        if self.threads is not None:
            check_count("threads", self.threads, most=MOST_THREADS)

    @property
    def config(self) -> AutoencoderConfig:
        """The shape of the network."""
        return self.network.config

    @property
    def factor(self) -> int:
        """How many pixels, in height and in width, a position of the latents stands for."""
        return self.config.factor

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of the latents of an image of the size that it was trained on."""
        return self.config.latent_shape

    def encode(self, images: Array, noise: Noise | None = None) -> Array:
        """Return standardised latents (N, H / factor, W / factor, latent_channels): the means that the encoder says.

        Parameters
        ----------
        images : array, shape (N, H, W, C), in [-1, 1]
            H and W are any multiples of `factor`.
        noise : Noise or None
            Draws each number around its mean, with the variance that the encoder says (Eq. VAE-1), instead.
        """
        check_images("images", images)
        xp, (n, height, width, _) = xp_of(images), images.shape
        if noise is None:
            z = map_shards(self._means, (images,), self.micro_batch, self.threads)
        else:
            shape = (n, height // self.factor, width // self.factor, self.config.latent_channels)
            eps = noise.at(xp=xp).normal(shape, "latents", dtype=images.dtype)
            z = map_shards(self._sample, (images, eps), self.micro_batch, self.threads)
        mean, std = mean_and_std(self, z)
        return (z - mean) / std

    def decode(self, latents: Array) -> Array:
        """Return images (N, h factor, w factor, C) from standardised latents (N, h, w, latent_channels).

        Only here, at the end, are numbers clipped to [-1, 1]: latents have no bounds.
        """
        check_alike(latents=latents, theta=self.network.theta)
        check_shape("latents", latents, (None, None, None, self.config.latent_channels))
        mean, std = mean_and_std(self, latents)
        images = map_shards(self.network.decode, (latents * std + mean,), self.micro_batch, self.threads)
        return xp_of(images).clip(images, -1, 1)

    def checksum(self) -> str:
        """Return 16 hexadecimal digits that tell this autoencoder's latents from others', by which they can name it.

        They come from what decides latents: the encoder's weights, as float32 numbers, the shape, and what latents are
        standardised by. A decoder that was trained on has the same latents. Where weights are saved with fewer digits,
        latents are others: encode with the model as it is shipped.
        """
        weights = (p.value for name, p in self.network.named_parameters().items() if name.startswith(ENCODES))
        return checksum_of([to_table(self.config), self.mean, self.std], weights)

    def _means(self, x):
        return self.network.encode(x)[0]

    def _sample(self, x, eps):
        z, _ = reparameterise.bare(*self.network.encode(x), eps)
        return z


@checked()
def measure_latents(model: LatentAutoencoder, batches: Iterable[Array]) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each channel of what the encoder says, before any standardisation.

    They are taken over all positions of all images, from batch to batch, so that no more than a batch is in memory;
    sums are float64. The latents are the means that the encoder says, as `LatentAutoencoder.encode` gives them.

    Parameters
    ----------
    model : LatentAutoencoder
    batches : iterable of arrays (N, H, W, C), in [-1, 1]

    Returns
    -------
    mean, std : arrays, shape (latent_channels,)

    Raises
    ------
    InputError
        If there is no batch, or if a number is not finite.

    Source of the sums: Chan, Golub, LeVeque 1979, "Updating formulae and a pairwise algorithm for computing sample
    variances".
    """
    count, mean, squares = 0, np.zeros(model.config.latent_channels), np.zeros(model.config.latent_channels)
    for images in batches:
        check_images("a batch", images)
        z = map_shards(model._means, (images,), model.micro_batch, model.threads)
        rows = to_numpy(z).reshape(-1, z.shape[-1]).astype(np.float64)
        n, mean_here = len(rows), rows.mean(axis=0)
        squares += ((rows - mean_here) ** 2).sum(axis=0) + (mean_here - mean) ** 2 * (count * n / (count + n))
        mean += (mean_here - mean) * (n / (count + n))
        count += n
    if not count:
        raise InputError("batches holds no images, but the latents of at least one are measured.")
    if not (np.isfinite(mean).all() and np.isfinite(squares).all()):
        raise InputError("The latents hold numbers that are not finite: the autoencoder's weights are of no use.")
    return mean, np.sqrt(squares / count)


@register("autoencoder", "an autoencoder", LatentAutoencoder)
@dataclass(frozen=True)
class AutoencoderSettings:
    """What config.json says of an autoencoder."""

    config: AutoencoderConfig
    mean: tuple[float, ...]
    std: tuple[float, ...]
    micro_batch: int

    @classmethod
    def of(cls, model: LatentAutoencoder) -> "AutoencoderSettings":
        """Return the settings of a model."""
        return cls(model.config, model.mean, model.std, model.micro_batch)

    @staticmethod
    def parts(model: LatentAutoencoder) -> dict[str, Any]:
        """Return the network."""
        return {"network": model.network}

    def network(self) -> Autoencoder:
        """Return a new network."""
        return Autoencoder(self.config)

    def build(self, network: Autoencoder) -> LatentAutoencoder:
        """Return the model."""
        return LatentAutoencoder(network, self.mean, self.std, self.micro_batch)
