"""``tinydiff train --objective variational``: a small variational autoencoder, by the bound on its likelihood."""

from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
from tyro.conf import arg

from tinydiff.apps.cli.options import DATASET_NAMES
from tinydiff.apps.cli.train.command import TrainCommand, on_device, trains
from tinydiff.apps.cli.train.data import FOLDER_HELP, DataOptions, Fit, prepare_data
from tinydiff.base import Device, to_table
from tinydiff.networks import VAE, VAEConfig
from tinydiff.train import Run, Variational, VariationalConfig


@trains("variational")
@dataclass(frozen=True)
class TrainVAE(TrainCommand):
    """Train a variational autoencoder of small pictures. Ctrl-C finishes the step and saves; the same command goes on.

    The autoencoder of latent diffusion, with convolutions, is --objective reconstruct.
    """

    objective: str = "variational"
    """What is minimised. Each objective has options of its own: see --help with it."""
    data: Annotated[str, arg(help=f"{DATASET_NAMES}, {FOLDER_HELP}.")] = "digits"
    fit: Fit = "crop"
    """What is done to a folder's pictures of another shape: keep the middle, add bars, or distort."""
    background: str = "white"
    """What transparent parts of a folder's pictures are put onto, and the colour of bars: a name, or #rrggbb."""
    network: VAEConfig = field(default_factory=VAEConfig)
    """The shape of the network; its image_size decides how images are resized."""
    train: VariationalConfig = field(default_factory=lambda: VariationalConfig(levels=256))
    """How to train."""

    def prepare(self, device: Device) -> Variational:
        """Read the data, and make the network."""
        options = DataOptions(
            self.data, "network", self.given, fit=self.fit, background=self.background, only_pictures=True
        )
        training, held_out, config = prepare_data(options, self.network)
        network = VAE(config, np.random.default_rng(self.train.seed))
        return Variational(on_device(network, device), training, self.train, held_out)

    def settings(self, objective: Variational) -> dict[str, Any]:
        """Return all options as they were resolved, with the shape of the network, which the data decide partly."""
        return {**super().settings(objective), "network": to_table(objective.network.config)}

    def last_words(self, run: Run, where: str) -> str:
        """Return what a card says: bounds on the likelihood of held-out pictures."""
        found = run.validate()
        bits = f", {found['bits']:.3f} bits" if "bits" in found else ""
        return (
            f"On held-out pictures: -log p is at most {found['validation_loss']:.3f} nats for each number, and at most "
            f"{found['nats']:.3f}{bits} by importance sampling. To draw with it: tinydiff sample --model {where}"
        )
