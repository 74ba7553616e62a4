"""``tinydiff train --objective reconstruct``: the autoencoder of latent diffusion."""

import math
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar

import numpy as np
from tyro.conf import arg

from tinydiff.apps.cli.options import DATASET_NAMES
from tinydiff.apps.cli.train.command import TrainCommand, on_device, trains
from tinydiff.apps.cli.train.data import FOLDER_HELP, DataOptions, Fit, prepare_data
from tinydiff.apps.cli.train.start_from import refuse_other_shape, say_start
from tinydiff.base import Device, InputError, to_table
from tinydiff.models import LatentAutoencoder, load
from tinydiff.networks import (
    AttributeClassifier,
    Autoencoder,
    AutoencoderConfig,
    PatchDiscriminator,
    PatchDiscriminatorConfig,
)
from tinydiff.train import Reconstruct, ReconstructConfig, Run


def _default_network():
    return AutoencoderConfig(16, channels=16, channel_mult=(1, 2), latent_channels=4)


@trains("reconstruct")
@dataclass(frozen=True)
class TrainAutoencoder(TrainCommand):
    """Train an autoencoder, which makes a few latents of a picture, and a picture of latents.

    Ctrl-C finishes the step and saves; the same command goes on from there. At the end the latents' mean and standard
    deviation are measured over the training pictures and saved with the model.
    """

    called: ClassVar = {"n": "images"}

    objective: str = "reconstruct"
    """What is minimised. Each objective has options of its own: see --help with it."""
    data: Annotated[str, arg(help=f"{DATASET_NAMES}, {FOLDER_HELP}.")] = "avatars"
    fit: Fit = "crop"
    """What is done to a folder's pictures of another shape: keep the middle, add bars, or distort."""
    background: str = "white"
    """What transparent parts of a folder's pictures are put onto, and the colour of bars: a name, or #rrggbb."""
    images: int | None = None
    """How many portraits to put together, or scenes to draw; without it, 20,000 or 1,000,000. For these only."""
    start_from: str | None = None
    """Go on with this shipped autoencoder, or with a folder's, instead of random weights; the shape is its own."""
    network: AutoencoderConfig = field(default_factory=_default_network)
    """The shape of the network; its image_size decides how images are resized."""
    features: str | None = None
    """A reader of attributes, by name or folder, whose feature maps are compared (see --train.perceptual)."""
    discriminator: PatchDiscriminatorConfig = field(default_factory=PatchDiscriminatorConfig)
    """The shape of the discriminator (see --train.adversarial); its in_channels are the network's."""
    train: ReconstructConfig = field(default_factory=ReconstructConfig)
    """How to train."""

    def prepare(self, device: Device) -> Reconstruct:
        """Read the data, and make the network."""
        start = None if self.start_from is None else load(self.start_from, device, kind=LatentAutoencoder)
        options = DataOptions(
            self.data,
            "network",
            self.given if start is None else None,
            images=self.images,
            fit=self.fit,
            background=self.background,
            only_pictures=True,
        )
        training, held_out, config = prepare_data(options, self.network if start is None else start.config)
        model = self._model(start, config, device)
        features = None if self.features is None else load(self.features, device, kind=AttributeClassifier)
        discriminator = self._discriminator(config.in_channels, device)
        return Reconstruct(model, training, self.train, held_out, features, discriminator)

    def _model(self, start: LatentAutoencoder | None, config: AutoencoderConfig, device: Device) -> LatentAutoencoder:
        """Return a model with random weights, or the one to start from."""
        micro_batch = self.train.micro_batch or LatentAutoencoder.micro_batch
        if start is not None:
            refuse_other_shape(self, {"network": to_table(start.config)})
            say_start(self)
            return replace(start, micro_batch=micro_batch, threads=self.threads)
        if self.train.decoder_only:
            raise InputError(
                "train.decoder_only is True, but there is no encoder yet: give the autoencoder to start from "
                "(--start-from)."
            )
        network = on_device(Autoencoder(config, np.random.default_rng(self.train.seed)), device)
        return LatentAutoencoder(network, micro_batch=micro_batch, threads=self.threads)

    def _discriminator(self, in_channels: int, device: Device) -> PatchDiscriminator | None:
        """Return a new discriminator of pictures with so many channels, where there is to be one."""
        usual = PatchDiscriminatorConfig()
        if not self.train.adversarial:
            if self.discriminator != usual:
                raise InputError(
                    "A shape of the discriminator was given, but train.adversarial is 0, so there is none: give it a "
                    "weight, such as 0.5, or leave both out."
                )
            return None
        shape = self.discriminator
        if shape.in_channels == usual.in_channels:
            shape = replace(shape, in_channels=in_channels)
        seed = [self.train.seed, 1]  # not the autoencoder's numbers
        return on_device(PatchDiscriminator(shape, np.random.default_rng(seed)), device)

    def settings(self, objective: Reconstruct) -> dict[str, Any]:
        """Return all options as they were resolved, with the shapes of the networks, which the data decide partly."""
        networks: dict[str, Any] = {"network": objective.model.config}
        if objective.discriminator is not None:
            networks["discriminator"] = objective.discriminator.config
        return to_table(replace(self, train=objective.config, **networks))

    def last_words(self, run: Run, where: str) -> str:
        """Return what a card says: how well held-out pictures are drawn again, and of how many numbers."""
        network: Autoencoder = run.objective.network
        figures, numbers, latents = run.validate(), *map(math.prod, (network.config.shape, network.config.latent_shape))
        return (
            f"On held-out pictures: PSNR {figures['psnr']:.2f} dB, the {numbers:,} numbers of a picture drawn from "
            f"{latents:,}; KL {figures['kl']:.3f} nats for each of these. The autoencoder is in {where}"
        )
