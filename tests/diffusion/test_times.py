"""The times that a sampler visits: spaced evenly, in the log-SNR, or in EDM's noise levels."""

import numpy as np
import pytest
from diffusions import COSINE, EMPTY_AT_T, LINEAR, normal, scales

from tinydiff.base import InputError
from tinydiff.diffusion import (
    Gaussian,
    GaussianDiffusion,
    cosine_schedule,
    edm_steps,
    heun,
    last,
    log_snr_steps,
    spaced_steps,
)
from tinydiff.diffusion.times import step_pairs


@pytest.mark.pitfall(4)
@pytest.mark.parametrize("T", [1, 2, 7, 50])
@pytest.mark.parametrize("spacing", ["linear", "quadratic"])
def test_pitfall_04_spaced_steps_are_distinct_and_end_at_zero_for_every_number(T, spacing):
    for N in range(1, T + 1):
        steps = spaced_steps(T, N, spacing)
        assert len(set(steps)) == len(steps) == N
        assert steps == sorted(steps, reverse=True)
        assert steps[0] == T
        assert steps[-1] >= 1
        assert all(type(t) is int for t in steps)
    assert spaced_steps(T, T, spacing) == list(range(T, 0, -1))


@pytest.mark.parametrize("N", [1, 3, 7, 333, 999, 1000])
def test_linear_spacing_has_equal_gaps_up_to_rounding(N):
    gaps = -np.diff([*spaced_steps(1000, N), 0])
    assert set(gaps) <= {1000 // N, -(-1000 // N)}


def test_log_snr_steps_have_equal_gaps():
    for diffusion, start, end in [(LINEAR, 1000, 1), (LINEAR, 900, 2.5), (COSINE, 100, 1), (EMPTY_AT_T, 49, 1)]:
        times = log_snr_steps(diffusion, 23, start, end)
        assert len(times) == 23
        assert (times[0], times[-1]) == (start, end)
        alpha_bar = diffusion.alpha_bar_at(np.array(times, dtype=float))
        gaps = np.diff(np.log(alpha_bar / (1 - alpha_bar)))
        np.testing.assert_allclose(gaps, gaps[0], rtol=1e-8)


@pytest.mark.equation("EDM-5")
@pytest.mark.parametrize("diffusion", [LINEAR, COSINE, EMPTY_AT_T])
@pytest.mark.parametrize("rho", [1, 7])
def test_edm_steps_have_the_noise_levels_of_edm(diffusion, rho):
    sigma = [scales(diffusion, t)[1] / scales(diffusion, t)[0] for t in edm_steps(diffusion, 18, 20.0, rho)]
    sigma_1 = scales(diffusion, 1)[1] / scales(diffusion, 1)[0]
    expected = [(20 ** (1 / rho) + i / 17 * (sigma_1 ** (1 / rho) - 20 ** (1 / rho))) ** rho for i in range(18)]
    np.testing.assert_allclose(sigma, expected, rtol=1e-9)


def test_edm_steps_start_at_T_where_sigma_is_small_there():
    assert edm_steps(LINEAR, 10, sigma_max=1e6)[0] == pytest.approx(LINEAR.T)
    assert edm_steps(EMPTY_AT_T, 10, sigma_max=1e9)[0] == pytest.approx(EMPTY_AT_T.T - 1)


def test_heun_needs_them():
    """Near T the noise of the cosine schedule falls by large factors from one of few linear steps to the next."""
    cosine = GaussianDiffusion(cosine_schedule(1000))
    data, x_T = Gaussian(cosine, np.array([0.5]), 0.25), normal(64, 1)
    errors = []
    for steps in (edm_steps(cosine, 20), 20):
        exact = data.flow(x_T, step_pairs(cosine, steps)[0][0], 0)
        errors.append(abs(last(heun(data.predict, cosine, x_T, steps)) - exact).max())
    assert errors[0] < 0.1
    assert errors[1] > 10 * errors[0]


def test_spacings_are_those_of_diffusers():
    """Its step k is t = k + 1 here; the lists are those that its formulas give by hand."""
    assert spaced_steps(1000, 5, "leading") == [801, 601, 401, 201, 1]
    assert spaced_steps(1000, 5, "leading", offset=1) == [802, 602, 402, 202, 2]  # Stable Diffusion's
    assert spaced_steps(1000, 3, "linspace") == [1000, 501, 1]  # 499.5 is rounded to the even 500
    assert spaced_steps(1000, 1, "linspace") == [1]
    assert spaced_steps(1000, 5, "trailing") == [1000, 800, 600, 400, 200]
    assert spaced_steps(1000, 3, "trailing") == [1000, 667, 333]


@pytest.mark.pitfall(4)
@pytest.mark.parametrize("spacing", ["leading", "linspace", "trailing"])
@pytest.mark.parametrize("T", [1, 7, 50, 1000])
def test_pitfall_04_the_spacings_of_diffusers_fall_strictly_for_every_number(spacing, T):
    """There, the step before is found by a stride, which is wrong but for "leading"; here it is the next one."""
    for N in range(1, T + 1):
        steps = spaced_steps(T, N, spacing)
        assert len(steps) == N
        assert steps[0] <= T
        assert steps[-1] >= 1
        assert (np.diff(steps) < 0).all()


def test_an_offset_is_for_leading_and_stays_within_T():
    for spacing, N, offset, most in [("linear", 5, 1, 0), ("leading", 1000, 1, 0), ("leading", 5, 200, 199)]:
        words = rf"offset is {offset}, but with {spacing} spacing a number from 0 to {most} was expected"
        with pytest.raises(InputError, match=words):
            spaced_steps(1000, N, spacing, offset)
