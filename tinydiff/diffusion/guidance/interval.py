"""Intervals: guidance at some times only."""

from collections.abc import Iterable

from tinydiff.base import InputError, is_real, shown, xp_of
from tinydiff.diffusion.alpha_bar import is_on_host


def check_interval(interval: tuple[float, float] | None) -> None:
    """Raise `InputError` unless the interval is None or two times from 0, the lower one first."""
    if interval is None:
        return
    times = tuple(interval) if isinstance(interval, Iterable) else ()
    if not (len(times) == 2 and all(is_real(t) for t in times) and 0 <= times[0] < times[1]):
        raise InputError(f"interval is {shown(interval)}, but two times, the lower one first, were expected.")


def scale_at(t, scale, interval, x):
    """Return the scale for each sample, broadcastable to x: 1 outside the interval."""
    xp = xp_of(x)
    s = xp.full(len(x), scale, x.dtype)
    if interval is not None:
        s = xp.where(within(t, interval), s, 1).astype(x.dtype)
    return s.reshape(-1, *[1] * (x.ndim - 1))


def within(t, interval):
    """Return for each time whether it lies in the interval: low < t <= high."""
    low, high = interval
    return (low < t) & (t <= high)


def is_never_within(t, interval):
    """Whether all times are known to lie outside the interval; False on a GPU, since reading them would wait for it."""
    return interval is not None and is_on_host(t) and not within(t, interval).any()
