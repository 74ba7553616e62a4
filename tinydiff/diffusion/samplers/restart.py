"""Restart: back up to more noise in one leap, and down again by the ODE."""

import math
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np

from tinydiff.base import Array, check_count, check_number, checked
from tinydiff.diffusion.process import GaussianDiffusion
from tinydiff.diffusion.samplers.chain import (
    MOST_REPEATS,
    Chain,
    NoiseSource,
    check_noise,
    scales,
    sigma_at_T,
    start,
    step_noise,
)
from tinydiff.diffusion.samplers.heun import heun_step
from tinydiff.diffusion.samplers.registry import sampler
from tinydiff.diffusion.targets import Predict
from tinydiff.diffusion.times import edm_steps, step_pairs


@checked()
@sampler(times=edm_steps)
def restart(
    predict: Predict,
    diffusion: GaussianDiffusion,
    x_T: Array,
    steps: int | Iterable[float],
    low: float = 0.1,
    high: float = 0.5,
    repeats: int = 2,
    inner: int = 3,
    noise: NoiseSource | None = None,
    context: Any = None,
    end: float = 0,
) -> Chain:
    """Sample by Heun's method, and where little noise is left, leap back to more and come down again (Eq. RESTART-1).

    An ODE makes small errors but keeps them all; fresh noise lets the chain forget them. Restart keeps the two apart:
    at the first time with sigma = b / a of `low` or less, noise is added at once up to `high`, and `inner` steps lead
    back. That is done `repeats` times.

    Parameters
    ----------
    predict, diffusion, x_T, steps, context, end
        As for `ddpm`.
    low, high : float
        The sigma from which to leap, and to which.
    repeats : int
        How often; 0 is `heun`.
    inner : int
        Steps from high down to low, at EDM's noise levels.
    noise : Noise
        Where fresh noise comes from: sample i gets the same in a batch of any size.

    Raises
    ------
    InputError
        If an argument is out of range, or arrays differ in shape, dtype or device.

    References
    ----------
    Xu, Deng, Cheng, Tian, Liu, Jaakkola, "Restart sampling for improving generative processes", NeurIPS 2023,
    Algorithm 1.
    """
    check_number("low", low, 0)
    check_number("high", high, low)
    check_count("repeats", repeats, least=0, most=MOST_REPEATS)
    check_count("inner", inner, most=MOST_REPEATS)
    check_noise(noise, "repeats", repeats)
    x_t, leapt, high = start(x_T, context), False, min(high, sigma_at_T(diffusion))
    for t, s in step_pairs(diffusion, steps, end):
        x_t, x_0_hat = heun_step(predict, diffusion, x_t, t, s, context)
        a_s, b_s = scales(diffusion, s)
        if not leapt and 0 < b_s <= low * a_s < high * a_s:
            leapt, sigma_s = True, b_s / a_s
            sigmas = np.linspace(high ** (1 / 7), sigma_s ** (1 / 7), inner + 1) ** 7  # Eq. EDM-5
            back = [*(diffusion.time_at(-math.log(sigma)) for sigma in sigmas[:-1]), s]
            a_high = scales(diffusion, back[0])[0]
            for k in range(repeats):
                x_t = a_high * (x_t / a_s + (high**2 - sigma_s**2) ** 0.5 * step_noise(noise, k, x_t))
                for higher, lower in pairwise(back):
                    x_t, x_0_hat = heun_step(predict, diffusion, x_t, higher, lower, context)
        yield s, x_t, x_0_hat
