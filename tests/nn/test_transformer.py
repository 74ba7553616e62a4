"""Transformer blocks, over tokens and over pixels, and the text encoder."""

import math

import numpy as np
import pytest
from arrays import no_synchronisation, to_host, to_xp
from pairs import random

from tinydiff.base import InputError
from tinydiff.gradcheck import check_module
from tinydiff.networks import TextConfig, TextEncoder
from tinydiff.nn import GEGLU, GELU, Attention, Gradients, QuickGELU, SpatialTransformer, Tape, TransformerBlock

X, CONTEXT = random(2, 5, 8), random(2, 3, 6, seed=1)
OPTIONS = pytest.mark.parametrize(
    "options", [{}, {"activation": "gelu"}, {"activation": "quick-gelu", "bias": True}], ids=["SD", "gelu", "CLIP"]
)


def stirred(module, seed=0):
    """Return the module with every weight moved away from zero, one and symmetry."""
    module.pack()
    module.theta[...] = 0.5 * module.theta + 0.2 * random(module.theta.size, seed=seed)  # steep ones fool differences
    return module


def block(context_channels=6, activation="geglu", bias=False):
    rng = np.random.default_rng(0)
    return stirred(TransformerBlock(8, 2, rng, context_channels, activation, bias, np.float64))


def encoder(**options):
    config = TextConfig(**({"vocabulary": 11, "length": 5, "channels": 8, "layers": 2, "heads": 2} | options))
    return stirred(TextEncoder(config, dtype=np.float64))


def normed(layer, row):
    centred = row - sum(row) / len(row)
    return layer.gamma.value * centred / math.sqrt(sum(centred**2) / len(row) + 1e-5) + layer.beta.value


def attention_by_loops(layer, x, context, allowed=lambda i, j: True):
    """Attention of one image's tokens, one query, key and head at a time."""
    c, d = x.shape[1], x.shape[1] // layer.heads
    found = np.zeros_like(x)
    key_values = np.array([row @ layer.key_value.weight.value for row in context])
    of_query = 0
    if layer.query.bias is not None:
        of_query, key_values = layer.query.bias.value, key_values + layer.key_value.bias.value
    for i, row in enumerate(x):
        query = row @ layer.query.weight.value + of_query
        for head in range(layer.heads):
            own = slice(head * d, head * d + d)
            keys = [j for j in range(len(context)) if allowed(i, j)]
            scores = [math.exp(query[own] @ key_values[j, :c][own] / math.sqrt(d)) for j in keys]
            for j, score in zip(keys, scores, strict=True):
                found[i, own] += score / sum(scores) * key_values[j, c:][own]
    return found @ layer.proj.weight.value + layer.proj.bias.value


def phi(a):
    """The standard normal distribution function."""
    return 0.5 * math.erfc(-a / math.sqrt(2))


