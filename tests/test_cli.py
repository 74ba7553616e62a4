"""The command line: what it leaves, what it says, and its exit status."""

import json
import sys

import numpy as np
import pytest
from PIL import Image

from tinydiff.cli import main
from tinydiff.data import fetch
from tinydiff.model import load_model

TINY = [
    "--data", "digits", "--unet.image-size", "8", "--unet.channels", "8", "--unet.channel-mult", "1", "2",
    "--unet.blocks-per-level", "1", "--unet.num-classes", "10", "--train.batch", "8", "--train.micro-batch", "4",
    "--train.validation-images", "16",
]  # fmt: skip


def train(out, *more, steps=4):
    return main(["train", *TINY, "--train.steps", str(steps), "--out", str(out), *more])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "digits"
    assert train(folder) == 0
    return folder


def fails(capsys, arguments, status, *words):
    """Run a command that must fail with one sentence, without a traceback."""
    try:
        code = main(arguments)
    except SystemExit as stop:  # arguments that do not parse
        code = stop.code
    error = capsys.readouterr().err
    assert code == status, error
    assert "Traceback" not in error
    for word in words:
        assert word in error, error


def test_a_run_leaves_weights_a_log_and_its_resolved_configuration(trained):
    names = {p.name for p in trained.iterdir()}
    assert {"model.safetensors", "config.json", "run.json", "log.jsonl", "loss.png", "best"} <= names
    run = json.loads((trained / "run.json").read_text())
    assert run["unet"]["channel_mult"] == [1, 2]
    assert run["train"]["steps"] == 4
    assert run["T"] == 1000


def test_the_same_command_goes_on_and_other_options_are_refused(tmp_path, capsys):
    assert train(tmp_path) == 0
    assert train(tmp_path) == 0
    assert "Going on from step 4" in capsys.readouterr().out
    fails(capsys, ["train", *TINY, "--train.steps", "9", "--out", str(tmp_path)], 2, "steps = 4, but steps = 9")


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
    assert load_model(tmp_path / "run").config.unet.num_classes is None


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("nonsense = 1", "option 'nonsense'"),
        ("[train]\nsteps = 0", "steps is 0"),
        ("= =", "TOML"),
        ("unet = 3", "a table"),
    ],
)
def test_a_bad_toml_file_is_one_sentence(tmp_path, capsys, text, word):
    (tmp_path / "run.toml").write_text(text)
    fails(capsys, ["train", "--config", str(tmp_path / "run.toml")], 2, word)


def test_a_missing_toml_file_is_one_sentence(capsys):
    fails(capsys, ["train", "--config", "no/such.toml"], 2, "no/such.toml cannot be read")


def test_fine_tuning_starts_from_given_weights(trained, tmp_path):
    assert train(tmp_path, "--start-from", str(trained), "--train.lr", "1e-9", steps=1) == 0
    a, b = load_model(trained).network.theta, load_model(tmp_path).network.theta
    np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.parametrize("sampler", ["ddim", "ddpm", "heun", "dpmpp_2m"])
def test_sample_writes_a_grid_and_a_film(trained, tmp_path, sampler, capsys):
    arguments = ["sample", "--model", str(trained), "--n", "3", "--steps", "2", "--sampler", sampler]
    assert main([*arguments, "--out", str(tmp_path)]) == 0
    with Image.open(tmp_path / "grid.png") as grid, Image.open(tmp_path / "chain.gif") as film:
        assert grid.size[0] > 24
        assert film.n_frames >= 2
    assert "Drew 3 images" in capsys.readouterr().out


def test_evaluate_prints_samples_beside_real_images(trained, tmp_path, capsys, monkeypatch):
    from tinydiff import evaluate
    from tinydiff.nn import Classifier, ClassifierConfig

    monkeypatch.setattr(evaluate, "load_classifier", lambda name: Classifier(ClassifierConfig(8, channels=(4,))))
    arguments = ["evaluate", "--model", str(trained), "--data", "digits", "--n", "30", "--steps", "2"]
    assert main([*arguments, "--out", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert "Fréchet distance to 30 test images" in text
    assert "test loss (v) by timestep" in text
    assert {p.name for p in tmp_path.iterdir()} == {"samples.png", "nearest.png", "loss_by_timestep.png"}


def test_info_prints_versions_models_and_data(capsys):
    assert main(["info"]) == 0
    text = capsys.readouterr().out
    for word in ("tinydiff", "NumPy", "GPU", "mnist-classifier-28", "mnist-small, train: 6,000 images"):
        assert word in text


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["sample", "--model", "nope"], "There is no model 'nope'. Shipped with tinydiff: "),
        (["sample", "--sampler", "mine"], "sampler"),
        (["fly"], "fly"),
        (["train", "--data", "cifar"], "name is 'cifar'"),
        (["train", "--train.lr", "-1"], "lr is -1"),
        (["train", "--unet.image-size", "9"], "image_size = 9"),
    ],
)
def test_bad_arguments_exit_with_2(capsys, arguments, word):
    fails(capsys, arguments, 2, word)


def test_bad_numbers_for_sampling_exit_with_2(trained, capsys):
    base = ["sample", "--model", str(trained)]
    fails(capsys, [*base, "--n", "0"], 2, "n is 0")
    fails(capsys, [*base, "--steps", "2000"], 2, "number of steps is 2000")
    fails(capsys, [*base, "--label", "11", "--n", "1"], 2, "11")
    fails(capsys, [*base, "--seed", "-1"], 2, "seed is -1")


def test_missing_data_exits_with_1(capsys, monkeypatch, tmp_path):
    monkeypatch.delenv("TINYDIFF_DATA", raising=False)
    monkeypatch.setattr(fetch, "cache_folder", lambda name: tmp_path)
    monkeypatch.setattr(fetch, "MIRRORS", {"mnist": ()})
    fails(capsys, ["train", "--data", "mnist", "--out", str(tmp_path)], 1, "TINYDIFF_DATA", "mnist-small")


def test_an_unwritable_folder_is_one_sentence(trained, tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    out = str(tmp_path / "file" / "below")
    fails(capsys, ["sample", "--model", str(trained), "--n", "1", "--steps", "1", "--out", out], 1, "cannot be written")


def test_without_cupy_cuda_is_refused_with_what_to_install(trained, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    from tinydiff import backend

    backend._probe_gpu.cache_clear()
    arguments = ["sample", "--model", str(trained), "--device", "cuda"]
    fails(capsys, arguments, 1, "CuPy cannot be imported", 'pip install "tinydiff[cuda13]"', "--device cpu")
