"""The UNet and its blocks: whole-model gradient checks, structure, labels and time."""

import dataclasses
import re

import numpy as np
import pytest

from tinydiff.base import Condition, InputError, Noise, map_arrays, to_numpy
from tinydiff.functional import conv2d, conv2d_backward, mse, mse_backward
from tinydiff.gradcheck import gradcheck
from tinydiff.networks import UNet, UNetConfig, unet
from tinydiff.nn import BlockConfig, Conv2d, Gradients, ResBlock, SelfAttention, Tape

TINY = UNetConfig(
    image_size=8,
    in_channels=2,
    channels=8,
    channel_mult=(1, 2, 3),
    blocks_per_level=2,
    attention_levels=(1,),
    heads=2,
    dropout=0.1,
    num_classes=4,
)
VARIANTS = [
    TINY,
    UNetConfig(**{**vars(TINY), "scale_shift": True, "time_embedding": "ddpm", "time_offset": 1}),
    UNetConfig(image_size=5, channels=4, channel_mult=(2,), blocks_per_level=1, heads=1, out_channels=3),
    UNetConfig(**{**vars(TINY), "heads": (1, 4, 6), "norm_eps": 1e-2, "asymmetric_pad": True}),
]


def random_unet(config, seed=0, dtype=np.float64):
    """A UNet away from its initial state, where zero-initialised layers would hide mistakes."""
    rng = np.random.default_rng(seed)
    model = UNet(config, rng, dtype)
    model.theta[:] += 0.1 * rng.standard_normal(model.theta.shape)
    return model


def random_inputs(config, n=3, seed=1, dtype=np.float64):
    rng = np.random.default_rng(seed)
    x_t = rng.standard_normal((n, config.image_size, config.image_size, config.in_channels)).astype(dtype)
    t = np.array([1, 500, 999, 37])[:n]
    context = None if config.num_classes is None else np.arange(n) % (config.num_classes + 1)
    return x_t, t, context


@pytest.mark.parametrize("config", VARIANTS)
def test_whole_model_gradients_match_finite_differences(config):
    model, (x_t, t, context) = random_unet(config), random_inputs(config)
    rng = np.random.default_rng(2)
    out = model.forward(x_t, t, context, Tape(Noise(0)))
    d_out = rng.standard_normal(out.shape)
    tape, grads = Tape(Noise(0)), Gradients(model.parameters())
    model.forward(x_t, t, context, tape)
    d_x_t, d_context, _ = model.backward(d_out.copy(), tape, grads)
    assert len(tape) == 0
    assert d_context == Condition()

    def projected(theta, x):
        return float((model.bind(theta).forward(x, t, context, Tape(Noise(0))) * d_out).sum())

    h = 1e-5
    for _ in range(3):
        v, w = rng.standard_normal(model.theta.shape), rng.standard_normal(x_t.shape)
        by_theta = (projected(model.theta + h * v, x_t) - projected(model.theta - h * v, x_t)) / (2 * h)
        by_x = (projected(model.theta, x_t + h * w) - projected(model.theta, x_t - h * w)) / (2 * h)
        scale = np.linalg.norm(grads.flat)
        assert abs(grads.flat @ v - by_theta) <= 1e-7 * scale * np.linalg.norm(v)
        assert abs((d_x_t * w).sum() - by_x) <= 1e-7 * np.linalg.norm(d_x_t) * np.linalg.norm(w)


@pytest.mark.parametrize(
    "name", ["stem", "down.0.blocks.1", "down.0.resample", "mid_1.attention", "up.1.blocks.2", "embed.label"]
)
def test_every_part_of_the_model_is_reached_by_the_gradient(name):
    model, (x_t, t, context) = random_unet(TINY), random_inputs(TINY)
    tape, grads = Tape(Noise(0)), Gradients(model.parameters())
    out = model.forward(x_t, t, context, tape)
    model.backward(np.random.default_rng(0).standard_normal(out.shape), tape, grads)
    parts = [g for key, g in grads.named().items() if key.startswith(name)]
    assert parts
    assert all(g.any() for g in parts)


