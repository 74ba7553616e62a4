"""Schedules against their formulas, at every step."""

import math

import numpy as np
import pytest

from tinydiff.base import InputError
from tinydiff.diffusion import SCHEDULES, GaussianDiffusion, cosine_schedule, linear_schedule, schedules


@pytest.mark.parametrize("schedule", [linear_schedule, cosine_schedule])
@pytest.mark.parametrize("T", [1, 2, 3, 10, 1000, 4000])
def test_alpha_bar_falls_from_one(schedule, T):
    alpha_bar = schedule(T)
    assert alpha_bar.shape == (T + 1,)
    assert alpha_bar.dtype == np.float64
    assert alpha_bar[0] == 1
    assert (np.diff(alpha_bar) < 0).all()
    assert alpha_bar[-1] > 0


@pytest.mark.equation("DDPM-BETA")
def test_linear_schedule_is_the_product_of_one_minus_beta():
    alpha_bar = linear_schedule(1000, 1e-4, 0.02)
    product = 1.0
    for t in range(1, 1001):
        product *= 1 - (1e-4 + (t - 1) / 999 * (0.02 - 1e-4))
        assert math.isclose(alpha_bar[t], product, rel_tol=1e-12)


@pytest.mark.parametrize("T", [2, 100, 1000, 20_000])
@pytest.mark.parametrize("beta_T", [0.5, 0.999, 1.0])
def test_linear_schedule_can_end_with_no_signal_and_falls_at_every_step(T, beta_T):
    """Also where the product of 1 - beta is smaller than all numbers, long before T."""
    alpha_bar = linear_schedule(T, beta_T=beta_T)
    assert (alpha_bar[-1] == 0) == (beta_T == 1)
    assert GaussianDiffusion(alpha_bar).T == T
    log_product = np.cumsum(np.log1p(-np.linspace(1e-4, beta_T, T)[:-1]))
    is_large = log_product > -600
    np.testing.assert_allclose(np.log(alpha_bar[1:-1][is_large]), log_product[is_large], rtol=1e-9)
    assert (alpha_bar[1:-1][~is_large] < 1e-260).all()


@pytest.mark.equation("IDDPM-17")
@pytest.mark.parametrize(("T", "s"), [(10, 0.008), (1000, 0.008), (4000, 0.008), (100, 0.0)])
def test_pitfall_07_cosine_schedule_equals_its_formula_at_every_t(T, s):
    def f(t):
        return math.cos((t / T + s) / (1 + s) * math.pi / 2) ** 2

    alpha_bar = cosine_schedule(T, s, max_beta=1)
    for t in range(T):
        assert math.isclose(alpha_bar[t], f(t) / f(0), rel_tol=1e-9)
    assert alpha_bar[T] == 0


def test_pitfall_08_cosine_schedule_is_bounded_near_T_by_max_beta():
    free, bounded = cosine_schedule(1000, max_beta=1), cosine_schedule(1000)
    np.testing.assert_array_equal(bounded[:-1], free[:-1])
    assert math.isclose(bounded[-1], 0.001 * bounded[-2], rel_tol=1e-12)


@pytest.mark.parametrize("schedule", [linear_schedule, cosine_schedule])
@pytest.mark.parametrize("T", [0, -1, 10.0, None, "10"])
def test_a_bad_T_is_refused(schedule, T):
    with pytest.raises(InputError, match=r"T is .* (positive integer|whole number)"):
        schedule(T)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: linear_schedule(10, beta_1=0), "beta_1"),
        (lambda: linear_schedule(10, beta_1=1e-17), r"beta_1 is 1e-17, which is lost in 1 - beta_1"),
        (lambda: linear_schedule(10, beta_1=0.03), "beta_1"),
        (lambda: linear_schedule(10, beta_T=1.1), "beta_T"),
        (lambda: linear_schedule(10, beta_T=math.nan), "beta_T"),
        (lambda: cosine_schedule(10, s=-0.1), "s is"),
        (lambda: cosine_schedule(10, s=math.inf), "s is"),
        (lambda: cosine_schedule(10, s=math.nan), "s is"),
        (lambda: cosine_schedule(10, max_beta=0), "max_beta"),
        (lambda: cosine_schedule(10, max_beta=1.5), "max_beta"),
    ],
)
def test_bad_numbers_are_refused(call, name):
    with pytest.raises(InputError, match=name):
        call()


def test_the_list_holds_every_schedule_under_its_name():
    defined = {name.removesuffix("_schedule"): f for name, f in vars(schedules).items() if name.endswith("_schedule")}
    assert defined == SCHEDULES
    for schedule in SCHEDULES.values():
        assert GaussianDiffusion(schedule(30)).T == 30
    known = ", ".join(map(repr, SCHEDULES))
    with pytest.raises(InputError, match=rf"schedule is 'nobody', but one of {known} was expected\."):
        SCHEDULES["nobody"]
