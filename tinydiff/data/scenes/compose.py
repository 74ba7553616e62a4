"""Scenes at random: which are in training, which are held out, which differ by a swap of two colours."""

from dataclasses import replace

from tinydiff.base import check_choice, check_count, checked
from tinydiff.data.scenes.dice import Dice
from tinydiff.data.scenes.objects import OBJECTS
from tinydiff.data.scenes.scene import Scene

SPLITS = {"train": 1_000_000, "test": 2_000, "held-out": 2_000, "swapped": 1_000, "any": 1_000_000}  # scenes in each
MOST = 2**32  # scenes of a seed and a split: there are always more of the same kind
HELD_OUT = (  # combinations that training never shows: an object, and a place, a time, a weather or its colour
    ("cabin", "mountain"),
    ("robot", "road"),
    ("cat", "beach"),
    ("rocket", "desert"),
    ("boat", "night"),
    ("balloon", "green"),
    ("tent", "snow"),
)
STYLE_WEIGHTS = {"flat illustration": 6.0, "line drawing": 2.6, "pixel art": 1.4}
TIME_WEIGHTS = {"day": 4.0, "sunset": 3.0, "night": 3.0}
WEATHER_WEIGHTS = {"clear": 5.0, "clouds": 2.0, "rain": 2.0, "snow": 2.0}
SIZE_WEIGHTS = {"": 6.0, "small": 1.6, "big": 2.4}
COUNT_WEIGHTS = {1: 7.0, 2: 2.0, 3: 1.2}
IN_COMPANY = 0.5  # the share of single objects beside which another one stands, where that is possible
BESIDE_A_ROAD = ("cabin", "castle", "tent", "tree", "windmill")  # what stands there, and not on it
NEVER_SEVERAL = ("castle", "lighthouse")


@checked()
def compose(index: int, seed: int = 0, split: str = "train") -> Scene:
    """Return scene number `index` of a split: always the same one.

    Parameters
    ----------
    index : int
    seed : int
    split : str
        - ``"train"``, ``"test"``: any scene without a combination of `HELD_OUT`;
        - ``"held-out"``: each with a combination of `HELD_OUT`;
        - ``"swapped"``: pairs (2 k, 2 k + 1) of scenes with two objects, whose colours are exchanged;
        - ``"any"``: any scene, for a judge, who must not take what training never shows for impossible.
    """
    check_count("index", index, least=0, most=MOST - 1)
    check_choice("split", split, tuple(SPLITS))
    if split == "swapped":
        scene = _first(Dice(seed, "scene, swapped", index // 2), lambda scene: scene.other and not held_out(scene))
        return scene if index % 2 == 0 else replace(scene, colour=scene.other_colour, other_colour=scene.colour)
    if split == "held-out":
        combination = HELD_OUT[index % len(HELD_OUT)]
        return _first(Dice(seed, "scene, held-out", index), lambda scene: _has(scene, combination), combination[0])
    dice = Dice(seed, f"scene, {split}", index)
    name = dice.choice(tuple(OBJECTS))  # each equally often
    return _first(dice, lambda scene: split == "any" or not held_out(scene), name)


def held_out(scene: Scene) -> bool:
    """Return whether a scene has a combination that training never shows."""
    return any(_has(scene, combination) for combination in HELD_OUT)


def _has(scene, combination):
    """Return whether a scene shows an object in this place, at this time, in this weather or colour."""
    name, word = combination
    around = (scene.place, scene.time, scene.weather)
    if name == scene.object and word in (*around, scene.colour):
        return True
    return name == scene.other and word in (*around, scene.other_colour)


def _first(dice, accepted, name=None):
    """Return the first scene that the dice give and that is accepted: of one object, or of any."""
    while True:
        scene = _any(dice, dice.choice(tuple(OBJECTS)) if name is None else name)
        if is_natural(scene) and accepted(scene):
            return scene


def _any(dice, name):
    """Return any scene with this object, perhaps one that is not natural."""
    drawing = OBJECTS[name]
    place = dice.choice(drawing.places)
    count = 1 if name in NEVER_SEVERAL else dice.weighted(COUNT_WEIGHTS)
    size = dice.weighted(SIZE_WEIGHTS)
    position = dice.choice(("left", "middle", "right"))
    if place == "mountain" and drawing.stands == "ground" and dice.chance(0.5):
        position, count = "top", 1
    elif place == "road" and name in BESIDE_A_ROAD:
        position = dice.choice(("left", "right"))
    scene = Scene(
        object=name,
        colour=dice.choice(drawing.colours),
        size="" if count > 1 or (position == "top" and size == "big") else size,
        count=count,
        place=place,
        time=dice.weighted(TIME_WEIGHTS),
        weather=dice.weighted(WEATHER_WEIGHTS),
        style=dice.weighted(STYLE_WEIGHTS),
        position="" if count > 1 else position,
        seed=int(dice.roll() * 2**32),
    )
    other, other_colour = _other(scene, dice)
    company = dice.chance(IN_COMPANY)
    if not (company and other and count == 1 and position in ("left", "right")):
        return scene
    return replace(scene, size="", other=other, other_colour=other_colour)


def _other(scene, dice):
    """Return another object and its colour, which may stand beside a scene's own, or two empty words."""
    mine = OBJECTS[scene.object]
    fits = [
        name
        for name, drawing in OBJECTS.items()
        if name != scene.object and drawing.stands == mine.stands == "ground" and scene.place in drawing.places
    ]
    if not (fits and scene.colour):
        return "", ""
    other = dice.choice(fits)
    colours = [colour for colour in OBJECTS[other].colours if colour not in ("", scene.colour)]
    exchanged = scene.colour in OBJECTS[other].colours  # so that the two colours may be swapped
    colours = [colour for colour in colours if colour in mine.colours]
    return (other, dice.choice(colours)) if colours and exchanged else ("", "")


def is_natural(scene: Scene) -> bool:
    """Return whether a scene could be, and whether what it names can be seen."""
    colours = (scene.colour, scene.other_colour)
    objects = (scene.object, scene.other)
    snowy = scene.weather == "snow" or scene.place == "mountain"
    if (scene.place, scene.weather) in (("desert", "snow"), ("beach", "snow"), ("desert", "rain")):
        return False
    if "snowman" in objects and (scene.weather == "rain" or not snowy):
        return False
    if "white" in colours and snowy and scene.style != "line drawing":
        return False  # white on white
    if "black" in colours and scene.time == "night":
        return False  # black on black
    dim = scene.time == "night" and scene.weather in ("rain", "snow")
    if scene.style == "pixel art":  # 32 cells across show nothing small
        return scene.count < 3 and scene.size != "small" and not dim
    return not (scene.size == "small" and dim)
