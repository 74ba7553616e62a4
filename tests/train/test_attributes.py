"""Training a network that reads attributes: it learns what is asked, of pictures that are slightly imperfect."""

import dataclasses

import numpy as np
import pytest
from arrays import to_host, to_xp
from coloured_squares import SHAPE, WORDS, ColouredSquares

from tinydiff.base import InputError, Noise
from tinydiff.functional import masked_cross_entropy
from tinydiff.models import load
from tinydiff.networks import AttributeClassifier
from tinydiff.train import AttributeData, ClassifyAttributes, ClassifyAttributesConfig, Run
from tinydiff.train.objectives.attributes import blurred, imperfect

CONFIG = ClassifyAttributesConfig(steps=4, batch=20, micro_batch=8, warmup=2, save_every=2)
PLAIN = dataclasses.replace(CONFIG, noise=0.0, blur=0.0, brightness=0.0)
TRAIN, TEST = ColouredSquares(100), ColouredSquares(60, seed=1)


def make(config=CONFIG, data=TRAIN, validation=TEST):
    return ClassifyAttributes(AttributeClassifier(SHAPE, np.random.default_rng(0)), data, config, validation)


@pytest.mark.slow
def test_it_learns_colour_and_position():
    config = ClassifyAttributesConfig(steps=60, batch=32, micro_batch=8, warmup=5, ema=0.9)
    run = Run(make(config, ColouredSquares(300)))
    run.run(progress=False)
    figures = run.validate()
    assert set(figures) == {"validation_loss", "accuracy_colour", "accuracy_position", "smallest_accuracy"}
    assert figures["smallest_accuracy"] == min(figures["accuracy_colour"], figures["accuracy_position"]) > 0.95
    assert figures["validation_loss"] < 0.3  # a guess: 2 log 3 = 2.2


@pytest.mark.parametrize("micro_batch", [3, 8, 20])
def test_its_loss_is_that_of_the_whole_batch_however_it_is_cut(micro_batch):
    """The mean of each attribute over the pictures that are asked, though shards are asked unequally."""
    objective = make(dataclasses.replace(PLAIN, micro_batch=micro_batch))
    losses = Run(objective).learners[""].gradient_sum(2)
    indices = objective.indices(2)
    x, _ = TRAIN.batch(indices)
    logits, labels = objective.network.split(objective.network.forward(x)), TRAIN.attributes(indices)
    assert (labels < 0).any()
    expected = sum(masked_cross_entropy(a, k)[0] for a, k in zip(logits.values(), labels.T, strict=True))
    assert float(sum(losses)) == pytest.approx(float(expected), rel=1e-5)


def test_the_gradient_does_not_depend_on_how_the_batch_is_cut():
    found = []
    for micro_batch in (3, 20):
        learner = Run(make(dataclasses.replace(PLAIN, micro_batch=micro_batch))).learners[""]
        learner.gradient_sum(1)
        found.append(learner.gradient_sum.totals[0])
    np.testing.assert_allclose(*found, atol=1e-5 * abs(found[0]).max())


def test_an_attribute_that_no_picture_of_a_batch_is_asked_for_moves_nothing():
    class Unclear(ColouredSquares):
        def attributes(self, indices):
            found = super().attributes(indices)
            found[:, 1] = -1
            return found

    objective = make(PLAIN, Unclear(100), Unclear(60, seed=1))
    learner = Run(objective).learners[""]
    learner.gradient_sum(0)
    d_weight = objective.network.logits.weight
    gradient = learner.gradient_sum.totals[0][d_weight.offset :][: d_weight.size].reshape(d_weight.value.shape)
    assert gradient[:, :3].any()
    assert not gradient[:, 3:].any()
    assert set(objective.validate(objective.network)) == {"validation_loss", "accuracy_colour", "smallest_accuracy"}


def test_a_blur_keeps_means_and_flat_pictures_and_its_size_is_known():
    flat = np.full((1, 5, 6, 3), 0.25, np.float32)
    np.testing.assert_array_equal(blurred(flat), flat)
    point = np.zeros((1, 7, 7, 1), np.float32)
    point[0, 3, 3, 0] = 1
    kernel = np.outer([1, 2, 1], [1, 2, 1]) / 16
    np.testing.assert_array_equal(blurred(point)[0, 2:5, 2:5, 0], kernel.astype(np.float32))
    assert blurred(point).sum() == 1


