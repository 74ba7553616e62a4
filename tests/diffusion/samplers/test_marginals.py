"""Samplers keep the marginals of the forward process, and end at the data.

Seeds are fixed; had they been drawn at random, each statistical assertion would fail by chance with a probability
below one in a million (5 standard deviations).
"""

import numpy as np
import pytest
from diffusions import COSINE, EMPTY_AT_T, FIVE_SIGMA, LINEAR, NOISE, Constant, every_sampler, normal, scales

from tinydiff.diffusion import FiniteData, Gaussian, ddim, ddpm, last
from tinydiff.diffusion.times import step_pairs


@pytest.mark.pitfall(5)
@every_sampler
@pytest.mark.parametrize("diffusion", [LINEAR, COSINE, EMPTY_AT_T], ids=["linear", "cosine", "empty"])
def test_pitfall_05_a_single_point_is_returned_exactly_from_any_steps(sampler, diffusion):
    point = np.array([[0.3, -0.7]])
    data, x_T = FiniteData(diffusion, point), normal(5, 2)
    for steps in (1, 2, 7, 50, [50, 49, 2], [33.3, 1.5, 0.25], [diffusion.T, 3], [1]):
        sample = last(sampler(data.predict, diffusion, x_T, steps))
        np.testing.assert_array_equal(sample, np.broadcast_to(point, sample.shape))


@pytest.mark.pitfall(6)
@pytest.mark.equation("DDIM-12")
@pytest.mark.equation("DDIM-16")
@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("steps", [[1000, 999, 500, 20, 3], [800, 790.5, 100.25], 10])
def test_pitfall_06_ddim_preserves_marginals(eta, steps):
    """Signal, noise that is kept and noise that is added make up q(x_s | x_0) after every step, for every eta."""

    x_0, eps = np.array([[0.3, -0.7]]), np.array([[1.0, 2.0]])
    for t, s in step_pairs(LINEAR, steps):
        x_t = LINEAR.q_sample(x_0, t, eps)

        def one_step(value, x_t=x_t, t=t, s=s):
            return last(ddim(lambda *_: (x_0, eps), LINEAR, x_t, [t], eta, Constant(value), end=s))

        silent = one_step(0.0)
        sigma = (one_step(1.0) - silent)[0, 0]
        direction = (silent[0, 1] - silent[0, 0] - scales(LINEAR, s)[0] * (x_0[0, 1] - x_0[0, 0])) / (
            eps[0, 1] - eps[0, 0]
        )
        signal = silent - direction * eps
        np.testing.assert_allclose(signal, scales(LINEAR, s)[0] * x_0, rtol=0, atol=1e-12)
        assert direction >= -1e-15  # DDIM-12 has a plus sign
        assert direction**2 + sigma**2 == pytest.approx(1 - LINEAR.alpha_bar_at(s), rel=1e-12, abs=1e-15)
        assert sigma == pytest.approx(eta * LINEAR.posterior_variance(t, s) ** 0.5, rel=1e-9, abs=1e-15)


@pytest.mark.pitfall(6)
@pytest.mark.equation("DDIM-12")
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_pitfall_06_a_population_keeps_the_marginals_of_a_point(eta):
    n, x_0 = 20_000, 0.6
    x_T = LINEAR.q_sample(np.full((n, 1), x_0), 1000, normal(n, 1))
    for s, x_s, _ in ddim(FiniteData(LINEAR, np.array([[x_0]])).predict, LINEAR, x_T, 6, eta, NOISE):
        a, b = scales(LINEAR, s)
        assert abs(x_s.mean() - a * x_0) <= FIVE_SIGMA * b / n**0.5 + 1e-12
        assert abs(x_s.var() - b**2) <= FIVE_SIGMA * b**2 * (2 / n) ** 0.5 + 1e-12


@pytest.mark.parametrize("diffusion", [LINEAR, COSINE, EMPTY_AT_T])
@pytest.mark.parametrize("steps", [1, 9, 50])
def test_ddim_with_eta_one_is_ddpm_with_beta_tilde(diffusion, steps):
    data, x_T = Gaussian(diffusion, np.array([0.2, 0.1]), np.array([0.25, 1.6])), normal(4, 2)
    a = last(ddim(data.predict, diffusion, x_T, steps, 1.0, NOISE))
    b = last(ddpm(data.predict, diffusion, x_T, steps, "beta_tilde", NOISE))
    np.testing.assert_allclose(a, b, rtol=0, atol=1e-10)


def test_the_full_chain_is_the_default_of_ddpm():
    data, x_T = Gaussian(COSINE, np.zeros(2), 0.5), normal(2, 2)
    chain = list(ddpm(data.predict, COSINE, x_T, noise=NOISE))
    assert [t for t, _, _ in chain] == list(range(99, -1, -1))
    np.testing.assert_array_equal(chain[-1][1], last(ddpm(data.predict, COSINE, x_T, 100, noise=NOISE)))
