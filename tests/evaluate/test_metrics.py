"""Figures of merit agree with closed forms, brute force and their own definitions."""

import numpy as np
import pytest
import scipy.linalg
from arrays import assert_close, to_host, to_xp
from scipy.stats import binom

from tinydiff import evaluate as metrics
from tinydiff.base import InputError
from tinydiff.evaluate import (
    class_shares,
    confident_share,
    frechet_distance,
    frechet_distance_of,
    loss_by_timestep,
    nearest_neighbours,
    precision_and_recall,
    wilson_share,
)


def random_covariance(rng, n, rank=None):
    factor = rng.standard_normal((n, rank or n))
    return factor @ factor.T


# Fréchet distance


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
        (np.zeros((1, 2)), np.zeros((5, 2)), "features_1 has 1 samples, but at least 2"),
        (np.zeros((5, 2)), np.zeros((0, 2)), "features_2 has 0 samples, but at least 2"),
        (np.zeros((5, 2)), np.zeros((5, 3)), r"features_2 has shape \(5, 3\), but \(any, 2\)"),
        (np.zeros(5), np.zeros((5, 3)), "features_1 has 1 axes"),
        (np.full((5, 2), np.nan), np.zeros((5, 2)), "features_1 holds NaN"),
    ],
)
def test_frechet_distance_of_features_refuses(features_1, features_2, message):
    with pytest.raises(InputError, match=message):
        frechet_distance_of(features_1, features_2)


# Nearest neighbours


@pytest.mark.parametrize("k", [1, 3, 400, 600])
@pytest.mark.parametrize("chunk", [7, 500, 4096])
def test_nearest_neighbours_agree_with_brute_force(xp, monkeypatch, k, chunk):
    monkeypatch.setattr(metrics, "CHUNK", chunk)
    rng = np.random.default_rng(9)
    samples = rng.uniform(-1, 1, (7, 4, 3, 2)).astype(np.float32)
    images = rng.uniform(-1, 1, (600, 4, 3, 2)).astype(np.float32)
    differences = samples[:, None].astype(float) - images[None]
    brute = np.sqrt((differences**2).sum(axis=(2, 3, 4)))
    indices, distances = nearest_neighbours(to_xp(xp, samples), to_xp(xp, images), k)
    np.testing.assert_array_equal(to_host(indices), np.argsort(brute, axis=1)[:, :k])
    assert_close(distances, np.sort(brute, axis=1)[:, :k], rtol=1e-14)


def test_nearest_neighbour_of_a_copy_is_the_original_at_distance_zero():
    rng = np.random.default_rng(10)
    images = rng.uniform(-1, 1, (50, 28, 28, 1)).astype(np.float32)
    indices, distances = nearest_neighbours(images[[31, 4]], images)
    assert indices.tolist() == [[31], [4]]
    assert distances.tolist() == [[0.0], [0.0]]


def test_nearest_neighbours_take_bytes_for_numbers_from_minus_one_to_one(xp):
    black, white = xp.zeros((1, 2, 2, 1), dtype=xp.uint8), xp.full((1, 2, 2, 1), 255, dtype=xp.uint8)
    assert_close(nearest_neighbours(black, white)[1], [[2 * 4**0.5]])
    assert_close(nearest_neighbours(xp.ones((1, 2, 2, 1), dtype=xp.float32), white)[1], [[0.0]])


@pytest.mark.parametrize(
    ("samples", "images", "k", "message"),
    [
        (np.zeros((2, 4, 4, 1)), np.zeros((3, 4, 5, 1)), 1, r"images has shape \(3, 4, 5, 1\)"),
        (np.zeros((2, 4)), np.zeros((3, 4)), 4, "k is 4, but from 1 to 3"),
        (np.zeros((2, 4)), np.zeros((3, 4)), 0, "k is 0, but from 1 to 3"),
        (np.full((2, 4), np.nan), np.zeros((3, 4)), 1, "samples holds NaN"),
        (np.zeros((2, 4)), np.full((3, 4), np.inf), 1, "images holds NaN"),
        (np.zeros((0, 4)), np.zeros((3, 4)), 1, "samples has shape .* it is empty"),
        ([[0.0]], np.zeros((3, 1)), 1, "list, but a NumPy or CuPy array"),
    ],
)
def test_nearest_neighbours_refuse(samples, images, k, message):
    with pytest.raises(InputError, match=message):
        nearest_neighbours(samples, images, k)


