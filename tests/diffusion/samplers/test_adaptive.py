"""The adaptive solver: its error follows the tolerance, its calls follow the error, and it always ends."""

import math

import numpy as np
import pytest
from diffusions import COSINE, LINEAR, MIXTURE, normal, scales
from scipy import integrate

from tinydiff.base import InputError
from tinydiff.diffusion import SAMPLERS, GaussianMixture, adaptive, last
from tinydiff.evaluate.court.rod import exact_end

FIRST, LAST = -0.5, 1.5
DATA, X = GaussianMixture(LINEAR, **MIXTURE), normal(6, 2)
T_FIRST, T_LAST = LINEAR.time_at(FIRST), LINEAR.time_at(LAST)
EXACT = exact_end(DATA, X, FIRST, LAST)


def run(tolerance, x=X, steps=(T_FIRST,), **options):
    """Return the end and how many predictions were asked for."""
    calls = []

    def predict(x_t, t, context=None):
        calls.append(np.array(t))
        return DATA.predict(x_t, t)

    end = last(adaptive(predict, LINEAR, x, steps, rtol=tolerance, atol=tolerance, end=T_LAST, **options))
    return end, calls


@pytest.mark.equation("ADAPT-1")
def test_the_error_follows_the_tolerance_and_the_calls_its_root():
    """A step may lose a tolerance, by order 1 or h^2: so h is its root, and the error of order 2 is the tolerance."""
    tolerances = (1e-2, 1e-3, 1e-4, 1e-5)
    errors, counts = [], []
    for tolerance in tolerances:
        end, calls = run(tolerance)
        errors.append(np.abs(end - EXACT).max())
        counts.append(len(calls))
        assert errors[-1] < 5 * tolerance
    slope = np.polyfit(np.log(tolerances), np.log(errors), 1)[0]
    assert slope == pytest.approx(1, abs=0.25)
    assert math.log10(counts[-1] / counts[0]) / 3 == pytest.approx(0.5, abs=0.15)


@pytest.mark.equation("ADAPT-1")
def test_a_step_that_is_taken_is_the_midpoint_rule_and_its_error_is_within_the_tolerance():
    """With a wide tolerance the first step has the length 0.05, and ends as written here."""
    first = LINEAR.time_at(FIRST)
    end = LINEAR.time_at(FIRST + 0.05)
    got = last(adaptive(DATA.predict, LINEAR, X, [first], rtol=1.0, atol=1.0, end=end))
    (a_t, b_t), (a_s, b_s) = scales(LINEAR, first), scales(LINEAR, end)
    m = LINEAR.time_at(FIRST + 0.025)
    a_m, b_m = scales(LINEAR, m)
    _, eps = DATA.predict(X, first)
    _, eps_m = DATA.predict(a_m / a_t * X - b_m * math.expm1(0.025) * eps, m)
    np.testing.assert_allclose(got, a_s / a_t * X - b_s * math.expm1(0.05) * eps_m, rtol=1e-7)
    assert b_t > b_s


def test_a_sample_has_its_own_steps_whatever_it_is_drawn_with():
    together, calls = run(1e-4)
    for i in range(len(X)):
        alone, _ = run(1e-4, X[i : i + 1])
        np.testing.assert_array_equal(alone, together[i : i + 1])
    assert any(len(set(t)) > 1 for t in calls), "samples should be at times of their own"


def test_where_it_stops_between_costs_little():
    one, _ = run(1e-5)
    times = [LINEAR.time_at(lam) for lam in (FIRST, 0.1, 0.9)]
    several, _ = run(1e-5, steps=times)
    np.testing.assert_allclose(one, several, atol=5e-5)
    reached = [t for t, _, _ in adaptive(DATA.predict, LINEAR, X, times, end=T_LAST)]
    assert reached == [*times[1:], T_LAST]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rtol": -0.1}, "rtol is -0.1"),
        ({"atol": 2.0}, "atol is 2"),
        ({"rtol": float("nan")}, "rtol is nan"),
        ({"rtol": 0.0, "atol": 0.0}, "rtol is 0 and atol 0, but one of at least 1e-09"),
        ({"rtol": 1e-12, "atol": 0.0}, "one of at least 1e-09"),
        ({"most": 0}, "most is 0"),
        ({"most": 5, "rtol": 1e-8, "atol": 1e-8}, r"most is 5, but so many steps led to t = .* only: give a larger"),
    ],
)
def test_silly_tolerances_and_too_many_steps_are_refused(options, words):
    with pytest.raises(InputError, match=words):
        last(adaptive(DATA.predict, LINEAR, X, [T_FIRST], end=T_LAST, **options))


def test_a_step_that_was_too_long_is_taken_again():
    """Where the prediction turns, steps must be short; the end is an integral of eps_hat over sigma = b / a."""
    tries = []

    def predict(x_t, t, context=None):
        tries.append(float(t[0]))
        eps_hat = np.tanh((t[:, None] - 400) / 40) + 0 * x_t
        return LINEAR.x_0_from_eps(x_t, t, eps_hat), eps_hat

    def in_sigma(sigma):
        return math.tanh((LINEAR.time_at(-math.log(sigma)) - 400) / 40)

    end = last(adaptive(predict, LINEAR, np.zeros((1, 2)), [800], rtol=1e-4, atol=1e-4, end=100))
    (a_t, b_t), (a_s, b_s) = (scales(LINEAR, t) for t in (800, 100))
    turn = LINEAR.scales(400)
    moved, _ = integrate.quad(in_sigma, b_t / a_t, b_s / a_s, points=[turn[1] / turn[0]], epsabs=1e-10)
    np.testing.assert_allclose(end, a_s * moved, rtol=2e-3)
    assert (np.diff(tries) > 0).any(), "it should have gone back at least once"


def test_its_calls_depend_on_what_it_draws():
    assert SAMPLERS["adaptive"].own_steps
    assert SAMPLERS["adaptive"].calls(COSINE, 5) is None
    assert len(run(1e-2)[1]) < len(run(1e-4)[1])
