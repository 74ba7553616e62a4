"""A clearing in a forest of firs."""

from tinydiff.data.scenes.canvas import Canvas
from tinydiff.data.scenes.dice import Dice
from tinydiff.data.scenes.places.landscape import fir, hill
from tinydiff.data.scenes.places.registry import Anchors, place, snowed_on
from tinydiff.data.scenes.scene import Scene


@place(
    soil=(110, 168, 90),
    ground=("in a forest", "in a forest clearing", "in the woods", "among the firs of a forest"),
    sky=("over a forest", "above the woods"),
)
def forest(canvas: Canvas, scene: Scene, dice: Dice) -> Anchors:
    """Paint a row of distant firs, near ones at both sides, and the clearing with some shrubs."""
    snow = scene.weather == "snow"
    for k in range(9):
        x = (k + dice.between(0.1, 0.9)) / 9
        fir(canvas, x, 0.72, dice.between(0.36, 0.5), (74, 128, 110), snow)
    hill(canvas, 0.71, 0.015, snowed_on((98, 158, 90), scene), dice.between(0, 6))
    for low, high in ((-0.02, 0.06), (0.94, 1.02), (0.1, 0.17), (0.83, 0.9)):
        fir(canvas, dice.between(low, high), dice.between(0.78, 0.82), dice.between(0.5, 0.62), (40, 104, 76), snow)
    hill(canvas, 0.8, 0.015, snowed_on((122, 182, 98), scene), dice.between(0, 6))
    for _ in range(6):
        x = dice.choice((dice.between(0, 0.25), dice.between(0.75, 1)))
        canvas.ellipse(x, dice.between(0.84, 0.98), 0.035, 0.018, snowed_on((92, 150, 80), scene), "ground", False)
    return Anchors(ground=0.93, sky=0.28)
