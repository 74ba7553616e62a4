"""DPM-Solver: one step of several predictions of eps, of order 1, 2 or 3."""

import math
from collections.abc import Iterable
from typing import Any

from tinydiff.base import Array, check_choice, checked
from tinydiff.diffusion.process import GaussianDiffusion
from tinydiff.diffusion.samplers.chain import Chain, checked_prediction, scales, start
from tinydiff.diffusion.samplers.exponential import half_log_snr
from tinydiff.diffusion.samplers.registry import sampler
from tinydiff.diffusion.targets import Predict
from tinydiff.diffusion.times import per_sample, step_pairs


@checked()
@sampler()
def dpm_solver(
    predict: Predict,
    diffusion: GaussianDiffusion,
    x_T: Array,
    steps: int | Iterable[float],
    order: int = 2,
    context: Any = None,
    end: float = 0,
) -> Chain:
    """Sample by DPM-Solver-1, -2 or -3: `order` predictions of eps in each step (Eq. DPM-2, Eq. DPM-3).

    In lambda = log(a / b) the ODE is linear but for eps_hat. A step of order 2 takes eps_hat from the middle of the
    step in lambda, one of order 3 a line through its start and two thirds of it. The first and the last step are of
    order 1 where lambda is infinite.

    Parameters
    ----------
    predict, diffusion, x_T, steps, context, end
        As for `ddpm`.
    order : int
        1 (which is `ddim`), 2 or 3.

    Raises
    ------
    InputError
        If an argument is out of range, or arrays differ in shape, dtype or device.

    References
    ----------
    Lu, Zhou, Bao, Chen, Li, Zhu, "DPM-Solver: a fast ODE solver for diffusion probabilistic model sampling in around
    10 steps", NeurIPS 2022, Algorithms 1 and 2.
    """
    check_choice("order", order, (1, 2, 3))
    x_t = start(x_T, context)
    for t, s in step_pairs(diffusion, steps, end):
        prediction = checked_prediction(x_t, predict(x_t, per_sample(t, x_t), context))
        x_t = step_by_eps(predict, diffusion, x_t, t, s, prediction, order, context)
        yield s, x_t, prediction[0]


def step_by_eps(
    predict: Predict,
    diffusion: GaussianDiffusion,
    x_t: Array,
    t: float,
    s: float,
    prediction: tuple[Array, Array],
    order: int,
    context: Any = None,
) -> Array:
    """Return x_s by a step of this order, given the prediction at t; where lambda is infinite at t or s, of order 1."""
    x_0_hat, eps_0 = prediction
    (a_t, _), (a_s, b_s) = scales(diffusion, t), scales(diffusion, s)
    first, last = half_log_snr(diffusion, t), half_log_snr(diffusion, s)
    if order == 1 or math.isinf(last - first):
        return a_s * x_0_hat + b_s * eps_0
    h = last - first
    if order == 2:
        m = diffusion.time_at(first + h / 2)
        a_m, b_m = scales(diffusion, m)
        x_m = a_m / a_t * x_t - b_m * math.expm1(h / 2) * eps_0
        _, eps_m = checked_prediction(x_t, predict(x_m, per_sample(m, x_t), context))
        return a_s / a_t * x_t - b_s * math.expm1(h) * eps_m
    t_1, t_2 = diffusion.time_at(first + h / 3), diffusion.time_at(first + 2 * h / 3)
    (a_1, b_1), (a_2, b_2) = scales(diffusion, t_1), scales(diffusion, t_2)
    grow_1, grow_2, grow = math.expm1(h / 3), math.expm1(2 * h / 3), math.expm1(h)
    x_1 = a_1 / a_t * x_t - b_1 * grow_1 * eps_0
    _, eps_1 = checked_prediction(x_t, predict(x_1, per_sample(t_1, x_t), context))
    x_2 = a_2 / a_t * x_t - b_2 * (grow_2 * eps_0 + 2 * (grow_2 / (2 * h / 3) - 1) * (eps_1 - eps_0))
    _, eps_2 = checked_prediction(x_t, predict(x_2, per_sample(t_2, x_t), context))
    return a_s / a_t * x_t - b_s * (grow * eps_0 + 3 / 2 * (grow / h - 1) * (eps_2 - eps_0))
