"""How good samples are: distances between clouds of features, nearest training images, shares of classes."""

from typing import Any, NamedTuple

import numpy as np

from tinydiff.backend import to_numpy, xp_of
from tinydiff.errors import InputError, check_count, check_number, check_rank, check_shape

Z_95 = 1.959963984540054  # a standard normal number lies within +-Z_95 with probability 0.95
CHUNK = 4096  # images compared at once: bounds the memory, changes no result


class Share(NamedTuple):
    """A share of samples, 0 to 1, and its 95 % confidence interval (one number each, or one per class)."""

    value: Any
    low: Any
    high: Any


class LossByTimestep(NamedTuple):
    """Mean loss in bins of the step index: arrays with one entry per bin.

    `t` is the middle of the bin and `n` the number of its losses. `mean` is NaN where there are none, and
    `standard_error`, that of the mean, where there are fewer than two.
    """

    t: np.ndarray
    mean: np.ndarray
    standard_error: np.ndarray
    n: np.ndarray


def frechet_distance(mu_1: Any, cov_1: Any, mu_2: Any, cov_2: Any) -> float:
    """Return the squared Fréchet distance of two Gaussians (Eq. FD-1).

    With the symmetric roots A and B of the two covariances, the trace of the root in the equation is the sum
    of the singular values of A B. So nothing becomes complex, and no root is taken of a rounding error: a
    Gaussian is at distance zero from itself even where its covariance has no full rank.

    Parameters
    ----------
    mu_1, mu_2 : arrays, shape (F,)
        Means.
    cov_1, cov_2 : arrays, shape (F, F)
        Covariances: symmetric, with no negative eigenvalue.

    Returns
    -------
    float
        At least 0, in squared units of the features.

    Raises
    ------
    InputError
        If shapes do not fit, a number is not finite, or a covariance is not one.

    Notes
    -----
    Source: Dowson and Landau (1982); used for generated images by Heusel et al. (2017).
    """
    xp = xp_of(mu_1, cov_1, mu_2, cov_2)
    check_rank("mu_1", mu_1, 1)
    n_features = mu_1.shape[0]
    check_shape("mu_2", mu_2, (n_features,))
    mu_1, mu_2 = _finite("mu_1", mu_1), _finite("mu_2", mu_2)
    root_1 = _root("cov_1", cov_1, n_features)
    root_2 = _root("cov_2", cov_2, n_features)
    traces = (root_1**2).sum() + (root_2**2).sum()
    trace_of_root = xp.linalg.svd(root_1 @ root_2, compute_uv=False).sum()
    distance = ((mu_1 - mu_2) ** 2).sum() + traces - 2 * trace_of_root
    return max(0.0, float(distance))  # only rounding can make it negative


def frechet_distance_of(features_1: Any, features_2: Any) -> float:
    """Return the squared Fréchet distance (Eq. FD-1) of the Gaussians with the moments of two sets of features.

    The estimate is biased upwards by an amount that falls like 1 / N, so compare only figures of equal N, and
    set the figure of real against real images beside them. With fewer samples than features a covariance has
    no full rank: the figure is still defined, but it is mostly bias. Take many times more samples than
    features. The figure is no "FID" unless the features are those of the Inception network.

    Parameters
    ----------
    features_1, features_2 : arrays, shapes (N_1, F) and (N_2, F)
        One row of features per image, at least two rows.

    Returns
    -------
    float
        At least 0, in squared units of the features.

    Raises
    ------
    InputError
        If shapes do not fit, a number is not finite, or there are fewer than two samples.
    """
    xp_of(features_1, features_2)
    check_rank("features_1", features_1, 2)
    check_shape("features_2", features_2, (None, features_1.shape[1]))
    return frechet_distance(*_moments("features_1", features_1), *_moments("features_2", features_2))