def test_a_backward_that_forgets_the_skips_gives_another_gradient(monkeypatch):
    """Are skips ignored in the backward? No: without their gradients the stem learns something else."""
    model, (x_t, t, context) = random_unet(TINY), random_inputs(TINY)
    d_out = np.random.default_rng(0).standard_normal(x_t.shape)

    def gradient():
        tape, grads = Tape(Noise(0)), Gradients(model.parameters())
        model.forward(x_t, t, context, tape)
        model.backward(d_out, tape, grads)
        return grads["stem.weight"]

    right = gradient()
    monkeypatch.setattr(unet, "split_channels", lambda x, c: (x[..., :c].copy(), 0 * x[..., c:]))
    assert np.linalg.norm(gradient() - right) > 0.1 * np.linalg.norm(right)


def test_a_new_unet_predicts_zero_and_keeps_the_dtype():
    for dtype in (np.float32, np.float64):
        model = UNet(TINY, np.random.default_rng(0), dtype)
        x_t, t, context = random_inputs(TINY, dtype=dtype)
        out = model.forward(x_t, t, context)
        assert out.dtype == dtype
        assert not out.any()


def test_all_gradients_of_a_float32_model_are_float32():
    model = random_unet(TINY, dtype=np.float32)
    x_t, t, context = random_inputs(TINY, dtype=np.float32)
    tape, grads = Tape(Noise(0)), Gradients(model.parameters())
    out = model.forward(x_t, t, context, tape)
    for entry in tape.entries:
        for array in entry.cache:
            assert getattr(array, "dtype", np.float32) != np.float64, entry.owner.path
    d_x_t, _, d_emb = model.backward(out.copy(), tape, grads)
    assert grads.flat.dtype == d_x_t.dtype == d_emb.dtype == np.float32


def test_an_image_does_not_see_the_others_of_its_batch():
    model, (x_t, t, context) = random_unet(TINY), random_inputs(TINY)
    together = model.forward(x_t, t, context)
    alone = np.concatenate([model.forward(x_t[i : i + 1], t[i : i + 1], context[i : i + 1]) for i in range(3)])
    np.testing.assert_allclose(together, alone, rtol=1e-10, atol=1e-12)


def test_the_output_depends_on_time_and_label():
    model, (x_t, t, context) = random_unet(TINY), random_inputs(TINY)
    out = model.forward(x_t, t, context)
    assert not np.allclose(out, model.forward(x_t, t + 1, context))
    assert not np.allclose(out, model.forward(x_t, t, (context + 1) % 4))
    no_class = np.full(3, TINY.num_classes)
    np.testing.assert_array_equal(model.forward(x_t, t, no_class), model.forward(x_t, t))


def test_time_offset_shifts_the_clock():
    a = random_unet(TINY)
    b = UNet(UNetConfig(**{**vars(TINY), "time_offset": 1}), dtype=np.float64).bind(a.theta)
    x_t, t, context = random_inputs(TINY)
    np.testing.assert_array_equal(a.forward(x_t, t, context), b.forward(x_t, t + 1, context))


def test_there_is_a_skip_from_the_stem_every_block_and_every_downsample():
    model = UNet(TINY)
    levels, blocks = len(TINY.channel_mult), TINY.blocks_per_level
    taken = sum(len(level.blocks) for level in model.up)
    assert taken == 1 + levels * blocks + (levels - 1)


