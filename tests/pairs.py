"""What the tests of all functional pairs share."""

import numpy as np
import pytest
from arrays import no_synchronisation, to_host, to_xp

from tinydiff.base import InputError
from tinydiff.gradcheck import gradcheck


def random(*shape, seed=0):
    """Return float64 normal numbers."""
    return np.random.default_rng(seed).standard_normal(shape)


def assert_right(f, f_backward, args, **options):
    """Check every gradient, and that float32 goes in and comes out."""
    report = gradcheck(f, f_backward, args, options=options)
    assert report, str(report)
    floats = [a.astype(np.float32) if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a for a in args]
    y, cache = f(*floats, **options)
    assert y.dtype == np.float32
    for a in cache:
        assert getattr(a, "dtype", np.float32) != np.float64
    for gradient in f_backward(y, cache):
        assert gradient is None or gradient.dtype == np.float32


def assert_wrong(f, wrong_backward, args, mistake="", **options):
    """A backward with a known mistake must be caught, and named if it can be."""
    report = gradcheck(f, wrong_backward, args, options=options)
    assert not report, f"{wrong_backward.__name__} was not caught"
    assert mistake in str(report), str(report)


def assert_same_on(xp, f, f_backward, args, **options):
    """Forward and backward on another array module give NumPy's numbers, and no step waits for the device."""
    y, cache = f(*args, **options)
    there = [to_xp(xp, a) if isinstance(a, np.ndarray) else a for a in args]
    options = {k: to_xp(xp, v) if isinstance(v, np.ndarray) else v for k, v in options.items()}
    with no_synchronisation(xp):
        y_there, cache_there = f(*there, **options)
        gradients = f_backward(y_there, cache_there)
    np.testing.assert_allclose(to_host(y_there), y, rtol=1e-9, atol=1e-12)
    for a, b in zip(f_backward(y, cache), gradients, strict=True):
        if a is not None:
            np.testing.assert_allclose(to_host(b), a, rtol=1e-9, atol=1e-11)


def assert_skips_what_nobody_reads(f, f_backward, args, **options):
    """What is not asked for is None, and what is asked for stays as it was."""
    y, cache = f(*args, **options)
    dx, *rest = f_backward(y, cache)
    only_dx, only_dw = f_backward(y, cache, need_dw=False), f_backward(y, cache, need_dx=False)
    np.testing.assert_array_equal(only_dx[0], dx)
    assert all(d is None for d in only_dx[1:])
    assert only_dw[0] is None
    for a, b in zip(only_dw[1:], rest, strict=True):
        np.testing.assert_array_equal(a, b)


def assert_refuses_dy(f, f_backward, args, *shapes, **options):
    """A dy of another shape than y's would be broadcast, or fail deep inside: it is refused by name."""
    _, cache = f(*args, **options)
    for shape in shapes:
        with pytest.raises(InputError, match="dy"):
            f_backward(np.ones(shape), cache)
