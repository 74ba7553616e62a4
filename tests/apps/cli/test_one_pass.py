"""A GAN, a variational autoencoder and a flow by the command line: trained, gone on with, drawn from, and refused."""

import json
import os

import numpy as np
import pytest
from commands import ctrl_c_at, fails
from PIL import Image

from tinydiff.apps.cli import main
from tinydiff.apps.cli.train import parse_train
from tinydiff.models import load, save
from tinydiff.networks import Generator, GeneratorConfig

SMALL = ["--train.steps", "4", "--train.save-every", "2", "--train.log-every", "1", "--train.batch", "16"]
RECIPES = {
    "digits-gan": (["--discriminator", "6", "--network.channels", "6"], "A GAN has no likelihood"),
    "digits-vae": (["--network.channels", "6"], "-log p is at most"),
    "digits-flow": (["--network.channels", "6", "--network.couplings", "2"], "bits for each number"),
}
every = pytest.mark.parametrize("recipe", RECIPES)


@every
def test_ctrl_c_and_the_same_command_give_the_weights_of_a_whole_run(recipe, tmp_path, monkeypatch, capsys):
    options, words = RECIPES[recipe]
    command = ["train", recipe, *options, *SMALL, "--threads", "1"]
    assert main([*command, "--out", str(tmp_path / "whole")]) == 0
    said = capsys.readouterr().out
    assert words in said
    assert "tinydiff sample --model" in said
    with ctrl_c_at(3, monkeypatch):
        assert main([*command, "--out", str(tmp_path / "cut")]) == 130
    assert main([*command, "--out", str(tmp_path / "cut")]) == 0
    assert "Going on from step 3" in capsys.readouterr().out
    a, b = (load(tmp_path / name).theta for name in ("whole", "cut"))
    np.testing.assert_array_equal(a, b)
    assert {"model.safetensors", "config.json", "run.json", "log.jsonl", "loss.png", "CARD.md"} <= set(
        os.listdir(tmp_path / "cut")
    )
    about = json.loads((tmp_path / "cut" / "run.json").read_text())
    assert about["network"]["channels"] == [6]


@every
def test_it_draws_pictures_and_refuses_what_it_does_not_have(recipe, tmp_path, capsys):
    options, _ = RECIPES[recipe]
    model = str(tmp_path / "model")
    assert main(["train", recipe, *options, *SMALL, "--threads", "1", "--out", model]) == 0
    draw = ["sample", "--model", model, "--n", "3", "--npz", "--out", str(tmp_path / "drawn")]
    assert main(draw) == 0
    assert "Drew 3 images" in capsys.readouterr().out
    assert len(os.listdir(tmp_path / "drawn" / "pictures")) == 3
    with Image.open(tmp_path / "drawn" / "grid.png") as grid:
        assert grid.size[0] > 100
    with np.load(tmp_path / "drawn" / "arrays.npz") as arrays:
        assert arrays["images"].shape == (3, 8, 8, 1)
    for more, words in [
        (["--steps", "20"], "--steps is 20"),
        (["--guidance", "2"], "--guidance is 2.0"),
        (["--sampler", "ddim"], "--sampler is 'ddim'"),
        (["--label", "3"], "--label is ('3',)"),
        (["--prompt", "seven"], "--prompt is 'seven'"),
        (["--size", "9"], "--size is"),
        (["--micro-batch", "2"], "--micro-batch is 2"),
    ]:
        fails(capsys, [*draw, *more], 2, words, "draws in one pass, and is told nothing: leave it out")


def test_points_are_no_pictures(tmp_path, capsys):
    save(tmp_path, Generator(GeneratorConfig(1, 2, 2, (4,))))
    fails(capsys, ["sample", "--model", str(tmp_path)], 2, "draws numbers with 2 channels")


def test_options_that_do_not_fit_are_refused(tmp_path, capsys):
    for recipe, options, words in [
        ("digits-gan", ["--train.loss", "saturating"], "loss is 'saturating'"),
        ("digits-vae", ["--train.levels", "1"], "levels is 1"),
        ("digits-flow", ["--network.couplings", "1"], "couplings is 1"),
        ("digits-flow", ["--data", "nowhere"], "nowhere"),
    ]:
        fails(capsys, ["train", recipe, *options, "--out", str(tmp_path / "run")], 2, words)
    assert not (tmp_path / "run").exists()


def test_bytes_have_256_shades_unless_it_is_said():
    assert parse_train(["--objective", "flow-likelihood"]).train.levels == 256
    assert parse_train(["digits-flow"]).train.levels == 17
