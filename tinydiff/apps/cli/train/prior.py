"""``tinydiff train --objective prior``: the prior of unCLIP, from texts to embeddings of pictures."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from tinydiff.apps.cli.options import refuse_given
from tinydiff.apps.cli.train.captioned import CaptionedCommand
from tinydiff.apps.cli.train.command import trains
from tinydiff.apps.cli.train.denoiser import given_options
from tinydiff.base import Device, InputError, to_table
from tinydiff.models import ClipModel, ModelConfig, Prior, load
from tinydiff.networks import PriorConfig
from tinydiff.train import Denoise, Run


@trains("prior")
@dataclass(frozen=True)
class TrainPrior(CaptionedCommand):
    """Train a prior of unCLIP: which embeddings of pictures go with a text, as a CLIP has both.

    Pictures are embedded once. Ctrl-C finishes the step and saves; the same command goes on.
    """

    objective: str = "prior"
    """What is minimised. Each objective has options of its own: see --help with it."""
    clip: str = "avatars-clip"
    """The CLIP, which reads the texts and embeds the pictures: a shipped one, or the folder of one that was trained
    (--objective contrast)."""
    embeddings: Path | None = None
    """Where embeddings are kept, to be computed only once; without it, in a folder of the run."""
    network: PriorConfig = field(default_factory=PriorConfig)
    """The shape of the network; the size of an embedding and what is read of a text are those of the CLIP."""

    def prepare(self, device: Device) -> Denoise:
        """Embed the pictures, or read their embeddings, and make the network."""
        refuse_given(self.train, "image_noise", "a prior sees no small pictures: leave it out")
        refuse_given(self.train, "offset_noise", "the channels of an embedding are single numbers: leave it out")
        refuse_given(self.train, "flip", "embeddings cannot be mirrored: leave it out")
        clip = load(self.clip, device, kind=ClipModel)
        shape = self._shape(clip)
        training, held_out = self.pictures(clip.network.config.shape, "CLIP")
        found = self.encoded(clip, training, held_out)
        vectors = found[0].latents[:, 0, 0].astype(np.float64)
        config = ModelConfig(prior=shape, schedule=self.schedule, T=self.T, kind="x_0")
        network = config.network(np.random.default_rng(self.train.seed))
        mean, std = vectors.mean(axis=0), vectors.std(axis=0)
        model = self.ready(Prior(network, config, clip=clip, mean=mean, std=std), device)
        training, held_out = (model.standardised(data) for data in found)
        return Denoise(model, training, self.train, held_out)

    def settings(self, objective: Denoise) -> dict[str, Any]:
        """Return all options as they were resolved."""
        return super().settings(objective) | {"network": to_table(objective.model.config.prior)}

    def last_words(self, run: Run, where: str) -> str:
        """Return how to go on: with a decoder."""
        return f"To train a decoder of its embeddings: tinydiff train --objective decode --prior {where}"

    def _shape(self, clip: ClipModel) -> PriorConfig:
        """Return the network's shape, with the sizes that the CLIP decides; refuse others, if they were given."""
        known = clip.network.config
        fit = {"embedding": known.embedding, "text_channels": known.text.channels, "length": known.text.length}
        for name, value in fit.items():
            given = getattr(self.network, name)
            if f"network.{name}" in given_options(self) and given != value:
                raise InputError(f"network.{name} is {given}, but the CLIP {self.clip} has {value}: leave it out.")
        return replace(self.network, **fit)
