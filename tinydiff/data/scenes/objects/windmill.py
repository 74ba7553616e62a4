"""A windmill."""

import math

from tinydiff.data.scenes.canvas import Figure, turned
from tinydiff.data.scenes.light import DARK, PALETTE, SNOW, darker
from tinydiff.data.scenes.objects.parts import STONE, WOOD, arc, window
from tinydiff.data.scenes.objects.registry import drawing
from tinydiff.data.scenes.scene import Scene

HUB, REACH = 0.56, 0.44


@drawing(
    {"windmill": "windmills"},
    colours=("", "red", "blue", "yellow", "green"),
    places=("meadow", "road", "lake", "beach"),
    height=1.3,
    half_width=0.45,
)
def windmill(figure: Figure, scene: Scene) -> None:
    """Draw a windmill: a tower with a cap, door and windows, perhaps a gallery, and four sails at some angle."""
    dice = figure.dice
    wall = PALETTE[scene.colour] if scene.colour else (240, 226, 196)
    kind, turn = dice.choice(("tower", "smock", "post")), dice.between(0.1, 1.47)
    cloth = dice.choice(((252, 250, 242), (248, 232, 196)))
    foot, rise = dice.between(0.27, 0.32), dice.between(0.74, 0.82)
    cap = SNOW if scene.weather == "snow" else darker(wall, 0.5) if scene.colour else (132, 78, 64)
    if kind == "post":
        figure.polygon([(-0.24, 0), (0, 0.26), (0.24, 0), (0.17, 0), (0, 0.17), (-0.17, 0)], WOOD)
        figure.rectangle(-0.05, 0, 0.05, 0.2, WOOD)
        figure.polygon([(-0.27, 0.15), (0.27, 0.15), (0.24, 0.62), (-0.24, 0.62)], wall)
        figure.polygon([(-0.29, 0.6), (0, rise), (0.29, 0.6)], cap)
        figure.rectangle(-0.055, 0.17, 0.055, 0.33, darker(wall, 0.6))
    else:
        figure.polygon([(-foot, 0), (foot, 0), (0.19, 0.62), (-0.19, 0.62)], wall)
        if kind == "smock":
            figure.polygon([(-foot, 0), (foot, 0), (foot - 0.03, 0.14), (0.03 - foot, 0.14)], STONE)
            figure.line([(-foot - 0.05, 0.17), (foot + 0.05, 0.17)], WOOD, 0.035)
            figure.polygon([(-0.22, 0.6), (0, rise), (0.22, 0.6)], cap)
        else:
            figure.polygon(arc(0, 0.6, 0.21, rise - 0.6, 0, 1, 8), cap)
        figure.rectangle(-0.06, 0, 0.06, 0.14, darker(wall, 0.65))
        for x in (-0.1, 0.1):
            window(figure, scene, x, 0.26, 0.036, 0.04)
    for k in range(4):
        spar = [(0, HUB), (REACH, HUB)]
        sail = [(0.15, HUB + 0.01), (REACH, HUB + 0.01), (REACH, HUB + 0.08), (0.15, HUB + 0.065)]
        angle = turn + k * math.pi / 2
        figure.polygon(turned(sail, angle, (0, HUB)), cloth)
        figure.line(turned(spar, angle, (0, HUB)), WOOD, 0.03)
        if not figure.canvas.in_ink:
            for x in (0.23, 0.33):
                figure.line(turned([(x, HUB), (x, HUB + 0.07)], angle, (0, HUB)), (190, 170, 150), 0.012)
    figure.ellipse(0, HUB, 0.042, 0.042, DARK)
