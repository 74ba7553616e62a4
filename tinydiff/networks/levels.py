"""Checks that the configurations of networks with several levels share."""

from typing import Any, ClassVar

from tinydiff.base import InputError, Size, check_count, height_and_width

# What is far beyond every network that was ever trained, but still a number to calculate with. A configuration within
# these bounds may be too large all the same: then the weights, or the memory, refuse it.
LARGEST_WIDTH = 2**16  # channels, features, tokens of a text, channels in units of others
MOST_LEVELS, MOST_LAYERS = 16, 1024
MOST_CLASSES = 2**20  # or different tokens
LARGEST_TIME = 10**5


class OfPictures:
    """What the shape of every network of pictures says of them, from its `image_size` and `in_channels`."""

    image_size: Size
    in_channels: int
    tokens: ClassVar[int | None] = None  # of a network that sees no picture but a row of tokens

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the images that it is trained on."""
        return height_and_width("image_size", self.image_size)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an image that it is trained on."""
        return (*self.size, self.in_channels)


class OfOneVector(OfPictures):
    """What the shape of a denoiser says that sees one vector: to samplers, a picture of one pixel."""

    image_size: ClassVar[int] = 1  # type: ignore[misc]  # of every such network
    out_channels: ClassVar[None] = None
    image_channels: ClassVar[int] = 0
    image_time: ClassVar[bool] = False
    step_size: ClassVar[bool] = False
    patch: ClassVar[int] = 1
    multiple: ClassVar[int] = 1


def check_levels(config: Any, *counts: str) -> None:
    """Raise `InputError` unless a config's size, counts and channels of each level are whole numbers from 1.

    Lists, as read from JSON, become tuples.
    """
    object.__setattr__(config, "channels", tuple(config.channels))
    keep_size(config)
    for name in counts:
        check_count(name, getattr(config, name), most=MOST_CLASSES if name == "num_classes" else LARGEST_WIDTH)
    check_widths("channels", config.channels)


def check_widths(name: str, widths: tuple[int, ...]) -> None:
    """Raise `InputError` unless there is a whole number from 1 for each level, and at least one level."""
    if not widths:
        raise InputError(f"{name} is empty, but one whole number for each level was expected.")
    if len(widths) > MOST_LEVELS:
        raise InputError(f"{name} has {len(widths):,} levels, but at most {MOST_LEVELS} were expected.")
    for width in widths:
        check_count(name, width, most=LARGEST_WIDTH)


def keep_size(config: Any) -> None:
    """Raise `InputError` unless a config's `image_size` is a size; it stays as given, but a list becomes a tuple."""
    size = config.image_size
    height_and_width("image_size", size)
    object.__setattr__(config, "image_size", tuple(size) if isinstance(size, list) else size)
