"""A space rocket."""

from tinydiff.data.scenes.canvas import Figure
from tinydiff.data.scenes.light import PALETTE, SNOW, darker
from tinydiff.data.scenes.objects.parts import CREAM, mirror, moved
from tinydiff.data.scenes.objects.registry import drawing
from tinydiff.data.scenes.scene import Scene

FINS = (  # on the right side: straight, round, and with a foot
    [(0.12, 0.44), (0.32, 0.2), (0.33, 0.0), (0.1, 0.14)],
    [(0.12, 0.42), (0.24, 0.34), (0.31, 0.22), (0.33, 0.0), (0.22, 0.09), (0.1, 0.13)],
    [(0.12, 0.34), (0.26, 0.22), (0.34, 0.0), (0.24, 0.0), (0.1, 0.15)],
)


@drawing(
    {"rocket": "rockets", "space rocket": "space rockets"},
    colours=("red", "blue", "yellow", "green", "orange", "purple", "pink", "white"),
    places=("mountain", "beach", "meadow", "desert", "forest", "lake", "road"),
    height=1.3,
    half_width=0.34,
)
def rocket(figure: Figure, scene: Scene) -> None:
    """Draw a rocket that stands on its fins: a nozzle, fins, a body with a nose, portholes and bands."""
    dice = figure.dice
    paint, white = PALETTE[scene.colour], scene.colour == "white"
    fin, portholes, blunt = dice.choice(FINS), dice.choice((1, 1, 2, 3)), dice.chance(0.4)
    belly, band, pale_nose = dice.between(0.185, 0.225), dice.chance(0.5), dice.chance(0.35)
    trim, bright = ((112, 124, 152), (112, 124, 152)) if white else (darker(paint, 0.38), CREAM)
    pane = (255, 222, 120) if scene.time == "night" else (120, 200, 240)

    figure.polygon(mirror([(0.09, 0.03), (0.12, 0.14)]), (92, 94, 108))
    for side in (-1, 1):
        figure.polygon(moved(fin, 0, across=side), trim)
    hull = [(0.14, 0.1), (belly, 0.32), (belly, 0.54), (0.145, 0.76)]
    tip = [(0.115, 0.87), (0.055, 0.97)] if blunt else [(0.085, 0.88)]
    figure.polygon(mirror([*hull, *tip, (0, 1.0)]), paint)
    shadow = [(0.07, 0.1), (0.11, 0.32), (0.11, 0.54), (0.075, 0.76)]
    figure.polygon([*shadow, *hull[::-1]], darker(paint, 0.16), outlined=False)
    if pale_nose or white:
        figure.polygon(mirror([(0.145, 0.76), *tip, (0, 1.0)]), bright)
    elif band:
        figure.polygon(mirror([(0.155, 0.73), (0.137, 0.78)]), bright)
    if band:
        figure.polygon(mirror([(0.165, 0.2), (0.18, 0.26)]), bright)
    for k in range(portholes):
        y, radius = 0.62 - 0.15 * k, 0.08 - 0.012 * (portholes - 1)
        figure.ellipse(0, y, radius, radius, (232, 236, 242))
        figure.ellipse(0, y, radius * 0.66, radius * 0.66, pane, "glow")
    figure.rectangle(-0.03, 0.0, 0.03, 0.26, darker(trim, 0.15))  # the fin in front
    if scene.weather == "snow":
        figure.polygon(mirror([(0.085, 0.87), (0.05, 0.96), (0, 1.01)]), SNOW)
