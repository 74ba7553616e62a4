"""A generator, which makes pictures of random numbers, and a discriminator that reads a picture as one vector."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from tinydiff.base import Array, Size, check_alike, check_shape, checks_arguments, xp_of
from tinydiff.networks.levels import OfPictures, check_levels
from tinydiff.networks.registry import network
from tinydiff.nn import Gradients, Linear, Module, Sequential, SiLU, Tape


class OfVectors(OfPictures):
    """What the shape of a network says that reads all numbers of a picture in one layer."""

    @property
    def numbers(self) -> int:
        """How many numbers a picture has."""
        return math.prod(self.shape)


@checks_arguments("__init__")
@dataclass(frozen=True)
class GeneratorConfig(OfVectors):
    """The shape of a generator.

    Parameters
    ----------
    image_size : int or (int, int)
        Height and width of the pictures, or both in one number; 1 for points, whose coordinates are channels.
    in_channels : int
        Channels of the pictures.
    latent : int
        How many random numbers a picture is made of.
    channels : tuple of int
        Widths of the hidden layers.
    """

    image_size: Size = 8
    in_channels: int = 1
    latent: int = 16
    channels: tuple[int, ...] = (128, 128)

    def __post_init__(self):
        check_levels(self, "in_channels", "latent")


@checks_arguments("__init__")
@dataclass(frozen=True)
class VectorDiscriminatorConfig(OfVectors):
    """The shape of a discriminator of vectors.

    Parameters
    ----------
    image_size : int or (int, int)
    in_channels : int
    channels : tuple of int
        Widths of the hidden layers.
    """

    image_size: Size = 8
    in_channels: int = 1
    channels: tuple[int, ...] = (128, 128)

    def __post_init__(self):
        check_levels(self, "in_channels")


def perceptron(widths: Sequence[int], rng: np.random.Generator, dtype: Any, last: bool = True) -> Sequential:
    """Return linear layers of these widths, with SiLU between each two.

    Parameters
    ----------
    widths : sequence of int
        Of the input, of each hidden layer, and of the output.
    rng : numpy Generator
    dtype : dtype
    last : bool
        Whether the last layer has random weights; if not, they are 0, and so is the output at first.
    """
    layers: list[Module] = []
    for i, (c_in, c_out) in enumerate(pairwise(widths)):
        if i:
            layers.append(SiLU())
        is_last = i == len(widths) - 2
        layers.append(Linear(c_in, c_out, rng if last or not is_last else None, dtype=dtype))
    return Sequential(*layers)


@network("generator", GeneratorConfig)
@checks_arguments("__init__")
class Generator(Module):
    """Random numbers z (N, latent) to pictures (N, H, W, C): the half of a GAN that is kept (Goodfellow et al. 2014).

    Linear layers with SiLU between them. The output has no bounds, so that points of the plane can be made, too; what
    shows pictures clips them to [-1, 1].

    Parameters
    ----------
    config : GeneratorConfig
    rng : numpy Generator or None
        Draws the initial weights; None takes ``np.random.default_rng(0)``.
    dtype : dtype
    """

    def __init__(self, config: GeneratorConfig, rng: np.random.Generator | None = None, dtype: Any = np.float32):
        rng = np.random.default_rng(0) if rng is None else rng
        self.config = config
        self.body = perceptron([config.latent, *config.channels, config.numbers], rng, dtype)
        self.pack()

    @property
    def latent(self) -> int:
        """How many random numbers a picture is made of."""
        return self.config.latent

    def one_input(self) -> tuple[Array, ...]:
        """Return the random numbers of one picture."""
        return (xp_of(self.theta).zeros((1, self.config.latent), self.theta.dtype),)

    def forward(self, z: Array, tape: Tape | None = None) -> Array:
        """Return pictures (N, H, W, C)."""
        check_alike(z=z, theta=self.theta)
        check_shape("z", z, (None, self.config.latent))
        return self.body.forward(z, tape).reshape(len(z), *self.config.shape)

    def backward(self, d_x: Array, tape: Tape, grads: Gradients | None = None) -> Array:
        """Return dz, and add the weights' gradients to `grads`."""
        check_alike(d_x=d_x, theta=self.theta)
        check_shape("d_x", d_x, (None, *self.config.shape))
        return self.body.backward(d_x.reshape(len(d_x), self.config.numbers), tape, grads)

    def draw(self, z: Array) -> Array:
        """Return the pictures of standard normal numbers z (N, latent)."""
        return self.forward(z)


@network("vector-discriminator", VectorDiscriminatorConfig)
@checks_arguments("__init__")
class VectorDiscriminator(Module):
    """Pictures (N, H, W, C) to logits (N, 1): high ones for data, low ones for what a generator has made.

    It reads all numbers of a picture at once, in linear layers with SiLU between them, and so is of use for points and
    for small pictures; `PatchDiscriminator` judges the texture of larger ones. SiLU and not LeakyReLU: the slope of
    what it says may be penalised, and then has a slope of its own.

    Parameters
    ----------
    config : VectorDiscriminatorConfig
    rng : numpy Generator or None
        Draws the initial weights; None takes ``np.random.default_rng(0)``.
    dtype : dtype
    """

    def __init__(
        self, config: VectorDiscriminatorConfig, rng: np.random.Generator | None = None, dtype: Any = np.float32
    ):
        rng = np.random.default_rng(0) if rng is None else rng
        self.config = config
        self.body = perceptron([config.numbers, *config.channels, 1], rng, dtype)
        self.pack()

    def one_input(self) -> tuple[Array, ...]:
        """Return one picture."""
        return (xp_of(self.theta).zeros((1, *self.config.shape), self.theta.dtype),)

    def forward(self, x: Array, tape: Tape | None = None) -> Array:
        """Return logits, shape (N, 1)."""
        check_alike(x=x, theta=self.theta)
        check_shape("x", x, (None, *self.config.shape))
        return self.body.forward(x.reshape(len(x), self.config.numbers), tape)

    def backward(self, d_logits: Array, tape: Tape, grads: Gradients | None = None) -> Array:
        """Return dx, and add the weights' gradients to `grads`; a generator learns from dx alone."""
        check_alike(d_logits=d_logits, theta=self.theta)
        check_shape("d_logits", d_logits, (None, 1))
        return self.body.backward(d_logits, tape, grads).reshape(len(d_logits), *self.config.shape)
