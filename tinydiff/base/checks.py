"""Checks of several arrays together, and the decorators that keep checks of values out of the mathematics.

A pair's first line, `check_shapes`, says which shapes fit together. What else must hold (an array where one is
annotated, one library, one floating dtype, a stride of 1 or 2) is checked by `checked`, at the public name, so that a
function's body is its formula. `checks_arguments` does the same for the methods of a class.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, Protocol, TypeVar

import numpy as np

from tinydiff.base.arguments import kinds_of, taken
from tinydiff.base.arrays import Array, check_numbers, module_of
from tinydiff.base.errors import InputError

P = ParamSpec("P")
R = TypeVar("R")
C = TypeVar("C", bound=type)
TOO_LARGE = ("array is too big", "Maximum allowed", "negative dimensions")  # how NumPy refuses what no memory can hold
SINGLE, DOUBLE = np.dtype(np.float32), np.dtype(np.float64)


class Checked(Protocol[P, R]):
    """A function behind checks of its arguments' values; `bare` is the function itself."""

    __name__: str
    bare: Callable[P, R]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Check the values, then call the function."""
        ...


def checked(floats: str = "", check: Callable[..., None] | None = None) -> Callable[[Callable[P, R]], Checked[P, R]]:
    """Return a decorator that checks the values of a function's arguments before each call.

    Each must be what its annotation says (see `tinydiff.base.arguments`): arrays plain ones of numbers, numbers real
    ones; a number of NumPy arrives as a Python number.

    Callers that have checked the values already, as layers have, call ``f.bare``, the function without its checks.

    Parameters
    ----------
    floats : str
        Names of the arguments that must be alike (`check_alike`), such as ``"x w b"``; ``"cache.x"`` is the field x of
        the argument cache.
    check : callable or None
        A further check, which raises `InputError`. Its parameters have the names of those arguments that it reads.

    Examples
    --------
    >>> from tinydiff.base.errors import check_positive
    >>> @checked("x", lambda rate: check_positive("rate", rate))
    ... def scale(x, rate=1.0):
    ...     return rate * x
    >>> scale([1.0])
    Traceback (most recent call last):
        ...
    tinydiff.base.errors.InputError: x is of type list, but a NumPy or CuPy array was expected.
    """
    return functools.partial(_add_checks, floats.split(), check)


def checks_arguments(*methods: str) -> Callable[[C], C]:
    """Return a decorator that puts the checks of `checked` before these methods of a class, by default all public ones.

    Examples
    --------
    >>> @checks_arguments()
    ... class Scale:
    ...     def __init__(self, rate: float):
    ...         self.rate = rate
    >>> Scale("fast")
    Traceback (most recent call last):
        ...
    tinydiff.base.errors.InputError: rate is 'fast', but a number was expected.
    """

    def decorate(kind):
        for name, f in list(vars(kind).items()):
            wanted = name in methods if methods else name == "__init__" or not name.startswith("_")
            if wanted and inspect.isfunction(f):
                setattr(kind, name, _add_checks([], None, f))
            elif wanted and isinstance(f, (classmethod, staticmethod)):
                setattr(kind, name, type(f)(_add_checks([], None, f.__func__)))
        return kind

    return decorate


def _add_checks(floats, check, f):
    signature, kinds = inspect.signature(f), kinds_of(f)
    called = f.__qualname__.removesuffix(".__init__").rpartition(".")[2]
    reads = [] if check is None else list(inspect.signature(check).parameters)
    optional = {name for name, p in signature.parameters.items() if p.default is None}  # None stands for a default

    @functools.wraps(f)
    def with_checks(*args, **kwargs):
        try:
            given = signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{called}: {error}.") from None
        for name, value in given.arguments.items():
            if name in kinds and not (value is None and name in optional):
                given.arguments[name] = taken(name, value, kinds[name])
        args, kwargs = given.args, given.kwargs
        if floats or check is not None:
            given.apply_defaults()
            check_alike(**dict(_named(given.arguments, path) for path in floats))
        if check is not None:
            check(**{name: given.arguments[name] for name in reads})
        try:
            return f(*args, **kwargs)
        except (MemoryError, OverflowError, ValueError) as refusal:
            if isinstance(refusal, ValueError) and not str(refusal).startswith(TOO_LARGE):
                raise
            reason = str(refusal) or "there is not enough memory"
            raise InputError(f"{called}: its arguments ask for too much ({reason}).") from refusal

    vars(with_checks)["bare"] = f
    return with_checks


def _named(arguments, path):
    """Return (name, array) for ``"x"`` or ``"cache.x"``; for a plain tuple, which has no named fields, None."""
    name, _, field = path.partition(".")
    return (field, getattr(arguments[name], field, None)) if field else (name, arguments[name])


def bare(f: Callable[P, R]) -> Callable[P, R]:
    """Return a function without the checks that `checked` added; a function that has none is returned unchanged."""
    return getattr(f, "bare", f)


def check_alike(**arrays: Array) -> None:
    """Raise `InputError` unless all arrays belong to one library and share one floating dtype.

    None is skipped, but for the first array.

    Examples
    --------
    >>> import numpy as np
    >>> check_alike(x=np.ones(2), w=np.ones(2, np.float32))
    Traceback (most recent call last):
        ...
    tinydiff.base.errors.InputError: Arrays of different dtypes meet: x is float64, w is float32. Convert them to one \
