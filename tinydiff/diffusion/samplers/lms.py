"""Linear multistep: the polynomial through the last predictions of eps, in sigma."""

from collections.abc import Iterable
from typing import Any

from tinydiff.base import Array, check_choice, checked
from tinydiff.diffusion.process import GaussianDiffusion
from tinydiff.diffusion.samplers.chain import Chain, checked_prediction, scales, start
from tinydiff.diffusion.samplers.dpm_solver import step_by_eps
from tinydiff.diffusion.samplers.exponential import Known, interpolation_weights, weighted_sum
from tinydiff.diffusion.samplers.registry import sampler
from tinydiff.diffusion.targets import Predict
from tinydiff.diffusion.times import edm_steps, per_sample, step_pairs


@checked()
@sampler(times=edm_steps)
def lms(
    predict: Predict,
    diffusion: GaussianDiffusion,
    x_T: Array,
    steps: int | Iterable[float],
    order: int = 4,
    context: Any = None,
    end: float = 0,
) -> Chain:
    """Sample by Adams and Bashforth's method in sigma, of any order up to 4, one prediction a step (Eq. LMS-1).

    x / a changes by the integral, over sigma = b / a, of the polynomial through the last `order` predictions of eps.
    The first steps, which have not so many behind them, are steps of `dpm_solver` of one order less, so that the
    order holds from the start. rho-AB DEIS is the same method.

    Parameters
    ----------
    predict, diffusion, x_T, steps, context, end
        As for `ddpm`.
    order : int
        1 (which is `euler`) to 4.

    Raises
    ------
    InputError
        If an argument is out of range, or arrays differ in shape, dtype or device.

    References
    ----------
    Crowson, k-diffusion, 2022, ``sample_lms``; Zhang and Chen, "Fast sampling of diffusion models with exponential
    integrator", ICLR 2023, rho-AB.
    """
    check_choice("order", order, (1, 2, 3, 4))
    x_t = start(x_T, context)
    known: Known = []  # (sigma, eps_hat) of the last steps, the latest first
    for t, s in step_pairs(diffusion, steps, end):
        (a_t, b_t), (a_s, b_s) = scales(diffusion, t), scales(diffusion, s)
        prediction = checked_prediction(x_t, predict(x_t, per_sample(t, x_t), context))
        known = [(b_t / a_t, prediction[1]), *known[: order - 1]] if a_t > 0 else []
        if len(known) < order or b_s == 0:
            x_t = step_by_eps(predict, diffusion, x_t, t, s, prediction, max(1, order - 1), context)
        else:
            weights = interpolation_weights([sigma for sigma, _ in known], b_t / a_t, b_s / a_s)
            x_t = a_s / a_t * x_t + a_s * weighted_sum(weights, known)
        yield s, x_t, prediction[0]