def precision_and_recall(real: Any, drawn: Any, k: int = 3) -> tuple[float, float]:
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
    points, centres = _flat_floats("points", points), _flat_floats("centres", centres)
    inside = [bool((xp.sqrt(((point - centres) ** 2).sum(axis=1)) <= radii[:, k]).any()) for point in points]
    return float(np.mean(inside))


def nearest_neighbours(samples: Any, images: Any, k: int = 1) -> tuple[Any, Any]:
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
    s = _flat_floats("samples", samples)
    best = xp.zeros((len(s), 0), dtype=xp.int64)
    best_squares = xp.zeros((len(s), 0))
    for start in range(0, len(images), CHUNK):
        x = _flat_floats("images", images[start : start + CHUNK])
        squares = (x * x).sum(axis=1) - 2 * (s @ x.T)  # |s|^2 is the same for all images
        indices = xp.broadcast_to(xp.arange(start, start + len(x)), squares.shape)
        squares = xp.concatenate([best_squares, squares], axis=1)
        indices = xp.concatenate([best, indices], axis=1)
        winners = xp.argpartition(squares, min(k, squares.shape[1]) - 1, axis=1)[:, :k]
        best = xp.take_along_axis(indices, winners, axis=1)
        best_squares = xp.take_along_axis(squares, winners, axis=1)
    columns = [s - _flat_floats("images", images[best[:, j]]) for j in range(k)]
    distances = xp.stack([xp.sqrt((difference**2).sum(axis=1)) for difference in columns], axis=1)
    order = xp.argsort(distances, axis=1)
    return xp.take_along_axis(best, order, axis=1), xp.take_along_axis(distances, order, axis=1)


def wilson_share(count: Any, n: int) -> Share:
    """Return ``count / n`` with its 95 % Wilson score interval, which is honest at 0 and 1 too (Eq. WILSON-1).

    Parameters
    ----------
    count : number or array
        How many of `n` samples were counted.
    n : int

    Raises
    ------
    InputError
        If n is no whole number above 0, or a count is not from 0 to n.
    """
    check_count("n", n)
    if not (np.all(np.asarray(count) >= 0) and np.all(np.asarray(count) <= n)):
        raise InputError(f"count is {count}, but numbers from 0 to n = {n} were expected.")
    value = count / n
    z = Z_95
    centre = (value + z**2 / (2 * n)) / (1 + z**2 / n)
    half_width = z / (1 + z**2 / n) * np.sqrt(value * (1 - value) / n + z**2 / (4 * n**2))
    return Share(value, centre - half_width, centre + half_width)


def confident_share(probabilities: Any, threshold: float = 0.9) -> Share:
    """Return the share of samples whose most probable class has a probability above `threshold`.

    Parameters
    ----------
    probabilities : array, shape (N, classes)
        A classifier's probabilities, each row adding to 1.
    threshold : float from 0 to 1

    Returns
    -------
    Share
        See `wilson_share`.

    Raises
    ------
    InputError
        If there is no sample, or a row is no distribution.
    """
    check_number("threshold", threshold, 0, 1)
    probabilities = _distributions(probabilities)
    confident = (probabilities.max(axis=1) > threshold).sum()
    return wilson_share(confident, len(probabilities))


def class_shares(probabilities: Any, n_classes: int) -> Share:
    """Return the share of samples that a classifier calls by each class.

    Parameters
    ----------
    probabilities : array, shape (N, n_classes)
        A classifier's probabilities, each row adding to 1.
    n_classes : int
        How many classes the data has; a classifier of other data is refused.

    Returns
    -------
    Share
        Its fields are arrays of shape (n_classes,); see `wilson_share`.

    Raises
    ------
    InputError
        If there is no sample, another number of classes, or a row is no distribution.
    """
    check_shape("probabilities", probabilities, (None, n_classes))
    probabilities = _distributions(probabilities)
    counts = np.bincount(probabilities.argmax(axis=1), minlength=n_classes)
    return wilson_share(counts, len(probabilities))


