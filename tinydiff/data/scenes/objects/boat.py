"""A sailing boat."""

from tinydiff.data.scenes.canvas import Figure
from tinydiff.data.scenes.light import PALETTE, darker, lighter
from tinydiff.data.scenes.objects.parts import CREAM, WOOD, moved
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
    rig, mark, pennant = dice.choice(("sloop", "gaff", "square")), dice.choice((0, 1, 2)), dice.chance(0.6)
    mast, bow = dice.between(-0.04, 0.06), dice.between(0.4, 0.5)
    paint, white = PALETTE[scene.colour], scene.colour == "white"
    hull, strake = ((238, 240, 244), (70, 90, 130)) if white else (darker(paint, 0.12), CREAM)
    jib, stripe = ((226, 232, 242), (110, 130, 170)) if white else (CREAM, lighter(paint, 0.6))

    figure.line([(mast, 0.18), (mast, 1.0)], WOOD, 0.04)
    if rig == "sloop":
        figure.blob(moved([(-0.035, 0.28), (-0.04, 0.96), (-0.23, 0.62), (-0.42, 0.29)], mast), paint)
        figure.polygon(moved([(0.04, 0.28), (0.04, 0.82), (0.34, 0.28)], mast), jib)
        if mark:
            figure.rectangle(mast - 0.26, 0.46, mast - 0.05, 0.53, stripe, outlined=False)
    elif rig == "gaff":
        figure.polygon(moved([(-0.035, 0.28), (-0.035, 0.74), (-0.28, 0.98), (-0.42, 0.28)], mast), paint)
        figure.line([(mast, 0.7), (mast - 0.3, 0.99)], WOOD, 0.03)
        figure.polygon(moved([(0.04, 0.28), (0.04, 0.86), (0.36, 0.28)], mast), jib)
        if mark == 1:
            figure.ellipse(mast - 0.2, 0.5, 0.075, 0.075, stripe, outlined=False)
        elif mark == 2:
            figure.rectangle(mast - 0.38, 0.38, mast - 0.05, 0.45, stripe, outlined=False)
    else:
        edge = [(0.0, 0.92), (0.07, 0.8), (0.1, 0.66), (0.08, 0.5), (0.0, 0.32)]  # full of wind
        figure.polygon([*moved(edge, mast + 0.3), *moved(edge[::-1], mast - 0.3)], paint)
        for x in ((), (0.0,), (-0.16, 0.16))[mark]:
            figure.polygon([*moved(edge, mast + x + 0.04), *moved(edge[::-1], mast + x - 0.04)], stripe, outlined=False)
        figure.line([(mast - 0.34, 0.93), (mast + 0.34, 0.93)], WOOD, 0.035)
    if pennant:
        red = PALETTE["yellow" if scene.colour == "red" else "red"]
        figure.polygon(moved([(0, 1.06), (-0.16, 1.02), (0, 0.98)], mast), red)

    figure.polygon([(-0.46, 0.23), (bow, 0.25), (bow * 0.72, 0), (-0.34, 0)], hull)
    figure.polygon([(-0.465, 0.2), (-0.46, 0.24), (bow + 0.01, 0.26), (bow - 0.02, 0.2)], strake)
    figure.rectangle(-0.37, 0.0, bow * 0.76, 0.045, darker(paint, 0.5), outlined=False)
    for x, y in ((-0.42, -0.03), (0.08, -0.05)):  # ripples
        figure.line([(x, y), (x + 0.3, y)], (220, 240, 250), 0.025, "ground")