def test_pictures_are_made_imperfect_within_bounds_each_by_its_own_amount(xp):
    x_0, _ = TRAIN.batch(np.arange(50))
    noise = Noise(3, step=1)
    seen = imperfect(x_0, CONFIG, noise)
    assert seen.dtype == np.float32
    assert -1 <= seen.min() <= seen.max() <= 1
    off = np.sqrt(((seen - x_0) ** 2).mean(axis=(1, 2, 3)))
    assert off.min() < 0.06 < off.max() < 0.4
    np.testing.assert_array_equal(imperfect(x_0, PLAIN, noise), x_0)
    np.testing.assert_array_equal(imperfect(x_0[8:], CONFIG, noise.at(first=8)), seen[8:])  # a shard has its own share
    there = imperfect(to_xp(xp, x_0), CONFIG, noise.at(xp=xp))
    np.testing.assert_allclose(to_host(there), seen, atol=1e-6)
    darker = imperfect(x_0 * 0, dataclasses.replace(PLAIN, brightness=0.2), noise)
    np.testing.assert_allclose(darker.std(axis=(1, 2, 3)), 0, atol=1e-7)
    assert 0.15 < abs(darker).max() <= 0.2


@pytest.mark.parametrize("workers", [{"threads": 3}, {"threads": 2, "processes": True}])
def test_the_bits_do_not_depend_on_who_computes_and_a_run_goes_on(tmp_path, workers):
    """Pictures are drawn by whoever asks for them."""
    whole = Run(make(), tmp_path, threads=1, processes=False)
    whole.run(progress=False)
    (tmp_path / "step-00000004.safetensors").unlink()
    again = Run(make(), tmp_path, **workers)
    assert again.step == 2
    again.run(progress=False)
    np.testing.assert_array_equal(again.trained().theta, whole.trained().theta)
    loaded = load(tmp_path, kind=AttributeClassifier)
    np.testing.assert_array_equal(loaded.theta, whole.trained().theta)
    assert loaded.config == SHAPE
    with pytest.raises(InputError, match="identity of the data"):
        Run(make(data=ColouredSquares(100, seed=9)), tmp_path)


def test_the_step_runs_under_both_array_modules(xp):
    here, there = make(), make()
    network = there.network.bind(to_xp(xp, there.network.theta))
    expected = Run(here).train_step()
    on_device = ClassifyAttributes(network, TRAIN, CONFIG, TEST)
    record = Run(on_device).train_step()
    assert float(record["loss"]) == pytest.approx(float(expected["loss"]), rel=1e-4)
    assert on_device.validate(network)["validation_loss"] == pytest.approx(
        here.validate(there.network)["validation_loss"], rel=1e-1
    )


def test_bad_arguments():
    assert isinstance(TRAIN, AttributeData)

    class Others(ColouredSquares):
        attribute_words = {"colour": ("red", "green", "blue"), "place": ("left", "middle", "right")}  # noqa: RUF012

    class Beyond(ColouredSquares):
        def attributes(self, indices):
            return super().attributes(indices) + 3

    for call, words in [
        (lambda: make(data=ColouredSquares(10)), "There are 10 pictures, but a batch has 20"),
        (lambda: make(validation=ColouredSquares(0)), "validation holds no pictures"),
        (lambda: make(data=TRAIN.resize(24)), r"data has pictures of shape \(24, 24, 3\), but the network's are \(12"),
        (lambda: make(data=Others(100)), "data has the attributes .*place.*, but the network's are .*position"),
        (lambda: make(data=Beyond(100)), "attributes holds [345] for 'colour', but a number from 0 to 2"),
        (lambda: make(data=3), "data is 3, but an AttributeData was expected"),
        (lambda: dataclasses.replace(CONFIG, shift=-1), "shift is -1"),
        (lambda: dataclasses.replace(CONFIG, noise=-0.1), "noise is -0.1, but a number from 0"),
        (lambda: dataclasses.replace(CONFIG, blur=1.5), "blur is 1.5, but a number from 0 to 1"),
        (lambda: dataclasses.replace(CONFIG, brightness=3.0), "brightness is 3.0, but a number from 0 to 2"),
    ]:
        with pytest.raises(InputError, match=words):
            call()
    assert list(WORDS) == ["colour", "position"]
