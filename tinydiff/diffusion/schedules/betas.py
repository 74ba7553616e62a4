"""Schedules that are made of betas, the variances that single steps add."""

import numpy as np

from tinydiff.base import InputError, check_number, checked
from tinydiff.diffusion.schedules.registry import alpha_bar_from_beta, check_T, schedule


@schedule
@checked()
def linear_schedule(T: int = 1000, beta_1: float = 1e-4, beta_T: float = 0.02, rescaled: bool = False) -> np.ndarray:
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
    rescaled : bool
        Whether the betas are those of T = 1000, and are multiplied by 1000 / T: then a chain of any T ends with about
        as little signal.

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
    check_T(T)
    longer = _check_betas(T, beta_1, beta_T, rescaled)
    beta = np.linspace(beta_1, beta_T, T)
    return alpha_bar_from_beta(longer * beta)


@schedule
@checked()
def scaled_linear_schedule(
    T: int = 1000, beta_1: float = 0.00085, beta_T: float = 0.012, rescaled: bool = False
) -> np.ndarray:
    """Return alpha_bar for variances beta whose roots grow linearly: Stable Diffusion's (Eq. SD-BETA).

    Parameters
    ----------
    T, beta_1, beta_T, rescaled
        As for `linear_schedule`.

    Returns
    -------
    array, float64, shape (T + 1,)

    Raises
    ------
    InputError
        If T is not a positive integer or a beta is out of range.

    References
    ----------
    Rombach, Blattmann, Lorenz, Esser, Ommer, "High-resolution image synthesis with latent diffusion models", CVPR 2022:
    the authors' code.
    """
    check_T(T)
    longer = _check_betas(T, beta_1, beta_T, rescaled)
    return alpha_bar_from_beta(longer * np.linspace(beta_1**0.5, beta_T**0.5, T) ** 2)


@schedule
@checked()
def sigmoid_beta_schedule(T: int = 1000, beta_1: float = 1e-4, beta_T: float = 0.02, width: float = 6.0) -> np.ndarray:
    """Return alpha_bar for variances beta that grow like a sigmoid (Eq. SIGMOID-BETA).

    This is what older code calls "sigmoid": it is beta that has the shape. In `sigmoid_schedule` alpha_bar has it.

    Parameters
    ----------
    T, beta_1, beta_T
        As for `linear_schedule`; beta comes near them, but does not reach them.
    width : float
        The sigmoid is taken from -width to width.

    Returns
    -------
    array, float64, shape (T + 1,)

    Raises
    ------
    InputError
        If T is not a positive integer or a number is out of range.

    References
    ----------
    Song, Meng, Ermon, "Denoising diffusion implicit models", ICLR 2021: the authors' code.
    """
    check_T(T)
    _check_betas(T, beta_1, beta_T, rescaled=False)
    check_number("width", width, 0, 30)
    share = 1 / (1 + np.exp(-np.linspace(-width, width, T)))
    return alpha_bar_from_beta(beta_1 + (beta_T - beta_1) * share)


def _check_betas(T, beta_1, beta_T, rescaled):
    """Refuse variances that are none; return by what they are multiplied."""
    check_number("beta_T", beta_T, 0, 1)
    check_number("beta_1", beta_1, 0, beta_T)
    if beta_1 == 0:
        raise InputError("beta_1 is 0, but every step must add some noise: a number above 0 was expected.")
    if 1 - beta_1 == 1:
        raise InputError(f"beta_1 is {beta_1}, which is lost in 1 - beta_1: a number from 1.2e-16 was expected.")
    longer = 1000 / T if rescaled else 1.0
    if longer * beta_T > 1:
        raise InputError(
            f"T is {T} and beta_T {beta_T}, so that the last beta would be {longer * beta_T:.3g}, but 1 at most was "
            f"expected: take T from {int(np.ceil(1000 * beta_T))} on, or leave rescaled out."
        )
    return longer