# Shares


def test_confident_share_counts_rows_above_the_threshold(xp):
    probabilities = to_xp(xp, [[0.95, 0.05], [0.1, 0.9], [0.5, 0.5], [0.0, 1.0]])
    assert confident_share(probabilities).value == 0.5  # 0.9 itself is not above 0.9
    assert confident_share(probabilities, threshold=0.6).value == 0.75
    assert confident_share(probabilities.astype(np.float32), threshold=0).value == 1


def test_class_shares_count_the_most_probable_class(xp):
    probabilities = to_xp(xp, np.eye(4)[[0, 0, 1, 3, 3, 3, 1, 0]] * 0.6 + 0.1)
    shares = class_shares(probabilities, 4)
    assert shares.value.tolist() == [3 / 8, 2 / 8, 0, 3 / 8]
    assert shares.low.shape == shares.high.shape == (4,)


def test_shares_interval_stays_within_zero_and_one_and_holds_the_value():
    shares = class_shares(np.eye(3)[[0] * 20], 3)
    assert (shares.low >= -1e-15).all()
    assert (shares.high <= 1 + 1e-15).all()
    assert (shares.low <= shares.value + 1e-15).all()
    assert (shares.value <= shares.high + 1e-15).all()
    assert shares.high[1] > 0.1  # none of 20 is no proof of never


@pytest.mark.equation("WILSON-1")
@pytest.mark.parametrize("n", [50, 1000])
def test_shares_interval_holds_the_true_share_in_95_percent_of_samples(n):
    """Exact: the binomial law is summed, nothing is drawn."""
    counts = np.arange(n + 1)
    shares = wilson_share(counts, n)

    def coverage(p):
        return binom.pmf(counts, n, p)[(shares.low <= p) & (p <= shares.high)].sum()

    coverages = [coverage(p) for p in np.linspace(0.02, 0.98, 193)]
    assert np.mean(coverages) == pytest.approx(0.95, abs=0.005)
    assert min(coverages) > 0.88


@pytest.mark.equation("WILSON-1")
def test_shares_interval_ends_where_the_share_is_a_test_at_5_percent_away():
    share = wilson_share(30, 40)
    for p in (share.low, share.high):
        assert abs(share.value - p) / (p * (1 - p) / 40) ** 0.5 == pytest.approx(metrics.Z_95)


@pytest.mark.parametrize(("count", "n"), [(3, 0), (3, 2.5), (-1, 5), (6, 5), (float("nan"), 5)])
def test_a_share_is_of_something(count, n):
    with pytest.raises(InputError, match=r"were expected|was expected"):
        wilson_share(count, n)


@pytest.mark.parametrize(
    ("probabilities", "message"),
    [
        (np.zeros((0, 3)), "it is empty"),
        (np.ones(3), "probabilities has 1 axes|probabilities has shape"),
        (np.ones((2, 3)), "do not add to 1. Apply softmax"),
        (np.array([[1.5, -0.5, 0.0]]), "negative or do not add to 1"),
        (np.full((2, 3), np.nan), "probabilities holds NaN"),
    ],
)
def test_shares_refuse(probabilities, message):
    with pytest.raises(InputError, match=message):
        confident_share(probabilities)
    with pytest.raises(InputError, match=message):
        class_shares(probabilities, 3)


def test_shares_refuse_another_number_of_classes_and_a_threshold_above_one():
    with pytest.raises(InputError, match=r"probabilities has shape \(3, 3\), but \(any, 10\)"):
        class_shares(np.eye(3), 10)
    with pytest.raises(InputError, match="threshold is 90"):
        confident_share(np.eye(3), threshold=90)


# Loss by timestep


def test_loss_by_timestep_is_the_mean_and_standard_error_of_each_bin(xp):
    rng = np.random.default_rng(11)
    t, losses = rng.integers(1, 101, 500), rng.uniform(0, 1, 500).astype(np.float32)
    result = loss_by_timestep(to_xp(xp, t), to_xp(xp, losses), T=100, bins=7)
    edges = np.arange(8) * 100 / 7
    for b in range(7):
        inside = losses[(edges[b] < t) & (t <= edges[b + 1])].astype(float)
        assert result.n[b] == len(inside)
        assert result.mean[b] == pytest.approx(inside.mean(), rel=1e-12)
        assert result.standard_error[b] == pytest.approx(inside.std(ddof=1) / len(inside) ** 0.5, rel=1e-12)
    np.testing.assert_allclose(result.t, (edges[:-1] + edges[1:]) / 2)


