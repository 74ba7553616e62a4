"""What objectives share that draw pictures again: a look at the data, their checksum, and how near a copy is."""

import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from tinydiff.base import Array, InputError, shown, to_numpy
from tinydiff.data import peak_signal_to_noise, to_images

AT_ONCE = 256  # images in memory


def check_pictures(name: str, data: Any, shape: tuple[int, int, int]) -> None:
    """Raise `InputError` unless these are data with at least one image, whose shape is the network's."""
    if not (hasattr(data, "batch") and hasattr(data, "__len__")):
        raise InputError(f"{name} is {shown(data)}, but a Dataset was expected, or what has its length and batch().")
    if not len(data):
        raise InputError(f"{name} is empty: there is nothing to train on.")
    images, _ = data.batch(np.arange(1))
    if tuple(images.shape[1:]) != shape:
        raise InputError(f"{name} has images of shape {tuple(images.shape[1:])}, but the network's are {shape}.")


def pictures_in(data: Any, indices: np.ndarray, xp: Any = np) -> Iterator[Array]:
    """Yield the images at these indices, some at a time."""
    for start in range(0, len(indices), AT_ONCE):
        yield data.batch(indices[start : start + AT_ONCE], xp)[0]


def checksum(data: Any) -> int:
    """Return a checksum of what the data say of themselves, where they do (`identity`), or of all their images."""
    if hasattr(data, "identity"):
        return zlib.crc32(repr(data.identity()).encode())
    found = 0
    for images in pictures_in(data, np.arange(len(data))):
        found = zlib.crc32(to_numpy(images).tobytes(), found)
    return found


def psnr(x_hat: Array, x: Array) -> float:
    """Return the `peak_signal_to_noise` of what numbers are as bytes."""
    return peak_signal_to_noise(to_numpy(to_images(x_hat)), to_numpy(to_images(x)))
