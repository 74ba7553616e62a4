"""The bound on the likelihood, against integrals, and against exact likelihoods of Gaussian data."""

import numpy as np
import pytest
from arrays import to_host, to_xp

from tinydiff.base import InputError
from tinydiff.diffusion import (
    FiniteData,
    Gaussian,
    GaussianDiffusion,
    cosine_schedule,
    eps_weight,
    linear_schedule,
    normal_kl,
    prior_term,
    step_term,
)

RNG = np.random.default_rng(0)
MEAN, VARIANCE = 0.7, 0.3
PAIRS = [(0.0, 1.0, 0.0, 1.0), (0.5, 0.2, -1.0, 2.0), (3.0, 4.0, 1.0, 0.5)]


@pytest.mark.equation("KL-1")
@pytest.mark.parametrize(
    ("m_1", "v_1", "m_2", "v_2"), [(0.0, 1.0, 0.0, 1.0), (0.5, 0.2, -1.0, 2.0), (3.0, 4.0, 1.0, 0.5)]
)
def test_divergence_is_the_integral(m_1, v_1, m_2, v_2):
    x = m_1 + np.linspace(-12, 12, 200_001) * v_1**0.5
    log_p = -((x - m_1) ** 2) / (2 * v_1) - np.log(2 * np.pi * v_1) / 2
    log_q = -((x - m_2) ** 2) / (2 * v_2) - np.log(2 * np.pi * v_2) / 2
    integral = (np.exp(log_p) * (log_p - log_q)).sum() * (x[1] - x[0])
    assert normal_kl(m_1, v_1, m_2, v_2) == pytest.approx(integral, abs=1e-9)
    array = normal_kl(np.full((2, 3), m_1, np.float32), v_1, np.full((2, 3), m_2, np.float32), v_2)
    assert array.dtype == np.float32
    np.testing.assert_allclose(array, integral, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("variances", [(0, 1), (1, 0), (-1, 1), (float("nan"), 1)])
def test_divergence_needs_variances_above_zero(variances):
    with pytest.raises(InputError, match=r"variance_[12] is .*number was expected"):
        normal_kl(0.0, variances[0], 0.0, variances[1])


def affine_steps(predict, diffusion):
    """Return (slope, offset, variance) of the model's step from t to t - 1, for t = 1 .. T, in one dimension."""
    steps = []
    for t in range(1, diffusion.T + 1):
        x = np.array([[0.0], [1.0]])
        at_0, at_1 = diffusion.posterior_mean(predict(x, np.full(2, t))[0], x, t)[:, 0]
        steps.append((at_1 - at_0, at_0, diffusion.beta(t)))
    return steps


def joint_of_model(steps):
    """Return the mean (T + 1,) and the covariance (T + 1, T + 1) of x_0 .. x_T under the model's chain."""
    T = len(steps)
    mean, factor = np.zeros(T + 1), np.zeros((T + 1, T + 1))  # x = mean + factor @ z, with z ~ N(0, I)
    factor[T, T] = 1
    for t in range(T, 0, -1):
        slope, offset, variance = steps[t - 1]
        mean[t - 1] = slope * mean[t] + offset
        factor[t - 1] = slope * factor[t]
        factor[t - 1, t - 1] += variance**0.5
    return mean, factor @ factor.T


def kl_of_normals(m_1, c_1, m_2, c_2):
    """Return the divergence of two normal densities with full covariances."""
    inverse, d = np.linalg.inv(c_2), m_2 - m_1
    logs = np.linalg.slogdet(c_2)[1] - np.linalg.slogdet(c_1)[1]
    return 0.5 * (np.trace(inverse @ c_1) + d @ inverse @ d - len(d) + logs)


def elbo_of(predict, diffusion, x_0):
    """Return the bound at one number; every term is quadratic in eps, so its mean is that over eps = -1 and 1."""
    x, eps = np.full((2, 1), x_0), np.array([[-1.0], [1.0]])
    price = prior_term(diffusion, x)[0]
    return -price - sum(step_term(predict, diffusion, x, t, eps).mean() for t in range(1, diffusion.T + 1))


@pytest.mark.equation("DDPM-5")
@pytest.mark.parametrize("x_0", [-1.0, 0.4, 2.5])
@pytest.mark.parametrize("denoiser", [(MEAN, VARIANCE), (0.0, 1.5)], ids=["exact", "wrong"])
@pytest.mark.parametrize("table", [linear_schedule(6, 0.05, 0.7), cosine_schedule(20)])
def test_bound_misses_the_likelihood_by_the_divergence_of_the_chains(x_0, denoiser, table):
    """log p - ELBO = KL(q(x_1 .. x_T | x_0) || p(x_1 .. x_T | x_0)), here by matrices and without any of our terms."""
    diffusion = GaussianDiffusion(table)
    predict = Gaussian(diffusion, np.array([denoiser[0]]), denoiser[1]).predict
    mean, covariance = joint_of_model(affine_steps(predict, diffusion))
    log_p = -((x_0 - mean[0]) ** 2) / (2 * covariance[0, 0]) - np.log(2 * np.pi * covariance[0, 0]) / 2

    gain = covariance[1:, 0] / covariance[0, 0]
    p_mean = mean[1:] + gain * (x_0 - mean[0])
    p_covariance = covariance[1:, 1:] - np.outer(gain, covariance[0, 1:])
    a = diffusion.alpha_bar[1:] ** 0.5
    ratio = a[None, :] / a[:, None]
    q_covariance = np.minimum(ratio, ratio.T) * (1 - np.maximum.outer(a, a) ** 2)

    gap = log_p - elbo_of(predict, diffusion, x_0)
    assert gap >= 0
    assert gap == pytest.approx(kl_of_normals(a * x_0, q_covariance, p_mean, p_covariance), rel=1e-6, abs=1e-9)


def test_bound_is_tight_for_many_small_steps_of_the_exact_denoiser():
    gaps = []
    for T in (50, 200, 800):
        diffusion = GaussianDiffusion(cosine_schedule(T))
        exact = Gaussian(diffusion, np.array([MEAN]), VARIANCE)
        gaps.append(exact.log_density(np.array([[0.4]]), 0)[0] - elbo_of(exact.predict, diffusion, 0.4))
    assert abs(gaps[2]) < abs(gaps[1]) < abs(gaps[0])
    assert abs(gaps[2]) < 0.05


@pytest.mark.equation("DDPM-12")
@pytest.mark.parametrize("t", [2, 5, 20])
def test_step_is_a_weighted_error_of_the_noise_and_a_constant(t):
    diffusion = GaussianDiffusion(linear_schedule(20, 0.01, 0.3))
    x_0, eps = RNG.standard_normal((4, 3, 2)), RNG.standard_normal((4, 3, 2))
    predict = FiniteData(diffusion, RNG.standard_normal((5, 3, 2))).predict
    _, eps_hat = predict(diffusion.q_sample(x_0, t, eps), np.full(4, t))
    constant = 6 * normal_kl(0.0, diffusion.posterior_variance(t), 0.0, diffusion.beta(t))
    error = ((eps - eps_hat) ** 2).sum(axis=(1, 2))
    np.testing.assert_allclose(
        step_term(predict, diffusion, x_0, t, eps), eps_weight(diffusion, t) * error + constant, rtol=1e-9
    )
    np.testing.assert_allclose(eps_weight(diffusion, np.array([t, t])), eps_weight(diffusion, t))


def test_steps_refuse_times_and_shapes_that_do_not_fit():
    diffusion = GaussianDiffusion(linear_schedule(20, 0.01, 0.3))
    predict = Gaussian(diffusion, np.zeros(2), 1.0).predict
    x = np.zeros((3, 2))
    for t in (0, 21):
        with pytest.raises(InputError, match="step index from 1 to 20"):
            step_term(predict, diffusion, x, t, x)
    with pytest.raises(InputError, match="eps has shape"):
        step_term(predict, diffusion, x, 3, x[:2])


@pytest.mark.parametrize("t", [1, 7])
def test_terms_are_one_number_per_sample_on_every_device(xp, t):
    diffusion = GaussianDiffusion(linear_schedule(20, 0.01, 0.3))
    x_0, eps = RNG.standard_normal((3, 2, 2)).astype(np.float32), RNG.standard_normal((3, 2, 2)).astype(np.float32)
    exact = Gaussian(diffusion, np.zeros((2, 2)), 0.5)
    steps = step_term(exact.predict, diffusion, to_xp(xp, x_0), t, to_xp(xp, eps))
    prior = prior_term(diffusion, to_xp(xp, x_0))
    assert steps.shape == prior.shape == (3,)
    assert steps.dtype == prior.dtype == np.float32
    for i in range(3):
        alone = step_term(exact.predict, diffusion, x_0[i : i + 1], t, eps[i : i + 1])
        np.testing.assert_allclose(to_host(steps)[i], alone[0], rtol=1e-5)


@pytest.mark.equation("KL-1")
@pytest.mark.parametrize(
    ("v_1", "v_2", "expected"),
    [
        (1.0, 1.0, 0.0),
        (1 + 2**-30, 1.0, 2.0**-62),  # (d - log(1 + d)) / 2 = d^2 / 4
        (1.0, 1 + 2**-30, 2.0**-62),
        (4.0, 1.0, (3 - np.log(4)) / 2),
        (0.25, 1.0, (-0.75 + np.log(4)) / 2),
        (1e-300, 1.0, (-1 + 300 * np.log(10)) / 2),
        (1e-300, 1e300, (-1 + 600 * np.log(10)) / 2),
        (1e300, 1e-300, np.inf),
    ],
)
def test_the_divergence_at_any_two_variances(v_1, v_2, expected):
    assert normal_kl(0.5, v_1, 0.5, v_2) == pytest.approx(expected, rel=1e-7)


@pytest.mark.equation("KL-1")
def test_the_divergence_of_float32_means_whose_squares_are_too_large():
    means = np.array([0, 1e20, -3e38], np.float32)
    kl = normal_kl(means, 1e40, np.zeros(3, np.float32), 1e40)
    np.testing.assert_allclose(kl, (means.astype(float) / 1e20) ** 2 / 2, rtol=1e-5)


def test_the_weight_of_eps_at_a_step_without_signal_is_refused():
    diffusion = GaussianDiffusion(linear_schedule(10, beta_T=1.0))
    for t in (10, np.array([3, 10])):
        with pytest.raises(InputError, match=r"eps has no finite weight: take t < 10"):
            eps_weight(diffusion, t)
    assert np.isfinite(eps_weight(diffusion, 9))
