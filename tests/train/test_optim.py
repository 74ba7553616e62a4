"""AdamW, clipping, the learning rate, and the average of the weights."""

import math

import numpy as np
import pytest
from arrays import assert_equal, no_synchronisation, to_host, to_xp

from tinydiff.base import InputError
from tinydiff.train import AdamW, clip_by_global_norm, ema_decay, learning_rate, optim, update_ema

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


@pytest.mark.equation("ADAMW-1")
def test_without_a_mask_all_weights_decay_and_without_a_gradient_only_that_moves_them():
    optimizer = AdamW(np.ones(3), weight_decay=0.5)
    optimizer.step(np.zeros(3), 0.1)
    np.testing.assert_allclose(optimizer.theta, 1 - 0.1 * 0.5, rtol=1e-15)
    still = AdamW(np.ones(3), np.array([0.0, 0.0, 1.0]), weight_decay=0.5)
    still.step(np.zeros(3), 0.1)
    np.testing.assert_allclose(still.theta, [1, 1, 0.95], rtol=1e-15)


@pytest.mark.equation("EMA-1")
@pytest.mark.parametrize("ok", [True, False])
def test_the_average_that_is_moved_in_the_same_walk_is_that_of_update_ema(xp, ok):
    theta, ema = np.linspace(-1, 1, 30), np.linspace(2, 3, 30)
    one, two = (AdamW(to_xp(xp, theta.copy()), weight_decay=0.1) for _ in range(2))
    ema_one, ema_two = to_xp(xp, ema.copy()), to_xp(xp, ema.copy())
    for k in range(3):
        g = to_xp(xp, G.reshape(-1) * (k + 1))
        one.step(g, 0.01, ok, ema_one, 0.9)
        two.step(g, 0.01, ok)
        update_ema(ema_two, two.theta, 0.9, ok)
    assert_equal(one.theta, to_host(two.theta))
    assert_equal(ema_one, to_host(ema_two))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_gradient_that_is_not_finite_changes_nothing_where_it_is_not_ok(xp, bad):
    optimizer = AdamW(to_xp(xp, np.ones(30)), weight_decay=0.1)
    optimizer.step(to_xp(xp, G.reshape(-1)), 0.01)
    before = [to_host(a).copy() for a in (optimizer.theta, optimizer.m, optimizer.v)]
    optimizer.step(to_xp(xp, np.full(30, bad)), 0.01, ok=to_xp(xp, np.asarray(False)))
    for a, b in zip((optimizer.theta, optimizer.m, optimizer.v), before, strict=True):
        np.testing.assert_array_equal(to_host(a), b)


@pytest.mark.parametrize("piece", [1, 7, 29, 30, 31])
def test_the_length_of_the_pieces_changes_no_bit(monkeypatch, piece):
    thetas = []
    for length in (piece, 2**15):
        monkeypatch.setattr(optim, "PIECE_BYTES", 8 * length)
        optimizer = AdamW(np.ones(30), np.arange(30) % 2.0, weight_decay=0.1)
        for _ in range(3):
            optimizer.step(G.reshape(-1), 0.01)
        thetas.append(optimizer.theta)
    np.testing.assert_array_equal(*thetas)


def test_the_first_step_has_the_length_of_the_learning_rate_however_large_the_gradient():
    """The corrections of the two moments undo their start at zero."""
    for scale in (1e-3, 1.0, 1e3):
        optimizer = AdamW(np.zeros(5))
        optimizer.step(scale * G[0], 0.01)
        np.testing.assert_allclose(optimizer.theta, -0.01 * np.sign(G[0]), rtol=1e-4)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("a_bool", [True, False])
def test_where_a_step_is_not_ok_nothing_changes(xp, bad, a_bool):
    optimizer = AdamW(to_xp(xp, np.ones(5, np.float32)), weight_decay=0.1)
    optimizer.step(to_xp(xp, G[0].astype(np.float32)), 0.1)
    before = [to_host(a).copy() for a in (optimizer.theta, optimizer.m, optimizer.v)]
    assert not (before[0] == 1).any()
    g = np.full(5, bad, np.float32)
    optimizer.step(to_xp(xp, g), 0.1, ok=False if a_bool else xp.asarray(False))
    for a, b in zip(before, (optimizer.theta, optimizer.m, optimizer.v), strict=True):
        assert_equal(b, a)


