"""Pictures side by side on one sheet, with titles and labels, and how a picture is saved."""

import functools
import itertools
import math
import textwrap
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from tinydiff.base import (
    Array,
    InputError,
    atomic_write,
    check_choice,
    check_count,
    check_rank,
    checked,
    printable,
    to_numpy,
)
from tinydiff.plot.style import INK, ORANGE, PAGE

TEXT, TITLE = 14, 18  # heights of letters in pixels
GAP, MARGIN = 2, 12  # between images, and round the picture, in pixels
CAPTION_LINES = 7  # at most, below a picture
TITLE_WIDTH, TITLE_LINES = 400, 6  # a title may widen a picture to this many pixels, and add this many lines


@checked()
def save_image(picture: Image.Image | Figure, path: str | Path, about: PngInfo | None = None) -> Path:
    """Save a Pillow image as PNG, or a Matplotlib figure as PNG, SVG or PDF; atomic.

    Parameters
    ----------
    picture : Pillow image or Matplotlib figure
    path : str or Path
    about : PngInfo or None
        Texts that are written into the PNG of a Pillow image, see `tinydiff.plot.pictures`.

    Raises
    ------
    InputError
        If `path` has another ending.
    DataError
        If the file cannot be written.
    """
    ending = Path(path).suffix.lower()
    if isinstance(picture, Figure):
        check_choice("the ending of path", ending, (".png", ".svg", ".pdf"))
        return atomic_write(path, lambda file: picture.savefig(file, format=ending[1:]))
    check_choice("the ending of path", ending, (".png",))
    return atomic_write(path, lambda file: picture.save(file, format="PNG", optimize=True, pnginfo=about))


def to_pixels(name: str, images: Array) -> np.ndarray:
    """Return images as uint8 of shape (N, H, W, 3); what is transparent, in a fourth channel, shows white."""
    images = to_numpy(images)
    check_rank(name, images, 3, 4)
    images = images[..., None] if images.ndim == 3 else images
    if not images.size:
        raise InputError(f"{name} has shape {images.shape}: there is nothing to draw.")
    if images.shape[-1] not in (1, 3, 4):
        raise InputError(
            f"{name} has {images.shape[-1]} channels, but 1 (grey), 3 (red, green, blue) or 4 (and transparency) were "
            "expected."
        )
    images = to_bytes(name, images)
    if images.shape[-1] == 4:
        colours, alpha = images[..., :3], images[..., 3:] / 255
        images = np.rint(alpha * colours + (1 - alpha) * 255).astype(np.uint8)
    return np.broadcast_to(images, (*images.shape[:3], 3))


def to_bytes(name: str, images: np.ndarray) -> np.ndarray:
    """Return floats in [-1, 1] as uint8, 0 .. 255; bytes stay as they are."""
    if images.dtype == np.uint8:
        return images
    if not np.isfinite(images).all():
        raise InputError(f"{name} holds NaN or infinity, but numbers from -1 to 1 were expected.")
    return np.rint((images.clip(-1, 1) + 1) * 127.5).astype(np.uint8)


def columns_for(n: int) -> int:
    """Return the smallest divisor of `n` from sqrt(n) to twice that, or sqrt(n) rounded up if there is none."""
    root = math.isqrt(n - 1) + 1
    return next((columns for columns in range(root, 2 * root + 1) if n % columns == 0), root)


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """Return the font that Matplotlib brings along and uses for figures."""
    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), size)


