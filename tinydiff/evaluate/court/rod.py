"""The measuring rods: a mixture whose paths are known to twelve digits, and a Gaussian whose moments are known."""

import functools
import math
from dataclasses import dataclass

import numpy as np

from tinydiff.base import Array, Noise
from tinydiff.diffusion import Gaussian, GaussianDiffusion, GaussianMixture, cosine_schedule, linear_schedule

FIRST, LAST = -1.0, 1.5  # lambda: from where noise rules to where data do, and never infinite
WEIGHTS, VARIANCES = (0.3, 0.4, 0.3), (0.1, 0.3, 0.15)
MEANS = ((-1.0, 0.3), (0.8, -0.5), (0.2, 1.0))
PATHS = 12
MEAN, VARIANCE = 0.7, 0.3  # of the Gaussian
TOLERANCE = 1e-12  # of SciPy's solver, which knows no sampler


@dataclass(frozen=True)
class Rod:
    """A mixture in two dimensions, some points where its noise is strong, and where the exact ODE takes them.

    Parameters
    ----------
    diffusion : GaussianDiffusion
    density : GaussianMixture
    start, exact : arrays, shape (PATHS, 2)
        Points of the noisy density at the lambda `first`, and their exact paths' ends at `last`.
    first, last : float
    """

    diffusion: GaussianDiffusion
    density: GaussianMixture
    start: Array
    exact: Array
    first: float = FIRST
    last: float = LAST


@functools.cache
def the_rod() -> Rod:
    """Return the rod that all samplers are measured with."""
    diffusion = GaussianDiffusion(linear_schedule(1000))
    density = GaussianMixture(diffusion, WEIGHTS, MEANS, VARIANCES)
    noise, which = Noise(0), np.arange(PATHS) % len(MEANS)
    data = np.array(MEANS)[which] + np.sqrt(VARIANCES)[which, None] * noise.normal((PATHS, 2), "data", dtype=np.float64)
    start = diffusion.q_sample(data, diffusion.time_at(FIRST), noise.normal((PATHS, 2), "start", dtype=np.float64))
    exact = exact_end(density, start, FIRST, LAST)
    for array in (start, exact):
        array.setflags(write=False)
    return Rod(diffusion, density, start, exact)


@functools.cache
def empty_rod() -> GaussianMixture:
    """Return the mixture on a schedule that leaves no signal at T, where lambda is minus infinity."""
    return GaussianMixture(GaussianDiffusion(cosine_schedule(50, max_beta=1)), WEIGHTS, MEANS, VARIANCES)


def exact_end(density: GaussianMixture, x: Array, first: float, last: float) -> Array:
    """Return where the probability-flow ODE d(x / a) / d sigma = eps_hat takes x, by SciPy's `solve_ivp`."""
    from scipy import integrate  # here, since it takes longer to import than all of tinydiff

    def slope(sigma, y):
        t = density.diffusion.time_at(-math.log(sigma))
        a, _ = density.diffusion.scales(t)
        return density.predict(a * y.reshape(x.shape), t)[1].ravel()

    (a_first, _), (a_last, _) = (density.diffusion.scales(density.diffusion.time_at(lam)) for lam in (first, last))
    sigmas = math.exp(-first), math.exp(-last)
    solved = integrate.solve_ivp(slope, sigmas, (x / a_first).ravel(), method="DOP853", rtol=TOLERANCE, atol=TOLERANCE)
    return a_last * solved.y[:, -1].reshape(x.shape)


@functools.cache
def the_gaussian() -> Gaussian:
    """Return the Gaussian, in one dimension, by which moments are measured."""
    return Gaussian(the_rod().diffusion, np.array([MEAN]), np.array([VARIANCE]))


def marginal(diffusion: GaussianDiffusion, lam: float) -> tuple[float, float]:
    """Return mean and variance of the Gaussian's noisy version at a lambda."""
    a, b = diffusion.scales(diffusion.time_at(lam))
    return float(a * MEAN), float(a**2 * VARIANCE + b**2)
