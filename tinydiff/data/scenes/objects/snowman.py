"""A snowman."""

from tinydiff.data.scenes.canvas import Figure
from tinydiff.data.scenes.light import DARK, PALETTE, darker
from tinydiff.data.scenes.objects.parts import WOOD, arc, moved
from tinydiff.data.scenes.objects.registry import drawing
from tinydiff.data.scenes.scene import Scene

BALL, SHADE = (250, 252, 255), (214, 226, 242)


@drawing(
    {"snowman": "snowmen"},
    colours=("",),
    places=("mountain", "forest", "meadow", "city", "road", "lake"),
    half_width=0.44,
)
def snowman(figure: Figure, scene: Scene) -> None:
    """Draw a snowman of two or three balls: arms of twigs, a scarf, a carrot, coals, and one of three hats."""
    dice = figure.dice
    three, hat = dice.chance(0.6), dice.choice(("top hat", "bobble hat", "bucket"))
    scarf = PALETTE[dice.choice(("red", "blue", "green", "orange", "purple"))]
    lift, side, broom = dice.between(0.0, 0.14), dice.choice((-1, 1)), dice.chance(0.3)
    head, radius = 0.7, 0.16 if three else 0.18
    figure.line([(-side * 0.18, 0.46), (-side * 0.4, 0.52 + lift)], WOOD, 0.03)
    figure.line([(-side * 0.33, 0.5 + lift * 0.7), (-side * 0.38, 0.44 + lift)], WOOD, 0.022)
    figure.line([(side * 0.18, 0.46), (side * 0.37, 0.42)], WOOD, 0.03)
    if broom:
        figure.line([(side * 0.37, 0.02), (side * 0.37, 0.68)], WOOD, 0.03)
        figure.polygon(moved([(-0.03, 0.66), (0.03, 0.66), (0.06, 0.86), (-0.06, 0.86)], side * 0.37), (214, 170, 90))
    balls = ((0.2, 0.28, 0.21), (0.48, 0.21, 0.17)) if three else ((0.27, 0.31, 0.28),)
    for y, half_width, half_height in balls:
        figure.ellipse(0, y, half_width, half_height, SHADE)
        figure.ellipse(-0.03, y + 0.02, half_width * 0.86, half_height * 0.86, BALL, outlined=False)
    figure.ellipse(0, head, radius, radius * 0.95, SHADE)
    figure.ellipse(-0.015, head + 0.012, radius * 0.88, radius * 0.84, BALL, outlined=False)
    for y in (0.47, 0.38, 0.24) if three else (0.4, 0.3, 0.2):
        figure.ellipse(0, y, 0.024, 0.024, DARK, outlined=False)
    figure.polygon(
        [(side * 0.05, 0.56), (side * 0.14, 0.56), (side * 0.17, 0.36), (side * 0.08, 0.35)], darker(scarf, 0.12)
    )
    figure.blob([(-0.16, 0.6), (0.16, 0.6), (0.17, 0.54), (-0.17, 0.54)], scarf)
    for x in (-0.06, 0.06):
        figure.ellipse(x, head + 0.05, 0.024, 0.028, DARK, outlined=False)
    figure.polygon([(0, head + 0.03), (0, head - 0.03), (side * 0.19, head - 0.01)], (244, 140, 50))
    figure.line([(-0.06, head - 0.06), (0, head - 0.085), (0.06, head - 0.06)], DARK, 0.02)
    if hat == "top hat":
        figure.rectangle(-0.12, head + 0.13, 0.12, 1.0, DARK)
        figure.rectangle(-0.12, head + 0.14, 0.12, head + 0.18, scarf, outlined=False)
        figure.rectangle(-0.2, head + 0.1, 0.2, head + 0.14, DARK)
    elif hat == "bobble hat":
        figure.polygon(arc(0, head + 0.1, 0.165, 0.15, 0, 1, 8), scarf)
        figure.rectangle(-0.175, head + 0.07, 0.175, head + 0.13, darker(scarf, 0.25))
        figure.ellipse(0, head + 0.26, 0.05, 0.05, (250, 246, 234))
    else:
        bucket = [(-0.16, head + 0.09), (0.16, head + 0.09), (0.11, 0.98), (-0.11, 0.98)]
        figure.polygon(bucket, (132, 146, 166))
        figure.line([(-0.16, head + 0.1), (0.16, head + 0.1)], (92, 104, 124), 0.03)
