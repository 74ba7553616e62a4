"""The nearest training images of a sample."""

import numpy as np

from tinydiff.base import Array, InputError, check_shape, checked, xp_of
from tinydiff.evaluate.numbers import finite

CHUNK = 4096  # images compared at once: bounds the memory, changes no result


@checked()
def nearest_neighbours(samples: Array, images: Array, k: int = 1) -> tuple[Array, Array]:
    """Return the `k` images nearest to each sample, by Euclidean distance over all pixels, nearest first.

    Shown beside the samples, they tell whether a model draws new images or repeats its training set. The
    search takes ``|s - x|^2 = |s|^2 - 2 s.x + |x|^2``, one matrix product for many images. That is rounded, by far
    more than near images differ where all are far from 0; so for every image that might be among the nearest as far as
    rounding goes, the distance is computed anew from the differences. A copy has distance 0 exactly.

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
    rounding = 4 * (s.shape[1] + 2) * float(np.finfo(np.float64).eps)  # of a sum of so many products, at most
    best = [xp.zeros(0, dtype=xp.int64) for _ in s]
    best_squares = [xp.zeros(0) for _ in s]
    for start in range(0, len(images), CHUNK):
        x = flat_floats("images", images[start : start + CHUNK])
        lengths = (x * x).sum(axis=1)
        squares = lengths - 2 * (s @ x.T)  # |s|^2 is the same for all images
        kth = xp.partition(squares, min(k, len(x)) - 1, axis=1)[:, min(k, len(x)) - 1]
        limits = kth + 2 * rounding * ((s * s).sum(axis=1) + lengths.max())
        for i, row in enumerate(s):
            near = xp.flatnonzero(squares[i] <= limits[i])
            exact = xp.concatenate([best_squares[i], ((row - x[near]) ** 2).sum(axis=1)])
            nearest = xp.argsort(exact)[:k]
            best[i] = xp.concatenate([best[i], near + start])[nearest]
            best_squares[i] = exact[nearest]
    return xp.stack(best), xp.sqrt(xp.stack(best_squares))


def flat_floats(name, images):
    """Return float64 rows, one per image; float64, so that nearly equal distances are still told apart."""
    rows = finite(name, images).reshape(len(images), -1)
    return rows / 127.5 - 1 if images.dtype == np.uint8 else rows
