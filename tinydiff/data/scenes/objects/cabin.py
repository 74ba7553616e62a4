"""A log cabin."""

from tinydiff.data.scenes.canvas import Figure
from tinydiff.data.scenes.light import GLASS, PALETTE, SNOW, WINDOW, darker
from tinydiff.data.scenes.objects.registry import drawing
from tinydiff.data.scenes.scene import Scene


@drawing(
    {"cabin": "cabins", "hut": "huts"},
    colours=("", "red", "blue", "yellow", "green"),
    places=("mountain", "beach", "meadow", "road", "forest", "lake"),
    half_width=0.55,
)
def cabin(figure: Figure, scene: Scene) -> None:
    """Draw a cabin: a chimney with smoke behind, then walls, a roof, a door, and a window that is lit in the dark."""
    wall = PALETTE[scene.colour] if scene.colour else (178, 122, 78)
    side = figure.dice.choice((-1, 1))  # of the chimney
    figure.rectangle(side * 0.265 - 0.065, 0.66, side * 0.265 + 0.065, 1.0, (120, 96, 92))
    for k, radius in enumerate((0.05, 0.065, 0.08)):
        figure.ellipse(side * 0.3 + 0.05 * k, 1.08 + 0.1 * k, radius, radius, (226, 228, 234), "ground", False)
    figure.rectangle(-0.44, 0, 0.44, 0.52, wall)
    for height in (0.13, 0.26, 0.39):
        figure.line([(-0.44, height), (0.44, height)], darker(wall, 0.22), 0.02)
    figure.polygon([(-0.58, 0.46), (-0.02, 0.96), (0.02, 0.96), (0.58, 0.46)], (112, 68, 58))
    if scene.weather == "snow" or scene.place == "mountain":
        edge = [(0.42, 0.58), (0.2, 0.72), (0, 0.84), (-0.2, 0.72), (-0.42, 0.58)]
        figure.polygon([(-0.58, 0.5), (-0.02, 1.0), (0.02, 1.0), (0.58, 0.5), *edge], SNOW)
    figure.rectangle(-0.28, 0, -0.06, 0.36, darker(wall, 0.5))
    dark = scene.time != "day"
    figure.rectangle(0.1, 0.17, 0.33, 0.38, WINDOW if dark else GLASS, "glow" if dark else "object")
    figure.line([(0.215, 0.17), (0.215, 0.38)], (90, 64, 50), 0.025)
