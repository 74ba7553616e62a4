"""``tinydiff train``, which is ``--objective denoise``: diffusion models."""

import os
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar

import numpy as np
from tyro.conf import arg

from tinydiff.apps.cli.options import DATASET_NAMES, ScheduleName, TargetName
from tinydiff.apps.cli.train.command import TrainCommand, on_device, training_and_test, trains
from tinydiff.base import Device, InputError, to_table
from tinydiff.data import DATASETS, Dataset, load_avatars, load_folder
from tinydiff.models import DiffusionModel, ModelConfig, default_micro_batch, load
from tinydiff.networks import TextConfig, UNetConfig
from tinydiff.text import Tokenizer
from tinydiff.train import Denoise, DenoiseConfig, Run


@trains("denoise")
@dataclass(frozen=True)
class Train(TrainCommand):
    """Train a model. Ctrl-C finishes the step and saves; the same command goes on from there.

    `tinydiff train avatars` takes the options of a recipe that ships with tinydiff, here of one that learns to draw
    portraits from captions.
    """

    called: ClassVar = {"n": "images"}

    objective: str = "denoise"
    """What is minimised. Each objective has options of its own: see --help with it."""
    data: Annotated[str, arg(help=f"{DATASET_NAMES}, or a folder of images (./mnist for one that is called so).")] = (
        "mnist-small"
    )
    images: int | None = None
    """How many portraits to put together; without it, 20,000. For avatars only."""
    start_from: str | None = None
    """Fine-tune: start from this shipped model or model folder instead of random weights."""
    unet: UNetConfig = field(default_factory=lambda: UNetConfig(28, channels=16, channel_mult=(1, 3, 4)))
    """The shape of the network; its image_size decides how images are resized."""
    schedule: ScheduleName = "cosine"
    """Of the forward process."""
    captions: bool = False
    """Learn to draw from captions; the UNet's context then has as many channels as the text."""
    text: TextConfig = field(default_factory=TextConfig)
    """The shape of the text encoder, for captions; its vocabulary is the largest that is wanted."""
    T: int = 1000
    """Steps of the forward process."""
    kind: TargetName = "v"
    """What the network predicts."""
    train: DenoiseConfig = field(default_factory=DenoiseConfig)
    """How to train."""

    def prepare(self, device: Device) -> Denoise:
        """Read the data, and make the network or load the one to start from."""
        given = None if self.start_from is None else load(self.start_from, kind=DiffusionModel)
        if given is not None:
            self._check_agrees_with(given.config)
        training, held_out = self._data(self.unet if given is None else given.config.unet)
        print(training.describe(), held_out.describe(), sep="\n")
        model = self._new_model(training) if given is None else given
        micro_batch = self.train.micro_batch or default_micro_batch(model.config.unet)
        model = replace(
            model,
            network=on_device(model.network, device),
            micro_batch=micro_batch,
            threads=self.threads,
            processes=self.processes,
        )
        return Denoise(model, training, self.train, held_out)

    def settings(self, objective: Denoise) -> dict[str, Any]:
        """Return all options; of the model its own, where it was given."""
        return super().settings(objective) | to_table(objective.model.config)

    def last_words(self, run: Run, where: str) -> str:
        """Return how to draw with it."""
        return f"To draw: tinydiff sample --model {where}"

    def _check_agrees_with(self, own: ModelConfig) -> None:
        """Raise where what belongs to the model to start from was given and is another than its own."""
        unet, text = replace(self.unet, context_channels=own.unet.context_channels), self.text
        if own.text is not None:
            text = replace(text, vocabulary=own.text.vocabulary)  # that found in captions; given is the largest
        own_text = to_table(TextConfig() if own.text is None else own.text)
        has = flat({**to_table(own), "captions": own.text is not None, "text": own_text})
        given, default = flat(to_table(replace(self, unet=unet, text=text))), flat(to_table(Train()))
        for name, its in has.items():
            if name in given and given[name] not in (its, default[name]):
                raise InputError(
                    f"{name} was given, but that of the model to start from ({self.start_from}) is another: leave it "
                    "out."
                )

    def _new_model(self, training: Dataset) -> DiffusionModel:
        """Return a model with random weights, and a tokenizer that has read the captions if it is to read any."""
        unet, text, tokenizer = self.unet, None, None
        if unet.pooled_channels is not None:
            raise InputError(
                f"unet.pooled_channels is {unet.pooled_channels}, but no data have a vector to tell it: leave it out."
            )
        if not self.captions:
            if unet.context_channels is not None:
                raise InputError(
                    f"unet.context_channels is {unet.context_channels}, but there is nothing to look at without "
                    "captions: leave it out."
                )
            if self.text != TextConfig():
                print("The options of text are not used: nothing is learned from captions.")
        else:
            if unet.context_channels not in (None, self.text.channels):
                raise InputError(
                    f"unet.context_channels is {unet.context_channels}, but the UNet looks at the text, which has "
                    f"{self.text.channels} channels: leave it out."
                )
            if training.captions is None:
                raise InputError(f"captions was given, but {self.data} has none: leave it out, or take avatars.")
            merges = self.text.vocabulary - len(Tokenizer())
            if merges < 0:
                raise InputError(
                    f"text.vocabulary is {self.text.vocabulary}, but {len(Tokenizer())} or more were expected."
                )
            tokenizer = Tokenizer.train(training.captions, merges)
            text = replace(self.text, vocabulary=len(tokenizer))
            unet = replace(unet, context_channels=text.channels)
        config = ModelConfig(unet, self.schedule, self.T, self.kind, text)
        network = config.network(np.random.default_rng(self.train.seed))
        return DiffusionModel(network, config, self.train.micro_batch, tokenizer=tokenizer)

    def _data(self, unet: UNetConfig) -> tuple[Dataset, Dataset]:
        size, channels = unet.image_size, unet.in_channels
        if self.data == "avatars":
            return load_avatars("train", self.images).resize(size), load_avatars("test").resize(size)
        if self.images is not None:
            raise InputError(f"images is {self.images}, but only avatars are put together: leave it out.")
        if self.data not in DATASETS and os.path.isdir(self.data):  # false, too, for what is no path at all
            images = load_folder(self.data, size, channels)
            if len(images) < 2:
                raise InputError(f"{self.data} holds one image, but at least 2 are needed: one in twenty is held out.")
            held_out = np.arange(len(images)) % 20 == 0  # every twentieth, so that each subfolder has its share
            return images.take(~held_out), replace(images.take(held_out), split="held out")
        return training_and_test(self.data, size)


def flat(table: dict[str, Any], inside: str = "") -> dict[str, Any]:
    """Return a table's values, and those of the tables in it, by their dotted names."""
    values: dict[str, Any] = {}
    for name, value in table.items():
        values |= flat(value, f"{inside}{name}.") if isinstance(value, dict) else {inside + name: value}
    return values
