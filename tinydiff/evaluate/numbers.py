"""A check before a metric is computed: finite numbers, and at least one."""

import numpy as np

from tinydiff.base import InputError, xp_of


def finite(name, x):
    """Return `x` in float64, refusing NaN, infinity and an empty array."""
    if not x.size:
        raise InputError(f"{name} has shape {tuple(x.shape)}: it is empty, but at least one entry was expected.")
    if not bool(xp_of(x).isfinite(x).all()):
        raise InputError(f"{name} holds NaN or infinity, but finite numbers were expected. Find where it came from.")
    return x.astype(np.float64)
