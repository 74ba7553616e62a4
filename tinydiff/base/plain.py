"""The switch from the fast implementations to their plain twins."""

from collections.abc import Iterator
from contextlib import contextmanager

_depth = 0


@contextmanager
def plain() -> Iterator[None]:
    """Compute everything by its plain twin: no Winograd, no fused path.

    For reading, for debugging, and for testing the fast twins. The switch holds for the whole process, worker
    threads included.

    Examples
    --------
    >>> import tinydiff
    >>> with tinydiff.plain():
    ...     pass  # every convolution in here is one matrix product of gathered patches
    """
    global _depth
    _depth += 1
    try:
        yield
    finally:
        _depth -= 1


def is_plain() -> bool:
    """Return whether plain twins were asked for."""
    return _depth > 0