def block_by_loops(module, x, context=None, allowed=lambda i, j: True):
    h = np.array([normed(module.norm_1, row) for row in x])
    x = x + attention_by_loops(module.self_attention, h, h, allowed)
    if context is not None:
        h = np.array([normed(module.norm_2, row) for row in x])
        x = x + attention_by_loops(module.cross_attention, h, context)
    up, activation, down = module.feed_forward.layers
    gates = {GEGLU: phi, GELU: phi, QuickGELU: lambda a: 1 / (1 + math.exp(-1.702 * a))}
    y = []
    for row in x:
        h = normed(module.norm_3, row) @ up.weight.value + up.bias.value
        value, gate = (h[: len(h) // 2], h[len(h) // 2 :]) if type(activation) is GEGLU else (1, h)
        h = value * gate * np.array([gates[type(activation)](a) for a in gate])
        y.append(row + h @ down.weight.value + down.bias.value)
    return np.array(y)


@OPTIONS
def test_a_block_equals_loops(options):
    module = block(**options)
    y = module.forward(X, CONTEXT)
    for x, context, out in zip(X, CONTEXT, y, strict=True):
        np.testing.assert_allclose(out, block_by_loops(module, x, context), rtol=1e-10, atol=1e-12)
    module = block(context_channels=None, **options)
    np.testing.assert_allclose(module.forward(X)[0], block_by_loops(module, X[0]), rtol=1e-10, atol=1e-12)


def test_a_block_with_a_causal_mask_equals_loops():
    module = block(context_channels=None)
    y = module.forward(X, mask=np.tril(np.ones((5, 5), bool)))
    np.testing.assert_allclose(y[1], block_by_loops(module, X[1], allowed=lambda i, j: j <= i), rtol=1e-10, atol=1e-12)


@OPTIONS
def test_a_block_s_gradients_down_to_the_context(options):
    report = check_module(block(**options), [X, CONTEXT], Tape, Gradients)
    assert report, str(report)
    assert len(report.findings) == 3  # theta, x and context
    report = check_module(block(context_channels=None, **options), [X], Tape, Gradients)
    assert report, str(report)


@pytest.mark.equation("XATT-1")
def test_cross_attention_equals_loops():
    module = stirred(Attention(8, 2, np.random.default_rng(0), 6, dtype=np.float64))
    for x, context, out in zip(X, CONTEXT, module.forward(X, CONTEXT), strict=True):
        np.testing.assert_allclose(out, attention_by_loops(module, x, context), rtol=1e-10, atol=1e-12)


@pytest.mark.equation("XATT-2")
def test_a_context_s_gradient_is_the_slope_through_keys_and_values():
    """One number of the context at a time, by a central difference: keys and values read all of them."""
    module, tape = stirred(Attention(8, 2, np.random.default_rng(0), 6, dtype=np.float64)), Tape()
    dy, h = random(*module.forward(X, CONTEXT, tape).shape, seed=2), 1e-6
    _, d_context = module.backward(dy, tape)
    for index in np.ndindex(CONTEXT.shape):
        step = np.zeros(CONTEXT.shape)
        step[index] = h
        slope = ((module.forward(X, CONTEXT + step) - module.forward(X, CONTEXT - step)) * dy).sum() / (2 * h)
        np.testing.assert_allclose(d_context[index], slope, rtol=1e-6, atol=1e-8)


def test_attention_s_gradients():
    module = stirred(Attention(8, 2, np.random.default_rng(0), 6, dtype=np.float64))
    report = check_module(module, [X, CONTEXT], Tape, Gradients)
    assert report, str(report)


def test_a_spatial_transformer():
    rng = np.random.default_rng(0)
    module = SpatialTransformer(8, 2, 6, rng, dtype=np.float64)
    module.pack()
    images = random(2, 3, 4, 8)
    np.testing.assert_array_equal(module.forward(images, CONTEXT), images)  # it starts as the identity
    stirred(module)
    y = module.forward(images, CONTEXT)
    turned = module.forward(images[:, ::-1], CONTEXT)  # no pixel knows its place
    np.testing.assert_allclose(turned[:, ::-1], y, rtol=1e-10)
    assert abs(module.forward(images, CONTEXT[::-1]) - y).max() > 1e-3
    report = check_module(module, [images, CONTEXT], Tape, Gradients)
    assert report, str(report)


def test_the_tape_says_where_each_pixel_looked():
    module, tape = stirred(SpatialTransformer(8, 2, 6, np.random.default_rng(0), dtype=np.float64)), Tape()
    module.forward(random(2, 3, 4, 8), CONTEXT, tape)
    weights = tape["block.cross_attention"].weights
    assert weights.shape == (2, 2, 12, 3)
    np.testing.assert_allclose(weights.sum(axis=-1), 1)


def test_a_block_with_cross_attention_wants_a_context():
    with pytest.raises(InputError, match="none was given"):
        block().forward(X)
    with pytest.raises(InputError, match="heads"):
        Attention(8, 3, np.random.default_rng(0))


TOKENS = np.random.default_rng(0).integers(0, 11, (3, 5))


CLIPS = {"causal": True, "activation": "quick-gelu", "attention_bias": True}


@pytest.mark.parametrize("options", [{}, {"causal": True}, CLIPS], ids=["all", "causal", "CLIP's"])
def test_the_encoder_equals_loops(options):
    module, causal = encoder(**options), "causal" in options
    y = module.forward(TOKENS)
    for row, out in zip(TOKENS, y, strict=True):
        h = np.array([module.token.table.value[k] + module.place.table.value[i] for i, k in enumerate(row)])
        for each in module.blocks:
            h = block_by_loops(each, h, allowed=(lambda i, j: j <= i) if causal else (lambda i, j: True))
        np.testing.assert_allclose(out, [normed(module.norm, a) for a in h], rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("options", [{}, {"causal": True}, {"positions": False}, {"layers": 0}, CLIPS])
def test_the_encoder_s_gradients(options):
    report = check_module(encoder(**options), [TOKENS], Tape, Gradients)
    assert report, str(report)


def test_a_causal_encoder_does_not_see_what_follows():
    other = TOKENS.copy()
    other[:, 3:] = (other[:, 3:] + 1) % 11
    causal, full = encoder(causal=True), encoder()
    np.testing.assert_array_equal(causal.forward(other)[:, :3], causal.forward(TOKENS)[:, :3])
    assert abs(full.forward(other)[:, :3] - full.forward(TOKENS)[:, :3]).max() > 1e-3


def test_a_bag_of_words_does_not_know_the_order():
    bag, reader = encoder(layers=0, positions=False), encoder()
    for module, blind in ((bag, True), (reader, False)):
        y = module.forward(TOKENS)
        turned = module.forward(TOKENS[:, ::-1])[:, ::-1]
        assert np.array_equal(turned, y) == blind


def test_the_encoder_learns_one_batch():
    module, target = encoder(), random(3, 5, 8, seed=4)
    losses = []
    for _ in range(200):
        tape, grads = Tape(), Gradients(module.parameters())
        difference = module.forward(TOKENS, tape) - target
        losses.append((difference**2).mean())
        module.backward(2 * difference / difference.size, tape, grads)
        module.theta[...] -= 0.5 * grads.flat
    assert losses[-1] < 0.5 * losses[0]


def test_the_encoder_on_another_array_module(xp):
    module = encoder()
    there = module.bind(to_xp(xp, module.theta))
    tokens = to_xp(xp, TOKENS)
    with no_synchronisation(xp):
        tape, grads = Tape(), Gradients(there.parameters())
        y = there.forward(tokens, tape)
        there.backward(y, tape, grads)
    tape, expected = Tape(), Gradients(module.parameters())
    module.backward(module.forward(TOKENS, tape), tape, expected)
    np.testing.assert_allclose(to_host(grads.flat), expected.flat, rtol=1e-8, atol=1e-10)


def test_bad_arguments():
    for options, words in [
        ({"vocabulary": 0}, "vocabulary is 0"),
        ({"layers": -1}, "layers is -1"),
        ({"heads": 3}, "heads"),
        ({"activation": "relu"}, "activation is 'relu'"),
    ]:
        with pytest.raises(InputError, match=words):
            TextConfig(**({"vocabulary": 11} | options))
    with pytest.raises(InputError, match="tokens"):
        encoder().forward(TOKENS[:, :4])
    with pytest.raises(InputError, match="indices"):
        encoder().forward(TOKENS + 10)
    assert "token" in encoder().summary()


@pytest.mark.parametrize("keys", [3, 7])
def test_the_multiplications_of_attention_are_those_of_its_two_products(keys):
    """q k^T and weights v: for each of 2 x 5 queries, and each key, 8 multiplications and 8 additions, twice."""
    layer, tape = stirred(Attention(8, 2, np.random.default_rng(0), 6, dtype=np.float64)), Tape()
    layer.forward(X, random(2, keys, 6), tape)
    (cache,) = (entry.cache for entry in tape.entries if entry.owner is layer)
    assert layer.flops(cache) == 2 * 5 * keys * (8 + 8) * 2
