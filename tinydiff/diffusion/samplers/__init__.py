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
from tinydiff.diffusion.samplers.chain import Chain, last
from tinydiff.diffusion.samplers.ddim import ddim
from tinydiff.diffusion.samplers.ddpm import ddpm
from tinydiff.diffusion.samplers.dpmpp_2m import dpmpp_2m
from tinydiff.diffusion.samplers.heun import heun
from tinydiff.diffusion.samplers.registry import SAMPLERS, Sampler, sampler

import_modules(__name__)

__all__ = ["SAMPLERS", "Chain", "Sampler", "ddim", "ddpm", "dpmpp_2m", "heun", "last", "sampler"]
