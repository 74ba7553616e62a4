"""The residual block that UNets and autoencoders are built from."""

from collections import namedtuple
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinydiff.base import Array, InputError, check_shape, checks_arguments, xp_of
from tinydiff.functional.norm import row_sums
from tinydiff.nn.activations import SiLU
from tinydiff.nn.attention import SelfAttention
from tinydiff.nn.gradients import Gradients
from tinydiff.nn.layers import Conv2d, Dropout, GroupNorm, GroupNormSiLU, Linear
from tinydiff.nn.module import Module
from tinydiff.nn.tape import Tape
from tinydiff.nn.transformer import SpatialTransformer

ScaleShiftCache = namedtuple("ScaleShiftCache", "h scale")


@checks_arguments("__init__")
@dataclass(frozen=True)
class BlockConfig:
    """What all residual blocks of a network share.

    Parameters
    ----------
    c_emb : int or None
        Channels of the embedding of the time; None for a network that knows no time, such as an autoencoder.
    groups : int or None
        Of every norm; None takes ``min(32, channels // 4)``.
    dropout : float
    scale_shift : bool
        Whether the embedding scales and shifts the second norm instead of being added.
    context_channels : int or None
        Of a context for cross-attention (`SpatialTransformer`); None: pixels attend to pixels only.
    norm_eps : float
        Added to the variance in every norm of pixels, but for the first of a `SpatialTransformer`.
    transformer_eps : float
        Added to the variance in that one; Stable Diffusion's weights need 1e-6.
    """

    c_emb: int | None
    groups: int | None = None
    dropout: float = 0.0
    scale_shift: bool = False
    context_channels: int | None = None
    norm_eps: float = 1e-5
    transformer_eps: float = 1e-5

    def __post_init__(self):
        if self.scale_shift and self.c_emb is None:
            raise InputError(
                "scale_shift is True, but c_emb is None: without an embedding, nothing says by how much to scale and "
                "shift."
            )


@checks_arguments("__init__")
class ResBlock(Module):
    """A residual block: two convolutions beside a shortcut, with the time embedding between, and optional attention.

    The block of DDPM and ADM: norm, SiLU and convolution, twice. The embedding is added to every pixel after the first
    convolution, or (`scale_shift`) scales and shifts the second norm; a block without `c_emb` takes None instead. The
    second convolution starts at zero.

    Parameters
    ----------
    c_in, c_out : int
        Channels of the input and the output.
    config : BlockConfig
        What all blocks of the network share.
    rng : numpy Generator
    heads : int
        0 for a block without attention.
    dtype : dtype
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        config: BlockConfig,
        rng: np.random.Generator,
        heads: int = 0,
        dtype: Any = np.float32,
    ):
        groups, eps = config.groups, config.norm_eps
        self.scale_shift = config.scale_shift
        self.norm_1 = GroupNormSiLU(c_in, groups, eps, dtype)
        self.conv_1 = Conv2d(c_in, c_out, 3, rng, dtype=dtype)
        self.project: Any = None
        if config.c_emb is not None:
            self.project = Linear(config.c_emb, 2 * c_out if self.scale_shift else c_out, rng, dtype=dtype)
        if self.scale_shift:  # scale and shift come between the norm and SiLU
            self.norm_2, self.silu_2 = GroupNorm(c_out, groups, eps, dtype), SiLU()
        else:
            self.norm_2 = GroupNormSiLU(c_out, groups, eps, dtype)
        self.dropout = Dropout(config.dropout)
        self.conv_2 = Conv2d(c_out, c_out, 3, None, dtype=dtype)
        self.shortcut = Linear(c_in, c_out, rng, dtype=dtype) if c_in != c_out else None
        self.attention: Any = None
        self.has_cross_attention = heads > 0 and config.context_channels is not None
        if heads and config.context_channels is not None:
            self.attention = SpatialTransformer(
                c_out, heads, config.context_channels, rng, groups, dtype, config.transformer_eps
            )
        elif heads:
            self.attention = SelfAttention(c_out, heads, rng, groups, dtype, eps)

    def forward(self, x: Array, emb: Array | None, tape: Tape | None = None, context: Array | None = None) -> Array:
        """Return (N, H, W, c_out) from x (N, H, W, c_in), emb (N, c_emb) or None, and perhaps tokens of a context."""
        h = self.norm_1.forward(x, tape)
        if self.project is not None:
            check_shape("emb", emb, (len(x), None))
        elif emb is not None:
            raise InputError("emb was given, but this block was made without c_emb and reads none: give None.")
        h = self.conv_1.forward(h, tape)
        time: Any = None if self.project is None else self.project.forward(emb, tape)[:, None, None, :]
        if self.scale_shift:
            h = self.norm_2.forward(h, tape)
            scale, shift = time[..., : h.shape[-1]], time[..., h.shape[-1] :]
            if tape is not None:
                tape.push(self, ScaleShiftCache(h, scale))
            h = self.silu_2.forward(h * (1 + scale) + shift, tape)
        else:
            if self.project is not None:
                h += time
            h = self.norm_2.forward(h, tape)
        h = self.dropout.forward(h, tape)
        h = self.conv_2.forward(h, tape)
        h += x if self.shortcut is None else self.shortcut.forward(x, tape)
        if self.has_cross_attention:
            return self.attention.forward(h, context, tape)
        return h if self.attention is None else self.attention.forward(h, tape)

    def backward(self, dy: Array, tape: Tape, grads: Gradients | None = None) -> tuple[Array, Array, Array | None]:
        """Return (dx, d_emb, d_context): d_emb is None without an embedding, d_context without cross-attention."""
        d_context = None
        if self.has_cross_attention:
            dy, d_context = self.attention.backward(dy, tape, grads)
        elif self.attention is not None:
            dy = self.attention.backward(dy, tape, grads)
        d_shortcut = dy if self.shortcut is None else self.shortcut.backward(dy, tape, grads)
        dh = self.conv_2.backward(dy, tape, grads)
        dh = self.dropout.backward(dh, tape, grads)
        if self.scale_shift:
            dh = self.silu_2.backward(dh, tape, grads)
            h, scale = tape.pop(self)
            d_time = xp_of(dh).concatenate([(dh * h).sum(axis=(1, 2)), dh.sum(axis=(1, 2))], axis=-1)
            dh = self.norm_2.backward(dh * (1 + scale), tape, grads)
        else:
            dh = self.norm_2.backward(dh, tape, grads)
            if self.project is not None:  # the embedding was added to every pixel
                d_time = row_sums(xp_of(dh), dh.reshape(len(dh), -1, dh.shape[-1]))[:, 0]
        d_emb = None if self.project is None else self.project.backward(d_time, tape, grads)
        dh = self.conv_1.backward(dh, tape, grads)
        dx = self.norm_1.backward(dh, tape, grads)
        dx += d_shortcut  # two readers of x: their gradients add
        return dx, d_emb, d_context
