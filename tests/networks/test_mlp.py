"""The MLP of points: the forward written again in NumPy, gradients, what it is told, bad input."""

import numpy as np
import pytest

from tinydiff.base import Condition, InputError, to_numpy
from tinydiff.gradcheck import gradcheck
from tinydiff.networks import MLP, MLPConfig
from tinydiff.nn import Gradients, Tape

PLAIN, WITH_CLASSES = MLPConfig(width=6, depth=2), MLPConfig(channels=3, width=4, depth=1, num_classes=3)
both = pytest.mark.parametrize("config", [PLAIN, WITH_CLASSES], ids=["plain", "classes"])


def random_mlp(config, dtype=np.float64):
    """An MLP away from its initial state, in which it says zero."""
    rng = np.random.default_rng(0)
    network = MLP(config, rng, dtype)
    network.theta[:] += 0.2 * rng.standard_normal(network.theta.shape)
    return network


def random_inputs(config, n=3):
    x_t, t = np.random.default_rng(1).standard_normal((n, *config.shape)), np.array([1.0, 500.0, 30.0])[:n]
    return (x_t, t) if config.num_classes is None else (x_t, t, np.array([2, 0, 3])[:n])


def by_hand(theta, config, x, t, label=None):
    """The MLP of one point, in NumPy alone."""

    def linear(name, x):
        return x @ theta[f"{name}.weight"] + theta.get(f"{name}.bias", 0)

    def silu(x):
        return x / (1 + np.exp(-x))

    half = config.width // 2
    waves = t * 1e4 ** (-np.arange(half) / half)
    emb = linear("clock.layers.2", silu(linear("clock.layers.0", np.concatenate([np.cos(waves), np.sin(waves)]))))
    emb = silu(emb if label is None else emb + theta["label.table"][label])
    h = linear("stem", x)
    for b in range(config.depth):
        u = linear(f"blocks.{b}.linear_1", silu(h)) + linear(f"blocks.{b}.time", emb)
        h = h + linear(f"blocks.{b}.linear_2", silu(u))
    return linear("head", silu(h))


@both
def test_the_forward_is_what_its_docstrings_say(config):
    network, (x_t, t, *labels) = random_mlp(config), random_inputs(config)
    theta = {name: parameter.value for name, parameter in network.named_parameters().items()}
    y = network.forward(x_t, t, *labels)
    for i in range(len(x_t)):
        expected = by_hand(theta, config, x_t[i, 0, 0], t[i], *(row[i] for row in labels))
        np.testing.assert_allclose(y[i, 0, 0], expected, rtol=0, atol=1e-12)


@both
def test_gradients_of_the_whole_network(config):
    network, (x_t, t, *labels) = random_mlp(config), random_inputs(config)

    def forward(theta, x_t):
        bound, tape = network.bind(theta), Tape()
        return bound.forward(x_t, t, *labels, tape=tape), (bound, tape)

    def backward(dy, cache):
        bound, tape = cache
        grads = Gradients(bound.parameters())
        d_x_t, _, d_emb = bound.backward(dy, tape, grads)
        assert len(tape) == 0
        assert d_emb.shape == (3, config.width)
        return grads.flat, d_x_t

    report = gradcheck(forward, backward, (network.theta, x_t))
    assert report, str(report)


def test_all_that_it_is_told_changes_what_it_says():
    network, (x_t, t, labels) = random_mlp(WITH_CLASSES), random_inputs(WITH_CLASSES)
    y = network.forward(x_t, t, labels)
    for other in ((x_t + 1, t, labels), (x_t, t + 1, labels), (x_t, t, (labels + 1) % 4), (x_t, t, None)):
        assert (np.abs(network.forward(*other) - y) > 1e-6).any(axis=(1, 2, 3)).sum() >= 2
    np.testing.assert_array_equal(network.forward(x_t, t), network.forward(x_t, t, np.full(3, 3)))  # no class
    np.testing.assert_array_equal(network.forward(x_t, t, Condition(labels=labels)), y)


@both
def test_it_starts_by_saying_nothing(config):
    assert not MLP(config, dtype=np.float64).forward(*random_inputs(config)).any()


@both
def test_one_input_fits_and_devices_agree(config, xp):
    network, (x_t, t, *labels) = random_mlp(config, np.float32), random_inputs(config)
    bound = network.bind(xp.asarray(network.theta))
    assert bound.forward(*bound.one_input()).shape == (1, *config.shape)
    y = bound.forward(xp.asarray(x_t, dtype=np.float32), xp.asarray(t), *map(xp.asarray, labels))
    np.testing.assert_allclose(to_numpy(y), random_mlp(config).forward(x_t, t, *labels), rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"width": 7}, "even"),
        ({"width": 0}, "width"),
        ({"channels": 0}, "channels"),
        ({"depth": 1.5}, "depth"),
        ({"num_classes": 0}, "num_classes"),
    ],
)
def test_a_shape_that_cannot_be_is_refused(options, told):
    with pytest.raises(InputError, match=told):
        MLPConfig(**options)


def test_what_does_not_fit_is_refused_in_a_sentence():
    network, (x_t, t) = random_mlp(PLAIN), random_inputs(PLAIN)
    for wrong, told in (
        ((x_t[..., :1], t), "x_t has shape"),
        ((x_t[:, 0], t), "x_t has shape"),
        ((x_t.astype(np.float32), t), "dtype"),
        ((x_t, t[:1]), "t has shape"),
        ((x_t, t, np.zeros(3, int)), "context holds labels, but this MLP takes none"),
        ((x_t, t, Condition(image=x_t)), "context holds image"),
    ):
        with pytest.raises(InputError, match=told):
            network.forward(*wrong)
    with pytest.raises(InputError, match="context, labels has shape"):
        random_mlp(WITH_CLASSES).forward(*random_inputs(WITH_CLASSES)[:2], np.zeros(2, int))
