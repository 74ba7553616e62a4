"""A beach, and the sea behind it."""

from tinydiff.data.scenes.canvas import Canvas, Figure
from tinydiff.data.scenes.dice import Dice
from tinydiff.data.scenes.places.landscape import OUT, below, hill, palm, streaks
from tinydiff.data.scenes.places.registry import Anchors, place
from tinydiff.data.scenes.scene import Scene


@place(
    soil=(228, 200, 140),
    ground=("on a beach", "at the beach", "on the sand by the sea", "on a sandy beach"),
    water=("on the sea", "off a beach", "on the sea by a beach"),
    sky=("over a beach", "above a beach", "above the sea"),
)
def beach(canvas: Canvas, scene: Scene, dice: Dice) -> Anchors:
    """Paint the sea in two blues, foam, sand with pebbles, and perhaps a palm or a parasol at the side."""
    horizon = dice.between(0.46, 0.52)
    below(canvas, horizon, (54, 150, 196))
    canvas.rectangle(-OUT, horizon + 0.1, 1 + OUT, 1 + OUT, (84, 182, 208), "ground", False)
    streaks(canvas, dice, 9, horizon + 0.03, 0.7)
    phase, swing = dice.between(0, 6), dice.between(0.012, 0.03)
    hill(canvas, 0.735, swing, (240, 246, 244), phase, 0.8)
    hill(canvas, 0.76, swing, (240, 214, 150), phase + 0.2, 0.8)
    for _ in range(7):
        canvas.ellipse(dice.roll(), dice.between(0.84, 0.98), 0.012, 0.006, (214, 180, 118), "ground", False)
    side, decoration = dice.choice((-1, 1)), dice.choice(("palm", "palm", "parasol", "nothing"))
    if scene.object != "tree" and scene.count == 1 and scene.position != ("left" if side < 0 else "right"):
        x = 0.5 + side * 0.42
        if decoration == "palm":
            palm(Figure(canvas, x, 0.84, dice.between(0.42, 0.55), dice, mirrored=side > 0), (84, 160, 84))
        elif decoration == "parasol":
            _parasol(Figure(canvas, x, 0.86, dice.between(0.2, 0.26), dice))
    return Anchors(ground=0.93, water=0.71, sky=0.36)


def _parasol(figure):
    """Paint a parasol with stripes."""
    figure.line([(0, 0), (0, 1)], (150, 120, 90), 0.05, "ground")
    stripe = figure.dice.choice(((232, 120, 110), (110, 170, 210), (240, 200, 110)))
    for k in range(4):
        left, right = -0.5 + 0.25 * k, -0.25 + 0.25 * k
        figure.polygon([(left, 0.68), (0, 1.05), (right, 0.68)], stripe if k % 2 else (250, 246, 236), "ground")
