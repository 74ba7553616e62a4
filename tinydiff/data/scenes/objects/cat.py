"""A cat."""

from tinydiff.data.scenes.canvas import Figure
from tinydiff.data.scenes.light import INK, darker, lighter
from tinydiff.data.scenes.objects.parts import fur, limb
from tinydiff.data.scenes.objects.registry import drawing
from tinydiff.data.scenes.scene import PLACES, Scene

NOSE = (240, 136, 146)


@drawing(
    {"cat": "cats", "kitty": "kitties"},
    colours=("black", "white", "orange", "grey"),
    places=PLACES,
    height=0.87,
    half_width=0.42,
    turns=True,
)
def cat(figure: Figure, scene: Scene) -> None:
    """Draw a cat that sits and looks at us: a curled tail, pointed ears, eyes, whiskers, perhaps stripes or a bib."""
    dice = figure.dice
    coat = fur(figure, scene)
    tail, pattern, asleep = (
        dice.choice(("hook", "up", "round")),
        dice.choice(("plain", "stripes", "bib", "socks")),
        dice.chance(0.2),
    )
    plump, ear = dice.between(0.9, 1.08), dice.between(0.94, 1.02)
    black, white = scene.colour == "black", scene.colour == "white"
    pale = (226, 226, 230) if white else lighter(coat, 0.6)
    stripe = (216, 190, 160) if white else darker(coat, 0.35) if not black else lighter(coat, 0.22)

    paths = {
        "hook": [(0.16, 0.07), (0.32, 0.09), (0.38, 0.2), (0.36, 0.34), (0.28, 0.42)],
        "up": [(0.16, 0.08), (0.3, 0.12), (0.34, 0.3), (0.33, 0.48), (0.38, 0.58)],
        "round": [(0.18, 0.06), (0.34, 0.07), (0.37, 0.03), (0.12, 0.03)],
    }
    limb(figure, paths[tail], coat, 0.095)
    if pattern == "socks":
        figure.ellipse(*paths[tail][-1], 0.04, 0.04, pale, outlined=False)

    figure.blob(
        [(-0.2, 0.0), (0.2, 0.0), (0.27 * plump, 0.16), (0.17, 0.46), (-0.17, 0.46), (-0.27 * plump, 0.16)], coat
    )
    if pattern == "bib":
        figure.ellipse(0, 0.3, 0.11, 0.17, pale, outlined=False)
    elif pattern == "stripes":
        for x in (-1, 1):
            for y in (0.16, 0.27):
                figure.line([(x * 0.22, y), (x * 0.11, y - 0.01)], stripe, 0.035)
    figure.line([(0, 0.02), (0, 0.16)], darker(coat, 0.25) if not black else lighter(coat, 0.25), 0.02)
    for x in (-0.085, 0.085):
        figure.ellipse(x, 0.035, 0.08, 0.045, pale if pattern == "socks" else lighter(coat, 0.15 if black else 0.25))

    for x in (-1, 1):
        figure.polygon([(x * 0.26, 0.66), (x * 0.235, ear), (x * 0.03, 0.82)], coat)
        figure.polygon([(x * 0.21, 0.76), (x * 0.205, ear - 0.08), (x * 0.1, 0.82)], NOSE, outlined=False)
    figure.ellipse(0, 0.65, 0.28, 0.22, coat)
    if pattern == "stripes":
        for x in (-0.07, 0, 0.07):
            figure.line([(x, 0.85), (x * 0.8, 0.77)], stripe, 0.03)
    if pattern in ("bib", "socks"):
        figure.ellipse(0, 0.565, 0.12, 0.085, pale, outlined=False)
    whisker = (214, 214, 220) if black else (90, 84, 92)
    for x in (-1, 1):
        if asleep:
            figure.line([(x * 0.17, 0.69), (x * 0.12, 0.66), (x * 0.07, 0.69)], (250, 222, 90) if black else INK, 0.025)
        else:
            figure.ellipse(x * 0.115, 0.68, 0.062, 0.07, (250, 222, 90) if black else (126, 200, 120), "glow")
            figure.ellipse(x * 0.115, 0.68, 0.025, 0.055, (30, 28, 36), "glow", False)
        for y in (0.6, 0.54):
            figure.line([(x * 0.13, 0.575), (x * 0.36, y)], whisker, 0.012)
    figure.polygon([(-0.035, 0.605), (0.035, 0.605), (0, 0.565)], NOSE)
    figure.line(
        [(-0.065, 0.555), (-0.032, 0.532), (0, 0.56), (0.032, 0.532), (0.065, 0.555)], whisker if black else INK, 0.018
    )
