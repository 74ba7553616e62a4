"""A data set: images as bytes, turned into floats in [-1, 1] one batch at a time."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tinydiff.base import InputError, check_alike, check_count, check_rank, check_shape, xp_of


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images with labels, held as bytes.

    Parameters
    ----------
    images : uint8 array, shape (N, H, W, C)
        0 (black) to 255.
    labels : integer array, shape (N,)
    name, split : str
    source : str
        Where the images came from, for people.
    captions : tuple of str or None
        One text for each image.
    """

    images: np.ndarray
    labels: np.ndarray
    name: str
    split: str
    source: str
    captions: tuple[str, ...] | None = None

    def __post_init__(self):
        check_rank("images", self.images, 4)
        if self.images.dtype != np.uint8:
            raise InputError(f"images has dtype {self.images.dtype}, but uint8 was expected; to_images() converts.")
        if len(self.labels) != len(self.images):
            raise InputError(f"There are {len(self.labels)} labels for {len(self.images)} images.")
        if self.captions is not None and len(self.captions) != len(self.images):
            raise InputError(f"There are {len(self.captions)} captions for {len(self.images)} images.")

    def __len__(self) -> int:
        return len(self.images)

    def describe(self) -> str:
        """Return one line that says what this is, how many images there are, and where they came from."""
        height, width, channels = self.images.shape[1:]
        return f"{self.name}, {self.split}: {len(self):,} images {height} x {width} x {channels}, from {self.source}"

    def batch(self, indices: Any, xp: Any = np, flip: np.ndarray | None = None) -> tuple[Any, Any]:
        """Return (images, labels) at these indices.

        Parameters
        ----------
        indices : integer array, shape (n,)
            Each from 0 to N - 1.
        xp : module
            `numpy` or `cupy`: where the arrays are made.
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
        indices = np.asarray(indices)
        check_rank("indices", indices, 1)
        if indices.dtype.kind not in "iu":
            raise InputError(f"indices has dtype {indices.dtype}, but integers were expected.")
        if indices.size and not (0 <= indices.min() and indices.max() < len(self)):
            raise InputError(f"indices run from {indices.min()} to {indices.max()}, but there are {len(self)} images.")
        images = self.images[indices]
        if flip is not None:
            flip = np.asarray(flip)
            check_shape("flip", flip, indices.shape)
            images = np.where(flip[:, None, None, None], images[:, :, ::-1], images)
        return xp.asarray(to_floats(images)), xp.asarray(self.labels[indices])

    def take(self, indices: Any) -> "Dataset":
        """Return the data set of these images only (indices, a slice or a mask)."""
        try:
            chosen = np.arange(len(self))[indices]
        except IndexError as error:
            raise InputError(f"indices do not fit a data set of {len(self)} images: {error}.") from error
        captions = None if self.captions is None else tuple(self.captions[i] for i in chosen)
        return replace(self, images=self.images[indices], labels=self.labels[indices], captions=captions)

    def resize(self, size: int) -> "Dataset":
        """Return the images at size x size, each pixel the average of the area that it covers."""
        check_count("size", size)
        if self.images.shape[1:3] == (size, size):
            return self
        return replace(self, images=area_average(self.images, size))

    def pad(self, size: int) -> "Dataset":
        """Return the images in the middle of size x size black ones."""
        check_count("size", size)
        height, width = self.images.shape[1:3]
        if size < max(height, width):
            raise InputError(f"size is {size}, but images of {height} x {width} cannot be padded to less.")
        top, left = (size - height) // 2, (size - width) // 2
        images = np.zeros((len(self), size, size, self.images.shape[3]), np.uint8)
        images[:, top : top + height, left : left + width] = self.images
        return replace(self, images=images)


def to_floats(images: Any) -> Any:
    """Turn bytes 0 .. 255 into float32 numbers -1 .. 1."""
    xp_of(images)
    if images.dtype != np.uint8:
        raise InputError(f"images has dtype {images.dtype}, but uint8 was expected.")
    return images.astype(np.float32) * (2 / 255) - 1


def to_images(x: Any) -> Any:
    """Turn numbers -1 .. 1 into bytes 0 .. 255, rounded; what lies outside is clipped."""
    check_alike(x=x)
    xp = xp_of(x)
    return xp.clip(xp.rint((x + 1) * 127.5), 0, 255).astype(xp.uint8)


def area_average(images: np.ndarray, size: int) -> np.ndarray:
    """Return images of size x size, each pixel the average of the area that it covers; enlarging repeats pixels.

    The sums are whole numbers, exact in float64, so every machine gives the same bytes. (Pillow's BOX filter takes a
    pixel wholly or not at all, which bends strokes where the ratio is not whole, as from 28 to 16.)

    Parameters
    ----------
    images : uint8 array, shape (N, H, W, C)
    size : int

    Returns
    -------
    uint8 array, shape (N, size, size, C)
    """
    n, height, width, channels = images.shape
    rows, columns = _overlaps(height, size), _overlaps(width, size)
    means = np.empty((n, size, size, channels), np.uint8)
    for i in range(0, n, 1000):  # not all at once: the sums take eight times the bytes
        sums = np.einsum("ah,nhwc,bw->nabc", rows, images[i : i + 1000], columns, optimize=True)
        means[i : i + 1000] = np.rint(sums / (height * width))
    return means


def _overlaps(old, new):
    """Return how much of each old pixel each new one covers, on a ruler of old x new marks: shape (new, old)."""
    i, j = np.arange(new)[:, None] * old, np.arange(old) * new
    return np.clip(np.minimum(i + old, j + new) - np.maximum(i, j), 0, None).astype(np.float64)
