"""What exponential integrators share: lambda, and what several predictions weigh in a step.

With lambda = log(a / b), half the log-SNR, the probability-flow ODE is linear but for what is predicted, in two ways:
x / b grows by the integral of e^lambda x_0_hat, and x / a by that of -e^(-lambda) eps_hat. Both integrals are known
where the prediction is a polynomial in lambda, whatever the noise schedule.
"""

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from tinydiff.base import Array
from tinydiff.diffusion.process import GaussianDiffusion
from tinydiff.diffusion.samplers.chain import scales

# Predictions with the lambda, or the sigma, of their times, the latest first.
Known: TypeAlias = Sequence[tuple[float, Array]]
POINTS, SHARES = np.polynomial.legendre.leggauss(24)  # Gauss' rule on [-1, 1], exact for polynomials of degree 47


def half_log_snr(diffusion: GaussianDiffusion, t: float) -> float:
    """Return lambda = log(a / b) at t: infinite at t = 0, and minus infinity where there is no signal."""
    a, b = scales(diffusion, t)
    if a == 0:
        return -math.inf
    return math.log(a / b) if b > 0 else math.inf


def gauss_rule(start: float, end: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the points of Gauss' rule from start to end, and what a function's values there weigh in its integral."""
    half = (end - start) / 2
    return start + half * (1 + POINTS), half * SHARES


def lagrange(nodes: Sequence[float], j: int, x: np.ndarray) -> np.ndarray:
    """Return the polynomial that is 1 at node j and 0 at the other nodes, at x."""
    value = np.ones_like(x)
    for i, node in enumerate(nodes):
        if i != j:
            value = value * (x - node) / (nodes[j] - node)
    return value


def interpolation_weights(nodes: Sequence[float], start: float, end: float) -> list[float]:
    """Return what values at several nodes weigh in the integral of their polynomial from start to end (Eq. LMS-1)."""
    x, shares = gauss_rule(start, end)
    return [float(shares @ lagrange(nodes, j, x)) for j in range(len(nodes))]


def exponential_weights(nodes: Sequence[float], start: float, end: float, rate: float) -> list[float]:
    """Return what the predictions at several lambdas weigh in a step along their polynomial (Eq. EXPAB-1).

    A weight is the integral of rate e^(rate (lambda - end)) L_j(lambda) from start to end, by Gauss' rule, where L_j is
    1 at node j and 0 at the others. Together they are 1 - e^(-rate (end - start)).
    """
    x, shares = gauss_rule(start, end)
    density = shares * rate * np.exp(rate * (x - end))
    return [float(density @ lagrange(nodes, j, x)) for j in range(len(nodes))]


def weighted_sum(weights: Sequence[float], known: Known) -> Array:
    """Return the sum of predictions, each times its weight."""
    return sum(weight * prediction for weight, (_, prediction) in zip(weights, known, strict=True))


def along_polynomial(
    diffusion: GaussianDiffusion,
    x_t: Array,
    t: float,
    s: float,
    known: Known,
    eta: float = 0.0,
    weights: Sequence[float] | None = None,
) -> tuple[Array, float]:
    """Return x_s along the polynomial through predictions of x_0, without fresh noise, and the scale of that noise.

    Parameters
    ----------
    known : sequence of (lambda, x_0_hat)
        The one at t first. Where lambda is infinite at t or s, it alone is used; elsewhere infinite ones are left out.
    eta : float
        Strength of the noise: 0 is the ODE, 1 the reverse of the forward SDE.
    weights : sequence of float or None
        What each prediction weighs; None: `exponential_weights`.
    """
    (a_t, b_t), (a_s, b_s) = scales(diffusion, t), scales(diffusion, s)
    first, last = half_log_snr(diffusion, t), half_log_snr(diffusion, s)
    kept = math.exp(-eta * (last - first)) if eta > 0 else 1.0  # of the noise in x_t
    missing = b_s * (1 - kept**2) ** 0.5
    if math.isinf(last - first):
        return kept * b_s / b_t * x_t + (a_s - kept * a_t * b_s / b_t) * known[0][1], missing
    known = [(node, x_0_hat) for node, x_0_hat in known if math.isfinite(node)]
    if weights is None:
        weights = exponential_weights([node for node, _ in known], first, last, 1 + eta)
    return kept * b_s / b_t * x_t + a_s * weighted_sum(weights, known), missing
