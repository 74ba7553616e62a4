"""Schedules that say what alpha_bar, or its log-SNR, is at every share t / T of the way."""

import numpy as np

from tinydiff.base import InputError, check_number, checked
from tinydiff.diffusion.schedules.registry import alpha_bar_from_beta, check_T, schedule


@schedule
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
    check_T(T)
    check_number("s", s, 0, 1)
    check_number("max_beta", max_beta, 0, 1)
    if max_beta == 0:
        raise InputError("max_beta is 0, but every step must add some noise: a number above 0 was expected.")
    left = 1 - np.arange(T + 1) / T
    f = np.sin(left / (1 + s) * (np.pi / 2)) ** 2  # cos(u) = sin(pi / 2 - u), which is exactly 0 at T
    beta = 1 - f[1:] / f[:-1]
    return alpha_bar_from_beta(np.minimum(beta, max_beta))


@schedule
@checked()
def sigmoid_schedule(
    T: int = 1000, start: float = -3.0, end: float = 3.0, tau: float = 1.0, max_beta: float = 0.999
) -> np.ndarray:
    """Return alpha_bar that falls like a sigmoid (Eq. SIGMOID-1).

    What older code calls "sigmoid" is `sigmoid_beta_schedule`: there it is beta that has the shape.

    Parameters
    ----------
    T : int
        Number of steps.
    start, end : float
        Which part of the sigmoid is taken, start < end.
    tau : float
        Its width; the smaller, the nearer to a straight fall in the middle and to flat ends.
    max_beta : float
        Largest share of the signal's variance that one step may remove, in (0, 1], as for `cosine_schedule`.

    Returns
    -------
    array, float64, shape (T + 1,)

    Raises
    ------
    InputError
        If T is not a positive integer, or a number is out of range.

    References
    ----------
    Jabri, Fleet, Chen, "Scalable adaptive computation for iterative generation", ICML 2023, section 4; Chen, "On the
    importance of noise scheduling for diffusion models", 2023.
    """
    check_T(T)
    check_number("start", start, -30, 30)
    check_number("end", end, start, 30)
    check_number("tau", tau, 0.01)
    check_number("max_beta", max_beta, 0, 1)
    if start == end or max_beta == 0:
        raise InputError(
            f"start is {start}, end {end} and max_beta {max_beta}, but start < end and max_beta > 0 were expected."
        )
    falling = 1 / (1 + np.exp(np.linspace(start, end, T + 1) / tau))
    share = (falling - falling[-1]) / (falling[0] - falling[-1])
    return alpha_bar_from_beta(np.minimum(1 - share[1:] / share[:-1], max_beta))


@schedule
@checked()
def laplace_schedule(T: int = 1000, mu: float = 0.0, b: float = 0.5) -> np.ndarray:
    """Return alpha_bar whose log-SNR is distributed like Laplace's density over the steps (Eq. LAPLACE-1).

    Half of the steps have a log-SNR within b log 2 of mu: training sees mostly the noise in the middle, where it is
    decided what a picture shows. ``alpha_bar[T]`` is exactly 0, so that a network must predict x_0 or v.

    Parameters
    ----------
    T : int
        Number of steps, at least 2.
    mu : float
        The log-SNR in the middle.
    b : float
        The width, from 0.01 to 10.

    Returns
    -------
    array, float64, shape (T + 1,)

    Raises
    ------
    InputError
        If T is not an integer of at least 2, or a number is out of range.

    References
    ----------
    Hang, Gu, Geng, Guo, "Improved noise schedule for diffusion training", 2024, Table 1.
    """
    check_T(T)
    check_number("mu", mu, -20, 20)
    check_number("b", b, 0.01, 10)
    share = np.arange(T + 1) / T
    nearest = 2 * np.minimum(share, 1 - share)  # 1 in the middle, 0 at both ends
    with np.errstate(divide="ignore"):
        log_snr = mu - b * np.sign(0.5 - share) * np.log(nearest)
    return 1 / (1 + np.exp(-log_snr))
