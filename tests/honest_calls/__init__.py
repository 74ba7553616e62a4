"""A good call of every public function and method, room by room: what `test_public_inputs` spoils, one argument a time.

An entry is a function that returns (what to call, its arguments by name). An iterator that comes back is walked.
"""

import functools


def returning(result, f):
    """Return a function that calls f, which changes something in place, then returns it: an argument, or `result()`."""

    @functools.wraps(f)
    def called(**arguments):
        f(**arguments)
        return arguments[result] if isinstance(result, str) else result()

    return called
