"""DPM-Solver++(2S) and (3S): one step of several predictions of x_0."""

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
def dpmpp_singlestep(
    predict: Predict,
    diffusion: GaussianDiffusion,
    x_T: Array,
    steps: int | Iterable[float],
    order: int = 2,
    context: Any = None,
    end: float = 0,
) -> Chain:
    """Sample by DPM-Solver++(2S) or (3S): `order` predictions of x_0 in each step (Eq. DPMPP-2S, Eq. DPMPP-3S).

    As `dpm_solver`, but the ODE is solved exactly for an x_0_hat, which stays within the bounds of the data when
    guidance is strong, instead of for an eps_hat.

    Parameters
    ----------
    predict, diffusion, x_T, steps, context, end
        As for `ddpm`.
    order : int
        2 or 3.

    Raises
    ------
    InputError
        If an argument is out of range, or arrays differ in shape, dtype or device.

    References
    ----------
    Lu, Zhou, Bao, Chen, Li, Zhu, "DPM-Solver++: fast solver for guided sampling of diffusion probabilistic
    models", 2022, Algorithm 1; the third order is in the authors' code.
    """
    check_choice("order", order, (2, 3))
    x_t = start(x_T, context)
    for t, s in step_pairs(diffusion, steps, end):
        x_0_hat, _ = checked_prediction(x_t, predict(x_t, per_sample(t, x_t), context))
        x_t = step_by_x_0(predict, diffusion, x_t, t, s, x_0_hat, order, context)
        yield s, x_t, x_0_hat


def step_by_x_0(
    predict: Predict,
    diffusion: GaussianDiffusion,
    x_t: Array,
    t: float,
    s: float,
    x_0_hat: Array,
    order: int,
    context: Any = None,
) -> Array:
    """Return x_s by a step of this order, given x_0_hat at t; where lambda is infinite at t or s, of order 1."""
    (a_t, b_t), (a_s, b_s) = scales(diffusion, t), scales(diffusion, s)
    first, last = half_log_snr(diffusion, t), half_log_snr(diffusion, s)
    h = last - first
    if order == 1 or math.isinf(h):
        return b_s / b_t * x_t + (a_s - a_t * b_s / b_t) * x_0_hat
    if order == 2:
        m = diffusion.time_at(first + h / 2)
        a_m, b_m = scales(diffusion, m)
        x_m = b_m / b_t * x_t - a_m * math.expm1(-h / 2) * x_0_hat
        x_0_m, _ = checked_prediction(x_t, predict(x_m, per_sample(m, x_t), context))
        return b_s / b_t * x_t - a_s * math.expm1(-h) * x_0_m
    t_1, t_2 = diffusion.time_at(first + h / 3), diffusion.time_at(first + 2 * h / 3)
    (a_1, b_1), (a_2, b_2) = scales(diffusion, t_1), scales(diffusion, t_2)
    fall_1, fall_2, fall = math.expm1(-h / 3), math.expm1(-2 * h / 3), math.expm1(-h)
    x_1 = b_1 / b_t * x_t - a_1 * fall_1 * x_0_hat
    x_0_1, _ = checked_prediction(x_t, predict(x_1, per_sample(t_1, x_t), context))
    x_2 = b_2 / b_t * x_t - a_2 * (fall_2 * x_0_hat - 2 * (fall_2 / (2 * h / 3) + 1) * (x_0_1 - x_0_hat))
    x_0_2, _ = checked_prediction(x_t, predict(x_2, per_sample(t_2, x_t), context))
    return b_s / b_t * x_t - a_s * (fall * x_0_hat - 3 / 2 * (fall / h + 1) * (x_0_2 - x_0_hat))
