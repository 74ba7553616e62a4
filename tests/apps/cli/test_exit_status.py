"""The exit status of the command line: 2 for what was asked, 1 for what the machine lacks, in one sentence."""

import errno
import os
import shutil
import subprocess
import sys

import pooch
import pytest
import requests
from commands import TINY, fails

from tinydiff.apps.cli import main
from tinydiff.data import fetch


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="pipes differ")
def test_a_closed_pipe_is_no_error_for_info_but_for_training(tmp_path):
    for command, status in (
        (["info"], 0),
        (["train", "--help"], 0),
        (["train", *TINY, "--train.steps", "1", "--out", str(tmp_path)], 1),
    ):
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "tinydiff", *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        process.stdout.close()
        assert process.wait() == status
        assert b"Traceback" not in process.stderr.read()
        process.stderr.close()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["sample", "--model", "nope"], "There is no model 'nope'. Shipped with tinydiff: "),
        (["sample", "--sampler", "mine"], "sampler"),
        (["sample", "--sampler", "ddim", "--order", "3"], "not for ddim, which has eta"),
        (["arena", "--samplers", "mine"], "--samplers is 'mine', but one of"),
        (["fly"], "fly"),
        ([], "demo, train, sample, evaluate, edit, join, arena, serve, check, info"),
        (["sample", "--colour", "red"], "--colour"),
        (["sample", "--n", "many"], "tinydiff: --n is 'many', but INT was expected."),
        (["sample", "--interval", "a", "b"], "tinydiff: --interval is 'a', 'b', but FLOAT FLOAT was expected."),
        (["serve", "--port", "x"], "tinydiff: --port"),
        (["edit"], "tinydiff: --image is missing"),
        (["train", "--traain.steps", "3"], "Perhaps you meant: --train.steps. For full helptext"),
        (["train", "--train.flips"], "Perhaps you meant: --train.flip, --train.no-flip or --train.clip. For full"),
        (["sample", "--device", "tpu"], "tpu"),
        (["train", "--start-from", "nope"], "There is no model 'nope'"),
        (["train", "--train.seed", "-1"], "tinydiff: --train.seed is -1, but a whole number of at least 0"),
        (["train", *TINY, "--threads", "0"], "tinydiff: --threads is 0"),
        (["train", *TINY, "--T", "0"], "tinydiff: --T is 0"),
        (["train", *TINY, "--unet.heads", "3"], "tinydiff: --unet.heads is 3, but the 16 channels"),
        (
            ["train", *TINY, "--unet.num-classes", "3"],
            "tinydiff: --data has labels up to 9, but the model's num_classes is 3",
        ),
        (["train", "--data", "cifar"], "tinydiff: --data is 'cifar'"),
        (["train", "--train.lr", "-1"], "tinydiff: --train.lr is -1.0, but a positive number was expected."),
        (["train", "--unet.image-size", "9"], "tinydiff: --unet.image-size is 9 x 9"),
        (["train", "avatars", "--unet.image-size", "0"], "tinydiff: --unet.image-size is 0, but a whole number"),
    ],
)
def test_bad_arguments_exit_with_2(capsys, arguments, word, tmp_path, monkeypatch):
    """No sentence holds a name of the parser's own, such as ``__tyro-dummy-inner__``."""
    monkeypatch.chdir(tmp_path)  # for runs/mine
    fails(capsys, arguments, 2, word)


def test_missing_data_exits_with_1(capsys, monkeypatch, tmp_path):
    monkeypatch.delenv("TINYDIFF_DATA", raising=False)
    monkeypatch.setattr(fetch, "cache_folder", lambda name: tmp_path)
    monkeypatch.setattr(fetch, "MIRRORS", {"mnist": ()})
    fails(capsys, ["train", "--data", "mnist", "--out", str(tmp_path)], 1, "TINYDIFF_DATA", "mnist-small")


def test_without_a_network_missing_data_exits_with_1_and_leaves_nothing(capsys, monkeypatch, tmp_path):
    def offline(self, url, **options):
        raise OSError("no route to host")

    monkeypatch.delenv("TINYDIFF_DATA", raising=False)
    monkeypatch.setattr(fetch, "cache_folder", lambda name: tmp_path / "cache")
    monkeypatch.setattr(requests.Session, "get", offline)
    monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path / "pooch")
    fails(capsys, ["train", "--data", "mnist", "--out", str(tmp_path / "out")], 1, "no route to host", "TINYDIFF_DATA")
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("damage", ["truncated", "missing"])
def test_damaged_weights_exit_with_1(trained, tmp_path, capsys, damage):
    shutil.copytree(trained, tmp_path / "model")
    weights = tmp_path / "model" / "model.safetensors"
    data = weights.read_bytes()
    weights.unlink()
    if damage == "truncated":
        weights.write_bytes(data[: len(data) // 2])
    fails(capsys, ["sample", "--model", str(tmp_path / "model"), "--n", "1"], 1, "model.safetensors")


def test_a_closed_stdout_or_stderr_does_not_keep_it_from_working(trained, tmp_path, monkeypatch):
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    assert main(["sample", "--model", str(trained), "--n", "1", "--steps", "2", "--out", str(tmp_path)]) == 0
    sys.stdout.close()
    sys.stderr.close()


def test_a_model_of_the_wrong_sort_exits_with_2(trained, capsys):
    expected = "mnist-classifier-28 is a classifier, but a diffusion model"
    for command in ("sample", "serve", "edit --image x.png", "train --start-from"):
        name, *options = command.split()
        options = options if name == "train" else [*options, "--model"]
        fails(capsys, [name, *options, "mnist-classifier-28"], 2, expected)
    expected = "but a diffusion model or a cascade or an unCLIP or a CLIP or an autoencoder was expected"
    fails(capsys, ["evaluate", "--model", "mnist-classifier-28"], 2, expected)
    arguments = ["evaluate", "--model", str(trained), "--classifier", "mnist", "--data", "digits", "--n", "4"]
    fails(capsys, [*arguments, "--steps", "1"], 2, "mnist is a diffusion model, but a classifier was expected")


def test_an_unwritable_folder_is_one_sentence(trained, tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    out = str(tmp_path / "file" / "below")
    fails(capsys, ["sample", "--model", str(trained), "--n", "1", "--steps", "1", "--out", out], 2, "cannot be written")
    fails(capsys, ["train", *TINY, "--out", out], 2, "cannot be written", "Choose another folder")
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_full_disk_is_one_sentence_and_leaves_no_partial_file(tmp_path, capsys, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    fails(capsys, ["train", *TINY, "--out", str(tmp_path)], 1, "the disk is full")
    assert not list(tmp_path.iterdir())


def test_without_cupy_cuda_is_refused_with_what_to_install(trained, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    from tinydiff.base import arrays as backend

    backend._probe_gpu.cache_clear()
    arguments = ["sample", "--model", str(trained), "--device", "cuda"]
    fails(capsys, arguments, 1, "CuPy cannot be imported", 'pip install "cupy-cuda13x[ctk]"', "--device cpu")
    assert main(arguments) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert main([*arguments[:-1], "auto", "--n", "1", "--steps", "1", "--out", str(tmp_path)]) == 0
    assert "on CPU" in capsys.readouterr().out
