"""A network that reads attributes of pictures, such as object and colour, and whose features compare pictures."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinydiff.base import (
    Array,
    InputError,
    Size,
    check_alike,
    check_choice,
    check_count,
    check_shape,
    checks_arguments,
    counted,
    shown,
    xp_of,
)
from tinydiff.networks.levels import LARGEST_WIDTH, MOST_LAYERS, OfPictures, check_levels
from tinydiff.networks.registry import network
from tinydiff.nn import Conv2d, Gradients, GroupNormSiLU, Linear, Module, Sequential, SiLU, Tape


def _example() -> dict[str, tuple[str, ...]]:
    """Return attributes for a network of which nothing is said; the data say which there are."""
    return {"shape": ("circle", "square"), "colour": ("red", "green", "blue")}


@checks_arguments("__init__")
@dataclass(frozen=True)
class AttributeClassifierShape(OfPictures):
    """The shape of a network that reads attributes, but for its last layer, which the attributes decide.

    Parameters
    ----------
    image_size : int or (int, int)
        Height and width, or both in one number. Pictures of another size are refused: the linear layer after the
        convolutions reads every position of the last feature map.
    in_channels : int
        Channels of the pictures.
    channels : tuple of int
        Channels of each level; between two levels height and width are halved.
    blocks : int
        Residual blocks of each level.
    stem_stride : int
        2 halves height and width at the first convolution already, which saves most of the time; 1 for small pictures.
    features : int
        Size of the last hidden layer, on which a Fréchet distance can be taken.
    """

    image_size: Size = 64
    in_channels: int = 3
    channels: tuple[int, ...] = (24, 48, 96, 128)
    blocks: int = 1
    stem_stride: int = 2
    features: int = 128

    def __post_init__(self):
        check_levels(self, "in_channels", "features")
        check_count("blocks", self.blocks, most=MOST_LAYERS)
        check_choice("stem_stride", self.stem_stride, (1, 2))


@checks_arguments("__init__")
@dataclass(frozen=True)
class AttributeClassifierConfig(AttributeClassifierShape):
    """The shape of a network that reads attributes (`AttributeClassifierShape`), and the attributes.

    Parameters
    ----------
    attributes : dict
        Name of each attribute, with the words it may be, in order: ``{"colour": ("red", "green")}``.
    """

    attributes: dict[str, tuple[str, ...]] = field(default_factory=_example)

    def __post_init__(self):
        super().__post_init__()
        if not self.attributes:
            raise InputError("attributes is empty, but at least one, with its words, was expected.")
        object.__setattr__(self, "attributes", {name: tuple(words) for name, words in self.attributes.items()})
        for name, words in self.attributes.items():
            check_words(name, words)
        check_count("the number of words of all attributes", self.classes, most=LARGEST_WIDTH)

    @property
    def classes(self) -> int:
        """How many words there are, of all attributes together: as many as logits."""
        return sum(len(words) for words in self.attributes.values())

    @property
    def slices(self) -> dict[str, slice]:
        """Which of the logits belong to each attribute."""
        found, start = {}, 0
        for name, words in self.attributes.items():
            found[name] = slice(start, start + len(words))
            start += len(words)
        return found


def check_words(name: str, words: tuple[str, ...]) -> None:
    """Raise `InputError` unless an attribute has a name and at least one word, none empty and none twice."""
    where = f"attributes[{shown(name)}]"
    if not name:
        raise InputError("attributes has one without a name, but a text was expected, such as 'colour'.")
    if not words or not all(words):
        raise InputError(f"{where} is {shown(words)}, but one or more words were expected, none of them empty.")
    if len(set(words)) < len(words):
        twice = next(word for word in words if words.count(word) > 1)
        raise InputError(f"{where} has the word {shown(twice)} more than once, but each is a class of its own.")


class _Block(Module):
    """A residual block: norm, SiLU and convolution, twice, added to the input; it begins as the identity."""

    def __init__(self, channels: int, rng: np.random.Generator, dtype: Any):
        self.branch = Sequential(
            GroupNormSiLU(channels, dtype=dtype),
            Conv2d(channels, channels, 3, rng, dtype=dtype),
            GroupNormSiLU(channels, dtype=dtype),
            Conv2d(channels, channels, 3, None, dtype=dtype),
        )

    def forward(self, x: Array, tape: Tape | None = None) -> Array:
        h = self.branch.forward(x, tape)
        h += x
        return h

    def backward(self, dy: Array, tape: Tape, grads: Gradients | None = None) -> Array:
        dx = self.branch.backward(dy, tape, grads)
        dx += dy  # two readers of x, the branch and the sum: their gradients add
        return dx


@network("attributes", AttributeClassifierConfig)
@checks_arguments("__init__", "maps_backward")
class AttributeClassifier(Module):
    """Pictures (N, H, W, C) to logits (N, classes): side by side, those of each attribute's words.

    Each level is a strided convolution, residual blocks, then group norm and SiLU, whose result is the level's feature
    map. The last map is read position by position, not averaged, since where something stands is an attribute, too. One
    linear layer has the logits of all attributes, which is the same as one layer for each of them.

    Its feature maps (`maps`), and their gradient in the picture (`maps_backward`), are what a perceptual loss needs.

    Parameters
    ----------
    config : AttributeClassifierConfig
    rng : numpy Generator or None
        Draws the initial weights; None takes ``np.random.default_rng(0)``.
    dtype : dtype
    """

    def __init__(
        self, config: AttributeClassifierConfig, rng: np.random.Generator | None = None, dtype: Any = np.float32
    ):
        rng = np.random.default_rng(0) if rng is None else rng
        self.config = config
        self.levels: list[Sequential] = []
        self.map_shapes: list[tuple[int, int, int]] = []
        height, width, c_in = config.shape
        for i, c in enumerate(config.channels):
            stride = 2 if i else config.stem_stride
            blocks = [_Block(c, rng, dtype) for _ in range(config.blocks)]
            conv = Conv2d(c_in, c, 3, rng, stride=stride, dtype=dtype)
            self.levels.append(Sequential(conv, *blocks, GroupNormSiLU(c, dtype=dtype)))
            height, width, c_in = -(-height // stride), -(-width // stride), c
            self.map_shapes.append((height, width, c))
        self.hidden = Sequential(Linear(height * width * c_in, config.features, rng, dtype=dtype), SiLU())
        self.logits = Linear(config.features, config.classes, rng, dtype=dtype)
        self.pack()

    def one_input(self) -> tuple[Array, ...]:
        """Return one picture."""
        return (xp_of(self.theta).zeros((1, *self.config.shape), self.theta.dtype),)

    def maps(self, x: Array, tape: Tape | None = None) -> list[Array]:
        """Return the feature map of each level, the largest first."""
        check_alike(x=x, theta=self.theta)
        check_shape("x", x, (None, *self.config.shape))
        h, found = x, []
        for level in self.levels:
            h = level.forward(h, tape)
            found.append(h)
        return found

    def maps_backward(self, d_maps: Sequence[Array], tape: Tape, grads: Gradients | None = None) -> Array:
        """Return dx, given the gradient of each level's map; the weights' gradients are added to `grads`."""
        if len(d_maps) != len(self.levels):
            raise InputError(
                f"d_maps has {counted(len(d_maps), 'array')}, but the network has {counted(len(self.levels), 'level')}."
            )
        for i, (d, shape) in enumerate(zip(d_maps, self.map_shapes, strict=True)):
            check_alike(**{f"d_maps[{i}]": d, "theta": self.theta})
            check_shape(f"d_maps[{i}]", d, (len(d_maps[0]), *shape))
        dh = 0
        for level, d in zip(reversed(self.levels), reversed(d_maps), strict=True):
            dh = level.backward(dh + d, tape, grads)  # a map is read by the next level and by the loss: gradients add
        return dh

    def features(self, x: Array, tape: Tape | None = None) -> Array:
        """Return the last hidden layer, shape (N, features)."""
        h = self.maps(x, tape)[-1]
        return self.hidden.forward(h.reshape(len(h), -1), tape)

    def forward(self, x: Array, tape: Tape | None = None) -> Array:
        """Return logits, shape (N, classes); `split` tells the attributes apart."""
        return self.logits.forward(self.features(x, tape), tape)

    def backward(self, d_logits: Array, tape: Tape, grads: Gradients | None = None) -> Array:
        """Return dx, and add the weights' gradients to `grads`."""
        dh = self.logits.backward(d_logits, tape, grads)
        dh = self.hidden.backward(dh, tape, grads)
        dh = dh.reshape(len(dh), *self.map_shapes[-1])
        for level in reversed(self.levels):
            dh = level.backward(dh, tape, grads)
        return dh

    def split(self, logits: Array) -> dict[str, Array]:
        """Return the logits of each attribute, shape (N, words)."""
        check_alike(logits=logits, theta=self.theta)
        check_shape("logits", logits, (None, self.config.classes))
        return {name: logits[:, part] for name, part in self.config.slices.items()}
