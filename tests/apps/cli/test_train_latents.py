"""`tinydiff train --objective latents`: pictures are encoded once, and words become pictures through latents."""

import json
import re

import numpy as np
import pytest
from commands import fails
from latents import autoencoder
from PIL import Image

from tinydiff.apps.cli import main
from tinydiff.data.scenes import DrawnScenes
from tinydiff.models import LatentDiffusion, load, read_about, save

SMALL = ["--images", "20", "--train.batch", "8", "--train.steps", "3", "--train.warmup", "1", "--unet.channels", "8"]
SMALL += ["--unet.channel-mult", "1", "2", "--unet.attention-levels", "1", "--unet.heads", "2", "--text.layers", "1"]
SMALL += ["--text.channels", "8", "--text.heads", "2", "--text.length", "64", "--train.validation-images", "10"]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("autoencoder")
    save(folder, autoencoder(), data="scenes")
    return str(folder)


def train(encoder, out, *more):
    return ["train", "--objective", "latents", "--autoencoder", encoder, *SMALL, "--out", str(out), *more]


@pytest.fixture(scope="module")
def trained(encoder, tmp_path_factory):
    """Return the folder of a run, which tests leave as it is."""
    out = tmp_path_factory.mktemp("trained") / "run"
    assert main(train(encoder, out)) == 0
    return out


@pytest.mark.slow
def test_scenes_are_encoded_once_and_words_become_pictures(encoder, tmp_path, capsys):
    out = tmp_path / "run"
    assert main(train(encoder, out)) == 0
    said = capsys.readouterr().out
    assert "scenes, train: 20 images 16 x 16 x 3, drawn as needed" in said
    parts = sorted((out / "latents" / "train").iterdir())
    written = [part.stat().st_mtime_ns for part in parts]
    assert main(train(encoder, out)) == 0
    assert [part.stat().st_mtime_ns for part in parts] == written
    model = load(out)
    assert isinstance(model, LatentDiffusion)
    assert model.picture_shape == (16, 16, 3)
    assert model.config.unet.in_channels == 2
    assert read_about(out)["data"] == "scenes"
    assert json.loads((out / "run.json").read_text())["unet"]["image_size"] == [8, 8]
    capsys.readouterr()
    pictures = tmp_path / "pictures"
    sample = [
        "sample",
        "--model",
        str(out),
        "--prompt",
        "a red car",
        "--n",
        "2",
        "--steps",
        "2",
        "--out",
        str(pictures),
    ]
    assert main(sample) == 0
    assert np.asarray(Image.open(pictures / "pictures" / "000.png")).shape == (16, 16, 3)
    assert (pictures / "chain.gif").is_file()


def test_another_autoencoder_in_the_same_folder_is_refused(encoder, tmp_path, capsys):
    assert main(train(encoder, tmp_path / "run")) == 0
    other = tmp_path / "other"
    save(other, autoencoder(1), data="scenes")
    refused = train(str(other), tmp_path / "run")
    fails(capsys, refused, 1, "holds latents of another autoencoder", "delete the folder")


def test_what_cannot_be_learned_is_refused(encoder, tmp_path, capsys):
    out = tmp_path / "run"
    fails(capsys, train(encoder, out, "--data", "digits"), 2, "--images is 20, but only avatars and scenes")
    fails(capsys, train("mnist", out), 2, "mnist is a diffusion model, but an autoencoder was expected")
    fails(capsys, train(encoder, out, "--text.vocabulary", "9"), 2, "text.vocabulary is 9")
    for name in ("context-channels", "pooled-channels"):
        fails(capsys, train(encoder, out, f"--unet.{name}", "3"), 2, f"--unet.{name} is 3, but the")


@pytest.mark.slow
def test_a_training_may_dwell_on_captions_with_certain_words(encoder, tmp_path, capsys):
    out, captions = tmp_path / "run", DrawnScenes("train", 20, 16).captions
    with_them = [caption for caption in captions if {"left", "road"} & set(re.findall(r"\w+", caption))]
    assert 0 < len(with_them) < 20
    assert main(train(encoder, out, "--only-words", "Left", "road")) == 0
    assert f"Only {len(with_them)} of 20 pictures: their captions have left or road." in capsys.readouterr().out
    assert read_about(out)["images"] == len(with_them)
    missing, no_word = (train(encoder, tmp_path / "other", "--only-words", *words) for words in (("zeppelin",), ("?",)))
    fails(capsys, missing, 2, "--only-words", "'zeppelin', but no caption has this word")
    fails(capsys, no_word, 2, "--only-words is '?', but words were expected")
    assert not (tmp_path / "other" / "latents").exists()  # refused before anything is encoded


def test_a_drawing_of_latents_refuses_what_latents_cannot_do(encoder, trained, tmp_path, capsys):
    sample = ["sample", "--model", str(trained), "--prompt", "a car", "--steps", "2", "--out", str(tmp_path / "x")]
    fails(capsys, [*sample, "--size", "18"], 2, "--size is 18 x 18", "16 x 16 or 20 x 20 would do")
    fails(capsys, [*sample, "--threshold", "dynamic"], 2, "threshold", "latents, which have no bounds")
    fails(capsys, ["sample", "--model", encoder, "--n", "1"], 2, "is an autoencoder, but a diffusion model or")


def test_a_training_starts_from_the_weights_of_another(trained, tmp_path, capsys):
    first, second = trained, tmp_path / "second"
    go_on = ["train", "--objective", "latents", "--start-from", str(first), "--images", "20", "--out", str(second)]
    go_on += ["--train.batch", "8", "--train.steps", "1", "--train.lr", "1e-30", "--train.warmup", "0"]
    assert main([*go_on, "--train.validation-images", "10"]) == 0
    assert f"Starting from {first}." in capsys.readouterr().out
    before, after = load(first), load(second)
    np.testing.assert_allclose(after.network.theta, before.network.theta, atol=1e-6)
    assert after.tokenizer.words == before.tokenizer.words
    assert after.autoencoder.checksum() == before.autoencoder.checksum()
    fails(capsys, [*go_on, "--unet.channels", "16"], 2, "--unet.channels is 16, but", "has 8")


def test_a_model_learns_on_for_the_latents_of_another_autoencoder(trained, tmp_path, capsys):
    first, second, other = trained, tmp_path / "second", tmp_path / "other"
    save(other, autoencoder(latent_channels=3), data="scenes")
    capsys.readouterr()
    assert (
        main(train(str(other), second, "--start-from", str(first), "--train.lr", "1e-30", "--train.warmup", "0")) == 0
    )
    said = capsys.readouterr().out
    assert f"Starting from {first}, for the latents of {other}." in said
    assert "New, and still to be learned: " in said
    before, after = load(first), load(second)
    assert after.autoencoder.checksum() == load(other).checksum()
    assert after.picture_shape == before.picture_shape
    old, new = before.network.named_parameters(), after.network.named_parameters()
    new_shapes = {name for name in old if old[name].value.shape != new[name].value.shape}
    assert new_shapes == {"unet.stem.weight", "unet.head.layers.2.weight", "unet.head.layers.2.bias"}
    for name in old.keys() - new_shapes:
        np.testing.assert_allclose(new[name].value, old[name].value, atol=1e-6)
