"""The entry of the command line: ``tinydiff``, and ``python -m tinydiff``.

The imports of the commands take most of a second, and Ctrl-C in the middle of them would show where: a traceback. So
this file imports nothing of the kind, and until a command has begun, and after it has ended, Ctrl-C ends the process at
once and without a word. Nothing has been begun by then, or all is done.
"""

import os
import signal
import sys


def main() -> int:
    """Import the command line and run a command; return the exit status."""
    by_default = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # else, who started it wants none
    try:
        if by_default:
            signal.signal(signal.SIGINT, _end)
        from tinydiff.apps.cli import main as run_command

        if by_default:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        status = run_command()
        if by_default:
            signal.signal(signal.SIGINT, _end)
    except KeyboardInterrupt:  # between two of these lines
        return 130
    return status


def _end(number, frame):
    """End at once; an exception would run through the imports, some of which are C and make another error of it."""
    os._exit(130)


if __name__ == "__main__":
    sys.exit(main())
