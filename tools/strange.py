"""Strange values, and damage to what is honest, for `fuzz.py`; all drawn from a generator that is handed in."""

import contextlib
import json

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

HUGE = [10**5, 10**6, 10**9, 10**12, 2**31, 2**32, 2**63 - 1, 2**63, 2**64, 10**20, 10**400]
NUMBERS = [0, 1, -1, 2, 3, 7, 0.5, -0.0, 1e-300, 1e308, float("inf"), float("-inf"), float("nan"), *HUGE]
TEXTS = [
    "", " ", "x", "None", "nan", "1e309", "0x10", "1_0", "true", "../..", "/dev/zero", "/dev/null", "a\nb", "é", "фото",
    "\x1b[2J", "\u202egnp", "\udcff", "😀", "a" * 5000, "-", "--", "=", "9" * 5000, "1,2", "[]", "{}", "$x_{", "\0",
]  # fmt: skip
VALUES = [*NUMBERS, *TEXTS, None, True, [], {}, [1], [1, 2], [10**9, 10**9], [1] * 3000, {"a": 1}, [[[[]]]]]


def pick(rng, values):
    return values[int(rng.integers(len(values)))]


def strange(rng, name: str):
    """Return a strange value for an option; a batch of a million samples is none, and only takes its time."""
    value = pick(rng, VALUES)
    return 8 if "batch" in name and value in (10**5, 10**6) else value


def as_words(value) -> list[str]:
    """Return a value as words of a command line; 4,300 digits are as many as Python writes."""
    return [str(v) for v in value] if isinstance(value, list) else [str(value)]


def damaged(rng, data: bytes) -> bytes:
    """Return bytes with some of them changed, cut off, doubled, or replaced."""
    way = int(rng.integers(5))
    if way == 0 or not data:
        return data[: int(rng.integers(len(data) + 1))]
    if way == 1:
        return pick(rng, [b"", b"[" * 100_000, b"{}", b"null", bytes(1000), b'{"a":' * 5000, b"\xff\xfe", data * 2])
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 9))):
        near = 300 if way == 2 else len(changed)  # often in the header
        changed[int(rng.integers(min(near, len(changed))))] = int(rng.integers(256))
    return bytes(changed)


def mutated_table(rng, data: bytes) -> bytes:
    """Return JSON in which a value, at any depth, is a strange one, or is gone, or has another name."""
    table = json.loads(data)
    places = list(_places(table))
    for _ in range(int(rng.integers(1, 3))):
        holder, key = pick(rng, places)
        with contextlib.suppress(LookupError):
            if rng.random() < 0.1:
                del holder[key]
            else:
                holder[key] = pick(rng, VALUES)
    return json.dumps(table).encode()


def _places(table):
    for key, value in list(table.items() if isinstance(table, dict) else enumerate(table)):
        yield table, key
        if isinstance(value, (dict, list)):
            yield from _places(value)


def strange_arrays(rng, arrays):
    """Return arrays one of which has another type or shape, or holds what is no number."""
    name, other = pick(rng, list(arrays)), str(pick(rng, TEXTS))
    with np.errstate(all="ignore"):
        changed = [
            lambda a: a.astype(pick(rng, ["bool", "int8", "int64", "float16", "float64", "uint8"])),
            lambda a: np.full_like(a, pick(rng, [np.nan, np.inf, 3e38, 1e30])),
            lambda a: np.full(a.shape, 1e300),
            lambda a: np.zeros((0, *a.shape[1:]), a.dtype),
            lambda a: np.concatenate([a, a]),
        ]
        arrays[name] = pick(rng, changed)(arrays[name])
    if rng.random() < 0.1:
        arrays[other.encode("utf-8", "replace").decode()] = arrays.pop(name)
    return {name: np.ascontiguousarray(a) for name, a in arrays.items()}


def strange_metadata(rng, path) -> None:
    """Give a picture, in place, a text like that which tinydiff writes, but of strange values, or damaged."""
    with Image.open(path) as picture:
        picture.load()
        about = json.loads(picture.info.get("tinydiff", '{"tinydiff": "0.1.0", "seed": 0}'))
    for _ in range(int(rng.integers(1, 4))):
        name = pick(rng, [*about, "pictures", "prompt", "\x1b[2J", "a\nb"]) if rng.random() < 0.9 else pick(rng, TEXTS)
        about[name] = pick(rng, VALUES)
    data = json.dumps(about).encode()
    text = PngInfo()
    text.add_text(
        "tinydiff", (damaged(rng, data) if rng.random() < 0.3 else data).decode("latin-1"), zip=rng.random() < 0.5
    )
    picture.save(path, format="PNG", pnginfo=text)
