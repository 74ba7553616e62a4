"""A lighthouse."""

from tinydiff.data.scenes.canvas import Figure
from tinydiff.data.scenes.light import DARK, PALETTE, SNOW, darker
from tinydiff.data.scenes.objects.parts import CREAM, STONE, arc, window
from tinydiff.data.scenes.objects.registry import drawing
from tinydiff.data.scenes.scene import Scene


@drawing(
    {"lighthouse": "lighthouses"},
    colours=("red", "blue", "green", "yellow"),
    places=("beach", "lake"),
    height=1.35,
    half_width=0.34,
)
def lighthouse(figure: Figure, scene: Scene) -> None:
    """Draw a lighthouse: rocks, a striped tower, a gallery and a lantern, whose beams go far at night."""
    dice = figure.dice
    paint = PALETTE[scene.colour]
    stripes, dome, house = dice.choice(("bands", "spiral", "belt")), dice.chance(0.5), dice.choice((0, -1, 1))
    foot, top, bands = dice.between(0.17, 0.2), dice.between(0.105, 0.125), dice.choice((2, 3))
    snow = scene.weather == "snow"

    def stripe(low, high, colour, rise=0.0):
        """Paint the tower from one height to another; on its right side, both may lie higher."""
        corners = [(-1, low), (1, low + rise), (1, high + rise), (-1, high)]
        figure.polygon([(side * (foot + (top - foot) * (y - 0.05) / 0.73), y) for side, y in corners], colour)

    if scene.time == "night":
        for x in (-1.3, 1.3):
            figure.polygon([(0, 0.86), (x, 1.0), (x, 0.72)], (255, 240, 170), "glow", False)
    figure.blob([(-0.3, 0), (-0.24, 0.07), (0, 0.1), (0.24, 0.07), (0.3, 0)], STONE)
    if house:
        x = house * 0.13
        figure.rectangle(x - 0.12, 0.03, x + 0.12, 0.15, CREAM)
        figure.polygon([(x - 0.14, 0.15), (x, 0.24), (x + 0.14, 0.15)], SNOW if snow else darker(paint, 0.3))

    stripe(0.05, 0.78, paint)
    if stripes == "belt":
        stripe(0.3, 0.46, CREAM)
    else:
        step = 0.73 / (bands + 0.55)
        for k in range(bands):
            low = 0.05 + step * (k + 0.55)
            stripe(low, low + step * 0.42, CREAM, 0.1 if stripes == "spiral" else 0.0)
    figure.rectangle(-0.04, 0.06, 0.04, 0.17, darker(paint, 0.6))
    window(figure, scene, 0, 0.42, 0.028, 0.035)
    window(figure, scene, 0, 0.63, 0.026, 0.032)

    figure.rectangle(-top - 0.04, 0.77, top + 0.04, 0.805, DARK)
    figure.rectangle(-0.08, 0.805, 0.08, 0.91, (255, 238, 150), "glow")
    figure.line([(0, 0.805), (0, 0.91)], DARK, 0.014)
    roof = arc(0, 0.905, 0.12, 0.085, 0, 1, 8) if dome else [(-0.13, 0.905), (0, 1.0), (0.13, 0.905)]
    figure.polygon(roof, paint)
    figure.line([(0, 0.98), (0, 1.03)], DARK, 0.016)
    if snow:
        figure.polygon([(-0.07, 0.945), (0, 1.005), (0.07, 0.945)], SNOW)
