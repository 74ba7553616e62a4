"""The rods of the court are right: against formulas that know nothing of the library, and against each other."""

import math

import numpy as np
import pytest
from scipy import integrate

from tinydiff.diffusion import Gaussian, GaussianDiffusion, linear_schedule
from tinydiff.evaluate.court import Curve, Impulses, graded_times, grid_times
from tinydiff.evaluate.court.moments import moments
from tinydiff.evaluate.court.orders import shares_followed, slope_of
from tinydiff.evaluate.court.rod import FIRST, LAST, MEANS, VARIANCES, WEIGHTS, exact_end, the_rod
from tinydiff.evaluate.court.walk import Defendant

LINEAR = GaussianDiffusion(linear_schedule(1000))


def test_the_exact_end_is_that_of_bayes_rule():
    """The field is written anew, in x / a and sigma."""
    rod, means, variances = the_rod(), np.array(MEANS), np.array(VARIANCES)

    def slope(sigma, y):
        y = y.reshape(-1, 1, 2)
        total = variances + sigma**2
        log_share = np.log(WEIGHTS) - ((y - means) ** 2).sum(axis=2) / (2 * total) - np.log(total)
        share = np.exp(log_share - log_share.max(axis=1, keepdims=True))
        share /= share.sum(axis=1, keepdims=True)
        x_0 = means + (variances / total)[:, None] * (y - means)
        return ((y[:, 0] - (share[..., None] * x_0).sum(axis=1)) / sigma).ravel()

    a_first, a_last = (1 / math.sqrt(1 + math.exp(-2 * lam)) for lam in (FIRST, LAST))
    sigmas = math.exp(-FIRST), math.exp(-LAST)
    solved = integrate.solve_ivp(slope, sigmas, (rod.start / a_first).ravel(), rtol=1e-11, atol=1e-11)
    end = a_last * solved.y[:, -1].reshape(rod.start.shape)
    np.testing.assert_allclose(rod.exact, end, rtol=0, atol=1e-9)


def test_the_exact_end_of_a_gaussian_is_its_flow():
    data, x = Gaussian(LINEAR, np.array([0.2, -0.4]), np.array([0.3, 1.4])), np.array([[0.7, -1.2], [2.0, 0.1]])
    first, last = LINEAR.time_at(FIRST), LINEAR.time_at(LAST)
    np.testing.assert_allclose(exact_end(data, x, FIRST, LAST), data.flow(x, first, last), rtol=1e-10)


def lambdas(times):
    return np.array([math.log(np.divide(*LINEAR.scales(t))) for t in times])


def test_grids_have_the_lengths_that_they_say():
    np.testing.assert_allclose(lambdas(grid_times(LINEAR, 5, (1,), -1, 1.5)), np.linspace(-1, 1.5, 6), atol=1e-9)
    lengths = np.diff(lambdas(grid_times(LINEAR, 6, (2, 1), -1, 2)))
    np.testing.assert_allclose(lengths, np.resize([2 / 3, 1 / 3], 6), rtol=1e-6)
    graded = np.diff(lambdas(graded_times(LINEAR, 4, -1, 1)))
    np.testing.assert_allclose(graded[-3:], 0.5, rtol=1e-6)
    assert graded[0] < 1e-6
    assert graded[:-3].sum() == pytest.approx(0.5, rel=1e-6)


def test_impulses_are_one_number_each():
    noise = Impulses()
    first, second = (noise.at(step=k).normal((4, 1), "sampler") for k in range(2))
    assert first[:, 0].tolist() == [0, 0, 1, 0]
    assert second[:, 0].tolist() == [0, 0, 0, 1]


def test_moments_are_those_of_many_samples():
    """Of 40,000 samples; had the seed been drawn at random, this would fail once in a million times (5 deviations)."""
    from tinydiff.base import Noise
    from tinydiff.diffusion import SAMPLERS, last
    from tinydiff.evaluate.court.rod import marginal, the_gaussian

    exact, data, n = moments(Defendant("ddpm", {}), 12, -1.0, 1.5), the_gaussian(), 40_000
    *steps, end = grid_times(data.diffusion, 12, (1,), -1.0, 1.5)
    mean, variance = marginal(data.diffusion, -1.0)
    x_T = mean + variance**0.5 * Noise(1).normal((n, 1), "start", dtype=np.float64)
    x = last(SAMPLERS["ddpm"](data.predict, data.diffusion, x_T, steps, Noise(0), end=end))
    assert abs(x.mean() - exact.mean) < 5 * (exact.variance / n) ** 0.5
    assert abs(x.var() - exact.variance) < 5 * exact.variance * (2 / n) ** 0.5


def test_slopes_and_calls_of_a_curve():
    curve = Curve((10, 20, 40), (11, 21, 41), (1e-2, 2.5e-3, 6.25e-4))
    assert curve.order == pytest.approx(2)
    assert curve.calls_for(1.0) == 11
    assert curve.calls_for(1e-9) is None
    assert 11 < curve.calls_for(5e-3) < 21
    assert curve.calls_for(2.5e-3) == pytest.approx(21)
    assert math.isnan(slope_of((10, 20), (1e-13, 1e-14)))
    assert slope_of((10, 20, 40), (1e-2, 1.25e-3, 1e-13)) == pytest.approx(3)


def test_how_much_of_a_parabola_is_followed():
    assert shares_followed(Defendant("dpmpp_3m", {}), "x_0", (1.0,)) == pytest.approx([1, 1, 1], abs=1e-9)
    published = shares_followed(Defendant("dpmpp_3m_as_published", {}), "x_0", (1.0,))
    assert published == pytest.approx([1, 1, 0.5], abs=1e-9)
    assert shares_followed(Defendant("deis", {"order": 3}), "eps", (2, 1)) == pytest.approx([1, 1, 1], abs=1e-9)
    assert shares_followed(Defendant("ddim", {}), "eps", (1.0,)) == pytest.approx([1, 0, 0], abs=1e-9)
