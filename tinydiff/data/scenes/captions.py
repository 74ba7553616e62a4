"""Captions: sentences that name some of what a scene shows, in varied English."""

from typing import NamedTuple

from tinydiff.base import check_count, checked
from tinydiff.data.scenes.checks import check_scene
from tinydiff.data.scenes.compose import BESIDE_A_ROAD
from tinydiff.data.scenes.dice import Dice
from tinydiff.data.scenes.objects import OBJECTS
from tinydiff.data.scenes.places import PAINTED
from tinydiff.data.scenes.scene import Scene

SIZES = {"small": ("small", "little", "tiny"), "big": ("big", "large", "huge"), "": ("",)}
NUMBERS = {1: ("a",), 2: ("two", "two", "a pair of"), 3: ("three",)}
TIMES: dict[str, tuple[str, ...]] = {
    "day": ("by day", "during the day", "in daylight", "in the daytime"),
    "sunset": ("at sunset", "at dusk", "in the evening", "in the evening sun"),
    "night": ("at night", "in the night", "at night", "by night"),
}
WEATHERS: dict[str, tuple[str, ...]] = {
    "clear": ("under a clear sky", "in clear weather"),
    "clouds": ("under clouds", "under a cloudy sky", "with clouds"),
    "rain": ("in the rain", "in rainy weather", "while it rains"),
    "snow": ("in the snow", "while it snows", "in falling snow"),
}
STYLES = {  # before a scene, and after it
    "flat illustration": (("a flat illustration of",), ("flat illustration", "in flat colours")),
    "pixel art": (("pixel art of",), ("pixel art", "in pixel art", "as pixel art")),
    "line drawing": (("a line drawing of", "a sketch of"), ("line drawing", "as a line drawing", "a sketch")),
}
POSITIONS = {"left": ("on the left",), "middle": ("in the middle",), "right": ("on the right",)}
SAID = {  # how often a caption names what a scene shows
    "colour": 0.92,
    "place": 0.94,
    "position": 0.7,
    "time": {"day": 0.35, "sunset": 0.88, "night": 0.9},
    "weather": {"clear": 0.15, "clouds": 0.85, "rain": 0.9, "snow": 0.9},
    "style": {"flat illustration": 0.25, "pixel art": 0.9, "line drawing": 0.9},
}
LISTED = 0.12  # the share of captions that are lists of words, such as "red robot, road, night"
BRIEF = 0.15  # the share that name the object and its place, and nothing else


class Caption(NamedTuple):
    """A text about a scene, and which of the scene's words it names: names of fields of `Scene`."""

    text: str
    named: frozenset[str]


@checked()
def describe(scene: Scene, seed: int = 0, everything: bool = False) -> Caption:
    """Write a caption for a scene.

    Parameters
    ----------
    scene : Scene
    seed : int
        The same seed gives the same caption; another one says it in other words.
    everything : bool
        Whether all that can be named is named.
    """
    check_scene(scene)
    check_count("seed", seed, least=0)
    dice = Dice(scene.seed, f"caption {seed}")
    listed, brief = dice.chance(LISTED), dice.chance(BRIEF) and not everything
    named = {"object", "count"} | _named(scene, dice, everything, brief)
    if listed and not scene.other:
        return Caption(_list(scene, dice, named), frozenset(named - {"position"}))
    text = _subject(scene, dice, named)
    parts = [_where(scene, dice)] if "place" in named else []
    time, weather = _time(scene, dice, named), _weather(scene, dice, named)
    style_first = "style" in named and dice.chance(0.35)
    time_first = time and not style_first and dice.chance(0.15)
    if time and not time_first:
        parts.append(time)
    text = " ".join([f"{time}, {text}" if time_first else text, *parts])
    if "position" in named and not scene.other and scene.position in POSITIONS:
        text += f", {dice.choice(POSITIONS[scene.position])}"
    if weather:
        text += f"{dice.choice((',', ''))} {weather}"
    if "style" in named:
        before, after = STYLES[scene.style]
        text = f"{dice.choice(before)} {text}" if style_first else f"{text}, {dice.choice(after)}"
    return Caption(text, frozenset(named))


def _named(scene, dice, everything, brief):
    """Return the fields that a caption names besides the object."""
    named = set()
    for field, often in SAID.items():
        share = often[getattr(scene, field)] if isinstance(often, dict) else often
        if field not in ("colour", "place") and brief:
            share = 0.0
        chosen = dice.chance(share)
        if getattr(scene, field) and (chosen or everything):
            named.add(field)
    if scene.other:  # two objects are told apart by their colours
        named |= {"other", "colour", "other_colour"}
    if scene.position == "top":  # the place says so
        named = named | {"position"} if "place" in named else named - {"position"}
    return named | ({"size"} if scene.size else set())


def _subject(scene, dice, named):
    """Return the words for the object, and for the other one: "two red robots"."""
    first = _thing(dice, scene.object, scene.colour if "colour" in named else "", scene.size, scene.count)
    if not scene.other:
        return first
    second = _thing(dice, scene.other, scene.other_colour, "", 1)
    if "position" not in named:
        return f"{first} and {second}"
    sides = ("left", "right") if scene.position == "left" else ("right", "left")
    return f"{first} on the {sides[0]} and {second} on the {sides[1]}"


def _thing(dice, name, colour, size, count):
    noun = dice.choice(tuple(OBJECTS[name].nouns))
    noun = OBJECTS[name].nouns[noun] if count > 1 else noun
    words = " ".join(word for word in (dice.choice(SIZES[size]), colour, noun) if word)
    number = dice.choice(NUMBERS[count])
    return f"an {words}" if number == "a" and words[0] in "aeiou" else f"{number} {words}"


def _where(scene, dice):
    """Return the words for where the object is."""
    stands = OBJECTS[scene.object].stands
    if scene.position == "top":
        stands = "top"
    elif scene.place == "road" and {scene.object, scene.other} & set(BESIDE_A_ROAD):
        stands = "beside"
    phrases = PAINTED[scene.place].phrases[stands]
    if scene.weather == "snow":
        phrases = tuple(
            phrase for phrase in phrases if not ("green" in phrase or "flower" in phrase or "grass" in phrase)
        )
    return dice.choice(phrases)


def _time(scene, dice, named):
    words = TIMES[scene.time]
    if scene.time == "night" and scene.weather == "clear":
        words = (*words, "under the stars", "in the moonlight")
    return dice.choice(words) if "time" in named else ""


def _weather(scene, dice, named):
    words = WEATHERS[scene.weather]
    if scene.time == "day" and scene.weather != "clear":
        words = (
            *words,
            {"clouds": "on a cloudy day", "rain": "on a rainy day", "snow": "on a snowy day"}[scene.weather],
        )
    return dice.choice(words) if "weather" in named else ""


def _list(scene, dice, named):
    """Return a caption without grammar: "red robot, road, night"."""
    head = _thing(dice, scene.object, scene.colour if "colour" in named else "", scene.size, scene.count)
    words = [head.partition(" ")[2] if scene.count == 1 else head]
    words += (
        [_where(scene, dice) if dice.chance(0.3) or scene.position == "top" else scene.place]
        if "place" in named
        else []
    )
    words += [scene.time] if "time" in named else []
    words += [scene.weather if scene.weather != "clear" else "clear sky"] if "weather" in named else []
    words += [scene.style] if "style" in named else []
    return ", ".join(words)
