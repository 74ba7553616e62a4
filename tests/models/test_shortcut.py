"""Models whose network is told how far a step goes: how it hears of it, and what is refused."""

import dataclasses

import numpy as np
import pytest

from tinydiff.base import Condition, InputError
from tinydiff.models import DiffusionModel, ModelConfig, Request, load, save
from tinydiff.networks import DiT, DiTConfig, UNet, UNetConfig

UNET = UNetConfig(8, 1, channels=8, channel_mult=(1,), blocks_per_level=1, heads=2, num_classes=3, step_size=True)
DIT = DiTConfig(8, 1, channels=8, layers=1, heads=2, num_classes=3, step_size=True)
X, T = np.random.default_rng(0).normal(size=(2, 8, 8, 1)).astype(np.float32), np.array([40, 60])


def made(shape, told=True):
    shape = dataclasses.replace(shape, step_size=told)
    network = (UNet if isinstance(shape, UNetConfig) else DiT)(shape, np.random.default_rng(0))
    network.theta[:] += 0.05 * np.random.default_rng(1).standard_normal(network.theta.shape)
    return network


def model_of(told=True):
    config = ModelConfig(dataclasses.replace(UNET, step_size=told), schedule="straight", path="straight", kind="flow-v")
    return DiffusionModel(made(UNET, told), config, micro_batch=2, threads=1)


@pytest.mark.parametrize("shape", [UNET, DIT])
def test_the_length_of_a_step_changes_what_is_predicted_and_none_is_0(shape):
    network = made(shape)
    none = network.forward(X, T)
    np.testing.assert_array_equal(network.forward(X, T, Condition(step_size=np.zeros(2))), none)
    told = network.forward(X, T, Condition(step_size=np.array([0.0, 30.0])))
    np.testing.assert_allclose(told[0], none[0], atol=1e-5)
    assert abs(told[1] - none[1]).max() > 1e-3
    with pytest.raises(InputError, match=r"takes none \(step_size is False\)"):
        made(shape, told=False).forward(X, T, Condition(step_size=np.ones(2)))
    with pytest.raises(InputError, match="step_size holds what is no step"):
        network.forward(X, T, Condition(step_size=np.array([1, np.nan])))


@pytest.mark.parametrize("shape", [UNET, DIT])
def test_a_network_starts_as_if_it_were_told_nothing(shape):
    config = dataclasses.replace(shape, step_size=True)
    network = (UNet if isinstance(shape, UNetConfig) else DiT)(config, np.random.default_rng(0))
    emb = network.embed.forward(T, Condition(), np.float32)
    np.testing.assert_array_equal(emb, network.embed.forward(T, Condition(step_size=T), np.float32))


def test_a_chain_tells_the_network_its_steps(monkeypatch):
    model, seen = model_of(), []
    forward = model.network.forward
    monkeypatch.setattr(model.network, "forward", lambda x, t, c: seen.append((t[0], c)) or forward(x, t, c))
    *_, (_, x, _) = model.chain(Request(n=2, labels=[2, 0]), "shortcut", 4)
    assert [(t, c.step_size[0], c.labels.tolist()) for t, c in seen] == [
        (t, 250, [2, 0]) for t in (1000, 750, 500, 250)
    ]
    *_, (_, other, _) = model.chain(Request(n=2, labels=[2, 0]), "ddim", 4)
    assert abs(x - other).max() > 1e-3


def test_guidance_and_other_models_are_refused():
    with pytest.raises(InputError, match="learned without guidance"):
        list(model_of().chain(Request(n=2, guidance=2.0), "shortcut", 1))
    with pytest.raises(InputError, match="has not learned to be told: take another sampler"):
        list(model_of(told=False).chain(Request(n=2), "shortcut", 1))


def test_it_is_saved_and_loaded_with_what_it_is_told(tmp_path):
    save(tmp_path, model_of())
    loaded = load(tmp_path)
    assert loaded.config.unet.step_size
    np.testing.assert_array_equal(loaded.network.theta, model_of().network.theta)
