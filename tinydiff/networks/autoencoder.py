"""The autoencoder of latent diffusion: an image becomes a small map of latents, and the latents an image again."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinydiff.base import (
    Array,
    Size,
    check_alike,
    check_count,
    check_positive,
    check_shape,
    check_sides,
    checks_arguments,
    xp_of,
)
from tinydiff.networks.levels import LARGEST_WIDTH, MOST_LAYERS, OfPictures, check_widths, keep_size
from tinydiff.networks.registry import network
from tinydiff.networks.variational import Variational
from tinydiff.nn import (
    BlockConfig,
    Conv2d,
    Gradients,
    GroupNormSiLU,
    Linear,
    Module,
    ResBlock,
    Sequential,
    Tape,
    Upsample,
)

FIRST_LOG_VARIANCE = -6.0  # about what a new encoder says: a standard deviation of 0.05


@checks_arguments("__init__")
@dataclass(frozen=True)
class AutoencoderConfig(OfPictures):
    """The shape of an autoencoder.

    Parameters
    ----------
    image_size : int or (int, int)
        Height and width of the images that it is trained on, or both in one number; multiples of `factor`. It decides
        nothing else: an autoencoder takes images of any such height and width.
    in_channels : int
        Channels of the images.
    channels : int
        Channels at the first level.
    channel_mult : tuple of int
        Channels of each level in units of `channels`. Between two levels, height and width are halved.
    blocks_per_level : int
        Residual blocks of each level of the encoder; the decoder has one more.
    latent_channels : int
        Channels of the latents.
    groups : int or None
        Groups of every norm; None: ``min(32, channels // 4)`` of the norm's own channels.
    mid_attention : bool
        Whether the pixels of the smallest level attend to each other, with one head.
    asymmetric_pad : bool
        Whether an image is halved with zeros at the right and at the bottom only, as in Stable Diffusion's weights, or
        with zeros on all sides.
    norm_eps : float
        Added to the variance in every norm; Stable Diffusion's weights need 1e-6.
    quant_conv : bool
        Whether one more linear layer, a 1 x 1 convolution, stands on either side of the latents, as in Stable
        Diffusion 1 and 2.
    """

    image_size: Size = 64
    in_channels: int = 3
    channels: int = 32
    channel_mult: tuple[int, ...] = (1, 2, 4)
    blocks_per_level: int = 1
    latent_channels: int = 8
    groups: int | None = None
    mid_attention: bool = False
    asymmetric_pad: bool = False
    norm_eps: float = 1e-5
    quant_conv: bool = False

    def __post_init__(self):
        object.__setattr__(self, "channel_mult", tuple(self.channel_mult))  # lists come out of TOML and JSON
        keep_size(self)
        for name in ("in_channels", "channels", "latent_channels"):
            check_count(name, getattr(self, name), most=LARGEST_WIDTH)
        check_count("blocks_per_level", self.blocks_per_level, most=MOST_LAYERS)
        if self.groups is not None:
            check_count("groups", self.groups, most=LARGEST_WIDTH)
        check_widths("channel_mult", self.channel_mult)
        check_positive("norm_eps", self.norm_eps)
        check_sides("image_size", self.size, self.factor)

    @property
    def factor(self) -> int:
        """How many pixels, in height and in width, a position of the latents stands for: 2 ** (levels - 1)."""
        return 2 ** (len(self.channel_mult) - 1)

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of the latents of such an image."""
        height, width = self.size
        return height // self.factor, width // self.factor, self.latent_channels


class Level(Module):
    """The blocks of one resolution, then perhaps a change of resolution."""

    def __init__(self, blocks: list[ResBlock], resample: Module | None = None):
        self.blocks = blocks
        self.resample = resample

    def forward(self, h: Array, tape: Tape | None = None) -> Array:
        """Run the blocks in order, without an embedding of a time."""
        for block in self.blocks:
            h = block.forward(h, None, tape)
        return h if self.resample is None else self.resample.forward(h, tape)

    def backward(self, dh: Array, tape: Tape, grads: Gradients | None = None) -> Array:
        """Run the backwards in reverse order."""
        if self.resample is not None:
            dh = self.resample.backward(dh, tape, grads)
        for block in reversed(self.blocks):
            dh, _, _ = block.backward(dh, tape, grads)
        return dh


@checks_arguments("__init__")
class Encoder(Module):
    """Images (N, H, W, in_channels) to a map (N, H / factor, W / factor, c_out): half the size after each level.

    The last convolution starts with random weights, unlike a UNet's, which starts at zero: from zeros the decoder would
    hear nothing of the image, and the encoder nothing of the decoder's mistakes.

    Parameters
    ----------
    config : AutoencoderConfig
    c_out : int
        Channels of the map: twice the latents', for their means and log variances.
    rng : numpy Generator
    dtype : dtype
    """

    def __init__(self, config: AutoencoderConfig, c_out: int, rng: np.random.Generator, dtype: Any = np.float32):
        widths = [config.channels * mult for mult in config.channel_mult]
        shared, heads = _shared(config)
        padding = ((0, 1), (0, 1)) if config.asymmetric_pad else 1
        self.stem = Conv2d(config.in_channels, widths[0], 3, rng, dtype=dtype)
        self.down, c = [], widths[0]
        for level, width in enumerate(widths):
            blocks = []
            for _ in range(config.blocks_per_level):
                blocks.append(ResBlock(c, width, shared, rng, dtype=dtype))
                c = width
            last = level == len(widths) - 1
            self.down.append(Level(blocks, None if last else Conv2d(c, c, 3, rng, 2, padding, dtype)))
        self.mid = Level([ResBlock(c, c, shared, rng, heads, dtype), ResBlock(c, c, shared, rng, dtype=dtype)])
        norm = GroupNormSiLU(c, config.groups, config.norm_eps, dtype)
        self.head = Sequential(norm, Conv2d(c, c_out, 3, rng, dtype=dtype))

    def forward(self, x: Array, tape: Tape | None = None) -> Array:
        """Return (N, H / factor, W / factor, c_out) from images (N, H, W, in_channels)."""
        h = self.stem.forward(x, tape)
        for level in self.down:
            h = level.forward(h, tape)
        h = self.mid.forward(h, tape)
        return self.head.forward(h, tape)

    def backward(self, dy: Array, tape: Tape, grads: Gradients | None = None) -> Array:
        """Return dx, and add the weights' gradients to `grads`."""
        dh = self.head.backward(dy, tape, grads)
        dh = self.mid.backward(dh, tape, grads)
        for level in reversed(self.down):
            dh = level.backward(dh, tape, grads)
        return self.stem.backward(dh, tape, grads)


@checks_arguments("__init__")
class Decoder(Module):
    """A map (N, h, w, c_in) to images (N, h factor, w factor, in_channels): twice the size after each level.

    The encoder the other way round, with one block more at each level. The last convolution starts with random weights
    here too: from zeros no gradient would reach the encoder at the first step.

    Parameters
    ----------
    config : AutoencoderConfig
    c_in : int
        Channels of the map, such as those of the latents.
    rng : numpy Generator
    dtype : dtype
    """

    def __init__(self, config: AutoencoderConfig, c_in: int, rng: np.random.Generator, dtype: Any = np.float32):
        widths = [config.channels * mult for mult in config.channel_mult]
        shared, heads = _shared(config)
        c = widths[-1]
        self.stem = Conv2d(c_in, c, 3, rng, dtype=dtype)
        self.mid = Level([ResBlock(c, c, shared, rng, heads, dtype), ResBlock(c, c, shared, rng, dtype=dtype)])
        self.up = []
        for level, width in reversed(list(enumerate(widths))):
            blocks = []
            for _ in range(config.blocks_per_level + 1):
                blocks.append(ResBlock(c, width, shared, rng, dtype=dtype))
                c = width
            resample = None if level == 0 else Sequential(Upsample(), Conv2d(c, c, 3, rng, dtype=dtype))
            self.up.append(Level(blocks, resample))
        norm = GroupNormSiLU(c, config.groups, config.norm_eps, dtype)
        self.head = Sequential(norm, Conv2d(c, config.in_channels, 3, rng, dtype=dtype))

    def forward(self, z: Array, tape: Tape | None = None) -> Array:
        """Return images (N, h factor, w factor, in_channels) from a map (N, h, w, c_in)."""
        h = self.stem.forward(z, tape)
        h = self.mid.forward(h, tape)
        for level in self.up:
            h = level.forward(h, tape)
        return self.head.forward(h, tape)

    def backward(self, dy: Array, tape: Tape, grads: Gradients | None = None) -> Array:
        """Return dz, and add the weights' gradients to `grads`."""
        dh = self.head.backward(dy, tape, grads)
        for level in reversed(self.up):
            dh = level.backward(dh, tape, grads)
        dh = self.mid.backward(dh, tape, grads)
        return self.stem.backward(dh, tape, grads)


class EncoderAndDecoder(Module):
    """What autoencoders share, whatever they do between the two: an encoder, a decoder, and perhaps a layer after each.

    A subclass sets `config`, `encoder`, `quant` (or None), `post_quant` (or None) and `decoder`.
    """

    config: AutoencoderConfig
    encoder: Encoder
    quant: Linear | None
    post_quant: Linear | None
    decoder: Decoder

    def decode_backward(self, d_x_hat: Array, tape: Tape, grads: Gradients | None = None) -> Array:
        """Return the gradient of what was decoded, and add the weights' gradients to `grads`."""
        dz = self.decoder.backward(d_x_hat, tape, grads)
        return dz if self.post_quant is None else self.post_quant.backward(dz, tape, grads)

    def _encoded(self, x, tape):
        """Return what the encoder says of images."""
        check_alike(x=x, theta=self.encoder.stem.weight.value)
        check_shape("x", x, (None, None, None, self.config.in_channels))
        check_sides("x", x.shape[1:3], self.config.factor)
        h = self.encoder.forward(x, tape)
        return h if self.quant is None else self.quant.forward(h, tape)

    def _encoded_backward(self, dh, tape, grads):
        if self.quant is not None:
            dh = self.quant.backward(dh, tape, grads)
        return self.encoder.backward(dh, tape, grads)

    def _decoded(self, name, z, tape):
        """Return the images of a map of latents, which errors call by this name."""
        check_alike(**{name: z}, theta=self.decoder.stem.weight.value)
        check_shape(name, z, (None, None, None, self.config.latent_channels))
        if self.post_quant is not None:
            z = self.post_quant.forward(z, tape)
        return self.decoder.forward(z, tape)


@network("autoencoder", AutoencoderConfig)
@checks_arguments("__init__")
class Autoencoder(EncoderAndDecoder, Variational):
    """The KL autoencoder of latent diffusion (Rombach et al. 2022, arXiv 2112.10752, section 3.1).

    The encoder says of each latent number a mean and a log variance; the decoder draws an image from numbers drawn so.

    A new encoder says log variances around `FIRST_LOG_VARIANCE`. Around 0, as other convolutions start, the noise of a
    sample would be louder than its mean, and drown the image until the encoder has learned to lower it: after 100 steps
    of 32 portraits the images were 2.2 dB worse, after 500 still 0.9 dB.

    Parameters
    ----------
    config : AutoencoderConfig
    rng : numpy Generator or None
        Draws the initial weights; None takes ``np.random.default_rng(0)``.
    dtype : dtype
    """

    def __init__(self, config: AutoencoderConfig, rng: np.random.Generator | None = None, dtype: Any = np.float32):
        rng = np.random.default_rng(0) if rng is None else rng
        self.config = config
        c = config.latent_channels
        self.encoder = Encoder(config, 2 * c, rng, dtype)
        self.quant = Linear(2 * c, 2 * c, rng, dtype=dtype) if config.quant_conv else None
        self.post_quant = Linear(c, c, rng, dtype=dtype) if config.quant_conv else None
        self.decoder = Decoder(config, c, rng, dtype)
        last: Any = self.encoder.head.layers[-1] if self.quant is None else self.quant
        last.bias.value[c:] = FIRST_LOG_VARIANCE
        self.pack()

    def one_input(self) -> tuple[Array, ...]:
        """Return one image, and the random numbers for its latents."""
        xp, dtype = xp_of(self.theta), self.theta.dtype
        return xp.zeros((1, *self.config.shape), dtype), xp.zeros((1, *self.config.latent_shape), dtype)

    def decode(self, z: Array, tape: Tape | None = None) -> Array:
        """Return images (N, h factor, w factor, in_channels) from latents (N, h, w, latent_channels); not clipped."""
        return self._decoded("z", z, tape)


def _shared(config):
    """Return what all blocks share, and the heads of the block in the middle."""
    return BlockConfig(None, config.groups, norm_eps=config.norm_eps), int(config.mid_attention)
