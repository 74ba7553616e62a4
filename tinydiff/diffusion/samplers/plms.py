"""PLMS and PNDM: the last four predictions of eps with fixed weights."""

from collections.abc import Iterable
from typing import Any

from tinydiff.base import Array, check_choice, checked
from tinydiff.diffusion.process import GaussianDiffusion
from tinydiff.diffusion.samplers.chain import Chain, checked_prediction, scales, start
from tinydiff.diffusion.samplers.registry import sampler
from tinydiff.diffusion.targets import Predict
from tinydiff.diffusion.times import per_sample, step_pairs

WEIGHTS = {2: (3 / 2, -1 / 2), 3: (23 / 12, -16 / 12, 5 / 12), 4: (55 / 24, -59 / 24, 37 / 24, -9 / 24)}


@checked()
@sampler()
def plms(
    predict: Predict,
    diffusion: GaussianDiffusion,
    x_T: Array,
    steps: int | Iterable[float],
    begin: str = "heun",
    context: Any = None,
    end: float = 0,
) -> Chain:
    """Sample by PLMS: DDIM steps along a mean of the last four predictions of eps, with fixed weights (Eq. PLMS-1).

    The weights are Adams and Bashforth's for steps of one length. In the variable in which they would have to be
    equal, sigma, a chain's steps are not: so the order is not 4 but 2, and 1 where steps alternate in length. `lms`
    and `deis` take weights that know the steps.

    Parameters
    ----------
    predict, diffusion, x_T, steps, context, end
        As for `ddpm`.
    begin : str
        The first steps: ``"heun"``, one of two predictions as in Stable Diffusion's code, or ``"runge_kutta"``, three
        of four predictions as in PNDM.

    Raises
    ------
    InputError
        If an argument is out of range, or arrays differ in shape, dtype or device.

    References
    ----------
    Liu, Ren, Lin, Zhao, "Pseudo numerical methods for diffusion models on manifolds", ICLR 2022.
    """
    check_choice("begin", begin, ("heun", "runge_kutta"))
    x_t = start(x_T, context)
    known: list[Array] = []  # eps_hat of the last steps, the latest first
    for t, s in step_pairs(diffusion, steps, end):
        (a_t, _), (a_s, b_s) = scales(diffusion, t), scales(diffusion, s)
        x_0_hat, eps_hat = checked_prediction(x_t, predict(x_t, per_sample(t, x_t), context))
        if a_t == 0 or b_s == 0:
            x_t = a_s * x_0_hat + b_s * eps_hat
            yield s, x_t, x_0_hat
            continue
        known = [eps_hat, *known[:3]]
        if begin == "runge_kutta" and len(known) < 4:
            eps_hat = mean_of_four(predict, diffusion, x_t, t, s, eps_hat, context)
        elif len(known) == 1:
            x_s = transfer(diffusion, x_t, t, s, eps_hat)
            _, eps_s = checked_prediction(x_t, predict(x_s, per_sample(s, x_t), context))
            eps_hat = (eps_hat + eps_s) / 2
        else:
            eps_hat = sum(weight * eps for weight, eps in zip(WEIGHTS[len(known)], known, strict=True))
        x_t = transfer(diffusion, x_t, t, s, eps_hat)
        yield s, x_t, x_0_hat


def transfer(diffusion: GaussianDiffusion, x_t: Array, t: float, s: float, eps_hat: Array) -> Array:
    """Return x_s by a DDIM step along this eps_hat, PNDM's transfer function."""
    (a_t, b_t), (a_s, b_s) = scales(diffusion, t), scales(diffusion, s)
    return a_s / a_t * x_t + (b_s - a_s * b_t / a_t) * eps_hat


def mean_of_four(
    predict: Predict, diffusion: GaussianDiffusion, x_t: Array, t: float, s: float, eps_1: Array, context: Any
) -> Array:
    """Return Runge and Kutta's mean of four predictions, whose steps are DDIM's."""
    m = (t + s) / 2
    _, eps_2 = checked_prediction(x_t, predict(transfer(diffusion, x_t, t, m, eps_1), per_sample(m, x_t), context))
    _, eps_3 = checked_prediction(x_t, predict(transfer(diffusion, x_t, t, m, eps_2), per_sample(m, x_t), context))
    _, eps_4 = checked_prediction(x_t, predict(transfer(diffusion, x_t, t, s, eps_3), per_sample(s, x_t), context))
    return (eps_1 + 2 * eps_2 + 2 * eps_3 + eps_4) / 6
