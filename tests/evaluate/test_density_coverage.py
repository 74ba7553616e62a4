"""Density and coverage are what their definition says, and have the means that hold for every distribution."""

import numpy as np
import pytest
from arrays import to_xp

from tinydiff.base import InputError
from tinydiff.evaluate import density_and_coverage, precision_and_recall


def by_definition(real, drawn, k):
    """Density and coverage with loops."""
    density, covered = 0, 0
    for i, centre in enumerate(real):
        others = sorted(np.linalg.norm(centre - other) for j, other in enumerate(real) if j != i)
        inside = [np.linalg.norm(point - centre) <= others[k - 1] for point in drawn]
        density += sum(inside)
        covered += any(inside)
    return density / (k * len(drawn)), covered / len(real)


@pytest.mark.equation("DC-1")
@pytest.mark.parametrize("k", [1, 4])
def test_density_and_coverage_are_what_their_definition_says(xp, k):
    rng = np.random.default_rng(0)
    real, drawn = rng.normal(size=(30, 2)), 0.5 + 0.7 * rng.normal(size=(25, 2))
    found = density_and_coverage(to_xp(xp, real), to_xp(xp, drawn), k)
    assert found == pytest.approx(by_definition(real, drawn, k), rel=1e-12)
    assert 0 < found[1] < 1 < found[0] + 0.5


@pytest.mark.equation("DC-1")
def test_of_one_distribution_density_is_1_and_coverage_what_ranks_say():
    """A drawn point is one of N - 1 + M others, and may be anywhere among them, whatever the distribution is.

    So it is in a ball with probability k / N, and a ball is missed by all M if the k nearest of the N + M - 1 are real.
    Means of 300 repeats within 4.5 standard errors, a false alarm in 150,000.
    """
    rng = np.random.default_rng(1)
    n, m, k = 20, 14, 3
    pairs = [np.exp(rng.standard_normal((n + m, 3))) for _ in range(300)]
    found = np.array([density_and_coverage(x[:n], x[n:], k) for x in pairs])
    missed = np.prod([(n - 1 - i) / (n + m - 1 - i) for i in range(k)])
    error = found.std(axis=0) / 300**0.5
    assert (abs(found.mean(axis=0) - [1, 1 - missed]) < 4.5 * error).all()


def test_a_strange_sample_buys_no_coverage_but_recall():
    """Samples all alike but for two far ones, whose balls reach everything: recall falls for it, coverage does not."""
    rng = np.random.default_rng(2)
    real = rng.normal(size=(60, 2))
    alike = real[0] + 1e-3 * rng.normal(size=(60, 2))
    drawn = np.concatenate([alike, [[30.0, 0], [-30.0, 0]]])
    assert precision_and_recall(real, alike)[1] < 0.1
    assert precision_and_recall(real, drawn)[1] == 1.0
    assert density_and_coverage(real, drawn)[1] < 0.5


def test_a_strange_real_image_makes_noise_precise_but_hardly_dense():
    rng = np.random.default_rng(3)
    real = np.concatenate([rng.normal(size=(60, 2)), [[30.0, 0]]])  # whose ball reaches the others
    noise = rng.uniform(5, 25, (60, 2)) * [1, 0.3]
    assert precision_and_recall(real, noise)[0] > 0.9
    assert density_and_coverage(real, noise)[0] < 0.3


@pytest.mark.parametrize(
    ("real", "drawn", "message"),
    [
        (np.zeros((5, 2)), np.zeros((9, 2)), "real has 5 images, but more than k = 5"),
        (np.zeros((9, 2)), np.zeros((9, 3)), "drawn has shape"),
        (np.zeros((9, 2)), np.zeros((0, 2)), "drawn has shape .* it is empty"),
        (np.zeros((9, 2)), np.full((9, 2), np.inf), "drawn holds NaN or infinity"),
        (np.zeros(9), np.zeros((9, 2)), "real has 1 axes"),
    ],
)
def test_density_and_coverage_refuse(real, drawn, message):
    with pytest.raises(InputError, match=message):
        density_and_coverage(real, drawn)
