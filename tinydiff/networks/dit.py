"""The diffusion Transformer, DiT: patches of a noisy image as tokens, and what it predicts for each of them."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinydiff import functional as F
from tinydiff.base import (
    Array,
    Condition,
    InputError,
    Size,
    as_condition,
    check_count,
    check_sides,
    checks_arguments,
    xp_of,
)
from tinydiff.networks.conditions import (
    DenoiserGradients,
    EmbedTimeAndCondition,
    check_denoiser,
    check_inputs,
    one_input,
    split_channels,
    sum_of,
    with_image,
)
from tinydiff.networks.levels import MOST_LAYERS, OfPictures
from tinydiff.networks.registry import network
from tinydiff.nn import GELU, Attention, Gradients, LayerNorm, Linear, Module, Sequential, Tape
from tinydiff.nn.attention import cut

EPS = 1e-6  # of every norm


@checks_arguments("__init__")
@dataclass(frozen=True)
class DiTConfig(OfPictures):
    """The shape of a DiT.

    Parameters
    ----------
    image_size : int or (int, int)
        Height and width of the images that it is trained on, or both in one number; multiples of `patch`. It takes
        images of other such sizes too, but has learned only what the places of its own grid mean.
    in_channels : int
        Channels of the images.
    out_channels : int or None
        None: as many as `in_channels`.
    patch : int
        Side of the square patches that become tokens. Half of it makes four times as many tokens.
    channels : int
        Of every token, a multiple of 4 and of `heads`.
    layers : int
        Transformer blocks.
    heads : int
        Heads of every attention.
    num_classes : int or None
        Number of class labels; the label `num_classes` itself then means "no class".
    context_channels : int or None
        Channels of a context's tokens; every block then attends to them too.
    pooled_channels : int or None
        Size of a vector, such as a pooled text, that is projected and added to the embedding of the time.
    image_channels : int
        Channels of an image that is concatenated to x_t.
    image_time : bool
        Whether that image may be noised, and the step up to which it was is embedded as the time is.
    step_size : bool
        Whether it is told how far a step goes, as a shortcut model is, and embeds that as the time is.
    time_embedding : str
        Variant of `timestep_embedding`: ``"stable-diffusion"`` or ``"ddpm"``.
    time_offset : int
        Subtracted from t before it is embedded.
    """

    image_size: Size = 16
    in_channels: int = 4
    out_channels: int | None = None
    patch: int = 2
    channels: int = 192
    layers: int = 8
    heads: int = 4
    num_classes: int | None = None
    context_channels: int | None = None
    pooled_channels: int | None = None
    image_channels: int = 0
    image_time: bool = False
    step_size: bool = False
    time_embedding: str = "stable-diffusion"
    time_offset: int = 0

    def __post_init__(self):
        check_denoiser(self)
        check_count("layers", self.layers, most=MOST_LAYERS)
        check_sides("image_size", self.size, self.multiple)
        if self.channels % 4 or self.channels < 8:
            raise InputError(
                f"channels is {self.channels}, but a multiple of 4, at least 8, was expected, for the sines and "
                "cosines of the rows and columns of the grid."
            )
        if self.channels % self.heads:
            raise InputError(
                f"heads is {self.heads}, but the {self.channels} channels cannot be divided into so many equal parts."
            )

    @property
    def multiple(self) -> int:
        """What height and width must be multiples of: the side of a patch."""
        return self.patch


class DiTBlock(Module):
    """Self-attention, cross-attention if there is a context, and a feed-forward network: adaLN-zero around each.

    Each is a residual branch, ``x + gate * f(modulate(norm(x), shift, scale))``, whose shift, scale and gate a linear
    layer computes from the embedding. Its weights start at zero, so that every block starts as the identity.

    Source: Peebles and Xie 2022 (arXiv 2212.09748), section 3.2. There, norms have no scale and shift of their own;
    here they do, as in every `LayerNorm`, and 1 and 0 are what weights without them mean. Cross-attention stands where
    Chen et al. 2023 (PixArt, arXiv 2310.00426) put it, here with adaLN-zero like the others.
    """

    def __init__(self, channels: int, heads: int, context_channels: int | None, rng: np.random.Generator, dtype: Any):
        self.norm_1 = LayerNorm(channels, EPS, dtype)
        self.self_attention = Attention(channels, heads, rng, dtype=dtype)
        self.cross_attention = None
        if context_channels is not None:
            self.norm_2 = LayerNorm(channels, EPS, dtype)
            self.cross_attention = Attention(channels, heads, rng, context_channels, dtype=dtype)
        self.norm_3 = LayerNorm(channels, EPS, dtype)
        self.feed_forward = Sequential(
            Linear(channels, 4 * channels, rng, dtype=dtype), GELU(), Linear(4 * channels, channels, rng, dtype=dtype)
        )
        self.branches = 2 if context_channels is None else 3
        self.modulation = Linear(channels, 3 * self.branches * channels, None, dtype=dtype)

    def forward(self, x: Array, emb: Array, context: Array | None = None, tape: Tape | None = None) -> Array:
        """Return an array like x, (N, tokens, channels), from emb (N, channels) and perhaps tokens of a context."""
        vectors = cut(self.modulation.forward(emb, tape), 3 * self.branches)
        shift, scale, gate = vectors[:3]
        h = modulate(self, self.norm_1.forward(x, tape), shift, scale, tape)
        x = x + gated(self, self.self_attention.forward(h, h, tape), gate, tape)
        if self.cross_attention is not None:
            shift, scale, gate = vectors[6:]
            h = modulate(self, self.norm_2.forward(x, tape), shift, scale, tape)
            x = x + gated(self, self.cross_attention.forward(h, context, tape), gate, tape)
        shift, scale, gate = vectors[3:6]
        h = modulate(self, self.norm_3.forward(x, tape), shift, scale, tape)
        return x + gated(self, self.feed_forward.forward(h, tape), gate, tape)

    def backward(self, dy: Array, tape: Tape, grads: Gradients | None = None) -> tuple[Array, Array, Array | None]:
        """Return (dx, d_emb, d_context), the latter None without a context."""
        dh, d_gate = F.gate_backward.bare(dy, tape.pop(self))
        dh = self.feed_forward.backward(dh, tape, grads)
        dh, d_shift, d_scale = F.modulate_backward.bare(dh, tape.pop(self))
        dx = dy + self.norm_3.backward(dh, tape, grads)  # two readers of x, here and below: their gradients add
        d_of_feed_forward = [d_shift, d_scale, d_gate]

        d_context, d_of_cross = None, []
        if self.cross_attention is not None:
            dh, d_gate = F.gate_backward.bare(dx, tape.pop(self))
            dh, d_context = self.cross_attention.backward(dh, tape, grads)
            dh, d_shift, d_scale = F.modulate_backward.bare(dh, tape.pop(self))
            dx = dx + self.norm_2.backward(dh, tape, grads)
            d_of_cross = [d_shift, d_scale, d_gate]

        dh, d_gate = F.gate_backward.bare(dx, tape.pop(self))
        d_queries, d_keys_and_values = self.self_attention.backward(dh, tape, grads)  # h gave all three
        dh, d_shift, d_scale = F.modulate_backward.bare(d_queries + d_keys_and_values, tape.pop(self))
        dx = dx + self.norm_1.backward(dh, tape, grads)
        d_vectors = xp_of(dy).concatenate([d_shift, d_scale, d_gate, *d_of_feed_forward, *d_of_cross], axis=-1)
        return dx, self.modulation.backward(d_vectors, tape, grads), d_context


@network("dit", DiTConfig)
@checks_arguments("__init__")
class DiT(Module):
    """Predicts eps_hat, an array like x_t, as a `UNet` does (Peebles and Xie 2022, arXiv 2212.09748).

    Parameters
    ----------
    config : DiTConfig
    rng : numpy Generator or None
        Draws the initial weights; None takes ``np.random.default_rng(0)``.
    dtype : dtype
    """

    def __init__(self, config: DiTConfig, rng: np.random.Generator | None = None, dtype: Any = np.float32):
        rng = np.random.default_rng(0) if rng is None else rng
        self.config, c = config, config.channels
        of_patch = config.patch**2
        self.embed = EmbedTimeAndCondition(config, c, rng, dtype)
        self.stem = Linear(of_patch * (config.in_channels + config.image_channels), c, rng, dtype=dtype)
        self.blocks = [DiTBlock(c, config.heads, config.context_channels, rng, dtype) for _ in range(config.layers)]
        self.norm = LayerNorm(c, EPS, dtype)
        self.modulation = Linear(c, 2 * c, None, dtype=dtype)
        out = config.in_channels if config.out_channels is None else config.out_channels
        self.head = Linear(c, of_patch * out, None, dtype=dtype)
        self.pack()

    def one_input(self) -> tuple[Array, ...]:
        """Return x_t, t and, for a model with conditions, a context, all for one image."""
        return one_input(self.config, self.stem.weight.value)

    def forward(self, x_t: Array, t: Array, context: Any = None, tape: Tape | None = None) -> Array:
        """Predict the noise in x_t.

        Parameters
        ----------
        x_t : array, shape (N, H, W, in_channels)
            Noisy images; H and W are any multiples of `patch`.
        t : array, shape (N,)
            Steps, 1 .. T, integer or real.
        context : array, `Condition`, or None
            As for `UNet.forward`.
        tape : Tape or None
            None remembers nothing for a backward.

        Returns
        -------
        array, shape (N, H, W, out_channels)
        """
        config, condition = self.config, as_condition(context)
        check_inputs("DiT", config, self.stem.weight.value, x_t, t, condition)
        emb = self.embed.forward(t, condition, x_t.dtype, tape)
        patches, _ = F.space_to_depth.bare(with_image(x_t, condition.image, config.image_channels), config.patch)
        n, height, width, _ = patches.shape
        h = self.stem.forward(patches.reshape(n, height * width, patches.shape[-1]), tape)
        h += xp_of(h).asarray(F.grid_embedding(height, width, config.channels), dtype=h.dtype)
        for block in self.blocks:
            h = block.forward(h, emb, condition.tokens, tape)
        shift, scale = cut(self.modulation.forward(emb, tape), 2)
        h = modulate(self, self.norm.forward(h, tape), shift, scale, tape)
        patches = self.head.forward(h, tape).reshape(n, height, width, -1)
        return F.depth_to_space.bare(patches, config.patch)[0]

    def backward(self, d_out: Array, tape: Tape, grads: Gradients | None = None) -> DenoiserGradients:
        """Return (d_x_t, d_context, d_emb), and add the weights' gradients to `grads`: the forward in reverse order.

        d_context is a `Condition` of gradients: of tokens, a pooled vector and an image, where the model takes them.
        """
        config = self.config
        d_patches, _ = F.space_to_depth.bare(d_out, config.patch)
        n, height, width, _ = d_patches.shape
        dh = self.head.backward(d_patches.reshape(n, height * width, d_patches.shape[-1]), tape, grads)
        dh, d_shift, d_scale = F.modulate_backward.bare(dh, tape.pop(self))
        dh = self.norm.backward(dh, tape, grads)
        d_embs = [self.modulation.backward(xp_of(dh).concatenate([d_shift, d_scale], axis=-1), tape, grads)]
        d_tokens_of_blocks = []
        for block in reversed(self.blocks):
            dh, d_emb, d_tokens = block.backward(dh, tape, grads)
            d_embs.append(d_emb)
            d_tokens_of_blocks.append(d_tokens)
        d_patches = self.stem.backward(dh, tape, grads).reshape(n, height, width, -1)
        d_images, _ = F.depth_to_space.bare(d_patches, config.patch)
        d_x_t, d_image = split_channels(d_images, config.in_channels)
        d_emb, d_tokens = sum_of(d_embs), sum_of(d_tokens_of_blocks)  # every block read both: their gradients add
        d_pooled = self.embed.backward(d_emb, tape, grads)
        d_context = Condition(None, d_tokens, d_pooled, d_image if config.image_channels else None)
        return DenoiserGradients(d_x_t, d_context, d_emb)


def modulate(module: Module, x: Array, shift: Array, scale: Array, tape: Tape | None) -> Array:
    """Return x modulated (Eq. MOD-1); its cache goes onto the tape for `module`."""
    y, cache = F.modulate.bare(x, shift, scale)
    if tape is not None:
        tape.push(module, cache, y.shape)
    return y


def gated(module: Module, x: Array, gate: Array, tape: Tape | None) -> Array:
    """Return x gated (Eq. GATE-1); its cache goes onto the tape for `module`."""
    y, cache = F.gate.bare(x, gate)
    if tape is not None:
        tape.push(module, cache, y.shape)
    return y
