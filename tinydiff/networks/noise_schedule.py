"""A schedule that is learned: gamma = -log SNR as a growing function of the time (VDM)."""

from collections import namedtuple
from typing import NamedTuple

import numpy as np

from tinydiff.base import (
    Array,
    InputError,
    check_alike,
    check_count,
    check_number,
    check_shape,
    checks_arguments,
    xp_of,
)
from tinydiff.nn import Gradients, Module, Parameter, Tape

LARGEST_GAMMA = 60.0  # e^-60 of signal or noise is nothing to a float64
MOST_HIDDEN, MOST_STEPS = 2**16, 10**5
Cache = namedtuple("Cache", "t share d_share")


class Gamma(NamedTuple):
    """A schedule at some times: gamma, and its first and second derivative in t, arrays (N,)."""

    gamma: Array
    slope: Array
    curvature: Array


@checks_arguments("__init__")
class NoiseSchedule(Module):
    r"""gamma(t) from t = 0 to 1: a straight line, or one that a small network bends (Eq. VDM-GAMMA).

    .. math:: \gamma(t) = \gamma_0 + (\gamma_1 - \gamma_0) \frac{f(t) - f(0)}{f(1) - f(0)}, \qquad
       f(t) = t + \sum_j r_j\, \sigma(a_j t + c_j)

    All a and r are exponentials, so above 0, and f grows whatever the weights are; so does gamma, whose ends are two
    weights of their own. float64, since differences of gamma are exponents.

    Parameters
    ----------
    gamma_0, gamma_1 : float
        Where it starts and ends: -log SNR of the clearest and of the noisiest.
    hidden : int
        How many sigmoids; with 0 it is a straight line.
    rng : numpy Generator or None
        Draws the first weights; None takes seed 0.

    Raises
    ------
    InputError
        If the ends are not in order, or `hidden` is no whole number from 0.

    References
    ----------
    Kingma, Salimans, Poole, Ho, "Variational diffusion models", NeurIPS 2021: the monotone
    network of the appendix, here with one layer of sigmoids.
    """

    def __init__(
        self,
        gamma_0: float = -13.3,
        gamma_1: float = 5.0,
        hidden: int = 32,
        rng: np.random.Generator | None = None,
    ):
        check_count("hidden", hidden, least=0, most=MOST_HIDDEN)
        check_number("gamma_0", gamma_0, -LARGEST_GAMMA, LARGEST_GAMMA)
        check_number("gamma_1", gamma_1, -LARGEST_GAMMA, LARGEST_GAMMA)
        if not gamma_0 < gamma_1:
            raise InputError(f"gamma_0 is {gamma_0} and gamma_1 {gamma_1}, but gamma must grow: gamma_0 < gamma_1.")
        rng = np.random.default_rng(0) if rng is None else rng
        self.hidden = hidden
        self.first_and_log_length = Parameter(np.array([gamma_0, np.log(gamma_1 - gamma_0)]), decay=False)
        if hidden:
            steepness = np.exp(rng.uniform(1, 3, hidden))
            self.log_steepness = Parameter(np.log(steepness), decay=False)
            self.shift = Parameter(-steepness * rng.uniform(0, 1, hidden), decay=False)  # sigmoids all over 0 .. 1
            self.log_height = Parameter(np.full(hidden, np.log(0.1 / hidden)), decay=False)
        self.pack()

    @property
    def ends(self) -> tuple[float, float]:
        """gamma_0 and gamma_1."""
        first, log_length = self.first_and_log_length.value
        return float(first), float(first + np.exp(log_length))

    def forward(self, t: Array, tape: Tape | None = None) -> Gamma:
        """Return gamma and its two derivatives at times (N,) from 0 to 1."""
        check_alike(t=t, theta=self.theta)
        check_shape("t", t, (None,))
        raw, d_raw, dd_raw = self._raw(t)
        (low, high), _, _ = self._raw(xp_of(t).asarray([0.0, 1.0]))
        share, d_share, dd_share = (raw - low) / (high - low), d_raw / (high - low), dd_raw / (high - low)
        if tape is not None:
            tape.push(self, Cache(t, share, d_share), t.shape)
        first, log_length = self.first_and_log_length.value
        length = xp_of(t).exp(log_length)
        return Gamma(first + length * share, length * d_share, length * dd_share)

    def backward(
        self, d_gamma: Array, d_slope: Array, tape: Tape, grads: Gradients | None = None, ends: bool = True
    ) -> None:
        """Add the weights' gradients to `grads`, from those in gamma and in its slope; `ends`: also those of the ends.

        The curvature is not differentiated, and times are drawn, so there is no gradient in t.
        """
        t, share, d_share = tape.pop(self)
        check_alike(d_gamma=d_gamma, d_slope=d_slope, theta=self.theta)
        for name, d in (("d_gamma", d_gamma), ("d_slope", d_slope)):
            check_shape(name, d, t.shape)
        if grads is None:
            return
        xp = xp_of(t)
        length = xp.exp(self.first_and_log_length.value[1])
        along = (d_gamma * share + d_slope * d_share).sum()  # by how much a longer way from end to end would matter
        if ends:
            grads.add(self.first_and_log_length, xp.stack([d_gamma.sum(), length * along]))
        if not self.hidden:
            return
        low, high = self._raw(xp.asarray([0.0, 1.0]))[0]
        to_raw = length / (high - low)
        d_high = -to_raw * along  # f(1) and f(0) divide everything by their difference,
        d_low = -to_raw * d_gamma.sum() - d_high  # and f(0) is also taken off
        times = xp.concatenate([t, xp.asarray([0.0, 1.0])])
        d_raw = xp.concatenate([to_raw * d_gamma, xp.stack([d_low, d_high])])
        d_rise = xp.concatenate([to_raw * d_slope, xp.zeros(2)])
        self._raw_backward(times[:, None], d_raw[:, None], d_rise[:, None], grads)

    def move_ends(self, d_first: Array, d_last: Array, grads: Gradients) -> None:
        """Add to `grads` what gradients in gamma_0 and gamma_1, (N,) each, mean for the weights that say them."""
        check_alike(d_first=d_first, d_last=d_last, theta=self.theta)
        check_shape("d_first", d_first, (None,))
        check_shape("d_last", d_last, d_first.shape)
        xp, (_, log_length) = xp_of(d_first, d_last), self.first_and_log_length.value
        d_first, d_last = d_first.sum(), d_last.sum()
        grads.add(self.first_and_log_length, xp.stack([d_first + d_last, xp.exp(log_length) * d_last]))

    def table(self, T: int = 1000) -> np.ndarray:
        """Return alpha_bar, (T + 1,), for `GaussianDiffusion`: step 1 is at gamma_0, T at gamma_1, equal times between.

        Raises
        ------
        InputError
            If T is not a whole number from 2.
        """
        check_count("T", T, least=2, most=MOST_STEPS)
        gamma, _, _ = self.forward(np.linspace(0, 1, T))
        return np.concatenate([[1.0], 1 / (1 + np.exp(gamma))])

    def _raw(self, t):
        """Return f and its two derivatives."""
        xp = xp_of(t)
        if not self.hidden:
            return t, xp.ones_like(t), xp.zeros_like(t)
        steepness, height, h = self._sigmoids(t[:, None])
        slope = h * (1 - h)
        raw = t + (height * h).sum(axis=1)
        d_raw = 1 + (height * steepness * slope).sum(axis=1)
        return raw, d_raw, (height * steepness**2 * slope * (1 - 2 * h)).sum(axis=1)

    def _raw_backward(self, t, d_raw, d_rise, grads):
        """Add the gradients of the network's weights, given those in f and in its first derivative, at times (N, 1)."""
        steepness, height, h = self._sigmoids(t)
        slope, bend = h * (1 - h), h * (1 - h) * (1 - 2 * h)  # of the sigmoid: first and second derivative
        d_height = d_raw * h + d_rise * steepness * slope
        d_inside = height * (d_raw * slope + d_rise * steepness * bend)  # in a t + c
        d_steepness = d_inside * t + d_rise * height * slope  # a is inside, and stands before the slope
        grads.add(self.log_height, height * d_height.sum(axis=0))
        grads.add(self.shift, d_inside.sum(axis=0))
        grads.add(self.log_steepness, steepness * d_steepness.sum(axis=0))

    def _sigmoids(self, t):
        xp = xp_of(t)
        steepness, height = xp.exp(self.log_steepness.value), xp.exp(self.log_height.value)
        return steepness, height, 1 / (1 + xp.exp(-(steepness * t + self.shift.value)))
