"""Does an answer ever end? Steps are counted as a debugger would, and what no debugger sees is tried by a child.

- Python code, on however few lines: every line, call and instruction is an event of `sys.settrace`. An answer is
  stopped after a number of them, at the same place on every machine (with the same version of Python).
- What runs inside one instruction, such as ``sum(iter(int, 1))`` or a long sleep, or catches what stops it, has no
  events. So an answer first runs in a child, which is killed when it has used too much time or memory. This needs
  fork, and is done on Linux only; elsewhere the reader must interrupt such an answer.
"""

import contextlib
import io
import os
import select
import signal
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

MOST_LINES = 1_000_000  # that an answer may run for one small input; a limit of time would depend on the machine
MOST_INSTRUCTIONS = 4_000_000  # of its own code
MOST_SECONDS = 20  # of the child's processor, and three times as many on the clock; a right answer takes milliseconds
MOST_BYTES = 2**31  # that the child may take
_OF_LIBRARIES = ("tinydiff", "numpy", "scipy")  # where lines are counted, and instructions are not: these end
_IMPORTS = "<frozen importlib._bootstrap>"


class TooLong(BaseException):
    """An answer ran more steps than any right one needs; not an Exception, which the answer might catch."""

    def __str__(self):
        steps = f"{MOST_LINES:,} lines, or {MOST_INSTRUCTIONS:,} instructions,"
        return f"ran {steps} for a small input: does its loop ever end?"


def within_steps(function: Callable[..., Any], args: Sequence[Any]) -> Any:
    """Return ``function(*args)``, or raise `TooLong` where it runs too many lines or instructions."""
    lines, instructions, imports = MOST_LINES, MOST_INSTRUCTIONS, 0

    def trace(frame, event, arg):
        nonlocal lines, instructions, imports
        code = frame.f_code
        if code.co_name == "_find_and_load" and code.co_filename == _IMPORTS:  # a library may load another one, once
            imports += {"call": 1, "return": -1}.get(event, 0)
            return trace
        if imports:
            return None
        if event == "opcode":
            instructions -= 1
        else:
            lines -= 1
            frame.f_trace_opcodes = not frame.f_globals.get("__name__", "").startswith(_OF_LIBRARIES)
        if lines < 0 or instructions < 0:
            raise TooLong
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        return function(*args)
    finally:
        sys.settrace(before)


def tried(run: Callable[[], Any]) -> str:
    """Run something in a child first, and return why it did not end, as the rest of a sentence, or an empty text.

    What it prints is not seen, and what it changes is changed in the child alone.
    """
    if not sys.platform.startswith("linux"):
        return ""
    reading, writing = os.pipe()
    with warnings.catch_warnings(action="ignore"):  # of a fork beside threads
        child = os.fork()
    if child == 0:
        _as_child(run, writing)
    os.close(writing)
    try:
        in_time = bool(select.select([reading], [], [], 3 * MOST_SECONDS)[0])
        ended = os.read(reading, 1) if in_time else b""
    finally:
        os.close(reading)
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    if ended == b"m":
        return f"takes more than {MOST_BYTES >> 30} GB of memory for a small input: does it ever end?"
    if ended == b"l":
        return str(TooLong())
    if ended:
        return ""
    if in_time and os.waitstatus_to_exitcode(status) not in (-signal.SIGKILL, -signal.SIGXCPU):
        return "ends Python itself, and would end this notebook too; return a result instead."
    return f"ran for more than {MOST_SECONDS} seconds for a small input: does it ever end?"


def _as_child(run, writing):
    """Run, say by one byte how it ended, and be gone without a trace."""
    import resource

    word = b"e"
    try:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        used = time.process_time()
        resource.setrlimit(resource.RLIMIT_CPU, (int(used) + MOST_SECONDS, int(used) + MOST_SECONDS))
        with open("/proc/self/statm", encoding="ascii") as file:
            size = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + MOST_BYTES, size + MOST_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            run()
    except TooLong:
        word = b"l"
    except MemoryError:
        word = b"m"
    except BaseException:  # the answer's own, which it will raise again
        pass
    finally:
        try:
            os.write(writing, word)
        finally:
            os._exit(0)
