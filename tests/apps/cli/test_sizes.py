"""Sizes as options: one number or height x width, on the command line, in TOML and in what a run writes down."""

import json

import pytest
from commands import fails

from tinydiff import plot
from tinydiff.apps.cli.main import main, parse
from tinydiff.apps.cli.sizes import read_size, written
from tinydiff.base import InputError
from tinydiff.models import load

SMALL = ["--unet.channels", "8", "--unet.channel-mult", "1", "2", "--unet.blocks-per-level", "1", "--unet.heads", "2"]


@pytest.mark.parametrize(("text", "size"), [("32", 32), ("32x48", (32, 48)), ("1x1", (1, 1))])
def test_a_size_is_one_number_or_height_x_width(text, size):
    assert read_size(text) == size
    assert written(size) == text
    assert parse(["train", "--unet.image-size", text, *SMALL[:2], "--unet.channel-mult", "1"]).unet.image_size == size
    assert parse(["sample", "--size", text]).size == size


def test_without_the_option_a_size_is_what_it_was():
    assert parse(["train"]).unet.image_size == 28
    assert parse(["sample"]).size is None
    assert parse(["sample", "--size", "None"]).size is None
    assert parse(["train", "avatars"]).unet.image_size == 16


@pytest.mark.parametrize("text", ["32x", "x48", "32x48x3", "-4", "3.5", "32 x 48", "big"])
def test_what_is_no_size_is_refused_with_status_2(text, capsys):
    with pytest.raises(InputError, match="no size"):
        read_size(text)
    for command, option in (("train", "--unet.image-size"), ("sample", "--size")):
        fails(capsys, [command, f"{option}={text}"], 2, f"tinydiff: {option}: {text!r} is no size: one number")


def test_the_help_shows_a_size_as_it_is_written(capsys):
    with pytest.raises(SystemExit):
        parse(["train", "--unet.image-size", "8x12", "--help"])
    assert "--unet.image-size SIZE" in capsys.readouterr().out


def test_a_file_gives_a_size_as_one_number_or_a_list(tmp_path, capsys):
    path = tmp_path / "options.toml"
    for value, size in (("12", 12), ("[8, 12]", (8, 12))):
        path.write_text(f"[unet]\nimage_size = {value}\n")
        assert parse(["train", "--config", str(path)]).unet.image_size == size
    assert parse(["train", "--config", str(path), "--unet.image-size", "4x8"]).unet.image_size == (4, 8)
    for value in ("[8]", "[8, 12, 3]", '"8x12"', "[8, 12.5]"):
        path.write_text(f"[unet]\nimage_size = {value}\n")
        assert main(["train", "--config", str(path)]) == 2
        assert "image_size is" in capsys.readouterr().err
    path.write_text("[unet]\nimage_size = [8, 13]\n")
    assert main(["train", "--config", str(path)]) == 2
    assert "image_size is 8 x 13, but height and width must be multiples of" in capsys.readouterr().err


@pytest.mark.slow
def test_a_model_is_trained_on_pictures_that_are_not_square_and_draws_those_and_others(tmp_path, monkeypatch, capsys):
    run = tmp_path / "run"
    train = ["train", "--data", "digits", "--unet.image-size", "8x12", *SMALL, "--out", str(run)]
    train += ["--train.batch", "8", "--train.steps", "4", "--threads", "1"]
    assert main(train) == 0
    assert "1,497 images 8 x 12 x 1, from the package (cut to the middle 5 x 8 of 8 x 8)" in capsys.readouterr().out
    assert json.loads((run / "run.json").read_text())["unet"]["image_size"] == [8, 12]
    assert load(run).config.unet.size == (8, 12)
    assert main(train) == 0  # taken up again: its configuration is the same
    drawn = []
    grid = plot.image_grid
    monkeypatch.setattr(plot, "image_grid", lambda images, **options: drawn.append(images) or grid(images, **options))
    for size in ((), ("--size", "16x8"), ("--size", "6")):
        assert main(["sample", "--model", str(run), "--n", "1", "--steps", "2", *size, "--out", str(tmp_path)]) == 0
    assert [images.shape[1:3] for images in drawn] == [(8, 12), (16, 8), (6, 6)]
    capsys.readouterr()
    assert main(["sample", "--model", str(run), "--n", "1", "--size", "7x8", "--out", str(tmp_path)]) == 2
    assert "tinydiff: --size is 7 x 8, but height and width must be multiples of" in capsys.readouterr().err
    assert main(["evaluate", "--model", str(run), "--n", "4", "--steps", "2"]) == 0
    assert "images 8 x 12 x 1" in capsys.readouterr().out  # no classifier ships for them, so that none judges them
