"""Schedules against their formulas, at every step."""

import math

import numpy as np
import pytest
from scipy import integrate, stats

from tinydiff.base import InputError
from tinydiff.diffusion import (
    SCHEDULES,
    GaussianDiffusion,
    cosine_schedule,
    exponential_schedule,
    karras_schedule,
    laplace_schedule,
    linear_schedule,
    scaled_linear_schedule,
    schedule,
    shifted,
    sigmoid_beta_schedule,
    sigmoid_schedule,
    straight_schedule,
    sub_vp_sde_schedule,
    vp_sde_schedule,
    zero_terminal_snr,
)
from tinydiff.diffusion import schedules as room


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
@pytest.mark.parametrize("T", [1, 2, 3, 10, 1000, 4000])
def test_alpha_bar_falls_from_one(schedule, T):
    alpha_bar = schedule(T)
    assert alpha_bar.shape == (T + 1,)
    assert alpha_bar.dtype == np.float64
    assert alpha_bar[0] == 1
    assert (np.diff(alpha_bar) < 0).all()
    assert (alpha_bar[-1] == 0) == (schedule in (laplace_schedule, straight_schedule))
    assert GaussianDiffusion(alpha_bar).T == T


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


@pytest.mark.pitfall(7)
@pytest.mark.equation("IDDPM-17")
@pytest.mark.parametrize(("T", "s"), [(10, 0.008), (1000, 0.008), (4000, 0.008), (100, 0.0)])
def test_pitfall_07_cosine_schedule_equals_its_formula_at_every_t(T, s):
    def f(t):
        return math.cos((t / T + s) / (1 + s) * math.pi / 2) ** 2

    alpha_bar = cosine_schedule(T, s, max_beta=1)
    for t in range(T):
        assert math.isclose(alpha_bar[t], f(t) / f(0), rel_tol=1e-9)
    assert alpha_bar[T] == 0


@pytest.mark.pitfall(8)
def test_pitfall_08_cosine_schedule_is_bounded_near_T_by_max_beta():
    free, bounded = cosine_schedule(1000, max_beta=1), cosine_schedule(1000)
    np.testing.assert_array_equal(bounded[:-1], free[:-1])
    assert math.isclose(bounded[-1], 0.001 * bounded[-2], rel_tol=1e-12)


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
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
        (lambda: linear_schedule(10, rescaled=True), r"T is 10 and beta_T 0\.02, .* take T from 20 on"),
        (lambda: scaled_linear_schedule(10, beta_T=-1), "beta_T"),
        (lambda: sigmoid_beta_schedule(10, width=-1), "width"),
        (lambda: sigmoid_schedule(10, start=3, end=3), "start is 3"),
        (lambda: sigmoid_schedule(10, tau=0), "tau is 0, but a number of at least"),
        (lambda: laplace_schedule(10, b=0), "b is 0"),
        (lambda: karras_schedule(10, sigma_min=90), "sigma_min is 90"),
        (lambda: karras_schedule(10, rho=0), "rho is 0"),
        (lambda: exponential_schedule(10, sigma_min=1, sigma_max=1), "both 1"),
        (lambda: vp_sde_schedule(10, beta_min=0), "beta_min is 0"),
        (lambda: sub_vp_sde_schedule(10, beta_max=math.inf), "beta_max is inf"),
        (lambda: shifted(linear_schedule(10), 0), "factor is 0"),
        (lambda: shifted(np.ones(3), 2), "alpha_bar runs from"),
        (lambda: zero_terminal_snr(linear_schedule(1)), "one step"),
    ],
)
def test_bad_numbers_are_refused(call, name):
    with pytest.raises(InputError, match=name):
        call()


def test_the_list_holds_every_schedule_under_its_name():
    defined = {name.removesuffix("_schedule"): f for name, f in vars(room).items() if name.endswith("_schedule")}
    assert defined.items() <= SCHEDULES.items()  # and a new file may have more
    for name, listed in SCHEDULES.items():
        assert listed.__name__ == f"{name}_schedule"
        assert listed.__module__.startswith("tinydiff.diffusion.schedules.")
    known = ", ".join(map(repr, SCHEDULES))
    with pytest.raises(InputError, match=rf"schedule is 'nobody', but one of {known} was expected\."):
        SCHEDULES["nobody"]


def test_two_schedules_of_one_name_are_refused():
    def linear_schedule(T=1000):
        """Not the one."""

    with pytest.raises(InputError, match=r"two schedules named 'linear', in tinydiff\..*\.betas and "):
        schedule(linear_schedule)


def test_betas_of_a_thousand_steps_serve_any_number_of_them():
    """With 1000 / T, a short chain ends with about as little signal, and without, with much of it."""
    end = linear_schedule(1000)[-1]
    assert linear_schedule(100, rescaled=True)[-1] == pytest.approx(end, rel=0.7)
    assert linear_schedule(100)[-1] > 1000 * end
    np.testing.assert_array_equal(linear_schedule(1000, rescaled=True), linear_schedule(1000))


def of_betas(betas):
    """Return the products of 1 - beta, by a loop."""
    product, table = 1.0, [1.0]
    for beta in betas:
        product *= 1 - beta
        table.append(product)
    return table


