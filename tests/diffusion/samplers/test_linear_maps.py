"""With the exact denoiser of Gaussian data every step is a linear map, written out here by hand.

Seeds are fixed; had they been drawn at random, each statistical assertion would fail by chance with a probability
below one in a million (5 standard deviations).
"""

import numpy as np
import pytest
from diffusions import COSINE, FIVE_SIGMA, LINEAR, NOISE, SAMPLERS, normal, scales

from tinydiff.diffusion import Gaussian, ddpm, dpmpp_2m, heun, predictor
from tinydiff.diffusion.times import step_pairs


def hand_maps(name, diffusion, t, s, variance, previous=None):
    """Return (gain, sigma) of the step x_s - a_s m = gain (x_t - a_t m) + sigma z for data ~ N(m, variance)."""
    (a_t, b_t), (a_s, b_s) = scales(diffusion, t), scales(diffusion, s)
    x_0 = a_t * variance / (a_t**2 * variance + b_t**2)  # x_0_hat - m, for x - a_t m = 1
    eps = (1 - a_t * x_0) / b_t
    alpha = (a_t / a_s) ** 2
    beta, beta_tilde = 1 - alpha, (1 - alpha) * b_s**2 / b_t**2
    if name in ("ddpm", "ddpm_beta_tilde"):
        gain = (1 - beta / b_t * eps) / alpha**0.5  # line 4 of Algorithm 2
        return gain, 0 if s == 0 else (beta if name == "ddpm" else beta_tilde) ** 0.5
    eta = {"ddim": 0.0, "ddim_eta": 0.7}[name]
    sigma = eta * b_s / b_t * (1 - alpha) ** 0.5
    return a_s * x_0 + (b_s**2 - sigma**2) ** 0.5 * eps, sigma


@pytest.mark.equation("DDPM-ALG2")
@pytest.mark.equation("DDIM-12")
@pytest.mark.equation("DDIM-16")
@pytest.mark.parametrize("name", ["ddpm", "ddpm_beta_tilde", "ddim", "ddim_eta"])
@pytest.mark.parametrize("steps", [1, 10, 100, [97, 40, 39, 1]])
def test_every_step_is_the_hand_written_linear_map_on_gaussian_data(name, steps):
    mean, variances = np.array([0.5, -0.3]), np.array([0.25, 1.6])
    data, x = Gaussian(COSINE, mean, variances), normal(8, 2)
    pairs = step_pairs(COSINE, steps)
    chain = list(SAMPLERS[name](data.predict, COSINE, x, steps))
    assert [t for t, _, _ in chain] == [s for _, s in pairs]
    for k, ((t, s), (_, x_s, _)) in enumerate(zip(pairs, chain, strict=True)):
        gain, sigma = hand_maps(name, COSINE, t, s, variances)
        z = NOISE.at(step=k).normal(x.shape, "sampler", dtype=np.float64)
        expected = scales(COSINE, s)[0] * mean + gain * (x - scales(COSINE, t)[0] * mean) + sigma * z
        np.testing.assert_allclose(x_s, expected, rtol=0, atol=1e-10)
        x = x_s


@pytest.mark.equation("DDPM-ALG2")
@pytest.mark.equation("DDIM-12")
@pytest.mark.parametrize("name", ["ddpm", "ddpm_beta_tilde", "ddim", "ddim_eta"])
def test_mean_and_variance_of_a_population_follow_the_recursion(name):
    n, variance, mean = 20_000, 0.25, 0.4
    data = Gaussian(LINEAR, np.array([mean]), variance)
    x_T = 1.3 * normal(n, 1) - 0.2
    m, v = -0.2 - scales(LINEAR, 1000)[0] * mean, 1.3**2
    for (t, s), (_, x_s, _) in zip(step_pairs(LINEAR, 10), SAMPLERS[name](data.predict, LINEAR, x_T, 10), strict=True):
        gain, sigma = hand_maps(name, LINEAR, t, s, variance)
        m, v = gain * m, gain**2 * v + sigma**2
        assert abs(x_s.mean() - scales(LINEAR, s)[0] * mean - m) < FIVE_SIGMA * (v / n) ** 0.5
        assert abs(x_s.var() - v) < FIVE_SIGMA * v * (2 / n) ** 0.5


