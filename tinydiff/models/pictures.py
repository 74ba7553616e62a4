"""Reading pictures and masks from files, for models."""

from pathlib import Path

import numpy as np
from PIL import Image

from tinydiff.base import DataError, InputError, check_shape, check_sides
from tinydiff.data import to_floats
from tinydiff.models.diffusion import DiffusionModel


def to_pictures(model: DiffusionModel, images: np.ndarray) -> np.ndarray:
    """Return bytes (N, H, W, C) as floats that the model takes; grey becomes three equal channels where needed."""
    channels = model.config.unet.in_channels
    if images.ndim == 4 and images.shape[-1] == 1 and channels == 3:
        images = images.repeat(3, axis=-1)
    check_shape("images", images, (None, None, None, channels))
    check_sides("images", images.shape[1:3], model.config.unet.multiple)
    return to_floats(images)


def read_image(path: str | Path) -> np.ndarray:
    """Return the bytes of a picture, (H, W, 3) or, for a grey one, (H, W, 1).

    Raises
    ------
    DataError
        If it cannot be read.
    InputError
        If it is neither grey nor in colour.
    """
    try:
        with Image.open(path) as picture:
            mode, pixels = picture.mode, np.asarray(picture)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"{path} cannot be read as a picture ({error}).") from error
    if mode not in ("RGB", "L"):
        raise InputError(
            f"{path} has the mode {mode}, but RGB (colour) or L (grey) was expected: convert it, without alpha."
        )
    return pixels.reshape(*pixels.shape[:2], -1)


def read_mask(path: str | Path) -> np.ndarray:
    """Return a mask (1, H, W, 1), 1 where a picture is black (keep) and 0 where it is white (draw).

    Raises
    ------
    DataError
        If it cannot be read.
    InputError
        If it has other levels, or colours.
    """
    pixels = read_image(path)[None]
    if not np.isin(pixels, (0, 255)).all():
        value = pixels[~np.isin(pixels, (0, 255))][0]
        raise InputError(f"{path} holds the level {value}, but a mask is only black (0, keep) and white (255, draw).")
    is_coloured = (pixels != pixels[..., :1]).any(axis=-1)
    if is_coloured.any():
        colour = tuple(pixels[is_coloured][0].tolist())
        raise InputError(f"{path} holds the colour {colour}, but a mask is only black (0, keep) and white (255, draw).")
    return (pixels[..., :1] == 0).astype(np.float32)
