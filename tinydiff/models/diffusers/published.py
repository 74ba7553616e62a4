"""Rules of schedulers as diffusers has them, where these are not what our samplers of the same name do."""

from typing import Any

from tinydiff.base import Array
from tinydiff.diffusion import TARGETS, GaussianDiffusion, Predict
from tinydiff.diffusion.samplers.chain import Chain, checked_prediction, scales
from tinydiff.diffusion.samplers.dpmpp_3m_as_published import dpmpp_3m_as_published
from tinydiff.diffusion.samplers.exponential import half_log_snr
from tinydiff.diffusion.samplers.plms import WEIGHTS, transfer
from tinydiff.diffusion.times import per_sample, step_pairs


def ddim_by_stride(
    predict: Predict, diffusion: GaussianDiffusion, x_T: Array, steps: list[int], led_to: list[float]
) -> Chain:
    """Sample by DDIM whose steps lead to T // N before, and not to the next time (diffusers #9261).

    With times of ``linspace``, and of ``trailing`` where N does not divide T, the network is then told another time
    than that of its x.

    Parameters
    ----------
    predict, diffusion, x_T
        As for `ddim`.
    steps : list of int
    led_to : list of float
        alpha_bar where each step is thought to lead.
    """
    x_t = x_T
    for t, alpha_bar in zip(steps, led_to, strict=True):
        x_0_hat, eps_hat = checked_prediction(x_t, predict(x_t, per_sample(t, x_t), None))
        x_t = alpha_bar**0.5 * x_0_hat + (1 - alpha_bar) ** 0.5 * eps_hat
        yield t - 1, x_t, x_0_hat


def plms_of_outputs(
    predict: Predict, diffusion: GaussianDiffusion, x_T: Array, steps: list[int], end: int, kind: str, twice: bool
) -> Chain:
    """Sample by PNDM without its Runge-Kutta steps, whose weights are those of `plms`.

    Two things differ. What is weighed is the output of the network, which only then becomes the noise in x_t: another
    thing where it predicts v. And a step to a picture without noise weighs, too.

    Parameters
    ----------
    predict, diffusion, x_T
        As for `plms`.
    steps : list of int
    end : int
        Where the chain ends.
    kind : str
        What the network predicts, one of `TARGETS`.
    twice : bool
        Whether the first step begins with the mean of two outputs, as it does where there is more than one.
    """
    x_t, target = x_T, TARGETS[kind]
    known: list[Array] = []  # outputs of the last steps, the latest first

    def output_at(x: Array, t: float) -> tuple[Array, Array]:
        x_0_hat, eps_hat = checked_prediction(x, predict(x, per_sample(t, x), None))
        return target.of(diffusion, x_0_hat, eps_hat, per_sample(t, x)), x_0_hat

    def step(t: float, s: float, output: Array) -> Array:
        x_0_hat, eps_hat = target.x_0_and_eps(diffusion, x_t, per_sample(t, x_t), output)
        (a_t, _), (a_s, b_s) = scales(diffusion, t), scales(diffusion, s)
        return transfer(diffusion, x_t, t, s, eps_hat) if a_t > 0 else a_s * x_0_hat + b_s * eps_hat

    for t, s in step_pairs(diffusion, steps, end):
        output, x_0_hat = output_at(x_t, t)
        known = [output, *known[:3]]
        if len(known) == 1 and twice:
            output = (output + output_at(step(t, s, output), s)[0]) / 2
        else:
            output = sum(weight * one for weight, one in zip(_weights(len(known)), known, strict=True))
        x_t = step(t, s, output)
        yield s, x_t, x_0_hat


def _weights(n: int) -> Any:
    """Return Adams and Bashforth's weights of so many outputs."""
    return (1.0,) if n == 1 else WEIGHTS[n]


def dpmpp_3m_of_few(predict: Predict, diffusion: GaussianDiffusion, x_T: Array, steps: list[int]) -> Chain:
    """Sample by DPM-Solver++(3M) as it is where there are few steps: the last is of order 1, the one before of order 2.

    Parameters
    ----------
    predict, diffusion, x_T
        As for `dpmpp_3m_as_published`, which takes the steps before.
    steps : list of int
    """
    others, x_t, previous, came_from = steps[:-2], x_T, None, 0.0
    if others:
        for state in dpmpp_3m_as_published(predict, diffusion, x_T, others, end=steps[-2]):
            _, x_t, previous = state
            yield state
        came_from = others[-1]
    for t, s in step_pairs(diffusion, steps[-2:]):
        (a_t, b_t), (a_s, b_s) = scales(diffusion, t), scales(diffusion, s)
        x_0_hat, _ = checked_prediction(x_t, predict(x_t, per_sample(t, x_t), None))
        denoised = x_0_hat
        if previous is not None and s > 0:
            before, here, after = (half_log_snr(diffusion, time) for time in (came_from, t, s))
            h, h_previous = after - here, here - before
            denoised = x_0_hat + h / (2 * h_previous) * (x_0_hat - previous)
        x_t = b_s / b_t * x_t + (a_s - a_t * b_s / b_t) * denoised
        previous, came_from = x_0_hat, t
        yield s, x_t, x_0_hat
