"""How probable is a portrait? Exactly, by all descriptions that draw it; and so the entropy of the portraits.

A description says which part and which colour each slot has. Many draw one picture: a hat hides hair, sunglasses hide
eyes, a colour has no use where there is no part. So the probability of a picture is a sum over its descriptions. They
are found from the front to the back: a part that is painted in front decides some pixels, and what contradicts the
picture goes no further; descriptions that leave the same pixels to what lies behind go on as one.

There are about 4e14 pictures, too many to be listed; their entropy is about 40 bits.

No code that is decoded without loss needs fewer bits on average than the entropy of these probabilities. So for a model
of portraits, the mean of -log2 P has a floor that is known.
"""

from functools import cache, partial
from typing import NamedTuple

import numpy as np

from tinydiff.base import InputError, check_count, check_shape, checked
from tinydiff.data.avatars.compose import HELD_OUT, compose
from tinydiff.data.avatars.rendering import BACKGROUND, parts_of, render
from tinydiff.data.avatars.slots import LAYERS, SIZE, SLOTS
from tinydiff.workers import run_parallel

MOST = 1_000_000  # portraits, of which the entropy is estimated
AT_ONCE = 50  # pictures for one worker
ROUNDING = 0.51  # levels: by how much a pixel of bytes may differ from one that was not rounded


class Entropy(NamedTuple):
    """An estimate of the entropy of portraits, in bits for a picture, by a mean over n of them.

    `low` and `high` are its 95 % interval. The probability of each picture is exact, so only the mean is uncertain.
    """

    bits: float
    low: float
    high: float
    n: int


@checked()
def log2_probability(images: np.ndarray) -> np.ndarray:
    """Return log2 of the probability that `compose` and `render` draw these pictures, (N,), float64 (Eq. AVATARS-1).

    The splits ``"train"`` and ``"test"`` are drawn so: all slots independently, and anew where a combination is held
    out. It is -inf for pictures that they never draw, such as one that a model has not drawn to the last level.

    Parameters
    ----------
    images : uint8 array, shape (N, 16, 16, 3)

    Raises
    ------
    InputError
        If they are no such pictures.
    """
    probabilities, _ = _found(images)
    with np.errstate(divide="ignore"):
        return np.log2(probabilities / share_kept())


@checked()
def descriptions_of(images: np.ndarray) -> np.ndarray:
    """Return how many descriptions that are not held out draw these pictures, (N,); a colour without a part is none."""
    return _found(images)[1]


@checked()
def portrait_entropy(n: int = 400, seed: int = 0) -> Entropy:
    """Return the entropy of portraits in bits, the mean of -log2 P over n of the split ``"test"`` (Eq. AVATARS-1).

    Parameters
    ----------
    n : int
        2 or more; the standard deviation of -log2 P is about 4 bits.
    seed : int
    """
    check_count("n", n, least=2, most=MOST)
    bits = -log2_probability(render(compose(n, seed, "test")))
    error = 1.96 * float(bits.std(ddof=1)) / n**0.5
    mean = float(bits.mean())
    return Entropy(mean, mean - error, mean + error, int(n))


@cache
def share_kept() -> float:
    """Return the probability that a portrait of independent slots has no combination that is held out."""
    words = {layer: _words(layer) for layer in ("hair", "clothing", "glasses", "hat")}
    kept = 0.0
    for hair, p in words["hair"].items():
        rest = 1.0
        for layer in ("clothing", "glasses", "hat"):
            rest *= sum(q for other, q in words[layer].items() if not _is_held_out("hair", hair, layer, other))
        kept += p * rest
    return kept


def _words(layer):
    """Return (word of the part, word of the colour) -> probability; both are "" where there is no part."""
    found: dict[tuple[str, str], float] = {}
    slot_parts = parts_of(layer)
    for option in _options(layer):
        part = slot_parts.part_words[option.part]
        key = (part, slot_parts.colour_words[option.colour] if option.part else "")
        found[key] = found.get(key, 0.0) + option.probability
    return found


def _is_held_out(layer, words, other_layer, other_words):
    """Return whether a combination of `HELD_OUT` has a word of one slot and a word of the other."""
    return any(
        (layer, other_layer) == (a, b) and word in words and other in other_words for (a, word), (b, other) in HELD_OUT
    )


class Option(NamedTuple):
    """One way to fill a slot."""

    part: int
    colour: int
    probability: float


@cache
def _options(layer):
    """Return the ways to fill a slot, all parts in all colours; without a part, or without colour, there is one way."""
    slot, slot_parts = SLOTS[LAYERS.index(layer)], parts_of(layer)
    of_part = _chances(slot.words)
    of_colour = [1.0] if layer == "beard" else _chances(slot.colours)  # a beard has the colour of the hair
    options = [] if slot.share == 1 else [Option(0, 0, 1 - slot.share)]
    for part, chance in enumerate(of_part, 1):
        if not slot_parts.weight[part].any():
            options.append(Option(part, 0, slot.share * chance))
            continue
        options += [Option(part, colour, slot.share * chance * c) for colour, c in enumerate(of_colour)]
    return options


def _chances(words):
    """Return the probability of each value: each word is equally likely, and then each of its values."""
    return [1 / len(words) / len(values) for values in words.values() for _ in values]


