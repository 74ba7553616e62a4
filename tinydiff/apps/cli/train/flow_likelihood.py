"""``tinydiff train --objective flow-likelihood``: a normalising flow, whose likelihood is exact."""

from dataclasses import dataclass, field

import numpy as np

from tinydiff.apps.cli.train.command import on_device, trains
from tinydiff.apps.cli.train.one_pass import OnePassCommand
from tinydiff.base import Device
from tinydiff.networks import RealNVP, RealNVPConfig
from tinydiff.train import FlowLikelihood, FlowLikelihoodConfig, Run


@trains("flow-likelihood")
@dataclass(frozen=True)
class TrainFlow(OnePassCommand):
    """Train a normalising flow of small pictures. Ctrl-C finishes the step and saves; the same command goes on."""

    objective: str = "flow-likelihood"
    """What is minimised. Each objective has options of its own: see --help with it."""
    network: RealNVPConfig = field(default_factory=RealNVPConfig)
    """The shape of the network; its image_size decides how images are resized."""
    train: FlowLikelihoodConfig = field(default_factory=lambda: FlowLikelihoodConfig(levels=256))
    """How to train."""

    def prepare(self, device: Device) -> FlowLikelihood:
        """Read the data, and make the network."""
        training, held_out, config = self.pictures()
        network = RealNVP(config, np.random.default_rng(self.train.seed))
        return FlowLikelihood(on_device(network, device), training, self.train, held_out)

    def last_words(self, run: Run, where: str) -> str:
        """Return what a card says: the likelihood of held-out pictures."""
        found = run.validate()
        bits = f", {found['bits']:.3f} bits for each number" if "bits" in found else ""
        return (
            f"On held-out pictures: -log p is {found['validation_loss']:.3f} nats for each number{bits}. To draw with "
            f"it: tinydiff sample --model {where}"
        )
