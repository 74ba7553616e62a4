"""Blurred points and boxes against integrals, and against the same densities written as mixtures."""

import numpy as np
import pytest
from scipy import integrate, stats

from tinydiff.base import InputError, to_numpy
from tinydiff.diffusion import BlurredPoints, Boxes, FiniteData, GaussianDiffusion, GaussianMixture, linear_schedule

LINEAR = GaussianDiffusion(linear_schedule(1000))
POINTS = np.random.default_rng(7).normal(size=(5, 3))
LOW, HIGH = np.array([[-1.0, -0.5], [0.2, 0.1]]), np.array([[-0.4, 0.5], [1.0, 0.3]])
DENSITIES = {
    "blurred": lambda d: BlurredPoints(d, POINTS[:, :2], 0.2, [1, 2, 3, 4, 5]),
    "boxes": lambda d: Boxes(d, LOW, HIGH, [1, 3]),
}
every_density = pytest.mark.parametrize("make", DENSITIES.values(), ids=DENSITIES.keys())


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


@pytest.mark.equation("TWEEDIE-1")
@every_density
@pytest.mark.parametrize("t", [5, 400.5, 1000])
def test_score_is_the_gradient_of_the_log_density(make, t):
    density, x, h = make(LINEAR), normal(6, 2), 1e-5
    slope = np.stack(
        [(density.log_density(x + h * e, t) - density.log_density(x - h * e, t)) / (2 * h) for e in np.eye(2)], axis=1
    )
    np.testing.assert_allclose(density.score(x, t), slope, rtol=1e-6, atol=1e-6 * np.abs(slope).max())


@pytest.mark.equation("KERNEL-1")
@pytest.mark.parametrize("t", [5, 300, 1000])
def test_blurred_points_are_a_mixture_of_equal_widths(t):
    weights, x = np.array([1, 2, 3, 4, 5]), normal(4, 3)
    blurred = BlurredPoints(LINEAR, POINTS, 0.3, weights)
    mixture = GaussianMixture(LINEAR, weights, POINTS, [0.3**2] * 5)
    np.testing.assert_allclose(blurred.log_density(x, t), mixture.log_density(x, t), rtol=1e-10)
    np.testing.assert_allclose(blurred.predict(x, t)[0], mixture.predict(x, t)[0], rtol=1e-9, atol=1e-11)
    alpha_bar = np.full((4, 1), LINEAR.alpha_bar[t])
    np.testing.assert_allclose(blurred.posterior(x, alpha_bar)[0], mixture.predict(x, t)[0], rtol=1e-9, atol=1e-11)


@pytest.mark.equation("KERNEL-1")
def test_points_that_are_not_blurred_are_finite_data():
    x, t = normal(4, 3), 200
    sharp, finite = BlurredPoints(LINEAR, POINTS, 0.0), FiniteData(LINEAR, POINTS)
    np.testing.assert_allclose(
        sharp.posterior(x, np.full((4, 1), 0.5))[0], finite.posterior(x, np.full((4, 1), 0.5))[0]
    )
    np.testing.assert_allclose(sharp.log_density(x, t), finite.log_density(x, t), rtol=1e-12)
    with pytest.raises(InputError, match="t is 0"):
        sharp.predict(x, 0)


@pytest.mark.equation("KERNEL-1")
def test_a_blurred_cloud_has_a_density_without_noise():
    x = normal(4, 3)
    by_hand = np.log(np.mean([stats.multivariate_normal(p, 0.25 * np.eye(3)).pdf(x) for p in POINTS], axis=0))
    np.testing.assert_allclose(BlurredPoints(LINEAR, POINTS, 0.5).log_density(x, 0), by_hand, rtol=1e-10)


@pytest.mark.equation("BOX-1")
@pytest.mark.parametrize("t", [20, 300, 900])
def test_boxes_are_bayes_rule_by_quadrature(t):
    """In one dimension, E[x_0 | x_t] and q(x_t) are integrals over x_0, here over each interval."""
    low, high, weights = np.array([-1.0, 0.3]), np.array([-0.2, 1.0]), np.array([0.3, 0.7])
    density = Boxes(LINEAR, low[:, None], high[:, None], weights)
    a, b = LINEAR.alpha_bar[t] ** 0.5, (1 - LINEAR.alpha_bar[t]) ** 0.5
    for x in (-1.2, 0.1, 0.9):
        q, first = 0.0, 0.0
        for lower, upper, weight in zip(low, high, weights, strict=True):
            x_0 = np.linspace(lower, upper, 20_001)
            joint = weight / (upper - lower) * stats.norm.pdf(x, a * x_0, b)
            q += integrate.simpson(joint, x=x_0)
            first += integrate.simpson(joint * x_0, x=x_0)
        x_t = np.array([[x]])
        np.testing.assert_allclose(density.log_density(x_t, t), np.log(q), rtol=1e-8)
        np.testing.assert_allclose(density.predict(x_t, t)[0], first / q, rtol=1e-8)
        np.testing.assert_allclose(density.posterior(x_t, LINEAR.alpha_bar[t].reshape(1, 1))[0], first / q, rtol=1e-8)


@pytest.mark.equation("BOX-1")
def test_far_from_every_box_the_nearest_corner_is_all_that_is_left():
    density = Boxes(LINEAR, LOW, HIGH)
    x_t = np.array([[30.0, 20.0], [-40.0, -30.0]])
    x_0_hat, eps_hat = density.predict(x_t, 1)
    np.testing.assert_allclose(x_0_hat, [HIGH[1], LOW[0]], atol=1e-4)
    assert np.isfinite(eps_hat).all()
    np.testing.assert_array_equal(density.posterior(x_t, np.full((2, 1), LINEAR.alpha_bar[1]))[0], x_0_hat)


@every_density
def test_devices_agree(make, xp):
    density, x = make(LINEAR), normal(4, 2).astype(np.float32)
    for t in (3, 700):
        found = density.predict(xp.asarray(x), t)
        for array, expected in zip(found, make(LINEAR).predict(x, t), strict=True):
            np.testing.assert_allclose(to_numpy(array), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: BlurredPoints(LINEAR, POINTS, -0.1), "width is -0.1"),
        (lambda: BlurredPoints(LINEAR, POINTS, float("nan")), "width is nan"),
        (lambda: BlurredPoints(LINEAR, np.zeros((0, 2)), 0.1), "expected"),
        (lambda: BlurredPoints(LINEAR, POINTS, 0.1, [1, 2]), "weights has shape"),
        (lambda: Boxes(LINEAR, LOW, HIGH[:1]), "high has shape"),
        (lambda: Boxes(LINEAR, LOW, LOW), "no inside"),
        (lambda: Boxes(LINEAR, LOW, HIGH, [1, 0]), "above 0"),
    ],
)
def test_what_is_no_density_is_refused(make, told):
    with pytest.raises(InputError, match=told):
        make()
