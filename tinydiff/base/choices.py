"""Lists of choices by name, such as the samplers: each is registered where it is defined, and used from the list."""

import importlib
import pkgutil
import sys
from collections.abc import Mapping
from typing import TypeVar

from tinydiff.base.errors import check_choice

Thing = TypeVar("Thing")


class Choices(dict[str, Thing]):
    """A dictionary whose error for an unknown name is one sentence, which lists the known names.

    Parameters
    ----------
    what : str
        What is chosen, as the error calls it.
    things : mapping
        The first entries.

    Examples
    --------
    >>> Choices("colour", {"red": 1, "green": 2})["blue"]
    Traceback (most recent call last):
    tinydiff.base.errors.InputError: colour is 'blue', but one of 'red', 'green' was expected.
    """

    def __init__(self, what: str, things: Mapping[str, Thing] | None = None):
        super().__init__({} if things is None else things)
        self.what = what

    def __getitem__(self, name: str) -> Thing:
        check_choice(self.what, name, tuple(self))  # a tuple, because looking up a list in a dict is a TypeError
        return super().__getitem__(name)


def import_modules(package: str) -> None:
    """Import every module of a package, so that what registers itself there is on its list."""
    for module in pkgutil.iter_modules(sys.modules[package].__path__):
        importlib.import_module(f"{package}.{module.name}")
