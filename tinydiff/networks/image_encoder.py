"""An image encoder for pictures with any amount of noise: the base of classifiers and CLIPs that guide."""

import math
from itertools import pairwise
from typing import Any

import numpy as np

from tinydiff import functional as F
from tinydiff.base import (
    Array,
    Size,
    check_alike,
    check_shape,
    check_sides,
    checks_arguments,
    height_and_width,
    xp_of,
)
from tinydiff.networks.levels import check_widths
from tinydiff.nn import BlockConfig, Conv2d, Gradients, GroupNormSiLU, Linear, Module, ResBlock, Sequential, SiLU, Tape


@checks_arguments("__init__")
class ImageEncoder(Module):
    """Pictures x_t (N, H, W, C) at times t to features (N, features): the first half of a UNet.

    It gets t as an embedding, so that one network reads clean pictures, t = 0, and noisy ones. The features are the
    last feature map as one vector, so they keep the positions in the picture. Their number depends on the picture's
    size, so the encoder takes pictures of one size only.

    Parameters
    ----------
    image_size : int or (int, int)
        Height and width, or both in one number; multiples of ``2 ** (levels - 1)``.
    in_channels : int
    channels : tuple of int
        Channels of each level; between two levels height and width are halved.
    rng : numpy Generator
    dtype : dtype
    """

    def __init__(
        self,
        image_size: Size,
        in_channels: int,
        channels: tuple[int, ...],
        rng: np.random.Generator,
        dtype: Any = np.float32,
    ):
        height, width = size = height_and_width("image_size", image_size)
        check_widths("channels", channels)
        halved = 2 ** (len(channels) - 1)
        check_sides("image_size", size, halved)
        self.shape, self.channels = (height, width, in_channels), channels
        first, last = channels[0], channels[-1]
        c_emb = 4 * first
        self.time = Sequential(
            Linear(first, c_emb, rng, dtype=dtype), SiLU(), Linear(c_emb, c_emb, rng, dtype=dtype), SiLU()
        )
        self.stem = Conv2d(in_channels, first, 3, rng, dtype=dtype)
        self.blocks = [ResBlock(c, c, BlockConfig(c_emb), rng, dtype=dtype) for c in channels]
        self.down = [Conv2d(c, wider, 3, rng, stride=2, dtype=dtype) for c, wider in pairwise(channels)]
        self.norm = GroupNormSiLU(last, dtype=dtype)
        self.last_shape = (height // halved, width // halved, last)
        self.features = math.prod(self.last_shape)

    def forward(self, x_t: Array, t: Array | float, tape: Tape | None = None) -> Array:
        """Return features, shape (N, features); t is 0 for clean pictures, a number or an array (N,)."""
        check_alike(x_t=x_t, weights=self.stem.weight.value)
        xp = xp_of(x_t)
        check_shape("x_t", x_t, (None, *self.shape))
        t = xp.broadcast_to(xp.asarray(t), (len(x_t),)) if getattr(t, "ndim", 0) == 0 else t
        check_shape("t", t, (len(x_t),))
        emb = self.time.forward(F.timestep_embedding(t, self.channels[0], dtype=x_t.dtype), tape)
        h = self.stem.forward(x_t, tape)
        for i, block in enumerate(self.blocks):
            h = self.down[i - 1].forward(h, tape) if i else h
            h = block.forward(h, emb, tape)
        return self.norm.forward(h, tape).reshape(len(h), -1)

    def backward(self, dy: Array, tape: Tape, grads: Gradients | None = None) -> Array:
        """Return d_x_t, and add the gradients of the weights."""
        check_alike(dy=dy)
        check_shape("dy", dy, (None, self.features))
        dh = self.norm.backward(dy.reshape(len(dy), *self.last_shape), tape, grads)
        d_emb = 0
        for i, block in reversed(list(enumerate(self.blocks))):
            dh, d, _ = block.backward(dh, tape, grads)
            d_emb = d_emb + d  # every block read the time: gradients add
            dh = self.down[i - 1].backward(dh, tape, grads) if i else dh
        d_x_t = self.stem.backward(dh, tape, grads)
        self.time.backward(d_emb, tape, grads)
        return d_x_t
