"""Straight steps: from x_t to x_s along one guess of x_0 and eps, and the guess that leads from the one to the other."""

from tinydiff.base import Array, checked, xp_of
from tinydiff.diffusion.alpha_bar import Time, check_earlier, to_multiply
from tinydiff.diffusion.checks import check_match
from tinydiff.diffusion.process import GaussianDiffusion


@checked()
def straight_step(diffusion: GaussianDiffusion, x_0: Array, eps: Array, s: Time) -> Array:
    """Return x_s = a_s x_0 + b_s eps, where a step of DDIM without fresh noise leads (Eq. DDIM-12).

    It is `GaussianDiffusion.q_sample`, which also takes s = 0; the noise is not drawn here, but guessed.

    Parameters
    ----------
    diffusion : GaussianDiffusion
    x_0, eps : arrays (N, ...)
        The guess of a model, x_0_hat and eps_hat.
    s : number or array (N,)
        ``0 <= s <= T``.

    Raises
    ------
    InputError
        If s is out of range, or the arrays differ in shape, dtype or device.
    """
    check_match(x_0=x_0, eps=eps)
    a_s, b_s = (to_multiply(scale, x_0) for scale in diffusion.scales(s))
    return a_s * x_0 + b_s * eps


@checked()
def guess_between(diffusion: GaussianDiffusion, x_t: Array, t: Time, x_s: Array, s: Time) -> tuple[Array, Array]:
    """Return the (x_0, eps) with which one straight step leads from x_t to x_s (Eq. PD-1).

    Two unknowns, two equations: a_t x_0 + b_t eps = x_t and a_s x_0 + b_s eps = x_s. What several steps of a model
    did becomes what a network should have said to do it in one: the target of shortcuts and of distillation.

    Parameters
    ----------
    diffusion : GaussianDiffusion
    x_t, x_s : arrays (N, ...)
    t, s : numbers or arrays (N,)
        ``0 <= s < t <= T``.

    Returns
    -------
    x_0, eps : arrays like x_t

    Raises
    ------
    InputError
        If a time is out of range, s is not earlier than t, or the arrays differ in shape, dtype or device.

    References
    ----------
    Salimans and Ho, "Progressive distillation for fast sampling of diffusion models", ICLR 2022, appendix G.
    """
    check_match(x_t=x_t, x_s=x_s)
    xp_of(x_t)
    (a_t, b_t), (a_s, b_s) = diffusion.scales(t), diffusion.scales(s)
    check_earlier(s, t)
    area = a_s * b_t - a_t * b_s  # above 0: sigma = b / a is larger at t
    weights = (b_t / area, b_s / area, a_s / area, a_t / area)
    of_s, of_t, with_t, with_s = (to_multiply(weight, x_t) for weight in weights)
    return of_s * x_s - of_t * x_t, with_t * x_t - with_s * x_s
