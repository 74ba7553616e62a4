"""What is said of a model: its loss, and a classifier's verdict, on stand-ins whose answers are known."""

import dataclasses

import numpy as np
import pytest

from tinydiff.base import InputError
from tinydiff.data import load_data
from tinydiff.evaluate import balanced, classifier_frechet, classifier_scores, evaluate, held_out_loss
from tinydiff.evaluate import samples as module
from tinydiff.models import DiffusionModel, ModelConfig
from tinydiff.networks import Classifier, ClassifierConfig, UNet, UNetConfig

UNET = UNetConfig(image_size=8, channels=8, channel_mult=(1,), blocks_per_level=1, heads=2, num_classes=10)


def model(unet=UNET, **options):
    return DiffusionModel(UNet(unet, np.random.default_rng(0)), ModelConfig(unet, **options))


class Reader:
    """A classifier that reads its logits off the first three pixels, and its features off the first two."""

    __class__ = Classifier  # so that it passes for one

    def forward(self, images):
        return images.reshape(len(images), -1)[:, :3] * 10

    def features(self, images):
        return images.reshape(len(images), -1)[:, :2]


def images_of(rows):
    images = np.zeros((len(rows), 2, 2, 1), np.float32)
    images.reshape(len(rows), -1)[:, :3] = rows
    return images


def test_a_judge_counts_confident_calls_classes_and_agreement():
    images = images_of([[1, 0, 0], [0, 1, 0], [0, 1, 0], [0.1, 0, 0]])  # the last: p = 0.58
    verdict = classifier_scores(Reader(), images, np.array([0, 1, 2, 0]))
    assert verdict.confident.value == 3 / 4
    assert verdict.agreement == 3 / 4
    np.testing.assert_array_equal(verdict.classes.value, [0.5, 0.5, 0.0])


@pytest.mark.equation("FD-1")
def test_the_frechet_distance_of_shifted_images_is_the_squared_shift():
    rows = np.random.default_rng(0).uniform(-0.5, 0.5, (200, 3)).astype(np.float32)
    assert classifier_frechet(Reader(), images_of(rows), images_of(rows)) == pytest.approx(0, abs=1e-5)
    shifted = images_of(rows + np.array([0.3, 0.4, 0], np.float32))
    assert classifier_frechet(Reader(), images_of(rows), shifted) == pytest.approx(0.25, rel=1e-4)


@pytest.mark.equation("DDPM-14")
@pytest.mark.parametrize("kind", ["eps", "x_0", "v"])
def test_the_held_out_loss_of_a_network_that_is_off_by_half_is_a_quarter(monkeypatch, kind):
    """The stand-in is told x_0 and solves q_sample for eps."""
    images, labels = load_data("digits", "test").batch(np.arange(50))
    ours = model(kind=kind)

    def off_by_half(self, x_t, t, context=None, first=0):
        a = self.diffusion.alpha_bar[t].reshape(-1, 1, 1, 1)
        eps = ((x_t - a**0.5 * images) / (1 - a) ** 0.5).astype(np.float32)
        return self.target(images, eps, t) + 0.5

    monkeypatch.setattr(DiffusionModel, "network_output", off_by_half)
    loss = held_out_loss(ours, images, labels, bins=1)
    np.testing.assert_allclose(loss[1], [0.25], rtol=1e-3)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.full((2, 8, 8, 1), 255.0), "runs from 255 to 255, but numbers from -1 .*to_floats"),
        (np.full((2, 8, 8, 1), np.nan), "runs from nan"),
        (np.zeros((0, 8, 8, 1)), "is empty"),
        (np.zeros((8, 8)), "has 2 axes"),
    ],
)
def test_images_outside_the_range_are_refused(images, message):
    good, labels = np.zeros((2, 8, 8, 1)), np.zeros(2, int)
    with pytest.raises(InputError, match=f"images.*{message}"):
        classifier_scores(Reader(), images, labels)
    with pytest.raises(InputError, match=f"images.*{message}"):
        held_out_loss(model(), images, labels)
    with pytest.raises(InputError, match=f"images_2.*{message}"):
        classifier_frechet(Reader(), good, images)


def test_a_model_on_the_gpu_is_evaluated_there(monkeypatch, xp):
    monkeypatch.setattr(module, "load", lambda name, kind: Classifier(ClassifierConfig(8, channels=(4,))))
    here = model()
    there = dataclasses.replace(here, network=here.network.bind(xp.asarray(here.network.theta)))
    assert evaluate(there, "digits", "x", n=4, steps=1) == evaluate(here, "digits", "x", n=4, steps=1)


def test_balanced_indices_hold_as_many_of_each_class():
    labels = np.array([2] * 50 + [0] * 7 + [1] * 20)
    indices = balanced(labels)
    assert len(set(indices)) == len(indices) == 21
    assert (np.bincount(labels[indices[:12]]) == 4).all()
    assert not np.array_equal(balanced(labels, seed=1), indices)


def test_labels_are_asked_for_as_they_were_drawn(monkeypatch):
    """A model of five classes draws 0 .. 4 in turn, whatever the judge knows."""
    five = model(dataclasses.replace(UNET, num_classes=5))
    asked = []
    monkeypatch.setattr(module, "load", lambda name, kind: Classifier(ClassifierConfig(8, channels=(4,))))
    real_scores = module.classifier_scores
    monkeypatch.setattr(module, "classifier_scores", lambda *args: asked.append(args[2]) or real_scores(*args))
    monkeypatch.setattr(module, "held_out_loss", lambda *args, **options: held_out_loss(model(), *args[1:], **options))
    text = evaluate(five, "digits", "x", n=7, steps=1)
    np.testing.assert_array_equal(asked[0], [0, 1, 2, 3, 4, 0, 1])
    assert "called by the label that was asked for" in text


def test_without_classes_nothing_is_said_of_labels(monkeypatch):
    monkeypatch.setattr(module, "load", lambda name, kind: Classifier(ClassifierConfig(8, channels=(4,))))
    text = evaluate(model(dataclasses.replace(UNET, num_classes=None), T=5), "digits", "x", n=3, steps=1)
    assert "asked for" not in text
    assert "nan" not in text.partition("by timestep")[2]


def test_a_judge_of_another_size_is_refused_before_anything_is_drawn(monkeypatch):
    monkeypatch.setattr(DiffusionModel, "chain", lambda *_, **__: pytest.fail("it drew"))
    with pytest.raises(InputError, match="pictures of 8 x 8 x 1, but mnist-classifier-28 judges those of 28 x 28 x 1"):
        evaluate(model(), "digits")
    with pytest.raises(InputError, match="n is 0"):
        evaluate(model(), "digits", n=0)
