"""The Fréchet distance agrees with closed forms and with other algorithms."""

import numpy as np
import pytest
import scipy.linalg
from arrays import to_xp

from tinydiff.base import InputError
from tinydiff.evaluate import frechet_distance, frechet_distance_of


def random_covariance(rng, n, rank=None):
    factor = rng.standard_normal((n, rank or n))
    return factor @ factor.T


@pytest.mark.pitfall(21)
@pytest.mark.equation("FD-1")
def test_frechet_distance_in_one_dimension_is_that_of_means_and_deviations():
    def distance(mu_1, sd_1, mu_2, sd_2):
        return frechet_distance(np.array([mu_1]), np.array([[sd_1**2]]), np.array([mu_2]), np.array([[sd_2**2]]))

    assert distance(1.0, 2.0, 4.0, 7.0) == pytest.approx(3.0**2 + 5.0**2, rel=1e-12)
    assert distance(1.0, 0.0, 4.0, 7.0) == pytest.approx(3.0**2 + 7.0**2, rel=1e-12)


@pytest.mark.equation("FD-1")
def test_frechet_distance_of_commuting_covariances_adds_up_over_their_common_axes():
    rng = np.random.default_rng(0)
    basis, _ = np.linalg.qr(rng.standard_normal((5, 5)))
    sd_1, sd_2 = rng.uniform(0.1, 3, 5), rng.uniform(0.1, 3, 5)
    mu = rng.standard_normal((2, 5))
    got = frechet_distance(mu[0], basis * sd_1**2 @ basis.T, mu[1], basis * sd_2**2 @ basis.T)
    assert got == pytest.approx(((mu[0] - mu[1]) ** 2).sum() + ((sd_1 - sd_2) ** 2).sum(), rel=1e-12)


@pytest.mark.equation("FD-1")
def test_frechet_distance_of_covariances_that_do_not_commute(xp):
    rng = np.random.default_rng(1)
    cov_1, cov_2, mu = random_covariance(rng, 6), random_covariance(rng, 6), rng.standard_normal((2, 6))
    assert not np.allclose(cov_1 @ cov_2, cov_2 @ cov_1)
    root = scipy.linalg.sqrtm(cov_1 @ cov_2)  # another algorithm, and the equation as it is usually printed
    expected = ((mu[0] - mu[1]) ** 2).sum() + np.trace(cov_1 + cov_2 - 2 * root.real)
    got = frechet_distance(*(to_xp(xp, a) for a in (mu[0], cov_1, mu[1], cov_2)))
    assert isinstance(got, float)
    assert got == pytest.approx(expected, rel=1e-10)


def test_frechet_distance_is_the_cost_of_the_best_linear_transport():
    """Of all maps x -> T x that turn one Gaussian into the other, the best moves points by that much."""
    rng = np.random.default_rng(2)
    cov_1, cov_2, zero = random_covariance(rng, 3), random_covariance(rng, 3), np.zeros(3)
    factor_1, factor_2 = np.linalg.cholesky(cov_1), np.linalg.cholesky(cov_2)

    def cost(rotation):
        transport = factor_2 @ rotation @ np.linalg.inv(factor_1)
        moved = transport - np.eye(3)
        return np.trace(moved @ cov_1 @ moved.T)

    u, _, vt = np.linalg.svd(factor_2.T @ factor_1)  # orthogonal Procrustes
    distance = frechet_distance(zero, cov_1, zero, cov_2)
    assert cost(u @ vt) == pytest.approx(distance, rel=1e-10)
    for _ in range(50):
        rotation, _ = np.linalg.qr(rng.standard_normal((3, 3)))
        assert cost(rotation) >= distance


@pytest.mark.parametrize("rank", [None, 3, 1])
def test_frechet_distance_of_a_gaussian_to_itself_is_zero_at_any_rank(rank):
    rng = np.random.default_rng(3)
    mu, cov = rng.standard_normal(40), random_covariance(rng, 40, rank)
    assert frechet_distance(mu, cov, mu, cov) <= 1e-13 * np.trace(cov)


def test_frechet_distance_between_subspaces_that_meet_only_at_zero():
    cov_1, cov_2, zero = np.diag([4.0, 0, 0]), np.diag([0, 9.0, 1.0]), np.zeros(3)
    assert frechet_distance(zero, cov_1, zero, cov_2) == pytest.approx(4 + 9 + 1)


