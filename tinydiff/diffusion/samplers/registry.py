"""The list of samplers: each registers itself where it is defined, and all are called in one way."""

import inspect
from collections.abc import Callable, Iterable, Mapping
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
OF_TIMES = ("diffusion", "N")  # arguments of the function that says where steps are
SHARED = ("predict", "diffusion", "x_T", "steps", "noise", "context", "end")  # arguments; all others are options


@checks_arguments("__call__", "plan")
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
    own_steps : bool
        Whether it takes as many steps as it likes between two that are given; its calls depend on what it draws.
    tells_step_size : bool
        Whether it tells the network how far each step goes, so that only networks with `step_size` can be asked.
    time_options : tuple of str
        Arguments of `times` besides, such as the rho of `edm_steps`: they say where the steps are.
    """

    name: str
    walk: Callable[..., Chain]
    times: Callable[..., list[float]]
    draws_noise: bool
    options: tuple[str, ...]
    summary: str
    own_steps: bool = False
    tells_step_size: bool = False
    time_options: tuple[str, ...] = ()

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
        times, given = self.plan(diffusion, steps, options)
        if self.draws_noise:
            given["noise"] = noise
        return self.walk(predict, diffusion, x_T, times, context=context, end=end, **given)

    @property
    def parameters(self) -> dict[str, inspect.Parameter]:
        """All of its options, with what may be given for them and their defaults."""
        of_walk, of_times = inspect.signature(self.walk).parameters, inspect.signature(self.times).parameters
        return {name: of_walk[name] for name in self.options} | {name: of_times[name] for name in self.time_options}

    def plan(
        self, diffusion: GaussianDiffusion, steps: int | Iterable[float] | None, options: Mapping[str, Any]
    ) -> tuple[Iterable[float], dict[str, Any]]:
        """Return the times of its steps, and the options that are given and say something else.

        Raises
        ------
        InputError
            If an option is not one of the sampler's, or says where steps are that are given.
        """
        given = {option: value for option, value in options.items() if value is not None}
        for option, value in given.items():
            if option not in self.parameters:
                raise InputError(
                    f"{option} is {shown(value)}, but this is for {_owners(option)}, not for {self.name}, which has "
                    f"{_listed(self.parameters)}: leave it out."
                )
        steps = diffusion.T if steps is None else steps
        of_times = {option: given.pop(option) for option in self.time_options if option in given}
        if isinstance(steps, Integral):
            return self.times(diffusion, int(steps), **of_times), given
        for option, value in of_times.items():
            raise InputError(f"{option} is {shown(value)}, but the steps themselves are given: leave one of them out.")
        times: Any = steps
        return times, given

    def calls(
        self, diffusion: GaussianDiffusion, steps: int | Iterable[float] | None = None, **options: Any
    ) -> int | None:
        """Return how often the sampler predicts in so many steps, counted while it walks a picture of one pixel.

        None if that depends on the picture (`own_steps`).
        """
        count = 0

        def predict(x_t, t, context=None):
            nonlocal count
            count += 1
            return x_t, x_t

        last(self(predict, diffusion, np.zeros((1, 1)), steps, Noise(0), **options))
        return None if self.own_steps else count


def _owners(option):
    """Return the names of the samplers that have an option, as words."""
    return _listed([one.name for one in SAMPLERS.values() if option in one.parameters] or ["no sampler"])


def _listed(names):
    """Return names as words; no options, where there are none."""
    *others, one = list(names) or ["no options"]
    return f"{', '.join(others)} and {one}" if others else one


SAMPLERS: Choices[Sampler] = Choices("sampler")  # every sampler by its name


def sampler(
    times: Callable[..., list[float]] = equal_steps, own_steps: bool = False, tells_step_size: bool = False
) -> Callable[[Walk], Walk]:
    """Return a decorator that puts a function into `SAMPLERS` under its own name, and does not change it.

    Parameters
    ----------
    times : callable
        ``times(diffusion, N)`` returns the times of N steps that suit the sampler.
    own_steps : bool
        Whether it takes as many steps as it likes between two that are given.
    tells_step_size : bool
        Whether it tells the network how far each step goes.

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
        of_times = tuple(argument for argument in inspect.signature(times).parameters if argument not in OF_TIMES)
        draws_noise = "noise" in arguments
        SAMPLERS[name] = Sampler(name, walk, times, draws_noise, options, summary, own_steps, tells_step_size, of_times)
        return walk

    return register