@pytest.mark.slow
def test_it_overfits_one_batch():
    config = UNetConfig(image_size=8, channels=8, channel_mult=(1, 2), blocks_per_level=1, heads=2)
    model = UNet(config, np.random.default_rng(0))
    rng = np.random.default_rng(1)
    x_t, target = rng.standard_normal((2, 4, 8, 8, 1)).astype(np.float32)
    t = np.array([1, 2, 3, 4])
    m = v = 0
    for step in range(1, 301):
        tape, grads = Tape(), Gradients(model.parameters())
        loss, cache = mse(model.forward(x_t, t, tape=tape), target)
        if step == 1:
            first = float(loss)
        d_out, _ = mse_backward(1.0, cache)
        model.backward(d_out, tape, grads)
        m, v = 0.9 * m + 0.1 * grads.flat, 0.99 * v + 0.01 * grads.flat**2
        model.theta[:] -= 0.01 * (m / (1 - 0.9**step)) / ((v / (1 - 0.99**step)) ** 0.5 + 1e-8)
    assert float(loss) < 0.02 * first


def test_a_pair_of_ones_own_trains_inside_a_real_unet():
    calls = []

    def mine(x, w, b, stride, padding):
        calls.append("forward")
        return conv2d(x, w, b, stride, padding, algorithm="im2col")

    def mine_backward(dy, cache):
        calls.append("backward")
        return conv2d_backward(dy, cache)

    model, (x_t, t, context) = random_unet(TINY), random_inputs(TINY)
    expected = model.forward(x_t, t, context)
    model.mid_1.conv_1.pair = (mine, mine_backward)
    tape, grads = Tape(), Gradients(model.parameters())
    out = model.forward(x_t, t, context, Tape(Noise(0)))
    np.testing.assert_allclose(model.forward(x_t, t, context), expected, rtol=1e-9, atol=1e-12)
    tape = Tape(Noise(0))
    model.forward(x_t, t, context, tape)
    model.backward(out, tape, grads)
    assert calls.count("backward") == 1
    assert grads["mid_1.conv_1.weight"].any()
    layer = Conv2d(2, 3, rng=np.random.default_rng(0), pair=(mine, mine_backward))
    tape = Tape()
    y = layer.forward(np.ones((1, 4, 4, 2), np.float32), tape)
    assert layer.backward(y, tape, Gradients(layer.parameters())).shape == (1, 4, 4, 2)


def test_the_unet_runs_under_both_array_modules(xp):
    model = random_unet(TINY, dtype=np.float32)
    x_t, t, context = random_inputs(TINY, dtype=np.float32)
    expected = model.forward(x_t, t, context, Tape(Noise(0)))
    there = model.bind(xp.asarray(model.theta))
    tape, grads = Tape(Noise(0, xp=xp)), Gradients(there.parameters())
    out = there.forward(xp.asarray(x_t), xp.asarray(t), xp.asarray(context), tape)
    np.testing.assert_allclose(to_numpy(out), expected, atol=1e-4)
    d_x_t, _, _ = there.backward(out, tape, grads)
    tape, here = Tape(Noise(0)), Gradients(model.parameters())
    model.forward(x_t, t, context, tape)
    d_expected, _, _ = model.backward(expected, tape, here)
    np.testing.assert_allclose(to_numpy(d_x_t), d_expected, atol=1e-3)
    np.testing.assert_allclose(to_numpy(grads.flat), here.flat, atol=1e-3 * abs(here.flat).max())


def test_the_summary_of_a_unet_adds_up():
    model = UNet(TINY)
    x_t, t, context = random_inputs(TINY, dtype=np.float32)
    total = model.summary(x_t, t, context).splitlines()[-1]
    assert f"{model.theta.size:,}" in total
    rows = [re.split(r"\s{2,}", line) for line in model.summary(x_t, t, context).splitlines()[1:-1]]
    assert len(rows) == len({row[0] for row in rows})


def test_a_summary_needs_no_inputs(xp):
    for config in (TINY, dataclasses.replace(TINY, num_classes=None)):
        model = UNet(config)
        here = model.bind(xp.asarray(model.theta))
        one = [None if a is None else a[:1] for a in random_inputs(config, dtype=np.float32)]
        assert here.summary() == model.summary(*one)


