"""`tinydiff evaluate`: samples beside real images, as numbers and pictures."""

from dataclasses import replace

import numpy as np
import pytest
from commands import fails
from PIL import Image

from tinydiff.apps.cli import main
from tinydiff.apps.cli.evaluate import labels_by_name
from tinydiff.data import Dataset
from tinydiff.models import ModelConfig
from tinydiff.networks import UNetConfig


def test_evaluate_prints_samples_beside_real_images(trained, tmp_path, capsys, monkeypatch):
    from tinydiff.evaluate import samples
    from tinydiff.networks import Classifier, ClassifierConfig

    monkeypatch.setattr(samples, "load", lambda name, kind: Classifier(ClassifierConfig(8, channels=(4,))))
    arguments = ["evaluate", "--model", str(trained), "--data", "digits", "--n", "30", "--steps", "2"]
    arguments += ["--classifier", "stand-in"]
    assert main([*arguments, "--out", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert "Distances to 30 real images of digits, test, on features of stand-in:" in text
    for name in ("Fréchet distance (FD", "kernel distance (KID)", "precision", "recall", "density", "coverage"):
        assert any(line.startswith(name) and line.count("[") == 2 for line in text.splitlines()), name
    assert "test loss (v) by timestep" in text
    assert {p.name for p in tmp_path.iterdir()} == {"samples.png", "nearest.png", "loss_by_timestep.png"}
    assert main([*arguments, "--out", str(tmp_path)]) == 0
    assert f"those of this one are in {tmp_path / '2'}." in capsys.readouterr().out
    assert (tmp_path / "2" / "samples.png").is_file()


@pytest.mark.slow
def test_a_model_for_whose_data_no_classifier_ships_is_measured_without_one(trained, tmp_path, capsys):
    assert main(["evaluate", "--model", str(trained), "--n", "8", "--steps", "2", "--out", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    for line in ("digits, train", "Fréchet distance to 8 real pictures", "nearest training picture", "held out"):
        assert line in text
    assert {p.name for p in tmp_path.iterdir()} == {"samples.png", "nearest.png", "loss_by_timestep.png"}


@pytest.mark.slow
def test_a_model_of_ones_own_pictures_finds_them_by_itself(tmp_path, capsys, monkeypatch):
    """Also the model with the best loss, one folder deeper, and not where the pictures have gone."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for i in range(40):
        path = tmp_path / "pets" / ("cat", "dog")[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8)).save(path)
    tiny = [
        "--unet.image-size",
        "8",
        "--unet.channels",
        "8",
        "--unet.channel-mult",
        "1",
        "--unet.blocks-per-level",
        "1",
    ]
    assert main(["train", "--data", "pets", "--train.steps", "1", "--train.batch", "4", *tiny, "--out", "run"]) == 0
    capsys.readouterr()
    for model in ("run", "run/best"):
        assert main(["evaluate", "--model", model, "--steps", "2"]) == 0
        text = capsys.readouterr().out
        assert text.count("pets, training: 38 images 8 x 8 x 3") == 1
        assert "40 of 40 pictures: cropped in the middle.\n" in text  # no advice: `evaluate` has no --fit
        assert "Samples: 20, ddim, 2 steps" in text  # half of 40
    assert main(["evaluate", "--model", "run", "--data", "pets", "--n", "4", "--steps", "2"]) == 0
    capsys.readouterr()
    other = tmp_path / "others"
    for name in ("dog", "elk"):  # other classes: the model's 1, and one that it does not know
        (other / name).mkdir(parents=True)
        for i in range(4):
            Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(other / name / f"{i}.png")
    assert main(["evaluate", "--model", "run", "--data", "others", "--n", "4", "--steps", "2"]) == 0
    assert "Classes that the model does not know: elk. For these" in capsys.readouterr().out
    assert main(["evaluate", "--model", "run", "--data", "others/elk", "--n", "4", "--steps", "2"]) == 0
    assert "These pictures have no classes: the model is asked for none of its 2." in capsys.readouterr().out
    fails(capsys, ["evaluate", "--model", "run", "--data", "digits"], 2, "--data is 'digits', whose", "have 1 channel,")
    (tmp_path / "pets").rename(tmp_path / "elsewhere")
    fails(capsys, ["evaluate", "--model", "run"], 2, "--data is missing", "pets", "not found from here")


def test_classes_of_other_pictures_are_the_model_s_by_name():
    """Not by their number: a folder may have some of them only."""
    names = ("cat", "dog", "elk")
    config = ModelConfig(UNetConfig(8, num_classes=3), class_names=names)
    none = np.zeros((4, 8, 8, 1), np.uint8)

    def labels(found, config):
        data = Dataset(none, np.arange(4) % len(found or [1]), "others", "all", "here", class_names=found)
        return labels_by_name(data, config)[0].tolist()

    assert labels(("dog", "elk"), config) == [1, 2]
    assert labels(("ape", "cat"), config) == [3, 0]  # 3: no class
    assert labels(None, config) == [3]
    unnamed = replace(config, class_names=None)
    assert labels(names, unnamed) == [0, 1, 2]
    assert labels(("dog", "elk"), unnamed) == [3, 3]
