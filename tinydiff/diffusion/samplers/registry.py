"""The list of samplers: each registers itself where it is defined, and all are called in one way."""

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from numbers import Integral
from typing import Any, TypeVar

import numpy as np

from tinydiff.base import Array, Choices, InputError, Noise, checks_arguments, shown
from tinydiff.diffusion.process import GaussianDiffusion
from tinydiff.diffusion.samplers.chain import Chain, NoiseSource, last
from tinydiff.diffusion.targets import Predict
from tinydiff.diffusion.times import equal_steps

Walk = TypeVar("Walk", bound=Callable[..., Chain])
SHARED = ("predict", "diffusion", "x_T", "steps", "noise", "context", "end")  # arguments; all others are options


@checks_arguments("__call__")
@dataclass(frozen=True)
class Sampler:
    """A sampler and what is known about it.

    Parameters
    ----------
    name : str
    walk : callable
        The sampler itself: ``walk(predict, diffusion, x_T, steps, ..., noise, context, end)``.
    times : callable
        ``times(diffusion, N)`` returns the times at which it predicts when N steps are asked for.
    draws_noise : bool
        Whether it takes `noise`.
    options : tuple of str
        Arguments of its own, such as the eta of `ddim`.
    summary : str
        What it is, in one line.
    """

    name: str
    walk: Callable[..., Chain]
    times: Callable[[GaussianDiffusion, int], list[float]]
    draws_noise: bool
    options: tuple[str, ...]
    summary: str

    def __call__(
        self,
        predict: Predict,
        diffusion: GaussianDiffusion,
        x_T: Array,
        steps: int | Iterable[float] | None = None,
        noise: NoiseSource | None = None,
        context: Any = None,
        end: float = 0,
        **options: Any,
    ) -> Chain:
        """Return the chain of the sampler, the same call for all of them.

        Parameters
        ----------
        predict, diffusion, x_T, context, end
            As for `ddpm`.
        steps : int, iterable of float or None
            How many steps, at times of the sampler's own choice, or the times themselves; None takes T steps.
        noise : Noise or None
            For samplers that draw noise; the others have no use for it.
        **options
            The sampler's own, by name; None stands for its default.

        Raises
        ------
        InputError
            If an option is not one of the sampler's.
        """
        given = {option: value for option, value in options.items() if value is not None}
        for option, value in given.items():
            if option not in self.options:
                raise InputError(
                    f"{option} is {shown(value)}, but this is for {_owners(option)}, not for {self.name}: leave it out."
                )
        steps = diffusion.T if steps is None else steps
        times = self.times(diffusion, int(steps)) if isinstance(steps, Integral) else steps
        if self.draws_noise:
            given["noise"] = noise
        return self.walk(predict, diffusion, x_T, times, context=context, end=end, **given)

    def calls(self, diffusion: GaussianDiffusion, steps: int | Iterable[float] | None = None) -> int:
        """Return how often the sampler predicts in so many steps, counted while it walks a picture of one pixel."""
        count = 0

        def predict(x_t, t, context=None):
            nonlocal count
            count += 1
            return x_t, x_t

        last(self(predict, diffusion, np.zeros((1, 1)), steps, Noise(0)))
        return count


def _owners(option):
    """Return the names of the samplers that have an option, as words."""
    *others, owner = [one.name for one in SAMPLERS.values() if option in one.options] or ["no sampler"]
    return f"{', '.join(others)} and {owner}" if others else owner


SAMPLERS: Choices[Sampler] = Choices("sampler")  # every sampler by its name


def sampler(times: Callable[[GaussianDiffusion, int], list[float]] = equal_steps) -> Callable[[Walk], Walk]:
    """Return a decorator that puts a function into `SAMPLERS` under its own name, and does not change it.

    Parameters
    ----------
    times : callable
        ``times(diffusion, N)`` returns the times of N steps that suit the sampler.

    Raises
    ------
    InputError
        If another module has a sampler of this name.
    """

    def register(walk):
        name, arguments = walk.__name__, inspect.signature(walk).parameters
        if name in SAMPLERS and SAMPLERS[name].walk.__module__ != walk.__module__:
            raise InputError(
                f"There are two samplers named {name!r}, in {SAMPLERS[name].walk.__module__} and "
                f"{walk.__module__}: rename one."
            )
        options = tuple(argument for argument in arguments if argument not in SHARED)
        summary, _, _ = (inspect.getdoc(walk) or "").partition("\n")
        SAMPLERS[name] = Sampler(name, walk, times, "noise" in arguments, options, summary)
        return walk

    return register