def usual_scale(columns: int, height: int, width: int) -> int:
    """Return a scale for images, so that all columns have about 900 pixels.

    An image has about the area of 128 x 128 then, and no side above 384.
    """
    return max(1, min(900 // (columns * width), 128 // math.isqrt(height * width), 384 // max(height, width)))


def caption_lines(caption: str, width: int) -> list[str]:
    """Return a caption in lines that are at most so many pixels wide."""
    return _in_lines(_in_short(caption, 200), _font(TEXT), width, CAPTION_LINES)


def sheet(
    pixels: np.ndarray,
    columns: int,
    scale: int | None,
    title: str | None = None,
    labels: Sequence[str | Sequence[str]] = (),
    column_labels: Sequence[str] = (),
    row_labels: Sequence[str] = (),
    block: int | None = None,
) -> Image.Image:
    """Return images in a table with texts; with `block`, columns form blocks, and the first image of each is framed.

    A label stands below its image, in one line or, where it is a sequence of them, in several (see `caption_lines`).
    """
    n, height, width, _ = pixels.shape
    below = [[_in_short(label, 40)] if isinstance(label, str) else list(label) for label in labels]
    column_labels = [_in_short(text, 40) for text in column_labels]
    row_labels = [_in_short(text, 200) for text in row_labels]
    columns, rows = min(columns, n), -(-n // columns)
    scale = usual_scale(columns, height, width) if scale is None else scale
    check_count("scale", scale)
    height, width = height * scale, width * scale

    line, small, large = TEXT + 8, _font(TEXT), _font(TITLE)
    across = [*itertools.chain(*below), *column_labels]
    pitch_x = max([width, *(math.ceil(small.getlength(text)) + 6 for text in across)]) + GAP
    pitch_y = height + (line * max(map(len, below)) + 4 if below else 0) + GAP
    left = MARGIN + max([0, *(math.ceil(small.getlength(text)) + 8 for text in row_labels)])
    xs = [left + column * pitch_x + column // (block or columns) * MARGIN for column in range(columns)]
    right = xs[-1] + pitch_x - GAP
    title_lines = _in_lines(printable(title or "", keep="\n\t"), large, max(right - left, TITLE_WIDTH))
    right = max([right, *(left + math.ceil(large.getlength(text)) for text in title_lines)])
    top = MARGIN + (len(title_lines) * (TITLE + 4) + 6 if title_lines else 0) + (line if column_labels else 0)
    bottom = top + rows * pitch_y - GAP
    positions = [(xs[i % columns] + (pitch_x - GAP - width) // 2, top + i // columns * pitch_y) for i in range(n)]

    canvas = np.full((bottom + MARGIN, right + MARGIN, 3), 255, np.uint8)
    for image, (x, y) in zip(pixels, positions, strict=True):
        canvas[y : y + height, x : x + width] = image.repeat(scale, axis=0).repeat(scale, axis=1)
    sheet = Image.fromarray(canvas)
    draw = ImageDraw.Draw(sheet)
    for x, y in positions[::block] if block else ():
        frame = (x - GAP, y - GAP, x + width + GAP - 1, y + height + GAP - 1)
        draw.rectangle(frame, outline=ORANGE, width=GAP)
    for i, text in enumerate(title_lines):
        draw.text((left, MARGIN + i * (TITLE + 4)), text, INK, large, anchor="la")
    for lines, (x, y) in zip(below, positions, strict=False):
        for i, text in enumerate(lines):
            draw.text((x + width // 2, y + height + line // 2 + i * line), text, INK, small, anchor="mm")
    for text, (x, y) in zip(column_labels, positions, strict=False):
        draw.text((x + width // 2, y - line // 2), text, INK, small, anchor="mm")
    for text, (x, y) in zip(row_labels, positions[::columns], strict=False):
        draw.text((x - 8, y + height // 2), text, INK, small, anchor="rm")
    return sheet


def _in_short(text: str, most: int) -> str:
    """Return a text in one line, without what cannot be seen, and cut where it would make the picture very wide."""
    text = printable(text[: most + 1])
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _in_lines(text: str, font: ImageFont.FreeTypeFont, width: int, most: int = TITLE_LINES) -> list[str]:
    """Return a text in at most so many lines of at most this width in pixels, or of one letter each."""
    letters = max(1, len(text))
    while True:
        lines = textwrap.wrap(text, letters, max_lines=most, placeholder=" …")
        widest = max(map(font.getlength, lines), default=0)
        if widest <= width or letters == 1:  # not even one letter may fit
            return lines
        letters = max(1, int(letters * width / widest))


def beside(sheets: Sequence[Image.Image], caption: str, share_to_go: float) -> Image.Image:
    """Return pictures of one height side by side, under a caption and a bar that grows as the share to go falls."""
    band = TITLE + 2 * MARGIN
    together = Image.new("RGB", (sum(sheet.width for sheet in sheets), sheets[0].height + band), PAGE)
    for i, sheet in enumerate(sheets):
        together.paste(sheet, (sum(before.width for before in sheets[:i]), band))
    draw = ImageDraw.Draw(together)
    draw.text((MARGIN, MARGIN), caption, INK, _font(TITLE), anchor="la")
    start, end, middle = MARGIN + 110, together.width - MARGIN, MARGIN + TITLE // 2
    draw.rectangle((start, middle - 3, end, middle + 3), fill="#E0E0E0")
    draw.rectangle((start, middle - 3, start + round((end - start) * (1 - share_to_go)), middle + 3), fill=INK)
    return together
