"""A toy robot."""

from tinydiff.data.scenes.canvas import Figure
from tinydiff.data.scenes.light import DARK, PALETTE, darker, lighter
from tinydiff.data.scenes.objects.parts import arc, limb
from tinydiff.data.scenes.objects.registry import drawing
from tinydiff.data.scenes.scene import PLACES, Scene


@drawing(
    {"robot": "robots", "toy robot": "toy robots"},
    colours=("", "red", "blue", "yellow", "green", "orange", "purple", "pink", "white"),
    places=PLACES,
    half_width=0.46,
)
def robot(figure: Figure, scene: Scene) -> None:
    """Draw a robot: feet or a wheel, arms of which one may wave, a body with dials, and a friendly head."""
    dice = figure.dice
    metal = PALETTE[scene.colour] if scene.colour else (146, 164, 180)
    joints, lamp = darker(metal, 0.32), PALETTE["red" if scene.colour in ("yellow", "orange") else "yellow"]
    legs, waves, body = dice.choice(("feet", "wheel", "feet")), dice.choice((0, 0, -1, 1)), dice.choice((0, 1, 2))
    head, antenna, eyes = dice.choice((0, 1, 2)), dice.choice((0, 1, 2)), dice.choice((0, 0, 1, 2))
    half = dice.between(0.25, 0.31)

    if legs == "feet":
        for x in (-0.15, 0.15):
            figure.rectangle(x - 0.05, 0.05, x + 0.05, 0.22, darker(metal, 0.5))
            figure.rectangle(x - 0.11, 0, x + 0.11, 0.08, joints)
    else:
        figure.polygon([(-0.07, 0.22), (0.07, 0.22), (0.05, 0.1), (-0.05, 0.1)], joints)
        figure.ellipse(0, 0.11, 0.11, 0.11, DARK)
        figure.ellipse(0, 0.11, 0.05, 0.05, lighter(metal, 0.5))
    for sign in (-1, 1):
        shoulder, hand = (sign * (half - 0.02), 0.5), (sign * 0.38, 0.24)
        if waves == sign:
            hand = (sign * 0.38, 0.72)
        elbow = (sign * 0.38, 0.5 if waves == sign else 0.44)
        limb(figure, [shoulder, elbow, hand], joints, 0.09)
        figure.ellipse(*hand, 0.07, 0.07, lighter(metal, 0.35))

    if body == 0:
        figure.rectangle(-half, 0.19, half, 0.59, metal)
    elif body == 1:
        figure.polygon([(-half * 0.75, 0.19), (half * 0.75, 0.19), (half, 0.59), (-half, 0.59)], metal)
    else:
        figure.ellipse(0, 0.39, half + 0.02, 0.21, metal)
    face = (238, 242, 246) if scene.colour != "white" else (206, 216, 228)
    figure.rectangle(-0.15, 0.31, 0.15, 0.49, face)
    figure.ellipse(-0.07, 0.4, 0.042, 0.042, PALETTE["blue" if scene.colour == "red" else "red"], outlined=False)
    figure.ellipse(0.07, 0.4, 0.042, 0.042, PALETTE["yellow"], outlined=False)

    figure.rectangle(-0.06, 0.57, 0.06, 0.66, joints)
    if antenna == 0:
        figure.line([(0, 0.9), (0, 0.99)], joints, 0.03)
        figure.ellipse(0, 0.99, 0.045, 0.045, lamp)
    elif antenna == 1:
        for x in (-0.12, 0.12):
            figure.line([(x, 0.88), (x * 1.5, 0.99)], joints, 0.03)
            figure.ellipse(x * 1.5, 0.99, 0.035, 0.035, lamp)
    else:
        figure.polygon([(-0.05, 0.9), (0.05, 0.9), (0.1, 1.01), (-0.1, 1.01)], joints)
    for x in (-0.29, 0.29):
        figure.rectangle(x - 0.035, 0.71, x + 0.035, 0.83, joints)
    if head == 0:
        figure.rectangle(-0.27, 0.63, 0.27, 0.92, metal)
    elif head == 1:
        figure.ellipse(0, 0.77, 0.29, 0.16, metal)
    else:
        figure.polygon([(-0.27, 0.63), *arc(0, 0.72, 0.27, 0.21, 1, 0), (0.27, 0.63)], metal)

    if eyes == 2:  # a dark visor with two lights
        figure.rectangle(-0.2, 0.74, 0.2, 0.85, DARK)
        for x in (-0.09, 0.09):
            figure.ellipse(x, 0.795, 0.035, 0.035, (130, 240, 250), "glow", False)
    else:
        for x, radius in ((-0.11, 0.075), (0.11, 0.075)) if eyes == 0 else ((0, 0.095),):
            figure.ellipse(x, 0.8, radius, radius, (255, 255, 255), "glow")
            figure.ellipse(x + 0.012, 0.8, radius / 2, radius / 2, DARK, "glow", False)
    figure.line([(-0.09, 0.7), (-0.04, 0.675), (0.04, 0.675), (0.09, 0.7)], DARK, 0.026)
