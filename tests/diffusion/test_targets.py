"""What a network predicts: for each kind, what it is trained towards and what follows from it agree."""

import numpy as np
import pytest
from arrays import to_host, to_xp
from diffusions import COSINE, LINEAR

from tinydiff.base import InputError
from tinydiff.diffusion import TARGETS, GaussianDiffusion, cosine_schedule, predictor, simple_loss
from tinydiff.diffusion.targets import edm_target, x_0_and_eps_from_edm

DIFFUSION = GaussianDiffusion(cosine_schedule(100))
EMPTY_AT_T = GaussianDiffusion(cosine_schedule(100, max_beta=1))
every_kind = pytest.mark.parametrize("kind", list(TARGETS))


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


@every_kind
@pytest.mark.parametrize("t", [1, 50, 99.5, np.array([1, 40, 99])])
def test_a_perfect_prediction_of_any_kind_gives_back_the_data_and_the_noise(kind, t):
    x_0, eps = normal(3, 4, 4, 1), normal(3, 4, 4, 1, seed=1)
    x_t, target = DIFFUSION.q_sample(x_0, t, eps), TARGETS[kind]
    found = target.x_0_and_eps(DIFFUSION, x_t, t, target.of(DIFFUSION, x_0, eps, t))
    for array, exact in zip(found, (x_0, eps), strict=True):
        np.testing.assert_allclose(array, exact, rtol=0, atol=1e-9)


