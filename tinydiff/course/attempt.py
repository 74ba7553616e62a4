"""An answer is called once, with inputs it cannot change and no network; whatever it does ends in a sentence."""

import builtins
import contextlib
import inspect
import io
import re
import socket
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from tinydiff.base import printable, shown
from tinydiff.base.ending import TooLong, within_steps

MOST_SHOWN = 2_000  # characters that answers may print while they are checked
LONGEST_REASON = 200  # characters of an error's own text


class Asked(Exception):
    """An answer asked for something that is not there while it is checked."""


def attempt(
    answer: Callable[..., Any], name: str, case: Sequence[Any], arguments: Sequence[str], changes: Sequence[str]
) -> tuple[Any, str]:
    """Return (output, problem) of an answer for a case; the problem is a sentence, empty if there is an output.

    Parameters
    ----------
    answer : callable
    name : str
        What to call it.
    case : sequence
        The arguments.
    arguments : sequence of texts
        Their names.
    changes : sequence of texts
        Names of those that the answer may write to. If it returns nothing, they are its output.
    """
    wrong = _wrong_arguments(answer, arguments)
    if wrong:
        return None, f"Not yet: {name} {wrong}"
    given = copies(case, arguments, changes)
    try:
        output = within_steps(result_of, [answer, given])
    except NotImplementedError:
        return None, f"{name} is not written yet."
    except TooLong as endless:
        return None, f"Not yet: {name} {endless}"
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever an answer may raise
        if isinstance(error, ValueError) and "read-only" in str(error):
            return None, f"Not yet: {name} changes its input{_line(answer, error)}; make a new array instead."
        return None, f"Not yet: {name} {_raised(answer, error, arguments, case)}"
    changed = [
        argument
        for argument, value, before in zip(arguments, given, case, strict=True)
        if argument not in changes and not _same(value, before)
    ]
    if changed:
        return None, f"Not yet: {name} changes its input {changed[0]}; make a new one instead."
    if output is None and changes:
        written = [value for argument, value in zip(arguments, given, strict=True) if argument in changes]
        output = written[0] if len(written) == 1 else tuple(written)
    if output is None:
        return None, f"Not yet: {name} returned nothing (None): does it end with a return?"
    if inspect.iscoroutine(output):
        output.close()
    if inspect.iscoroutine(output) or inspect.isgenerator(output):
        return None, f"Not yet: {name} returns a {type(output).__name__}: write a plain function with a return."
    return output, ""


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """Show the beginning of what answers print, and no warnings; let them ask neither the network nor the keyboard."""
    shown_so_far = _Beginning(sys.stdout, MOST_SHOWN)
    names: list[tuple[Any, str, str]] = [
        (socket, "getaddrinfo", "the network, which no exercise needs"),
        (socket.socket, "connect", "the network, which no exercise needs"),
        (builtins, "input", "what is typed; use its arguments instead"),
    ]
    before = [getattr(holder, name) for holder, name, _ in names]
    for holder, name, what in names:
        setattr(holder, name, _refusing(what))
    try:
        with (
            warnings.catch_warnings(action="ignore"),
            np.errstate(all="ignore"),
            contextlib.redirect_stdout(shown_so_far),
            contextlib.redirect_stderr(shown_so_far),
        ):
            yield
    finally:
        for (holder, name, _), function in zip(names, before, strict=True):
            setattr(holder, name, function)
        shown_so_far.end()


def reason_of(error: BaseException) -> str:
    """Return what an error says, in one line that is not too long; an empty text if it says nothing."""
    try:
        why = printable(" ".join(str(error).split()))
    except Exception:  # an error of the reader's own, which cannot say what it is
        return ""
    return why if len(why) <= LONGEST_REASON else f"{why[:LONGEST_REASON]} ..."


