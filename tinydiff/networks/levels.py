"""What the shapes of networks with several levels have in common."""

from typing import Any

from tinydiff.base import InputError, check_count


def check_levels(config: Any, *counts: str) -> None:
    """Raise `InputError` unless the counts of a config, and its channels for each level, are whole numbers from 1.

    The channels become a tuple, for lists come out of JSON.
    """
    object.__setattr__(config, "channels", tuple(config.channels))
    for name in counts:
        check_count(name, getattr(config, name))
    if not config.channels:
        raise InputError("channels is empty, but one whole number for each level was expected.")
    for width in config.channels:
        check_count("channels", width)
