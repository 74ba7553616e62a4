"""The recipe "Add a schedule", followed with a hyperbolic tangent."""

import pytest
from recipe import TINY_TRAINING, Recipe

SCHEDULE = '''"""Schedules that fall like a tangent."""

import numpy as np

from tinydiff.diffusion.schedules.registry import alpha_bar_from_beta, check_T, schedule


@schedule
def <name>_schedule(T: int = 1000, start: float = -3.0, end: float = 3.0) -> np.ndarray:
    """Return alpha_bar that falls like a hyperbolic tangent from 1 to 0 (Eq. <ID>-1).

    Parameters
    ----------
    T : int
        Number of steps.
    start, end : float
        Which part of the tangent is taken.

    Source: Jabri et al. 2022 (arXiv 2212.11972), section 4.
    """
    check_T(T)
    falling = np.tanh(-np.linspace(start, end, T + 1) / 2)
    share = (falling - falling[-1]) / (falling[0] - falling[-1])
    return alpha_bar_from_beta(np.minimum(1 - share[1:] / share[:-1], 0.999))
'''
ROW = (
    r"| <ID>-1 | Jabri et al. 2022 | $\bar\alpha_t = (\sigma(-s_t) - \sigma(-s_T)) / (\sigma(-s_0) - \sigma(-s_T))$ "
    "| It falls slowly at both ends. | `tinydiff.diffusion.schedules.<name>:<name>_schedule` | planned: 12 |\n"
)
TEST = '''
"""The schedule of a tangent."""

import math

import pytest

from tinydiff.diffusion import SCHEDULES
from tinydiff.diffusion.schedules.<name> import <name>_schedule


@pytest.mark.equation("<ID>-1")
def test_it_equals_its_formula_at_every_t():
    def sigmoid(x):
        return 1 / (1 + math.exp(-x))

    alpha_bar = <name>_schedule(50)
    for t in range(50):
        share = (sigmoid(3 - 6 * t / 50) - sigmoid(-3)) / (sigmoid(3) - sigmoid(-3))
        assert math.isclose(alpha_bar[t], share, rel_tol=1e-9)
    assert 0 < alpha_bar[50] < alpha_bar[49] / 900  # the last step may not take everything
    assert SCHEDULES["<name>"] is <name>_schedule
'''


@pytest.mark.slow
def test_a_schedule(tmp_path):
    recipe = Recipe(tmp_path, "Add a schedule", name="tangent", ID="TANGENT")
    recipe.write("tinydiff/diffusion/schedules/<name>.py", SCHEDULE)
    recipe.change("docs/equations.md", "| IDDPM-17 |", f"{ROW}| IDDPM-17 |")
    recipe.write("tests/diffusion/test_<name>.py", TEST)
    recipe.tests("tests/diffusion/test_<name>.py", "tests/diffusion/test_schedules.py")
    recipe.tinydiff("train", "--schedule", "<name>", "--out", "mine", *TINY_TRAINING)
    drawn = recipe.tinydiff(*["sample", "--model", "mine", "--n", "2", "--steps", "2", "--out", "samples"])
    assert "Drew 2 images" in drawn
    recipe.check()
