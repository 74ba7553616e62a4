"""A cat."""

from tinydiff.data.scenes.canvas import Figure
from tinydiff.data.scenes.light import INK, darker, lighter
from tinydiff.data.scenes.objects.parts import fur, limb, mirror, moved
from tinydiff.data.scenes.objects.registry import drawing
from tinydiff.data.scenes.scene import PLACES, Scene

NOSE = (240, 136, 146)
TAILS = {
    "hook": [(0.16, 0.07), (0.32, 0.09), (0.38, 0.2), (0.36, 0.34), (0.28, 0.42)],
    "up": [(0.16, 0.08), (0.3, 0.12), (0.34, 0.3), (0.33, 0.48), (0.38, 0.58)],
    "round": [(0.18, 0.06), (0.34, 0.07), (0.37, 0.03), (0.12, 0.03)],
}


@drawing(
    {"cat": "cats"},
    colours=("black", "white", "orange", "grey"),
    places=PLACES,
    height=0.87,
    half_width=0.42,
    turns=True,
)
def cat(figure: Figure, scene: Scene) -> None:
    """Draw a cat that sits and looks at us: a curled tail, pointed ears, eyes, whiskers, perhaps stripes or a bib."""
    dice = figure.dice
    tail, pattern = TAILS[dice.choice(tuple(TAILS))], dice.choice(("plain", "stripes", "bib", "socks"))
    plump, ear, asleep = dice.between(0.9, 1.08), dice.between(0.94, 1.02), dice.chance(0.2)
    coat = fur(figure, scene)
    pale, stripe, line, eye = lighter(coat, 0.6), darker(coat, 0.35), darker(coat, 0.25), (126, 200, 120)
    paw, whisker = lighter(coat, 0.25), (90, 84, 92)
    if scene.colour == "black":
        stripe, line, paw = lighter(coat, 0.22), lighter(coat, 0.25), lighter(coat, 0.15)
        eye, whisker = (250, 222, 90), (214, 214, 220)
    elif scene.colour == "white":
        pale, stripe = (226, 226, 230), (216, 190, 160)

    # Tail, body and paws.
    limb(figure, tail, coat, 0.095)
    if pattern == "socks":
        figure.ellipse(*tail[-1], 0.04, 0.04, pale, outlined=False)
    figure.blob(mirror([(0.2, 0.0), (0.27 * plump, 0.16), (0.17, 0.46)]), coat)
    if pattern == "bib":
        figure.ellipse(0, 0.3, 0.11, 0.17, pale, outlined=False)
    elif pattern == "stripes":
        for side in (-1, 1):
            for y in (0.16, 0.27):
                figure.line([(side * 0.22, y), (side * 0.11, y - 0.01)], stripe, 0.035)
    figure.line([(0, 0.02), (0, 0.16)], line, 0.02)
    for x in (-0.085, 0.085):
        figure.ellipse(x, 0.035, 0.08, 0.045, pale if pattern == "socks" else paw)

    # Ears and head.
    for side in (-1, 1):
        figure.polygon(moved([(0.26, 0.66), (0.235, ear), (0.03, 0.82)], 0, across=side), coat)
        inside = [(0.21, 0.76), (0.205, ear - 0.08), (0.1, 0.82)]
        figure.polygon(moved(inside, 0, across=side), NOSE, outlined=False)
    figure.ellipse(0, 0.65, 0.28, 0.22, coat)
    if pattern == "stripes":
        for x in (-0.07, 0.0, 0.07):
            figure.line([(x, 0.85), (x * 0.8, 0.77)], stripe, 0.03)
    elif pattern != "plain":
        figure.ellipse(0, 0.565, 0.12, 0.085, pale, outlined=False)

    # Eyes, whiskers, nose and mouth.
    for side in (-1, 1):
        if asleep:
            lid = [(0.17, 0.69), (0.12, 0.66), (0.07, 0.69)]
            figure.line(moved(lid, 0, across=side), eye if scene.colour == "black" else INK, 0.025)
        else:
            figure.ellipse(side * 0.115, 0.68, 0.062, 0.07, eye, "glow")
            figure.ellipse(side * 0.115, 0.68, 0.025, 0.055, (30, 28, 36), "glow", False)
        for y in (0.6, 0.54):
            figure.line([(side * 0.13, 0.575), (side * 0.36, y)], whisker, 0.012)
    figure.polygon([(-0.035, 0.605), (0.035, 0.605), (0, 0.565)], NOSE)
    mouth = [(-0.065, 0.555), (-0.032, 0.532), (0, 0.56), (0.032, 0.532), (0.065, 0.555)]
    figure.line(mouth, whisker, 0.018)
