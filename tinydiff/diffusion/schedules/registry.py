"""The list of schedules, and what their tables are made of.

A table has T + 1 float64 entries: ``alpha_bar[0] = 1`` is clean data and ``alpha_bar[T]`` is nearly, or exactly, 0.
"""

from collections.abc import Callable

import numpy as np

from tinydiff.base import Choices, InputError, shown

LARGEST_T = 10**5  # more steps than any forward process needs; the tables have so many entries
LEAST = 1e-300  # of alpha_bar, where a product of many numbers would get 0
Table = Callable[..., np.ndarray]
SCHEDULES: Choices[Table] = Choices("schedule")  # functions of T that return alpha_bar, by name


def schedule(f: Table) -> Table:
    """Put a function into `SCHEDULES`, under its own name without ``_schedule``; it is returned as it is.

    Raises
    ------
    InputError
        If it is no function with a name, or another module has a schedule of this name.
    """
    if not hasattr(f, "__name__"):
        raise InputError(f"f is {shown(f)}, but a function of T was expected.")
    name = f.__name__.removesuffix("_schedule")
    if name in SCHEDULES and SCHEDULES[name].__module__ != f.__module__:
        raise InputError(
            f"There are two schedules named {name!r}, in {SCHEDULES[name].__module__} and {f.__module__}: rename one."
        )
    SCHEDULES[name] = f
    return f


def alpha_bar_from_beta(beta: np.ndarray) -> np.ndarray:
    """Return the products of 1 - beta over the steps 1 .. t, which fall however small they get."""
    alpha_bar = np.cumprod(1 - beta)
    steps_left = len(beta) - np.arange(1, len(beta) + 1) + (beta[-1] < 1)
    return np.concatenate([[1.0], np.maximum(alpha_bar, LEAST * steps_left)])  # a product of many numbers may get 0


def check_T(T: int) -> None:
    """Raise `InputError` unless T is a number of steps."""
    if not (isinstance(T, (int, np.integer)) and 1 <= T <= LARGEST_T):
        raise InputError(
            f"T is {shown(T)}, but a positive integer (the number of steps) up to {LARGEST_T} was expected."
        )
