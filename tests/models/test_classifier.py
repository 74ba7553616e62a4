"""A noisy classifier pulls what is drawn towards a class, and is saved and loaded."""

import numpy as np
import pytest
from arrays import to_host, to_xp
from classifiers import noisy_classifier

from tinydiff.base import InputError
from tinydiff.models import DiffusionModel, Guidance, ModelConfig, Request, class_gradient, load, save
from tinydiff.networks import NoisyClassifier, NoisyClassifierConfig, UNetConfig


def test_the_class_gradient_is_that_of_each_sample_s_log_probability(xp):
    model, rng = noisy_classifier(), np.random.default_rng(1)
    x_t, t, labels = rng.standard_normal((5, 8, 8, 1)), np.array([1, 10, 300, 700, 999]), np.array([0, 1, 2, 1, 0])
    gradient = class_gradient(model, micro_batch=2)(x_t, t, labels)

    def log_probability(x_t):
        logits = model.forward(x_t, t)
        return logits[np.arange(5), labels] - np.log(np.exp(logits).sum(axis=1))

    h, w = 1e-5, rng.standard_normal(x_t.shape)
    measured = (log_probability(x_t + h * w) - log_probability(x_t - h * w)) / (2 * h)
    np.testing.assert_allclose((gradient * w).sum(axis=(1, 2, 3)), measured, rtol=1e-5)
    there = class_gradient(model.bind(to_xp(xp, model.theta)), 2)(*(to_xp(xp, a) for a in (x_t, t, labels)))
    np.testing.assert_allclose(to_host(there), gradient, rtol=1e-8, atol=1e-10)
    with pytest.raises(InputError, match="labels has shape"):
        class_gradient(model)(x_t, t, labels[:2])
    with pytest.raises(InputError, match="labels is None, but a class for each picture"):
        class_gradient(model)(x_t, t, None)
    for wrong in (3, -1):
        with pytest.raises(InputError, match=f"labels has {wrong}, but the classifier knows only 0 to 2"):
            class_gradient(model)(x_t, t, np.full(5, wrong))


def small_model(**unet):
    unet = UNetConfig(8, channels=8, channel_mult=(1,), blocks_per_level=1, heads=2, **unet)
    config = ModelConfig(unet, T=50)
    network = config.network(np.random.default_rng(0))
    network.theta[:] += 0.05 * np.random.default_rng(1).standard_normal(network.theta.shape).astype(np.float32)
    return DiffusionModel(network, config)


def surely(classifier, x_0, labels):
    """Return the log-probability of each picture's label."""
    logits = classifier.forward(x_0, 1)
    return logits[np.arange(len(labels)), labels] - np.log(np.exp(logits).sum(axis=1))


@pytest.mark.parametrize("classes", [None, 2])
def test_a_classifier_has_classes_of_its_own(classes):
    """It can pull a network that was trained without any, or with others."""
    model, classifier = small_model(num_classes=classes), noisy_classifier(np.float32)
    pull, labels = class_gradient(classifier), np.array([0, 1, 2, 1])

    def drawn(scale, labels=labels):
        *_, (_, x_0, _) = model.chain(Request(n=4, labels=labels, guidance=scale, classifier=pull), steps=8)
        return x_0

    assert (surely(classifier, drawn(20.0), labels) > surely(classifier, drawn(0.0), labels)).all()
    np.testing.assert_array_equal(drawn(5.0, 2), drawn(5.0, np.full(4, 2)))
    for wrong, words in [
        (3, "labels has 3, but the classifier knows only 0 to 2"),
        (-1, r"labels is -1, but whole numbers from 0"),
        ([0, 1], r"labels has shape \(2,\)"),
        (0.5, "but whole numbers"),
    ]:
        with pytest.raises(InputError, match=words):
            drawn(1.0, wrong)


