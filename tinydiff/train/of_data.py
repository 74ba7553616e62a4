"""What objectives share that learn a distribution of pictures, or of points, without labels."""

from dataclasses import asdict
from functools import cached_property
from typing import Any

import numpy as np

from tinydiff.base import Array, Noise, xp_of
from tinydiff.nn import Module
from tinydiff.train.config import ValidatedConfig
from tinydiff.train.dequantise import dequantise
from tinydiff.train.objective import Objective
from tinydiff.train.order import shuffled
from tinydiff.train.pictures import check_pictures, checksum


class OfData(Objective):
    """An objective with training data, and perhaps held-out data, in the order of `shuffled`.

    Parameters
    ----------
    network : Module
        With the shape of a picture in its configuration.
    data : Dataset, or anything with its length, `batch()` and `name`
    config : ValidatedConfig
    validation : as data, or None
    """

    config: Any

    def __init__(self, network: Module, data: Any, config: ValidatedConfig, validation: Any = None):
        super().__init__(network, config)
        self.data, self.validation = data, validation
        check_pictures("data", data, self.network.config.shape)
        if validation is not None:
            check_pictures("validation", validation, self.network.config.shape)

    def indices(self, step: int) -> np.ndarray:
        """Return which pictures step 0, 1, ... sees: every epoch is a new random order of all."""
        return shuffled(len(self.data), self.config.batch, step, self.config.seed)

    def drawn(self, step: int, shard: int) -> tuple[Array, Noise, float]:
        """Return the pictures of a micro-batch, the source of its noise, and which share of the batch it is."""
        noise = self.noise(step, shard)
        indices = self.indices(step)[self.config.part(shard)]
        x, _ = self.data.batch(indices, noise.xp)
        return self.filled(x, noise), noise, len(indices) / self.config.batch

    def held_out(self) -> tuple[Array, Noise]:
        """Return the held-out pictures that are validated on, and the noise for them, the same every time."""
        noise, data = Noise(0, xp=xp_of(self.network.theta)), self.validation
        x, _ = data.batch(np.arange(min(self.config.validation_images, len(data))), noise.xp)
        return self.filled(x, noise), noise

    def filled(self, x: Array, noise: Noise) -> Array:
        """Return pictures in the network's dtype, dequantised where the config says of how many levels they are."""
        x = x.astype(self.network.theta.dtype, copy=False)
        levels = getattr(self.config, "levels", None)
        return x if levels is None else dequantise(x, noise.uniform(x.shape, "dequantise", dtype=x.dtype), levels)

    def identity(self) -> dict[str, Any]:
        """Return the network's shape, and the data with a checksum."""
        return {"network": asdict(self.network.config), **self.about(), "checksum of the data": self._checksum}

    def about(self) -> dict[str, Any]:
        """Return the name of the data, and how many pictures there are."""
        return {"data": self.data.name, "images": len(self.data)}

    @cached_property
    def _checksum(self) -> int:
        """That of the data, computed once, since each checkpoint holds it."""
        return checksum(self.data)