with .astype().
    """
    if _share_a_float(arrays):
        return  # the usual case, in every layer and every step
    module_of(arrays, some=True)
    dtypes = {name: a.dtype for name, a in arrays.items() if a is not None}
    if len(set(dtypes.values())) > 1:
        listed = ", ".join(f"{name} is {dtype}" for name, dtype in dtypes.items())
        raise InputError(f"Arrays of different dtypes meet: {listed}. Convert them to one with .astype().")
    for name, dtype in dtypes.items():
        if dtype.kind != "f":
            raise InputError(f"{name} has dtype {dtype}, but a floating dtype such as float32 was expected.")
        check_numbers(name, arrays[name])


def _share_a_float(arrays):
    """Whether the first is a NumPy array of float32 or float64, and all others are like it, or None."""
    dtype = None
    for a in arrays.values():
        if type(a) is not np.ndarray:
            if a is None and dtype is not None:
                continue
            return False
        if a.dtype is not dtype:
            if dtype is not None or (a.dtype is not SINGLE and a.dtype is not DOUBLE):
                return False
            dtype = a.dtype
    return True


def check_shapes(layouts: str, **arrays: Array) -> None:
    """Raise `InputError` unless the arrays' shapes fit together.

    Parameters
    ----------
    layouts : str
        What each array's axes are, such as ``"x: N ... c_in, w: c_in c_out"``. An axis is a name, which stands for
        the same size everywhere, or a number; ``...`` stands for any number of axes, the same everywhere. No axis may
        have size 0.
    **arrays : arrays or None
        None is skipped.

    Examples
    --------
    >>> import numpy as np
    >>> check_shapes("x: ... c_in, w: c_in c_out", x=np.ones((5, 2)), w=np.ones((3, 4)))
    Traceback (most recent call last):
        ...
    tinydiff.base.errors.InputError: x has shape (5, 2) and w has shape (3, 4): c_in is 2 in x (..., c_in), but 3 in \
w (c_in, c_out).
    """
    mistake = _mistake(layouts, tuple(arrays), tuple([None if a is None else a.shape for a in arrays.values()]))
    if mistake:
        raise InputError(mistake)


@functools.lru_cache(maxsize=4096)
def _mistake(layouts, names, shapes):
    """Return a sentence on the first shape that does not fit, or ""; cached, since every step has the same shapes."""
    axes_of = {name.strip(): axes.split() for name, _, axes in (part.partition(":") for part in layouts.split(","))}
    shape_of = dict(zip(names, shapes, strict=True))
    size_of: dict[str, Any] = {}
    owner_of: dict[str, str] = {}  # the first array that has this axis
    for name, axes in axes_of.items():
        shape = shape_of[name]
        if shape is None:
            continue
        sizes = _sizes(axes, shape)
        if sizes is None:
            count = f"{len(shape)} axis" if len(shape) == 1 else f"{len(shape)} axes"
            return f"{name} has {count} (shape {shape}), but {_layout(axes)} was expected."
        if 0 in shape:
            return f"{name} has shape {shape}, but no axis of {_layout(axes)} may have size 0."
        for axis, size in zip(axes, sizes, strict=True):
            if axis.isdecimal() and size != int(axis):
                return f"{name} has shape {shape}, but {_layout(axes)} was expected."
            first = owner_of.setdefault(axis, name)
            if size_of.setdefault(axis, size) == size:
                continue
            if first == name:
                return f"{name} has shape {shape}, but {_layout(axes)} was expected, with one size for {axis}."
            called = "what ... stands for" if axis == "..." else axis
            return (
                f"{first} has shape {shape_of[first]} and {name} has shape {shape}: {called} is {size_of[axis]} in "
                f"{first} {_layout(axes_of[first])}, but {size} in {name} {_layout(axes)}."
            )
    return ""


def _sizes(axes, shape):
    """Return the size of each axis, for ``...`` a tuple of sizes; None where their number does not fit."""
    if "..." not in axes:
        return shape if len(shape) == len(axes) else None
    start = axes.index("...")
    stop = len(shape) - (len(axes) - start - 1)
    return None if stop < start else (*shape[:start], shape[start:stop], *shape[stop:])


def _layout(axes):
    return f"({', '.join(axes)}{',' if len(axes) == 1 else ''})"
