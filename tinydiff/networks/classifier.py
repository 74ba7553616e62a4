"""A small convolutional classifier, which says what a sample shows."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinydiff.base import Array, Size, check_alike, check_shape, checks_arguments, xp_of
from tinydiff.networks.levels import OfPictures, check_levels
from tinydiff.networks.registry import network
from tinydiff.nn import Conv2d, Gradients, GroupNorm, Linear, Module, Sequential, SiLU, Tape


@checks_arguments("__init__")
@dataclass(frozen=True)
class ClassifierConfig(OfPictures):
    """The shape of a classifier.

    Parameters
    ----------
    image_size : int or (int, int)
        Height and width, or both in one number. Images of another size are refused: the linear layer after the
        convolutions reads every position of the last feature map.
    in_channels : int
        Channels of the images.
    num_classes : int
        Number of class labels.
    channels : tuple of int
        Channels of each level; between two levels, and after the last, height and width are halved.
    features : int
        Size of the last hidden layer, on which the Fréchet distance is taken.
    """

    image_size: Size = 28
    in_channels: int = 1
    num_classes: int = 10
    channels: tuple[int, ...] = (16, 32, 64)
    features: int = 64

    def __post_init__(self):
        check_levels(self, "in_channels", "num_classes", "features")


@network("classifier", ClassifierConfig)
@checks_arguments("__init__")
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
        height, width, c = config.shape
        for channels in config.channels:
            layers += [Conv2d(c, channels, 3, rng, dtype=dtype), GroupNorm(channels, dtype=dtype), SiLU()]
            layers += [
                Conv2d(channels, channels, 3, rng, stride=2, dtype=dtype),
                GroupNorm(channels, dtype=dtype),
                SiLU(),
            ]
            c, height, width = channels, (height + 1) // 2, (width + 1) // 2
        self.body = Sequential(*layers)
        self.last_shape = (height, width, c)
        self.hidden = Sequential(Linear(height * width * c, config.features, rng, dtype=dtype), SiLU())
        self.logits = Linear(config.features, config.num_classes, rng, dtype=dtype)
        self.pack()

    def one_input(self) -> tuple[Array, ...]:
        """Return one image."""
        return (xp_of(self.theta).zeros((1, *self.config.shape), self.theta.dtype),)

    def features(self, x: Array, tape: Tape | None = None) -> Array:
        """Return the last hidden layer, shape (N, features)."""
        check_alike(x=x, theta=self.theta)
        check_shape("x", x, (None, *self.config.shape))
        h = self.body.forward(x, tape)
        return self.hidden.forward(h.reshape(len(h), -1), tape)

    def forward(self, x: Array, tape: Tape | None = None) -> Array:
        """Return logits, shape (N, num_classes)."""
        return self.logits.forward(self.features(x, tape), tape)

    def backward(self, d_logits: Array, tape: Tape, grads: Gradients | None = None) -> Array:
        """Return dx, and add the weights' gradients to `grads`."""
        dh = self.logits.backward(d_logits, tape, grads)
        dh = self.hidden.backward(dh, tape, grads)
        return self.body.backward(dh.reshape(len(dh), *self.last_shape), tape, grads)
