"""`tinydiff train --enlarges` and `tinydiff edit` with what it has made: a picture becomes a larger one."""

import json
import shutil

import numpy as np
import pytest
from commands import fails
from PIL import Image

from tinydiff.apps.cli import main
from tinydiff.models import Enlarger, Request, load

NET = ["--unet.channels", "8", "--unet.channel-mult", "1", "2", "--unet.blocks-per-level", "1", "--unet.heads", "2"]
TRAIN = ["train", "--data", "digits", "--unet.image-size", "8", "--unet.patch", "2", *NET]
TRAIN += ["--train.batch", "8", "--train.warmup", "1", "--train.validation-images", "8", "--train.steps", "2"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return the folder of a run, which tests leave as it is."""
    out = tmp_path_factory.mktemp("runs") / "enlarger"
    assert main([*TRAIN, "--enlarges", "2", "--train.image-noise", "0.3", "--out", str(out)]) == 0
    return out


@pytest.fixture
def picture(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 4)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "small.png")
    return tmp_path / "small.png"


@pytest.mark.slow
def test_a_model_that_enlarges_is_trained_and_trained_on(trained, tmp_path, capsys):
    model = load(trained, kind=Enlarger)
    unet = model.config.unet
    assert (model.factor, model.image_noise, unet.image_channels, unet.image_time) == (2, 0.1, 1, True)
    assert json.loads((trained / "run.json").read_text())["enlarges"] == 2
    assert main([*TRAIN, "--start-from", str(trained), "--out", str(tmp_path / "on")]) == 0
    assert "Taken (100.0% of the weights)" in capsys.readouterr().out
    assert load(tmp_path / "on", kind=Enlarger).factor == 2
    assert main([*TRAIN, "--enlarges", "4", "--train.image-noise", "0", "--out", str(tmp_path / "clean")]) == 0
    clean = load(tmp_path / "clean", kind=Enlarger)
    assert (clean.factor, clean.image_noise, clean.config.unet.image_time) == (4, 0, False)


def test_a_picture_is_enlarged(trained, picture, tmp_path, capsys):
    edit = ["edit", "--model", str(trained), "--image", str(picture), "--n", "2", "--steps", "3", "--seed", "7"]
    assert main([*edit, "--out", str(tmp_path / "a")]) == 0
    model = load(trained)
    with Image.open(picture) as file:
        small = (np.asarray(file, np.float32) / 127.5 - 1)[None, :, :, None].repeat(2, axis=0)
    drawn = model.enlarge(small, Request(seed=7), "ddim", 3)
    with Image.open(tmp_path / "a" / "pictures" / "001.png") as file:
        np.testing.assert_array_equal(np.asarray(file), np.round((drawn[1, :, :, 0] + 1) * 127.5).astype(np.uint8))
        assert file.size == (8, 8)
    assert main([*edit, "--image-noise", "0.6", "--out", str(tmp_path / "b")]) == 0
    assert main([*edit, "--size", "16x8", "--fit", "pad", "--out", str(tmp_path / "c")]) == 0
    with Image.open(tmp_path / "c" / "pictures" / "000.png") as file:
        assert file.size == (8, 16)
    a, b = ((tmp_path / name / "pictures" / "001.png").read_bytes() for name in "ab")
    assert a != b


def test_a_run_goes_on_only_with_its_own_factor(trained, tmp_path, capsys):
    out = tmp_path / "run"
    shutil.copytree(trained, out)
    more = [*TRAIN[:-1], "4", "--train.image-noise", "0.3", "--out", str(out)]
    fails(capsys, [*more, "--enlarges", "4"], 2, "--enlarges is 4, but the run in", "has 2")
    assert main([*more, "--enlarges", "2"]) == 0


def test_it_is_refused_where_pictures_are_drawn_of_words_alone(trained, capsys):
    for command in (["sample", "--steps", "2"], ["evaluate"], ["serve"]):
        fails(capsys, [*command, "--model", str(trained)], 2, "draws none by itself", "tinydiff edit --image PICTURE")


def test_what_does_not_fit_is_one_clear_sentence(trained, picture, tmp_path, capsys):
    out = tmp_path / "new" / "out"
    edit = ["edit", "--model", str(trained), "--image", str(picture), "--steps", "2", "--out", str(out)]
    for options, sentence in [
        (["--strength", "0.5"], "--strength is 0.5, but this model enlarges the picture as a whole"),
        (["--mask", str(picture)], "but this model enlarges the picture as a whole"),
        (["--image-noise", "2"], "--image-noise is 2"),
        (["--steps", "0"], "--steps is 0"),
        (["--size", "18"], "--size is 18 x 18"),
        (["--prompt", "a cabin"], "this model does not read text"),
    ]:
        fails(capsys, [*edit, *options], 2, sentence)
        assert not out.exists(), options
    plain = ["edit", "--image", str(picture), "--image-noise", "0.5", "--out", str(tmp_path)]
    fails(capsys, plain, 2, "--image-noise is 0.5, but this model does not enlarge pictures")
    for options, sentence in [
        (["--train.image-noise", "0.3"], "--train.image-noise is 0.3, but nothing is enlarged"),
        (["--enlarges", "1"], "--enlarges is 1"),
        (["--enlarges", "3"], "--unet.image-size is 8 x 8, but height and width must be multiples of 3"),
        (["--enlarges", "2", "--unet.image-channels", "5"], "--unet.image-channels is 5, but a network that enlarges"),
        (["--enlarges", "2", "--unet.no-image-time"], "--unet.image-time is False, but a network that enlarges"),
        (["--enlarges", "2", "--train.image-noise", "1.5"], "--train.image-noise is 1.5"),
    ]:
        fails(capsys, [*TRAIN, *options, "--out", str(tmp_path / "x")], 2, sentence)
