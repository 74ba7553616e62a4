"""Random masks: which part of a picture is known, and which is to be drawn, while a model learns to fill in."""

from typing import Any

from tinydiff.base import Noise, check_count

NOTHING_KNOWN = 0.2  # how often there is no picture at all, so that the model also learns to draw a whole one
TURNED = 0.2  # how often the rectangle is what is known, and its surroundings are to be drawn


def random_masks(n: int, size: int, noise: Noise) -> Any:
    """Return masks, float32 (n, size, size, 1): 1 where the picture is known, 0 in a rectangle that is to be drawn.

    Each side of the rectangle runs from one random line to another, at least one pixel. At times the rectangle is all
    that is known, and at times nothing is.

    Parameters
    ----------
    n, size : int
    noise : Noise
        Mask i is that of its sample i.
    """
    check_count("n", n)
    check_count("size", size)
    xp = noise.xp
    u = noise.uniform((n, 5), "mask")
    place = xp.arange(size)
    inside = []
    for first, second in ((0, 1), (2, 3)):
        ends = xp.floor(u[:, first : second + 1] * size)
        low, high = ends.min(axis=1)[:, None], ends.max(axis=1)[:, None]
        inside.append((low <= place) & (place <= high))
    to_draw = inside[0][:, :, None] & inside[1][:, None, :]
    kind = u[:, 4, None, None]
    to_draw = xp.where(kind < TURNED, ~to_draw, to_draw) | (kind > 1 - NOTHING_KNOWN)
    return (~to_draw)[..., None].astype("float32")