@pytest.mark.equation("SD-BETA")
def test_the_roots_of_stable_diffusion_s_betas_grow_evenly():
    betas = [(0.00085**0.5 + i / 49 * (0.012**0.5 - 0.00085**0.5)) ** 2 for i in range(50)]
    np.testing.assert_allclose(scaled_linear_schedule(50), of_betas(betas), rtol=1e-12)
    assert scaled_linear_schedule(1000)[-1] == pytest.approx(0.0047, rel=0.01)  # Lin et al. 2024: the root is 0.068265


@pytest.mark.equation("SIGMOID-BETA")
@pytest.mark.equation("SIGMOID-1")
def test_the_two_sigmoids_are_two():
    def sigmoid(x):
        return 1 / (1 + math.exp(-x))

    betas = [1e-4 + (0.02 - 1e-4) * sigmoid(-6 + 12 * i / 49) for i in range(50)]
    np.testing.assert_allclose(sigmoid_beta_schedule(50), of_betas(betas), rtol=1e-12)
    falling = sigmoid_schedule(50, -3, 3, 0.9)
    for t in range(50):
        share = sigmoid((3 - 6 * t / 50) / 0.9) - sigmoid(-3 / 0.9)
        assert falling[t] == pytest.approx(share / (sigmoid(3 / 0.9) - sigmoid(-3 / 0.9)), rel=1e-9)
    assert falling[50] == pytest.approx(0.001 * falling[49], rel=1e-9)
    assert sigmoid_schedule(50, max_beta=1)[-1] < 1e-280


@pytest.mark.equation("LAPLACE-1")
def test_laplace_s_log_snr_is_distributed_as_its_density():
    """The share of steps below a log-SNR is the cumulative density of that number: from T, where it is lowest, on."""
    alpha_bar = laplace_schedule(1000, mu=0.7, b=1.3)[1:-1]
    share = 1 - np.arange(1, 1000) / 1000
    np.testing.assert_allclose(stats.laplace.cdf(np.log(alpha_bar / (1 - alpha_bar)), 0.7, 1.3), share, atol=1e-9)


@pytest.mark.equation("KARRAS-1")
@pytest.mark.equation("EXP-1")
def test_schedules_in_sigma():
    def sigma(alpha_bar):
        return np.sqrt((1 - alpha_bar) / alpha_bar)[1:]

    np.testing.assert_allclose(np.diff(sigma(karras_schedule(40)) ** (1 / 7)), (80 ** (1 / 7) - 0.002 ** (1 / 7)) / 39)
    ratios = sigma(exponential_schedule(40))[1:] / sigma(exponential_schedule(40))[:-1]
    np.testing.assert_allclose(ratios, 5000 ** (1 / 39), rtol=1e-9)
    for made, ends in ((karras_schedule, (0.002, 80)), (exponential_schedule, (0.01, 50))):
        np.testing.assert_allclose(sigma(made(40))[[0, -1]], ends, rtol=1e-9)


@pytest.mark.equation("VPSDE-1")
@pytest.mark.equation("SUBVP-1")
def test_the_sde_s_schedules_solve_their_equations():
    """SciPy solves them for the scale of the signal, and for the variances of the noise of both."""

    def beta(tau):
        return 0.1 + tau * 19.9

    def change(tau, state):
        signal, vp, sub = state
        missing = 1 - math.exp(-2 * (0.1 * tau + 19.9 * tau**2 / 2))
        return [-beta(tau) / 2 * signal, beta(tau) * (1 - vp), beta(tau) * (missing - sub)]

    tau = np.linspace(0, 1, 21)
    solved = integrate.solve_ivp(change, (0, 1), [1, 0, 0], t_eval=tau, method="DOP853", rtol=1e-11, atol=1e-13)
    signal, vp, sub = solved.y
    np.testing.assert_allclose(vp_sde_schedule(20), signal**2, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(vp_sde_schedule(20), 1 - vp, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(sub_vp_sde_schedule(20), signal**2 / (signal**2 + sub), rtol=1e-6, atol=1e-9)
    assert vp_sde_schedule(1000)[-1] == pytest.approx(linear_schedule(1000)[-1], rel=0.1)  # whose continuous form it is


@pytest.mark.equation("ZTSNR-1")
def test_no_signal_is_left_and_the_first_step_is_as_it_was():
    before = scaled_linear_schedule(1000)
    after = zero_terminal_snr(before)
    assert after[-1] == 0
    assert after[:2] == pytest.approx(before[:2], rel=1e-12)
    moved = np.diff(after[1:] ** 0.5) / np.diff(before[1:] ** 0.5)
    np.testing.assert_allclose(moved, moved[0], rtol=1e-9)  # stretched evenly
    assert GaussianDiffusion(after).T == 1000


@pytest.mark.equation("SHIFT-1")
def test_a_shift_multiplies_sigma_and_is_the_time_shift_of_the_straight_path():
    before = cosine_schedule(50)
    after = shifted(before, 3)
    np.testing.assert_allclose((1 / after - 1)[1:], 9 * (1 / before - 1)[1:], rtol=1e-9)
    np.testing.assert_allclose(shifted(after, 1 / 3), before, rtol=1e-9)
    b = np.arange(51) / 50
    later = 3 * b / (1 + 2 * b)  # t' = f t / (1 + (f - 1) t)
    wanted = (1 - later) ** 2 / ((1 - later) ** 2 + later**2)
    np.testing.assert_allclose(shifted(straight_schedule(50), 3), wanted, atol=1e-15)
