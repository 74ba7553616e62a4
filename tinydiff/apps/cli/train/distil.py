"""``tinydiff train --objective distil``: a student that takes half as many steps as its teacher."""

from dataclasses import dataclass, field

from tinydiff.apps.cli.train.command import trains
from tinydiff.apps.cli.train.of_teacher import OfTeacher
from tinydiff.base import Device
from tinydiff.data import Dataset
from tinydiff.models import DiffusionModel
from tinydiff.train import Denoise, Distil, DistilConfig, Run


@trains("distil")
@dataclass(frozen=True)
class TrainStudent(OfTeacher):
    """Distil the model of --start-from into one that takes half as many steps (--train.teacher-steps).

    Its student may be the next teacher: 8 steps, 4, 2, 1. Ctrl-C finishes the step and saves; the same command goes on.
    """

    objective: str = "distil"
    """What is minimised. Each objective has options of its own: see --help with it."""
    train: DistilConfig = field(default_factory=DistilConfig)
    """How to train."""

    def prepare(self, device: Device) -> Denoise:
        """Read the data, and load the teacher."""
        self.teacher("is to be distilled")
        return super().prepare(device)

    def task(self, model: DiffusionModel, training: Dataset, held_out: Dataset) -> Denoise:
        """Return what is minimised; the student starts with the weights of its teacher."""
        return Distil(model, training, self.train, model, held_out)

    def last_words(self, run: Run, where: str) -> str:
        """Return how to draw with it."""
        steps = self.train.teacher_steps // 2
        return f"To draw: tinydiff sample --model {where} --sampler ddim --steps {steps}"
