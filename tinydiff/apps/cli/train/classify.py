"""``tinydiff train --objective classify``: the classifiers that judge samples, and those that guide."""

from dataclasses import dataclass, field, fields
from typing import Annotated

import numpy as np
from tyro.conf import arg

from tinydiff.apps.cli.options import DATASET_NAMES
from tinydiff.apps.cli.train.command import TrainCommand, on_device, trains
from tinydiff.apps.cli.train.data import FOLDER_HELP, DataOptions, Fit, prepare_data
from tinydiff.base import Device, InputError
from tinydiff.diffusion import GaussianDiffusion, cosine_schedule
from tinydiff.networks import Classifier, ClassifierConfig, NoisyClassifier, NoisyClassifierConfig
from tinydiff.train import Classify, ClassifyConfig, Run

T = 1000  # steps of the forward process that makes pictures noisy, the cosine schedule


@trains("classify")
@dataclass(frozen=True)
class TrainClassifier(TrainCommand):
    """Train a classifier. Ctrl-C finishes the step and saves; the same command goes on from there."""

    objective: str = "classify"
    """What is minimised. Each objective has options of its own: see --help with it."""
    data: Annotated[str, arg(help=f"{DATASET_NAMES}, {FOLDER_HELP}.")] = "mnist-small"
    fit: Fit = "crop"
    """What happens to a folder's pictures of another shape: the middle is kept, bars are added, or they are
    stretched."""
    background: str = "white"
    """What transparent parts of a folder's pictures are put onto, and the colour of bars: a name, or #rrggbb."""
    noisy: bool = False
    """Learn from pictures with the noise of a random time: a classifier that can guide, and not one that judges."""
    network: ClassifierConfig = field(default_factory=lambda: ClassifierConfig(channels=(16, 32, 32)))
    """The shape of the network; its image_size decides how images are resized."""
    train: ClassifyConfig = field(default_factory=ClassifyConfig)
    """How to train."""

    def prepare(self, device: Device) -> Classify:
        """Read the data, and make the network."""
        options = DataOptions(self.data, "network", self.given, fit=self.fit, background=self.background)
        training, test, config = prepare_data(options, self.network)
        rng = np.random.default_rng(self.train.seed)
        if not self.noisy:
            return Classify(on_device(Classifier(config, rng), device), training, self.train, test)
        if config.features != ClassifierConfig.features:
            raise InputError(
                f"network.features is {config.features}, but a classifier of noisy pictures has no hidden layer "
                "of features: leave it out."
            )
        noisy = NoisyClassifierConfig(**{f.name: getattr(config, f.name) for f in fields(NoisyClassifierConfig)})
        network, diffusion = NoisyClassifier(noisy, rng), GaussianDiffusion(cosine_schedule(T))
        return Classify(on_device(network, device), training, self.train, test, diffusion)

    def last_words(self, run: Run, where: str) -> str:
        """Return what a card says: how often it is right on the test images."""
        figures = run.validate()
        said = [f"{name.replace('_', ' ')} {value:.2%}" for name, value in figures.items() if "loss" not in name]
        return f"On test images: {', '.join(said)}. The classifier is in {where}"
