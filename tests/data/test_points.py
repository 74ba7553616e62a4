"""Points in a plane: what is drawn has the density that is stated, and what is no set of points is refused."""

import numpy as np
import pytest
from scipy import integrate, stats

from tinydiff.base import InputError
from tinydiff.data import POINTS, PointData, load_points, point_shape, points
from tinydiff.diffusion import GaussianDiffusion, cosine_schedule, density_of

DIFFUSION = GaussianDiffusion(cosine_schedule(1000))
T = 60  # enough noise that a grid of 1/25 resolves every density: b is 0.1
every_set = pytest.mark.parametrize("name", list(POINTS))


def noisy(name, n):
    x_0 = points(name, n, seed=3).astype(np.float64)
    a, b = DIFFUSION.scales(T)
    return a * x_0 + b * np.random.default_rng(4).normal(size=x_0.shape)


def on_a_grid(name):
    """Return the middles of cells, (n, n, 2), and the probability of each cell by the stated density."""
    middles = np.arange(-1.98, 2, 0.04)
    grid = np.stack(np.meshgrid(middles, middles, indexing="ij"), axis=-1)
    log_q = density_of(point_shape(name), DIFFUSION).log_density(grid.reshape(-1, 1, 1, 2), T)
    return middles, np.exp(log_q).reshape(grid.shape[:2]) * 0.04**2


@every_set
def test_the_density_is_that_of_the_points(name):
    """A chi-squared test on 100 cells of the plane; the points are fixed, so it fails by chance never or always.

    Before the seed was fixed, one set in a thousand would have failed.
    """
    _, probability = on_a_grid(name)
    assert abs(probability.sum() - 1) < 1e-6  # of the plane
    coarse = probability.reshape(10, 10, 10, 10).sum(axis=(1, 3)).ravel()
    edges, n = np.linspace(-2, 2, 11), 20_000
    found, _, _ = np.histogram2d(*noisy(name, n).T, bins=(edges, edges))
    expected, found = coarse * n, found.ravel()
    often = expected > 5
    expected = np.append(expected[often], n - expected[often].sum())
    found = np.append(found[often], n - found[often].sum())
    chi_squared = ((found - expected) ** 2 / np.maximum(expected, 1)).sum()
    assert chi_squared < stats.chi2.ppf(0.999, len(expected) - 1)


@pytest.mark.parametrize("name", ["two-moons", "swiss-roll", "spirals"])
def test_the_sum_along_a_curve_is_the_integral(name):
    """Without noise the curves are thinnest: adaptive quadrature agrees with the nodes there too."""
    width = {"two-moons": 0.05, "swiss-roll": 0.03, "spirals": 0.02}[name]

    def curve(part, s):
        if name == "two-moons":
            x, y = (
                (np.cos(np.pi * s), np.sin(np.pi * s))
                if part == 0
                else (1 - np.cos(np.pi * s), 0.5 - np.sin(np.pi * s))
            )
            return np.array([x - 0.5, y - 0.25]) / 1.5
        angle = 1.5 * np.pi * (1 + 2 * s) if name == "swiss-roll" else 3 * np.pi * s + np.pi * part
        radius = angle / (4.5 * np.pi) if name == "swiss-roll" else s
        return radius * np.array([np.cos(angle), np.sin(angle)])

    x, parts = points(name, 5, seed=9).astype(np.float64), POINTS[name].parts

    def integrand(s, x, part):
        weight = 2 * s if name == "spirals" else 1
        return weight * np.exp(-((x - curve(part, s)) ** 2).sum() / (2 * width**2)) / (2 * np.pi * width**2)

    by_quadrature = [
        sum(integrate.quad(integrand, 0, 1, (row, part), limit=400, epsabs=1e-10)[0] for part in range(parts)) / parts
        for row in x
    ]
    found = density_of(point_shape(name), DIFFUSION).log_density(x.reshape(-1, 1, 1, 2), 0)
    np.testing.assert_allclose(np.exp(found), by_quadrature, rtol=1e-6)


@every_set
def test_a_point_does_not_depend_on_how_many_are_drawn(name):
    few, many = points(name, 5, seed=1), points(name, 50, seed=1)
    np.testing.assert_array_equal(few, many[:5])
    assert few.dtype == np.float32
    assert few.shape == (5, 2)
    assert (points(name, 5, seed=2) != few).any()
    assert np.abs(points(name, 2000)).max() < 1.3


@every_set
def test_as_data_to_train_on(name):
    train, test = load_points(name, 30, seed=5), load_points(name, 30, seed=5, split="test")
    np.testing.assert_array_equal(train.points, points(name, 30, seed=5))
    assert not {row.tobytes() for row in train.points} & {row.tobytes() for row in test.points}
    assert set(load_points(name, 500).labels) == set(range(POINTS[name].parts))
    x_0, labels = train.batch(np.array([3, 1]))
    assert x_0.shape == (2, *train.shape) == (2, 1, 1, 2)
    assert x_0.dtype == np.float32
    np.testing.assert_array_equal(x_0[:, 0, 0], train.points[[3, 1]])
    np.testing.assert_array_equal(labels, train.labels[[3, 1]])
    some = train.take(slice(2, 4))
    np.testing.assert_array_equal(some.points, train.points[2:4])
    assert some.identity() != train.identity() == load_points(name, 30, seed=5).identity()
    assert repr(train) == f"{name}, train: 30 points in a plane, {POINTS[name].summary} (seed 5)"


def test_what_is_no_set_of_points_is_refused():
    some = np.zeros((3, 2), np.float32)
    for make, told in (
        (lambda: points("moons", 3), "name is 'moons', but one of 'mixture'"),
        (lambda: point_shape("moons"), "name is 'moons'"),
        (lambda: points("spirals", 0), "n is 0"),
        (lambda: points("spirals", 3, -1), "seed is -1"),
        (lambda: load_points("spirals", 3, split="all"), "split is 'all'"),
        (lambda: PointData(some[:, :1]), r"points has shape \(3, 1\)"),
        (lambda: PointData(some.astype(np.float64)), "dtype float64"),
        (lambda: PointData(some + np.float32("nan")), "finite"),
        (lambda: PointData(some + 1000), "scale them"),
        (lambda: PointData(some, np.zeros(2, int)), "length 2"),
        (lambda: PointData(some, np.zeros(3)), "whole numbers"),
        (lambda: PointData(some).batch([0], flip=np.array([True])), "cannot be mirrored"),
        (lambda: PointData(some).batch([3]), "there are 3 points"),
    ):
        with pytest.raises(InputError, match=told):
            make()
