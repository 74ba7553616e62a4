"""What a scene is: a few words and a seed, from which picture and caption follow."""

from dataclasses import dataclass

PLACES = ("mountain", "beach", "meadow", "desert", "city", "road", "forest", "lake")
TIMES = ("day", "sunset", "night")
WEATHERS = ("clear", "clouds", "rain", "snow")
STYLES = ("flat illustration", "pixel art", "line drawing")
POSITIONS = ("left", "middle", "right", "top")  # top: on top of a mountain
SIZES = ("small", "", "big")
COUNTS = (1, 2, 3)


@dataclass(frozen=True)
class Scene:
    """A scene, as words.

    Parameters
    ----------
    object : str
        One of `OBJECTS`.
    colour : str
        One of the object's colours; "" is the colour that such a thing usually has, and is never named.
    size : str
        One of `SIZES`; "" is neither small nor big.
    count : int
        One of `COUNTS`.
    place, time, weather, style : str
        One of `PLACES`, `TIMES`, `WEATHERS`, `STYLES`.
    position : str
        One of `POSITIONS`; "" where several objects of one kind stand side by side.
    seed : int
        For all that no word says, such as the shape of a hill.
    other, other_colour : str
        A second object of another kind and colour, which stands at the other side; "" for none.
    """

    object: str
    colour: str
    size: str
    count: int
    place: str
    time: str
    weather: str
    style: str
    position: str
    seed: int
    other: str = ""
    other_colour: str = ""
