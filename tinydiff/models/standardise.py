"""What numbers are standardised by: a mean and a standard deviation for each channel, kept as float32 has them."""

import math
from typing import Any

import numpy as np

from tinydiff.base import Array, InputError, counted, shown, xp_of


def keep_mean_and_std(model: Any, channels: int, of: str) -> None:
    """Check a frozen model's `mean` and `std`, and keep them as tuples; None becomes 0 and 1 for each channel.

    Parameters
    ----------
    model : LatentAutoencoder or Prior
    channels : int
    of : str
        What has these channels, for errors: ``"latents"``.

    Raises
    ------
    InputError
        If there is not a finite number for each channel, or if a standard deviation is not positive.
    """
    for name, default in (("mean", 0.0), ("std", 1.0)):
        given = getattr(model, name)
        numbers = [default] * channels if given is None else _numbers(name, given, channels, of)
        object.__setattr__(model, name, tuple(float(np.float32(number)) for number in numbers))
    if min(model.std) <= 0:
        raise InputError(
            f"std holds {min(model.std):.4g} for channel {model.std.index(min(model.std))}, but positive numbers were "
            f"expected: a channel of the {of} that never changes tells nothing."
        )


def mean_and_std(model: Any, like: Array) -> tuple[Array, Array]:
    """Return a model's `mean` and `std` as arrays of the device and dtype of another array."""
    xp = xp_of(like)
    return xp.asarray(model.mean, like.dtype), xp.asarray(model.std, like.dtype)


def _numbers(name, given, channels, of):
    """Return a finite number for each channel."""
    try:
        numbers = [float(number) for number in given]
    except (TypeError, ValueError):
        raise InputError(f"{name} is {shown(given)}, but {counted(channels, 'number')} were expected.") from None
    if len(numbers) != channels:
        raise InputError(
            f"{name} holds {counted(len(numbers), 'number')}, but the {of} have {counted(channels, 'channel')}: one "
            "for each was expected."
        )
    if not all(math.isfinite(number) and abs(number) < np.finfo(np.float32).max for number in numbers):
        raise InputError(f"{name} is {shown(given)}, but finite numbers were expected.")
    return numbers
