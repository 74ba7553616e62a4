"""Portraits of 16 x 16 pixels with captions: put together from parts, so that what a picture shows is known exactly.

A portrait is a body and up to eight parts, painted one over the other. Each slot (hair, hat, ...) holds one part or
none, and has one colour. A caption names slots that can be seen; skin, eyes and mouths are never named. Nothing here is
a photo, and nobody is meant: parts and colours are drawn by chance, each slot by itself.

Source: the pixel-art parts by DiceBear, CC0 1.0, as `tools/make_avatar_parts.py` found them.
"""

import functools
import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tinydiff.data.dataset import Dataset
from tinydiff.errors import DataError, check_choice, check_count
from tinydiff.noise import Noise

SIZE = 16
BACKGROUND = 255  # white
PARTS_FILE = Path(__file__).parent / "avatar-parts.json"
SPLITS = {"train": 20_000, "test": 2_000, "held-out": 1_000, "swapped": 1_000}  # and how many portraits each has
VISIBLE_PIXELS, VISIBLE_LEVELS = 6, 32  # a part is seen if its absence changes so many pixels by so many of 255 levels
SAID = 0.75  # how often a caption speaks of a part that can be seen
FULLY = 0.85  # how often it then says the colour; and of hair, the style


class Slot(NamedTuple):
    """A place on the portrait: which parts it may hold, what they and their colours are called.

    Parameters
    ----------
    layer : str
        The slot's name, and that of its parts in the file.
    colours : dict
        Word -> colours that the eye cannot tell apart, as hexadecimal numbers; the word "" is never said.
    words : dict
        Word -> parts that it describes; the word "" is never said.
    share : float
        How often the slot is filled.
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
# From the back to the front. A part stands under a word that its pixels show; parts that none describes are left out.
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
        {"": tuple(colour for colours in HAIR.values() for colour in colours)},  # that of the hair, and not said again
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
SWAPPED = (("blue", "green"), ("blue", "red"), ("green", "red"))  # colours that hair and clothing may have


class Painted(NamedTuple):
    """The parts of a slot, each as one linear map of what lies under it: ``keep * picture + weight * colour + own``.

    Part 0 is none, and lets everything through.
    """

    keep: np.ndarray  # (parts, 16, 16, 1)
    weight: np.ndarray  # (parts, 16, 16, 1)
    own: np.ndarray  # (parts, 16, 16, 3)
    colours: np.ndarray  # (colours, 3), 0 .. 255
    part_words: tuple[str, ...]
    colour_words: tuple[str, ...]


class Portraits(NamedTuple):
    """Portraits as numbers: for each slot of `SLOTS`, which part (0: none) and which colour of `paint(slot)`."""

    parts: np.ndarray  # (N, slots)
    colours: np.ndarray  # (N, slots)


class Caption(NamedTuple):
    """What is said of a portrait, and of which slots."""

    text: str
    parts: tuple[str, ...]  # layers whose part is named
    colours: tuple[str, ...]  # layers whose colour is named


def fill(path: str, rule: str) -> np.ndarray:
    """Return which pixels a path surrounds, (16, 16) booleans.

    The path is SVG's, with whole numbers and the commands M, H, V and Z alone. An edge that goes down winds everything
    to its right once, one that goes up unwinds it. Inside is what is wound an odd number of times (rule "evenodd") or
    at all ("nonzero").
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
def paint(layer: str) -> Painted:
    """Return the parts and colours of a slot."""
    slot = SLOTS[LAYERS.index(layer)]
    names = [("", "")] + [(word, name) for word, names in slot.words.items() for name in names]
    colours = [(word, rgb(colour)) for word, colours in slot.colours.items() for colour in colours]
    shapes = _file()[layer]
    painted = [_overlaid(shapes[name] if name else []) for _, name in names]
    keep, weight, own = (np.stack(arrays).astype(np.float32) for arrays in zip(*painted, strict=True))
    return Painted(
        keep,
        weight,
        own,
        np.array([value for _, value in colours], np.float32),
        tuple(word for word, _ in names),
        tuple(word for word, _ in colours),
    )


def _overlaid(shapes):
    """Return (keep, weight, own) of shapes that are painted one over the other."""
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


def draw(portraits: Portraits) -> np.ndarray:
    """Return the pictures, uint8, shape (N, 16, 16, 3)."""
    return np.rint(_pictures(portraits)).astype(np.uint8)


def _pictures(portraits):
    picture = np.full((len(portraits.parts), SIZE, SIZE, 3), BACKGROUND, np.float32)
    for layer, part, colour in zip(LAYERS, portraits.parts.T, portraits.colours.T, strict=True):
        painted = paint(layer)
        colours = painted.colours[colour][:, None, None, :]
        picture = painted.keep[part] * picture + painted.weight[part] * colours + painted.own[part]
    return picture


