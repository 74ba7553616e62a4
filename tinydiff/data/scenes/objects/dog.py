"""A dog."""

from tinydiff.data.scenes.canvas import Figure
from tinydiff.data.scenes.light import DARK, PALETTE, darker, lighter
from tinydiff.data.scenes.objects.parts import fur, moved
from tinydiff.data.scenes.objects.registry import drawing
from tinydiff.data.scenes.scene import PLACES, Scene

# Outlines of tails, from the end of the back.
TAILS = {
    "up": [(-0.02, 0.5), (-0.1, 0.72), (-0.16, 0.84), (0.0, 0.74), (0.12, 0.52)],
    "curl": [(0.0, 0.5), (-0.14, 0.58), (-0.17, 0.76), (-0.02, 0.8), (-0.06, 0.66), (0.1, 0.54)],
    "down": [(0.04, 0.56), (-0.12, 0.46), (-0.17, 0.22), (-0.08, 0.3), (0.06, 0.42)],
}


@drawing(
    {"dog": "dogs"},
    colours=("black", "white", "brown", "grey"),
    places=PLACES,
    height=0.87,
    half_width=0.62,
    turns=True,
)
def dog(figure: Figure, scene: Scene) -> None:
    """Draw a dog that stands and looks to the right: legs, body, tail, a head with a snout, floppy ear and collar."""
    dice = figure.dice
    tail, patch, stretch = TAILS[dice.choice(tuple(TAILS))], dice.chance(0.4), dice.between(0.0, 0.08)
    leg, ear, tongue = dice.between(0.2, 0.32), dice.between(0.28, 0.42), dice.chance(0.3)
    coat = fur(figure, scene)
    far, snout, spot = darker(coat, 0.35), lighter(coat, 0.45), lighter(coat, 0.5)
    edge = drop = far  # of the legs, and of the ear
    if scene.colour == "black":
        far, snout, spot, edge, drop = (34, 32, 40), (150, 120, 96), (236, 236, 236), (70, 66, 76), (84, 80, 92)
    elif scene.colour == "white":
        snout, spot, drop = (232, 226, 216), (150, 110, 80), (150, 110, 80)
    back = -0.36 - stretch

    # Tail, legs of the far side, body, legs of the near side.
    figure.blob(moved(tail, back), coat)
    for x in (back + 0.18, 0.13):
        figure.rectangle(x - 0.06, 0, x + 0.06, leg + 0.08, far)
    belly = [(0.1, leg - 0.04), (back + 0.1, leg - 0.01)]
    figure.blob([(back, 0.55), (0.0, 0.56), (0.24, 0.6), (0.27, 0.3), *belly, (back - 0.03, 0.4)], coat)
    if patch:
        figure.ellipse(-0.14, 0.47, 0.13, 0.08, spot, outlined=False)
    for x in (back + 0.06, 0.24):
        figure.rectangle(x - 0.065, 0, x + 0.065, leg + 0.06, coat, outlined=False)
        figure.line([(x - 0.065, leg), (x - 0.065, 0), (x + 0.065, 0), (x + 0.065, leg)], edge, 0.018)
        figure.ellipse(x + 0.02, 0.03, 0.085, 0.035, snout)

    # Neck with a collar, head with a snout.
    figure.polygon([(0.08, 0.5), (0.33, 0.47), (0.33, 0.72), (0.1, 0.74)], coat, outlined=False)
    collar = PALETTE["blue" if scene.colour == "brown" else "red"]
    figure.polygon([(0.07, 0.53), (0.32, 0.49), (0.33, 0.56), (0.07, 0.6)], collar)
    figure.ellipse(0.26, 0.46, 0.04, 0.04, PALETTE["yellow"])
    skull = [(0.2, 0.58), (0.06, 0.72), (0.14, 0.9), (0.3, 0.94), (0.4, 0.84)]
    figure.blob([*skull, (0.56, 0.77), (0.58, 0.66), (0.42, 0.6)], coat)
    figure.blob([(0.42, 0.76), (0.56, 0.77), (0.59, 0.66), (0.42, 0.61), (0.35, 0.67)], snout, outlined=False)
    figure.ellipse(0.565, 0.76, 0.05, 0.042, DARK, outlined=False)
    figure.line([(0.57, 0.68), (0.44, 0.65)], DARK, 0.018)
    if tongue:
        figure.blob([(0.47, 0.65), (0.53, 0.65), (0.53, 0.53), (0.46, 0.54)], (240, 120, 132))
    figure.ellipse(0.36, 0.81, 0.045, 0.052, (255, 255, 255), "glow")
    figure.ellipse(0.372, 0.81, 0.026, 0.034, (30, 28, 36), "glow", False)
    figure.blob([(0.12, 0.9), (0.24, 0.88), (0.24, 0.9 - ear), (0.12, 0.86 - ear), (0.03, 0.92 - ear)], drop)
