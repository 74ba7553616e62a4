"""``tinydiff train --objective attributes``: options, Ctrl-C and going on, and what is refused."""

import json

import numpy as np
import pytest
from coloured_squares import WORDS, ColouredSquares
from commands import ctrl_c_at

from tinydiff.apps.cli import main
from tinydiff.data import DATASETS, KnownDataset
from tinydiff.models import load

OPTIONS = ["train", "--objective", "attributes", "--data", "squares", "--network.image-size", "24"]
OPTIONS += ["--network.channels", "8", "8", "--network.features", "8", "--train.steps", "4", "--train.batch", "16"]
OPTIONS += ["--train.micro-batch", "4", "--train.warmup", "2", "--train.log-every", "1", "--train.save-every", "2"]


@pytest.fixture(autouse=True)
def coloured_squares(monkeypatch):
    """A data set of that name, for one test."""

    def drawn(split, size):
        return ColouredSquares(40, seed=int(split == "test"), size=size)

    known = KnownDataset(lambda split: None, ("train", "test"), False, "Squares.", drawn)
    monkeypatch.setitem(DATASETS, "squares", known)


def test_ctrl_c_and_the_same_command_give_the_weights_of_a_whole_run(tmp_path, monkeypatch, capsys):
    assert main([*OPTIONS, "--out", str(tmp_path / "whole")]) == 0
    said = capsys.readouterr().out
    assert "squares: 40 pictures" in said
    assert "On unseen pictures: accuracy colour" in said
    assert "smallest accuracy" in said
    with ctrl_c_at(3, monkeypatch):
        assert main([*OPTIONS, "--out", str(tmp_path / "cut")]) == 130
    assert main([*OPTIONS, "--out", str(tmp_path / "cut")]) == 0
    assert "Going on from step 3" in capsys.readouterr().out
    whole, cut = (load(tmp_path / name) for name in ("whole", "cut"))
    np.testing.assert_array_equal(whole.theta, cut.theta)
    assert whole.config.attributes == WORDS
    options = json.loads((tmp_path / "whole" / "run.json").read_text())
    shape = {"image_size": 24, "in_channels": 3, "channels": [8, 8], "blocks": 1, "stem_stride": 2, "features": 8}
    assert options["network"] == shape  # the attributes are those of the data
    assert "smallest accuracy" in (tmp_path / "whole" / "CARD.md").read_text()


def test_a_run_is_repeated_from_its_own_options(tmp_path):
    assert main([*OPTIONS, "--out", str(tmp_path / "one")]) == 0
    again = ["train", "--config", str(tmp_path / "one" / "run.json"), "--out", str(tmp_path / "two")]
    assert main(again) == 0
    np.testing.assert_array_equal(*(load(tmp_path / name).theta for name in ("one", "two")))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--data", "digits"], "--data is 'digits', of whose pictures no attributes are known"),
        (["--data", "nowhere"], "nowhere"),
        (["--network.image-size", "24x36"], "--network.image-size is 24 x 36, but pictures of squares are square"),
        (["--network.stem-stride", "3"], "--network.stem-stride is 3, but one of 1, 2"),
        (["--train.blur", "2"], "--train.blur is 2.0, but a number from 0 to 1"),
        (["--network.in-channels", "1"], "data has pictures of shape (24, 24, 3)"),
    ],
)
def test_options_that_do_not_fit_are_refused_in_a_sentence(options, words, tmp_path, capsys):
    assert main([*OPTIONS, *options, "--out", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert "Traceback" not in error
    assert not (tmp_path / "run").exists()
