"""``tinydiff train --objective decode``: the decoder of unCLIP, from embeddings of pictures to pictures."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from tinydiff.apps.cli.options import PathName, TargetName, refuse_given
from tinydiff.apps.cli.train.captioned import CaptionedCommand
from tinydiff.apps.cli.train.command import trains
from tinydiff.apps.cli.train.data import learn_words
from tinydiff.apps.cli.train.denoiser import (
    NetworkName,
    config_of,
    given_options,
    reads_text,
    settings_of,
    shape_of,
)
from tinydiff.apps.cli.train.start_from import refuse_other_shape, say_start
from tinydiff.base import Device, InputError, to_numpy, to_table
from tinydiff.models import (
    DiffusionModel,
    Enlarger,
    LatentAutoencoder,
    LatentDiffusion,
    Prior,
    UnClip,
    default_micro_batch,
    load,
)
from tinydiff.models.take import take_weights
from tinydiff.networks import DiTConfig, TextConfig, UNetConfig
from tinydiff.train import Decode, DecodeConfig, Run


@trains("decode")
@dataclass(frozen=True)
class TrainDecoder(CaptionedCommand):
    """Train a decoder of unCLIP: it draws pictures of their embeddings, and of captions.

    With a prior it is then an unCLIP, which draws what a text says. Ctrl-C finishes the step and saves; the same
    command goes on.
    """

    objective: str = "decode"
    """What is minimised. Each objective has options of its own: see --help with it."""
    prior: str | None = None
    """The prior whose embeddings are decoded: the folder of one that was trained (--objective prior), or a shipped
    one."""
    autoencoder: str | None = None
    """Decode to latents of this autoencoder, a shipped one or a folder; without it, to pixels."""
    start_from: str | None = None
    """Go on with this model of words, or with a folder's, instead of random weights: shape and words are its own, and
    the autoencoder; what it lacks to be told embeddings is new."""
    latents: Path | None = None
    """Where latents are kept, to be encoded only once; without it, in a folder of the run."""
    embeddings: Path | None = None
    """Where embeddings are kept, to be computed only once; without it, in a folder of the run."""
    network: NetworkName = "unet"
    """Which network predicts the noise."""
    unet: UNetConfig = field(default_factory=lambda: UNetConfig(16, in_channels=3, channels=48))
    """The shape of a UNet; sizes and channels of latents are those of the autoencoder."""
    dit: DiTConfig = field(default_factory=lambda: DiTConfig(16, in_channels=3))
    """The shape of a DiT; sizes and channels of latents are those of the autoencoder."""
    text: TextConfig = field(default_factory=TextConfig)
    """The shape of the text encoder; its vocabulary is the largest that is wanted."""
    kind: TargetName = "v"
    """What the network predicts."""
    path: PathName = "vp"
    """In what units x_t is: DDPM's, or, with --schedule straight, flow matching's."""
    train: DecodeConfig = field(default_factory=DecodeConfig)
    """How to train."""

    def prepare(self, device: Device) -> Decode:
        """Encode and embed the pictures, or read what was kept of them, and make the network."""
        if self.prior is None:
            raise InputError("prior is missing: give the one whose embeddings are to be decoded, as --prior FOLDER.")
        refuse_given(self.train, "image_noise", "a decoder sees no small pictures: leave it out")
        refuse_given(self.train, "flip", "embeddings are those of pictures that are not mirrored: leave it out")
        prior = load(self.prior, device, kind=Prior)
        start = self._start(device)
        autoencoder = self._autoencoder(start, device)
        if autoencoder is None:
            refuse_given(self, "latents", "pixels are drawn, and no latents: give --autoencoder too, or leave it out")
        shape = shape_of(self, None if start is None else start.config)
        if f"{self.network}.pooled_channels" in given_options(self):
            raise InputError(
                f"{self.network}.pooled_channels is {shape.pooled_channels}, but an embedding decides it: leave it out."
            )
        of_pictures = shape.shape if autoencoder is None else autoencoder.config.shape
        self._refuse_what_is_not_drawn(shape, prior, autoencoder)
        training, held_out = self.pictures(of_pictures, "autoencoder", in_memory=autoencoder is None)
        model = self._model(start, autoencoder, shape, prior, training.captions)
        UnClip(prior, model)  # what does not fit together is refused before anything is embedded
        embeddings = self.encoded(prior.clip, training, held_out)
        if autoencoder is not None:
            training, held_out = self.encoded(autoencoder, training, held_out)
        return Decode(self.ready(model, device), training, self.train, embeddings[0], held_out, embeddings[1], prior)

    def settings(self, objective: Decode) -> dict[str, Any]:
        """Return all options as they were resolved."""
        return super().settings(objective) | settings_of(objective.model.config)

    def last_words(self, run: Run, where: str) -> str:
        """Return how to draw with it."""
        return f'To draw: tinydiff sample --model {where} --prompt "..."'

    def _refuse_what_is_not_drawn(self, shape: Any, prior: Prior, autoencoder: LatentAutoencoder | None) -> None:
        """Refuse what a decoder's network is not told, and pictures of another kind than its CLIP reads."""
        for name, of_model in (("num_classes", None), ("image_channels", 0), ("image_time", False)):
            if (value := getattr(shape, name)) != of_model:
                raise InputError(
                    f"{self.network}.{name} is {value}, but a decoder is told words and an embedding: leave it out."
                )
        if autoencoder is not None:
            return
        height, width, channels = prior.clip.network.config.shape
        if shape.in_channels != channels:
            raise InputError(
                f"{self.network}.in_channels is {shape.in_channels}, but the CLIP reads {channels} channels: leave it "
                "out."
            )
        own = shape.shape[:2]
        if own[0] % height or own[1] % width or own[0] * width != own[1] * height:
            raise InputError(
                f"{self.network}.image_size is {' x '.join(map(str, own))}, but the CLIP reads {height} x {width}: a "
                "whole number of times as large was expected."
            )

    def _start(self, device: Device) -> DiffusionModel | None:
        """Return the model to start from, if there is one; what was given of its shape must be what it has."""
        if self.start_from is None:
            return None
        start = load(self.start_from, device, kind=DiffusionModel)
        if isinstance(start, (Enlarger, Prior)) or start.config.text is None:
            raise InputError(f"start_from is {self.start_from!r}, but a model that draws from text was expected.")
        own = to_table(start.config)
        own.pop("prior")  # that of the command is another thing: a model's name
        refuse_other_shape(self, own, open_to=("text.vocabulary",))  # which is at most so large
        return start

    def _autoencoder(self, start: DiffusionModel | None, device: Device) -> LatentAutoencoder | None:
        """Return the autoencoder that is given, or that of the model to start from; None: pixels are drawn."""
        own = start.autoencoder if isinstance(start, LatentDiffusion) else None
        given = None if self.autoencoder is None else load(self.autoencoder, device, kind=LatentAutoencoder)
        if start is not None and given is not None and (own is None or own.checksum() != given.checksum()):
            raise InputError(
                f"autoencoder is {self.autoencoder!r}, but {self.start_from} draws in its own way, and goes on so: "
                "leave it out."
            )
        return given if start is None else own

    def _model(
        self,
        start: DiffusionModel | None,
        autoencoder: LatentAutoencoder | None,
        shape: Any,
        prior: Prior,
        captions: Any,
    ) -> DiffusionModel:
        """Return a model that is told embeddings, with random weights, or those of the model to start from that fit."""
        size = prior.clip.network.config.embedding
        of_clip: dict[str, Any] = {"embedding": size, "embedding_of": prior.clip.checksum()}
        if start is not None:
            config = replace(start.config.with_denoiser(replace(shape, pooled_channels=size)), **of_clip)
            tokenizer, micro_batch = start.tokenizer, start.micro_batch
        else:
            tokenizer, text = learn_words(captions, self.text)
            shape = replace(reads_text(replace(shape, pooled_channels=None), text), pooled_channels=size)
            if autoencoder is not None:
                height, width, channels = autoencoder.latent_shape
                shape = replace(shape, image_size=(height, width), in_channels=channels)
            config = config_of(
                shape, schedule=self.schedule, T=self.T, kind=self.kind, path=self.path, text=text, **of_clip
            )
            micro_batch = default_micro_batch(shape)
        network = config.network(np.random.default_rng(self.train.seed))
        if start is not None:
            taken = take_weights(network, start.network.bind(to_numpy(start.network.theta)))
            say_start(self, ", told embeddings besides", taken)
        if autoencoder is None:
            return DiffusionModel(network, config, micro_batch, tokenizer=tokenizer)
        return LatentDiffusion(network, config, micro_batch, autoencoder=autoencoder, tokenizer=tokenizer)
