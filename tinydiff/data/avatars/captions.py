"""Captions: texts that name some of the visible parts of a portrait."""

from typing import NamedTuple

import numpy as np

from tinydiff.base import Noise, checked
from tinydiff.data.avatars.compose import HELD_OUT, combinations
from tinydiff.data.avatars.rendering import parts_of, visible
from tinydiff.data.avatars.slots import LAYERS, SLOTS, Portraits

SAID = 0.75  # the probability that a caption names a part that can be seen
FULLY = 0.85  # the probability that it then names the colour too; and, for hair, the style


class Caption(NamedTuple):
    """A text about a portrait, and which slots it names."""

    text: str
    parts: tuple[str, ...]  # layers whose part is named
    colours: tuple[str, ...]  # layers whose colour is named


@checked()
def describe(portraits: Portraits, seed: int = 0, split: str = "train", first: int = 0) -> tuple[Caption, ...]:
    """Write a caption for each portrait: some of what can be seen, in one of several English sentence forms.

    In the split ``"held-out"`` every caption names both halves of the combination, if both can be seen. In
    ``"swapped"`` it names hair and clothing, in the same order and form for both portraits of a pair.

    Parameters
    ----------
    portraits : Portraits
    seed, split, first
        As for `compose`: caption i of a seed and split is always the same one.
    """
    n = len(portraits.parts)
    index = np.arange(first, first + n)
    noise = Noise(seed, first=first)
    if split == "swapped":
        index //= 2
        noise = noise.at(first=first // 2)
    index -= index[0]
    u = noise.uniform((index[-1] + 1, len(SLOTS), 4), f"caption, {split}")[index]
    form = noise.integers(0, len(FORMS) - 1, index[-1] + 1, f"form, {split}")[index]
    seen, must = visible(portraits), np.zeros((n, len(SLOTS)), bool)
    if split == "swapped":
        must[:, [LAYERS.index("hair"), LAYERS.index("clothing")]] = True
    if split == "held-out":
        for has_it, halves in zip(combinations(portraits).T, HELD_OUT, strict=True):
            for layer, _ in halves:
                must[has_it, LAYERS.index(layer)] = True
    return tuple(
        _caption(portraits.parts[i], portraits.colours[i], seen[i], u[i], FORMS[form[i]], must[i]) for i in range(n)
    )


def _caption(parts, colours, seen, u, form, must):
    """Put one caption together.

    For each slot, the uniform numbers u decide whether it is named, in which order, and whether in full; a slot with
    `must` is always named, and in full.
    """
    said = [i for i in np.flatnonzero(seen) if u[i, 0] < SAID or must[i]]
    phrases, with_part, with_colour = [], [], []
    for i in sorted(said, key=lambda i: u[i, 1]):
        layer, slot_parts = LAYERS[i], parts_of(LAYERS[i])
        part, colour = slot_parts.part_words[parts[i]], slot_parts.colour_words[colours[i]]
        if u[i, 2] > FULLY and not must[i]:
            colour = ""
        elif u[i, 3] > FULLY and layer == "hair" and not must[i]:  # "red hair" says enough, "a red" does not
            part = ""
        words = f"{part} {colour} hair" if layer == "hair" else f"{colour} {part}"
        phrases.append((layer, " ".join(words.split())))
        with_part += [layer] if part else []
        with_colour += [layer] if colour else []
    return Caption(form(phrases), tuple(with_part), tuple(with_colour))


def _listed(phrases):
    return ", ".join(words for _, words in phrases) or "a person"


def _person(phrases):
    return f"a person with {_joined(phrases)}" if phrases else "a person"


def _portrait(phrases):
    return f"a portrait of {_person(phrases)}"


def _wearing(phrases):
    grown = [phrase for phrase in phrases if phrase[0] in ("hair", "beard")]
    worn = [phrase for phrase in phrases if phrase not in grown]
    both = [f"{verb} {_joined(some)}" for verb, some in (("has", grown), ("wears", worn)) if some]
    return f"a person who {' and '.join(both)}" if both else "a person"


def _joined(phrases):
    """Return "long hair, a hat and glasses": words with their articles, commas and a last "and"."""
    plural = ("hair", "glasses", "dungarees", "earrings")
    *most, last = (words if words.endswith(plural) else f"a {words}" for _, words in phrases)
    return f"{', '.join(most)} and {last}" if most else last


FORMS = (_listed, _person, _portrait, _wearing)
