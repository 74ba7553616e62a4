"""Training by the command line, whatever is minimised: recipes, going on, Ctrl-C, and what is refused."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import fields

import numpy as np
import pytest
from commands import ctrl_c_at

from tinydiff.apps.cli import main
from tinydiff.apps.cli.train import OBJECTIVES, parse_train
from tinydiff.apps.cli.train.arguments import recipes
from tinydiff.models import SHIPPED, load

SMALL = ["--train.steps", "4", "--train.save-every", "2", "--train.log-every", "1"]
DIGITS = ["--data", "digits", "--network.image-size", "8", "--network.channels", "8", "--train.batch", "16"]
PORTRAITS = ["--images", "40", "--network.image-size", "8", "--network.channels", "8", "--train.batch", "16"]
PORTRAITS += ["--network.text.channels", "8", "--network.text.heads", "2", "--network.embedding", "8"]
RUNS = {
    "mnist-classifier-28": (DIGITS, load, "accuracy"),
    "mnist-noisy-classifier": (DIGITS, load, "accuracy at t 250"),
    "avatars-clip": (PORTRAITS, lambda folder: load(folder).network, "tinydiff evaluate --model"),
}


def refused(options, words, capsys):
    """Train with options that do not fit: one sentence, and status 2."""
    try:
        status = main(["train", *options])
    except SystemExit as stop:  # arguments that do not parse
        status = stop.code
    error = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert status == 2
    assert words in error
    assert "Traceback" not in error


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RUNS)
def test_ctrl_c_and_the_same_command_give_the_weights_of_a_whole_run(recipe, tmp_path, monkeypatch, capsys):
    options, loaded, word = RUNS[recipe]
    command = ["train", recipe, *options, *SMALL]
    assert main([*command, "--out", str(tmp_path / "whole")]) == 0
    assert word in capsys.readouterr().out
    with ctrl_c_at(3, monkeypatch):
        assert main([*command, "--out", str(tmp_path / "cut")]) == 130
    assert "Stopped after step 3; saved up to step 3. To go on: tinydiff" in capsys.readouterr().out
    assert main([*command, "--out", str(tmp_path / "cut")]) == 0
    assert "Going on from step 3" in capsys.readouterr().out
    a, b = (loaded(tmp_path / name).theta for name in ("whole", "cut"))
    np.testing.assert_array_equal(a, b)
    assert {"model.safetensors", "config.json", "run.json", "log.jsonl", "loss.png"} <= set(
        os.listdir(tmp_path / "cut")
    )
    assert json.loads((tmp_path / "cut" / "run.json").read_text())["train"]["steps"] == 4


@pytest.mark.parametrize("name", recipes())
def test_every_recipe_is_read_and_goes_to_a_folder_of_its_name(name):
    command = parse_train([name])
    assert command.out.as_posix() == f"runs/{name}"
    assert command.objective in OBJECTIVES


def test_the_recipe_of_every_shipped_classifier_has_its_shape():
    for name in recipes():
        if "classifier" in name:
            shape = json.loads((SHIPPED / name / "config.json").read_text())["config"]
            command = parse_train([name])
            for key, value in shape.items():
                given = getattr(command.network, key)
                assert (list(given) if isinstance(given, tuple) else given) == value, (name, key)


def test_the_list_of_objectives_is_read_by_help_and_by_errors(capsys):
    for name in OBJECTIVES:
        with pytest.raises(SystemExit):
            main(["train", "--objective", name, "--help"])
        shown = capsys.readouterr().out
        assert all(f"--objective {other}" in " ".join(shown.split()) for other in OBJECTIVES)
        for option in fields(OBJECTIVES[name]):
            assert f"--{option.name.replace('_', '-')}" in shown
    assert main(["train", "--objective", "guess"]) == 2
    assert "objective is 'guess', but one of 'classify', 'contrast', 'denoise'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--noisy", "--network.features", "9"], "network.features is 9"),
        (["--data", "nowhere"], "nowhere"),
        (["--train.shift", "-1"], "shift is -1"),
    ],
)
def test_options_of_a_classifier_that_do_not_fit_are_refused(options, words, tmp_path, capsys):
    refused(["--objective", "classify", *options, "--out", str(tmp_path / "run")], words, capsys)
    assert not (tmp_path / "run").exists()


def test_options_of_a_clip_that_do_not_fit_are_refused(tmp_path, capsys):
    for options, words in [
        (["--network.text.vocabulary", "9"], "network.text.vocabulary is 9"),
        (["--tokenizer", "nowhere"], "There is no model 'nowhere'"),
        (["--images", "10"], "There are 10 pairs"),
        (["--train.lanes", "2"], "lanes is 2"),
    ]:
        refused(["--objective", "contrast", *options, "--out", str(tmp_path / "run")], words, capsys)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="no process groups")
def test_sigterm_to_all_processes_saves_and_a_second_run_in_the_folder_is_refused(tmp_path, capfd):
    """As a batch system stops a job: every process of the group is told to end."""
    command = [sys.executable, "-m", "tinydiff", "train", "--objective", "classify", *DIGITS, "--train.steps", "100000"]
    command += ["--threads", "2", "--processes", "True", "--out", str(tmp_path)]
    first = subprocess.Popen(command, start_new_session=True)
    try:
        deadline = time.monotonic() + 120
        while first.poll() is None and not (tmp_path / "log.jsonl").exists() and time.monotonic() < deadline:
            time.sleep(0.2)
        second = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert second.returncode == 2
        assert f"{tmp_path} is in use: another process or thread is training in it" in second.stderr
        os.killpg(first.pid, signal.SIGTERM)
        assert first.wait(timeout=60) == 130
    finally:
        first.kill()
    printed = capfd.readouterr()
    last = int(max(tmp_path.glob("step-*.safetensors")).stem.removeprefix("step-"))
    assert f"Stopped after step {last}; saved up to step {last}." in printed.out
    assert "Traceback" not in printed.err
