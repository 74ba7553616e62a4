"""The nearest training images of a sample."""

import numpy as np

from tinydiff.base import Array, InputError, check_shape, xp_of
from tinydiff.evaluate.numbers import finite

CHUNK = 4096  # images compared at once: bounds the memory, changes no result


def nearest_neighbours(samples: Array, images: Array, k: int = 1) -> tuple[Array, Array]:
    """Return the `k` images nearest to each sample, by Euclidean distance over all pixels, nearest first.

    Shown beside the samples, they tell whether a model draws new images or repeats its training set. The
    search takes ``|s - x|^2 = |s|^2 - 2 s.x + |x|^2``, one matrix product for many images; the distances
    that are returned are computed anew from the differences, so that a copy has distance 0 exactly.

    Parameters
    ----------
    samples : array, shape (N, ...)
        Floats in [-1, 1], or uint8 from 0 to 255, which is mapped to [-1, 1].
    images : array, shape (M, ...)
        The same, with M >= k.
    k : int

    Returns
    -------
    indices : integer array, shape (N, k)
        Into `images`. Equally near images come in any order.
    distances : float64 array, shape (N, k)
        In units where black and white are 2 apart.

    Raises
    ------
    InputError
        If shapes do not fit, a number is not finite, or there are fewer than `k` images.
    """
    xp = xp_of(samples, images)
    check_shape("images", images, (None, *samples.shape[1:]))
    if not 1 <= k <= len(images):
        raise InputError(f"k is {k}, but from 1 to {len(images)}, the number of images, was expected.")
    s = flat_floats("samples", samples)
    best = xp.zeros((len(s), 0), dtype=xp.int64)
    best_squares = xp.zeros((len(s), 0))
    for start in range(0, len(images), CHUNK):
        x = flat_floats("images", images[start : start + CHUNK])
        squares = (x * x).sum(axis=1) - 2 * (s @ x.T)  # |s|^2 is the same for all images
        indices = xp.broadcast_to(xp.arange(start, start + len(x)), squares.shape)
        squares = xp.concatenate([best_squares, squares], axis=1)
        indices = xp.concatenate([best, indices], axis=1)
        winners = xp.argpartition(squares, min(k, squares.shape[1]) - 1, axis=1)[:, :k]
        best = xp.take_along_axis(indices, winners, axis=1)
        best_squares = xp.take_along_axis(squares, winners, axis=1)
    columns = [s - flat_floats("images", images[best[:, j]]) for j in range(k)]
    distances = xp.stack([xp.sqrt((difference**2).sum(axis=1)) for difference in columns], axis=1)
    order = xp.argsort(distances, axis=1)
    return xp.take_along_axis(best, order, axis=1), xp.take_along_axis(distances, order, axis=1)


def flat_floats(name, images):
    """Return float64 rows, one per image; float64, so that nearly equal distances are still told apart."""
    rows = finite(name, images).reshape(len(images), -1)
    return rows / 127.5 - 1 if images.dtype == np.uint8 else rows
