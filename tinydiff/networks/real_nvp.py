"""A normalising flow of affine couplings: an invertible network, whose density is known exactly."""

from collections import namedtuple
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tinydiff.base import (
    Array,
    InputError,
    Size,
    check_alike,
    check_count,
    check_positive,
    check_shape,
    checks_arguments,
    xp_of,
)
from tinydiff.networks.generator import OfVectors, perceptron
from tinydiff.networks.levels import MOST_LAYERS, check_levels
from tinydiff.networks.registry import network
from tinydiff.nn import Gradients, Module, Tape

CouplingCache = namedtuple("CouplingCache", "moved s scale")


class Flowed(NamedTuple):
    """What a flow makes of its input, and how it stretches volumes there."""

    y: Array
    """(N, D) for latents z, (N, H, W, C) for pictures."""
    log_det: Array
    """The logarithm of the absolute determinant of the Jacobian dy / dx of each sample, shape (N,)."""


@checks_arguments("__init__")
@dataclass(frozen=True)
class RealNVPConfig(OfVectors):
    """The shape of a normalising flow.

    Parameters
    ----------
    image_size : int or (int, int)
        Height and width of the pictures, or both in one number; 1 for points, whose coordinates are channels.
    in_channels : int
        Channels of the pictures.
    couplings : int
        How many coupling layers there are; two of them move every number once.
    channels : tuple of int
        Widths of the hidden layers of each coupling's network.
    scale : float
        The largest |s| of one coupling: it stretches a number by at most exp(scale).
    """

    image_size: Size = 8
    in_channels: int = 1
    couplings: int = 6
    channels: tuple[int, ...] = (64, 64)
    scale: float = 2.0

    def __post_init__(self):
        check_levels(self, "in_channels")
        check_count("couplings", self.couplings, least=2, most=MOST_LAYERS)
        check_positive("scale", self.scale)
        if self.numbers < 2:
            raise InputError("A picture of one number was asked for, but a coupling keeps some and moves others.")


@checks_arguments("__init__")
class Coupling(Module):
    """An affine coupling: half of the numbers stay, and say how the others are stretched and shifted (Eq. NVP-1).

    ``y_kept = x_kept`` and ``y_moved = x_moved exp(s) + t``, where s and t are what a network makes of the numbers that
    stay. So it is undone by ``x_moved = (y_moved - t) exp(-s)``, whatever the network is, and its Jacobian is a
    triangle, whose determinant is the product of its diagonal: exp of the sum of s (Eq. NVP-2).

    s is ``scale * tanh(raw / scale)``, so that no sample is stretched without bounds. The network's last layer starts
    at 0: a new coupling is the identity.

    Parameters
    ----------
    keeps : boolean array, shape (D,)
        Which numbers stay; at least one does, and at least one does not.
    channels : tuple of int
        Widths of the hidden layers.
    scale : float
        The largest |s|.
    rng : numpy Generator
    dtype : dtype

    Source: Dinh, Sohl-Dickstein, Bengio 2017 (arXiv 1605.08803), Eq. 4, 5 and 6.
    """

    def __init__(
        self,
        keeps: np.ndarray,
        channels: tuple[int, ...],
        scale: float,
        rng: np.random.Generator,
        dtype: Any = np.float32,
    ):
        self.kept, self.moved = np.flatnonzero(keeps), np.flatnonzero(~np.asarray(keeps))
        if not (len(self.kept) and len(self.moved)):
            raise InputError(
                f"keeps has {len(self.kept)} numbers that stay of {len(keeps)}, but some must, and not all."
            )
        self.scale = float(scale)
        self.body = perceptron([len(self.kept), *channels, 2 * len(self.moved)], rng, dtype, last=False)

    def forward(self, x: Array, tape: Tape | None = None) -> Flowed:
        """Return (y, log_det) of rows x (N, D) (Eq. NVP-1, Eq. NVP-2)."""
        kept, moved = self._indices(x)
        s, t = self._s_and_t(x[:, kept], tape)
        y, factor = x.copy(), xp_of(x).exp(s)
        y[:, moved] = x[:, moved] * factor + t
        if tape is not None:
            tape.push(self, CouplingCache(x[:, moved], s, factor), y.shape)
        return Flowed(y, s.sum(axis=1))

    def backward(self, d_y: Array, d_log_det: Array, tape: Tape, grads: Gradients | None = None) -> Array:
        """Return d_x, and add the weights' gradients to `grads` (Eq. NVP-3)."""
        x_moved, s, factor = tape.pop(self)
        _, moved = self._indices(d_y)
        d_moved = d_y[:, moved]
        d_s = d_moved * x_moved * factor + d_log_det[:, None]  # of y, and of the sum that is the log determinant
        return self._backward(d_y, d_moved * factor, d_s, d_moved, s, tape, grads)

    def inverse(self, y: Array, tape: Tape | None = None) -> Flowed:
        """Return (x, log_det) of rows y (N, D), log_det that of the inverse: minus the forward's."""
        kept, moved = self._indices(y)
        s, t = self._s_and_t(y[:, kept], tape)
        x, factor = y.copy(), xp_of(y).exp(-s)
        x[:, moved] = (y[:, moved] - t) * factor
        if tape is not None:
            tape.push(self, CouplingCache(x[:, moved], s, factor), x.shape)
        return Flowed(x, -s.sum(axis=1))

    def inverse_backward(self, d_x: Array, d_log_det: Array, tape: Tape, grads: Gradients | None = None) -> Array:
        """Return d_y, and add the weights' gradients to `grads`."""
        x_moved, s, factor = tape.pop(self)
        _, moved = self._indices(d_x)
        d_moved = d_x[:, moved]
        d_s = -d_moved * x_moved - d_log_det[:, None]
        return self._backward(d_x, d_moved * factor, d_s, -d_moved * factor, s, tape, grads)

    def _s_and_t(self, kept, tape):
        """Return what the network says: how the other numbers are stretched, s, and shifted, t."""
        raw = self.body.forward(kept, tape)
        n = len(self.moved)
        return self.scale * xp_of(raw).tanh(raw[:, :n] / self.scale), raw[:, n:]

    def _backward(self, d_out, d_moved, d_s, d_t, s, tape, grads):
        """Return the gradient of the input: of what stayed there are two readers, the output and the network."""
        xp = xp_of(d_out)
        d_raw_s = d_s * (1 - (s / self.scale) ** 2)  # tanh' = 1 - tanh^2
        d_kept = self.body.backward(xp.concatenate([d_raw_s, d_t], axis=1), tape, grads)
        kept, moved = self._indices(d_out)
        d_in = d_out.copy()
        d_in[:, kept] += d_kept
        d_in[:, moved] = d_moved
        return d_in

    def _indices(self, like):
        xp = xp_of(like)
        return xp.asarray(self.kept), xp.asarray(self.moved)


