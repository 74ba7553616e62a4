"""The data sets by name: what ships, what its card says, and a package that is damaged."""

import hashlib
import io
import os
from pathlib import Path

import numpy as np
import pytest

import tinydiff.data as data_module
from tinydiff.base import Choices, DataError, InputError
from tinydiff.data import DATASETS, Dataset, dataset, load_data, sets


@pytest.mark.parametrize(
    ("name", "split", "n", "side"),
    [
        ("digits", "train", 1497, 8),
        ("digits", "test", 300, 8),
        ("mnist-small", "train", 6000, 28),
        ("mnist-small", "test", 1000, 28),
    ],
)
def test_what_ships(name, split, n, side):
    data = load_data(name, split)
    assert data.images.shape == (n, side, side, 1)
    assert data.images.max() == 255
    assert set(data.labels) == set(range(10))
    assert f"{n:,} images {side} x {side} x 1, from the package" in data.describe()


def test_the_small_mnist_has_as_many_of_each_class():
    for split, n in (("train", 600), ("test", 100)):
        assert (np.bincount(load_data("mnist-small", split).labels) == n).all()


@pytest.mark.parametrize("name", ["mnist-small", "digits"])
def test_the_card_states_the_sums_of_what_ships(name):
    card = (Path(data_module.__file__).parent / "CARD.md").read_text(encoding="utf-8")
    raw = (Path(data_module.__file__).parent / f"{name}.npz").read_bytes()
    with np.load(io.BytesIO(raw)) as arrays:
        content = b"".join(arrays[key].tobytes() for key in sorted(arrays))
    assert f"| `{name}.npz`, file | `{hashlib.sha256(raw).hexdigest()}` |" in card
    assert f"| `{name}.npz`, content | `{hashlib.sha256(content).hexdigest()}` |" in card
    assert f"`{name}.npz`, {len(raw):,} bytes" in card


def test_training_and_test_images_are_different():
    for name in ("digits", "mnist-small"):
        train, test = ({x.tobytes() for x in load_data(name, split).images} for split in ("train", "test"))
        assert not train & test


@pytest.mark.parametrize("n", [0, 100, 20000])
def test_a_damaged_package_says_so(tmp_path, monkeypatch, n):
    shipped = Path(data_module.__file__).parent / "digits.npz"
    (tmp_path / "digits.npz").write_bytes(shipped.read_bytes()[:n])
    monkeypatch.setattr(sets, "__file__", str(tmp_path / "sets.py"))
    with pytest.raises(DataError, match=r"digits\.npz is damaged.*Install tinydiff again"):
        load_data("digits")


@pytest.mark.skipif(not os.environ.get("TINYDIFF_DATA"), reason="TINYDIFF_DATA does not say where full MNIST is")
def test_mnist_small_is_the_first_of_each_class_in_full_mnist():
    for split, n in (("train", 600), ("test", 100)):
        full, small = load_data("mnist", split, network=False), load_data("mnist-small", split)
        chosen = np.sort(np.concatenate([np.flatnonzero(full.labels == c)[:n] for c in range(10)]))
        np.testing.assert_array_equal(small.images, full.images[chosen])
        np.testing.assert_array_equal(small.labels, full.labels[chosen])


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(InputError, match="name is 'cifar', but one of 'digits', 'mnist-small', 'avatars'"):
        load_data("cifar")
    with pytest.raises(InputError, match="split is 'validation'"):
        load_data("digits", "validation")


def test_every_set_says_what_it_is_and_has_both_splits():
    for known in DATASETS.values():
        assert known.summary.endswith(".")
        assert {"train", "test"} <= set(known.splits)


def test_a_new_set_registers_itself(monkeypatch):
    monkeypatch.setattr(sets, "DATASETS", Choices("name", DATASETS))

    @dataset("grey", splits=("train", "test", "dark"))
    def load_grey(split="train"):
        """Return pictures that are all grey."""
        grey = 20 if split == "dark" else 128
        return Dataset(np.full((3, 4, 4, 1), grey, np.uint8), np.zeros(3, int), "grey", split, "nowhere")

    assert sets.DATASETS["grey"].summary == "Return pictures that are all grey."
    assert load_data("grey", "dark").images.max() == 20
    with pytest.raises(InputError, match="split is 'held-out', but one of 'train', 'test', 'dark'"):
        load_data("grey", "held-out")
    with pytest.raises(InputError, match=r"two data sets named 'digits', in tinydiff.data.sets and .*: rename one"):
        dataset("digits")(load_grey)
