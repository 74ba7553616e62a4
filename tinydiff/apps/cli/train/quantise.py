"""``tinydiff train --objective quantise``: an autoencoder whose latents are codes."""

import math
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
from tyro.conf import arg

from tinydiff.apps.cli.options import DATASET_NAMES
from tinydiff.apps.cli.train.command import TrainCommand, on_device, trains
from tinydiff.apps.cli.train.data import FOLDER_HELP, DataOptions, Fit, prepare_data
from tinydiff.base import Device
from tinydiff.networks import QuantisedAutoencoder, QuantisedAutoencoderConfig
from tinydiff.train import Quantise, QuantiseConfig, Run


def _default_network():
    return QuantisedAutoencoderConfig(16, channels=16, channel_mult=(1, 2), codes=256)


@trains("quantise")
@dataclass(frozen=True)
class TrainQuantised(TrainCommand):
    """Train an autoencoder with a codebook, which says a picture in whole numbers, and draws it from them.

    Ctrl-C finishes the step and saves; the same command goes on from there.
    """

    objective: str = "quantise"
    """What is minimised. Each objective has options of its own: see --help with it."""
    data: Annotated[str, arg(help=f"{DATASET_NAMES}, {FOLDER_HELP}.")] = "avatars"
    fit: Fit = "crop"
    """What is done to a folder's pictures of another shape: keep the middle, add bars, or distort."""
    background: str = "white"
    """What transparent parts of a folder's pictures are put onto, and the colour of bars: a name, or #rrggbb."""
    images: int | None = None
    """How many portraits to put together, or scenes to draw; without it, 20,000 or 1,000,000. For these only."""
    network: QuantisedAutoencoderConfig = field(default_factory=_default_network)
    """The shape of the network; its image_size decides how images are resized."""
    train: QuantiseConfig = field(default_factory=QuantiseConfig)
    """How to train."""

    def prepare(self, device: Device) -> Quantise:
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
        network = QuantisedAutoencoder(config, np.random.default_rng(self.train.seed))
        return Quantise(on_device(network, device), training, self.train, held_out)

    def last_words(self, run: Run, where: str) -> str:
        """Return what a card says: how well held-out pictures are drawn again, and of how much."""
        network: QuantisedAutoencoder = run.objective.network
        figures, codes = run.validate(), network.quantiser.codes
        height, width, _ = network.config.latent_shape
        return (
            f"On held-out pictures: PSNR {figures['psnr']:.2f} dB, a picture drawn from {height * width:,} codes, "
            f"{math.ceil(height * width * math.log2(codes)):,} bits; {figures['validation_codes_used']:,} of "
            f"{codes:,} codes were used, with a perplexity of {figures['validation_perplexity']:.1f}. The autoencoder "
            f"is in {where}"
        )
