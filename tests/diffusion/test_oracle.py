"""The exact denoisers against brute force: an oracle needs its own oracle."""

import numpy as np
import pytest
from scipy import integrate, stats

from tinydiff.base import InputError
from tinydiff.diffusion import (
    FiniteData,
    Gaussian,
    GaussianDiffusion,
    GaussianMixture,
    cosine_schedule,
    linear_schedule,
)

LINEAR = GaussianDiffusion(linear_schedule(1000))
EMPTY_AT_T = GaussianDiffusion(cosine_schedule(100, max_beta=1))
COVARIANCE = np.array([[1.5, 0.6, 0.0], [0.6, 0.8, -0.2], [0.0, -0.2, 0.3]])
MEAN = np.array([0.5, -1.0, 2.0])
POINTS = np.random.default_rng(7).normal(size=(5, 3))

DENSITIES = {
    "full": lambda d: Gaussian(d, MEAN, COVARIANCE),
    "diagonal": lambda d: Gaussian(d, MEAN, np.array([0.2, 1.0, 3.0])),
    "isotropic": lambda d: Gaussian(d, MEAN, 0.4),
    "singular": lambda d: Gaussian(d, MEAN, np.outer(MEAN, MEAN)),
    "mixture": lambda d: GaussianMixture(d, [1, 2], np.stack([MEAN, -MEAN]), [COVARIANCE, 0.1]),
    "points": lambda d: FiniteData(d, POINTS, [1, 2, 3, 4, 5]),
}
SMOOTH = ["full", "diagonal", "isotropic", "mixture"]
every_density = pytest.mark.parametrize("make", DENSITIES.values(), ids=DENSITIES.keys())


