"""`tinydiff train` on one's own pictures: what the folder decides, what is kept with the model, and what is said."""

import json

import numpy as np
import pytest
from commands import fails
from PIL import Image

from tinydiff.apps.cli import main
from tinydiff.apps.cli.main import parse
from tinydiff.apps.cli.train import Train
from tinydiff.base import select_device
from tinydiff.models import load

SMALL = ["--unet.image-size", "8", "--unet.channels", "8", "--unet.channel-mult", "1", "2", "--train.micro-batch", "4"]
SMALL += ["--unet.blocks-per-level", "1", "--train.batch", "4", "--train.steps", "1", "--train.validation-images", "4"]


@pytest.fixture
def pets(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("dog", "cat", "10", "9"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for i in range(3):
            pixels = rng.integers(0, 256, (8, 8, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pets" / name / f"{i}.png")
    return tmp_path / "pets"


def prepared(*options):
    return parse(["train", *SMALL, *map(str, options)]).prepare(select_device("cpu"))


def test_channels_and_classes_are_those_of_the_folder_and_names_are_kept(pets, tmp_path, capsys):
    assert main(["train", *SMALL, "--data", str(pets), "--out", str(tmp_path / "run")]) == 0
    assert "Classes: 0 = 9, 1 = 10, 2 = cat, 3 = dog.\n" in capsys.readouterr().out
    config = load(tmp_path / "run").config
    assert (config.unet.in_channels, config.unet.num_classes) == (3, 4)
    assert config.class_names == ("9", "10", "cat", "dog")
    assert json.loads((tmp_path / "run" / "run.json").read_text())["unet"]["in_channels"] == 3


def test_what_is_given_wins_on_the_command_line_and_in_a_file(pets, tmp_path, capsys):
    """Also where it is the default's value."""
    given = prepared("--data", pets, "--unet.in-channels=1", "--unet.num-classes", "None").model.config.unet
    assert (given.in_channels, given.num_classes) == (1, None)
    said = capsys.readouterr().out
    assert "12 of 12 pictures: colour is dropped (1 channel): leave --unet.in-channels out to keep it." in said
    assert "The class folders 9, 10, cat, dog are not used" in said
    (tmp_path / "run.toml").write_text("[unet]\nin_channels = 1\nnum_classes = 6\n")
    config = prepared("--config", tmp_path / "run.toml", "--data", pets).model.config
    assert (config.unet.in_channels, config.unet.num_classes) == (1, 6)
    assert config.class_names == ("9", "10", "cat", "dog", "class 4", "class 5")


def test_a_command_made_in_python_counts_as_given(pets):
    unet = parse(["train", *SMALL]).unet
    config = Train(data=str(pets), unet=unet).prepare(select_device("cpu")).model.config
    assert (config.unet.in_channels, config.unet.num_classes) == (1, None)


def test_a_run_of_grey_pictures_without_classes_goes_on(pets, tmp_path, capsys):
    """As all folders were read once: the same command goes on, whatever the folder would decide by now."""
    given = ["--unet.in-channels", "1", "--unet.num-classes", "None"]
    options = ["--data", str(pets), "--out", str(tmp_path / "run")]
    assert main(["train", *SMALL, *given, *options]) == 0
    capsys.readouterr()
    assert main(["train", *SMALL, *options]) == 0
    said = capsys.readouterr().out
    assert "12 of 12 pictures: colour is dropped" in said
    assert "The class folders 9, 10, cat, dog are not used" in said
    assert load(tmp_path / "run").config.unet.in_channels == 1


@pytest.mark.parametrize(
    ("options", "lines"),
    [
        (["--data", "mnist-small"], ["The labels of the 10 classes are not used: give --unet.num-classes 10"]),
        (["--data", "digits", "--unet.num-classes", "10"], []),
        (
            ["--data", "digits", "--unet.num-classes", "12"],
            ["but the data have 10: nothing is learned of classes 10 to"],
        ),
        (["--data", "avatars", "--images", "9"], ["The labels of the", "The captions are not used: give --captions"]),
    ],
)
def test_what_is_not_used_of_a_shipped_set_is_said(options, lines, capsys):
    prepared(*options)
    said = capsys.readouterr().out.splitlines()[2:]
    assert len(said) == len(lines)
    assert all(line in sentence for line, sentence in zip(lines, said, strict=True))


def test_a_shipped_set_decides_its_channels(capsys):
    assert prepared("--data", "avatars", "--images", "9").model.config.unet.in_channels == 3


def test_options_of_folders_are_refused_for_others(capsys):
    fails(capsys, ["train", *SMALL, "--fit", "pad"], 2, "--fit is 'pad', but only a folder's pictures are fitted")
    fails(capsys, ["train", *SMALL, "--background", "red"], 2, "--background is 'red', but only")


def test_bad_options_of_folders_are_one_sentence(pets, capsys):
    data = ["train", *SMALL, "--data", str(pets)]
    fails(capsys, [*data, "--background", "reddish"], 2, "--background is 'reddish', but a colour was expected")
    fails(capsys, [*data, "--fit", "squeeze"], 2, "squeeze")
    fails(capsys, [*data, "--unet.in-channels", "2"], 2, "--unet.in-channels is 2, but pictures have 1 channel")
    fails(capsys, [*data, "--captions"], 2, "--captions was given, but", "has none")
    Image.new("L", (8, 8)).save(pets / "cover.png")
    fails(capsys, data, 2, "outside its class folders, such as cover.png (1 of 13)", "give --unet.num-classes None")


def test_a_classifier_learns_the_classes_of_a_folder(pets, tmp_path, capsys):
    options = ["train", "--objective", "classify", "--network.image-size", "8", "--network.channels", "8", "8"]
    options += ["--train.steps", "1", "--train.batch", "4", "--out", str(tmp_path / "run"), "--data"]
    assert main([*options, str(pets)]) == 0
    said = capsys.readouterr().out
    assert "Classes: 0 = 9, 1 = 10, 2 = cat, 3 = dog." in said
    config = load(tmp_path / "run").config
    assert (config.in_channels, config.num_classes) == (3, 4)
    (pets / "1.txt").write_text("")
    fails(capsys, [*options, str(pets / "cat")], 2, "has no two subfolders with pictures")


def test_help_says_the_form_of_a_folder(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    said = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for words in (
        "cat/1.png, dog/2.png",
        "captions.csv",
        "metadata.jsonl",
        "1.txt beside 1.png",
        "--fit",
        "--background",
    ):
        assert words in said
    assert "--given" not in said
