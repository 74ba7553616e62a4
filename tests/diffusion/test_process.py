"""The forward process and its posterior against Bayes' rule, and conversions against each other."""

import sys
from types import ModuleType

import numpy as np
import pytest
from arrays import to_host, to_xp
from diffusions import COSINE, LINEAR, normal

from tinydiff.base import InputError
from tinydiff.diffusion import GaussianDiffusion, cosine_schedule, linear_schedule, predictor

EMPTY_AT_T = GaussianDiffusion(cosine_schedule(100, max_beta=1))
DIFFUSIONS = [LINEAR, COSINE, EMPTY_AT_T]


def column(values, ndim):
    return np.reshape(values, (-1, *[1] * (ndim - 1)))


def bayes(diffusion, x_0, x_t, t, s):
    """Mean and variance of q(x_s | x_t, x_0): the product of two Gaussians in x_s."""
    alpha_bar_t, alpha_bar_s = diffusion.alpha_bar[t], diffusion.alpha_bar[s]
    alpha = alpha_bar_t / alpha_bar_s
    precision = alpha / (1 - alpha) + 1 / (1 - alpha_bar_s)
    mean = (alpha**0.5 / (1 - alpha) * x_t + alpha_bar_s**0.5 / (1 - alpha_bar_s) * x_0) / precision
    return mean, 1 / precision


@pytest.mark.equation("DDPM-2")
@pytest.mark.parametrize("diffusion", DIFFUSIONS)
def test_steps_one_after_the_other_are_one_step_in_one_go(diffusion):
    """By their coefficients: noise of independent steps adds in variance, and the signal shrinks by the product."""
    signal, variance, one, zero = np.ones((1, 1)), 0.0, np.ones((1, 1)), np.zeros((1, 1))
    for s, t in [(0, 1), (1, 2), (2, 37.5), (37.5, diffusion.T)]:
        signal = diffusion.q_step(signal, t, zero, s)
        keep, add = diffusion.q_step(one, t, zero, s), diffusion.q_step(zero, t, one, s)
        variance = keep**2 * variance + add**2
        np.testing.assert_allclose(signal, diffusion.q_sample(one, t, zero), rtol=1e-12)
        np.testing.assert_allclose(variance, diffusion.q_sample(zero, t, one) ** 2, rtol=1e-12)
        np.testing.assert_allclose(keep**2 + add**2, 1, rtol=1e-12)  # data of variance 1 keep it


@pytest.mark.equation("DDPM-2")
def test_a_step_is_from_t_minus_1_unless_s_is_given_and_takes_a_t_for_each_sample(xp):
    x, eps = to_xp(xp, normal(3, 2)), to_xp(xp, normal(3, 2, seed=1))
    t = to_xp(xp, np.array([1, 7, 100]))
    together = LINEAR.q_step(x, t, eps)
    np.testing.assert_array_equal(to_host(together), to_host(LINEAR.q_step(x, t, eps, t - 1)))
    for i in range(3):
        alone = LINEAR.q_step(x[i : i + 1], int(t[i]), eps[i : i + 1])
        np.testing.assert_allclose(to_host(together[i : i + 1]), to_host(alone), rtol=1e-12)
    with pytest.raises(InputError, match="s must be the earlier time"):
        LINEAR.q_step(x, 5, eps, 5)


@pytest.mark.equation("SNR-1")
@pytest.mark.parametrize("diffusion", DIFFUSIONS)
def test_the_signal_to_noise_ratio_is_that_of_the_variances_and_falls(diffusion):
    t = np.arange(1, diffusion.T + 1)
    a = diffusion.q_sample(np.ones(diffusion.T), t, np.zeros(diffusion.T))
    b = diffusion.q_sample(np.zeros(diffusion.T), t, np.ones(diffusion.T))
    np.testing.assert_allclose(diffusion.snr(t), a**2 / b**2, rtol=1e-9)
    assert (np.diff(diffusion.snr(t)) < 0).all()
    with pytest.raises(InputError, match="t is 0"):
        diffusion.snr(0)


