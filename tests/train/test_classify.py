"""Training classifiers: they learn, in whole batches, shifted; of noisy pictures only with a forward process."""

import dataclasses

import numpy as np
import pytest
from arrays import to_xp

from tinydiff.base import InputError
from tinydiff.data import load_data
from tinydiff.diffusion import GaussianDiffusion, cosine_schedule
from tinydiff.functional import cross_entropy
from tinydiff.models import load
from tinydiff.networks import Classifier, ClassifierConfig, NoisyClassifier, NoisyClassifierConfig
from tinydiff.train import Classify, ClassifyConfig, Run
from tinydiff.train.order import whole_batches

DIGITS, TEST = load_data("digits", "train"), load_data("digits", "test")
CONFIG = ClassifyConfig(steps=4, batch=20, micro_batch=8, save_every=2)
SHAPE = {"image_size": 8, "channels": (8, 8)}
DIFFUSION = GaussianDiffusion(cosine_schedule(100))


def make(noisy=False, config=CONFIG):
    rng = np.random.default_rng(0)
    if noisy:
        network = NoisyClassifier(NoisyClassifierConfig(**SHAPE), rng)
        return Classify(network, DIGITS, config, TEST, DIFFUSION)
    return Classify(Classifier(ClassifierConfig(**SHAPE), rng), DIGITS, config, TEST)


@pytest.mark.slow
def test_it_learns_digits():
    run = Run(make(config=ClassifyConfig(steps=150, batch=64, micro_batch=16, ema=0.9, shift=0)))
    run.run(progress=False)
    figures = run.validate()
    assert figures["accuracy"] > 0.8  # chance: 0.1
    assert figures["validation_loss"] < 1  # a guess: log 10 = 2.3


def test_a_guide_is_judged_at_several_times():
    run = Run(make(noisy=True))
    assert set(run.validate()) == {"validation_loss", *(f"accuracy_at_t_{t}" for t in (1, 25, 50, 75, 90))}


def test_its_loss_is_that_of_the_shifted_batch():
    """Written out for the whole batch at once; the shift is one for all shards."""
    objective = make()
    run = Run(objective)
    losses = run.learners[""].gradient_sum(2)
    x_0, labels = DIGITS.batch(objective.indices(2))
    found = []
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            logits = objective.network.forward(np.roll(x_0, (down, right), axis=(1, 2)))
            found.append(float(cross_entropy(logits, labels)[0]))
    assert min(abs(np.array(found) - float(sum(losses)))) < 1e-6
    assert np.ptp(found) > 1e-4


@pytest.mark.parametrize("noisy", [False, True])
def test_a_run_goes_on_bit_for_bit_and_leaves_a_classifier(tmp_path, noisy):
    whole = Run(make(noisy), tmp_path, threads=1)
    whole.run(progress=False)
    (tmp_path / "step-00000004.safetensors").unlink()
    again = Run(make(noisy), tmp_path, threads=3)
    assert again.step == 2
    again.run(progress=False)
    np.testing.assert_array_equal(again.trained().theta, whole.trained().theta)
    np.testing.assert_array_equal(load(tmp_path).theta, whole.trained().theta)


@pytest.mark.parametrize("noisy", [False, True])
def test_the_step_runs_under_both_array_modules(xp, noisy):
    here, there = make(noisy), make(noisy)
    network = there.network.bind(to_xp(xp, there.network.theta))
    expected = Run(here).train_step()
    record = Run(Classify(network, DIGITS, CONFIG, None, there.diffusion)).train_step()
    assert float(record["loss"]) == pytest.approx(float(expected["loss"]), rel=1e-4)


def test_an_epoch_is_whole_batches_in_an_order_of_its_own():
    first, second = (
        np.concatenate([whole_batches(10, 3, step, 0) for step in epoch]) for epoch in ((0, 1, 2), (3, 4, 5))
    )
    for seen in (first, second):
        assert len(set(seen)) == 9
    assert list(first) != list(second)


def test_bad_arguments():
    network = make().network
    for call, words in [
        (lambda: Classify(network, DIGITS, CONFIG, None, DIFFUSION), "noisy pictures are for a NoisyClassifier"),
        (lambda: Classify(make(True).network, DIGITS, CONFIG), "diffusion is None: noisy pictures"),
        (lambda: Classify(network, DIGITS.take(slice(0, 5)), CONFIG), "There are 5 images, but a batch has 20"),
        (lambda: dataclasses.replace(CONFIG, shift=-1), "shift is -1"),
        (lambda: dataclasses.replace(CONFIG, clip=0), "clip is 0"),
    ]:
        with pytest.raises(InputError, match=words):
            call()
