"""``tinydiff train --objective reconstruct``: the autoencoder of latent diffusion."""

import math
from dataclasses import dataclass, field
from typing import Annotated, ClassVar

import numpy as np
from tyro.conf import arg

from tinydiff.apps.cli.options import DATASET_NAMES
from tinydiff.apps.cli.train.command import TrainCommand, on_device, trains
from tinydiff.apps.cli.train.data import FOLDER_HELP, DataOptions, Fit, prepare_data
from tinydiff.base import Device
from tinydiff.models import LatentAutoencoder
from tinydiff.networks import Autoencoder, AutoencoderConfig
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
    """How many portraits to put together; without it, 20,000. For avatars only."""
    network: AutoencoderConfig = field(default_factory=_default_network)
    """The shape of the network; its image_size decides how images are resized."""
    train: ReconstructConfig = field(default_factory=ReconstructConfig)
    """How to train."""

    def prepare(self, device: Device) -> Reconstruct:
        """Read the data, and make the network."""
        options = DataOptions(
            self.data,
            "network",
            self.given,
            images=self.images,
            fit=self.fit,
            background=self.background,
            only_pictures=True,
        )
        training, held_out, config = prepare_data(options, self.network)
        network = on_device(Autoencoder(config, np.random.default_rng(self.train.seed)), device)
        micro_batch = self.train.micro_batch or LatentAutoencoder.micro_batch
        model = LatentAutoencoder(network, micro_batch=micro_batch, threads=self.threads)
        return Reconstruct(model, training, self.train, held_out)

    def last_words(self, run: Run, where: str) -> str:
        """Return what a card says: how well held-out pictures are drawn again, and of how many numbers."""
        network: Autoencoder = run.objective.network
        figures, numbers, latents = run.validate(), *map(math.prod, (network.config.shape, network.config.latent_shape))
        return (
            f"On held-out pictures: PSNR {figures['psnr']:.2f} dB, the {numbers:,} numbers of a picture drawn from "
            f"{latents:,}; KL {figures['kl']:.3f} nats for each of these. The autoencoder is in {where}"
        )
