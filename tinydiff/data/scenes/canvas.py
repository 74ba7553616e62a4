"""Where a scene is painted: a canvas four times as fine as the picture, and brushes in two kinds of coordinates.

A `Canvas` is measured in pictures: (0, 0) is the upper left corner, (1, 1) the lower right one, so that the same scene
can be drawn at any size. A `Figure` is a place on the canvas for one object, and is measured in heights of the object:
(0, 0) is the middle of its foot, (0, 1) the middle of its top. Both have the same brushes.

What a brush paints belongs to a layer (see `light.LAYERS`), which decides how the light falls on it. In a line drawing
the edges are drawn in ink, unless the brush is told that its shape is not `outlined`.
"""

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from tinydiff.data.scenes.dice import Dice
from tinydiff.data.scenes.light import INK, Colour, lit

FINER = 4  # a picture is drawn so many times larger, and each of its pixels is the average of FINER**2
CELLS = 32  # of pixel art, in height and in width
LEVELS = 16  # of each colour channel in pixel art

Point = tuple[float, float]
Points = Sequence[Point]


class Canvas:
    """An empty picture and the brushes that paint on it.

    Parameters
    ----------
    size : int
        Height and width of the picture, in pixels.
    time, weather, style : str
        The light.
    shift : (float, float)
        In pixel art, by which part of a cell its grid is moved to the left and up.
    """

    def __init__(self, size: int, time: str, weather: str, style: str, shift: tuple[float, float] = (0.0, 0.0)):
        self.size, self.time, self.weather, self.style, self.shift = size, time, weather, style, shift
        self.in_cells = style == "pixel art" and size > CELLS
        self.scale = FINER * (CELLS if self.in_cells else size)  # pixels of the canvas for one picture
        side = self.scale + (FINER if self.in_cells else 0)  # a moved grid has one more cell
        self.image = Image.new("RGB", (side, side))
        self.pen = ImageDraw.Draw(self.image)
        self.in_ink = style == "line drawing"
        self.ink_width = max(2, round(self.scale * 0.0085))

    def colour(self, colour: Colour, layer: str) -> Colour:
        """Return what a colour becomes in the light of this scene."""
        return lit(colour, layer, self.time, self.weather, self.style)

    def polygon(self, points: Points, colour: Colour, layer: str = "object", outlined: bool = True) -> None:
        """Paint a polygon."""
        corners = [self._pixel(point) for point in points]
        self.pen.polygon(corners, fill=self.colour(colour, layer))
        if self.in_ink and outlined:
            self.pen.line([*corners, corners[0]], fill=INK, width=self.ink_width, joint="curve")

    def rectangle(
        self, left: float, top: float, right: float, bottom: float, colour: Colour, layer: str = "object",
        outlined: bool = True,
    ) -> None:  # fmt: skip
        """Paint a rectangle."""
        self._boxed(self.pen.rectangle, (left, top, right, bottom), colour, layer, outlined)

    def ellipse(
        self, x: float, y: float, half_width: float, half_height: float, colour: Colour, layer: str = "object",
        outlined: bool = True,
    ) -> None:  # fmt: skip
        """Paint an ellipse around a point."""
        box = (x - half_width, y - half_height, x + half_width, y + half_height)
        self._boxed(self.pen.ellipse, box, colour, layer, outlined)

    def line(self, points: Points, colour: Colour, width: float, layer: str = "object") -> None:
        """Paint a line through points, in ink where the style is one of lines."""
        ink = self.in_ink and layer != "glow"
        self.pen.line(
            [self._pixel(point) for point in points],
            fill=INK if ink else self.colour(colour, layer),
            width=max(1, round(width * self.scale)),
            joint="curve" if len(points) > 2 else None,
        )

    def blob(self, points: Points, colour: Colour, layer: str = "object", outlined: bool = True) -> None:
        """Paint a shape with a smooth outline through points."""
        self.polygon(_smooth(points), colour, layer, outlined)

    def picture(self) -> np.ndarray:
        """Return the finished picture, uint8, shape (size, size, 3)."""
        pixels = np.asarray(self.image.reduce(FINER))
        if self.style == "pixel art":
            step = 256 // LEVELS
            pixels = np.minimum((pixels.astype(np.int16) + step // 2) // step * step, 255).astype(np.uint8)
        if self.in_cells:  # each pixel shows the cell that it lies in
            across, down = ((np.arange(self.size) / self.size * CELLS + by).astype(int) for by in self.shift)
            pixels = pixels[down[:, None], across]
        return pixels

    def _boxed(self, draw, box, colour, layer, outlined):
        left, top = self._pixel(box[:2])
        right, bottom = self._pixel(box[2:])
        outline = {"outline": INK, "width": self.ink_width} if self.in_ink and outlined else {}
        draw((left, top, right, bottom), fill=self.colour(colour, layer), **outline)

    def _pixel(self, point):
        """Return where a point lies on the canvas, in its pixels."""
        x, y = point
        if self.in_cells:
            return x * self.scale + self.shift[0] * FINER, y * self.scale + self.shift[1] * FINER
        return x * self.scale, y * self.scale


class Figure:
    """A place on a canvas for one object, measured in heights of the object, from the middle of its foot upwards.

    Parameters
    ----------
    canvas : Canvas
    x, y : float
        Where its foot stands, in pictures.
    height : float
        In pictures.
    dice : Dice
        For what differs between two objects of one kind.
    mirrored : bool
        Whether left and right are exchanged.
    """

    def __init__(self, canvas: Canvas, x: float, y: float, height: float, dice: Dice, mirrored: bool = False):
        self.canvas, self.x, self.y, self.height, self.dice = canvas, x, y, height, dice
        self.sign = -1 if mirrored else 1

    def polygon(self, points: Points, colour: Colour, layer: str = "object", outlined: bool = True) -> None:
        """Paint a polygon."""
        self.canvas.polygon(self._on_canvas(points), colour, layer, outlined)

    def rectangle(
        self, left: float, bottom: float, right: float, top: float, colour: Colour, layer: str = "object",
        outlined: bool = True,
    ) -> None:  # fmt: skip
        """Paint a rectangle."""
        (x_0, y_0), (x_1, y_1) = self._on_canvas([(left, top), (right, bottom)])
        self.canvas.rectangle(min(x_0, x_1), y_0, max(x_0, x_1), y_1, colour, layer, outlined)

    def ellipse(
        self, x: float, y: float, half_width: float, half_height: float, colour: Colour, layer: str = "object",
        outlined: bool = True,
    ) -> None:  # fmt: skip
        """Paint an ellipse around a point."""
        ((x, y),) = self._on_canvas([(x, y)])
        height = self.height
        self.canvas.ellipse(x, y, half_width * height, half_height * height, colour, layer, outlined)

    def line(self, points: Points, colour: Colour, width: float, layer: str = "object") -> None:
        """Paint a line through points."""
        self.canvas.line(self._on_canvas(points), colour, width * self.height, layer)

    def blob(self, points: Points, colour: Colour, layer: str = "object", outlined: bool = True) -> None:
        """Paint a shape with a smooth outline through points."""
        self.canvas.blob(self._on_canvas(points), colour, layer, outlined)

    def _on_canvas(self, points):
        return [(self.x + self.sign * self.height * x, self.y - self.height * y) for x, y in points]


def _smooth(points, steps=6):
    """Return points on the closed Catmull-Rom spline through some points."""
    corners = np.array(points, float)
    before, after, next_but_one = np.roll(corners, 1, 0), np.roll(corners, -1, 0), np.roll(corners, -2, 0)
    curve = []
    for i in range(steps):
        s = i / steps
        curve.append(
            0.5
            * (
                2 * corners
                + (after - before) * s
                + (2 * before - 5 * corners + 4 * after - next_but_one) * s**2
                + (3 * corners - before - 3 * after + next_but_one) * s**3
            )
        )
    return [(float(x), float(y)) for x, y in np.stack(curve, axis=1).reshape(-1, 2)]


def turned(points: Points, angle: float, around: Point = (0.0, 0.0)) -> list[Point]:
    """Return points turned around one of them by an angle in radians, from the first axis to the second."""
    cos, sin = math.cos(angle), math.sin(angle)
    x_0, y_0 = around
    offsets = [(x - x_0, y - y_0) for x, y in points]
    return [(x_0 + cos * x - sin * y, y_0 + sin * x + cos * y) for x, y in offsets]
