"""Shortcuts: steps whose length the network is told, so that few of them are enough, or one."""

from collections.abc import Iterable
from typing import Any

from tinydiff.base import Array, as_condition, checked
from tinydiff.diffusion.process import GaussianDiffusion
from tinydiff.diffusion.samplers.chain import Chain, checked_prediction, scales, start
from tinydiff.diffusion.samplers.registry import sampler
from tinydiff.diffusion.targets import Predict
from tinydiff.diffusion.times import per_sample, step_pairs


@checked()
@sampler(tells_step_size=True)
def shortcut(
    predict: Predict,
    diffusion: GaussianDiffusion,
    x_T: Array,
    steps: int | Iterable[float],
    context: Any = None,
    end: float = 0,
) -> Chain:
    """Sample by the steps of `ddim`, and tell the network in each how far it goes: t - s (Eq. SHORTCUT-1).

    A shortcut model has learned where steps of this length lead (see `Shortcut`), for 1, 2, 4, 8, ... steps in all. A
    model that is not told its step is refused by its network; for one that leaves the context aside, this is `ddim`.

    Parameters
    ----------
    predict, diffusion, x_T, steps, context, end
        As for `ddpm`; predict gets the context as a `Condition` that holds the step's length, `step_size`.

    Raises
    ------
    InputError
        If an argument is out of range, or arrays differ in shape, dtype or device.

    References
    ----------
    Frans, Hafner, Levine, Abbeel, "One step diffusion via shortcut models", ICLR 2025 (arXiv 2410.12557), section 3.
    """
    x_t, condition = start(x_T, context), as_condition(context)
    for t, s in step_pairs(diffusion, steps, end):
        told = condition._replace(step_size=per_sample(t - s, x_t))
        x_0_hat, eps_hat = checked_prediction(x_t, predict(x_t, per_sample(t, x_t), told))
        a_s, b_s = scales(diffusion, s)
        x_t = a_s * x_0_hat + b_s * eps_hat
        yield s, x_t, x_0_hat
