"""A castle."""

from tinydiff.data.scenes.canvas import Figure
from tinydiff.data.scenes.light import PALETTE, SNOW, Colour, darker, lighter
from tinydiff.data.scenes.objects.parts import WOOD, arc, glass, pennant
from tinydiff.data.scenes.objects.registry import drawing
from tinydiff.data.scenes.scene import Scene

# The towers behind the wall: x, half the width, height of the walls, and where the roof ends (there is none at the same
# height).
KEEPS = (
    ((0.0, 0.17, 0.7, 1.0),),
    ((0.0, 0.2, 0.82, 0.82),),
    ((-0.16, 0.1, 0.7, 1.0), (0.16, 0.1, 0.64, 0.92)),
    (),
)


@drawing(
    {"castle": "castles"},
    colours=("red", "blue", "yellow", "purple", "pink", "white"),
    places=("mountain", "meadow", "lake", "forest", "beach", "desert"),
    height=1.15,
    half_width=0.63,
)
def castle(figure: Figure, scene: Scene) -> None:
    """Draw a castle: a keep in the middle, a wall with battlements and a gate, and two to four towers."""
    dice = figure.dice
    wall = PALETTE[scene.colour]
    roof = darker(wall, 0.42) if scene.colour != "white" else (108, 120, 152)
    keep, pointed = dice.choice(KEEPS), dice.chance(0.7)
    high, top = dice.between(0.5, 0.6), dice.between(0.34, 0.42)
    if not keep:
        high, top, pointed = high + 0.12, top + 0.06, True
    flag = PALETTE["yellow" if scene.colour not in ("yellow", "white") else "red"]
    snow = scene.weather == "snow"

    back = lighter(wall, 0.16) if scene.colour != "white" else (226, 228, 236)
    for x, half, height, tip in keep:
        _tower(figure, (x, half, height, tip), (back, roof), snow)
        figure.rectangle(x - 0.045, height - 0.19, x + 0.045, height - 0.07, *glass(scene))
    if len(keep) == 1:
        pennant(figure, 0, 0.9, 1.12, flag)

    figure.rectangle(-0.46, 0, 0.46, top, wall)
    for k in range(5):
        x = -0.42 + 0.18 * k
        figure.rectangle(x, top - 0.01, x + 0.1, top + 0.06, SNOW if snow else wall, outlined=False)
    for x in (-0.45, 0.45):
        _tower(figure, (x, 0.125, high, high + 0.3 if pointed else high), (wall, roof), snow)
        figure.rectangle(x - 0.04, high - 0.2, x + 0.04, high - 0.08, *glass(scene))
    figure.polygon([(-0.12, 0), *arc(0, 0.15, 0.12, 0.12, 1, 0, 8), (0.12, 0)], WOOD)
    figure.line([(0, 0), (0, 0.26)], darker(WOOD, 0.4), 0.018)


def _tower(
    figure: Figure, shape: tuple[float, float, float, float], colours: tuple[Colour, Colour], snow: bool
) -> None:
    """Draw a tower at x, with half its width, its height, and where its roof ends, or battlements if it has none."""
    (x, half, height, tip), (wall, roof) = shape, colours
    figure.rectangle(x - half, 0, x + half, height, wall)
    if tip > height:
        figure.polygon([(x - half - 0.05, height), (x, tip), (x + half + 0.05, height)], roof)
        if snow:
            low = height + 0.5 * (tip - height)
            figure.polygon([(x - half * 0.6, low), (x, tip), (x + half * 0.6, low), (x, low + 0.04)], SNOW)
        return
    figure.rectangle(x - half - 0.03, height - 0.05, x + half + 0.03, height, roof)
    for k in (-1, 0, 1):
        left = x + k * (half - 0.02) - 0.04
        figure.rectangle(left, height, left + 0.08, height + 0.07, SNOW if snow else wall)
