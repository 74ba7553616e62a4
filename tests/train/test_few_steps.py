"""Shortcuts, distillation, rectified flow and consistency: each on a Gaussian, where its limit is known.

A linear network is enough there, and least squares find its best weights, so each objective is judged by what it asks
for, not by how well something trains. The formulas are written in NumPy here.
"""

import dataclasses
import itertools

import numpy as np
import pytest
from exact_students import LinearStudent, of_exact_moments, slope_of
from squares import squares

from tinydiff.base import Condition, InputError, Noise
from tinydiff.diffusion import SAMPLERS, Gaussian, bend, ddim, guess_between, last, shortcut, straight_step
from tinydiff.models import DiffusionModel, ModelConfig
from tinydiff.networks import UNetConfig
from tinydiff.nn import Gradients
from tinydiff.train import (
    Consistency,
    ConsistencyConfig,
    Couplings,
    DenoiseConfig,
    Distil,
    DistilConfig,
    Rectify,
    Shortcut,
    ShortcutConfig,
    couplings,
    earlier_time,
)
from tinydiff.train.objectives.consistency import sigma_at

UNET = UNetConfig(8, 1, channels=8, channel_mult=(1,), blocks_per_level=1, heads=2, num_classes=3, step_size=True)
FLOW = ModelConfig(UNET, schedule="straight", path="straight", kind="flow-v", T=64)
SMALL = {"steps": 4, "batch": 8, "micro_batch": 4}
S = 0.36  # the variance of the data


def model_of(config=FLOW, told=True, dtype=np.float32, **changes):
    unet = dataclasses.replace(UNET, step_size=told)
    config = dataclasses.replace(config, unet=unet, **changes)
    network = type(config.network())(unet, np.random.default_rng(0), dtype)
    network.theta[:] += 0.05 * np.random.default_rng(1).standard_normal(network.theta.shape)  # away from zeros
    return DiffusionModel(network, config, micro_batch=4, threads=1)


def all_of(t, x):
    return np.full(len(x), t)


def flow_slope(b, variance=S):
    """Return E[eps - x_0 | x_t] / x_t on the straight path, for data of mean 0."""
    return (b - (1 - b) * variance) / ((1 - b) ** 2 * variance + b**2)


def euler_of_flow(N, variance=S):
    """Return by what x_T is multiplied by N equal steps of Euler's method for the flow of a Gaussian."""
    times = np.linspace(1, 0, N + 1)
    return np.prod([1 - (b - after) * flow_slope(b, variance) for b, after in itertools.pairwise(times)])


# straight steps


@pytest.mark.equation("PD-1")
@pytest.mark.parametrize("path", ["vp", "straight", "sub-vp"])
def test_the_guess_between_two_points_leads_from_the_one_to_the_other(path):
    diffusion = dataclasses.replace(FLOW, path=path, schedule="cosine").diffusion()
    x_t, x_s = (np.random.default_rng(seed).normal(size=(4, 3)) for seed in (0, 1))
    t, s = np.array([64, 40, 3, 64]), np.array([32, 39, 0, 0])
    x_0, eps = guess_between(diffusion, x_t, t, x_s, s)
    for i in range(4):
        (a_t, b_t), (a_s, b_s) = diffusion.scales(float(t[i])), diffusion.scales(float(s[i]))
        np.testing.assert_allclose(a_t * x_0[i] + b_t * eps[i], x_t[i], atol=1e-9)
        np.testing.assert_allclose(a_s * x_0[i] + b_s * eps[i], x_s[i], atol=1e-9)
    np.testing.assert_allclose(straight_step(diffusion, x_0, eps, s), x_s, atol=1e-9)
    with pytest.raises(InputError, match="s < t"):
        guess_between(diffusion, x_t, s + 1, x_s, t)


# shortcuts