def test_without_labels_a_classifier_is_asked_for_the_network_s_classes_in_turn_or_for_none():
    asked = []

    def pull(x_t, t, labels):
        asked.append(labels)
        return 0 * x_t

    list(small_model(num_classes=2).chain(Request(n=3, first=1, classifier=pull), steps=1))
    np.testing.assert_array_equal(asked[0], [1, 0, 1])
    with pytest.raises(InputError, match="labels is None"):
        list(small_model().chain(Request(n=3, classifier=class_gradient(noisy_classifier(np.float32))), steps=1))


def test_a_classifier_pulls_where_the_network_sees_a_picture():
    """The picture is for the network alone; the classifier gets the labels as they are."""
    model, pull = small_model(num_classes=3, image_channels=2), class_gradient(noisy_classifier(np.float32))
    image = np.random.default_rng(0).standard_normal((2, 8, 8, 2)).astype(np.float32)

    def drawn(image):
        *_, (_, x_0, _) = model.chain(Request(n=2, labels=1, guidance=5.0, classifier=pull, image=image), steps=4)
        return x_0

    assert abs(drawn(image) - drawn(0 * image)).max() > 1e-3


def test_the_interval_and_the_kind_of_number_count_with_a_classifier():
    model, pull = small_model(), class_gradient(noisy_classifier(np.float32))

    def drawn(guidance):
        *_, (_, x_0, _) = model.chain(Request(n=2, labels=1, guidance=guidance, classifier=pull), steps=8)
        return x_0

    everywhere = drawn(9.0)
    assert everywhere.dtype == np.float32
    np.testing.assert_array_equal(drawn(np.float64(9.0)), everywhere)
    np.testing.assert_array_equal(drawn(Guidance(9.0, interval=(0, 50))), everywhere)
    half = drawn(Guidance(9.0, interval=(0, 25)))
    assert abs(half - everywhere).max() > 1e-3
    assert abs(half - drawn(1.0)).max() > 1e-3
    with pytest.raises(InputError, match=r"rescale is 0\.5, but with a classifier"):
        model.chain(Request(n=2, labels=1, guidance=Guidance(9.0, rescale=0.5), classifier=pull))


def test_the_kind_of_number_of_a_rescaling_changes_nothing():
    model = small_model(num_classes=3)
    found = []
    for share in (0.5, np.float64(0.5)):
        *_, (_, x_0, _) = model.chain(Request(n=2, guidance=Guidance(2.0, rescale=share)), steps=2)
        found.append(x_0)
    assert found[0].dtype == np.float32
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("sampler", ["ddim", "ddpm", "heun", "dpmpp_2m"])
def test_every_sampler_is_pulled_along_the_gradient_and_not_at_scale_0(sampler):
    """The network is told nothing: its null label, and not the class."""
    model, classifier = small_model(num_classes=3), noisy_classifier(np.float32)
    labels = np.array([0, 1, 2, 1])

    def drawn(guidance, labels=labels):
        chain = model.chain(Request(n=4, labels=labels, guidance=guidance, classifier=pull), steps=8, sampler=sampler)
        *_, (_, x_0, _) = chain
        return x_0

    pull = class_gradient(classifier)
    *_, (_, nothing, _) = model.chain(Request(n=4, labels=np.full(4, 3)), steps=8, sampler=sampler)
    np.testing.assert_allclose(drawn(0.0), nothing, atol=1e-3)  # rounding, over eight steps

    assert surely(classifier, drawn(20.0), labels).mean() > surely(classifier, nothing, labels).mean() + 0.01
    assert abs(drawn(5.0) - drawn(5.0, labels[::-1].copy())).max() > 1e-3


def test_a_noisy_classifier_is_saved_and_loaded(tmp_path):
    model = noisy_classifier(np.float32)
    save(tmp_path, model)
    np.testing.assert_array_equal(load(tmp_path, kind=NoisyClassifier).theta, model.theta)
    with pytest.raises(InputError, match="image_size is 10 x 10"):
        NoisyClassifier(NoisyClassifierConfig(image_size=10))
