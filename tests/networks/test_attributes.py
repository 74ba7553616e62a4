"""The network that reads attributes: logits side by side, feature maps, and the gradients of both."""

import json

import numpy as np
import pytest

from tinydiff.base import InputError, from_table, read_table, to_table
from tinydiff.functional import perceptual_distance, perceptual_distance_backward
from tinydiff.gradcheck import check_module
from tinydiff.networks import AttributeClassifier, AttributeClassifierConfig
from tinydiff.nn import Gradients, Tape

WORDS = {"shape": ("circle", "square"), "colour": ("red", "green", "blue")}
TINY = AttributeClassifierConfig((7, 9), 2, (4, 6, 8), blocks=2, stem_stride=1, features=5, attributes=WORDS)


def reader(config=TINY, dtype=np.float64):
    """A network in which no weight is 0, as the last convolution of every block is at the beginning."""
    rng = np.random.default_rng(0)
    network = AttributeClassifier(config, rng, dtype)
    network.theta[:] += 0.1 * rng.standard_normal(network.theta.shape)
    return network


def pictures(n=3, config=TINY, seed=1, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal((n, *config.shape)).astype(dtype)


@pytest.mark.parametrize("stem_stride", [1, 2])
def test_gradients_of_the_logits_match_finite_differences(stem_stride):
    config = AttributeClassifierConfig((7, 9), 2, (4, 6), 1, stem_stride, 5, WORDS)
    report = check_module(reader(config), (pictures(config=config),), Tape, Gradients)
    assert report, str(report)


def test_gradients_of_the_feature_maps_match_finite_differences():
    """Through the distance of two pictures, of which one is compared: in the weights, and in the picture."""
    network, rng = reader(), np.random.default_rng(2)
    x, other = pictures(), reader().maps(pictures(seed=5))

    def loss(theta, x):
        return float(perceptual_distance(network.bind(theta).maps(x), other)[0])

    tape, grads = Tape(), Gradients(network.parameters())
    _, cache = perceptual_distance(network.maps(x, tape), other)
    d_maps, _ = perceptual_distance_backward(1.0, cache)
    dx = network.maps_backward(d_maps, tape, grads)
    assert len(tape) == 0
    h, v, w = 1e-5, rng.standard_normal(network.theta.shape), rng.standard_normal(x.shape)
    by_theta = (loss(network.theta + h * v, x) - loss(network.theta - h * v, x)) / (2 * h)
    by_x = (loss(network.theta, x + h * w) - loss(network.theta, x - h * w)) / (2 * h)
    assert grads.flat @ v == pytest.approx(by_theta, rel=1e-6)
    assert (dx * w).sum() == pytest.approx(by_x, rel=1e-6)
    network.maps(x, tape)
    np.testing.assert_array_equal(network.maps_backward(d_maps, tape), dx)  # of the picture alone, as a loss needs it


def test_the_gradient_of_each_level_alone_is_right():
    """So that no level's gradient is lost, or added twice."""
    network, x, rng = reader(), pictures(), np.random.default_rng(3)
    weights = [rng.standard_normal(a.shape) for a in network.maps(x)]
    w, h = rng.standard_normal(x.shape), 1e-5
    for level in range(3):
        tape = Tape()
        network.maps(x, tape)
        dx = network.maps_backward([a * (i == level) for i, a in enumerate(weights)], tape)
        up, down = (float((network.maps(x + s * h * w)[level] * weights[level]).sum()) for s in (1, -1))
        assert (dx * w).sum() == pytest.approx((up - down) / (2 * h), rel=1e-6)


def test_shapes_of_maps_features_and_logits():
    network = reader()
    x = pictures(2)
    assert [a.shape for a in network.maps(x)] == [(2, 7, 9, 4), (2, 4, 5, 6), (2, 2, 3, 8)]
    assert network.features(x).shape == (2, 5)
    assert network.forward(x).shape == (2, 5)
    assert {name: a.shape for name, a in network.split(network.forward(x)).items()} == {
        "shape": (2, 2),
        "colour": (2, 3),
    }
    assert reader(dtype=np.float32).forward(pictures(dtype=np.float32)).dtype == np.float32
    assert AttributeClassifier(AttributeClassifierConfig(9)).map_shapes[0] == (5, 5, 24)  # halved at the stem


def test_the_logits_of_the_attributes_stand_side_by_side():
    network = reader()
    logits = network.forward(pictures())
    np.testing.assert_array_equal(np.concatenate(list(network.split(logits).values()), axis=1), logits)
    assert list(network.split(logits)) == list(WORDS)


def test_where_something_stands_is_not_lost():
    """The same picture, moved to the other side, has other features: no average over positions."""
    network, x = reader(), np.zeros((1, 7, 9, 2))
    x[:, 2:5, :3] = 1
    assert abs(network.features(x) - network.features(x[:, :, ::-1])).max() > 1e-3


def test_at_64_pixels_a_forward_is_at_most_150_million_operations():
    summary = AttributeClassifier(AttributeClassifierConfig()).summary().splitlines()
    assert "FLOPs" in summary[0]
    assert int(summary[-1].split()[2].replace(",", "")) < 150e6


@pytest.mark.parametrize("suffix", ["json", "toml"])
def test_its_shape_is_read_from_a_file(tmp_path, suffix):
    path = tmp_path / f"shape.{suffix}"
    if suffix == "json":
        path.write_text(json.dumps(to_table(TINY)))
    else:
        path.write_text(
            "image_size = [7, 9]\nin_channels = 2\nchannels = [4, 6, 8]\nblocks = 2\nstem_stride = 1\nfeatures = 5\n"
            '[attributes]\nshape = ["circle", "square"]\ncolour = ["red", "green", "blue"]\n'
        )
    again = from_table(AttributeClassifierConfig, read_table(path), path.name)
    assert again == TINY
    assert list(again.attributes) == list(WORDS)
    assert again.attributes["colour"] == ("red", "green", "blue")
    bad = {**read_table(path), "attributes": {"colour": ["red", "red"]}}
    with pytest.raises(InputError, match=r"^a file: attributes\['colour'\] has the word 'red' more than once"):
        from_table(AttributeClassifierConfig, bad, "a file")


def test_bad_inputs_are_one_clear_sentence():
    for change, words in [
        ({"attributes": {}}, "attributes is empty"),
        ({"attributes": {"colour": ()}}, r"attributes\['colour'\] is \(\), but one or more words"),
        ({"attributes": {"colour": ("red", "")}}, "none of them empty"),
        ({"attributes": {"colour": ("red", "blue", "red")}}, "has the word 'red' more than once"),
        ({"attributes": {"": ("red",)}}, "attributes has one without a name"),
        ({"attributes": {"colour": "red"}}, "is 'red', but a tuple was expected"),
        ({"attributes": ["colour"]}, "but a mapping was expected"),
        ({"stem_stride": 3}, "stem_stride is 3, but one of 1, 2"),
        ({"blocks": 0}, "blocks is 0"),
        ({"channels": ()}, "channels is empty"),
    ]:
        with pytest.raises(InputError, match=words):
            AttributeClassifierConfig(**change)
    network, tape = reader(), Tape()
    with pytest.raises(InputError, match=r"x has shape \(3, 8, 9, 2\), but \(any, 7, 9, 2\)"):
        network.forward(np.zeros((3, 8, 9, 2)))
    maps = network.maps(pictures(), tape)
    with pytest.raises(InputError, match="d_maps has 2 arrays, but the network has 3 levels"):
        network.maps_backward(maps[:2], tape)
    with pytest.raises(InputError, match=r"d_maps\[2\] has shape \(2, 2, 3, 8\), but \(3, 2, 3, 8\)"):
        network.maps_backward([*maps[:2], maps[2][:2]], tape)
    with pytest.raises(InputError, match=r"logits has shape \(3, 4\), but \(any, 5\)"):
        network.split(np.zeros((3, 4)))
