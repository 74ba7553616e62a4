"""Shares of samples, with their confidence intervals."""

from typing import NamedTuple

import numpy as np

from tinydiff.base import Array, InputError, check_count, check_number, check_rank, check_shape, checked, to_numpy
from tinydiff.evaluate.numbers import finite

Z_95 = 1.959963984540054  # a standard normal number lies within +-Z_95 with probability 0.95


class Share(NamedTuple):
    """A share of samples, 0 to 1, and its 95 % confidence interval (one number each, or one per class)."""

    value: Array
    low: Array
    high: Array


@checked()
def wilson_share(count: Array | float, n: int) -> Share:
    """Return ``count / n`` with its 95 % Wilson score interval, which stays sensible at 0 and 1 (Eq. WILSON-1).

    Parameters
    ----------
    count : number or array
        How many of `n` samples were counted.
    n : int

    Raises
    ------
    InputError
        If n is no positive whole number, or a count is not from 0 to n.
    """
    check_count("n", n)
    if not (np.all(np.asarray(count) >= 0) and np.all(np.asarray(count) <= n)):
        raise InputError(f"count is {count}, but numbers from 0 to n = {n} were expected.")
    value = (count if np.ndim(count) else float(count)) / n
    z = Z_95
    centre = (value + z**2 / (2 * n)) / (1 + z**2 / n)
    half_width = z / (1 + z**2 / n) * np.sqrt(value * (1 - value) / n + z**2 / (4 * n**2))
    return Share(value, centre - half_width, centre + half_width)


@checked()
def confident_share(probabilities: Array, threshold: float = 0.9) -> Share:
    """Return the share of samples whose most probable class has a probability above `threshold`.

    Parameters
    ----------
    probabilities : array, shape (N, classes)
        A classifier's probabilities, each row adding to 1.
    threshold : float from 0 to 1

    Returns
    -------
    Share
        See `wilson_share`.

    Raises
    ------
    InputError
        If there is no sample, or a row is no distribution.
    """
    check_number("threshold", threshold, 0, 1)
    probabilities = _distributions(probabilities)
    confident = (probabilities.max(axis=1) > threshold).sum()
    return wilson_share(confident, len(probabilities))


@checked()
def class_shares(probabilities: Array, n_classes: int) -> Share:
    """Return the share of samples to which a classifier gives each class.

    Parameters
    ----------
    probabilities : array, shape (N, n_classes)
        A classifier's probabilities, each row adding to 1.
    n_classes : int
        How many classes the data has; a classifier of other data is refused.

    Returns
    -------
    Share
        Its fields are arrays of shape (n_classes,); see `wilson_share`.

    Raises
    ------
    InputError
        If there is no sample, another number of classes, or a row is no distribution.
    """
    check_shape("probabilities", probabilities, (None, n_classes))
    probabilities = _distributions(probabilities)
    counts = np.bincount(probabilities.argmax(axis=1), minlength=n_classes)
    return wilson_share(counts, len(probabilities))


def _distributions(probabilities):
    probabilities = to_numpy(probabilities)
    check_rank("probabilities", probabilities, 2)
    probabilities = finite("probabilities", probabilities)
    if probabilities.min() < 0 or abs(probabilities.sum(axis=1) - 1).max() > 1e-3:
        raise InputError("probabilities has rows that are negative or do not add to 1. Apply softmax to logits first.")
    return probabilities
