"""A diffusion model as a whole, drawn with."""

import dataclasses
import json
import multiprocessing

import numpy as np
import pytest
from diffusions import UNTOLD

from tinydiff.base import InputError
from tinydiff.functional import conv
from tinydiff.functional.fast.winograd import transform_weights
from tinydiff.models import (
    DiffusionModel,
    ModelConfig,
    Request,
    default_micro_batch,
    load,
    save,
)
from tinydiff.networks import UNet, UNetConfig
from tinydiff.workers import can_fork

UNET = UNetConfig(image_size=8, channels=8, channel_mult=(1, 2), blocks_per_level=1, heads=2, num_classes=3)


def make(kind="v", unet=UNET):
    network = UNet(unet, np.random.default_rng(0))
    network.theta[:] += 0.05 * np.random.default_rng(1).standard_normal(network.theta.shape).astype(np.float32)
    return DiffusionModel(network, ModelConfig(unet, T=50, kind=kind), micro_batch=4)


def last_of(chain):
    *_, (t, x, _) = chain
    assert t == 0
    return x


SHAPES = [(8, 16, 16), (28, 32, 16), (16, 32, 16), (32, 32, 16), (32, 64, 8), (64, 128, 8)]


@pytest.mark.parametrize(("size", "channels", "expected"), SHAPES)
def test_the_rule_for_the_micro_batch(size, channels, expected):
    unet = UNetConfig(size, channels=channels, channel_mult=(1,), blocks_per_level=1, attention_levels=())
    assert default_micro_batch(unet) == expected
    assert (16 * size * size * channels * 4 <= 2 * 2**20) == (expected == 16)


def test_without_a_micro_batch_a_model_takes_that_of_the_rule_and_saves_it(tmp_path):
    network = make().network
    model = DiffusionModel(network, ModelConfig(UNET, T=50))
    assert model.micro_batch == default_micro_batch(UNET) == 16
    save(tmp_path, model)
    assert json.loads((tmp_path / "config.json").read_text())["micro_batch"] == 16


def test_the_target_is_what_the_kind_says():
    rng = np.random.default_rng(0)
    x_0, eps, t = rng.standard_normal((2, 8, 8, 1)), rng.standard_normal((2, 8, 8, 1)), np.array([1, 40])
    assert make("eps").target(x_0, eps, t) is eps
    assert make("x_0").target(x_0, eps, t) is x_0
    model = make("v")
    alpha_bar = model.diffusion.alpha_bar[t][:, None, None, None]
    v = np.sqrt(alpha_bar) * eps - np.sqrt(1 - alpha_bar) * x_0
    np.testing.assert_allclose(model.target(x_0, eps, t), v, atol=1e-12)


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
    whole = last_of(model.chain(Request(n=64, seed=5), steps=3, sampler=sampler))
    assert whole.dtype == np.float32
    assert np.isfinite(whole).all()
    for i in (0, 5, 63):
        np.testing.assert_array_equal(
            last_of(model.chain(Request(n=1, seed=5, first=i), steps=3, sampler=sampler)), whole[i : i + 1]
        )


@pytest.mark.parametrize("sampler", ["ddim", "ddpm", "heun", "dpmpp_2m"])
def test_a_chain_goes_down_to_0_and_another_seed_is_another_picture(sampler):
    model = make()
    chain = list(model.chain(Request(n=2, seed=1), steps=4, sampler=sampler))
    times = [t for t, _, _ in chain]
    assert times == sorted(times, reverse=True)
    assert times[-1] == 0
    assert all(x_t.shape == x_0_hat.shape == (2, 8, 8, 1) for _, x_t, x_0_hat in chain)
    assert not np.array_equal(chain[-1][1], last_of(model.chain(Request(n=2, seed=2), steps=4, sampler=sampler)))


def test_without_a_number_of_steps_all_are_taken():
    assert len(list(make().chain(Request(n=1), steps=None))) == len(list(make().chain(Request(n=1), steps=50)))


def test_threads_change_no_bit_of_a_sample():
    one, three = (dataclasses.replace(make(), threads=threads) for threads in (1, 3))
    np.testing.assert_array_equal(
        last_of(one.chain(Request(n=9), steps=2)), last_of(three.chain(Request(n=9), steps=2))
    )


def test_labels():
    model = make()
    turns = last_of(model.chain(Request(n=4), steps=2))
    np.testing.assert_array_equal(turns, last_of(model.chain(Request(n=4, labels=[0, 1, 2, 0]), steps=2)))
    np.testing.assert_array_equal(last_of(model.chain(Request(n=2, labels=0), steps=2))[:1], turns[:1])
    with pytest.raises(InputError, match=r"labels has shape \(2,\)"):
        model.chain(Request(n=4, labels=[0, 1]))
    with pytest.raises(InputError, match=r"labels is 7, but whole numbers from 0 to 2, or 3 for no class"):
        last_of(model.chain(Request(n=1, labels=7), steps=1))
    without = make(unet=UNetConfig(image_size=8, channels=8, channel_mult=(1,), blocks_per_level=1, heads=2))
    with pytest.raises(InputError, match="knows no classes"):
        without.chain(Request(n=1, labels=0))