def test_float32_stays_float32(xp):
    theta, mask = to_xp(xp, np.ones(5, np.float32)), to_xp(xp, np.ones(5, np.float32))
    optimizer, ema, g = AdamW(theta, mask, weight_decay=0.1), theta.copy(), to_xp(xp, G[0].astype(np.float32))
    clip_by_global_norm(g, 0.1)
    optimizer.step(g, 0.01)
    update_ema(ema, theta, 0.9)
    assert optimizer.theta is theta
    assert {a.dtype for a in (theta, optimizer.m, optimizer.v, g, ema)} == {np.dtype(np.float32)}


@pytest.mark.parametrize(("betas", "name"), [((0.9, 1.0), r"betas\[1\] is 1"), ((-0.1, 0.9), r"betas\[0\] is -0.1")])
def test_betas_outside_the_interval_are_one_clear_sentence(betas, name):
    with pytest.raises(InputError, match=name):
        AdamW(np.ones(2), betas=betas)


@pytest.mark.equation("ADAMW-1")
@pytest.mark.parametrize("scale", [1e-45, 1e-38, 1e-30, 1e-10, 1.0, 1e10, 1e19, 1e20, 3e38])
@pytest.mark.parametrize("betas", [(0.9, 0.99), (0.0, 0.0), (0.95, 0.999), (0.9, 0.999999), (0.999, 1 - 1e-8)])
def test_float32_steps_are_those_of_float64_whatever_the_gradient_and_the_betas(xp, betas, scale):
    """Within 1e-6 of twenty steps' length, 0.2. Signs change, and sizes by a tenth, but for those beyond 1e18."""
    rng = np.random.default_rng(0)
    narrow, wide = (AdamW(to_xp(xp, np.zeros(50, dtype)), betas=betas) for dtype in (np.float32, np.float64))
    for _ in range(20):
        size = rng.uniform(0.9, 1.0, 50) if scale < 1e18 else 1
        g = (scale * rng.choice([-1, 1], 50) * size).astype(np.float32)
        narrow.step(to_xp(xp, g), 0.01)
        wide.step(to_xp(xp, g.astype(float)), 0.01)
    np.testing.assert_allclose(to_host(narrow.theta), to_host(wide.theta), rtol=0, atol=2e-7 + 1e-5 * (scale < 1e-18))


def test_an_average_of_squares_is_the_gradients_square_however_near_to_one_beta_is():
    """After the correction of the start, the moments of a constant gradient are that gradient and its square."""
    for beta in (0.9, 0.999, 0.999999, 1 - 1e-8):
        optimizer = AdamW(np.zeros(3, np.float32), betas=(beta, beta))
        for _ in range(10):
            optimizer.step(np.full(3, 0.5, np.float32), 0.1)
        rest = -math.expm1(10 * math.log(beta))
        np.testing.assert_allclose(optimizer.m / rest, 0.5, rtol=1e-6)
        np.testing.assert_allclose(optimizer.v / rest, 0.25, rtol=1e-6)


def test_a_step_that_is_not_ok_does_not_count(xp):
    """Else the corrections of the moments would take them for older than they are."""
    one, two = (AdamW(to_xp(xp, np.ones(5)), weight_decay=0.1) for _ in range(2))
    one.step(to_xp(xp, np.full(5, np.nan)), 0.1, ok=xp.asarray(False))  # the first step, before there are moments
    assert one.steps == 0
    assert_equal(one.theta, np.ones(5))
    for g in G[:2, :5]:
        one.step(to_xp(xp, g), 0.1, ok=xp.asarray(True))
        one.step(to_xp(xp, g), 0.1, ok=False)
        two.step(to_xp(xp, g), 0.1)
    assert one.steps == two.steps == 2
    for a, b in ((one.theta, two.theta), (one.m, two.m), (one.v, two.v)):
        assert_equal(a, to_host(b))


def test_no_step_waits_for_the_device(xp):
    optimizer, ema, g = AdamW(to_xp(xp, np.ones(5)), weight_decay=0.1), to_xp(xp, np.ones(5)), to_xp(xp, G[0])
    ok = xp.asarray(True)
    with no_synchronisation(xp):
        for _ in range(2):
            clip_by_global_norm(g, 0.1)
            optimizer.step(g, 0.1, ok, ema, 0.9)


@pytest.mark.parametrize("shape", [(4,), (6,), (5, 1), (1,)])
def test_a_gradient_or_an_average_of_another_shape_is_refused_before_anything_changes(shape):
    optimizer = AdamW(np.ones(5))
    with pytest.raises(InputError, match=r"g has shape"):
        optimizer.step(np.ones(shape), 0.1)
    with pytest.raises(InputError, match=r"ema has shape"):
        optimizer.step(np.ones(5), 0.1, ema=np.ones(shape))
    assert optimizer.steps == 0
    np.testing.assert_array_equal(optimizer.theta, 1)


