"""How far a figure of many images would move, had there been other images."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

BLOCKS = 10
STUDENT_T = 2.262157162798205  # |t| is below it with probability 0.95, for t of BLOCKS - 1 degrees of freedom


class Estimate(NamedTuple):
    """A figure, and its 95 % confidence interval."""

    value: float
    low: float
    high: float

    def __str__(self):
        """Return the figure and its interval in figures."""
        return f"{self.value:.3g} [{self.low:.3g}, {self.high:.3g}]"


def jackknife(figures: Callable[[np.ndarray, np.ndarray], Sequence[float]], n: int, m: int) -> list[Estimate]:
    """Return figures of two sets of images, with intervals: a tenth of both sets is left out in turn (Eq. JACK-1).

    Not by the bootstrap: it repeats images, and an image that is there twice has itself for its nearest neighbour, and
    makes a covariance look better known than it is. And not by the spread of subsets that are drawn again and again, as
    KID is often given: it says how much a small subset varies, which is no interval of the mean, since all the subsets
    are drawn of the same images.

    The tenths are neighbours in order, so the order of both sets must say nothing: shuffle what is sorted by class.

    Parameters
    ----------
    figures : callable
        ``figures(i, j)`` returns the figures of images i of the first set and j of the second, rows in order.
    n, m : int
        How many images the sets have, at least `BLOCKS` each.

    Notes
    -----
    Source: Tukey 1958; Miller 1974. A figure with a bias that falls like 1 / N keeps it: the interval is round what was
    measured with so many images.
    """
    i, j = np.arange(n), np.arange(m)
    tenths = zip(np.array_split(i, BLOCKS), np.array_split(j, BLOCKS), strict=True)
    values = np.asarray(figures(i, j), np.float64)
    without = np.array([figures(np.delete(i, out_1), np.delete(j, out_2)) for out_1, out_2 in tenths], np.float64)
    error = np.sqrt((BLOCKS - 1) / BLOCKS * ((without - without.mean(axis=0)) ** 2).sum(axis=0))
    return [
        Estimate(float(value), float(value - STUDENT_T * e), float(value + STUDENT_T * e))
        for value, e in zip(values, error, strict=True)
    ]
