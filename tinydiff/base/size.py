"""The size of pictures: one number for a square, or a height and a width."""

from typing import Any

from tinydiff.base.checks import checked
from tinydiff.base.errors import InputError, check_count
from tinydiff.base.words import shown

LARGEST_SIDE = 2**16  # pixels; memory ends before that
Size = int | tuple[int, int]  # of pictures: one number for a square, or (height, width)


@checked()
def height_and_width(name: str, size: Any) -> tuple[int, int]:
    """Return height and width of a size: one whole number for both, or a pair of two.

    Raises
    ------
    InputError
        If it is anything else; `name` is what the sentence calls it.
    """
    if not isinstance(size, (tuple, list)):
        check_count(name, size, most=LARGEST_SIDE)
        return int(size), int(size)
    if len(size) != 2:
        raise InputError(f"{name} is {shown(size)}, but one whole number, or two, height and width, were expected.")
    height, width = size
    check_count(f"the height of {name}", height, most=LARGEST_SIDE)
    check_count(f"the width of {name}", width, most=LARGEST_SIDE)
    return int(height), int(width)


def check_sides(name: str, sides: tuple[int, ...], multiple: int) -> None:
    """Raise `InputError` unless height and width are multiples of a number.

    Parameters
    ----------
    name : str
        What has these sides, as the sentence calls it.
    sides : (int, int)
        Height and width.
    multiple : int
        Such as 2 ** (levels - 1), where height and width are halved between two levels.
    """
    height, width = sides
    if min(sides) > 0 and height % multiple == 0 and width % multiple == 0:
        return
    larger = [max(1, -(-side // multiple)) * multiple for side in sides]
    smaller = [max(1, side // multiple) * multiple for side in sides]
    nearest = " or ".join(dict.fromkeys(f"{h} x {w}" for h, w in (smaller, larger)))
    raise InputError(
        f"{name} is {height} x {width}, but height and width must be multiples of {multiple}: {nearest} would do."
    )
