"""Images of your own, from a folder."""

import csv
import struct
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from tinydiff.base import DataError, InputError, Size, height_and_width
from tinydiff.data.dataset import Dataset
from tinydiff.data.resizing import area_average, crop_to_aspect

SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp")
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP")  # by content, whatever the name ends in


def load_folder(path: str | Path, size: Size, channels: int = 3) -> Dataset:
    """Return the images in a folder and in its subfolders, cropped in the middle to one aspect ratio and resized.

    Nothing is distorted: an image with another aspect ratio than `size` is cropped equally on both sides; `source` of
    the data set says how many were. Each pixel is then the average of the area that it covers.

    Photographs are turned upright, transparent pixels become white, and names that begin with a dot are skipped.

    Parameters
    ----------
    path : str or Path
        The names of the subfolders, sorted, become labels 0, 1, ...; images outside subfolders have label 0.
        A file ``captions.csv`` with the columns ``file`` and ``caption`` gives the images' texts.
    size : int or (int, int)
        Height and width, or both in one number.
    channels : int
        1 for grey, 3 for colour.

    Raises
    ------
    InputError
        If `size` or `channels` is none of these.
    DataError
        If the folder holds no images, an image cannot be read, or a caption is missing.
    """
    folder = Path(path)
    if channels not in (1, 3):
        raise InputError(f"channels is {channels}, but 1 (grey) or 3 (colour) was expected.")
    size = height_and_width("size", size)
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder. Give the folder that holds the images.")
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and not _hidden(p.relative_to(folder)))
    files = [p for p in files if p.is_file()]
    if not files:
        raise DataError(f"{folder} holds no images; files ending in {', '.join(SUFFIXES)} were looked for.")
    names = sorted({p.relative_to(folder).parts[0] for p in files if len(p.relative_to(folder).parts) > 1})
    labels = [names.index(p.relative_to(folder).parts[0]) if p.parent != folder else 0 for p in files]
    images, cropped = zip(*(_read(p, size, channels) for p in files), strict=True)
    source = str(folder) + (f" ({sum(cropped)} of {len(files)} cropped in the middle)" if any(cropped) else "")
    captions = _captions(folder / "captions.csv", [p.relative_to(folder).as_posix() for p in files])
    return Dataset(np.stack(images), np.array(labels), folder.name, "all", source, captions)


def _hidden(path):
    return any(part.startswith(".") for part in path.parts)


def _read(path, size, channels):
    """Return an image of this size, and whether it had to be cropped."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            pixels = np.asarray(_opaque(ImageOps.exif_transpose(image)).convert("L" if channels == 1 else "RGB"))
    except (OSError, ValueError, SyntaxError, EOFError, struct.error, Image.DecompressionBombError) as error:
        raise DataError(f"{path} cannot be read as an image ({error}). Remove or replace it.") from error
    whole = pixels.reshape(1, *pixels.shape[:2], channels)
    middle = crop_to_aspect(whole, size)
    return area_average(middle, size)[0], middle.shape != whole.shape


def _opaque(image):
    if image.mode.startswith("I"):  # 16 bits, which Pillow would clip at 255 instead of scaling
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    return image


def _captions(path, files):
    if not path.is_file():
        return None
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:  # spreadsheets put a byte order mark first
            rows = csv.DictReader(file)
            texts = {row.get("file"): row.get("caption") for row in rows}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as CSV in UTF-8 ({error}). Save it again in that form.") from error
    if not {"file", "caption"} <= set(rows.fieldnames or ()):
        raise DataError(f"{path} has the columns {rows.fieldnames}, but 'file' and 'caption' were expected.")
    missing = [name for name in files if texts.get(name) is None]
    if missing:
        raise DataError(
            f"{path} has no caption for {missing[0]} ({len(missing)} of {len(files)} images lack one). Add a line for "
            "each, with its path in the folder, or remove the file."
        )
    return tuple(texts[name] for name in files)
