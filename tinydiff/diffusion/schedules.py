"""Noise schedules: tables of alpha_bar, the share of the signal's variance that is left after t steps.

A table has T + 1 float64 entries: ``alpha_bar[0] = 1`` is clean data and ``alpha_bar[T]`` is nearly, or exactly, 0.
"""

from collections.abc import Callable

import numpy as np

from tinydiff.base import Choices, InputError, check_number, checked, shown

LARGEST_T = 10**5  # more steps than any forward process needs; the tables have so many entries


@checked()
def linear_schedule(T: int = 1000, beta_1: float = 1e-4, beta_T: float = 0.02) -> np.ndarray:
    """Return alpha_bar for variances beta that grow linearly (Eq. DDPM-BETA).

    The default betas belong to T = 1000. With the same betas and a much smaller T a good part of the signal
    survives at T, and a chain that starts from pure noise starts from the wrong distribution.

    Parameters
    ----------
    T : int
        Number of steps.
    beta_1, beta_T : float
        Variance of the noise added by the first and by the last step, ``0 < beta_1 <= beta_T <= 1``.
        beta_T = 1 leaves no signal at T. Where the signal gets smaller than numbers can be before T (with T = 1000 and
        beta_T = 1, from t = 900 on), it falls by equal steps, of 1e-300, instead.

    Returns
    -------
    array, float64, shape (T + 1,)
        ``alpha_bar[t]`` is the product of ``1 - beta`` over the steps 1 .. t.

    Raises
    ------
    InputError
        If T is not a positive integer or a beta is out of range.

    References
    ----------
    Ho, Jain, Abbeel, "Denoising diffusion probabilistic models", NeurIPS 2020, section 4.
    """
    _check_T(T)
    check_number("beta_T", beta_T, 0, 1)
    check_number("beta_1", beta_1, 0, beta_T)
    if beta_1 == 0:
        raise InputError("beta_1 is 0, but every step must add some noise: a number above 0 was expected.")
    if 1 - beta_1 == 1:
        raise InputError(f"beta_1 is {beta_1}, which is lost in 1 - beta_1: a number from 1.2e-16 was expected.")
    beta = np.linspace(beta_1, beta_T, T)
    return _alpha_bar_from_beta(beta)


@checked()
def cosine_schedule(T: int = 1000, s: float = 0.008, max_beta: float = 0.999) -> np.ndarray:
    r"""Return alpha_bar that falls like a squared cosine (Eq. IDDPM-17).

    .. math:: \bar\alpha_t = f(t) / f(0), \qquad f(t) = \cos^2\Bigl(\frac{t/T + s}{1 + s} \frac{\pi}{2}\Bigr)

    The last step would remove all signal, so that a prediction of eps would say nothing about x_0. `max_beta`
    bounds what one step removes; with the defaults this changes only ``alpha_bar[T]``.

    Parameters
    ----------
    T : int
        Number of steps.
    s : float
        Offset that keeps the first steps from being too small, in [0, 1].
    max_beta : float
        Largest share of the signal's variance that one step may remove, in (0, 1]. With 1 the formula holds at
        every t and ``alpha_bar[T]`` is exactly 0; the network must then predict x_0 or v.

    Returns
    -------
    array, float64, shape (T + 1,)

    Raises
    ------
    InputError
        If T is not a positive integer, or s or max_beta is out of range.

    References
    ----------
    Nichol and Dhariwal, "Improved denoising diffusion probabilistic models", ICML 2021, Eq. 17.
    """
    _check_T(T)
    check_number("s", s, 0, 1)
    check_number("max_beta", max_beta, 0, 1)
    if max_beta == 0:
        raise InputError("max_beta is 0, but every step must add some noise: a number above 0 was expected.")
    left = 1 - np.arange(T + 1) / T
    f = np.sin(left / (1 + s) * (np.pi / 2)) ** 2  # cos(u) = sin(pi / 2 - u), which is exactly 0 at T
    beta = 1 - f[1:] / f[:-1]
    return _alpha_bar_from_beta(np.minimum(beta, max_beta))


SCHEDULES: Choices[Callable[..., np.ndarray]] = Choices(  # functions of T that return alpha_bar, by name
    "schedule", {"linear": linear_schedule, "cosine": cosine_schedule}
)


def _alpha_bar_from_beta(beta):
    alpha_bar = np.cumprod(1 - beta)
    steps_left = len(beta) - np.arange(1, len(beta) + 1) + (beta[-1] < 1)
    return np.concatenate([[1.0], np.maximum(alpha_bar, 1e-300 * steps_left)])  # a product of many numbers may get 0


def _check_T(T):
    if not (isinstance(T, (int, np.integer)) and 1 <= T <= LARGEST_T):
        raise InputError(
            f"T is {shown(T)}, but a positive integer (the number of steps) up to {LARGEST_T} was expected."
        )
