"""From the words after a command to its options; what does not fit is told as one types it."""

import contextlib
import io
import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import tyro

from tinydiff.apps.cli.naming import as_typed
from tinydiff.apps.cli.sizes import SIZES
from tinydiff.base import InputError


def parse_options(command: Callable[..., Any], options: Sequence[str], prog: str, **more: Any) -> Any:
    """Return a command with its options; what a dataclass refuses is told in its own words, with the option's name.

    `more` is handed to `tyro.cli`.
    """
    with SIZES, one_sentence(command):
        return tyro.cli(command, args=options, prog=prog, **more)


@contextlib.contextmanager
def one_sentence(command: Any = None) -> Iterator[None]:
    """Raise `InputError` with one sentence where `tyro` would print a box of several lines and exit with status 2."""
    shown = io.StringIO()
    try:
        with contextlib.redirect_stderr(shown):
            yield
    except SystemExit as stop:
        if stop.code != 2:  # --help
            raise
        refusal = None if command is None else _refusal_behind(stop, command)
        raise InputError(_out_of_box(shown.getvalue()) if refusal is None else refusal) from stop


def _out_of_box(text):
    """Return what a box with a frame says, in one line; its parts become sentences."""
    lines = [line.strip("│| ") for line in text.splitlines() if line[:1] not in "╭╰+"]  # of letters, or of ASCII
    rule = re.compile("[─-]{3,}")
    parts = [
        list(part) for is_rule, part in itertools.groupby(lines, lambda line: bool(rule.fullmatch(line))) if not is_rule
    ]
    return ". ".join(_sentence(list(filter(None, part))) for part in parts) + "."


def _sentence(part):
    """Return the lines of a part as one sentence; of options that are suggested, their names only."""
    names = [found[0] for line in part if (found := re.match(r"--[\w.-]+(, --[\w.-]+)*", line))]
    if names and part[0].startswith("Perhaps you meant"):
        return f"Perhaps you meant: {' or '.join(names)}"
    return " ".join(part).rstrip(".")


def _refusal_behind(stop, command):
    """Return the sentence of the dataclass because of which tyro stops, or None; it names an option as one types it."""
    error: Any = stop.__context__
    inside: Any = ""
    while error is not None and not isinstance(error, InputError):
        inside = getattr(error, "arg", inside)  # tyro's own error knows the option, or the table of options
        error = error.__context__
    if error is None and hasattr(inside, "lowered"):  # one option, whose text is of another type
        metavar = inside.lowered.metavar.replace("{None}|", "").strip("{}")
        why = str(stop.__context__.message).partition("\n")[0]
        given = re.search(r"from \[(.*)\]", why)
        found = f" is {given[1]}" if given else f": {why.rstrip('.')}"
        return f"{inside.lowered.name_or_flags[0]}{found}, but {metavar} was expected."
    if error is None:
        return None
    if not isinstance(inside, str):  # one option, whose text could not be read
        return f"{inside.lowered.name_or_flags[0]}: {error}"
    return as_typed(str(error), command, inside)
