"""A data set: images as bytes, turned into floats in [-1, 1] one batch at a time."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tinydiff.base import (
    Array,
    InputError,
    Size,
    check_alike,
    check_memory,
    check_numbers,
    check_rank,
    check_shape,
    checks_arguments,
    counted,
    height_and_width,
    printable,
    there_are,
    xp_of,
)
from tinydiff.data.resizing import area_average, crop_to_aspect


@checks_arguments("__init__", "take", "resize", "pad")
@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Images with labels, held as bytes.

    Parameters
    ----------
    images : uint8 array, shape (N, H, W, C)
        0 (black) to 255.
    labels : integer array, shape (N,)
    name, split : str
    source : str
        Where the images came from, as a text for people.
    captions : tuple of str or None
        One text for each image.
    class_names : tuple of str or None
        What class 0, 1, ... is called.
    notes : tuple of str
        What was changed or left out while the images were read, such as colour or borders: a sentence each, which a
        command prints on a line of its own.
    """

    images: np.ndarray
    labels: np.ndarray
    name: str
    split: str
    source: str
    captions: tuple[str, ...] | None = None
    class_names: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self):
        check_rank("images", self.images, 4)
        if self.images.dtype != np.uint8:
            raise InputError(f"images has dtype {self.images.dtype}, but uint8 was expected; to_images() converts.")
        check_rank("labels", self.labels, 1)
        if self.labels.dtype.kind not in "iu":
            raise InputError(f"labels has dtype {self.labels.dtype}, but whole numbers were expected.")
        if len(self.labels) != len(self.images):
            raise InputError(
                f"{there_are(len(self.labels), 'label').capitalize()} for {counted(len(self.images), 'image')}."
            )
        if self.captions is not None and len(self.captions) != len(self.images):
            raise InputError(
                f"{there_are(len(self.captions), 'caption').capitalize()} for {counted(len(self.images), 'image')}."
            )

    def __len__(self) -> int:
        return len(self.images)

    @property
    def shape(self) -> tuple[int, ...]:
        """Height, width and channels of an image."""
        return self.images.shape[1:]

    def identity(self) -> dict[str, Any]:
        """Return checksums of images, labels and captions: what decides a run that learns from them."""
        sums = [zlib.crc32(a.tobytes()) for a in (self.images, self.labels)]
        if self.captions is not None:
            sums.append(zlib.crc32("\n".join(self.captions).encode()))
        return {"checksums": sums}

    def __repr__(self) -> str:
        """Return what this is, and its notes, a line each: what a notebook shows."""
        return "\n".join([self.describe(), *self.notes])

    def describe(self) -> str:
        """Return one line that says what this is, how many images there are, and where they came from."""
        height, width, channels = self.images.shape[1:]
        shape = f"{height} x {width} x {channels}"
        what = f"{counted(len(self), 'image')} {shape}"
        return printable(f"{self.name or self.source}, {self.split}: {what}, from {self.source}")

    def batch(
        self, indices: Array | Sequence[int], xp: Any = np, flip: np.ndarray | None = None
    ) -> tuple[Array, Array]:
        """Return (images, labels) at these indices.

        Parameters
        ----------
        indices : integer array, shape (n,)
            Each from 0 to N - 1.
        xp : module
            `numpy` or `cupy`, the library of the arrays that are returned.
        flip : boolean array, shape (n,), or None
            Which images to mirror, left for right.

        Returns
        -------
        images : float32 array, shape (n, H, W, C), in [-1, 1]
        labels : integer array, shape (n,)

        Raises
        ------
        InputError
            If an index is no integer or out of range, or `flip` does not fit.
        """
        indices, xp = indices_of(indices, len(self), "image"), library(xp)
        images = self.images[indices]
        if flip is not None:
            flip = _plain("flip", flip)
            check_shape("flip", flip, indices.shape)
            if flip.dtype != bool:
                raise InputError(f"flip has dtype {flip.dtype}, but True or False for each image was expected.")
            images = np.where(flip[:, None, None, None], images[:, :, ::-1], images)
        return xp.asarray(to_floats(images)), xp.asarray(self.labels[indices])

    def take(self, indices: Array | slice | Sequence[Any]) -> "Dataset":
        """Return the data set of these images only (indices, a slice or a mask)."""
        indices, chosen = selection(indices, len(self), "image")
        captions = None if self.captions is None else tuple(self.captions[i] for i in chosen)
        return replace(self, images=self.images[indices], labels=self.labels[indices], captions=captions)

    def resize(self, size: Size) -> "Dataset":
        """Return the images at another size, each pixel the average of the area that it covers.

        Nothing is distorted: images of another aspect ratio are cropped equally on both sides (`crop_to_aspect`), and
        `source` then says so.

        Parameters
        ----------
        size : int or (int, int)
            Height and width, or both in one number.
        """
        size = height_and_width("size", size)
        if self.images.shape[1:3] == size:
            return self
        middle, source = crop_to_aspect(self.images, size), self.source
        if middle.shape != self.images.shape:
            source += f" (cut to the middle {_sides(middle)} of {_sides(self.images)})"
        return replace(self, images=area_average(middle, size), source=source)

    def pad(self, size: Size) -> "Dataset":
        """Return the images in the middle of black ones, of this height and width or, for one number, both."""
        height, width = height_and_width("size", size)
        old_height, old_width = self.images.shape[1:3]
        if height < old_height or width < old_width:
            raise InputError(
                f"size is {height} x {width}, but images of {_sides(self.images)} cannot be padded to less."
            )
        top, left = (height - old_height) // 2, (width - old_width) // 2
        check_memory(
            len(self) * height * width * self.images.shape[3],
            f"size is {height:,} x {width:,}, of {counted(len(self), 'image')}",
            "choose a smaller one, or fewer images",
        )
        images = np.zeros((len(self), height, width, self.images.shape[3]), np.uint8)
        images[:, top : top + old_height, left : left + old_width] = self.images
        return replace(self, images=images)


