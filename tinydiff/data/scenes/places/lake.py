"""A lake before mountains."""

from tinydiff.data.scenes.canvas import Canvas
from tinydiff.data.scenes.dice import Dice
from tinydiff.data.scenes.places.landscape import OUT, below, hill, streaks
from tinydiff.data.scenes.places.registry import Anchors, place, snowed_on
from tinydiff.data.scenes.scene import Scene


@place(
    soil=(110, 168, 90),
    ground=("by a lake", "at a lake", "on the shore of a lake"),
    water=("on a lake", "on the water of a lake"),
    sky=("over a lake", "above a lake"),
)
def lake(canvas: Canvas, scene: Scene, dice: Dice) -> Anchors:
    """Paint mountains, the far shore, the water, and a near shore, or reeds where a boat needs the room."""
    middle = dice.between(0.2, 0.8)
    for x, height, half in ((middle, 0.24, 0.34), (middle - 0.4, 0.17, 0.3), (middle + 0.42, 0.18, 0.32)):
        top = 0.52 - height
        canvas.polygon([(x - half, 0.56), (x, top), (x + half, 0.56)], (132, 156, 188), "ground")
        snow = [(x - 0.25 * half, 0.53 - 0.72 * height), (x, top), (x + 0.25 * half, 0.53 - 0.72 * height)]
        canvas.polygon(snow, (228, 236, 246), "ground", False)
    hill(canvas, 0.535, 0.02, snowed_on((84, 142, 98), scene), dice.between(0, 6))
    below(canvas, 0.56, (76, 154, 206))
    canvas.rectangle(-OUT, 0.68, 1 + OUT, 1 + OUT, (96, 174, 220), "ground", False)
    streaks(canvas, dice, 10, 0.59, 0.82)
    if scene.object == "boat":
        for side in (0.04, 0.96):
            for _ in range(4):
                x = side + dice.between(-0.05, 0.05)
                canvas.line([(x, 1.06), (x + dice.between(-0.02, 0.02), 0.86)], (70, 120, 70), 0.012, "ground")
    else:
        hill(canvas, 0.85, 0.02, snowed_on((116, 178, 96), scene), dice.between(0, 6))
    return Anchors(ground=0.94, water=0.84, sky=0.32)
