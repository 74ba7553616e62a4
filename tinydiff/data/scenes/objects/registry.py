"""The list of objects: each registers itself where it is drawn, with what there is to know about it."""

from collections.abc import Callable
from dataclasses import dataclass

from tinydiff.base import Choices
from tinydiff.data.scenes.canvas import Figure
from tinydiff.data.scenes.scene import Scene

Paint = Callable[[Figure, Scene], None]


@dataclass(frozen=True)
class Drawing:
    """An object: how it is drawn, and where it may stand.

    Parameters
    ----------
    paint : callable
        ``paint(figure, scene)`` draws one of them.
    nouns : dict of str to str
        What captions call it, singular to plural.
    colours : tuple of str
        Those of the palette that it may have; "" is its usual colour, which captions do not name.
    places : tuple of str
        Where it may be.
    height, half_width : float
        Its height in units of a usual object's, and half its width in units of its own height.
    stands : str
        On the "ground", on the "water", or in the "sky".
    turns : bool
        Whether it has a left and a right side, and may look either way.
    """

    paint: Paint
    nouns: dict[str, str]
    colours: tuple[str, ...]
    places: tuple[str, ...]
    height: float
    half_width: float
    stands: str = "ground"
    turns: bool = False


OBJECTS: Choices[Drawing] = Choices("object")


def drawing(
    nouns: dict[str, str],
    colours: tuple[str, ...],
    places: tuple[str, ...],
    height: float = 1.0,
    half_width: float = 0.5,
    stands: str = "ground",
    turns: bool = False,
) -> Callable[[Paint], Paint]:
    """Put the function below, which draws an object, into `OBJECTS` under its own name; see `Drawing`."""

    def register(paint):
        OBJECTS[paint.__name__] = Drawing(paint, nouns, colours, places, height, half_width, stands, turns)
        return paint

    return register
