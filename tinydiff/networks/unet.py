"""The UNet of DDPM and ADM: from a noisy image and its time, it predicts the noise."""

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
    check_number,
    check_positive,
    check_sides,
    checks_arguments,
    shown,
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
from tinydiff.networks.levels import LARGEST_WIDTH, MOST_LAYERS, OfPictures, check_widths
from tinydiff.networks.registry import network
from tinydiff.nn import (
    BlockConfig,
    Conv2d,
    Gradients,
    GroupNorm,
    Module,
    ResBlock,
    Sequential,
    SiLU,
    Tape,
    Upsample,
)


@checks_arguments("__init__")
@dataclass(frozen=True)
class UNetConfig(OfPictures):
    """The shape of a UNet.

    Parameters
    ----------
    image_size : int or (int, int)
        Height and width of the images that it is trained on, or both in one number; multiples of
        ``patch * 2 ** (levels - 1)``.
        It decides nothing else: a UNet takes images of any such height and width.
    in_channels : int
        Channels of the images.
    out_channels : int or None
        None: as many as `in_channels`.
    channels : int
        Channels at the first level.
    channel_mult : tuple of int
        Channels of each level in units of `channels`; its length is the number of levels.
    blocks_per_level : int
        Residual blocks of each level on the way down (one more on the way up).
    attention_levels : tuple of int
        Levels with self-attention, counted from 0. The middle always has it.
    heads : int or tuple of int
        Heads of every attention, or of those of each level; the middle has as many as the last one.
    groups : int or None
        Groups of every norm; None: ``min(32, channels // 4)`` of the norm's own channels.
    dropout : float
        Inside every residual block.
    num_classes : int or None
        Number of class labels; the label `num_classes` itself then means "no class".
    context_channels : int or None
        Channels of a context's tokens; every attention then attends to them too (Stable Diffusion's block).
    pooled_channels : int or None
        Size of a vector, such as a pooled text, that is projected and added to the embedding of the time.
    image_channels : int
        Channels of an image that is concatenated to x_t.
    image_time : bool
        Whether that image may be noised, and the step up to which it was is embedded as the time is.
    step_size : bool
        Whether it is told how far a step goes, as a shortcut model is, and embeds that as the time is.
    scale_shift : bool
        Whether the embedding scales and shifts the second norm instead of being added.
    time_embedding : str
        Variant of `timestep_embedding`: ``"stable-diffusion"`` or ``"ddpm"``.
    time_offset : int
        Subtracted from t before it is embedded: 1 for weights of libraries that count 0 .. T - 1.
    patch : int
        Side of the blocks of pixels that are made one pixel of ``patch ** 2`` times as many channels before the first
        level, and spread again after the last. So a large image costs what one of a patch-th of its sides does.
    norm_eps : float
        Added to the variance in every norm of pixels, but for that in which pixels begin to attend to a context.
    transformer_eps : float
        Added to the variance in that one; Stable Diffusion's weights need 1e-6.
    asymmetric_pad : bool
        Whether an image is halved with zeros at the right and at the bottom only, as in the weights of DDPM, or with
        zeros on all sides.
    """

    image_size: Size = 28
    in_channels: int = 1
    out_channels: int | None = None
    channels: int = 64
    channel_mult: tuple[int, ...] = (1, 2, 2)
    blocks_per_level: int = 2
    attention_levels: tuple[int, ...] = ()
    heads: int | tuple[int, ...] = 4
    groups: int | None = None
    dropout: float = 0.0
    num_classes: int | None = None
    context_channels: int | None = None
    pooled_channels: int | None = None
    image_channels: int = 0
    image_time: bool = False
    step_size: bool = False
    scale_shift: bool = False
    time_embedding: str = "stable-diffusion"
    time_offset: int = 0
    patch: int = 1
    norm_eps: float = 1e-5
    transformer_eps: float = 1e-5
    asymmetric_pad: bool = False

    def __post_init__(self):
        for name in ("channel_mult", "attention_levels"):
            object.__setattr__(self, name, tuple(getattr(self, name)))  # lists come out of TOML and JSON
        if isinstance(self.heads, list | tuple):
            object.__setattr__(self, "heads", tuple(self.heads))
        check_denoiser(self)
        check_count("blocks_per_level", self.blocks_per_level, most=MOST_LAYERS)
        if self.groups is not None:
            check_count("groups", self.groups, most=LARGEST_WIDTH)
        check_widths("channel_mult", self.channel_mult)
        levels = len(self.channel_mult)
        if len(self.heads_of_levels) != levels:
            raise InputError(
                f"heads is {self.heads}, but there are {levels} levels: give as many numbers, or one for all."
            )
        check_sides("image_size", self.size, self.multiple)
        for level in self.attention_levels:
            if level not in range(levels):
                raise InputError(f"attention_levels holds {shown(level)}, but the levels are 0 to {levels - 1}.")
        for level in {*self.attention_levels, levels - 1}:  # in the middle, too, there is attention
            width, heads = self.channels * self.channel_mult[level], self.heads_of_levels[level]
            if width % heads:
                raise InputError(
                    f"heads is {heads}, but the {width} channels of level {level} cannot be divided into so many "
                    "equal parts."
                )
        check_number("dropout", self.dropout, 0, 0.999)
        for name in ("norm_eps", "transformer_eps"):
            check_positive(name, getattr(self, name))

    @property
    def heads_of_levels(self) -> tuple[int, ...]:
        """Heads of the attentions of each level."""
        return self.heads if isinstance(self.heads, tuple) else (self.heads,) * len(self.channel_mult)

    @property
    def multiple(self) -> int:
        """What height and width must be multiples of: they are cut into patches, and halved between two levels."""
        return self.patch * 2 ** (len(self.channel_mult) - 1)


