"""Schedules made of other ones: no signal at the end, or more noise at every step."""

import numpy as np

from tinydiff.base import Array, InputError, check_number, checked
from tinydiff.diffusion.alpha_bar import falling_table


@checked()
def zero_terminal_snr(alpha_bar: Array) -> np.ndarray:
    """Return a schedule that ends with no signal at all, and is the same at t = 1 (Eq. ZTSNR-1).

    With Stable Diffusion's schedule some signal is left at T, and drawing, which begins at pure noise, never sees a
    picture that is dark or bright as a whole. sqrt(alpha_bar) is moved and stretched. A network must then predict x_0,
    v or the flow.

    Parameters
    ----------
    alpha_bar : array, shape (T + 1,)
        With T of at least 2.

    Returns
    -------
    array, float64, shape (T + 1,)

    Raises
    ------
    InputError
        If alpha_bar is no table that falls from 1, or has one step only.

    References
    ----------
    Lin, Liu, Li, Yang, "Common diffusion noise schedules and sample steps are flawed", WACV 2024, Algorithm 1.
    """
    root = falling_table(alpha_bar) ** 0.5
    if len(root) < 3:
        raise InputError("alpha_bar has one step, but at least two were expected: the first of them stays as it is.")
    moved = (root[1:] - root[-1]) * (root[1] / (root[1] - root[-1]))
    return np.concatenate([[1.0], moved**2])


@checked()
def shifted(alpha_bar: Array, factor: float) -> np.ndarray:
    """Return a schedule with `factor` times the sigma at every step (Eq. SHIFT-1).

    In a picture of twice the side the same noise hides less, since neighbouring pixels show the same: a factor of 2
    makes up for it. On the path ``"straight"`` it is Stable Diffusion 3's time shift.

    Parameters
    ----------
    alpha_bar : array, shape (T + 1,)
    factor : float
        From 0.01 to 100; the ratio of the sides, if the schedule is good for the smaller pictures.

    Returns
    -------
    array, float64, shape (T + 1,)

    Raises
    ------
    InputError
        If alpha_bar is no table that falls from 1, or the factor is out of range.

    References
    ----------
    Hoogeboom, Heek, Salimans, "simple diffusion: end-to-end diffusion for high resolution images", ICML 2023, section
    3.1; Esser et al., "Scaling rectified flow transformers for high-resolution image synthesis", 2024, Eq. 23.
    """
    check_number("factor", factor, 0.01, 100)
    table = falling_table(alpha_bar)
    return table / (table + factor**2 * (1 - table))
