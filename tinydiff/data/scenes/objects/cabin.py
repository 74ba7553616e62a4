"""A log cabin."""

from tinydiff.data.scenes.canvas import Figure
from tinydiff.data.scenes.light import PALETTE, SNOW, darker, lighter, mix
from tinydiff.data.scenes.objects.parts import glass, window
from tinydiff.data.scenes.objects.registry import drawing
from tinydiff.data.scenes.scene import Scene

ROOF = (108, 66, 60)


@drawing(
    {"cabin": "cabins", "hut": "huts", "log cabin": "log cabins"},
    colours=("", "red", "blue", "yellow", "green"),
    places=("mountain", "beach", "meadow", "road", "forest", "lake", "city"),
    half_width=0.6,
)
def cabin(figure: Figure, scene: Scene) -> None:
    """Draw a cabin from its gable or from its long side: chimney, walls of logs, roof, door, and lit windows."""
    dice = figure.dice
    wall = PALETTE[scene.colour] if scene.colour else (186, 130, 82)
    roof = mix(ROOF, darker(wall, 0.5), 0.55 if scene.colour else 0.0)
    gable, side, two_windows = dice.chance(0.6), dice.choice((-1, 1)), dice.chance(0.4)
    eaves, ridge = dice.between(0.42, 0.5) + (0.0 if gable else 0.05), dice.between(0.82, 0.95)
    round_window = dice.chance(0.6)
    snow = scene.weather == "snow" or scene.place == "mountain"

    chimney = side * dice.between(0.22, 0.32)
    figure.rectangle(chimney - 0.065, 0.5, chimney + 0.065, 1.0, (132, 104, 98))
    figure.rectangle(chimney - 0.085, 0.96, chimney + 0.085, 1.02, SNOW if snow else (104, 82, 80))
    for k, radius in enumerate((0.045, 0.06, 0.075)):
        figure.ellipse(chimney + side * 0.05 * k, 1.1 + 0.1 * k, radius, radius, (226, 228, 234), "ground", False)

    if gable:
        figure.polygon([(-0.46, 0), (-0.46, eaves), (0, ridge - 0.02), (0.46, eaves), (0.46, 0)], wall)
    else:
        figure.rectangle(-0.5, 0, 0.5, eaves + 0.02, wall)
    half = 0.46 if gable else 0.5
    for k in range(1, 4):
        figure.line([(-half, eaves * k / 3.6), (half, eaves * k / 3.6)], darker(wall, 0.22), 0.018)
    if gable:
        slope = (ridge - eaves) / 0.46  # the roof is two boards along the slopes
        outer = [(-0.6, eaves - 0.14 * slope + 0.07), (0, ridge + 0.05), (0.6, eaves - 0.14 * slope + 0.07)]
        inner = [(0.6, eaves - 0.14 * slope - 0.06), (0, ridge - 0.1), (-0.6, eaves - 0.14 * slope - 0.06)]
        figure.polygon([*outer, *inner], roof)
        if snow:
            figure.polygon([*outer, *((x, y + 0.055) for x, y in inner)], SNOW)
        if round_window:
            figure.ellipse(0, eaves + 0.13, 0.07, 0.07, *glass(scene))
    else:
        top = ridge - 0.1
        figure.polygon([(-0.6, eaves), (-0.44, top), (0.44, top), (0.6, eaves)], roof)
        figure.line([(-0.55, (eaves * 2 + top) / 3), (0.55, (eaves * 2 + top) / 3)], darker(roof), 0.018)
        if snow:
            lower = [(0.5, eaves + 0.14), (0.3, eaves + 0.2), (0.05, eaves + 0.13), (-0.25, eaves + 0.2)]
            figure.polygon([(-0.53, eaves + 0.14), (-0.44, top + 0.03), (0.44, top + 0.03), *lower], SNOW)

    door = -side * (0.2 if not two_windows else 0.0)
    figure.rectangle(door - 0.1, 0, door + 0.1, 0.34, darker(wall, 0.55))
    figure.ellipse(door + 0.05, 0.16, 0.02, 0.02, lighter(wall, 0.6), outlined=False)
    for x in (-0.28, 0.28) if two_windows else (side * 0.2,):
        window(figure, scene, x, 0.25, 0.1 if two_windows else 0.13, 0.1)
