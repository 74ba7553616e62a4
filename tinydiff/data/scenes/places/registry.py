"""The list of places: each registers itself where it is painted, with the words that captions have for being there."""

from collections.abc import Callable
from dataclasses import dataclass

from tinydiff.base import Choices
from tinydiff.data.scenes.canvas import Canvas
from tinydiff.data.scenes.dice import Dice
from tinydiff.data.scenes.light import SNOW, Colour, mix
from tinydiff.data.scenes.scene import Scene


@dataclass(frozen=True)
class Anchors:
    """Where things may be in a place that was painted: heights on the picture, from 0 (its top) to 1.

    Parameters
    ----------
    ground : float
        Where the feet of what stands on the ground are.
    sky : float
        The middle of what flies.
    water : float or None
        The waterline of what swims.
    top : (float, float) or None
        The top of a mountain: across, down.
    """

    ground: float
    sky: float
    water: float | None = None
    top: tuple[float, float] | None = None


Paint = Callable[[Canvas, Scene, Dice], Anchors]


@dataclass(frozen=True)
class Place:
    """A place: how it is painted, and what captions say of what is on the ground, in the sky, on the water or on top.

    Parameters
    ----------
    paint : callable
        ``paint(canvas, scene, dice)`` paints it below the sky, and returns where things may be.
    phrases : dict of str to tuple of str
        By "ground", "sky", "water", "top" or "beside": ways to say where a thing is.
    soil : Colour
        What the ground under an object looks like, for its shadow.
    """

    paint: Paint
    phrases: dict[str, tuple[str, ...]]
    soil: Colour


PAINTED: Choices[Place] = Choices("place")


def place(soil: Colour, **phrases: tuple[str, ...]) -> Callable[[Paint], Paint]:
    """Put the function below, which paints a place, into `PAINTED` under its own name; see `Place`."""

    def register(paint):
        PAINTED[paint.__name__] = Place(paint, phrases, soil)
        return paint

    return register


def snowed_on(colour: Colour, scene: Scene) -> Colour:
    """Return the colour of a ground, which snow covers where it snows."""
    return mix(colour, SNOW, 0.72) if scene.weather == "snow" else colour
