"""``tinydiff train --objective attributes``: the network that reads attributes of pictures, and judges samples."""

from dataclasses import dataclass, field

import numpy as np

from tinydiff.apps.cli.screen import say
from tinydiff.apps.cli.train.command import TrainCommand, on_device, trains
from tinydiff.base import Device, InputError, Size, height_and_width
from tinydiff.data import DATASETS
from tinydiff.networks import AttributeClassifier, AttributeClassifierConfig, AttributeClassifierShape
from tinydiff.train import AttributeData, ClassifyAttributes, ClassifyAttributesConfig, Run


@trains("attributes")
@dataclass(frozen=True)
class TrainAttributes(TrainCommand):
    """Train a network that reads attributes. Ctrl-C finishes the step and saves; the same command goes on."""

    objective: str = "attributes"
    """What is minimised. Each objective has options of its own: see --help with it."""
    data: str = "scenes"
    """A data set that knows the attributes of its pictures, by name."""
    split: str = "train"
    """Which part of it is learned from; what is learned is measured on the part "test"."""
    network: AttributeClassifierShape = field(default_factory=AttributeClassifierShape)
    """The shape of the network; its image_size is the pictures' size, and its attributes are those of the data."""
    train: ClassifyAttributesConfig = field(default_factory=ClassifyAttributesConfig)
    """How to train."""

    def prepare(self, device: Device) -> ClassifyAttributes:
        """Read the data, and make the network."""
        training, test = (_with_attributes(self.data, split, self.network.image_size) for split in (self.split, "test"))
        words = {name: tuple(of_it) for name, of_it in training.attribute_words.items()}
        config = AttributeClassifierConfig(**vars(self.network), attributes=words)
        network = AttributeClassifier(config, np.random.default_rng(self.train.seed))
        say(training.describe(), test.describe())
        return ClassifyAttributes(on_device(network, device), training, self.train, test)

    def last_words(self, run: Run, where: str) -> str:
        """Return what a card says: how often each attribute is read rightly on unseen pictures."""
        said = [f"{name.replace('_', ' ')} {value:.2%}" for name, value in run.validate().items() if "loss" not in name]
        return f"On unseen pictures: {', '.join(said)}. The network is in {where}"


def _with_attributes(name: str, split: str, size: Size) -> AttributeData:
    """Return a split of a data set, drawn at this size, of whose pictures the attributes are known."""
    drawn, (height, width) = DATASETS[name].drawn, height_and_width("network.image_size", size)
    if drawn is None or not isinstance(found := drawn(split, size=height), AttributeData):
        raise InputError(f"data is {name!r}, of whose pictures no attributes are known: name a set such as scenes.")
    if height != width:
        raise InputError(f"network.image_size is {height} x {width}, but pictures of {name} are square.")
    return found
