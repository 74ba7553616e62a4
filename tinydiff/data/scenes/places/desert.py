"""A desert with dunes, a table mountain and cacti."""

from tinydiff.data.scenes.canvas import Canvas, Figure
from tinydiff.data.scenes.dice import Dice
from tinydiff.data.scenes.places.landscape import hill
from tinydiff.data.scenes.places.registry import Anchors, place
from tinydiff.data.scenes.scene import Scene


@place(
    soil=(236, 200, 134),
    ground=("in the desert", "in a desert", "on the sand of a desert"),
    sky=("over the desert", "above a desert"),
)
def desert(canvas: Canvas, scene: Scene, dice: Dice) -> Anchors:
    """Paint a table mountain, three dunes one before the other, and cacti."""
    x, width, height = dice.choice((0.12, 0.66)), dice.between(0.16, 0.26), dice.between(0.14, 0.22)
    table = [(x - 0.1, 0.64), (x, 0.64 - height), (x + width, 0.64 - height), (x + width + 0.1, 0.64)]
    canvas.polygon(table, (198, 116, 82), "ground")
    hill(canvas, 0.62, 0.05, (236, 188, 116), dice.between(0, 6), 0.7)
    hill(canvas, 0.74, 0.04, (244, 204, 134), dice.between(0, 6), 0.9)
    hill(canvas, 0.88, 0.02, (250, 216, 150), dice.between(0, 6))
    for x in (dice.between(0.02, 0.16), dice.between(0.84, 0.98)):
        _cactus(Figure(canvas, x, dice.between(0.74, 0.8), dice.between(0.16, 0.24), dice, dice.chance(0.5)))
    return Anchors(ground=0.93, sky=0.34)


def _cactus(figure):
    """Paint a cactus with two arms."""
    green = (72, 150, 96)
    for left, bottom, right, top in ((-0.3, 0.35, -0.17, 0.7), (0.17, 0.3, 0.3, 0.62)):
        figure.rectangle(left, bottom, right, top, green, "ground")
    figure.rectangle(-0.3, 0.32, 0.3, 0.44, green, "ground", False)
    figure.rectangle(-0.12, 0, 0.12, 1, (82, 162, 104), "ground")
