"""A tent."""

from tinydiff.data.scenes.canvas import Figure
from tinydiff.data.scenes.light import PALETTE, SNOW, WINDOW, darker, lighter
from tinydiff.data.scenes.objects.parts import CREAM, WOOD, arc, heap_of_snow, mirror, pennant
from tinydiff.data.scenes.objects.registry import drawing
from tinydiff.data.scenes.scene import Scene


@drawing(
    {"tent": "tents"},
    colours=("red", "blue", "yellow", "green", "orange", "purple", "pink"),
    places=("mountain", "beach", "meadow", "desert", "forest", "lake", "road"),
    height=0.9,
    half_width=0.62,
)
def tent(figure: Figure, scene: Scene) -> None:
    """Draw a tent: a ridge tent, a tipi with poles, or a dome, each with an opening that is lit in the dark."""
    dice = figure.dice
    cloth = PALETTE[scene.colour]
    kind, flag, stripes = dice.choice(("ridge", "tipi", "dome")), dice.chance(0.6), dice.chance(0.5)
    lean, wide = dice.between(-0.05, 0.05), dice.between(0.54, 0.6)
    inside, layer = (WINDOW, "glow") if scene.time != "day" else (darker(cloth, 0.65), "object")
    flap = lighter(cloth, 0.3)
    snow = scene.weather == "snow"

    if kind == "ridge":
        figure.polygon([(-wide, 0), (lean, 0.88), (wide, 0)], cloth)
        figure.polygon([(lean, 0.88), (wide, 0), (wide - 0.28, 0)], darker(cloth, 0.2))
        figure.polygon([(-0.26, 0), (lean, 0.58), (0.2, 0)], inside, layer)
        figure.polygon([(-0.26, 0), (lean, 0.58), (-0.09, 0)], flap)
        if snow:
            heap_of_snow(figure, lean, 0.66, 0.16, 0.25)
        if flag:
            pennant(figure, lean, 0.84, 1.05, CREAM)
    elif kind == "tipi":
        wide -= 0.12
        for x in (-0.13, 0.0, 0.13):
            figure.line([(x, 1.02), (-x * 0.4, 0.8)], WOOD, 0.03)
        figure.polygon(mirror([(wide, 0), (0.06, 0.9)]), cloth)
        if stripes:
            for low, high in ((0.1, 0.17), (0.6, 0.67)):
                right = [(wide - (wide - 0.06) * y / 0.9, y) for y in (low, high)]
                figure.polygon(mirror(right), lighter(cloth, 0.55), outlined=False)
        figure.polygon([(-0.16, 0), (0, 0.5), (0.16, 0)], inside, layer)
        if snow:
            figure.polygon([(-0.16, 0.7), (-0.06, 0.91), (0.06, 0.91), (0.16, 0.7), (0.06, 0.75), (-0.05, 0.7)], SNOW)
    else:
        figure.polygon(arc(0, 0, wide, 0.86, 0, 1, 16), cloth)
        for side in (-1, 1):
            pole = arc(0, 0, side * wide * 0.62, 0.86, 0, 0.5, 6)
            figure.line(pole, darker(cloth, 0.28), 0.02)
        figure.polygon([(-0.21, 0), *arc(0, 0, 0.21, 0.52, 1, 0, 8)], inside, layer)
        figure.polygon([(-0.21, 0), *arc(0, 0, 0.21, 0.52, 1, 0.55, 5), (-0.1, 0)], flap)
        if snow:
            heap_of_snow(figure, 0, 0.7, 0.3, 0.2)
        if flag:
            pennant(figure, 0, 0.84, 1.04, CREAM)
