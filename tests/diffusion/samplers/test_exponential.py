"""Weights of predictions in a step, against integrals by SciPy and weights from textbooks."""

import math

import numpy as np
import pytest
from scipy import integrate

from tinydiff.diffusion.samplers.exponential import exponential_weights, interpolation_weights

NODES = [0.3, -0.1, -0.9, -1.0]


def cardinal(j, x, nodes=NODES):
    """Return the polynomial that is 1 at node j and 0 at the others, by solving for its coefficients."""
    return np.polyval(np.linalg.solve(np.vander(nodes), np.eye(len(nodes))[j]), x)


@pytest.mark.equation("EXPAB-1")
@pytest.mark.parametrize("rate", [-1, 1, 2.5])
@pytest.mark.parametrize("h", [1e-3, 0.4, 8])
def test_exponential_weights_are_integrals(rate, h):
    weights = exponential_weights(NODES, 0.3, 0.3 + h, rate)
    for j, weight in enumerate(weights):

        def integrand(x, j=j):
            return rate * math.exp(rate * (x - 0.3 - h)) * cardinal(j, x)

        wanted, _ = integrate.quad(integrand, 0.3, 0.3 + h, epsabs=1e-14, epsrel=1e-12)
        assert weight == pytest.approx(wanted, rel=1e-9, abs=1e-13)
    assert sum(weights) == pytest.approx(-math.expm1(-rate * h), rel=1e-11)


@pytest.mark.equation("LMS-1")
def test_weights_for_equal_steps_are_those_of_adams_and_bashforth():
    weights = interpolation_weights([0, -1, -2, -3], 0, 1)
    np.testing.assert_allclose(weights, np.array([55, -59, 37, -9]) / 24, rtol=1e-13)
    np.testing.assert_allclose(interpolation_weights([5.0, 3.0], 5.0, 4.0), [-0.75, -0.25], rtol=1e-12)


def test_small_rates_are_a_step_without_an_exponential():
    plain = interpolation_weights(NODES, 0.3, 0.8)
    np.testing.assert_allclose(np.array(exponential_weights(NODES, 0.3, 0.8, 1e-7)) / 1e-7, plain, rtol=1e-6)
