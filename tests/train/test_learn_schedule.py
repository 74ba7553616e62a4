"""A learned schedule: the bound does not feel its inside, its variance does, and training makes that smaller.

Expectations over Gaussian data and noise are taken by Gauss' rule, so that nothing is left to chance.
"""

import dataclasses

import numpy as np
import pytest

from tinydiff.base import InputError
from tinydiff.diffusion import (
    Gaussian,
    GaussianDiffusion,
    GaussianMixture,
    GaussianPath,
    continuous_term,
    cosine_schedule,
    in_gamma,
    noised,
    prior_term,
    slope_gradient,
)
from tinydiff.networks import NoiseSchedule
from tinydiff.nn import Gradients, Tape
from tinydiff.train import LearnSchedule, LearnScheduleConfig, Run
from tinydiff.train.objectives.learn_schedule import end_gradients

S, ENDS = 0.3, (-7.0, 4.0)
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(5)
FIRST, SECOND = (grid.ravel() for grid in np.meshgrid(NODES, NODES))
PROBABILITY = np.outer(WEIGHTS, WEIGHTS).ravel() / (2 * np.pi)
X_0, EPS = FIRST[:, None] * S**0.5, SECOND[:, None]
T, OF_T = np.polynomial.legendre.leggauss(400)
T, OF_T = (T + 1) / 2, OF_T / 2


def bent(seed=0, ends=ENDS):
    schedule, rng = NoiseSchedule(*ends, hidden=4), np.random.default_rng(seed)
    schedule.theta[2:] += 0.5 * rng.normal(size=schedule.theta.size - 2)
    schedule.log_height.value[...] += 2.5
    return schedule


def exact(x_t, gamma):
    """Return the best eps_hat of data of variance S, in gamma."""
    a_squared, b_squared = 1 / (1 + np.exp(gamma)), 1 / (1 + np.exp(-gamma))
    return (b_squared**0.5 / (a_squared * S + b_squared))[:, None] * x_t


def mean_over_data(schedule, f):
    """Return the mean of f(term, slope, curvature) at each time of the grid, over x_0 and eps."""
    gamma, slope, curvature = schedule.forward(T)
    found = []
    for one in zip(gamma, slope, curvature, strict=True):
        g, s, c = (np.full(len(X_0), value) for value in one)
        term = continuous_term(EPS, exact(noised(X_0, g, EPS), g), s)
        found.append([PROBABILITY @ value for value in f(term, s, c)])
    return np.array(found)


def of_bound(first, last):
    """Return half the integral of the error, S / (S + e^gamma), which is known."""
    return (last - first - np.log((S + np.exp(last)) / (S + np.exp(first)))) / 2


@pytest.mark.equation("VDM-INF")
@pytest.mark.equation("VDM-INV")
@pytest.mark.equation("VDM-Z")
@pytest.mark.parametrize("schedule", [NoiseSchedule(*ENDS, hidden=0), bent(), bent(1)])
def test_the_bound_knows_the_ends_of_a_schedule_and_not_its_inside(schedule):
    bound = OF_T @ mean_over_data(schedule, lambda term, slope, curvature: [term])[:, 0]
    assert bound == pytest.approx(of_bound(*ENDS), rel=1e-6)


@pytest.mark.equation("VDM-INF")
def test_it_is_the_limit_of_ddpms_bound_for_many_steps():
    """The sum of weighted errors of a chain of T steps, with beta-tilde as the variance, tends to it like 1 / T."""
    gaps = []
    for steps in (100, 200, 400):
        diffusion = GaussianDiffusion(NoiseSchedule(*ENDS, hidden=0).table(steps))
        t = np.arange(2, steps + 1)
        alpha_bar = diffusion.alpha_bar_at(t)
        of_x_0 = S * (1 - alpha_bar) / (alpha_bar * S + 1 - alpha_bar)
        kl = (diffusion.snr(t - 1) - diffusion.snr(t)) / 2 * of_x_0  # of two normal steps of one variance
        gaps.append(abs(kl.sum() - of_bound(*ENDS)))
    assert gaps[0] / gaps[1] == pytest.approx(2, abs=0.1)
    assert gaps[1] / gaps[2] == pytest.approx(2, abs=0.1)


@pytest.mark.equation("VDM-VAR")
def test_the_gradient_of_the_mean_square_is_that_of_differences():
    """Over each weight inside the schedule, all integrated: no gradient through the denoiser is needed."""
    schedule, h = bent(), 1e-5

    def mean_square():
        return OF_T @ mean_over_data(schedule, lambda term, slope, curvature: [term**2])[:, 0]

    d_gamma, d_slope = (OF_T[:, None] * mean_over_data(schedule, slope_gradient)).T
    tape, grads = Tape(), Gradients(schedule.parameters())
    schedule.forward(T, tape)
    schedule.backward(d_gamma, d_slope, tape, grads, ends=False)
    for i in range(2, schedule.theta.size):
        values = []
        for sign in (1, -1):
            schedule.theta[i] += sign * h
            values.append(mean_square())
            schedule.theta[i] -= sign * h
        assert grads.flat[i] == pytest.approx((values[0] - values[1]) / (2 * h), rel=1e-3, abs=1e-5)
    assert abs(grads.flat[2:]).max() > 1e-3


