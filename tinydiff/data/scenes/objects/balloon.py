"""A hot-air balloon."""

import math

from tinydiff.data.scenes.canvas import Figure
from tinydiff.data.scenes.light import PALETTE, SNOW, darker, lighter
from tinydiff.data.scenes.objects.registry import drawing
from tinydiff.data.scenes.scene import PLACES, Scene

BASKET, ROPE = (166, 114, 68), (110, 90, 80)


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
    bright = lighter(cloth, 0.6) if dice.chance(0.6) else (252, 246, 226)
    for x in (-0.15, 0.15):
        figure.line([(x, 0.36), (x * 0.5, 0.15)], ROPE, 0.018)
    if scene.time != "day":
        figure.blob([(-0.035, 0.2), (0.035, 0.2), (0, 0.3)], (255, 214, 100), "glow", False)
    outline = [(-0.08, 0.27), (0.08, 0.27), (0.25 * width / 0.34, 0.45), (width, 0.67), (width * 0.72, 0.92), (0, 1.0)]
    outline += [(-width * 0.72, 0.92), (-width, 0.67), (-0.25 * width / 0.34, 0.45)]
    figure.blob(outline, cloth)
    if pattern == "gores":
        for share, colour in ((0.62, bright), (0.3, cloth)):
            u = width * share
            figure.blob(
                [
                    (-0.1 * share, 0.28),
                    (0.1 * share, 0.28),
                    (u * 0.75, 0.45),
                    (u, 0.68),
                    (u * 0.72, 0.92),
                    (0, 0.995),
                    (-u * 0.72, 0.92),
                    (-u, 0.68),
                    (-u * 0.75, 0.45),
                ],
                colour,
            )
    elif pattern == "zigzag":
        inside = width * 0.93
        xs = [-inside + 2 * inside * k / 8 for k in range(9)]
        upper = [(x, 0.72 + (0.07 if k % 2 else 0.0)) for k, x in enumerate(xs)]
        figure.polygon([*upper, *((x, y - 0.1) for x, y in reversed(upper))], bright, outlined=False)
    elif pattern == "bands":
        figure.polygon(
            [(-width * 0.97, 0.62), (width * 0.97, 0.62), (width * 0.98, 0.72), (-width * 0.98, 0.72)], bright
        )
        figure.polygon([(-width * 0.62, 0.44), (width * 0.62, 0.44), (width * 0.76, 0.5), (-width * 0.76, 0.5)], bright)
    else:
        figure.blob(
            [(-width * 0.72, 0.55), (-width * 0.5, 0.9), (-width * 0.2, 0.93), (-width * 0.5, 0.7)],
            lighter(cloth, 0.3),
            outlined=False,
        )
        figure.polygon(_star(0.05, 0.66, 0.15), bright, outlined=False)
    figure.polygon([(-0.09, 0.25), (0.09, 0.25), (0.1, 0.3), (-0.1, 0.3)], darker(cloth, 0.35))
    if scene.weather == "snow":
        figure.blob([(-0.17, 0.93), (0, 1.015), (0.17, 0.93), (0.06, 0.955), (-0.07, 0.94)], SNOW, outlined=False)
    figure.polygon([(-0.1, 0.16), (0.1, 0.16), (0.085, 0), (-0.085, 0)], BASKET)
    figure.rectangle(-0.11, 0.13, 0.11, 0.17, darker(BASKET, 0.3), outlined=False)
    figure.line([(-0.09, 0.07), (0.09, 0.07)], darker(BASKET, 0.25), 0.014)


def _star(x, y, radius):
    """Return the corners of a star with five points."""
    angles = [math.pi * (0.5 + 0.2 * k) for k in range(10)]
    radii = [radius * (0.45 if k % 2 else 1.0) for k in range(10)]
    return [(x + r * math.cos(angle), y + r * math.sin(angle)) for r, angle in zip(radii, angles, strict=True)]
