"""Captions of scenes: they are English, true, and say which words they name."""

import re
from dataclasses import replace

from tinydiff.data.scenes import compose, describe
from tinydiff.data.scenes.light import PALETTE
from tinydiff.data.scenes.objects import OBJECTS
from tinydiff.data.scenes.scene import PLACES

SCENES = [compose(i) for i in range(600)]
SAYS = {  # words that a caption has exactly if it names such a thing
    "sunset": r"sunset|dusk|evening",
    "night": r"night|moonlight|stars",
    "rain": r"\brain|rainy|rains",
    "snow": r"\bsnow\b|\bsnows\b|snowy day",
    "clouds": r"cloud",
    "pixel art": r"pixel art",
    "line drawing": r"line drawing|sketch",
    "flat illustration": r"flat",
}


def names(noun):
    return rf"\b{noun}\b"


def test_captions_are_tidy():
    for scene in SCENES:
        text = describe(scene).text
        assert re.fullmatch(r"[a-z][a-z,\- ]*[a-z]", text), text
        assert "  " not in text
        assert " ," not in text
        assert ", ," not in text
        assert not re.search(r"\ba [aeiou]|\ban [^aeiou]", text), text


def test_a_caption_names_what_it_says_it_names_and_nothing_else():
    for scene in SCENES:
        text, named = describe(scene)
        nouns = {
            noun
            for name in (scene.object, scene.other)
            if name
            for pair in OBJECTS[name].nouns.items()
            for noun in pair
        }
        assert any(re.search(names(noun), text) for noun in nouns)
        for field in ("time", "weather", "style"):
            word = getattr(scene, field)
            if word in SAYS:
                assert bool(re.search(SAYS[word], text)) == (field in named), (text, field)
        for field in ("colour", "other_colour"):
            if word := getattr(scene, field):
                assert bool(re.search(names(word), text)) == (field in named), text


def test_captions_are_true():
    for scene in SCENES:
        text = re.sub(
            r"snowy mountain|green meadow|snowman|snowmen|under the stars|flat colours", "", describe(scene).text
        )
        for word, pattern in SAYS.items():
            if re.search(pattern, text):
                assert word in (scene.time, scene.weather, scene.style), text
        for colour in PALETTE:
            if re.search(names(colour), text):
                assert colour in (scene.colour, scene.other_colour), text
        for side in ("left", "right", "middle"):
            if re.search(names(side), text):
                assert scene.other or scene.position == side, text


def test_the_sides_of_two_objects_are_said_rightly():
    pairs = [scene for scene in SCENES if scene.other]
    assert len(pairs) > 20
    for scene in pairs:
        text, named = describe(scene, everything=True)
        left, right = (scene.object, scene.other) if scene.position == "left" else (scene.other, scene.object)
        for side, name in (("left", left), ("right", right)):
            before = text[: text.index(f"on the {side}")]
            last = before.split(" and ")[-1]
            assert any(noun in last for noun in OBJECTS[name].nouns), text
        assert {"colour", "other", "other_colour", "position"} <= named


def test_captions_vary_and_may_leave_out():
    scene = replace(SCENES[0], object="car", colour="red", place="city", time="night", weather="rain", position="left")
    texts = {describe(scene, seed).text for seed in range(200)}
    assert len(texts) > 100
    assert any("red" not in text for text in texts)
    assert any(text.count(" ") < 5 for text in texts)
    assert any(text.count(" ") > 14 for text in texts)
    named = [describe(scene, seed).named for seed in range(200)]
    assert all(
        {"colour", "place", "time", "weather"} <= describe(scene, seed, everything=True).named for seed in range(9)
    )
    assert any("place" not in some for some in named)


def test_the_place_is_said_in_words_that_fit_the_object():
    for scene in SCENES:
        text, named = describe(scene)
        if "place" in named and OBJECTS[scene.object].stands == "sky":
            assert re.search(r"over|above|" + "|".join(PLACES), text), text
        if scene.position == "top" and "place" in named:
            assert re.search(r"top|high on|on a snowy mountain", text), text
