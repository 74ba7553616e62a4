"""Arrays in tests: the same assertions for NumPy, CuPy and its strict stand-in."""

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from tinydiff.base import to_numpy


def to_xp(xp: Any, array: Any) -> Any:
    """Return a copy of host data as an array of `xp`."""
    return xp.array(array)


def to_host(a: Any) -> np.ndarray:
    """Return an array of any device, or plain numbers, as a NumPy array."""
    return np.asarray(a) if isinstance(a, (int, float, complex, list, tuple, np.generic)) else to_numpy(a)


def assert_close(actual: Any, expected: Any, rtol: float = 1e-7, atol: float = 0.0) -> None:
    """Assert that two arrays, each on any device, agree in shape and in value."""
    actual, expected = to_host(actual), to_host(expected)
    assert actual.shape == expected.shape, f"shapes differ: {actual.shape} and {expected.shape}"
    np.testing.assert_allclose(actual, expected, rtol=rtol, atol=atol)


def assert_equal(actual: Any, expected: Any) -> None:
    """Assert that two arrays, each on any device, agree bit for bit in value, shape and dtype."""
    actual, expected = to_host(actual), to_host(expected)
    assert actual.dtype == expected.dtype, f"dtypes differ: {actual.dtype} and {expected.dtype}"
    np.testing.assert_array_equal(actual, expected, strict=True)


@contextlib.contextmanager
def no_synchronisation(xp: Any) -> Iterator[None]:
    """Fail where the host waits for the device (on NumPy there is nothing to wait for)."""
    if xp is np:
        yield
    elif hasattr(xp, "forbid_synchronisation"):
        with xp.forbid_synchronisation():
            yield
    else:
        import cupyx

        with warnings.catch_warnings(action="ignore"), cupyx.allow_synchronize(False):  # deprecated, not replaced
            yield
