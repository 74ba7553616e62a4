"""The Fréchet distance between two clouds of features."""

from tinydiff.base import Array, InputError, check_rank, check_shape, checked, counted, xp_of
from tinydiff.evaluate.numbers import finite


@checked()
def frechet_distance(mu_1: Array, cov_1: Array, mu_2: Array, cov_2: Array) -> float:
    """Return the squared Fréchet distance of two Gaussians (Eq. FD-1).

    With the symmetric roots A and B of the two covariances, the trace of the root in the equation is the sum
    of the singular values of A B. So no number becomes complex, and no root is taken of a rounding error: a
    Gaussian has distance zero from itself even where its covariance has no full rank.

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
        If shapes do not fit, a number is not finite, or a covariance is not symmetric or has a negative eigenvalue.

    Notes
    -----
    Source: Dowson and Landau (1982); used for generated images by Heusel et al. (2017).
    """
    xp = xp_of(mu_1, cov_1, mu_2, cov_2)
    check_rank("mu_1", mu_1, 1)
    n_features = mu_1.shape[0]
    check_shape("mu_2", mu_2, (n_features,))
    mu_1, mu_2 = finite("mu_1", mu_1), finite("mu_2", mu_2)
    root_1 = _root("cov_1", cov_1, n_features)
    root_2 = _root("cov_2", cov_2, n_features)
    traces = (root_1**2).sum() + (root_2**2).sum()
    trace_of_root = xp.linalg.svd(root_1 @ root_2, compute_uv=False).sum()
    distance = ((mu_1 - mu_2) ** 2).sum() + traces - 2 * trace_of_root
    return max(0.0, float(distance))  # only rounding can make it negative


@checked()
def frechet_distance_of(features_1: Array, features_2: Array) -> float:
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


@checked()
def frechet_infinity(features_1: Array, features_2: Array) -> float:
    """Return the Fréchet distance of two sets of features as if there were infinitely many images (Eq. FD-2).

    With N images of each kind, `frechet_distance_of` is too large by about c / N; with half of them, by 2 c / N. So
    twice the one less the other has none of it. What is left of the bias falls faster, like 1 / N^2; the price is that
    the figure varies more, and may be a little below 0.

    Parameters
    ----------
    features_1, features_2 : arrays, shapes (N_1, F) and (N_2, F)
        One row of features per image, at least four rows, in any order that does not matter: the first half is compared
        with the first, the second with the second. Take several times more images than features: the law of
        1 / N holds for many only.

    Returns
    -------
    float
        In squared units of the features.

    Raises
    ------
    InputError
        If shapes do not fit, a number is not finite, or there are fewer than four images.

    Notes
    -----
    Source: Chong and Forsyth 2020 (arXiv 1911.07023), who fit a line to many N; this is the line through two.
    """
    xp_of(features_1, features_2)
    check_rank("features_1", features_1, 2)
    check_shape("features_2", features_2, (None, features_1.shape[1]))
    for name, features in (("features_1", features_1), ("features_2", features_2)):
        if len(features) < 4:
            raise InputError(f"{name} has {counted(len(features), 'sample')}, but at least 4 were expected.")
    half_1, half_2 = len(features_1) // 2, len(features_2) // 2
    halves = (
        frechet_distance_of(features_1[:half_1], features_2[:half_2]),
        frechet_distance_of(features_1[half_1:], features_2[half_2:]),
    )
    return 2 * frechet_distance_of(features_1, features_2) - sum(halves) / 2


def _root(name, cov, n_features):
    """Return the symmetric square root of a covariance: that of its eigenvalues, in its own basis."""
    xp = xp_of(cov)
    check_shape(name, cov, (n_features, n_features))
    cov = finite(name, cov)
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
        raise InputError(f"{name} has {counted(len(features), 'sample')}, but at least 2 were expected.")
    features = finite(name, features)
    mu = features.mean(axis=0)
    centred = features - mu
    return mu, centred.T @ centred / (len(features) - 1)
