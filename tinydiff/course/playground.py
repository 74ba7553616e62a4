"""The playground: points that somebody draws, and noise that flows to them by their exact score. Nothing is trained."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinydiff.base import Array, InputError, Noise, check_count, check_number, check_numbers, check_shape, checked
from tinydiff.diffusion import SAMPLERS, FiniteData, GaussianDiffusion, cosine_schedule
from tinydiff.diffusion.samplers.chain import Chain

MOST_DRAWN, MOST_FLOWING, MOST_STEPS = 500, 2_000, 250  # so that it is seen at once, and nobody waits long
FARTHEST = 3.0  # of a coordinate


@checked()
def flow_of_points(
    points: Array | Sequence, n: int = 500, sampler: str = "ddim", steps: int = 50, seed: int = 0, **options: Any
) -> Chain:
    """Let noise flow to points in a plane, and yield (t, x_t, x_0_hat) after every step, arrays (n, 2).

    The denoiser is the exact one of these points and no others (Eq. DATA-1), that of a network that has memorised them:
    so the noise ends on the points themselves.

    Parameters
    ----------
    points : array, shape (K, 2), or a sequence of pairs
        1 to 500 points, with coordinates from -3 to 3.
    n : int
        How many points of noise flow, 1 to 2,000.
    sampler : str
        One of `SAMPLERS`.
    steps : int
        1 to 250.
    seed : int
        Of the noise.
    **options
        Options of the sampler, such as `eta` of ``"ddim"``.

    Raises
    ------
    InputError
        If an argument is none of these.

    Examples
    --------
    >>> frames = list(flow_of_points([(-1, 0), (0, 1), (1, 0)], n=100, steps=20))
    >>> len(frames), frames[-1][1].shape
    (20, (100, 2))
    """
    data = _points(points)
    check_count("n", n, most=MOST_FLOWING)
    check_count("steps", steps, most=MOST_STEPS)
    check_number("seed", seed, 0, 2**32 - 1)
    diffusion, chosen = GaussianDiffusion(cosine_schedule(1000)), SAMPLERS[sampler]
    noise = Noise(int(seed))
    x_T = noise.normal((n, 2), "x_T", dtype=np.float64)
    times = chosen.times(diffusion, steps)
    return chosen(FiniteData(diffusion, data).predict, diffusion, x_T, times, noise=noise, **options)


def _points(points):
    """Return points as float64, (K, 2)."""
    try:
        data = points if isinstance(points, np.ndarray) else np.asarray(points, np.float64)
    except (ValueError, TypeError) as error:  # rows of different lengths, or no numbers
        raise InputError("points holds what is no point: pairs of numbers, (x, y), were expected.") from error
    check_numbers("points", data)
    check_shape("points", data, (None, 2))
    if not 1 <= len(data) <= MOST_DRAWN:
        raise InputError(f"There are {len(data):,} points, but 1 to {MOST_DRAWN} were expected.")
    if not (np.abs(data) <= FARTHEST).all():  # NaN is not
        raise InputError(f"points holds a coordinate that is not from -{FARTHEST:g} to {FARTHEST:g}.")
    return data.astype(np.float64)
