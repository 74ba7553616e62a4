"""Ctrl-C, SIGTERM and the end of the terminal: a run finishes its step and saves before it ends."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def interruptible() -> Iterator[list[int]]:
    """Collect the first Ctrl-C, SIGTERM or SIGHUP in a list instead of acting on it; the second acts as usual.

    A signal that this process was started to ignore, as by ``nohup``, is ignored on.
    """
    pressed: list[int] = []
    try:
        found = {number: signal.getsignal(number) for number in SIGNALS}
        previous = {number: handler for number, handler in found.items() if handler != signal.SIG_IGN}

        def restore():
            for number, handler in previous.items():
                signal.signal(number, handler)

        def remember(number, frame):
            pressed.append(number)
            restore()

        for number in previous:
            signal.signal(number, remember)
    except ValueError:  # not in the main thread: signals do not arrive here
        yield pressed
        return
    try:
        yield pressed
    finally:
        restore()
