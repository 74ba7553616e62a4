"""A data set: images as bytes, turned into floats in [-1, 1] one batch at a time."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image

from tinydiff.backend import xp_of
from tinydiff.errors import InputError, check_rank


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
            If an index is out of range.
        """
        indices = np.asarray(indices)
        if indices.size and not (0 <= indices.min() and indices.max() < len(self)):
            raise InputError(f"indices run from {indices.min()} to {indices.max()}, but there are {len(self)} images.")
        images = self.images[indices]
        if flip is not None:
            images = np.where(np.asarray(flip)[:, None, None, None], images[:, :, ::-1], images)
        return xp.asarray(to_floats(images)), xp.asarray(self.labels[indices])

    def take(self, indices: Any) -> "Dataset":
        """Return the data set of these images only (indices, a slice or a mask)."""
        captions = None if self.captions is None else tuple(np.array(self.captions)[indices])
        return replace(self, images=self.images[indices], labels=self.labels[indices], captions=captions)

    def resize(self, size: int) -> "Dataset":
        """Return the images at size x size, each pixel the average of the area that it covers."""
        if self.images.shape[1:3] == (size, size):
            return self
        if size < 1:
            raise InputError(f"size is {size}, but at least 1 was expected.")
        images = np.stack([_resized(image, size) for image in self.images]) if len(self) else self.images
        return replace(self, images=images)

    def pad(self, size: int) -> "Dataset":
        """Return the images in the middle of size x size black ones."""
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
    return images.astype(np.float32) * (2 / 255) - 1


def to_images(x: Any) -> Any:
    """Turn numbers -1 .. 1 into bytes 0 .. 255, rounded; what lies outside is clipped."""
    xp = xp_of(x=x)
    return xp.clip(xp.rint((x + 1) * 127.5), 0, 255).astype(xp.uint8)


def _resized(image, size):
    channels = [
        Image.fromarray(image[..., c]).resize((size, size), Image.Resampling.BOX) for c in range(image.shape[-1])
    ]
    return np.stack([np.asarray(channel) for channel in channels], axis=-1)
