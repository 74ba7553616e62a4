"""The errors that tinydiff raises on purpose.

Each message is a sentence for a person: what was wrong, its value, what was expected and what to do.
The command line prints only this message, without a traceback; a bad argument exits with status 2.
"""

import numbers
import sys

from tinydiff.base.words import shown

LARGEST_COUNT = 2**63 - 1  # what an array of whole numbers can hold
LARGEST_NUMBER = sys.float_info.max  # Python has larger whole numbers, with which nothing can be calculated


class TinydiffError(Exception):
    """Base of every error that tinydiff raises on purpose."""


class InputError(TinydiffError, ValueError):
    """An argument has a wrong value, shape, type or name (command line: exit status 2)."""


class DeviceError(TinydiffError, RuntimeError):
    """The requested device, or the package that drives it, is missing or broken."""


class DataError(TinydiffError, OSError):
    """A data set is missing, truncated, or does not match its checksum."""


class CheckpointError(TinydiffError, OSError):
    """A checkpoint or weights file cannot be read, written, or does not fit the model."""


class TrainingError(TinydiffError, ArithmeticError):
    """Training produced NaN or infinity; the message names the step and the parameter."""


def check_rank(name, x, *ranks):
    """Raise `InputError` unless the array `x` has one of the given numbers of axes."""
    if _axes(name, x) not in ranks:
        expected = " or ".join(str(rank) for rank in ranks)
        raise InputError(f"{name} has {x.ndim} axes (shape {tuple(x.shape)}), but {expected} were expected.")


def check_shape(name, x, expected):
    """Raise `InputError` unless `x.shape` equals `expected`; ``None`` in `expected` allows any size."""
    if getattr(x, "shape", None) == expected:
        return
    fits = _axes(name, x) == len(expected) and all(e in (None, n) for n, e in zip(x.shape, expected, strict=True))
    if not fits:
        wanted = ", ".join("any" if e is None else str(e) for e in expected)
        raise InputError(f"{name} has shape {tuple(x.shape)}, but ({wanted}) was expected.")


def _axes(name, x):
    """Return the number of axes of an array; raise `InputError` for what is no array."""
    try:
        return x.ndim
    except AttributeError:
        raise InputError(f"{name} is of type {type(x).__name__}, but an array was expected.") from None


def check_divisible(name, value, by_name, by):
    """Raise `InputError` unless `value` is a positive multiple of `by`."""
    whole = isinstance(value, numbers.Integral) and isinstance(by, numbers.Integral)
    if not whole or by < 1 or value < 1 or value % by:
        raise InputError(f"{name} = {_shown(value)} cannot be divided into {by_name} = {_shown(by)} equal parts.")


def check_choice(name, value, choices):
    """Raise `InputError` unless `value` is one of `choices`."""
    if not any(isinstance(value, type(choice)) and value == choice for choice in choices):
        listed = ", ".join(repr(choice) for choice in choices)
        raise InputError(f"{name} is {shown(value)}, but one of {listed} was expected.")


def check_images(name, images):
    """Raise `InputError` unless the images (N, H, W, C) hold numbers from -1 to 1, and at least one."""
    check_rank(name, images, 4)
    if not images.size:
        raise InputError(f"{name} is empty: its shape is {tuple(images.shape)}.")
    low, high = float(images.min()), float(images.max())
    if not -1 <= low <= high <= 1:
        raise InputError(
            f"{name} runs from {low:.4g} to {high:.4g}, but numbers from -1 (black) to 1 (white) were expected; "
            "tinydiff.data.to_floats converts bytes to them."
        )


def check_count(name, value, least=1, most=LARGEST_COUNT):
    """Raise `InputError` unless `value` is a whole number, ``least <= value <= most``."""
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if whole and value > most:
        raise InputError(f"{name} is {shown(value)}, but a whole number from {least} to {most} was expected.")
    if not (whole and value >= least):
        raise InputError(f"{name} is {shown(value)}, but a whole number of at least {least} was expected.")


def check_number(name, value, low, high=None):
    """Raise `InputError` unless `value` is a real number, ``low <= value <= high``; without high any finite one.

    NaN is refused.
    """
    if not (is_real(value) and low <= value <= (LARGEST_NUMBER if high is None else high)):
        expected = f"a number of at least {low}" if high is None else f"a number from {low} to {high}"
        raise InputError(f"{name} is {_shown(value)}, but {expected} was expected.")


def check_positive(name, value):
    """Raise `InputError` unless `value` is a positive number, and finite."""
    # a float32 of NumPy cannot be compared with the largest float64, a number of Python can
    number = value.item() if is_real(value) and hasattr(value, "item") else value
    if not (is_real(value) and 0 < number <= LARGEST_NUMBER):
        raise InputError(f"{name} is {_shown(value)}, but a positive number was expected.")


def is_real(value):
    """Whether `value` is a real number of Python or NumPy; arrays, texts and booleans are not."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _shown(value):
    return shown(value) if not is_real(value) or isinstance(value, int) else value
