"""Scenes whose words nobody knows, or that cannot be: one sentence, which names the field and what it may be."""

import re
from dataclasses import replace

import numpy as np
import pytest

from tinydiff.base import InputError
from tinydiff.data.scenes import DrawnScenes, Scene, answers, compose, describe, load_scenes, render
from tinydiff.data.scenes.checks import check_scene

CABIN = Scene("cabin", "red", "", 1, "meadow", "day", "clear", "flat illustration", "middle", 7)
UNKNOWN = [
    ({"object": "unicorn"}, "object is 'unicorn', but one of 'balloon', 'boat', 'cabin',"),
    ({"object": None}, "object is None, but one of 'balloon',"),
    ({"colour": "puce"}, "colour of a cabin is 'puce', but one of '', 'red', 'blue', 'yellow', 'green' was"),
    ({"size": "huge"}, "size is 'huge', but one of 'small', '', 'big' was"),
    ({"count": 7}, "count is 7, but one of 1, 2, 3 was"),
    ({"count": 1.0}, "count is 1.0, but one of 1, 2, 3 was"),
    ({"place": "moon"}, "place is 'moon', but one of 'mountain', 'beach',"),
    ({"time": "noon"}, "time is 'noon', but one of 'day', 'sunset', 'night' was"),
    ({"weather": b"rain"}, "weather is b'rain', but one of 'clear', 'clouds', 'rain', 'snow' was"),
    ({"style": "oil"}, "style is 'oil', but one of 'flat illustration',"),
    ({"position": ""}, "position is '', but one of 'left', 'middle', 'right', 'top' was"),
    ({"count": 2}, "position is 'middle', but '' was expected: 2 objects stand side by side"),
    ({"other": "unicorn", "position": "left"}, "other is 'unicorn', but one of 'balloon',"),
    ({"other_colour": "red"}, "other is '', but one of 'balloon',"),
    ({"other": "tree", "other_colour": "blue"}, "other_colour of a tree is 'blue', but one of '', 'red',"),
    ({"other": "tree"}, "position of a scene with another object is 'middle', but one of 'left', 'right' was"),
    ({"other": "tree", "count": 3}, "count of a scene with another object is 3, but one of 1 was"),
]
IMPOSSIBLE = [
    ({"position": "top"}, "position is 'top', but the place is 'meadow': .* or the place 'mountain' was expected"),
    ({"object": "boat"}, "place is 'meadow', but 'beach' or 'lake' was expected: a boat is on the water"),
    (
        {"other": "boat", "other_colour": "red", "position": "left"},
        "place is 'meadow', but 'beach' or 'lake' was expected: a boat is on the water",
    ),
]


@pytest.mark.parametrize(("changes", "sentence"), UNKNOWN)
def test_unknown_words_are_refused_wherever_a_scene_is_used(changes, sentence):
    scene = replace(CABIN, **changes)
    for use in (render, describe, lambda scene: answers([CABIN, scene])):
        with pytest.raises(InputError, match=sentence):
            use(scene)


@pytest.mark.parametrize(("changes", "sentence"), IMPOSSIBLE)
def test_what_cannot_be_is_neither_painted_nor_described(changes, sentence):
    scene = replace(CABIN, **changes)
    for use in (render, describe):
        with pytest.raises(InputError, match=sentence):
            use(scene)


def test_a_seed_out_of_range_is_refused():
    for seed in (-1, 2**32, "x", 1.5):
        with pytest.raises(InputError, match="seed is"):
            render(replace(CABIN, seed=seed))
    for seed in (-1, "x", None):
        with pytest.raises(InputError, match="seed is"):
            describe(CABIN, seed)
    with pytest.raises(InputError, match="scene is 'a cabin', but a Scene was expected"):
        describe("a cabin")


@pytest.mark.parametrize("split", ["train", "test", "held-out", "swapped"])
def test_composed_scenes_pass(split):
    for i in range(300):
        check_scene(compose(i, split=split))


def test_unnatural_scenes_may_be_painted():
    snowman = replace(CABIN, object="snowman", colour="", place="desert")
    assert render(snowman, 16).std() > 0
    assert "desert" in describe(snowman, everything=True).text


def test_a_split_has_more_scenes_of_its_kind_than_its_number():
    more = DrawnScenes("test", 2001, 16)
    assert more.pictures([2000]).shape == (1, 16, 16, 3)
    with pytest.raises(InputError, match=re.escape("indices run from 2001 to 2001, but there are 2,001 scenes")):
        more.pictures([2001])


def test_indices_are_whole_numbers():
    drawn = DrawnScenes("test", 3, 16)
    assert drawn.pictures(np.array([], int)).shape == (0, 16, 16, 3)
    for indices, sentence in (
        ([-1], "indices run from -1 to -1"), ([0.5], "dtype float64, but integers"), ([True], "dtype bool"),
        ([[0]], "indices has 2 axes"), ("a", "indices has dtype"), (None, "indices has dtype"),
    ):  # fmt: skip
        for f in (drawn.scenes, drawn.pictures, drawn.attributes, drawn.batch):
            with pytest.raises(InputError, match=sentence):
                f(indices)
    with pytest.raises(InputError, match="xp is of type int, but a module"):
        drawn.batch([0], xp=3)


def test_data_that_cannot_be_drawn_are_refused_before_they_are():
    for options, sentence in (
        ({"n": 0}, "n is 0"), ({"n": 2**33}, "n is 8589934592, but a whole number from 1 to 4294967296"),
        ({"size": 15}, "size is 15"), ({"size": 257}, "size is 257"), ({"size": (16, 16)}, "size is"),
        ({"seed": -1}, "seed is -1"), ({"split": "validation"}, "split is 'validation', but one of 'train'"),
    ):  # fmt: skip
        for make in (DrawnScenes, load_scenes):
            with pytest.raises(InputError, match=sentence):
                make(**{"split": "test", "n": 3, "size": 16, **options})


def test_what_no_memory_holds_is_refused(monkeypatch):
    monkeypatch.setenv("TINYDIFF_MEMORY", "0.25")
    with pytest.raises(InputError, match=r"n is 1,000,000, which takes about .* ask for fewer scenes, smaller ones"):
        load_scenes("train", 1_000_000)
    with pytest.raises(InputError, match="n is 4,294,967,296, each with a caption, which takes about"):
        _ = DrawnScenes("train", 2**32).captions
