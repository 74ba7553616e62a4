"""Schedules that are processes in continuous time, 0 to 1, looked at in T equal steps."""

import numpy as np

from tinydiff.base import check_number, checked
from tinydiff.diffusion.schedules.registry import check_T, schedule


@schedule
@checked()
def vp_sde_schedule(T: int = 1000, beta_min: float = 0.1, beta_max: float = 20.0) -> np.ndarray:
    r"""Return alpha_bar of the variance-preserving SDE, DDPM's chain with infinitely many steps (Eq. VPSDE-1).

    .. math:: \bar\alpha(\tau) = \exp\Bigl(-\int_0^\tau \beta\Bigr), \qquad \beta(\tau) = \beta_\text{min}
       + \tau\, (\beta_\text{max} - \beta_\text{min})

    Parameters
    ----------
    T : int
        Number of steps.
    beta_min, beta_max : float
        Rate of the noise at both ends, 0 < beta_min <= beta_max <= 200: T times the betas of `linear_schedule`.

    Returns
    -------
    array, float64, shape (T + 1,)

    Raises
    ------
    InputError
        If T is not a positive integer, or a beta is out of range.

    References
    ----------
    Song, Sohl-Dickstein, Kingma, Kumar, Ermon, Poole, "Score-based generative modeling through stochastic differential
    equations", ICLR 2021, Eq. 11 and appendix C.
    """
    return np.exp(-_integral_of_beta(T, beta_min, beta_max))


@schedule
@checked()
def sub_vp_sde_schedule(T: int = 1000, beta_min: float = 0.1, beta_max: float = 20.0) -> np.ndarray:
    """Return alpha_bar = a^2 / (a^2 + b^2) of the sub-VP SDE (Eq. SUBVP-1).

    Its a is that of the VP SDE, and b = 1 - a^2, which is the path ``"sub-vp"`` (`PATHS`).

    Parameters
    ----------
    T, beta_min, beta_max
        As for `vp_sde_schedule`.

    Returns
    -------
    array, float64, shape (T + 1,)

    Raises
    ------
    InputError
        If T is not a positive integer, or a beta is out of range.

    References
    ----------
    Song, Sohl-Dickstein, Kingma, Kumar, Ermon, Poole, "Score-based generative modeling through stochastic differential
    equations", ICLR 2021, Eq. 12 and appendix C.
    """
    integral = _integral_of_beta(T, beta_min, beta_max)
    signal, noise = np.exp(-integral), np.expm1(-integral) ** 2
    return signal / (signal + noise)


@schedule
@checked()
def straight_schedule(T: int = 1000) -> np.ndarray:
    """Return alpha_bar of flow matching: b = t / T and a = 1 - t / T, on the path ``"straight"`` (Eq. FLOW-1).

    ``alpha_bar[T]`` is exactly 0, so that a network must predict x_0, v or the flow.

    Parameters
    ----------
    T : int
        Number of steps.

    Returns
    -------
    array, float64, shape (T + 1,)

    Raises
    ------
    InputError
        If T is not a positive integer.

    References
    ----------
    Lipman, Chen, Ben-Hamu, Nickel, Le, "Flow matching for generative modeling", ICLR 2023; Liu, Gong, Liu, "Flow
    straight and fast: learning to generate and transfer data with rectified flow", ICLR 2023.
    """
    check_T(T)
    b = np.arange(T + 1) / T
    return (1 - b) ** 2 / ((1 - b) ** 2 + b**2)


def _integral_of_beta(T, beta_min, beta_max):
    check_T(T)
    check_number("beta_max", beta_max, 0, 200)
    check_number("beta_min", beta_min, 1e-3, beta_max)
    tau = np.arange(T + 1) / T
    return tau * beta_min + tau**2 / 2 * (beta_max - beta_min)
