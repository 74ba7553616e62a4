"""Captions that say the same of scenes have one number, whatever their words."""

from dataclasses import replace

import numpy as np
import pytest

from tinydiff.base import InputError
from tinydiff.data.scenes import compose, describe
from tinydiff.data.scenes.pairs import contents_of

SCENES = [compose(i) for i in range(300)]


def test_other_words_for_the_same_have_the_same_number():
    """All that can be named is named, by two seeds: the words differ, the content does not (lists name no position)."""
    whole = [scene for scene in SCENES if not scene.position]
    captions = [[describe(scene, seed, everything=True) for scene in whole] for seed in (0, 1)]
    assert any(a.text != b.text for a, b in zip(*captions, strict=True))
    numbers = contents_of(whole * 2, captions[0] + captions[1])
    np.testing.assert_array_equal(numbers[: len(whole)], numbers[len(whole) :])


def test_two_captions_have_the_same_number_only_if_they_name_the_same_words():
    captions = [describe(scene) for scene in SCENES]
    numbers = contents_of(SCENES, captions)
    named = [{field: getattr(scene, field) for field in c.named} for scene, c in zip(SCENES, captions, strict=True)]
    for i in range(0, 300, 7):
        for j in range(300):
            assert (numbers[i] == numbers[j]) == (named[i] == named[j])
    assert len(set(numbers.tolist())) < 300  # some do say the same


def test_what_is_not_named_makes_no_difference():
    scene = compose(3)
    caption = describe(scene)
    hidden = next(field for field in ("time", "weather", "style") if field not in caption.named)
    other = {"time": "night", "weather": "rain", "style": "pixel art"}[hidden]
    assert len(set(contents_of([scene, replace(scene, **{hidden: other})], [caption] * 2).tolist())) == 1


def test_a_caption_for_each_scene_is_expected():
    with pytest.raises(InputError, match="2 scenes"):
        contents_of(SCENES[:2], [describe(SCENES[0])])
