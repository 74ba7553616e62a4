"""DPM-Solver++(2M): second order with one prediction per step."""

import math
from collections.abc import Iterable
from typing import Any

from tinydiff.base import Array, checked
from tinydiff.diffusion.process import GaussianDiffusion
from tinydiff.diffusion.samplers.chain import Chain, checked_prediction, scales, start
from tinydiff.diffusion.samplers.exponential import half_log_snr
from tinydiff.diffusion.samplers.registry import sampler
from tinydiff.diffusion.targets import Predict
from tinydiff.diffusion.times import per_sample, step_pairs


@checked()
@sampler()
def dpmpp_2m(
    predict: Predict,
    diffusion: GaussianDiffusion,
    x_T: Array,
    steps: int | Iterable[float],
    context: Any = None,
    end: float = 0,
) -> Chain:
    """Sample the probability-flow ODE by DPM-Solver++(2M), order 2 with one prediction a step (Eq. DPMPP-2M).

    In lambda = log(a / b), half the log-SNR, the ODE is linear but for x_0_hat, and is solved exactly for an x_0_hat
    that is constant (first order) or, from the second step on, linear through the last two predictions. The
    step to t = 0 has infinite length in lambda, where a line cannot be followed: it is of first order and returns
    x_0_hat.

    Parameters
    ----------
    predict, diffusion, x_T, steps, context, end
        As for `ddpm`.

    Raises
    ------
    InputError
        If an argument is out of range, or arrays differ in shape, dtype or device.

    References
    ----------
    Lu, Zhou, Bao, Chen, Li, Zhu, "DPM-Solver++: fast solver for guided sampling of diffusion probabilistic
    models", 2022, Algorithm 2.
    """
    x_t, previous, h_previous = start(x_T, context), None, math.inf
    for t, s in step_pairs(diffusion, steps, end):
        (a_t, b_t), (a_s, b_s) = scales(diffusion, t), scales(diffusion, s)
        h = half_log_snr(diffusion, s) - half_log_snr(diffusion, t)
        x_0_hat, _ = checked_prediction(x_t, predict(x_t, per_sample(t, x_t), context))
        denoised = x_0_hat
        if previous is not None and h < math.inf:
            denoised = x_0_hat + h / (2 * h_previous) * (x_0_hat - previous)
        x_t = b_s / b_t * x_t + (a_s - a_t * b_s / b_t) * denoised  # a_s (1 - exp(-h))
        previous, h_previous = x_0_hat, h
        yield s, x_t, x_0_hat
