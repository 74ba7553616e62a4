"""`tinydiff train --objective reconstruct`: pictures alone decide, and the model knows its latents' scale."""

import json

import numpy as np
import pytest
from commands import ctrl_c_at, fails
from PIL import Image

from tinydiff.apps.cli import main
from tinydiff.data import load_avatars
from tinydiff.models import LatentAutoencoder, load, read_about, save
from tinydiff.networks import AttributeClassifier, AttributeClassifierConfig
from tinydiff.train import read_log

SMALL = ["--network.channels", "8", "--network.latent-channels", "2", "--train.batch", "8", "--train.steps", "4"]
SMALL += ["--train.save-every", "2", "--train.validation-images", "20", "--train.log-every", "1"]
COMMAND = ["train", "--objective", "reconstruct", *SMALL]


@pytest.mark.slow
def test_it_learns_portraits_and_keeps_the_mean_and_deviation_of_their_latents(tmp_path, capsys):
    assert main([*COMMAND, "--images", "60", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "avatars, train: 60 images 16 x 16 x 3" in said
    assert "dB, the 768 numbers of a picture drawn from 128; KL" in said
    assert "captions" not in said  # nothing is learned of them, so nothing is said
    model = load(tmp_path, kind=LatentAutoencoder)
    assert read_about(tmp_path)["data"] == "avatars"
    latents = model.encode(load_avatars("train", 60).batch(np.arange(60))[0])
    np.testing.assert_allclose(latents.mean(axis=(0, 1, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(latents.std(axis=(0, 1, 2)), 1, rtol=1e-4)
    assert json.loads((tmp_path / "run.json").read_text())["network"]["latent_channels"] == 2
    assert "PSNR" in (tmp_path / "CARD.md").read_text()


@pytest.mark.slow
def test_ctrl_c_and_the_same_command_give_the_weights_of_a_whole_run(tmp_path, monkeypatch, capsys):
    options = ["--data", "digits", "--network.image-size", "8"]
    assert main([*COMMAND, *options, "--out", str(tmp_path / "whole")]) == 0
    with ctrl_c_at(3, monkeypatch):
        assert main([*COMMAND, *options, "--out", str(tmp_path / "cut")]) == 130
    assert main([*COMMAND, *options, "--out", str(tmp_path / "cut")]) == 0
    assert "Going on from step 3" in capsys.readouterr().out
    whole, cut = (load(tmp_path / name) for name in ("whole", "cut"))
    assert whole.checksum() == cut.checksum()
    assert whole.config.in_channels == 1  # the digits' own


@pytest.fixture
def pets(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("dog", "cat"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for i in range(3):
            Image.fromarray(rng.integers(0, 256, (8, 12, 3)).astype(np.uint8)).save(
                tmp_path / "pets" / name / f"{i}.png"
            )
    (tmp_path / "pets" / "captions.csv").write_text("file,caption\ncat/0.png,a cat\n")
    return tmp_path / "pets"


def test_of_a_folder_the_pictures_are_learned_and_nothing_else(pets, tmp_path, capsys):
    options = ["--data", str(pets), "--network.image-size", "8x12"]
    assert main([*COMMAND, *options, "--out", str(tmp_path / "run")]) == 0
    said = capsys.readouterr().out
    assert "5 images 8 x 12 x 3" in said
    assert "lass" not in said
    assert "aption" not in said
    assert load(tmp_path / "run").latent_shape == (4, 6, 2)
    (pets / "cat" / "9.png").write_bytes((pets / "dog" / "0.png").read_bytes())
    (pets / "outside.png").write_bytes((pets / "dog" / "0.png").read_bytes())  # no classes: it may lie anywhere
    assert main([*COMMAND, *options, "--out", str(tmp_path / "again")]) == 0


@pytest.fixture
def features(tmp_path):
    """The folder of a network that reads attributes of portraits, untrained."""
    shape = AttributeClassifierConfig(16, 3, (4, 8), stem_stride=1, features=4)
    return str(save(tmp_path / "features", AttributeClassifier(shape)))


ADVERSARIAL = ["--train.adversarial", "0.5", "--train.adversarial-from", "2", "--discriminator.channels", "4"]


@pytest.mark.slow
def test_features_and_a_discriminator_are_options_and_a_run_is_repeated_from_its_own_options(features, tmp_path):
    options = ["--images", "60", "--features", features, "--train.perceptual", "0.5", *ADVERSARIAL]
    assert main([*COMMAND, *options, "--out", str(tmp_path / "one")]) == 0
    first, *_, last = read_log(tmp_path / "one")
    assert "adversarial_weight" not in first
    assert {"discriminator_loss", "adversarial_weight"} <= set(last) | set(read_log(tmp_path / "one")[3])
    again = ["train", "--config", str(tmp_path / "one" / "run.json"), "--out", str(tmp_path / "two")]
    assert main(again) == 0
    one, two = (load(tmp_path / name, kind=LatentAutoencoder) for name in ("one", "two"))
    assert one.checksum() == two.checksum()


@pytest.mark.slow
def test_the_discriminator_has_the_channels_of_the_pictures(tmp_path):
    options = ["--data", "digits", "--network.image-size", "8", *ADVERSARIAL]
    assert main([*COMMAND, *options, "--out", str(tmp_path / "one")]) == 0
    assert json.loads((tmp_path / "one" / "run.json").read_text())["discriminator"]["in_channels"] == 1
    again = ["train", "--config", str(tmp_path / "one" / "run.json"), "--out", str(tmp_path / "two")]
    assert main(again) == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--train.perceptual", "1"], "perceptual is 1.0, but features is None"),
        (["--features", "mnist-classifier-16", "--train.perceptual", "1"], "mnist-classifier-16"),
        (["--discriminator.layers", "2"], "A shape of the discriminator was given, but train.adversarial is 0"),
        (["--discriminator.layers", "0"], "--discriminator.layers is 0"),
        (
            ["--discriminator.in-channels", "1", *ADVERSARIAL],
            "--discriminator.in-channels is 1, but the autoencoder's",
        ),
        (["--train.adversarial-from", "3"], "--train.adversarial-from is 3, but adversarial is 0"),
        (
            ["--network.image-size", "10", "--network.channel-mult", "1", "2", "3"],
            ": 8 x 8 or 12 x 12 would do",
        ),
        (["--network.latent-channels", "0"], "--network.latent-channels is 0"),
        (["--train.kl", "-1"], "--train.kl is -1"),
        (["--data", "digits", "--images", "9"], "images is 9, but only avatars and scenes are made in any number"),
        (["--network.num-classes", "3"], "num-classes"),
    ],
)
def test_what_does_not_fit_is_one_sentence(options, words, tmp_path, capsys):
    fails(capsys, [*COMMAND, "--images", "40", *options, "--out", str(tmp_path)], 2, words)


@pytest.mark.slow
def test_a_decoder_learns_on_from_an_autoencoder_whose_shape_may_be_given_again(tmp_path, capsys):
    assert main([*COMMAND, "--images", "60", "--out", str(tmp_path / "one")]) == 0
    go_on = ["--images", "60", "--start-from", str(tmp_path / "one"), "--train.decoder-only"]
    assert main([*COMMAND, *go_on, "--out", str(tmp_path / "two")]) == 0  # COMMAND gives the shape of the first
    assert f"Starting from {tmp_path / 'one'}." in capsys.readouterr().out
    one, two = (load(tmp_path / name, kind=LatentAutoencoder) for name in ("one", "two"))
    assert one.checksum() == two.checksum()  # that of the encoder
    assert not np.array_equal(one.network.theta, two.network.theta)
    refused = [*COMMAND, *go_on, "--network.channels", "12", "--out", str(tmp_path / "three")]
    fails(capsys, refused, 2, "network.channels is 12, but", "has 8, and goes on with its own")