def _found(images):
    """Return the probability of each picture before any is drawn anew, and how many descriptions it has."""
    check_shape("images", images, (None, SIZE, SIZE, 3))
    if images.dtype != np.uint8:
        raise InputError(f"images has dtype {images.dtype}, but uint8 was expected; to_images() converts.")
    if not len(images):
        raise InputError("There is nothing to look up: images holds none.")
    parts = [images[i : i + AT_ONCE] for i in range(0, len(images), AT_ONCE)]
    found = run_parallel([partial(_of_pictures, part) for part in parts])
    probability, count = (np.array([pair[i] for pairs in found for pair in pairs], float) for i in (0, 1))
    return probability, count.astype(np.int64)


def _of_pictures(images):
    return [_of_picture(image) for image in images.reshape(len(images), -1, 3).astype(np.float32)]


class State(NamedTuple):
    """Descriptions of the slots in front that leave the same to those behind, and have the same hair."""

    seen: np.ndarray  # (pixels, 1), the share of what is behind that is seen
    painted: np.ndarray  # (pixels, 3), what is added to it
    hair: tuple[int, int]  # part and colour; (0, 0) before it is known
    hat: int  # until hair is known
    probability: float
    number: int  # of descriptions


def _of_picture(image):
    """Return the probability of all descriptions of a picture (pixels, 3), and how many they are."""
    pixels = len(image)
    states = [State(np.ones((pixels, 1), np.float32), np.zeros((pixels, 3), np.float32), (0, 0), 0, 1.0, 1)]
    for layer in reversed(LAYERS):
        merged: dict[bytes, State] = {}
        for state in states:
            for new in _filled(state, layer, image):
                key = new.seen.tobytes() + np.rint(new.painted * 64).tobytes() + bytes([*new.hair, new.hat])
                if key in merged:
                    old = merged[key]
                    new = old._replace(probability=old.probability + new.probability, number=old.number + new.number)
                merged[key] = new
        states = list(merged.values())
    final = [state for state in states if (abs(state.painted + state.seen * BACKGROUND - image) < ROUNDING).all()]
    return sum(state.probability for state in final), sum(state.number for state in final)


def _filled(state, layer, image):
    """Return the states with the slot filled in every way that does not contradict the picture."""
    slot_parts, options = parts_of(layer), _options(layer)
    pixels = len(image)
    index = np.array([option.part for option in options])
    colour = np.array([state.hair[1] if layer == "beard" else option.colour for option in options])
    keep, weight, own = (a.reshape(len(a), pixels, -1) for a in slot_parts[:3])
    # pixels that no part of the slot touches, or that cannot be seen, need not be looked at again
    touched = np.flatnonzero((keep != 1).any(axis=(0, 2)) & (state.seen[:, 0] > 0))
    seen, painted = state.seen[touched], state.painted[touched]
    keep, weight, own = (a[:, touched][index] for a in (keep, weight, own))
    new_seen = seen * keep
    new_painted = painted + seen * (weight * slot_parts.colours[colour][:, None] + own)
    darkest, lightest = (bound[touched] for bound in _behind(layer))
    low, high = new_painted + new_seen * darkest - ROUNDING, new_painted + new_seen * lightest + ROUNDING
    fits = ((low < image[touched]) & (image[touched] < high)).all(axis=(1, 2))
    found = []
    for i in np.flatnonzero(fits):
        option = options[i]
        if _has_held_out(state, layer, option):
            continue
        all_seen, all_painted = state.seen.copy(), state.painted.copy()
        all_seen[touched], all_painted[touched] = new_seen[i], new_painted[i]
        found.append(
            State(
                all_seen,
                all_painted,
                (option.part, option.colour) if layer == "hair" else state.hair,
                option.part if layer == "hat" else 0 if layer == "hair" else state.hat,
                state.probability * option.probability,
                state.number,
            )
        )
    return found


@cache
def _behind(layer):
    """Return the darkest and the lightest that each pixel, (pixels, 3), can be behind a slot."""
    darkest, lightest = (np.full((SIZE * SIZE, 3), BACKGROUND, np.float32) for _ in range(2))
    for below in LAYERS[: LAYERS.index(layer)]:
        slot_parts = parts_of(below)
        keep, weight, own = (a.reshape(len(a), SIZE * SIZE, -1) for a in slot_parts[:3])
        colours = slot_parts.colours[:, None, None, :]
        added = weight * colours + own  # (colours, parts, pixels, 3)
        filled = slice(1 if SLOTS[LAYERS.index(below)].share == 1 else 0, None)
        darkest = (keep * darkest + added)[:, filled].min(axis=(0, 1))
        lightest = (keep * lightest + added)[:, filled].max(axis=(0, 1))
    return darkest, lightest


def _has_held_out(state, layer, option):
    """Return whether a way to fill a slot, with the hair or the hat in front of it, is a combination held out."""
    if layer == "hair":
        return _is_held_out("hair", _said("hair", option.part, option.colour), "hat", _said("hat", state.hat, 0))
    if layer in ("glasses", "clothing"):
        hair = _said("hair", *state.hair)
        return _is_held_out("hair", hair, layer, _said(layer, option.part, option.colour))
    return False


def _said(layer, part, colour):
    """Return the words of a part and its colour."""
    slot_parts = parts_of(layer)
    return (slot_parts.part_words[part], slot_parts.colour_words[colour]) if part else ("", "")
