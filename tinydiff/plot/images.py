"""Images in rows and columns, and chains as strips and animations: Pillow images."""

import functools
import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

from tinydiff.backend import to_numpy
from tinydiff.errors import InputError, check_choice, check_count, check_number, check_rank, check_shape
from tinydiff.files import atomic_write
from tinydiff.plot.style import INK, ORANGE, PAGE

TEXT, TITLE = 14, 18  # heights of letters in pixels
GAP, MARGIN = 2, 12  # between images, and round the picture, in pixels
TITLE_WIDTH, TITLE_LINES = 400, 6  # a title may make a picture so wide, in pixels, and so many lines taller
GREY_LEVELS = 32  # of a GIF: two thirds of the bytes of 256 levels, and hardly to be told from them


def image_grid(
    images: Any,
    columns: int | None = None,
    scale: int | None = None,
    labels: Sequence[Any] | None = None,
    title: str | None = None,
) -> Image.Image:
    """Return images in rows and columns.

    Parameters
    ----------
    images : array, shape (N, H, W, C) or (N, H, W)
    columns : int, optional
        Default: about as many as rows, and if possible a divisor of N.
    scale : int, optional
        Each pixel becomes a square of `scale` pixels. Default: what makes the grid about 900 pixels wide.
    labels : sequence of N texts, optional
        Written below the images.
    title : str, optional
        Where it is wider than the images, it goes on in the next line; of a very long one the end is left out.

    Raises
    ------
    InputError
        If the images have an unexpected shape, there are none, or they hold NaN.

    Examples
    --------
    >>> image_grid(np.zeros((6, 8, 8, 1)), columns=3, scale=10).size
    (268, 186)
    """
    pixels = to_pixels("images", images)
    columns = _columns(len(pixels)) if columns is None else columns
    check_count("columns", columns)
    if labels is not None and len(labels) != len(pixels):
        raise InputError(f"labels has {len(labels)} entries, but {len(pixels)}, one per image, were expected.")
    return _sheet(pixels, columns, scale, title, [] if labels is None else [str(label) for label in labels])


def chain_strip(
    frames: Iterable[tuple[Any, Any, Any]],
    samples: int = 8,
    columns: int = 10,
    estimate: bool = False,
    scale: int | None = None,
    title: str | None = None,
) -> Image.Image:
    """Return a chain as a table: one row per sample, one column per time.

    Parameters
    ----------
    frames : iterable of (t, x_t, x_0_hat)
        What a sampler yields.
    samples : int
        The first so many samples are shown.
    columns : int
        So many frames are shown, evenly spread, the first and the last among them.
    estimate : bool
        Show x_0_hat, the model's guess of the clean image, in place of x_t.
    scale, title
        As for `image_grid`.
    """
    check_count("columns", columns)
    chosen = _spread(_shrink(frames, samples), columns)
    pixels = np.stack([x_0_hat if estimate else x_t for _, x_t, x_0_hat, *_ in chosen], axis=1)
    times = [f"t = {t:.4g}" for t, *_ in chosen]
    return _sheet(pixels.reshape(-1, *pixels.shape[2:]), len(chosen), scale, title, column_labels=times)


def image_rows(
    rows: Mapping[str, Any],
    scale: int | None = None,
    title: str | None = None,
    column_labels: Sequence[Any] = (),
) -> Image.Image:
    """Return images as a table whose rows have names.

    Parameters
    ----------
    rows : mapping from a name to images
        The same number in each row.
    scale, title
        As for `image_grid`.
    column_labels : sequence of texts
        Written above the columns, such as the digits asked for.
    """
    if not rows:
        raise InputError("rows is empty, but at least one row of images was expected.")
    pixels = [to_pixels("images", images) for images in rows.values()]
    for row in pixels:
        check_shape("images", row, pixels[0].shape)
    above = [str(label) for label in column_labels]
    return _sheet(
        np.concatenate(pixels), len(pixels[0]), scale, title, column_labels=above, row_labels=[str(r) for r in rows]
    )


