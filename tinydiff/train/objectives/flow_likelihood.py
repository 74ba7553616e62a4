"""FlowLikelihood: an invertible network turns data into normal numbers, and the exact likelihood of data is raised."""

import math
from dataclasses import dataclass
from typing import Any

from tinydiff.base import Array, check_count, checks_arguments
from tinydiff.networks import RealNVP
from tinydiff.nn import Gradients, Tape
from tinydiff.train.config import ValidatedConfig
from tinydiff.train.dequantise import MOST_LEVELS, bits_per_number
from tinydiff.train.of_data import OfData


@checks_arguments("__init__")
@dataclass(frozen=True)
class FlowLikelihoodConfig(ValidatedConfig):
    """How a normalising flow is trained: the settings of every validated run (`ValidatedConfig`), and one more.

    Parameters
    ----------
    levels : int or None
        How many shades of grey the pictures have: they are dequantised, and the loss on held-out ones is also told in
        bits. None for points, and other data that are real numbers already.
    """

    levels: int | None = None

    def __post_init__(self):
        super().__post_init__()
        if self.levels is not None:
            check_count("levels", self.levels, least=2, most=MOST_LEVELS)


@checks_arguments("__init__")
class FlowLikelihood(OfData):
    """Maximum likelihood of a flow: -log p(x), in nats for each number of a picture (Eq. NVP-5).

    There is no bound and no sample in the loss: the density is known. What it costs is that each layer can be undone,
    so that there are as many latent numbers as data, and that layers are of a kind whose determinant is cheap.

    Parameters
    ----------
    network : RealNVP
        Trained in place.
    data : Dataset, or anything with its length, `batch()` and `name`
    config : FlowLikelihoodConfig
    validation : as data, or None
        Held-out data.
    """

    config: FlowLikelihoodConfig

    def __init__(self, network: RealNVP, data: Any, config: FlowLikelihoodConfig, validation: Any = None):
        super().__init__(network, data, config, validation)

    def add_gradient(self, step: int, shard: int, grads: Gradients) -> Array:
        """Add one micro-batch's part of the gradient to `grads`; return its part of the loss (Eq. NVP-5)."""
        x, _, share = self.drawn(step, shard)
        tape = Tape()
        z, log_det = self.network.forward(x, tape)
        each = share / z.size  # the weight of each number in the mean over all of them
        d_log_det = log_det * 0 - each
        self.network.backward(each * z, d_log_det, tape, grads)
        return each * (0.5 * (z * z).sum() - log_det.sum()) + share * 0.5 * math.log(2 * math.pi)

    def validate(self, *networks: Any) -> dict[str, float]:
        """Return -log p of held-out pictures in nats for each number; with levels, also in bits for each shade."""
        if self.validation is None:
            return {}
        x, _ = self.held_out()
        nats = -float(networks[0].log_density(x).mean()) / math.prod(x.shape[1:])
        found = {"validation_loss": nats}
        if self.config.levels is not None:
            found["bits"] = float(bits_per_number(nats, self.config.levels))
        return found
