"""What scenes show, as numbers: the questions that a judge of pictures is asked, and their right answers."""

from collections.abc import Sequence

import numpy as np

from tinydiff.base import checked
from tinydiff.data.scenes.checks import check_words
from tinydiff.data.scenes.light import PALETTE
from tinydiff.data.scenes.objects import OBJECTS
from tinydiff.data.scenes.scene import PLACES, POSITIONS, STYLES, TIMES, WEATHERS, Scene

NUMBERS = ("one", "two", "three")
ATTRIBUTES: dict[str, tuple[str, ...]] = {  # each question with its answers
    "object": tuple(OBJECTS),
    "colour": tuple(PALETTE),
    "count": NUMBERS,
    "place": PLACES,
    "time": TIMES,
    "weather": WEATHERS,
    "style": STYLES,
    "position": POSITIONS,
    "left object": tuple(OBJECTS),  # these four are asked of scenes with two different objects
    "left colour": tuple(PALETTE),
    "right object": tuple(OBJECTS),
    "right colour": tuple(PALETTE),
}
NOT_ASKED = -1


@checked()
def answers(scenes: Sequence[Scene]) -> np.ndarray:
    """Return the right answers, integers (scenes, `ATTRIBUTES`); -1 (`NOT_ASKED`) where a question has none.

    There is none about a colour that no caption names, about the position of several things, and about "the" object
    where two different ones stand side by side: those are asked by their side.
    """
    for scene in scenes:
        check_words(scene)
    rows = [_words(scene) for scene in scenes]
    return np.array(
        [
            [words.index(row[name]) if row.get(name) else NOT_ASKED for name, words in ATTRIBUTES.items()]
            for row in rows
        ],
        np.int64,
    ).reshape(len(rows), len(ATTRIBUTES))


def _words(scene):
    """Return the answers about one scene, as words."""
    around = {"place": scene.place, "time": scene.time, "weather": scene.weather, "style": scene.style}
    if not scene.other:
        what = {"object": scene.object, "colour": scene.colour, "count": NUMBERS[scene.count - 1]}
        return {**around, **what, "position": scene.position}
    sides = [(scene.object, scene.colour), (scene.other, scene.other_colour)]
    (left, left_colour), (right, right_colour) = sides if scene.position == "left" else reversed(sides)
    return {
        **around,
        "left object": left,
        "left colour": left_colour,
        "right object": right,
        "right colour": right_colour,
    }
