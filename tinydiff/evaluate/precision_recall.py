"""Precision and recall of samples."""

import numpy as np

from tinydiff.base import Array, InputError, check_count, check_rank, check_shape, checked, counted, xp_of
from tinydiff.evaluate.neighbours import flat_floats, nearest_neighbours


@checked()
def precision_and_recall(real: Array, drawn: Array, k: int = 3) -> tuple[float, float]:
    """Return (precision, recall): the shares of realistic samples, and of real images that are covered (Eq. PR-1).

    Each set of features stands for a region: the union of balls around its points, each of which reaches to the k-th
    nearest other point of the set. Precision is the share of drawn points in the balls of the real ones, recall the
    share of real points in the balls of the drawn ones. Guidance raises precision and lowers recall.

    Parameters
    ----------
    real, drawn : arrays, shapes (N, F) and (M, F)
        One row of features per image, more than `k` rows each. Both figures depend on the number of images:
        compare only figures with the same N and M.
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
            raise InputError(f"{name} has {counted(len(features), 'image')}, but more than k = {k} were expected.")
    return _share_in_balls(drawn, real, k), _share_in_balls(real, drawn, k)


def _share_in_balls(points, centres, k):
    """Return the share of points that are no farther from some centre than its k-th nearest other centre is."""
    xp = xp_of(points, centres)
    _, radii = nearest_neighbours(centres, centres, k + 1)  # the nearest is the centre itself
    points, centres = flat_floats("points", points), flat_floats("centres", centres)
    inside = [bool((xp.sqrt(((point - centres) ** 2).sum(axis=1)) <= radii[:, k]).any()) for point in points]
    return float(np.mean(inside))
