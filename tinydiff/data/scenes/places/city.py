"""A street in a city."""

from tinydiff.data.scenes.canvas import Canvas
from tinydiff.data.scenes.dice import Dice
from tinydiff.data.scenes.light import GLASS, SNOW, WINDOW
from tinydiff.data.scenes.places.landscape import below
from tinydiff.data.scenes.places.registry import Anchors, place, snowed_on
from tinydiff.data.scenes.scene import Scene

DISTANT = ((150, 160, 190), (168, 150, 176), (140, 170, 186))
NEAR = ((206, 110, 96), (226, 170, 110), (110, 140, 176), (232, 208, 176), (150, 120, 150))


@place(
    soil=(94, 98, 110),
    ground=("in a city street", "in the city", "on a street in town", "on a city street"),
    sky=("over a city", "above a city street"),
)
def city(canvas: Canvas, scene: Scene, dice: Dice) -> Anchors:
    """Paint a row of distant houses, one of near houses with windows, the pavement and the road."""
    _row(canvas, scene, dice, base=0.74, heights=(0.3, 0.5), near=False)
    _row(canvas, scene, dice, base=0.78, heights=(0.16, 0.36), near=True)
    below(canvas, 0.77, snowed_on((196, 192, 188), scene))
    below(canvas, 0.83, snowed_on((94, 98, 110), scene))
    for k in range(6):
        canvas.rectangle(0.03 + k * 0.18, 0.955, 0.12 + k * 0.18, 0.972, (240, 232, 200), "ground", False)
    return Anchors(ground=0.93, sky=0.32)


def _row(canvas, scene, dice, base, heights, near):
    x = -0.03 - dice.between(0, 0.1)
    while x < 1.05:
        width, height = dice.between(0.11, 0.2), dice.between(*heights)
        canvas.rectangle(x, base - height, x + width, base, dice.choice(NEAR if near else DISTANT), "ground")
        if scene.weather == "snow":
            canvas.rectangle(x, base - height, x + width, base - height + 0.018, SNOW, "ground", False)
        if near:
            _windows(canvas, scene, dice, x, base - height, width, height)
        x += width


def _windows(canvas, scene, dice, left, top, width, height):
    """Paint the windows of a house: some of them are lit at night."""
    columns, rows = max(2, int(width / 0.055)), max(1, int(height / 0.07))
    for i in range(columns):
        for j in range(rows):
            x, y = left + (i + 0.25) * width / columns, top + 0.025 + j * 0.07
            shines = scene.time == "night" and dice.chance(0.6)
            pane = WINDOW if shines else GLASS if scene.time == "day" else (70, 84, 110)
            right, bottom = x + 0.5 * width / columns, y + 0.035
            canvas.rectangle(x, y, right, bottom, pane, "glow" if shines else "ground", False)
