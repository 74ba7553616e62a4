"""Weightings: one loss, whatever the network predicts; and their formulas."""

import numpy as np
import pytest
from diffusions import COSINE, normal

from tinydiff.base import InputError
from tinydiff.diffusion import TARGETS, WEIGHTINGS, GaussianPath, cosine_schedule, loss_weight

T = np.array([1.0, 8.5, 40.0, 77.0, 99.0])
SNR = COSINE.snr(T)


@pytest.mark.pitfall(10)
@pytest.mark.equation("WEIGHT-1")
@pytest.mark.parametrize("path", ["vp", "straight", "sub-vp"])
@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_pitfall_10_a_weighting_is_one_loss_whatever_is_predicted(weighting, path):
    """A guess at x_0, said as eps, v or whatever else: its weighted squared error is the same number."""
    diffusion = GaussianPath(cosine_schedule(100), path)
    x_0, eps, guess = normal(5, 3), normal(5, 3, seed=1), normal(5, 3, seed=2)
    x_t = diffusion.q_sample(x_0, T, eps)
    eps_of_guess = diffusion.eps_from_x_0(x_t, T, guess)
    errors = {}
    for kind, target in TARGETS.items():
        wrong = target.of(diffusion, guess, eps_of_guess, T) - target.of(diffusion, x_0, eps, T)
        errors[kind] = loss_weight(weighting, kind, diffusion, T) * (wrong**2).sum(axis=1)
    for kind, error in errors.items():
        np.testing.assert_allclose(error, errors["x_0"], rtol=1e-7, err_msg=kind)


def test_a_weighting_of_the_network_s_own_target_is_one():
    for kind in ("eps", "x_0", "v", "edm"):
        np.testing.assert_allclose(loss_weight(kind, kind, COSINE, T), 1, rtol=1e-9)


def test_weightings_are_those_of_their_papers():
    """As they are written there: for eps, x_0 or v, in SNR."""
    for kind, in_words in (("eps", SNR), ("x_0", 1), ("v", SNR + 1)):
        np.testing.assert_allclose(loss_weight("min-snr", kind, COSINE, T), np.minimum(SNR, 5) / in_words, rtol=1e-9)
        soft = loss_weight("soft-min-snr", kind, COSINE, T, gamma=4.0)
        np.testing.assert_allclose(soft, 4 * SNR / (SNR + 4) / in_words, rtol=1e-9)
    np.testing.assert_allclose(loss_weight("p2", "eps", COSINE, T, gamma=0.5), (1 + SNR) ** -0.5, rtol=1e-9)
    sigma = SNR**-0.5
    of_denoiser = (sigma**2 + 0.5**2) / (sigma * 0.5) ** 2  # EDM's lambda, for the squared error of x_0
    np.testing.assert_allclose(loss_weight("edm", "x_0", COSINE, T), of_denoiser, rtol=1e-9)


def test_a_gamma_without_use_is_refused():
    for weighting, gamma, words in (
        ("v", 5.0, "gamma is 5.0, but the weighting 'v' has none; min-snr, soft-min-snr, p2 do"),
        ("min-snr", 0.0, "gamma is 0.0, but a number from"),
        ("max-snr", None, "weighting is 'max-snr', but one of 'eps'"),
    ):
        with pytest.raises(InputError, match=words):
            loss_weight(weighting, "v", COSINE, T, gamma)
    with pytest.raises(InputError, match="kind is 'noise'"):
        loss_weight("v", "noise", COSINE, T)
