"""Random masks: which part of a picture is known, and which is to be drawn, while a model learns to fill in."""

from tinydiff.base import Array, Noise, Size, check_count, height_and_width

NOTHING_KNOWN = 0.2  # how often there is no picture at all, so that the model also learns to draw a whole one
TURNED = 0.2  # how often the rectangle is what is known, and its surroundings are to be drawn


def random_masks(n: int, size: Size, noise: Noise) -> Array:
    """Return masks, float32 (n, height, width, 1): 1 where the picture is known, 0 in a rectangle that is to be drawn.

    Each side of the rectangle runs from one random line to another, at least one pixel. At times the rectangle is all
    that is known, and at times nothing is.

    Parameters
    ----------
    n : int
    size : int or (int, int)
        Height and width, or both in one number.
    noise : Noise
        Mask i is that of its sample i.
    """
    check_count("n", n)
    height, width = height_and_width("size", size)
    xp = noise.xp
    u = noise.uniform((n, 5), "mask")
    rows, columns = _between(xp, u[:, :2], height), _between(xp, u[:, 2:4], width)
    to_draw = rows[:, :, None] & columns[:, None, :]
    kind = u[:, 4, None, None]
    to_draw = xp.where(kind < TURNED, ~to_draw, to_draw) | (kind > 1 - NOTHING_KNOWN)
    return (~to_draw)[..., None].astype("float32")


def _between(xp, u, lines):
    """Return which of the lines stand from one random line to another: booleans (n, lines), for u of shape (n, 2)."""
    ends, line = xp.floor(u * lines), xp.arange(lines)
    return (ends.min(axis=1)[:, None] <= line) & (line <= ends.max(axis=1)[:, None])
