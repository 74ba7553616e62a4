"""alpha_bar between two steps of its table."""

import numpy as np
import pytest
from arrays import no_synchronisation, to_host, to_xp

from tinydiff.base import InputError
from tinydiff.diffusion import GaussianDiffusion, cosine_schedule, linear_schedule
from tinydiff.diffusion.alpha_bar import check_earlier, check_time, look_up

TABLES = [linear_schedule(30), cosine_schedule(30), cosine_schedule(30, max_beta=1)]


@pytest.mark.equation("LSNR-1")
@pytest.mark.parametrize("table", TABLES, ids=["linear", "cosine", "empty"])
def test_the_log_snr_is_linear_between_two_steps(table, xp):
    t = np.linspace(1, 29, 57)
    with no_synchronisation(xp):
        found = look_up(to_xp(xp, table), to_xp(xp, t))
    found = to_host(found)
    log_snr = np.log(table[1:30] / (1 - table[1:30]))
    np.testing.assert_allclose(np.log(found / (1 - found)), np.interp(t, np.arange(1, 30), log_snr), rtol=1e-10)


@pytest.mark.parametrize("table", TABLES, ids=["linear", "cosine", "empty"])
def test_at_a_step_it_is_the_table_s_to_the_bit(table, xp):
    steps = np.arange(31)
    np.testing.assert_array_equal(to_host(look_up(to_xp(xp, table), to_xp(xp, steps))), table)


@pytest.mark.equation("LSNR-1")
@pytest.mark.parametrize("table", TABLES, ids=["linear", "cosine", "empty"])
def test_a_time_is_found_again_by_its_lambda(table):
    diffusion = GaussianDiffusion(table)
    for t in (1e-7, 0.3, 1, 1.5, 2, 17, 28.999, 29, 29.4, 30):
        alpha_bar = diffusion.alpha_bar_at(t)
        noise = (1 - table[1]) * t if t < 1 else 1 - alpha_bar
        if alpha_bar > 0:
            assert diffusion.time_at(np.log(alpha_bar / noise) / 2) == pytest.approx(t, rel=1e-9)
    assert diffusion.time_at(400) == diffusion.time_at(np.inf) == pytest.approx(0, abs=1e-100)
    lambdas = np.linspace(np.log(diffusion.snr(29)) / 2, 30, 200)
    assert (np.diff([diffusion.time_at(lam) for lam in lambdas]) < 0).all()


def test_more_noise_than_at_T_is_refused():
    with pytest.raises(InputError, match=r"half_log_snr is -9, but alpha_bar would be .*, less than its .* at T"):
        GaussianDiffusion(linear_schedule(30)).time_at(-9)
    with pytest.raises(InputError, match="half_log_snr is nan"):
        GaussianDiffusion(linear_schedule(30)).time_at(np.nan)
    assert GaussianDiffusion(cosine_schedule(30, max_beta=1)).time_at(-400) == 30


def test_times_on_the_host_are_checked_and_those_on_a_gpu_are_not_read_back(strict_cupy):
    check_time("t", 30, 30)
    check_time("s", 0, 30, first=0)
    for t, first in [(0, 1), (31, 1), (-1, 0), (np.array([3, 31]), 1), (np.nan, 0), ("7", 1), ([7], 1)]:
        with pytest.raises(InputError, match=r"^t is "):
            check_time("t", t, 30, first)
    check_earlier(np.array([1, 2]), 3)
    for s in (3, np.array([1, 3])):
        with pytest.raises(InputError, match="s must be the earlier time"):
            check_earlier(s, 3)
    with no_synchronisation(strict_cupy):
        check_time("t", to_xp(strict_cupy, np.array([31])), 30)
        check_earlier(to_xp(strict_cupy, np.array([4])), 3)
