"""The command ``tinydiff compare``."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from tyro.conf import Positional

from tinydiff.apps.cli.screen import say
from tinydiff.base import InputError
from tinydiff.models import DiffusionModel, compare_networks, load
from tinydiff.models.compare import FLIPS, describe_differences, flipped, networks_of

if TYPE_CHECKING:
    Flip = str
else:
    Flip = Literal[tuple(FLIPS)]


@dataclass(frozen=True)
class Compare:
    """Say at which layer the numbers of two models part, or those of a model and its twin with one option changed.

    The same random input goes through both, in float64, layer by layer.
    """

    model: Positional[str]
    """A shipped model, or a folder, of tinydiff or of diffusers."""
    other: Positional[str | None] = None
    """Another one, with the same parts."""
    flip: Flip | None = None
    """Instead of another model: the same weights with one option changed."""

    def run(self) -> None:
        """Compare each network of the two."""
        if (self.other is None) == (self.flip is None):
            raise InputError("flip is missing: give another model, or an option to change, and not both.")
        here = networks_of(load(self.model, kind=DiffusionModel))
        there: dict[str, Any] = {}
        if self.flip is None:
            there = networks_of(load(str(self.other), kind=DiffusionModel))
        else:
            option, _ = FLIPS[self.flip]
            there = {name: flipped(one, self.flip) for name, one in here.items() if hasattr(one.config, option)}
            if not there:
                raise InputError(f"flip is {self.flip!r}, but no network of {self.model} has {option}.")
        for name in here:
            if name in there:
                say(*describe_differences(name, compare_networks(here[name], there[name])))
            elif self.flip is None:
                say(f"{name}: only {self.model} has it.")
        for name in there:
            if name not in here:
                say(f"{name}: only {self.other} has it.")
