"""Schedules that say how large sigma = b / a, the noise in units of the signal, is at every step."""

import numpy as np

from tinydiff.base import InputError, check_number, checked
from tinydiff.diffusion.schedules.registry import check_T, schedule


@schedule
@checked()
def karras_schedule(T: int = 1000, sigma_min: float = 0.002, sigma_max: float = 80.0, rho: float = 7.0) -> np.ndarray:
    """Return alpha_bar whose sigma^(1 / rho) rises in equal steps: EDM's noise levels, as a schedule (Eq. KARRAS-1).

    Parameters
    ----------
    T : int
        Number of steps.
    sigma_min, sigma_max : float
        sigma at t = 1 and at T, 0 < sigma_min < sigma_max.
    rho : float
        From 1 to 100. The larger it is, the more steps are spent where there is little noise.

    Returns
    -------
    array, float64, shape (T + 1,)

    Raises
    ------
    InputError
        If T is not a positive integer, or a number is out of range.

    References
    ----------
    Karras, Aittala, Aila, Laine, "Elucidating the design space of diffusion-based generative models", NeurIPS
    2022, Eq. 5.
    """
    check_T(T)
    _check_sigmas(sigma_min, sigma_max)
    check_number("rho", rho, 1, 100)
    return _alpha_bar_from_sigma(np.linspace(sigma_min ** (1 / rho), sigma_max ** (1 / rho), T) ** rho)


@schedule
@checked()
def exponential_schedule(T: int = 1000, sigma_min: float = 0.01, sigma_max: float = 50.0) -> np.ndarray:
    """Return alpha_bar whose sigma rises by one factor in every step, as in the VE process of NCSN (Eq. EXP-1).

    Parameters
    ----------
    T : int
        Number of steps.
    sigma_min, sigma_max : float
        sigma at t = 1 and at T, 0 < sigma_min < sigma_max.

    Returns
    -------
    array, float64, shape (T + 1,)

    Raises
    ------
    InputError
        If T is not a positive integer, or a sigma is out of range.

    References
    ----------
    Song, Sohl-Dickstein, Kingma, Kumar, Ermon, Poole, "Score-based generative modeling through stochastic differential
    equations", ICLR 2021, appendix C.
    """
    check_T(T)
    _check_sigmas(sigma_min, sigma_max)
    return _alpha_bar_from_sigma(np.geomspace(sigma_min, sigma_max, T))


def _alpha_bar_from_sigma(sigma):
    return np.concatenate([[1.0], 1 / (1 + sigma**2)])


def _check_sigmas(sigma_min, sigma_max):
    check_number("sigma_max", sigma_max, 0, 1e6)
    check_number("sigma_min", sigma_min, 1e-6, sigma_max)
    if sigma_min == sigma_max:
        raise InputError(f"sigma_min and sigma_max are both {sigma_max}, but sigma_min < sigma_max was expected.")
