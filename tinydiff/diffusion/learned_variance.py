"""A learned variance: where it may lie, and the loss that teaches it (Nichol and Dhariwal 2021).

The true variance of a step lies between beta-tilde, right if the data are one point, and beta, right if they are
standard normal. The two differ little where steps are short, but a likelihood, or a chain of few steps, feels it. A
network with twice as many channels says, number by number, where the logarithm lies between the two.
"""

import math
from numbers import Real
from typing import Any

import numpy as np

from tinydiff.base import Array, check_positive, checked, xp_of
from tinydiff.diffusion.alpha_bar import Time, to_multiply
from tinydiff.diffusion.checks import check_match
from tinydiff.diffusion.process import GaussianDiffusion


@checked()
def log_variance_range(diffusion: GaussianDiffusion, t: Time, s: Time | None = None) -> tuple[Array, Array]:
    """Return log beta-tilde and log beta of the step from t to s, float64, (N,) or without axes (Eq. IDDPM-15).

    Both are those of this very step, also where a chain leaves steps out. At s = 0, beta-tilde is 0; as in the authors'
    code, that of the step before it is taken, here of one as long: from 2 t, or from T if that is less, to t.

    Parameters
    ----------
    diffusion : GaussianDiffusion
    t, s : numbers or arrays, shape (N,)
        Times of the step; s is ``t - 1`` if it is not given.

    Raises
    ------
    InputError
        If a time is out of range.
    """
    s = t - 1 if s is None else s
    xp = xp_of(*(time for time in (t, s) if not isinstance(time, Real)))
    upper = xp.asarray(diffusion.reverse_beta(t, s))
    t, s = xp.asarray(t), xp.asarray(s)
    before = xp.minimum(2 * t, diffusion.T)
    is_last, is_only = s == 0, before == t  # the only step of a chain has no step before it
    shifted_t, shifted_s = xp.where(is_last & ~is_only, before, t), xp.where(is_last & ~is_only, t, s)
    of_point: Any = diffusion.posterior_variance(xp.atleast_1d(shifted_t), xp.atleast_1d(shifted_s))
    of_point = of_point.reshape(upper.shape)
    return xp.log(xp.where(is_last & is_only, upper, of_point)), xp.log(upper)


@checked()
def learned_log_variance(diffusion: GaussianDiffusion, share: Array, t: Time, s: Time | None = None) -> Array:
    r"""Return the log variance of the step from t to s that a network says by a share (Eq. IDDPM-15).

    .. math:: \log \sigma^2 = \tfrac{1 + w}{2} \log \beta + \tfrac{1 - w}{2} \log \tilde\beta

    Parameters
    ----------
    diffusion : GaussianDiffusion
    share : array, shape (N, ...)
        w, 1 at beta and -1 at beta-tilde. It is not bounded, so that the loss has a slope everywhere.
    t, s
        As for `log_variance_range`.

    Returns
    -------
    array like share

    Raises
    ------
    InputError
        If a time is out of range.

    References
    ----------
    Nichol, Dhariwal, "Improved denoising diffusion probabilistic models", ICML 2021, Eq. 15, where v = (1 + w) / 2.
    """
    check_match(share=share)
    low, high = (_fit(end, share) for end in log_variance_range(diffusion, t, s))
    return (1 + share) / 2 * high + (1 - share) / 2 * low


@checked()
def best_variance(diffusion: GaussianDiffusion, squared_error: float, t: float, s: float | None = None) -> float:
    r"""Return the variance of a step from t to s that makes the bound smallest (Eq. ADPM-1).

    .. math:: \sigma^2 = \tilde\beta + c_0^2\, E\bigl[(x_0 - \hat x_0)^2\bigr]

    The part of x_0 that x_t does not tell comes on top of beta-tilde, since the mean of the step, which is linear in
    x_0, cannot know it.

    Parameters
    ----------
    diffusion : GaussianDiffusion
    squared_error : float
        The mean square by which x_0_hat misses x_0; for the best denoiser, the mean variance of x_0 given x_t.
    t, s : numbers
        As for `log_variance_range`.

    Raises
    ------
    InputError
        If a time is out of range.

    References
    ----------
    Bao, Li, Zhu, Zhang, "Analytic-DPM: an analytic estimate of the optimal reverse variance in diffusion probabilistic
    models", ICLR 2022, Theorem 1, there in terms of the score.
    """
    check_positive("squared_error", squared_error)
    s = t - 1 if s is None else s
    c_0 = float(diffusion.posterior_mean(np.ones(1), np.zeros(1), t, s)[0])
    return float(diffusion.posterior_variance(t, s)) + c_0**2 * squared_error


@checked()
def variance_loss(
    diffusion: GaussianDiffusion, x_0: Array, x_0_hat: Array, t: Time, share: Array
) -> tuple[Array, Array]:
    r"""Return L_vlb as a loss of the variance alone, and its gradient in the share (Eq. IDDPM-16).

    Of each number it is the divergence of the true step from t to t - 1, given x_0, from the model's; at t = 1,
    -log p(x_0 | x_1) of a density. The bound is T times its mean over t. No gradient goes into x_0_hat: the mean is
    learned by the simple loss, which weighs the steps better, and the small gradients of the bound, which are noisy,
    are left to the variance.

    Parameters
    ----------
    diffusion : GaussianDiffusion
    x_0, x_0_hat, share : arrays, shape (N, ...)
        The data; what the network takes them for; what it says of the variance.
    t : array, shape (N,)
        Whole steps, from 1.

    Returns
    -------
    loss : array like x_0
        In nats.
    d_share : array like x_0
        Its derivative, number by number.

    Raises
    ------
    InputError
        If t is out of range, or arrays differ in shape, dtype or device.

    References
    ----------
    Nichol, Dhariwal, "Improved denoising diffusion probabilistic models", ICML 2021, section 3.1.
    """
    check_match(x_0=x_0, x_0_hat=x_0_hat, share=share)
    xp = xp_of(x_0, t)
    low, high = (_fit(end, share) for end in log_variance_range(diffusion, t))
    log_variance = (1 + share) / 2 * high + (1 - share) / 2 * low
    missed = diffusion.posterior_mean(x_0 - x_0_hat, 0 * x_0, t)  # by what the mean of the step is wrong
    of_point = diffusion.posterior_variance(t)  # 0 at t = 1, where the true step ends at x_0
    is_first = t == 1
    constant = xp.where(is_first, -math.log(2 * math.pi), 1 + xp.log(xp.where(is_first, 1, of_point)))
    relative = (_fit(of_point, share) + missed**2) * xp.exp(-log_variance)
    loss = (log_variance + relative - _fit(constant, share)) / 2
    d_log_variance = (1 - relative) / 2
    return loss, d_log_variance * (high - low) / 2


def _fit(coefficient, x):
    """Return a float64 coefficient, one for all samples or one for each, broadcastable to x and of its dtype."""
    return to_multiply(float(coefficient) if coefficient.ndim == 0 else coefficient, x)