def loss_by_timestep(t: Any, losses: Any, T: int, bins: int = 20) -> LossByTimestep:
    """Return the mean loss, its standard error and the number of losses in equal bins of the step index.

    Parameters
    ----------
    t : array, shape (N,)
        Step index of each loss, above 0 and at most `T`; integer or real.
    losses : array, shape (N,)
        One loss per sample.
    T : int
        Number of steps of the process. Bin b holds ``b T / bins < t <= (b + 1) T / bins``.
    bins : int from 1 to T

    Returns
    -------
    LossByTimestep

    Raises
    ------
    InputError
        If shapes do not fit, a number is not finite, or t is outside its range.
    """
    t, losses = _finite("t", to_numpy(t)), _finite("losses", to_numpy(losses))
    check_rank("t", t, 1)
    check_shape("losses", losses, t.shape)
    check_number("bins", bins, 1, T)
    outside = t[(t <= 0) | (t > T)]
    if outside.size:
        raise InputError(f"t has the value {outside[0]:g}, but steps above 0 and up to T = {T} were expected.")
    bin_of = np.ceil(t * bins / T).astype(np.int64) - 1
    n = np.bincount(bin_of, minlength=bins)
    mean = _ratio(np.bincount(bin_of, weights=losses, minlength=bins), n)
    squares = np.bincount(bin_of, weights=(losses - mean[bin_of]) ** 2, minlength=bins)
    standard_error = np.sqrt(_ratio(squares, n * (n - 1)))
    return LossByTimestep((np.arange(bins) + 0.5) * T / bins, mean, standard_error, n)


def _finite(name, x):
    """Return `x` in float64, refusing NaN, infinity and no numbers at all."""
    if not x.size:
        raise InputError(f"{name} has shape {tuple(x.shape)}: it is empty, but at least one entry was expected.")
    if not bool(xp_of(x).isfinite(x).all()):
        raise InputError(f"{name} holds NaN or infinity, but finite numbers were expected. Find where it came from.")
    return x.astype(np.float64)


def _root(name, cov, n_features):
    """Return the symmetric square root of a covariance: that of its eigenvalues, in its own basis."""
    xp = xp_of(cov)
    check_shape(name, cov, (n_features, n_features))
    cov = _finite(name, cov)
    tolerance = 1e-6 * float(xp.abs(cov).max())  # generous to float32, small beside any honest mistake
    if float(xp.abs(cov - cov.T).max()) > tolerance:
        raise InputError(f"{name} is not symmetric, but a covariance was expected.")
    eigenvalues, basis = xp.linalg.eigh(cov)
    if float(eigenvalues.min()) < -n_features * tolerance:
        raise InputError(f"{name} has the negative eigenvalue {float(eigenvalues.min()):g}: it is no covariance.")
    return (basis * xp.sqrt(xp.maximum(eigenvalues, 0))) @ basis.T


def _moments(name, features):
    """Return the mean and the unbiased covariance of the rows."""
    if len(features) < 2:
        raise InputError(f"{name} has {len(features)} samples, but at least 2 were expected.")
    features = _finite(name, features)
    mu = features.mean(axis=0)
    centred = features - mu
    return mu, centred.T @ centred / (len(features) - 1)


def _flat_floats(name, images):
    """Return float64 rows, one per image; float64 so that near ties are told apart."""
    rows = _finite(name, images).reshape(len(images), -1)
    return rows / 127.5 - 1 if images.dtype == np.uint8 else rows


def _distributions(probabilities):
    probabilities = to_numpy(probabilities)
    check_rank("probabilities", probabilities, 2)
    probabilities = _finite("probabilities", probabilities)
    if probabilities.min() < 0 or abs(probabilities.sum(axis=1) - 1).max() > 1e-3:
        raise InputError("probabilities has rows that are negative or do not add to 1. Apply softmax to logits first.")
    return probabilities


def _ratio(sums, counts):
    """Return ``sums / counts``, NaN where a count is not positive."""
    return np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)
