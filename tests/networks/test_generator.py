"""The generator and the discriminator of vectors: gradients in float64, shapes, and points as pictures of one pixel."""

import numpy as np
import pytest
from arrays import to_xp

from tinydiff.base import InputError, to_numpy
from tinydiff.gradcheck import check_module
from tinydiff.networks import Generator, GeneratorConfig, VectorDiscriminator, VectorDiscriminatorConfig
from tinydiff.nn import Gradients, Tape

rng = np.random.default_rng(0)
SHAPES = {"points": (1, 2), "pictures": ((3, 2), 1)}


@pytest.mark.parametrize("what", SHAPES)
def test_gradients_match_finite_differences(what):
    size, channels = SHAPES[what]
    generator = Generator(GeneratorConfig(size, channels, 3, (5, 4)), np.random.default_rng(1), np.float64)
    judge = VectorDiscriminator(VectorDiscriminatorConfig(size, channels, (5, 4)), np.random.default_rng(2), np.float64)
    assert check_module(generator, [rng.standard_normal((4, 3))], Tape, Gradients)
    assert check_module(judge, [rng.standard_normal((4, *generator.config.shape))], Tape, Gradients)


def test_without_grads_a_discriminator_gives_the_gradient_of_the_picture_alone():
    judge, x, found = VectorDiscriminator(VectorDiscriminatorConfig(2, 1, (5,))), rng.normal(size=(3, 2, 2, 1)), []
    for grads in (None, Gradients(judge.parameters())):
        tape = Tape()
        d_logits = np.ones_like(judge.forward(x.astype("f4"), tape))
        found.append(judge.backward(d_logits, tape, grads))
    np.testing.assert_array_equal(*found)


def test_a_generator_is_the_formula_and_draws_what_it_says():
    generator = Generator(GeneratorConfig(2, 1, 3, (5,)), np.random.default_rng(1), np.float64)
    z = rng.standard_normal((4, 3))
    first, _, second = generator.body.layers
    h = z @ first.weight.value + first.bias.value
    expected = (h / (1 + np.exp(-h))) @ second.weight.value + second.bias.value
    np.testing.assert_allclose(generator.draw(z), expected.reshape(4, 2, 2, 1), rtol=1e-12)
    assert generator.latent == 3


def test_they_run_under_both_array_modules(xp):
    generator, judge = Generator(GeneratorConfig(1, 2, 3)), VectorDiscriminator(VectorDiscriminatorConfig(1, 2))
    z = rng.standard_normal((4, 3)).astype("f4")
    expected = judge.forward(generator.forward(z))
    there = [network.bind(to_xp(xp, network.theta)) for network in (generator, judge)]
    found = there[1].forward(there[0].forward(to_xp(xp, z)))
    np.testing.assert_allclose(to_numpy(found), expected, rtol=1e-5, atol=1e-6)


def test_bad_inputs_are_one_clear_sentence():
    with pytest.raises(InputError, match=r"z has shape \(1, 4\), but \(any, 3\)"):
        Generator(GeneratorConfig(1, 2, 3)).forward(np.zeros((1, 4), "f4"))
    with pytest.raises(InputError, match=r"x has shape \(1, 2\), but \(any, 1, 1, 2\)"):
        VectorDiscriminator(VectorDiscriminatorConfig(1, 2)).forward(np.zeros((1, 2), "f4"))
    for change, words in [({"latent": 0}, "latent is 0"), ({"channels": ()}, "channels is empty")]:
        with pytest.raises(InputError, match=words):
            GeneratorConfig(**change)