@every_kind
def test_what_a_kind_says_stays_true_of_a_wrong_prediction(kind):
    """x_t = a x_0_hat + b eps_hat, and the kind's target of (x_0_hat, eps_hat) is what was predicted."""
    x_t, output, t = normal(3, 2), normal(3, 2, seed=1), np.array([3, 50, 97])
    target = TARGETS[kind]
    x_0_hat, eps_hat = target.x_0_and_eps(DIFFUSION, x_t, t, output)
    np.testing.assert_allclose(DIFFUSION.q_sample(x_0_hat, t, eps_hat), x_t, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(target.of(DIFFUSION, x_0_hat, eps_hat, t), output, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", ["x_0", "v", "flow-v", "edm"])
def test_where_no_signal_is_left_the_other_kinds_still_tell_x_0(kind):
    x_0, eps = normal(3, 2), normal(3, 2, seed=1)
    target = TARGETS[kind]
    found = target.x_0_and_eps(EMPTY_AT_T, eps, 100, target.of(EMPTY_AT_T, x_0, eps, 100))
    for array, exact in zip(found, (x_0, eps), strict=True):
        np.testing.assert_allclose(array, exact, atol=1e-12)
    for without in ("eps", "score"):
        with pytest.raises(InputError, match="alpha_bar is 0"):
            TARGETS[without].x_0_and_eps(EMPTY_AT_T, eps, 100, eps)


@every_kind
@pytest.mark.parametrize("clip", [True, False])
def test_predictions_are_the_same_under_both_array_modules(kind, clip, xp):
    x_t, t = normal(3, 2).astype(np.float32), np.array([3, 50, 97])
    here = predictor(lambda x_t, t, context: 2 * x_t, DIFFUSION, kind, clip)(x_t, t)
    there = predictor(lambda x_t, t, context: 2 * x_t, DIFFUSION, kind, clip)(to_xp(xp, x_t), to_xp(xp, t))
    for a, b in zip(here, there, strict=True):
        assert b.dtype == np.float32
        np.testing.assert_allclose(to_host(b), a, rtol=1e-5)


def test_the_kinds_and_what_they_are():
    assert list(TARGETS) == ["eps", "x_0", "v", "flow-v", "score", "edm"]
    assert all(target.summary for target in TARGETS.values())
    with pytest.raises(InputError, match=r"kind is 'noise', but one of 'eps', 'x_0', 'v', .* was expected\."):
        predictor(lambda *_: None, DIFFUSION, "noise")


@pytest.mark.equation("EDM-F1")
@pytest.mark.equation("EDM-F2")
@pytest.mark.parametrize("t", [1, 40, 99, np.array([5, 60, 99])])
def test_edm_s_f_is_what_its_preconditioned_denoiser_leaves_to_the_network(t):
    """Against Table 1 of the paper, in y = x_0 + sigma eps; and, with data of standard deviation 1, it is -v."""
    x_0, eps = normal(3, 4), normal(3, 4, seed=1)
    x_t, alpha_bar = COSINE.q_sample(x_0, t, eps), np.reshape(COSINE.alpha_bar_at(t), (-1, 1))
    sigma, data = ((1 - alpha_bar) / alpha_bar) ** 0.5, 0.5
    c_skip, c_out = data**2 / (sigma**2 + data**2), sigma * data / (sigma**2 + data**2) ** 0.5
    f = edm_target(COSINE, x_0, eps, t)
    np.testing.assert_allclose(f, (x_0 - c_skip * (x_0 + sigma * eps)) / c_out, rtol=1e-8, atol=1e-8)
    x_0_hat, eps_hat = x_0_and_eps_from_edm(COSINE, x_t, t, f)
    np.testing.assert_allclose(x_0_hat, x_0, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(eps_hat, eps, rtol=1e-9, atol=1e-9)


def test_edm_s_f_would_be_minus_v_for_data_of_variance_one(monkeypatch):
    monkeypatch.setattr("tinydiff.diffusion.targets.SIGMA_DATA", 1.0)
    x_0, eps = normal(3, 4), normal(3, 4, seed=1)
    np.testing.assert_allclose(edm_target(COSINE, x_0, eps, 30), -COSINE.v_from(x_0, eps, 30), rtol=1e-12)


def test_edm_s_f_has_variance_one_at_every_t():
    """Of 20,000 samples; by chance, one of these fails once in a million times."""
    x_0, eps = 0.5 * normal(20_000, 1), normal(20_000, 1, seed=1)
    for t in (1, 30, 70, 100):
        assert edm_target(COSINE, x_0, eps, t).var() == pytest.approx(1, abs=5 * (2 / 20_000) ** 0.5)


@pytest.mark.parametrize("clip", [True, False])
@pytest.mark.parametrize("t", [60, np.array([5, 60, 99])])
def test_predictors_of_every_kind_agree(clip, t):
    x_0, eps = normal(3, 4), normal(3, 4, seed=1)
    x_t = COSINE.q_sample(x_0, t, eps)
    outputs = {"eps": eps, "x_0": x_0, "v": COSINE.v_from(x_0, eps, t)}
    for kind, output in outputs.items():
        x_0_hat, eps_hat = predictor(lambda *_, output=output: output, COSINE, kind, clip)(x_t, t)
        np.testing.assert_allclose(x_0_hat, np.clip(x_0, -1, 1) if clip else x_0, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(COSINE.q_sample(x_0_hat, t, eps_hat), x_t, rtol=1e-9, atol=1e-9)


def test_predictor_hands_over_time_and_context():
    seen = []

    def network(x_t, t, context):
        seen.append((t, context))
        return x_t

    x, t, context = normal(2, 3), np.array([1, 2]), np.array([4, 5])
    predictor(network, LINEAR)(x, t, context)
    assert seen[0][0] is t
    assert seen[0][1] is context


@pytest.mark.equation("DDPM-14")
def test_simple_loss_is_the_squared_error_of_the_noise():
    x_0, eps, t = normal(3, 4), normal(3, 4, seed=1), np.array([1, 500, 1000])
    loss = simple_loss(lambda x_t, t, context: x_t, LINEAR, x_0, t, eps)
    total = 0.0
    for n in range(3):
        x_t = LINEAR.alpha_bar[t[n]] ** 0.5 * x_0[n] + (1 - LINEAR.alpha_bar[t[n]]) ** 0.5 * eps[n]
        total += ((x_t - eps[n]) ** 2).sum()
    assert loss == pytest.approx(total / 12, rel=1e-12)
    assert loss.shape == ()
