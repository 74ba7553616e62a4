"""ER-SDE: SDEs with a noise scale of one's own, solved along a Taylor polynomial."""

import math
from collections.abc import Iterable
from typing import Any

from tinydiff.base import Array, check_choice, checked
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
from tinydiff.diffusion.samplers.dpmpp_3m import slope_and_bend
from tinydiff.diffusion.samplers.exponential import Known, gauss_rule
from tinydiff.diffusion.samplers.registry import sampler
from tinydiff.diffusion.targets import Predict
from tinydiff.diffusion.times import per_sample, step_pairs


@checked()
@sampler()
def er_sde(
    predict: Predict,
    diffusion: GaussianDiffusion,
    x_T: Array,
    steps: int | Iterable[float],
    order: int = 3,
    noise: NoiseSource | None = None,
    context: Any = None,
    end: float = 0,
) -> Chain:
    """Sample by ER-SDE-Solver of order 1, 2 or 3, one prediction a step (Eq. ERSDE-1).

    In x / a and sigma = b / a, any function phi(sigma) gives an SDE with the marginals of the ODE; sigma itself is
    the ODE, sigma^2 the reverse of the forward SDE. The default lies between: noise first, little towards the end.
    x_0_hat is extrapolated in sigma by differences of the last predictions.

    Parameters
    ----------
    predict, diffusion, x_T, steps, context, end
        As for `ddpm`.
    order : int
        1, 2 or 3.
    noise : Noise
        Where fresh noise comes from: sample i gets the same in a batch of any size.

    Raises
    ------
    InputError
        If an argument is out of range, or arrays differ in shape, dtype or device.

    References
    ----------
    Cui, Zhang, Zhang, Liang, "Elucidating the solution space of extended reverse-time SDE for diffusion models", 2023.
    """
    check_choice("order", order, (1, 2, 3))
    check_noise(noise, "er_sde")
    x_t = start(x_T, context)
    known: Known = []  # (sigma, x_0_hat) of the last steps, the latest first
    for k, (t, s) in enumerate(step_pairs(diffusion, steps, end)):
        (a_t, b_t), (a_s, b_s) = scales(diffusion, t), scales(diffusion, s)
        x_0_hat, eps_hat = checked_prediction(x_t, predict(x_t, per_sample(t, x_t), context))
        if b_s == 0 or a_t == 0:
            x_t = a_s * x_0_hat + b_s * (eps_hat if a_t > 0 else step_noise(noise, k, x_t))
            yield s, x_t, x_0_hat
            continue
        sigma_t, sigma_s = b_t / a_t, b_s / a_s
        known = [(sigma_t, x_0_hat), *known[: order - 1]]
        kept = phi(sigma_s) / phi(sigma_t)
        y = kept * x_t / a_t + (1 - kept) * x_0_hat
        if len(known) > 1:
            slope, bend = slope_and_bend(known)
            y = y + (sigma_s - sigma_t + moment(0, sigma_s, sigma_t)) * slope
            y = y + ((sigma_s - sigma_t) ** 2 / 2 + moment(1, sigma_s, sigma_t)) * bend
        variance = sigma_s**2 - (kept * sigma_t) ** 2
        x_t = a_s * (y + variance**0.5 * step_noise(noise, k, x_t))
        yield s, x_t, x_0_hat


def phi(sigma: float) -> float:
    """Return the noise scale of ER-SDE-5, which the paper found best."""
    return sigma * (math.exp(sigma**0.3) + 10)


def moment(power: int, sigma_s: float, sigma_t: float) -> float:
    """Return phi(sigma_s) times the integral of (sigma - sigma_t)^power / phi(sigma) from sigma_s to sigma_t."""
    log_sigma, shares = gauss_rule(math.log(sigma_s), math.log(sigma_t))  # in log sigma the integrand is smooth
    values = [(sigma - sigma_t) ** power / phi(sigma) * sigma for sigma in map(math.exp, log_sigma)]
    return phi(sigma_s) * float(shares @ values)
