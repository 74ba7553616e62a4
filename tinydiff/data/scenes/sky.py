"""The sky and the weather: what is behind a scene, and the rain and snow before it."""

import math

import numpy as np
from PIL import Image

from tinydiff.data.scenes.canvas import Canvas
from tinydiff.data.scenes.dice import Dice
from tinydiff.data.scenes.light import INK, Colour, lighter, mix
from tinydiff.data.scenes.scene import Scene

TOP_AND_BOTTOM = {  # of a clear sky
    "day": ((92, 176, 236), (202, 234, 250)),
    "sunset": ((96, 84, 160), (255, 176, 104)),
    "night": ((16, 22, 60), (52, 66, 124)),
}
AFTERGLOW, AFTERGLOW_IN_CLOUDS = (240, 110, 120), (186, 132, 128)  # the middle of the sky at sunset
OVERCAST = {"day": (176, 188, 200), "sunset": (186, 132, 128), "night": (48, 54, 74)}
HOW_OVERCAST = {"clear": 0.0, "clouds": 0.35, "rain": 0.7, "snow": 0.55}
CLOUDS: dict[str, Colour] = {"day": (255, 255, 255), "sunset": (250, 190, 170), "night": (96, 104, 134)}
RAIN: dict[str, Colour] = {"day": (226, 236, 246), "sunset": (246, 220, 216), "night": (150, 168, 206)}
PUFFS = ((-0.09, 0.015, 0.045), (0.09, 0.015, 0.05), (0, -0.01, 0.07), (0.05, 0.02, 0.05), (-0.04, 0.025, 0.045))
SKY_ENDS = 0.62  # the colours of the sky run from the upper edge to this height


def paint_sky(canvas: Canvas, scene: Scene, dice: Dice) -> None:
    """Paint the sky with the sun or the moon, stars, and clouds."""
    top = _fill(canvas, scene)
    x = dice.between(0.12, 0.88)
    visible = scene.weather in ("clear", "clouds")
    if scene.time == "day" and visible:
        _sun(canvas, x)
    elif scene.time == "sunset" and scene.weather != "rain":
        canvas.ellipse(x, 0.42, 0.13, 0.13, (255, 206, 120), "glow")
        canvas.ellipse(x, 0.42, 0.1, 0.1, (255, 236, 170), "glow", False)
    elif scene.time == "night" and visible:
        canvas.ellipse(x, 0.15, 0.075, 0.075, (250, 244, 214), "glow")
        canvas.ellipse(x + 0.035, 0.135, 0.06, 0.06, top, "sky", False)
        for _ in range(22):
            radius = dice.choice((0.005, 0.006, 0.009))
            canvas.ellipse(dice.roll(), dice.between(0.02, 0.5), radius, radius, (255, 250, 220), "glow", False)
    if scene.weather != "clear":
        _clouds(canvas, scene, dice)


def paint_weather(canvas: Canvas, scene: Scene, dice: Dice) -> None:
    """Paint rain or falling snow, before everything else."""
    coarse = scene.style == "pixel art"
    if scene.weather == "rain":
        drop = (60, 90, 135) if canvas.in_ink else RAIN[scene.time]
        for _ in range(26 if coarse else 60):
            x, y = dice.between(0, 1.1), dice.between(0.05, 0.95)
            canvas.line([(x, y), (x - 0.02, y + 0.06)], drop, 0.0068, "glow")
    elif scene.weather == "snow":
        white = (226, 232, 246) if scene.time == "night" else (255, 255, 255)
        for _ in range(30 if coarse else 60):
            radius = 0.012 if coarse else dice.choice((0.007, 0.009, 0.012))
            canvas.ellipse(dice.roll(), dice.roll(), radius, radius, white, "glow", False)


def _fill(canvas, scene):
    """Paint the colours of the sky from top to bottom; return that of the top."""
    grey, share = OVERCAST[scene.time], HOW_OVERCAST[scene.weather]
    top, bottom = TOP_AND_BOTTOM[scene.time]
    top, bottom = mix(top, grey, share), mix(bottom, lighter(grey, 0.2), share)
    colours = [top, bottom]
    if scene.time == "sunset":
        colours.insert(1, mix(AFTERGLOW, AFTERGLOW_IN_CLOUDS, 0 if scene.weather == "clear" else 0.5))
    side = canvas.image.height
    depth = np.minimum(np.arange(side) / (SKY_ENDS * canvas.scale), 1)
    shades = np.array([canvas.colour(colour, "sky") for colour in colours])
    column = np.stack([np.interp(depth, np.linspace(0, 1, len(shades)), channel) for channel in shades.T], axis=-1)
    canvas.image.paste(
        Image.fromarray(column.round().astype(np.uint8)[:, None]).resize((side, side), Image.Resampling.NEAREST)
    )
    return top


def _sun(canvas, x):
    """Paint the sun, in a line drawing with rays."""
    y = 0.14
    canvas.ellipse(x, y, 0.075, 0.075, (255, 226, 110), "glow")
    if canvas.in_ink:
        for k in range(8):
            cos, sin = math.cos(k * math.pi / 4), math.sin(k * math.pi / 4)
            canvas.line([(x + 0.095 * cos, y + 0.095 * sin), (x + 0.13 * cos, y + 0.13 * sin)], INK, 0.01)


def _clouds(canvas, scene, dice):
    """Paint clouds: some white ones, or a row of grey ones where it rains or snows."""
    colour = CLOUDS[scene.time]
    if scene.weather == "rain":
        colour = mix(colour, (96, 100, 112), 0.55)
    elif scene.weather == "snow":
        colour = mix(colour, (176, 182, 194), 0.3)
    count = 3 if scene.weather == "clouds" else 5
    for k in range(count):
        x, y, size = (k + dice.between(0.1, 0.9)) / count, dice.between(0.06, 0.2), dice.between(0.8, 1.2)
        if canvas.in_ink:  # the outline of all puffs together: larger ones in ink behind them
            edge = canvas.ink_width / canvas.scale
            for across, down, radius in PUFFS:
                half_width, half_height = 1.25 * size * radius + edge, size * radius + edge
                canvas.ellipse(
                    x + across * size, y + down * size, half_width, half_height, (96, 94, 102), "glow", False
                )
        for across, down, radius in PUFFS:
            canvas.ellipse(
                x + across * size, y + down * size, 1.25 * size * radius, size * radius, colour, "sky", False
            )
