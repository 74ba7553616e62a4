"""A learned schedule: it grows from end to end whatever its weights are, and its gradient is that of differences."""

import numpy as np
import pytest

from tinydiff.base import InputError
from tinydiff.diffusion import GaussianDiffusion
from tinydiff.networks import NoiseSchedule
from tinydiff.nn import Gradients, Tape


def bent(seed=0, **options):
    """Return a schedule with random weights, far from a straight line."""
    schedule = NoiseSchedule(-6.0, 4.0, hidden=5, **options)
    rng = np.random.default_rng(seed)
    schedule.theta[2:] += rng.normal(size=schedule.theta.size - 2)
    schedule.log_height.value[...] += 2
    return schedule


@pytest.mark.equation("VDM-GAMMA")
@pytest.mark.parametrize("seed", range(5))
def test_gamma_grows_from_end_to_end_and_its_derivatives_are_those_of_differences(seed):
    schedule, t, h = bent(seed), np.linspace(0, 1, 201), 1e-5
    gamma, slope, curvature = schedule.forward(t)
    assert (np.diff(gamma) > 0).all()
    np.testing.assert_allclose(gamma[[0, -1]], [-6, 4], rtol=1e-12)
    np.testing.assert_allclose(schedule.ends, [-6, 4], rtol=1e-12)
    ahead, behind = schedule.forward(t + h), schedule.forward(t - h)
    np.testing.assert_allclose(slope, (ahead.gamma - behind.gamma) / (2 * h), rtol=1e-6)
    np.testing.assert_allclose(curvature, (ahead.slope - behind.slope) / (2 * h), rtol=1e-4, atol=1e-5)
    assert np.ptp(slope) > 1


@pytest.mark.equation("VDM-GAMMA")
def test_gamma_is_the_formula():
    schedule, t = bent(), np.array([0.0, 0.3, 1.0])
    a, r = np.exp(schedule.log_steepness.value), np.exp(schedule.log_height.value)
    f = [u + sum(r / (1 + np.exp(-(a * u + schedule.shift.value)))) for u in t]
    expected = -6 + 10 * (np.array(f) - f[0]) / (f[2] - f[0])
    np.testing.assert_allclose(schedule.forward(t).gamma, expected, rtol=1e-12)
    straight = NoiseSchedule(-6.0, 4.0, hidden=0).forward(t)
    np.testing.assert_allclose(straight.gamma, -6 + 10 * t, rtol=1e-12)
    np.testing.assert_array_equal(straight.curvature, 0)


@pytest.mark.parametrize("hidden", [0, 5])
@pytest.mark.parametrize("ends", [True, False])
def test_the_backward_is_that_of_differences(hidden, ends):
    schedule = bent() if hidden else NoiseSchedule(-6.0, 4.0, hidden=0)
    rng, h = np.random.default_rng(1), 1e-6
    t, d_gamma, d_slope = rng.uniform(0, 1, 7), rng.normal(size=7), rng.normal(size=7)
    tape, grads = Tape(), Gradients(schedule.parameters())
    schedule.forward(t, tape)
    schedule.backward(d_gamma, d_slope, tape, grads, ends)
    for i in range(schedule.theta.size):
        values = []
        for sign in (1, -1):
            schedule.theta[i] += sign * h
            gamma, slope, _ = schedule.forward(t)
            values.append(d_gamma @ gamma + d_slope @ slope)
            schedule.theta[i] -= sign * h
        expected = (values[0] - values[1]) / (2 * h) if ends or i >= 2 else 0
        assert grads.flat[i] == pytest.approx(expected, rel=1e-6, abs=1e-7), schedule.named_parameters().keys()


def test_gradients_of_the_ends_reach_the_weights_that_say_them():
    schedule, h = bent(), 1e-6
    grads = Gradients(schedule.parameters())
    schedule.move_ends(np.array([0.5, 0.2]), np.array([-1.0, -0.3]), grads)
    for i in range(2):
        values = []
        for sign in (1, -1):
            schedule.theta[i] += sign * h
            values.append(np.array([0.7, -1.3]) @ schedule.ends)
            schedule.theta[i] -= sign * h
        assert grads.flat[i] == pytest.approx((values[0] - values[1]) / (2 * h), rel=1e-6)


@pytest.mark.equation("VDM-GAMMA")
def test_its_table_is_a_schedule_of_the_forward_process():
    schedule = bent()
    diffusion = GaussianDiffusion(schedule.table(50))
    for t in (1, 20, 50):
        gamma = schedule.forward(np.array([(t - 1) / 49])).gamma[0]
        assert np.log(diffusion.snr(t)) == pytest.approx(-gamma, rel=1e-9)


def test_ends_that_are_none_are_refused():
    with pytest.raises(InputError, match=r"gamma_0 is 3\.0 and gamma_1 -3.0, but gamma must grow"):
        NoiseSchedule(3.0, -3.0)
    with pytest.raises(InputError, match="hidden is -1"):
        NoiseSchedule(hidden=-1)
    with pytest.raises(InputError, match="T is 1"):
        NoiseSchedule().table(1)