@pytest.mark.equation("DDPM-4")
@pytest.mark.parametrize("shape", [(4, 2), (3, 8, 8, 1), (1, 5), (4,)])
@pytest.mark.parametrize("diffusion", DIFFUSIONS)
def test_q_sample_scales_signal_and_noise(diffusion, shape):
    x_0, eps = normal(*shape), normal(*shape, seed=1)
    t = np.random.default_rng(2).integers(1, diffusion.T + 1, shape[0])
    alpha_bar = column(diffusion.alpha_bar[t], len(shape))
    expected = np.sqrt(alpha_bar) * x_0 + np.sqrt(1 - alpha_bar) * eps
    np.testing.assert_allclose(diffusion.q_sample(x_0, t, eps), expected, rtol=1e-14, atol=1e-15)
    one = diffusion.q_sample(x_0[:1], int(t[0]), eps[:1])
    np.testing.assert_allclose(one, expected[:1], rtol=1e-14, atol=1e-15)


@pytest.mark.equation("DDPM-7")
@pytest.mark.parametrize("diffusion", DIFFUSIONS)
@pytest.mark.parametrize(("t", "s"), [(2, 1), (100, 99), (99, 3), (60, 20)])
def test_posterior_is_bayes_rule(diffusion, t, s):
    x_0, x_t = normal(3, 2), normal(3, 2, seed=1)
    mean, variance = bayes(diffusion, x_0, x_t, t, s)
    np.testing.assert_allclose(diffusion.posterior_mean(x_0, x_t, t, s), mean, rtol=1e-11)
    np.testing.assert_allclose(diffusion.posterior_variance(t, s), variance, rtol=1e-11)
    ts, ss = np.array([t, t, 50]), np.array([s, s, 49])
    np.testing.assert_allclose(diffusion.posterior_mean(x_0, x_t, ts, ss)[:2], mean[:2], rtol=1e-11)
    np.testing.assert_allclose(diffusion.posterior_variance(ts, ss)[:2], variance, rtol=1e-11)


def test_s_is_the_step_before_unless_given():
    x_0, x_t = normal(3, 2), normal(3, 2, seed=1)
    assert LINEAR.beta(500) == LINEAR.beta(500, 499)
    assert LINEAR.posterior_variance(500) == LINEAR.posterior_variance(500, 499)
    np.testing.assert_array_equal(LINEAR.posterior_mean(x_0, x_t, 7), LINEAR.posterior_mean(x_0, x_t, 7, 6))


@pytest.mark.equation("IDDPM-19")
def test_beta_of_consecutive_steps_is_the_schedule_and_respaced_betas_compose():
    np.testing.assert_allclose(LINEAR.beta(np.arange(1, 1001)), np.linspace(1e-4, 0.02, 1000), rtol=1e-10)
    survives = (1 - LINEAR.beta(700, 400)) * (1 - LINEAR.beta(400, 100))
    assert 1 - LINEAR.beta(700, 100) == pytest.approx(survives, rel=1e-13)


@pytest.mark.pitfall(1)
@pytest.mark.equation("DDPM-11")
@pytest.mark.parametrize("diffusion", [LINEAR, COSINE])
def test_pitfall_01_x_0_form_and_eps_form_agree_unless_clipped(diffusion):
    eps = normal(64, 2, seed=1)
    for t, s in [(1, 0), (2, 1), (60, 20), (90, 89), (95, 10)]:
        x_t = diffusion.q_sample(normal(64, 2), t, eps)
        x_0_hat, _ = predictor(lambda *_: eps, diffusion, clip=False)(x_t, t)
        mean = diffusion.posterior_mean(x_0_hat, x_t, t, s)
        np.testing.assert_allclose(mean, diffusion.posterior_mean_from_eps(x_t, t, eps, s), rtol=0, atol=1e-12)

        clipped, _ = predictor(lambda *_: eps, diffusion, clip=True)(x_t, t)
        outside = np.abs(x_0_hat) > 1
        assert outside.any()
        assert not outside.all()
        differs = np.abs(diffusion.posterior_mean(clipped, x_t, t, s) - mean) > 1e-12
        np.testing.assert_array_equal(differs, outside)


