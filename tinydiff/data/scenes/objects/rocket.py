"""A space rocket."""

from tinydiff.data.scenes.canvas import Figure
from tinydiff.data.scenes.light import PALETTE, SNOW, darker, lighter
from tinydiff.data.scenes.objects.parts import CREAM, mirror
from tinydiff.data.scenes.objects.registry import drawing
from tinydiff.data.scenes.scene import Scene


@drawing(
    {"rocket": "rockets", "space rocket": "space rockets"},
    colours=("red", "blue", "yellow", "green", "orange", "purple", "pink", "white"),
    places=("mountain", "beach", "meadow", "desert", "forest", "lake", "road"),
    height=1.3,
    half_width=0.34,
)
def rocket(figure: Figure, scene: Scene) -> None:
    """Draw a rocket that stands on its fins: a nozzle, fins, a body with a nose, portholes and a band."""
    dice = figure.dice
    paint = PALETTE[scene.colour]
    white = scene.colour == "white"
    fins, portholes, blunt = dice.choice((0, 1, 2)), dice.choice((1, 1, 2, 3)), dice.chance(0.4)
    belly, band, pale_nose = dice.between(0.185, 0.225), dice.chance(0.5), dice.chance(0.35)
    trim = (112, 124, 152) if white else darker(paint, 0.38)

    figure.polygon([(-0.12, 0.14), (0.12, 0.14), (0.09, 0.03), (-0.09, 0.03)], (92, 94, 108))
    for x in (-1, 1):
        if fins == 0:
            figure.polygon([(x * 0.12, 0.44), (x * 0.32, 0.2), (x * 0.33, 0.0), (x * 0.1, 0.14)], trim)
        elif fins == 1:
            figure.blob([(x * 0.12, 0.4), (x * 0.32, 0.28), (x * 0.33, 0.02), (x * 0.2, 0.1), (x * 0.1, 0.14)], trim)
        else:
            figure.polygon(
                [(x * 0.12, 0.34), (x * 0.26, 0.22), (x * 0.34, 0.0), (x * 0.24, 0.0), (x * 0.1, 0.15)], trim
            )
    side = [(0.14, 0.1), (belly, 0.32), (belly, 0.54), (0.145, 0.76)]
    tip = [(0.115, 0.87), (0.055, 0.97)] if blunt else [(0.085, 0.88)]
    figure.polygon(mirror([*side, *tip, (0, 1.0)]), paint)
    figure.polygon(
        [(0.07, 0.1), (0.11, 0.32), (0.11, 0.54), (0.075, 0.76), *reversed(side)], darker(paint, 0.16), outlined=False
    )
    if pale_nose or white:
        figure.polygon(mirror([(0.145, 0.76), *tip, (0, 1.0)]), trim if white else CREAM)
    elif band:
        figure.polygon(mirror([(0.155, 0.73), (0.137, 0.78)]), CREAM)
    if band:
        figure.polygon(mirror([(0.165, 0.2), (0.18, 0.26)]), trim if white else CREAM)
    for k in range(portholes):
        y, radius = 0.62 - 0.15 * k, 0.08 - 0.012 * (portholes - 1)
        figure.ellipse(0, y, radius, radius, (232, 236, 242))
        figure.ellipse(
            0, y, radius * 0.66, radius * 0.66, (255, 222, 120) if scene.time == "night" else (120, 200, 240), "glow"
        )
    figure.polygon([(-0.03, 0.26), (0.03, 0.26), (0.03, 0.0), (-0.03, 0.0)], trim if not white else darker(trim, 0.2))
    figure.line(
        [(-0.1, 0.2), (-0.12, 0.34), (-0.12, 0.5)], lighter(paint, 0.4), 0.022
    ) if not figure.canvas.in_ink else None
    if scene.weather == "snow":
        figure.polygon(mirror([(0.085, 0.87), (0.05, 0.96), (0, 1.01)]), SNOW)
