"""Sizes of pictures: one number or two, and what networks with several levels ask for."""

import numpy as np
import pytest

from tinydiff.base import InputError, check_sides, height_and_width


@pytest.mark.parametrize(
    ("size", "expected"), [(8, (8, 8)), ((8, 12), (8, 12)), ([8, 12], (8, 12)), (np.int64(3), (3, 3))]
)
def test_one_number_is_a_square_and_two_are_height_and_width(size, expected):
    assert height_and_width("size", size) == expected


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (0, "size is 0, but a whole number of at least 1"),
        (2.5, r"size is 2\.5, but a whole number"),
        (True, "size is True, but a whole number"),
        ("8x12", "size is '8x12', but a whole number"),
        ((8, 0), "the width of size is 0, but a whole number"),
        ([8.0, 12], r"the height of size is 8\.0, but a whole number"),
        ((8,), r"size is \(8,\), but one whole number, or two, height and width"),
        ((8, 12, 3), r"size is \(8, 12, 3\), but one whole number, or two"),
    ],
)
def test_anything_else_is_one_clear_sentence(size, message):
    with pytest.raises(InputError, match=message):
        height_and_width("size", size)


@pytest.mark.parametrize(
    ("sides", "multiple", "nearest"),
    [
        ((30, 32), 4, "28 x 32 or 32 x 32 would do"),
        ((30, 45), 8, "24 x 40 or 32 x 48 would do"),
        ((2, 8), 4, "4 x 8 would do"),
        ((0, 5), 1, "1 x 5 would do"),
    ],
)
def test_sides_that_cannot_be_halved_are_refused_with_the_nearest_that_can(sides, multiple, nearest):
    for size in nearest.removesuffix(" would do").split(" or "):
        check_sides("x_t", tuple(map(int, size.split(" x "))), multiple)
    with pytest.raises(InputError) as caught:
        check_sides("x_t", sides, multiple)
    assert str(caught.value) == (
        f"x_t is {sides[0]} x {sides[1]}, but height and width must be multiples of {multiple}: {nearest}."
    )
