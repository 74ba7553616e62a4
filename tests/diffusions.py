"""Diffusions, noise and samplers that several tests share."""

import numpy as np
import pytest

from tinydiff.base import Noise
from tinydiff.diffusion import GaussianDiffusion, cosine_schedule, ddim, ddpm, dpmpp_2m, heun, linear_schedule

LINEAR = GaussianDiffusion(linear_schedule(1000))
COSINE = GaussianDiffusion(cosine_schedule(100))
EMPTY_AT_T = GaussianDiffusion(cosine_schedule(50, max_beta=1))
FIVE_SIGMA = 5
NOISE = Noise(seed=0)
SAMPLERS = {
    "ddpm": lambda predict, d, x, steps, **kw: ddpm(predict, d, x, steps, noise=NOISE, **kw),
    "ddpm_beta_tilde": lambda predict, d, x, steps, **kw: ddpm(predict, d, x, steps, "beta_tilde", NOISE, **kw),
    "ddim": lambda predict, d, x, steps, **kw: ddim(predict, d, x, steps, **kw),
    "ddim_eta": lambda predict, d, x, steps, **kw: ddim(predict, d, x, steps, 0.7, NOISE, **kw),
    "heun": heun,
    "dpmpp_2m": dpmpp_2m,
}
every_sampler = pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS.keys())


def normal(*shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def scales(diffusion, t):
    alpha_bar = diffusion.alpha_bar_at(t)
    return alpha_bar**0.5, (1 - alpha_bar) ** 0.5
