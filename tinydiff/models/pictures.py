"""Pictures and masks from files, as a model takes them: read and fitted as training reads and fits its pictures."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from tinydiff.base import InputError, Size, check_number, check_shape, check_sides, height_and_width
from tinydiff.data import to_floats
from tinydiff.data.pictures import OPAQUE, fit_picture, read_picture
from tinydiff.models.diffusion import DiffusionModel
from tinydiff.models.enlarger import Enlarger

SAME_SHAPE = 0.02  # height / width of a mask may differ by this share from that of its picture


def to_pictures(model: DiffusionModel, images: np.ndarray) -> np.ndarray:
    """Return bytes (N, H, W, C) as floats that the model takes; grey becomes three equal channels where needed."""
    channels = model.picture_shape[2]
    if images.ndim == 4 and images.shape[-1] == 1 and channels == 3:
        images = images.repeat(3, axis=-1)
    check_shape("images", images, (None, None, None, channels))
    check_sides("images", images.shape[1:3], model.multiple)
    return to_floats(images)


def picture_for(
    model: DiffusionModel, path: str | Path, size: Size | None = None, fit: str = "crop", background: str = "white"
) -> tuple[np.ndarray, tuple[int, int], tuple[str, ...]]:
    """Return a picture as the model takes it, the size that it has in its file, and what was done to it.

    Parameters
    ----------
    model : DiffusionModel
    path : str or Path
    size : int, (int, int) or None
        Height and width of what the model draws; None takes those that it was trained on. The picture is brought to
        them, or to as much less as an `Enlarger` enlarges.
    fit, background
        As for `tinydiff.data.pictures.fit_picture`.

    Returns
    -------
    picture : array, shape (1, H, W, C), in [-1, 1]
    own_size : (int, int)
    notes : tuple of str
        Phrases, such as "cropped in the middle".

    Raises
    ------
    DataError
        If it cannot be read.
    InputError
        If no model of this kind takes pictures of that size.
    """
    *usual, channels = model.picture_shape
    wanted = height_and_width("size", tuple(usual) if size is None else size)
    check_sides("size", wanted, model.multiple)
    if isinstance(model, Enlarger):
        wanted = wanted[0] // model.factor, wanted[1] // model.factor
    pixels, notes = read_picture(path, channels, background)
    own_size = (pixels.shape[0], pixels.shape[1])
    pixels, note = fit_picture(pixels, wanted, fit, background)
    notes += (note,) if note else ()
    return to_floats(pixels[None]), own_size, (*notes, *_resized(own_size, wanted))


def mask_for(
    path: str | Path, own_size: tuple[int, int], size: tuple[int, int], fit: str = "crop", feather: float = 0
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return a mask (1, H, W, 1) for a picture, and what was done to it.

    1 where the mask is black (keep), 0 where it is white (draw), and between the two where it is grey: there what is
    kept and what is drawn are blended.

    Parameters
    ----------
    path : str or Path
        Of a grey picture of any size, of the same shape as the picture.
    own_size : (int, int)
        Of the picture in its file.
    size, fit
        Of the picture as it is edited, and how it was brought to it: the mask follows.
    feather : float
        The mask is blurred by this many pixels of the picture as it is edited, the deviation of a bell.

    Raises
    ------
    DataError
        If it cannot be read.
    InputError
        If it has colours, transparent parts, or another shape than the picture.
    """
    pixels, notes = read_picture(path, 4)
    height, width = pixels.shape[:2]
    check_number("feather", feather, 0, 1000)
    advice = "a mask is black (keep), white (draw), or grey between them: save it so."
    if (pixels[..., 3] < 255).any():
        raise InputError(f"{path} has transparent parts, which say neither keep nor draw; {advice}")
    is_coloured = (pixels[..., :3] != pixels[..., :1]).any(axis=-1)
    if is_coloured.any():
        raise InputError(f"{path} holds the colour {tuple(pixels[is_coloured][0, :3].tolist())}, but {advice}")
    if abs(height * own_size[1] / (width * own_size[0]) - 1) > SAME_SHAPE:
        raise InputError(
            f"mask is {height} x {width}, but the picture is {own_size[0]} x {own_size[1]}: give a mask of the same "
            "shape."
        )
    notes = tuple(note for note in notes if note != OPAQUE)  # nobody asked for a fourth channel
    levels, _ = fit_picture(np.ascontiguousarray(pixels[..., :1]), size, fit, "black")  # bars are kept
    if feather:
        levels = np.asarray(Image.fromarray(levels[..., 0]).filter(ImageFilter.GaussianBlur(feather)))[..., None]
    mask = 1 - levels[None].astype(np.float32) / 255
    soft = int(((mask > 0) & (mask < 1)).sum())
    are = "is" if soft == 1 else "are"
    greys = (f"{soft} of its {mask.size} pixels {are} grey: there old and new are blended",) if soft else ()
    return mask, (*notes, *_resized((height, width), size), *greys)


def _resized(old: tuple[int, int], new: tuple[int, int]) -> tuple[str, ...]:
    """Return a phrase where a size changed."""
    if old == new:
        return ()
    return (f"brought from {old[0]} x {old[1]} to {new[0]} x {new[1]} pixels",)