class Level(Module):
    """The blocks of one resolution, then perhaps a change of resolution.

    On the way up, `skip_channels` says how many channels of each block's input came from a skip.
    """

    def __init__(self, blocks: list[ResBlock], resample: Module | None, skip_channels: tuple[int, ...] = ()):
        self.blocks = blocks
        self.resample = resample
        self.skip_channels = skip_channels


@network("unet", UNetConfig)
@checks_arguments("__init__")
class UNet(Module):
    """Predicts eps_hat, an array like x_t (Ho et al. 2020, arXiv 2006.11239; Dhariwal and Nichol 2021, 2105.05233).

    Parameters
    ----------
    config : UNetConfig
    rng : numpy Generator or None
        Draws the initial weights; None takes ``np.random.default_rng(0)``.
    dtype : dtype
    """

    def __init__(self, config: UNetConfig, rng: np.random.Generator | None = None, dtype: Any = np.float32):
        rng = np.random.default_rng(0) if rng is None else rng
        self.config = config
        widths = [config.channels * mult for mult in config.channel_mult]
        levels = range(len(widths))

        shared = BlockConfig(
            4 * config.channels,
            config.groups,
            config.dropout,
            config.scale_shift,
            config.context_channels,
            config.norm_eps,
            config.transformer_eps,
        )
        heads = [n if level in config.attention_levels else 0 for level, n in enumerate(config.heads_of_levels)]
        halved = ((0, 1), (0, 1)) if config.asymmetric_pad else 1  # the padding where an image is halved

        def block(c_in, c_out, heads):
            return ResBlock(c_in, c_out, shared, rng, heads, dtype)

        self.embed = EmbedTimeAndCondition(config, 4 * config.channels, rng, dtype)
        of_patch = config.patch**2
        self.stem = Conv2d(of_patch * (config.in_channels + config.image_channels), widths[0], 3, rng, dtype=dtype)
        self.down, skips, c = [], [widths[0]], widths[0]
        for level in levels:
            blocks = []
            for _ in range(config.blocks_per_level):
                blocks.append(block(c, widths[level], heads[level]))
                c = widths[level]
                skips.append(c)
            last = level == levels[-1]
            self.down.append(Level(blocks, None if last else Conv2d(c, c, 3, rng, 2, halved, dtype)))
            if not last:
                skips.append(c)

        self.mid_1 = block(c, c, config.heads_of_levels[-1])
        self.mid_2 = block(c, c, 0)

        self.up = []
        for level in reversed(levels):
            blocks, skip_channels = [], []
            for _ in range(config.blocks_per_level + 1):
                skip_channels.append(skips.pop())
                blocks.append(block(c + skip_channels[-1], widths[level], heads[level]))
                c = widths[level]
            resample = None if level == 0 else Sequential(Upsample(), Conv2d(c, c, 3, rng, dtype=dtype))
            self.up.append(Level(blocks, resample, tuple(skip_channels)))

        out = config.in_channels if config.out_channels is None else config.out_channels
        self.head = Sequential(
            GroupNorm(c, config.groups, config.norm_eps, dtype), SiLU(), Conv2d(c, of_patch * out, 3, None, dtype=dtype)
        )
        self.pack()

    def one_input(self) -> tuple[Array, ...]:
        """Return x_t, t and, for a model with conditions, a context, all for one image."""
        return one_input(self.config, self.stem.weight.value)

    def forward(self, x_t: Array, t: Array, context: Any = None, tape: Tape | None = None) -> Array:
        """Predict the noise in x_t.

        Parameters
        ----------
        x_t : array, shape (N, H, W, in_channels)
            Noisy images; H and W are any multiples of ``patch * 2 ** (levels - 1)``.
        t : array, shape (N,)
            Steps, 1 .. T, integer or real.
        context : array, `Condition`, or None
            Labels (N,), in a model that has classes; the label `num_classes` means "no class", and None means no class
            for every image. Or the tokens (N, tokens, context_channels) of cross-attention. Or a `Condition` of several
            such arrays. If the model takes a pooled vector or an image and none is given, zeros are taken.
        tape : Tape or None
            None remembers nothing for a backward.

        Returns
        -------
        array, shape (N, H, W, out_channels)
        """
        condition = as_condition(context)
        check_inputs("UNet", self.config, self.stem.weight.value, x_t, t, condition)
        xp, tokens = xp_of(x_t), condition.tokens
        emb = self.embed.forward(t, condition, x_t.dtype, tape)
        x = with_image(x_t, condition.image, self.config.image_channels)
        x, _ = F.space_to_depth.bare(x, self.config.patch)
        h = self.stem.forward(x, tape)
        skips = [h]
        for level in self.down:
            for block in level.blocks:
                h = block.forward(h, emb, tape, tokens)
                skips.append(h)
            if level.resample is not None:
                h = level.resample.forward(h, tape)
                skips.append(h)
        h = self.mid_1.forward(h, emb, tape, tokens)
        h = self.mid_2.forward(h, emb, tape, tokens)
        for level in self.up:
            for block in level.blocks:
                h = xp.concatenate([h, skips.pop()], axis=-1)
                h = block.forward(h, emb, tape, tokens)
            if level.resample is not None:
                h = level.resample.forward(h, tape)
        return F.depth_to_space.bare(self.head.forward(h, tape), self.config.patch)[0]

    def backward(self, d_out: Array, tape: Tape, grads: Gradients | None = None) -> DenoiserGradients:
        """Return (d_x_t, d_context, d_emb), and add the weights' gradients to `grads`: the forward in reverse order.

        d_context is a `Condition` of gradients: of tokens, a pooled vector and an image, where the model takes them.
        """
        config = self.config
        dh = self.head.backward(F.space_to_depth.bare(d_out, config.patch)[0], tape, grads)
        d_conditions, d_skips = [], []  # d_conditions: (d_emb, d_tokens) of every block
        for level in reversed(self.up):
            if level.resample is not None:
                dh = level.resample.backward(dh, tape, grads)
            for block, c_skip in zip(reversed(level.blocks), reversed(level.skip_channels), strict=True):
                dh, *d_condition = block.backward(dh, tape, grads)
                dh, d_skip = split_channels(dh, dh.shape[-1] - c_skip)  # the concatenation, undone
                d_conditions.append(d_condition)
                d_skips.append(d_skip)
        for block in (self.mid_2, self.mid_1):
            dh, *d_condition = block.backward(dh, tape, grads)
            d_conditions.append(d_condition)
        for level in reversed(self.down):
            if level.resample is not None:
                dh += d_skips.pop()  # two readers, the next block and a skip: their gradients add
                dh = level.resample.backward(dh, tape, grads)
            for block in reversed(level.blocks):
                dh += d_skips.pop()  # two readers
                dh, *d_condition = block.backward(dh, tape, grads)
                d_conditions.append(d_condition)
        dh += d_skips.pop()  # two readers of the stem
        dx, _ = F.depth_to_space.bare(self.stem.backward(dh, tape, grads), config.patch)
        d_x_t, d_image = split_channels(dx, config.in_channels)
        d_embs, d_tokens_of_blocks = zip(*d_conditions, strict=True)
        d_emb, d_tokens = sum_of(d_embs), sum_of(d_tokens_of_blocks)  # every block read emb, some read tokens: they add
        d_pooled = self.embed.backward(d_emb, tape, grads)
        d_context = Condition(None, d_tokens, d_pooled, d_image if config.image_channels else None)
        return DenoiserGradients(d_x_t, d_context, d_emb)
