"""EDM's sampler: Heun's method, with noise added before each step and taken away in it."""

import math
from collections.abc import Iterable
from typing import Any

from tinydiff.base import Array, check_number, checked
from tinydiff.diffusion.process import GaussianDiffusion
from tinydiff.diffusion.samplers.chain import Chain, NoiseSource, check_noise, scales, sigma_at_T, start, step_noise
from tinydiff.diffusion.samplers.heun import heun_step
from tinydiff.diffusion.samplers.registry import sampler
from tinydiff.diffusion.targets import Predict
from tinydiff.diffusion.times import edm_steps, step_pairs


@checked()
@sampler(times=edm_steps)
def edm(
    predict: Predict,
    diffusion: GaussianDiffusion,
    x_T: Array,
    steps: int | Iterable[float],
    churn: float = 40.0,
    s_min: float = 0.05,
    s_max: float = 50.0,
    s_noise: float = 1.003,
    noise: NoiseSource | None = None,
    context: Any = None,
    end: float = 0,
) -> Chain:
    """Sample by EDM's stochastic sampler: add some noise, then take a step of Heun's method from there (Eq. EDM-ALG2).

    Where sigma = b / a lies between s_min and s_max, it is first raised by the share churn / N, at most by 41 %, with
    fresh noise. That corrects errors of earlier steps, and makes some: too much of it costs detail. With churn 0 it
    is `heun`.

    Parameters
    ----------
    predict, diffusion, x_T, steps, context, end
        As for `ddpm`.
    churn : float
        Over N steps, how much the noise is raised in all; the defaults are those for ImageNet at 64 x 64.
    s_min, s_max : float
        Between which sigma it is.
    s_noise : float
        Standard deviation of what is added; slightly above 1, since networks take away a little too much.
    noise : Noise
        Where fresh noise comes from: sample i gets the same in a batch of any size.

    Raises
    ------
    InputError
        If an argument is out of range, or arrays differ in shape, dtype or device.

    References
    ----------
    Karras, Aittala, Aila, Laine, "Elucidating the design space of diffusion-based generative models", NeurIPS
    2022, Algorithm 2.
    """
    check_number("churn", churn, 0)
    check_number("s_min", s_min, 0)
    check_number("s_max", s_max, s_min)
    check_number("s_noise", s_noise, 0)
    check_noise(noise, "churn", churn)
    x_t, pairs = start(x_T, context), step_pairs(diffusion, steps, end)
    for k, (t, s) in enumerate(pairs):
        a_t, b_t = scales(diffusion, t)
        if churn > 0 and a_t > 0 and s_min <= b_t / a_t <= s_max:
            raised = min(1 + min(churn / len(pairs), 2**0.5 - 1), sigma_at_T(diffusion) / (b_t / a_t))
            added = b_t / a_t * (raised**2 - 1) ** 0.5
            t = diffusion.time_at(-math.log(raised * b_t / a_t))
            x_t = scales(diffusion, t)[0] * (x_t / a_t + s_noise * added * step_noise(noise, k, x_t))
        x_t, x_0_hat = heun_step(predict, diffusion, x_t, t, s, context)
        yield s, x_t, x_0_hat