@pytest.mark.equation("VDM-ENDS")
def test_the_ends_have_the_gradient_of_the_whole_bound():
    """Against differences of the bound in closed form: prior term, integral, and log density at gamma_0."""
    x_0, ends, h = np.array([[0.4], [-1.3]]), np.array([-3.0, 1.0]), 1e-6

    def bound(first, last):
        prior = prior_term(GaussianDiffusion(np.array([1.0, 1 / (1 + np.exp(last))])), X_0)
        return PROBABILITY @ prior + of_bound(first, last) + (np.log(2 * np.pi * np.e) + first) / 2

    found = [PROBABILITY @ of_end for of_end in end_gradients(exact, X_0, EPS, tuple(ends))]
    for k, step in enumerate(np.eye(2) * h):
        assert found[k] == pytest.approx((bound(*(ends + step)) - bound(*(ends - step))) / (2 * h), rel=1e-5)
    assert end_gradients(exact, x_0, 0 * x_0, tuple(ends))[0].shape == (2,)


def mixture(diffusion):
    return GaussianMixture(diffusion, [0.5, 0.5], [[-1.0], [1.0]], [0.003, 0.003])


def of_mixture():
    """Return the exact denoiser of two narrow bells, in gamma, and 4,000 points of them."""
    table = np.concatenate([[1.0], 1 / (1 + np.exp(np.linspace(-20, 15, 900)))])
    diffusion, rng = GaussianDiffusion(table), np.random.default_rng(0)
    x_0 = rng.choice([-1.0, 1.0], 4000) + 0.003**0.5 * rng.normal(size=4000)
    return in_gamma(mixture(diffusion).predict, diffusion), x_0[:, None]


def train(ends=False, steps=150, folder=None, seed=0):
    denoise, x_0 = of_mixture()
    schedule = NoiseSchedule(-8.0, 5.0, hidden=16)
    config = LearnScheduleConfig(
        steps=steps, batch=256, ends=ends, lr=0.05, warmup=10, validation_images=4000, seed=seed, save_every=20
    )
    return Run(LearnSchedule(schedule, denoise, x_0, config, x_0), folder)


@pytest.mark.equation("VDM-VAR")
def test_training_makes_the_variance_smaller_and_leaves_the_bound():
    """Seeds are fixed. The standard error of the bound here is deviation / sqrt(4000), less with even times."""
    run = train()
    before = run.validate()
    grads = Gradients(run.objective.network.parameters())
    assert run.objective.add_gradient(0, 0, grads) > before["bound"] ** 2  # a mean square
    assert abs(grads.flat[2:]).max() > 0
    np.testing.assert_array_equal(grads.flat[:2], 0)  # the ends stay
    run.run(progress=False)
    after = run.validate()
    assert after["deviation"] < 0.85 * before["deviation"]
    error = before["deviation"] / 4000**0.5
    assert abs(after["bound"] - before["bound"]) < 5 * 2**0.5 * error  # by chance once in a million
    np.testing.assert_allclose(run.trained().ends, [-8, 5], rtol=1e-12)
    GaussianDiffusion(run.trained().table(100))


def test_learned_ends_make_the_bound_better():
    run = train(ends=True, steps=40)
    run.run(progress=False)
    first, last = run.trained().ends
    assert first < -8.1  # a density without finest grain is bounded ever better
    assert last != 5


def test_a_run_goes_on_bit_for_bit(tmp_path):
    whole, first = train(folder=tmp_path / "whole", steps=12), train(folder=tmp_path / "cut", steps=12)
    whole.run(progress=False)
    for _ in range(5):
        first.train_step()
    first.save()
    second = train(folder=tmp_path / "cut", steps=12)
    assert second.step == 5
    second.run(progress=False)
    np.testing.assert_array_equal(whole.trained().theta, second.trained().theta)


def test_a_denoiser_of_steps_becomes_one_of_gamma_on_any_path():
    t, x = np.array([3.0, 40.0, 80.0]), np.random.default_rng(0).normal(size=(3, 1))
    for diffusion in (GaussianDiffusion(cosine_schedule(100)), GaussianPath(cosine_schedule(100), "straight")):
        denoise = in_gamma(Gaussian(diffusion, np.zeros(1), S).predict, diffusion)
        gamma = -np.log(
            diffusion.snr(t) if type(diffusion) is GaussianDiffusion else GaussianDiffusion(diffusion.alpha_bar).snr(t)
        )
        np.testing.assert_allclose(denoise(x, gamma), exact(x, gamma), rtol=1e-9)
        with pytest.raises(InputError, match="but the denoiser knows"):
            denoise(x, np.full(3, -30.0))


def test_bad_data_are_refused():
    with pytest.raises(InputError, match="x_0 is empty"):
        LearnSchedule(NoiseSchedule(), exact, np.zeros((0, 1)), LearnScheduleConfig())
    with pytest.raises(InputError, match="x_0"):
        LearnSchedule(NoiseSchedule(), exact, np.array([[np.nan]]), LearnScheduleConfig())
    config = dataclasses.replace(LearnScheduleConfig(), steps=1, batch=4)
    Run(LearnSchedule(NoiseSchedule(*ENDS), exact, np.zeros((6, 1)), config)).run(progress=False)
