"""A hot-air balloon."""

import math

from tinydiff.data.scenes.canvas import Figure
from tinydiff.data.scenes.light import PALETTE, darker, lighter
from tinydiff.data.scenes.objects.parts import CREAM, heap_of_snow, mirror, moved
from tinydiff.data.scenes.objects.registry import drawing
from tinydiff.data.scenes.scene import PLACES, Scene

BASKET = (166, 114, 68)


@drawing(
    {"hot-air balloon": "hot-air balloons", "balloon": "balloons"},
    colours=("red", "blue", "yellow", "green", "orange", "purple", "pink"),
    places=PLACES,
    half_width=0.38,
    stands="sky",
)
def balloon(figure: Figure, scene: Scene) -> None:
    """Draw a hot-air balloon: ropes and a basket below an envelope with gores, a zigzag, bands or a star."""
    dice = figure.dice
    cloth = PALETTE[scene.colour]
    pattern, width = dice.choice(("gores", "zigzag", "bands", "star")), dice.between(0.32, 0.37)
    bright = lighter(cloth, 0.6) if dice.chance(0.6) else CREAM

    for x in (-0.15, 0.15):
        figure.line([(x, 0.36), (x * 0.5, 0.15)], (110, 90, 80), 0.018)
    if scene.time != "day":  # the burner
        figure.blob([(-0.035, 0.2), (0.035, 0.2), (0, 0.3)], (255, 214, 100), "glow", False)
    figure.blob(_envelope(width), cloth)
    if pattern == "gores":
        figure.blob(_envelope(width * 0.62), bright)
        figure.blob(_envelope(width * 0.3), cloth)
    elif pattern == "zigzag":
        upper = [(width * (0.93 * k / 4 - 0.93), 0.79 if k % 2 else 0.72) for k in range(9)]
        figure.polygon([*upper, *moved(upper[::-1], 0, -0.1)], bright, outlined=False)
    elif pattern == "bands":
        for low, high, below, above in ((0.62, 0.72, 0.97, 0.98), (0.44, 0.5, 0.68, 0.8)):
            figure.polygon(mirror([(width * below, low), (width * above, high)]), bright)
    else:
        shine = [(-0.72, 0.55), (-0.5, 0.9), (-0.2, 0.93), (-0.5, 0.7)]
        figure.blob(moved(shine, 0, across=width), lighter(cloth, 0.3), outlined=False)
        figure.polygon(_star(0.05, 0.66, 0.15), bright, outlined=False)
    figure.polygon(mirror([(0.09, 0.25), (0.1, 0.3)]), darker(cloth, 0.35))
    if scene.weather == "snow":
        heap_of_snow(figure, 0, 0.925, 0.17, 0.09)
    figure.polygon(mirror([(0.085, 0), (0.1, 0.16)]), BASKET)
    figure.rectangle(-0.11, 0.13, 0.11, 0.17, darker(BASKET, 0.3), outlined=False)
    figure.line([(-0.09, 0.07), (0.09, 0.07)], darker(BASKET, 0.25), 0.014)


def _envelope(width: float) -> list[tuple[float, float]]:
    """Return the outline of an envelope, or of a gore of it."""
    side = [(0.24 * width, 0.27), (0.74 * width, 0.45), (width, 0.67), (0.72 * width, 0.92)]
    return [*side, (0, 1.0), *((-x, y) for x, y in reversed(side))]


def _star(x: float, y: float, radius: float) -> list[tuple[float, float]]:
    """Return the corners of a star with five points."""
    angles = [math.pi * (0.5 + 0.2 * k) for k in range(10)]
    radii = [radius * (0.45 if k % 2 else 1.0) for k in range(10)]
    return [(x + r * math.cos(angle), y + r * math.sin(angle)) for r, angle in zip(radii, angles, strict=True)]
