"""``tinydiff train``, which is ``--objective denoise``: diffusion models."""

import warnings
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from tyro.conf import arg

from tinydiff.apps.cli.options import DATASET_NAMES, PathName, ScheduleName, TargetName
from tinydiff.apps.cli.screen import say
from tinydiff.apps.cli.train.command import TrainCommand, on_device, trains
from tinydiff.apps.cli.train.data import (
    CAPTIONS_CUT,
    FOLDER_HELP,
    DataOptions,
    Fit,
    decided_before,
    learn_words,
    names_of_classes,
    prepare_data,
)
from tinydiff.apps.cli.train.denoiser import (
    NetworkName,
    Shape,
    config_of,
    model_of,
    reads_text,
    says_variance,
    sees_small,
    settings_of,
    shape_of,
    table_of,
)
from tinydiff.apps.cli.train.start_from import start_model
from tinydiff.base import Device, InputError
from tinydiff.data import Dataset
from tinydiff.models import DiffusionModel, Enlarger, default_micro_batch, load
from tinydiff.networks import DiTConfig, TextConfig, UNetConfig
from tinydiff.train import Denoise, DenoiseConfig, Run


@trains("denoise")
@dataclass(frozen=True)
class Train(TrainCommand):
    """Train a model. Ctrl-C finishes the step and saves; the same command goes on from there.

    `tinydiff train avatars` takes the options of a recipe that ships with tinydiff, here of one that learns to draw
    portraits from captions; `tinydiff train my-pictures-32 --data FOLDER` learns from some fifty pictures of your own.
    """

    called: ClassVar = {"n": "images", "factor": "enlarges"}

    objective: str = "denoise"
    """What is minimised. Each objective has options of its own: see --help with it."""
    data: Annotated[str, arg(help=f"{DATASET_NAMES}, {FOLDER_HELP}.")] = "mnist-small"
    fit: Fit = "crop"
    """What is done to a folder's pictures of another shape: keep the middle, add bars, or distort."""
    background: str = "white"
    """What transparent parts of a folder's pictures are put onto, and the colour of bars: a name, or #rrggbb."""
    images: int | None = None
    """How many portraits to put together, or scenes to draw; without it, 20,000 or 10,000. For these only."""
    start_from: str | None = None
    """Fine-tune: start from this shipped model or model folder instead of random weights. The shape of the network is
    its own, but for what you give, and what the data decide; weights that do not fit are new."""
    network: NetworkName = "unet"
    """Which network predicts the noise."""
    unet: UNetConfig = field(default_factory=lambda: UNetConfig(28, channels=16, channel_mult=(1, 3, 4)))
    """The shape of a UNet; its image_size decides how images are resized."""
    dit: DiTConfig = field(default_factory=lambda: DiTConfig(28, in_channels=1, channels=96, layers=4))
    """The shape of a DiT; its image_size decides how images are resized."""
    enlarges: int | None = None
    """Learn to enlarge pictures so many times along both sides: the network sees them small, and noised (as far as
    --train.image-noise says), beside x_t. Sizes are those of the large ones."""
    schedule: ScheduleName = "cosine"
    """Of the forward process."""
    captions: bool = False
    """Learn to draw from captions; the network's context then has as many channels as the text."""
    text: TextConfig = field(default_factory=TextConfig)
    """The shape of the text encoder, for captions; its vocabulary is the largest that is wanted."""
    T: int = 1000
    """Steps of the forward process."""
    kind: TargetName = "v"
    """What the network predicts."""
    variance: Literal["fixed", "learned"] = "fixed"
    """Of a step: one of two formulas, or learned too, between both, in as many channels again; for the sampler ddpm."""
    path: PathName = "vp"
    """In what units x_t is: DDPM's, or, with --schedule straight, flow matching's."""
    train: DenoiseConfig = field(default_factory=DenoiseConfig)
    """How to train."""

    def run(self) -> None:
        """Train, or go on with a run that was stopped."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", CAPTIONS_CUT)  # said once, when the captions were read
            super().run()

    def prepare(self, device: Device) -> Denoise:
        """Read the data, and make the network or load the one to start from."""
        start = None if self.start_from is None else load(self.start_from, kind=DiffusionModel)
        if self.enlarges is None and isinstance(start, Enlarger):
            object.__setattr__(self, "enlarges", start.factor)
        elif start is not None and not isinstance(start, Enlarger):
            start.check_draws()
        if start is not None:
            training, held_out, model = start_model(self, start)
        else:
            fixed = None if self.given is None else self.given | decided_before(self.out)
            options = DataOptions(self.data, self.network, fixed, self.captions, **self._of_pictures())
            training, held_out, shape = prepare_data(options, shape_of(self))
            shape = says_variance(self, self.sees(shape))
            model = self._new_model(training, shape)
        micro_batch = self.train.micro_batch or default_micro_batch(model.config.denoiser)
        model = replace(
            model,
            network=on_device(model.network, device),
            micro_batch=micro_batch,
            threads=self.threads,
            processes=self.processes,
        )
        with warnings.catch_warnings(record=True) as on_captions:
            warnings.filterwarnings("always", CAPTIONS_CUT)
            objective = self.task(model, training, held_out)
        for warning in on_captions:
            say(f"{warning.message} A larger --text.length keeps more.")
        return objective

    def task(self, model: DiffusionModel, training: Dataset, held_out: Dataset) -> Denoise:
        """Return what is minimised."""
        return Denoise(model, training, self.train, held_out)

    def sees(self, shape: Shape) -> Shape:
        """Return the shape of a network that sees and is told what it learns from."""
        return sees_small(self, shape)

    def settings(self, objective: Denoise) -> dict[str, Any]:
        """Return all options; of the model its own, where it was given."""
        return super().settings(objective) | settings_of(objective.model.config)

    def last_words(self, run: Run, where: str) -> str:
        """Return how to draw with it."""
        if self.enlarges is not None:
            return f"To enlarge a picture: tinydiff edit --model {where} --image PICTURE"
        prompt = ' --prompt "..."' if run.trained().reads_text else ""
        return f"To draw: tinydiff sample --model {where}{prompt}"

    def _of_pictures(self) -> dict[str, Any]:
        return {"images": self.images, "fit": self.fit, "background": self.background}

    def _new_model(self, training: Dataset, shape: Shape) -> DiffusionModel:
        """Return a model with random weights, and a tokenizer that has read the captions if it is to read any."""
        text, tokenizer = None, None
        if not self.captions:
            table = table_of(shape)
            if shape.pooled_channels is not None:
                raise InputError(
                    f"{table}.pooled_channels is {shape.pooled_channels}, but there is no text whose vector it could "
                    "take without captions: leave it out."
                )
            if shape.context_channels is not None:
                raise InputError(
                    f"{table}.context_channels is {shape.context_channels}, but there is nothing to look at without "
                    "captions: leave it out."
                )
            if self.text != TextConfig():
                say("The options of text are not used: nothing is learned from captions.")
        else:
            shape = reads_text(shape, self.text)
            if training.captions is None:
                raise InputError(f"captions was given, but {self.data} has none: leave it out, or take avatars.")
            tokenizer, text = learn_words(training.captions, self.text)
        class_names = None if self.captions else names_of_classes(training, shape.num_classes)
        config = config_of(
            shape, schedule=self.schedule, T=self.T, kind=self.kind, path=self.path, text=text, class_names=class_names
        )
        network = config.network(np.random.default_rng(self.train.seed))
        factor, image_noise = self.enlarges, self.train.image_noise
        return model_of(network, config, factor, image_noise, micro_batch=self.train.micro_batch, tokenizer=tokenizer)
