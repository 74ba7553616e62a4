"""The report on models that draw scenes: what is asked, what counts as right, and two objects with their colours."""

from dataclasses import replace

import numpy as np
import pytest
from latents import latent_diffusion

from tinydiff.apps.cli.evaluate import WRITTEN
from tinydiff.base import InputError
from tinydiff.data import to_floats
from tinydiff.data.scenes import ATTRIBUTES, Scene, answers, compose, describe, render
from tinydiff.evaluate import evaluate_scenes, random_features_frechet, scene_obedience
from tinydiff.evaluate import scenes as module
from tinydiff.models import Verdicts
from tinydiff.networks import AttributeClassifier, AttributeClassifierConfig

SCENES = [compose(i) for i in range(300)]
CAPTIONS = [describe(scene) for scene in SCENES]
NAMED = [caption.named for caption in CAPTIONS]
PAIR = Scene("car", "red", "", 1, "city", "day", "clear", "flat illustration", "left", 1, "robot", "blue")
NAMES = list(ATTRIBUTES)


def read_as(scenes):
    """Return verdicts that find in pictures what these scenes show; where nothing is asked, the first word."""
    found = np.maximum(answers(scenes), 0)
    return Verdicts(ATTRIBUTES, found, np.ones(found.shape))


def test_scenes_read_as_they_are_obey_in_everything():
    found = scene_obedience(read_as(SCENES), SCENES, NAMED)
    assert found.mean == 1
    assert found.binding.value == 1
    assert set(found.attributes) == {"object", "colour", "count", "place", "time", "weather", "style", "position"}


def test_only_what_a_caption_names_is_asked():
    scenes = [replace(scene, time="night" if scene.time == "day" else "day") for scene in SCENES]
    verdicts = read_as(SCENES)
    asked = ["time" in named for named in NAMED]
    found = scene_obedience(verdicts, scenes, NAMED)
    assert found.attributes["time"].value == 0
    assert found.attributes["place"].value == 1
    silent = [named - {"time"} for named in NAMED]
    assert "time" not in scene_obedience(verdicts, scenes, silent).attributes
    assert 0 < sum(asked) < len(asked)


def test_shares_count_right_ones():
    wrong = [replace(scene, place="city" if scene.place != "city" else "lake") for scene in SCENES[:100]] + SCENES[100:]
    found = scene_obedience(read_as(wrong), SCENES, NAMED)
    asked = np.array(["place" in named for named in NAMED])
    assert found.attributes["place"].value == pytest.approx(asked[100:].sum() / asked.sum())


def test_two_objects_must_have_their_own_colours():
    exchanged = replace(PAIR, colour="blue", other_colour="red")
    mirrored = replace(PAIR, position="right")
    free, sided = frozenset({"object", "other", "colour"}), frozenset({"object", "other", "colour", "position"})
    for seen, named, right in (
        (PAIR, free, 1), (PAIR, sided, 1), (exchanged, free, 0), (mirrored, free, 1), (mirrored, sided, 0),
    ):  # fmt: skip
        found = scene_obedience(read_as([seen, SCENES[0]]), [PAIR, SCENES[0]], [named | {"place"}, NAMED[0]])
        assert found.binding.value == right, (seen, named)


def test_the_report_counts_all_and_shows_some(tmp_path):
    judge = AttributeClassifier(AttributeClassifierConfig(16, 3, (4,), 1, 1, 4, attributes=ATTRIBUTES))
    done = []
    text = evaluate_scenes(
        latent_diffusion(), judge, n=9, steps=2, out=tmp_path, progress=lambda step, steps: done.append((step, steps))
    )
    assert done == [(part, 5) for part in range(1, 6)]  # three splits and two prompts, each drawn at once
    lines = text.splitlines()
    assert lines[0].startswith("Captions: 9 of each split, none left out.")
    assert any(line.startswith("mean of attributes") for line in lines)
    assert sum("held out: right in" in line for line in lines) == 2
    assert {path.name for path in tmp_path.iterdir()} <= set(WRITTEN)  # so that a later report takes another folder
    for name in ("pairs", "captions", "seen", "held-out", "swapped", "article-1", "article-2"):
        assert (tmp_path / f"{name}.png").is_file()


