"""The likelihood of the probability-flow ODE: against densities that are known, and against SciPy's solver."""

import numpy as np
import pytest
from arrays import to_host, to_xp
from scipy import stats
from scipy.integrate import solve_ivp

from tinydiff.base import InputError, Noise, TrainingError
from tinydiff.diffusion import (
    FiniteData,
    Gaussian,
    GaussianDiffusion,
    GaussianMixture,
    GaussianPath,
    cosine_schedule,
    dequantised,
    exact_velocity,
    flow_log_density,
    linear_schedule,
    random_signs,
)

PROCESS = GaussianDiffusion(cosine_schedule(1000))
COVARIANCE = np.array([[0.3, 0.1], [0.1, 0.2]])
X = np.random.default_rng(0).normal(size=(5, 2))


def mixture(process=PROCESS):
    return GaussianMixture(process, [1, 2], np.array([[1.0, 0.5], [-1.0, 0.0]]), [COVARIANCE, 0.1])


def of(density, x=X, t=1.0, **arguments):
    """Return what the flow finds, started from the exact density at T."""
    T = density.diffusion.T
    prior = {"log_prior": lambda x_T: density.log_density(x_T, T)}
    return flow_log_density(exact_velocity(density), density.diffusion, x, t, **(prior | arguments))


@pytest.mark.equation("PFODE-1")
@pytest.mark.equation("PFODE-2")
@pytest.mark.parametrize("t", [0.01, 1, 300])
def test_the_flow_finds_the_density(t):
    np.testing.assert_allclose(of(mixture(), t=float(t)), mixture().log_density(X, t), atol=5e-5)


@pytest.mark.equation("PFODE-2")
def test_the_error_falls_with_the_fourth_power_of_the_steps():
    errors = [abs(of(mixture(), steps=n) - mixture().log_density(X, 1)).max() for n in (16, 32, 64)]
    slopes = np.log2(np.divide(errors[:-1], errors[1:]))
    assert (abs(slopes - 4) < 0.4).all(), slopes


@pytest.mark.equation("PFODE-2")
def test_scipy_finds_the_same_in_other_coordinates_and_without_our_jacobian():
    """y = x / a moves along sigma with the velocity eps_hat, whose divergence is taken by differences."""
    density, t, h = mixture(), 200.0, 1e-5

    def slope(log_sigma, state):
        sigma = np.exp(log_sigma)
        time, a = PROCESS.time_at(-log_sigma), (1 + sigma**2) ** -0.5
        y = state[:2]
        around = np.concatenate([[y], y + h * np.eye(2), y - h * np.eye(2)])
        _, eps_hat = density.predict(a * around, time)
        divergence = sum(eps_hat[1 + i, i] - eps_hat[3 + i, i] for i in range(2)) / (2 * h)
        return sigma * np.concatenate([eps_hat[0], [divergence]])

    a, b = PROCESS.scales(t)
    last = 700.0
    a_last, b_last = PROCESS.scales(last)
    for x, found in zip(X[:2], of(density, X[:2], t, steps=64), strict=True):
        ends = np.log(b / a), np.log(b_last / a_last)
        judged = solve_ivp(slope, ends, np.append(x / a, 0.0), rtol=1e-9, atol=1e-9)
        y, spread = judged.y[:2, -1], judged.y[2, -1]
        log_p = density.log_density(a_last * y[None], last)[0] + 2 * np.log(a_last) + spread - 2 * np.log(a)
        assert found == pytest.approx(log_p, abs=1e-5)


@pytest.mark.equation("PFODE-2")
def test_it_starts_from_the_samplers_noise_unless_told_otherwise():
    process = GaussianDiffusion(linear_schedule(50, 0.001, 0.05))  # leaves much signal at T
    exact = Gaussian(process, np.zeros(1), 0.25)
    x = np.array([[0.3], [1.0]])
    x_T = exact.flow(x, 1, 50)
    slope = exact.flow(np.array([[1.0]]), 1, 50)[0, 0]
    wanted = stats.norm.logpdf(x_T[:, 0]) + np.log(slope)  # a change of variables, since the flow is linear
    np.testing.assert_allclose(flow_log_density(exact_velocity(exact), process, x, 1.0, steps=64), wanted, atol=1e-6)


@pytest.mark.equation("HUTCH-1")
def test_signs_find_the_divergence_in_expectation():
    """5 standard errors: a false alarm in 2 million; the seed is fixed."""
    n = 1500
    x = np.repeat(X[:1], n, axis=0)
    found = of(mixture(), x, probes=random_signs(Noise(0), x.shape, 1, np.float64), steps=12)
    assert found.std() > 0.05
    assert abs(found.mean() - of(mixture(), X[:1], steps=12)[0]) < 5 * found.std() / n**0.5


