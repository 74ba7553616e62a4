"""Residual blocks that know no time, and the eps of their norms."""

import numpy as np
import pytest

from tinydiff.base import InputError
from tinydiff.gradcheck import gradcheck
from tinydiff.nn import BlockConfig, Gradients, GroupNorm, ResBlock, SelfAttention, Tape

X = np.random.default_rng(0).standard_normal((2, 3, 4, 4))


def block(config, heads=0, c_out=8):
    made = ResBlock(4, c_out, config, np.random.default_rng(1), heads, np.float64)
    made.pack()
    made.theta[:] += 0.2 * np.random.default_rng(2).standard_normal(made.theta.shape)
    return made


@pytest.mark.parametrize("heads", [0, 2])
def test_gradients_of_a_block_without_an_embedding(heads):
    made = block(BlockConfig(None), heads)
    assert not any("project" in name for name in made.named_parameters())

    def forward(theta, x):
        bound, tape = made.bind(theta), Tape()
        return bound.forward(x, None, tape), (bound, tape)

    def backward(dy, cache):
        bound, tape = cache
        grads = Gradients(bound.parameters())
        dx, d_emb, d_context = bound.backward(dy, tape, grads)
        assert d_emb is None
        assert d_context is None
        assert len(tape) == 0
        return grads.flat, dx

    report = gradcheck(forward, backward, (made.theta, X))
    assert report, str(report)


def test_it_computes_what_a_block_does_whose_embedding_says_nothing():
    with_time, without = block(BlockConfig(3)), block(BlockConfig(None))
    here, there = without.named_parameters(), with_time.named_parameters()
    for name, parameter in there.items():
        if name.startswith("project"):
            parameter.value[...] = 0
        else:
            parameter.value[...] = here[name].value
    np.testing.assert_array_equal(with_time.forward(X, np.ones((2, 3))), without.forward(X, None))


@pytest.mark.parametrize("config", [BlockConfig(None, norm_eps=1e-3), BlockConfig(2, scale_shift=True, norm_eps=1e-3)])
def test_the_eps_of_the_configuration_is_that_of_every_norm(config):
    norms = [module for _, module in block(config, 2).named_modules() if isinstance(module, GroupNorm)]
    assert len(norms) == 3
    assert {norm.eps for norm in norms} == {1e-3}
    assert {m.eps for _, m in block(BlockConfig(2), 2).named_modules() if isinstance(m, GroupNorm)} == {1e-5}


def test_the_eps_of_an_attention_is_that_of_its_norm():
    rng = np.random.default_rng(0)
    for eps in (1e-6, 0.5):
        attention = SelfAttention(4, 1, rng, dtype=np.float64, eps=eps)
        flat = np.zeros((1, 2, 2, 4)) + np.array([1.0, -1, 1, -1])  # of variance 1 in each group
        tokens = attention.norm.forward(flat)
        np.testing.assert_allclose(abs(tokens), (1 + eps) ** -0.5, rtol=1e-12)


def test_bad_inputs_are_one_clear_sentence():
    for call, words in [
        (lambda: BlockConfig(None, scale_shift=True), "scale_shift is True, but c_emb is None"),
        (lambda: BlockConfig(None, norm_eps=-1.0) and block(BlockConfig(None, norm_eps=-1.0)), "eps is -1"),
        (lambda: block(BlockConfig(None)).forward(X, np.ones((2, 3))), "emb was given, but this block"),
        (lambda: block(BlockConfig(3)).forward(X, None), "emb is of type NoneType"),
        (lambda: block(BlockConfig(3)).forward(X, np.ones((1, 3))), r"emb has shape \(1, 3\)"),
    ]:
        with pytest.raises(InputError, match=words):
            call()
