"""``tinydiff train --objective latents``: diffusion in the latent space of an autoencoder."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from tyro.conf import arg

from tinydiff.apps.cli.options import DATASET_NAMES, ProgressBar, ScheduleName, TargetName
from tinydiff.apps.cli.screen import say
from tinydiff.apps.cli.train.command import TrainCommand, on_device, trains
from tinydiff.apps.cli.train.data import FOLDER_HELP, DataOptions, Fit, learn_words, prepare_data
from tinydiff.apps.cli.train.start_from import flat
from tinydiff.base import Device, InputError, counted, to_table
from tinydiff.data import DATASETS, LatentData, encode_once
from tinydiff.models import LatentAutoencoder, LatentDiffusion, ModelConfig, default_micro_batch, load
from tinydiff.networks import TextConfig, UNetConfig
from tinydiff.train import Denoise, DenoiseConfig, Run


@trains("latents")
@dataclass(frozen=True)
class TrainLatents(TrainCommand):
    """Train a latent diffusion model: pictures are encoded once, and a UNet learns to draw their latents from captions.

    Ctrl-C finishes the step and saves; the same command goes on from there, and encodes nothing again.
    """

    objective: str = "latents"
    """What is minimised. Each objective has options of its own: see --help with it."""
    data: Annotated[str, arg(help=f"{DATASET_NAMES}, {FOLDER_HELP}.")] = "scenes"
    images: int = 100_000
    """How many pictures are drawn to train, of data that are drawn, such as scenes."""
    fit: Fit = "crop"
    """What is done to a folder's pictures of another shape: keep the middle, add bars, or distort."""
    background: str = "white"
    """What transparent parts of a folder's pictures are put onto, and the colour of bars: a name, or #rrggbb."""
    autoencoder: str = "scenes/autoencoder"
    """The autoencoder: a shipped one, or the folder of one that was trained (--objective reconstruct)."""
    start_from: str | None = None
    """Go on with this shipped model of latents, or with a folder's, instead of random weights; shape, words and
    autoencoder are its own."""
    latents: Path | None = None
    """Where latents are kept, to be encoded only once; without it, in a folder of the run."""
    unet: UNetConfig = field(default_factory=lambda: UNetConfig(16, in_channels=8, channels=64, channel_mult=(1, 2, 2)))
    """The shape of the network; sizes and channels of the latents are those of the autoencoder."""
    schedule: ScheduleName = "cosine"
    """Of the forward process."""
    text: TextConfig = field(default_factory=TextConfig)
    """The shape of the text encoder; its vocabulary is the largest that is wanted."""
    T: int = 1000
    """Steps of the forward process."""
    kind: TargetName = "v"
    """What the network predicts."""
    train: DenoiseConfig = field(default_factory=DenoiseConfig)
    """How to train."""

    def prepare(self, device: Device) -> Denoise:
        """Encode the pictures, or read their latents, and make the network."""
        start = self._start(device)
        autoencoder = start.autoencoder if start else load(self.autoencoder, device, kind=LatentAutoencoder)
        assert autoencoder is not None
        training, held_out = self._pictures(autoencoder)
        if training.captions is None:
            raise InputError(f"data is {self.data!r}, which has no captions, but words are learned here.")
        say(training.describe(), held_out.describe())
        encoded = [self._encoded(autoencoder, data) for data in (training, held_out)]
        model = start or self._new_model(autoencoder, encoded[0])
        model = replace(
            model,
            network=on_device(model.network, device),
            micro_batch=self.train.micro_batch or model.micro_batch,
            threads=self.threads,
            processes=self.processes,
        )
        return Denoise(model, encoded[0], self.train, encoded[1])

    def settings(self, objective: Denoise) -> dict[str, Any]:
        """Return all options as they were resolved."""
        table = super().settings(objective) | to_table(objective.model.config)
        return {name: value for name, value in table.items() if name != "class_names"}

    def last_words(self, run: Run, where: str) -> str:
        """Return how to draw with it."""
        return f'To draw: tinydiff sample --model {where} --prompt "..."'

    def _start(self, device: Device) -> LatentDiffusion | None:
        """Return the model to start from, if there is one; what was given of its shape must be what it has."""
        if self.start_from is None:
            return None
        start = load(self.start_from, device, kind=LatentDiffusion)
        own, wanted = flat(to_table(start.config)), flat(to_table(self))
        for name in sorted(self.given or ()):
            if name in own and name != "text.vocabulary" and own[name] != wanted[name]:  # which is at most so large
                raise InputError(
                    f"{name} is {wanted[name]}, but {self.start_from} has {own[name]}, and goes on with its own: leave "
                    "it out."
                )
        return start

    def _pictures(self, autoencoder: LatentAutoencoder) -> tuple[Any, Any]:
        """Return training and held-out pictures, of the autoencoder's size and channels."""
        height, width, channels = autoencoder.config.shape
        drawn = DATASETS[self.data].drawn if self.data in DATASETS else None
        if drawn is None:
            shape = UNetConfig((height, width), in_channels=channels, channel_mult=(1,))
            options = DataOptions(self.data, "unet", None, captions=True, fit=self.fit, background=self.background)
            training, held_out, _ = prepare_data(options, shape)
            return training, held_out
        if height != width or channels != 3:
            raise InputError(
                f"data is {self.data!r}, which are square and in colour, but the autoencoder was trained on pictures "
                f"of {height} x {width} x {channels}."
            )
        return drawn("train", self.images, height), drawn("test", self.train.validation_images, height)

    def _encoded(self, autoencoder: LatentAutoencoder, data: Any) -> LatentData:
        """Return the latents of pictures; only what was not encoded before is encoded now."""
        folder = (self.out / "latents" if self.latents is None else self.latents) / str(data.split)
        with ProgressBar(f"Encoding {counted(len(data), 'picture')}", "part") as bar:
            return encode_once(data, autoencoder.encode, autoencoder.checksum(), folder, bar)

    def _new_model(self, autoencoder: LatentAutoencoder, training: LatentData) -> LatentDiffusion:
        """Return a model with random weights, and a tokenizer that has read the captions."""
        height, width, channels = training.shape
        assert training.captions is not None
        tokenizer, text = learn_words(training.captions, self.text)
        unet = replace(self.unet, image_size=(height, width), in_channels=channels, context_channels=text.channels)
        config = ModelConfig(unet, self.schedule, self.T, self.kind, text)
        micro_batch = self.train.micro_batch or default_micro_batch(unet)
        network = config.network(np.random.default_rng(self.train.seed))
        return LatentDiffusion(network, config, micro_batch, tokenizer=tokenizer, autoencoder=autoencoder)
