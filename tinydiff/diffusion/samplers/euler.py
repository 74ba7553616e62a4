"""Euler's method for the probability-flow ODE, in x / a and sigma."""

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
def euler(
    predict: Predict,
    diffusion: GaussianDiffusion,
    x_T: Array,
    steps: int | Iterable[float],
    context: Any = None,
    end: float = 0,
) -> Chain:
    """Sample the probability-flow ODE by Euler's method, order 1, at EDM's noise levels (Eq. EULER-1).

    x / a changes by eps_hat times the change of sigma = b / a. Written in x, that is the step of `ddim`, number for
    number: they differ in the times that are theirs by default.

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
    2022, section 3.
    """
    x_t = start(x_T, context)
    for t, s in step_pairs(diffusion, steps, end):
        (a_t, b_t), (a_s, b_s) = scales(diffusion, t), scales(diffusion, s)
        x_0_hat, eps_hat = checked_prediction(x_t, predict(x_t, per_sample(t, x_t), context))
        if a_t > 0 and b_s > 0:
            x_t = a_s * (x_t / a_t + (b_s / a_s - b_t / a_t) * eps_hat)
        else:  # sigma is infinite at t, or x_0_hat is what is left at s
            x_t = a_s * x_0_hat + b_s * eps_hat
        yield s, x_t, x_0_hat
