"""``tinydiff train --objective consistency``: a trained model is tuned to jump from noise to data at once."""

from dataclasses import dataclass, field

from tinydiff.apps.cli.train.command import trains
from tinydiff.apps.cli.train.of_teacher import OfTeacher
from tinydiff.base import Device
from tinydiff.data import Dataset
from tinydiff.models import DiffusionModel
from tinydiff.train import Consistency, ConsistencyConfig, Denoise, Run


@trains("consistency")
@dataclass(frozen=True)
class TrainConsistency(OfTeacher):
    """Tune the model of --start-from until it says the same all along one path: consistency tuning (ECT).

    It must have learned "edm", "v" or "flow-v". Ctrl-C finishes the step and saves; the same command goes on.
    """

    objective: str = "consistency"
    """What is minimised. Each objective has options of its own: see --help with it."""
    train: ConsistencyConfig = field(default_factory=ConsistencyConfig)
    """How to train."""

    def prepare(self, device: Device) -> Denoise:
        """Read the data, and load the model to tune."""
        self.teacher("is to be tuned")
        return super().prepare(device)

    def task(self, model: DiffusionModel, training: Dataset, held_out: Dataset) -> Denoise:
        """Return what is minimised."""
        return Consistency(model, training, self.train, held_out)

    def last_words(self, run: Run, where: str) -> str:
        """Return how to draw with it."""
        return f"To draw: tinydiff sample --model {where} --sampler ddim --steps 1"
