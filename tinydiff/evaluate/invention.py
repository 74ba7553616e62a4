"""The invention meter: whether a model redraws its training portraits, or draws new ones that the same rules allow.

For pictures of the world nobody can say. Portraits are put together by rules that are known, so each drawn picture is
rounded to the nearest portrait, and then it is certain: whether it is one, and whether training showed it.
"""

import functools
import zlib
from typing import NamedTuple

import numpy as np

from tinydiff.base import check_count, check_positive, checked
from tinydiff.data.avatars import compose, judge, render
from tinydiff.data.avatars.compose import BYTES_OF_A_PORTRAIT, combinations
from tinydiff.data.avatars.rendering import BACKGROUND, parts_of
from tinydiff.data.avatars.slots import LAYERS, SIZE
from tinydiff.evaluate.shares import Share, wilson_share

NEAR = 16.0  # levels of 0 .. 255, root mean square: as one pixel that is white where it should be black
MOST = 10_000_000  # training portraits, each remembered as a number
AT_ONCE = 2**25 // BYTES_OF_A_PORTRAIT  # training portraits put together at a time
LOOKED_AT = slice(1, None, 3)  # rows and columns of the pixels by which portraits are told apart first


class Invention(NamedTuple):
    """Shares of drawn pictures, with 95 % intervals; `seen` and `new` add to `valid`.

    Parameters
    ----------
    valid : Share
        Those whose distance to the nearest portrait is at most `near`.
    seen : Share
        Of all pictures, those that are valid and whose nearest portrait was among the training pictures.
    new : Share
        Those that are valid and whose nearest portrait was not.
    held_out : Share
        Those that are new and whose nearest portrait has a combination that training never shows.
    near : float
        The distance, root mean square over pixels and channels, in levels of 0 .. 255.
    training : int
        How many training portraits were looked through.
    """

    valid: Share
    seen: Share
    new: Share
    held_out: Share
    near: float
    training: int


@checked()
def invention(images: np.ndarray, training: int = 20_000, near: float = NEAR, seed: int = 0) -> Invention:
    """Return which shares of drawn portraits are valid, seen in training, and new.

    A picture is seen if its nearest portrait, rendered, is one of the training pictures, to the last bit: also where
    another description draws the same picture. The nearest is what `judge` finds, slot by slot.

    Parameters
    ----------
    images : uint8 array, shape (N, 16, 16, 3)
    training : int
        How many portraits of the split ``"train"`` the model was trained on, the first ones.
    near : float
        Above 0: see `Invention`.
    seed : int
        Of the training portraits.

    Raises
    ------
    InputError
        If images are no such pictures, or `near` is not above 0.
    """
    check_count("training", training, most=MOST)
    check_positive("near", near)
    verdict = judge(images)
    valid = np.sqrt(verdict.distances / images[0].size) <= near
    seen = valid & among_training(render(verdict.portraits), training, seed)
    held_out = valid & ~seen & combinations(verdict.portraits).any(axis=1)
    of_valid, of_seen, of_new, of_held_out = (
        wilson_share(int(which.sum()), len(images)) for which in (valid, seen, valid & ~seen, held_out)
    )
    return Invention(of_valid, of_seen, of_new, of_held_out, near, training)


@checked()
def among_training(pictures: np.ndarray, training: int = 20_000, seed: int = 0) -> np.ndarray:
    """Return which pictures, uint8 (N, 16, 16, 3), are among the first training portraits, booleans (N,).

    Of all training portraits a few pixels are painted, once, and remembered as a number each; those whose number is
    that of a picture are painted in full.
    """
    check_count("training", training, most=MOST)
    wanted = {picture.tobytes() for picture in pictures}
    numbers = np.array([zlib.crc32(_few(picture).tobytes()) for picture in pictures], np.uint32)
    alike = np.flatnonzero(np.isin(_fingerprints(training, seed), numbers))
    found = wanted & {render(compose(1, seed, "train", int(i)))[0].tobytes() for i in alike}
    return np.array([picture.tobytes() in found for picture in pictures], bool)


def invention_lines(found: Invention, what: str) -> list[str]:
    """Return lines of a report: the shares, and how they were found; `what` says which pictures these are."""
    names = {
        "valid: near a portrait": found.valid,
        "  seen in training": found.seen,
        "  new": found.new,
        "    new, with a combination held out": found.held_out,
    }
    lines = [f"{what:<46}{'share':>10}{'95 % interval':>20}"]
    lines += [f"{name:<46}{s.value:>10.1%}{f'{s.low:.1%} to {s.high:.1%}':>20}" for name, s in names.items()]
    return [
        *lines,
        f"Near: within {found.near:g} levels of 255, root mean square, of the nearest portrait. Seen: that portrait is",
        f"one of the first {found.training:,} of the split train, to the last bit.",
    ]


@functools.lru_cache(maxsize=2)
def _fingerprints(training, seed):
    """Return a number for each training portrait, by a few of its pixels."""
    numbers = []
    for first in range(0, training, AT_ONCE):
        portraits = compose(min(AT_ONCE, training - first), seed, "train", first)
        numbers += [zlib.crc32(few.tobytes()) for few in _paint_few(portraits)]
    return np.array(numbers, np.uint32)


def _few(picture):
    return np.ascontiguousarray(picture[LOOKED_AT, LOOKED_AT])


def _paint_few(portraits):
    """Return the portraits' pixels at `LOOKED_AT`, bytes, painted as `render` does."""
    side = len(range(SIZE)[LOOKED_AT])
    picture = np.full((len(portraits.parts), side, side, 3), BACKGROUND, np.float32)
    for layer, part, colour in zip(LAYERS, portraits.parts.T, portraits.colours.T, strict=True):
        slot_parts = parts_of(layer)
        keep, weight, own = (a[:, LOOKED_AT, LOOKED_AT][part] for a in slot_parts[:3])
        picture = keep * picture + weight * slot_parts.colours[colour][:, None, None, :] + own
    return np.rint(picture).astype(np.uint8)
