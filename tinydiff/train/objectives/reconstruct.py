"""Reconstruct: an image through a few latents and back, the training of the autoencoder of latent diffusion."""

import math
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from tinydiff.base import Array, InputError, Noise, check_count, check_number, checks_arguments, to_numpy, xp_of
from tinydiff.data import to_images
from tinydiff.functional import (
    edge_loss,
    edge_loss_backward,
    kl_to_standard_normal,
    kl_to_standard_normal_backward,
    mae,
    mae_backward,
)
from tinydiff.models import LatentAutoencoder, measure_latents
from tinydiff.nn import Gradients, Tape
from tinydiff.train.config import ValidatedConfig
from tinydiff.train.objective import Objective
from tinydiff.train.order import shuffled
from tinydiff.workers import map_shards

MEASURED_AT_ONCE = 256  # images in memory while latents are measured, or a checksum is computed


@checks_arguments("__init__")
@dataclass(frozen=True)
class ReconstructConfig(ValidatedConfig):
    """How an autoencoder is trained: the settings of every validated run (`ValidatedConfig`), and three more.

    Parameters
    ----------
    kl : float
        Weight of the KL divergence, which is a mean over all latent numbers, as the L1 loss is one over all pixels'
        numbers. Latent diffusion sums both over an image: its weight w there is ``w latents / pixels`` here, the two
        being how many numbers there are of each. Its 1e-6 is 1.7e-7 for 16 x 16 x 8 latents of 64 x 64 x 3 pixels, and
        the 1e-4 here is 6e-4 there: enough to keep the latents' size in bounds, at little cost to the images.
    edge : float
        Weight of the edge loss (Eq. EDGE-1).
    latent_images : int
        Over how many training images, spread evenly, mean and standard deviation of the latents are measured in the
        end; all of them, if there are not more.
    """

    kl: float = 1e-4
    edge: float = 0.5
    latent_images: int = 10_000

    def __post_init__(self):
        super().__post_init__()
        for name in ("kl", "edge"):
            check_number(name, getattr(self, name), 0, 1e6)
        check_count("latent_images", self.latent_images)


