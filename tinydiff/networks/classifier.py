"""A small convolutional classifier: the judge that says what a sample shows."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinydiff.base import check_alike, check_shape, xp_of
from tinydiff.networks.levels import check_levels
from tinydiff.nn import Conv2d, Gradients, GroupNorm, Linear, Module, Sequential, SiLU, Tape


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
        check_alike(x=x, theta=self.theta)
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
