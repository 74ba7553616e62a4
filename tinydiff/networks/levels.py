"""Checks that the configurations of networks with several levels share."""

from typing import Any

from tinydiff.base import InputError, check_count, height_and_width


def check_levels(config: Any, *counts: str) -> None:
    """Raise `InputError` unless a config's size, counts and channels of each level are whole numbers from 1.

    Lists, as read from JSON, become tuples.
    """
    object.__setattr__(config, "channels", tuple(config.channels))
    keep_size(config)
    for name in counts:
        check_count(name, getattr(config, name))
    if not config.channels:
        raise InputError("channels is empty, but one whole number for each level was expected.")
    for width in config.channels:
        check_count("channels", width)


def keep_size(config: Any) -> None:
    """Raise `InputError` unless a config's `image_size` is a size; it stays as given, but a list becomes a tuple."""
    size = config.image_size
    height_and_width("image_size", size)
    object.__setattr__(config, "image_size", tuple(size) if isinstance(size, list) else size)
