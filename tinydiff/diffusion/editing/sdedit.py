"""SDEdit: begin the chain part of the way, from a picture with noise."""

from collections.abc import Iterable

import numpy as np

from tinydiff.base import check_number, checked
from tinydiff.diffusion.process import GaussianDiffusion
from tinydiff.diffusion.times import equal_steps


@checked()
def times_below(diffusion: GaussianDiffusion, times: Iterable[float] | int, strength: float) -> list[float]:
    """Return the times of a chain that begins part of the way: those up to strength * T.

    Parameters
    ----------
    diffusion : GaussianDiffusion
    times : int or iterable of float
        The whole chain's, as for samplers.
    strength : float
        0 .. 1. 1 keeps all times; 0 keeps none, and the picture stays as it is.
    """
    check_number("strength", strength, 0, 1)
    times = equal_steps(diffusion, int(times)) if isinstance(times, (int, np.integer)) else list(times)
    for t in times:
        check_number("each of times", t, 0, diffusion.T)
    return [t for t in times if t <= strength * diffusion.T + 1e-9]  # 0.57 * 100 is a little below 57