@pytest.mark.parametrize("eps", [0, -1e-8, 1e-30, math.inf, math.nan])
def test_an_eps_that_float32_cannot_use_is_refused(eps):
    with pytest.raises(InputError, match=r"eps is .* a number (from 1\.1e-19|was expected)"):
        AdamW(np.ones(2, np.float32), eps=eps)


@pytest.mark.equation("CLIP-1")
@pytest.mark.parametrize("scale", [1e-45, 1e-38, 1e-30, 1e-20, 1.0, 1e19, 1e20, 1e30, 3.4e38])
def test_clipping_of_float32_from_the_least_to_the_largest_number(xp, scale):
    """Within 1e-6. The norm, in float64, may be larger than all numbers of float32."""
    g = (scale * np.sign(np.random.default_rng(0).standard_normal(1000))).astype(np.float32)
    for largest in (1.0, 1e30, math.inf):
        clipped = to_xp(xp, g)
        norm = clip_by_global_norm(clipped, largest)
        exact = np.linalg.norm(g.astype(float))
        assert float(norm) == pytest.approx(exact, rel=1e-6)
        assert clipped.dtype == np.float32
        np.testing.assert_allclose(to_host(clipped), g * np.float64(min(1, largest / exact)), rtol=1e-6)
    for bad in (math.nan, math.inf):  # then the others stay as they are: a run says whose gradient was bad
        g = to_xp(xp, np.array([1.0, bad, 2.0], np.float32))
        assert not math.isfinite(float(clip_by_global_norm(g, 1.0)))
        assert_equal(g, np.array([1.0, bad, 2.0], np.float32))


@pytest.mark.equation("CLIP-1")
def test_clipping_shortens_what_is_too_long_and_keeps_the_direction(xp):
    for largest in (0.5, 100.0):
        g = to_xp(xp, G[0])
        norm = clip_by_global_norm(g, largest)
        assert float(norm) == pytest.approx(np.linalg.norm(G[0]))
        expected = G[0] * min(1, largest / np.linalg.norm(G[0]))
        np.testing.assert_allclose(to_host(g), expected, rtol=1e-9)
        assert np.linalg.norm(to_host(g)) <= largest * (1 + 1e-12)
    unchanged = to_xp(xp, G[0])
    clip_by_global_norm(unchanged, 100.0)
    assert_equal(unchanged, G[0])
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
    assert learning_rate(100, 100, 2.0) == pytest.approx(0, abs=1e-15)
    assert learning_rate(150, 100, 2.0, final=0.1) == pytest.approx(0.2)  # past the end it stays there
    assert learning_rate(0, 100, 2.0) == 2.0
    assert learning_rate(1, 1, 2.0) == pytest.approx(0, abs=1e-15)
    assert learning_rate(5, 10, 2.0, warmup=10) == pytest.approx(1.0)  # a run that is all warm-up


@pytest.mark.equation("EMA-1")
def test_the_average_is_the_weighted_sum_of_closed_form(xp):
    ema = to_xp(xp, G[0].copy())
    for g in G[1:]:
        update_ema(ema, to_xp(xp, g), 0.8)
    weights = np.array([0.8**5, *(0.2 * 0.8 ** (5 - k) for k in range(1, 6))])
    assert weights.sum() == pytest.approx(1)
    np.testing.assert_allclose(to_host(ema), weights @ G, rtol=1e-12)


def test_the_average_does_not_move_where_the_step_was_not_ok(xp):
    ema = to_xp(xp, G[0])
    update_ema(ema, to_xp(xp, np.full(5, np.nan)), 0.8, ok=xp.asarray(False))
    assert_equal(ema, G[0])


@pytest.mark.equation("EMA-2")
def test_with_a_warm_up_the_average_is_the_weighted_sum_of_closed_form(xp):
    ema, decays = to_xp(xp, G[0]), [ema_decay(step, 0.999) for step in range(1, 6)]
    for g, decay in zip(G[1:], decays, strict=True):
        update_ema(ema, to_xp(xp, g), decay)
    own = np.array([1, *(1 - decay for decay in decays)])
    weights = own * [math.prod(decays[k:]) for k in range(6)]  # each shrinks by all decays after it
    assert weights.sum() == pytest.approx(1)
    assert weights[0] < 0.01
    np.testing.assert_allclose(to_host(ema), weights @ G, rtol=1e-12)
    assert decays == sorted(decays)


@pytest.mark.pitfall(19)
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
