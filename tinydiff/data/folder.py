"""Images of your own, from a folder."""

from collections import Counter
from pathlib import Path

import numpy as np

from tinydiff.base import DataError, InputError, Size, check_choice, checked, counted, height_and_width, printable
from tinydiff.data.captions import captions_in, read_captions
from tinydiff.data.dataset import Dataset
from tinydiff.data.listing import Listing, list_folder, named
from tinydiff.data.pictures import FITS, colour_of, fit_picture, read_picture
from tinydiff.data.resizing import crop_to_aspect

ENLARGED = "smaller than wanted, and enlarged by repeating pixels"
GREY_AS_COLOUR = "grey, so that three channels are equal"


@checked()
def load_folder(
    path: str | Path | Listing,
    size: Size,
    channels: int | None = None,
    fit: str = "crop",
    background: str = "white",
    classes: bool = True,
    captions: bool = True,
) -> Dataset:
    """Return the images in a folder and in its subfolders, fitted to one shape and resized.

    Each pixel is the average of the area that it covers. Photographs are turned upright; names that begin with a dot
    are passed over; links to folders are followed. What is changed, left out or passed over is in the data set's
    `notes`, a sentence each. One picture is held in memory at a time, besides the results.

    Parameters
    ----------
    path : str, Path or Listing
        The folder. The names of its subfolders, sorted as people sort, are the classes 0, 1, ... A file
        ``captions.csv`` with the columns ``file`` and ``caption``, Hugging Face's ``metadata.csv`` or
        ``metadata.jsonl`` with ``file_name`` and ``text``, or a ``.txt`` beside each image, gives the images' texts.
    size : int or (int, int)
        Height and width, or both in one number.
    channels : int or None
        1 for grey, 3 for colour, 4 for colour and transparency; None: 3 if any image has colours, and 1 if not.
    fit : str
        What happens to images of another shape: ``"crop"`` keeps the middle, ``"pad"`` adds bars, ``"stretch"``
        distorts; see `fit_picture`.
    background : str
        What transparent pixels are put onto, and the colour of bars: a name, or ``#rrggbb``.
    classes : bool
        Whether subfolders are classes; without, every label is 0.
    captions : bool
        Whether captions are read.

    Raises
    ------
    InputError
        If an argument is none of these.
    DataError
        If the folder holds no images, an image cannot be read, images lie outside the class folders, or captions are
        missing or damaged.
    """
    if channels not in (None, 1, 3, 4) or isinstance(channels, bool):
        raise InputError(f"channels is {channels!r}, but 1 (grey), 3 (colour) or 4 (with transparency) was expected.")
    size = height_and_width("size", size)
    check_choice("fit", fit, FITS)
    colour_of(background)
    listing = path if isinstance(path, Listing) else list_folder(path)
    if classes and len(listing.class_names) > 1 and listing.outside:
        raise DataError(
            f"{listing.folder} holds pictures outside its class folders, such as {printable(listing.outside[0])} "
            f"({len(listing.outside)} of {len(listing.files)}), so that their class is unknown. Move them into one of "
            f"{named(listing.class_names)}, or load without classes."
        )
    texts, odd = read_captions(listing) if captions else (None, ())
    images, notes = _read_all(listing, size, channels or listing.channels, fit, background)
    labels = np.array(listing.labels if classes else [0] * len(listing.files))
    about_classes = listing.on_classes if classes else ()
    notes = [*about_classes, *listing.notes, *listing.passed_over(captions_in(listing)), *odd, *notes]
    names = listing.class_names if classes and listing.class_names and not listing.outside else None
    return Dataset(images, labels, listing.folder.name, "all", str(listing.folder), texts, names, tuple(notes))


def _read_all(listing, size, channels, fit, background):
    """Return all images, (N, height, width, channels), and a sentence for each kind of change, with how many."""
    images = np.empty((len(listing.files), *size, channels), np.uint8)
    changes: Counter[str] = Counter()
    for i, file in enumerate(listing.files):
        pixels, notes = read_picture(listing.folder / file, channels, background)
        images[i], fitted = fit_picture(pixels, size, fit, background)
        changes.update(notes)
        if fitted:
            changes[fitted] += 1
        used = crop_to_aspect(pixels[None], size) if fit == "crop" else pixels[None]
        changes[ENLARGED] += used.shape[1] < size[0] or used.shape[2] < size[1]
        changes[GREY_AS_COLOUR] += channels > 1 and bool((images[i, ..., :3] == images[i, ..., :1]).all())
    n = len(listing.files)
    return images, [
        f"{count:,} of {counted(n, 'picture')}: {what}." for what, count in sorted(changes.items()) if count
    ]
