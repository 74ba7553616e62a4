"""Times: the steps at which a sampler predicts."""

import math
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np

from tinydiff.base import Array, InputError, check_choice, check_number, checked, is_real, shown, xp_of
from tinydiff.diffusion.process import GaussianDiffusion


@checked()
def spaced_steps(T: int, N: int, spacing: str = "linear", offset: int = 0) -> list[int]:
    """Return N distinct steps, at which a sampler predicts; the one after the last is 0.

    Parameters
    ----------
    T, N : int
        ``1 <= N <= T``.
    spacing : str
        ``"linear"``: from T, in equal gaps up to rounding, the last one (down to 0) included. ``"quadratic"``: gaps
        that grow with t, so that more steps are spent where there is little noise. The others are those of diffusers,
        which calls step t ``t - 1``: ``"leading"`` goes up from the first step by a whole number, and seldom reaches
        T; ``"linspace"`` has the first step and T among its steps (N = 1: only the first); ``"trailing"`` goes down
        from T, rounded.
    offset : int
        Added to each step of ``"leading"``, and 0 for all others; Stable Diffusion has 1.

    Returns
    -------
    list of int, strictly decreasing, from T or below to 1 or above.

    Raises
    ------
    InputError
        If N is not an integer from 1 to T, spacing is unknown, or an offset leads beyond T, or has no use.
    """
    if not (isinstance(N, (int, np.integer)) and 1 <= N <= T):
        raise InputError(f"The number of steps is {shown(N)}, but an integer from 1 to T = {T} was expected.")
    check_choice("spacing", spacing, ("linear", "quadratic", "leading", "linspace", "trailing"))
    most = T - 1 - (N - 1) * (T // N) if spacing == "leading" else 0
    if not 0 <= offset <= most:
        raise InputError(f"offset is {offset}, but with {spacing} spacing a number from 0 to {most} was expected.")
    if spacing == "leading":
        return [i * (T // N) + 1 + offset for i in range(N - 1, -1, -1)]
    if spacing == "linspace":
        return [int(step) for step in np.linspace(0, T - 1, N).round()[::-1] + 1]
    if spacing == "trailing":
        return [int(step) for step in np.round(T - np.arange(N) * (T / N))]
    power = 1 if spacing == "linear" else 2
    # integers only: the ceiling of T (i / N)^power, and at least i, since a parabola starts flatter than one step
    return [max(i, -(-T * i**power // N**power)) for i in range(int(N), 0, -1)]


@checked()
def equal_steps(diffusion: GaussianDiffusion, N: int) -> list[float]:
    """Return N steps from T down at equal gaps, the default times of a sampler."""
    return list(spaced_steps(diffusion.T, N))


@checked()
def log_snr_steps(diffusion: GaussianDiffusion, N: int, start: float, end: float = 1) -> list[float]:
    """Return N real times, from `start` to `end` inclusive, at equal distances in log-SNR.

    It is the spacing in which `dpmpp_2m` has steps of equal length. To stop at the last of these times:
    ``*steps, end = log_snr_steps(...)``.

    Parameters
    ----------
    diffusion : GaussianDiffusion
    N : int
        At least 2.
    start, end : float
        Step indices, ``1 <= end < start <= T``. If alpha_bar is 0 at T, start is T - 1 at most.

    Raises
    ------
    InputError
        If N, start or end is out of range.
    """
    t, log_snr = _finite_log_snr(diffusion)
    check_number("start", start, 1, t[-1])
    check_number("end", end, 1, start)
    if not (isinstance(N, (int, np.integer)) and N >= 2 and end < start):
        raise InputError(f"N is {N}, start {start} and end {end}, but an integer N >= 2 and end < start were expected.")
    first, final = np.interp((start, end), t, log_snr)
    wanted = np.linspace(first, final, N)[1:-1]
    inside = np.interp(-wanted, -log_snr, t)  # np.interp needs rising numbers
    return [start, *(float(t) for t in inside), end]


@checked()
def edm_steps(diffusion: GaussianDiffusion, N: int, sigma_max: float = 80.0, rho: float = 7.0) -> list[float]:
    """Return N real times at the noise levels of EDM (Eq. EDM-5), made for `heun`.

    sigma = b / a runs from `sigma_max`, or from its value at T if that is smaller, to its value at t = 1, and
    sigma^(1 / rho) falls in equal steps. So sigma never falls by a large factor at once, as it does near T under
    `spaced_steps`: over such a step, the mean of the slopes at both ends is a bad estimate.

    Parameters
    ----------
    diffusion : GaussianDiffusion
    N : int
        From 2 to T.
    sigma_max : float
        At the first step. With 80, data in [-1, 1] are almost invisible under the noise.
    rho : float
        The larger it is, the more steps are spent where there is little noise.

    Raises
    ------
    InputError
        If N, sigma_max or rho is out of range.

    References
    ----------
    Karras, Aittala, Aila, Laine, "Elucidating the design space of diffusion-based generative models", NeurIPS
    2022, Eq. 5.
    """
    if not (isinstance(N, (int, np.integer)) and 2 <= N <= diffusion.T):
        raise InputError(f"The number of steps is {shown(N)}, but an integer from 2 to T = {diffusion.T} was expected.")
    t, log_snr = _finite_log_snr(diffusion)
    sigma_min, sigma_T = np.exp(-log_snr[[0, -1]] / 2)
    if not (sigma_max > sigma_min and 0 < rho < math.inf):
        raise InputError(
            f"sigma_max is {sigma_max} and rho {rho}, but sigma_max > {sigma_min:.3g} (its value at t = 1) and rho > 0 "
            "were expected."
        )
    sigma = np.linspace(min(sigma_max, sigma_T) ** (1 / rho), sigma_min ** (1 / rho), N) ** rho
    return [float(t) for t in np.interp(2 * np.log(sigma), -log_snr, t)]


def _finite_log_snr(diffusion):
    """Return the steps t >= 1 whose log-SNR is finite, rising, and log(alpha_bar / (1 - alpha_bar)) there, falling."""
    alpha_bar = diffusion.alpha_bar[diffusion.alpha_bar > 0][1:]  # t = 0, at infinite log-SNR, is left out
    return np.arange(1, len(alpha_bar) + 1), np.log(alpha_bar / (1 - alpha_bar))


def per_sample(t: float, x: Array) -> Array:
    """Return t once for each sample of x, an array of shape (N,), so that `predict` may split or double the batch."""
    return xp_of(x).full(len(x), t)


def step_pairs(diffusion: GaussianDiffusion, steps: int | Iterable[float], end: float = 0) -> list[tuple[float, float]]:
    """Return the (t, s) of every step that a sampler takes: consecutive times, the last s being `end`.

    Raises
    ------
    InputError
        If the times do not fall strictly from T or below to `end`, 0 or above.
    """
    chosen = spaced_steps(diffusion.T, steps) if isinstance(steps, (int, np.integer)) else steps
    try:
        given: list[Any] = list(chosen)
    except TypeError:
        given = [None]
    if not all(is_real(t) for t in given):
        raise InputError(f"steps is {shown(steps)}, but a number of steps or a sequence of times was expected.")
    times = [float(t) for t in given]
    check_number("end", end, 0, diffusion.T)
    if not times:
        raise InputError("steps is empty, but at least one time was expected.")
    for t in times:
        if not 0 < t <= diffusion.T:
            raise InputError(f"steps holds {t:g}, but times from 1 to T = {diffusion.T} were expected.")
    times = [int(t) if t == int(t) else t for t in (*times, end)]
    for t, s in pairwise(times):
        if not s < t:
            raise InputError(
                f"steps and end go from {t:g} to {s:g}, but every time must be smaller than the one before: sort them "
                "in descending order and remove repetitions."
            )
    return list(pairwise(times))
