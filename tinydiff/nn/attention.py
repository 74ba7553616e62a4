"""Attention layers: pixels attend to each other, tokens to each other or to a context."""

from typing import Any

import numpy as np

from tinydiff import functional as F
from tinydiff.base import Array, check_divisible, check_rank, checks_arguments, is_plain, xp_of
from tinydiff.functional.attention import AttentionCache
from tinydiff.functional.values import check_mask
from tinydiff.nn.gradients import Gradients
from tinydiff.nn.layers import GroupNorm, Linear
from tinydiff.nn.module import Module
from tinydiff.nn.tape import Tape


@checks_arguments("__init__")
class SelfAttention(Module):
    """Self-attention over the pixels of an image, as a residual branch.

    ``y = x + proj(attention(q, k, v))`` with ``q, k, v = qkv(norm(x))``. The last projection starts at zero, so that
    the module starts as the identity.

    Parameters
    ----------
    channels, heads : int
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
        rng: np.random.Generator,
        groups: int | None = None,
        dtype: Any = np.float32,
        eps: float = 1e-5,
    ):
        check_divisible("channels", channels, "heads", heads)
        self.heads = heads
        self.norm = GroupNorm(channels, groups, eps, dtype)
        self.qkv = Linear(channels, 3 * channels, rng, dtype=dtype)
        self.proj = Linear(channels, channels, None, dtype=dtype)

    def forward(self, x: Array, tape: Tape | None = None) -> Array:
        """Return an array of the shape of x, (N, H, W, C)."""
        check_rank("x", x, 4)
        n, height, width, channels = x.shape
        tokens = self.norm.forward(x, tape).reshape(n, height * width, channels)
        q, k, v = cut(self.qkv.forward(tokens, tape), 3)
        y = attend(self, q, k, v, tape)
        return x + self.proj.forward(y, tape).reshape(x.shape)

    def backward(self, dy: Array, tape: Tape, grads: Gradients | None = None) -> Array:
        """Return dx: the gradient of the skip connection, plus the gradient through the attention."""
        check_rank("dy", dy, 4)
        n, height, width, channels = dy.shape
        d_tokens = self.proj.backward(dy.reshape(n, height * width, channels), tape, grads)
        d_qkv = xp_of(dy).concatenate(attend_backward(self, d_tokens, tape), axis=-1)
        d_tokens = self.qkv.backward(d_qkv, tape, grads)
        return dy + self.norm.backward(d_tokens.reshape(dy.shape), tape, grads)

    def flops(self, cache: Any) -> int:
        """Return the multiplications and additions in ``q k^T`` and ``weights v``."""
        return 4 * cache.q.size * cache.k.shape[-2]


@checks_arguments("__init__")
class Attention(Module):
    """Attention of tokens to the tokens of a context, or to themselves: ``proj(attention(q, k, v))`` (Eq. ATT-1).

    The queries come from x, keys and values from the context (Rombach et al. 2022, arXiv 2112.10752, section 3.3).
    After a forward with a tape, the tape holds the attention weights under this module's path: ``tape[path].weights``,
    shape (N, heads, queries, keys), unless they were computed in pieces (`attention_in_pieces`).

    Parameters
    ----------
    channels, heads : int
    rng : numpy Generator
    context_channels : int or None
        None: as many as x has.
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
        bias: bool = False,
        dtype: Any = np.float32,
    ):
        check_divisible("channels", channels, "heads", heads)
        self.heads = heads
        self.query = Linear(channels, channels, rng, bias, dtype)
        self.key_value = Linear(context_channels or channels, 2 * channels, rng, bias, dtype)
        self.proj = Linear(channels, channels, rng, dtype=dtype)

    def forward(self, x: Array, context: Array, tape: Tape | None = None, mask: Array | None = None) -> Array:
        """Return (N, tokens, channels) from x and a context (N, keys, context_channels) (Eq. XATT-1)."""
        check_rank("x", x, 3)
        check_rank("context", context, 3)
        q = self.query.forward(x, tape)
        k, v = cut(self.key_value.forward(context, tape), 2)
        return self.proj.forward(attend(self, q, k, v, tape, mask), tape)

    def backward(self, dy: Array, tape: Tape, grads: Gradients | None = None) -> tuple[Array, Array]:
        """Return (dx, d_context): keys and values both read the context (Eq. XATT-2)."""
        dy = self.proj.backward(dy, tape, grads)
        dq, dk, dv = attend_backward(self, dy, tape)
        d_context = self.key_value.backward(xp_of(dy).concatenate([dk, dv], axis=-1), tape, grads)
        return self.query.backward(dq, tape, grads), d_context

    def flops(self, cache: Any) -> int:
        """Return the multiplications and additions in ``q k^T`` and ``weights v``."""
        return 4 * cache.q.size * cache.k.shape[-2]


def attend(module: Any, q: Array, k: Array, v: Array, tape: Tape | None, mask: Array | None = None) -> Array:
    """Return multi-head attention of q, k and v, each (N, tokens, C); its cache goes onto the tape for `module`."""
    q, k, v = (F.split_heads.bare(part, module.heads) for part in (q, k, v))
    if mask is not None or is_plain() or F.fits_in_one_piece.bare(q, k):
        check_mask(q, k, mask)
        y, cache = F.attention.bare(q, k, v, mask)
    else:
        y, cache = F.attention_in_pieces.bare(q, k, v)
    if tape is not None:
        tape.push(module, cache, y.shape)
    return F.merge_heads.bare(y)


def attend_backward(module: Any, dy: Array, tape: Tape) -> tuple[Array, Array, Array]:
    """Return dq, dk and dv, each (N, tokens, C)."""
    cache = tape.pop(module)
    in_one = isinstance(cache, AttentionCache)
    backward = F.attention_backward.bare if in_one else F.attention_in_pieces_backward.bare
    dq, dk, dv = backward(F.split_heads.bare(dy, module.heads), cache)
    return F.merge_heads.bare(dq), F.merge_heads.bare(dk), F.merge_heads.bare(dv)


def cut(x: Array, parts: int) -> list[Array]:
    """Cut the last axis into equal parts."""
    c = x.shape[-1] // parts
    return [x[..., i * c : (i + 1) * c] for i in range(parts)]
