"""DPM-Solver++(S) for the reverse SDE: two predictions in each step."""

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
def dpmpp_sde(
    predict: Predict,
    diffusion: GaussianDiffusion,
    x_T: Array,
    steps: int | Iterable[float],
    eta: float = 1.0,
    noise: NoiseSource | None = None,
    context: Any = None,
    end: float = 0,
) -> Chain:
    """Sample the reverse SDE by single steps of two predictions, DPM-Solver++(S) (Eq. DPMPP-SDE).

    x is taken to the middle of the step in lambda, with its part of the noise; what is predicted there holds for the
    whole step, whose noise is that of both halves. With eta = 0 it is `dpmpp_singlestep`.

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
    Crowson, k-diffusion, 2022, ``sample_dpmpp_sde``; Lu et al., DPM-Solver++, 2022, section 5.
    """
    check_number("eta", eta, 0)
    check_noise(noise, "eta", eta)
    x_t = start(x_T, context)
    for k, (t, s) in enumerate(step_pairs(diffusion, steps, end)):
        (a_t, b_t), (a_s, b_s) = scales(diffusion, t), scales(diffusion, s)
        first, h = half_log_snr(diffusion, t), half_log_snr(diffusion, s) - half_log_snr(diffusion, t)
        half = math.exp(-eta * h / 2) if eta > 0 else 1.0  # of the noise in x_t, what half of the step keeps
        x_0_hat, _ = checked_prediction(x_t, predict(x_t, per_sample(t, x_t), context))
        denoised, fresh = x_0_hat, 0.0
        if eta > 0 and b_s > 0:
            fresh = (1 - half**2) ** 0.5 * step_noise(noise, k, x_t)
        if h < math.inf:
            m = diffusion.time_at(first + h / 2)
            a_m, b_m = scales(diffusion, m)
            x_m = half * b_m / b_t * x_t + (a_m - half * a_t * b_m / b_t) * x_0_hat + b_m * fresh
            denoised, _ = checked_prediction(x_t, predict(x_m, per_sample(m, x_t), context))
        if eta > 0 and b_s > 0:
            fresh = half * fresh + (1 - half**2) ** 0.5 * step_noise(noise, k, x_t, "second half")
        x_t = half**2 * b_s / b_t * x_t + (a_s - half**2 * a_t * b_s / b_t) * denoised + b_s * fresh
        yield s, x_t, x_0_hat
