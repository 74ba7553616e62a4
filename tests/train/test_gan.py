"""A GAN: gradients of both sides, losses written out, two phases that go on exactly, and a generator that learns."""

import dataclasses

import numpy as np
import pytest
from loss_slopes import slopes
from points_and_digits import Points

from tinydiff.base import InputError
from tinydiff.networks import (
    Generator,
    GeneratorConfig,
    PatchDiscriminator,
    PatchDiscriminatorConfig,
    VectorDiscriminator,
    VectorDiscriminatorConfig,
)
from tinydiff.nn import Gradients
from tinydiff.train import Run
from tinydiff.train.objectives.adversarial import Adversarial, AdversarialConfig

CONFIG = AdversarialConfig(steps=6, batch=10, micro_batch=4, warmup=2, save_every=3, log_every=1)


def make(dtype=np.float32, **changes):
    generator = Generator(GeneratorConfig(1, 2, 3, (8,)), np.random.default_rng(0), dtype)
    judge = VectorDiscriminator(VectorDiscriminatorConfig(1, 2, (8, 6)), np.random.default_rng(1), dtype)
    return Adversarial(generator, Points(), dataclasses.replace(CONFIG, **changes), judge)


def logits(objective, phase):
    """Return D's logits of a step's data and of what the generator makes in this phase, of the whole batch."""
    x = objective.data.batch(objective.indices(0))[0].astype(np.float64)
    purpose = {"discriminator": "z of the discriminator's", "": "z"}[phase]
    z = [objective.noise(0, s).normal((n, 3), purpose, dtype=np.float64) for s, n in enumerate((4, 4, 2))]
    fake = objective.network.forward(np.concatenate(z))
    return objective.discriminator.forward(x), objective.discriminator.forward(fake)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


LOSSES = {
    ("non-saturating", "discriminator"): lambda r, f: -np.log(sigmoid(r)).mean() - np.log(1 - sigmoid(f)).mean(),
    ("non-saturating", ""): lambda r, f: -np.log(sigmoid(f)).mean(),
    ("hinge", "discriminator"): lambda r, f: 0.5 * (np.maximum(0, 1 - r).mean() + np.maximum(0, 1 + f).mean()),
    ("hinge", ""): lambda r, f: -f.mean(),
}  # fmt: skip


@pytest.mark.equation("GAN-D")
@pytest.mark.equation("GAN-G")
@pytest.mark.parametrize(("loss", "phase"), LOSSES)
def test_each_sides_loss_is_written_out_and_its_gradient_matches_finite_differences(loss, phase):
    objective = make(np.float64, loss=loss)
    learner = Run(objective, threads=1).learners[phase]
    by_gradient, by_difference = slopes(learner)
    np.testing.assert_allclose(by_gradient, by_difference, rtol=1e-6)
    grads = Gradients(learner.network.parameters())
    if phase:
        found = sum(float(objective.add_gradient_of_discriminator(0, shard, grads)) for shard in range(3))
    else:
        found = sum(float(objective.add_gradient(0, shard, grads)) for shard in range(3))
    assert found == pytest.approx(LOSSES[loss, phase](*logits(objective, phase)), rel=1e-9)


@pytest.mark.equation("GAN-R1")
def test_the_slope_penalty_is_written_out_and_its_gradient_matches_finite_differences():
    """The slope by differences of D at each point. The gradient is itself a difference, exact to its step squared."""
    objective = make(np.float64, r1=2.0)
    judge, x = objective.discriminator, Points(6).points
    h, columns = 1e-6, []
    for axis in range(2):
        e = h * np.eye(2)[axis].reshape(1, 1, 1, 2)
        columns.append((judge.forward(x + e) - judge.forward(x - e)) / (2 * h))
    expected = (np.concatenate(columns, axis=1) ** 2).sum(axis=1).mean()
    assert float(objective.add_slope_penalty(x, 2.0, Gradients(judge.parameters()))) == pytest.approx(
        expected, rel=1e-6
    )
    by_gradient, by_difference = slopes(Run(objective, threads=1).learners["discriminator"])
    np.testing.assert_allclose(by_gradient, by_difference, rtol=1e-3)


