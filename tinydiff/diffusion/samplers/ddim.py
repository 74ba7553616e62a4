"""DDIM: the marginals of DDPM, with less fresh noise in each step, or none."""

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
from tinydiff.diffusion.samplers.registry import sampler
from tinydiff.diffusion.targets import Predict
from tinydiff.diffusion.times import per_sample, step_pairs


@checked()
@sampler()
def ddim(
    predict: Predict,
    diffusion: GaussianDiffusion,
    x_T: Array,
    steps: int | Iterable[float],
    eta: float = 0.0,
    noise: NoiseSource | None = None,
    context: Any = None,
    end: float = 0,
) -> Chain:
    """Sample by DDIM, whose steps keep the marginals q(x_s | x_0) for every eta (Eq. DDIM-12, Eq. DDIM-16).

    With eta = 0 it is Euler's method for the probability-flow ODE (order 1); with eta = 1 it is `ddpm` with the
    variance beta-tilde.

    Parameters
    ----------
    predict, diffusion, x_T, steps, context, end
        As for `ddpm`.
    eta : float
        Share of the noise that is drawn afresh, from 0 (none: deterministic) to 1.
    noise : Noise or None
        Needed if eta > 0.

    Raises
    ------
    InputError
        If an argument is out of range, or arrays differ in shape, dtype or device.

    References
    ----------
    Song, Meng, Ermon, "Denoising diffusion implicit models", ICLR 2021.
    """
    check_number("eta", eta, 0, 1)
    check_noise(noise, "eta", eta)
    x_t = start(x_T, context)
    for k, (t, s) in enumerate(step_pairs(diffusion, steps, end)):
        x_0_hat, eps_hat = checked_prediction(x_t, predict(x_t, per_sample(t, x_t), context))
        sigma_squared = eta**2 * diffusion.posterior_variance(t, s)  # Eq. DDIM-16
        radicand = diffusion.noise_variance(s) - sigma_squared
        assert radicand >= 0  # it cannot be negative; a clamp would hide a wrong sigma
        a_s, _ = scales(diffusion, s)
        x_t = a_s * x_0_hat + radicand**0.5 * eps_hat
        if sigma_squared > 0:
            x_t = x_t + sigma_squared**0.5 * step_noise(noise, k, x_t)
        yield s, x_t, x_0_hat
