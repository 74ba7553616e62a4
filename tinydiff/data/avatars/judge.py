"""The judge of portraits: which parts and colours a picture shows, found by rendering, not by a network.

The judge looks for the portrait whose pixels have the smallest squared distance to the picture's. It tries, slot by
slot, every part in every colour while the other slots stay as they are, and repeats this until the distance no longer
falls (coordinate descent). Hair and hat, which hide each other, are tried together. On a picture that was rendered from
parts it ends at those parts, or at others that look the same.
"""

from functools import partial
from typing import NamedTuple

import numpy as np

from tinydiff.base import InputError, check_shape, checked
from tinydiff.data.avatars.captions import Caption
from tinydiff.data.avatars.rendering import BACKGROUND, parts_of
from tinydiff.data.avatars.slots import LAYERS, SIZE, SLOTS, Portraits
from tinydiff.workers import run_parallel

ROUNDS = 6  # at most; most pictures no longer change after three
AT_ONCE = 20  # pictures computed together, so that the arrays stay in a core's cache
MARGIN = 400.0  # squared levels: two answers that differ by less, as one pixel by 20 levels, are equally good
TOGETHER = tuple((LAYERS.index(over), LAYERS.index(under)) for over, under in (("hat", "hair"), ("glasses", "eyes")))


class Verdict(NamedTuple):
    """What pictures show.

    Parameters
    ----------
    portraits : Portraits
        The nearest ones.
    distances : float64 array, shape (N,)
        Squared distance of each picture to its portrait, in levels of 0 .. 255, summed over pixels and channels.
    ambiguous : boolean array, shape (N, slots)
        Where another word for the slot's part or its colour would fit as well, to within `MARGIN`.
    """

    portraits: Portraits
    distances: np.ndarray
    ambiguous: np.ndarray


@checked()
def judge(images: np.ndarray) -> Verdict:
    """Return what pictures (N, 16, 16, 3), bytes, show.

    Raises
    ------
    InputError
        If they are no such pictures.
    """
    check_shape("images", images, (None, SIZE, SIZE, 3))
    if images.dtype != np.uint8:
        raise InputError(f"images has dtype {images.dtype}, but uint8 was expected; to_images() converts.")
    if not len(images):
        raise InputError("There is nothing to judge: images holds none.")
    verdicts = run_parallel([partial(_judge, images[i : i + AT_ONCE]) for i in range(0, len(images), AT_ONCE)])
    portraits = Portraits(*(np.concatenate(values) for values in zip(*(v.portraits for v in verdicts), strict=True)))
    return Verdict(portraits, *(np.concatenate([v[i] for v in verdicts]) for i in (1, 2)))


def _judge(images):
    n, images = len(images), images.astype(np.float32)
    portraits = Portraits(np.zeros((n, len(SLOTS)), int), np.zeros((n, len(SLOTS)), int))
    portraits.parts[:, 0] = 1  # there is always a body
    for _ in range(ROUNDS):
        before = [values.copy() for values in portraits]
        for over, under in TOGETHER:
            _try_together(over, under, images, portraits)
        for i in range(len(SLOTS)):
            _settle(i, _distances(i, images, portraits), portraits)
        if all((a == b).all() for a, b in zip(before, portraits, strict=True)):
            break
    ambiguous = np.zeros((n, len(SLOTS)), bool)
    for i in range(len(SLOTS)):
        distances = _distances(i, images, portraits)
        ambiguous[:, i] = _is_ambiguous(i, distances, portraits)
    return Verdict(portraits, distances[np.arange(n), portraits.parts[:, -1], portraits.colours[:, -1]], ambiguous)


def _distances(i, images, portraits):
    """Return how far pictures are from their portraits with each part and colour in slot i: (N, parts, colours).

    The slot is painted over what is below it, and then covered by what is above it. The result minus the picture is
    ``fixed + weight * colour``, so the squared distance is a quadratic function of the colour.
    """
    n, slot_parts = len(images), parts_of(LAYERS[i])
    below = np.full((n, SIZE, SIZE, 3), BACKGROUND, np.float32)
    for j in range(i):
        below = _painted_over(below, j, portraits)
    seen, hidden = np.ones((n, SIZE, SIZE, 1), np.float32), np.zeros((n, SIZE, SIZE, 3), np.float32)
    for j in range(i + 1, len(SLOTS)):  # what is above keeps a share `seen` of the slot, and adds `hidden`
        seen, hidden = seen * parts_of(LAYERS[j]).keep[portraits.parts[:, j]], _painted_over(hidden, j, portraits)
    pixels = SIZE * SIZE
    seen, below = seen.reshape(n, 1, pixels, 1), below.reshape(n, 1, pixels, 3)
    keep, weight, own = (a.reshape(1, len(a), pixels, -1) for a in slot_parts[:3])
    fixed = seen * (keep * below + own) + (hidden - images).reshape(n, 1, pixels, 3)
    weight = seen * weight
    square = np.einsum("npxc,npxc->np", fixed, fixed)[..., None]
    linear = np.einsum("npxc,npx->npc", fixed, weight[..., 0]) @ slot_parts.colours.T
    quadratic = np.einsum("npxo,npxo->np", weight, weight)[..., None] * (slot_parts.colours**2).sum(axis=1)
    return square + 2 * linear + quadratic


