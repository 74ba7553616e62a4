"""Classify: what does a picture show? The training of the classifiers that judge samples, and of those that guide."""

import zlib
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tinydiff.base import Array, InputError, Noise, check_count, checks_arguments, there_are, xp_of
from tinydiff.data import Dataset
from tinydiff.diffusion import GaussianDiffusion
from tinydiff.functional import cross_entropy, cross_entropy_backward, softmax
from tinydiff.networks import Classifier, NoisyClassifier
from tinydiff.nn import Gradients, Tape
from tinydiff.train.config import ValidatedConfig
from tinydiff.train.objective import Objective
from tinydiff.train.order import whole_batches
from tinydiff.workers import map_shards

TIMES = (0.001, 0.25, 0.5, 0.75, 0.9)  # at which a classifier of noisy pictures is validated, as shares of T
SURE = 0.9  # the probability above which an answer counts as sure
VALIDATION_SHARD = 100  # images


@checks_arguments("__init__")
@dataclass(frozen=True)
class ClassifyConfig(ValidatedConfig):
    """How a classifier is trained: the settings of every validated run, with other defaults, and one more.

    Parameters
    ----------
    shift : int
        Each batch is shifted by at most this many pixels, vertically and horizontally; what leaves at one side enters
        at the other.
    """

    steps: int = 1404
    batch: int = 128
    micro_batch: int | None = 32
    warmup: int = 50
    final_lr: float = 0.0
    clip: float | None = None
    ema: float | None = 0.98
    ema_warmup: bool = False
    validation_images: int = 10_000
    shift: int = 1

    def __post_init__(self):
        super().__post_init__()
        check_count("shift", self.shift, least=0)


@checks_arguments("__init__")
class Classify(Objective):
    """The network learns to name the class of a picture: cross-entropy with the label.

    Parameters
    ----------
    network : Classifier or NoisyClassifier
        Trained in place.
    data : Dataset
        Images with labels.
    config : ClassifyConfig
    validation : Dataset or None
        Held-out images.
    diffusion : GaussianDiffusion or None
        The forward process, for a network that learns from noisy pictures, each at a random time.
    """

    config: ClassifyConfig

    def __init__(
        self,
        network: Classifier | NoisyClassifier,
        data: Dataset,
        config: ClassifyConfig,
        validation: Dataset | None = None,
        diffusion: GaussianDiffusion | None = None,
    ):
        super().__init__(network, config)
        self.data, self.validation, self.diffusion = data, validation, diffusion
        if (diffusion is not None) != isinstance(network, NoisyClassifier):
            raise InputError(
                f"The network is a {type(network).__name__}, and diffusion is {diffusion}: noisy pictures are for a "
                "NoisyClassifier, and only for one."
            )
        shape, classes = network.config.shape, network.config.num_classes
        if data.images.shape[1:] != shape:
            raise InputError(f"data has images of shape {data.images.shape[1:]}, but the network's are {shape}.")
        if data.labels.max(initial=0) >= classes:
            raise InputError(f"data has labels up to {data.labels.max()}, but the network's num_classes is {classes}.")
        if len(data) < config.batch:
            raise InputError(f"{there_are(len(data), 'image').capitalize()}, but a batch has {config.batch}.")

    def add_gradient(self, step: int, shard: int, grads: Gradients) -> Array:
        """Add one micro-batch's part of the gradient to `grads`; return its part of the loss (Eq. CE-1)."""
        config, noise = self.config, self.noise(step, shard)
        indices = self.indices(step)[config.part(shard)]
        x_0, labels = self.data.batch(indices, noise.xp)
        shift = Noise(config.seed, step=step).integers(-config.shift, config.shift, 2, "shift")  # of the whole batch
        inputs = self._inputs(noise.xp.roll(x_0, tuple(map(int, shift)), axis=(1, 2)), noise)

        tape = Tape(noise)
        loss, cache = cross_entropy(self.network.forward(*inputs, tape), labels)
        share = len(labels) / config.batch
        (d_logits,) = cross_entropy_backward(share, cache)
        self.network.backward(d_logits, tape, grads)
        return share * loss

    def _inputs(self, x_0, noise):
        """Return the pictures; for a classifier of noisy ones x_t, and a random t for each."""
        if self.diffusion is None:
            return (x_0,)
        t = noise.integers(1, self.diffusion.T, len(x_0), "t")
        return self.diffusion.q_sample(x_0, t, noise.normal(x_0.shape, "eps")), t

    def indices(self, step: int) -> np.ndarray:
        """Return which images step 0, 1, ... sees: an epoch is a new order of all of them, cut into whole batches."""
        return whole_batches(len(self.data), self.config.batch, step, self.config.seed)

    def validate(self, *networks: Any) -> dict[str, float]:
        """Return loss and accuracy on held-out images; for noisy ones, the accuracy at several times."""
        (network,), data = networks, self.validation
        if data is None:
            return {}
        n = min(self.config.validation_images, len(data))
        x_0, labels = data.batch(np.arange(n), xp_of(network.theta))
        if self.diffusion is None:
            return _figures(map_shards(network.forward, (x_0,), VALIDATION_SHARD), labels)
        found, losses = {}, []
        for share in TIMES:
            t = round(share * self.diffusion.T) or 1
            x_t = self.diffusion.q_sample(x_0, t, Noise(0, xp=xp_of(x_0)).normal(x_0.shape, "eps"))
            times = xp_of(x_0).full(n, t)
            figures = _figures(map_shards(network.forward, (x_t, times), VALIDATION_SHARD), labels)
            losses.append(figures["validation_loss"])
            found[f"accuracy_at_t_{t}"] = figures["accuracy"]
        return {"validation_loss": float(np.mean(losses)), **found}

    def identity(self) -> dict[str, Any]:
        """Return the shape of the network, the forward process, and the data with checksums."""
        sums = [zlib.crc32(a.tobytes()) for a in (self.data.images, self.data.labels)]
        process = None if self.diffusion is None else zlib.crc32(self.diffusion.alpha_bar.tobytes())
        shape = {"network": asdict(self.network.config), "checksum of alpha_bar": process}
        return {**shape, **self.about(), "checksums of the data": sums}

    def about(self) -> dict[str, Any]:
        """Return the name of the data, and how many images there are."""
        return {"data": self.data.name, "images": len(self.data)}


def _figures(logits, labels):
    """Return loss, accuracy, and the share of pictures with a class of probability above 0.9."""
    loss, _ = cross_entropy(logits, labels)
    probabilities, _ = softmax(logits)
    return {
        "validation_loss": float(loss),
        "accuracy": float((logits.argmax(axis=1) == labels).mean()),
        "sure": float((probabilities.max(axis=1) > SURE).mean()),
    }
