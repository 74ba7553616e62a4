"""``tinydiff train --objective shortcut``: models that draw in one step, or in a few."""

from dataclasses import dataclass, field, replace

from tinydiff.apps.cli.options import refuse_given
from tinydiff.apps.cli.train.command import trains
from tinydiff.apps.cli.train.denoise import Train
from tinydiff.apps.cli.train.denoiser import Shape
from tinydiff.base import Device
from tinydiff.data import Dataset
from tinydiff.models import DiffusionModel
from tinydiff.train import Denoise, Run, Shortcut, ShortcutConfig


@trains("shortcut")
@dataclass(frozen=True)
class TrainShortcut(Train):
    """Train a shortcut model, whose network is told how far a step goes: it draws in 1, 2, 4, 8, ... steps.

    With --start-from it goes on with a diffusion model, and only has to learn the long steps. Ctrl-C finishes the step
    and saves; the same command goes on.
    """

    objective: str = "shortcut"
    """What is minimised. Each objective has options of its own: see --help with it."""
    train: ShortcutConfig = field(default_factory=ShortcutConfig)
    """How to train."""

    def prepare(self, device: Device) -> Denoise:
        """Read the data, and make the network or load the one to start from."""
        refuse_given(self, "enlarges", "long steps are learned of whole pictures, not of enlarging: leave it out")
        return super().prepare(device)

    def task(self, model: DiffusionModel, training: Dataset, held_out: Dataset) -> Denoise:
        """Return what is minimised."""
        return Shortcut(model, training, self.train, held_out)

    def sees(self, shape: Shape) -> Shape:
        """Return the shape of a network that is told how far a step goes."""
        return replace(super().sees(shape), step_size=True)

    def last_words(self, run: Run, where: str) -> str:
        """Return how to draw with it."""
        return f"To draw: tinydiff sample --model {where} --sampler shortcut --steps 1"
