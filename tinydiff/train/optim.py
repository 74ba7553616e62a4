"""AdamW, gradient clipping, the learning rate and the average of the weights, on flat vectors."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinydiff.base import (
    Array,
    InputError,
    check_alike,
    check_number,
    check_rank,
    check_shape,
    checked,
    checks_arguments,
    power_of_two,
    shown,
    xp_of,
)
from tinydiff.workers import pieces

PIECE_BYTES = 2**17  # computed at once: eight arrays of this size fit into a core's cache


@checks_arguments("__init__")
@dataclass
class AdamW:
    """Adam with decoupled weight decay (Eq. ADAMW-1; Loshchilov and Hutter 2019, arXiv 1711.05101).

    Parameters
    ----------
    theta : array
        The parameters, changed in place.
    decay_mask : array or None
        1 where weight decay acts, 0 elsewhere; None: it acts everywhere.
    betas : (float, float)
        Decay of the first and of the second moment.
    eps : float
        Added to the root of the second moment. In float32 that root is exact from 1e-19 on, so eps must not be smaller.
    weight_decay : float
        Share of a weight that is taken away per step, in units of the learning rate.

    Notes
    -----
    A beta is used as 1 - beta, rounded once: float32(0.999999) is so near to 1 that its own distance from 1 is wrong by
    a hundredth. Entries of a gradient whose square is too large for the dtype (above 9.2e18 in float32) count as that
    large; Adam hardly looks at the size of a gradient, and an infinite second moment would stop the weight for good.
    """

    theta: Array
    decay_mask: Array | None = None
    betas: tuple[float, float] = (0.9, 0.99)
    eps: float = 1e-8
    weight_decay: float = 0.0

    def __post_init__(self):
        check_alike(theta=self.theta, decay_mask=self.decay_mask)
        check_rank("theta", self.theta, 1)
        if self.decay_mask is not None:
            check_shape("decay_mask", self.decay_mask, self.theta.shape)
        check_number("weight_decay", self.weight_decay, 0, 1e6)
        xp = xp_of(self.theta)
        self.m, self.v = xp.zeros_like(self.theta), xp.zeros_like(self.theta)
        self._steps = 0  # or, once a step's `ok` came from a GPU, an array there
        for i, beta in enumerate(self.betas):
            check_number(f"betas[{i}]", beta, 0, 1 - 1e-9)
        number = np.finfo(self.theta.dtype)
        self.largest = float(number.max) ** 0.5 / 2
        least = float(number.tiny) ** 0.5
        if not least <= self.eps < math.inf:
            raise InputError(f"eps is {self.eps}, but a number from {least:.1e}, such as 1e-8, was expected.")

    @property
    def steps(self) -> int:
        """How many steps were taken; those that were not ok do not count. On a GPU, this waits for the last of them."""
        return int(self._steps)

    @steps.setter
    def steps(self, steps: int) -> None:
        self._steps = steps

    def step(self, g: Array, lr: float, ok: Any = True, ema: Array | None = None, decay: float = 0.0) -> None:
        """Take one step against the gradient g, and move the average of the weights in the same pass.

        Parameters
        ----------
        g : array, shape of theta
        lr : float
        ok : bool, or boolean array without axes
            Where it is false, nothing changes, and the step does not count; no value is read back from a GPU.
        ema : array, shape of theta, or None
            Moved towards the new theta, see `update_ema`.
        decay : float
            Decay of the average.

        Raises
        ------
        InputError
            If g or ema is not like theta.
        """
        xp, dtype = xp_of(self.theta, g, ema), self.theta.dtype
        lr, decay = _checked_step(lr, ok, decay)
        check_alike(theta=self.theta, g=g, ema=ema)
        check_shape("g", g, self.theta.shape)
        if ema is not None:
            check_shape("ema", ema, self.theta.shape)
            _check_some_writable("ema", ema)
        self._steps = self._steps + xp.where(ok, 1, 0)
        k = xp.maximum(self._steps, 1)  # if no step was ever ok, both moments are still 0
        rest_1, rest_2 = (xp.where(ok, 1 - beta, 0).astype(dtype) for beta in self.betas)
        # lr m_hat is m times the first, v_hat is v times the second
        of_m = (xp.where(ok, lr, 0) / (1 - self.betas[0] ** k)).astype(dtype)
        of_v = (1 / (1 - self.betas[1] ** k)).astype(dtype)
        lr = xp.where(ok, lr, 0).astype(dtype)
        for piece in pieces(xp, len(g), self.theta.itemsize, PIECE_BYTES):
            self._step(piece, _where_ok(ok, g[piece]), lr, (rest_1, rest_2), (of_m, of_v))
            if ema is not None:
                update_ema.bare(ema[piece], self.theta[piece], decay, ok)

    def _step(self, piece, g, lr, rests, corrections):
        xp = xp_of(self.theta)
        theta, m, v = self.theta[piece], self.m[piece], self.v[piece]
        (rest_1, rest_2), (of_m, of_v) = rests, corrections
        g = xp.clip(g, -self.largest, self.largest)
        m += rest_1 * (g - m)  # m = beta_1 m + (1 - beta_1) g
        g *= g
        g -= v
        g *= rest_2
        v += g  # v = beta_2 v + (1 - beta_2) g^2
        denominator = v * of_v
        xp.sqrt(denominator, out=denominator)
        denominator += self.eps
        if self.weight_decay:
            decay = self.weight_decay if self.decay_mask is None else self.weight_decay * self.decay_mask[piece]
            theta -= lr * decay * theta
        update = m * of_m
        update /= denominator
        theta -= update


@checked("g", lambda g, largest: _check_clipped(g, largest))
def clip_by_global_norm(g: Array, largest: float) -> Array:
    """Scale g, in place, so that its norm is at most `largest`; return the norm it had, in float64 (Eq. CLIP-1).

    The squares of entries beyond 1e19, or below 1e-19, are no numbers of float32. So g is first divided by a power of
    two near its largest entry, which rounds nothing.
    """
    xp = xp_of(g)
    unit = power_of_two(xp.maximum(g.max(keepdims=True), -g.min(keepdims=True)))[0]
    g *= 1 / unit
    norm = xp.sqrt(xp.dot(g, g)).astype(np.float64)
    unit = unit.astype(np.float64)
    factor = xp.minimum(unit, largest / xp.maximum(norm, np.finfo(g.dtype).tiny))
    g *= xp.where(xp.isfinite(norm), factor, unit).astype(g.dtype)  # one NaN must not spread to all entries
    return unit * norm


@checked()
def learning_rate(step: int, steps: int, peak: float, warmup: int = 0, final: float = 0.0) -> float:
    """Return the learning rate of step 1 .. steps: a linear warm-up to `peak`, then a half cosine (Eq. LR-1).

    Parameters
    ----------
    step, steps : int
    peak : float
    warmup : int
        Steps until the peak.
    final : float
        Learning rate at the end, as a share of the peak.
    """
    if warmup and step <= warmup:
        return peak * step / warmup
    progress = min(1.0, (step - warmup) / max(1, steps - warmup))
    return peak * (final + (1 - final) * 0.5 * (1 + math.cos(math.pi * progress)))


@checked()
def ema_decay(step: int, decay: float) -> float:
    """Return the decay at a step, from 1: ``min(decay, (1 + step) / (10 + step))``, a warm-up (Eq. EMA-2).

    With a constant decay the average would remember the random initial weights for 1 / (1 - decay) steps, and early
    samples would be noise.
    """
    return min(decay, (1 + step) / (10 + step))


@checked("ema theta", lambda ema, theta, decay, ok: _check_average(ema, theta, decay, ok))
def update_ema(ema: Array, theta: Array, decay: float, ok: Any = True) -> None:
    """Move the average towards theta, in place, where ok: ``ema = decay ema + (1 - decay) theta`` (Eq. EMA-1)."""
    ema += (1 - decay) * _where_ok(ok, theta - ema)


def _where_ok(ok, x):
    """Return x where it is ok, and else zeros: on a CPU, which knows beforehand, without `where`, its slowest pass."""
    xp = xp_of(x)
    return x if xp is np and ok else xp.where(ok, x, 0)


def _checked_step(lr, ok, decay):
    """Return the learning rate and the decay of a step as numbers of Python, which do not change an array's dtype."""
    check_number("lr", lr, -1e38, 1e38)
    check_number("decay", decay, 0, 1)
    if not (isinstance(ok, bool) or (getattr(ok, "shape", None) == () and ok.dtype.kind == "b")):
        raise InputError(f"ok is {shown(ok)}, but True, False, or a boolean array without axes, was expected.")
    return float(lr), float(decay)


def _check_clipped(g, largest):
    check_rank("g", g, 1)
    if not largest > 0:
        raise InputError(f"largest is {largest}, but a number above 0 was expected.")
    _check_some_writable("g", g)


def _check_average(ema, theta, decay, ok):
    check_shape("theta", theta, ema.shape)
    _checked_step(0, ok, decay)
    _check_some_writable("ema", ema)


def _check_some_writable(name, x):
    if not x.size:
        raise InputError(f"{name} has shape {tuple(x.shape)}, but at least one entry was expected.")
    if not getattr(x.flags, "writeable", True):  # CuPy's always are
        raise InputError(f"{name} is read-only, but it is changed in place: give a copy.")
