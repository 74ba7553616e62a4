"""Loss-aware steps: drawn by the history of the loss, without a bias, and the same again after a pause."""

import dataclasses

import numpy as np
import pytest
from scipy import stats
from squares import CONFIG, UNET, only, squares, state

from tinydiff.base import InputError, Noise
from tinydiff.models import DiffusionModel, ModelConfig, load
from tinydiff.networks import UNet
from tinydiff.nn import Gradients
from tinydiff.train import Denoise, DenoiseConfig, Run, random_steps
from tinydiff.train.objectives.loss_aware import ANY, LAST, LossHistory

T, SHAPE = 3, dataclasses.replace(UNET, dropout=0.0, channel_mult=(1,))
OPTIONS = dataclasses.replace(CONFIG, times="loss-aware", batch=20, micro_batch=10, steps=7, condition_dropout=0.0)


def make(folder=None, T=T, config=OPTIONS, xp=np, **options):
    network = UNet(SHAPE, np.random.default_rng(0))
    if xp is not np:
        network = network.bind(xp.asarray(network.theta))
    return Run(Denoise(DiffusionModel(network, ModelConfig(SHAPE, T=T)), squares(), config), folder, **options)


def history(squares, counts=LAST):
    """Return a history that has seen these mean squares."""
    found = LossHistory(len(squares), np.zeros(1))
    found.squares_and_counts.value[:] = [squares, np.full(len(squares), counts)]
    return found


def learned(one, t, losses, ok=True):
    """Return the history after a batch of losses at steps t."""
    grads = Gradients(one.parameters())
    one.remember(np.array(t), np.array(losses, float), grads)
    one.learn(0, grads, np.asarray(ok))
    np.testing.assert_array_equal(grads.flat, 0)
    return one.squares_and_counts.value


@pytest.mark.equation("IDDPM-18")
def test_steps_are_drawn_in_proportion_to_the_root_of_the_mean_square():
    squares = np.array([4.0, 1.0, 0.25, 9.0])
    p = history(squares).probabilities()
    np.testing.assert_allclose(p, (1 - ANY) * squares**0.5 / (squares**0.5).sum() + ANY / 4, rtol=1e-12)
    assert p.sum() == pytest.approx(1, rel=1e-12)
    np.testing.assert_allclose(history(squares, LAST - 1).probabilities(), 1 / 4)  # until each step is known
    np.testing.assert_allclose(history(0 * squares).probabilities(), 1 / 4)


@pytest.mark.equation("IDDPM-18")
def test_what_is_drawn_has_these_probabilities_and_weights_that_make_up_for_them():
    """By chance the p-value falls below one in a million once in a million times; the seed is fixed."""
    one, n = history([4.0, 1.0, 0.25, 9.0]), 40_000
    t, often = one.draw(Noise(3), n)
    p = one.probabilities()
    assert stats.chisquare(np.bincount(t - 1, minlength=4), n * p).pvalue > 1e-6
    np.testing.assert_allclose(often, 1 / (4 * p[t - 1]), rtol=1e-12)
    again, _ = one.draw(Noise(3, first=10), 5)
    np.testing.assert_array_equal(again, t[10:15])  # a micro-batch draws its part of the batch


@pytest.mark.equation("IDDPM-18")
def test_no_other_probabilities_let_the_loss_vary_less():
    """Where the loss at t has the mean square m_t: the variance of L / (T p) is smallest, by Cauchy and Schwarz."""
    rng = np.random.default_rng(0)
    m = rng.uniform(0.1, 9, 20)

    def second_moment(p):
        return (m / p).sum() / 400

    p = history(m).probabilities()
    assert second_moment(p) < second_moment(np.full(20, 1 / 20))
    for _ in range(200):
        other = p * np.exp(0.3 * rng.normal(size=20))
        assert second_moment(p) < second_moment(other / other.sum()) * (1 + 2 * ANY)


