"""Exact denoisers of shapes in a plane: points that are blurred, and boxes that are filled evenly."""

import math
from collections.abc import Sequence

import numpy as np

from tinydiff.base import Array, InputError, check_number, check_shape, checks_arguments, log_normal_cdf, xp_of
from tinydiff.diffusion.oracle import Density, _log_weights, _softmax_and_log_sum, _table
from tinydiff.diffusion.process import GaussianDiffusion


@checks_arguments("__init__")
class BlurredPoints(Density):
    """Points with a Gaussian of one width around each: curves and clouds, and the estimate of a density by kernels.

    It is a `GaussianMixture` whose components are equally wide in all directions, computed by one product of matrices,
    so that there may be thousands. With width 0 it is `FiniteData`.

    Parameters
    ----------
    diffusion : GaussianDiffusion
    points : array, shape (K, *shape)
    width : float
        Standard deviation of the Gaussians.
    weights : array, shape (K,), or None
        Positive; they are divided by their sum. None: all equal.

    Raises
    ------
    InputError
        If there is no point, a weight is not positive, or the width below 0.
    """

    def __init__(
        self,
        diffusion: GaussianDiffusion,
        points: Array | Sequence,
        width: float,
        weights: Array | Sequence | None = None,
    ):
        check_number("width", width, 0)
        self.width = float(width)
        self.log_weights = _log_weights(np.ones(len(points)) if weights is None else weights, len(points))
        self.points = _table("points", points).reshape(len(points), -1)
        super().__init__(diffusion, np.shape(points)[1:], smooth=width > 0)

    def posterior(self, x: Array, alpha_bar: Array) -> tuple[Array, Array]:
        """Return E[x_0 | x_t] and log q(x_t): with p_bar, the points as x_t makes them likely (Eq. KERNEL-1)."""
        xp = xp_of(x)
        points, a = xp.asarray(self.points), alpha_bar**0.5
        variance = alpha_bar * self.width**2 + (1 - alpha_bar)  # of x_t around a p_k
        squares = (x * x).sum(axis=1, keepdims=True) + alpha_bar * (points * points).sum(axis=1)
        distance_squared = xp.maximum(squares - 2 * a * (x @ points.T), 0)
        share, log_sum = _softmax_and_log_sum(xp.asarray(self.log_weights) - distance_squared / (2 * variance))
        p_bar = share @ points
        x_0_hat = p_bar + a * self.width**2 / variance * (x - a * p_bar)
        return x_0_hat, log_sum - 0.5 * x.shape[1] * xp.log(2 * np.pi * variance[:, 0])


@checks_arguments("__init__")
class Boxes(Density):
    """Boxes, each filled evenly: a checkerboard is made of squares.

    Parameters
    ----------
    diffusion : GaussianDiffusion
    low, high : arrays, shape (K, *shape)
        Two opposite corners of each box; high is above low everywhere.
    weights : array, shape (K,), or None
        The share of each box; None: all equal.

    Raises
    ------
    InputError
        If a box has no inside, or the numbers of corners and weights differ.
    """

    def __init__(
        self,
        diffusion: GaussianDiffusion,
        low: Array | Sequence,
        high: Array | Sequence,
        weights: Array | Sequence | None = None,
    ):
        self.log_weights = _log_weights(np.ones(len(low)) if weights is None else weights, len(low))
        self.low, self.high = _table("low", low).reshape(len(low), -1), _table("high", high)
        check_shape("high", self.high, np.shape(low))
        self.high = self.high.reshape(self.low.shape)
        if not (self.high > self.low).all():
            raise InputError("A box has no inside: every number of high must be above that of low.")
        super().__init__(diffusion, np.shape(low)[1:], smooth=False)

    def posterior(self, x: Array, alpha_bar: Array) -> tuple[Array, Array]:
        """Return E[x_0 | x_t], of a normal distribution cut off at the sides of each box, and log q(x_t) (Eq. BOX-1).

        Given x_t and the box, ``z = (a x_0 - x_t) / b`` is standard normal between ``(a low - x_t) / b`` and
        ``(a high - x_t) / b``, along every axis by itself.
        """
        xp = xp_of(x)
        a, b = (s[:, None] for s in (alpha_bar**0.5, (1 - alpha_bar) ** 0.5))
        low, high = xp.asarray(self.low), xp.asarray(self.high)
        side = a * (high - low)  # (N, K, D), like all below
        mean, log_mass = _cut_normal((a * low - x[:, None]) / b, (a * high - x[:, None]) / b)
        log_q_of_boxes = (log_mass - xp.log(side)).sum(axis=2)
        share, log_q = _softmax_and_log_sum(xp.asarray(self.log_weights) + log_q_of_boxes)
        inside = xp.clip((x[:, None] + b * mean) / a, low, high)  # which rounding could leave
        return (share[:, :, None] * inside).sum(axis=1), log_q


def _cut_normal(low, high):
    """Return the mean of a standard normal number between low and high, and the log of the probability to be there."""
    xp = xp_of(low)
    flip = low + high > 0  # above 0, 1 - Phi would be rounded away: the mirror image lies below
    low, high = xp.where(flip, -high, low), xp.where(flip, -low, high)
    log_below = log_normal_cdf(high)
    log_mass = log_below + xp.log(-xp.expm1(log_normal_cdf(low) - log_below))
    at_low, at_high = (xp.exp(-0.5 * (z * z + math.log(2 * math.pi)) - log_mass) for z in (low, high))
    return xp.where(flip, at_high - at_low, at_low - at_high), log_mass
