"""The small classifiers, which judge samples or guide them."""

import numpy as np
import pytest
from classifiers import noisy_classifier

from tinydiff.base import InputError
from tinydiff.functional import cross_entropy, cross_entropy_backward
from tinydiff.networks import Classifier, ClassifierConfig, NoisyClassifierConfig
from tinydiff.nn import Gradients, Tape

TINY = ClassifierConfig(image_size=7, in_channels=1, num_classes=3, channels=(4, 8), features=6)


def test_a_summary_needs_no_inputs():
    classifier = Classifier(ClassifierConfig(8, channels=(4,)))
    assert f"{classifier.theta.size:,}" in classifier.summary().splitlines()[-1]


def test_whole_model_gradients_match_finite_differences():
    rng = np.random.default_rng(0)
    model = Classifier(TINY, rng, np.float64)
    model.theta[:] += 0.1 * rng.standard_normal(model.theta.shape)
    x, labels = rng.standard_normal((5, 7, 7, 1)), np.array([0, 1, 2, 1, 0])

    def loss(theta, x):
        return float(cross_entropy(model.bind(theta).forward(x), labels)[0])

    tape, grads = Tape(), Gradients(model.parameters())
    _, cache = cross_entropy(model.forward(x, tape), labels)
    (d_logits,) = cross_entropy_backward(1.0, cache)
    dx = model.backward(d_logits, tape, grads)
    assert len(tape) == 0
    h, v, w = 1e-5, rng.standard_normal(model.theta.shape), rng.standard_normal(x.shape)
    by_theta = (loss(model.theta + h * v, x) - loss(model.theta - h * v, x)) / (2 * h)
    by_x = (loss(model.theta, x + h * w) - loss(model.theta, x - h * w)) / (2 * h)
    assert grads.flat @ v == pytest.approx(by_theta, rel=1e-6)
    assert (dx * w).sum() == pytest.approx(by_x, rel=1e-6)


def test_shapes_of_features_and_logits():
    model = Classifier(TINY)
    x = np.zeros((2, 7, 7, 1), np.float32)
    assert model.features(x).shape == (2, 6)
    assert model.forward(x).shape == (2, 3)
    assert model.forward(x).dtype == np.float32


def test_bad_inputs_are_one_clear_sentence():
    with pytest.raises(InputError, match=r"x has shape \(2, 8, 8, 1\)"):
        Classifier(TINY).forward(np.zeros((2, 8, 8, 1), np.float32))
    with pytest.raises(InputError, match="at least 1"):
        ClassifierConfig(features=0)
    for config in (ClassifierConfig, NoisyClassifierConfig):
        assert config(channels=[4, 8]).channels == (4, 8)  # lists come out of JSON
        for change, words in [
            ({"num_classes": 0}, "num_classes is 0"),
            ({"channels": ()}, "channels is empty"),
            ({"channels": (8, 2.5)}, r"channels\[1\] is 2\.5"),
        ]:
            with pytest.raises(InputError, match=words):
                config(**change)


def test_gradients_of_the_noisy_classifier_match_finite_differences():
    model, rng = noisy_classifier(), np.random.default_rng(1)
    x_t, t, labels = rng.standard_normal((5, 8, 8, 1)), np.array([0, 10, 300, 700, 999]), np.array([0, 1, 2, 1, 0])

    def loss(theta, x_t):
        return float(cross_entropy(model.bind(theta).forward(x_t, t), labels)[0])

    tape, grads = Tape(), Gradients(model.parameters())
    _, cache = cross_entropy(model.forward(x_t, t, tape), labels)
    (d_logits,) = cross_entropy_backward(1.0, cache)
    dx = model.backward(d_logits, tape, grads)
    assert len(tape) == 0
    h, v, w = 1e-5, rng.standard_normal(model.theta.shape), rng.standard_normal(x_t.shape)
    by_theta = (loss(model.theta + h * v, x_t) - loss(model.theta - h * v, x_t)) / (2 * h)
    by_x = (loss(model.theta, x_t + h * w) - loss(model.theta, x_t - h * w)) / (2 * h)
    assert grads.flat @ v == pytest.approx(by_theta, rel=1e-6)
    assert (dx * w).sum() == pytest.approx(by_x, rel=1e-6)
