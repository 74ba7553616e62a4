"""A broad-leaved tree; on a beach, a palm."""

import math

from tinydiff.data.scenes.canvas import Figure
from tinydiff.data.scenes.light import PALETTE, SNOW, Colour, darker, lighter
from tinydiff.data.scenes.objects.parts import mirror
from tinydiff.data.scenes.objects.registry import drawing
from tinydiff.data.scenes.scene import Scene

CLOUD = [(-0.2, 0.55, 0.2), (0.2, 0.55, 0.2), (0, 0.76, 0.24), (-0.14, 0.68, 0.21), (0.15, 0.68, 0.2)]
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
        dice.choice(("cloud", "round", "tall", "pair")),
        dice.between(0.9, 1.08),
        dice.choice((-1, 1)),
    )
    fruit, phase = dice.chance(0.4), dice.between(0, 2)
    if scene.place == "beach" and not scene.colour:
        _palm(figure, side)
        return
    figure.blob([(-0.11, 0.04), (0.11, 0.04), (0.06, 0.25), (0.05, 0.55), (-0.05, 0.55), (-0.06, 0.25)], TRUNK)
    figure.line([(0, 0.26), (side * 0.17, 0.42)], TRUNK, 0.05)
    shade = darker(leaves, 0.15)  # the lower right rim
    if crown == "cloud":
        for colour, shift, inked in ((shade, 0.0, True), (leaves, 0.018, False)):
            for x, y, radius in CLOUD:
                radius -= 2.6 * shift
                figure.ellipse(x * width - shift, y + shift, radius * width, radius, colour, outlined=inked)
            figure.ellipse(0, 0.62 + shift, 0.26 * width, 0.18, colour, outlined=False)
    elif crown == "round":
        figure.ellipse(0, 0.66, 0.37 * width, 0.34, shade)
        figure.ellipse(-0.02, 0.675, 0.325 * width, 0.298, leaves, outlined=False)
    elif crown == "tall":
        for colour, share, inked in ((shade, 1.0, True), (leaves, 0.84, False)):
            right = [(0.2, 0.36), (0.31 * width, 0.6), (0.2, 0.88), (0.05, 1.0)]
            outline = [(x * share, 0.7 + (y - 0.7) * share) for x, y in mirror(right)]
            figure.blob([(x - 0.12 * (1 - share), y) for x, y in outline], colour, outlined=inked)
    else:
        for x, y, radius in ((side * 0.19, 0.54, 0.21), (-side * 0.12, 0.72, 0.28)):
            figure.ellipse(x, y, radius, radius * 0.95, shade)
            figure.ellipse(x - 0.015, y + 0.015, radius * 0.85, radius * 0.8, leaves, outlined=False)
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
