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
        "small", "big", or "" for neither.
    count : int
    place, time, weather, style : str
    position : str
        One of `POSITIONS`; "" where several objects stand side by side.
    seed : int
        For all that no word says, such as the shape of a hill.
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
