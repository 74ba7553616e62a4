"""The kernel distance is its definition, and has the mean known of Gaussians; the Fréchet distance has a bias."""

import numpy as np
import pytest
from arrays import to_xp

from tinydiff.base import InputError
from tinydiff.evaluate import frechet_distance_of, frechet_infinity, kernel_distance

F = 4


def by_loops(x, y):
    def k(a, b):
        return (sum(a * b) / len(a) + 1) ** 3

    n, m = len(x), len(y)
    within_x = sum(k(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    within_y = sum(k(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return within_x + within_y - 2 * sum(k(a, b) for a in x for b in y) / (n * m)


def of_gaussians(mu_1, cov_1, mu_2, cov_2):
    """Return the distance of two Gaussians from their first three moments: (z + 1)^3 = 1 + 3 z + 3 z^2 + z^3."""

    def moments(mu, cov):
        second = np.outer(mu, mu) + cov
        third = np.einsum("i,j,k->ijk", mu, mu, mu)
        third += np.einsum("i,jk->ijk", mu, cov) + np.einsum("j,ik->ijk", mu, cov) + np.einsum("k,ij->ijk", mu, cov)
        return mu, second, third

    width = len(mu_1)
    apart = [((a - b) ** 2).sum() for a, b in zip(moments(mu_1, cov_1), moments(mu_2, cov_2), strict=True)]
    return 3 * apart[0] / width + 3 * apart[1] / width**2 + apart[2] / width**3


@pytest.mark.equation("KID-1")
def test_the_kernel_distance_is_its_definition(xp):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(7, 3)), 0.3 + rng.normal(size=(5, 3))
    found = kernel_distance(to_xp(xp, x), to_xp(xp, y))
    assert isinstance(found, float)
    assert found == pytest.approx(by_loops(x, y), rel=1e-12)
    assert kernel_distance(x.astype(np.float32), y.astype(np.float32)) == pytest.approx(by_loops(x, y), rel=1e-5)


def test_more_rows_than_fit_into_a_chunk_are_all_counted():
    """In one dimension the sums over pairs are those of powers: (sum x)^2, (sum x^2)^2, (sum x^3)^2."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=2100), 1 + rng.normal(size=1030)

    def powers(a, b):
        return sum(c * (a**p).sum() * (b**p).sum() for p, c in enumerate((1, 3, 3, 1)))

    n, m = len(x), len(y)
    expected = (powers(x, x) - ((x**2 + 1) ** 3).sum()) / (n * (n - 1))
    expected += (powers(y, y) - ((y**2 + 1) ** 3).sum()) / (m * (m - 1)) - 2 * powers(x, y) / (n * m)
    assert kernel_distance(x[:, None], y[:, None]) == pytest.approx(expected, rel=1e-9)


@pytest.mark.pitfall(21)
@pytest.mark.equation("KID-1")
@pytest.mark.equation("FD-2")
def test_with_few_images_the_kernel_distance_has_the_right_mean_and_the_frechet_distance_has_not():
    """Of Gaussians, whose distances are known; each mean within 4.5 standard errors, a false alarm in 150,000."""
    rng = np.random.default_rng(2)
    factor = np.eye(F) + 0.4 * np.tri(F, k=-1)
    mu, cov = np.array([0.3, -0.2, 0.4, 0.1]), factor @ factor.T
    truth = of_gaussians(np.zeros(F), np.eye(F), mu, cov)
    assert truth > 0.1
    for n in (8, 40):
        found = [
            kernel_distance(rng.standard_normal((n, F)), mu + rng.standard_normal((n, F)) @ factor.T)
            for _ in range(1000)
        ]
        assert abs(np.mean(found) - truth) < 4.5 * np.std(found) / 1000**0.5
        same = [kernel_distance(*rng.standard_normal((2, n, F))) for _ in range(1000)]
        assert abs(np.mean(same)) < 4.5 * np.std(same) / 1000**0.5
        assert 0.3 < np.mean(np.array(same) < 0) < 0.7  # so a negative figure is nothing strange


@pytest.mark.pitfall(21)
@pytest.mark.equation("FD-2")
@pytest.mark.parametrize("n", [100, 400])
def test_the_bias_of_the_frechet_distance_is_the_known_one_and_extrapolation_takes_it_off(n):
    """Two samples of one standard normal distribution: means make a bias of 2 F / N, covariances F (F + 1) / 2 N.

    For near covariances the distance is ``|S_1 - S_2|^2 / 4``, and the entries of S have variances 2 / N on the
    diagonal and 1 / N beside it. Figures of 300 repeats: 4.5 standard errors, a false alarm in 150,000; and a tenth
    for 1 / N^2.
    """
    rng = np.random.default_rng(3)
    pairs = rng.standard_normal((300, 2, n, F))
    plain = np.array([frechet_distance_of(*pair) for pair in pairs])
    extrapolated = np.array([frechet_infinity(*pair) for pair in pairs])
    bias = (2 * F + F * (F + 1) / 2) / n
    assert abs(plain.mean() - bias) < 4.5 * plain.std() / 300**0.5 + 0.1 * bias
    assert abs(extrapolated.mean()) < 4.5 * extrapolated.std() / 300**0.5 + 0.1 * bias


def test_a_third_moment_that_differs_is_seen_where_the_frechet_distance_sees_nothing():
    """Two clouds of numbers with one mean and one variance, one of them skewed."""
    skewed = np.repeat([-0.5, -0.5, -0.5, -0.5, 2.0], 40)[:, None]  # mean 0, variance 1
    even = np.repeat([-1.0, 1.0], 100)[:, None]
    assert frechet_distance_of(skewed, even) == pytest.approx(0, abs=1e-12)
    assert kernel_distance(skewed, even) > 1


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros((1, 2)), np.zeros((5, 2)), "features_1 has 1 sample, but at least 2"),
        (np.zeros((5, 2)), np.zeros((0, 2)), "features_2 has 0 samples, but at least 2"),
        (np.zeros((5, 2)), np.zeros((5, 3)), r"features_2 has shape \(5, 3\), but \(any, 2\)"),
        (np.zeros(5), np.zeros((5, 3)), "features_1 has 1 axes"),
        (np.full((5, 2), np.nan), np.zeros((5, 2)), "features_1 holds NaN"),
        (np.zeros((5, 0)), np.zeros((5, 0)), "features_1 has shape .* it is empty"),
    ],
)
def test_the_kernel_distance_refuses(x, y, message):
    with pytest.raises(InputError, match=message):
        kernel_distance(x, y)


def test_extrapolation_refuses_fewer_than_two_images_in_each_half():
    with pytest.raises(InputError, match="features_2 has 3 samples, but at least 4"):
        frechet_infinity(np.zeros((4, 2)), np.zeros((3, 2)))
