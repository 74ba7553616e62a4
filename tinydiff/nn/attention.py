"""Self-attention over the pixels of an image."""

from typing import Any

import numpy as np

from tinydiff import functional as F
from tinydiff.backend import xp_of
from tinydiff.errors import check_divisible
from tinydiff.functional.attention import AttentionCache
from tinydiff.nn.core import Gradients, Module, Tape
from tinydiff.nn.layers import GroupNorm, Linear
from tinydiff.plain import is_plain


class SelfAttention(Module):
    """Every pixel looks at every pixel, and adds what it finds to itself.

    ``y = x + proj(attention(q, k, v))`` with ``q, k, v = qkv(norm(x))``. The last projection starts at zero, so that
    the module starts as the identity.

    Parameters
    ----------
    channels, heads : int
    rng : numpy Generator
    groups : int or None
        Of the norm.
    dtype : dtype
    """

    def __init__(self, channels: int, heads: int, rng: Any, groups: int | None = None, dtype: Any = np.float32):
        check_divisible("channels", channels, "heads", heads)
        self.heads = heads
        self.norm = GroupNorm(channels, groups, dtype=dtype)
        self.qkv = Linear(channels, 3 * channels, rng, dtype=dtype)
        self.proj = Linear(channels, channels, None, dtype=dtype)

    def forward(self, x: Any, tape: Tape | None = None) -> Any:
        """Return an array of the shape of x, (N, H, W, C)."""
        n, height, width, channels = x.shape
        tokens = self.norm.forward(x, tape).reshape(n, height * width, channels)
        q, k, v = (F.split_heads(part, self.heads) for part in thirds(self.qkv.forward(tokens, tape)))
        attend = F.attention if is_plain() or F.fits_in_one_piece(q, k) else F.attention_in_pieces
        y, cache = attend(q, k, v)
        if tape is not None:
            tape.push(self, cache, y.shape)
        return x + self.proj.forward(F.merge_heads(y), tape).reshape(x.shape)

    def backward(self, dy: Any, tape: Tape, grads: Gradients | None = None) -> Any:
        """Return dx: what passed by, plus what went through the attention."""
        n, height, width, channels = dy.shape
        d_tokens = self.proj.backward(dy.reshape(n, height * width, channels), tape, grads)
        cache = tape.pop(self)
        in_one = isinstance(cache, AttentionCache)
        attend_backward = F.attention_backward if in_one else F.attention_in_pieces_backward
        d_parts = attend_backward(F.split_heads(d_tokens, self.heads), cache)
        d_qkv = xp_of(dy).concatenate([F.merge_heads(d) for d in d_parts], axis=-1)
        d_tokens = self.qkv.backward(d_qkv, tape, grads)
        return dy + self.norm.backward(d_tokens.reshape(dy.shape), tape, grads)

    def flops(self, cache: Any) -> int:
        """Return the multiplications and additions in ``q k^T`` and ``weights v``."""
        return 4 * cache.q.size * cache.k.shape[-2]


def thirds(x: Any) -> tuple[Any, Any, Any]:
    """Cut the last axis into three equal parts."""
    c = x.shape[-1] // 3
    return x[..., :c], x[..., c : 2 * c], x[..., 2 * c :]
