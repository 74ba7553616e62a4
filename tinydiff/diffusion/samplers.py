"""Samplers: from noise to a sample, a generator of ``(t, x_t, x_0_hat)``.

Each takes ``predict(x_t, t, context) -> (x_0_hat, eps_hat)`` and visits the times ``steps``, then ``end``. After each
step it yields the time reached, x there, and the x_0_hat that led there; the last x_t is the sample. Nothing
runs before the first value is asked for; `last` runs a chain to its end.

Below, a step goes from t to an earlier s, with a = sqrt(alpha_bar) and b = sqrt(1 - alpha_bar) at both. Coefficients
are float64 Python numbers, so x keeps its dtype. Where alpha_bar is 0 (pure noise) every formula is written so that it
stays finite; whether `predict` can tell x_0 there is up to it.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from tinydiff.backend import xp_of
from tinydiff.condition import arrays_of
from tinydiff.diffusion.gaussian import GaussianDiffusion
from tinydiff.errors import InputError, check_choice, check_number, check_shape
from tinydiff.noise import Noise

Chain = Iterator[tuple[float, Any, Any]]


def ddpm(
    predict: Callable[..., tuple[Any, Any]],
    diffusion: GaussianDiffusion,
    x_T: Any,
    noise: Noise,
    steps: int | Iterable[float] | None = None,
    variance: str = "beta",
    context: Any = None,
    end: float = 0,
) -> Chain:
    """Sample by the learned Markov chain, Algorithm 2 of DDPM (Eq. DDPM-ALG2), over any steps.

    The mean is that of q(x_s | x_t, x_0) at x_0_hat, which equals Algorithm 2's eps form; clipping, if any, is in
    `predict`. The variances are those of the step from t to s, not those of t - 1.

    Parameters
    ----------
    predict : callable
        ``predict(x_t, t, context) -> (x_0_hat, eps_hat)``, t an array of shape (N,).
    diffusion : GaussianDiffusion
    x_T : array, shape (N, ...)
        Noise, or x at the first of the steps.
    noise : Noise
        Where the noise of each step comes from: sample i gets the same in a batch of any size.
    steps : int, sequence or None
        Number of steps (see `spaced_steps`), or the times at which to predict, strictly decreasing in (0, T]; None
        takes all of T .. 1.
    variance : str
        ``"beta"``, exact for data ~ N(0, I), or ``"beta_tilde"``, exact for a single point.
    context : array, shape (N, ...), `Condition` of such arrays, or None
        Handed to predict.
    end : float
        Where to stop. At 0 the last step adds no noise.

    Raises
    ------
    InputError
        If an argument is out of range, or arrays differ in shape, dtype or device.

    References
    ----------
    Ho, Jain, Abbeel, "Denoising diffusion probabilistic models", NeurIPS 2020.
    """
    check_choice("variance", variance, ("beta", "beta_tilde"))
    variance_of = diffusion.beta if variance == "beta" else diffusion.posterior_variance
    steps = diffusion.T if steps is None else steps
    x_t = _start(x_T, context)
    for k, (t, s) in enumerate(step_pairs(diffusion, steps, end)):
        x_0_hat, _ = _predict(predict, x_t, t, context)
        x_t = diffusion.posterior_mean(x_0_hat, x_t, t, s)
        if s > 0:
            x_t = x_t + variance_of(t, s) ** 0.5 * _step_noise(noise, k, x_t)
        yield s, x_t, x_0_hat


def ddim(
    predict: Callable[..., tuple[Any, Any]],
    diffusion: GaussianDiffusion,
    x_T: Any,
    steps: int | Iterable[float],
    eta: float = 0.0,
    noise: Noise | None = None,
    context: Any = None,
    end: float = 0,
) -> Chain:
    """Sample by DDIM, whose steps keep the marginals q(x_s | x_0) for every eta (Eq. DDIM-12, Eq. DDIM-16).

    With eta = 0 it is Euler's method for the probability-flow ODE (order 1); with eta = 1 it is `ddpm` with the
    variance beta-tilde.

    Parameters
    ----------
    predict, diffusion, x_T, steps, context, end
        As for `ddpm`.
    eta : float
        Share of the noise that is drawn afresh, from 0 (none: deterministic) to 1.
    noise : Noise or None
        Needed if eta > 0.

    Raises
    ------
    InputError
        If an argument is out of range, or arrays differ in shape, dtype or device.

    References
    ----------
    Song, Meng, Ermon, "Denoising diffusion implicit models", ICLR 2021.
    """
    check_number("eta", eta, 0, 1)
    if eta > 0 and noise is None:
        raise InputError(f"eta is {eta} and noise is None, but eta > 0 draws noise: pass noise=Noise(seed).")
    x_t = _start(x_T, context)
    for k, (t, s) in enumerate(step_pairs(diffusion, steps, end)):
        x_0_hat, eps_hat = _predict(predict, x_t, t, context)
        alpha_bar = diffusion.alpha_bar_at(s)
        sigma_squared = eta**2 * diffusion.posterior_variance(t, s)  # Eq. DDIM-16
        radicand = 1 - alpha_bar - sigma_squared
        assert radicand >= 0  # it cannot be negative; a clamp would hide a wrong sigma
        x_t = alpha_bar**0.5 * x_0_hat + radicand**0.5 * eps_hat
        if noise is not None and sigma_squared > 0:
            x_t = x_t + sigma_squared**0.5 * _step_noise(noise, k, x_t)
        yield s, x_t, x_0_hat


def heun(
    predict: Callable[..., tuple[Any, Any]],
    diffusion: GaussianDiffusion,
    x_T: Any,
    steps: int | Iterable[float],
    context: Any = None,
    end: float = 0,
) -> Chain:
    """Sample the probability-flow ODE by Heun's method, order 2, as EDM does (Eq. EDM-ALG1).

    For x / a as a function of sigma = b / a the ODE reads d(x / a) / d sigma = eps_hat (Eq. DDIM-14). An Euler step
    is a DDIM step; the corrector replaces its slope by the mean of the slopes at both ends, so a step predicts
    twice. A step to sigma = 0 is left as Euler's, since x there has no noise to predict; so is one from sigma
    = infinity, where the change of sigma has no meaning. `edm_steps` chooses times that suit it.

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
    2022, Algorithm 1.
    """
    x_t = _start(x_T, context)
    for t, s in step_pairs(diffusion, steps, end):
        (a_t, b_t), (a_s, b_s) = _scales(diffusion, t), _scales(diffusion, s)
        x_0_hat, eps_hat = _predict(predict, x_t, t, context)
        x_t = a_s * x_0_hat + b_s * eps_hat
        if a_t > 0 and b_s > 0:
            _, eps_hat_s = _predict(predict, x_t, s, context)
            x_t = x_t + (b_s - a_s * b_t / a_t) / 2 * (eps_hat_s - eps_hat)  # a_s (sigma_s - sigma_t) / 2
        yield s, x_t, x_0_hat


def dpmpp_2m(
    predict: Callable[..., tuple[Any, Any]],
    diffusion: GaussianDiffusion,
    x_T: Any,
    steps: int | Iterable[float],
    context: Any = None,
    end: float = 0,
) -> Chain:
    """Sample the probability-flow ODE by DPM-Solver++(2M), order 2 with one prediction a step (Eq. DPMPP-2M).

    In lambda = log(a / b), half the log-SNR, the ODE is linear but for x_0_hat, and is solved exactly for an x_0_hat
    that is constant (first order) or, from the second step on, linear through the last two predictions. The
    step to t = 0 has infinite length in lambda: no line can be followed so far, so it is of first order and
    returns x_0_hat.

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
    models", 2022, Algorithm 2.
    """
    x_t, previous, h_previous = _start(x_T, context), None, math.inf
    for t, s in step_pairs(diffusion, steps, end):
        (a_t, b_t), (a_s, b_s) = _scales(diffusion, t), _scales(diffusion, s)
        h = math.log(a_s / b_s) - math.log(a_t / b_t) if a_t > 0 and b_s > 0 else math.inf
        x_0_hat, _ = _predict(predict, x_t, t, context)
        denoised = x_0_hat
        if previous is not None and h < math.inf:
            denoised = x_0_hat + h / (2 * h_previous) * (x_0_hat - previous)
        x_t = b_s / b_t * x_t + (a_s - a_t * b_s / b_t) * denoised  # a_s (1 - exp(-h))
        previous, h_previous = x_0_hat, h
        yield s, x_t, x_0_hat


def last(chain: Chain) -> Any:
    """Run a sampler to its end and return the sample."""
    for _, x_t, _ in chain:
        sample = x_t
    return sample


def spaced_steps(T: int, N: int, spacing: str = "linear") -> list[int]:
    """Return N distinct steps from T down, at which a sampler predicts; the one after the last is 0.

    Parameters
    ----------
    T, N : int
        ``1 <= N <= T``.
    spacing : str
        ``"linear"``: equal gaps, up to rounding, the last one (down to 0) included. ``"quadratic"``: gaps that grow
        with t, so that more steps are spent where there is little noise.

    Returns
    -------
    list of int, strictly decreasing, that starts with T and ends at 1 or above.

    Raises
    ------
    InputError
        If N is not an integer from 1 to T, or spacing is unknown.
    """
    if not (isinstance(N, (int, np.integer)) and 1 <= N <= T):
        raise InputError(f"The number of steps is {N!r}, but an integer from 1 to T = {T} was expected.")
    check_choice("spacing", spacing, ("linear", "quadratic"))
    power = 1 if spacing == "linear" else 2
    # integers only: the ceiling of T (i / N)^power, and at least i, since a parabola starts flatter than one step
    return [max(i, -(-T * i**power // N**power)) for i in range(int(N), 0, -1)]


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
    inside = np.interp(-wanted, -log_snr, t)  # np.interp wants rising numbers
    return [start, *(float(t) for t in inside), end]


def edm_steps(diffusion: GaussianDiffusion, N: int, sigma_max: float = 80.0, rho: float = 7.0) -> list[float]:
    """Return N real times at the noise levels of EDM (Eq. EDM-5), made for `heun`.

    sigma = b / a runs from `sigma_max`, or from its value at T if that is smaller, to its value at t = 1, and
    sigma^(1 / rho) falls in equal steps. So sigma never falls by a large factor at once, as it does near T under
    `spaced_steps`: over such a step a straight line through two slopes leads astray.

    Parameters
    ----------
    diffusion : GaussianDiffusion
    N : int
        From 2 to T.
    sigma_max : float
        At the first step. Where it is 80, data in [-1, 1] are all but invisible.
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
        raise InputError(f"The number of steps is {N!r}, but an integer from 2 to T = {diffusion.T} was expected.")
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


