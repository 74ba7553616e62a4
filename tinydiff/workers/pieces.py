"""Pieces: work on a few images at a time, so that intermediate results stay in a core's cache."""

from collections.abc import Iterator
from typing import Any

import numpy as np


def pieces(xp: Any, n: int, bytes_of_one: int, at_once: int) -> Iterator[slice]:
    """Yield slices that cover 0 .. n - 1, each of as many items as fit into `at_once` bytes, but at least 1.

    A GPU takes all in one piece: it is fast only if it is given much work at once.
    """
    count = max(1, at_once // bytes_of_one) if xp is np else n
    for start in range(0, n, count):
        yield slice(start, min(n, start + count))
