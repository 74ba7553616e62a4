"""From the words after a command to its options; what does not fit is told as one types it."""

import contextlib
import io
import sys
from collections.abc import Callable, Sequence
from typing import Any

import tyro

from tinydiff.apps.cli.naming import as_typed
from tinydiff.apps.cli.sizes import SIZES
from tinydiff.base import InputError


def parse_options(command: Callable[..., Any], options: Sequence[str], prog: str, **more: Any) -> Any:
    """Return a command with its options; what a dataclass refuses is told in its own words, with the option's name.

    `more` is handed to `tyro.cli`, which exits with status 2 where the options do not fit the command.
    """
    shown = io.StringIO()
    try:
        with SIZES, contextlib.redirect_stderr(shown):
            return tyro.cli(command, args=options, prog=prog, **more)
    except SystemExit as stop:
        refusal = _refusal_behind(stop, command)
        if refusal is not None:
            raise InputError(refusal) from stop
        sys.stderr.write(shown.getvalue())
        raise


def _refusal_behind(stop, command):
    """Return the sentence of the dataclass because of which tyro stops, or None; it names an option as one types it."""
    error: Any = stop.__context__
    inside: Any = ""
    while error is not None and not isinstance(error, InputError):
        inside = getattr(error, "arg", inside)  # tyro's own error knows the option, or the table of options
        error = error.__context__
    if error is None:
        return None
    if not isinstance(inside, str):  # one option, whose text could not be read
        return f"{inside.lowered.name_or_flags[0]}: {error}"
    return as_typed(str(error), command, inside)
