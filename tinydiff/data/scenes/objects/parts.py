"""What several objects have: windows that are lit in the dark, pennants, arcs."""

import itertools
import math

from tinydiff.data.scenes.canvas import Figure, Points
from tinydiff.data.scenes.light import GLASS, INK, PALETTE, SNOW, WINDOW, Colour
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


def heap_of_snow(figure: Figure, x: float, y: float, half_width: float, height: float) -> None:
    """Draw snow that lies on something round or pointed, from y upwards."""
    shape = [(-1, 0), (-0.55, 0.75), (0, 1), (0.55, 0.75), (1, 0), (0.45, 0.3), (0, 0.05), (-0.45, 0.35)]
    figure.blob([(x + half_width * u, y + height * v) for u, v in shape], SNOW)


def fur(figure: Figure, scene: Scene) -> Colour:
    """Return the colour of an animal's coat; in a line drawing, which is pale, black must stay darker than grey."""
    if scene.colour == "black" and figure.canvas.in_ink:
        return 8, 8, 16
    return (162, 100, 54) if scene.colour == "brown" else PALETTE[scene.colour]


def limb(figure: Figure, path: Points, colour: Colour, width: float) -> None:
    """Draw an arm or a tail along a path: a thick line with a round end, which has an outline in a line drawing."""
    if figure.canvas.in_ink:
        figure.line(path, INK, width + 2 * figure.canvas.ink_width / (figure.canvas.scale * figure.height))
        for (x_0, y_0), (x_1, y_1) in itertools.pairwise(path):
            length = math.hypot(x_1 - x_0, y_1 - y_0)
            u, v = (x_1 - x_0) * width / length / 2, (y_1 - y_0) * width / length / 2
            sides = [(x_0 - v, y_0 + u), (x_1 - v, y_1 + u), (x_1 + v, y_1 - u), (x_0 + v, y_0 - u)]
            figure.polygon(sides, colour, outlined=False)
            figure.ellipse(x_1, y_1, width / 2, width / 2, colour, outlined=False)
        return
    figure.line(path, colour, width)
    figure.ellipse(*path[-1], width / 2, width / 2, colour)


def arc(
    x: float, y: float, half_width: float, half_height: float, first: float, last: float, steps: int = 10
) -> list[tuple[float, float]]:
    """Return points on an ellipse from one angle to another, in half turns, counted from the right upwards."""
    angles = [math.pi * (first + (last - first) * i / steps) for i in range(steps + 1)]
    return [(x + half_width * math.cos(angle), y + half_height * math.sin(angle)) for angle in angles]


def moved(points: Points, x: float, y: float = 0.0, across: float = 1.0) -> list[tuple[float, float]]:
    """Return points stretched across (or mirrored, by -1), then moved."""
    return [(x + across * u, y + v) for u, v in points]


def mirror(points: Points) -> list[tuple[float, float]]:
    """Return points of a right half, from the foot upwards, followed by those of the left half back down."""
    return [*points, *((-x, y) for x, y in reversed(points))]
