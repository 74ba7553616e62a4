"""The same diffusion in the languages of the field: each has other letters, times and scales, and the numbers agree."""

import dataclasses

import numpy as np
import pytest
from diffusions import COSINE, LINEAR, MIXTURE, normal
from squares import CONFIG, UNET, squares

from tinydiff.base import Noise
from tinydiff.diffusion import (
    PATHS,
    TARGETS,
    WEIGHTINGS,
    GaussianDiffusion,
    GaussianMixture,
    GaussianPath,
    cosine_schedule,
    ddim,
    exponential_schedule,
    last,
    predictor,
    simple_loss,
    spaced_steps,
    straight_schedule,
    sub_vp_sde_schedule,
)
from tinydiff.diffusion.editing import ddim_inversion, repaint
from tinydiff.functional import timestep_embedding
from tinydiff.models import DiffusionModel, ModelConfig
from tinydiff.networks import UNet
from tinydiff.train import Denoise

T = np.array([1, 8, 40, 77, 99])
TABLES = {"vp": cosine_schedule(40), "ve": exponential_schedule(40, 0.02, 20), "straight": straight_schedule(40)}
TABLES["sub-vp"] = sub_vp_sde_schedule(40)
every_path = pytest.mark.parametrize("path", PATHS)


@pytest.mark.pitfall(10)
@pytest.mark.equation("WEIGHT-1")
@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_pitfall_10_training_minimises_one_number_whatever_the_network_predicts(weighting):
    """One guess at x_0, said by networks of all kinds: `Denoise.loss`, the loss of a training, is the same."""
    x_0, eps, guess = (normal(5, 8, 8, 1, seed=seed) for seed in range(3))
    network, found = UNet(UNET, np.random.default_rng(0)), {}
    for kind, target in TARGETS.items():
        config = dataclasses.replace(CONFIG, weighting=weighting)
        objective = Denoise(DiffusionModel(network, ModelConfig(UNET, T=100, kind=kind)), squares(), config)
        diffusion = objective.diffusion
        said = target.of(diffusion, guess, diffusion.eps_from_x_0(diffusion.q_sample(x_0, T, eps), T, guess), T)
        found[kind], _ = objective.loss(said, target.of(diffusion, x_0, eps, T), T, 1.0)
    for kind, loss in found.items():
        assert loss == pytest.approx(found["x_0"], rel=1e-7), kind


@pytest.mark.equation("DDPM-14")
@pytest.mark.equation("SCORE-1")
def test_denoising_score_matching_is_the_simple_loss_over_the_variance_of_the_noise():
    """|s + eps / b|^2, the score of q(x_t | x_0) being -eps / b, against |eps_hat - eps|^2, at each t."""
    x_0, eps = normal(6, 4), normal(6, 4, seed=1)
    for t in (3, 50, 97):
        b_squared = 1 - LINEAR.alpha_bar_at(t)
        x_t = LINEAR.alpha_bar_at(t) ** 0.5 * x_0 + b_squared**0.5 * eps
        score = np.sin(3 * x_t)
        of_score = ((score + (x_t - LINEAR.alpha_bar_at(t) ** 0.5 * x_0) / b_squared) ** 2).mean()
        eps_hat = LINEAR.eps_from_score(score, t)
        simple = simple_loss(lambda x_t, t, context, eps_hat=eps_hat: eps_hat, LINEAR, x_0, t, eps)
        assert of_score == pytest.approx(simple / b_squared, rel=1e-9)


@pytest.mark.equation("SCORE-1")
def test_denoising_score_matching_differs_from_explicit_score_matching_by_a_constant():
    """Vincent 2011: so the best network is the score of q(x_t), though only that of q(x_t | x_0) was ever shown.

    For two bells in one dimension, integrated over x_0 (two points' bells, by Gauss' rule) and x_t.
    """
    t, weights, means, variance = 60, np.array([0.3, 0.7]), np.array([-1.0, 0.8]), 0.05
    a, b_squared = COSINE.alpha_bar_at(t) ** 0.5, 1 - COSINE.alpha_bar_at(t)
    data = GaussianMixture(COSINE, weights, means[:, None], [variance] * 2)
    nodes, mass = np.polynomial.hermite_e.hermegauss(30)
    mass = mass / mass.sum()
    x_0 = (means[:, None] + variance**0.5 * nodes).ravel()
    p_0 = (weights[:, None] * mass).ravel()
    x_t = (a * x_0[:, None] + b_squared**0.5 * nodes).ravel()
    p, of_x_0 = (p_0[:, None] * mass).ravel(), -(x_t - np.repeat(a * x_0, len(nodes))) / b_squared
    exact = data.score(x_t[:, None], t)[:, 0]
    gaps = []
    for wrong in (0.0, 0.3, -2.0):
        score = exact + wrong * np.cos(x_t)
        gaps.append(p @ (score - of_x_0) ** 2 - p @ (score - exact) ** 2)
    np.testing.assert_allclose(gaps, gaps[0], rtol=1e-6)
    assert gaps[0] > 0.1


def test_alpha_bar_and_sigma_tell_one_noise():
    """x_t / a = x_0 + sigma eps with sigma^2 = (1 - alpha_bar) / alpha_bar, which the path "ve" writes as it is."""
    table = cosine_schedule(100, max_beta=0.99)
    here, there = GaussianDiffusion(table), GaussianPath(table, "ve")
    x_0, eps = normal(5, 2), normal(5, 2, seed=1)
    sigma = ((1 - table[T]) / table[T]) ** 0.5
    np.testing.assert_allclose(there.q_sample(x_0, T, eps), x_0 + sigma[:, None] * eps, rtol=1e-9)
    np.testing.assert_allclose(here.q_sample(x_0, T, eps) / table[T][:, None] ** 0.5, x_0 + sigma[:, None] * eps)
    np.testing.assert_allclose(there.scales(T)[1], sigma, rtol=1e-9)
    np.testing.assert_allclose(np.log(here.snr(T)), -2 * np.log(sigma), rtol=1e-9)


