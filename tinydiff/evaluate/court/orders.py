"""How the error of a sampler falls with its steps, and how much of a polynomial a step of it follows."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tinydiff.base import Array, checked
from tinydiff.diffusion.samplers.chain import scales
from tinydiff.evaluate.court.grids import GRIDS, graded_times, grid_times
from tinydiff.evaluate.court.rod import FIRST, LAST, Rod, the_rod
from tinydiff.evaluate.court.walk import Defendant

NUMBERS = (10, 20, 40, 80, 160)  # of steps
TOLERANCES = (0.1, 0.03, 0.01, 3e-3, 1e-3, 3e-4)  # of the adaptive solver
ROUNDING = 3e-11  # errors below it may be those of rounding, and do not count
SMALL_POLYNOMIALS = 3  # 1, lambda, lambda^2: value, slope and bend of a prediction
PARTS = ("value", "slope", "bend")
ODD, EVEN = (0.9, 1.0, 0.7, 1.2, 0.8), (1.0,)  # lengths of steps before the one that is looked at


@dataclass(frozen=True)
class Curve:
    """Errors against the number of steps, and of calls.

    Parameters
    ----------
    numbers, calls : tuple of int
        Steps, and predictions asked for.
    errors : tuple of float
        The largest over all paths.
    rounding : float
        Errors below it do not count for the order.
    """

    numbers: tuple[int, ...]
    calls: tuple[int, ...]
    errors: tuple[float, ...]
    rounding: float = ROUNDING

    @property
    def order(self) -> float:
        """By which power the error falls with the number of steps, between the last two that are no rounding."""
        return slope_of(self.numbers, self.errors, self.rounding)

    def calls_for(self, error: float) -> float | None:
        """Return how many calls bring the error down to this, between two that were measured; None: more than these."""
        points = list(zip(self.calls, self.errors, strict=True))
        if points[0][1] <= error:
            return float(points[0][0])
        for (few, large), (many, small) in pairwise(points):
            if small <= error < large:
                share = math.log(large / error) / math.log(large / small)
                return few * (many / few) ** share
        return None


def slope_of(numbers: Sequence[float], errors: Sequence[float], rounding: float = ROUNDING) -> float:
    """Return by which power errors fall, between the last two that are larger than rounding; NaN if there are none."""
    large = [(n, e) for n, e in zip(numbers, errors, strict=True) if e > rounding]
    if len(large) < 2:
        return math.nan
    (few, first), (many, last) = large[-2:]
    return math.log(first / last) / math.log(many / few)


def error_curve(
    defendant: Defendant, grid: str = "equal", numbers: Sequence[int] = NUMBERS, rounding: float = ROUNDING
) -> Curve:
    """Return the error of a sampler on a grid: "equal", "alternating" or "graded"."""
    rod, calls, errors = the_rod(), [], []
    for N in numbers:
        *steps, end = times_on(rod, grid, N)
        x, made = defendant.end_of(rod.density.predict, rod.diffusion, rod.start, steps, end)
        calls.append(made)
        errors.append(float(np.abs(x - rod.exact).max()))
    return Curve(tuple(numbers), tuple(calls), tuple(errors), rounding)


@checked()
def tolerance_curve(tolerances: Sequence[float] = TOLERANCES) -> Curve:
    """Return the error of `adaptive` against its calls: it takes its own steps, as many as a tolerance asks for."""
    rod, calls, errors = the_rod(), [], []
    *steps, end = times_on(rod, "equal", 1)
    for tolerance in tolerances:
        defendant = Defendant("adaptive", {"rtol": tolerance, "atol": tolerance})
        x, made = defendant.end_of(rod.density.predict, rod.diffusion, rod.start, steps, end)
        calls.append(made)
        errors.append(float(np.abs(x - rod.exact).max()))
    return Curve(tuple(calls), tuple(calls), tuple(errors))


def times_on(rod: Rod, grid: str, N: int) -> list[float]:
    """Return N + 1 times of a grid, or some more where it has a start in tiny steps."""
    if grid == "graded":
        return graded_times(rod.diffusion, N, rod.first, rod.last)
    return grid_times(rod.diffusion, N, GRIDS[grid], rod.first, rod.last)


def shares_followed(defendant: Defendant, of: str, lengths: Sequence[float]) -> list[float]:
    """Return how much of a prediction's value, slope and bend the last of six steps follows: 1 where it is exact.

    The prediction is (lambda - lambda_t)^k, whatever x is, so that the exact step is an integral. A sampler that draws
    a parabola through its last predictions follows all three to the last digit.

    Parameters
    ----------
    of : str
        ``"x_0"`` or ``"eps"``: which prediction is the polynomial.
    lengths : sequence of float
        Of the steps, over and over.
    """
    diffusion, shares = the_rod().diffusion, []
    times = grid_times(diffusion, 6, lengths, FIRST, LAST)
    (a_t, b_t), (a_s, b_s) = (scales(diffusion, t) for t in times[-2:])
    first, last = math.log(a_t / b_t), math.log(a_s / b_s)
    for power in range(SMALL_POLYNOMIALS):

        def predict(x_t, t, context=None, power=power):
            a, b = scales(diffusion, float(np.ravel(t)[0]))
            value = np.full_like(x_t, (math.log(a / b) - first) ** power if power else 1.0)
            return (value, (x_t - a * value) / b) if of == "x_0" else ((x_t - b * value) / a, value)

        states, _ = defendant.states(predict, diffusion, np.zeros((1, 1)), times[:-1], times[-1])
        before, after = states[-2][0, 0], states[-1][0, 0]
        if of == "x_0":
            moved, exact = (after - b_s / b_t * before) / a_s, _integral(first, last, power, 1)
        else:
            moved, exact = (after - a_s / a_t * before) / b_s, _integral(first, last, power, -1)
        shares.append(float(moved / exact))
    return shares


def _integral(first, last, power, rate):
    """Return the integral of rate e^(rate (lambda - last)) (lambda - first)^power, by Gauss' rule."""
    points, weights = np.polynomial.legendre.leggauss(30)
    lam = first + (last - first) * (1 + points) / 2
    return (last - first) / 2 * float(weights @ (rate * np.exp(rate * (lam - last)) * (lam - first) ** power))


def is_near(a: Array | float, b: Array | float, tolerance: float = 1e-6) -> bool:
    """Whether two numbers, or all of two arrays, differ by no more than rounding."""
    return bool(np.all(np.abs(np.asarray(a) - np.asarray(b)) <= tolerance))
