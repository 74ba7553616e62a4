"""The schedulers of diffusers before the same court, where that library is installed.

A scheduler knows times as whole numbers of a training. Here every chain gets a scheduler of its own, whose training has
one level for each time of the chain: its table is the grid. So it walks the same grids as the samplers of tinydiff, and
what is judged is its formula. Its arithmetic is partly float32, so that errors below 1e-5 do not count.
"""

import functools
import importlib
import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from tinydiff.base import Array, DataError, InputError, checked
from tinydiff.diffusion import GaussianDiffusion, Predict
from tinydiff.diffusion.samplers.chain import Chain
from tinydiff.diffusion.times import step_pairs
from tinydiff.evaluate.court.judge import court
from tinydiff.evaluate.court.verdict import Verdict

ROUNDING = 2e-5  # of float32
NUMBERS = (10, 20, 40, 80)
# What makes a scheduler end at a finite lambda as it began, instead of by a step of order 1; each takes those it knows.
AS_IT_IS = {
    "lower_order_final": False,
    "euler_at_final": False,
    "final_sigmas_type": "sigma_min",
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,  # level 0 of the table is where the chain ends
}


class Scheduler(NamedTuple):
    """A scheduler by its class's name, its options, and the order that it states."""

    name: str
    config: dict[str, Any]
    stated: float


SCHEDULERS = (
    Scheduler("DDIMScheduler", {}, 1),
    Scheduler("DPMSolverMultistepScheduler", {"solver_order": 2}, 2),
    Scheduler("DPMSolverMultistepScheduler", {"solver_order": 3}, 3),
    Scheduler("DPMSolverMultistepScheduler", {"solver_order": 3, "algorithm_type": "dpmsolver"}, 3),
    Scheduler("DEISMultistepScheduler", {"solver_order": 3}, 3),
    Scheduler("UniPCMultistepScheduler", {"solver_order": 2}, 3),
    Scheduler("PNDMScheduler", {"skip_prk_steps": True}, 2),
)


@checked()
def judge_schedulers(
    schedulers: Sequence[Any] = SCHEDULERS, progress: Callable[[int, int], None] | None = None
) -> list[Verdict]:
    """Return the verdicts on schedulers of diffusers.

    Parameters
    ----------
    schedulers : sequence of Scheduler
    progress : callable or None
        ``progress(i, n)`` is called after each.

    Raises
    ------
    DataError
        If diffusers or torch cannot be imported.
    InputError
        If it has no scheduler of a name.
    """
    found = []
    for i, (name, config, stated) in enumerate(schedulers, 1):
        sampler = scheduler_sampler(name, **config)
        shown = {option: value for option, value in config.items() if option != "skip_prk_steps"}
        verdict = court(sampler, stated=stated, name=name, numbers=NUMBERS, rounding=ROUNDING, to_zero=False)
        found.append(replace(verdict, options=shown))
        if progress is not None:
            progress(i, len(schedulers))
    return found


@checked()
def scheduler_sampler(name: str, **config: Any) -> Callable[..., Chain]:
    """Return a scheduler of diffusers as a sampler, ``f(predict, diffusion, x_T, steps, context, end)``.

    Parameters
    ----------
    name : str
        Of its class, such as ``"DPMSolverMultistepScheduler"``: one whose `step` takes a predicted noise and x on
        DDPM's path, and that reads its levels from `alphas_cumprod` or `sigmas`.
    **config
        Options of the class.

    Raises
    ------
    DataError
        If diffusers or torch cannot be imported.
    InputError
        If it has no scheduler of this name.
    """
    torch, library = _imported("torch"), _imported("diffusers")
    kind = getattr(library, name, None)
    if kind is None:
        raise InputError(f"name is {name!r}, but diffusers has no scheduler that is called so.")
    known = inspect.signature(kind.__init__).parameters
    options = {option: value for option, value in AS_IT_IS.items() if option in known} | config

    def walk(
        predict: Predict,
        diffusion: GaussianDiffusion,
        x_T: Array,
        steps: Iterable[float],
        context: Any = None,
        end: float = 0,
    ) -> Chain:
        pairs = step_pairs(diffusion, steps, end)
        times = [pairs[0][0], *(s for _, s in pairs)]
        scheduler = kind(num_train_timesteps=len(times), **options)
        a, b = np.array([diffusion.scales(t) for t in times], np.float64).T
        scheduler.alphas_cumprod = torch.tensor((a**2)[::-1].copy(), dtype=torch.float64)
        scheduler.final_alpha_cumprod = scheduler.alphas_cumprod[0]
        scheduler.set_timesteps(len(pairs))
        if hasattr(scheduler, "sigmas"):
            scheduler.sigmas = torch.tensor(b / a, dtype=torch.float64)
        x = torch.tensor(np.asarray(x_T), dtype=torch.float64)
        for level in scheduler.timesteps:
            place = len(pairs) - int(level)
            x_0_hat, eps_hat = predict(np.asarray(x), np.full(len(x_T), times[place]), context)
            x = scheduler.step(torch.tensor(eps_hat, dtype=torch.float64), level, x).prev_sample
            yield times[place + 1], np.asarray(x, np.float64), x_0_hat

    return walk


@functools.cache
def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise DataError(
            f"{name} cannot be imported ({error}), but its schedulers are to be judged: pip install diffusers torch."
        ) from error