def training_progress(
    grids: Sequence[tuple[int, Any]],
    scale: int | None = None,
    title: str | None = None,
    column_labels: Sequence[Any] = (),
) -> Image.Image:
    """Return what the same starts gave as a model learned: one row per time, one column per start.

    Parameters
    ----------
    grids : sequence of (step, images)
        Optimizer step, and the images drawn then: the same number each time.
    scale, title, column_labels
        As for `image_rows`.
    """
    if not grids:
        raise InputError("grids is empty, but at least one (step, images) was expected.")
    return image_rows({f"step {step:,}": images for step, images in grids}, scale, title, column_labels)


def nearest_neighbours(
    samples: Any, neighbours: Any, distances: Any, scale: int | None = None, title: str | None = None
) -> Image.Image:
    """Return each sample, framed, beside its nearest training images, with their distances.

    Parameters
    ----------
    samples : array, shape (N, H, W, C) or (N, H, W)
    neighbours : array, shape (N, k, H, W, C) or (N, k, H, W)
    distances : array, shape (N, k)
        As `tinydiff.metrics.nearest_neighbours` gives them.
    scale, title
        As for `image_grid`.
    """
    pixels = to_pixels("samples", samples)
    distances = to_numpy(distances)
    check_shape("distances", distances, (len(pixels), None))
    k = distances.shape[1]
    check_shape("neighbours", neighbours, (len(pixels), k, *samples.shape[1:]))
    near = to_pixels("neighbours", neighbours.reshape(-1, *neighbours.shape[2:]))
    rows = np.concatenate([pixels[:, None], near.reshape(len(pixels), k, *pixels.shape[1:])], axis=1)
    labels = [text for row in distances for text in ("", *(f"{distance:.1f}" for distance in row))]
    blocks = max(1, min(8 // (k + 1), len(pixels)))
    return _sheet(
        rows.reshape(-1, *pixels.shape[1:]),
        blocks * (k + 1),
        scale,
        title,
        labels,
        column_labels=["sample", *(["nearest", "2nd", "3rd"] + [f"{i}th" for i in range(4, k + 1)])[:k]] * blocks,
        block=k + 1,
    )


def save_gif(frames: Sequence[Image.Image], path: str | Path, ms_per_frame: int = 80, hold_last: int = 2000) -> Path:
    """Save an animation that repeats for ever; atomic.

    All frames share one palette, so colours do not flicker.

    Parameters
    ----------
    frames : sequence of Pillow images of one size
    path : str or Path
    ms_per_frame, hold_last : int
        How long a frame, and the last one, are shown, in milliseconds (GIF counts hundredths of a second).

    Raises
    ------
    InputError
        If there are no frames, their sizes differ, or a time is below 20 ms, which browsers slow down.
    DataError
        If the file cannot be written.
    """
    if not frames:
        raise InputError("frames is empty, but at least one image was expected.")
    sizes = sorted({frame.size for frame in frames})
    if len(sizes) > 1:
        raise InputError(f"frames have sizes {sizes[0]} and {sizes[1]}, but one size was expected.")
    check_number("ms_per_frame", ms_per_frame, 20, 65_000)
    check_number("hold_last", hold_last, 20, 600_000)
    first, *rest = _with_one_palette(frames)
    times = [ms_per_frame] * len(rest) + [hold_last]
    options: dict[str, Any] = {"save_all": True, "append_images": rest, "duration": times, "loop": 0}
    return atomic_write(path, lambda file: first.save(file, format="GIF", optimize=False, **options))


def chain_gif(
    frames: Iterable[tuple[Any, ...]],
    path: str | Path,
    samples: int = 16,
    scale: int = 3,
    max_frames: int = 60,
    ms_per_frame: int = 80,
    hold_last: int = 2000,
) -> Path:
    """Save a chain as an animation: x_t beside the guess x_0_hat that led there, t above them.

    Parameters
    ----------
    frames : iterable of (t, x_t, x_0_hat) or (t, x_t, x_0_hat, eps_hat)
        What a sampler yields; with the predicted noise, it is shown as a third panel.
    path : str or Path
    samples : int
        The first so many samples are shown.
    scale : int
        As for `image_grid`.
    max_frames : int
        At most so many frames are kept, evenly spread, the first and the last among them.
    ms_per_frame, hold_last : int
        As for `save_gif`.
    """
    check_count("max_frames", max_frames)
    chosen = _spread(_shrink(frames, samples), max_frames)
    highest = max(t for t, *_ in chosen)
    titles = ("xₜ, being denoised", "x̂₀, the guess that led there", "ε̂, the noise predicted")
    pictures = []
    for t, *panels in chosen:
        sheets = [_sheet(p, _columns(len(p)), scale, title) for p, title in zip(panels, titles, strict=False)]
        pictures.append(_beside(sheets, f"t = {t:.4g}", t / highest if highest else 0))
    return save_gif(pictures, path, ms_per_frame, hold_last)


def save_image(picture: Image.Image | Figure, path: str | Path) -> Path:
    """Save a Pillow image as PNG, or a Matplotlib figure as PNG, SVG or PDF; atomic.

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
    return atomic_write(path, lambda file: picture.save(file, format="PNG", optimize=True))


def to_pixels(name: str, images: Any) -> np.ndarray:
    """Return images as uint8 of shape (N, H, W, 3)."""
    images = to_numpy(images)
    check_rank(name, images, 3, 4)
    images = images[..., None] if images.ndim == 3 else images
    if not images.size:
        raise InputError(f"{name} has shape {images.shape}: there is nothing to draw.")
    if images.shape[-1] not in (1, 3):
        raise InputError(f"{name} has {images.shape[-1]} channels, but 1 (grey) or 3 (red, green, blue) were expected.")
    if images.dtype != np.uint8:
        if not np.isfinite(images).all():
            raise InputError(f"{name} holds NaN or infinity, but numbers from -1 to 1 were expected.")
        images = np.rint((images.clip(-1, 1) + 1) * 127.5).astype(np.uint8)
    return np.broadcast_to(images, (*images.shape[:3], 3))


def _columns(n: int) -> int:
    """Return the smallest divisor of `n` from sqrt(n) to twice that, or sqrt(n) rounded up if there is none."""
    root = math.isqrt(n - 1) + 1
    return next((columns for columns in range(root, 2 * root + 1) if n % columns == 0), root)


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """Return the font that Matplotlib brings along and uses for figures."""
    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), size)


def _sheet(
    pixels: np.ndarray,
    columns: int,
    scale: int | None,
    title: str | None = None,
    labels: Sequence[str] = (),
    column_labels: Sequence[str] = (),
    row_labels: Sequence[str] = (),
    block: int | None = None,
) -> Image.Image:
    """Return images in a table with texts; in blocks of `block` columns, the first image of each framed."""
    n, height, width, _ = pixels.shape
    columns, rows = min(columns, n), -(-n // columns)
    scale = max(1, min(900 // (columns * width), 128 // max(height, width))) if scale is None else scale
    check_count("scale", scale)
    height, width = height * scale, width * scale

    line, small, large = TEXT + 8, _font(TEXT), _font(TITLE)
    pitch_x = max([width, *(math.ceil(small.getlength(text)) + 6 for text in (*labels, *column_labels))]) + GAP
    pitch_y = height + (line + 4 if labels else 0) + GAP
    left = MARGIN + max([0, *(math.ceil(small.getlength(text)) + 8 for text in row_labels)])
    xs = [left + column * pitch_x + column // (block or columns) * MARGIN for column in range(columns)]
    right = xs[-1] + pitch_x - GAP
    title_lines = _in_lines(title or "", large, max(right - left, TITLE_WIDTH))
    right = max([right, *(left + math.ceil(large.getlength(text)) for text in title_lines)])
    top = MARGIN + (len(title_lines) * (TITLE + 4) + 6 if title_lines else 0) + (line if column_labels else 0)
    bottom = top + rows * pitch_y - GAP
    places = [(xs[i % columns] + (pitch_x - GAP - width) // 2, top + i // columns * pitch_y) for i in range(n)]

    canvas = np.full((bottom + MARGIN, right + MARGIN, 3), 255, np.uint8)
    for image, (x, y) in zip(pixels, places, strict=True):
        canvas[y : y + height, x : x + width] = image.repeat(scale, axis=0).repeat(scale, axis=1)
    sheet = Image.fromarray(canvas)
    draw = ImageDraw.Draw(sheet)
    for x, y in places[::block] if block else ():
        frame = (x - GAP, y - GAP, x + width + GAP - 1, y + height + GAP - 1)
        draw.rectangle(frame, outline=ORANGE, width=GAP)
    for i, text in enumerate(title_lines):
        draw.text((left, MARGIN + i * (TITLE + 4)), text, INK, large, anchor="la")
    for text, (x, y) in zip(labels, places, strict=False):
        draw.text((x + width // 2, y + height + line // 2), text, INK, small, anchor="mm")
    for text, (x, y) in zip(column_labels, places, strict=False):
        draw.text((x + width // 2, y - line // 2), text, INK, small, anchor="mm")
    for text, (x, y) in zip(row_labels, places[::columns], strict=False):
        draw.text((x - 8, y + height // 2), text, INK, small, anchor="rm")
    return sheet


def _in_lines(text: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """Return a text in lines of at most this width in pixels."""
    letters = max(1, len(text))
    while True:
        lines = textwrap.wrap(text, letters, max_lines=TITLE_LINES, placeholder=" …")
        widest = max(map(font.getlength, lines), default=0)
        if widest <= width:
            return lines
        letters = max(1, int(letters * width / widest))


def _beside(sheets: Sequence[Image.Image], caption: str, share_to_go: float) -> Image.Image:
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


def _shrink(frames: Iterable[tuple[Any, ...]], samples: int) -> list[tuple[Any, ...]]:
    """Return the first samples of each frame as uint8 on the host: a long chain would not fit as floats."""
    check_count("samples", samples)
    names = ("x_t", "x_0_hat", "eps_hat")
    small = [
        (float(t), *(to_pixels(name, panel[:samples]) for name, panel in zip(names, panels, strict=False)))
        for t, *panels in frames
    ]
    if not small:
        raise InputError("frames is empty, but at least one (t, x_t, x_0_hat) was expected.")
    return small


def _spread(items: list, n: int) -> list:
    """Return at most `n` of the items, evenly spread, with the last and, for n > 1, the first among them."""
    steps = np.linspace(len(items) - 1, 0, min(n, len(items)))
    return [items[i] for i in np.rint(steps).astype(int)[::-1]]


def _with_one_palette(frames: Sequence[Image.Image]) -> list[Image.Image]:
    """Return the frames in grey levels if all are grey, else in the colours that suit all of them together."""
    frames = [frame.convert("RGB") for frame in frames]
    if all(red == green == blue for frame in frames for red, green, blue in [_bands(frame)]):
        levels = [round(round(v * (GREY_LEVELS - 1) / 255) * 255 / (GREY_LEVELS - 1)) for v in range(256)]
        return [frame.convert("L").point(levels) for frame in frames]
    some = [np.asarray(frame) for frame in _spread(list(frames), 16)]
    palette = Image.fromarray(np.concatenate(some)).quantize(128)
    return [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]


def _bands(frame: Image.Image) -> tuple[bytes, ...]:
    return tuple(band.tobytes() for band in frame.split())
