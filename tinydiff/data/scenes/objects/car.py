"""A car."""

from tinydiff.data.scenes.canvas import Figure
from tinydiff.data.scenes.light import DARK, GLASS, PALETTE, SNOW, darker, lighter
from tinydiff.data.scenes.objects.parts import arc
from tinydiff.data.scenes.objects.registry import drawing
from tinydiff.data.scenes.scene import Scene

# The upper part of each kind of car, from the back of its body to the front, and its side windows.
BODIES = {
    "saloon": (
        [(-0.62, 0.52), (-0.38, 1.0), (0.22, 1.0), (0.55, 0.52)],
        ([(-0.46, 0.56), (-0.31, 0.9), (-0.1, 0.9), (-0.1, 0.56)], [(0.0, 0.56), (0.0, 0.9), (0.18, 0.9), (0.4, 0.56)]),
    ),
    "hatchback": (
        [(-0.82, 0.5), (-0.68, 1.0), (0.14, 1.0), (0.5, 0.52)],
        ([(-0.68, 0.56), (-0.58, 0.9), (-0.26, 0.9), (-0.26, 0.56)],
         [(-0.16, 0.56), (-0.16, 0.9), (0.1, 0.9), (0.34, 0.56)]),
    ),
    "beetle": (
        [(-0.84, 0.4), *arc(-0.08, 0.46, 0.7, 0.54, 1.0, 0.0, 8), (0.84, 0.4)],
        ([(-0.5, 0.57), *arc(-0.12, 0.57, 0.38, 0.32, 1, 0.53, 4), (-0.15, 0.57)],
         [(-0.05, 0.57), *arc(-0.07, 0.57, 0.4, 0.32, 0.47, 0, 4)]),
    ),
    "pickup": (
        [(-0.14, 0.5), (-0.14, 1.0), (0.24, 1.0), (0.48, 0.52)],
        ([(-0.05, 0.56), (-0.05, 0.9), (0.19, 0.9), (0.36, 0.56)],),
    ),
    "van": (
        [(-0.9, 0.45), (-0.86, 1.0), (0.4, 1.0), (0.72, 0.52)],
        ([(-0.7, 0.6), (-0.7, 0.88), (-0.36, 0.88), (-0.36, 0.6)],
         [(0.08, 0.58), (0.08, 0.88), (0.35, 0.88), (0.53, 0.58)]),
    ),
}  # fmt: skip


@drawing(
    {"car": "cars"},
    colours=("red", "blue", "yellow", "green", "orange", "purple", "pink", "white"),
    places=("beach", "meadow", "desert", "city", "road", "forest", "lake"),
    height=0.62,
    half_width=0.98,
    turns=True,
)
def car(figure: Figure, scene: Scene) -> None:
    """Draw a car that drives to the right: its body, windows, bumpers, lamps, wheels, perhaps luggage."""
    dice = figure.dice
    paint = PALETTE[scene.colour]
    upper, windows = BODIES[dice.choice(tuple(BODIES))]
    stripe, luggage, wheel = dice.chance(0.35), dice.chance(0.25), dice.between(0.19, 0.23)
    night = scene.time == "night"

    if night:
        figure.polygon([(0.93, 0.36), (1.6, 0.5), (1.6, 0.06)], (255, 236, 160), "glow", False)
    figure.polygon(upper, paint)
    for panes in windows:
        figure.polygon(panes, (255, 230, 150) if night else GLASS, "glow" if night else "object")
    figure.polygon([(-0.94, 0.14), (-0.94, 0.44), (-0.84, 0.54), (0.66, 0.54), (0.9, 0.44), (0.96, 0.14)], paint)
    if stripe:
        colour = lighter(paint, 0.6) if scene.colour != "white" else (120, 132, 160)
        figure.rectangle(-0.92, 0.335, 0.92, 0.385, colour, outlined=False)
    figure.rectangle(-0.97, 0.13, 0.98, 0.2, darker(paint, 0.4))
    figure.line([(-0.05, 0.22), (-0.05, 0.52)], darker(paint, 0.3), 0.025)
    figure.line([(0.02, 0.45), (0.1, 0.45)], darker(paint, 0.45), 0.035)
    figure.ellipse(0.88, 0.36, 0.06, 0.07, (255, 242, 180), "glow")
    figure.rectangle(-0.95, 0.32, -0.89, 0.44, (200, 44, 50) if scene.colour != "red" else (250, 190, 80))
    roof = [(x, y) for x, y in upper if y > 0.85]
    if scene.weather == "snow":
        figure.polygon([*roof, *((x * 0.96, y - 0.07) for x, y in reversed(roof))], SNOW)
    elif luggage and len(roof) == 2:  # where the roof is flat
        middle = (roof[0][0] + roof[1][0]) / 2
        figure.rectangle(middle - 0.16, 1.0, middle + 0.16, 1.12, (150, 98, 62))
    for x in (-0.54, 0.54):
        figure.ellipse(x, wheel, wheel, wheel, DARK)
        figure.ellipse(x, wheel, wheel * 0.48, wheel * 0.48, (214, 218, 226))
