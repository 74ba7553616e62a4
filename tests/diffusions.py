"""Diffusions, noise and samplers that several tests share."""

import sys

import numpy as np
import pytest

from tinydiff import diffusion as D
from tinydiff.base import Noise
from tinydiff.diffusion import GaussianDiffusion, cosine_schedule, linear_schedule

LINEAR = GaussianDiffusion(linear_schedule(1000))
COSINE = GaussianDiffusion(cosine_schedule(100))
EMPTY_AT_T = GaussianDiffusion(cosine_schedule(50, max_beta=1))
FIVE_SIGMA = 5
UNTOLD = sorted(name for name, listed in D.SAMPLERS.items() if not listed.tells_step_size)  # for any network
NOISE = Noise(seed=0)


class Constant:
    """A source whose every number is the same: to read the coefficient of the noise off a result, or for silence."""

    def __init__(self, value):
        self.value = value

    def at(self, **changes):
        return self

    def normal(self, shape, purpose, layer="", dtype=np.float64):
        return np.full(shape, self.value, dtype)


def named(name, **options):
    """Return a sampler of the list with options, and with `NOISE` if it draws any; steps are as they are given."""
    listed = D.SAMPLERS[name]
    public = getattr(sys.modules[listed.walk.__module__], name)
    options |= {"noise": NOISE} if listed.draws_noise else {}
    return lambda *arguments, **more: public(*arguments, **options, **more)


VARIANTS = {  # samplers with options that make them behave in another way
    "ddpm_beta_tilde": named("ddpm", variance="beta_tilde"),
    "ddim_eta": named("ddim", eta=0.7),
    "dpm_2_ancestral": named("dpm_2", eta=1.0),
    "dpm_solver_3": named("dpm_solver", order=3),
    "dpmpp_3s": named("dpmpp_singlestep", order=3),
    "dpmpp_2m_sde_strong": named("dpmpp_2m_sde", eta=2.0),
    "dpmpp_3m_sde_ode": named("dpmpp_3m_sde", eta=0.0),
    "edm_silent": named("edm", churn=0.0),
    "er_sde_1": named("er_sde", order=1),
    "lms_2": named("lms", order=2),
    "deis_4": named("deis", order=4),
    "pndm": named("plms", begin="runge_kutta"),
    "sa_solver_ode": named("sa_solver", tau=0.0, predictor=3, corrector=4),
    "sa_predictor": named("sa_solver", corrector=0),
    "unipc_1": named("unipc", order=1),
    "unipc_3": named("unipc", order=3),
}
SAMPLERS = {name: named(name) for name in D.SAMPLERS} | VARIANTS
MIXTURE = {"weights": [0.3, 0.7], "means": [[-1.0, 0.3], [0.8, -0.5]], "covariances": [0.1, 0.3]}
# Another mixture in two dimensions.
WEIGHTS, VARIANCES = np.array([0.3, 0.4, 0.3]), np.array([0.1, 0.3, 0.15])
MEANS = np.array([[-1.0, 0.3], [0.8, -0.5], [0.2, 1.0]])
every_sampler = pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS.keys())


def normal(*shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def scales(diffusion, t):
    alpha_bar = diffusion.alpha_bar_at(t)
    return alpha_bar**0.5, (1 - alpha_bar) ** 0.5
