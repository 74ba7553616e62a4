"""DPM2: the midpoint rule in log sigma, with a part of the noise drawn afresh if wanted."""

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
    old_and_fresh_noise,
    scales,
    start,
    step_noise,
)
from tinydiff.diffusion.samplers.registry import sampler
from tinydiff.diffusion.targets import Predict
from tinydiff.diffusion.times import edm_steps, per_sample, step_pairs


@checked()
@sampler(times=edm_steps)
def dpm_2(
    predict: Predict,
    diffusion: GaussianDiffusion,
    x_T: Array,
    steps: int | Iterable[float],
    eta: float = 0.0,
    noise: NoiseSource | None = None,
    context: Any = None,
    end: float = 0,
) -> Chain:
    """Sample by the midpoint rule between two noise levels, order 2 with two predictions a step (Eq. DPM2-1).

    An Euler step goes half of the way in log sigma, and eps_hat there is followed all the way, in x / a and sigma.
    That is the step of `dpm_solver` of order 2, number for number. With eta > 0 it ends at sigma_down, and noise is
    added as in `euler_ancestral`.

    Parameters
    ----------
    predict, diffusion, x_T, steps, context, end
        As for `ddpm`.
    eta : float
        Share of the noise that is drawn afresh, from 0 (none: the ODE) to 1 ("DPM2 a").
    noise : Noise
        Where fresh noise comes from: sample i gets the same in a batch of any size.

    Raises
    ------
    InputError
        If an argument is out of range, or arrays differ in shape, dtype or device.

    References
    ----------
    Crowson, k-diffusion, 2022, ``sample_dpm_2``, ``sample_dpm_2_ancestral``.
    """
    check_number("eta", eta, 0, 1)
    check_noise(noise, "eta", eta)
    x_t = start(x_T, context)
    for k, (t, s) in enumerate(step_pairs(diffusion, steps, end)):
        (a_t, b_t), (a_s, _) = scales(diffusion, t), scales(diffusion, s)
        down, up = old_and_fresh_noise(diffusion, t, s, eta)
        x_0_hat, eps_hat = checked_prediction(x_t, predict(x_t, per_sample(t, x_t), context))
        if a_t > 0 and down > 0:
            sigma_t, sigma_down = b_t / a_t, down / a_s
            sigma_m = (sigma_t * sigma_down) ** 0.5
            m = diffusion.time_at(-math.log(sigma_m))
            x_m = scales(diffusion, m)[0] * (x_t / a_t + (sigma_m - sigma_t) * eps_hat)
            _, eps_m = checked_prediction(x_t, predict(x_m, per_sample(m, x_t), context))
            x_t = a_s * (x_t / a_t + (sigma_down - sigma_t) * eps_m)
        else:
            x_t = a_s * x_0_hat + down * eps_hat
        if up > 0:
            x_t = x_t + up * step_noise(noise, k, x_t)
        yield s, x_t, x_0_hat
