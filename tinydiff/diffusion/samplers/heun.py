"""Heun's method for the probability-flow ODE, with EDM's noise levels."""

from collections.abc import Iterable
from typing import Any

from tinydiff.base import Array, checked
from tinydiff.diffusion.process import GaussianDiffusion
from tinydiff.diffusion.samplers.chain import Chain, checked_prediction, scales, start
from tinydiff.diffusion.samplers.registry import sampler
from tinydiff.diffusion.targets import Predict
from tinydiff.diffusion.times import edm_steps, per_sample, step_pairs


@checked()
@sampler(times=edm_steps)
def heun(
    predict: Predict,
    diffusion: GaussianDiffusion,
    x_T: Array,
    steps: int | Iterable[float],
    context: Any = None,
    end: float = 0,
) -> Chain:
    """Sample the probability-flow ODE by Heun's method, order 2, as EDM does (Eq. EDM-ALG1).

    For x / a as a function of sigma = b / a the ODE reads d(x / a) / d sigma = eps_hat (Eq. DDIM-14). An Euler step
    is a DDIM step; the corrector replaces its slope by the mean of the slopes at both ends, so a step predicts
    twice. A step to sigma = 0 is left as Euler's, since x there has no noise to predict; so is one from sigma
    = infinity, where the change of sigma has no meaning. Times that suit it are those of `edm_steps`, which
    ``SAMPLERS["heun"]`` takes; here a number of steps stands for the times of `spaced_steps`.

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
    Karras, Aittala, Aila, Laine, "Elucidating the design space of diffusion-based generative models", NeurIPS
    2022, Algorithm 1.
    """
    x_t = start(x_T, context)
    for t, s in step_pairs(diffusion, steps, end):
        x_t, x_0_hat = heun_step(predict, diffusion, x_t, t, s, context)
        yield s, x_t, x_0_hat


def heun_step(
    predict: Predict, diffusion: GaussianDiffusion, x_t: Array, t: float, s: float, context: Any = None
) -> tuple[Array, Array]:
    """Return x_s, and x_0_hat at t, by a step of Heun's method, or of Euler's where sigma has no meaning at t or s."""
    (a_t, b_t), (a_s, b_s) = scales(diffusion, t), scales(diffusion, s)
    x_0_hat, eps_hat = checked_prediction(x_t, predict(x_t, per_sample(t, x_t), context))
    x_s = a_s * x_0_hat + b_s * eps_hat
    if a_t > 0 and b_s > 0:
        _, eps_hat_s = checked_prediction(x_t, predict(x_s, per_sample(s, x_t), context))
        x_s = x_s + (b_s - a_s * b_t / a_t) / 2 * (eps_hat_s - eps_hat)  # a_s (sigma_s - sigma_t) / 2
    return x_s, x_0_hat
