"""Sizes of pictures as options: 32 for a square, 32x48 for height and width."""

import re
from typing import Any

from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from tinydiff.base import InputError, Size

SIZES = ConstructorRegistry()  # within it, tyro reads every option of the type `Size`, or `Size | None`, so


def read_size(text: str) -> Size:
    """Return the size that a text such as ``32`` or ``32x48`` names."""
    match = re.fullmatch(r"(\d+)(?:x(\d+))?", text)
    if match is None:
        raise InputError(
            f"{text!r} is no size: one number, such as 32, or height x width, such as 32x48, was expected."
        )
    return int(match[1]) if match[2] is None else (int(match[1]), int(match[2]))


def written(size: Size) -> str:
    """Return a size as `read_size` reads it."""
    return "x".join(map(str, size)) if isinstance(size, tuple) else str(size)


@SIZES.primitive_rule
def _size(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    if info.type == Size:
        return PrimitiveConstructorSpec(1, "SIZE", lambda texts: read_size(texts[0]), _is_size, lambda s: [written(s)])
    if info.type == Size | None:
        return PrimitiveConstructorSpec(
            1,
            "{None}|SIZE",
            lambda texts: None if texts == ["None"] else read_size(texts[0]),
            lambda size: size is None or _is_size(size),
            lambda size: ["None" if size is None else written(size)],
        )
    return None


def _is_size(value: Any) -> bool:
    return isinstance(value, int) or (isinstance(value, tuple) and len(value) == 2)
