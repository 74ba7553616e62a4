"""Classes that are asked for by their names."""

import dataclasses

import numpy as np
import pytest

from tinydiff.base import InputError
from tinydiff.models import DiffusionModel, ModelConfig, Request, load, save
from tinydiff.networks import UNet, UNetConfig

NAMES = ("cat", "dog", "7")


@pytest.fixture
def model():
    unet = UNetConfig(4, channels=4, channel_mult=(1,), num_classes=3, groups=2)
    return DiffusionModel(UNet(unet, np.random.default_rng(0)), ModelConfig(unet, T=10, class_names=NAMES))


def test_a_name_asks_for_the_class_that_has_it(model):
    by_name = model.condition(Request(labels=["dog", "cat", "7"]))
    np.testing.assert_array_equal(by_name, [1, 0, 2])
    np.testing.assert_array_equal(model.condition(Request(n=2, labels="dog")), [1, 1])


def test_a_number_as_a_text_is_a_name_first(model):
    assert model.config.label_of("7") == 2
    with pytest.raises(InputError, match=r"cat, dog, 7\. Name one of them.$"):
        model.config.label_of("1")  # the first, the second, or one that is not there?


@pytest.mark.parametrize(("names", "number"), [(("cat", "dog", "ape"), "1"), (("0", "1", "2"), "1"), (None, "1")])
def test_a_number_is_the_class_s_own_where_no_class_is_called_by_another(model, names, number):
    config = dataclasses.replace(model.config, class_names=names)
    assert config.label_of(number) == 1
    assert config.label_of("3") == 3  # no class


@pytest.mark.parametrize("labels", ["bird", ["cat", "bird"], "-1", "²"])
def test_an_unknown_name_is_refused_with_the_known_ones(model, labels):
    with pytest.raises(InputError, match="cat, dog, 7"):
        model.predictor(Request(labels=labels))


def test_names_are_saved_with_the_model(model, tmp_path):
    assert load(save(tmp_path, model)).config.class_names == NAMES


def test_there_is_a_name_for_each_class(model):
    with pytest.raises(InputError, match="holds 2 names"):
        dataclasses.replace(model.config, class_names=("cat", "dog"))


def test_a_classifier_knows_no_names(model):
    with pytest.raises(InputError, match="by number"):
        Request(labels="dog", classifier=lambda x_t, t, y: x_t)
