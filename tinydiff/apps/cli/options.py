"""Options that several commands share, and what they show while they work."""

import dataclasses
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
from tqdm import tqdm

from tinydiff.base import InputError
from tinydiff.data import DATASETS
from tinydiff.diffusion import PATHS, SAMPLERS, SCHEDULES, TARGETS
from tinydiff.models import DiffusionModel

DeviceName = Literal["auto", "cpu", "cuda"]
if TYPE_CHECKING:
    SamplerName = str
    ScheduleName = str
    TargetName = str
    PathName = str
else:
    SamplerName = Literal[tuple(SAMPLERS)]
    ScheduleName = Literal[tuple(SCHEDULES)]
    TargetName = Literal[tuple(TARGETS)]
    PathName = Literal[tuple(PATHS)]
DATASET_NAMES = ", ".join(DATASETS)


def _sampler_options() -> type:
    """Return a dataclass with every option of every sampler, read from their signatures; None was not given."""
    owners: dict[str, list[str]] = {}
    kinds: dict[str, Any] = {}
    for name, listed in SAMPLERS.items():
        for option, parameter in listed.parameters.items():
            if kinds.setdefault(option, parameter.annotation) != parameter.annotation:
                raise TypeError(f"{option} is of two types in samplers, such as {name}: rename one.")
            owners.setdefault(option, []).append(f"{name} ({parameter.default})")
    fields: list[Any] = [
        (option, Annotated[kind | None, tyro.conf.arg(help=f"Of {', '.join(owners[option])}.")], None)
        for option, kind in sorted(kinds.items())
    ]
    return dataclasses.make_dataclass("SamplerOptions", fields, frozen=True, namespace={"__doc__": OF_SAMPLERS})


OF_SAMPLERS = "Options that some samplers have, each with its default; see docs/equations.md for what they mean."
if TYPE_CHECKING:
    SamplerOptions = Any
else:
    SamplerOptions = _sampler_options()


def given_options(options: Any) -> dict[str, Any]:
    """Return which of the `SamplerOptions` were given, with their values."""
    return {name: value for name, value in vars(options).items() if value is not None}


def refuse_given(command: Any, names: str, why: str) -> None:
    """Raise `InputError` if one of these options was given, because it would change nothing.

    Parameters
    ----------
    command : dataclass
    names : str
        Of its fields; one that has its default was not given.
    why : str
        The part of the sentence after "but", and what to do.
    """
    for field in dataclasses.fields(command):
        value = getattr(command, field.name)
        if field.name in names.split() and value != field.default:
            shown = str(value) if isinstance(value, Path) else repr(value)
            raise InputError(f"{field.name} is {shown}, but {why}.")


def labels_of(model: DiffusionModel, names: Iterable[str]) -> list[int]:
    """Return classes by number, from what was typed: the names of the model's classes, or numbers."""
    below_0 = re.compile("-[0-9]{1,17}")  # no class has such a number, which is said with those that there are
    return [int(name) if below_0.fullmatch(name) else model.config.label_of(name) for name in names]


class ProgressBar:
    """A bar on stderr for chains that are walked one after the other; there is none where stderr is no terminal.

    Used in a ``with`` statement, so that a bar that is left halfway is taken away before anything else is said.

    Parameters
    ----------
    what : str or None
        What is done, for the left end of the bar.
    unit : str
        What is counted.
    """

    def __init__(self, what: str | None = None, unit: str = "step"):
        self.what, self.unit = what, unit
        self.bar: Any = None

    def __call__(self, step: int, steps: int) -> None:
        """Show that a step of a chain was taken."""
        if step == 1:
            self.bar = tqdm(desc=self.what, total=steps, unit=self.unit, leave=False, disable=None, dynamic_ncols=True)
        self.bar.update()
        if step == steps:
            self.bar.close()

    def __enter__(self) -> "ProgressBar":
        return self

    def __exit__(self, *error: Any) -> None:
        if self.bar is not None:
            self.bar.close()
