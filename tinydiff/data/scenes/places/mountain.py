"""A snowy mountain: things stand on its top, or before it."""

from tinydiff.data.scenes.canvas import Canvas
from tinydiff.data.scenes.dice import Dice
from tinydiff.data.scenes.light import SNOW
from tinydiff.data.scenes.places.landscape import fir, hill
from tinydiff.data.scenes.places.registry import Anchors, place, snowed_on
from tinydiff.data.scenes.scene import Scene


@place(
    soil=(206, 216, 230),
    top=("on top of a snowy mountain", "on a snowy mountain top", "high on a snowy mountain", "on a snowy mountain"),
    ground=("in front of a snowy mountain", "at the foot of a snowy mountain", "below a snowy mountain"),
    sky=("over a snowy mountain", "above a snowy mountain"),
)
def mountain(canvas: Canvas, scene: Scene, dice: Dice) -> Anchors:
    """Paint distant peaks, the mountain with its shadow and its cap of snow, a hill before it, and firs."""
    for middle in (0.1, 0.9):
        _distant(canvas, middle + dice.between(-0.1, 0.1), dice.between(0.3, 0.4))
    climbed = scene.position == "top"
    x, y = dice.between(0.42, 0.58), dice.between(0.52, 0.56) if climbed else dice.between(0.26, 0.34)
    half = 0.17 if climbed else 0.015  # of the top, which is flat enough to stand on
    lean = dice.between(-0.04, 0.04)
    left, right = [(x - half - 0.2, y + 0.19), (x - half - 0.1, y + 0.14), (x - half, y)], [(x + half, y)]
    right += [(x + half + 0.08, y + 0.12), (x + half + 0.19, y + 0.18)]
    foot_left, foot_right = (x - 0.54 + lean, 0.95), (x + 0.56 + lean, 0.95)
    canvas.polygon([foot_left, *left, *right, foot_right], (122, 138, 170), "ground")
    shadow = [(x + half * 0.6, y), *right, foot_right, (x + 0.12 + lean, 0.95), (x + 0.02, y + 0.2)]
    canvas.polygon(shadow, (98, 114, 150), "ground", False)
    _cap(canvas, x, y, half, 0.14 if climbed else dice.between(0.17, 0.23))
    hill(canvas, 0.86, 0.025, snowed_on((216, 228, 240), scene), dice.between(0, 6))
    for _ in range(5):
        beside = dice.choice((dice.between(0.02, 0.22), dice.between(0.78, 0.98)))
        fir(canvas, beside, dice.between(0.86, 0.92), dice.between(0.13, 0.2), snow=True)
    return Anchors(ground=0.95, sky=0.34, top=(x, y + 0.012))


def _distant(canvas, x, height):
    """Paint a peak in the distance."""
    foot, half = 0.8, 0.35
    canvas.polygon([(x - half, foot), (x, foot - height), (x + half, foot)], (150, 168, 196), "ground")
    snow = [(x - 0.3 * half, foot - 0.7 * height), (x, foot - height), (x + 0.3 * half, foot - 0.7 * height)]
    edge = [(x + 0.04, foot - 0.64 * height), (x - 0.05, foot - 0.76 * height)]
    canvas.polygon([*snow, *edge], (226, 234, 246), "ground", False)


def _cap(canvas, x, y, half, depth):
    """Paint the snow on a top, with a jagged lower edge."""
    top = [
        (x - half - 0.78 * depth, y + depth),
        (x - half, y),
        (x + half, y),
        (x + half + 0.72 * depth, y + 0.98 * depth),
    ]
    edge = [
        (x + 0.6 * half + 0.3 * depth, y + 0.72 * depth),
        (x + 0.3 * half + 0.1 * depth, y + 1.15 * depth),
        (x - 0.3 * half - 0.12 * depth, y + 0.75 * depth),
        (x - 0.7 * half - 0.3 * depth, y + 1.2 * depth),
    ]
    canvas.polygon([*top, *edge], SNOW, "ground")
