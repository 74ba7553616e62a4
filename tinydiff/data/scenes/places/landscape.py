"""What several places have: hills, firs, palms, and streaks of light on water."""

import math

from tinydiff.data.scenes.canvas import Canvas, Figure
from tinydiff.data.scenes.dice import Dice
from tinydiff.data.scenes.light import SNOW, Colour

OUT = 0.06  # how far what reaches the edge is painted beyond it: the grid of pixel art may be moved


def hill(canvas: Canvas, y: float, swing: float, colour: Colour, phase: float, waves: float = 1.0) -> None:
    """Paint all that is below a wavy line around y."""
    top = [(i / 14, y - swing * math.sin(phase + waves * i * 0.45)) for i in range(15)]
    left, right = top[0][1], top[-1][1]
    edge = [(-OUT, 1 + OUT), (-OUT, left), *top, (1 + OUT, right), (1 + OUT, 1 + OUT)]
    canvas.polygon(edge, colour, "ground")


def below(canvas: Canvas, y: float, colour: Colour, outlined: bool = True) -> None:
    """Paint all that is below a straight line."""
    canvas.rectangle(-OUT, y, 1 + OUT, 1 + OUT, colour, "ground", outlined)


def fir(canvas: Canvas, x: float, y: float, height: float, colour: Colour = (44, 110, 82), snow: bool = False) -> None:
    """Paint a fir, with its foot at (x, y)."""
    tree = Figure(canvas, x, y, height, Dice(0, "fir"))
    tree.rectangle(-0.05, 0, 0.05, 0.2, (104, 74, 54), "ground")
    for bottom, top, half_width in ((0.14, 0.55, 0.3), (0.36, 0.78, 0.24), (0.58, 1.0, 0.17)):
        tree.polygon([(-half_width, bottom), (0, top), (half_width, bottom)], colour, "ground")
        if snow:
            y, part = bottom + (top - bottom) * 0.58, half_width * 0.42
            tree.polygon([(-part, y), (0, top), (part, y)], SNOW, "ground", False)


def palm(figure: Figure, leaves: Colour, layer: str = "ground") -> None:
    """Paint a palm."""
    figure.polygon([(-0.04, 0), (0.05, 0), (0.11, 0.72), (0.05, 0.72)], (150, 108, 70), layer)
    for angle in (-2.8, -2.2, -1.2, -0.35, 0.2, 3.3):
        x, y = math.cos(angle), -math.sin(angle)
        back = (0.08 + x * 0.2 - 0.02, 0.82 + y * 0.2)
        tip, front = (0.08 + x * 0.42, 0.68 + y * 0.24), (0.08 + x * 0.2 + 0.03, 0.7 + y * 0.15)
        figure.polygon([(0.08, 0.74), back, tip, front], leaves, layer)
    for x in (0.06, 0.12):
        figure.ellipse(x, 0.7, 0.035, 0.035, (120, 80, 50), layer, False)


def streaks(canvas: Canvas, dice: Dice, count: int, top: float, bottom: float) -> None:
    """Paint short streaks of light on water."""
    for _ in range(count):
        x, y = dice.roll(), dice.between(top, bottom)
        canvas.line([(x, y), (x + dice.between(0.05, 0.12), y)], (196, 228, 244), 0.009, "ground")
