"""The Transformer: blocks of attention and feed-forward layers, over tokens or over the pixels of an image."""

from typing import Any

import numpy as np

from tinydiff.base import Array, Choices, InputError, check_rank, checks_arguments
from tinydiff.nn.activations import GEGLU, GELU, QuickGELU
from tinydiff.nn.attention import Attention
from tinydiff.nn.gradients import Gradients
from tinydiff.nn.layers import GroupNorm, LayerNorm, Linear, Sequential
from tinydiff.nn.module import Module
from tinydiff.nn.tape import Tape

# What may stand between the two layers of a feed-forward network; GEGLU makes one number of two.
ACTIVATIONS: Choices[type[Module]] = Choices("activation", {"geglu": GEGLU, "gelu": GELU, "quick-gelu": QuickGELU})


@checks_arguments("__init__")
class TransformerBlock(Module):
    """A pre-norm Transformer block: self-attention, cross-attention if there is a context, and a feed-forward network.

    Each of the three is a residual branch: its input goes through a layer norm, its output is added to x. With GEGLU it
    is Stable Diffusion's block (Rombach et al. 2022, arXiv 2112.10752); without a context, that of a text encoder.

    Parameters
    ----------
    channels, heads : int
    rng : numpy Generator
    context_channels : int or None
        None: no cross-attention.
    activation : str
        Of the feed-forward network: ``"geglu"``, or ``"gelu"`` or ``"quick-gelu"``, as in CLIPs.
    bias : bool
        Whether queries, keys and values have biases, as in CLIPs.
    dtype : dtype
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        rng: np.random.Generator,
        context_channels: int | None = None,
        activation: str = "geglu",
        bias: bool = False,
        dtype: Any = np.float32,
    ):
        of_feed_forward = ACTIVATIONS[activation]
        self.norm_1 = LayerNorm(channels, dtype=dtype)
        self.self_attention = Attention(channels, heads, rng, bias=bias, dtype=dtype)
        self.cross_attention = None
        if context_channels is not None:
            self.norm_2 = LayerNorm(channels, dtype=dtype)
            self.cross_attention = Attention(channels, heads, rng, context_channels, bias, dtype)
        self.norm_3 = LayerNorm(channels, dtype=dtype)
        wide = 4 * channels
        self.feed_forward = Sequential(
            Linear(channels, 2 * wide if of_feed_forward is GEGLU else wide, rng, dtype=dtype),
            of_feed_forward(),
            Linear(wide, channels, rng, dtype=dtype),
        )

    def forward(
        self, x: Array, context: Array | None = None, tape: Tape | None = None, mask: Array | None = None
    ) -> Array:
        """Return an array like x, (N, tokens, channels); `mask` is that of self-attention, see `attention`."""
        h = self.norm_1.forward(x, tape)
        x = x + self.self_attention.forward(h, h, tape, mask)
        if self.cross_attention is not None:
            if context is None:
                raise InputError("This block attends to a context, but none was given.")
            h = self.norm_2.forward(x, tape)
            x = x + self.cross_attention.forward(h, context, tape)
        h = self.norm_3.forward(x, tape)
        return x + self.feed_forward.forward(h, tape)

    def backward(self, dy: Array, tape: Tape, grads: Gradients | None = None) -> tuple[Array, Array | None]:
        """Return (dx, d_context), the latter None without a context."""
        dh = self.feed_forward.backward(dy, tape, grads)
        dx = dy + self.norm_3.backward(dh, tape, grads)  # two readers of x, here and below: their gradients add
        d_context = None
        if self.cross_attention is not None:
            dh, d_context = self.cross_attention.backward(dx, tape, grads)
            dx = dx + self.norm_2.backward(dh, tape, grads)
        d_queries, d_keys_and_values = self.self_attention.backward(dx, tape, grads)  # h gave all three
        dx = dx + self.norm_1.backward(d_queries + d_keys_and_values, tape, grads)
        return dx, d_context


@checks_arguments("__init__")
class SpatialTransformer(Module):
    """A Transformer block whose tokens are the pixels of an image; they attend to each other and to a context.

    The last projection starts at zero, so that the module starts as the identity.

    Parameters
    ----------
    channels, heads, context_channels : int
    rng : numpy Generator
    groups : int or None
        Of the norm.
    dtype : dtype
    eps : float
        Of the norm.
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        context_channels: int,
        rng: np.random.Generator,
        groups: int | None = None,
        dtype: Any = np.float32,
        eps: float = 1e-5,
    ):
        self.norm = GroupNorm(channels, groups, eps, dtype)
        self.proj_in = Linear(channels, channels, rng, dtype=dtype)
        self.block = TransformerBlock(channels, heads, rng, context_channels, dtype=dtype)
        self.proj_out = Linear(channels, channels, None, dtype=dtype)

    def forward(self, x: Array, context: Array, tape: Tape | None = None) -> Array:
        """Return an array like x, (N, H, W, channels); context is (N, keys, context_channels)."""
        check_rank("x", x, 4)
        n, height, width, channels = x.shape
        tokens = self.norm.forward(x, tape).reshape(n, height * width, channels)
        tokens = self.proj_in.forward(tokens, tape)
        tokens = self.block.forward(tokens, context, tape)
        return x + self.proj_out.forward(tokens, tape).reshape(x.shape)

    def backward(self, dy: Array, tape: Tape, grads: Gradients | None = None) -> tuple[Array, Array]:
        """Return (dx, d_context)."""
        check_rank("dy", dy, 4)
        n, height, width, channels = dy.shape
        d_tokens = self.proj_out.backward(dy.reshape(n, height * width, channels), tape, grads)
        d_tokens, d_context = self.block.backward(d_tokens, tape, grads)
        d_tokens = self.proj_in.backward(d_tokens, tape, grads)
        return dy + self.norm.backward(d_tokens.reshape(dy.shape), tape, grads), d_context