def to_floats(images: Array) -> Array:
    """Turn bytes 0 .. 255 into float32 numbers -1 .. 1."""
    check_numbers("images", images)
    if images.dtype != np.uint8:
        raise InputError(f"images has dtype {images.dtype}, but uint8 was expected.")
    return images.astype(np.float32) * (2 / 255) - 1


def to_images(x: Array) -> Array:
    """Turn numbers -1 .. 1 into bytes 0 .. 255, rounded; what lies outside is clipped."""
    check_alike(x=x)
    xp = xp_of(x)
    return xp.clip(xp.rint((x + 1) * 127.5), 0, 255).astype(xp.uint8)


def indices_of(indices: Array | Sequence[int], n: int, noun: str) -> np.ndarray:
    """Return indices as an array; raise `InputError` unless they are whole numbers from 0 to n - 1."""
    indices = _plain("indices", indices)
    check_rank("indices", indices, 1)
    if indices.dtype.kind not in "iu":
        raise InputError(f"indices has dtype {indices.dtype}, but integers were expected.")
    if indices.size and not (0 <= indices.min() and indices.max() < n):
        raise InputError(f"indices run from {indices.min()} to {indices.max()}, but {there_are(n, noun)}.")
    return indices


def selection(indices: Array | slice | Sequence[Any], n: int, noun: str) -> tuple[Any, np.ndarray]:
    """Return what to index arrays with, and the numbers that are chosen of n, by indices, a slice or a mask.

    Raises
    ------
    InputError
        If they do not fit.
    """
    indices = indices if isinstance(indices, slice) else _plain("indices", indices)
    try:
        chosen = np.arange(n)[indices]
        check_rank("indices", chosen, 1)
    except (IndexError, TypeError) as error:
        raise InputError(f"indices do not fit a data set of {counted(n, noun)}: {error}.") from error
    return indices, chosen


def library(xp: Any) -> Any:
    """Return a library of arrays as it is; raise `InputError` for what is none."""
    if not hasattr(xp, "asarray"):
        raise InputError(f"xp is of type {type(xp).__name__}, but a module, numpy or cupy, was expected.")
    return xp


def _plain(name, values):
    """Return an array as it is, and a list as an array; one that is masked, or holds no numbers, is refused."""
    values = values if isinstance(values, np.ndarray) else np.asarray(values)
    check_numbers(name, values)
    return values


def _sides(images):
    return "{} x {}".format(*images.shape[1:3])
