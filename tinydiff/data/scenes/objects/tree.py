"""A broad-leaved tree; on a beach, a palm."""

import math

from tinydiff.data.scenes.canvas import Figure
from tinydiff.data.scenes.light import PALETTE, SNOW, Colour, darker, lighter
from tinydiff.data.scenes.objects.registry import drawing
from tinydiff.data.scenes.scene import Scene

LEAVES, TRUNK = (78, 160, 84), (124, 86, 60)


@drawing(
    {"tree": "trees"},
    colours=("", "red", "yellow", "orange", "pink"),
    places=("beach", "meadow", "city", "road", "lake"),
    height=1.1,
    half_width=0.42,
)
def tree(figure: Figure, scene: Scene) -> None:
    """Draw a tree: a trunk with a branch, and a crown that is a cloud, round or tall, perhaps with fruit."""
    dice = figure.dice
    leaves = PALETTE[scene.colour] if scene.colour else LEAVES
    crown, width, side = (
        dice.choice(("cloud", "round", "tall", "layers")),
        dice.between(0.9, 1.08),
        dice.choice((-1, 1)),
    )
    fruit, phase = dice.chance(0.4), dice.between(0, 2)
    if scene.place == "beach" and not scene.colour:
        _palm(figure, side)
        return
    figure.blob([(-0.12, 0), (0.12, 0), (0.06, 0.25), (0.05, 0.55), (-0.05, 0.55), (-0.06, 0.25)], TRUNK)
    figure.line([(0, 0.26), (side * 0.17, 0.42)], TRUNK, 0.05)
    shade = darker(leaves, 0.14)
    if crown == "cloud":
        parts = [(-0.2, 0.55, 0.2), (0.2, 0.55, 0.2), (0, 0.76, 0.24), (-0.14, 0.68, 0.21), (0.15, 0.68, 0.2)]
        for x, y, radius in parts:
            figure.ellipse(x * width, y, radius * width, radius, leaves)
        figure.ellipse(0, 0.62, 0.26 * width, 0.18, leaves, outlined=False)
    elif crown == "round":
        figure.ellipse(0, 0.66, 0.37 * width, 0.34, leaves)
    elif crown == "tall":
        figure.blob(
            [
                (-0.2, 0.36),
                (0.2, 0.36),
                (0.29 * width, 0.6),
                (0.17, 0.88),
                (0, 1.0),
                (-0.17, 0.88),
                (-0.29 * width, 0.6),
            ],
            leaves,
        )
    else:
        for y, half, height in ((0.46, 0.38, 0.16), (0.66, 0.31, 0.16), (0.84, 0.22, 0.16)):
            figure.ellipse(0, y, half * width, height, leaves)
    figure.ellipse(0.03, 0.48, 0.2, 0.07, shade, outlined=False)
    for x, y in ((-0.13, 0.74), (0.07, 0.84), (0.15, 0.64)):
        figure.ellipse(x * side, y, 0.055, 0.045, lighter(leaves, 0.3), outlined=False)
    if scene.weather == "snow":
        figure.blob(
            [(-0.22, 0.84), (-0.12, 0.96), (0, 1.01), (0.12, 0.96), (0.22, 0.84), (0.1, 0.88), (0, 0.85), (-0.1, 0.89)],
            SNOW,
        )
    elif fruit and not scene.colour:
        for k in range(5):
            angle = 2.4 * k + phase
            figure.ellipse(
                0.2 * math.cos(angle), 0.63 + 0.16 * math.sin(angle), 0.04, 0.04, PALETTE["red"], outlined=False
            )


def _palm(figure: Figure, side: int) -> None:
    """Draw a palm that leans to one side."""
    x = side * 0.07
    figure.polygon([(-0.06, 0), (0.06, 0), (x + 0.035, 0.74), (x - 0.035, 0.74)], (156, 112, 74))
    for height in (0.15, 0.3, 0.45, 0.6):
        middle = x * height / 0.74
        figure.line([(middle - 0.045, height), (middle + 0.045, height)], darker((156, 112, 74), 0.25), 0.016)
    colour: Colour = LEAVES
    for u, v in ((-0.42, 0.58), (0.4, 0.58), (-0.36, 0.86), (0.34, 0.86), (-0.12, 0.98), (0.16, 0.98)):
        leaf = [
            (x, 0.72),
            (x + u * 0.45 - 0.03, 0.76 + (v - 0.72) * 0.6 + 0.09),
            (u, v),
            (x + u * 0.5, 0.69 + (v - 0.72) * 0.5),
        ]
        figure.blob(leaf, colour)
    for dx in (-0.045, 0.04):
        figure.ellipse(x + dx, 0.7, 0.04, 0.04, (112, 74, 48), outlined=False)
