"""Paths other than DDPM's: their own formulas, and that everything else follows from a change of units."""

import numpy as np
import pytest
from diffusions import FIVE_SIGMA, MIXTURE, NOISE, named, normal
from scipy import integrate

from tinydiff.base import InputError
from tinydiff.diffusion import (
    PATHS,
    TARGETS,
    Gaussian,
    GaussianDiffusion,
    GaussianMixture,
    GaussianPath,
    cosine_schedule,
    exponential_schedule,
    normal_kl,
    predictor,
    step_term,
    straight_schedule,
    sub_vp_sde_schedule,
    vp_sde_schedule,
)
from tinydiff.diffusion.paths import straight, sub_variance_preserving, variance_exploding

TABLES = {"vp": cosine_schedule(40), "ve": exponential_schedule(40, 0.02, 20), "straight": straight_schedule(40)}
TABLES["sub-vp"] = sub_vp_sde_schedule(40)
every_path = pytest.mark.parametrize("path", PATHS)


def process(path):
    return GaussianPath(TABLES[path], path)


@pytest.mark.equation("VE-1")
def test_on_the_exploding_path_nothing_shrinks():
    a, b = process("ve").scales(np.arange(1, 41))
    np.testing.assert_allclose(a, 1, rtol=1e-12)
    np.testing.assert_allclose(b, np.geomspace(0.02, 20, 40), rtol=1e-9)
    assert variance_exploding(0.25, 0.75) == 2


@pytest.mark.equation("FLOW-1")
def test_on_the_straight_path_a_and_b_are_one_and_b_is_the_time():
    a, b = process("straight").scales(np.arange(41))
    np.testing.assert_allclose(a + b, 1, rtol=1e-12)
    np.testing.assert_allclose(b, np.arange(41) / 40, rtol=1e-12)
    assert straight(0.5, 0.5) == pytest.approx(0.5**0.5)
    np.testing.assert_allclose(straight_schedule(40), a**2 / (a**2 + b**2), rtol=1e-12)


