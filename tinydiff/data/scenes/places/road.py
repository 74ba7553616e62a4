"""A road through fields, towards the horizon."""

from tinydiff.data.scenes.canvas import Canvas
from tinydiff.data.scenes.dice import Dice
from tinydiff.data.scenes.places.landscape import below, hill
from tinydiff.data.scenes.places.registry import Anchors, place, snowed_on
from tinydiff.data.scenes.scene import Scene

FIELDS = ((226, 204, 108), (142, 186, 88), (196, 206, 100), (120, 170, 84))
HORIZON = 0.56


@place(
    soil=(110, 116, 110),
    ground=("on a road", "on a road through fields", "on a country road"),
    beside=("by a road", "beside a country road", "by a road through fields"),
    sky=("over a road", "over a road through fields", "above a country road"),
)
def road(canvas: Canvas, scene: Scene, dice: Dice) -> Anchors:
    """Paint fields that meet at a vanishing point, and the road between them with its white line."""
    hill(canvas, HORIZON - 0.01, 0.03, snowed_on((110, 160, 120), scene), dice.between(0, 6), 0.7)
    below(canvas, HORIZON, snowed_on((164, 198, 96), scene))
    vanishing, first = dice.between(0.42, 0.58), int(dice.between(0, 4))
    for k in (-5, -4, -3, -2, -1, 1, 2, 3, 4, 5):
        far = [(vanishing + k * 0.05, HORIZON), (vanishing + (k + 0.5) * 0.05, HORIZON)]
        near = [(0.5 + (k + 0.5) * 0.38, 1.06), (0.5 + k * 0.38, 1.06)]
        canvas.polygon([*far, *near], snowed_on(FIELDS[(k + first) % 4], scene), "ground", False)
    sides = [(vanishing - 0.02, HORIZON), (vanishing + 0.02, HORIZON), (0.92, 1.06), (0.08, 1.06)]
    canvas.polygon(sides, snowed_on((104, 106, 116), scene), "ground")
    for k in range(5):
        _dash(canvas, vanishing, (k / 5) ** 1.7, ((k + 0.55) / 5) ** 1.7)
    return Anchors(ground=0.93, sky=0.33)


def _dash(canvas, vanishing, start, end):
    """Paint a piece of the white line, from one share of the way to the viewer to another."""
    corners = []
    for share, signs in ((start, (-1, 1)), (end, (1, -1))):
        x, y, half = vanishing + (0.5 - vanishing) * share, HORIZON + (1 - HORIZON) * share, 0.003 + 0.02 * share
        corners += [(x + sign * half, y) for sign in signs]
    canvas.polygon(corners, (248, 240, 200), "ground", False)
