"""CLIP as a network: its gradients, and what of a text it reads."""

import math

import numpy as np
import pytest
from arrays import to_host, to_xp
from clips import TOKENS, inputs, network

from tinydiff.functional import contrastive_loss, contrastive_loss_backward
from tinydiff.nn import Gradients, Tape


def test_whole_model_gradients_match_finite_differences():
    clip = network()
    x_t, t, tokens = inputs()

    def loss(theta, x_t):
        return float(contrastive_loss(clip.bind(theta).forward(x_t, t, tokens))[0])

    tape, grads = Tape(), Gradients(clip.parameters())
    _, cache = contrastive_loss(clip.forward(x_t, t, tokens, tape))
    dx = clip.backward(*contrastive_loss_backward(1.0, cache), tape, grads)
    assert len(tape) == 0
    rng = np.random.default_rng(1)
    h, v, w = 1e-5, rng.standard_normal(clip.theta.shape), rng.standard_normal(x_t.shape)
    by_theta = (loss(clip.theta + h * v, x_t) - loss(clip.theta - h * v, x_t)) / (2 * h)
    by_x = (loss(clip.theta, x_t + h * w) - loss(clip.theta, x_t - h * w)) / (2 * h)
    assert grads.flat @ v == pytest.approx(by_theta, rel=1e-5)
    assert (dx * w).sum() == pytest.approx(by_x, rel=1e-5)
    assert abs(grads["log_scale"]).max() > 0  # the temperature is learned too


def test_both_array_modules_agree_in_float32(xp):
    clip = network(np.float32)
    x_t, t, tokens = inputs(np.float32)
    there = clip.bind(to_xp(xp, clip.theta)).forward(*(to_xp(xp, a) for a in (x_t, t, tokens)))
    assert there.dtype == np.float32
    np.testing.assert_allclose(to_host(there), clip.forward(x_t, t, tokens), rtol=1e-4, atol=1e-4)


def test_a_text_is_read_up_to_its_end():
    """Causal, and pooled at the first end: what comes after it does not count, what comes before does."""
    clip = network()
    padded, changed, other = TOKENS[[0]], TOKENS[[0]].copy(), TOKENS[[0]].copy()
    changed[0, 4:] = [3, 4]
    other[0, 1] = 7
    np.testing.assert_allclose(clip.encode_text(changed), clip.encode_text(padded), rtol=1e-12)
    assert abs(clip.encode_text(other) - clip.encode_text(padded)).max() > 1e-3


def test_the_scale_is_bounded():
    clip = network()
    clip.log_scale.value[:] = 9
    clip.bound_scale()
    assert clip.log_scale.value[0] == pytest.approx(math.log(100))