def test_a_ddim_step_is_eulers_in_sigma():
    data = GaussianMixture(COSINE, **MIXTURE)
    x_t, t, s = normal(4, 2), 60, 35
    a, sigma = {}, {}
    for time in (t, s):
        a[time] = COSINE.alpha_bar_at(time) ** 0.5
        sigma[time] = (1 / COSINE.alpha_bar_at(time) - 1) ** 0.5
    _, eps_hat = data.predict(x_t, t)
    by_hand = a[s] * (x_t / a[t] + (sigma[s] - sigma[t]) * eps_hat)
    np.testing.assert_allclose(last(ddim(data.predict, COSINE, x_t, [t], end=s)), by_hand, rtol=1e-9)


def test_times_from_0_and_from_1_are_the_same_steps():
    """diffusers' step i = 0 .. T - 1 is t = i + 1: its alphas_cumprod[i] is the product up to and with beta_i."""
    beta = np.linspace(1e-4, 0.02, 1000)  # of DDPM's paper
    alphas_cumprod = np.cumprod(1 - beta)
    np.testing.assert_allclose(LINEAR.alpha_bar[1:], alphas_cumprod, rtol=1e-12)
    leading = (np.arange(0, 20) * 50).round()[::-1]  # diffusers, timestep_spacing="leading"
    assert spaced_steps(1000, 20, "leading") == [i + 1 for i in leading]
    np.testing.assert_array_equal(
        timestep_embedding(np.array([5.0, 1000.0]) - 1, 8), timestep_embedding(np.array([4.0, 999.0]), 8)
    )
    offset = dataclasses.replace(UNET, time_offset=1, dropout=0.0)  # told t = i + 1, it embeds i
    here, there = (UNet(shape, np.random.default_rng(0)) for shape in (dataclasses.replace(UNET, dropout=0.0), offset))
    there.theta[:] = here.theta
    here.theta[:] += 0.1
    there.theta[:] += 0.1
    x, labels = normal(2, 8, 8, 1).astype(np.float32), np.array([0, 2])
    i = np.array([3, 99])
    np.testing.assert_allclose(there.forward(x, i + 1, labels), here.forward(x, i, labels), rtol=1e-6)


def test_w_and_one_plus_w_are_one_guidance():
    """Ho and Salimans add w (cond - null) to cond; others take null + s (cond - null): s = 1 + w, for every kind."""
    cond, null, x_t = normal(3, 2), normal(3, 2, seed=1), normal(3, 2, seed=2)
    t, w = np.array([3.0, 40.0, 90.0]), 1.7
    for kind, target in TARGETS.items():
        of_eps = predictor(lambda x_t, t, context: null + (1 + w) * (cond - null), COSINE, "eps", clip=False)(x_t, t)
        outputs = [target.of(COSINE, COSINE.x_0_from_eps(x_t, t, eps), eps, t) for eps in (cond, null)]
        mixed = (1 + w) * outputs[0] - w * outputs[1]  # in any other linear language it is the same line
        mine = predictor(lambda x_t, t, context, mixed=mixed: mixed, COSINE, kind, clip=False)(x_t, t)
        for its, own in zip(of_eps, mine, strict=True):
            np.testing.assert_allclose(own, its, rtol=1e-8, atol=1e-8, err_msg=kind)


@every_path
@pytest.mark.parametrize("resample", [1, 3])
@pytest.mark.equation("REPAINT-8")
def test_repaint_is_the_same_in_other_units(path, resample):
    """x of each step over its scale is that of DDPM's path; the known part is a picture, which has no units."""
    here, there = GaussianPath(TABLES[path], path), GaussianDiffusion(TABLES[path])
    x, known, mask, steps = normal(6, 2), normal(6, 2, seed=1), np.array([[1.0, 0.4]]), [38, 25, 12, 3]
    chains = (
        repaint(GaussianMixture(of, **MIXTURE).predict, of, of.scale_at(38) * x, steps, known, mask, resample, Noise(0))
        for of in (here, there)
    )
    for (t, x_here, guess_here), (_, x_there, guess_there) in zip(*chains, strict=True):
        np.testing.assert_allclose(x_here / here.scale_at(t), x_there, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(guess_here, guess_there, rtol=1e-6, atol=1e-9)
    np.testing.assert_array_equal(x_here[:, 0], known[:, 0])


@every_path
@pytest.mark.equation("DDIM-INV")
def test_inversion_is_the_same_in_other_units_and_leads_back(path):
    here, there = GaussianPath(TABLES[path], path), GaussianDiffusion(TABLES[path])
    x_0, steps = 0.7 * normal(6, 2), [float(t) for t in np.linspace(38, 1, 60)]
    inverted = []
    for of in (here, there):
        *_, (t, x) = ddim_inversion(GaussianMixture(of, **MIXTURE).predict, of, x_0, steps)
        inverted.append(x)
    np.testing.assert_allclose(inverted[0] / here.scale_at(t), inverted[1], rtol=1e-6, atol=1e-9)
    back = last(ddim(GaussianMixture(here, **MIXTURE).predict, here, inverted[0], steps))
    assert abs(back - x_0).mean() < 0.1