def normal(*shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


@pytest.mark.equation("TWEEDIE-1")
@every_density
@pytest.mark.parametrize("t", [5, 400.5, 1000])
def test_score_is_the_gradient_of_the_log_density(make, t):
    density, x, h = make(LINEAR), normal(4, 3), 1e-5
    slope = np.stack(
        [(density.log_density(x + h * e, t) - density.log_density(x - h * e, t)) / (2 * h) for e in np.eye(3)], axis=1
    )
    np.testing.assert_allclose(density.score(x, t), slope, rtol=1e-6, atol=1e-6 * np.abs(slope).max())


@pytest.mark.equation("TWEEDIE-1")
@every_density
def test_tweedie_ties_the_score_to_the_denoiser(make):
    density, x, t = make(LINEAR), normal(4, 3), 300
    x_0_hat, eps_hat = density.predict(x, t)
    a, b = LINEAR.alpha_bar[t] ** 0.5, (1 - LINEAR.alpha_bar[t]) ** 0.5
    np.testing.assert_allclose(x_0_hat, (x + b**2 * density.score(x, t)) / a, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(a * x_0_hat + b * eps_hat, x, rtol=1e-10, atol=1e-12)


@pytest.mark.equation("GAUSS-1")
@pytest.mark.parametrize("t", [1, 300, 1000])
def test_gaussian_is_that_of_textbooks(t):
    density, x, alpha_bar = Gaussian(LINEAR, MEAN, COVARIANCE), normal(4, 3), LINEAR.alpha_bar[t]
    total = alpha_bar * COVARIANCE + (1 - alpha_bar) * np.eye(3)
    expected = stats.multivariate_normal(alpha_bar**0.5 * MEAN, total).logpdf(x)
    np.testing.assert_allclose(density.log_density(x, t), expected, rtol=1e-11)
    gain = alpha_bar**0.5 * COVARIANCE @ np.linalg.inv(total)
    x_0_hat, _ = density.predict(x, t)
    np.testing.assert_allclose(x_0_hat, MEAN + (x - alpha_bar**0.5 * MEAN) @ gain.T, rtol=1e-10)
    np.testing.assert_allclose(density.posterior(x, alpha_bar)[0], x_0_hat, rtol=1e-12)


@pytest.mark.equation("GMM-1")
@pytest.mark.parametrize("t", [20, 300, 900])
def test_mixture_is_bayes_rule_by_quadrature(t):
    """In one dimension, E[x_0 | x_t] and q(x_t) are integrals over x_0."""
    weights, means, variances = np.array([0.3, 0.7]), np.array([-1.0, 0.8]), np.array([0.05, 0.3])
    density = GaussianMixture(LINEAR, weights, means[:, None], variances)
    a, b = LINEAR.alpha_bar[t] ** 0.5, (1 - LINEAR.alpha_bar[t]) ** 0.5
    x_0 = np.linspace(-8, 8, 40_001)
    prior = (weights * stats.norm.pdf(x_0[:, None], means, variances**0.5)).sum(axis=1)
    for x in (-1.2, 0.1, 2.0):
        joint = prior * stats.norm.pdf(x, a * x_0, b)
        q = integrate.trapezoid(joint, x_0)
        x_t = np.array([[x]])
        np.testing.assert_allclose(density.log_density(x_t, t), np.log(q), rtol=1e-8)
        expected = integrate.trapezoid(joint * x_0, x_0) / q
        np.testing.assert_allclose(density.predict(x_t, t)[0], expected, rtol=1e-8)
        np.testing.assert_allclose(density.posterior(x_t, LINEAR.alpha_bar[t])[0], expected, rtol=1e-8)


@pytest.mark.equation("DATA-1")
@pytest.mark.parametrize("t", [30, 300, 1000])
def test_finite_data_is_the_weighted_mean_of_its_points(t):
    weights = np.array([1, 2, 3, 4, 5]) / 15
    density, x = FiniteData(LINEAR, POINTS, weights * 7), normal(4, 3)
    a, b = LINEAR.alpha_bar[t] ** 0.5, (1 - LINEAR.alpha_bar[t]) ** 0.5
    joint = weights * np.prod(stats.norm.pdf(x[:, None], a * POINTS, b), axis=2)
    q = joint.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(density.log_density(x, t), np.log(q[:, 0]), rtol=1e-9)
    np.testing.assert_allclose(density.predict(x, t)[0], joint @ POINTS / q, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(
        density.posterior(x, np.full((4, 1), a**2))[0], joint @ POINTS / q, rtol=1e-9, atol=1e-12
    )


@pytest.mark.equation("DATA-1")
def test_points_are_components_without_variance():
    x, points = normal(4, 3), FiniteData(LINEAR, POINTS)
    mixture = GaussianMixture(LINEAR, np.ones(5), POINTS, np.zeros(5))
    np.testing.assert_allclose(points.predict(x, 200)[0], mixture.predict(x, 200)[0], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(points.log_density(x, 200), mixture.log_density(x, 200), rtol=1e-9)


@every_density
@pytest.mark.parametrize("scale", [1e3, 1e6])
def test_far_from_all_data_nothing_overflows(make, scale):
    density, x = make(LINEAR), scale * normal(4, 3)
    for t in (1e-3, 1, 500, 1000):
        for result in (*density.predict(x, t), density.score(x, t), density.log_density(x, t)):
            assert np.isfinite(result).all()


@every_density
def test_without_signal_the_denoiser_knows_the_mean_only(make):
    density = make(EMPTY_AT_T)
    x = normal(4, 3)
    x_0_hat, eps_hat = density.predict(x, 100)
    np.testing.assert_allclose(x_0_hat, np.broadcast_to(x_0_hat[:1], x.shape), rtol=1e-12)
    np.testing.assert_allclose(eps_hat, x, rtol=1e-12)
    np.testing.assert_allclose(density.log_density(x, 100), stats.norm.logpdf(x).sum(axis=1), rtol=1e-10)


@every_density
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_time_each_dtype_and_frozen_inputs(make, dtype):
    density, x, t = make(LINEAR), normal(3, 3, dtype=dtype), np.array([3, 300, 999])
    x.setflags(write=False)
    x_0_hat, eps_hat = density.predict(x, t, None)
    assert {a.dtype for a in (x_0_hat, eps_hat, density.score(x, t), density.log_density(x, t))} == {np.dtype(dtype)}
    for n in range(3):
        one = density.predict(x[n : n + 1], int(t[n]))
        np.testing.assert_allclose(one[0], x_0_hat[n : n + 1], rtol=1e-5)
        np.testing.assert_allclose(one[1], eps_hat[n : n + 1], rtol=1e-5)


def test_samples_may_be_images():
    images = normal(6, 4, 4, 2)
    density, x = FiniteData(LINEAR, images), normal(3, 4, 4, 2, seed=1)
    flat = FiniteData(LINEAR, images.reshape(6, -1))
    assert density.score(x, 400).shape == x.shape
    np.testing.assert_array_equal(density.predict(x, 400)[0].reshape(3, -1), flat.predict(x.reshape(3, -1), 400)[0])
    brightness = Gaussian(LINEAR, images[0], np.abs(images[1]))
    assert brightness.flow(x, 900, 1).shape == x.shape


@pytest.mark.equation("GAUSS-2")
@pytest.mark.parametrize("name", ["full", "diagonal", "isotropic"])
def test_flow_solves_the_probability_flow_ode(name):
    """d(x / a) = eps_hat d(sigma), with sigma = b / a, integrated to high accuracy from its own formulas."""
    density, x_t, t, s = DENSITIES[name](LINEAR), normal(2, 3), 900, 50
    covariance = {"full": COVARIANCE, "diagonal": np.diag([0.2, 1.0, 3.0]), "isotropic": 0.4 * np.eye(3)}[name]
    sigma_t, sigma_s = (((1 - LINEAR.alpha_bar[k]) / LINEAR.alpha_bar[k]) ** 0.5 for k in (t, s))

    def slope(sigma, y):
        y = y.reshape(2, 3) - MEAN
        return (sigma * np.linalg.solve(covariance + sigma**2 * np.eye(3), y.T).T).ravel()

    y = (x_t / LINEAR.alpha_bar[t] ** 0.5).ravel()
    end = integrate.solve_ivp(slope, (sigma_t, sigma_s), y, method="DOP853", rtol=1e-12, atol=1e-12).y[:, -1]
    expected = LINEAR.alpha_bar[s] ** 0.5 * end.reshape(2, 3)
    np.testing.assert_allclose(density.flow(x_t, t, s), expected, rtol=0, atol=1e-9)


@pytest.mark.equation("GAUSS-2")
def test_flow_carries_one_marginal_into_the_other_and_back():
    density, x_t = Gaussian(LINEAR, MEAN, COVARIANCE), normal(4, 3)
    x_0 = density.flow(x_t, 1000, 0)
    np.testing.assert_allclose(density.flow(x_0, 0, 1000), x_t, rtol=1e-10)
    a = LINEAR.alpha_bar[1000] ** 0.5
    total = a**2 * COVARIANCE + (1 - a**2) * np.eye(3)
    distance_t = np.einsum("ni,ij,nj->n", x_t - a * MEAN, np.linalg.inv(total), x_t - a * MEAN)
    distance_0 = np.einsum("ni,ij,nj->n", x_0 - MEAN, np.linalg.inv(COVARIANCE), x_0 - MEAN)
    np.testing.assert_allclose(distance_0, distance_t, rtol=1e-9)  # Mahalanobis distances are kept


def test_log_density_of_clean_data_exists_for_smooth_densities_only():
    x = normal(4, 3)
    for name, make in DENSITIES.items():
        density = make(LINEAR)
        if name in SMOOTH:
            near = density.log_density(x, 1e-6)
            np.testing.assert_allclose(density.log_density(x, 0), near, rtol=1e-6)
        else:
            with pytest.raises(InputError, match="t is 0"):
                density.log_density(x, 0)
        with pytest.raises(InputError, match="t is 0"):
            density.predict(x, 0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Gaussian(LINEAR, MEAN, np.ones(2)), r"covariance has shape \(2,\)"),
        (lambda: Gaussian(LINEAR, MEAN, np.triu(np.ones((3, 3)))), "symmetric"),
        (lambda: Gaussian(LINEAR, MEAN, -1.0), "covariance has the eigenvalue -1.0"),
        (lambda: Gaussian(LINEAR, MEAN, np.nan), "covariance is nan"),
        (lambda: Gaussian(LINEAR, MEAN, np.diag([1.0, 1.0, -0.5])), "covariance has the eigenvalue -0.5"),
        (lambda: GaussianMixture(LINEAR, [1, 1], POINTS[:2], [1.0]), "covariances has length 1"),
        (lambda: GaussianMixture(LINEAR, [1], POINTS[:2], [1.0, 1.0]), r"weights has shape \(1,\)"),
        (lambda: GaussianMixture(LINEAR, [1, 0], POINTS[:2], [1.0, 1.0]), "weights is"),
        (lambda: FiniteData(LINEAR, POINTS, [1, 1, 1, 1, np.nan]), "weights is"),
        (lambda: FiniteData(LINEAR, np.zeros((0, 3))), "weights is"),
        (lambda: FiniteData(LINEAR, POINTS).predict(normal(4, 2), 5), r"x_t has shape \(4, 2\)"),
        (lambda: FiniteData(LINEAR, POINTS).predict(normal(4, 3), 1001), "t is 1001"),
        (lambda: FiniteData(LINEAR, POINTS).predict(normal(4, 3), np.array([1, 2])), r"t has shape \(2,\)"),
        (lambda: FiniteData(LINEAR, POINTS).predict(np.zeros((4, 3), int), 5), "x_t has dtype int64"),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
