"""The likelihood of the probability-flow ODE: how much the flow from data to noise spreads what lies around a point.

On DDPM's path a is the cosine of an angle and b its sine, and the ODE is the simplest there is: along the angle, x
moves with the velocity v that the shipped networks predict. The log density along it falls as the flow spreads, that is
by the divergence of v. So the density at x is that of the noise at which the flow from x ends, and an integral.

The divergence is the trace of the Jacobian of v. Nothing here differentiates: a velocity returns, beside v, the product
of a vector z with its Jacobian, which for a network is its backward down to its input.
"""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np

from tinydiff.base import Array, InputError, Noise, TrainingError, check_count, check_shape, checked, xp_of
from tinydiff.diffusion.alpha_bar import check_time
from tinydiff.diffusion.checks import check_match
from tinydiff.diffusion.oracle import Density
from tinydiff.diffusion.process import GaussianDiffusion

# velocity(x, t, z) -> (v, z^T dv/dx): x and z are arrays (N, ...) on DDPM's path, t a number
Velocity: TypeAlias = Callable[[Array, float, Array], tuple[Array, Array]]
MOST_STEPS = 100_000  # of the way, and probes
ROOT = 3  # the steps are even in the third root of the angle: small where x is nearly clean, and v changes fast


@checked()
def flow_log_density(
    velocity: Velocity,
    diffusion: GaussianDiffusion,
    x_t: Array,
    t: float,
    probes: Array | None = None,
    steps: int = 32,
    log_prior: Callable[[Array], Array] | None = None,
) -> Array:
    """Return log p(x_t) in nats, (N,), float64, of the model that is the flow of noise (Eq. PFODE-1, Eq. PFODE-2).

    The ODE is followed from t to T by the classical Runge-Kutta method of order 4, with four calls of the velocity for
    each step and each probe.

    Parameters
    ----------
    velocity : callable
        ``velocity(x, t, z) -> (v, z^T dv/dx)``. x and z are arrays (N, ...) on DDPM's path, where a^2 + b^2 = 1, and t
        is a number.
    diffusion : GaussianDiffusion
        On another path, x_t is in that path's units.
    x_t : array, shape (N, ...)
    t : float
        Above 0, below T. A network knows nothing below the first step that it was trained on, 1.
    probes : array, shape (K, N, ...), or None
        Random signs from `random_signs`, for Hutchinson's estimate of the divergence, the same ones along the whole way
        (Eq. HUTCH-1). So the result is right in expectation. None takes the exact divergence, with as many calls for
        each as a sample has numbers.
    steps : int
    log_prior : callable or None
        ``log_prior(x_T)``, (N,): the density at T, in the path's units. None takes that from which samplers start, a
        standard normal one on DDPM's path.

    Raises
    ------
    InputError
        If t is out of range, or shapes do not fit.
    TrainingError
        If the velocity is not finite.

    References
    ----------
    Chen, Rubanova, Bettencourt, Duvenaud, "Neural ordinary differential equations" (2018), Eq. 8; Grathwohl et al.,
    "FFJORD" (2019), Eq. 7; Song et al., "Score-based generative modeling through SDEs" (2021), Eq. 39.
    """
    check_match(x_t=x_t)
    check_count("steps", steps, most=MOST_STEPS)
    check_time("t", t, diffusion.T, 0)
    if not 0 < t < diffusion.T:
        raise InputError(
            f"t is {t:g}, but the flow runs to T = {diffusion.T}: a time above 0 and below it was expected."
        )
    if probes is not None:
        check_shape("probes", probes, (None, *x_t.shape))
        if not len(probes):
            raise InputError("probes is empty, but at least one was expected; None takes the exact divergence.")
        check_match(x_t=x_t, probe=probes[0])
    size = math.prod(x_t.shape[1:])
    scale, scale_at_T = float(diffusion.scale_at(float(t))), float(diffusion.scale_at(diffusion.T))
    first, last = (_angle(diffusion, time) ** (1 / ROOT) for time in (t, diffusion.T))
    nodes = np.linspace(first, last, steps + 1) ** ROOT

    def slopes(x, angle):
        return _divergence(velocity, x, _time(diffusion, angle, nodes[-1]), probes)

    x, spread = x_t / scale, 0.0
    for first, last in pairwise(nodes):
        h = float(last - first)
        v_1, div_1 = slopes(x, first)
        v_2, div_2 = slopes(x + h / 2 * v_1, first + h / 2)
        v_3, div_3 = slopes(x + h / 2 * v_2, first + h / 2)
        v_4, div_4 = slopes(x + h * v_3, last)
        x = x + h / 6 * (v_1 + 2 * v_2 + 2 * v_3 + v_4)
        spread = spread + h / 6 * (div_1 + 2 * div_2 + 2 * div_3 + div_4)
    if log_prior is None:
        x = x.reshape(len(x), size).astype(np.float64)
        log_p = -(x * x).sum(axis=1) / 2 - size / 2 * math.log(2 * math.pi)
    else:
        log_p = log_prior(scale_at_T * x) + size * math.log(scale_at_T)
    return log_p + spread - size * math.log(scale)