@pytest.mark.pitfall(2)
@pytest.mark.equation("DDPM-7")
@pytest.mark.parametrize("diffusion", DIFFUSIONS)
def test_pitfall_02_beta_is_exact_for_normal_data_and_beta_tilde_for_a_point(diffusion):
    t, s = np.array([2, 50, 99, 100, 100]), np.array([1, 49, 90, 99, 1])
    covariance = np.sqrt(diffusion.alpha_bar[t] / diffusion.alpha_bar[s])  # of x_t and x_s, both of variance 1
    np.testing.assert_allclose(diffusion.beta(t, s), 1 - covariance**2, rtol=1e-10)
    _, of_a_point = bayes(diffusion, 0, 0, t, s)
    np.testing.assert_allclose(diffusion.posterior_variance(t, s), of_a_point, rtol=1e-10)
    assert (diffusion.posterior_variance(t, s) < diffusion.beta(t, s)).all()
    assert diffusion.posterior_variance(1) == 0  # no odd entry at the end: log of it is not needed
    assert diffusion.beta(1) > 0


@pytest.mark.parametrize("diffusion", DIFFUSIONS)
def test_beta_tilde_never_exceeds_the_noise_at_s_even_in_the_last_bit(diffusion):
    t, s = (index.ravel() for index in np.meshgrid(np.arange(1, 101), np.arange(100)))
    t, s = t[s < t], s[s < t]
    assert (1 - diffusion.alpha_bar[s] - diffusion.posterior_variance(t, s) >= 0).all()


@pytest.mark.equation("DDPM-15")
@pytest.mark.equation("V-1")
@pytest.mark.equation("V-2")
@pytest.mark.equation("V-3")
@pytest.mark.parametrize("t", [1, 50, 99, 17.25, np.array([1, 30, 99]), np.array([0.5, 30.5, 98.5])])
def test_conversions_agree_with_each_other(t):
    x_0, eps = normal(3, 4), normal(3, 4, seed=1)
    for d in DIFFUSIONS:
        x_t, v = d.q_sample(x_0, t, eps), d.v_from(x_0, eps, t)
        near = {"rtol": 1e-9, "atol": 1e-9}
        np.testing.assert_allclose(d.x_0_from_eps(x_t, t, eps), x_0, **near)
        np.testing.assert_allclose(d.eps_from_x_0(x_t, t, x_0), eps, **near)
        np.testing.assert_allclose(d.x_0_from_v(x_t, t, v), x_0, **near)
        np.testing.assert_allclose(d.eps_from_v(x_t, t, v), eps, **near)
        np.testing.assert_allclose(d.eps_from_score(d.score_from_eps(eps, t), t), eps, **near)


@pytest.mark.equation("V-1")
def test_v_is_the_rate_at_which_x_turns_from_data_to_noise():
    """With a = cos(angle) and b = sin(angle), v is the derivative of x_t in the angle."""
    x_0, eps, h = normal(3, 4), normal(3, 4, seed=1), 1e-6
    angle = np.arccos(LINEAR.alpha_bar[400] ** 0.5)
    slope = ((np.cos(angle + h) - np.cos(angle - h)) * x_0 + (np.sin(angle + h) - np.sin(angle - h)) * eps) / (2 * h)
    np.testing.assert_allclose(LINEAR.v_from(x_0, eps, 400), slope, atol=1e-8)


