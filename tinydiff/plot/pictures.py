"""One picture in a file, pixel for pixel, with what it was drawn from written into it."""

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tinydiff.base import Array, InputError, atomic_write, check_choice, check_rank, checked, to_numpy
from tinydiff.plot.sheets import to_bytes

KEY = "tinydiff"  # of the entry in a PNG's text, or before the JSON in a GIF's comment
MODES = {1: "L", 3: "RGB", 4: "RGBA"}


@checked()
def save_picture(image: Array, path: str | Path, about: Mapping[str, Any]) -> Path:
    """Save one picture as PNG, each pixel as one pixel; atomic.

    Parameters
    ----------
    image : array, shape (H, W, C)
        Floats in [-1, 1], or bytes; C is 1 (grey), 3 (colours) or 4 (colours and alpha).
    path : str or Path
    about : mapping
        What it was drawn from, of values that JSON knows: written into the file, see `about_picture`.

    Raises
    ------
    DataError
        If the file cannot be written.
    """
    image = to_numpy(image)
    check_rank("image", image, 3)
    check_choice("the number of channels", image.shape[-1], tuple(MODES))
    if not image.size:
        raise InputError(f"image has shape {image.shape}: there is nothing to draw.")
    pixels = np.ascontiguousarray(to_bytes("image", image))
    picture = Image.fromarray(pixels[..., 0] if image.shape[-1] == 1 else pixels)
    return atomic_write(path, lambda file: picture.save(file, format="PNG", pnginfo=as_png_text(about)))


def as_png_text(about: Mapping[str, Any] | None) -> PngInfo | None:
    """Return entries for a PNG: one of JSON, and for other programs `Software` and, of a prompt, `Description`."""
    if about is None:
        return None
    text = PngInfo()
    text.add_text(KEY, json.dumps(about))  # ASCII: what is no character, as a damaged command line may hold, is kept
    text.add_text("Software", f"tinydiff {about.get('tinydiff', '')}".strip())
    if about.get("prompt"):
        text.add_itxt("Description", str(about["prompt"]).encode("utf-8", "replace").decode())
    return text


def as_gif_comment(about: Mapping[str, Any] | None) -> bytes:
    """Return a comment for a GIF."""
    return b"" if about is None else f"{KEY} {json.dumps(about)}".encode()


@checked()
def about_picture(path: str | Path) -> dict[str, Any] | None:
    """Return what tinydiff wrote into a picture when it drew it; None for a file that holds nothing of the kind.

    A sheet of several pictures, such as ``grid.png``, says under ``pictures`` how many it shows.
    """
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path) as picture:  # of many pixels: none is read
            comment = picture.info.get("comment", b"")
            text = picture.info.get(KEY) or (comment.decode("utf-8", "replace") if isinstance(comment, bytes) else "")
        about = json.loads(str(text).removeprefix(f"{KEY} "))
    except (OSError, ValueError, SyntaxError, RecursionError, Image.DecompressionBombError):
        return None
    return about if isinstance(about, dict) else None
