"""`tinydiff info`: versions, models and data."""

import numpy as np

import tinydiff
from tinydiff.apps.cli import main


def test_info_prints_versions_models_and_data(capsys):
    assert main(["info"]) == 0
    text = capsys.readouterr().out
    for word in (
        f"tinydiff {tinydiff.__version__}",
        f"NumPy {np.__version__}",
        "GPU",
        "mnist-classifier-28",
        "mnist-small, train: 6,000 images",
    ):
        assert word in text
