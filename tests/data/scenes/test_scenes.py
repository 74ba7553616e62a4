"""Scenes: which there are, what they look like, and what a data set of them holds."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from tinydiff.base import InputError
from tinydiff.data import DATASETS
from tinydiff.data.scenes import (
    ATTRIBUTES,
    DrawnScenes,
    Scene,
    answers,
    compose,
    load_scenes,
    painting,
    render,
    sets,
)
from tinydiff.data.scenes.compose import HELD_OUT, SPLITS, held_out, is_natural
from tinydiff.data.scenes.objects import OBJECTS
from tinydiff.data.scenes.places import PAINTED
from tinydiff.data.scenes.scene import PLACES

SOME = [compose(i) for i in range(400)]
CABIN = Scene("cabin", "red", "", 1, "meadow", "day", "clear", "flat illustration", "middle", 7)


def shown(scene, size=64):
    return render(scene, size).astype(int)


def test_every_place_is_painted_and_every_object_has_somewhere_to_be():
    assert set(PAINTED) == set(PLACES)
    for drawing in OBJECTS.values():
        assert set(drawing.places) <= set(PLACES)
        for place in drawing.places:
            assert drawing.stands in PAINTED[place].phrases


def test_a_scene_depends_on_its_index_alone():
    assert [compose(i) for i in (3, 1, 2)] == [SOME[i] for i in (3, 1, 2)]
    assert compose(3, seed=1) != SOME[3]
    assert compose(3, split="test") != SOME[3]
    assert (render(SOME[5]) == render(SOME[5])).all()


def test_training_and_test_never_show_what_is_held_out():
    assert not any(held_out(scene) for scene in SOME)
    assert not any(held_out(compose(i, split="test")) for i in range(200))


def test_the_split_for_judges_has_both():
    shares = np.mean([held_out(compose(i, split="any")) for i in range(300)])
    assert 0.05 < shares < 0.4


def test_held_out_scenes_each_show_one_of_the_combinations():
    scenes = [compose(i, split="held-out") for i in range(70)]
    assert all(held_out(scene) for scene in scenes)
    for scene, (name, word) in zip(scenes, HELD_OUT * 10, strict=True):
        assert scene.object == name
        assert word in (scene.place, scene.time, scene.weather, scene.colour)


def test_swapped_scenes_differ_by_an_exchange_of_two_colours():
    for pair in range(30):
        one, two = compose(2 * pair, split="swapped"), compose(2 * pair + 1, split="swapped")
        assert one.other
        assert one.colour != one.other_colour
        assert two == replace(one, colour=one.other_colour, other_colour=one.colour)
        assert not held_out(one)
        assert one.other_colour in OBJECTS[one.object].colours


def test_all_words_occur_and_scenes_are_natural():
    assert all(is_natural(scene) for scene in SOME)
    assert {scene.object for scene in SOME} == set(OBJECTS)
    for field in ("place", "time", "weather", "style"):
        assert {getattr(scene, field) for scene in SOME} == set(ATTRIBUTES[field])
    share = Counter(scene.object for scene in SOME)
    assert max(share.values()) < 4 * min(share.values())


def test_several_of_a_kind_have_no_position_and_two_kinds_have_different_colours():
    for scene in SOME:
        assert (scene.position == "") == (scene.count > 1)
        if scene.other:
            assert scene.count == 1
            assert scene.other != scene.object
            assert scene.other_colour not in ("", scene.colour)
            assert scene.position in ("left", "right")


def test_answers_are_the_words_of_the_scene():
    found = answers(SOME)
    names = list(ATTRIBUTES)
    for row, scene in zip(found, SOME, strict=True):
        said = {name: ATTRIBUTES[name][i] for name, i in zip(names, row, strict=True) if i >= 0}
        assert said["place"] == scene.place
        assert said["weather"] == scene.weather
        if scene.other:
            mine, others = ("left", "right") if scene.position == "left" else ("right", "left")
            assert (said[f"{mine} object"], said[f"{others} colour"]) == (scene.object, scene.other_colour)
            assert not {"object", "colour", "count", "position"} & set(said)
        else:
            assert said["object"] == scene.object
            assert said.get("colour", "") == scene.colour
            assert said["count"] == ("one", "two", "three")[scene.count - 1]
            assert said.get("position", "") == scene.position


def test_a_scene_looks_alike_at_any_size():
    for scene in SOME[:40]:
        large, small = shown(scene, 128), shown(scene, 64)
        if scene.style == "pixel art":
            continue  # whose cells lie otherwise on the pixels of each size
        reduced = large.reshape(64, 2, 64, 2, 3).mean(axis=(1, 3))
        assert ((reduced - small) ** 2).mean() < 120  # of 255**2: 27 dB


@pytest.mark.parametrize("size", [16, 17, 32, 48, 100, 256])
def test_pictures_have_the_size_that_was_asked_for(size):
    for style in ATTRIBUTES["style"]:
        picture = render(replace(CABIN, style=style), size)
        assert picture.shape == (size, size, 3)
        assert picture.dtype == np.uint8
        assert picture.std() > 20


@pytest.mark.slow
def test_what_a_scene_names_can_be_seen(monkeypatch):
    pictures = [shown(scene) for scene in SOME]
    monkeypatch.setattr(painting, "_paint_object", lambda *_: None)
    for scene, picture in zip(SOME, pictures, strict=True):
        changed = (abs(shown(scene) - picture).max(axis=-1) >= 24).mean()
        assert changed > 0.02, scene  # 80 of 4,096 pixels, the smallest object in the distance


def test_each_word_changes_the_picture():
    for changed in (
        {"colour": "blue"}, {"size": "small"}, {"count": 2, "position": ""}, {"place": "lake"}, {"time": "night"},
        {"weather": "rain"}, {"style": "line drawing"}, {"position": "left"}, {"object": "tent"}, {"seed": 8},
        {"other": "tree", "other_colour": "pink", "position": "left"},
    ):  # fmt: skip
        assert (abs(shown(CABIN) - shown(replace(CABIN, **changed))).max(axis=-1) > 16).mean() > 0.01, changed


def test_the_position_is_where_the_object_is(monkeypatch):
    by_day = [scene for scene in SOME if scene.time != "night"]  # at night, a lighthouse's beam is wide
    scenes = [scene for scene in by_day if scene.position in ("left", "middle", "right") and not scene.other]
    pictures = [shown(scene) for scene in scenes]
    monkeypatch.setattr(painting, "_paint_object", lambda *_: None)
    for scene, picture in zip(scenes, pictures, strict=True):
        weight = abs(shown(scene) - picture).sum(axis=(0, 2))
        middle = (weight * (np.arange(64) + 0.5)).sum() / weight.sum() / 64
        assert {"left": middle < 0.44, "middle": 0.38 < middle < 0.62, "right": middle > 0.56}[scene.position], scene


def test_the_cells_of_pixel_art_lie_otherwise_in_each_scene():
    edges = Counter()
    for seed in range(20):
        picture = shown(replace(CABIN, style="pixel art", seed=seed), 128)
        steps = (abs(np.diff(picture, axis=1)).sum(axis=(0, 2)) > 0).nonzero()[0] % 4
        assert len(set(steps)) == 1  # cells of 4 pixels
        edges[int(steps[0])] += 1
    assert len(edges) > 2


@pytest.mark.parametrize("at_a_time", [250, 5])  # at once in this process, and in pieces in several
def test_scenes_drawn_as_needed_are_those_of_the_data_set(at_a_time, monkeypatch):
    monkeypatch.setattr(sets, "AT_A_TIME", at_a_time)
    drawn, held = DrawnScenes("test", 12, size=32), load_scenes("test", 12, size=32)
    images, objects = drawn.batch([7, 2])
    assert (images == held.batch([7, 2])[0]).all()
    assert (objects == held.labels[[7, 2]]).all()
    assert drawn.captions == held.captions
    assert len(drawn) == 12
    assert [held.class_names[i] for i in held.labels] == [scene.object for scene in drawn.scenes(range(12))]
    assert (drawn.attributes([3, 4]) == answers(drawn.scenes([3, 4]))).all()


def test_scenes_are_on_the_list_of_data_sets():
    assert DATASETS["scenes"].splits == tuple(SPLITS)
    assert DATASETS["scenes"].load("swapped", 4).images.shape == (4, 64, 64, 3)


def test_what_does_not_fit_is_refused():
    for size in (15, 257, 64.5):
        with pytest.raises(InputError, match="size"):
            render(CABIN, size)
    with pytest.raises(InputError, match="split is 'validation', but one of 'train'"):
        compose(0, split="validation")
    with pytest.raises(InputError, match="indices run from 12 to 12, but there are 12 scenes"):
        DrawnScenes("test", 12).batch([12])
    with pytest.raises(InputError, match="captions of scenes say left and right"):
        DrawnScenes("test", 12).batch([1], flip=np.array([True]))


def test_the_number_of_an_object_is_that_of_the_first_one_where_there_are_two():
    drawn, held = DrawnScenes("swapped", 6, size=16), load_scenes("swapped", 6, size=16)
    assert (drawn.batch(range(6))[1] == held.labels).all()
    assert held.labels.min() >= 0
