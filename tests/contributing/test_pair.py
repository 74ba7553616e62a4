"""The recipe "Add a pair", followed with softplus."""

import pytest
from recipe import Recipe

PAIR = '''
"""Softplus: a smooth stand-in for max(x, 0)."""

from collections import namedtuple

from tinydiff.base import Array, check_shape, checked, xp_of

SoftplusCache = namedtuple("SoftplusCache", "x")


@checked("x")
def softplus(x: Array) -> tuple[Array, SoftplusCache]:
    """Return ``log(1 + exp(x))`` (Eq. <ID>-1); the larger of x and 0 is taken out, so that nothing overflows."""
    xp = xp_of(x)
    return xp.maximum(x, 0) + xp.log1p(xp.exp(-abs(x))), SoftplusCache(x)


@checked("dy cache.x")
def softplus_backward(dy: Array, cache: SoftplusCache) -> tuple[Array]:
    """Return ``dx = dy * sigmoid(x)`` (Eq. <ID>-2)."""
    (x,) = cache
    xp = xp_of(x)
    check_shape("dy", dy, x.shape)
    return (dy * (1 + xp.tanh(0.5 * x)) / 2,)
'''
ROWS = (
    r"| <ID>-1 | standard | $y = \log(1 + e^x)$ | A smooth ramp. | `tinydiff.functional.<name>:<name>` | planned: 41 |"
    "\n"
    r"| <ID>-2 | derivative of <ID>-1 | $d_x = d_y \sigma(x)$ | Its slope. "
    "| `tinydiff.functional.<name>:<name>_backward` | planned: 41 |\n"
)
TEST = '''
"""Softplus."""

import numpy as np
import pytest
from pairs import assert_refuses_dy, assert_right, assert_same_on, assert_wrong, random

from tinydiff.functional import softplus, softplus_backward

X = random(3, 5)


@pytest.mark.equation("<ID>-1")
def test_softplus_is_the_log_of_a_sum_and_does_not_overflow():
    np.testing.assert_allclose(softplus(X)[0], np.logaddexp(X, 0), rtol=1e-14)
    np.testing.assert_array_equal(softplus(np.array([-1e4, 1e4]))[0], [0, 1e4])


@pytest.mark.equation("<ID>-2")
def test_its_gradient(xp):
    assert_right(softplus, softplus_backward, (X,))
    assert_same_on(xp, softplus, softplus_backward, (X,))
    assert_refuses_dy(softplus, softplus_backward, (X,))
    assert_wrong(softplus, lambda dy, cache: (dy * (cache.x > 0),), (X,))
'''
RULE = "tests/test_architecture.py::test_pairs"


@pytest.mark.slow
def test_a_pair(tmp_path):
    recipe = Recipe(tmp_path, "Add a pair", name="softplus", ID="SOFTPLUS")
    recipe.write("tinydiff/functional/<name>.py", PAIR)
    exports, first = "tinydiff/functional/__init__.py", "from tinydiff.functional.resample import"
    recipe.change(exports, first, f"from tinydiff.functional.<name> import softplus, softplus_backward\n{first}")
    recipe.change(exports, '    "split_heads",', '    "softplus",\n    "softplus_backward",\n    "split_heads",')
    recipe.change("docs/equations.md", "| SILU-1 |", f"{ROWS}| SILU-1 |")
    recipe.write("tests/functional/test_<name>.py", TEST)
    recipe.tests(
        "tests/functional/test_<name>.py",
        f"{RULE}_are_exported_together",
        f"{RULE}_stand_together_and_a_backward_unpacks_its_cache_first[tinydiff/functional/<name>.py]",
    )
    recipe.check()
