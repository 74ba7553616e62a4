"""Model folders: what is saved is loaded, by one function whatever it is."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from model_folders import (
    MAKERS,
    config_of,
    make,
    make_classifier,
    make_from_text,
    options_of,
    refused,
    rewrite,
    theta_of,
)

import tinydiff
from tinydiff.base import InputError, select_device
from tinydiff.models import SHIPPED, ClipModel, DiffusionModel, Request, load, read_about, register, save, store
from tinydiff.models.weights import load_weights, save_weights
from tinydiff.networks import Classifier, NoisyClassifier


def last_of(chain):
    *_, (_, x, _) = chain
    return x


@pytest.mark.parametrize("make_one", MAKERS)
def test_saved_and_loaded_it_is_the_same(tmp_path, make_one):
    model = make_one()
    save(tmp_path, model, note="for the test", lr=0.1 + 0.2)
    again = load(tmp_path)
    assert type(again) is type(model)
    np.testing.assert_array_equal(theta_of(again), theta_of(model))
    assert options_of(again) == options_of(model)
    assert read_about(tmp_path) == {"note": "for the test", "lr": 0.1 + 0.2}
    has_tokenizer = getattr(model, "tokenizer", None) is not None
    assert (tmp_path / "tokenizer.json").exists() == has_tokenizer
    assert not has_tokenizer or again.tokenizer.merges == model.tokenizer.merges


def test_a_loaded_model_draws_the_same(tmp_path):
    model = make()
    save(tmp_path, model)
    np.testing.assert_array_equal(*(last_of(one.chain(Request(n=3), steps=2)) for one in (load(tmp_path), model)))


def test_a_folder_says_which_model_it_is_of_its_parts_and_versions(tmp_path):
    save(tmp_path, make_from_text(), data="mine")
    config = config_of(tmp_path)
    assert list(config) == ["format", "tinydiff", "model", "parts", "config", "micro_batch", "about"]
    assert config["format"] == store.FORMAT
    assert config["tinydiff"] == tinydiff.__version__
    assert config["model"] == "diffusion"
    assert config["parts"] == ["network", "tokenizer"]
    assert config["config"]["unet"]["channel_mult"] == [1, 2]
    assert config["about"] == {"data": "mine"}


def test_the_shipped_models_load():
    folders = sorted(path.parent for path in SHIPPED.glob("*/config.json"))
    assert len(folders) >= 8
    for folder in folders:
        model = tinydiff.load(folder.name)
        for part in getattr(model, "parts", (model,)):
            assert np.isfinite(theta_of(part)).all()
        assert (folder / "CARD.md").is_file()
        assert config_of(folder)["format"] == store.FORMAT
    assert isinstance(load("avatars-clip"), ClipModel)
    assert read_about("mnist")["data"] == "mnist"


def test_the_shipped_weights_are_small():
    """Of each package: an index takes no file of 100 MB."""
    sizes = {path.relative_to(SHIPPED): path.stat().st_size for path in SHIPPED.rglob("*") if path.is_file()}
    of_scenes = {path: size for path, size in sizes.items() if path.parts[0] in store.OF_SCENES}
    assert sum(sizes.values()) - sum(of_scenes.values()) < 90e6
    assert sum(of_scenes.values()) < 65e6


def test_a_model_of_another_package_is_named_with_it(monkeypatch):
    monkeypatch.setattr(store, "SHIPPED", SHIPPED / "mnist")
    with pytest.raises(InputError, match=r"'scenes-unclip/prior' is not installed: it is in the package tinydiff-sc"):
        load("scenes-unclip/prior")


def test_a_device_may_be_given_by_name(tmp_path):
    save(tmp_path, make_classifier())
    for device in (None, "cpu", select_device("cpu")):
        assert isinstance(load(tmp_path, device).theta, np.ndarray)
    with pytest.raises(InputError, match="'tpu'"):
        load(tmp_path, "tpu")


def test_another_kind_than_was_expected_is_refused_before_weights_are_read(tmp_path):
    with pytest.raises(InputError, match="mnist-classifier-28 is a classifier, but a diffusion model was expected"):
        load("mnist-classifier-28", kind=DiffusionModel)
    with pytest.raises(InputError, match="mnist is a diffusion model, but a classifier of noisy pictures was expected"):
        load("mnist", kind=NoisyClassifier)
    save(tmp_path, make_classifier())
    (tmp_path / "model.safetensors").unlink()
    refused(
        tmp_path, "but a diffusion model or a CLIP was expected", kind=(DiffusionModel, ClipModel), error=InputError
    )


def test_other_weights_than_the_networks_own_can_be_saved(tmp_path):
    model = make()
    ema = np.linspace(-1, 1, model.network.theta.size, dtype=np.float32)
    save(tmp_path, model, ema)
    np.testing.assert_array_equal(load(tmp_path).network.theta, ema)
    assert not np.array_equal(model.network.theta, ema)


def test_weights_that_are_not_contiguous_survive(tmp_path):
    model = make()
    weight = model.network.mid_1.conv_1.weight
    weight.value = np.asfortranarray(weight.value)
    save_weights(tmp_path / "w.safetensors", model.network)
    twin = make().network
    twin.theta[:] = 0
    load_weights(tmp_path / "w.safetensors", twin)
    np.testing.assert_array_equal(twin.mid_1.conv_1.weight.value, weight.value)


# A model that is made of models, and has an option of its own.


@dataclass(frozen=True)
class Pair:
    judge: Classifier
    painter: DiffusionModel
    strength: float = 1.0


@dataclass(frozen=True)
class PairSettings:
    strength: float

    @classmethod
    def of(cls, pair):
        return cls(pair.strength)

    @staticmethod
    def parts(pair):
        return {"judge": pair.judge, "painter": pair.painter}

    def build(self, judge: Any, painter: Any):
        return Pair(judge, painter, self.strength)


@pytest.fixture
def pairs(monkeypatch):
    monkeypatch.setattr(store, "REGISTERED", dict(store.REGISTERED))
    assert register("pair", "a pair", Pair)(PairSettings) is PairSettings


@pytest.mark.usefixtures("pairs")
def test_a_model_made_of_models_is_a_folder_of_folders(tmp_path):
    pair = Pair(make_classifier(), make_from_text(), strength=0.1)
    save(tmp_path, pair, note="both")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "judge", "painter"]
    assert config_of(tmp_path)["parts"] == ["judge", "painter"]
    again = load(tmp_path, kind=Pair)
    assert again.strength == 0.1
    np.testing.assert_array_equal(again.judge.theta, pair.judge.theta)
    np.testing.assert_array_equal(again.painter.network.theta, pair.painter.network.theta)
    assert isinstance(load(tmp_path / "painter"), DiffusionModel)
    with pytest.raises(InputError, match="a pair has no network of its own"):
        save(tmp_path, pair, theta=pair.judge.theta)
    (tmp_path / "judge" / "config.json").unlink()
    refused(tmp_path, str(tmp_path / "judge" / "config.json"), "does not exist", "copy the folder again")


def test_a_class_that_is_not_registered_is_neither_saved_nor_loaded(tmp_path):
    with pytest.raises(InputError, match=r"Pair is no class of models that is known; there are: .*DiffusionModel"):
        save(tmp_path, Pair(make_classifier(), make()))
    save(tmp_path, make())
    rewrite(tmp_path, {"model": "pair"})
    refused(tmp_path, "config.json describes a model 'pair', which is not known", "clip, diffusion", "install a newer")


def test_weights_of_half_precision_take_half_the_room_and_load_as_float32(tmp_path):
    model = load("mnist-classifier-16")
    full, half = save(tmp_path / "full", model), save(tmp_path / "half", model, half=True)
    sizes = [(folder / "model.safetensors").stat().st_size for folder in (full, half)]
    assert sizes[1] < 0.55 * sizes[0]
    again = load(half)
    assert again.theta.dtype == np.float32
    assert (again.theta == model.theta.astype(np.float16)).all()
    model.theta[0] = 70000
    with pytest.raises(InputError, match=r"half is True, .*float16 ends at 65,504"):
        save(tmp_path / "large", model, half=True)


def test_what_ships_is_still_called_as_runs_and_files_know_it():
    """New options of a network must not give another checksum to what could be made without them."""
    unclip = load("avatars-unclip")
    assert unclip.prior.clip.checksum() == "e330f3e31aa082b2"
    assert unclip.prior.checksum() == "06e1e3e62711f6bc"
    assert load("scenes").autoencoder.checksum() == "df6048501abfd025"
