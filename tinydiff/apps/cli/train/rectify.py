"""``tinydiff train --objective rectify``: a flow learns from pairs that it drew itself, and becomes straight."""

from dataclasses import dataclass, field, replace

from tinydiff.apps.cli.options import refuse_given
from tinydiff.apps.cli.screen import say
from tinydiff.apps.cli.train.command import on_device, trains
from tinydiff.apps.cli.train.of_teacher import OfTeacher
from tinydiff.apps.cli.train.start_from import say_start
from tinydiff.base import Device
from tinydiff.train import Denoise, DenoiseConfig, Rectify, Run, couplings


@trains("rectify")
@dataclass(frozen=True)
class TrainRectified(OfTeacher):
    """Rectify the flow of --start-from: it learns from pairs of noise and what it drew of it.

    The model must be on the straight path (--path straight). Ctrl-C finishes the step and saves; the same command draws
    the same pairs, and goes on.
    """

    objective: str = "rectify"
    """What is minimised. Each objective has options of its own: see --help with it."""
    pairs: int = 2000
    """How many pairs are drawn."""
    chain: int = 50
    """Steps in which each is drawn."""
    train: DenoiseConfig = field(default_factory=DenoiseConfig)
    """How to train."""

    def prepare(self, device: Device) -> Denoise:
        """Draw the pairs."""
        why = "a flow learns from pairs that it draws itself: leave it out"
        refuse_given(self, "data images fit background captions", why)
        refuse_given(self.train, "image_noise flip offset_noise", why)
        start = self.teacher("is to be rectified")
        micro_batch = self.train.micro_batch or start.micro_batch
        start = replace(start, network=on_device(start.network, device), threads=self.threads, processes=self.processes)
        pairs = couplings(start, self.pairs, self.chain, self.train.seed)
        say(f"Drew {pairs.source}.")
        say_start(self)
        network = start.network.bind(start.network.theta.copy())
        return Rectify(replace(start, network=network, micro_batch=micro_batch), pairs, self.train)

    def last_words(self, run: Run, where: str) -> str:
        """Return how to draw with it."""
        return f"To draw: tinydiff sample --model {where} --sampler ddim --steps 2"
