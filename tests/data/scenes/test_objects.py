"""The objects of scenes: each can be seen, stays in its place, has the colour that captions name, and varies."""

import re

import numpy as np
import pytest

from tinydiff.data.scenes.canvas import Canvas, Figure
from tinydiff.data.scenes.dice import Dice
from tinydiff.data.scenes.light import PALETTE
from tinydiff.data.scenes.objects import OBJECTS
from tinydiff.data.scenes.scene import PLACES, STYLES, TIMES, WEATHERS, Scene

NAMES = (
    "cabin", "robot", "car", "tree", "tent", "boat", "cat", "dog", "rocket", "lighthouse", "balloon", "windmill",
    "snowman", "castle",
)  # fmt: skip
NOTHING = (255, 0, 255)  # no object has this colour, and no light makes it
HEIGHT, FOOT = 0.4, 0.8  # of the objects drawn here, in pictures


def paint(
    name,
    colour=None,
    seed=1,
    style="flat illustration",
    time="day",
    weather="clear",
    place=None,
    size=64,
    mirrored=False,
):
    """Return the picture of an object on an empty canvas, and where it is not empty."""
    drawing = OBJECTS[name]
    colour, place = drawing.colours[0] if colour is None else colour, place or drawing.places[0]
    canvas = Canvas(size, time, weather, style)
    canvas.image.paste(NOTHING, (0, 0, *canvas.image.size))
    empty = canvas.picture()
    scene = Scene(name, colour, "", 1, place, time, weather, style, "middle", seed)
    drawing.paint(Figure(canvas, 0.5, FOOT, HEIGHT, Dice(seed, "object"), mirrored), scene)
    picture = canvas.picture()
    return picture, (picture != empty).any(axis=-1)


def test_there_are_fourteen():
    assert sorted(OBJECTS) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_said_of_it_can_be_used(name):
    drawing = OBJECTS[name]
    assert set(drawing.places) <= set(PLACES)
    assert len(set(drawing.places)) == len(drawing.places) > 0
    assert set(drawing.colours) <= {"", *PALETTE}
    assert len(set(drawing.colours)) == len(drawing.colours) > 0
    assert drawing.stands in ("ground", "water", "sky")
    for singular, plural in drawing.nouns.items():
        assert re.fullmatch("[a-z]+([ -][a-z]+)*", singular)
        assert re.fullmatch("[a-z]+([ -][a-z]+)*", plural)
        assert singular != plural


def test_a_noun_names_one_object():
    nouns = [noun for drawing in OBJECTS.values() for noun in (*drawing.nouns, *drawing.nouns.values())]
    assert len(set(nouns)) == len(nouns)


@pytest.mark.parametrize("size", [16, 32, 64, 128])
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("name", NAMES)
def test_it_can_be_seen_in_every_style_and_size(name, style, size):
    for time in TIMES:
        _, changed = paint(name, style=style, time=time, size=size)
        assert changed.mean() > 0.03


@pytest.mark.parametrize("name", NAMES)
def test_it_is_drawn_in_every_colour_place_and_weather(name):
    drawing = OBJECTS[name]
    for k, colour in enumerate(drawing.colours):
        for place in drawing.places:
            _, changed = paint(name, colour, seed=k, place=place, weather=WEATHERS[k % 4], time=TIMES[k % 3], size=32)
            assert changed.any()


@pytest.mark.parametrize("name", NAMES)
def test_it_stays_in_its_box(name):
    # Smoke, flags and antennas may be higher than the box; beams of light, drawn in the dark only, may be wider.
    half_width = OBJECTS[name].half_width
    reach = []
    for seed in range(16):
        for weather in ("clear", "snow"):
            for mirrored in (False, True):
                _, changed = paint(name, seed=seed, weather=weather, size=128, mirrored=mirrored)
                rows, columns = np.nonzero(changed)
                reach.append(np.abs(columns + 0.5 - 64).max() / (128 * HEIGHT))
                assert (rows.max() + 0.5) / 128 < FOOT + 0.08 * HEIGHT
                assert rows.min() / 128 > FOOT - 1.42 * HEIGHT
                assert rows.min() / 128 < FOOT - 0.84 * HEIGHT
    assert half_width - 0.1 < max(reach) < half_width + 0.03


@pytest.mark.parametrize("name", NAMES)
def test_the_dice_decide_and_nothing_else(name):
    pictures = [paint(name, seed=seed)[0] for seed in range(6)]
    assert np.array_equal(pictures[3], paint(name, seed=3)[0])
    assert len({picture.tobytes() for picture in pictures}) == 6


@pytest.mark.parametrize("name", NAMES)
def test_it_looks_the_same_in_another_light(name):
    # What differs between two objects must not depend on the time of the day: its outline stays, but for its light.
    for seed in range(4):
        _, day = paint(name, seed=seed)
        _, sunset = paint(name, seed=seed, time="sunset")
        assert (day != sunset).mean() < 0.01


@pytest.mark.parametrize(("name", "colour"), [(name, c) for name in NAMES for c in OBJECTS[name].colours if c])
def test_its_colour_is_the_one_that_is_named(name, colour):
    # Of all colours that it may have, most of its pixels are nearest to the one that captions name.
    named = [c for c in OBJECTS[name].colours if c]
    palette = np.array([PALETTE[c] for c in named], float)
    for seed in range(12):
        picture, _ = paint(name, colour, seed=seed)
        pixels = picture[np.abs(picture.astype(int) - NOTHING).sum(axis=-1) > 200].astype(float)
        nearest = ((pixels[:, None] - palette) ** 2).sum(axis=-1).argmin(axis=1)
        votes = np.bincount(nearest, minlength=len(named))
        assert named[votes.argmax()] == colour


@pytest.mark.parametrize("name", [name for name in NAMES if OBJECTS[name].turns])
def test_what_has_sides_is_mirrored(name):
    picture, _ = paint(name)
    mirrored, _ = paint(name, mirrored=True)
    assert not np.array_equal(picture, mirrored)
    assert np.abs(picture[:, ::-1].astype(int) - mirrored).mean() < 3


@pytest.mark.parametrize("name", ["cabin", "car", "tree", "tent", "rocket", "lighthouse", "windmill", "castle"])
def test_snow_lies_on_it(name):
    clear, _ = paint(name, OBJECTS[name].colours[1], place="meadow")
    snowy, _ = paint(name, OBJECTS[name].colours[1], weather="snow", place="meadow")
    top = slice(0, round(64 * (FOOT - 0.5 * HEIGHT)))

    def white(picture):
        return (picture[top].min(axis=-1) > 225).sum()

    assert white(snowy) > white(clear)


@pytest.mark.parametrize("name", ["cat", "dog"])
def test_black_grey_and_white_fur_differ_in_a_line_drawing(name):
    brightness = []
    for colour in ("black", "grey", "white"):
        picture, changed = paint(name, colour, style="line drawing", size=128)
        brightness.append(np.median(picture[changed]))
    assert brightness[0] + 20 < brightness[1] < brightness[2] - 20
