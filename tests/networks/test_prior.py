"""The prior of unCLIP: the forward against the paper's words, written again; gradients; what sees what; bad input."""

import math

import numpy as np
import pytest

from tinydiff.base import Condition, InputError, to_numpy
from tinydiff.gradcheck import gradcheck
from tinydiff.networks import PriorConfig, PriorTransformer
from tinydiff.nn import Gradients, Tape

SMALL = PriorConfig(embedding=5, text_channels=3, length=4, channels=8, layers=2, heads=2)


def random_prior(config=SMALL, dtype=np.float64):
    """A prior away from its initial state, in which it says zero."""
    rng = np.random.default_rng(0)
    network = PriorTransformer(config, rng, dtype)
    network.theta[:] += 0.2 * rng.standard_normal(network.theta.shape)
    return network


def random_inputs(config=SMALL, n=3):
    rng = np.random.default_rng(1)
    context = Condition(
        tokens=rng.standard_normal((n, config.length, config.text_channels)),
        pooled=rng.standard_normal((n, config.embedding)),
    )
    return rng.standard_normal((n, 1, 1, config.embedding)), np.array([1.0, 500.0, 30.0])[:n], context


def by_the_paper(theta, config, z, t, tokens, pooled):
    """The prior of one embedding, token by token, in NumPy alone: no token looks at one that comes after it."""

    def linear(name, x):
        return x @ theta[f"{name}.weight"] + theta.get(f"{name}.bias", 0)

    def norm(name, x):
        centred = x - x.mean()
        return centred / np.sqrt((centred**2).mean() + 1e-5) * theta[f"{name}.gamma"] + theta[f"{name}.beta"]

    def attention(name, rows, i):
        queries, d, outputs = linear(f"{name}.query", rows[i]), config.channels // config.heads, []
        both = [linear(f"{name}.key_value", row) for row in rows[: i + 1]]
        for start in range(0, config.channels, d):
            part = slice(start, start + d)
            scores = [math.exp(queries[part] @ row[: config.channels][part] / math.sqrt(d)) for row in both]
            values = [score * row[config.channels :][part] for score, row in zip(scores, both, strict=True)]
            outputs.append(sum(values) / sum(scores))
        return linear(f"{name}.proj", np.concatenate(outputs))

    def feed_forward(name, x):
        value, gate = np.split(linear(f"{name}.layers.0", x), 2)
        return linear(f"{name}.layers.2", value * gate * 0.5 * (1 + np.vectorize(math.erf)(gate / math.sqrt(2))))

    half = config.channels // 2
    waves = t * 1e4 ** (-np.arange(half) / half)
    h = linear("time.layers.0", np.concatenate([np.cos(waves), np.sin(waves)]))
    clock = linear("time.layers.2", h / (1 + np.exp(-h)))
    of_text = [linear("text", token) for token in tokens]
    rows = [*of_text, linear("text_embedding", pooled), clock, linear("noisy", z), np.zeros(config.channels)]
    rows = [row + place for row, place in zip(rows, theta["place.table"], strict=True)]
    for b in range(config.layers):
        name = f"blocks.{b}"
        normed = [norm(f"{name}.norm_1", row) for row in rows]
        rows = [row + attention(f"{name}.self_attention", normed, i) for i, row in enumerate(rows)]
        rows = [row + feed_forward(f"{name}.feed_forward", norm(f"{name}.norm_3", row)) for row in rows]
    return linear("head", norm("norm", rows[-1]))


def test_the_forward_is_what_the_paper_says():
    network, (x_t, t, context) = random_prior(), random_inputs()
    theta = {name: parameter.value for name, parameter in network.named_parameters().items()}
    y = network.forward(x_t, t, context)
    for i in range(len(x_t)):
        expected = by_the_paper(theta, SMALL, x_t[i, 0, 0], t[i], context.tokens[i], context.pooled[i])
        np.testing.assert_allclose(y[i, 0, 0], expected, rtol=0, atol=1e-12)


def test_gradients_of_the_whole_prior():
    network, (x_t, t, context) = random_prior(), random_inputs(n=2)

    def forward(theta, x_t, tokens, pooled):
        bound, tape = network.bind(theta), Tape()
        return bound.forward(x_t, t, Condition(tokens=tokens, pooled=pooled), tape), (bound, tape)

    def backward(dy, cache):
        bound, tape = cache
        grads = Gradients(bound.parameters())
        d_x_t, d_context, _ = bound.backward(dy, tape, grads)
        assert len(tape) == 0
        return grads.flat, d_x_t, d_context.tokens, d_context.pooled

    report = gradcheck(forward, backward, (network.theta, x_t, context.tokens, context.pooled))
    assert report, str(report)


def test_everything_that_it_is_told_changes_what_it_says():
    network, (x_t, t, context) = random_prior(), random_inputs()
    y = network.forward(x_t, t, context)
    for other in (
        network.forward(x_t + 1, t, context),
        network.forward(x_t, t + 1, context),
        network.forward(x_t, t, context._replace(tokens=context.tokens + 1)),
        network.forward(x_t, t, context._replace(pooled=context.pooled + 1)),
    ):
        assert (np.abs(other - y) > 1e-6).all()


def test_it_starts_as_the_mean_of_all_embeddings():
    """Standardised embeddings have the mean zero, and that is the best guess of a prior that knows nothing yet."""
    x_t, t, context = random_inputs()
    assert not PriorTransformer(SMALL, dtype=np.float64).forward(x_t, t, context).any()


def test_one_input_fits_and_devices_agree(xp):
    network = random_prior(dtype=np.float32)
    x_t, t, context = random_inputs()
    bound = network.bind(xp.asarray(network.theta))
    assert bound.forward(*bound.one_input()).shape == (1, 1, 1, 5)
    arrays = [xp.asarray(a, dtype=np.float32) for a in (x_t, t, context.tokens, context.pooled)]
    y = bound.forward(arrays[0], arrays[1], Condition(tokens=arrays[2], pooled=arrays[3]))
    expected = random_prior().forward(x_t, t, context)
    np.testing.assert_allclose(to_numpy(y), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"channels": 9, "heads": 3}, "even"),
        ({"channels": 8, "heads": 3}, "heads"),
        ({"embedding": 0}, "embedding"),
        ({"layers": 0}, "layers"),
        ({"length": 1.5}, "length"),
    ],
)
def test_a_shape_that_cannot_be_is_refused(options, told):
    with pytest.raises(InputError, match=told):
        PriorConfig(**options)


def test_what_does_not_fit_is_refused_in_a_sentence():
    network, (x_t, t, context) = random_prior(), random_inputs()
    for wrong, told in (
        ((x_t[..., :3], t, context), "x_t"),
        ((x_t, t[:1], context), "t has shape"),
        ((x_t, t, None), "holds no tokens"),
        ((x_t, t, context._replace(pooled=None)), "holds no pooled"),
        ((x_t, t, context._replace(tokens=context.tokens[:, :2])), "context, tokens"),
        ((x_t, t, context._replace(image=x_t)), "takes none"),
    ):
        with pytest.raises(InputError, match=told):
            network.forward(*wrong)