@pytest.mark.parametrize(("T", "bins"), [(1000, 1000), (1000, 10), (1000, 7), (12, 5), (1, 1)])
def test_loss_by_timestep_puts_every_step_into_one_bin(T, bins):
    t = np.arange(1, T + 1)
    result = loss_by_timestep(t, t.astype(float), T, bins)
    assert result.n.sum() == T
    assert result.n.max() - result.n.min() <= 1
    assert (np.diff(result.mean) > 0).all()


def test_loss_by_timestep_of_real_steps_and_of_empty_bins():
    result = loss_by_timestep(np.array([0.001, 1.5, 9.0]), np.array([1.0, 2.0, 3.0]), T=10, bins=5)
    assert result.n.tolist() == [2, 0, 0, 0, 1]
    np.testing.assert_array_equal(result.mean, [1.5, np.nan, np.nan, np.nan, 3.0])
    np.testing.assert_array_equal(result.standard_error, [0.5, np.nan, np.nan, np.nan, np.nan])


@pytest.mark.parametrize(
    ("t", "losses", "bins", "message"),
    [
        (np.array([0, 1]), np.zeros(2), 5, "t has the value 0"),
        (np.array([1, 11]), np.zeros(2), 5, "t has the value 11, but steps above 0 and up to T = 10"),
        (np.array([1, 2]), np.zeros(3), 5, r"losses has shape \(3,\)"),
        (np.array([1, 2]), np.array([0, np.nan]), 5, "losses holds NaN"),
        (np.array([1, 2]), np.zeros(2), 11, "bins is 11"),
        (np.zeros(0), np.zeros(0), 5, "t has shape .* it is empty"),
    ],
)
def test_loss_by_timestep_refuses(t, losses, bins, message):
    with pytest.raises(InputError, match=message):
        loss_by_timestep(t, losses, T=10, bins=bins)


def by_definition(real, drawn, k):
    """Precision and recall with loops."""

    def share(points, centres):
        inside = 0
        for point in points:
            for i, centre in enumerate(centres):
                others = sorted(np.linalg.norm(centre - other) for j, other in enumerate(centres) if j != i)
                if np.linalg.norm(point - centre) <= others[k - 1]:
                    inside += 1
                    break
        return inside / len(points)

    return share(drawn, real), share(real, drawn)


@pytest.mark.equation("PR-1")
@pytest.mark.parametrize("k", [1, 3])
def test_precision_and_recall_are_what_their_definition_says(xp, k):
    rng = np.random.default_rng(0)
    real, drawn = rng.normal(size=(30, 2)), 0.5 + 0.7 * rng.normal(size=(25, 2))
    found = precision_and_recall(to_xp(xp, real), to_xp(xp, drawn), k)
    assert found == by_definition(real, drawn, k)
    assert 0 < found[1] < found[0] < 1


@pytest.mark.equation("PR-1")
def test_a_dropped_mode_costs_recall_a_strange_one_precision():
    rng = np.random.default_rng(0)
    left, right = rng.normal(-20, 1, (100, 3)), rng.normal(20, 1, (100, 3))
    both, strange = np.concatenate([left, right]), rng.normal(60, 1, (100, 3))
    assert precision_and_recall(both, left) == (1.0, 0.5)  # what is there is copied
    assert precision_and_recall(both, np.concatenate([both, strange])) == (2 / 3, 1.0)
    assert precision_and_recall(both, strange) == (0.0, 0.0)
    assert precision_and_recall(both, both) == (1.0, 1.0)


def test_precision_and_recall_of_too_few_images():
    with pytest.raises(InputError, match="real has 3 images, but more than k = 3"):
        precision_and_recall(np.zeros((3, 2)), np.zeros((9, 2)))
    with pytest.raises(InputError, match="drawn has shape"):
        precision_and_recall(np.zeros((9, 2)), np.zeros((9, 3)))
