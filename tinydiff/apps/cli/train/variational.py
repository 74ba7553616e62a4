"""``tinydiff train --objective variational``: a small variational autoencoder, by the bound on its likelihood."""

from dataclasses import dataclass, field

import numpy as np

from tinydiff.apps.cli.train.command import on_device, trains
from tinydiff.apps.cli.train.one_pass import OnePassCommand
from tinydiff.base import Device
from tinydiff.networks import VAE, VAEConfig
from tinydiff.train import Run, Variational, VariationalConfig


@trains("variational")
@dataclass(frozen=True)
class TrainVAE(OnePassCommand):
    """Train a variational autoencoder of small pictures. Ctrl-C finishes the step and saves; the same command goes on.

    The autoencoder of latent diffusion, with convolutions, is --objective reconstruct.
    """

    objective: str = "variational"
    """What is minimised. Each objective has options of its own: see --help with it."""
    network: VAEConfig = field(default_factory=VAEConfig)
    """The shape of the network; its image_size decides how images are resized."""
    train: VariationalConfig = field(default_factory=lambda: VariationalConfig(levels=256))
    """How to train."""

    def prepare(self, device: Device) -> Variational:
        """Read the data, and make the network."""
        training, held_out, config = self.pictures()
        network = VAE(config, np.random.default_rng(self.train.seed))
        return Variational(on_device(network, device), training, self.train, held_out)

    def last_words(self, run: Run, where: str) -> str:
        """Return what a card says: bounds on the likelihood of held-out pictures."""
        found = run.validate()
        bits = f", {found['bits']:.3f} bits" if "bits" in found else ""
        return (
            f"On held-out pictures: -log p is at most {found['validation_loss']:.3f} nats for each number, and at most "
            f"{found['nats']:.3f}{bits} by importance sampling. To draw with it: tinydiff sample --model {where}"
        )
