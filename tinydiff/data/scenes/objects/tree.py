"""A broad-leaved tree; on a beach, a palm."""

import math

from tinydiff.data.scenes.canvas import Figure
from tinydiff.data.scenes.light import PALETTE, darker, lighter
from tinydiff.data.scenes.objects.parts import heap_of_snow, mirror, moved
from tinydiff.data.scenes.objects.registry import drawing
from tinydiff.data.scenes.scene import Scene

CLOUD = [(-0.2, 0.55, 0.2), (0.2, 0.55, 0.2), (0, 0.76, 0.24), (-0.14, 0.68, 0.21), (0.15, 0.68, 0.2)]
LEAVES, TRUNK, PALM_TRUNK = (78, 160, 84), (124, 86, 60), (156, 112, 74)


@drawing(
    {"tree": "trees"},
    colours=("", "red", "yellow", "orange", "pink"),
    places=("beach", "meadow", "city", "road", "lake"),
    height=1.1,
    half_width=0.42,
)
def tree(figure: Figure, scene: Scene) -> None:
    """Draw a tree: a trunk with a branch, and a crown that is a cloud, round, tall or a pair, perhaps with fruit."""
    dice = figure.dice
    leaves = PALETTE[scene.colour] if scene.colour else LEAVES
    crown, side = dice.choice(("cloud", "round", "tall", "pair")), dice.choice((-1, 1))
    width, fruit, phase = dice.between(0.9, 1.08), dice.chance(0.4), dice.between(0, 2)
    if scene.place == "beach" and not scene.colour:
        _palm(figure, side)
        return

    figure.blob([(-0.11, 0.04), (0.11, 0.04), (0.06, 0.25), (0.05, 0.55), (-0.05, 0.55), (-0.06, 0.25)], TRUNK)
    figure.line([(0, 0.26), (side * 0.17, 0.42)], TRUNK, 0.05)
    shade = darker(leaves, 0.15)  # of the lower right rim
    if crown == "cloud":
        for colour, shift, outlined in ((shade, 0.0, True), (leaves, 0.018, False)):
            for x, y, radius in CLOUD:
                radius -= 2.6 * shift
                figure.ellipse(x * width - shift, y + shift, radius * width, radius, colour, outlined=outlined)
            figure.ellipse(0, 0.62 + shift, 0.26 * width, 0.18, colour, outlined=False)
    elif crown == "tall":
        outline = mirror([(0.2, -0.33), (0.31 * width, -0.09), (0.2, 0.19), (0.05, 0.31)])
        figure.blob(moved(outline, 0, 0.69), shade)
        figure.blob([(0.84 * x - 0.02, 0.7 + 0.84 * y) for x, y in outline], leaves, outlined=False)
    else:
        round_one, pair = ((0, 0.66, 0.36),), ((side * 0.19, 0.54, 0.21), (-side * 0.12, 0.72, 0.28))
        for x, y, radius in round_one if crown == "round" else pair:
            figure.ellipse(x, y, radius * width, radius * 0.95, shade)
            figure.ellipse(x - 0.015, y + 0.015, radius * 0.87 * width, radius * 0.82, leaves, outlined=False)
    for x, y in ((-0.13, 0.74), (0.07, 0.84), (0.15, 0.64)):
        figure.ellipse(x * side, y, 0.055, 0.045, lighter(leaves, 0.3), outlined=False)
    if scene.weather == "snow":
        heap_of_snow(figure, 0 if crown != "pair" else -side * 0.12, 0.84, 0.22, 0.17)
    elif fruit and not scene.colour:
        for k in range(5):
            x, y = math.cos(2.4 * k + phase), math.sin(2.4 * k + phase)
            figure.ellipse(0.2 * x, 0.63 + 0.16 * y, 0.04, 0.04, PALETTE["red"], outlined=False)


def _palm(figure: Figure, side: int) -> None:
    """Draw a palm that leans to one side."""
    dice = figure.dice
    x, droop, young = side * dice.between(0.02, 0.12), dice.between(0.0, 0.12), dice.chance(0.3)
    figure.polygon([(-0.06, 0), (0.06, 0), (x + 0.035, 0.74), (x - 0.035, 0.74)], PALM_TRUNK)
    for height in (0.15, 0.3, 0.45, 0.6):
        middle = x * height / 0.74
        figure.line([(middle - 0.045, height), (middle + 0.045, height)], darker(PALM_TRUNK, 0.25), 0.016)
    tips = [(-0.42, -0.14), (0.4, -0.14), (-0.36, 0.14), (0.34, 0.14), (-0.12, 0.26), (0.16, 0.26)]
    for u, v in tips[2:] if young else tips:
        v -= droop if abs(u) > 0.2 else 0.0
        leaf = [(0, 0), (0.45 * u - 0.03, 0.6 * v + 0.13), (u - x, v), (0.5 * u, 0.5 * v - 0.03)]
        figure.blob(moved(leaf, x, 0.72), LEAVES)
    for nut in (-0.045, 0.04):
        figure.ellipse(x + nut, 0.7, 0.04, 0.04, (112, 74, 48), outlined=False)