def test_self_attention_starts_as_the_identity_and_a_resblock_as_its_shortcut():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 4, 4, 8))
    np.testing.assert_array_equal(SelfAttention(8, 2, rng, dtype=np.float64).forward(x), x)
    block = ResBlock(8, 8, BlockConfig(16), rng, dtype=np.float64)
    np.testing.assert_array_equal(block.forward(x, rng.standard_normal((2, 16))), x)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"image_size": 9},
            r"image_size is 9 x 9, but height .* multiples of 4: 8 x 8 or 12 x 12",
        ),
        ({"channels": 0}, "channels is 0"),
        ({"channels": 8.0}, r"channels is 8\.0, but a whole number"),
        ({"image_size": True}, "image_size is True, but a whole number"),
        ({"num_classes": 0}, "num_classes is 0"),
        ({"time_offset": "x"}, "time_offset is 'x'"),
        ({"channel_mult": (1, 1.5, 2)}, r"channel_mult\[1\] is 1\.5, but a whole number"),
        ({"channel_mult": ()}, "channel_mult is"),
        ({"attention_levels": (7,)}, "attention_levels holds 7, but the levels are 0 to 2"),
        ({"time_embedding": "mine"}, "time_embedding is 'mine'"),
        ({"dropout": 1.5}, "dropout is 1.5"),
        ({"heads": 3}, "heads is 3"),
        ({"heads": (1, 3, 4)}, "heads is 3, but the 16 channels of level 1"),
        ({"heads": (1, 2)}, r"heads is \(1, 2\), but there are 3 levels"),
        ({"heads": (1, 2, 2.0)}, r"heads\[2\] is 2\.0, but a whole number"),
        ({"heads": 2.0}, r"heads is 2\.0, but a whole number"),
        ({"norm_eps": 0}, "norm_eps is 0"),
        ({"transformer_eps": -1}, "transformer_eps is -1"),
        ({"groups": 5}, "groups = 5"),
    ],
)
def test_a_bad_configuration_is_one_clear_sentence(changes, message):
    with pytest.raises(InputError, match=message):
        UNet(UNetConfig(**{**vars(TINY), **changes}))


def test_bad_inputs_are_one_clear_sentence():
    model, (x_t, t, context) = random_unet(TINY), random_inputs(TINY)
    with pytest.raises(InputError, match=r"x_t has shape \(3, 8, 8\)"):
        model.forward(x_t[..., 0], t, context)
    with pytest.raises(InputError, match=r"t has shape \(2,\), but \(3\) was expected"):
        model.forward(x_t, t[:2], context)
    with pytest.raises(InputError, match="x_t is float32, theta is float64"):
        model.forward(x_t.astype(np.float32), t, context)
    with pytest.raises(InputError, match="holds 9, but integers from 0 to 4"):
        model.forward(x_t, t, np.array([0, 1, 9]))
    with pytest.raises(InputError, match="takes none"):
        random_unet(VARIANTS[2]).forward(*random_inputs(VARIANTS[2])[:2], context=np.zeros(3, int))
    with pytest.raises(InputError, match=r"Tape\(Noise\(seed\)\)"):
        model.forward(x_t, t, context, Tape())


CONDITIONED = UNetConfig(
    image_size=6,
    in_channels=2,
    channels=8,
    channel_mult=(1, 2),
    blocks_per_level=1,
    attention_levels=(1,),
    heads=2,
    num_classes=3,
    context_channels=5,
    pooled_channels=4,
    image_channels=3,
)


def random_condition(n=2, seed=3):
    rng = np.random.default_rng(seed)
    return Condition(
        np.arange(n) % 4, rng.standard_normal((n, 3, 5)), rng.standard_normal((n, 4)), rng.standard_normal((n, 6, 6, 3))
    )


def test_gradients_of_all_conditions_match_finite_differences():
    model, (x_t, t, _) = random_unet(CONDITIONED), random_inputs(CONDITIONED, n=2)
    labels, *arrays, _, _ = random_condition()  # no image here has a time, and no step a length

    def forward(theta, x_t, tokens, pooled, image):
        bound, tape = model.bind(theta), Tape()
        return bound.forward(x_t, t, Condition(labels, tokens, pooled, image), tape), (bound, tape)

    def backward(d_out, cache):
        bound, tape = cache
        grads = Gradients(bound.parameters())
        d_x_t, d_context, _ = bound.backward(d_out, tape, grads)
        assert len(tape) == 0
        assert d_context.labels is None
        return grads.flat, d_x_t, *d_context[1:4]

    report = gradcheck(forward, backward, (model.theta, x_t, *arrays))
    assert report, str(report)


