"""Ctrl-C and SIGTERM: a run finishes its step and saves before it ends."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def interruptible() -> Iterator[list[int]]:
    """Collect the first Ctrl-C or SIGTERM in a list instead of acting on it; the second acts as usual."""
    pressed: list[int] = []
    try:
        previous = {number: signal.getsignal(number) for number in SIGNALS}

        def restore():
            for number, handler in previous.items():
                signal.signal(number, handler)

        def remember(number, frame):
            pressed.append(number)
            restore()

        for number in SIGNALS:
            signal.signal(number, remember)
    except ValueError:  # not in the main thread: signals do not arrive here
        yield pressed
        return
    try:
        yield pressed
    finally:
        restore()
