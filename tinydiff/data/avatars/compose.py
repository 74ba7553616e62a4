"""Putting portraits together: which are in training, which are held out, which differ by a swap."""

import numpy as np

from tinydiff.base import Noise, check_choice, check_count, check_memory, checked
from tinydiff.data.avatars.rendering import parts_of
from tinydiff.data.avatars.slots import LAYERS, SLOTS, Portraits

SPLITS = {"train": 20_000, "test": 2_000, "held-out": 1_000, "swapped": 1_000}  # portraits in each
HELD_OUT = (  # combinations that training never shows: (layer, word of a part or colour) twice
    (("hair", "blond"), ("clothing", "blue")),
    (("hair", "brown"), ("clothing", "red")),
    (("hair", "black"), ("clothing", "green")),
    (("hair", "red"), ("clothing", "pink")),
    (("hair", "green"), ("clothing", "yellow")),
    (("hair", "blue"), ("clothing", "cream")),
    (("hair", "curly"), ("glasses", "sunglasses")),
    (("hair", "long"), ("hat", "beanie")),
)
BYTES_OF_A_PORTRAIT = 2000  # its random numbers, what it is made of, and its pixels
SWAPPED = (("blue", "green"), ("blue", "red"), ("green", "red"))  # colours that hair and clothing may have


@checked()
def compose(n: int, seed: int = 0, split: str = "train", first: int = 0) -> Portraits:
    """Put portraits together at random; portrait i of a seed and split is always the same one.

    Parameters
    ----------
    n : int
    seed : int
    split : str
        - ``"train"``, ``"test"``: any portrait without a combination of `HELD_OUT`;
        - ``"held-out"``: each with one combination of `HELD_OUT`;
        - ``"swapped"``: pairs (2 k, 2 k + 1) that differ only in two colours, such as red hair with a green shirt
          and green hair with a red shirt. (A beard has the colour of the hair.)
    first : int
        Index of the first portrait.
    """
    check_count("n", n)
    check_memory(BYTES_OF_A_PORTRAIT * n, f"n is {n}", "ask for fewer portraits")
    check_count("first", first, least=0)
    check_choice("split", split, tuple(SPLITS))
    if split == "swapped":
        pairs = -(-(first % 2 + n) // 2)
        both = _swapped(pairs, Noise(seed, first=first // 2))
        return Portraits(*(values[first % 2 :][:n] for values in both))
    noise = Noise(seed, first=first)
    return _held_out(n, noise) if split == "held-out" else _seen(n, noise, split)


def _any(n, noise, purpose):
    """Draw every slot independently: whether it is filled, a word for its part, a part; likewise a colour."""
    parts, colours = np.zeros((2, n, len(SLOTS)), int)
    for i, slot in enumerate(SLOTS):
        filled, *u = noise.uniform((n, 5), purpose, slot.layer).T
        parts[:, i] = np.where(filled < slot.share, 1 + _pick(slot.words, u[0], u[1]), 0)
        colours[:, i] = _pick(slot.colours, u[2], u[3])
    return _with_beards_like_hair(Portraits(parts, colours))


def _pick(words, which_word, which_value):
    """Return indices into the list of all values: each word is equally likely, and then each of its values."""
    counts = np.array([len(values) for values in words.values()])
    word = (which_word * len(counts)).astype(int)
    return (np.cumsum(counts) - counts)[word] + (which_value * counts[word]).astype(int)


def _with_beards_like_hair(portraits):
    portraits.colours[:, LAYERS.index("beard")] = portraits.colours[:, LAYERS.index("hair")]
    return portraits


def _seen(n, noise, split):
    """Draw portraits until none has a combination that is held out: about one in four is drawn again."""
    portraits = _any(n, noise, split)
    attempt = 0
    while (again := combinations(portraits).any(axis=1)).any():
        attempt += 1
        fresh = _any(n, noise.at(step=attempt), split)
        for values, new in zip(portraits, fresh, strict=True):
            values[again] = new[again]
    return portraits


def _held_out(n, noise):
    """Draw portraits, and give each one of the combinations that training never shows."""
    portraits = _any(n, noise, "held-out")
    which = noise.integers(0, len(HELD_OUT) - 1, n, "combination")
    u = noise.uniform((n, 2), "value of the word")
    for number, combination in enumerate(HELD_OUT):
        for (layer, word), share in zip(combination, u.T, strict=True):
            _give(portraits, which == number, layer, word, share)
    return _with_beards_like_hair(portraits)


def _swapped(pairs, noise):
    """Draw pairs of portraits that are equal except for two colours, which hair and clothing swap."""
    portraits = _any(pairs, noise, "swapped")
    portraits.parts[:, LAYERS.index("hat")] = 0  # a hat may hide the hair
    portraits = Portraits(*(np.repeat(values, 2, axis=0) for values in portraits))
    which = np.repeat(noise.integers(0, len(SWAPPED) - 1, pairs, "colours"), 2)
    share = np.repeat(noise.uniform((pairs, 1), "value of the word")[:, 0], 2)
    second = np.arange(2 * pairs) % 2 == 1
    for number, (a, b) in enumerate(SWAPPED):
        for chosen, hair, clothing in ((~second, a, b), (second, b, a)):
            _give(portraits, chosen & (which == number), "hair", hair, share)
            _give(portraits, chosen & (which == number), "clothing", clothing, share)
    return _with_beards_like_hair(portraits)


def _give(portraits, chosen, layer, word, share):
    """Give the chosen portraits a part or a colour with this word; `share`, 0 .. 1, selects which of several."""
    i, slot_parts = LAYERS.index(layer), parts_of(layer)
    is_part = word in slot_parts.part_words
    words, values = (
        (slot_parts.part_words, portraits.parts) if is_part else (slot_parts.colour_words, portraits.colours)
    )
    candidates = np.flatnonzero(np.array(words) == word)
    values[chosen, i] = candidates[(share * len(candidates)).astype(int)][chosen]


def has_word(portraits: Portraits, layer: str, word: str) -> np.ndarray:
    """Return which portraits have this word for a slot's part, or for its colour: booleans (N,)."""
    i, slot_parts = LAYERS.index(layer), parts_of(layer)
    part = np.array(slot_parts.part_words)[portraits.parts[:, i]]
    colour = np.array(slot_parts.colour_words)[portraits.colours[:, i]]
    return (part != "") & ((part == word) | (colour == word))


def combinations(portraits: Portraits) -> np.ndarray:
    """Return which combinations of `HELD_OUT` the portraits have: booleans (N, combinations)."""
    return np.stack([has_word(portraits, *a) & has_word(portraits, *b) for a, b in HELD_OUT], axis=1)
