"""A windmill."""

import math

from tinydiff.data.scenes.canvas import Figure, turned
from tinydiff.data.scenes.light import DARK, PALETTE, SNOW, darker
from tinydiff.data.scenes.objects.parts import STONE, WOOD, arc, window
from tinydiff.data.scenes.objects.registry import drawing
from tinydiff.data.scenes.scene import Scene

HUB, REACH = 0.56, 0.44


@drawing(
    {"windmill": "windmills", "mill": "mills"},
    colours=("", "red", "blue", "yellow", "green"),
    places=("meadow", "road", "lake", "beach"),
    height=1.3,
    half_width=0.45,
)
def windmill(figure: Figure, scene: Scene) -> None:
    """Draw a windmill: a tower with a cap, a door and windows, perhaps a gallery, and four sails somewhere in a turn."""
    dice = figure.dice
    wall = PALETTE[scene.colour] if scene.colour else (240, 226, 196)
    kind, cloth, turn = dice.choice(("tower", "smock", "post")), dice.choice((0, 1)), dice.between(0.1, 1.47)
    foot, rise = dice.between(0.2, 0.25), dice.between(0.7, 0.78)
    cap, wide = (SNOW if scene.weather == "snow" else darker(wall, 0.55) if scene.colour else (128, 74, 60)), 0.16
    if kind == "post":
        figure.polygon([(-0.17, 0), (0, 0.26), (0.17, 0), (0.11, 0), (0, 0.16), (-0.11, 0)], WOOD)
        figure.polygon([(-0.18, 0.2), (0.18, 0.2), (0.16, 0.62), (-0.16, 0.62)], wall)
        figure.polygon([(-0.2, 0.6), (0, rise), (0.2, 0.6)], cap)
        figure.rectangle(-0.045, 0.2, 0.045, 0.36, darker(wall, 0.6))
    else:
        figure.polygon([(-foot, 0), (foot, 0), (0.135, 0.62), (-0.135, 0.62)], wall)
        if kind == "smock":
            figure.polygon([(-foot, 0), (foot, 0), (foot - 0.03, 0.16), (0.03 - foot, 0.16)], STONE)
            figure.line([(-foot - 0.04, 0.19), (foot + 0.04, 0.19)], WOOD, 0.035)
            figure.polygon([(-wide, 0.6), (0, rise), (wide, 0.6)], cap)
        else:
            figure.polygon(arc(0, 0.6, wide, rise - 0.6, 0, 1, 8), cap)
        figure.rectangle(-0.055, 0, 0.055, 0.15, darker(wall, 0.65))
        window(figure, scene, 0, 0.3, 0.036, 0.04)
    for k in range(4):
        angle = turn + k * math.pi / 2
        spar, sail = [(0, HUB), (REACH, HUB)], [(0.11, HUB), (REACH, HUB), (REACH, HUB + 0.105), (0.11, HUB + 0.085)]
        figure.polygon(turned(sail, angle, (0, HUB)), (252, 250, 242) if cloth else (244, 216, 160))
        figure.line(turned(spar, angle, (0, HUB)), WOOD, 0.028)
        for x in (0.22, 0.33):
            figure.line(turned([(x, HUB), (x, HUB + 0.09)], angle, (0, HUB)), (190, 170, 150), 0.012)
    figure.ellipse(0, HUB, 0.042, 0.042, DARK)