def visible(portraits: Portraits) -> np.ndarray:
    """Return which slots a caption may name, booleans (N, slots): taking the part away changes the picture enough."""
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


def compose(n: int, seed: int = 0, split: str = "train", first: int = 0) -> Portraits:
    """Put portraits together by chance; portrait i of a seed and split is always the same one.

    Parameters
    ----------
    n : int
    seed : int
    split : str
        - ``"train"``, ``"test"``: any portrait without a combination of `HELD_OUT`;
        - ``"held-out"``: each with one combination of `HELD_OUT`;
        - ``"swapped"``: pairs (2 k, 2 k + 1) that differ in two colours alone, as red hair and a green shirt, green
          hair and a red shirt. (A beard goes with the hair.)
    first : int
        Index of the first portrait.
    """
    check_count("n", n)
    check_count("first", first, least=0)
    check_choice("split", split, tuple(SPLITS))
    if split == "swapped":
        pairs = -(-(first % 2 + n) // 2)
        both = _swapped(pairs, Noise(seed, first=first // 2))
        return Portraits(*(values[first % 2 :][:n] for values in both))
    noise = Noise(seed, first=first)
    return _held_out(n, noise) if split == "held-out" else _seen(n, noise, split)


def _any(n, noise, purpose):
    """Draw each slot by itself: whether it is filled, the word of its part, the part, and so with colours."""
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
    """Draw pairs of portraits that are alike but for two colours, which hair and clothing have swapped."""
    portraits = _any(pairs, noise, "swapped")
    portraits.parts[:, LAYERS.index("hat")] = 0  # which may hide the hair
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
    """Give the chosen portraits a part or a colour of this word; `share`, 0 .. 1, says which of them."""
    i, painted = LAYERS.index(layer), paint(layer)
    is_part = word in painted.part_words
    words, values = (painted.part_words, portraits.parts) if is_part else (painted.colour_words, portraits.colours)
    candidates = np.flatnonzero(np.array(words) == word)
    values[chosen, i] = candidates[(share * len(candidates)).astype(int)][chosen]


def has(portraits: Portraits, layer: str, word: str) -> np.ndarray:
    """Return which portraits have this word for a slot's part, or for its colour: booleans (N,)."""
    i, painted = LAYERS.index(layer), paint(layer)
    part = np.array(painted.part_words)[portraits.parts[:, i]]
    colour = np.array(painted.colour_words)[portraits.colours[:, i]]
    return (part != "") & ((part == word) | (colour == word))


def combinations(portraits: Portraits) -> np.ndarray:
    """Return which combinations of `HELD_OUT` the portraits have: booleans (N, combinations)."""
    return np.stack([has(portraits, *a) & has(portraits, *b) for a, b in HELD_OUT], axis=1)


def describe(portraits: Portraits, seed: int = 0, split: str = "train", first: int = 0) -> tuple[Caption, ...]:
    """Write a caption for each portrait: some of what can be seen, in one of several forms of English.

    In the split ``"held-out"`` every caption says both halves of the combination, if both can be seen. In ``"swapped"``
    it says hair and clothing, in the same order and form for both portraits of a pair.

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
    """Put one caption together; u says of each slot whether, when, and how fully it is said, must which is in full."""
    said = [i for i in np.flatnonzero(seen) if u[i, 0] < SAID or must[i]]
    phrases, with_part, with_colour = [], [], []
    for i in sorted(said, key=lambda i: u[i, 1]):
        layer, painted = LAYERS[i], paint(LAYERS[i])
        part, colour = painted.part_words[parts[i]], painted.colour_words[colours[i]]
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


def load_avatars(split: str = "train", n: int | None = None, seed: int = 0) -> Dataset:
    """Return captioned portraits; their labels are the words of the hair's colour, counted as in `SLOTS`.

    Parameters
    ----------
    split : str
        As for `compose`.
    n : int or None
        How many; None takes the number of `SPLITS`.
    seed : int
    """
    check_choice("split", split, tuple(SPLITS))
    portraits = compose(SPLITS[split] if n is None else n, seed, split)
    captions = tuple(caption.text for caption in describe(portraits, seed, split))
    words = list(HAIR)
    hair = LAYERS.index("hair")
    label_of_colour = np.array([words.index(word) for word in paint("hair").colour_words])
    return Dataset(
        draw(portraits), label_of_colour[portraits.colours[:, hair]], "avatars", split, "the package", captions
    )
