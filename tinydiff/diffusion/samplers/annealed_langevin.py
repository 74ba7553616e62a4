"""Annealed Langevin dynamics, the sampler of the first score networks (NCSN)."""

from collections.abc import Iterable
from typing import Any

from tinydiff.base import Array, check_count, check_number, checked
from tinydiff.diffusion.process import GaussianDiffusion
from tinydiff.diffusion.samplers.chain import (
    MOST_REPEATS,
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
from tinydiff.diffusion.times import edm_steps, per_sample, step_pairs


@checked()
@sampler(times=edm_steps)
def annealed_langevin(
    predict: Predict,
    diffusion: GaussianDiffusion,
    x_T: Array,
    steps: int | Iterable[float],
    step_size: float = 0.1,
    repeats: int = 5,
    noise: NoiseSource | None = None,
    context: Any = None,
    end: float = 0,
) -> Chain:
    """Sample by Langevin's dynamics at one noise level after another (Eq. NCSN-ALG1).

    Nothing leads from one level to the next: x / a stays as it is, with too much noise for the new level, and the
    steps there bring it to the new density. So it takes many of them. The step to t = 0 is x_0_hat, as later code has
    it.

    Parameters
    ----------
    predict, diffusion, x_T, steps, context, end
        As for `ddpm`.
    step_size : float
        Of a step, in units of the variance b^2 of the noise, from 0 to 1.
    repeats : int
        Steps at each level.
    noise : Noise
        Where fresh noise comes from: sample i gets the same in a batch of any size.

    Raises
    ------
    InputError
        If an argument is out of range, or arrays differ in shape, dtype or device.

    References
    ----------
    Song and Ermon, "Generative modeling by estimating gradients of the data distribution", NeurIPS 2019, Algorithm 1;
    the last step, Jolicoeur-Martineau et al., 2021.
    """
    check_number("step_size", step_size, 0, 1)
    check_count("repeats", repeats, most=MOST_REPEATS)
    check_noise(noise, "annealed_langevin")
    x_t = start(x_T, context)
    for k, (t, s) in enumerate(step_pairs(diffusion, steps, end)):
        (a_t, b_t), (a_s, b_s) = scales(diffusion, t), scales(diffusion, s)
        x_0_hat, eps_hat = checked_prediction(x_t, predict(x_t, per_sample(t, x_t), context))
        for j in range(repeats):
            fresh = (2 * step_size) ** 0.5 * b_t * step_noise(noise, k, x_t, f"repeat {j}")
            x_t = x_t - step_size * b_t * eps_hat + fresh  # step_size b^2 times the score, -eps_hat / b
            x_0_hat, eps_hat = checked_prediction(x_t, predict(x_t, per_sample(t, x_t), context))
        x_t = a_s / a_t * x_t if a_t > 0 and b_s > 0 else a_s * x_0_hat + b_s * eps_hat
        yield s, x_t, x_0_hat
