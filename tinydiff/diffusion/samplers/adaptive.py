"""An adaptive solver: DPM-Solver-1 and -2 take each step side by side, and their difference says how long it may be."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from tinydiff.base import Array, InputError, check_count, check_number, checked, to_numpy, xp_of
from tinydiff.diffusion.process import GaussianDiffusion
from tinydiff.diffusion.samplers.chain import Chain, checked_prediction, scales, start
from tinydiff.diffusion.samplers.exponential import half_log_snr
from tinydiff.diffusion.samplers.registry import sampler
from tinydiff.diffusion.targets import Predict
from tinydiff.diffusion.times import per_sample, step_pairs

LEAST_TOLERANCE = 1e-9  # below it rounding, not the length of a step, is what two solvers differ by
SAFETY, LONGER, SHORTER = 0.9, 5.0, 0.2  # a step after another one: shorter than would just do, and within bounds
FIRST_STEP = 0.05  # in lambda


@checked()
@sampler(own_steps=True)
def adaptive(
    predict: Predict,
    diffusion: GaussianDiffusion,
    x_T: Array,
    steps: int | Iterable[float],
    rtol: float = 0.05,
    atol: float = 0.0078,
    most: int = 2000,
    context: Any = None,
    end: float = 0,
) -> Chain:
    """Sample by DPM-Solver-12, whose steps are as long as a tolerance allows (Eq. ADAPT-1).

    The steps that are given are where it stops and yields; between two of them it takes as many of its own as it needs.
    A step is one of `dpm_solver` of order 2, and contains one of order 1 (`ddim`). Where the two differ by more than
    the tolerance, the step is taken again, shorter. Every sample has steps of its own length, so that none depends on
    what it is drawn with; who is done waits. The steps from where there is no signal, and to t = 0, are infinitely
    long in lambda, and of order 1. On a GPU each step waits, since its length must be known.

    Parameters
    ----------
    predict, diffusion, x_T, steps, context, end
        As for `ddpm`.
    rtol, atol : float
        How far the two may differ in a step: by rtol of |x|, or by atol where that is more. The defaults are the
        paper's for pictures in [-1, 1]: atol is one level of 256.
    most : int
        Of the steps that are tried, all together.

    Raises
    ------
    InputError
        If an argument is out of range, arrays differ in shape, dtype or device, or the steps that are tried are more
        than `most`.

    References
    ----------
    Lu, Zhou, Bao, Chen, Li, Zhu, "DPM-Solver: a fast ODE solver for diffusion probabilistic model sampling in around
    10 steps", NeurIPS 2022, appendix C, "DPM-Solver-12".
    """
    check_number("rtol", rtol, 0, 1)
    check_number("atol", atol, 0, 1)
    if max(rtol, atol) < LEAST_TOLERANCE:
        raise InputError(f"rtol is {rtol:g} and atol {atol:g}, but one of at least {LEAST_TOLERANCE:g} was expected.")
    check_count("most", most, most=1_000_000)
    x_t, tried = start(x_T, context), 0
    length = np.full(len(x_t), FIRST_STEP)  # of the next step of each sample, in lambda
    for t, s in step_pairs(diffusion, steps, end):
        lam, stop = np.full(len(x_t), half_log_snr(diffusion, t)), half_log_snr(diffusion, s)
        x_0_hat, eps_hat = checked_prediction(x_t, predict(x_t, per_sample(t, x_t), context))
        if math.isinf(stop) or math.isinf(lam[0]):
            a_s, b_s = scales(diffusion, s)
            x_t = a_s * x_0_hat + b_s * eps_hat
            yield s, x_t, x_0_hat
            continue
        time, x_before = np.full(len(x_t), t, np.float64), x_t
        while (lam < stop).any():
            tried += 1
            if tried > most:
                raise InputError(
                    f"most is {most}, but so many steps led to t = {time.max():.4g} only: give a larger rtol or atol, "
                    "or allow more."
                )
            h = np.minimum(length, stop - lam)  # 0 for those who are done
            middle, after = _times_at(diffusion, lam + h / 2, time, s), _times_at(diffusion, lam + h, time, s)
            x_m = _along_eps(diffusion, x_t, eps_hat, time, middle, h / 2)
            _, eps_m = checked_prediction(x_t, predict(x_m, xp_of(x_t).asarray(middle), context))
            first_order = _along_eps(diffusion, x_t, eps_hat, time, after, h)
            second_order = _along_eps(diffusion, x_t, eps_m, time, after, h)
            error = _error(first_order, second_order, x_before, rtol, atol)
            taken = error <= 1
            length = np.where(lam < stop, length * np.clip(SAFETY * (error + 1e-12) ** -0.5, SHORTER, LONGER), length)
            where = taken & (lam < stop)
            lam = np.where(where, np.where(h < stop - lam, lam + h, stop), lam)
            time = np.where(where, np.where(lam < stop, after, s), time)
            x_before, x_t = _chosen(where, x_t, x_before), _chosen(where, second_order, x_t)
            if where.any() and (lam < stop).any():
                x_0_hat, eps_hat = checked_prediction(x_t, predict(x_t, xp_of(x_t).asarray(time), context))
        yield s, x_t, x_0_hat


def _times_at(diffusion: GaussianDiffusion, lam: np.ndarray, time: np.ndarray, s: float) -> np.ndarray:
    """Return the time of each sample at its lambda, which lies between its time and s."""
    return np.clip([diffusion.time_at(float(one)) for one in lam], s, time)


def _along_eps(
    diffusion: GaussianDiffusion, x_t: Array, eps_hat: Array, t: np.ndarray, s: np.ndarray, h: np.ndarray
) -> Array:
    """Return x at s, along this eps_hat, a step of h in lambda; t, s and h are of each sample."""
    (a_t, _), (a_s, b_s) = diffusion.scales(t), diffusion.scales(s)
    keeps, adds = _like(a_s / a_t, x_t), _like(-b_s * np.expm1(h), x_t)
    return keeps * x_t + adds * eps_hat


def _like(numbers: Any, x: Array) -> Array:
    """Return a number of each sample so that it can be multiplied with x."""
    return xp_of(x).asarray(numbers, dtype=x.dtype).reshape(-1, *[1] * (x.ndim - 1))


def _chosen(which: np.ndarray, new: Array, old: Array) -> Array:
    """Return the new x of some samples, and the old one of the others."""
    xp = xp_of(new)
    return xp.where(xp.asarray(which).reshape(-1, *[1] * (new.ndim - 1)), new, old)


def _error(first: Array, second: Array, before: Array, rtol: float, atol: float) -> np.ndarray:
    """Return by how much each sample's two solutions differ, in units of the tolerance (Eq. ADAPT-1)."""
    xp = xp_of(first)
    allowed = xp.maximum(atol, rtol * xp.maximum(abs(first), abs(before)))
    share = ((first - second) / xp.maximum(allowed, 1e-30)).reshape(len(first), -1)
    return to_numpy((share**2).mean(axis=1)).astype(np.float64) ** 0.5
