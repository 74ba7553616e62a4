"""UniPC: a predictor, and a corrector that costs no prediction."""

import math
from collections.abc import Iterable
from typing import Any

from tinydiff.base import Array, check_choice, checked
from tinydiff.diffusion.process import GaussianDiffusion
from tinydiff.diffusion.samplers.chain import Chain, checked_prediction, start
from tinydiff.diffusion.samplers.dpmpp_singlestep import step_by_x_0
from tinydiff.diffusion.samplers.exponential import Known, along_polynomial, half_log_snr
from tinydiff.diffusion.samplers.registry import sampler
from tinydiff.diffusion.targets import Predict
from tinydiff.diffusion.times import per_sample, step_pairs


@checked()
@sampler()
def unipc(
    predict: Predict,
    diffusion: GaussianDiffusion,
    x_T: Array,
    steps: int | Iterable[float],
    order: int = 2,
    context: Any = None,
    end: float = 0,
) -> Chain:
    """Sample by UniPC of order p: a predictor of order p, and a corrector that makes it p + 1 (Eq. UNIPC-1).

    The predictor goes along the polynomial through the last p predictions of x_0. When x_0_hat at the new time is
    known, which the next step needs anyway, the corrector takes the same step once more, along the polynomial through
    it too; x_0_hat is not asked again. What is yielded, and the last step, is the predictor's. Where two predictions
    are all that there is, the published weight of the second, 1/2, stands in the place of that of the line; the order
    is the same. The first step is of order 1, made 2 by the corrector, as published; that would leave a chain of
    order 3, so that with p = 3 it is one of `dpmpp_singlestep`, with three predictions.

    Parameters
    ----------
    predict, diffusion, x_T, steps, context, end
        As for `ddpm`.
    order : int
        1, 2 or 3: of the predictor.

    Raises
    ------
    InputError
        If an argument is out of range, or arrays differ in shape, dtype or device.

    References
    ----------
    Zhao, Bai, Rao, Zhou, Lu, "UniPC: a unified predictor-corrector framework for fast sampling of diffusion models",
    NeurIPS 2023; x_0 is predicted, B(h) = e^h - 1 ("bh2").
    """
    check_choice("order", order, (1, 2, 3))
    x_t, before = start(x_T, context), None
    known: Known = []  # (lambda, x_0_hat) of the last steps, the latest first
    for t, s in step_pairs(diffusion, steps, end):
        x_0_hat, _ = checked_prediction(x_t, predict(x_t, per_sample(t, x_t), context))
        here = (half_log_snr(diffusion, t), x_0_hat)
        if before is not None:
            x_before, t_before = before
            x_t = step_along(diffusion, x_before, t_before, t, [*known, here])
        known, before = [here, *known[: order - 1]], (x_t, t)
        if order == 3 and len(known) == 1:
            before, x_t = None, step_by_x_0(predict, diffusion, x_t, t, s, x_0_hat, 3, context)
        else:
            x_t = step_along(diffusion, x_t, t, s, known)
        yield s, x_t, x_0_hat


def step_along(diffusion: GaussianDiffusion, x_t: Array, t: float, s: float, known: Known) -> Array:
    """Return x_s along the polynomial through predictions of x_0, the one at t first; of two, by UniPC's weights."""
    first, last = half_log_snr(diffusion, t), half_log_snr(diffusion, s)
    nodes, weights = [node for node, _ in known if math.isfinite(node)], None
    if len(nodes) == 2 and math.isfinite(last - first):
        fall = -math.expm1(first - last)
        second = fall / 2 * (last - first) / (nodes[1] - first)
        weights = [fall - second, second]
    x_s, _ = along_polynomial(diffusion, x_t, t, s, known, weights=weights)
    return x_s
