"""What arrays that are added and multiplied number by number must have in common."""

from typing import Any

from tinydiff.base import check_shape, xp_of


def check_match(**arrays: Any) -> None:
    """Raise `InputError`, by the arrays' names, unless they share one device, one floating dtype and one shape."""
    xp_of(**arrays)
    shape = next(iter(arrays.values())).shape
    for name, array in arrays.items():
        check_shape(name, array, shape)
