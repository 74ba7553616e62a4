"""Choosing the frames and samples of a reverse chain that are shown."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from tinydiff.base import Array, InputError, check_count
from tinydiff.plot.sheets import to_pixels


def shrink(frames: Iterable[tuple[Any, ...]], samples: int) -> list[tuple[Array, ...]]:
    """Return the first samples of each frame as uint8 on the host: a long chain would not fit as floats."""
    check_count("samples", samples)
    names = ("x_t", "x_0_hat", "eps_hat")
    small = [
        (float(t), *(to_pixels(name, panel[:samples]) for name, panel in zip(names, panels, strict=False)))
        for t, *panels in frames
    ]
    if not small:
        raise InputError("frames is empty, but at least one (t, x_t, x_0_hat) was expected.")
    return small


def spread(items: list, n: int) -> list:
    """Return at most `n` of the items, evenly spread, with the last and, for n > 1, the first among them."""
    steps = np.linspace(len(items) - 1, 0, min(n, len(items)))
    return [items[i] for i in np.rint(steps).astype(int)[::-1]]
