"""The check of arrays that are combined elementwise: one device, one floating dtype, one shape."""

from tinydiff.base import Array, check_alike, check_shape


def check_match(**arrays: Array) -> None:
    """Raise `InputError`, by the arrays' names, unless they share one device, one floating dtype and one shape."""
    check_alike(**arrays)
    shape = next(iter(arrays.values())).shape
    for name, array in arrays.items():
        check_shape(name, array, shape)
