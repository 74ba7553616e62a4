"""A scene is painted: the sky, the place, the objects with their shadows, and the weather before them."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from tinydiff.base import check_count, checked
from tinydiff.data.scenes.canvas import Canvas, Figure
from tinydiff.data.scenes.checks import check_scene
from tinydiff.data.scenes.dice import Dice
from tinydiff.data.scenes.light import darker
from tinydiff.data.scenes.objects import OBJECTS
from tinydiff.data.scenes.places import PAINTED, Anchors
from tinydiff.data.scenes.scene import Scene
from tinydiff.data.scenes.sky import paint_sky, paint_weather

SMALLEST, LARGEST = 16, 256  # sizes of a picture
USUAL_HEIGHT = 0.5  # of an object, in pictures
HEIGHT_OF_SIZE = {"small": 0.68, "": 1.0, "big": 1.3}
HEIGHT_OF_COUNT = {1: 1.0, 2: 0.86, 3: 0.7}
ACROSS = {"left": 0.23, "middle": 0.5, "right": 0.77}


@checked()
def render(scene: Scene, size: int = 64) -> np.ndarray:
    """Return the picture of a scene, uint8, shape (size, size, 3); the same scene looks alike at any size.

    Parameters
    ----------
    scene : Scene
    size : int
        Height and width in pixels, 16 to 256.
    """
    check_count("size", size, least=SMALLEST, most=LARGEST)
    check_scene(scene)
    grid = Dice(scene.seed, "grid")
    canvas = Canvas(size, scene.time, scene.weather, scene.style, (grid.roll(), grid.roll()))
    place = PAINTED[scene.place]
    paint_sky(canvas, scene, Dice(scene.seed, "sky"))
    anchors = place.paint(canvas, scene, Dice(scene.seed, "place"))
    for spot in spots(scene, anchors):
        _paint_object(canvas, scene, spot, darker(place.soil, 0.3))
    paint_weather(canvas, scene, Dice(scene.seed, "weather"))
    return canvas.picture()


def _paint_object(canvas, scene, spot, shade):
    """Paint one object, and on the ground its shadow."""
    drawing = OBJECTS[spot.object]
    if drawing.stands == "ground" and not canvas.in_ink:
        half_width = 0.9 * drawing.half_width * spot.height
        canvas.ellipse(spot.x, spot.y, half_width, 0.035 * spot.height, shade, "ground", False)
    dice = Dice(scene.seed, f"object {spot.number}")
    figure = Figure(canvas, spot.x, spot.y, spot.height, dice, mirrored=drawing.turns and dice.chance(0.5))
    drawing.paint(figure, replace(scene, object=spot.object, colour=spot.colour))


class Spot(NamedTuple):
    """Where an object stands: the middle of its foot and its height, in pictures."""

    number: int
    object: str
    colour: str
    x: float
    y: float
    height: float


def spots(scene: Scene, anchors: Anchors) -> list[Spot]:
    """Return where the objects of a scene stand, from the back to the front."""
    dice = Dice(scene.seed, "spots")
    if scene.position == "top":
        assert anchors.top is not None
        x, y = anchors.top
        return [Spot(0, scene.object, scene.colour, x, y, min(0.8 * _height(scene, scene.object), y - 0.05))]
    who = [(scene.object, scene.colour)] * scene.count
    if scene.other:
        who.append((scene.other, scene.other_colour))
        across = [0.26, 0.74] if scene.position == "left" else [0.74, 0.26]
    elif scene.count > 1:
        gap = 0.47 if scene.count == 2 else 0.32
        across = [0.5 + (i - (scene.count - 1) / 2) * gap for i in range(scene.count)]
    else:
        across = [ACROSS[scene.position]]
    found = []
    for number, ((name, colour), middle) in enumerate(zip(who, across, strict=True)):
        drawing = OBJECTS[name]
        widest = 0.98 / (2 * drawing.half_width * len(who))
        height = min(_height(scene, name), widest, anchors.ground - 0.04) * dice.between(0.95, 1.03)
        half = 0.94 * drawing.half_width * height  # a little of it may be cut off at the edge
        x = min(max(middle + dice.between(-0.03, 0.03), half), 1 - half)
        found.append(Spot(number, name, colour, x, _foot(drawing.stands, anchors, height, dice), height))
    return sorted(found, key=lambda spot: spot.y)


def _height(scene, name):
    """Return how high an object is in a scene, if there is room."""
    several = HEIGHT_OF_COUNT[scene.count + 1 if scene.other else scene.count]
    coarse = 1.1 if scene.style == "pixel art" else 1.0
    return USUAL_HEIGHT * OBJECTS[name].height * HEIGHT_OF_SIZE[scene.size] * several * coarse


def _foot(stands, anchors, height, dice):
    """Return how far down the foot of an object is."""
    if stands == "sky":
        return anchors.sky + 0.5 * height + dice.between(-0.05, 0.05)
    if stands == "water":
        assert anchors.water is not None
        return anchors.water + dice.between(-0.04, 0.03)
    return anchors.ground + dice.between(-0.02, 0.03)
