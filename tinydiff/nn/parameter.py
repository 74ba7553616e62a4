"""A parameter: an array that is trained, and its position in the model's flat vector.

How large a network may become is decided before its arrays are made (`weights_at_most`).
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tinydiff.base import (
    Array,
    InputError,
    available_memory,
    check_count,
    check_memory,
    check_number,
    checks_arguments,
    in_gib,
)

if TYPE_CHECKING:
    from tinydiff.nn.module import Module

LARGE = 2**24  # weights from which on the memory is looked at before they are made


@checks_arguments("__init__")
class Parameter:
    """A trainable array: after packing, a named view into its model's flat vector.

    Parameters
    ----------
    value : array
    decay : bool
        Whether weight decay acts on it (on matrices and kernels, not on biases and norms).
    """

    def __init__(self, value: Array, decay: bool = True):
        if (allowance := _allowance.get()) is not None:
            allowance.take(value.shape)
        self.value = value
        self.decay = decay
        self.name = ""
        self.offset = 0
        self.owner: Module | None = None  # the module whose theta it is a view of

    @property
    def size(self) -> int:
        """Number of entries."""
        return int(self.value.size)

    def __repr__(self) -> str:
        return f"Parameter({self.name or 'unnamed'}, shape {tuple(self.value.shape)}, {self.value.dtype})"


@dataclass
class _Allowance:
    """How many weights may still be made, and the sentence for those who want more."""

    left: float
    refusal: str

    def check(self, shape):
        if math.prod(shape) > self.left:
            raise InputError(self.refusal)

    def take(self, shape):
        self.check(shape)
        self.left -= math.prod(shape)


_left_out: ContextVar[bool] = ContextVar("left_out", default=False)
_allowance: ContextVar[_Allowance | None] = ContextVar("allowance", default=None)


@contextmanager
def weights_at_most(most: float, refusal: str) -> Iterator[None]:
    """Refuse networks of more than `most` weights inside, before the array that would be too much is made.

    A configuration is a few words, and can describe a network of any size; a file of weights cannot lie about its own.
    An allowance that is already there, which somebody outside has made, counts instead.

    Parameters
    ----------
    most : int or float
    refusal : str
        The sentence of the `InputError`.
    """
    check_number("most", most, 0, math.inf)
    if _allowance.get() is not None:
        yield
        return
    token = _allowance.set(_Allowance(most, refusal))
    try:
        yield
    finally:
        _allowance.reset(token)


@contextmanager
def weights_that_fit() -> Iterator[None]:
    """Refuse networks whose weights do not fit into memory inside.

    Each is drawn in 8 bytes, and copied to 4; where they are left out, it takes up to 8 in the end.
    """
    available, of_each = available_memory(), 8 if are_left_out() else 12
    refusal = f"The network has more weights than fit into the {in_gib(available)} of memory that can be had here: "
    with weights_at_most(available / of_each, refusal + "choose fewer channels, levels or layers."):
        yield


@contextmanager
def weights_left_out() -> Iterator[None]:
    """Make networks inside without drawing their weights, which are to be read from a file: all are 0.

    A system gives memory for zeros only where they are written over. So a network that is made so takes none, and one
    that is filled takes it once.
    """
    token = _left_out.set(True)
    try:
        yield
    finally:
        _left_out.reset(token)


def are_left_out() -> bool:
    """Whether weights are left out here, see `weights_left_out`."""
    return _left_out.get()


def check_allowance(shape: tuple[int, ...]) -> None:
    """Raise `InputError` if an array of weights of this shape, which is to be made, would be too much."""
    count = math.prod(shape)
    if (allowance := _allowance.get()) is not None:
        allowance.check(shape)
    elif count > LARGE:
        check_memory(12 * count, f"An array of weights of shape {shape}", "choose fewer channels")


def alike(value: float, channels: int, dtype: Any) -> Array:
    """Return the same number for each channel, where a norm or a bias begins."""
    check_allowance((channels,))
    return np.full(channels, value, dtype)


def check_counts(**counts: int) -> None:
    """Raise `InputError` unless these are whole numbers from 1."""
    for name, count in counts.items():
        check_count(name, count)
