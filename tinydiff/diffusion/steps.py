"""Straight steps from x_t to x_s along one guess of x_0 and eps, the guess that leads there, and bent chains."""

from collections.abc import Callable, Iterable
from typing import Any

from tinydiff.base import Array, checked
from tinydiff.diffusion.alpha_bar import Time, check_earlier, to_multiply
from tinydiff.diffusion.checks import check_match
from tinydiff.diffusion.process import GaussianDiffusion
from tinydiff.diffusion.samplers.chain import checked_prediction, scales, start
from tinydiff.diffusion.targets import Predict
from tinydiff.diffusion.times import per_sample, step_pairs


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
    (a_t, b_t), (a_s, b_s) = diffusion.scales(t), diffusion.scales(s)
    check_earlier(s, t)
    area = a_s * b_t - a_t * b_s  # above 0: sigma = b / a is larger at t
    weights = (b_t / area, b_s / area, a_s / area, a_t / area)
    of_s, of_t, with_t, with_s = (to_multiply(weight, x_t) for weight in weights)
    return of_s * x_s - of_t * x_t, with_t * x_t - with_s * x_s


def two_steps_as_one(
    diffusion: GaussianDiffusion,
    predict: Callable[[Array, Array, Array], tuple[Array, Array]],
    x_t: Array,
    t: Array,
    middle: Array,
    s: Array,
) -> tuple[Array, Array]:
    """Return the (x_0, eps) with which one straight step leads from x_t to where two steps of a model lead (Eq. PD-1).

    Parameters
    ----------
    diffusion : GaussianDiffusion
    predict : callable
        ``predict(x, begin, end) -> (x_0_hat, eps_hat)`` of a step from one time to another.
    x_t : array (N, ...)
    t, middle, s : arrays (N,)
        ``0 <= s < middle < t <= T``.
    """
    x = x_t
    for begin, end in ((t, middle), (middle, s)):
        x = straight_step(diffusion, *predict(x, begin, end), end)
    return guess_between(diffusion, x_t, t, x, s)


@checked()
def bend(
    predict: Predict,
    diffusion: GaussianDiffusion,
    x_T: Array,
    steps: int | Iterable[float],
    context: Any = None,
) -> float:
    """Return how far the velocity along chains is from the way that each takes as a whole; 0: straight (Eq. BEND-1).

    It is the mean over samples, numbers and time of ``(u - (x_T - x_0))^2``, where u = eps_hat - x_0_hat is the
    velocity of flow matching at x_t, and x_0 where the chain ends. Time is b / (a + b), from 1 at noise to 0.

    Parameters
    ----------
    predict, x_T, steps, context
        As for `ddim`.
    diffusion : GaussianDiffusion
        Best on the path ``"straight"``: on others x_t itself is no line between data and noise.

    References
    ----------
    Liu, Gong, Liu, "Flow straight and fast: learning to generate and transfer data with rectified flow", ICLR 2023,
    section 2.2.
    """
    x_t, velocities, shares = start(x_T, context), [], []
    for t, s in step_pairs(diffusion, steps):
        (a_t, b_t), (a_s, b_s) = scales(diffusion, t), scales(diffusion, s)
        x_0_hat, eps_hat = checked_prediction(x_t, predict(x_t, per_sample(t, x_t), context))
        velocities.append(eps_hat - x_0_hat)
        shares.append(b_t / (a_t + b_t) - b_s / (a_s + b_s))
        x_t = a_s * x_0_hat + b_s * eps_hat
    whole, total = x_T - x_t, sum(shares)
    squares = (share * ((u - whole) ** 2).mean() for share, u in zip(shares, velocities, strict=True))
    return float(sum(squares) / total)