def _painted_over(picture, i, portraits):
    """Paint a slot's part over pictures."""
    part, slot_parts = portraits.parts[:, i], parts_of(LAYERS[i])
    colour = slot_parts.colours[portraits.colours[:, i]][:, None, None, :]
    return slot_parts.keep[part] * picture + slot_parts.weight[part] * colour + slot_parts.own[part]


def _settle(i, distances, portraits):
    """Put the nearest part and colour into slot i; return the squared distance."""
    if LAYERS[i] == "body":
        distances = distances.copy()
        distances[:, 0] = np.inf
    flat = distances.reshape(len(distances), -1)
    best = flat.argmin(axis=1)
    portraits.parts[:, i], portraits.colours[:, i] = np.divmod(best, distances.shape[2])
    return flat[np.arange(len(flat)), best]


def _try_together(over, under, images, portraits):
    """Try every part of slot `over` with what then fits best into slot `under`; keep the pair that comes nearest."""
    best = np.full(len(images), np.inf, np.float32)
    kept = Portraits(*(values.copy() for values in portraits))
    for part in range(len(parts_of(LAYERS[over]).keep)):
        trial = Portraits(*(values.copy() for values in portraits))
        trial.parts[:, over] = part
        for _ in range(2):  # the best colour above, then the best part and colour below; and once more
            trial.colours[:, over] = _distances(over, images, trial)[:, part].argmin(axis=1)
            distance = _settle(under, _distances(under, images, trial), trial)
        nearer = distance < best
        best = np.where(nearer, distance, best)
        for values, new in zip(kept, trial, strict=True):
            values[nearer] = new[nearer]
    for values, new in zip(portraits, kept, strict=True):
        values[:] = new


def _is_ambiguous(i, distances, portraits):
    """Return whether other words for slot i would come as near as those found, to within `MARGIN`."""
    slot_parts = parts_of(LAYERS[i])
    part_words, colour_words = np.array(slot_parts.part_words), np.array(slot_parts.colour_words)
    part, colour = portraits.parts[:, i], portraits.colours[:, i]
    other_part = (part_words != part_words[part][:, None])[:, :, None]
    other_colour = (colour_words != colour_words[colour][:, None])[:, None, :] & (part_words != "")[:, None]
    others = np.where(other_part | other_colour, distances, np.inf)
    return others.min(axis=(1, 2)) < distances[np.arange(len(part)), part, colour] + MARGIN


def words_of(portraits: Portraits, layer: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the words of a slot's part and of its colour in each portrait; both are "" where there is none."""
    i, slot_parts = LAYERS.index(layer), parts_of(layer)
    part = np.array(slot_parts.part_words)[portraits.parts[:, i]]
    colour = np.where(portraits.parts[:, i] == 0, "", np.array(slot_parts.colour_words)[portraits.colours[:, i]])
    return part, colour


@checked()
def agreement(
    verdict: Verdict, portraits: Portraits, captions: tuple[Caption, ...]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return attribute -> (asked, right), booleans (N,): whose captions name it, and whose pictures then show it.

    Attributes are the layers, "hair" and so on, and their colours, "hair colour".

    Parameters
    ----------
    verdict : Verdict
        What the pictures show.
    portraits, captions
        The portraits that they should show, and their captions; only what a caption names is checked.
    """
    found = {}
    for layer in LAYERS:
        wanted, shown = words_of(portraits, layer), words_of(verdict.portraits, layer)
        part_is_named = np.array([layer in caption.parts for caption in captions])
        colour_is_named = np.array([layer in caption.colours for caption in captions])
        for name, asked, right in (
            (layer, part_is_named, wanted[0] == shown[0]),
            (f"{layer} colour", colour_is_named, wanted[1] == shown[1]),
        ):
            if asked.any():
                found[name] = (asked, asked & right)
    return found


def skin_tone(portraits: Portraits) -> np.ndarray:
    """Return the number of each portrait's skin tone, from the lightest, 0, to the darkest."""
    return portraits.colours[:, LAYERS.index("body")]
