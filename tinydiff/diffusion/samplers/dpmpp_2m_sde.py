"""DPM-Solver++(2M) for the reverse SDE."""

import math
from collections.abc import Iterable
from typing import Any

from tinydiff.base import Array, check_number, checked
from tinydiff.diffusion.process import GaussianDiffusion
from tinydiff.diffusion.samplers.chain import (
    Chain,
    NoiseSource,
    check_noise,
    checked_prediction,
    scales,
    start,
    step_noise,
)
from tinydiff.diffusion.samplers.exponential import half_log_snr
from tinydiff.diffusion.samplers.registry import sampler
from tinydiff.diffusion.targets import Predict
from tinydiff.diffusion.times import per_sample, step_pairs


@checked()
@sampler()
def dpmpp_2m_sde(
    predict: Predict,
    diffusion: GaussianDiffusion,
    x_T: Array,
    steps: int | Iterable[float],
    eta: float = 1.0,
    noise: NoiseSource | None = None,
    context: Any = None,
    end: float = 0,
) -> Chain:
    """Sample the reverse SDE by DPM-Solver++(2M), with one prediction a step (Eq. DPMPP-SDE).

    The noise and the linear part are solved exactly for an x_0_hat that follows the line through the last two
    predictions. With eta = 0 it is `dpmpp_2m`. For eta > 0 the path is followed to order 1, since a line through two
    predictions does not know the noise between them.

    Parameters
    ----------
    predict, diffusion, x_T, steps, context, end
        As for `ddpm`.
    eta : float
        Strength of the noise, 0 or more: 0 is the ODE, 1 the reverse of the forward SDE.
    noise : Noise
        Where fresh noise comes from: sample i gets the same in a batch of any size.

    Raises
    ------
    InputError
        If an argument is out of range, or arrays differ in shape, dtype or device.

    References
    ----------
    Lu, Zhou, Bao, Chen, Li, Zhu, "DPM-Solver++: fast solver for guided sampling of diffusion probabilistic
    models", 2022, section 5 and appendix D (SDE-DPM-Solver++(2M)); with eta,
    Crowson, k-diffusion, ``sample_dpmpp_2m_sde``.
    """
    check_number("eta", eta, 0)
    check_noise(noise, "eta", eta)
    x_t, previous, h_previous = start(x_T, context), None, math.inf
    for k, (t, s) in enumerate(step_pairs(diffusion, steps, end)):
        (a_t, b_t), (a_s, b_s) = scales(diffusion, t), scales(diffusion, s)
        h = half_log_snr(diffusion, s) - half_log_snr(diffusion, t)
        x_0_hat, _ = checked_prediction(x_t, predict(x_t, per_sample(t, x_t), context))
        denoised = x_0_hat
        if previous is not None and h < math.inf:
            denoised = x_0_hat + h / (2 * h_previous) * (x_0_hat - previous)
        kept = math.exp(-eta * h) if eta > 0 else 1.0  # of the noise in x_t
        x_t = kept * b_s / b_t * x_t + (a_s - kept * a_t * b_s / b_t) * denoised
        if b_s > 0 and eta > 0:
            x_t = x_t + b_s * (1 - kept**2) ** 0.5 * step_noise(noise, k, x_t)
        previous, h_previous = x_0_hat, h
        yield s, x_t, x_0_hat
