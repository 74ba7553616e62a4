"""Attributes: which object is it, which colour, where? The training of a network that reads all of a picture."""

from dataclasses import asdict, dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from tinydiff.base import (
    Array,
    InputError,
    Noise,
    check_count,
    check_number,
    checks_arguments,
    there_are,
    to_numpy,
    xp_of,
)
from tinydiff.functional import masked_cross_entropy, masked_cross_entropy_backward
from tinydiff.models import attribute_agreement
from tinydiff.models.attributes import NOT_ASKED, check_attributes, verdicts_of
from tinydiff.networks import AttributeClassifier
from tinydiff.nn import Gradients, Tape
from tinydiff.train.config import ValidatedConfig
from tinydiff.train.objective import Objective
from tinydiff.train.order import whole_batches
from tinydiff.workers import map_shards

VALIDATION_SHARD = 50  # pictures


@runtime_checkable
class AttributeData(Protocol):
    """Pictures of which attributes are known. They may be drawn when they are asked for, in the process that asks."""

    name: str

    @property
    def attribute_words(self) -> dict[str, tuple[str, ...]]:
        """Name of each attribute, with the words it may be."""

    def __len__(self) -> int: ...

    def batch(self, indices: Any, xp: Any = np) -> tuple[Array, Any]:
        """Return pictures (n, H, W, C), float32 in [-1, 1], and labels, which are not read."""

    def attributes(self, indices: Any) -> np.ndarray:
        """Return the number of each attribute's word, shape (n, attributes); -1 where a picture leaves it unclear."""

    def describe(self) -> str:
        """Return one line that says what this is."""

    def identity(self) -> dict[str, Any]:
        """Return what decides the pictures and their attributes: a run is resumed only with the same values."""


@checks_arguments("__init__")
@dataclass(frozen=True)
class ClassifyAttributesConfig(ValidatedConfig):
    """How a network that reads attributes is trained: the settings of every validated run, and four more.

    Three of them make pictures slightly imperfect while they are learned from, so that the network can also read
    reconstructions and samples, which are a little blurred, noisy, or too bright.

    Parameters
    ----------
    shift : int
        Each batch is shifted by at most this many pixels, vertically and horizontally; what leaves at one side enters
        at the other. 0 where a position is among the attributes.
    noise : float
        Each picture gets Gaussian noise of a random standard deviation up to this.
    blur : float
        Each picture is mixed with a blurred copy, of which its share is random, up to this.
    brightness : float
        Each picture is made brighter or darker by a random number up to this, of a range from -1 to 1.
    """

    steps: int = 4000
    batch: int = 64
    micro_batch: int | None = 16
    weight_decay: float = 0.01
    final_lr: float = 0.0
    ema: float | None = 0.995
    validation_images: int = 2000
    shift: int = 0
    noise: float = 0.1
    blur: float = 0.5
    brightness: float = 0.1

    def __post_init__(self):
        super().__post_init__()
        check_count("shift", self.shift, least=0)
        check_number("noise", self.noise, 0, 10)
        check_number("blur", self.blur, 0, 1)
        check_number("brightness", self.brightness, 0, 2)