def step_pairs(diffusion: GaussianDiffusion, steps: int | Iterable[float], end: float = 0) -> list[tuple[float, float]]:
    """Return the (t, s) of every step that a sampler takes: consecutive times, the last s being `end`.

    Raises
    ------
    InputError
        If the times do not fall strictly from T or below to `end`, 0 or above.
    """
    chosen = spaced_steps(diffusion.T, steps) if isinstance(steps, (int, np.integer)) else steps
    try:
        times = [float(t) for t in chosen]
    except (TypeError, ValueError):
        raise InputError(f"steps is {steps!r}, but a number of steps or a sequence of times was expected.") from None
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


def _start(x_T, context):
    xp = xp_of(x_T=x_T)
    xp_of(x_T, *arrays_of(context))
    if x_T.ndim == 0 or any(a.shape[:1] != x_T.shape[:1] for a in arrays_of(context)):
        shapes = ", ".join(str(a.shape) for a in arrays_of(context))
        raise InputError(
            f"x_T has shape {x_T.shape} and context {shapes or None}, but (N, ...) and, for a context, the same N were "
            "expected."
        )
    if xp is np and not np.isfinite(x_T).all():
        raise InputError("x_T holds NaN or infinity, but finite numbers were expected.")
    return x_T


def _predict(predict, x_t, t, context):
    """Call predict with one t per sample, so that it may split or double the batch, and check what it returns."""
    x_0_hat, eps_hat = predict(x_t, xp_of(x_t).full(len(x_t), t), context)
    xp_of(x_t=x_t, x_0_hat=x_0_hat, eps_hat=eps_hat)
    check_shape("x_0_hat", x_0_hat, x_t.shape)
    check_shape("eps_hat", eps_hat, x_t.shape)
    return x_0_hat, eps_hat


def _scales(diffusion, t):
    alpha_bar = diffusion.alpha_bar_at(t)
    return alpha_bar**0.5, (1 - alpha_bar) ** 0.5


def _step_noise(noise, k, x):
    return noise.at(step=k, xp=xp_of(x)).normal(x.shape, "sampler", dtype=x.dtype)
