"""A small variational autoencoder of vectors: a few normal numbers for a picture, and a normal guess of its pixels."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinydiff.base import Array, Size, check_alike, check_shape, checks_arguments, xp_of
from tinydiff.networks.generator import OfVectors, perceptron
from tinydiff.networks.levels import check_levels
from tinydiff.networks.registry import network
from tinydiff.networks.variational import Variational
from tinydiff.nn import Gradients, Parameter, Tape

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
class VAE(Variational):
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

    def _encoded(self, x, tape):
        """Return means and log variances, (N, 2 latent)."""
        check_alike(x=x, theta=self.theta)
        check_shape("x", x, (None, *self.config.shape))
        return self.encoder.forward(x.reshape(len(x), self.config.numbers), tape)

    def _encoded_backward(self, dh, tape, grads):
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
