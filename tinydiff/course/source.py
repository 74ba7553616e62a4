"""Showing the library's source in a notebook."""

import inspect
import textwrap
from collections.abc import Callable
from typing import Any

from tinydiff.base import InputError, shown


def show_source(*functions: Callable[..., Any]) -> None:
    """Print the source of functions as it stands in the library, without their docstrings."""
    for function in functions:
        if not callable(function):
            raise InputError(f"{shown(function)} was given, but a function was expected.")
        source = textwrap.dedent(inspect.getsource(function))
        head, quotes, rest = source.partition('"""')
        print(head.rstrip() + rest.partition('"""')[2] if quotes else source)