def test_no_class_is_a_label_of_its_own():
    """The null label is one past the last class, so it is no class, and the network takes it for none."""
    model = load("mnist")
    classes = model.config.unet.num_classes
    labels = np.arange(classes + 1)
    assert len(model.network.embed.label.table.value) == classes + 1
    rng = np.random.default_rng(0)
    x_t = np.repeat(rng.standard_normal((1, 28, 28, 1)).astype(np.float32), classes + 1, axis=0)
    *of_classes, of_none = model.network_output(x_t, np.full(classes + 1, 500), labels)
    for output in of_classes:
        assert abs(output - of_none).max() > 0.01
    (unlabelled,) = model.network_output(x_t[:1], np.full(1, 500))  # no label at all means the same
    np.testing.assert_allclose(unlabelled, of_none, atol=1e-4)


def test_bad_arguments_are_one_clear_sentence():
    with pytest.raises(InputError, match="sampler is 'mine'"):
        make().chain(sampler="mine")
    with pytest.raises(InputError, match="n is 0"):
        make().chain(Request(n=0))
    with pytest.raises(InputError, match="schedule is 'mine'"):
        ModelConfig(schedule="mine")
    with pytest.raises(InputError, match="kind is 'mine'"):
        ModelConfig(kind="mine")
    with pytest.raises(InputError, match="T is 0, but a whole number"):
        ModelConfig(T=0)
    with pytest.raises(
        InputError,
        match="out_channels is 3, but v has as many channels as the image: 1, or 2 with a learned",
    ):
        ModelConfig(UNetConfig(out_channels=3))
    for wrong, shown in (("3", "'3'"), (None, "None"), (np.ones(2), "array")):
        with pytest.raises(InputError, match=f"guidance is {shown}"):
            make().chain(Request(guidance=wrong))
    with pytest.raises(InputError, match=r"n is 2\.5"):
        make().chain(Request(n=2.5))
    with pytest.raises(InputError, match="first is -1"):
        make().chain(Request(first=-1))
    with pytest.raises(InputError, match="time_offset is 2, but at most 1 was expected: the first step is t = 1"):
        ModelConfig(UNetConfig(time_offset=2))
    with pytest.raises(InputError, match="dit is of type UNetConfig, but a DiTConfig or None was expected"):
        ModelConfig(dit=UNetConfig())
    other = dataclasses.replace(make().config, unet=dataclasses.replace(make().config.unet, channels=16))
    with pytest.raises(InputError, match="network was built with channels = 8, but config says channels = 16"):
        dataclasses.replace(make(), config=other)
    with pytest.raises(InputError, match="threads is 0"):
        dataclasses.replace(make(), threads=0)
    with pytest.raises(InputError, match="micro_batch is 0"):
        dataclasses.replace(make(), micro_batch=0)


@pytest.mark.slow
@pytest.mark.parametrize("sampler", UNTOLD)
def test_a_chain_by_processes_has_the_bits_of_one_by_threads_and_of_one_by_one(sampler):
    ways = [(1, False), (2, False), (2, True), (3, True)]
    chains = [
        dataclasses.replace(make(), micro_batch=2, threads=threads, processes=processes).chain(
            Request(n=5, first=1), steps=3, sampler=sampler
        )
        for threads, processes in ways
    ]
    for steps in zip(*chains, strict=True):
        for _, x_t, x_0_hat in steps[1:]:
            np.testing.assert_array_equal(x_t, steps[0][1])
            np.testing.assert_array_equal(x_0_hat, steps[0][2])


@pytest.mark.parametrize("threads", [1, 2])
def test_a_chain_by_threads_transforms_weights_once_for_all_its_steps(monkeypatch, threads):
    unet = UNetConfig(image_size=8, channels=16, channel_mult=(1,), blocks_per_level=1, attention_levels=())
    calls = []

    def counted(w):
        calls.append(w)
        return transform_weights(w)

    monkeypatch.setattr(conv, "transform_weights", counted)
    model = dataclasses.replace(make(unet=unet), micro_batch=2, threads=threads, processes=False)
    made = []
    for steps in (1, 3):
        calls.clear()
        last_of(model.chain(Request(n=4), steps=steps))
        made.append(len(calls))
    assert made[0] == made[1] > 0


def test_two_chains_see_weights_that_changed_between_them():
    model = dataclasses.replace(make(), micro_batch=2, threads=2)
    before = last_of(model.chain(Request(n=4), steps=2))
    model.network.theta[...] *= 0.5
    assert abs(last_of(model.chain(Request(n=4), steps=2)) - before).max() > 1e-3


@pytest.mark.skipif(not can_fork(), reason="processes are forked on Linux only")
def test_a_chain_that_is_left_early_leaves_no_process_behind():
    before = set(multiprocessing.active_children())
    chain = dataclasses.replace(make(), micro_batch=1, threads=2).chain(Request(n=4), steps=5)
    next(chain)
    assert len(set(multiprocessing.active_children()) - before) == 1
    chain.close()
    assert not set(multiprocessing.active_children()) - before
