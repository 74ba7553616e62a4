"""`tinydiff train`: what a run leaves, how it goes on, and what it starts from."""

import json
import os
import signal

import numpy as np
import pytest
from commands import TINY, TINY_TEXT, fails, train, without_classes
from PIL import Image

from tinydiff.apps.cli import main
from tinydiff.models import load
from tinydiff.train import Run


def test_a_run_leaves_weights_a_log_and_its_resolved_configuration(trained):
    names = {p.name for p in trained.iterdir()}
    assert {"model.safetensors", "config.json", "run.json", "log.jsonl", "loss.png", "best"} <= names
    run = json.loads((trained / "run.json").read_text())
    assert run["unet"]["channel_mult"] == [1, 2]
    assert run["train"]["steps"] == 4
    assert run["T"] == 1000


@pytest.mark.slow
def test_training_goes_on_from_a_model_that_reads_text(portraits, tmp_path):
    options = ["--data", "avatars", "--images", "24", "--train.steps", "1", "--train.batch", "8"]
    start = ["--start-from", str(portraits), "--train.validation-images", "16"]
    assert main(["train", *options, *start, "--out", str(tmp_path)]) == 0
    assert load(tmp_path).config == load(portraits).config


@pytest.mark.slow
def test_a_recipe_may_go_on_from_a_model_of_its_own_shape_and_of_no_other(portraits, tmp_path, capsys):
    options = ["train", "avatars", "--images", "8", "--train.steps", "1", "--train.batch", "4"]
    options += ["--train.validation-images", "4", "--out", str(tmp_path)]
    assert main([*options, "--start-from", "avatars"]) == 0
    assert load(tmp_path).config == load("avatars").config
    fails(capsys, [*options, "--start-from", str(portraits)], 2, "tinydiff: --start-from is", "next to none of its")


def test_captions_that_do_not_exist_are_refused(tmp_path, capsys):
    out = ["--out", str(tmp_path / "run")]
    fails(capsys, ["train", *TINY, "--captions", *out], 2, "--captions was given, but digits has none")
    fails(capsys, ["train", *TINY, "--images", "9", *out], 2, "images is 9, but only avatars")
    fails(capsys, ["train", *TINY_TEXT, "--text.vocabulary", "9", *out], 2, "vocabulary is 9, but 514 or more")
    assert not (tmp_path / "run").exists()


def test_the_same_command_goes_on_and_other_options_are_refused(tmp_path, capsys):
    assert train(tmp_path) == 0
    assert train(tmp_path) == 0
    assert "has trained 4 steps already; a larger --train.steps goes on." in capsys.readouterr().out
    assert train(tmp_path, steps=9) == 0
    said = capsys.readouterr().out
    assert f"Going on from step 4 in {tmp_path}. It goes on to step 9 instead of 4. The learning rate" in said
    again = ["train", *TINY, "--out", str(tmp_path), "--train.steps"]
    fails(capsys, [*again, "8"], 2, "tinydiff: --train.steps is 8, but the run in", "has taken 9 steps already")
    fails(capsys, [*again, "9", "--unet.channels", "16"], 2, "tinydiff: --unet.channels is 16, but the run in")
    fails(
        capsys, [*again, "9", "--train.lr", "1"], 2, "tinydiff: --train.lr is 1.0, but the run in", "except for steps"
    )


@pytest.mark.slow
def test_the_same_command_goes_on_from_a_checkpoint_to_the_same_weights(trained, tmp_path, capsys):
    """The process dies after its first checkpoint and in the middle of a line of the log."""
    options = ["--train.save-every", "2", "--train.log-every", "1"]
    assert train(tmp_path / "whole", *options) == 0
    assert train(tmp_path / "cut", *options) == 0
    (tmp_path / "cut" / "step-00000004.safetensors").unlink()
    (tmp_path / "cut" / "model.safetensors").unlink()
    log = tmp_path / "cut" / "log.jsonl"
    log.write_text(log.read_text() + '{"step": 5, "lo')
    capsys.readouterr()
    assert train(tmp_path / "cut", *options) == 0
    assert "Going on from step 2" in capsys.readouterr().out
    a, b = load(tmp_path / "whole").network.theta, load(tmp_path / "cut").network.theta
    np.testing.assert_array_equal(a, b)
    records = [json.loads(line) for line in log.read_text().splitlines()]
    assert [r["step"] for r in records if "loss" in r] == [1, 2, 3, 4]


