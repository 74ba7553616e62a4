"""How often portraits show what their captions say, as an exact judge finds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tinydiff.base import InputError, checked, to_numpy
from tinydiff.data import to_floats, to_images
from tinydiff.data.avatars import Caption, Portraits, agreement, compose, describe, judge
from tinydiff.data.avatars.compose import HELD_OUT, combinations
from tinydiff.data.avatars.judge import skin_tone
from tinydiff.data.avatars.rendering import parts_of
from tinydiff.data.avatars.slots import SKIN
from tinydiff.evaluate.shares import Share, wilson_share
from tinydiff.functional import avg_pool
from tinydiff.models import Guidance, PictureModel, Progress, Request

BOTH, COMBINATION = "both colours", "both of the combination"


@dataclass(frozen=True)
class Obedience:
    """How often portraits show what their captions say.

    Parameters
    ----------
    attributes : dict
        Attribute -> of the portraits whose caption names it, the share that shows it.
    both_colours : Share or None
        Share with the right colours of both hair and clothing, where the caption names both.
    combination : Share or None
        Share with both halves of a combination of `HELD_OUT` right, where the caption names both.
    mean : float
        Mean over the attributes.
    ambiguous : float
        Share of the judge's answers for which another answer would fit as well.
    skin : array
        Share of each skin tone; no caption names one.
    """

    attributes: dict[str, Share]
    both_colours: Share | None
    combination: Share | None
    mean: float
    ambiguous: float
    skin: np.ndarray


def captioned_portraits(n: int, split: str) -> tuple[Portraits, tuple[Caption, ...]]:
    """Return the first n portraits of a split with their captions."""
    portraits = compose(n, split=split)
    return portraits, describe(portraits, split=split)


@checked()
def obedience(images: np.ndarray, portraits: Portraits, captions: tuple[Caption, ...]) -> Obedience:
    """Return how often images (N, 16, 16, 3), bytes, show what the captions of the portraits say."""
    verdict = judge(images)
    found = agreement(verdict, portraits, captions)
    if not found:
        raise InputError("No caption names anything, so there is nothing to judge by.")
    shares = {name: wilson_share(int(right.sum()), int(asked.sum())) for name, (asked, right) in found.items()}
    return Obedience(
        shares,
        _both_colours(found),
        _combination(found, portraits),
        float(np.mean([share.value for share in shares.values()])),
        float(verdict.ambiguous.mean()),
        np.bincount(skin_tone(verdict.portraits), minlength=len(SKIN)) / len(images),
    )


def _both_colours(found):
    """Return the share with the right colours of hair and of clothing, of those whose caption names both."""
    return _share_of_both(found, [("hair colour", "clothing colour", True)])


def _combination(found, portraits):
    """Return the share with both halves of a held-out combination right, of those whose caption names both."""
    pairs = []
    for has_it, halves in zip(combinations(portraits).T, HELD_OUT, strict=True):
        one, other = (layer if word in parts_of(layer).part_words else f"{layer} colour" for layer, word in halves)
        pairs.append((one, other, has_it))
    return _share_of_both(found, pairs)


def _share_of_both(found, pairs):
    """Return the share of portraits with both attributes of a pair right, of those whose caption names both.

    A pair is (attribute, other attribute, which portraits count for it). None where no caption names both of a pair.
    """
    asked = right = 0
    for one, other, counted in pairs:
        if one in found and other in found:
            (asked_one, right_one), (asked_other, right_other) = found[one], found[other]
            asked += int((asked_one & asked_other & counted).sum())
            right += int((right_one & right_other & counted).sum())
    return wilson_share(right, asked) if asked else None


def draw_prompts(
    model: PictureModel,
    prompts: Sequence[str],
    steps: int = 50,
    sampler: str = "ddim",
    guidance: Guidance | float = 1.0,
    progress: Progress | None = None,
) -> np.ndarray:
    """Return a portrait for each prompt, from seed 0, as bytes (N, 16, 16, 3)."""
    request = Request(prompt=list(prompts), guidance=guidance)
    return to_images(to_numpy(model.draw(request, sampler, steps, progress)))


def coarse_features(images: np.ndarray) -> np.ndarray:
    """Return 48 features of each image (N, 16, 16, 3), bytes: the means of blocks of 4 x 4 pixels."""
    means, _ = avg_pool(to_floats(images), 4)
    return means.reshape(len(images), -1)


def effective_number(shares: np.ndarray) -> float:
    """Return how many equally frequent values would be as varied: the exponential of the entropy of the shares."""
    shares = shares[shares > 0]
    return float(np.exp(-(shares * np.log(shares)).sum()))
