"""A green meadow with flowers."""

from tinydiff.data.scenes.canvas import Canvas
from tinydiff.data.scenes.dice import Dice
from tinydiff.data.scenes.places.landscape import hill
from tinydiff.data.scenes.places.registry import Anchors, place, snowed_on
from tinydiff.data.scenes.scene import Scene

FLOWERS = ((250, 240, 240), (252, 214, 80), (240, 120, 150))


@place(
    soil=(120, 190, 92),
    ground=("in a meadow", "on a green meadow", "in a meadow with flowers", "on the grass of a meadow"),
    sky=("over a meadow", "above a green meadow"),
)
def meadow(canvas: Canvas, scene: Scene, dice: Dice) -> Anchors:
    """Paint three hills one before the other, bushes on the last one, and flowers where no snow lies."""
    horizon = dice.between(0.57, 0.63)
    hill(canvas, horizon, dice.between(0.03, 0.06), snowed_on((126, 188, 120), scene), dice.between(0, 6), 0.8)
    for _ in range(3):
        x, size = dice.roll(), dice.between(0.035, 0.06)
        canvas.ellipse(x, horizon + 0.01, size, 0.9 * size, snowed_on((74, 142, 84), scene), "ground")
    hill(canvas, 0.7, 0.035, snowed_on((110, 190, 92), scene), dice.between(0, 6))
    hill(canvas, 0.82, 0.02, snowed_on((134, 208, 100), scene), dice.between(0, 6))
    if scene.weather != "snow":
        for _ in range(16):
            x, y = dice.roll(), dice.between(0.8, 0.99)
            canvas.ellipse(x, y, 0.012, 0.012, dice.choice(FLOWERS), "ground", False)
    return Anchors(ground=0.93, sky=0.36)
