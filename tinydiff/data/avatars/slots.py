"""What a portrait is made of: its layers, and which parts and colours each may have."""

from typing import NamedTuple

import numpy as np

SIZE = 16


class Slot(NamedTuple):
    """One slot of a portrait, such as the hat: which parts it may hold, and the words for them and their colours.

    Parameters
    ----------
    layer : str
        The slot's name, and that of its parts in the file.
    colours : dict
        Word -> colours that look alike, as hexadecimal numbers; what stands under "" is never named.
    words : dict
        Word -> parts that it describes; what stands under "" is never named.
    share : float
        The probability that the slot is filled.
    """

    layer: str
    colours: dict[str, tuple[str, ...]]
    words: dict[str, tuple[str, ...]]
    share: float = 1.0


def _numbered(prefix: str, *numbers: int) -> tuple[str, ...]:
    return tuple(f"{prefix}{number:02}" for number in numbers)


SKIN = ("ffdbac", "f5cfa0", "eac393", "e0b687", "cb9e6e", "b68655", "a26d3d", "8d5524")
HAIR = {
    "blond": ("cab188", "a78961"),
    "brown": ("83623b", "603a14", "603015", "611c17", "612616"),
    "black": ("28150a",),
    "red": ("bd1700",),
    "green": ("91cb15",),
    "blue": ("009bbd",),
}
# From the back to the front. Each part stands under a word that its pixels show; the others of the set are left out.
SLOTS = (
    Slot("body", {"": SKIN}, {"": ("body",)}),
    Slot(
        "accessories",
        {"gold": ("daa520", "ffd700"), "silver": ("d3d3d3", "a9a9a9")},
        {"earrings": _numbered("variant", 1, 2, 3)},
        share=0.5,
    ),
    Slot(
        "clothing",
        {
            "blue": ("5bc0de", "428bca"),
            "dark blue": ("03396c",),
            "green": ("44c585", "00b159"),
            "pink": ("ff6f69",),
            "red": ("d11141", "ae0001"),
            "cream": ("ffeead",),
            "yellow": ("ffd969", "ffc425"),
        },
        {
            "shirt": _numbered("variant", 1, 3, 4, 5, 8, 11, 14, 16, 17, 23),
            "checkered shirt": _numbered("variant", 6),
            "striped shirt": _numbered("variant", 13),
            "turtleneck": _numbered("variant", 12),
            "dungarees": _numbered("variant", 10, 19),
        },
    ),
    Slot(
        "eyes",
        {"": ("76778b", "697b94", "647b90", "5b7c8b", "588387", "876658")},
        {"": _numbered("variant", *range(1, 13))},
    ),
    Slot(
        "glasses",
        {"": ("4b4b4b", "323232", "191919")},
        {
            "round glasses": _numbered("light", 7),
            "glasses": _numbered("light", 1, 2, 3, 5, 6),
            "sunglasses": _numbered("dark", 2, 3, 5, 6, 7),
        },
        share=0.45,
    ),
    Slot(
        "beard",
        {"": tuple(colour for colours in HAIR.values() for colour in colours)},  # always the hair's colour: not named
        {"beard": _numbered("variant", 1, 3, 5, 6, 7, 8), "goatee": _numbered("variant", 2)},
        share=0.3,
    ),
    Slot(
        "mouth",
        {"": ("d29985", "c98276", "e35d6a", "de0f0d")},
        {"": (*_numbered("happy", *range(1, 14)), *_numbered("sad", *range(1, 11)))},
    ),
    Slot(
        "hair",
        HAIR,
        {
            "long": _numbered("long", 1, 2, 3, 7, 8, 9, 12, 13, 20),
            "chin-length": _numbered("long", 4, 16, 17, 21),
            "braided": _numbered("long", 6, 18, 19),
            "curly": ("long15", *_numbered("short", 11, 13)),
            "short": (*_numbered("long", 11, 14), *_numbered("short", 1, 2, 4, 6, 8, 9, 10, 14, 15, 16, 17, 19, 22)),
        },
    ),
    Slot(
        "hat",
        {
            "black": ("2e1e05",),
            "blue": ("2663a3",),
            "grey": ("989789",),
            "green": ("3d8a6b",),
            "pink": ("cc6192",),
            "purple": ("614f8a",),
            "red": ("a62116",),
        },
        {
            "cap": _numbered("variant", 2, 7),
            "hat": _numbered("variant", 6, 10),
            "striped cap": _numbered("variant", 3, 4),
            "beanie": _numbered("variant", 1, 5, 8, 9),
        },
        share=0.35,
    ),
)
LAYERS = tuple(slot.layer for slot in SLOTS)


class Portraits(NamedTuple):
    """Portraits as numbers: for each slot of `SLOTS`, which part (0: none) and which colour of `parts_of(slot)`."""

    parts: np.ndarray  # (N, slots)
    colours: np.ndarray  # (N, slots)
