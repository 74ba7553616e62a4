"""Colours: the palette that captions name, and what time, weather and style make of a colour."""

import functools
from collections.abc import Sequence

Colour = tuple[int, int, int]  # red, green, blue, 0 .. 255

PALETTE: dict[str, Colour] = {
    "red": (222, 62, 58),
    "blue": (58, 116, 214),
    "yellow": (248, 202, 62),
    "green": (72, 166, 92),
    "orange": (243, 142, 52),
    "purple": (142, 92, 190),
    "pink": (242, 140, 172),
    "white": (244, 244, 240),
    "black": (52, 50, 58),
    "grey": (150, 152, 160),
    "brown": (140, 94, 60),
}
PAPER, INK = (250, 246, 236), (58, 56, 66)
SNOW, DARK, WINDOW, GLASS = (246, 249, 253), (52, 48, 60), (255, 222, 120), (196, 228, 244)
LAYERS = ("sky", "ground", "object", "glow")  # what a surface is: the light falls on each in its own way


def mix(a: Sequence[float], b: Sequence[float], share: float) -> Colour:
    """Return a colour between two: `share` of the second."""
    red, green, blue = (round(x + (y - x) * share) for x, y in zip(a, b, strict=True))
    return red, green, blue


def darker(colour: Colour, share: float = 0.25) -> Colour:
    """Return a colour in shadow."""
    return mix(colour, (20, 20, 40), share)


def lighter(colour: Colour, share: float = 0.3) -> Colour:
    """Return a colour with white in it."""
    return mix(colour, (255, 255, 255), share)


@functools.cache
def lit(colour: Colour, layer: str, time: str, weather: str, style: str) -> Colour:
    """Return what a surface's colour becomes at this time, in this weather, drawn in this style.

    The ground takes on the light of the day in full, and an object only partly: what a caption names stays visible at
    night, too, and keeps its colour. What glows, such as a window, stays as it is.
    """
    if layer == "glow":
        return mix(PAPER, colour, 0.6) if style == "line drawing" else colour
    share = {"sky": 0.0, "ground": 1.0, "object": 0.4}[layer]
    if layer != "sky":
        if weather != "clear":
            colour = mix(colour, (140, 145, 155), (0.22 if weather == "rain" else 0.12) * share)
        red, green, blue = colour
        if time == "sunset":
            colour = mix(colour, (red, green * 0.74, blue * 0.66), share)
            colour = mix(colour, (255, 130, 80), 0.16 * share)
        elif time == "night":
            moonlit = (red * 0.34 + 8, green * 0.42 + 14, blue * 0.56 + 36)
            colour = mix(colour, moonlit, 1.0 if layer == "ground" else 0.25)
    if style == "line drawing":
        if time == "night":
            ink = {"sky": 0.55, "ground": 0.34, "object": 0.55}[layer]
        else:
            ink = {"sky": 0.4, "ground": 0.16, "object": 0.55}[layer]
        colour = mix(PAPER, colour, ink)
    return colour
