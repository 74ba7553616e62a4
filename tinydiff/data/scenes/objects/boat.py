"""A sailing boat."""

from tinydiff.data.scenes.canvas import Figure
from tinydiff.data.scenes.light import PALETTE, darker, lighter
from tinydiff.data.scenes.objects.parts import CREAM, WOOD
from tinydiff.data.scenes.objects.registry import drawing
from tinydiff.data.scenes.scene import Scene


@drawing(
    {"boat": "boats", "sailing boat": "sailing boats", "sailboat": "sailboats"},
    colours=("red", "blue", "yellow", "green", "orange", "purple", "pink", "white"),
    places=("beach", "lake"),
    half_width=0.52,
    stands="water",
    turns=True,
)
def boat(figure: Figure, scene: Scene) -> None:
    """Draw a sailing boat: a mast, a main sail and mostly a jib, and a hull with a white strake."""
    dice = figure.dice
    paint = PALETTE[scene.colour]
    kind, mark, pennant = dice.choice(("sloop", "gaff", "square")), dice.choice((0, 1, 2)), dice.chance(0.6)
    mast, bow = dice.between(-0.04, 0.06), dice.between(0.4, 0.5)
    pale = (226, 232, 242) if scene.colour == "white" else CREAM
    stripe = (236, 110, 96) if scene.colour == "white" else lighter(paint, 0.6)

    figure.line([(mast, 0.18), (mast, 1.0)], WOOD, 0.04)
    if kind == "sloop":
        figure.blob([(mast - 0.035, 0.28), (mast - 0.04, 0.96), (mast - 0.23, 0.62), (mast - 0.42, 0.29)], paint)
        figure.polygon([(mast + 0.04, 0.28), (mast + 0.04, 0.82), (mast + 0.34, 0.28)], pale)
        if mark:
            figure.rectangle(mast - 0.26, 0.46, mast - 0.05, 0.53, stripe, outlined=False)
    elif kind == "gaff":
        figure.polygon([(mast - 0.035, 0.28), (mast - 0.035, 0.74), (mast - 0.28, 0.98), (mast - 0.42, 0.28)], paint)
        figure.line([(mast, 0.7), (mast - 0.3, 0.99)], WOOD, 0.03)
        figure.polygon([(mast + 0.04, 0.28), (mast + 0.04, 0.86), (mast + 0.36, 0.28)], pale)
        if mark == 1:
            figure.ellipse(mast - 0.2, 0.5, 0.075, 0.075, stripe, outlined=False)
        elif mark == 2:
            figure.rectangle(mast - 0.38, 0.38, mast - 0.05, 0.45, stripe, outlined=False)
    else:
        edge = [(0.3, 0.92), (0.37, 0.8), (0.4, 0.66), (0.38, 0.5), (0.3, 0.32)]  # full of wind
        figure.polygon([*((mast + x, y) for x, y in edge), *((mast + x - 0.6, y) for x, y in reversed(edge))], paint)
        for x in ((), (0.0,), (-0.16, 0.16))[mark]:
            band = [*((x + u - 0.34, y) for u, y in edge), *((x + u - 0.26, y) for u, y in reversed(edge))]
            figure.polygon([(mast + u, y) for u, y in band], stripe, outlined=False)
        figure.line([(mast - 0.34, 0.93), (mast + 0.34, 0.93)], WOOD, 0.035)
    if pennant:
        figure.polygon(
            [(mast, 1.06), (mast - 0.16, 1.02), (mast, 0.98)], PALETTE["yellow" if scene.colour == "red" else "red"]
        )
    hull = darker(paint, 0.12) if scene.colour != "white" else (238, 240, 244)
    figure.polygon([(-0.46, 0.23), (bow, 0.25), (bow * 0.72, 0), (-0.34, 0)], hull)
    figure.polygon(
        [(-0.465, 0.2), (-0.46, 0.24), (bow + 0.01, 0.26), (bow - 0.02, 0.2)],
        pale if scene.colour != "white" else (70, 90, 130),
    )
    figure.rectangle(-0.37, 0.0, bow * 0.76, 0.045, darker(paint, 0.5), outlined=False)
    for x, y in ((-0.42, -0.03), (0.08, -0.05)):
        figure.line([(x, y), (x + 0.3, y)], (220, 240, 250), 0.025, "ground")