@checked()
def random_signs(noise: Noise, shape: tuple, probes: int = 1, dtype: Any = np.float32) -> Array:
    """Return probes (K, N, ...) of numbers that are 1 or -1, for Hutchinson's estimate (Eq. HUTCH-1).

    The trace of a matrix J is the mean of z^T J z, for z of independent numbers of mean 0 and variance 1. Of all these,
    signs vary the result least, since their squares do not vary: where J is diagonal, one probe gives the trace.

    Parameters
    ----------
    noise : Noise
    shape : tuple
        Of the samples, (N, ...).
    probes : int
        K.
    dtype : dtype
        That of the samples.

    References
    ----------
    Hutchinson, "A stochastic estimator of the trace of the influence matrix" (1990).
    """
    check_count("probes", probes, most=MOST_STEPS)
    xp = noise.xp
    halves = [noise.uniform(shape, "probe", layer=str(k)) < 0.5 for k in range(int(probes))]
    return xp.where(xp.stack(halves), -1.0, 1.0).astype(dtype)


@checked()
def exact_velocity(density: Density) -> Velocity:
    """Return ``velocity(x, t, z) -> (v, z^T dv/dx)`` of a density whose denoiser is known, for `flow_log_density`.

    v = (a x - x_0_hat) / b (Eq. V-2 solved for v), and the Jacobian of x_0_hat is Eq. TWEEDIE-2.
    """

    def velocity(x, t, z):
        shape, size = x.shape, math.prod(x.shape[1:])
        flat, d = (y.reshape(len(y), size).astype(np.float64) for y in (x, z))
        alpha_bar = xp_of(x).full((len(x), 1), density.diffusion.alpha_bar_at(t))
        a, b = alpha_bar**0.5, (1 - alpha_bar) ** 0.5
        x_0_hat, _ = density.posterior(flat, alpha_bar)
        of_x_0_hat = density.posterior_backward(flat, alpha_bar, d)
        return tuple(y.reshape(shape).astype(x.dtype) for y in ((a * flat - x_0_hat) / b, (a * d - of_x_0_hat) / b))

    return velocity


@checked()
def dequantised(x_0: Array, noise: Noise, levels: int = 256) -> tuple[Array, float]:
    """Return levels spread over their cells, and by how many nats the price of a density is then too low (Eq. DEQ-1).

    A density in place of the levels' probabilities could be infinite on them. So each level is spread over its cell:
    x = x_0 + u. The probability P(x_0) that the density p gives to the cell is its mean over u times the cell's volume,
    and by Jensen's inequality, log P(x_0) >= E[log p(x)] + D log(2 / (levels - 1)). So -log p(x), and the number that
    is returned, are a price that is at least -log P(x_0), in expectation over u.

    Levels stay where a diffusion model has seen them, so that the outer cells reach a little beyond [-1, 1]; see
    `tinydiff.train.dequantise` for cells that fill it.

    Returns
    -------
    x : array like x_0
    nats : float
        D log((levels - 1) / 2), to be added to -log p(x).

    References
    ----------
    Theis, van den Oord, Bethge, "A note on the evaluation of generative models" (2016), section 3.1.
    """
    check_match(x_0=x_0)
    check_count("levels", levels, least=2)
    width = 2 / (levels - 1)
    u = noise.uniform(x_0.shape, "dequantise", dtype=x_0.dtype) - 0.5
    return x_0 + width * u, -math.prod(x_0.shape[1:]) * math.log(width)


def _divergence(velocity, x, t, probes):
    """Return v and its divergence, (N,), float64: exact, or by probes."""
    xp, size = xp_of(x), math.prod(x.shape[1:])
    if probes is None:
        found = xp.zeros(len(x))
        for i in range(size):
            z = xp.zeros((len(x), size), x.dtype)
            z[:, i] = 1
            v, row = velocity(x, t, z.reshape(x.shape))
            found += row.reshape(len(x), size)[:, i]
    else:
        found = xp.zeros(len(x))
        for z in probes:
            v, row = velocity(x, t, z)
            found += (z * row).reshape(len(x), size).sum(axis=1, dtype=np.float64) / len(probes)
    check_match(x_t=x, velocity=v)
    if not bool(xp.isfinite(v).all() & xp.isfinite(found).all()):
        raise TrainingError(
            f"The model's velocity holds NaN or infinity at t = {t:g}, so it has no likelihood: its training diverged, "
            "or its weights are damaged. Use another checkpoint."
        )
    return v, found


def _angle(diffusion, t):
    """Return the angle whose tangent is b / a."""
    a, b = diffusion.scales(float(t))
    return math.atan2(b, a)


def _time(diffusion, angle, last):
    """Return the time at an angle; rounding does not lead beyond the last one."""
    return float(diffusion.T) if angle >= last else diffusion.time_at(-math.log(math.tan(angle)))