def test_the_report_has_the_distances_of_drawn_and_of_real_scenes_to_other_real_ones():
    judge = AttributeClassifier(AttributeClassifierConfig(16, 3, (4,), 1, 1, 4, attributes=ATTRIBUTES))
    text = evaluate_scenes(latent_diffusion(), judge, n=6, steps=1)
    scenes = np.stack([to_floats(render(compose(i, split="test"), 16)) for i in range(12)])
    features = judge.features(scenes).astype(float)
    (mu_1, mu_2), (cov_1, cov_2) = zip(*((x.mean(0), np.cov(x.T)) for x in (features[:6], features[6:])), strict=True)
    of_root = np.sqrt(np.linalg.eigvals(cov_1 @ cov_2).real.clip(0)).sum()  # the trace of the root, another way
    expected = ((mu_1 - mu_2) ** 2).sum() + np.trace(cov_1 + cov_2) - 2 * of_root
    (line,) = [line for line in text.splitlines() if line.startswith("on the judge's features")]
    assert float(line.split()[-1]) == pytest.approx(expected, rel=0.01)
    (line,) = [line for line in text.splitlines() if line.startswith("on random features")]
    drawn, real = map(float, line.split()[-2:])
    assert real == pytest.approx(random_features_frechet(scenes[:6], scenes[6:]), rel=0.01)
    assert drawn > 2 * real  # what a network with random weights draws looks like no scene
    assert "Fréchet" not in evaluate_scenes(latent_diffusion(), judge, n=1, steps=1)  # one picture has no covariance


def test_with_enough_scenes_both_extractors_have_all_distances_with_intervals():
    judge = AttributeClassifier(AttributeClassifierConfig(16, 3, (4,), 1, 1, 4, attributes=ATTRIBUTES))
    real = np.stack([render(compose(i, split="test"), 16) for i in range(20)])
    lines = module._distances(judge, np.full_like(real, 100), real)
    assert [
        line.partition(" on features of ")[2] for line in lines if line.startswith("Distances to 20 real images")
    ] == [
        "the judge:",
        "random convolutions, which see blur:",
    ]
    for name in ("Fréchet distance", "kernel distance", "density", "coverage"):
        for line in (line for line in lines if line.startswith(name)):
            drawn, of_real = (float(cell.split("[")[0]) for cell in (line[46:76], line[76:]))
            assert (drawn > of_real) == (name not in ("density", "coverage")), line  # one grey picture, 20 times
    assert sum(line.startswith("coverage") for line in lines) == 2


def test_pictures_smaller_than_the_judge_reads_are_enlarged_for_it():
    judge = AttributeClassifier(AttributeClassifierConfig(32, 3, (4,), 1, 1, 4, attributes=ATTRIBUTES))
    assert "mean of attributes" in evaluate_scenes(latent_diffusion(), judge, n=2, steps=1)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"scenes": SCENES[:2]}, r"verdicts.indices has shape \(3, 12\), but \(2, 12\) was expected"),
        ({"named": NAMED[:2]}, "named holds 2, but there are 3 scenes"),
        ({"named": ["place"] * 3}, r"named\[0\] is 'place', but a set of names of fields was expected"),
        ({"named": [NAMED[0], None, NAMED[2]]}, r"named\[1\] is None"),
        ({"scenes": [replace(PAIR, object="unicorn")] * 3}, "object is 'unicorn', but one of"),
        (
            {"verdicts": Verdicts({"shape": ("round",)}, np.zeros((3, 1), int), np.ones((3, 1)))},
            "has the attributes sh",
        ),
        ({"verdicts": read_as(SCENES[:3])._replace(indices=np.full((3, 12), 99))}, "something else than numbers of w"),
        ({"verdicts": read_as([]), "scenes": [], "named": []}, "No caption names anything"),
    ],
)
def test_verdicts_scenes_and_captions_that_do_not_fit_are_refused(changes, sentence):
    arguments = {"verdicts": read_as(SCENES[:3]), "scenes": SCENES[:3], "named": NAMED[:3], **changes}
    with pytest.raises(InputError, match=sentence):
        scene_obedience(**arguments)


def test_a_judge_of_something_else_is_refused_before_anything_is_drawn():
    shape = AttributeClassifierConfig(16, 3, (4,), 1, 1, 4, attributes=ATTRIBUTES)
    drawn = []
    for config, sentence in (
        (replace(shape, attributes={"shape": ("round", "flat")}), "judge has the attributes shape, with their words"),
        (replace(shape, attributes=dict(reversed(ATTRIBUTES.items()))), "judge has the attributes right colour"),
        (replace(shape, image_size=(32, 16)), "images are 16 x 16, but 32 x 16 was expected"),
    ):
        with pytest.raises(InputError, match=sentence):
            evaluate_scenes(latent_diffusion(), AttributeClassifier(config), n=2, progress=lambda *at: drawn.append(at))
    assert drawn == []


def test_captions_that_name_nothing_are_refused():
    with pytest.raises(InputError, match="No caption names anything"):
        scene_obedience(read_as(SCENES[:2]), SCENES[:2], [frozenset(), frozenset()])
