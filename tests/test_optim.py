"""AdamW, clipping, the learning rate, and the average of the weights."""

import math

import numpy as np
import pytest
from arrays import to_host, to_xp

from tinydiff.errors import InputError
from tinydiff.train import AdamW, clip_by_global_norm, ema_decay, learning_rate, update_ema

G = np.random.default_rng(0).standard_normal((6, 5))


def adamw_by_hand(theta, gradients, lr, decay, beta_1=0.9, beta_2=0.99, eps=1e-8):
    """One number, one step at a time, as the paper writes it."""
    m = v = 0.0
    for k, g in enumerate(gradients, 1):
        m, v = beta_1 * m + (1 - beta_1) * g, beta_2 * v + (1 - beta_2) * g * g
        theta -= lr * (m / (1 - beta_1**k) / (math.sqrt(v / (1 - beta_2**k)) + eps) + decay * theta)
    return theta


@pytest.mark.equation("ADAMW-1")
def test_adamw_equals_the_papers_algorithm_number_by_number(xp):
    theta, mask = np.linspace(-1, 1, 5), np.array([1.0, 1, 0, 0, 1])
    optimizer = AdamW(to_xp(xp, theta), to_xp(xp, mask), weight_decay=0.1)
    for g in G:
        optimizer.step(to_xp(xp, g), 0.01)
    for i in range(5):
        expected = adamw_by_hand(theta[i], G[:, i], 0.01, 0.1 * mask[i])
        assert float(to_host(optimizer.theta)[i]) == pytest.approx(expected, rel=1e-9)


def test_where_a_step_is_not_ok_nothing_changes():
    optimizer = AdamW(np.ones(5, np.float32))
    optimizer.step(G[0].astype(np.float32), 0.1)
    before = [a.copy() for a in (optimizer.theta, optimizer.m, optimizer.v)]
    optimizer.step(np.full(5, np.nan, np.float32), 0.1, ok=np.asarray(False))
    for a, b in zip(before, (optimizer.theta, optimizer.m, optimizer.v), strict=True):
        np.testing.assert_array_equal(a, b)
        assert b.dtype == np.float32
    with pytest.raises(InputError, match=r"betas\[1\] is 1"):
        AdamW(np.ones(2), betas=(0.9, 1.0))


@pytest.mark.equation("CLIP-1")
def test_clipping_shortens_what_is_too_long_and_keeps_the_direction(xp):
    for largest in (0.5, 100.0):
        g = to_xp(xp, G[0])
        norm = clip_by_global_norm(g, largest)
        assert float(norm) == pytest.approx(np.linalg.norm(G[0]))
        expected = G[0] * min(1, largest / np.linalg.norm(G[0]))
        np.testing.assert_allclose(to_host(g), expected, rtol=1e-9)
    zero = np.zeros(3)
    clip_by_global_norm(zero, 1.0)
    assert not zero.any()


@pytest.mark.equation("LR-1")
def test_the_learning_rate_rises_in_a_line_and_falls_in_half_a_cosine():
    rates = [learning_rate(step, 100, 2.0, warmup=10, final=0.1) for step in range(1, 101)]
    np.testing.assert_allclose(rates[:10], np.linspace(0.2, 2.0, 10))
    assert rates[54] == pytest.approx(2.0 * (0.1 + 0.9 / 2))  # halfway down
    assert rates[-1] == pytest.approx(0.2)
    assert (np.diff(rates[9:]) < 0).all()
    assert learning_rate(1, 10, 1.0) <= 1.0


@pytest.mark.equation("EMA-1")
def test_the_average_is_the_weighted_sum_of_closed_form(xp):
    ema = to_xp(xp, G[0].copy())
    for g in G[1:]:
        update_ema(ema, to_xp(xp, g), 0.8)
    weights = np.array([0.8**5, *(0.2 * 0.8 ** (5 - k) for k in range(1, 6))])
    assert weights.sum() == pytest.approx(1)
    np.testing.assert_allclose(to_host(ema), weights @ G, rtol=1e-12)


@pytest.mark.equation("EMA-2")
def test_pitfall_19_an_early_average_has_forgotten_the_random_start():
    """Its weight of the start is the product of the decays; with a constant decay it would be nearly 1."""
    share_of_start = math.prod(ema_decay(step, 0.999) for step in range(1, 51))
    assert share_of_start < 1e-6
    assert 0.999**50 > 0.95
    ema, theta = np.array([1.0]), np.array([0.0])
    for step in range(1, 51):
        update_ema(ema, theta, ema_decay(step, 0.999))
    assert ema[0] == pytest.approx(share_of_start, rel=1e-9)
    assert ema_decay(100_000, 0.999) == 0.999
