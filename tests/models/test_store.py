"""Model folders: what is saved is loaded, by one function whatever it is; what is not whole is one sentence."""

import errno
import json
import os
import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

import tinydiff
from tinydiff.base import CheckpointError, DataError, InputError, select_device
from tinydiff.models import (
    SHIPPED,
    ClipModel,
    DiffusionModel,
    ModelConfig,
    Request,
    find_folder,
    load,
    read_about,
    register,
    save,
    store,
)
from tinydiff.models.weights import load_weights, save_weights
from tinydiff.networks import (
    CLIP,
    Classifier,
    ClassifierConfig,
    CLIPConfig,
    NoisyClassifier,
    NoisyClassifierConfig,
    TextConfig,
    TextToImage,
    UNet,
    UNetConfig,
)
from tinydiff.text import Tokenizer

UNET = UNetConfig(image_size=8, channels=8, channel_mult=(1, 2), blocks_per_level=1, heads=2, num_classes=3)
TOKENIZER = Tokenizer.train(["a red hat", "a green hat"], 4)
TEXT = TextConfig(len(TOKENIZER), length=6, channels=8, layers=1, heads=2)


def make(kind="v", seed=0):
    network = UNet(UNET, np.random.default_rng(seed))
    network.theta[:] += 0.05 * np.random.default_rng(1).standard_normal(network.theta.shape).astype(np.float32)
    return DiffusionModel(network, ModelConfig(UNET, T=50, kind=kind), micro_batch=4)


def make_from_text():
    unet = replace(UNET, num_classes=None, context_channels=8)
    return DiffusionModel(TextToImage(unet, TEXT), ModelConfig(unet, T=50, text=TEXT), 4, tokenizer=TOKENIZER)


def make_clip():
    config = CLIPConfig(8, 3, (4, 8), 6, replace(TEXT, causal=True))
    return ClipModel(CLIP(config), TOKENIZER, "linear", 40, 2)


def make_classifier():
    return Classifier(ClassifierConfig(8, 1, 3, (4,), 6))


def make_noisy_classifier():
    return NoisyClassifier(NoisyClassifierConfig(8, 1, 3, (4, 8)))


MAKERS = [make, make_from_text, make_clip, make_classifier, make_noisy_classifier]


def theta_of(model):
    return getattr(model, "network", model).theta


def options_of(model):
    """Return what a model was built from, but for its parts."""
    config = model.network.config if isinstance(model, ClipModel) else model.config
    return [config, *(getattr(model, name, None) for name in ("micro_batch", "schedule", "T"))]


def config_of(folder):
    return json.loads((folder / "config.json").read_text())


def rewrite(folder, change):
    (folder / "config.json").write_text(json.dumps(config_of(folder) | change))


def refused(folder, *words, kind=None, error=CheckpointError):
    """Loading the folder is refused with one sentence, which holds these words."""
    with pytest.raises(error) as caught:
        load(folder, kind=kind)
    sentence = str(caught.value)
    assert "\n" not in sentence
    for word in words:
        assert word in sentence, sentence


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
        assert np.isfinite(theta_of(model)).all()
        assert (folder / "CARD.md").is_file()
        assert config_of(folder)["format"] == store.FORMAT
    assert isinstance(load("avatars-clip"), ClipModel)
    assert read_about("mnist")["data"] == "mnist"


def test_the_shipped_weights_are_small():
    assert sum(path.stat().st_size for path in SHIPPED.rglob("*") if path.is_file()) < 40e6


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
    refused(tmp_path, "config.json is of a model 'pair', which is not known", "clip, diffusion", "install a newer")


# Folders that older versions wrote.


def old_layout(folder, model):
    """Write config.json as it was before it had a format."""
    network = json.loads(json.dumps(config_of(folder)["config"]))
    about = {"step": 7, "train": {"steps": 7}, "data": "digits"}
    if isinstance(model, DiffusionModel):
        old = {"model": network, "micro_batch": model.micro_batch, **about}
    elif isinstance(model, ClipModel):
        old = {"clip": network, "schedule": model.schedule, "T": model.T, "micro_batch": model.micro_batch, **about}
    else:
        old = {"classifier" if isinstance(model, Classifier) else "noisy_classifier": network}
    (folder / "config.json").write_text(json.dumps(old))


