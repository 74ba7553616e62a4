"""alpha_bar as a function of time: a table, looked up at a step and interpolated between two steps.

A time is a step index, a number or an array (N,) with one per sample. Values on a GPU are not read back, so only times
on the host are checked.
"""

import math
from numbers import Real
from typing import Any, TypeAlias

import numpy as np

from tinydiff.base import Array, InputError, check_shape, shown, xp_of

Time: TypeAlias = float | Array  # a number, or an array (N,)
LARGEST_LOG = 700.0  # of a number that a float64 can be
ROUNDING = 1e-9  # of alpha_bar, by which a time may seem to lie beyond T


def falling_table(alpha_bar: Array) -> np.ndarray:
    """Return a read-only float64 copy of a table (T + 1,) that falls strictly from 1 to 0 or above.

    Raises
    ------
    InputError
        If it is not such a table.
    """
    table = np.array(alpha_bar, dtype=np.float64)
    if table.ndim != 1 or len(table) < 2:
        raise InputError(f"alpha_bar has shape {table.shape}, but (T + 1,) with T >= 1 was expected.")
    if not (table[0] == 1 and (np.diff(table) < 0).all() and table[-1] >= 0):
        raise InputError(
            f"alpha_bar runs from {table[0]} to {table[-1]}, but a table that starts with 1 and falls at "
            "every step, to 0 or above, was expected."
        )
    table.setflags(write=False)
    return table


def check_time(name: str, t: Time, T: int, first: int = 1) -> None:
    """Raise `InputError` unless t is a time up to T and above 0; with first=0 it may be 0 too."""
    if not isinstance(t, Real) and not hasattr(t, "dtype"):
        raise InputError(f"{name} is {shown(t)}, but a number or an array of step indices was expected.")
    times: Any = t
    if not isinstance(t, Real) and (times.ndim != 1 or times.dtype.kind not in "iuf"):
        raise InputError(
            f"{name} is an array of shape {tuple(times.shape)} and dtype {times.dtype}, but a number, or an array (N,) "
            "of step indices, was expected."
        )
    if is_on_host(t):
        times = np.asarray(t)
        right = ((times >= 0) if first == 0 else (times > 0)) & (times <= T)
        if not right.all():
            value = np.extract(~right, times)[0]
            raise InputError(f"{name} is {value}, but a step index from {first} to {T} was expected.")


def check_earlier(s: Time, t: Time) -> None:
    """Raise `InputError` unless s < t, for every sample."""
    times: Any = t
    if not isinstance(s, Real) and not isinstance(t, Real):
        check_shape("s", s, times.shape)
    if is_on_host(t) and is_on_host(s) and not np.all(s < t):
        raise InputError(f"s is {s} and t is {t}, but s must be the earlier time: s < t.")


def is_on_host(t: Time) -> bool:
    """Whether the values of t can be read without waiting for a GPU."""
    return isinstance(t, (Real, np.ndarray))


def look_up(table: Array, t: Array) -> Array:
    """Return alpha_bar at t, an array, from its table (T + 1,), an array of the same device (Eq. LSNR-1)."""
    if t.dtype.kind in "iu":
        return table[t]
    xp, t = xp_of(table), t.astype(np.float64)
    before = xp.minimum(xp.floor(t), len(table) - 2).astype(np.int64)
    w = t - before
    first, last = table[before], table[before + 1]
    # a weighted geometric mean of odds is linear in log-SNR, and needs no logarithm of 0
    signal = first ** (1 - w) * last**w
    noise = (1 - first) ** (1 - w) * (1 - last) ** w
    linear = (1 - w) * first + w * last
    infinite = (first == 1) | (last == 0)
    signal, noise = xp.where(infinite, linear, signal), xp.where(infinite, 1 - linear, noise)
    return signal / (signal + noise)


def time_of(table: np.ndarray, half_log_snr: float) -> float:
    """Return the time at which log(a / b) is this, by the same rule as `look_up` (Eq. LSNR-1)."""
    odds = math.exp(min(2 * half_log_snr, LARGEST_LOG))
    alpha_bar, noise = odds / (1 + odds), 1 / (1 + odds)
    if alpha_bar < table[-1] * (1 - ROUNDING):
        raise InputError(
            f"half_log_snr is {half_log_snr:.6g}, but alpha_bar would be {alpha_bar:.3g} there, less than its "
            f"{table[-1]:.3g} at T: a larger number was expected."
        )
    before = min(int(np.searchsorted(-table, -alpha_bar, side="right")) - 1, len(table) - 2)
    first, last = table[before], table[before + 1]
    if first == 1:
        share = noise / (1 - last)
    elif last == 0:
        share = (first - alpha_bar) / first
    else:
        log_snr_first, log_snr_last = math.log(first / (1 - first)), math.log(last / (1 - last))
        share = (log_snr_first - 2 * half_log_snr) / (log_snr_first - log_snr_last)
    return before + min(max(float(share), 0.0), 1.0)


def to_multiply(coefficient: Array, x: Array) -> Array:
    """Return a coefficient, one number or one per sample (N,), in the dtype of x and broadcastable to it."""
    if isinstance(coefficient, float):
        return coefficient
    xp_of(coefficient, x)
    check_shape("t", coefficient, x.shape[:1])
    return coefficient.astype(x.dtype).reshape(-1, *[1] * (x.ndim - 1))
