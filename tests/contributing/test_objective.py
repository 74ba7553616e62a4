"""The recipe "Add an objective", followed with a linear autoencoder."""

import pytest
from recipe import Recipe

OBJECTIVE = '''
"""Compress: a network gives its input back, through fewer numbers than came in."""

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinydiff.base import xp_of
from tinydiff.data import Dataset
from tinydiff.functional import mse, mse_backward
from tinydiff.nn import Module, Tape
from tinydiff.train.config import TrainConfig
from tinydiff.train.objective import Objective
from tinydiff.train.order import shuffled


@dataclass(frozen=True)
class CompressConfig(TrainConfig):
    """How an autoencoder is trained: the settings of every run (`TrainConfig`), with other defaults."""

    steps: int = 500
    warmup: int = 10


class Compress(Objective):
    """The network learns to give pictures back: the mean squared error.

    Parameters
    ----------
    network : Module
        Rows of pixels to rows of pixels; trained in place.
    data : Dataset
    config : CompressConfig
    validation : Dataset or None
        Held-out images.
    """

    config: CompressConfig

    def __init__(self, network: Module, data: Dataset, config: CompressConfig, validation: Dataset | None = None):
        super().__init__(network, config)
        self.data, self.validation = data, validation

    def add_gradient(self, step: int, shard: int, grads: Any) -> Any:
        """Add one micro-batch's part of the gradient to `grads`; return its part of the loss."""
        indices = shuffled(len(self.data), self.config.batch, step, self.config.seed)[self.config.part(shard)]
        images, _ = self.data.batch(indices, xp_of(self.network.theta))
        pixels, tape = images.reshape(len(images), -1).astype(self.network.theta.dtype), Tape()
        loss, cache = mse(self.network.forward(pixels, tape), pixels)
        share = len(indices) / self.config.batch
        dy, _ = mse_backward(share, cache)
        self.network.backward(dy, tape, grads)
        return share * loss

    def validate(self, *networks: Any) -> dict[str, float]:
        """Return the loss on held-out images."""
        (network,), data = networks, self.validation
        if data is None:
            return {}
        images, _ = data.batch(np.arange(len(data)), xp_of(network.theta))
        pixels = images.reshape(len(images), -1)
        loss, _ = mse(network.forward(pixels), pixels)
        return {"validation_loss": float(loss)}

    def identity(self) -> dict[str, Any]:
        """Return the sizes of the weights, and the data with a checksum."""
        shapes = {name: list(p.value.shape) for name, p in self.network.named_parameters().items()}
        return {"shapes": shapes, "data": self.data.name, "checksum": zlib.crc32(self.data.images.tobytes())}
'''
COMMAND = '''
"""``tinydiff train --objective <name>``: a linear autoencoder."""

from dataclasses import dataclass, field

import numpy as np

from tinydiff.apps.cli.train.command import TrainCommand, on_device, training_and_test, trains
from tinydiff.base import Device
from tinydiff.nn import Linear, Sequential
from tinydiff.train.objectives.<name> import Compress, CompressConfig


@trains("<name>")
@dataclass(frozen=True)
class TrainCompress(TrainCommand):
    """Train a linear autoencoder, which finds the principal components."""

    objective: str = "<name>"
    """What is minimised. Each objective has options of its own: see --help with it."""
    data: str = "digits"
    """Which data set."""
    size: int = 8
    """Height and width of the images."""
    middle: int = 4
    """How many numbers stand for an image."""
    train: CompressConfig = field(default_factory=CompressConfig)
    """How to train."""

    def prepare(self, device: Device) -> Compress:
        """Read the data, and make the network."""
        training, test = training_and_test(self.data, self.size)
        pixels, rng = training.images[0].size, np.random.default_rng(self.train.seed)
        network = Sequential(Linear(pixels, self.middle, rng), Linear(self.middle, pixels, rng))
        network.pack()
        return Compress(on_device(network, device), training, self.train, test)
'''
TEST = '''
"""Compress: the gradient of a step, and a loss that falls."""

import numpy as np

from tinydiff.data import load_data
from tinydiff.nn import Gradients, Linear, Sequential
from tinydiff.train import Run
from tinydiff.train.objectives.<name> import Compress, CompressConfig

CONFIG = CompressConfig(steps=60, batch=32, micro_batch=16, lr=1e-2)


def objective(dtype=np.float32):
    rng = np.random.default_rng(0)
    network = Sequential(Linear(64, 4, rng, dtype=dtype), Linear(4, 64, rng, dtype=dtype))
    network.pack()
    return Compress(network, load_data("digits"), CONFIG, load_data("digits", "test"))


def test_the_gradient_of_a_step_is_that_of_its_loss():
    ours = objective(np.float64)
    network, direction = ours.network, np.random.default_rng(1).normal(size=ours.network.theta.size)
    grads = Gradients(network.parameters())

    def loss(theta):
        network.theta[:] = theta
        return sum(float(ours.add_gradient(0, shard, Gradients(network.parameters()))) for shard in range(2))

    theta, h = network.theta.copy(), 1e-5
    slope = (loss(theta + h * direction) - loss(theta - h * direction)) / (2 * h)
    network.theta[:] = theta
    for shard in range(2):
        ours.add_gradient(0, shard, grads)
    assert abs(sum((grads[n] * direction_of).sum() for n, direction_of in parts(network, direction)) - slope) < 1e-6


def parts(network, vector):
    start = 0
    for name, parameter in network.named_parameters().items():
        yield name, vector[start : start + parameter.value.size].reshape(parameter.value.shape)
        start += parameter.value.size


def test_the_loss_falls():
    run = Run(objective(), threads=1)
    before = run.validate()["validation_loss"]
    run.run(progress=False)
    assert run.validate()["validation_loss"] < 0.5 * before
'''


@pytest.mark.slow
def test_an_objective(tmp_path):
    recipe = Recipe(tmp_path, "Add an objective", name="compress")
    recipe.write("tinydiff/train/objectives/<name>.py", OBJECTIVE)
    recipe.write("tinydiff/apps/cli/train/<name>.py", COMMAND)
    recipe.write("tests/train/test_<name>.py", TEST)
    recipe.tests("tests/train/test_<name>.py")
    assert "--objective compress" in recipe.tinydiff("train", "--help")
    run = ["train", "--objective", "<name>", "--middle", "3", "--train.steps", "4", "--threads", "1", "--out", "mine"]
    assert "Trained 4 steps" in recipe.tinydiff(*run)
    assert "has trained 4 steps already" in recipe.tinydiff(*run)
    assert (recipe.elsewhere / "mine" / "model.safetensors").is_file()
    assert "objective is 'nothing', but one of" in recipe.tinydiff("train", "--objective", "nothing", status=2)
    recipe.check()