@pytest.mark.parametrize("make_one", MAKERS)
def test_folders_of_the_layouts_before_are_read(tmp_path, make_one):
    model = make_one()
    save(tmp_path, model)
    old_layout(tmp_path, model)
    again = load(tmp_path)
    assert type(again) is type(model)
    np.testing.assert_array_equal(theta_of(again), theta_of(model))
    assert options_of(again) == options_of(model)
    assert read_about(tmp_path).get("data") == ("digits" if hasattr(model, "network") else None)


def test_an_old_folder_may_lack_what_came_later(tmp_path):
    """The first ones had no text, no images beside x_t, and some no micro-batch: 8 was taken."""
    save(tmp_path, make())
    network = config_of(tmp_path)["config"]
    del network["text"], network["unet"]["image_channels"], network["unet"]["pooled_channels"]
    (tmp_path / "config.json").write_text(json.dumps({"model": network}))
    model = load(tmp_path)
    assert model.config == make().config
    assert model.micro_batch == 8


# Folders that are not whole, or say what makes no model.


def test_a_folder_of_a_newer_version_is_one_sentence(tmp_path):
    save(tmp_path, make())
    rewrite(tmp_path, {"format": store.FORMAT + 1, "unheard": "of"})
    refused(tmp_path, str(tmp_path / "config.json"), "has the format 3", "install a newer tinydiff than")


CONFIG_CHANGES = [
    ({"config": None}, "config is None, but a table was expected"),
    ({"config": {"unet": {"channels": 0}}}, "config.unet.channels is 0, but a whole number"),
    ({"config": {"unet": {"channels": "eight"}}}, "config.unet.channels is 'eight', but a whole number was expected"),
    ({"config": {"unet": {"colour": True}}}, "there is no option config.unet.colour; there are in config.unet: image"),
    ({"config": {"unet": {"channels": 10**12}}}, "does not describe a diffusion model (array is too big"),
    ({"config": {"unet": {"heads": 3}}}, "config.unet.heads is 3, but the 128 channels of level 2"),
    ({"config": {"unet": {}, "kind": "y"}}, "config.kind is 'y', but one of"),
    (
        {"config": {"unet": {"image_size": 8.5}}},
        "config.unet.image_size is 8.5, but a whole number or a list of 2 whole numbers was",
    ),
    ({"config": {"T": 0}}, "config.T is 0, but a whole number of at least 1"),
    ({"micro_batch": 0}, "does not describe a diffusion model (micro_batch is 0"),
    ({"micro_batch": "many"}, "micro_batch is 'many', but a whole number was expected"),
    ({"colour": 1, "taste": 2}, "there is no option colour or taste; there are: config, micro_batch"),
    ({"parts": []}, "its parts are none, but network, tokenizer were expected"),
    ({"parts": ["network", "../secret"]}, "its parts are network, ../secret, but network, tokenizer were expected"),
    ({"parts": ["network", "tokenizer"]}, "tokenizer.json does not exist"),
    ({"parts": "network"}, "parts is 'network', but a list of texts was expected"),
    ({"format": True}, "format is True, but a whole number was expected"),
    ({"format": 1}, "has the format 1"),
]


@pytest.mark.parametrize(("change", "words"), CONFIG_CHANGES)
def test_a_configuration_that_makes_no_model_is_one_clear_sentence(tmp_path, change, words):
    save(tmp_path, make())
    rewrite(tmp_path, change)
    refused(tmp_path, str(tmp_path), words)