def test_frechet_distance_is_symmetric_and_its_root_keeps_the_triangle_inequality():
    rng = np.random.default_rng(4)
    gaussians = [(rng.standard_normal(5), random_covariance(rng, 5, rank)) for rank in (5, 2, 5)]
    d = [[frechet_distance(*a, *b) ** 0.5 for b in gaussians] for a in gaussians]
    np.testing.assert_allclose(d, np.transpose(d), rtol=1e-9, atol=1e-6)
    assert d[0][2] <= d[0][1] + d[1][2]


def test_frechet_distance_of_features_uses_mean_and_unbiased_covariance(xp):
    rng = np.random.default_rng(5)
    features_1 = rng.standard_normal((50, 4)).astype(np.float32)
    features_2 = (2 * rng.standard_normal((70, 4)) + 1).astype(np.float32)
    moments = [(f.mean(0, dtype=float), np.cov(f.T.astype(float))) for f in (features_1, features_2)]
    expected = frechet_distance(*moments[0], *moments[1])
    got = frechet_distance_of(to_xp(xp, features_1), to_xp(xp, features_2))
    assert got == pytest.approx(expected, rel=1e-10)


def test_frechet_distance_of_features_far_from_zero_keeps_its_digits():
    rng = np.random.default_rng(6)
    near, other = rng.standard_normal((2, 100, 3))
    assert frechet_distance_of(near + 1e6, other + 1e6) == pytest.approx(frechet_distance_of(near, other), rel=1e-6)


def test_frechet_distance_of_fewer_samples_than_features_is_defined():
    rng = np.random.default_rng(7)
    features = rng.standard_normal((5, 20))
    assert frechet_distance_of(features, features) <= 1e-12
    assert frechet_distance_of(features, features + 1) == pytest.approx(20)


@pytest.mark.pitfall(21)
def test_frechet_distance_bias_falls_like_one_over_n():
    """Two samples of one Gaussian: mean over 40 repeats at N = 100 is close to 4 times that at N = 400.

    The ratio of the two means has a standard deviation of about 0.15: the range is 6 of them on either side.
    """
    rng = np.random.default_rng(8)

    def mean_distance(n):
        return np.mean([frechet_distance_of(*rng.standard_normal((2, n, 4))) for _ in range(40)])

    assert 3.0 < mean_distance(100) / mean_distance(400) < 5.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mu_2": np.zeros(3)}, r"mu_2 has shape \(3,\), but \(2\)"),
        ({"cov_1": np.eye(3)}, r"cov_1 has shape \(3, 3\), but \(2, 2\)"),
        ({"mu_1": np.zeros((2, 1))}, "mu_1 has 2 axes"),
        ({"mu_1": np.array([0, np.nan])}, "mu_1 holds NaN or infinity"),
        ({"cov_2": np.diag([1, np.inf])}, "cov_2 holds NaN or infinity"),
        ({"cov_2": np.array([[1.0, 0.5], [0.0, 1.0]])}, "cov_2 is not symmetric"),
        ({"cov_1": np.diag([1.0, -1.0])}, "cov_1 has the negative eigenvalue -1"),
        ({"mu_1": np.zeros(0), "mu_2": np.zeros(0)}, "mu_1 has shape .* it is empty"),
    ],
)
def test_frechet_distance_refuses(changes, message):
    arguments = {"mu_1": np.zeros(2), "cov_1": np.eye(2), "mu_2": np.zeros(2), "cov_2": np.eye(2)}
    with pytest.raises(InputError, match=message):
        frechet_distance(**(arguments | changes))


@pytest.mark.parametrize(
    ("features_1", "features_2", "message"),
    [
        (np.zeros((1, 2)), np.zeros((5, 2)), "features_1 has 1 sample, but at least 2"),
        (np.zeros((5, 2)), np.zeros((0, 2)), "features_2 has 0 samples, but at least 2"),
        (np.zeros((5, 2)), np.zeros((5, 3)), r"features_2 has shape \(5, 3\), but \(any, 2\)"),
        (np.zeros(5), np.zeros((5, 3)), "features_1 has 1 axes"),
        (np.full((5, 2), np.nan), np.zeros((5, 2)), "features_1 holds NaN"),
    ],
)
def test_frechet_distance_of_features_refuses(features_1, features_2, message):
    with pytest.raises(InputError, match=message):
        frechet_distance_of(features_1, features_2)