def result_of(answer: Callable[..., Any], given: Sequence[Any]) -> Any:
    """Return what an answer gives; an object that turns itself into an array does so here, while steps are counted."""
    output = answer(*given)
    turns = hasattr(type(output), "__array__") and not isinstance(output, (np.ndarray, np.generic))
    return np.asarray(output) if turns else output


def copies(case: Sequence[Any], arguments: Sequence[str], changes: Sequence[str]) -> list[Any]:
    """Return copies of the arguments; only arrays in those that are named in `changes` can be written to."""
    return [_copy(value, name in changes) for name, value in zip(arguments, case, strict=True)]


class _Beginning(io.TextIOBase):
    """A stream that passes on the first characters, and counts the others."""

    def __init__(self, stream, most):
        self.stream, self.left, self.dropped = stream, most, 0

    def write(self, text):
        beginning = text[: self.left]
        if beginning:
            self.stream.write(beginning)
        self.left -= len(beginning)
        self.dropped += len(text) - len(beginning)
        return len(text)

    def end(self):
        if self.dropped:
            self.stream.write(f"\n... and {self.dropped:,} characters more, which are not shown.\n")


def _refusing(what):
    def refuse(*args, **options):
        raise Asked(what)

    return refuse


def _copy(value, writable):
    if isinstance(value, (list, tuple)):
        return type(value)(_copy(one, writable) for one in value)
    if isinstance(value, dict):
        return {key: _copy(one, writable) for key, one in value.items()}
    if isinstance(value, np.ndarray):
        value = value.copy()
        value.setflags(write=writable)
    return value


def _same(value, before):
    """Whether an argument is still what it was."""
    if isinstance(before, (list, tuple)):
        return len(value) == len(before) and all(map(_same, value, before))
    if isinstance(before, dict):
        return value.keys() == before.keys() and all(_same(value[key], before[key]) for key in before)
    if isinstance(before, (bool, int, float, str)):
        return type(value) is type(before) and value == before
    return not isinstance(before, np.ndarray) or np.array_equal(value, before)


def _wrong_arguments(answer, arguments):
    """Return the rest of a sentence if an answer cannot be called with so many arguments."""
    try:
        signature = inspect.signature(answer)
    except (TypeError, ValueError):  # some functions of C have none
        return ""
    try:
        signature.bind(*arguments)
    except TypeError:
        taken, called = ", ".join(signature.parameters), ", ".join(arguments)
        return f"takes the arguments ({printable(taken)}), but it is called with ({called})."
    return ""


def _raised(answer, error, arguments, case):
    """Return the rest of a sentence on an error."""
    where = _line(answer, error)
    if isinstance(error, Asked):
        return f"asks{where} for {error}."
    why = reason_of(error)
    raised = f"raised {type(error).__name__}{where}{f': {why}' if why else '.'}"
    of_shapes = isinstance(error, ValueError) and re.search("shape|dimension|broadcast", why)
    shapes = [f"{a} is {v.shape}" for a, v in zip(arguments, case, strict=True) if isinstance(v, np.ndarray)]
    return f"{raised} (here {', '.join(shapes)})" if of_shapes and shapes else raised


def _line(answer, error):
    """Return " in line 3" for an error that came from line 3 of the answer, or an empty text."""
    code, line, trace = getattr(answer, "__code__", None), "", error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code is code:
            line = f" in line {trace.tb_lineno - code.co_firstlineno + 1}"
        trace = trace.tb_next
    return line


def in_short(value: Any) -> str:
    """Return an argument as a sentence shows it; a large array as its shape, a function as its name."""
    if isinstance(value, np.ndarray) and value.size > 4:
        return f"<array of shape {value.shape}>"
    if isinstance(value, np.ndarray):
        return str((np.round(value, 4) if value.dtype.kind == "f" else value).tolist())
    if callable(value):
        return getattr(value, "__name__", "a function")
    if isinstance(value, float):
        return f"{value:.4g}"
    text = shown(value)
    return text if len(text) < 40 else f"<{type(value).__name__}>"
