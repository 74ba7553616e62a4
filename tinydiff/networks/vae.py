"""A small variational autoencoder of vectors: a few normal numbers for a picture, and a normal guess of its pixels."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinydiff import functional as F
from tinydiff.base import Array, Size, check_alike, check_shape, checks_arguments, xp_of
from tinydiff.networks.autoencoder import LOG_VARIANCE, Posterior, Reconstruction
from tinydiff.networks.generator import OfVectors, perceptron
from tinydiff.networks.levels import check_levels
from tinydiff.networks.registry import network
from tinydiff.nn import Gradients, Module, Parameter, Tape

FIRST_LOG_SIGMA = -1.0  # of a new decoder: data have numbers around 1


@checks_arguments("__init__")
@dataclass(frozen=True)
class VAEConfig(OfVectors):
    """The shape of a variational autoencoder of vectors.

    Parameters
    ----------
    image_size : int or (int, int)
        Height and width of the pictures, or both in one number; 1 for points, whose coordinates are channels.
    in_channels : int
        Channels of the pictures.
    latent : int
        How many numbers stand for a picture.
    channels : tuple of int
        Widths of the encoder's hidden layers; the decoder has the same, the other way round.
    """

    image_size: Size = 8
    in_channels: int = 1
    latent: int = 16
    channels: tuple[int, ...] = (128, 128)

    def __post_init__(self):
        check_levels(self, "in_channels", "latent")


@network("vae", VAEConfig)
@checks_arguments("__init__")
class VAE(Module):
    """Pictures (N, H, W, C) to the mean and log variance of a few latent numbers, and these to a guess of the picture.

    The decoder says p(x | z) = N(x_hat, sigma^2): its mean is a picture, its deviation one number for all pixels, which
    is learned with the weights (Rybkin et al. 2021, arXiv 2006.13202). A fixed one would weigh reconstruction against
    the KL divergence by hand, and no bound on the likelihood could be compared with that of another model.

    `Autoencoder` has convolutions and latents with a height and a width. Here a picture is one vector, so that points
    of the plane fit, too: pictures of one pixel.

    Parameters
    ----------
    config : VAEConfig
    rng : numpy Generator or None
        Draws the initial weights; None takes ``np.random.default_rng(0)``.
    dtype : dtype
    """

    def __init__(self, config: VAEConfig, rng: np.random.Generator | None = None, dtype: Any = np.float32):
        rng = np.random.default_rng(0) if rng is None else rng
        self.config = config
        numbers = config.numbers
        self.encoder = perceptron([numbers, *config.channels, 2 * config.latent], rng, dtype)
        self.decoder = perceptron([config.latent, *config.channels[::-1], numbers], rng, dtype)
        self.log_sigma = Parameter(np.full(1, FIRST_LOG_SIGMA, dtype), decay=False)
        self.pack()

    @property
    def latent(self) -> int:
        """How many random numbers a picture is made of."""
        return self.config.latent

    def one_input(self) -> tuple[Array, ...]:
        """Return one picture, and the random numbers for its latents."""
        xp, dtype = xp_of(self.theta), self.theta.dtype
        return xp.zeros((1, *self.config.shape), dtype), xp.zeros((1, self.config.latent), dtype)

    def encode(self, x: Array, tape: Tape | None = None) -> Posterior:
        """Return (mean, log_variance) of the latents, each (N, latent); the log variance is clamped (Eq. CLAMP-1)."""
        check_alike(x=x, theta=self.theta)
        check_shape("x", x, (None, *self.config.shape))
        h = self.encoder.forward(x.reshape(len(x), self.config.numbers), tape)
        mean, log_variance = h[:, : self.config.latent], h[:, self.config.latent :]
        log_variance, cache = F.clamp.bare(log_variance, *LOG_VARIANCE)
        if tape is not None:
            tape.push(self, cache, log_variance.shape)
        return Posterior(mean, log_variance)

    def encode_backward(
        self, d_mean: Array, d_log_variance: Array, tape: Tape, grads: Gradients | None = None
    ) -> Array:
        """Return dx, and add the weights' gradients to `grads`."""
        check_alike(d_mean=d_mean, d_log_variance=d_log_variance, theta=self.theta)
        check_shape("d_mean", d_mean, (None, self.config.latent))
        check_shape("d_log_variance", d_log_variance, d_mean.shape)
        cache = tape.pop(self)
        check_shape("d_mean", d_mean, cache.inside.shape)
        (d_log_variance,) = F.clamp_backward.bare(d_log_variance, cache)
        dh = xp_of(d_mean).concatenate([d_mean, d_log_variance], axis=-1)
        return self.encoder.backward(dh, tape, grads).reshape(len(dh), *self.config.shape)

    def decode(self, z: Array, tape: Tape | None = None) -> Array:
        """Return the means of p(x | z), pictures (N, H, W, C), of latents (N, latent)."""
        check_alike(z=z, theta=self.theta)
        check_shape("z", z, (None, self.config.latent))
        return self.decoder.forward(z, tape).reshape(len(z), *self.config.shape)

    def decode_backward(self, d_x_hat: Array, tape: Tape, grads: Gradients | None = None) -> Array:
        """Return dz, and add the weights' gradients to `grads`."""
        check_alike(d_x_hat=d_x_hat, theta=self.theta)
        check_shape("d_x_hat", d_x_hat, (None, *self.config.shape))
        return self.decoder.backward(d_x_hat.reshape(len(d_x_hat), self.config.numbers), tape, grads)

    def forward(self, x: Array, eps: Array, tape: Tape | None = None) -> Reconstruction:
        """Return (x_hat, mean, log_variance): what a sample of the latents decodes to, and what it is drawn from.

        Parameters
        ----------
        x : array, shape (N, H, W, C)
        eps : array, shape (N, latent)
            Standard normal numbers; zeros decode the means.
        tape : Tape or None
        """
        mean, log_variance = self.encode(x, tape)
        check_alike(x=x, eps=eps)
        check_shape("eps", eps, mean.shape)
        z, cache = F.reparameterise.bare(mean, log_variance, eps)
        if tape is not None:
            tape.push(self, cache, z.shape)
        return Reconstruction(self.decode(z, tape), mean, log_variance)

    def backward(
        self, d_x_hat: Array, d_mean: Array, d_log_variance: Array, tape: Tape, grads: Gradients | None = None
    ) -> Array:
        """Return dx, and add the weights' gradients to `grads`: the forward in reverse order.

        d_mean and d_log_variance are the gradients of what reads both besides the decoder, such as the KL divergence.
        """
        check_alike(d_mean=d_mean, d_log_variance=d_log_variance, theta=self.theta)
        dz = self.decode_backward(d_x_hat, tape, grads)
        check_shape("d_mean", d_mean, dz.shape)
        check_shape("d_log_variance", d_log_variance, dz.shape)
        d_mean_of_z, d_log_variance_of_z, _ = F.reparameterise_backward.bare(dz, tape.pop(self))
        return self.encode_backward(d_mean + d_mean_of_z, d_log_variance + d_log_variance_of_z, tape, grads)

    def draw(self, z: Array, eps: Array | None = None) -> Array:
        """Return pictures of standard normal numbers z (N, latent): the decoder's means, or samples around them.

        Parameters
        ----------
        z : array, shape (N, latent)
        eps : array, shape (N, H, W, C), or None
            Standard normal numbers: then x is drawn from p(x | z), as the model has it. Without them the means are
            returned, which look better than samples and are not what the bound is of.
        """
        x_hat = self.decode(z)
        if eps is None:
            return x_hat
        check_alike(z=z, eps=eps)
        check_shape("eps", eps, x_hat.shape)
        return x_hat + xp_of(z).exp(self.log_sigma.value) * eps
