"""A model as a whole: saved, loaded, sampled from, and files that are damaged."""

import errno
import json
import os

import numpy as np
import pytest

from tinydiff.errors import CheckpointError, InputError
from tinydiff.model import DiffusionModel, ModelConfig, load_model, load_weights, save_model, save_weights
from tinydiff.nn import UNet, UNetConfig

UNET = UNetConfig(image_size=8, channels=8, channel_mult=(1, 2), blocks_per_level=1, heads=2, num_classes=3)


def make(kind="v", unet=UNET):
    network = UNet(unet, np.random.default_rng(0))
    network.theta[:] += 0.05 * np.random.default_rng(1).standard_normal(network.theta.shape).astype(np.float32)
    return DiffusionModel(network, ModelConfig(unet, T=50, kind=kind), micro_batch=4)


def last_of(chain):
    *_, (t, x, _) = chain
    assert t == 0
    return x


def test_saved_and_loaded_it_is_the_same(tmp_path):
    model = make()
    save_model(tmp_path, model, note="for the test")
    again = load_model(tmp_path)
    np.testing.assert_array_equal(again.network.theta, model.network.theta)
    assert again.config == model.config
    assert again.micro_batch == model.micro_batch
    assert json.loads((tmp_path / "config.json").read_text())["note"] == "for the test"
    np.testing.assert_array_equal(last_of(again.chain(3, steps=2)), last_of(model.chain(3, steps=2)))


def test_weights_that_are_not_contiguous_survive(tmp_path):
    model = make()
    weight = model.network.mid_1.conv_1.weight
    weight.value = np.asfortranarray(weight.value)
    save_weights(tmp_path / "w.safetensors", model.network)
    twin = make().network
    twin.theta[:] = 0
    load_weights(tmp_path / "w.safetensors", twin)
    np.testing.assert_array_equal(twin.mid_1.conv_1.weight.value, weight.value)


@pytest.mark.parametrize("kind", ["eps", "x_0", "v"])
def test_a_network_that_predicts_its_target_is_read_as_x_0_and_eps(kind):
    model = make(kind)
    rng = np.random.default_rng(0)
    x_0, eps = np.clip(rng.standard_normal((4, 8, 8, 1)), -1, 1), rng.standard_normal((4, 8, 8, 1))
    t = np.array([1, 10, 30, 45])
    x_t = model.diffusion.q_sample(x_0, t, eps)
    model.network.forward = lambda x, t, context: model.target(x_0, eps, t)
    x_0_hat, eps_hat = model.predict(x_t, t)
    np.testing.assert_allclose(x_0_hat, x_0, atol=1e-8)
    np.testing.assert_allclose(eps_hat, eps, atol=1e-6)


@pytest.mark.parametrize("sampler", ["ddim", "ddpm", "heun", "dpmpp_2m"])
def test_a_sample_is_the_same_picture_at_batch_1_and_64(sampler):
    model = make()
    whole = last_of(model.chain(64, seed=5, steps=3, sampler=sampler))
    assert whole.dtype == np.float32
    assert np.isfinite(whole).all()
    for i in (0, 5, 63):
        np.testing.assert_array_equal(
            last_of(model.chain(1, seed=5, steps=3, sampler=sampler, first=i)), whole[i : i + 1]
        )


def test_labels():
    model = make()
    turns = last_of(model.chain(4, steps=2))
    np.testing.assert_array_equal(turns, last_of(model.chain(4, steps=2, labels=[0, 1, 2, 0])))
    np.testing.assert_array_equal(last_of(model.chain(2, steps=2, labels=0))[:1], turns[:1])
    with pytest.raises(InputError, match=r"labels has shape \(2,\)"):
        model.chain(4, labels=[0, 1])
    with pytest.raises(InputError, match="holds 7"):
        last_of(model.chain(1, steps=1, labels=7))
    without = make(unet=UNetConfig(image_size=8, channels=8, channel_mult=(1,), blocks_per_level=1, heads=2))
    with pytest.raises(InputError, match="no classes"):
        without.chain(1, labels=0)


def test_bad_arguments_are_one_clear_sentence():
    with pytest.raises(InputError, match="sampler is 'mine'"):
        make().chain(sampler="mine")
    with pytest.raises(InputError, match="n is 0"):
        make().chain(n=0)
    with pytest.raises(InputError, match="schedule is 'mine'"):
        ModelConfig(schedule="mine")
    with pytest.raises(InputError, match="kind is 'mine'"):
        ModelConfig(kind="mine")
    with pytest.raises(InputError, match=r"There is no model 'nope'. Shipped with tinydiff: .*mnist"):
        load_model("nope")


@pytest.mark.parametrize("damage", ["truncated", "missing", "no config", "other config", "wider"])
def test_damaged_folders_are_one_clear_sentence(tmp_path, damage):
    save_model(tmp_path, make())
    weights, config = tmp_path / "model.safetensors", tmp_path / "config.json"
    if damage == "truncated":
        weights.write_bytes(weights.read_bytes()[:1000])
    elif damage == "missing":
        weights.unlink()
    elif damage == "no config":
        config.write_text("{")
    elif damage == "other config":
        config.write_text("{}")
    else:
        config.write_text(config.read_text().replace('"channels": 8', '"channels": 16'))
    with pytest.raises(CheckpointError) as caught:
        load_model(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_full_disk_leaves_no_partial_file_and_the_old_one(tmp_path, monkeypatch):
    save_model(tmp_path, make())
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match=r"model\.safetensors cannot be written"):
        save_model(tmp_path, make("eps"))
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before
