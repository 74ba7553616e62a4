"""A request is checked once, when it is made: whatever is wrong with it is one sentence, and nothing is dropped."""

import sys

import numpy as np
import pytest

from tinydiff.base import Condition, InputError
from tinydiff.models import GUIDANCE_FOR_PROMPTS, DiffusionModel, Guidance, Request, guidance_for, sample


def image(n):
    return np.zeros((n, 8, 8, 2), np.float32)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"n": 0}, "n is 0"),
        ({"first": -1}, "first is -1"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": "x"}, "seed is 'x'"),
        ({"size": (8, 0)}, "the width of size is 0"),
        ({"prompt": 5}, "prompt is 5"),
        ({"prompt": [1, 2]}, "prompt holds 1"),
        ({"prompt": b"ab"}, "prompt holds 97"),
        ({"prompt": ["one"], "n": 2}, "There is 1 prompt for 2 samples"),
        ({"prompt": Condition(tokens=np.zeros((5, 3, 4))), "n": 2}, r"prompt has shape \(5, 3, 4\)"),
        ({"negative": None}, "negative is None"),
        ({"labels": [0, 1], "n": 3}, r"labels has shape \(2,\)"),
        ({"labels": [0.5]}, r"labels is \[0.5\]"),
        ({"labels": -1}, "labels is -1"),
        ({"image": image(5), "n": 2}, r"image has shape \(5, 8, 8, 2\)"),
        ({"image": "abc"}, "of type str"),
        ({"image": np.nan * image(2)}, "image holds NaN or infinity"),
        ({"image": image(1), "image_time": np.array([np.nan])}, "image_time holds NaN or infinity"),
        ({"embedding": np.full((2, 6), np.inf, np.float32)}, "embedding holds NaN or infinity"),
        ({"classifier": "mnist-noisy-classifier"}, "classifier is 'mnist-noisy-classifier'"),
        ({"guidance": "much"}, "guidance is 'much'"),
        ({"negative": "a hat"}, "negative is 'a hat', but it changes nothing where guidance is 1"),
        ({"guidance": Guidance(interval=(0, 9))}, r"interval is \(0, 9\), but it changes nothing"),
        ({"guidance": Guidance(rescale=0.5)}, "rescale is 0.5, but it changes nothing"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(asked, words):
    with pytest.raises(InputError, match=words):
        Request(**asked)


def test_a_name_that_is_none_of_a_request_is_refused():
    with pytest.raises(InputError, match="colour cannot be asked for; what can: n, seed, labels"):
        Request.of(colour="red")


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        ({}, 16),
        ({"n": 3}, 3),
        ({"labels": 7}, 16),
        ({"labels": [7, 1]}, 2),
        ({"prompt": "one"}, 16),
        ({"prompt": ["one", "two", "three"]}, 3),
        ({"prompt": Condition(tokens=np.zeros((5, 3, 4)))}, 5),
        ({"image": image(4)}, 4),
    ],
)
def test_there_are_as_many_samples_as_are_described(asked, count):
    assert Request(**asked).count == count


def test_a_request_for_images_has_their_number_and_size():
    request = Request(prompt="a hat").for_images(np.zeros((3, 8, 12, 1)))
    assert (request.count, request.size) == (3, (8, 12))
    with pytest.raises(InputError, match="n is 2, but there are 3 images"):
        Request(n=2).for_images(np.zeros((3, 8, 12, 1)))
    with pytest.raises(InputError, match=r"size is .*8, 8.*, but the images have \(8, 12\)"):
        Request(size=(8, 8)).for_images(np.zeros((3, 8, 12, 1)))


@pytest.mark.parametrize(
    ("asked", "scale"),
    [
        ({"prompt": "a hat"}, GUIDANCE_FOR_PROMPTS),
        ({"negative": "a hat"}, GUIDANCE_FOR_PROMPTS),
        ({"prompt": "a hat", "guidance": 1.5}, 1.5),
        ({}, 1),
    ],
)
def test_words_are_followed_by_one_default(monkeypatch, asked, scale):
    """In one line of Python as in the commands."""

    class Asked(Exception):
        pass

    def loaded(name, device, kind):
        class Model:
            def draw(self, request, *how):
                raise Asked(request.guidance.scale)

        return Model()

    drawing = sys.modules["tinydiff.models.sample"]  # `models.sample` is the function
    monkeypatch.setattr(drawing, "load", loaded)
    monkeypatch.setattr(drawing, "class_of", lambda name: DiffusionModel)
    with pytest.raises(Asked) as found:
        sample("any", **asked)
    assert found.value.args == (scale,)
    assert guidance_for() == 1
    with pytest.raises(InputError, match="negative is 'a hat', but it changes nothing where guidance is 1"):
        sample("any", prompt="red", negative="a hat", guidance=1)
