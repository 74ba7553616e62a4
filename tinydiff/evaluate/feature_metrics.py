"""All distances between two sets of features, with what is needed to compare them: extractor, split, N, interval."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tinydiff.base import Array, InputError, Noise, check_rank, check_shape, checked, counted, to_numpy
from tinydiff.evaluate.frechet import frechet_distance_of, frechet_infinity
from tinydiff.evaluate.intervals import BLOCKS, Estimate, jackknife
from tinydiff.evaluate.kernel_distance import kernel_distance
from tinydiff.evaluate.numbers import finite

FEWEST = 20  # images: after a tenth was left out, there are more than the largest k, and two in each tenth
MOST_NEIGHBOURS = 2000  # images among which neighbours are looked for: all pairs of them lie in memory
K_BALLS, K_DENSITY = 3, 5  # neighbours for precision and recall, for density and coverage, as their authors have them


@dataclass(frozen=True)
class FeatureMetrics:
    """What is said of samples by the features of some extractor; a figure without the first four means nothing.

    Parameters
    ----------
    extractor : str
        What computed the features, in words.
    split : str
        Which real images they are compared with, in words.
    n_real, n_drawn : int
        How many images were compared. Of these, at most 2,000 of each were looked at for the last four.
    frechet : Estimate
        Fréchet distance (Eq. FD-1), biased upwards by an amount that falls like 1 / N.
    frechet_infinity : Estimate
        The same, extrapolated to infinitely many images (Eq. FD-2).
    kernel : Estimate
        Kernel distance (Eq. KID-1), which has no bias.
    precision, recall : Estimate
        Eq. PR-1, with 3 neighbours.
    density, coverage : Estimate
        Eq. DC-1, with 5 neighbours.
    """

    extractor: str
    split: str
    n_real: int
    n_drawn: int
    frechet: Estimate
    frechet_infinity: Estimate
    kernel: Estimate
    precision: Estimate
    recall: Estimate
    density: Estimate
    coverage: Estimate

    def __str__(self):
        """Return a table of one column."""
        return "\n".join(metric_table({"samples": self}))


@checked()
def feature_metrics(real: Array, drawn: Array, extractor: str, split: str) -> FeatureMetrics:
    """Return all distances between the features of real and drawn images, each with its interval (Eq. JACK-1).

    Parameters
    ----------
    real, drawn : arrays, shapes (N, F) and (M, F)
        One row of features per image, at least 20 rows each.
    extractor : str
        What computed the features, such as ``"mnist-classifier-28"``.
    split : str
        Which real images these are, such as ``"mnist-small, test"``.

    Raises
    ------
    InputError
        If shapes do not fit, a number is not finite, there are fewer than 20 images, or extractor or split is empty.
    """
    check_rank("real", real, 2)
    check_shape("drawn", drawn, (None, real.shape[1]))
    for name, words in (("extractor", extractor), ("split", split)):
        if not words.strip():
            raise InputError(f"{name} is empty, but a figure means nothing without it: say it in a few words.")
    for name, features in (("real", real), ("drawn", drawn)):
        if len(features) < FEWEST:
            raise InputError(
                f"{name} has {counted(len(features), 'image')}, but at least {FEWEST} are needed for an interval."
            )
    x, y = (_shuffled(name, finite(name, to_numpy(features))) for name, features in (("real", real), ("drawn", drawn)))

    def of_clouds(i, j):
        return frechet_distance_of(x[i], y[j]), frechet_infinity(x[i], y[j]), kernel_distance(x[i], y[j])

    near_x, near_y = x[:MOST_NEIGHBOURS], y[:MOST_NEIGHBOURS]
    among_real, among_drawn, between = (
        _distances(near_x, near_x),
        _distances(near_y, near_y),
        _distances(near_x, near_y),
    )

    def of_neighbours(i, j):
        return neighbour_figures(among_real[np.ix_(i, i)], among_drawn[np.ix_(j, j)], between[np.ix_(i, j)])

    estimates = jackknife(of_clouds, len(x), len(y)) + jackknife(of_neighbours, len(near_x), len(near_y))
    return FeatureMetrics(extractor, split, len(x), len(y), *estimates)


def neighbour_figures(
    among_real: np.ndarray, among_drawn: np.ndarray, between: np.ndarray
) -> tuple[float, float, float, float]:
    """Return precision, recall, density and coverage (Eq. PR-1 and DC-1) of matrices of distances.

    It is what `precision_and_recall` and `density_and_coverage` return; but the distances are computed once, and not
    again for each tenth that is left out.

    Parameters
    ----------
    among_real, among_drawn, between : arrays, shapes (N, N), (M, M) and (N, M)
    """
    in_ball_of_real = between <= _radii(among_real, K_BALLS)[:, None]
    in_ball_of_drawn = between <= _radii(among_drawn, K_BALLS)
    inside = between <= _radii(among_real, K_DENSITY)[:, None]
    return (
        float(in_ball_of_real.any(axis=0).mean()),
        float(in_ball_of_drawn.any(axis=1).mean()),
        float(inside.sum() / (K_DENSITY * inside.shape[1])),
        float(inside.any(axis=1).mean()),
    )


def metric_table(columns: Mapping[str, FeatureMetrics]) -> list[str]:
    """Return lines: the figures of several sets of images, compared with equally many real ones, a column for each."""
    first = next(iter(columns.values()))
    rows = {
        "Fréchet distance (FD; FID if Inception's)": "frechet",
        "  extrapolated to infinitely many images": "frechet_infinity",
        "kernel distance (KID)": "kernel",
        f"precision (k = {K_BALLS})": "precision",
        f"recall (k = {K_BALLS})": "recall",
        f"density (k = {K_DENSITY})": "density",
        f"coverage (k = {K_DENSITY})": "coverage",
    }
    lines = [
        f"Distances to {counted(first.n_real, 'real image')} of {first.split}, on features of {first.extractor}:",
        f"{'':<46}" + "".join(f"{f'{name}, N = {figures.n_drawn}':>30}" for name, figures in columns.items()),
    ]
    lines += [
        f"{name:<46}" + "".join(f"{getattr(figures, field)!s:>30}" for figures in columns.values())
        for name, field in rows.items()
    ]
    return [*lines, f"In brackets: 95 % intervals, from leaving out each of {BLOCKS} blocks of images (jackknife)."]


def metric_lines(real: Array, drawn: Mapping[str, Array], extractor: str, split: str) -> list[str]:
    """Return lines of a report: features of several sets of images against those of real ones, a column for each.

    Parameters
    ----------
    real, extractor, split
        As for `feature_metrics`.
    drawn : mapping from the name of a column to features
    """
    return metric_table({name: feature_metrics(real, found, extractor, split) for name, found in drawn.items()})


def _shuffled(name, x):
    """Return the rows in an order that says nothing: of data sorted by class, a tenth would be a class."""
    return x[Noise(0).permutation(len(x), f"{name} features")]


def _distances(x, y):
    """Return the distance of each x to each y, from differences, so that a copy has distance 0."""
    return np.stack([np.sqrt(((row - y) ** 2).sum(axis=1)) for row in x])


def _radii(among, k):
    """Return how far the k-th nearest other point is from each point."""
    others = among.copy()
    np.fill_diagonal(others, np.inf)
    return np.partition(others, k - 1, axis=1)[:, k - 1]