@pytest.mark.equation("SCORE-1")
def test_score_is_the_gradient_of_the_log_density_of_one_point():
    x_0, eps, h = normal(1, 1), normal(1, 1, seed=1), 1e-6
    x_t, alpha_bar = LINEAR.q_sample(x_0, 300, eps), LINEAR.alpha_bar[300]

    def log_q(x):
        return -((x - alpha_bar**0.5 * x_0) ** 2) / (2 * (1 - alpha_bar))

    slope = (log_q(x_t + h) - log_q(x_t - h)) / (2 * h)
    np.testing.assert_allclose(LINEAR.score_from_eps(eps, 300), slope, rtol=1e-7)


@pytest.mark.equation("LSNR-1")
@pytest.mark.parametrize("diffusion", DIFFUSIONS)
def test_real_times_interpolate_the_log_snr(diffusion):
    def log_snr(alpha_bar):
        return np.log(alpha_bar / (1 - alpha_bar))

    for t, w in [(1, 0.25), (40, 0.5), (98, 0.9)]:
        expected = (1 - w) * log_snr(diffusion.alpha_bar[t]) + w * log_snr(diffusion.alpha_bar[t + 1])
        assert log_snr(diffusion.alpha_bar_at(t + w)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.equation("LSNR-1")
def test_next_to_an_infinite_log_snr_alpha_bar_is_linear():
    assert 1 - LINEAR.alpha_bar_at(0.25) == pytest.approx(0.25 * (1 - LINEAR.alpha_bar[1]), rel=1e-10)
    assert EMPTY_AT_T.alpha_bar_at(99.75) == pytest.approx(0.25 * EMPTY_AT_T.alpha_bar[99], rel=1e-10)
    one_step = GaussianDiffusion(np.array([1.0, 0.0]))
    assert one_step.alpha_bar_at(0.25) == 0.75


@pytest.mark.parametrize("diffusion", DIFFUSIONS)
def test_alpha_bar_at_meets_the_table_falls_strictly_and_takes_numbers_and_arrays(diffusion):
    steps = np.arange(diffusion.T + 1)
    np.testing.assert_array_equal(diffusion.alpha_bar_at(steps), diffusion.alpha_bar)
    np.testing.assert_allclose(diffusion.alpha_bar_at(steps.astype(float)), diffusion.alpha_bar, rtol=1e-14)
    fine = np.linspace(0, diffusion.T, 7 * diffusion.T + 1)
    assert (np.diff(diffusion.alpha_bar_at(fine)) < 0).all()
    assert type(diffusion.alpha_bar_at(np.float32(3.5))) is float
    assert diffusion.alpha_bar_at(3.5) == diffusion.alpha_bar_at(np.array([3.5]))[0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("t", [7, 7.5, np.int64(7), np.float64(7.5), np.array([7, 8]), np.array([7.5, 8.5])])
def test_dtypes_survive(dtype, t):
    x, y = normal(2, 3, 3, 1, dtype=dtype), normal(2, 3, 3, 1, seed=1, dtype=dtype)
    x.setflags(write=False)
    y.setflags(write=False)
    d = LINEAR
    results = [
        d.q_sample(x, t, y),
        d.posterior_mean(x, y, t),
        d.posterior_mean(x, y, t, 2.5),
        d.posterior_mean_from_eps(x, t, y),
        d.x_0_from_eps(x, t, y),
        d.eps_from_x_0(x, t, y),
        d.v_from(x, y, t),
        d.x_0_from_v(x, t, y),
        d.eps_from_v(x, t, y),
        d.score_from_eps(x, t),
        d.eps_from_score(x, t),
        *predictor(lambda x, *_: y, d)(x, t),
    ]
    assert {r.dtype for r in results} == {np.dtype(dtype)}
    assert {r.shape for r in results} == {x.shape}


@pytest.mark.pitfall(9)
def test_pitfall_09_eps_says_nothing_where_there_is_no_signal():
    x = normal(2, 3)
    for t in (100, np.array([5, 100])):
        with pytest.raises(InputError, match="alpha_bar is 0 at t = 100"):
            EMPTY_AT_T.x_0_from_eps(x, t, x)
        with pytest.raises(InputError, match="predict x_0 or v"):
            EMPTY_AT_T.posterior_mean_from_eps(x, t, x)
        with pytest.raises(InputError, match="alpha_bar is 0"):
            predictor(lambda x, *_: x, EMPTY_AT_T, clip=True)(x, t)
    for kind in ("x_0", "v"):
        x_0_hat, eps_hat = predictor(lambda x, *_: x / 2, EMPTY_AT_T, kind, clip=False)(x, 100)
        np.testing.assert_allclose(eps_hat, x, rtol=1e-15)  # all of x_t is noise
        assert np.isfinite(x_0_hat).all()
    assert np.isfinite(EMPTY_AT_T.x_0_from_eps(x, 99, x)).all()


@pytest.mark.parametrize(
    "table",
    [
        np.ones((2, 2)),
        np.array([1.0]),
        np.array([0.9, 0.5]),
        np.array([1.0, 0.5, 0.5]),
        np.array([1.0, 0.5, -0.1]),
        np.array([1.0, np.nan]),
    ],
)
def test_a_bad_table_is_refused(table):
    with pytest.raises(InputError, match="alpha_bar"):
        GaussianDiffusion(table)


def test_the_table_is_a_read_only_copy():
    table = linear_schedule(10)
    diffusion = GaussianDiffusion(table)
    table[5] = 0
    assert diffusion.alpha_bar[5] > 0
    with pytest.raises(ValueError, match="read-only"):
        diffusion.alpha_bar[5] = 0


@pytest.mark.parametrize("t", [0, -1, 1001, 1000.5, np.nan, np.array([1, 0]), np.array([1.0, np.nan]), "7", [1, 2]])
def test_a_time_out_of_range_is_refused(t):
    x = normal(2, 3)
    for call in (LINEAR.q_sample, LINEAR.x_0_from_eps, LINEAR.posterior_mean_from_eps):
        with pytest.raises(InputError, match=r"\b[ts] is "):
            call(x, t, x)


@pytest.mark.parametrize("s", [7, 8, -1, np.nan, np.array([3, 7])])
def test_an_s_that_is_not_earlier_is_refused(s):
    x = normal(2, 3)
    with pytest.raises(InputError, match="s is "):
        LINEAR.posterior_mean(x, x, 7, s)


def test_arrays_that_do_not_fit_are_refused(monkeypatch):
    x = normal(2, 3)
    with pytest.raises(InputError, match=r"eps has shape \(2, 4\)"):
        LINEAR.q_sample(x, 5, normal(2, 4))
    with pytest.raises(InputError, match=r"t has shape \(3,\)"):
        LINEAR.q_sample(x, np.array([1, 2, 3]), x)
    with pytest.raises(InputError, match="x_0 is float64, eps is float32"):
        LINEAR.q_sample(x, 5, x.astype(np.float32))
    with pytest.raises(InputError, match="dtype int64"):
        LINEAR.q_sample(x.astype(int), 5, x.astype(int))
    with pytest.raises(InputError, match="network_output has shape"):
        predictor(lambda *_: normal(2, 1), LINEAR)(x, 5)
    with pytest.raises(InputError, match="network_output is float32"):
        predictor(lambda *_: x.astype(np.float32), LINEAR)(x, 5)
    with pytest.raises(InputError, match="kind is 'noise'"):
        predictor(lambda *_: x, LINEAR, kind="noise")


def test_host_and_device_arrays_do_not_mix(monkeypatch):
    cupy = ModuleType("cupy")
    cupy.ndarray = type("ndarray", (), {"dtype": np.dtype(np.float64), "shape": (2, 3), "ndim": 2})
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    with pytest.raises(InputError, match="two devices meet: x_0 is a numpy array, eps is a cupy array"):
        LINEAR.q_sample(normal(2, 3), 5, cupy.ndarray())
    with pytest.raises(InputError, match="two devices meet"):
        LINEAR.q_sample(cupy.ndarray(), np.array([1, 2]), cupy.ndarray())


@pytest.mark.equation("SNR-1")
@pytest.mark.parametrize("t", [1e-300, 1e-40, 1e-17, 1e-10, 0.3])
@pytest.mark.parametrize("as_array", [False, True])
def test_just_above_zero_noise_is_proportional_to_t_and_nothing_divides_by_zero(xp, t, as_array):
    """Even where alpha_bar is 1 in float64: its distance from 1 is t beta_1 there."""
    diffusion, beta_1 = GaussianDiffusion(linear_schedule()), 1e-4
    time = to_xp(xp, np.array([t])) if as_array else t

    def number(x):
        return np.asarray(to_host(x)).reshape(-1)[0]

    assert number(diffusion.snr(time)) == pytest.approx((1 - t * beta_1) / (t * beta_1), rel=1e-11)
    assert number(diffusion.beta(time, s=0 * time)) == pytest.approx(t * beta_1, rel=1e-11)
    half = diffusion.beta(time, s=time / 2)
    assert number(half) == pytest.approx(t / 2 * beta_1 / (1 - t / 2 * beta_1), rel=1e-11)
    posterior = diffusion.posterior_variance(time, s=time / 2)
    assert number(posterior) == pytest.approx(number(half) / 2, rel=1e-9)
    x_0, eps = (to_xp(xp, np.array([[c]])) for c in (0.5, 2.0))
    x_t = diffusion.q_sample(x_0, time, eps)
    b = (t * beta_1) ** 0.5
    assert number(diffusion.score_from_eps(eps, time)) == pytest.approx(-2 / b, rel=1e-11)
    assert number(diffusion.eps_from_x_0(x_t, time, x_0)) == pytest.approx(2, abs=1e-15 / b)
    assert number(diffusion.posterior_mean(x_0, x_t, time, s=time / 2)) == pytest.approx(0.5, abs=3 * b)
    assert number(diffusion.posterior_mean_from_eps(x_t, time, eps, s=time / 2)) == pytest.approx(0.5, abs=3 * b)


@pytest.mark.parametrize(
    "schedule", [linear_schedule(1000, beta_T=1.0), cosine_schedule(max_beta=1), linear_schedule()]
)
def test_at_both_ends_every_number_is_finite_and_right(schedule):
    """Of float32 arrays, also where the scale of the signal is smaller than all numbers of float32."""
    diffusion = GaussianDiffusion(schedule)
    x_0, eps = np.full((1, 2), 0.5, np.float32), np.full((1, 2), -1, np.float32)
    for t in (1, 2, diffusion.T - 1, diffusion.T, diffusion.T - 0.5):
        x_t = diffusion.q_sample(x_0, t, eps)
        a_squared = diffusion.alpha_bar_at(t)
        np.testing.assert_allclose(x_t, a_squared**0.5 * 0.5 - (1 - a_squared) ** 0.5, rtol=1e-6)
        np.testing.assert_allclose(diffusion.eps_from_x_0(x_t, t, x_0), eps, rtol=1e-4)
        v = diffusion.v_from(x_0, eps, t)
        np.testing.assert_allclose(diffusion.x_0_from_v(x_t, t, v), x_0, rtol=1e-5)
        np.testing.assert_allclose(diffusion.eps_from_v(x_t, t, v), eps, rtol=1e-5)
        assert 0 <= diffusion.posterior_variance(t) <= diffusion.beta(t) <= 1
        assert np.isfinite(diffusion.posterior_mean(x_0, x_t, t)).all()
        for f in (diffusion.x_0_from_eps, diffusion.posterior_mean_from_eps):
            if a_squared > 1e-12:
                assert np.isfinite(f(x_t, t, eps)).all()
            elif a_squared < 1e-75:
                with pytest.raises(InputError, match=r"x_t holds no signal there"):
                    f(x_t, t, eps)
                with pytest.raises(InputError, match=r"x_t holds no signal there"):
                    f(x_t, np.array([float(t)]), eps)
