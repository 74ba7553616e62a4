"""``tinydiff train --objective flow-likelihood``: a normalising flow, whose likelihood is exact."""

from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
from tyro.conf import arg

from tinydiff.apps.cli.options import DATASET_NAMES
from tinydiff.apps.cli.train.command import TrainCommand, on_device, trains
from tinydiff.apps.cli.train.data import FOLDER_HELP, DataOptions, Fit, prepare_data
from tinydiff.base import Device, to_table
from tinydiff.networks import RealNVP, RealNVPConfig
from tinydiff.train import FlowLikelihood, FlowLikelihoodConfig, Run


@trains("flow-likelihood")
@dataclass(frozen=True)
class TrainFlow(TrainCommand):
    """Train a normalising flow of small pictures. Ctrl-C finishes the step and saves; the same command goes on."""

    objective: str = "flow-likelihood"
    """What is minimised. Each objective has options of its own: see --help with it."""
    data: Annotated[str, arg(help=f"{DATASET_NAMES}, {FOLDER_HELP}.")] = "digits"
    fit: Fit = "crop"
    """What is done to a folder's pictures of another shape: keep the middle, add bars, or distort."""
    background: str = "white"
    """What transparent parts of a folder's pictures are put onto, and the colour of bars: a name, or #rrggbb."""
    network: RealNVPConfig = field(default_factory=RealNVPConfig)
    """The shape of the network; its image_size decides how images are resized."""
    train: FlowLikelihoodConfig = field(default_factory=lambda: FlowLikelihoodConfig(levels=256))
    """How to train."""

    def prepare(self, device: Device) -> FlowLikelihood:
        """Read the data, and make the network."""
        options = DataOptions(
            self.data, "network", self.given, fit=self.fit, background=self.background, only_pictures=True
        )
        training, held_out, config = prepare_data(options, self.network)
        network = RealNVP(config, np.random.default_rng(self.train.seed))
        return FlowLikelihood(on_device(network, device), training, self.train, held_out)

    def settings(self, objective: FlowLikelihood) -> dict[str, Any]:
        """Return all options as they were resolved, with the shape of the network, which the data decide partly."""
        return {**super().settings(objective), "network": to_table(objective.network.config)}

    def last_words(self, run: Run, where: str) -> str:
        """Return what a card says: the likelihood of held-out pictures."""
        found = run.validate()
        bits = f", {found['bits']:.3f} bits for each number" if "bits" in found else ""
        return (
            f"On held-out pictures: -log p is {found['validation_loss']:.3f} nats for each number{bits}. To draw with "
            f"it: tinydiff sample --model {where}"
        )
