"""The network of unCLIP's decoder: how it is told the embedding of a picture, and gradients of all of it."""

import numpy as np
import pytest

from tinydiff.base import Condition, InputError
from tinydiff.gradcheck import gradcheck
from tinydiff.networks import DiTConfig, TextConfig, TextToImage, UNetConfig
from tinydiff.networks.text_to_image import EXTRA
from tinydiff.nn import Gradients, Tape

TEXT = TextConfig(vocabulary=20, length=5, channels=8, layers=1, heads=2)
SHAPES = {
    "unet": UNetConfig(
        4, 2, channels=8, channel_mult=(1, 1), blocks_per_level=1, heads=2, context_channels=8, pooled_channels=3
    ),
    "dit": DiTConfig(4, 2, channels=8, layers=1, heads=2, context_channels=8, pooled_channels=3),
}
TOKENS = np.array([[18, 1, 2, 19, 19], [18, 5, 1, 3, 19]])


def random_decoder(name="unet"):
    rng = np.random.default_rng(0)
    network = TextToImage(SHAPES[name], TEXT, rng, np.float64, embedding=3)
    network.theta[:] += 0.1 * rng.standard_normal(network.theta.shape)
    return network


def random_inputs():
    rng = np.random.default_rng(1)
    return rng.standard_normal((2, 4, 4, 2)), np.array([3.0, 500.0]), rng.standard_normal((2, 3))


@pytest.mark.parametrize("name", SHAPES)
def test_gradients_of_the_whole_decoder(name):
    network, (x_t, t, embedding) = random_decoder(name), random_inputs()

    def forward(theta, x_t, embedding):
        bound, tape = network.bind(theta), Tape()
        return bound.forward(x_t, t, Condition(tokens=TOKENS, pooled=embedding), tape), (bound, tape)

    def backward(dy, cache):
        bound, tape = cache
        grads = Gradients(bound.parameters())
        d_x_t, d_context, _ = bound.backward(dy, tape, grads)
        assert len(tape) == 0
        return grads.flat, d_x_t, d_context.pooled

    report = gradcheck(forward, backward, (network.theta, x_t, embedding))
    assert report, str(report)


@pytest.mark.parametrize("name", SHAPES)
def test_it_is_told_by_tokens_behind_the_text_and_by_the_embedding_itself(name):
    """By hand: the linear layer's numbers, cut into tokens, and a denoiser that is given both.

    What it reads are numbers of about 1: the root of the size times those of a unit vector.
    """
    network, (x_t, t, embedding) = random_decoder(name), random_inputs()
    told = np.sqrt(3) * embedding
    h = network.text.forward(TOKENS)
    weight, bias = (network.extra.weight.value, network.extra.bias.value)
    rows = np.stack(
        [np.stack([v @ weight[:, 8 * k : 8 * k + 8] + bias[8 * k : 8 * k + 8] for k in range(EXTRA)]) for v in told]
    )
    context = Condition(tokens=np.concatenate([h, rows], axis=1), pooled=told)
    expected = network.denoiser.forward(x_t, t, context)
    found = network.forward(x_t, t, Condition(tokens=TOKENS, pooled=embedding))
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)
    read = network.read(Condition(tokens=TOKENS, pooled=embedding))
    np.testing.assert_allclose(network.forward(x_t, t, read), expected, rtol=1e-10, atol=1e-12)


def test_no_embedding_is_an_embedding_of_zeros():
    network, (x_t, t, embedding) = random_decoder(), random_inputs()
    zeros = network.forward(x_t, t, Condition(tokens=TOKENS, pooled=0 * embedding))
    np.testing.assert_array_equal(network.forward(x_t, t, TOKENS), zeros)
    assert np.abs(network.forward(x_t, t, Condition(tokens=TOKENS, pooled=embedding)) - zeros).max() > 1e-3


def test_what_does_not_fit_is_refused():
    network, (x_t, t, embedding) = random_decoder(), random_inputs()
    with pytest.raises(InputError, match="pooled"):
        network.forward(x_t, t, Condition(tokens=TOKENS, pooled=embedding[:, :2]))
    with pytest.raises(InputError, match="that of the embedding, 4"):
        TextToImage(SHAPES["unet"], TEXT, embedding=4)
