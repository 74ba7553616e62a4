"""``tinydiff train --objective latents``: diffusion in the latent space of an autoencoder."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from tinydiff.apps.cli.options import PathName, TargetName
from tinydiff.apps.cli.screen import say
from tinydiff.apps.cli.train.captioned import CaptionedCommand, Data
from tinydiff.apps.cli.train.command import trains
from tinydiff.apps.cli.train.data import learn_words
from tinydiff.apps.cli.train.denoiser import NetworkName, config_of, reads_text, settings_of, shape_of
from tinydiff.apps.cli.train.start_from import refuse_other_shape, say_start
from tinydiff.base import Device, InputError, to_numpy, to_table
from tinydiff.data import LatentData
from tinydiff.models import LatentAutoencoder, LatentDiffusion, default_micro_batch, load
from tinydiff.models.take import take_weights
from tinydiff.networks import DiTConfig, TextConfig, UNetConfig
from tinydiff.text.tokenizer import words_of
from tinydiff.train import Denoise, Run


@trains("latents")
@dataclass(frozen=True)
class TrainLatents(CaptionedCommand):
    """Train a latent diffusion model: pictures are encoded once, and latents are learned from captions.

    Ctrl-C finishes the step and saves; the same command goes on from there, and encodes nothing again.
    """

    objective: str = "latents"
    """What is minimised. Each objective has options of its own: see --help with it."""
    data: Data = "scenes"
    only_words: tuple[str, ...] = ()
    """Learn only from pictures whose caption has one of these words: to dwell on what a model has not learned yet."""
    autoencoder: str = "scenes/autoencoder"
    """The autoencoder: a shipped one, or the folder of one that was trained (--objective reconstruct)."""
    start_from: str | None = None
    """Go on with this shipped model of latents, or with a folder's, instead of random weights; shape and words are its
    own, and the autoencoder, unless another one is given: then the layers that touch latents are new."""
    latents: Path | None = None
    """Where latents are kept, to be encoded only once; without it, in a folder of the run."""
    network: NetworkName = "unet"
    """Which network predicts the noise."""
    unet: UNetConfig = field(default_factory=lambda: UNetConfig(16, in_channels=8, channels=64, channel_mult=(1, 2, 2)))
    """The shape of a UNet; sizes and channels of the latents are those of the autoencoder."""
    dit: DiTConfig = field(default_factory=lambda: DiTConfig(16, in_channels=8))
    """The shape of a DiT; sizes and channels of the latents are those of the autoencoder."""
    text: TextConfig = field(default_factory=TextConfig)
    """The shape of the text encoder; its vocabulary is the largest that is wanted."""
    kind: TargetName = "v"
    """What the network predicts."""
    path: PathName = "vp"
    """In what units x_t is: DDPM's, or, with --schedule straight, flow matching's."""

    def prepare(self, device: Device) -> Denoise:
        """Encode the pictures, or read their latents, and make the network."""
        start = self._start(device)
        autoencoder = self._autoencoder(start, device)
        training, held_out = self.pictures(autoencoder.config.shape, "autoencoder")
        chosen = self._chosen(training.captions)  # what is wrong is refused before anything is encoded
        latents, of_held_out = self.encoded(autoencoder, training, held_out)
        model = self._model(start, autoencoder, latents)
        return Denoise(self.ready(model, device), latents.take(chosen), self.train, of_held_out)

    def settings(self, objective: Denoise) -> dict[str, Any]:
        """Return all options as they were resolved."""
        return super().settings(objective) | settings_of(objective.model.config)

    def last_words(self, run: Run, where: str) -> str:
        """Return how to draw with it."""
        return f'To draw: tinydiff sample --model {where} --prompt "..."'

    def _start(self, device: Device) -> LatentDiffusion | None:
        """Return the model to start from, if there is one; what was given of its shape must be what it has."""
        if self.start_from is None:
            return None
        start = load(self.start_from, device, kind=LatentDiffusion)
        start.check_draws()
        shape_of(self, start.config)
        refuse_other_shape(self, to_table(start.config), open_to=("text.vocabulary",))  # which is at most so large
        return start

    def _autoencoder(self, start: LatentDiffusion | None, device: Device) -> LatentAutoencoder:
        """Return the autoencoder that is given, or that of the model to start from."""
        if start is None or "autoencoder" in (self.given or ()):
            return load(self.autoencoder, device, kind=LatentAutoencoder)
        assert start.autoencoder is not None
        return start.autoencoder

    def _model(
        self, start: LatentDiffusion | None, autoencoder: LatentAutoencoder, training: LatentData
    ) -> LatentDiffusion:
        """Return the model to train: a new one, the one to start from, or that with new layers for other latents."""
        if start is None:
            return self._new_model(autoencoder, training)
        assert start.autoencoder is not None
        if start.autoencoder.checksum() == autoencoder.checksum():
            say_start(self)
            return start
        return self._for_other_latents(start, autoencoder, training)

    def _chosen(self, captions: Sequence[str]) -> slice | np.ndarray:
        """Return which pictures are learned from: those whose captions have one of `only_words`, if any are given."""
        if not self.only_words:
            return slice(None)
        wanted = words_of(self.only_words)
        if not wanted:
            raise InputError(
                f"only_words is {' '.join(self.only_words)!r}, but words were expected, such as left right."
            )
        found = [words_of([caption]) & wanted for caption in captions]
        if missing := sorted(wanted.difference(*found)):
            raise InputError(f"only_words holds {missing[0]!r}, but no caption has this word.")
        chosen = np.array([i for i, words in enumerate(found) if words])
        say(f"Only {len(chosen):,} of {len(captions):,} pictures: their captions have {' or '.join(sorted(wanted))}.")
        return chosen

    def _new_model(self, autoencoder: LatentAutoencoder, training: LatentData) -> LatentDiffusion:
        """Return a model with random weights, and a tokenizer that has read the captions."""
        height, width, channels = training.shape
        assert training.captions is not None
        tokenizer, text = learn_words(training.captions, self.text)
        shape = replace(reads_text(shape_of(self), text), image_size=(height, width), in_channels=channels)
        config = config_of(shape, schedule=self.schedule, T=self.T, kind=self.kind, path=self.path, text=text)
        micro_batch = self.train.micro_batch or default_micro_batch(shape)
        network = config.network(np.random.default_rng(self.train.seed))
        return LatentDiffusion(network, config, micro_batch, tokenizer=tokenizer, autoencoder=autoencoder)

    def _for_other_latents(
        self, start: LatentDiffusion, autoencoder: LatentAutoencoder, training: LatentData
    ) -> LatentDiffusion:
        """Return a model for the latents of another autoencoder, with the weights of `start` that fit."""
        height, width, channels = training.shape
        shape = replace(start.config.denoiser, image_size=(height, width), in_channels=channels)
        config = start.config.with_denoiser(shape)
        network = config.network(np.random.default_rng(self.train.seed))
        taken = take_weights(network, start.network.bind(to_numpy(start.network.theta)))
        say_start(self, f", for the latents of {self.autoencoder}", taken)
        return LatentDiffusion(network, config, start.micro_batch, tokenizer=start.tokenizer, autoencoder=autoencoder)
