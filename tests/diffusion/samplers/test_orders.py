"""The order of convergence, measured against exact solutions of the probability-flow ODE."""

import numpy as np
import pytest
from diffusions import COSINE, LINEAR, normal, scales
from scipy import integrate, stats

from tinydiff.diffusion import Gaussian, GaussianMixture, ddim, dpmpp_2m, heun, last, log_snr_steps


def slope_of_error(sampler, predict, diffusion, x_t, exact, start, end, numbers):
    errors = []
    for N in numbers:
        *steps, stop = log_snr_steps(diffusion, N + 1, start, end)
        errors.append(np.abs(last(sampler(predict, diffusion, x_t, steps, end=stop)) - exact).max())
    slope, _ = np.polyfit(np.log(numbers), np.log(errors), 1)
    return -slope


ORDERS = [(ddim, 1), (heun, 2), (dpmpp_2m, 2)]


@pytest.mark.equation("DDIM-14")
@pytest.mark.equation("EDM-ALG1")
@pytest.mark.equation("DPMPP-2M")
@pytest.mark.parametrize(("sampler", "order"), ORDERS)
@pytest.mark.parametrize(("diffusion", "start", "end"), [(LINEAR, 900, 100), (COSINE, 95, 5)], ids=["linear", "cosine"])
def test_order_of_convergence_on_a_gaussian(sampler, order, diffusion, start, end):
    covariance = np.array([[0.5, 0.6], [0.6, 1.4]])
    data, x_t = Gaussian(diffusion, np.array([0.3, -0.5]), covariance), normal(4, 2)
    exact = data.flow(x_t, start, end)
    slope = slope_of_error(sampler, data.predict, diffusion, x_t, exact, start, end, [32, 64, 128, 256])
    assert abs(slope - order) < 0.15


@pytest.mark.equation("DDIM-14")
@pytest.mark.parametrize(("sampler", "order"), ORDERS)
def test_order_of_convergence_on_a_mixture(sampler, order):
    weights, means, variances = np.array([0.3, 0.7]), np.array([-1.0, 0.8]), np.array([0.1, 0.3])
    data = GaussianMixture(LINEAR, weights, means[:, None], variances)
    x_t, start, end = np.array([[-1.1], [-0.2], [0.7], [1.5]]), 900, 150

    def slope(sigma, y):  # (y - E[x_0 | y]) / sigma for y = x_0 + sigma z, by Bayes' rule
        total = variances + sigma**2
        share = weights * stats.norm.pdf(y[:, None], means, total**0.5)
        denoised = means + variances / total * (y[:, None] - means)
        return (y - (share * denoised).sum(axis=1) / share.sum(axis=1)) / sigma

    (a_t, b_t), (a_s, b_s) = scales(LINEAR, start), scales(LINEAR, end)
    y = integrate.solve_ivp(slope, (b_t / a_t, b_s / a_s), x_t[:, 0] / a_t, method="DOP853", rtol=1e-11, atol=1e-11).y[
        :, -1
    ]
    exact = a_s * y[:, None]
    measured = slope_of_error(sampler, data.predict, LINEAR, x_t, exact, start, end, [64, 128, 256, 512])
    assert abs(measured - order) < 0.15


def test_dpmpp_2m_predicts_once_and_heun_twice_a_step():
    calls = []

    def predict(x_t, t, context):
        calls.append(t[0])
        return x_t / 2, x_t / 2

    last(dpmpp_2m(predict, LINEAR, normal(1, 2), 10))
    assert len(calls) == 10
    calls.clear()
    last(heun(predict, LINEAR, normal(1, 2), 10))
    assert len(calls) == 19  # the step to 0 has nothing to correct with
