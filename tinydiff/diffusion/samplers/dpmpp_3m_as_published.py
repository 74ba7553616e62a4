"""DPM-Solver++(3M) as public code has it, which is of order 2: an exhibit."""

import math
from collections.abc import Iterable
from typing import Any

from tinydiff.base import Array, checked
from tinydiff.diffusion.process import GaussianDiffusion
from tinydiff.diffusion.samplers.chain import Chain, checked_prediction, scales, start
from tinydiff.diffusion.samplers.exponential import Known, half_log_snr
from tinydiff.diffusion.samplers.registry import sampler
from tinydiff.diffusion.targets import Predict
from tinydiff.diffusion.times import per_sample, step_pairs


@checked()
@sampler()
def dpmpp_3m_as_published(
    predict: Predict,
    diffusion: GaussianDiffusion,
    x_T: Array,
    steps: int | Iterable[float],
    context: Any = None,
    end: float = 0,
) -> Chain:
    """Sample by DPM-Solver++(3M) as published in code, order 2: half of a bend is missing (Eq. DPMPP-3M-CODE).

    An exhibit, beside the right `dpmpp_3m`. The second difference D_2 should be h^2 times the second derivative of
    x_0_hat, but is half of it: the error per step is then of third order, and that of the chain of second. The
    authors' file, diffusers with ``solver_order=3`` and k-diffusion's ``sample_dpmpp_3m_sde`` at eta 0 have it so.

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
    Lu, Zhou, Bao, Chen, Li, Zhu, DPM-Solver, 2022, ``dpm_solver_pytorch.py``, method "multistep", order 3.
    """
    x_t = start(x_T, context)
    known: Known = []  # (lambda, x_0_hat) of the last steps, the latest first
    for t, s in step_pairs(diffusion, steps, end):
        (a_t, b_t), (a_s, b_s) = scales(diffusion, t), scales(diffusion, s)
        here, h = half_log_snr(diffusion, t), half_log_snr(diffusion, s) - half_log_snr(diffusion, t)
        x_0_hat, _ = checked_prediction(x_t, predict(x_t, per_sample(t, x_t), context))
        known = [*([(here, x_0_hat)] if math.isfinite(here) else []), *known[:2]]
        if math.isinf(h) or len(known) == 1:
            x_t = b_s / b_t * x_t + (a_s - a_t * b_s / b_t) * x_0_hat
            yield s, x_t, x_0_hat
            continue
        (_, m_0), (before, m_1) = known[:2]
        r_0 = (here - before) / h
        D_1, D_2 = (m_0 - m_1) / r_0, 0.0
        phi_1 = math.expm1(-h)
        phi_2 = -phi_1 / 2 if len(known) == 2 else phi_1 / h + 1  # the second step is one of dpmpp_2m
        if len(known) == 3:
            earlier, m_2 = known[2]
            r_1 = (before - earlier) / h
            D_10, D_11 = D_1, (m_1 - m_2) / r_1
            D_1 = D_10 + r_0 / (r_0 + r_1) * (D_10 - D_11)
            D_2 = (D_10 - D_11) / (r_0 + r_1)  # here a factor of 2 is missing
        x_t = b_s / b_t * x_t - a_s * (phi_1 * m_0 - phi_2 * D_1 + (phi_2 / h - 0.5) * D_2)
        yield s, x_t, x_0_hat
