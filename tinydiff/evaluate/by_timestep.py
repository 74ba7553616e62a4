"""The loss over the step index t, as means in bins."""

from typing import NamedTuple

import numpy as np

from tinydiff.base import Array, InputError, check_number, check_rank, check_shape, checked, to_numpy
from tinydiff.evaluate.numbers import finite


class LossByTimestep(NamedTuple):
    """Mean loss in bins of the step index: arrays with one entry per bin.

    `t` is the middle of the bin and `n` the number of its losses. `mean` is NaN where there are none, and
    `standard_error`, that of the mean, where there are fewer than two.
    """

    t: np.ndarray
    mean: np.ndarray
    standard_error: np.ndarray
    n: np.ndarray


@checked()
def loss_by_timestep(t: Array, losses: Array, T: int, bins: int = 20) -> LossByTimestep:
    """Return the mean loss, its standard error and the number of losses in equal bins of the step index.

    Parameters
    ----------
    t : array, shape (N,)
        Step index of each loss, above 0 and at most `T`; integer or real.
    losses : array, shape (N,)
        One loss per sample.
    T : int
        Number of steps of the process. Bin b holds ``b T / bins < t <= (b + 1) T / bins``.
    bins : int from 1 to T

    Returns
    -------
    LossByTimestep

    Raises
    ------
    InputError
        If shapes do not fit, a number is not finite, or t is outside its range.
    """
    t, losses = finite("t", to_numpy(t)), finite("losses", to_numpy(losses))
    check_rank("t", t, 1)
    check_shape("losses", losses, t.shape)
    check_number("bins", bins, 1, T)
    outside = t[(t <= 0) | (t > T)]
    if outside.size:
        raise InputError(f"t has the value {outside[0]:g}, but steps above 0 and up to T = {T} were expected.")
    bin_of = np.ceil(t * bins / T).astype(np.int64) - 1
    n = np.bincount(bin_of, minlength=bins)
    mean = _ratio(np.bincount(bin_of, weights=losses, minlength=bins), n)
    squares = np.bincount(bin_of, weights=(losses - mean[bin_of]) ** 2, minlength=bins)
    standard_error = np.sqrt(_ratio(squares, n * (n - 1)))
    return LossByTimestep((np.arange(bins) + 0.5) * T / bins, mean, standard_error, n)


def _ratio(sums, counts):
    """Return ``sums / counts``, NaN where a count is not positive."""
    return np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)
