"""A patch discriminator, which says for each patch of a picture whether it looks like data."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from tinydiff.base import Array, check_alike, check_count, check_shape, checks_arguments, xp_of
from tinydiff.networks.levels import LARGEST_WIDTH
from tinydiff.networks.registry import network
from tinydiff.nn import Conv2d, Gradients, GroupNorm, LeakyReLU, Module, Sequential, Tape

MOST_HALVINGS = 8  # a patch is then 1,535 pixels wide
WIDEST = 8  # times `channels`: from there on the layers grow no further, as in pix2pix


@checks_arguments("__init__")
@dataclass(frozen=True)
class PatchDiscriminatorConfig:
    """The shape of a patch discriminator.

    Parameters
    ----------
    in_channels : int
        Channels of the pictures.
    channels : int
        Of the first layer; each further one has twice as many, up to eight times.
    layers : int
        How many convolutions halve the picture: with more of them, patches are larger, and there are fewer.
    """

    in_channels: int = 3
    channels: int = 32
    layers: int = 3

    def __post_init__(self):
        check_count("in_channels", self.in_channels, most=LARGEST_WIDTH)
        check_count("channels", self.channels, most=LARGEST_WIDTH)
        check_count("layers", self.layers, most=MOST_HALVINGS)

    @property
    def patch(self) -> int:
        """How many pixels wide the patch is that one logit sees: 47 with three layers."""
        # seen from the end, two kernels of 3 see 5 pixels; a kernel of 3 at stride 2 makes 2 n + 1 of n
        side = 5
        for _ in range(self.layers):
            side = 2 * side + 1
        return side


@network("patch-discriminator", PatchDiscriminatorConfig)
@checks_arguments("__init__")
class PatchDiscriminator(Module):
    """Pictures (N, H, W, C) of any size to logits (N, h, w, 1), one for each patch: high ones for data, low for fakes.

    The PatchGAN of pix2pix (Isola et al. 2017, arXiv 1611.07004), as in latent diffusion (Rombach et al. 2022): it
    judges texture, since a logit sees little of the picture (of the rest only what the norms have averaged), while the
    reconstruction loss looks after what is where.
    Convolutions that halve the picture, each followed by a norm and LeakyReLU, but the first has no norm; then one
    that keeps its size, and one that gives the logits.

    Two things differ. The norm is a GroupNorm in the place of a BatchNorm: this one ties the pictures of a batch to
    each other, so that logits would depend on the size of a micro-batch, on whether real and fake pictures come
    together, and on running averages, which are state that no gradient moves. And kernels are 3 pixels wide, not 4,
    since those of this library are odd.

    Parameters
    ----------
    config : PatchDiscriminatorConfig
    rng : numpy Generator or None
        Draws the initial weights; None takes ``np.random.default_rng(0)``.
    dtype : dtype
    """

    def __init__(
        self, config: PatchDiscriminatorConfig, rng: np.random.Generator | None = None, dtype: Any = np.float32
    ):
        rng = np.random.default_rng(0) if rng is None else rng
        self.config = config
        widths = [config.channels * min(2**i, WIDEST) for i in range(config.layers + 1)]
        layers: list[Module] = [Conv2d(config.in_channels, widths[0], 3, rng, stride=2, dtype=dtype), LeakyReLU()]
        for i, (c, wider) in enumerate(pairwise(widths), 1):
            stride = 2 if i < config.layers else 1  # the last keeps the size
            layers += [Conv2d(c, wider, 3, rng, stride=stride, dtype=dtype), GroupNorm(wider, dtype=dtype), LeakyReLU()]
        self.body = Sequential(*layers)
        self.logits = Conv2d(widths[-1], 1, 3, rng, dtype=dtype)
        self.pack()

    def one_input(self) -> tuple[Array, ...]:
        """Return one picture, as wide as a patch."""
        side = self.config.patch
        return (xp_of(self.theta).zeros((1, side, side, self.config.in_channels), self.theta.dtype),)

    def forward(self, x: Array, tape: Tape | None = None) -> Array:
        """Return logits, shape (N, h, w, 1); h and w are the height and width, halved `layers` times and rounded up."""
        check_alike(x=x, theta=self.theta)
        check_shape("x", x, (None, None, None, self.config.in_channels))
        return self.logits.forward(self.body.forward(x, tape), tape)

    def backward(self, d_logits: Array, tape: Tape, grads: Gradients | None = None) -> Array:
        """Return dx, and add the weights' gradients to `grads`; a generator learns from dx alone."""
        return self.body.backward(self.logits.backward(d_logits, tape, grads), tape, grads)
