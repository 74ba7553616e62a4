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


def test_what_is_neither_a_data_set_nor_a_folder_is_told_what_to_give(pets, capsys):
    fails(capsys, ["train", "--data", str(pets / "gone")], 2, "--data is", "there is no such folder here", "digits")
    fails(capsys, ["train", "--data", str(pets / "cat" / "1.png")], 2, "that is a file", f"such as {pets / 'cat'}.")
    fails(capsys, ["train", "my-pictures-32"], 2, "--data is not given: give the folder of your pictures")
    fails(capsys, ["train", str(pets), "--train.flip"], 2, "no recipe", f"tinydiff train --data {pets} --train.flip.")


@pytest.mark.parametrize("name", ["my-pictures-32", "my-pictures-64"])
def test_the_recipes_for_one_s_own_pictures_learn_from_any_folder(name, pets, capsys):
    objective = parse(["train", name, "--data", str(pets)]).prepare(select_device("cpu"))
    unet = objective.model.config.unet
    assert (unet.size, unet.in_channels, unet.num_classes) == ((int(name[-2:]),) * 2, 3, 4)
    assert objective.config.flip
    assert objective.config.validate_every <= 250  # `best` is what matters where pictures are few


def test_the_vector_of_a_text_may_be_added_to_that_of_the_time(tmp_path):
    for i in range(8):
        Image.new("RGB", (8, 8), (30 * i, 0, 200)).save(tmp_path / f"{i}.png")
        (tmp_path / f"{i}.txt").write_text(f"picture {i}")
    text = ["--captions", "--text.layers", "1", "--text.channels", "8", "--text.heads", "2", "--text.length", "16"]
    unet = prepared("--data", tmp_path, *text, "--unet.pooled-channels", "8").model.config.unet
    assert (unet.pooled_channels, unet.context_channels) == (8, 8)


def test_long_lists_are_short_on_the_screen(tmp_path, capsys):
    """Many captions that are too long, or not used, are one line each, before the training and while it runs."""
    for i in range(30):
        Image.new("RGB", (8, 8), (i, 0, 200)).save(tmp_path / f"{i}.png")
        (tmp_path / f"{i}.txt").write_text(f"picture {i}, " + "with very many words " * 20)
    prepared("--data", tmp_path)
    assert "The captions in 30 files, such as 0.txt, are not used: give --captions" in capsys.readouterr().out
    text = ["--captions", "--text.layers", "1", "--text.channels", "8", "--text.heads", "2", "--text.length", "16"]
    assert main(["train", *SMALL, *text, "--data", str(tmp_path), "--out", str(tmp_path / "run")]) == 0
    said = capsys.readouterr()
    (line,) = [line for line in said.out.splitlines() if "tokens" in line]
    assert line.startswith("28 of 28 texts have more tokens (up to ")
    assert "than the 14 that fit" in line
    assert line.endswith("A larger --text.length keeps more.")
    assert said.out.rstrip().endswith('--prompt "..."')  # a model of words is told what to draw
    assert len(line) < 350
    assert "tokens" not in said.err


def test_the_part_that_is_learned_from_is_called_so_and_large_numbers_are_readable(tmp_path, capsys):
    for i in range(1050):
        Image.new("L", (4, 2), i % 256).save(tmp_path / f"{i}.bmp")
        (tmp_path / f"{i}.xyz").touch()
    prepared("--data", tmp_path)
    said = capsys.readouterr().out
    assert f"{tmp_path.name}, training: 997 images 8 x 8 x 1" in said
    assert f"{tmp_path.name}, held out: 53 images" in said
    assert "1,050 of 1,050 pictures: cropped in the middle" in said
    assert "Passed over, by the endings of their names: 1,050 .xyz." in said


@pytest.mark.parametrize("options", [["--captions"], ["--unet.num-classes", "None"]])
def test_nothing_is_said_of_classes_where_there_are_none(options, tmp_path, capsys):
    for i, place in enumerate(["train/a", "train/b", "test"]):
        (tmp_path / place).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (i, 0, 200)).save(tmp_path / place / "1.png")
        (tmp_path / place / "1.txt").write_text("a picture")
    prepared("--data", tmp_path, "--text.layers", "1", "--text.channels", "8", "--text.heads", "2", *options)
    said = capsys.readouterr().out
    assert "count as classes" not in said
    assert "belong to that class" not in said
    prepared("--data", tmp_path)
    said = capsys.readouterr().out
    assert "count as classes" in said
    assert "belong to that class: train/a, train/b." in said


@pytest.mark.parametrize("data", ["avatars", "folder"])
def test_classes_that_are_said_to_be_unused_beside_captions_are_none(data, pets, capsys):
    of = ["--images", "20", "--unet.in-channels", "3"] if data == "avatars" else []
    if data == "folder":
        for picture in pets.rglob("*.png"):
            picture.with_suffix(".txt").write_text("a picture")
    text = ["--captions", "--text.layers", "1", "--text.channels", "8", "--text.heads", "2"]
    place = data if data == "avatars" else pets
    config = prepared("--data", place, *of, *text, "--unet.num-classes", "4").model.config
    assert "--unet.num-classes is given, but labels are not used, since captions are learned" in capsys.readouterr().out
    assert config.unet.num_classes is None


def test_a_run_goes_on_with_its_own_pictures_only_and_says_how_to_learn_from_others(pets, tmp_path, capsys):
    run = ["train", *SMALL, "--data", str(pets), "--out", str(tmp_path / "run")]
    assert main(run) == 0
    Image.new("RGB", (8, 8)).save(pets / "cat" / "new.png")
    fails(capsys, run, 2, "The number of images is", "let a new run start from the model of this one")
    (pets / "elk").mkdir()
    (pets / "cat" / "new.png").rename(pets / "elk" / "new.png")
    fails(capsys, run, 2, "--unet.num-classes is 5, but the run in", "let a new run start from the model of this one")


def test_a_run_that_goes_on_does_not_say_that_it_starts_from_another(pets, tmp_path, capsys):
    assert main(["train", *SMALL, "--data", str(pets), "--out", str(tmp_path / "one")]) == 0
    tuned = ["train", "--start-from", str(tmp_path / "one"), "--data", str(pets), "--out", str(tmp_path / "two")]
    tuned += ["--train.batch", "4", "--train.steps", "1", "--train.validation-images", "4"]
    capsys.readouterr()
    assert main(tuned) == 0
    said = capsys.readouterr().out
    assert "Starting from" in said
    assert "The learning rate rises for 100 steps (--train.warmup), but the run has 1" in said
    assert main(tuned) == 0
    said = capsys.readouterr().out
    assert "Starting from" not in said
    assert "already; a larger --train.steps goes on." in said
