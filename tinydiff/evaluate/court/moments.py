"""Mean and variance of what a sampler draws, without a single random number.

On a Gaussian every sampler is linear in its start and in its noise. So an impulse in the place of each of its random
numbers shows by how much that number is multiplied, and the sum of the squares is the variance of all samples, exactly.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinydiff.evaluate.court.grids import grid_times
from tinydiff.evaluate.court.rod import FIRST, marginal, the_gaussian
from tinydiff.evaluate.court.walk import Defendant, Fault

LAST = 2.5  # lambda, where so little noise is left that samplers that leap back do so
MOST_NUMBERS = 30_000  # random numbers that a sampler may draw for one sample


class Impulses:
    """A source whose j-th random number is 1 for sample j + 2, and 0 for all others."""

    def __init__(self) -> None:
        self.drawn = 0

    def at(self, **changes: Any) -> "Impulses":
        """Return the same source: every number is another one."""
        return self

    def normal(self, shape: tuple[int, ...], purpose: str, layer: str = "", dtype: Any = np.float64) -> np.ndarray:
        """Return the next impulse."""
        if self.drawn + 2 >= shape[0]:
            raise NotEnough
        z = np.zeros(shape, dtype)
        z[2 + self.drawn] = 1
        self.drawn += 1
        return z


class NotEnough(BaseException):
    """A sampler draws more numbers than there are impulses; not an Exception, which it might catch."""


class Counted:
    """A source of zeros that counts how often it is asked."""

    def __init__(self) -> None:
        self.drawn = 0

    def at(self, **changes: Any) -> "Counted":
        """Return the same source."""
        return self

    def normal(self, shape: tuple[int, ...], purpose: str, layer: str = "", dtype: Any = np.float64) -> np.ndarray:
        """Return zeros."""
        self.drawn += 1
        return np.zeros(shape, dtype)


@dataclass(frozen=True)
class Moments:
    """What a sampler makes of the exact density at the first lambda.

    Parameters
    ----------
    mean, variance : float
        Of its samples.
    from_start : float
        The part of the variance that came from the start.
    wanted_mean, wanted_variance : float
        Those of the exact density at the last lambda.
    calls : int
    """

    mean: float
    variance: float
    from_start: float
    wanted_mean: float
    wanted_variance: float
    calls: int

    @property
    def error(self) -> float:
        """Error of the variance, as a share of what is right."""
        return self.variance / self.wanted_variance - 1

    @property
    def share_of_noise(self) -> float:
        """Variance of the fresh noise that arrived, over what would make the whole variance right."""
        return (self.variance - self.from_start) / (self.wanted_variance - self.from_start)


def moments(defendant: Defendant, N: int, first: float = FIRST, last: float = LAST) -> Moments:
    """Return the exact mean and variance of what a sampler draws in N steps, equal in lambda.

    Raises
    ------
    Fault
        If it does not draw, draws too many random numbers to be followed, or is not linear on a Gaussian.
    """
    data, count = the_gaussian(), Counted()
    *steps, end = grid_times(data.diffusion, N, (1,), first, last)
    defendant.end_of(data.predict, data.diffusion, np.zeros((2, 1)), steps, end, count)
    if count.drawn > MOST_NUMBERS:
        raise Fault("too_much_noise", f"it draws {count.drawn:,} random numbers in {N} steps, too many to follow.")
    x, noise = np.zeros((count.drawn + 2, 1)), Impulses()
    x[1] = 1  # sample 0 shows what is left of nothing, sample 1 what is left of the start
    try:
        ends, calls = defendant.end_of(data.predict, data.diffusion, x, steps, end, noise)
    except NotEnough:
        raise Fault("unsteady", "it draws another number of random numbers for other samples.") from None
    of_nothing, of_start, *of_noise = ends[:, 0].tolist()
    (mean, variance), (wanted_mean, wanted) = marginal(data.diffusion, first), marginal(data.diffusion, last)
    kept = of_start - of_nothing
    from_start = kept**2 * variance
    whole = from_start + sum((one - of_nothing) ** 2 for one in of_noise)
    return Moments(of_nothing + kept * mean, whole, from_start, wanted_mean, wanted, calls)
