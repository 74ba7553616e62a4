"""The diffusion Transformer: the forward against the paper's formulas, gradients, where it starts, what it sees."""

import math

import numpy as np
import pytest

from tinydiff.base import Condition, InputError, map_arrays, to_numpy
from tinydiff.gradcheck import gradcheck
from tinydiff.networks import DiT, DiTConfig
from tinydiff.nn import Gradients, Tape

PLAIN = DiTConfig(image_size=(4, 6), in_channels=2, channels=8, layers=2, heads=2, num_classes=3)
CONDITIONED = DiTConfig(
    image_size=(4, 6), in_channels=2, channels=8, layers=2, heads=2, context_channels=5, pooled_channels=4,
    image_channels=3, out_channels=1, time_offset=1,
)  # fmt: skip


def random_dit(config, dtype=np.float64):
    """A DiT away from its initial state, in which no block does anything."""
    rng = np.random.default_rng(0)
    model = DiT(config, rng, dtype)
    model.theta[:] += 0.2 * rng.standard_normal(model.theta.shape)
    return model


def random_inputs(config, n=2):
    rng = np.random.default_rng(1)
    x_t, t = rng.standard_normal((n, *config.shape)), np.array([1.0, 500.0, 30.0])[:n]
    if config.num_classes is not None:
        return x_t, t, np.arange(n) % 3
    tokens, pooled = rng.standard_normal((n, 3, 5)), rng.standard_normal((n, 4))
    return x_t, t, Condition(None, tokens, pooled, rng.standard_normal((n, *config.size, 3)))