@checks_arguments("__init__")
class Reconstruct(Objective):
    """The network learns to draw an image again from its latents (Rombach et al. 2022, arXiv 2112.10752, appendix G).

    Parameters
    ----------
    model : LatentAutoencoder
        Trained in place. What its latents are standardised by is measured anew at the end.
    data : Dataset
        Training images; or what has a length, a name, ``batch(indices, xp) -> (images, labels)`` and ``describe()``,
        and perhaps draws its images when they are asked for.
    config : ReconstructConfig
    validation : Dataset or None
        Held-out images.
    """

    config: ReconstructConfig

    def __init__(self, model: LatentAutoencoder, data: Any, config: ReconstructConfig, validation: Any = None):
        micro_batch = model.micro_batch if config.micro_batch is None else config.micro_batch
        super().__init__(model.network, replace(config, micro_batch=micro_batch))
        self.model, self.data, self.validation = model, data, validation
        for name, images in (("data", data), ("validation", validation)):
            if images is not None:
                _check_images_of(name, images, model.config.shape)

    def add_gradient(self, step: int, shard: int, grads: Gradients) -> Array:
        """Add one micro-batch's part of the gradient to `grads`; return its part of the loss (Eq. VAE-5)."""
        config, noise = self.config, self.noise(step, shard)
        indices = self.indices(step)[config.part(shard)]
        share = len(indices) / config.batch

        x, _ = self.data.batch(indices, noise.xp)
        eps = noise.normal((len(x), *self.model.latent_shape), "eps", dtype=x.dtype)  # eps ~ N(0, I)
        tape = Tape(noise)
        x_hat, mean, log_variance = self.network.forward(x, eps, tape)

        loss, d_x_hat = self.reconstruction(x_hat, x, share)
        kl, cache = kl_to_standard_normal(mean, log_variance)
        d_mean, d_log_variance = kl_to_standard_normal_backward(share * config.kl, cache)
        self.network.backward(d_x_hat, d_mean, d_log_variance, tape, grads)
        return share * (loss + config.kl * kl)

    def reconstruction(self, x_hat: Array, x: Array, share: float) -> tuple[Array, Array]:
        """Return how far x_hat is from x, the sum of all losses between the two, and `share` times its gradient."""
        loss, cache = mae(x_hat, x)
        d_x_hat, _ = mae_backward(share, cache)
        if self.config.edge:
            edge, edge_cache = edge_loss(x_hat, x)
            d_of_edges, _ = edge_loss_backward(share * self.config.edge, edge_cache)
            loss, d_x_hat = loss + self.config.edge * edge, d_x_hat + d_of_edges
        return loss, d_x_hat

    def indices(self, step: int) -> np.ndarray:
        """Return which images step 0, 1, ... sees: every epoch is a new random order of all."""
        return shuffled(len(self.data), self.config.batch, step, self.config.seed)

    def validate(self, *networks: Any) -> dict[str, float]:
        """Return figures on held-out images.

        The loss is that of training, with the same eps every time. ``psnr``, in decibels, is that of what the means
        decode to, as bytes, the squared error pooled over all images; ``kl`` is in nats for each latent number.
        """
        if self.validation is None:
            return {}
        (network,), n = networks, min(self.config.validation_images, len(self.validation))
        x, _ = self.validation.batch(np.arange(n), xp_of(network.theta))
        eps = Noise(0, xp=xp_of(x)).normal((n, *self.model.latent_shape), "validation eps", dtype=x.dtype)
        size, threads = self.config.shard_size, self.model.threads
        x_hat, mean, log_variance = map_shards(network.forward, (x, eps), size, threads)
        loss, _ = self.reconstruction(x_hat, x, 1.0)
        kl, _ = kl_to_standard_normal(mean, log_variance)
        decoded = map_shards(network.decode, (mean,), size, threads)
        return {"validation_loss": float(loss + self.config.kl * kl), "psnr": psnr(decoded, x), "kl": float(kl)}

    def identity(self) -> dict[str, Any]:
        """Return the network's shape, and a checksum of the data, or of what they say of themselves."""
        if hasattr(self.data, "identity"):
            found = zlib.crc32(repr(self.data.identity()).encode())
        else:
            found = self._checksum()
        return {"network": asdict(self.model.config), **self.about(), "checksum of the data": found}

    def about(self) -> dict[str, Any]:
        """Return the name of the data, and how many images there are."""
        return {"data": self.data.name, "images": len(self.data)}

    def trained(self, *networks: Any) -> LatentAutoencoder:
        """Return the model with the average of the weights, its latents measured over the training images."""
        model = replace(self.model, network=networks[0], mean=None, std=None)
        n = min(self.config.latent_images, len(self.data))
        mean, std = measure_latents(model, self._batches(np.arange(n) * len(self.data) // n))
        return replace(model, mean=mean, std=std)

    def _batches(self, indices: np.ndarray) -> Iterator[Array]:
        """Yield the training images at these indices, some at a time."""
        for start in range(0, len(indices), MEASURED_AT_ONCE):
            yield self.data.batch(indices[start : start + MEASURED_AT_ONCE], xp_of(self.network.theta))[0]

    def _checksum(self) -> int:
        """Return one of all training images, as floats, read some at a time."""
        found = 0
        for images in self._batches(np.arange(len(self.data))):
            found = zlib.crc32(to_numpy(images).tobytes(), found)
        return found


def psnr(x_hat: Array, x: Array) -> float:
    """Return the peak signal-to-noise ratio in decibels: ``10 log10(255^2 / mean squared error of the bytes)``.

    Where every byte is right, as much as if one of them were off by 1.
    """
    difference = to_images(x_hat).astype(np.float32) - to_images(x)
    squared_error = max(float((difference * difference).sum(dtype=np.float64)), 1.0)
    return 10 * math.log10(255**2 * difference.size / squared_error)


def _check_images_of(name, data, shape):
    """Raise `InputError` unless there is an image, and its shape is the network's."""
    if not len(data):
        raise InputError(f"{name} is empty: there is nothing to train on.")
    images, _ = data.batch(np.arange(1))
    if tuple(images.shape[1:]) != shape:
        raise InputError(f"{name} has images of shape {tuple(images.shape[1:])}, but the network's are {shape}.")
