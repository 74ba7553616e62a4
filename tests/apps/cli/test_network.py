"""`--network`: a UNet or a DiT learns to predict the noise, and everything else is as it was."""

import json
import shutil

import numpy as np
import pytest
from commands import fails
from latents import autoencoder
from PIL import Image

from tinydiff.apps.cli import main
from tinydiff.models import load, save

DIT = ["--network", "dit", "--dit.channels", "16", "--dit.layers", "1", "--dit.heads", "2"]
BRIEF = ["--train.batch", "8", "--train.warmup", "1", "--train.validation-images", "16"]
DIGITS = ["--data", "digits", *DIT, "--dit.image-size", "8", "--dit.num-classes", "10", *BRIEF]
WORDS = ["--text.layers", "1", "--text.channels", "8", "--text.heads", "2"]


def train(out, *more, steps=2):
    return ["train", *DIGITS, "--train.steps", str(steps), "--out", str(out), *more]


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """Return the folder of a run, which tests leave as it is."""
    out = tmp_path_factory.mktemp("runs") / "digits"
    assert main(train(out)) == 0
    return out


def test_a_dit_is_trained_loaded_drawn_with_and_trained_on(digits, tmp_path, capsys):
    model = load(digits)
    assert model.config.unet is None
    assert model.config.dit is model.config.denoiser
    assert (model.config.dit.layers, model.config.dit.in_channels, model.picture_shape) == (1, 1, (8, 8, 1))
    about = json.loads((digits / "run.json").read_text())
    assert about["network"] == "dit"
    assert about["dit"]["layers"] == 1
    sample = ["sample", "--model", str(digits), "--n", "2", "--label", "3", "--guidance", "2", "--steps", "2"]
    assert main([*sample, "--out", str(tmp_path / "drawn")]) == 0
    assert np.asarray(Image.open(tmp_path / "drawn" / "grid.png")).std() > 1
    capsys.readouterr()
    assert main(train(digits, steps=4)) == 0
    assert "Going on from step 2" in capsys.readouterr().out
    assert main(train(tmp_path / "on", "--start-from", str(digits))) == 0
    assert "Taken (100.0% of the weights)" in capsys.readouterr().out
    assert main(train(tmp_path / "wider", "--start-from", str(digits), "--dit.layers", "2")) == 0
    assert "but: dit.layers 2 instead of 1." in capsys.readouterr().out


def test_a_run_goes_on_with_its_own_network_only(digits, tmp_path, capsys):
    shutil.copytree(digits, tmp_path / "run")
    options = ["train", "--data", "digits", *BRIEF, "--out", str(tmp_path / "run"), "--train.steps", "2"]
    fails(capsys, [*options, "--unet.image-size", "8"], 2, "--network is unet, but the run in", "has dit")


@pytest.mark.slow
def test_with_captions_a_dit_reads_and_its_words_have_maps(tmp_path):
    options = ["avatars", "--images", "24", *DIT, "--dit.image-size", "8", *WORDS, *BRIEF, "--train.steps", "2"]
    assert main(["train", *options, "--out", str(tmp_path / "a")]) == 0
    model = load(tmp_path / "a")
    assert model.config.dit.context_channels == model.config.text.channels == 8
    names = model.network.named_parameters()
    assert any(name.startswith("dit.") for name in names)
    assert not any(name.startswith("unet.") for name in names)
    without = ["--start-from", str(tmp_path / "a"), "--no-captions", "--dit.num-classes", "None"]
    assert main(["train", *options, *without, "--out", str(tmp_path / "b")]) == 0
    alone = load(tmp_path / "b")
    assert alone.config.text is None
    assert "stem.weight" in alone.network.named_parameters()


def test_latents_are_drawn_by_a_dit_too_and_what_a_recipe_says_of_a_unet_is_said_to_be_unused(tmp_path, capsys):
    save(tmp_path / "encoder", autoencoder(), data="scenes")
    options = ["train", "scenes", "--images", "20", "--autoencoder", str(tmp_path / "encoder"), *DIT, *WORDS, *BRIEF]
    options += ["--train.steps", "2", "--latents", str(tmp_path / "latents")]
    assert main([*options, "--out", str(tmp_path / "a")]) == 0
    said = capsys.readouterr().out
    assert "Not used, since the network is a DiT: unet.attention_levels, unet.blocks_per_level" in said
    model = load(tmp_path / "a")
    assert model.config.dit.shape == (8, 8, 2)
    assert model.picture_shape == (16, 16, 3)
    assert main([*options, "--start-from", str(tmp_path / "a"), "--out", str(tmp_path / "b")]) == 0
    sample = ["sample", "--model", str(tmp_path / "b"), "--prompt", "a red cabin", "--steps", "2", "--n", "1"]
    assert main([*sample, "--out", str(tmp_path / "drawn")]) == 0


def test_what_does_not_fit_is_one_clear_sentence(digits, tmp_path, capsys):
    out = ["--out", str(tmp_path / "x")]
    for options, sentence in [
        (["--dit.heads", "3"], "--dit.heads is 3, but the 16 channels cannot be divided"),
        (["--dit.image-size", "9"], "--dit.image-size is 9 x 9"),
        (["--dit.context-channels", "4"], "--dit.context-channels is 4, but there is nothing to look at"),
        (["--dit.in-channels", "3"], "--data has images of shape (8, 8, 1)"),
    ]:
        fails(capsys, ["train", *DIGITS, *options, *out], 2, sentence)
    on = ["train", "--data", "digits", "--start-from", str(digits), *out]
    for options, sentence in [
        (["--dit.image-size", "9"], "--dit.image-size is 9 x 9"),  # though nobody typed --network
        (["--dit.patch", "7"], "--dit.image-size is 8 x 8, but height and width must be multiples of 7"),
    ]:
        fails(capsys, [*on, *options], 2, sentence)
    fails(capsys, ["train", "--network", "vit", *out], 2, "network")
    other = ["train", "--data", "digits", "--network", "unet", "--start-from", str(digits), *out]
    fails(capsys, other, 2, "--network is 'unet', but", "has a DiT, and goes on with it: leave it out")