def shortcut_of_a_gaussian(finest, kind="flow-v"):
    """Return the process, and a student that has learned all lengths, the short ones first."""
    task = Shortcut(model_of(T=64, kind=kind), squares(), ShortcutConfig(finest=finest, **SMALL))
    student = task.network = LinearStudent()
    diffusion, (u, w) = task.diffusion, of_exact_moments()
    x = {t: diffusion.q_sample(S**0.5 * u, t, w) for t in range(1, 65)}
    for t in range(64, 0, -(64 // finest)):
        slope = flow_slope(t / 64)
        student.slopes[float(t), 64 / finest] = student.slopes[float(t), 0.0] = slope
    for times, halved in zip(task.times[-2::-1], task.times[:0:-1], strict=True):
        for i, (t, s) in enumerate(itertools.pairwise(times)):
            middle = halved[2 * i + 1]
            target = task.two_steps(x[t], *(all_of(at, u) for at in (t, middle, s)), Condition())
            student.learn(target, x[t], t, t - s, rest=1e-9)
    return diffusion, student


@pytest.mark.equation("SHORTCUT-1")
@pytest.mark.equation("SHORTCUT-2")
@pytest.mark.parametrize("finest", [4, 16])
def test_the_limit_of_shortcuts_is_the_finest_chain_of_eulers_method(finest):
    diffusion, student = shortcut_of_a_gaussian(finest)
    x_T = np.random.default_rng(3).normal(size=(5, 1, 1, 1))
    for steps in (1, 2, 4):
        x_0 = last(shortcut(student.predict(diffusion, "flow-v"), diffusion, x_T, steps))
        np.testing.assert_allclose(x_0, euler_of_flow(finest) * x_T, rtol=1e-9)


def test_and_that_comes_near_the_flow_itself_as_the_chain_becomes_finer():
    errors = [euler_of_flow(finest) - S**0.5 for finest in (8, 16, 32)]
    gaussian = Gaussian(FLOW.diffusion(), np.zeros((1, 1, 1)), S)
    x_T = np.random.default_rng(3).normal(size=(5, 1, 1, 1))
    np.testing.assert_allclose(gaussian.flow(x_T, 64, 0), S**0.5 * x_T, atol=1e-12)
    assert 1.8 < errors[0] / errors[1] < 2.2
    assert 1.8 < errors[1] / errors[2] < 2.2


@pytest.mark.equation("SHORTCUT-1")
def test_the_sampler_tells_how_far_each_step_goes_and_keeps_the_condition():
    seen, labels = [], np.array([2, 1])

    def predict(x_t, t, context):
        seen.append((t.tolist(), context.step_size.tolist(), context.labels.tolist()))
        return 0 * x_t, x_t

    last(SAMPLERS["shortcut"](predict, FLOW.diffusion(), np.ones((2, 1, 1, 1)), [64, 10.5], context=labels, end=2))
    assert seen == [([64, 64], [53.5, 53.5], [2, 1]), ([10.5, 10.5], [8.5, 8.5], [2, 1])]


def test_a_share_of_each_batch_takes_long_steps_of_every_length_evenly():
    """A count of 4 lengths in 1,600 draws is 5 deviations off less than once in 100,000 times; the seed is fixed."""
    task = Shortcut(model_of(), squares(), ShortcutConfig(steps=1, batch=16, micro_batch=8, finest=16, bootstrap=0.5))
    lengths = []
    for step in range(200):
        for shard in (0, 1):
            rows, t, middle, s = task.long_steps(task.noise(step, shard), 8)
            assert rows.tolist() == [1, 3, 5, 7]
            np.testing.assert_array_equal(2 * middle, t + s)
            assert (s % (t - s) == 0).all()
            lengths.extend(t - s)
    counts = [lengths.count(d) for d in (8, 16, 32, 64)]
    assert sum(counts) == 1600
    assert max(abs(count - 400) for count in counts) < 5 * (1600 * 0.25 * 0.75) ** 0.5


def test_the_network_is_told_small_steps_where_the_data_teach(monkeypatch):
    task = Shortcut(model_of(), squares(), ShortcutConfig(finest=16, bootstrap=0.5, **SMALL))
    seen, forward = [], task.network.forward
    monkeypatch.setattr(
        task.network, "forward", lambda x, t, c, tape=None: seen.append((t, c)) or forward(x, t, c, tape)
    )
    task.add_gradient(0, 0, Gradients(task.network.parameters(), np.zeros_like(task.network.theta)))
    *halves, (t, told) = seen
    rows, t_2d, middle, s = task.long_steps(task.noise(0, 0), 4)
    np.testing.assert_array_equal(t[rows], t_2d)
    np.testing.assert_array_equal(told.step_size[rows], t_2d - s)
    assert (np.delete(told.step_size, rows) <= 4).all()
    assert [(at.tolist(), c.step_size.tolist()) for at, c in halves] == [
        (t_2d.tolist(), (t_2d - middle).tolist()),
        (middle.tolist(), (middle - s).tolist()),
    ]
    np.testing.assert_array_equal(halves[0][1].labels, told.labels[rows])


# distillation


@pytest.mark.equation("PD-2")
@pytest.mark.parametrize("kind", ["v", "x_0"])
def test_the_limit_of_a_student_is_its_teachers_chain_of_ddim(kind):
    """On DDPM's path, a step of DDIM for a Gaussian by hand: the means of x_0 and of eps given x_t are linear in it."""
    model = model_of(told=False, schedule="cosine", path="vp", kind=kind)
    task = Distil(model, squares(), DistilConfig(teacher_steps=8, **SMALL), model)
    diffusion, teacher, student, (u, w) = task.diffusion, LinearStudent(), LinearStudent(), of_exact_moments()
    task.teacher, by_hand = teacher, {}
    a, b = (np.array(scale) for scale in zip(*(diffusion.scales(t) for t in range(65)), strict=True))
    for t, s in zip(task.times[:-1], task.times[1:], strict=True):
        total = a[t] ** 2 * S + b[t] ** 2
        x_0_hat, eps_hat = a[t] * S / total, b[t] / total
        by_hand[t] = a[s] * x_0_hat + b[s] * eps_hat
        teacher.slopes[float(t), 0.0] = {"v": a[t] * eps_hat - b[t] * x_0_hat, "x_0": x_0_hat}[kind]
    for t, middle, s in zip(task.times[:-1:2], task.times[1::2], task.times[2::2], strict=True):
        x_t = diffusion.q_sample(S**0.5 * u, int(t), w)
        target = task.two_steps(x_t, *(all_of(at, u) for at in (t, middle, s)), None)
        student.learn(target, x_t, t, rest=1e-9)
    x_T = np.random.default_rng(3).normal(size=(5, 1, 1, 1))
    x_0 = last(ddim(student.predict(diffusion, kind), diffusion, x_T, 4))
    np.testing.assert_allclose(x_0, np.prod(list(by_hand.values())) * x_T, rtol=1e-8)


# rectified flow


@pytest.mark.equation("REFLOW-1")
@pytest.mark.equation("BEND-1")
def test_the_rectified_flow_of_a_gaussian_is_straight_and_one_step_is_its_flow():
    diffusion, (u, w) = FLOW.diffusion(), of_exact_moments(64)
    gaussian = Gaussian(diffusion, np.zeros((1, 1, 1)), S)
    drawn = gaussian.flow(w, 64, 0).astype(np.float32)
    pairs = Couplings(drawn, np.zeros(64, int), None, "by the flow", "none", x_T=w.astype(np.float32))
    task = Rectify(model_of(told=False), enlarged(pairs), DenoiseConfig(**SMALL))
    x_0, eps = (one[:, :1, :1].astype(float) for one in task.pairs(np.arange(64), Noise(0)))
    student = LinearStudent()
    for t in range(1, 65):
        x_t = diffusion.q_sample(x_0, t, eps)
        student.learn(task.model.target(x_0, eps, all_of(t, x_t)), x_t, t, rest=1e-5)
        assert student.slopes[t, 0] == pytest.approx((1 - S**0.5) / ((1 - t / 64) * S**0.5 + t / 64), rel=1e-5)
    predict, x_T = student.predict(diffusion, "flow-v"), u
    np.testing.assert_allclose(last(ddim(predict, diffusion, x_T, 1)), gaussian.flow(x_T, 64, 0), atol=1e-5)
    assert bend(predict, diffusion, x_T, 64) < 1e-9
    assert bend(gaussian.predict, diffusion, x_T, 64) > 0.05


def enlarged(pairs):
    """Return pairs of pictures of 8 x 8, each of one colour, for a model that draws such."""
    return dataclasses.replace(
        pairs, **{name: np.tile(getattr(pairs, name), (1, 8, 8, 1)) for name in ("latents", "x_T")}
    )


@pytest.mark.equation("BEND-1")
def test_the_bend_of_a_gaussians_flow_is_its_integral():
    """u - (x_T - x_0) = (slope(b) g(b) - (1 - g(0))) x_T, where g(b) x_T is the flow at b."""
    b = (np.arange(20000) + 0.5) / 20000
    g = ((1 - b) ** 2 * S + b**2) ** 0.5
    exact = ((flow_slope(b) * g - (1 - S**0.5)) ** 2).mean()
    diffusion = dataclasses.replace(FLOW, T=2000).diffusion()
    x_T, _ = of_exact_moments()
    found = bend(Gaussian(diffusion, np.zeros((1, 1, 1)), S).predict, diffusion, x_T, 2000)
    assert found == pytest.approx(exact, rel=5e-3)


@pytest.mark.equation("REFLOW-1")
def test_couplings_are_the_noise_and_what_the_chain_makes_of_it():
    model = model_of(told=False)
    pairs = couplings(model, 7, steps=5, seed=4)
    assert pairs.labels.tolist() == [0, 1, 2, 0, 1, 2, 0]
    np.testing.assert_array_equal(pairs.x_T, Noise(4).normal((7, 8, 8, 1), "x_T"))
    x = pairs.x_T
    for t, s in [(64, 52), (52, 39), (39, 26), (26, 13), (13, 0)]:
        velocity = model.network.forward(x, all_of(t, x), pairs.labels)
        x_0_hat = np.clip(x - t / 64 * velocity, -1, 1)
        x = x + (s - t) / 64 * (x - x_0_hat) / (t / 64)
    np.testing.assert_allclose(pairs.latents, x, atol=2e-5)
    np.testing.assert_array_equal(couplings(model, 7, steps=5, seed=4).latents, pairs.latents)
    assert pairs.identity() != couplings(model, 7, steps=6, seed=4).identity()


# consistency


@pytest.mark.equation("ECT-2")
def test_the_earlier_time_has_the_noise_that_ects_formula_says():
    diffusion = model_of(schedule="cosine", path="vp", kind="edm", T=1000).diffusion
    t = np.array([1, 5, 200, 640, 990])
    sigma = np.array([((1 - diffusion.alpha_bar[i]) / diffusion.alpha_bar[i]) ** 0.5 for i in t])
    for stage in (0, 1, 4, 8, 20):
        expected = np.maximum(0, sigma * (1 - 2.0**-stage * (1 + 8 / (1 + np.exp(sigma)))))
        np.testing.assert_allclose(sigma_at(diffusion, earlier_time(diffusion, t, stage)), expected, rtol=1e-6)
    assert (earlier_time(diffusion, t, 0) == 0).all()


def consistent_slopes(stage):
    """Return sigma at T, and y -> c y, a linear denoiser's answer in y = x / a that has learned one stage, up to T."""
    model = model_of(told=False, schedule="cosine", path="vp", kind="edm", T=1000)
    task = Consistency(model, squares(), ConsistencyConfig(**SMALL))
    student, diffusion, (u, w) = LinearStudent(), task.diffusion, of_exact_moments()
    task.network, x_0 = student, S**0.5 * u
    student.slopes[1.0, 0.0] = 0.0  # what is asked for r = 0, and not used
    times = [800.0]
    while times[-1] > 0:  # late stages go on for ever towards 0: where there is next to no noise, that is reached
        r = float(earlier_time(diffusion, np.array(times[-1:]), stage)[0])
        times.append(r if r > 1e-6 else 0.0)
    by_hand = 1.0
    for r, t in zip(times[:0:-1], times[-2::-1], strict=True):
        x_t = diffusion.q_sample(x_0, t, w)
        target = task.of_earlier(x_0, w, all_of(r, u), None)
        a, _ = diffusion.scales(t)
        sigma_r, sigma = (float(sigma_at(diffusion, np.array([at]))[0]) for at in (r, t))
        c = slope_of(target, x_t / a)
        by_hand *= (S + sigma_r * sigma) / (S + sigma**2)  # E[x_0 + sigma_r eps | x_0 + sigma eps]
        assert c == pytest.approx(by_hand, rel=1e-8)
        skip, out = 0.25 / (0.25 + sigma**2), 0.5 * sigma / (0.25 + sigma**2) ** 0.5  # EDM's, of y and of F
        student.slopes[round(t, 9), 0.0] = (c - skip) / out / a
    return sigma, c


@pytest.mark.equation("ECT-1")
def test_consistency_at_a_finite_stage_is_too_near_the_posterior_mean():
    """The ODE multiplies y by sqrt(S / (S + sigma^2)), the posterior mean by its square."""
    sigma, at_once = consistent_slopes(0)
    mean, flow = S / (S + sigma**2), (S / (S + sigma**2)) ** 0.5
    assert at_once == pytest.approx(mean, rel=1e-9)
    found = [consistent_slopes(stage)[1] for stage in (2, 4, 6, 8)]
    assert mean < found[0] < found[1] < found[2] < found[3] < flow
    gaps = flow - np.array(found)
    assert 3 < gaps[2] / gaps[3] < 5  # two stages later times are four times as near


@pytest.mark.equation("ECT-1")
@pytest.mark.parametrize("kind", ["edm", "v", "flow-v"])
def test_the_gradient_of_the_consistency_loss_is_that_of_differences(kind):
    task = Consistency(
        model_of(told=False, schedule="cosine", path="vp", kind=kind, T=100), squares(), ConsistencyConfig(**SMALL)
    )
    output, x_t, target, direction = np.random.default_rng(0).normal(size=(4, 5, 2, 2, 1))
    t, h, share = np.array([1, 9, 40, 77, 100]), 1e-6, 0.3
    r = earlier_time(task.diffusion, t, 3)
    loss, d_output = task.consistency_loss(output, x_t, t, r, target, share)
    above, below = (
        task.consistency_loss(output + sign * h * direction, x_t, t, r, target, share)[0] for sign in (1, -1)
    )
    assert share * (above - below) / (2 * h) == pytest.approx((d_output * direction).sum(), rel=1e-6)
    assert loss > 0


def test_stages_follow_each_other_evenly():
    task = Consistency(
        model_of(told=False, schedule="cosine", path="vp", kind="edm"), squares(), ConsistencyConfig(steps=9, stages=3)
    )
    assert [task.stage(step) for step in range(9)] == [1, 1, 1, 2, 2, 2, 3, 3, 3]


# the floor of the flow loss


def test_the_flow_loss_has_a_floor_the_variance_of_the_velocity_given_x_t():
    """Per axis S / ((1 - b)^2 S + b^2); with exact moments the mean over samples is the expectation."""
    diffusion, (u, w) = FLOW.diffusion(), of_exact_moments()
    x_0 = S**0.5 * u
    for t in (1, 20, 45, 64):
        b, x_t = t / 64, diffusion.q_sample(x_0, t, w)
        velocity, floor = diffusion.flow_from(x_0, w, t), S / ((1 - b) ** 2 * S + b**2)
        assert ((velocity - flow_slope(b) * x_t) ** 2).mean() == pytest.approx(floor, rel=1e-9)
        for wrong in (0.9, 1.1):
            assert ((velocity - wrong * flow_slope(b) * x_t) ** 2).mean() >= floor
        x_0_hat, eps_hat = Gaussian(diffusion, np.zeros((1, 1, 1)), S).predict(x_t, t)
        assert ((velocity - (eps_hat - x_0_hat)) ** 2).mean() == pytest.approx(floor, rel=1e-9)