@pytest.mark.equation("IDDPM-18")
def test_the_gradient_stays_unbiased():
    """Its mean over the steps, each with its probability, is the gradient of the mean of all steps' losses."""
    objective, means = make().objective, []
    rng = np.random.default_rng(0)
    objective.network.theta[:] += 0.05 * rng.standard_normal(objective.network.theta.shape).astype(np.float32)
    objective.history.squares_and_counts.value[:] = [[0.04, 1.0, 9.0], np.full(T, LAST)]
    p = objective.history.probabilities()
    assert p.max() > 3 * p.min()
    for weights, plain in ((p, False), (np.full(T, 1 / T), True)):
        total, size = 0, objective.network.theta.size
        for t in range(1, T + 1):
            often = None if plain else np.full(10, 1 / (T * p[t - 1]), np.float32)
            objective.steps = lambda noise, n, t=t, often=often: (np.full(n, t), often)
            grads = Gradients(objective.phases[0].network.parameters())
            loss = objective.add_gradient(0, 0, grads)
            total = total + weights[t - 1] * np.append(grads.flat[:size], loss).astype(np.float64)
        means.append(total)
    np.testing.assert_allclose(*means, rtol=1e-3, atol=1e-5 * abs(means[0]).max())


@pytest.mark.equation("IDDPM-18")
def test_the_history_is_the_mean_square_and_forgets_like_the_last_ten():
    one = history([0.0, 0.0, 0.0], 0)
    learned(one, [1, 1, 3], [2.0, 4.0, 1.0])
    np.testing.assert_allclose(one.squares_and_counts.value, [[10, 0, 1], [2, 0, 1]])
    learned(one, [1], [5.0])
    np.testing.assert_allclose(one.squares_and_counts.value[:, 0], [15, 3])  # the mean of 4, 16 and 25
    for _ in range(100):
        learned(one, [2], [3.0])
    assert one.squares_and_counts.value[0, 1] == pytest.approx(9)
    learned(one, [2], [0.0])
    assert one.squares_and_counts.value[0, 1] == pytest.approx(9 * (1 - 1 / LAST))
    before = one.squares_and_counts.value.copy()
    learned(one, [1, 2], [np.nan, 1.0], ok=False)
    np.testing.assert_array_equal(one.squares_and_counts.value, before)


def test_a_run_learns_the_history_and_the_optimizer_leaves_it_alone():
    """The counts are those of the steps that were shown."""
    trainer = make()
    shown, objective = np.zeros(T), trainer.objective
    for step in range(4):
        for shard in range(2):
            t, _ = objective.steps(objective.noise(step, shard), 10)
            shown += np.bincount(t - 1, minlength=T)
        trainer.train_step()
        np.testing.assert_array_equal(objective.history.squares_and_counts.value[1], shown)
    assert (shown >= LAST).all()
    assert np.ptp(objective.history.probabilities()) > 1e-3


@pytest.mark.pitfall(20)
def test_pitfall_20_k_steps_save_kill_load_m_steps_have_the_same_history(tmp_path):
    whole, first = make(tmp_path / "whole"), make(tmp_path / "cut")
    whole.run(progress=False)
    for _ in range(5):
        first.train_step()
    first.save()
    first.train_step()
    second = make(tmp_path / "cut")
    assert second.step == 5
    assert (second.objective.history.squares_and_counts.value[1] >= LAST).all()  # no longer uniform
    second.run(progress=False)
    np.testing.assert_array_equal(state(whole), state(second))
    model = load(tmp_path / "cut")
    np.testing.assert_array_equal(model.network.theta, second.trained().network.theta)
    assert len(model.network.theta) == len(only(second).network.theta) - 2 * T


def test_any_number_of_processes_and_threads_gives_the_same_bits():
    found = []
    for options in ({"threads": 1}, {"threads": 2, "processes": False}, {"threads": 2, "processes": True}):
        trainer = make(config=dataclasses.replace(OPTIONS, steps=4), **options)
        trainer.run(progress=False)
        found.append(state(trainer).copy())
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


def test_a_step_runs_under_both_array_modules(xp):
    expected, found = (make(xp=module) for module in (np, xp))
    for _ in range(3):
        mine, its = expected.train_step(), found.train_step()
    assert float(its["loss"]) == pytest.approx(float(mine["loss"]), rel=1e-3)


def test_the_objective_without_a_history_is_as_it_was():
    trainer = make(config=dataclasses.replace(OPTIONS, times="uniform"))
    assert trainer.objective.history is None
    t, often = trainer.objective.steps(Noise(1), 6)
    assert often is None
    np.testing.assert_array_equal(t, Noise(1).integers(1, T, 6, "t"))


def test_what_does_not_go_together_is_refused():
    with pytest.raises(InputError, match=r"time_shift is 3\.0, but with loss-aware times the losses say"):
        DenoiseConfig(times="loss-aware", time_shift=3.0)
    with pytest.raises(InputError, match=r"times is 'loss-aware', but one of 'uniform', 'stratified', 'logit-normal'"):
        random_steps(Noise(0), 3, 10, times="loss-aware")
