"""An autoencoder whose latents are codes: an image becomes a small map of whole numbers, and these an image again."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinydiff.base import (
    Array,
    InputError,
    check_choice,
    check_count,
    checks_arguments,
    xp_of,
)
from tinydiff.functional.values import MOST_CODES, check_scalar_levels
from tinydiff.networks.autoencoder import AutoencoderConfig, Decoder, Encoder, EncoderAndDecoder
from tinydiff.networks.registry import network
from tinydiff.nn import Gradients, Linear, Quantiser, ScalarQuantiser, Tape, VectorQuantiser

QUANTISERS = ("vq", "fsq")


@checks_arguments("__init__")
@dataclass(frozen=True)
class QuantisedAutoencoderConfig(AutoencoderConfig):
    """The shape of an autoencoder whose latents are codes: that of any (`AutoencoderConfig`), and three options more.

    Parameters
    ----------
    latent_channels : int
        How many numbers a code has; a few, 4 to 8, since in many dimensions vectors are far from all codes.
    quantiser : str
        ``"vq"``, a codebook that is learned, or ``"fsq"``, channels rounded to a few levels.
    codes : int
        Of the codebook, for "vq".
    levels : tuple of int
        How many levels each channel has, for "fsq"; their product is the number of codes.
    """

    latent_channels: int = 4
    quantiser: str = "vq"
    codes: int = 1024
    levels: tuple[int, ...] = (8, 5, 5, 5)

    def __post_init__(self):
        super().__post_init__()
        object.__setattr__(self, "levels", tuple(self.levels))
        check_choice("quantiser", self.quantiser, QUANTISERS)
        check_count("codes", self.codes, most=MOST_CODES)
        check_scalar_levels(self.levels)
        if self.quantiser == "fsq" and len(self.levels) != self.latent_channels:
            raise InputError(
                f"levels is {', '.join(map(str, self.levels))}, of {len(self.levels)} channels, but latent_channels is "
                f"{self.latent_channels}: give as many levels as channels."
            )


@network("quantised-autoencoder", QuantisedAutoencoderConfig)
@checks_arguments("__init__")
class QuantisedAutoencoder(EncoderAndDecoder):
    """An autoencoder with a codebook (van den Oord et al. 2017, arXiv 1711.00937), or with FSQ (arXiv 2309.15505).

    Between the encoder and the decoder, each position's numbers are replaced by a code.

    Parameters
    ----------
    config : QuantisedAutoencoderConfig
    rng : numpy Generator or None
        Draws the initial weights; None takes ``np.random.default_rng(0)``.
    dtype : dtype
    """

    def __init__(
        self, config: QuantisedAutoencoderConfig, rng: np.random.Generator | None = None, dtype: Any = np.float32
    ):
        rng = np.random.default_rng(0) if rng is None else rng
        self.config = config
        c = config.latent_channels
        self.encoder = Encoder(config, c, rng, dtype)
        self.quant = Linear(c, c, rng, dtype=dtype) if config.quant_conv else None
        self.quantiser: Quantiser
        if config.quantiser == "vq":
            self.quantiser = VectorQuantiser(config.codes, c, rng, dtype)
        else:
            self.quantiser = ScalarQuantiser(config.levels, dtype)
        self.post_quant = Linear(c, c, rng, dtype=dtype) if config.quant_conv else None
        self.decoder = Decoder(config, c, rng, dtype)
        self.pack()

    def one_input(self) -> tuple[Array, ...]:
        """Return one image."""
        return (xp_of(self.theta).zeros((1, *self.config.shape), self.theta.dtype),)

    def encode(self, x: Array, tape: Tape | None = None) -> Array:
        """Return what the encoder says, before it is quantised: (N, H / factor, W / factor, latent_channels).

        Parameters
        ----------
        x : array, shape (N, H, W, in_channels)
            H and W are any multiples of `factor`.
        tape : Tape or None
        """
        return self._encoded(x, tape)

    def encode_backward(self, dz: Array, tape: Tape, grads: Gradients | None = None) -> Array:
        """Return dx, and add the weights' gradients to `grads`."""
        return self._encoded_backward(dz, tape, grads)

    def decode(self, z_q: Array, tape: Tape | None = None) -> Array:
        """Return images (N, h factor, w factor, in_channels) from codes (N, h, w, latent_channels); not clipped."""
        return self._decoded("z_q", z_q, tape)

    def to_indices(self, x: Array) -> Array:
        """Return an image as whole numbers, the indices of its codes, int64 of shape (N, H / factor, W / factor)."""
        _, indices = self.quantiser.forward(self.encode(x))
        return indices

    def from_indices(self, indices: Array) -> Array:
        """Return the images that these codes, indices of shape (N, h, w), stand for; not clipped."""
        return self.decode(self.quantiser.look_up(indices))

    def forward(self, x: Array, tape: Tape | None = None) -> Array:
        """Return x_hat, images decoded from the codes of x."""
        z_q, _ = self.quantiser.forward(self.encode(x, tape), tape)
        return self.decode(z_q, tape)

    def backward(self, d_x_hat: Array, tape: Tape, grads: Gradients | None = None) -> Array:
        """Return dx, straight-through where codes are chosen, and add the weights' gradients to `grads`."""
        d_z_q = self.decode_backward(d_x_hat, tape, grads)
        return self.encode_backward(self.quantiser.backward(d_z_q, tape, grads), tape, grads)
