"""What several objects have: windows that are lit in the dark, pennants, arcs."""

import math

from tinydiff.data.scenes.canvas import Figure, Points
from tinydiff.data.scenes.light import GLASS, WINDOW, Colour
from tinydiff.data.scenes.scene import Scene

WOOD, STONE, CREAM = (112, 78, 56), (168, 164, 172), (250, 246, 234)


def glass(scene: Scene) -> tuple[Colour, str]:
    """Return colour and layer of a window pane: somebody is at home when it gets dark."""
    return (GLASS, "object") if scene.time == "day" else (WINDOW, "glow")


def window(figure: Figure, scene: Scene, x: float, y: float, half_width: float, half_height: float) -> None:
    """Draw a window with two panes around a point."""
    figure.rectangle(x - half_width, y - half_height, x + half_width, y + half_height, *glass(scene))
    figure.line([(x, y - half_height), (x, y + half_height)], WOOD, 0.022)


def pennant(figure: Figure, x: float, foot: float, top: float, colour: Colour, length: float = 0.16) -> None:
    """Draw a pole with a small triangular flag at its top."""
    figure.line([(x, foot), (x, top)], WOOD, 0.025)
    figure.polygon([(x, top), (x + length, top - 0.06), (x, top - 0.12)], colour)


def arc(
    x: float, y: float, half_width: float, half_height: float, first: float, last: float, steps: int = 10
) -> list[tuple[float, float]]:
    """Return points on an ellipse from one angle to another, in half turns, counted from the right upwards."""
    angles = [math.pi * (first + (last - first) * i / steps) for i in range(steps + 1)]
    return [(x + half_width * math.cos(angle), y + half_height * math.sin(angle)) for angle in angles]


def mirror(points: Points) -> list[tuple[float, float]]:
    """Return points of a right half, from the foot upwards, followed by those of the left half back down."""
    return [*points, *((-x, y) for x, y in reversed(points))]
