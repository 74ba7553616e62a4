"""``tinydiff train --objective quantise``: both quantisers, going on, a collapse that is said, and what is refused."""

import json

import numpy as np
import pytest
from commands import fails

from tinydiff.apps.cli import main
from tinydiff.models import load
from tinydiff.train import read_log

TINY = [
    "train", "--objective", "quantise", "--data", "digits", "--network.image-size", "8", "--network.channels", "8",
    "--network.codes", "16", "--train.steps", "4", "--train.batch", "16", "--train.log-every", "1",
    "--train.validation-images", "32",
]  # fmt: skip
FSQ = ["--network.quantiser", "fsq", "--network.latent-channels", "3", "--network.levels", "4", "4", "3"]


@pytest.mark.slow
@pytest.mark.parametrize("more", [[], FSQ], ids=["vq", "fsq"])
def test_it_trains_saves_goes_on_and_says_how_many_codes_are_used(tmp_path, capsys, more):
    assert main([*TINY, *more, "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "On held-out pictures: PSNR " in said
    assert "drawn from 16 codes, " in said
    assert f"of {16 if not more else 48} codes were used" in said
    network = load(tmp_path)
    x = np.zeros((2, 8, 8, 1), "f4")
    assert network.from_indices(network.to_indices(x)).shape == x.shape
    assert json.loads((tmp_path / "config.json").read_text())["model"] == "quantised-autoencoder"
    assert any("validation_perplexity" in record for record in read_log(tmp_path))
    assert "psnr" in (tmp_path / "CARD.md").read_text()
    assert main([*TINY, *more, "--train.steps", "6", "--out", str(tmp_path)]) == 0
    assert "Going on from step 4" in capsys.readouterr().out


@pytest.mark.slow
def test_a_collapse_is_one_sentence_with_the_remedy(tmp_path):
    options = ["--network.codes", "512", "--train.codebook-decay", "None", "--train.restart-below", "None"]
    options += ["--train.steps", "24", "--train.batch", "64"]  # an epoch
    remedy = "set restart_below, so that unused codes begin anew, lower the learning rate, or use FSQ"
    with pytest.warns(UserWarning, match=f"in epoch 1, .* of 512 codes were used, .*: {remedy}") as said:
        assert main([*TINY, *options, "--out", str(tmp_path)]) == 0
    assert len(said) == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([*FSQ[:4], "--network.levels", "8", "5"], "network.levels is 8, 5, of 2 channels, but latent_channels is 3"),
        (["--network.quantiser", "kmeans"], "quantiser is 'kmeans', but one of 'vq', 'fsq'"),
        (["--network.codes", "2048"], "restart-below is 1.0, but a batch of 16 pictures, each with 16 vectors"),
        (["--train.codebook-decay", "None"], "restart-below is 1.0, but codebook_decay is None"),
        (["--network.image-size", "9"], "image-size is 9 x 9"),
    ],
)
def test_options_that_do_not_fit_are_refused(tmp_path, capsys, options, words):
    fails(capsys, [*TINY, *options, "--out", str(tmp_path / "run")], 2, words)
    assert not (tmp_path / "run").exists()
