"""DEIS: an exponential integrator along the last predictions of eps."""

from collections.abc import Iterable
from typing import Any

from tinydiff.base import Array, check_choice, checked
from tinydiff.diffusion.process import GaussianDiffusion
from tinydiff.diffusion.samplers.chain import Chain, checked_prediction, scales, start
from tinydiff.diffusion.samplers.dpm_solver import step_by_eps
from tinydiff.diffusion.samplers.exponential import Known, exponential_weights, half_log_snr, weighted_sum
from tinydiff.diffusion.samplers.registry import sampler
from tinydiff.diffusion.targets import Predict
from tinydiff.diffusion.times import per_sample, step_pairs


@checked()
@sampler()
def deis(
    predict: Predict,
    diffusion: GaussianDiffusion,
    x_T: Array,
    steps: int | Iterable[float],
    order: int = 3,
    context: Any = None,
    end: float = 0,
) -> Chain:
    """Sample by DEIS, the polynomial in lambda through the last predictions of eps, one prediction a step (Eq. DEIS-1).

    The linear part of the ODE is solved exactly. This is rho-AB DEIS with the polynomial in log rho, as in public
    code; with the polynomial in rho itself it is `lms`. The first steps are those of `dpm_solver` of one order less.

    Parameters
    ----------
    predict, diffusion, x_T, steps, context, end
        As for `ddpm`.
    order : int
        1 (which is `ddim`) to 4.

    Raises
    ------
    InputError
        If an argument is out of range, or arrays differ in shape, dtype or device.

    References
    ----------
    Zhang and Chen, "Fast sampling of diffusion models with exponential integrator", ICLR 2023.
    """
    check_choice("order", order, (1, 2, 3, 4))
    x_t = start(x_T, context)
    known: Known = []  # (lambda, eps_hat) of the last steps, the latest first
    for t, s in step_pairs(diffusion, steps, end):
        (a_t, _), (a_s, b_s) = scales(diffusion, t), scales(diffusion, s)
        here, there = half_log_snr(diffusion, t), half_log_snr(diffusion, s)
        prediction = checked_prediction(x_t, predict(x_t, per_sample(t, x_t), context))
        known = [(here, prediction[1]), *known[: order - 1]] if a_t > 0 else []
        if len(known) < order or b_s == 0:
            x_t = step_by_eps(predict, diffusion, x_t, t, s, prediction, max(1, order - 1), context)
        else:
            weights = exponential_weights([node for node, _ in known], here, there, -1)
            x_t = a_s / a_t * x_t + b_s * weighted_sum(weights, known)
        yield s, x_t, prediction[0]
