"""Samples are finite and bounded with every schedule of the list, of every length, in both dtypes."""

import numpy as np
import pytest

from tinydiff.base import Noise
from tinydiff.diffusion import SCHEDULES, FiniteData, GaussianDiffusion, ddim, ddpm, dpmpp_2m, heun

POINTS = np.array([[-1.0, 1.0], [1.0, 0.5], [0.2, -1.0]])


@pytest.mark.pitfall(8)
@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
@pytest.mark.parametrize("T", [1, 2, 10, 1000, 4000])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("sampler", [ddim, ddpm, heun, dpmpp_2m], ids=lambda sampler: sampler.__name__)
def test_pitfall_08_every_schedule_and_length_gives_finite_and_bounded_samples(sampler, schedule, T, dtype):
    """Near T, where schedules that end with little signal make large steps, and at t = 1, where 0 / 0 lies in wait."""
    diffusion = GaussianDiffusion(schedule(T))
    data, noise = FiniteData(diffusion, POINTS), Noise(0)
    x_T = noise.normal((3, 2), "x_T", dtype=dtype)
    options = {"noise": noise} if sampler is ddpm else {}
    for N in sorted({1, 2, 7, T} & set(range(1, min(T, 10) + 1)) | {min(T, 10)}):
        for _, x_t, x_0_hat in sampler(data.predict, diffusion, x_T, N, **options):
            assert np.isfinite(x_t).all()
            assert x_t.dtype == x_0_hat.dtype == dtype
        assert np.abs(x_t).max() <= 1 + 1e-6  # the last step denoises: a mean of points
