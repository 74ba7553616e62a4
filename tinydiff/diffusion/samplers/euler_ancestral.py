"""Euler's method with a part of the noise drawn afresh."""

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
def euler_ancestral(
    predict: Predict,
    diffusion: GaussianDiffusion,
    x_T: Array,
    steps: int | Iterable[float],
    eta: float = 1.0,
    noise: NoiseSource | None = None,
    context: Any = None,
    end: float = 0,
) -> Chain:
    """Sample by Euler's method down to less noise than is wanted, and add what is missing afresh (Eq. ANCESTRAL-1).

    sigma_down^2 + sigma_up^2 = sigma_s^2. It is the step of `ddim` with the same eta: what k-diffusion calls
    ancestral in sigma = b / a, and DDPM in x, are one thing.

    Parameters
    ----------
    predict, diffusion, x_T, steps, context, end
        As for `ddpm`.
    eta : float
        Share of the noise that is drawn afresh, from 0 (none: `euler`) to 1.
    noise : Noise or None
        Needed if eta > 0.

    Raises
    ------
    InputError
        If an argument is out of range, or arrays differ in shape, dtype or device.

    References
    ----------
    Crowson, k-diffusion, 2022, ``sample_euler_ancestral``.
    """
    check_number("eta", eta, 0, 1)
    check_noise(noise, "eta", eta)
    x_t = start(x_T, context)
    for k, (t, s) in enumerate(step_pairs(diffusion, steps, end)):
        a_s, _ = scales(diffusion, s)
        down, up = old_and_fresh_noise(diffusion, t, s, eta)
        x_0_hat, eps_hat = checked_prediction(x_t, predict(x_t, per_sample(t, x_t), context))
        x_t = a_s * x_0_hat + down * eps_hat
        if up > 0:
            x_t = x_t + up * step_noise(noise, k, x_t)
        yield s, x_t, x_0_hat
