"""DPM-Solver++(3M): third order with one prediction per step."""

import math
from collections.abc import Iterable
from typing import Any

from tinydiff.base import Array, checked
from tinydiff.diffusion.process import GaussianDiffusion
from tinydiff.diffusion.samplers.chain import Chain, checked_prediction, scales, start
from tinydiff.diffusion.samplers.dpmpp_singlestep import step_by_x_0
from tinydiff.diffusion.samplers.exponential import Known, half_log_snr
from tinydiff.diffusion.samplers.registry import sampler
from tinydiff.diffusion.targets import Predict
from tinydiff.diffusion.times import per_sample, step_pairs


@checked()
@sampler()
def dpmpp_3m(
    predict: Predict,
    diffusion: GaussianDiffusion,
    x_T: Array,
    steps: int | Iterable[float],
    context: Any = None,
    end: float = 0,
) -> Chain:
    """Sample by DPM-Solver++(3M), order 3 with one prediction a step (Eq. DPMPP-3M).

    The ODE is solved exactly for an x_0_hat that is a parabola in lambda through the last three predictions. An error
    that is made once may be of one order less: so the first step is one of two predictions (`dpmpp_singlestep`), and
    the second draws a line. What the authors' code and others have instead is `dpmpp_3m_as_published`, of order 2.

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
    Lu, Zhou, Bao, Chen, Li, Zhu, "DPM-Solver++: fast solver for guided sampling of diffusion probabilistic
    models", 2022, appendix B; the second difference as in the authors' single-step Taylor form.
    """
    x_t = start(x_T, context)
    known: Known = []  # (lambda, x_0_hat) of the last steps, the latest first
    for t, s in step_pairs(diffusion, steps, end):
        (_, b_t), (a_s, b_s) = scales(diffusion, t), scales(diffusion, s)
        here, h = half_log_snr(diffusion, t), half_log_snr(diffusion, s) - half_log_snr(diffusion, t)
        x_0_hat, _ = checked_prediction(x_t, predict(x_t, per_sample(t, x_t), context))
        if math.isinf(h) or not known:
            x_t = step_by_x_0(predict, diffusion, x_t, t, s, x_0_hat, 2, context)
            known = [(here, x_0_hat)] if math.isfinite(here) else []
        else:
            known = [(here, x_0_hat), *known[:2]]
            slope, bend = slope_and_bend(known)
            fall = math.expm1(-h)
            x_t = b_s / b_t * x_t - a_s * (fall * x_0_hat - (h + fall) * slope - (h**2 / 2 - h - fall) * bend)
        yield s, x_t, x_0_hat


def slope_and_bend(known: Known) -> tuple[Array, Array | float]:
    """Return the first and second derivative, at the latest of two or three nodes, of the polynomial through them.

    Parameters
    ----------
    known : list of (node, value)
        The latest first. Through two of them runs a line, which has no bend.
    """
    (x_0, y_0), (x_1, y_1) = known[:2]
    slope = (y_0 - y_1) / (x_0 - x_1)
    if len(known) == 2:
        return slope, 0.0
    x_2, y_2 = known[2]
    change = (slope - (y_1 - y_2) / (x_1 - x_2)) / (x_0 - x_2)  # half of the second derivative
    return slope + (x_0 - x_1) * change, 2 * change