def test_losses_stay_finite_where_the_discriminator_is_sure():
    objective = make(np.float64)
    objective.discriminator.theta[:] *= 1e3
    for learner in Run(objective, threads=1).learners.values():
        assert np.isfinite(sum(learner.gradient_sum(0)))
        assert np.isfinite(learner.gradient_sum.totals[0]).all()


def test_the_discriminator_stands_still_for_the_generator_and_the_other_way_round():
    objective = make()
    run = Run(objective, threads=1)
    before = [phase.network.theta.copy() for phase in objective.phases]
    run.learners["discriminator"].take_step(0, np.asarray(True))
    np.testing.assert_array_equal(objective.network.theta, before[1])
    assert (objective.discriminator.theta != before[0]).any()
    judge = objective.discriminator.theta.copy()
    run.learners[""].take_step(0, np.asarray(True))
    np.testing.assert_array_equal(objective.discriminator.theta, judge)
    assert (objective.network.theta != before[1]).any()


def test_a_run_goes_on_bit_for_bit_with_both_networks_and_leaves_the_generator(tmp_path):
    whole = Run(make(r1=0.1), tmp_path, threads=1)
    whole.run(progress=False)
    judge = whole.objective.discriminator.theta.copy()
    (tmp_path / "step-00000006.safetensors").unlink()
    again = Run(make(r1=0.1), tmp_path, threads=3)
    assert again.step == 3
    again.run(progress=False)
    np.testing.assert_array_equal(again.trained().theta, whole.trained().theta)
    np.testing.assert_array_equal(again.objective.discriminator.theta, judge)
    assert isinstance(again.trained(), Generator)


@pytest.mark.slow
def test_it_learns_the_mean_and_the_spread_of_two_heaps_and_tells_how_the_game_stands():
    log = []
    config = AdversarialConfig(steps=600, batch=64, lr=2e-3, warmup=0, r1=0.1, log_every=50)
    generator = Generator(GeneratorConfig(1, 2, 2, (32, 32)), np.random.default_rng(0))
    judge = VectorDiscriminator(VectorDiscriminatorConfig(1, 2, (32, 32)), np.random.default_rng(1))
    run = Run(Adversarial(generator, Points(2000), config, judge), threads=1, hooks=[log.append])
    run.run(progress=False)
    z = np.random.default_rng(5).standard_normal((2000, 2)).astype("f4")
    made, data = run.trained().draw(z).reshape(-1, 2), Points(2000).points.reshape(-1, 2)
    np.testing.assert_allclose(made.mean(axis=0), data.mean(axis=0), atol=0.25)
    np.testing.assert_allclose(made.std(axis=0), data.std(axis=0), atol=0.2)
    assert 0.1 < (made[:, 0] > 0).mean() < 0.9  # both heaps
    assert all(0.2 < record["told_apart"] <= 1 for record in log)


def test_bad_inputs_are_one_clear_sentence():
    generator = Generator(GeneratorConfig(8, 1, 3, (8,)))
    patches = PatchDiscriminator(PatchDiscriminatorConfig(1, 4, 1))
    digits = Points()
    digits.points = np.zeros((20, 8, 8, 1))
    Adversarial(generator, digits, CONFIG, patches)
    for call, words in [
        (lambda: AdversarialConfig(loss="saturating"), "loss is 'saturating', but one of"),
        (lambda: AdversarialConfig(r1=-1.0), "r1 is -1"),
        (lambda: Adversarial(generator, Points(), CONFIG, patches), r"data has images of shape \(1, 1, 2\)"),
        (lambda: Adversarial(generator, digits, dataclasses.replace(CONFIG, r1=1.0), patches), "r1 is 1.0, but the"),
        (
            lambda: Adversarial(generator, digits, CONFIG, VectorDiscriminator(VectorDiscriminatorConfig(1, 2))),
            r"discriminator reads pictures of shape \(1, 1, 2\)",
        ),
        (lambda: Run(make(), processes=True), "processes is True"),
    ]:
        with pytest.raises(InputError, match=words):
            call()
