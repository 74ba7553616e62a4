"""The list of data sets: each registers itself where it is defined, here those whose files ship with tinydiff."""

import inspect
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from tinydiff.base import Choices, DataError, InputError, check_choice, checked
from tinydiff.data.dataset import Dataset

Loader = TypeVar("Loader", bound=Callable[..., Dataset])


@dataclass(frozen=True)
class KnownDataset:
    """A data set that can be asked for by name.

    Parameters
    ----------
    load : callable
        ``load(split)`` returns one split; ``load(split, network)`` where it may have to be downloaded.
    splits : tuple of str
        What there is, ``"train"`` and ``"test"`` at least.
    downloads : bool
        Whether files that are missing may be downloaded.
    summary : str
        What it is, in one line.
    drawn : callable or None
        For a set that a program draws: ``drawn(split, n, size)`` returns n pictures of any size (None: all) that are
        drawn when they are asked for, such as `DrawnScenes`.
    """

    load: Callable[..., Dataset]
    splits: tuple[str, ...]
    downloads: bool
    summary: str
    drawn: Callable[..., Any] | None = None


DIGITS = tuple("0123456789")  # what the classes of digits are called
CLOTHES = ("T-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot")

DATASETS: Choices[KnownDataset] = Choices("name")


@checked()
def dataset(
    name: str,
    splits: Sequence[str] = ("train", "test"),
    downloads: bool = False,
    drawn: Callable[..., Any] | None = None,
) -> Callable[[Loader], Loader]:
    """Put the function below, which loads a data set, into `DATASETS`, and leave it as it is.

    Parameters
    ----------
    name, splits, downloads, drawn
        See `KnownDataset`.

    Raises
    ------
    InputError
        If another module has a data set of this name.
    """

    def register(load):
        known = DATASETS.get(name)
        if known is not None and known.load.__module__ != load.__module__:
            raise InputError(
                f"There are two data sets named {name!r}, in {known.load.__module__} and {load.__module__}: rename one."
            )
        summary, _, _ = (inspect.getdoc(load) or "").partition("\n")
        DATASETS[name] = KnownDataset(load, tuple(splits), downloads, summary, drawn)
        return load

    return register


@checked()
def load_data(name: str = "mnist-small", split: str = "train", network: bool = True) -> Dataset:
    """Return a data set by name; another one is never taken in its place.

    Parameters
    ----------
    name : str
        One of `DATASETS`. With tinydiff come ``"digits"``, ``"mnist-small"`` and ``"avatars"``; ``"mnist"`` and
        ``"fashion-mnist"`` are looked for on this machine, and then on the network.
    split : str
        ``"train"`` or ``"test"``, or another of the set's splits: avatars have ``"held-out"`` (combinations that
        training never shows) and ``"swapped"`` (pairs with two colours swapped).
    network : bool
        Whether files that are missing may be downloaded.

    Raises
    ------
    DataError
        If the files cannot be found or are damaged; the message says what to put where.
    """
    known = DATASETS[name]
    check_choice("split", split, known.splits)
    return known.load(split, network) if known.downloads else known.load(split)


@dataset("digits")
def load_digits(split: str = "train") -> Dataset:
    """Return 1,797 digits of 8 x 8 pixels: 1,497 to train, 300 to test; they ship with tinydiff."""
    return _shipped("digits", split)


@dataset("mnist-small")
def load_mnist_small(split: str = "train") -> Dataset:
    """Return 6,000 + 1,000 digits of MNIST, 28 x 28, as many of each class; they ship with tinydiff."""
    return _shipped("mnist-small", split)


def _shipped(name, split):
    path = Path(__file__).parent / f"{name}.npz"
    try:
        with open(path, "rb") as file, np.load(file) as arrays:
            images, labels = arrays[f"{split}_images"], arrays[f"{split}_labels"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path} is damaged ({error}). Install tinydiff again.") from error
    return Dataset(images[..., None], labels.astype(np.int64), name, split, "the package", class_names=DIGITS)
