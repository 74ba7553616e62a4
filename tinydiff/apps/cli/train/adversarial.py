"""``tinydiff train --objective adversarial``: a generator against a discriminator, a GAN."""

from dataclasses import dataclass, field

import numpy as np

from tinydiff.apps.cli.train.command import on_device, trains
from tinydiff.apps.cli.train.one_pass import OnePassCommand
from tinydiff.base import Device
from tinydiff.networks import Generator, GeneratorConfig, VectorDiscriminator, VectorDiscriminatorConfig
from tinydiff.train import Adversarial, AdversarialConfig, Run


@trains("adversarial")
@dataclass(frozen=True)
class TrainGAN(OnePassCommand):
    """Train a GAN of small pictures. Ctrl-C finishes the step and saves; the same command goes on."""

    objective: str = "adversarial"
    """What is minimised. Each objective has options of its own: see --help with it."""
    network: GeneratorConfig = field(default_factory=GeneratorConfig)
    """The shape of the generator; its image_size decides how images are resized."""
    discriminator: tuple[int, ...] = (128, 128)
    """Widths of the discriminator's hidden layers; it reads the generator's pictures."""
    train: AdversarialConfig = field(default_factory=AdversarialConfig)
    """How to train."""

    def prepare(self, device: Device) -> Adversarial:
        """Read the data, and make the networks."""
        training, _, config = self.pictures()
        shape = VectorDiscriminatorConfig(config.image_size, config.in_channels, self.discriminator)
        generator = Generator(config, np.random.default_rng(self.train.seed))
        judge = VectorDiscriminator(shape, np.random.default_rng([self.train.seed, 1]))  # not the generator's numbers
        return Adversarial(on_device(generator, device), training, self.train, on_device(judge, device))

    def last_words(self, run: Run, where: str) -> str:
        """Return what a card says: how the game stands, which is no measure of the pictures."""
        apart = run.objective.measure().get("told_apart")
        stands = "" if apart is None else f"In the last step the discriminator told {apart:.0%} apart (a guess: 50%). "
        return f"{stands}A GAN has no likelihood: look at what it draws. tinydiff sample --model {where}"
