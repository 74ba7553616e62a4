"""Model folders of older versions are read; what is not whole, makes no model or cannot be written is one sentence."""

import errno
import json
import os
import re

import numpy as np
import pytest
from model_folders import MAKERS, config_of, make, make_from_text, options_of, refused, rewrite, theta_of

from tinydiff.base import CheckpointError, DataError, InputError
from tinydiff.models import ClipModel, DiffusionModel, find_folder, load, read_about, save, store
from tinydiff.networks import Classifier
from tinydiff.text import Tokenizer

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
    ({"config": {"unet": {"channels": 10**12}}}, "config.unet.channels is 1000000000000, but a whole number from 1 to"),
    ({"config": {"unet": {"channels": 4096}}}, "a network of more weights than the 41,737 that"),
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
        ("other config", "config.json does not say which model it describes"),
        ("wider", "describes a network of more weights than the"),
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
