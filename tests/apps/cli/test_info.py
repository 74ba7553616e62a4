"""`tinydiff info`: versions, models and data."""

import numpy as np
from commands import fails
from PIL import Image

import tinydiff
from tinydiff.apps.cli import main
from tinydiff.models import shipped_models


def test_info_prints_versions_models_and_data(capsys):
    assert main(["info"]) == 0
    text = capsys.readouterr().out
    for word in (
        f"tinydiff {tinydiff.__version__}",
        f"NumPy {np.__version__}",
        "GPU",
        "mnist-classifier-28",
        "avatars-cascade/stage_1",
        "avatars-unclip/prior/clip",
        "scenes/autoencoder",
        "scenes-128/autoencoder",
        "Model scenes-128: ",
        "Data mnist-small: 6,000 + 1,000 digits of MNIST",
        "Data scenes: captioned scenes of 64 x 64 pixels",
        *shipped_models(),  # those of tinydiff-scenes, too, where they are
    ):
        assert word in text


def test_a_data_set_is_shown_with_what_its_pictures_show(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["info", "--show", "scenes"]) == 0
    assert "drawn as needed. The first 32: scenes.png" in capsys.readouterr().out
    with Image.open(tmp_path / "scenes.png") as sheet:
        wide, high = sheet.size
    assert wide > 8 * 128
    assert high > 4 * (128 + 20)  # with captions below
    assert main(["info", "--show", "digits"]) == 0
    fails(capsys, ["info", "--show", "cats"], 2, "--show is 'cats', but one of 'digits'")
    fails(capsys, ["info", "x.png", "--show", "digits"], 2, "a picture was named, too")
