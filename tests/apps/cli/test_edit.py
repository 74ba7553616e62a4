"""`tinydiff edit`: pictures edited as a whole, in part, and by models that fill in."""

import numpy as np
import pytest
from commands import TINY, fails, train, without_classes
from PIL import Image

from tinydiff.apps.cli import main
from tinydiff.models import DiffusionModel, load
from tinydiff.plot.pictures import as_png_text


def test_a_picture_is_edited_as_a_whole_or_in_part(portraits, tmp_path, capsys):
    """Each way of editing leaves its picture; what does not fit it is refused, and nothing is written."""
    picture, mask = tmp_path / "in.png", tmp_path / "mask.png"
    Image.new("RGB", (8, 8), (200, 30, 90)).save(picture)
    half = np.zeros((8, 8), np.uint8)
    half[4:] = 255
    Image.fromarray(half).save(mask)
    request = ["edit", "--model", str(portraits), "--image", str(picture), "--n", "2", "--steps", "2"]
    request += ["--prompt", "a person with red hair", "--out", str(tmp_path)]
    assert main(request) == 0
    assert main([*request, "--mask", str(mask), "--resample", "2"]) == 0
    assert main([*request, "--prompt", "red \udcff hair"]) == 0  # a byte that is no text
    assert "Edited" in capsys.readouterr().out
    with Image.open(tmp_path / "edited.png") as drawn:
        assert drawn.width > 100

    fails(capsys, [*request, "--strength", "1.5"], 2, "--strength is 1.5")
    fails(capsys, [*request, "--n", "0"], 2, "--n is 0")
    bad = tmp_path / "bad.png"
    for shape, value, mode, words in [
        ((9, 8), 0, "RGB", "cropped in the middle; brought from 8 x 9 to 8 x 8 pixels"),
        ((9, 8), 0, "L", "brought from 8 x 9"),
        ((8, 8), 0, "RGBA", "transparent parts are put onto white"),
        ((8, 8), 0, "P", ""),
        ((8, 8), 0, "1", ""),
        ((40, 20), 0, "RGB", "brought from 20 x 40 to 8 x 8 pixels"),
    ]:
        Image.new(mode, shape, value).save(bad)
        assert main([*request, "--image", str(bad)]) == 0
        said = capsys.readouterr().out
        assert words in said
        assert (f"{bad}: " in said) == bool(words)
    fails(
        capsys, [*request, "--resample", "2"], 2, "--resample is 2, but steps are repeated only where a part is drawn"
    )
    for words in (["--strength", "0.6"], ["--sampler", "ddim"]):
        fails(capsys, [*request, "--mask", str(mask), *words], 2, f"{words[0]} is ", "leave it out")
    fails(
        capsys, [*request, "--negative", "a hat", "--guidance", "1"], 2, "--negative is 'a hat', but it changes nothing"
    )
    for shape, value, words in [
        ((8, 8), 0, "--mask is black everywhere, so that nothing would be drawn"),
        ((9, 8), 255, "--mask is 8 x 9, but the picture is 8 x 8"),
        ((1, 1), 0, "--mask is black everywhere"),
        ((1, 8), 255, "--mask is 8 x 1, but the picture is 8 x 8"),
        ((8, 8), (255, 0, 0), "holds the colour (255, 0, 0)"),
    ]:
        Image.new("L" if isinstance(value, int) else "RGB", shape, value).save(bad)
        fails(capsys, [*request, "--mask", str(bad)], 2, words)
    fails(capsys, [*request, "--steps", "1", "--strength", "0.9"], 2, "take more steps or a larger strength")
    bad.write_bytes(picture.read_bytes()[:40])
    fails(capsys, [*request, "--image", str(bad)], 1, "bad.png cannot be read")
    fails(capsys, [*request, "--image", str(tmp_path / "none.png")], 1, "none.png is not there.")


def test_a_model_can_be_trained_to_fill_in_and_then_does(tmp_path, capsys):
    assert train(tmp_path, "--unet.image-channels", "2", steps=1) == 0
    picture, mask = tmp_path / "in.png", tmp_path / "mask.png"
    Image.new("L", (8, 8), 130).save(picture)
    Image.new("L", (8, 8), 255).save(mask)
    request = ["edit", "--model", str(tmp_path), "--image", str(picture), "--mask", str(mask), "--label", "3"]
    request += ["--n", "2", "--steps", "2", "--out", str(tmp_path)]
    assert main([*request, "--sampler", "dpmpp_2m"]) == 0
    fails(capsys, [*request, "--resample", "2"], 2, "--resample is 2, but this model was trained to fill in")
    fails(
        capsys,
        ["train", *TINY, "--unet.image-channels", "1", "--out", str(tmp_path / "b")],
        2,
        "--unet.image-channels is 1",
    )


def test_a_model_without_a_condition_edits_without_guidance(tmp_path, capsys):
    """The kind of model that plain `tinydiff train` makes."""
    assert main(["train", *without_classes(TINY), "--train.steps", "1", "--out", str(tmp_path)]) == 0
    assert load(tmp_path).config.unet.num_classes is None
    picture, mask = tmp_path / "in.png", tmp_path / "mask.png"
    Image.new("L", (8, 8), 130).save(picture)
    Image.new("L", (8, 8), 255).save(mask)
    request = ["edit", "--model", str(tmp_path), "--image", str(picture), "--n", "1", "--steps", "3"]
    request += ["--out", str(tmp_path)]
    assert main(request) == 0
    assert main([*request, "--mask", str(mask), "--resample", "1"]) == 0
    fails(capsys, [*request, "--guidance", "2"], 2, "--guidance is 2.0, but this model was trained without a condition")


@pytest.mark.parametrize("masked", [False, True])
def test_guidance_is_2_where_there_is_something_to_follow(trained, portraits, tmp_path, monkeypatch, masked):
    taken, walk = [], DiffusionModel.walk

    def watched(model, request, *arguments):
        taken.append((request.guidance.scale, request.labels))
        return walk(model, request, *arguments)

    monkeypatch.setattr(DiffusionModel, "walk", watched)
    picture, mask = tmp_path / "in.png", tmp_path / "mask.png"
    Image.new("L", (8, 8), 130).save(picture)
    Image.new("L", (8, 8), 255).save(mask)
    request = ["edit", "--image", str(picture), "--n", "1", "--steps", "2", "--out", str(tmp_path)]
    request += ["--mask", str(mask), "--resample", "1"] if masked else []
    assert main([*request, "--model", str(portraits), "--prompt", "red hair"]) == 0
    assert main([*request, "--model", str(trained)]) == 0
    assert main([*request, "--model", str(trained), "--label", "3"]) == 0
    assert main([*request, "--model", str(trained), "--label", "3", "--guidance", "0"]) == 0
    assert taken == [(2, None), (1, 10), (2, 3), (0, 3)]  # 10 is no class


@pytest.mark.parametrize("pictures", ["many", [], None, True, 1, 4, 10**400, float("nan")])
def test_a_sheet_whose_texts_are_damaged_is_refused_too(trained, tmp_path, capsys, pictures):
    text = as_png_text({"tinydiff": "0.1.0", "pictures": pictures})
    Image.new("L", (8, 8)).save(tmp_path / "sheet.png", pnginfo=text)
    shows = "shows 1 picture:" if type(pictures) is int and pictures == 1 else "pictures:"
    fails(capsys, ["edit", "--image", str(tmp_path / "sheet.png"), "--model", str(trained)], 2, "a sheet", shows)
