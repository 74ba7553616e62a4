"""Grids of lambda = log(a / b) on which samplers are judged: equal steps, steps that alternate, a start in tiny steps.

On equal steps alone, a formula that takes its last two steps for equally long looks right. On steps that alternate it
does not. A method of several steps has none behind it when it begins; where the first steps are tiny, what they lose is
nothing, and the order that is left is that of the formula.
"""

from collections.abc import Sequence

import numpy as np

from tinydiff.base import check_count, checked
from tinydiff.diffusion import GaussianDiffusion

GRIDS: dict[str, tuple[int, ...]] = {"equal": (1,), "alternating": (2, 1)}  # lengths of steps, over and over
DOUBLINGS = 20  # of the step's length at a tiny start: its error is 4^-20 of what it would be


@checked()
def grid_times(
    diffusion: GaussianDiffusion, N: int, lengths: Sequence[float], first: float, last: float
) -> list[float]:
    """Return N + 1 times from one lambda to another, in steps whose lengths in lambda are these, again and again.

    Parameters
    ----------
    diffusion : GaussianDiffusion
    N : int
        Steps.
    lengths : sequence of float
        Relative lengths: ``(1,)`` gives equal steps, ``(2, 1)`` steps that alternate.
    first, last : float
        Lambda at the first and at the last time.
    """
    check_count("N", N)
    return _times(diffusion, np.resize(lengths, N), first, last)


@checked()
def graded_times(diffusion: GaussianDiffusion, N: int, first: float, last: float) -> list[float]:
    """Return the times of N equal steps, of which the first is cut into steps that double in length from nearly 0."""
    check_count("N", N)
    begin = np.diff([0.0, *(2.0 ** np.arange(-DOUBLINGS, 1))])
    return _times(diffusion, np.concatenate([begin, np.ones(N - 1)]), first, last)


def _times(diffusion, lengths, first, last):
    steps = np.cumsum([0, *lengths])
    return [diffusion.time_at(float(first + (last - first) * step / steps[-1])) for step in steps]