@pytest.mark.parametrize("lacks", ["config", "parts", "model"])
def test_a_configuration_that_lacks_something_is_one_clear_sentence(tmp_path, lacks):
    save(tmp_path, make())
    (tmp_path / "config.json").write_text(json.dumps({k: v for k, v in config_of(tmp_path).items() if k != lacks}))
    refused(tmp_path, str(tmp_path / "config.json"), f"lacks the option {lacks}")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("truncated", "model.safetensors cannot be read as a safetensors file"),
        ("empty", "model.safetensors cannot be read as a safetensors file"),
        ("missing", "model.safetensors does not exist, but"),
        ("no config", "config.json cannot be read as JSON"),
        ("nested", "config.json cannot be read as JSON"),
        ("list", "config.json holds [1, 2], but names with their values"),
        ("number", "config.json holds 3, but names with their values"),
        ("null", "config.json holds None, but names with their values"),
        ("other config", "config.json does not say which model it is of"),
        ("wider", "model.safetensors is of another architecture"),
    ],
)
def test_damaged_folders_are_one_clear_sentence(tmp_path, damage, words):
    save(tmp_path, make())
    weights, config = tmp_path / "model.safetensors", tmp_path / "config.json"
    texts = {"no config": "{", "nested": "[" * 100_000, "list": "[1, 2]", "number": "3", "null": "null"}
    texts |= {"other config": "{}", "wider": config.read_text().replace('"channels": 8', '"channels": 16')}
    if damage == "truncated":
        weights.write_bytes(weights.read_bytes()[:-1000])
    elif damage == "empty":
        weights.write_bytes(b"")
    elif damage == "missing":
        weights.unlink()
    else:
        config.write_text(texts[damage])
    refused(tmp_path, str(tmp_path), words)


@pytest.mark.parametrize("damage", ["missing", "truncated", "other"])
def test_a_damaged_tokenizer_is_one_clear_sentence(tmp_path, damage):
    save(tmp_path, make_from_text())
    path = tmp_path / "tokenizer.json"
    if damage == "missing":
        path.unlink()
    elif damage == "truncated":
        path.write_text(path.read_text()[:-40])
    else:
        Tokenizer().save(path)
    refused(tmp_path, str(tmp_path), "tokenizer", error=(CheckpointError, DataError))


def test_weights_that_are_not_finite_are_refused_by_name(tmp_path):
    model = make()
    model.network.theta[-1] = np.nan
    save(tmp_path, model)
    last = list(model.network.named_parameters())[-1]
    refused(tmp_path, f"holds NaN or infinity in {last}")


def test_a_name_that_is_no_model_is_refused_with_those_that_there_are():
    for name in ("nope", "x" * 300, "a\0b"):
        with pytest.raises(InputError, match=rf"There is no model {re.escape(repr(name))}. Shipped .*mnist"):
            find_folder(name)


# Disks that refuse.


def test_a_full_disk_leaves_no_partial_file_and_the_old_one(tmp_path, monkeypatch):
    save(tmp_path, make())
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match=r"model\.safetensors cannot be written"):
        save(tmp_path, make("eps"))
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_config_json_is_written_last(tmp_path, monkeypatch):
    """So a folder that is broken off has none, and is no model."""
    written, replace_file = [], os.replace

    def watched(source, target):
        written.append(os.path.basename(target))
        replace_file(source, target)

    monkeypatch.setattr(os, "replace", watched)
    save(tmp_path, make_from_text())
    assert written == ["model.safetensors", "tokenizer.json", "config.json"]


@pytest.mark.parametrize(
    ("code", "advice"), [(errno.ENOSPC, "the disk is full"), (errno.EACCES, "is not writable. Choose another")]
)
def test_a_refusal_leaves_no_partial_file_in_a_new_folder(tmp_path, monkeypatch, code, advice):
    def refuse(descriptor):
        assert len(list((tmp_path / "new").iterdir())) == 1  # the file beside, half way
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(CheckpointError, match=advice):
        save(tmp_path / "new", make())
    assert list((tmp_path / "new").iterdir()) == []


def test_a_folder_that_cannot_be_made_is_one_clear_sentence(tmp_path):
    (tmp_path / "taken").write_text("in the way")
    with pytest.raises(CheckpointError, match="is a file, not a folder"):
        save(tmp_path / "taken" / "model", make())
    assert [p.name for p in tmp_path.iterdir()] == ["taken"]
