"""`tinydiff join`: models that draw one after the other become one, and what does not go together is refused."""

from dataclasses import replace

import numpy as np
import pytest
from commands import fails
from enlargers import base, cascade, enlarger
from latents import SCENES
from unclips import clip, decoder, of_latents, prior, unclip

from tinydiff.apps.cli import main
from tinydiff.models import Request, load, read_about, save


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    models = {
        "base": base(),
        "to-16": enlarger(16),
        "to-32": enlarger(32, None, seed=2),
        "cascade": cascade(),
        "clip": clip(),
        "prior": prior(),
        "decoder": decoder(),
        "unclip": unclip(),
        "of-latents": of_latents(),
    }
    for name, model in models.items():
        save(folder / name, model, data=f"pictures of {name}", step=7)
    return folder


def join(folders, out, *names, more=()):
    return ["join", *(str(folders / name) for name in names), "--out", str(out), *more]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("names", "whole"),
    [
        (("base", "to-16", "to-32"), "cascade"),
        (("prior", "decoder"), "unclip"),
        (("prior", "of-latents/decoder"), "of-latents"),
    ],
)
def test_joined_models_draw_what_they_draw_together(folders, tmp_path, capsys, names, whole):
    assert main(join(folders, tmp_path / "out", *names)) == 0
    assert f"Joined {len(names)} models" in capsys.readouterr().out
    request = Request(n=1, prompt=SCENES.captions[0], guidance=2, seed=4)
    drawn, expected = (load(model).draw(request, "ddim", 2) for model in (tmp_path / "out", folders / whole))
    np.testing.assert_array_equal(drawn, expected)


def test_a_cascade_is_made_longer_and_the_origin_of_each_part_is_kept(folders, tmp_path):
    assert main(join(folders, tmp_path / "two", "base", "to-16")) == 0
    assert main(join(tmp_path, tmp_path / "three", "two", folders / "to-32")) == 0
    assert load(tmp_path / "three").picture_shape == cascade().picture_shape
    origins = {part: read_about(tmp_path / "three" / part)["data"] for part in ("base", "stage_1", "stage_2")}
    assert origins == {"base": "pictures of base", "stage_1": "pictures of to-16", "stage_2": "pictures of to-32"}
    assert read_about(tmp_path / "three" / "stage_2")["step"] == 7
    assert "data" not in read_about(tmp_path / "three")


def test_the_whole_has_learned_from_what_all_its_parts_have(tmp_path):
    for name, model in (("small", base()), ("larger", enlarger(16))):
        save(tmp_path / name, model, data="scenes")
    assert main(join(tmp_path, tmp_path / "out", "small", "larger")) == 0
    assert read_about(tmp_path / "out")["data"] == "scenes"


def test_weights_of_16_bits_take_half_the_room(folders, tmp_path):
    sizes = []
    for name, more in (("whole", ()), ("half", ("--half",))):
        assert main(join(folders, tmp_path / name, "base", "to-16", more=more)) == 0
        sizes.append(sum(weights.stat().st_size for weights in (tmp_path / name).rglob("model.safetensors")))
    assert sizes[1] < 0.75 * sizes[0]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ((), "No model is given, but at least two were expected"),
        (("base",), "base is one model, but at least two were expected"),
        (("to-16", "to-32"), "to-16, but one that draws small pictures, a cascade, or a prior was expected"),
        (("clip", "decoder"), "clip, but one that draws small pictures"),
        (("base", "decoder"), "decoder is a diffusion model, but a model that enlarges pictures was expected"),
        (("base", "to-32"), "to-32 draws pictures of 32 x 32"),
        (("decoder", "prior"), "decoder is the decoder of an unCLIP, but its prior draws first"),
        (("prior", "prior"), "do not go together. decoder is a prior, which draws embeddings"),
        (("prior", "to-16"), "do not go together. decoder enlarges pictures"),
        (("prior", "base"), "do not go together. decoder draws of words alone"),
        (("prior", "unclip"), "unclip is an unCLIP, but a diffusion model was expected"),
        (("prior", "decoder", "to-32"), "prior is a prior, to which one decoder belongs, but 2 were given"),
        (("cascade", "to-16"), "do not go together"),
    ],
)
def test_what_does_not_go_together_is_one_clear_sentence(folders, tmp_path, capsys, names, words):
    fails(capsys, join(folders, tmp_path / "out", *names), 2, words)
    assert not (tmp_path / "out").exists()


def test_weights_too_large_for_16_bits_are_refused_and_nothing_is_left(tmp_path, capsys):
    stage = enlarger(16)
    save(tmp_path / "base", base())
    save(tmp_path / "large", replace(stage, network=stage.network.bind(stage.network.theta + 1e6)))
    fails(capsys, join(tmp_path, tmp_path / "out", "base", "large", more=["--half"]), 2, "--half is True, but ")
    assert not (tmp_path / "out").exists()
    assert main(join(tmp_path, tmp_path / "out", "base", "large")) == 0


def test_nothing_is_written_over(folders, tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("kept")
    fails(capsys, join(folders, tmp_path, "base", "to-16"), 2, "where there is something already: give a new folder")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
