r"""What a command says: on any screen, in any encoding, without what a terminal would obey.

A character that the screen's encoding lacks, or half a character of a file's name that is no text, is written as an
escape (``\u0444``), so that a command never fails after its work because of a name. A warning is one sentence.
"""

import contextlib
import os
import sys
import traceback
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from tinydiff.base import printable

VARIABLE = "TINYDIFF_TRACEBACK"  # 1 shows where an unexpected error came from


def prepare_streams() -> None:
    """Let stdout and stderr take any text; one that was closed before the command began swallows what is said."""
    for name in ("stdout", "stderr"):
        stream: Any = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


@contextlib.contextmanager
def one_line_warnings() -> Iterator[None]:
    """Show a warning as one sentence, once, without lines of source; NumPy's on overflow are left to tinydiff's checks.

    Where a number overflows, a sentence about the loss, the weights or the picture follows, which says what to do. What
    several networks warn of, such as a prompt that is too long for each of them, is said once.
    """
    before, said = warnings.formatwarning, set()

    def sentence(message, *_):
        line = f"tinydiff: {printable(str(message))}\n"
        if line in said:
            return ""
        said.add(line)
        return line

    warnings.formatwarning = sentence
    try:
        with np.errstate(all="ignore"):
            yield
    finally:
        warnings.formatwarning = before


def say(*lines: str) -> None:
    """Print lines on stdout; of names of others in them, what a terminal would obey is shown, and breaks no line."""
    print(*map(printable, lines), sep="\n")


def say_refusal(sentence: str) -> None:
    """Print a refusal on stderr, in one line; where that cannot be written either, the exit status has to say it."""
    try:
        print(f"tinydiff: {printable(sentence)}", file=sys.stderr, flush=True)
    except OSError:  # what stays in the buffer would fail once more at the end, and change the status
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def say_unexpected(error: Exception) -> None:
    """Print a sentence on an error that nobody has foreseen, which asks to report it; with the variable, its origin."""
    if os.environ.get(VARIABLE, "0") not in ("", "0"):
        traceback.print_exception(error)
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    say_refusal(
        f"This is a fault of tinydiff ({what[:300]}). Please report it, with the command, and with what it "
        f"shows where {VARIABLE}=1 stands before it."
    )
