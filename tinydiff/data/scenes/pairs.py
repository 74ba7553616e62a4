"""Which captions say the same of scenes, as numbers: of two that do, either is right."""

from collections.abc import Sequence

import numpy as np

from tinydiff.base import InputError, counted, there_are
from tinydiff.data.scenes.captions import Caption
from tinydiff.data.scenes.scene import Scene

FIELDS = ("object", "colour", "size", "count", "place", "time", "weather", "style", "position", "other", "other_colour")


def contents_of(scenes: Sequence[Scene], captions: Sequence[Caption]) -> np.ndarray:
    """Return a number for each caption, integers (N,): equal where two name the same, in whatever words.

    Parameters
    ----------
    scenes : sequence of Scene
    captions : sequence of Caption
        One of each scene.
    """
    if len(captions) != len(scenes):
        raise InputError(
            f"{there_are(len(captions), 'caption').capitalize()} for {counted(len(scenes), 'scene')}: one for each was "
            "expected."
        )
    said = [
        tuple(getattr(scene, field) if field in caption.named else None for field in FIELDS)
        for scene, caption in zip(scenes, captions, strict=True)
    ]
    numbers = {content: number for number, content in enumerate(dict.fromkeys(said))}
    return np.array([numbers[content] for content in said], np.int64)
