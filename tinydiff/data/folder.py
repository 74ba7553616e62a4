"""One's own images, from a folder."""

import csv
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from tinydiff.data.dataset import Dataset
from tinydiff.errors import DataError, InputError

SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp")


def load_folder(path: str | Path, size: int, channels: int = 3) -> Dataset:
    """Return the images in a folder and in its subfolders, cropped to a square in the middle and resized.

    Parameters
    ----------
    path : str or Path
        The names of the subfolders, sorted, become labels 0, 1, ...; images outside subfolders have label 0.
        A file ``captions.csv`` with the columns ``file`` and ``caption`` gives the images' texts.
    size : int
        Height and width.
    channels : int
        1 for grey, 3 for colour.

    Raises
    ------
    DataError
        If the folder holds no images, an image cannot be read, or a caption is missing.
    """
    folder = Path(path)
    if channels not in (1, 3):
        raise InputError(f"channels is {channels}, but 1 (grey) or 3 (colour) was expected.")
    if size < 1:
        raise InputError(f"size is {size}, but at least 1 was expected.")
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder.")
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)
    if not files:
        raise DataError(f"{folder} holds no images; files ending in {', '.join(SUFFIXES)} were looked for.")
    names = sorted({p.relative_to(folder).parts[0] for p in files if len(p.relative_to(folder).parts) > 1})
    labels = [names.index(p.relative_to(folder).parts[0]) if p.parent != folder else 0 for p in files]
    images = np.stack([_read(p, size, channels) for p in files])
    captions = _captions(folder / "captions.csv", [p.relative_to(folder).as_posix() for p in files])
    return Dataset(images, np.array(labels), folder.name, "all", str(folder), captions)


def _read(path, size, channels):
    try:
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image).convert("L" if channels == 1 else "RGB")
            square = ImageOps.fit(upright, (size, size), Image.Resampling.BOX)
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{path} cannot be read as an image ({error}). Remove or replace it.") from error
    return np.asarray(square).reshape(size, size, channels)


def _captions(path, files):
    if not path.is_file():
        return None
    with open(path, newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        if not {"file", "caption"} <= set(rows.fieldnames or ()):
            raise DataError(f"{path} has the columns {rows.fieldnames}, but 'file' and 'caption' were expected.")
        texts = {row["file"]: row["caption"] for row in rows}
    missing = [name for name in files if name not in texts]
    if missing:
        raise DataError(f"{path} has no caption for {missing[0]} ({len(missing)} of {len(files)} images lack one).")
    return tuple(texts[name] for name in files)
