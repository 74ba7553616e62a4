"""A check before a metric is computed: finite numbers, and at least one."""

import numpy as np

from tinydiff.base import InputError, check_finite


def finite(name, x):
    """Return `x` in float64, refusing NaN, infinity and an empty array."""
    if not x.size:
        raise InputError(f"{name} has shape {tuple(x.shape)}: it is empty, but at least one entry was expected.")
    check_finite(name, x)
    return x.astype(np.float64)
