"""Precision and recall of what is drawn."""

import numpy as np

from tinydiff.base import Array, InputError, check_count, check_rank, check_shape, xp_of
from tinydiff.evaluate.neighbours import flat_floats, nearest_neighbours


def precision_and_recall(real: Array, drawn: Array, k: int = 3) -> tuple[float, float]:
    """Return (precision, recall): which share of what is drawn looks real, and of what is real is drawn (Eq. PR-1).

    Each set of features is taken for the union of balls round its points, each as large as to reach the k-th nearest
    other point of the set. Precision is the share of drawn points in the balls of the real ones, recall the share of
    real points in the balls of the drawn ones. Guidance raises the one and lowers the other.

    Parameters
    ----------
    real, drawn : arrays, shapes (N, F) and (M, F)
        One row of features per image, more than `k` rows each. The figures grow with the number of images: compare
        only what has as many of both.
    k : int

    Raises
    ------
    InputError
        If shapes do not fit, a number is not finite, or there are no more than `k` images.

    Notes
    -----
    Source: Kynkaanniemi et al. 2019 (arXiv 1904.06991), Eq. 1 and 2.
    """
    check_rank("real", real, 2)
    check_shape("drawn", drawn, (None, real.shape[1]))
    check_count("k", k)
    for name, features in (("real", real), ("drawn", drawn)):
        if len(features) <= k:
            raise InputError(f"{name} has {len(features)} images, but more than k = {k} were expected.")
    return _share_in_balls(drawn, real, k), _share_in_balls(real, drawn, k)


def _share_in_balls(points, centres, k):
    """Return the share of points that are no farther from some centre than its k-th nearest other centre is."""
    xp = xp_of(points, centres)
    _, radii = nearest_neighbours(centres, centres, k + 1)  # the nearest is the centre itself
    points, centres = flat_floats("points", points), flat_floats("centres", centres)
    inside = [bool((xp.sqrt(((point - centres) ** 2).sum(axis=1)) <= radii[:, k]).any()) for point in points]
    return float(np.mean(inside))
