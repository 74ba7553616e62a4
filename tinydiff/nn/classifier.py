"""Small convolutional classifiers: the judge that says what a sample shows, and one that reads noisy pictures too."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinydiff.backend import xp_of
from tinydiff.errors import InputError, check_count, check_shape
from tinydiff.nn.core import Gradients, Module, Tape
from tinydiff.nn.image_encoder import ImageEncoder
from tinydiff.nn.layers import Conv2d, GroupNorm, Linear, Sequential, SiLU


def check_levels(config: Any, *counts: str) -> None:
    """Raise `InputError` unless the counts of a config, and its channels for each level, are whole numbers from 1.

    The channels become a tuple, for lists come out of JSON.
    """
    object.__setattr__(config, "channels", tuple(config.channels))
    for name in counts:
        check_count(name, getattr(config, name))
    if not config.channels:
        raise InputError("channels is empty, but one whole number for each level was expected.")
    for width in config.channels:
        check_count("channels", width)


@dataclass(frozen=True)
class ClassifierConfig:
    """The shape of a classifier.

    Parameters
    ----------
    image_size, in_channels, num_classes : int
    channels : tuple of int
        Channels of each level; between two levels, and after the last, height and width are halved.
    features : int
        Size of the last hidden layer, on which the Fréchet distance is taken.
    """

    image_size: int = 28
    in_channels: int = 1
    num_classes: int = 10
    channels: tuple[int, ...] = (16, 32, 64)
    features: int = 64

    def __post_init__(self):
        check_levels(self, "image_size", "in_channels", "num_classes", "features")


class Classifier(Module):
    """Images (N, H, W, C) to logits (N, num_classes).

    Parameters
    ----------
    config : ClassifierConfig
    rng : numpy Generator or None
        Draws the initial weights; None takes ``np.random.default_rng(0)``.
    dtype : dtype
    """

    def __init__(self, config: ClassifierConfig, rng: np.random.Generator | None = None, dtype: Any = np.float32):
        rng = np.random.default_rng(0) if rng is None else rng
        self.config = config
        layers: list[Module] = []
        c, side = config.in_channels, config.image_size
        for width in config.channels:
            layers += [Conv2d(c, width, 3, rng, dtype=dtype), GroupNorm(width, dtype=dtype), SiLU()]
            layers += [
                Conv2d(width, width, 3, rng, stride=2, dtype=dtype),
                GroupNorm(width, dtype=dtype),
                SiLU(),
            ]
            c, side = width, (side + 1) // 2
        self.body = Sequential(*layers)
        self.hidden = Sequential(Linear(c * side * side, config.features, rng, dtype=dtype), SiLU())
        self.logits = Linear(config.features, config.num_classes, rng, dtype=dtype)
        self.pack()

    def one_input(self) -> tuple[Any, ...]:
        """Return one image."""
        size = self.config.image_size
        return (xp_of(self.theta).zeros((1, size, size, self.config.in_channels), self.theta.dtype),)

    def features(self, x: Any, tape: Tape | None = None) -> Any:
        """Return the last hidden layer, shape (N, features)."""
        size = self.config.image_size
        xp_of(x=x, theta=self.theta)
        check_shape("x", x, (None, size, size, self.config.in_channels))
        h = self.body.forward(x, tape)
        return self.hidden.forward(h.reshape(len(h), -1), tape)

    def forward(self, x: Any, tape: Tape | None = None) -> Any:
        """Return logits, shape (N, num_classes)."""
        return self.logits.forward(self.features(x, tape), tape)

    def backward(self, d_logits: Any, tape: Tape, grads: Gradients | None = None) -> Any:
        """Return dx, and add the weights' gradients to `grads`."""
        dh = self.logits.backward(d_logits, tape, grads)
        dh = self.hidden.backward(dh, tape, grads)
        side = self.config.image_size
        for _ in self.config.channels:
            side = (side + 1) // 2
        return self.body.backward(dh.reshape(len(dh), side, side, -1), tape, grads)


@dataclass(frozen=True)
class NoisyClassifierConfig:
    """The shape of a classifier of noisy pictures.

    Parameters
    ----------
    image_size, in_channels, num_classes : int
    channels : tuple of int
        Channels of each level; between two levels height and width are halved.
    """

    image_size: int = 28
    in_channels: int = 1
    num_classes: int = 10
    channels: tuple[int, ...] = (16, 32, 32)

    def __post_init__(self):
        check_levels(self, "image_size", "in_channels", "num_classes")


class NoisyClassifier(Module):
    """Pictures x_t (N, H, W, C) at times t to logits (N, num_classes): the way down of a UNet, and a linear layer.

    What guides must know how much noise a picture has: a classifier of clean pictures has never seen any, and its
    gradient says nothing there (Dhariwal and Nichol 2021, section 4).

    Parameters
    ----------
    config : NoisyClassifierConfig
    rng : numpy Generator or None
        Draws the initial weights; None takes ``np.random.default_rng(0)``.
    dtype : dtype
    """

    def __init__(self, config: NoisyClassifierConfig, rng: np.random.Generator | None = None, dtype: Any = np.float32):
        rng = np.random.default_rng(0) if rng is None else rng
        self.config = config
        self.encoder = ImageEncoder(config.image_size, config.in_channels, config.channels, rng, dtype)
        self.logits = Linear(self.encoder.features, config.num_classes, rng, dtype=dtype)
        self.pack()

    def one_input(self) -> tuple[Any, ...]:
        """Return one picture and its time."""
        size, xp = self.config.image_size, xp_of(self.theta)
        return xp.zeros((1, size, size, self.config.in_channels), self.theta.dtype), xp.zeros(1, np.int64)

    def forward(self, x_t: Any, t: Any, tape: Tape | None = None) -> Any:
        """Return logits, shape (N, num_classes); t is 0 for clean pictures, a number or an array (N,)."""
        return self.logits.forward(self.encoder.forward(x_t, t, tape), tape)

    def backward(self, d_logits: Any, tape: Tape, grads: Gradients | None = None) -> Any:
        """Return d_x_t, and add the weights' gradients to `grads`."""
        return self.encoder.backward(self.logits.backward(d_logits, tape, grads), tape, grads)
