"""Random masks: which part of a picture is known, and which is to be drawn, while a model learns to fill in."""

from tinydiff.base import Array, Noise, Size, check_count, height_and_width

NOTHING_KNOWN = 0.2  # the probability that no pixel is known, so that the model also learns to draw whole pictures
INVERTED = 0.2  # the probability that the rectangle is known, and its surroundings are to be drawn


def random_masks(n: int, size: Size, noise: Noise) -> Array:
    """Return masks, float32 (n, height, width, 1): 1 where the picture is known, 0 in a rectangle that is to be drawn.

    The rectangle spans the rows between two random ones, and likewise columns: at least one pixel. Some masks are
    inverted (`INVERTED`), and in some nothing is known (`NOTHING_KNOWN`).

    Parameters
    ----------
    n : int
    size : int or (int, int)
        Height and width, or both in one number.
    noise : Noise
        Mask i depends only on the noise's sample i.
    """
    check_count("n", n)
    height, width = height_and_width("size", size)
    xp = noise.xp
    u = noise.uniform((n, 5), "mask")
    rows, columns = _between(xp, u[:, :2], height), _between(xp, u[:, 2:4], width)
    to_draw = rows[:, :, None] & columns[:, None, :]
    kind = u[:, 4, None, None]
    to_draw = xp.where(kind < INVERTED, ~to_draw, to_draw) | (kind > 1 - NOTHING_KNOWN)
    return (~to_draw)[..., None].astype("float32")


def _between(xp, u, lines):
    """Return which lines lie between two random ones, for uniform u of shape (n, 2): booleans (n, lines)."""
    ends, line = xp.floor(u * lines), xp.arange(lines)
    return (ends.min(axis=1)[:, None] <= line) & (line <= ends.max(axis=1)[:, None])
