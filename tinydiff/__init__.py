"""tinydiff: diffusion models from scratch, every gradient by hand."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # at run time, `__getattr__` imports them
    from tinydiff.base import plain
    from tinydiff.models import Guidance, Request, load, save
    from tinydiff.models.sample import sample

__version__ = "0.1.0"
__all__ = ["Guidance", "Request", "load", "plain", "sample", "save"]  # to draw; the rest is in the rooms


def __getattr__(name: str) -> Any:
    """Import a name when it is first asked for, so that a command has begun, and hears Ctrl-C, before the long imports.

    The name of a room is the room: ``tinydiff.models`` needs no other import than ``import tinydiff``.
    """
    if name in __all__:
        room = importlib.import_module("tinydiff.base" if name == "plain" else "tinydiff.models")
        return globals().setdefault(name, getattr(room, name))
    try:
        if not name.startswith("_"):
            return importlib.import_module(f"tinydiff.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"tinydiff.{name}":  # something that it needs is not installed
            raise
    raise AttributeError(f"module 'tinydiff' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
