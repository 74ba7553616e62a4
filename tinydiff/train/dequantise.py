"""Shades of grey as real numbers: noise fills the gaps between them, so that densities can be learned and told in bits.

A density of numbers that only have a few values can be raised without end, in spikes at these values. With uniform
noise as wide as the gap between two values, it cannot: its logarithm is then, on average, at most that of the
probability of the values themselves (Jensen's inequality).
"""

import math

from tinydiff.base import Array, check_count, check_shape, checked, xp_of

MOST_LEVELS = 256


@checked("x uniform")
def dequantise(x: Array, uniform: Array, levels: int) -> Array:
    """Return numbers of equal spread in [-1, 1]: each shade of grey anywhere in a cell of its own (Eq. DEQ-3).

    What learns a density from the start may have its cells as is convenient, here such that [-1, 1] is full of them. A
    diffusion model has seen x_0 in its own units, and its likelihood is asked for there: so `dequantised` in
    `tinydiff.diffusion` leaves the shades where they are, and the two differ by the factor (levels - 1) / levels.

    Parameters
    ----------
    x : array, in [-1, 1]
        Shades of grey, the multiples of ``2 / (levels - 1)`` from -1 on; others are rounded to these.
    uniform : array, shape of x
        Uniform numbers in (0, 1).
    levels : int
        How many shades there are: 256 for bytes, 17 for the digits of 8 x 8 pixels.

    Raises
    ------
    InputError
        If there are not 2 to 256 levels, or the arrays do not fit each other.

    Source: Theis, van den Oord, Bethge 2016 (arXiv 1511.01844), section 3.1.
    """
    check_count("levels", levels, least=2, most=MOST_LEVELS)
    check_shape("uniform", uniform, x.shape)
    shade = xp_of(x).rint((x + 1) * ((levels - 1) / 2))
    return (shade + uniform) * (2 / levels) - 1


@checked()
def bits_per_number(nats: float, levels: int) -> float:
    """Return bits for each shade of grey, from nats for each dequantised number (Eq. DEQ-2).

    A cell is ``2 / levels`` wide, so that a uniform density, of log 2 nats, is log2(levels) bits: each shade is as
    likely as another.

    Parameters
    ----------
    nats : float
        ``-log p(x) / D`` of dequantised pictures of D numbers, or a bound on it.
    levels : int
    """
    check_count("levels", levels, least=2, most=MOST_LEVELS)
    return (float(nats) + math.log(levels / 2)) / math.log(2)