@pytest.mark.equation("HUTCH-1")
def test_signs_are_exact_where_the_jacobian_is_diagonal_and_more_of_them_vary_less():
    diagonal = Gaussian(PROCESS, np.zeros(3), np.array([0.2, 1.0, 3.0]))
    x = np.random.default_rng(1).normal(size=(4, 3))
    signs = random_signs(Noise(0), x.shape, 2, np.float64)
    assert set(np.unique(signs)) == {-1, 1}
    assert abs(signs.mean()) < 0.9
    np.testing.assert_allclose(of(diagonal, x, probes=signs[:1]), of(diagonal, x), rtol=1e-9)
    many = np.repeat(X[:1], 300, axis=0)
    one, eight = (
        of(mixture(), many, probes=random_signs(Noise(0), many.shape, k, np.float64), steps=6).std() for k in (1, 8)
    )
    assert eight == pytest.approx(one / 8**0.5, rel=0.3)


@pytest.mark.equation("TWEEDIE-2")
@pytest.mark.parametrize("path", ["vp", "straight"])
@pytest.mark.parametrize(
    "make",
    [
        lambda d: Gaussian(d, np.array([0.5, -1.0]), COVARIANCE),
        mixture,
        lambda d: FiniteData(d, np.array([[0.1, 1.0], [1.0, -0.5], [-1.0, 0.2]]), [1, 2, 3]),
    ],
    ids=["gaussian", "mixture", "points"],
)
def test_the_gradient_of_a_denoiser_is_that_of_differences(make, path):
    density, h = make(GaussianPath(cosine_schedule(100), path)), 1e-5
    d = np.random.default_rng(2).normal(size=X.shape)
    t = np.array([20.0, 35.0, 50.0, 65.5, 90.0])
    slopes = [(density.predict(X + h * e, t)[0] - density.predict(X - h * e, t)[0]) / (2 * h) for e in np.eye(2)]
    wanted = np.stack([(d * slope).sum(axis=1) for slope in slopes], axis=1)
    np.testing.assert_allclose(density.predict_backward(X, t, d), wanted, rtol=1e-6, atol=1e-8)
    velocity = exact_velocity(density)
    v, d_x = velocity(X, 50.0, d)
    scale = density.diffusion.scale_at(50.0)
    x_0_hat, _ = density.predict(scale * X, 50.0)
    np.testing.assert_allclose(density.diffusion.x_0_from_v(scale * X, 50.0, v), x_0_hat, rtol=1e-9)
    around = [(velocity(X + h * e, 50.0, d)[0] - velocity(X - h * e, 50.0, d)[0]) / (2 * h) for e in np.eye(2)]
    np.testing.assert_allclose(d_x, np.stack([(d * s).sum(axis=1) for s in around], axis=1), rtol=1e-5, atol=1e-7)


def test_the_path_decides_the_units_only():
    process = GaussianPath(cosine_schedule(100), "straight")
    density = mixture(process)
    np.testing.assert_allclose(of(density, t=40.0), density.log_density(X, 40.0), atol=1e-4)


@pytest.mark.equation("DEQ-1")
def test_a_spread_level_costs_at_least_what_it_should():
    """Of a normal density, the levels' probabilities are known; the difference is Jensen's."""
    n, width = 20000, 2 / 15
    level = np.full((n, 1), 6 * width - 1)
    x, nats = dequantised(level, Noise(0), levels=16)
    assert (abs(x - level) <= width / 2).all()
    assert x.std() == pytest.approx(width / 12**0.5, rel=0.02)
    price = nats - stats.norm.logpdf(x[:, 0], 0.1, 0.15)
    exact = -np.log(np.diff(stats.norm.cdf(level[0] + np.array([-width, width]) / 2, 0.1, 0.15))[0])
    assert price.mean() > exact
    # E[(x - m)^2] over the cell, by hand
    mean = (
        0.5 * np.log(2 * np.pi * 0.15**2) + ((level[0, 0] - 0.1) ** 2 + width**2 / 12) / (2 * 0.15**2) - np.log(width)
    )
    assert price.mean() == pytest.approx(mean, abs=5 * price.std() / n**0.5)
    _, of_two = dequantised(np.zeros((1, 2)), Noise(0))
    assert of_two == pytest.approx(2 * np.log(127.5))


def test_it_is_float64_on_every_device(xp):
    density = mixture()
    x = X.astype(np.float32)
    signs = random_signs(Noise(0, xp=xp), x.shape, 2)
    found = of(density, to_xp(xp, x), steps=4, probes=signs)
    assert found.dtype == np.float64
    np.testing.assert_allclose(to_host(found), of(density, x, steps=4, probes=to_host(signs)), rtol=1e-5)


def test_what_has_no_flow_is_refused():
    density = mixture()
    for t in (0.0, 1000.0, -1.0):
        with pytest.raises(InputError, match="t is"):
            of(density, t=t)
    with pytest.raises(InputError, match="probes has shape"):
        of(density, probes=np.ones((1, 2, 2)))
    with pytest.raises(InputError, match="steps"):
        of(density, steps=0)
    with pytest.raises(TrainingError, match="velocity holds NaN or infinity at t = 1"):
        flow_log_density(lambda x, t, z: (x, x * np.nan), PROCESS, X, 1.0)