@pytest.mark.equation("SUBVP-1")
def test_on_the_sub_vp_path_the_noise_is_what_is_missing_of_the_signal():
    a, b = process("sub-vp").scales(np.arange(41))
    np.testing.assert_allclose(b, 1 - a**2, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(a, vp_sde_schedule(40) ** 0.5, rtol=1e-9)
    assert sub_variance_preserving(1.0, 0.0) == sub_variance_preserving(0.0, 1.0) == 1


@every_path
@pytest.mark.parametrize("t", [1, 7, 12.5, 39, np.array([3.0, 7.25, 38.0])])
def test_what_is_converted_comes_back(path, t):
    diffusion, x_0, eps = process(path), normal(3, 2), normal(3, 2, seed=1)
    a, b = (np.reshape(scale, (-1, 1)) for scale in diffusion.scales(t))
    x_t = diffusion.q_sample(x_0, t, eps)
    np.testing.assert_allclose(x_t, a * x_0 + b * eps, rtol=1e-10)
    for kind, target in TARGETS.items():
        back = target.x_0_and_eps(diffusion, x_t, t, target.of(diffusion, x_0, eps, t))
        np.testing.assert_allclose(back[0], x_0, rtol=1e-7, atol=1e-7, err_msg=kind)
        np.testing.assert_allclose(back[1], eps, rtol=1e-7, atol=1e-7, err_msg=kind)
    score = diffusion.score_from_eps(eps, t)
    np.testing.assert_allclose(score, -eps / b, rtol=1e-9)
    np.testing.assert_allclose(diffusion.eps_from_score(score, t), eps, rtol=1e-9)
    np.testing.assert_allclose(diffusion.noise_variance(t), np.squeeze(b**2), rtol=1e-9)


@pytest.mark.equation("FLOW-2")
@pytest.mark.equation("FLOW-3")
def test_the_flow_is_the_slope_of_the_straight_path_and_is_not_v():
    diffusion, x_0, eps = process("straight"), normal(3, 2), normal(3, 2, seed=1)
    u = diffusion.flow_from(x_0, eps, 20)
    slope = (diffusion.q_sample(x_0, 21, eps) - diffusion.q_sample(x_0, 19, eps)) / (2 / 40)
    np.testing.assert_allclose(u, slope, rtol=1e-9)
    x_t = diffusion.q_sample(x_0, 10, eps)
    np.testing.assert_allclose(diffusion.x_0_from_flow(x_t, 10, u), x_t - 0.25 * u, rtol=1e-12)
    np.testing.assert_allclose(diffusion.eps_from_flow(x_t, 10, u), x_t + 0.75 * u, rtol=1e-12)
    assert np.abs(u - diffusion.v_from(x_0, eps, 10)).max() > 0.1


@every_path
def test_the_posterior_is_that_of_bayes_rule(path):
    """The joint Gaussian of x_s and x_t, given x_0, conditioned on x_t by hand."""
    diffusion, x_0, x_t = process(path), normal(4, 1), normal(4, 1, seed=1)
    for t, s in ((9, 8), (30, 4), (5.5, 2.25)):
        (a_t, b_t), (a_s, b_s) = diffusion.scales(t), diffusion.scales(s)
        r = a_t / a_s  # x_t = r x_s + noise
        assert diffusion.beta(t, s) == pytest.approx(b_t**2 - r**2 * b_s**2, rel=1e-8)
        gain = r * b_s**2 / b_t**2
        mean = a_s * x_0 + gain * (x_t - a_t * x_0)
        np.testing.assert_allclose(diffusion.posterior_mean(x_0, x_t, t, s), mean, rtol=1e-8)
        assert diffusion.posterior_variance(t, s) == pytest.approx(b_s**2 - gain * r * b_s**2, rel=1e-7)
        eps = diffusion.eps_from_x_0(x_t, t, x_0)
        np.testing.assert_allclose(diffusion.posterior_mean_from_eps(x_t, t, eps, s), mean, rtol=1e-7)
        np.testing.assert_allclose(diffusion.q_step(x_0, t, 0 * x_0, s), r * x_0, rtol=1e-9)


@every_path
@pytest.mark.parametrize(
    "name", ["ddpm", "ddim", "heun", "dpmpp_2m", "dpmpp_3m", "lms", "unipc", "edm", "er_sde", "restart"]
)
def test_a_chain_is_the_same_in_other_units(path, name):
    """x_t of each step, divided by its scale, is that of DDPM's path: a sampler cannot tell paths apart."""
    here, there = process(path), GaussianDiffusion(TABLES[path])
    x, steps = normal(5, 2), [38, 30, 21, 12, 6, 3, 1]
    sampler = named(name)
    chains = (sampler(GaussianMixture(of, **MIXTURE).predict, of, of.scale_at(38) * x, steps) for of in (here, there))
    for (t, x_here, guess_here), (_, x_there, guess_there) in zip(*chains, strict=True):
        np.testing.assert_allclose(x_here / here.scale_at(t), x_there, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(guess_here, guess_there, rtol=1e-6, atol=1e-9)


@every_path
def test_densities_are_densities_on_every_path(path):
    data = GaussianMixture(process(path), [0.4, 0.6], [[-1.0], [0.8]], [0.1, 0.3])
    for t in (2, 25):

        def density(x, t=t):
            return np.exp(data.log_density(np.array([[x]]), t))[0]

        total, _ = integrate.quad(density, -90, 90, limit=400, points=[0])
        assert total == pytest.approx(1, rel=1e-6)
        x, h = normal(4, 1), 1e-5
        slope = (data.log_density(x + h, t) - data.log_density(x - h, t)) / (2 * h)
        np.testing.assert_allclose(data.score(x, t)[:, 0], slope, rtol=1e-5, atol=1e-7)


@every_path
def test_the_flow_of_a_gaussian_keeps_its_quantiles(path):
    diffusion = process(path)
    data = Gaussian(diffusion, np.array([0.3]), np.array([0.5]))
    (a_t, b_t), (a_s, b_s) = diffusion.scales(20), diffusion.scales(6)
    x = normal(4, 1)
    deviations = (x - a_t * 0.3) / (0.5 * a_t**2 + b_t**2) ** 0.5
    wanted = a_s * 0.3 + (0.5 * a_s**2 + b_s**2) ** 0.5 * deviations
    np.testing.assert_allclose(data.flow(x, 20, 6), wanted, rtol=1e-9)


def test_a_step_of_the_bound_costs_the_same_in_all_units():
    x_0, eps = normal(3, 2), normal(3, 2, seed=1)

    def term(diffusion):
        predict = predictor(lambda x_t, t, context: 0.1 * x_t / diffusion.scale_at(7), diffusion, "x_0", clip=False)
        return step_term(predict, diffusion, x_0, 7, eps)

    vp = term(GaussianDiffusion(TABLES["straight"]))
    np.testing.assert_allclose(term(process("straight")), vp, rtol=1e-8)
    assert normal_kl(np.zeros((1, 1)), 1.0, np.zeros((1, 1)), 1.0) == 0


def test_a_population_has_the_spread_of_its_path():
    """By chance, one of these comparisons fails once in a million times."""
    x_t = process("ve").q_sample(np.zeros((4000, 1)), 40, NOISE.normal((4000, 1), "x_T", dtype=np.float64))
    assert abs(x_t.var() / 400 - 1) < FIVE_SIGMA * (2 / 4000) ** 0.5


def test_what_is_no_path_is_refused():
    with pytest.raises(InputError, match="path is 'curved', but one of 'vp', 've', 'sub-vp', 'straight'"):
        GaussianPath(cosine_schedule(10), "curved")
    with pytest.raises(InputError, match=r"on the path 've' the noise would be infinite there: take a schedule that"):
        GaussianPath(straight_schedule(10), "ve")
    with pytest.raises(InputError, match="alpha_bar runs from"):
        GaussianPath(np.ones(4), "straight")
