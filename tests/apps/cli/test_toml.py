"""A TOML file can hold a run, and one that cannot be used is one sentence."""

import json
from dataclasses import replace

import pytest
from commands import TINY, fails

from tinydiff.apps.cli import main
from tinydiff.apps.cli.main import parse
from tinydiff.apps.cli.train import Train
from tinydiff.models import load


def test_a_toml_file_can_hold_a_run(tmp_path):
    toml = tmp_path / "run.toml"
    toml.write_text(
        f'data = "digits"\nout = "{(tmp_path / "run").as_posix()}"\n[unet]\nimage_size = 8\nchannels = 8\n'
        "channel_mult = [1, 2]\nblocks_per_level = 1\nheads = 2\n[train]\nsteps = 2\nbatch = 4\nmicro_batch = 4\n"
    )
    assert main(["train", "--config", str(toml), "--train.steps", "3"]) == 0
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    assert run["train"]["steps"] == 3
    assert run["unet"]["heads"] == 2
    assert load(tmp_path / "run").config.unet.num_classes is None
    assert load(tmp_path / "run").config.unet.channel_mult == (1, 2)


def test_a_value_of_the_command_line_may_be_called_train(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.toml").write_text("[train]\nsteps = 1\n")
    assert main(["train", "--config=run.toml", *TINY, "--out", "train"]) == 0
    assert load(tmp_path / "train").config.unet.image_size == 8


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("nonsense = 1\n[folly]", "run.toml: there is no option nonsense or folly; there are: config, objective,"),
        ("[train]\nsteps = 0", "run.toml: train.steps is 0, but a whole number of at least 1 was expected"),
        ("= =", "TOML"),
        ("[train]\nnonsense = 1", "there is no option train.nonsense; there are in train: steps, batch"),
        ('[train]\nsteps = "many"', "run.toml: train.steps is 'many', but a whole number was expected"),
        ("[train]\nsteps = 2.5", "train.steps is 2.5, but a whole number"),
        ("[train]\nlr = true", "train.lr is True, but a number"),
        ("[train]\nbetas = [0.9]", "train.betas is [0.9], but a list of 2 numbers"),
        ("[train]\nseed = -1", "train.seed is -1"),
        ("[train]\nvalidation_images = 0", "train.validation_images is 0"),
        ("[unet]\nchannel_mult = 3", "unet.channel_mult is 3, but a list of whole numbers"),
        ("[unet]\nimage_size = 9", "unet.image_size is 9 x 9, but height and width must be multiples"),
        ("[unet]\nimage_size = [8, 9, 8]", "unet.image_size is [8, 9, 8], but a whole number or a list of 2 whole"),
        ('schedule = "mine"', "schedule is 'mine', but one of 'linear', 'scaled_linear'"),
        ("out = 3", "out is 3, but a path"),
        ('threads = "all"', "threads is 'all', but a whole number or null"),
        ('config = "more.toml"', "run.toml: config is 'more.toml', but a file is not read from within another"),
        ("objective = 3", "run.toml: objective is 3, but one of"),
        ("train = 3", "train is 3, but a table"),
        ("[kind]\nv = 1", "kind is {'v': 1}, but one of"),
        ("unet = 3", "unet is 3, but a table"),
    ],
)
def test_a_bad_toml_file_is_one_sentence(tmp_path, capsys, text, word):
    (tmp_path / "run.toml").write_text(text)
    fails(capsys, ["train", "--config", str(tmp_path / "run.toml")], 2, word)


def test_a_missing_toml_file_is_one_sentence(tmp_path, capsys):
    fails(capsys, ["train", "--config", "no/such.toml"], 2, "no/such.toml cannot be read")
    fails(capsys, ["train", "--config", str(tmp_path)], 2, "cannot be read")
    fails(capsys, ["train", "--config"], 2, "Missing value for argument '--config'")
    (tmp_path / "latin.toml").write_bytes(b"data = '\xff'")
    fails(capsys, ["train", "--config", str(tmp_path / "latin.toml")], 2, "cannot be read as TOML")


def test_a_toml_table_has_the_defaults_of_the_command_line(tmp_path):
    (tmp_path / "run.toml").write_text("[unet]\nnum_classes = 10\n")
    assert parse(["train", "--config", str(tmp_path / "run.toml")]).unet == replace(Train().unet, num_classes=10)