def test_the_pictures_and_the_weights_do_not_depend_on_the_number_of_threads(trained, tmp_path):
    assert train(tmp_path, "--threads", "3") == 0
    np.testing.assert_array_equal(load(trained).network.theta, load(tmp_path).network.theta)


def test_ctrl_c_exits_with_130_and_says_how_to_go_on(tmp_path, capsys, monkeypatch):
    step = Run.train_step

    def pressed(self):
        record = step(self)
        if self.step == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return record

    monkeypatch.setattr(Run, "train_step", pressed)
    assert train(tmp_path) == 130
    captured = capsys.readouterr()
    assert "Stopped after step 2; saved up to step 2. To go on: tinydiff" in captured.out
    assert "Traceback" not in captured.err
    assert (tmp_path / "step-00000002.safetensors").exists()


def test_fine_tuning_starts_from_given_weights_and_takes_the_shape_of_the_model(trained, tmp_path, capsys):
    """Images are resized for it, and run.json says what it is."""
    options = ["--data", "digits", "--train.steps", "1", "--train.batch", "4", "--train.validation-images", "4"]
    options += ["--train.lr", "1e-9", "--start-from", str(trained), "--out", str(tmp_path)]
    assert main(["train", *options]) == 0
    before, after = load(trained), load(tmp_path)
    np.testing.assert_allclose(before.network.theta, after.network.theta, atol=1e-6)
    assert before.config == after.config
    assert json.loads((tmp_path / "run.json").read_text())["unet"]["image_size"] == 8
    assert "Starting from" in capsys.readouterr().out


def test_a_model_folder_named_like_a_shipped_model_is_named_whole(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert train("mnist", steps=1) == 0
    assert f"tinydiff sample --model {tmp_path / 'mnist'}" in capsys.readouterr().out


def test_a_second_ctrl_c_does_not_claim_to_have_saved(tmp_path, capsys, monkeypatch):
    step = Run.train_step

    def pressed_twice(self):
        step(self)
        if self.step == 2:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Run, "train_step", pressed_twice)
    assert train(tmp_path, "--train.log-every", "3") == 130
    assert "Stopped after step 2; saved up to step 0" in capsys.readouterr().out


def test_one_can_train_on_a_folder_of_images(trained, tmp_path, capsys):
    for label in ("a", "b"):
        (tmp_path / "images" / label).mkdir(parents=True)
        for i in range(20):
            Image.new("L", (10, 12), 10 * i).save(tmp_path / "images" / label / f"{i}.png")
    assert train(tmp_path / "run", "--data", str(tmp_path / "images"), steps=1) == 0
    printed = capsys.readouterr().out
    assert "38 images 8 x 8 x 1" in printed
    assert "2 images 8 x 8 x 1" in printed
    (tmp_path / "one").mkdir()
    Image.new("L", (8, 8)).save(tmp_path / "one" / "a.png")
    fails(capsys, ["train", *TINY, "--data", str(tmp_path / "one"), "--out", str(tmp_path / "x")], 2, "one image")
    (tmp_path / "empty").mkdir()
    fails(capsys, ["train", *TINY, "--data", str(tmp_path / "empty")], 1, "holds no images")


def test_the_name_of_a_data_set_is_not_taken_for_a_folder(tmp_path, monkeypatch, capsys):
    (tmp_path / "digits").mkdir()
    monkeypatch.chdir(tmp_path)
    assert train("run", steps=1) == 0
    assert "1,497 images" in capsys.readouterr().out


def test_the_card_says_what_the_model_learned_from_and_how_to_go_on(tmp_path):
    """The names of the folders are shown as they are, and break no table."""
    for name in ("cat", "a|b"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for i in range(3):
            Image.new("RGB", (8, 10), (i, 90, 200)).save(tmp_path / "pictures" / name / f"{i}.png")
    options = [*without_classes(TINY), "--train.steps", "2", "--out", str(tmp_path / "run")]
    options[options.index("digits")] = str(tmp_path / "pictures")
    assert main(["train", *options]) == 0
    assert main(["train", *options, "--train.steps", "3"]) == 0
    card = (tmp_path / "run" / "CARD.md").read_text()
    assert "| classes | 0 a\\|b, 1 cat |" in card
    assert "| data | pictures, training: 5 images 8 x 8 x 3, from " in card
    assert "| steps | 3 of 8 samples each, at step 2 to 3 instead of 2 |" in card
    assert "| validation loss | " in card
    assert "for the last 1 step, on " in card
    assert "cropped" in card
    assert f"tinydiff sample --model {tmp_path / 'run'}" in card
