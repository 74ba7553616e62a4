"""The recipe "Add a data set", followed with generated shapes."""

import pytest
from recipe import TINY_TRAINING, Recipe

DATA = '''
"""Shapes that are computed: discs and squares."""

import numpy as np

from tinydiff.data.dataset import Dataset
from tinydiff.data.sets import dataset

SIDE, NUMBERS, SEEDS = 8, {"train": 200, "test": 40}, {"train": 0, "test": 1}


@dataset("<name>")
def load_<name>(split: str = "train") -> Dataset:
    """Return 200 + 40 pictures, 8 x 8, of a disc (0) or a square (1) somewhere."""
    n, rng = NUMBERS[split], np.random.default_rng(SEEDS[split])
    labels, centre, radius = rng.integers(0, 2, n), rng.uniform(2, SIDE - 3, (2, n, 1, 1)), rng.uniform(1, 3, (n, 1, 1))
    away = abs(np.mgrid[:SIDE, :SIDE][:, None] - centre)
    inside = np.where(labels[:, None, None] == 0, np.hypot(*away), away.max(axis=0)) < radius
    return Dataset(255 * inside[..., None].astype(np.uint8), labels, "<name>", split, "the package")
'''
TEST = '''
"""The shapes."""

import numpy as np
import pytest

from tinydiff.data import load_data


@pytest.mark.parametrize(("split", "n"), [("train", 200), ("test", 40)])
def test_there_are_discs_and_squares(split, n):
    data = load_data("<name>", split)
    assert data.images.shape == (n, 8, 8, 1)
    assert set(data.labels) == {0, 1}
    assert (data.images.reshape(n, -1).max(axis=1) == 255).all()


def test_the_splits_differ():
    train, test = (load_data("<name>", split).images for split in ("train", "test"))
    assert not np.array_equal(train[:40], test)
'''
CARD = """

`<name>` are computed by `tinydiff/data/<name>.py`, MIT like the code."""


@pytest.mark.slow
def test_a_data_set(tmp_path):
    recipe = Recipe(tmp_path, "Add a data set", name="shapes")
    recipe.write("tinydiff/data/<name>.py", DATA)
    last = "MNIST: Yann LeCun"
    recipe.change("tinydiff/data/CARD.md", last, f"{CARD.strip()}\n\n{last}")
    recipe.write("tests/data/test_<name>.py", TEST)
    recipe.tests("tests/data/test_<name>.py", "tests/data/test_sets.py")
    trained = recipe.tinydiff("train", "--data", "<name>", "--out", "mine", *TINY_TRAINING)
    assert "shapes, train: 200 images" in trained
    assert "shapes" in recipe.tinydiff("info")
    assert "fashion-mnist, shapes" in " ".join(recipe.tinydiff("train", "--help").replace("│", " ").split())
    recipe.check()
