"""Rendering portraits: from parts and colours to pixels, where each part is an affine map of the picture below it."""

import functools
import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tinydiff.base import DataError, checked
from tinydiff.data.avatars.slots import LAYERS, SIZE, SLOTS, Portraits

PARTS_FILE = Path(__file__).parent / "parts.json"
BACKGROUND = 255  # white
VISIBLE_PIXELS, VISIBLE_LEVELS = 6, 32  # a part is visible if removing it changes that many pixels by that many levels


class SlotParts(NamedTuple):
    """The parts of a slot, each as an affine map of what is below it: ``keep * picture + weight * colour + own``.

    Part 0 stands for no part, and changes nothing.
    """

    keep: np.ndarray  # (parts, 16, 16, 1)
    weight: np.ndarray  # (parts, 16, 16, 1)
    own: np.ndarray  # (parts, 16, 16, 3)
    colours: np.ndarray  # (colours, 3), 0 .. 255
    part_words: tuple[str, ...]
    colour_words: tuple[str, ...]


def fill(path: str, rule: str) -> np.ndarray:
    """Return which pixels a path surrounds, (16, 16) booleans.

    The path is SVG's, with whole numbers and only the commands M, H, V and Z. An edge that goes down adds 1 to
    the winding number of every pixel to its right, one that goes up subtracts 1. Inside are pixels whose winding number
    is odd (rule "evenodd") or not 0 ("nonzero").
    """
    winding = np.zeros((SIZE, SIZE), int)
    x = y = first_x = first_y = 0
    for command, text in re.findall(r"([MmHhVvZz])([^MmHhVvZz]*)", path):
        numbers = [int(number) for number in re.findall(r"-?\d+", text)]
        start_x, start_y = (x, y) if command.islower() else (0, 0)
        match command.upper():
            case "M":
                first_x, first_y = x, y = start_x + numbers[0], start_y + numbers[1]
            case "H":
                x = start_x + numbers[0]
            case letter:  # V, or Z, which goes back to the first point
                end = first_y if letter == "Z" else start_y + numbers[0]
                winding[min(y, end) : max(y, end), x:] += 1 if y < end else -1
                y = end
                x = first_x if letter == "Z" else x
    return winding % 2 == 1 if rule == "evenodd" else winding != 0


def rgb(colour: str) -> tuple[int, int, int]:
    """Return (red, green, blue), 0 .. 255, of "fff", "#fff" or "ffffff"."""
    digits = colour.removeprefix("#")
    digits = digits if len(digits) == 6 else "".join(2 * digit for digit in digits)
    return int(digits[0:2], 16), int(digits[2:4], 16), int(digits[4:6], 16)


@functools.cache
def parts_of(layer: str) -> SlotParts:
    """Return the parts and colours of a slot."""
    slot = SLOTS[LAYERS.index(layer)]
    names = [("", "")] + [(word, name) for word, names in slot.words.items() for name in names]
    colours = [(word, rgb(colour)) for word, colours in slot.colours.items() for colour in colours]
    shapes = _file()[layer]
    painted = [_overlaid(shapes[name] if name else []) for _, name in names]
    keep, weight, own = (np.stack(arrays).astype(np.float32) for arrays in zip(*painted, strict=True))
    return SlotParts(
        keep,
        weight,
        own,
        np.array([value for _, value in colours], np.float32),
        tuple(word for word, _ in names),
        tuple(word for word, _ in colours),
    )


def _overlaid(shapes):
    """Return (keep, weight, own) for shapes that are painted one over the other."""
    keep, weight, own = np.ones((SIZE, SIZE, 1)), np.zeros((SIZE, SIZE, 1)), np.zeros((SIZE, SIZE, 3))
    for path, rule, colour, opacity in shapes:
        covered = opacity * fill(path, rule)[..., None]
        keep, weight, own = (1 - covered) * keep, (1 - covered) * weight, (1 - covered) * own
        if colour.startswith("#"):
            own += covered * rgb(colour)
        else:
            weight += covered
    return keep, weight, own


@functools.cache
def _file() -> dict[str, dict[str, Any]]:
    try:
        return json.loads(PARTS_FILE.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{PARTS_FILE} is damaged ({error}). Install tinydiff again.") from error


@checked()
def render(portraits: Portraits) -> np.ndarray:
    """Return the pictures, uint8, shape (N, 16, 16, 3)."""
    return np.rint(_pictures(portraits)).astype(np.uint8)


def _pictures(portraits):
    picture = np.full((len(portraits.parts), SIZE, SIZE, 3), BACKGROUND, np.float32)
    for layer, part, colour in zip(LAYERS, portraits.parts.T, portraits.colours.T, strict=True):
        slot_parts = parts_of(layer)
        colours = slot_parts.colours[colour][:, None, None, :]
        picture = slot_parts.keep[part] * picture + slot_parts.weight[part] * colours + slot_parts.own[part]
    return picture


def visible(portraits: Portraits) -> np.ndarray:
    """Return which slots a caption may name, booleans (N, slots): removing the part changes the picture enough."""
    seen = np.zeros(portraits.parts.shape, bool)
    for i, slot in enumerate(SLOTS):
        if "" in slot.words:
            continue
        rows = np.flatnonzero(portraits.parts[:, i])
        whole = Portraits(portraits.parts[rows], portraits.colours[rows])
        without = whole._replace(parts=whole.parts * (np.arange(len(SLOTS)) != i))
        change = abs(_pictures(without) - _pictures(whole)).max(axis=-1)
        seen[rows, i] = (change >= VISIBLE_LEVELS).sum(axis=(1, 2)) >= VISIBLE_PIXELS
    return seen
