"""One picture: from a file, whatever its kind, to bytes; and from its shape to another."""

import contextlib
import math
import struct
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageColor, UnidentifiedImageError

from tinydiff.base import DataError, InputError, Size, check_choice, check_rank, checked, height_and_width
from tinydiff.data.resizing import area_average, crop_to_aspect

SUFFIXES = (".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".gif", ".bmp", ".webp", ".tif", ".tiff")
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF")  # by content, whatever the name ends in
MOST_PIXELS = 2**26  # 67 million, so that photographs of 64 megapixels pass; decoded, they take 0.5 GB
FITS = ("crop", "pad", "stretch")
GREY = ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N")  # Pillow's modes without colours
STRIP = 2**20  # pixels that are converted at a time

# What may happen to a picture, in words that follow "3 of 50 pictures: " or "me.png: "
COLOUR_DROPPED = "colour is dropped (1 channel)"
SIXTEEN_BITS = "16 bits are scaled to 8"
DARK = "16 bits of which at most 13 are used, so that it is very dark"
FRAMES = "several frames, of which the first is read"
UPRIGHT = "turned upright, as its EXIF data say"
CMYK = "colours for print (CMYK) are turned into red, green and blue"
OPAQUE = "without transparency, so that its fourth channel is 255 everywhere"
KEY_LOST = "a level that stands for transparent is read as opaque"


@checked()
def read_picture(
    path: str | Path, channels: int | None = None, background: str = "white"
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the pixels of a picture, and what was changed or left out.

    PNG, JPEG, GIF, BMP, WebP and TIFF are read, whatever the file's name ends in. A photograph is turned upright, 16
    bits become 8 (the upper ones), of several frames the first is taken. More than `MOST_PIXELS` pixels are refused
    before they are decoded; the memory taken is that of one picture.

    Parameters
    ----------
    path : str or Path
    channels : int or None
        1 for grey, 3 for colour, 4 for colour with transparency (alpha); None takes 1 or 3, as the file has.
    background : str
        What transparent pixels are put onto, unless they stay: a colour's name, or ``#rrggbb``.

    Returns
    -------
    pixels : uint8 array, shape (H, W, channels)
    notes : tuple of str
        Phrases such as ``"colour is dropped (1 channel)"``, which begin neither with the file nor with a capital.

    Raises
    ------
    InputError
        If `channels` or `background` is none of these.
    DataError
        If the file is no such picture, is damaged or too large.
    """
    if channels not in (None, 1, 3, 4) or isinstance(channels, bool):
        raise InputError(f"channels is {channels!r}, but 1 (grey), 3 (colour) or 4 (with transparency) was expected.")
    behind = colour_of(background)
    with _opened(path) as image:
        notes = _read_of_the_head(image)
        channels = channels or (3 if _has_colour(image) else 1)
        turned = image.getexif().get(0x0112, 1)
        image.load()
        orientation = image.getexif().get(0x0112, 1)  # what is left to do: Pillow turns a TIFF by itself
        pixels = np.empty((image.height, image.width, channels), np.uint8)
        rows = max(1, STRIP // image.width)
        for top in range(0, image.height, rows):  # in strips: a large picture is not held three times
            strip = image.crop((0, top, image.width, min(top + rows, image.height)))
            pixels[top : top + rows], found = _converted(strip, channels, behind, background)
            notes |= found
        if SIXTEEN_BITS in notes and pixels.max() < 32:
            notes = notes - {SIXTEEN_BITS} | {DARK}
    if channels == 4 and not notes & {_onto(background)} and pixels[..., 3].min() == 255:
        notes.add(OPAQUE)
    if orientation in range(2, 9):
        pixels = _upright(pixels, orientation)
    if turned in range(2, 9):
        notes.add(UPRIGHT)
    return pixels, tuple(sorted(notes))


def channels_of(path: str | Path) -> int:
    """Return how many channels a picture's file has, transparency apart: 1 or 3; mostly, its head alone says it."""
    with _opened(path) as image:
        return 3 if _has_colour(image) else 1


@checked()
def fit_picture(
    pixels: np.ndarray, size: Size, fit: str = "crop", background: str = "white"
) -> tuple[np.ndarray, str | None]:
    """Return a picture at another size, each pixel the average of the area that it covers, and what was done.

    Parameters
    ----------
    pixels : uint8 array, shape (H, W, C)
    size : int or (int, int)
        Height and width, or both in one number.
    fit : str
        What happens where the shapes differ: ``"crop"`` cuts off as much at both ends, ``"pad"`` adds bars of
        `background` at both ends, ``"stretch"`` distorts.
    background : str
        The bars' colour: a name, or ``#rrggbb``.

    Returns
    -------
    pixels : uint8 array, shape (height, width, C)
    note : str or None
        A phrase such as ``"cropped in the middle"``; None where the shape fitted.
    """
    check_rank("pixels", pixels, 3)
    check_choice("fit", fit, FITS)
    height, width = height_and_width("size", size)
    behind = colour_of(background)
    middle = crop_to_aspect(pixels[None], (height, width))
    if middle.shape[1:] == pixels.shape:
        return area_average(middle, (height, width))[0], None
    if fit == "crop":
        return area_average(middle, (height, width))[0], "cropped in the middle"
    if fit == "stretch":
        return area_average(pixels[None], (height, width))[0], "stretched to another shape"
    scale = min(height / pixels.shape[0], width / pixels.shape[1])
    inner = tuple(max(1, min(round(scale * old), new)) for old, new in zip(pixels.shape, (height, width), strict=False))
    canvas = np.empty((height, width, pixels.shape[2]), np.uint8)
    canvas[:] = _pixel(behind, pixels.shape[2])
    top, left = (height - inner[0]) // 2, (width - inner[1]) // 2
    canvas[top : top + inner[0], left : left + inner[1]] = area_average(pixels[None], inner)[0]
    return canvas, f"bars of {background} are added at two sides"


def colour_of(name: str) -> tuple[int, int, int]:
    """Return red, green and blue, 0 to 255, of a colour's name or ``#rrggbb``."""
    try:
        return ImageColor.getrgb(name)[:3]
    except (ValueError, AttributeError, TypeError) as error:
        raise InputError(
            f"background is {name!r}, but a colour was expected: a name such as white, or #rrggbb."
        ) from error


@contextlib.contextmanager
def _opened(path) -> Iterator[Image.Image]:
    """Open a picture, of which only the head is read, and turn whatever a decoder raises into a sentence."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a damaged part that is not used, or many pixels, which are checked here
            with Image.open(path, formats=FORMATS) as image:
                if math.prod(image.size) > MOST_PIXELS:
                    raise Image.DecompressionBombError
                yield image
    except FileNotFoundError as error:
        raise DataError(f"{path} is not there. Give the path of a picture.") from error
    except IsADirectoryError as error:
        raise DataError(f"{path} is a folder. Give the path of a picture.") from error
    except Image.DecompressionBombError as error:
        raise DataError(
            f"{path} has more than {MOST_PIXELS:,} pixels, which are not read, to spare memory: make it smaller."
        ) from error
    except (OSError, ValueError, SyntaxError, EOFError, struct.error, IndexError, KeyError, TypeError) as error:
        if isinstance(error, (DataError, InputError)):
            raise
        raise DataError(f"{path} cannot be read as an image ({_why(error)}). Remove or replace it.") from error


def _why(error):
    """Return what a decoder or the disk says, without the path, which the sentence has already."""
    if isinstance(error, UnidentifiedImageError):
        return "it is no PNG, JPEG, GIF, BMP, WebP or TIFF"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error)


def _has_colour(image):
    if image.mode in ("P", "PA"):  # numbers of colours in a palette, such as a GIF's
        numbers = [number for _, number in image.convert("P").getcolors()]
        palette = np.reshape(image.getpalette("RGB"), (-1, 3))[numbers]
        return bool((palette != palette[:, :1]).any())
    return image.mode not in GREY


def _read_of_the_head(image):
    """Return the notes that the head of a file gives, before its pixels are decoded."""
    notes = set()
    if ";16" in str(image.tile[0][3] if image.tile else ""):  # Pillow's name of the file's own layout
        notes |= {SIXTEEN_BITS}
    if getattr(image, "n_frames", 1) > 1:
        notes |= {FRAMES}
        image.seek(0)
    if image.mode == "CMYK":
        notes |= {CMYK}
    return notes


def _converted(strip, channels, behind, background):
    """Return a strip of a picture as bytes (h, w, channels), and what was changed."""
    notes = set()
    if strip.mode == "F":
        raise ValueError("it holds floating-point numbers, of unknown black and white: save it with 8 or 16 bits")
    if strip.mode.startswith("I"):  # 16 bits, which Pillow would clip at 255 instead of scaling
        levels = np.asarray(strip)
        if levels.min() < 0 or levels.max() > 0xFFFF:
            raise ValueError("it holds 32-bit numbers, of unknown black and white: save it with 8 or 16 bits")
        notes |= {SIXTEEN_BITS} | ({KEY_LOST} if "transparency" in strip.info else set())
        strip = Image.fromarray((levels >> 8).astype(np.uint8))
    if channels == 1 and _holds_colour(strip):
        notes.add(COLOUR_DROPPED)
    if strip.has_transparency_data:
        strip = strip.convert("RGBA")
        if channels != 4 and strip.getextrema()[3][0] < 255:
            notes.add(_onto(background))
        if channels != 4:
            strip = Image.alpha_composite(Image.new("RGBA", strip.size, behind), strip)
    pixels = np.asarray(strip.convert({1: "L", 3: "RGB", 4: "RGBA"}[channels]))
    return pixels.reshape(*pixels.shape[:2], channels), notes


def _holds_colour(strip):
    """Return whether a pixel that is seen has a colour; a picture that is stored in colour may be grey."""
    if strip.mode in GREY:
        return False
    red, green, blue, alpha = (np.asarray(band) for band in strip.convert("RGBA").split())
    return bool((((red != green) | (green != blue)) & (alpha > 0)).any())


def _onto(background):
    return f"transparent parts are put onto {background}"


def _upright(pixels, orientation):
    """Return an array of pixels as EXIF's orientation, 2 to 8, says that it is to be seen."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels[::-1] if orientation in (3, 4, 7, 8) else pixels


def _pixel(colour, channels):
    """Return one pixel of a colour with 1, 3 or 4 channels."""
    if channels == 1:
        return Image.new("RGB", (1, 1), colour).convert("L").getpixel((0, 0))
    return (*colour, 255)[:channels]
