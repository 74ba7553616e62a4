"""The recipe "Add a sampler", followed with Euler's method."""

import re

import pytest
from recipe import Recipe

SAMPLER = '''
"""Euler's method for the probability-flow ODE, in x / a and sigma = b / a."""

from collections.abc import Iterable
from typing import Any

from tinydiff.base import Array
from tinydiff.diffusion.process import GaussianDiffusion
from tinydiff.diffusion.samplers.chain import Chain, checked_prediction, scales, start
from tinydiff.diffusion.samplers.registry import sampler
from tinydiff.diffusion.targets import Predict
from tinydiff.diffusion.times import per_sample, step_pairs


@sampler()
def <name>(
    predict: Predict,
    diffusion: GaussianDiffusion,
    x_T: Array,
    steps: int | Iterable[float],
    context: Any = None,
    end: float = 0,
) -> Chain:
    """Sample by Euler's method (Eq. <ID>-1).

    Parameters
    ----------
    predict, diffusion, x_T, steps, context, end
        As for `ddpm`.
    """
    x_t = start(x_T, context)
    for t, s in step_pairs(diffusion, steps, end):
        (a_t, b_t), (a_s, b_s) = scales(diffusion, t), scales(diffusion, s)
        x_0_hat, eps_hat = checked_prediction(x_t, predict(x_t, per_sample(t, x_t), context))
        x_t = a_s * (x_t / a_t + (b_s / a_s - b_t / a_t) * eps_hat) if a_t > 0 else a_s * x_0_hat + b_s * eps_hat
        yield s, x_t, x_0_hat
'''
ROW = (
    r"| <ID>-1 | standard | $x_s / a_s = x_t / a_t + (\sigma_s - \sigma_t)\, \hat\epsilon$ | Along the tangent. "
    "| `tinydiff.diffusion.samplers.<name>:<name>` | planned: 12 |\n"
)
TEST = '''
"""Euler's method."""

import numpy as np
import pytest

from tinydiff.diffusion import Gaussian, GaussianDiffusion, cosine_schedule, ddim, last
from tinydiff.diffusion.samplers.<name> import <name>

DIFFUSION = GaussianDiffusion(cosine_schedule(100))


@pytest.mark.equation("<ID>-1")
def test_a_step_of_euler_is_one_of_ddim():
    predict = Gaussian(DIFFUSION, np.array([0.3, -0.5]), 0.5).predict
    x_T = np.random.default_rng(0).standard_normal((4, 2))
    by_<name>, by_ddim = (last(walk(predict, DIFFUSION, x_T, 10)) for walk in (<name>, ddim))
    np.testing.assert_allclose(by_<name>, by_ddim, rtol=1e-10)
'''


@pytest.mark.slow
def test_a_sampler(tmp_path):
    recipe = Recipe(tmp_path, "Add a sampler", name="tangent", ID="TANGENT")
    recipe.write("tinydiff/diffusion/samplers/<name>.py", SAMPLER)
    recipe.change("docs/equations.md", "| DDIM-12 |", f"{ROW}| DDIM-12 |")
    recipe.write("tests/diffusion/samplers/test_<name>.py", TEST)
    recipe.tests("tests/diffusion/samplers/test_<name>.py", "tests/diffusion/test_sampler_list.py")
    drawn = recipe.tinydiff(*["sample", "--sampler", "<name>", "--n", "1", "--steps", "2", "--out", "samples"])
    assert "Drew 1 image " in drawn
    assert (recipe.elsewhere / "samples" / "grid.png").is_file()
    said = recipe.tinydiff("sample", "--help")
    assert re.search(r"[,{\s]tangent[,}]", said)
    recipe.check()