@network("real-nvp", RealNVPConfig)
@checks_arguments("__init__")
class RealNVP(Module):
    """A normalising flow: pictures to standard normal numbers, invertibly, with an exact log density (RealNVP).

    Couplings one after the other. Each keeps every second number, as the squares of a chessboard, and the next one
    those that it has moved; pictures of one pixel, points, take their coordinates in turns.

    ``forward`` leads from data x to numbers z that should be standard normal, and says log |det dz/dx|: so
    ``log p(x) = log N(z; 0, I) + log_det`` (Eq. NVP-4). ``inverse`` leads from z to pictures.

    Parameters
    ----------
    config : RealNVPConfig
    rng : numpy Generator or None
        Draws the initial weights; None takes ``np.random.default_rng(0)``.
    dtype : dtype

    Source: Dinh, Sohl-Dickstein, Bengio 2017 (arXiv 1605.08803). Theirs also has squeezing, convolutions, batch norm,
    and lets half of the numbers leave early; none of that is needed for vectors of some dozens of numbers.
    """

    def __init__(self, config: RealNVPConfig, rng: np.random.Generator | None = None, dtype: Any = np.float32):
        rng = np.random.default_rng(0) if rng is None else rng
        self.config = config
        squares = np.indices(config.shape).sum(axis=0).reshape(-1) % 2 == 0
        self.couplings = [
            Coupling(squares if i % 2 == 0 else ~squares, config.channels, config.scale, rng, dtype)
            for i in range(config.couplings)
        ]
        self.pack()

    @property
    def latent(self) -> int:
        """How many random numbers a picture is made of: as many as it has."""
        return self.config.numbers

    def one_input(self) -> tuple[Array, ...]:
        """Return one picture."""
        return (xp_of(self.theta).zeros((1, *self.config.shape), self.theta.dtype),)

    def forward(self, x: Array, tape: Tape | None = None) -> Flowed:
        """Return (z, log_det): rows (N, D) that should be standard normal, and log |det dz/dx|, shape (N,)."""
        check_alike(x=x, theta=self.theta)
        check_shape("x", x, (None, *self.config.shape))
        z = x.reshape(len(x), self.latent)
        total = xp_of(x).zeros(len(x), x.dtype)
        for coupling in self.couplings:
            z, log_det = coupling.forward(z, tape)
            total = total + log_det
        return Flowed(z, total)

    def backward(self, d_z: Array, d_log_det: Array, tape: Tape, grads: Gradients | None = None) -> Array:
        """Return d_x, and add the weights' gradients to `grads`; each coupling has a share in log_det."""
        check_alike(d_z=d_z, d_log_det=d_log_det, theta=self.theta)
        check_shape("d_z", d_z, (None, self.latent))
        check_shape("d_log_det", d_log_det, (len(d_z),))
        for coupling in reversed(self.couplings):
            d_z = coupling.backward(d_z, d_log_det, tape, grads)
        return d_z.reshape(len(d_z), *self.config.shape)

    def inverse(self, z: Array, tape: Tape | None = None) -> Flowed:
        """Return (x, log_det): the pictures of rows z (N, D), and log |det dx/dz|, shape (N,)."""
        check_alike(z=z, theta=self.theta)
        check_shape("z", z, (None, self.latent))
        x, total = z, xp_of(z).zeros(len(z), z.dtype)
        for coupling in reversed(self.couplings):
            x, log_det = coupling.inverse(x, tape)
            total = total + log_det
        return Flowed(x.reshape(len(z), *self.config.shape), total)

    def inverse_backward(self, d_x: Array, d_log_det: Array, tape: Tape, grads: Gradients | None = None) -> Array:
        """Return d_z, and add the weights' gradients to `grads`."""
        check_alike(d_x=d_x, d_log_det=d_log_det, theta=self.theta)
        check_shape("d_x", d_x, (None, *self.config.shape))
        check_shape("d_log_det", d_log_det, (len(d_x),))
        d = d_x.reshape(len(d_x), self.latent)
        for coupling in self.couplings:
            d = coupling.inverse_backward(d, d_log_det, tape, grads)
        return d

    def log_density(self, x: Array) -> Array:
        """Return log p(x) in nats, shape (N,) (Eq. NVP-4)."""
        z, log_det = self.forward(x)
        return -0.5 * (z * z + np.log(2 * np.pi)).sum(axis=1) + log_det

    def draw(self, z: Array) -> Array:
        """Return the pictures of standard normal numbers z (N, D)."""
        return self.inverse(z).y