@pytest.mark.parametrize("name", ["labels", "tokens", "pooled", "image"])
def test_the_output_depends_on_every_condition_and_only_within_a_sample(name):
    model, (x_t, t, _) = random_unet(CONDITIONED), random_inputs(CONDITIONED, n=2)
    condition = random_condition()
    out = model.forward(x_t, t, condition)
    changed = getattr(condition, name).copy()
    changed[0] = (changed[0] + 1) % 4
    other = model.forward(x_t, t, condition._replace(**{name: changed}))
    assert abs(other[0] - out[0]).max() > 1e-4
    np.testing.assert_array_equal(other[1], out[1])


def test_the_order_of_tokens_does_not_matter_to_attention():
    model, (x_t, t, _) = random_unet(CONDITIONED), random_inputs(CONDITIONED, n=2)
    condition = random_condition()
    turned = condition._replace(tokens=condition.tokens[:, ::-1])
    np.testing.assert_allclose(model.forward(x_t, t, turned), model.forward(x_t, t, condition), rtol=1e-9, atol=1e-12)


def test_what_is_not_given_is_nothing():
    model, (x_t, t, _) = random_unet(CONDITIONED), random_inputs(CONDITIONED, n=2)
    tokens = random_condition().tokens
    zeros = Condition(np.full(2, 3), tokens, np.zeros((2, 4)), np.zeros((2, 6, 6, 3)))
    np.testing.assert_array_equal(model.forward(x_t, t, tokens), model.forward(x_t, t, zeros))


def test_the_conditioned_unet_runs_under_both_array_modules(xp):
    model, (x_t, t, _) = random_unet(CONDITIONED), random_inputs(CONDITIONED, n=2)
    condition = random_condition()
    there = model.bind(xp.asarray(model.theta))
    tape, grads = Tape(), Gradients(there.parameters())
    out = there.forward(xp.asarray(x_t), xp.asarray(t), map_arrays(xp.asarray, condition), tape)
    np.testing.assert_allclose(to_numpy(out), model.forward(x_t, t, condition), rtol=1e-8, atol=1e-10)
    _, d_context, _ = there.backward(out, tape, grads)
    assert [a is None for a in d_context] == [True, False, False, False, True, True]


@pytest.mark.parametrize(
    ("config", "changes", "message"),
    [
        (CONDITIONED, {"tokens": None}, "attends to tokens"),
        (CONDITIONED, {"tokens": np.zeros((2, 3, 6))}, r"context, tokens has shape \(2, 3, 6\)"),
        (CONDITIONED, {"tokens": np.zeros((2, 3, 5), np.float32)}, "context_tokens is float32"),
        (CONDITIONED, {"pooled": np.zeros((1, 4))}, "context, pooled has shape"),
        (CONDITIONED, {"image": np.zeros((2, 5, 6, 3))}, "context, image has shape"),
        (CONDITIONED, {"labels": np.array([0, 9])}, "holds 9"),
        (dataclasses.replace(CONDITIONED, pooled_channels=None), {}, r"takes none \(pooled_channels is None\)"),
        (dataclasses.replace(CONDITIONED, image_channels=0), {}, r"takes none \(image_channels is 0\)"),
        (dataclasses.replace(CONDITIONED, context_channels=None), {}, r"takes none \(context_channels is None\)"),
    ],
)
def test_conditions_that_do_not_fit_are_one_clear_sentence(config, changes, message):
    model, (x_t, t, _) = random_unet(config), random_inputs(config, n=2)
    with pytest.raises(InputError, match=message):
        model.forward(x_t, t, random_condition()._replace(**changes))
