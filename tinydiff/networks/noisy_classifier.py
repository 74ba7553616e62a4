"""A classifier that reads noisy pictures too, and so can guide."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinydiff.base import Array, Size, checks_arguments, xp_of
from tinydiff.networks.image_encoder import ImageEncoder
from tinydiff.networks.levels import OfPictures, check_levels
from tinydiff.networks.registry import network
from tinydiff.nn import Gradients, Linear, Module, Tape


@checks_arguments("__init__")
@dataclass(frozen=True)
class NoisyClassifierConfig(OfPictures):
    """The shape of a classifier of noisy pictures.

    Parameters
    ----------
    image_size : int or (int, int)
        Height and width, or both in one number; multiples of ``2 ** (levels - 1)``. Pictures of another size are
        refused: the linear layer after the encoder reads every position of the last feature map.
    in_channels, num_classes : int
    channels : tuple of int
        Channels of each level; between two levels height and width are halved.
    """

    image_size: Size = 28
    in_channels: int = 1
    num_classes: int = 10
    channels: tuple[int, ...] = (16, 32, 32)

    def __post_init__(self):
        check_levels(self, "in_channels", "num_classes")


@network("noisy-classifier", NoisyClassifierConfig)
@checks_arguments("__init__")
class NoisyClassifier(Module):
    """Pictures x_t (N, H, W, C) at times t to logits (N, num_classes): the first half of a UNet, and a linear layer.

    A classifier that guides must know noisy pictures: one that was trained on clean pictures has never seen any, and
    its gradient there means nothing (Dhariwal and Nichol 2021, section 4).

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

    def one_input(self) -> tuple[Array, ...]:
        """Return one picture and its time."""
        xp = xp_of(self.theta)
        return xp.zeros((1, *self.config.shape), self.theta.dtype), xp.zeros(1, np.int64)

    def forward(self, x_t: Array, t: Array | float, tape: Tape | None = None) -> Array:
        """Return logits, shape (N, num_classes); t is 0 for clean pictures, a number or an array (N,)."""
        return self.logits.forward(self.encoder.forward(x_t, t, tape), tape)

    def backward(self, d_logits: Array, tape: Tape, grads: Gradients | None = None) -> Array:
        """Return d_x_t, and add the weights' gradients to `grads`."""
        return self.encoder.backward(self.logits.backward(d_logits, tape, grads), tape, grads)
