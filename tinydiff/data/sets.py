"""The data sets, by name."""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from tinydiff.base import DataError, check_choice
from tinydiff.data.avatars.compose import SPLITS
from tinydiff.data.avatars.sets import load_avatars
from tinydiff.data.dataset import Dataset
from tinydiff.data.fetch import download, read_idx

NAMES = ("digits", "mnist-small", "avatars", "mnist", "fashion-mnist")
SHIPPED = {"digits": "digits.npz", "mnist-small": "mnist-small.npz"}


def load_data(name: str = "mnist-small", split: str = "train", network: bool = True) -> Dataset:
    """Return a data set by name; another one is never taken in its place.

    Parameters
    ----------
    name : str
        - ``"digits"``: 1,797 digits, 8 x 8 (1,497 train, 300 test), ships with tinydiff;
        - ``"mnist-small"``: 6,000 + 1,000 digits of MNIST, 28 x 28, as many of each class, ships with tinydiff;
        - ``"avatars"``: 20,000 + 2,000 portraits in colour with captions, 16 x 16, put together on the fly; see
          `load_avatars` for more of them;
        - ``"mnist"``, ``"fashion-mnist"``: 60,000 + 10,000 images, 28 x 28, looked for in the folder that the variable
          TINYDIFF_DATA names, where Debian puts Fashion-MNIST, in the cache, and on the network.
    split : str
        ``"train"`` or ``"test"``; of avatars also ``"held-out"`` (combinations that training never shows) and
        ``"swapped"`` (pairs with two colours swapped).
    network : bool
        Whether files that are missing may be downloaded.

    Raises
    ------
    DataError
        If the files cannot be found or are damaged; the message says what to put where.
    """
    check_choice("name", name, NAMES)
    check_choice("split", split, tuple(SPLITS) if name == "avatars" else ("train", "test"))
    if name == "avatars":
        return load_avatars(split)
    if name in SHIPPED:
        path = Path(__file__).parent / SHIPPED[name]
        try:
            with open(path, "rb") as file, np.load(file) as arrays:
                images, labels = arrays[f"{split}_images"], arrays[f"{split}_labels"]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise DataError(f"{path} is damaged ({error}). Install tinydiff again.") from error
        return Dataset(images[..., None], labels.astype(np.int64), name, split, "the package")
    images, labels, source = read_idx(name, split, download if network else None)
    return Dataset(images, labels, name, split, source)
