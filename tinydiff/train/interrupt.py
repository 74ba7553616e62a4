"""Ctrl-C, SIGTERM and the end of the terminal: a run finishes its step and saves before it ends."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

HANGUP = getattr(signal, "SIGHUP", None)  # Windows has none
SIGNALS = [number for number in (signal.SIGINT, signal.SIGTERM, HANGUP) if number is not None]


@contextmanager
def interruptible() -> Iterator[list[int]]:
    """Collect the first Ctrl-C, SIGTERM or SIGHUP in a list instead of acting on it; the second acts as usual.

    Where this process was started to ignore the end of its terminal, as by ``nohup``, it goes on ignoring it.
    """
    pressed: list[int] = []
    try:
        previous = {number: signal.getsignal(number) for number in SIGNALS}
        if previous.get(HANGUP) == signal.SIG_IGN:
            del previous[HANGUP]

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