@checks_arguments("__init__")
class ClassifyAttributes(Objective):
    """The network learns to name every attribute of a picture: a cross-entropy for each, added up.

    A picture may leave an attribute unclear, such as the count of trees in a forest; then it is not asked for it, and
    an attribute's loss is the mean over those pictures of the batch that are asked.

    Parameters
    ----------
    network : AttributeClassifier
        Trained in place.
    data : AttributeData
    config : ClassifyAttributesConfig
    validation : AttributeData or None
        Held-out pictures.
    """

    config: ClassifyAttributesConfig

    def __init__(
        self,
        network: AttributeClassifier,
        data: AttributeData,
        config: ClassifyAttributesConfig,
        validation: AttributeData | None = None,
    ):
        super().__init__(network, config)
        self.data, self.validation = data, validation
        for name, given in (("data", data), ("validation", validation)):
            if given is not None:
                _check_data(name, given, network)
        if len(data) < config.batch:
            raise InputError(f"{there_are(len(data), 'picture').capitalize()}, but a batch has {config.batch}.")
        self._last: tuple[int, np.ndarray] = (-1, np.zeros(0))  # the step whose attributes are known, and these

    def add_gradient(self, step: int, shard: int, grads: Gradients) -> Array:
        """Add one micro-batch's part of the gradient to `grads`; return its part of the loss (Eq. MCE-1)."""
        config, noise, part = self.config, self.noise(step, shard), self.config.part(shard)
        x_0, _ = self.data.batch(self.indices(step)[part], noise.xp)
        attributes = self.attributes(step)  # of the whole batch
        asked = (attributes != NOT_ASKED).sum(axis=0)
        shift = Noise(config.seed, step=step).integers(-config.shift, config.shift, 2, "shift")  # of the whole batch
        x = imperfect(noise.xp.roll(x_0, tuple(map(int, shift)), axis=(1, 2)), config, noise)

        tape = Tape(noise)
        logits = self.network.split(self.network.forward(x, tape))
        loss: Array = 0.0
        d_logits: list[Array] = []
        for of_attribute, labels, of_batch in zip(logits.values(), attributes[part].T, asked, strict=True):
            attribute_loss, cache = masked_cross_entropy(of_attribute, noise.xp.asarray(labels))
            share = int((labels != NOT_ASKED).sum()) / max(1, int(of_batch))
            d_logits += masked_cross_entropy_backward(share, cache)
            loss = loss + share * attribute_loss
        self.network.backward(noise.xp.concatenate(d_logits, axis=1), tape, grads)
        return loss

    def indices(self, step: int) -> np.ndarray:
        """Return which pictures step 0, 1, ... sees: an epoch is a new order of all of them, cut into whole batches."""
        return whole_batches(len(self.data), self.config.batch, step, self.config.seed)

    def attributes(self, step: int) -> np.ndarray:
        """Return the attributes of a step's pictures; those of the last step are remembered for its other shards."""
        last = self._last
        if last[0] != step:
            last = self._last = (step, self.data.attributes(self.indices(step)))
        return last[1]

    def validate(self, *networks: Any) -> dict[str, float]:
        """Return the loss, each attribute's accuracy over the pictures that are asked, and the smallest of these."""
        (network,), data = networks, self.validation
        if data is None:
            return {}
        indices = np.arange(min(self.config.validation_images, len(data)))
        xp = xp_of(network.theta)

        def logits_of(which):
            return network.forward(data.batch(to_numpy(which), xp)[0])

        logits = to_numpy(map_shards(logits_of, (xp.asarray(indices),), VALIDATION_SHARD))
        return _figures(network.config, logits, data.attributes(indices))

    def identity(self) -> dict[str, Any]:
        """Return the shape of the network, and what decides the data."""
        return {"network": asdict(self.network.config), **self.about(), "identity of the data": self.data.identity()}

    def about(self) -> dict[str, Any]:
        """Return the name of the data, and how many pictures there are."""
        return {"data": self.data.name, "images": len(self.data)}


def imperfect(x_0: Array, config: ClassifyAttributesConfig, noise: Noise) -> Array:
    """Return pictures blurred, brightened and with noise, each by a random amount of its own, within [-1, 1]."""
    xp, each = noise.xp, (len(x_0), 1, 1, 1)
    share = config.blur * noise.uniform(each, "blur")
    change = config.brightness * (2 * noise.uniform(each, "brightness") - 1)
    sigma = config.noise * noise.uniform(each, "sigma")
    x = x_0
    if config.blur:
        x = x + share * (blurred(x) - x)
    if config.brightness:
        x = x + change
    if config.noise:
        x = x + sigma * noise.normal(x.shape, "noise")
    return xp.clip(x, -1, 1)


def blurred(x: Array) -> Array:
    """Return pictures of which each pixel is averaged with its neighbours, with weights 1, 2, 1 along both sides."""
    xp = xp_of(x)
    x = xp.concatenate([x[:, :1], x, x[:, -1:]], axis=1)  # the border is repeated
    x = (x[:, :-2] + 2 * x[:, 1:-1] + x[:, 2:]) / 4
    x = xp.concatenate([x[:, :, :1], x, x[:, :, -1:]], axis=2)
    return (x[:, :, :-2] + 2 * x[:, :, 1:-1] + x[:, :, 2:]) / 4


def _check_data(name, data, network):
    """Raise `InputError` unless there are pictures of the network's shape, with the network's attributes."""
    if not len(data):
        raise InputError(f"{name} holds no pictures, but at least one was expected.")
    config, first = network.config, np.zeros(1, np.int64)
    words = {attribute: tuple(of_it) for attribute, of_it in data.attribute_words.items()}
    if list(words.items()) != list(config.attributes.items()):
        raise InputError(f"{name} has the attributes {words}, but the network's are {config.attributes}.")
    check_attributes(data.attributes(first), words, 1)
    if (shape := data.batch(first)[0].shape[1:]) != config.shape:
        raise InputError(f"{name} has pictures of shape {tuple(shape)}, but the network's are {config.shape}.")


def _figures(config, logits, attributes):
    """Return loss and accuracies, given logits and the right words."""
    check_attributes(attributes, config.attributes, len(logits))
    columns = zip(config.slices.values(), attributes.T, strict=True)
    losses = [masked_cross_entropy(logits[:, part], column)[0] for part, column in columns]
    agreement = attribute_agreement(verdicts_of(config, logits), attributes)
    accuracies = {f"accuracy_{name}".replace(" ", "_"): share for name, share in agreement.items()}
    smallest = {"smallest_accuracy": min(agreement.values())} if agreement else {}
    return {"validation_loss": float(sum(losses)), **accuracies, **smallest}
