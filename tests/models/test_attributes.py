"""A reader of attributes: what it reads of pictures of several kinds, and how often it is right."""

import numpy as np
import pytest
from arrays import to_xp
from coloured_squares import SHAPE, WORDS, ColouredSquares

from tinydiff.base import InputError
from tinydiff.data import to_floats
from tinydiff.functional import softmax
from tinydiff.models import Verdicts, attribute_agreement, attribute_features, load, read_attributes, save
from tinydiff.networks import AttributeClassifier, AttributeClassifierConfig


def reader(seed=0):
    network = AttributeClassifier(SHAPE, np.random.default_rng(seed))
    network.theta[:] += 0.3 * np.random.default_rng(1).standard_normal(network.theta.shape).astype(np.float32)
    return network


def squares(n=7, size=12):
    data = ColouredSquares(n, size=size)
    return np.stack([data.draw(i, *row) for i, row in enumerate(data.attributes(np.arange(n)))])


def test_each_attribute_is_read_as_its_most_probable_word():
    network, images = reader(), squares()
    verdicts = read_attributes(network, images, 3)
    logits = network.forward(to_floats(images))
    for column, (name, part) in enumerate(SHAPE.slices.items()):
        probabilities, _ = softmax(logits[:, part])
        np.testing.assert_array_equal(verdicts.indices[:, column], logits[:, part].argmax(axis=1))
        np.testing.assert_allclose(verdicts.probabilities[:, column], probabilities.max(axis=1), rtol=1e-5)
        assert verdicts.words[name] == tuple(WORDS[name][i] for i in verdicts.indices[:, column])
    assert verdicts.attributes == WORDS


def test_bytes_and_numbers_read_the_same_and_what_lies_outside_is_clipped(xp):
    network, images = reader(), squares()
    of_bytes, of_numbers = read_attributes(network, images), read_attributes(network, to_floats(images))
    np.testing.assert_array_equal(of_bytes.probabilities, of_numbers.probabilities)
    beyond = 3 * to_floats(images)
    np.testing.assert_array_equal(
        read_attributes(network, beyond).probabilities, read_attributes(network, beyond.clip(-1, 1)).probabilities
    )
    there = read_attributes(network.bind(to_xp(xp, network.theta)), to_xp(xp, images))
    assert isinstance(there.indices, np.ndarray)
    np.testing.assert_array_equal(there.indices, of_bytes.indices)
    np.testing.assert_allclose(there.probabilities, of_bytes.probabilities, rtol=1e-4)


def test_the_shards_change_no_verdict():
    network, images = reader(), squares(11)
    np.testing.assert_array_equal(read_attributes(network, images, 4).indices, read_attributes(network, images).indices)


def test_larger_pictures_are_averaged_over_areas():
    network, images = reader(), squares()
    for factor in (2, 3):
        larger = images.repeat(factor, axis=1).repeat(factor, axis=2)
        np.testing.assert_array_equal(
            read_attributes(network, larger).probabilities, read_attributes(network, images).probabilities
        )


def test_features_are_those_that_the_words_are_read_from():
    network, images = reader(), squares()
    features = attribute_features(network, images, 3)
    np.testing.assert_allclose(features, network.features(to_floats(images)), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        network.logits.forward(features), network.forward(to_floats(images)), rtol=1e-4, atol=1e-5
    )
    larger = images.repeat(2, axis=1).repeat(2, axis=2)
    np.testing.assert_array_equal(attribute_features(network, larger, 3), features)


def test_agreement_counts_only_what_is_asked():
    indices = np.array([[0, 2], [1, 1], [2, 0], [0, 0]])
    verdicts = Verdicts(WORDS, indices, np.ones((4, 2)))
    right = np.array([[0, 2], [1, -1], [0, -1], [0, 1]])
    assert attribute_agreement(verdicts, right) == {"colour": 0.75, "position": 0.5}
    right[:, 1] = -1
    assert attribute_agreement(verdicts, right) == {"colour": 0.75}  # nobody was asked where


def test_it_is_saved_and_loaded(tmp_path):
    network = reader()
    save(tmp_path, network, note="for the test")
    again = load(tmp_path, kind=AttributeClassifier)
    np.testing.assert_array_equal(again.theta, network.theta)
    assert again.config == SHAPE
    assert list(again.config.attributes.items()) == list(WORDS.items())
    (tmp_path / "config.json").write_text((tmp_path / "config.json").read_text().replace('"green"', '"red"'))
    with pytest.raises(OSError, match=r"attributes\['colour'\] has the word 'red' more than once"):
        load(tmp_path)


def test_bad_inputs_are_one_clear_sentence():
    network, images = reader(), squares()
    verdicts = read_attributes(network, images)
    right = ColouredSquares(7).attributes(np.arange(7))
    for call, words in [
        (
            lambda: read_attributes(network, images[:, :11]),
            "images are 11 x 12, but 12 x 12 was expected, or a multiple",
        ),
        (lambda: read_attributes(network, images[:, :6, :6]), "images are 6 x 6, but 12 x 12"),
        (lambda: read_attributes(network, images.repeat(2, axis=1)), "images are 24 x 12, but 12 x 12 .*24 x 24"),
        (lambda: read_attributes(network, images[..., :1]), r"images has shape \(7, 12, 12, 1\), but .*3\) was"),
        (lambda: read_attributes(network, images[:0]), "images is empty"),
        (lambda: read_attributes(network, images.astype(int)), "images has dtype int64"),
        (lambda: read_attributes(network, np.full(images.shape, np.nan)), "images holds NaN or infinity"),
        (lambda: read_attributes(network, images, 0), "micro_batch is 0"),
        (lambda: attribute_agreement(verdicts, right[:3]), r"attributes has shape \(3, 2\), but \(7, 2\)"),
        (lambda: attribute_agreement(verdicts, right + 1.0), "attributes has dtype float64"),
        (
            lambda: attribute_agreement(verdicts, right + 3),
            "attributes holds [345] for 'colour', but a number from 0 to 2",
        ),
        (lambda: attribute_agreement(verdicts, right - 2), "attributes holds -[23] for"),
    ]:
        with pytest.raises(InputError, match=words):
            call()


def test_one_word_is_certain():
    """An attribute with one word only is read as that word, with probability 1."""
    network = AttributeClassifier(AttributeClassifierConfig(12, channels=(4,), attributes={"style": ("flat",)}))
    verdicts = read_attributes(network, squares())
    assert set(verdicts.words["style"]) == {"flat"}
    np.testing.assert_array_equal(verdicts.probabilities, 1)
