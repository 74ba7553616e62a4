"""Images: grids, rows, the reverse chain as a strip, samples beside their nearest neighbours."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from PIL import Image

from tinydiff.base import Array, InputError, check_count, check_shape, checked, to_numpy
from tinydiff.plot.frames import shrink, spread
from tinydiff.plot.sheets import caption_lines, columns_for, sheet, to_pixels, usual_scale


@checked()
def image_grid(
    images: Array,
    columns: int | None = None,
    scale: int | None = None,
    labels: Sequence[object] | str | None = None,
    title: str | None = None,
) -> Image.Image:
    """Return images in rows and columns.

    Parameters
    ----------
    images : array, shape (N, H, W, C) or (N, H, W)
    columns : int, optional
        Default: about as many as rows, and if possible a divisor of N.
    scale : int, optional
        Each pixel becomes a square of `scale` pixels. Default: chosen so that the grid
        is about 900 pixels wide, and an image has at most about the area of 128 x 128.
    labels : sequence of N texts, optional
        Written below the images.
    title : str, optional
        If it is wider than the images, it is broken into lines; a very long one is cut off.

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
    columns = columns_for(len(pixels)) if columns is None else columns
    check_count("columns", columns)
    if labels is not None and len(labels) != len(pixels):
        raise InputError(f"labels has {len(labels)} entries, but {len(pixels)}, one per image, were expected.")
    return sheet(pixels, columns, scale, title, [] if labels is None else [str(label) for label in labels])


@checked()
def captioned_images(
    images: Array,
    captions: Sequence[str],
    columns: int | None = None,
    scale: int | None = None,
    title: str | None = None,
) -> Image.Image:
    """Return images in rows and columns, each above its caption, which is broken into lines.

    Parameters
    ----------
    images : array, shape (N, H, W, C) or (N, H, W)
    captions : sequence of N str
    columns, scale, title
        As for `image_grid`.
    """
    pixels = to_pixels("images", images)
    columns = columns_for(len(pixels)) if columns is None else columns
    check_count("columns", columns)
    if len(captions) != len(pixels):
        raise InputError(f"captions has {len(captions)} entries, but {len(pixels)}, one per image, were expected.")
    if scale is None:
        scale = usual_scale(min(columns, len(pixels)), *pixels.shape[1:3])
    lines = [caption_lines(str(caption), scale * pixels.shape[2]) for caption in captions]
    return sheet(pixels, columns, scale, title, lines)


@checked()
def chain_strip(
    frames: Iterable[tuple[float, Array, Array]],
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
        How many samples are shown, from the first.
    columns : int
        How many frames are shown: evenly spread, the first and the last among them.
    estimate : bool
        Show x_0_hat, the model's guess of the clean image, instead of x_t.
    scale, title
        As for `image_grid`.
    """
    check_count("columns", columns)
    chosen = spread(shrink(frames, samples), columns)
    pixels = np.stack([x_0_hat if estimate else x_t for _, x_t, x_0_hat, *_ in chosen], axis=1)
    times = [f"t = {t:.4g}" for t, *_ in chosen]
    return sheet(pixels.reshape(-1, *pixels.shape[2:]), len(chosen), scale, title, column_labels=times)


@checked()
def image_rows(
    rows: Mapping[str, Array],
    scale: int | None = None,
    title: str | None = None,
    column_labels: Sequence[object] | str = (),
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
    return sheet(
        np.concatenate(pixels), len(pixels[0]), scale, title, column_labels=above, row_labels=[str(r) for r in rows]
    )


@checked()
def training_progress(
    grids: Sequence[tuple[int, Array]],
    scale: int | None = None,
    title: str | None = None,
    column_labels: Sequence[object] | str = (),
) -> Image.Image:
    """Return samples drawn during training, always from the same noise: one row per moment, one column per sample.

    Parameters
    ----------
    grids : sequence of (step, images)
        Optimizer step, and the images drawn at it: the same number each time.
    scale, title, column_labels
        As for `image_rows`.
    """
    if not grids:
        raise InputError("grids is empty, but at least one (step, images) was expected.")
    return image_rows({f"step {step:,}": images for step, images in grids}, scale, title, column_labels)


@checked()
def neighbour_rows(
    samples: Array, neighbours: Array, distances: Array, scale: int | None = None, title: str | None = None
) -> Image.Image:
    """Return each sample, framed, beside its nearest training images, with their distances.

    Parameters
    ----------
    samples : array, shape (N, H, W, C) or (N, H, W)
    neighbours : array, shape (N, k, H, W, C) or (N, k, H, W)
    distances : array, shape (N, k)
        As `tinydiff.evaluate.nearest_neighbours` gives them.
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
    return sheet(
        rows.reshape(-1, *pixels.shape[1:]),
        blocks * (k + 1),
        scale,
        title,
        labels,
        column_labels=["sample", *(["nearest", "2nd", "3rd"] + [f"{i}th" for i in range(4, k + 1)])[:k]] * blocks,
        block=k + 1,
    )
