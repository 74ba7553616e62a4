"""``tinydiff train --objective points``: a small network that learns points in a plane, in seconds."""

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

import numpy as np
from tyro.conf import arg

from tinydiff.apps.cli.options import PathName, ScheduleName, TargetName, refuse_given
from tinydiff.apps.cli.screen import say
from tinydiff.apps.cli.train.command import TrainCommand, on_device, trains
from tinydiff.base import Device, check_count, to_table
from tinydiff.data import POINTS, load_points
from tinydiff.data.points import MOST_POINTS
from tinydiff.models import DiffusionModel, ModelConfig
from tinydiff.networks import MLPConfig
from tinydiff.train import Denoise, DenoiseConfig, Run

HELD_OUT = 2_000  # points


@trains("points")
@dataclass(frozen=True)
class TrainPoints(TrainCommand):
    """Train an MLP on points in a plane, whose density is known: diffusion that can be seen whole.

    `tinydiff train points --data spirals` takes 10 to 20 seconds. Ctrl-C finishes the step and saves; the same command
    goes on.
    """

    called: ClassVar = {"n": "points"}

    objective: str = "points"
    """What is minimised. Each objective has options of its own: see --help with it."""
    data: Annotated[str, arg(help=f"Which points: {', '.join(POINTS)}.")] = "two-moons"
    points: int = 20_000
    """How many to learn from."""
    network: MLPConfig = field(default_factory=lambda: MLPConfig(width=96))
    """The shape of the network. With num_classes it is also told which part a point belongs to, such as which moon."""
    schedule: ScheduleName = "cosine"
    """Of the forward process."""
    T: int = 1000
    """Steps of the forward process."""
    kind: TargetName = "v"
    """What the network predicts."""
    path: PathName = "vp"
    """In what units x_t is: DDPM's, or, with --schedule straight, flow matching's."""
    train: DenoiseConfig = field(
        default_factory=lambda: DenoiseConfig(
            steps=1500,
            batch=256,
            lr=3e-3,
            log_every=50,
            save_every=1500,
            validate_every=500,
            validation_images=HELD_OUT,
        )
    )
    """How to train."""

    def prepare(self, device: Device) -> Denoise:
        """Draw the points, and make the network."""
        refuse_given(self.train, "image_noise", "points are not enlarged: leave it out")
        refuse_given(self.train, "offset_noise", "the coordinates of a point are single numbers: leave it out")
        refuse_given(self.train, "flip", "points cannot be mirrored: leave it out")
        check_count("points", self.points, most=MOST_POINTS)
        training = load_points(self.data, self.points, self.train.seed)
        held_out = load_points(self.data, HELD_OUT, self.train.seed, split="test")
        say(training.describe(), held_out.describe())
        config = ModelConfig(mlp=self.network, schedule=self.schedule, T=self.T, kind=self.kind, path=self.path)
        network = on_device(config.network(np.random.default_rng(self.train.seed)), device)
        model = DiffusionModel(network, config, self.train.micro_batch, threads=self.threads, processes=self.processes)
        return Denoise(model, training, self.train, held_out)

    def settings(self, objective: Denoise) -> dict[str, Any]:
        """Return all options as they were resolved."""
        return super().settings(objective) | {"network": to_table(objective.model.config.mlp)}

    def last_words(self, run: Run, where: str) -> str:
        """Return how to draw with it."""
        return f"To draw: tinydiff sample --model {where}"
