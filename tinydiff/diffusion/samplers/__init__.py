"""Samplers, one in each file: generators that go from noise to a sample and yield ``(t, x_t, x_0_hat)``.

Each takes ``predict(x_t, t, context) -> (x_0_hat, eps_hat)`` and visits the times ``steps``, then ``end``. After each
step it yields the time reached, x there, and the x_0_hat that led there; the last x_t is the sample. Nothing
runs before the first value is asked for; `last` runs a chain to its end.

All have one order of arguments: ``f(predict, diffusion, x_T, steps, <its own>, noise, context, end)``, without noise
where none is drawn. Each is decorated with `sampler`, which puts it into the list `SAMPLERS`: a new file in this
folder is found by itself, and ``SAMPLERS[name]`` calls any of them in one way.

In their code a step goes from t to an earlier s, with a = sqrt(alpha_bar) and b = sqrt(1 - alpha_bar) at both.
Coefficients are float64 Python numbers, so x keeps its dtype. Where alpha_bar is 0 (pure noise) every formula is
written so that it stays finite, if `predict` can predict x_0 there.
"""

from tinydiff.base import import_modules
from tinydiff.diffusion.samplers.adaptive import adaptive
from tinydiff.diffusion.samplers.annealed_langevin import annealed_langevin
from tinydiff.diffusion.samplers.chain import Chain, last
from tinydiff.diffusion.samplers.ddim import ddim
from tinydiff.diffusion.samplers.ddpm import ddpm
from tinydiff.diffusion.samplers.deis import deis
from tinydiff.diffusion.samplers.dpm_2 import dpm_2
from tinydiff.diffusion.samplers.dpm_solver import dpm_solver
from tinydiff.diffusion.samplers.dpmpp_2m import dpmpp_2m
from tinydiff.diffusion.samplers.dpmpp_2m_sde import dpmpp_2m_sde
from tinydiff.diffusion.samplers.dpmpp_3m import dpmpp_3m
from tinydiff.diffusion.samplers.dpmpp_3m_as_published import dpmpp_3m_as_published
from tinydiff.diffusion.samplers.dpmpp_3m_sde import dpmpp_3m_sde
from tinydiff.diffusion.samplers.dpmpp_sde import dpmpp_sde
from tinydiff.diffusion.samplers.dpmpp_singlestep import dpmpp_singlestep
from tinydiff.diffusion.samplers.edm import edm
from tinydiff.diffusion.samplers.er_sde import er_sde
from tinydiff.diffusion.samplers.euler import euler
from tinydiff.diffusion.samplers.euler_ancestral import euler_ancestral
from tinydiff.diffusion.samplers.heun import heun
from tinydiff.diffusion.samplers.lms import lms
from tinydiff.diffusion.samplers.plms import plms
from tinydiff.diffusion.samplers.predictor_corrector import predictor_corrector
from tinydiff.diffusion.samplers.registry import SAMPLERS, Sampler, sampler
from tinydiff.diffusion.samplers.restart import restart
from tinydiff.diffusion.samplers.sa_solver import sa_solver
from tinydiff.diffusion.samplers.shortcut import shortcut
from tinydiff.diffusion.samplers.unipc import unipc

import_modules(__name__)

__all__ = [
    "SAMPLERS",
    "Chain",
    "Sampler",
    "adaptive",
    "annealed_langevin",
    "ddim",
    "ddpm",
    "deis",
    "dpm_2",
    "dpm_solver",
    "dpmpp_2m",
    "dpmpp_2m_sde",
    "dpmpp_3m",
    "dpmpp_3m_as_published",
    "dpmpp_3m_sde",
    "dpmpp_sde",
    "dpmpp_singlestep",
    "edm",
    "er_sde",
    "euler",
    "euler_ancestral",
    "heun",
    "last",
    "lms",
    "plms",
    "predictor_corrector",
    "restart",
    "sa_solver",
    "sampler",
    "shortcut",
    "unipc",
]
