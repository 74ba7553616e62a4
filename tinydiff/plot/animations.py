"""Animations: GIFs, and the reverse chain as one."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tinydiff.base import InputError, atomic_write, check_count, check_number, checked
from tinydiff.plot.frames import shrink, spread
from tinydiff.plot.pictures import as_gif_comment
from tinydiff.plot.sheets import beside, columns_for, sheet

GREY_LEVELS = 32  # of a GIF: two thirds of the bytes of 256 levels, with hardly a visible difference


@checked()
def save_gif(
    frames: Sequence[Image.Image],
    path: str | Path,
    ms_per_frame: int = 80,
    hold_last: int = 2000,
    about: Mapping[str, Any] | None = None,
) -> Path:
    """Save an animation that repeats for ever; atomic.

    All frames share one palette, so colours do not flicker.

    Parameters
    ----------
    frames : sequence of Pillow images of one size
    path : str or Path
    ms_per_frame, hold_last : int
        How long a frame, and the last one, are shown, in milliseconds (GIF counts hundredths of a second).
    about : mapping or None
        What is written into the file as a comment, see `about_picture`.

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
    options["comment"] = as_gif_comment(about)
    return atomic_write(path, lambda file: first.save(file, format="GIF", optimize=False, **options))


@checked()
def chain_gif(
    frames: Iterable[tuple[Any, ...]],
    path: str | Path,
    samples: int = 16,
    scale: int = 3,
    max_frames: int = 60,
    ms_per_frame: int = 80,
    hold_last: int = 2000,
    about: Mapping[str, Any] | None = None,
) -> Path:
    """Save a chain as an animation: x_t beside the guess x_0_hat that led there, t above them.

    Parameters
    ----------
    frames : iterable of (t, x_t, x_0_hat) or (t, x_t, x_0_hat, eps_hat)
        What a sampler yields; the predicted noise, where given, is shown as a third panel.
    path : str or Path
    samples : int
        How many samples are shown, from the first.
    scale : int
        As for `image_grid`.
    max_frames : int
        How many frames are kept at most: evenly spread, the first and the last among them.
    ms_per_frame, hold_last, about
        As for `save_gif`.
    """
    check_count("max_frames", max_frames)
    chosen = spread(shrink(frames, samples), max_frames)
    highest = max(t for t, *_ in chosen)
    titles = ("xₜ, being denoised", "x̂₀, the guess that led there", "ε̂, the noise predicted")
    pictures = []
    for t, *panels in chosen:
        sheets = [sheet(p, columns_for(len(p)), scale, title) for p, title in zip(panels, titles, strict=False)]
        pictures.append(beside(sheets, f"t = {t:.4g}", t / highest if highest else 0))
    return save_gif(pictures, path, ms_per_frame, hold_last, about)


def _with_one_palette(frames: Sequence[Image.Image]) -> list[Image.Image]:
    """Return the frames in grey levels if all are grey, else with one palette of colours for all of them."""
    frames = [frame.convert("RGB") for frame in frames]
    if all(red == green == blue for frame in frames for red, green, blue in [_bands(frame)]):
        levels = [round(round(v * (GREY_LEVELS - 1) / 255) * 255 / (GREY_LEVELS - 1)) for v in range(256)]
        return [frame.convert("L").point(levels) for frame in frames]
    some = [np.asarray(frame) for frame in spread(list(frames), 16)]
    palette = Image.fromarray(np.concatenate(some)).quantize(128)
    return [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]


def _bands(frame: Image.Image) -> tuple[bytes, ...]:
    return tuple(band.tobytes() for band in frame.split())