@pytest.mark.equation("EDM-ALG1")
def test_heun_is_the_hand_written_linear_map_on_gaussian_data():
    variances, x = np.array([0.25, 1.6]), normal(8, 2)
    data, steps = Gaussian(COSINE, np.zeros(2), variances), [97, 60, 20, 3]
    for (t, s), (_, x_s, _) in zip(step_pairs(COSINE, steps), heun(data.predict, COSINE, x, steps), strict=True):
        (a_t, b_t), (a_s, b_s) = scales(COSINE, t), scales(COSINE, s)
        sigma_t, sigma_s = b_t / a_t, b_s / a_s
        y = x / a_t  # EDM's x, with dy / dsigma = (y - D(y)) / sigma = sigma y / (variance + sigma^2)
        d = sigma_t * y / (variances + sigma_t**2)
        euler = y + (sigma_s - sigma_t) * d
        d_next = sigma_s * euler / (variances + sigma_s**2) if sigma_s > 0 else d
        np.testing.assert_allclose(x_s, a_s * (y + (sigma_s - sigma_t) * (d + d_next) / 2), rtol=0, atol=1e-10)
        x = x_s


@pytest.mark.equation("DPMPP-2M")
def test_dpmpp_2m_is_the_hand_written_linear_map_on_gaussian_data():
    variances, x = np.array([0.25, 1.6]), normal(8, 2)
    data, steps = Gaussian(COSINE, np.zeros(2), variances), [97, 60, 20, 3]
    chain = list(dpmpp_2m(data.predict, COSINE, x, steps))
    earlier, h_earlier = None, None
    for (t, s), (_, x_s, x_0_hat) in zip(step_pairs(COSINE, steps)[:-1], chain, strict=False):
        (a_t, b_t), (a_s, b_s) = scales(COSINE, t), scales(COSINE, s)
        denoised = a_t * variances / (a_t**2 * variances + b_t**2) * x
        np.testing.assert_allclose(x_0_hat, denoised, rtol=0, atol=1e-12)
        h = np.log(a_s / b_s) - np.log(a_t / b_t)
        r = np.inf if earlier is None else h_earlier / h
        slope = 0 if earlier is None else (denoised - earlier) / (2 * r)
        np.testing.assert_allclose(x_s, b_s / b_t * x - a_s * (np.exp(-h) - 1) * (denoised + slope), rtol=0, atol=1e-10)
        x, earlier, h_earlier = x_s, denoised, h
    _, x_0, x_0_hat = chain[-1]
    np.testing.assert_array_equal(x_0, x_0_hat)  # the step to t = 0 only denoises


@pytest.mark.pitfall(1)
def test_pitfall_01_ddpm_clips_in_predict_and_nowhere_else():
    """The chain of the x_0 form is that of Algorithm 2's eps form, until a prediction is clipped."""

    def network(x_t, t, context):
        return 0.9 * x_t

    x_T = normal(16, 2)
    free = list(ddpm(predictor(network, LINEAR, clip=False), LINEAR, x_T, 20, noise=NOISE))
    x = x_T
    for k, ((t, s), (_, x_s, _)) in enumerate(zip(step_pairs(LINEAR, 20), free, strict=True)):
        z = NOISE.at(step=k).normal(x.shape, "sampler", dtype=np.float64)
        sigma = LINEAR.beta(t, s) ** 0.5 if s > 0 else 0
        expected = LINEAR.posterior_mean_from_eps(x, t, 0.9 * x, s) + sigma * z
        np.testing.assert_allclose(x_s, expected, rtol=1e-12, atol=1e-12 * np.abs(x).max())
        x = x_s
    clipped = list(ddpm(predictor(network, LINEAR, clip=True), LINEAR, x_T, 20, noise=NOISE))
    assert max(np.abs(x_0_hat).max() for _, _, x_0_hat in free) > 1
    assert max(np.abs(x_0_hat).max() for _, _, x_0_hat in clipped) == 1


@pytest.mark.pitfall(2)
@pytest.mark.parametrize("steps", [5, 1000])
def test_pitfall_02_each_variance_is_exact_for_its_data(steps):
    """For data ~ N(0, I), beta keeps the variance 1 of every marginal; for a point, beta-tilde keeps its."""
    of_normal, of_point = 1.0, 1 - LINEAR.alpha_bar[1000]
    for t, s in step_pairs(LINEAR, steps)[:-1]:
        gain, sigma = hand_maps("ddpm", LINEAR, t, s, 1.0)
        of_normal = gain**2 * of_normal + sigma**2
        assert of_normal == pytest.approx(1, rel=1e-9)
        gain, sigma = hand_maps("ddpm_beta_tilde", LINEAR, t, s, 0.0)
        of_point = gain**2 * of_point + sigma**2
        assert of_point == pytest.approx(1 - LINEAR.alpha_bar[s], rel=1e-9)
