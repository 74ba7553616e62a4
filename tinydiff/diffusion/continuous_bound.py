"""The bound in continuous time: in gamma = -log SNR it is one integral, whatever the schedule (VDM).

A schedule is here a function gamma(t) that grows from t = 0 to t = 1; on DDPM's path a^2 = sigmoid(-gamma) and
b^2 = sigmoid(gamma). With infinitely many steps the bound is half the integral of the error of eps over gamma, between
the ends of the schedule. What lies between them decides only how much a random t makes of it vary.
"""

from collections.abc import Callable

import numpy as np

from tinydiff.base import Array, InputError, check_shape, checked, xp_of
from tinydiff.diffusion.alpha_bar import to_multiply
from tinydiff.diffusion.checks import check_match
from tinydiff.diffusion.process import GaussianDiffusion
from tinydiff.diffusion.targets import Predict

ROUNDING = 1e-6  # of gamma, by which it may seem to lie beyond the ends


@checked()
def noised(x_0: Array, gamma: Array, eps: Array) -> Array:
    """Return x_t = a x_0 + b eps at a gamma for each sample, (N,), on DDPM's path (Eq. VDM-Z)."""
    check_match(x_0=x_0, eps=eps)
    check_shape("gamma", gamma, x_0.shape[:1])
    xp = xp_of(x_0, gamma)
    signal, noise = (1 / (1 + xp.exp(sign * gamma)) for sign in (1, -1))
    return to_multiply(signal**0.5, x_0) * x_0 + to_multiply(noise**0.5, x_0) * eps


@checked()
def continuous_term(eps: Array, eps_hat: Array, slope: Array) -> Array:
    r"""Return what a random time says of the bound, in nats, shape (N,) (Eq. VDM-INF).

    .. math:: L_\infty = \tfrac12\, E_{t, \epsilon}\bigl[\gamma'(t)\, \lVert\epsilon - \hat\epsilon\rVert^2\bigr]
       = \tfrac12 \int_{\gamma_0}^{\gamma_1} E\, \lVert\epsilon - \hat\epsilon\rVert^2\, \mathrm{d}\gamma

    The second form knows no t any more: the inside of a schedule does not change the bound (Eq. VDM-INV).

    Parameters
    ----------
    eps, eps_hat : arrays, shape (N, ...)
        The noise in x_t, and what it is taken for.
    slope : array, shape (N,)
        The derivative of gamma at the time of each sample, if t is uniform in 0 .. 1.

    Raises
    ------
    InputError
        If arrays do not fit together.

    References
    ----------
    Kingma, Salimans, Poole, Ho, "Variational diffusion models", NeurIPS 2021, section 5.
    """
    check_match(eps=eps, eps_hat=eps_hat)
    check_shape("slope", slope, eps.shape[:1])
    errors = ((eps - eps_hat) ** 2).reshape(len(eps), -1).sum(axis=1)
    return slope / 2 * errors


@checked()
def slope_gradient(term: Array, slope: Array, curvature: Array) -> tuple[Array, Array]:
    r"""Return the gradient of the mean square of `continuous_term` in gamma and in its slope, (N,) each (Eq. VDM-VAR).

    Its mean, the bound, is fixed, so the mean square is the variance, but for a constant. As an integral over gamma,

    .. math:: E[\ell^2] = \int \frac{S(\gamma)}{4\, p(\gamma)}\, \mathrm{d}\gamma, \qquad p = \frac{1}{\gamma'},

    it depends on the schedule by the density p of the noise that is looked at, alone; S, the mean fourth power of the
    error, stays. So no gradient goes through the denoiser: at a fixed gamma, p changes with both arguments, since the
    time moves at which this gamma is met, which the curvature says.

    Parameters
    ----------
    term : array, shape (N,)
    slope, curvature : arrays, shape (N,)
        The first and second derivative of gamma at the times of these terms.

    Raises
    ------
    InputError
        If arrays do not fit together.
    """
    check_match(term=term, slope=slope, curvature=curvature)
    d_slope = term**2 / slope
    return -d_slope * curvature / slope, d_slope


@checked()
def in_gamma(predict: Predict, diffusion: GaussianDiffusion) -> Callable[[Array, Array], Array]:
    """Return ``f(x_t, gamma) -> eps_hat``, a denoiser of DDPM's path by its gamma, (N,), from one of steps.

    Parameters
    ----------
    predict : callable
        ``predict(x_t, t, context) -> (x_0_hat, eps_hat)``, such as `DiffusionModel.predict` or an oracle's.
    diffusion : GaussianDiffusion
        Whose steps these are, on any path. Between steps gamma is linear in t (Eq. LSNR-1).

    Raises
    ------
    InputError
        When called, on the host, with a gamma that none of the steps 1 .. T reaches.
    """
    steps = np.arange(1, diffusion.T + 1)
    alpha_bar = np.maximum(diffusion.alpha_bar[1:], 1e-300)  # no signal at all is hardly any
    known = np.log1p(-alpha_bar) - np.log(alpha_bar)

    def eps_hat_of(x_t, gamma):
        xp = xp_of(x_t, gamma)
        if xp is np and not (known[0] - ROUNDING <= gamma.min() and gamma.max() <= known[-1] + ROUNDING):
            raise InputError(
                f"gamma goes from {gamma.min():.4g} to {gamma.max():.4g}, but the denoiser knows {known[0]:.4g}, at "
                f"its first step, to {known[-1]:.4g}, at its last: take ends within."
            )
        t = xp.interp(gamma, xp.asarray(known), xp.asarray(steps))
        _, eps_hat = predict(to_multiply(diffusion.scale_at(t) + 0 * t, x_t) * x_t, t, None)
        return eps_hat

    return eps_hat_of