def by_the_paper(theta, config, x_t, t, context):
    """DiT for one image at a time, with loops over patches and heads, in NumPy alone."""

    def linear(name, x):
        return x @ theta[f"{name}.weight"] + theta.get(f"{name}.bias", 0)

    def silu(x):
        return x / (1 + np.exp(-x))

    def norm(name, x):
        x = (x - x.mean(axis=-1, keepdims=True)) / np.sqrt(x.var(axis=-1, keepdims=True) + 1e-6)
        return x * theta[f"{name}.gamma"] + theta[f"{name}.beta"]

    def attention(name, x, context):
        q, kv = linear(f"{name}.query", x), linear(f"{name}.key_value", context)
        k, v = kv[:, : len(q[0])], kv[:, len(q[0]) :]
        d, outputs = len(q[0]) // config.heads, []
        for start in range(0, len(q[0]), d):
            part = slice(start, start + d)
            scores = np.exp(q[:, part] @ k[:, part].T / np.sqrt(d))
            outputs.append(scores / scores.sum(axis=1, keepdims=True) @ v[:, part])
        return linear(f"{name}.proj", np.concatenate(outputs, axis=1))

    def feed_forward(name, x):
        h = linear(f"{name}.layers.0", x)
        return linear(f"{name}.layers.2", h * 0.5 * (1 + np.vectorize(math.erf)(h / np.sqrt(2))))

    def one(x, t, label, tokens, pooled, image):
        waves = 1e4 ** (-np.arange(config.channels // 2) / (config.channels // 2)) * (t - config.time_offset)
        emb = linear(
            "embed.mlp.layers.2", silu(linear("embed.mlp.layers.0", np.concatenate([np.cos(waves), np.sin(waves)])))
        )
        if label is not None:
            emb = emb + theta["embed.label.table"][label]
        if pooled is not None:
            emb = emb + linear("embed.pooled", pooled)
        emb = silu(emb)
        x = x if image is None else np.concatenate([x, image], axis=-1)
        p, (height, width) = config.patch, config.size
        patches, places = [], []
        for row in range(height // p):
            for column in range(width // p):
                patches.append(x[row * p : (row + 1) * p, column * p : (column + 1) * p].ravel())
                quarter = 1e4 ** (-np.arange(config.channels // 4) / (config.channels // 4))
                places.append(np.concatenate([f(place * quarter) for place in (column, row) for f in (np.sin, np.cos)]))
        h = linear("stem", np.array(patches)) + np.array(places)
        for i in range(config.layers):
            name = f"blocks.{i}"
            vectors = np.split(linear(f"{name}.modulation", emb), 6 if tokens is None else 9)
            branches = [("norm_1", 0, lambda h, name=name: attention(f"{name}.self_attention", h, h))]
            if tokens is not None:
                branches.append(("norm_2", 6, lambda h, name=name: attention(f"{name}.cross_attention", h, tokens)))
            branches.append(("norm_3", 3, lambda h, name=name: feed_forward(f"{name}.feed_forward", h)))
            for norm_name, first, branch in branches:
                shift, scale, gate = vectors[first : first + 3]
                h = h + gate * branch(norm(f"{name}.{norm_name}", h) * (1 + scale) + shift)
        shift, scale = np.split(linear("modulation", emb), 2)
        outputs = linear("head", norm("norm", h) * (1 + scale) + shift)
        picture = np.empty((height, width, len(outputs[0]) // p**2))
        for i, patch in enumerate(outputs):
            row, column = p * (i // (width // p)), p * (i % (width // p))
            picture[row : row + p, column : column + p] = patch.reshape(p, p, -1)
        return picture

    condition = context if isinstance(context, Condition) else Condition(labels=context)
    rows = [[None if a is None else a[i] for a in condition[:4]] for i in range(len(x_t))]
    return np.stack([one(x_t[i], t[i], *rows[i]) for i in range(len(x_t))])


@pytest.mark.parametrize("config", [PLAIN, CONDITIONED])
def test_the_forward_is_that_of_the_paper(config):
    model, inputs = random_dit(config), random_inputs(config)
    theta = {name: parameter.value for name, parameter in model.named_parameters().items()}
    np.testing.assert_allclose(model.forward(*inputs), by_the_paper(theta, config, *inputs), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("config", [PLAIN, CONDITIONED])
def test_whole_model_gradients_match_finite_differences(config):
    model, (x_t, t, context) = random_dit(config), random_inputs(config)
    arrays = () if config is PLAIN else context[1:]

    def forward(theta, x_t, *arrays):
        bound, tape = model.bind(theta), Tape()
        given = context if config is PLAIN else Condition(None, *arrays)
        return bound.forward(x_t, t, given, tape), (bound, tape)

    def backward(d_out, cache):
        bound, tape = cache
        grads = Gradients(bound.parameters())
        d_x_t, d_context, _ = bound.backward(d_out, tape, grads)
        assert len(tape) == 0
        return grads.flat, d_x_t, *(a for a in d_context if a is not None)

    report = gradcheck(forward, backward, (model.theta, x_t, *arrays))
    assert report, str(report)


def test_a_new_dit_predicts_zero_and_each_of_its_blocks_is_the_identity():
    """adaLN-zero: gates start shut."""
    for dtype in (np.float32, np.float64):
        model, (x_t, t, context) = DiT(PLAIN, np.random.default_rng(0), dtype), random_inputs(PLAIN)
        tape = Tape()
        out = model.forward(x_t.astype(dtype), t, context, tape)
        assert out.dtype == dtype
        assert not out.any()
        tokens, emb = np.random.default_rng(2).standard_normal((2, 2, 6, 8)).astype(dtype)
        np.testing.assert_array_equal(model.blocks[0].forward(tokens, emb[:, 0]), tokens)


def test_the_gradient_of_a_new_dit_reaches_its_head_and_then_everything():
    """Where all gates are shut only the head learns in the first step; a few steps later everything does."""
    model, (x_t, t, context) = DiT(PLAIN, np.random.default_rng(0), np.float64), random_inputs(PLAIN)

    def reached():
        tape, grads = Tape(), Gradients(model.parameters())
        model.backward(model.forward(x_t, t, context, tape) - 1, tape, grads)
        return {name for name, g in grads.named().items() if g.any()}, grads

    first, grads = reached()
    assert first == {"head.weight", "head.bias"}
    for _ in range(3):  # the head opens the way to the gates, and these to what is behind them
        _, grads = reached()
        model.theta[:] -= 0.01 * grads.flat
    names, _ = reached()
    assert names == set(model.named_parameters())


def test_an_image_does_not_see_the_others_of_its_batch_but_all_of_itself():
    model, (x_t, t, context) = random_dit(PLAIN), random_inputs(PLAIN, n=3)
    together = model.forward(x_t, t, context)
    alone = np.concatenate([model.forward(x_t[i : i + 1], t[i : i + 1], context[i : i + 1]) for i in range(3)])
    np.testing.assert_allclose(together, alone, rtol=1e-10, atol=1e-12)
    changed = x_t.copy()
    changed[0, 0, 0] += 1
    other = model.forward(changed, t, context)
    assert (abs(other[0] - together[0]).max(axis=-1) > 1e-9).all()


def test_two_patches_exchanged_do_not_give_two_outputs_exchanged():
    """The embedding of the grid tells a Transformer where a patch lies."""
    model, (x_t, t, context) = random_dit(PLAIN), random_inputs(PLAIN)
    swapped = np.concatenate([x_t[:, 2:], x_t[:, :2]], axis=1)
    out, of_swapped = model.forward(x_t, t, context), model.forward(swapped, t, context)
    assert abs(np.concatenate([out[:, 2:], out[:, :2]], axis=1) - of_swapped).max() > 1e-3


@pytest.mark.parametrize("size", [(2, 2), (8, 4)])
def test_images_of_other_sizes_are_taken(size):
    model = random_dit(PLAIN)
    assert model.forward(np.zeros((1, *size, 2)), np.ones(1), np.zeros(1, int)).shape == (1, *size, 2)


def test_it_runs_under_both_array_modules(xp):
    model, (x_t, t, context) = random_dit(CONDITIONED), random_inputs(CONDITIONED)
    there = model.bind(xp.asarray(model.theta))
    tape, grads = Tape(), Gradients(there.parameters())
    out = there.forward(xp.asarray(x_t), xp.asarray(t), map_arrays(xp.asarray, context), tape)
    np.testing.assert_allclose(to_numpy(out), model.forward(x_t, t, context), rtol=1e-8, atol=1e-10)
    d_x_t, _, _ = there.backward(out, tape, grads)
    tape = Tape()
    expected, _, _ = model.backward(model.forward(x_t, t, context, tape), tape)
    np.testing.assert_allclose(to_numpy(d_x_t), expected, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": 5}, "image_size is 5"),
        ({"channels": 6}, "channels is 6"),
        ({"channels": 10}, "channels is 10, but a multiple of 4"),
        ({"channels": 12, "heads": 8}, "heads is 8, but the 12 channels"),
        ({"layers": 0}, "layers is 0"),
        ({"patch": 0}, "patch is 0"),
        ({"time_embedding": "mine"}, "time_embedding is 'mine'"),
        ({"in_channels": 2.5}, "in_channels is 2.5"),
    ],
)
def test_shapes_that_cannot_be_are_one_clear_sentence(options, message):
    with pytest.raises(InputError, match=message):
        DiTConfig(**options)


def test_inputs_that_do_not_fit_are_one_clear_sentence():
    model, (x_t, t, _) = random_dit(CONDITIONED), random_inputs(CONDITIONED)
    with pytest.raises(InputError, match="This DiT attends to tokens, but the context holds none"):
        model.forward(x_t, t)
    with pytest.raises(InputError, match=r"this DiT takes none \(context_channels is None\)"):
        random_dit(PLAIN).forward(x_t, t, Condition(tokens=np.zeros((2, 3, 5))))
    with pytest.raises(InputError, match="x_t"):
        model.forward(x_t[:, :3], t, Condition(tokens=np.zeros((2, 3, 5))))
