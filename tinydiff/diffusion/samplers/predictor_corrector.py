"""Predictor and corrector: an ancestral step, then Langevin steps at the noise level reached."""

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
    old_and_fresh_noise,
    scales,
    start,
    step_noise,
)
from tinydiff.diffusion.samplers.registry import sampler
from tinydiff.diffusion.targets import Predict
from tinydiff.diffusion.times import per_sample, step_pairs


@checked()
@sampler()
def predictor_corrector(
    predict: Predict,
    diffusion: GaussianDiffusion,
    x_T: Array,
    steps: int | Iterable[float],
    snr: float = 0.16,
    corrections: int = 1,
    noise: NoiseSource | None = None,
    context: Any = None,
    end: float = 0,
) -> Chain:
    """Sample by ancestral steps, each of them followed by steps of Langevin's dynamics at the same noise (Eq. PC-1).

    A step of Langevin goes along the score and adds noise: repeated, it leads to the right density at that noise
    level, wherever it began. Its size is snr, that of the paper with the expected lengths of score and noise in the
    place of those of a batch. A finite step leaves too much variance, by the share snr^2 of b^2, however many steps
    there are.

    Parameters
    ----------
    predict, diffusion, x_T, steps, context, end
        As for `ddpm`.
    snr : float
        Size of a correction, from 0 to 1.
    corrections : int
        How many follow each step.
    noise : Noise
        Where fresh noise comes from: sample i gets the same in a batch of any size.

    Raises
    ------
    InputError
        If an argument is out of range, or arrays differ in shape, dtype or device.

    References
    ----------
    Song, Sohl-Dickstein, Kingma, Kumar, Ermon, Poole, "Score-based generative modeling through stochastic differential
    equations", ICLR 2021, appendix G, Algorithm 3 and 5.
    """
    check_number("snr", snr, 0, 1)
    check_count("corrections", corrections, least=0, most=MOST_REPEATS)
    check_noise(noise, "predictor_corrector")
    x_t = start(x_T, context)
    for k, (t, s) in enumerate(step_pairs(diffusion, steps, end)):
        a_s, b_s = scales(diffusion, s)
        old, fresh = old_and_fresh_noise(diffusion, t, s, eta=1)
        x_0_hat, eps_hat = checked_prediction(x_t, predict(x_t, per_sample(t, x_t), context))
        x_t = a_s * x_0_hat + old * eps_hat
        if b_s > 0:
            x_t = x_t + fresh * step_noise(noise, k, x_t)
            for j in range(corrections):
                _, eps_s = checked_prediction(x_t, predict(x_t, per_sample(s, x_t), context))
                x_t = x_t - 2 * snr**2 * b_s * eps_s + 2 * snr * b_s * step_noise(noise, k, x_t, f"correction {j}")
        yield s, x_t, x_0_hat
