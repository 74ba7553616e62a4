"""How near two sets of pictures are, in decibels."""

import math

import numpy as np

from tinydiff.base import InputError, checked


@checked()
def peak_signal_to_noise(images: np.ndarray, others: np.ndarray) -> float:
    """Return the peak signal-to-noise ratio of pictures as bytes, in decibels (Eq. PSNR-1).

    The squared error is pooled over all of them: the mean of the ratios of single pictures is another, larger number,
    which a few easy pictures decide. Where every byte is right, it is as much as if one of them were off by 1.

    Parameters
    ----------
    images, others : uint8 arrays of one shape

    Raises
    ------
    InputError
        If they are not.
    """
    for name, pictures in (("images", images), ("others", others)):
        if pictures.dtype != np.uint8:
            raise InputError(f"{name} has dtype {pictures.dtype}, but uint8 was expected; to_images() converts.")
    if images.shape != others.shape:
        raise InputError(f"images has shape {images.shape}, but others has {others.shape}: they are compared.")
    if not images.size:
        raise InputError("images is empty, but at least one picture was expected.")
    difference = images.astype(np.float32) - others
    squared_error = max(float((difference * difference).sum(dtype=np.float64)), 1.0)
    return 10 * math.log10(255**2 * difference.size / squared_error)
