"""Samplers against exact answers: the linear map they are on Gaussian data, their order, and their marginals.

Seeds are fixed; had they been drawn at random, each statistical assertion would fail by chance with a probability
below one in a million (5 standard deviations).
"""

import sys
from types import ModuleType

import numpy as np
import pytest
from scipy import integrate, stats

from tinydiff.base import InputError, Noise
from tinydiff.diffusion import (
    FiniteData,
    Gaussian,
    GaussianDiffusion,
    GaussianMixture,
    cosine_schedule,
    ddim,
    ddpm,
    dpmpp_2m,
    edm_steps,
    heun,
    last,
    linear_schedule,
    log_snr_steps,
    predictor,
    spaced_steps,
)
from tinydiff.diffusion.times import step_pairs

LINEAR = GaussianDiffusion(linear_schedule(1000))
COSINE = GaussianDiffusion(cosine_schedule(100))
EMPTY_AT_T = GaussianDiffusion(cosine_schedule(50, max_beta=1))
FIVE_SIGMA = 5
NOISE = Noise(seed=0)

SAMPLERS = {
    "ddpm": lambda predict, d, x, steps, **kw: ddpm(predict, d, x, steps, noise=NOISE, **kw),
    "ddpm_beta_tilde": lambda predict, d, x, steps, **kw: ddpm(predict, d, x, steps, "beta_tilde", NOISE, **kw),
    "ddim": lambda predict, d, x, steps, **kw: ddim(predict, d, x, steps, **kw),
    "ddim_eta": lambda predict, d, x, steps, **kw: ddim(predict, d, x, steps, 0.7, NOISE, **kw),
    "heun": heun,
    "dpmpp_2m": dpmpp_2m,
}
every_sampler = pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS.keys())


def normal(*shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def scales(diffusion, t):
    alpha_bar = diffusion.alpha_bar_at(t)
    return alpha_bar**0.5, (1 - alpha_bar) ** 0.5


# Gaussian data: with the exact denoiser every step is a linear map, written out by hand


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


@every_sampler
def test_pitfall_04_the_executed_pairs_are_consecutive_times(sampler):
    data, x = Gaussian(EMPTY_AT_T, np.zeros(2), 0.5), normal(1, 2)
    for N in range(1, 51):
        predicted = []

        def predict(x_t, t, context, predicted=predicted):
            predicted.append(t[0])
            return data.predict(x_t, t)

        reached = [t for t, _, _ in sampler(predict, EMPTY_AT_T, x, N)]
        steps = spaced_steps(50, N)
        assert reached == [*steps[1:], 0]
        assert sorted(set(predicted), reverse=True) == steps


@every_sampler
@pytest.mark.parametrize("diffusion", [LINEAR, COSINE, EMPTY_AT_T], ids=["linear", "cosine", "empty"])
def test_pitfall_05_a_single_point_is_returned_exactly_from_any_steps(sampler, diffusion):
    point = np.array([[0.3, -0.7]])
    data, x_T = FiniteData(diffusion, point), normal(5, 2)
    for steps in (1, 2, 7, 50, [50, 49, 2], [33.3, 1.5, 0.25], [diffusion.T, 3], [1]):
        sample = last(sampler(data.predict, diffusion, x_T, steps))
        np.testing.assert_array_equal(sample, np.broadcast_to(point, sample.shape))


@pytest.mark.equation("DDIM-12")
@pytest.mark.equation("DDIM-16")
@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("steps", [[1000, 999, 500, 20, 3], [800, 790.5, 100.25], 10])
def test_pitfall_06_ddim_preserves_marginals(eta, steps):
    """Signal, noise that is kept and noise that is added make up q(x_s | x_0) after every step, for every eta."""

    class Constant:
        """A source whose every number is the same, to read the coefficient of the noise off the result."""

        def __init__(self, value):
            self.value = value

        def at(self, **changes):
            return self

        def normal(self, shape, purpose, dtype):
            return np.full(shape, self.value, dtype)

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


# the order of convergence, measured against exact solutions of the probability-flow ODE


def slope_of_error(sampler, predict, diffusion, x_t, exact, start, end, numbers):
    errors = []
    for N in numbers:
        *steps, stop = log_snr_steps(diffusion, N + 1, start, end)
        errors.append(np.abs(last(sampler(predict, diffusion, x_t, steps, end=stop)) - exact).max())
    slope, _ = np.polyfit(np.log(numbers), np.log(errors), 1)
    return -slope


ORDERS = [(ddim, 1), (heun, 2), (dpmpp_2m, 2)]


@pytest.mark.equation("DDIM-14")
@pytest.mark.equation("EDM-ALG1")
@pytest.mark.equation("DPMPP-2M")
@pytest.mark.parametrize(("sampler", "order"), ORDERS)
@pytest.mark.parametrize(("diffusion", "start", "end"), [(LINEAR, 900, 100), (COSINE, 95, 5)], ids=["linear", "cosine"])
def test_order_of_convergence_on_a_gaussian(sampler, order, diffusion, start, end):
    covariance = np.array([[0.5, 0.6], [0.6, 1.4]])
    data, x_t = Gaussian(diffusion, np.array([0.3, -0.5]), covariance), normal(4, 2)
    exact = data.flow(x_t, start, end)
    slope = slope_of_error(sampler, data.predict, diffusion, x_t, exact, start, end, [32, 64, 128, 256])
    assert abs(slope - order) < 0.15


@pytest.mark.equation("DDIM-14")
@pytest.mark.parametrize(("sampler", "order"), ORDERS)
def test_order_of_convergence_on_a_mixture(sampler, order):
    weights, means, variances = np.array([0.3, 0.7]), np.array([-1.0, 0.8]), np.array([0.1, 0.3])
    data = GaussianMixture(LINEAR, weights, means[:, None], variances)
    x_t, start, end = np.array([[-1.1], [-0.2], [0.7], [1.5]]), 900, 150

    def slope(sigma, y):  # (y - E[x_0 | y]) / sigma for y = x_0 + sigma z, by Bayes' rule
        total = variances + sigma**2
        share = weights * stats.norm.pdf(y[:, None], means, total**0.5)
        denoised = means + variances / total * (y[:, None] - means)
        return (y - (share * denoised).sum(axis=1) / share.sum(axis=1)) / sigma

    (a_t, b_t), (a_s, b_s) = scales(LINEAR, start), scales(LINEAR, end)
    y = integrate.solve_ivp(slope, (b_t / a_t, b_s / a_s), x_t[:, 0] / a_t, method="DOP853", rtol=1e-11, atol=1e-11).y[
        :, -1
    ]
    exact = a_s * y[:, None]
    measured = slope_of_error(sampler, data.predict, LINEAR, x_t, exact, start, end, [64, 128, 256, 512])
    assert abs(measured - order) < 0.15


def test_dpmpp_2m_predicts_once_and_heun_twice_a_step():
    calls = []

    def predict(x_t, t, context):
        calls.append(t[0])
        return x_t / 2, x_t / 2

    last(dpmpp_2m(predict, LINEAR, normal(1, 2), 10))
    assert len(calls) == 10
    calls.clear()
    last(heun(predict, LINEAR, normal(1, 2), 10))
    assert len(calls) == 19  # the step to 0 has nothing to correct with


# robustness


@every_sampler
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "alpha_bar",
    [linear_schedule(50), cosine_schedule(50), cosine_schedule(50, max_beta=1)],
    ids=["linear", "cosine", "empty"],
)
def test_pitfall_08_samples_are_finite_and_bounded_for_every_number_of_steps(sampler, dtype, alpha_bar):
    diffusion = GaussianDiffusion(alpha_bar)
    data, x_T = FiniteData(diffusion, np.array([[-1.0, 1.0], [1.0, 0.5], [0.2, -1.0]])), normal(3, 2, dtype=dtype)
    for N in range(1, 51):
        for _, x_t, x_0_hat in sampler(data.predict, diffusion, x_T, N):
            assert np.isfinite(x_t).all()
            assert x_t.dtype == x_0_hat.dtype == dtype
        assert np.abs(x_t).max() <= 1 + 1e-6  # the last step denoises: a mean of points


@every_sampler
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("diffusion", [LINEAR, COSINE], ids=["linear", "cosine"])
def test_pitfall_08_a_poor_network_stays_bounded_when_clipped(sampler, dtype, diffusion):
    predict = predictor(lambda x_t, t, context: 0 * x_t, diffusion, clip=True)
    for N in (1, 2, 10, 50, 100):
        sample = last(sampler(predict, diffusion, normal(3, 2, dtype=dtype), N))
        assert sample.dtype == dtype
        assert np.abs(sample).max() <= 1


@every_sampler
@pytest.mark.parametrize("kind", ["x_0", "v"])
def test_pitfall_09_samplers_start_where_there_is_no_signal(sampler, kind):
    predict = predictor(lambda x_t, t, context: x_t / 3, EMPTY_AT_T, kind)
    assert np.isfinite(last(sampler(predict, EMPTY_AT_T, normal(3, 2), 10))).all()
    with pytest.raises(InputError, match="alpha_bar is 0"):
        last(sampler(predictor(lambda x_t, t, context: x_t, EMPTY_AT_T), EMPTY_AT_T, normal(3, 2), 10))


@every_sampler
def test_a_sample_does_not_depend_on_its_batch(sampler):
    data = Gaussian(LINEAR, np.array([0.3, -0.2]), np.array([0.4, 1.3]))
    x_T = NOISE.normal((64, 2), "x_T")
    whole = last(sampler(data.predict, LINEAR, x_T, 10))
    one = last(sampler(data.predict, LINEAR, x_T[:1], 10))
    np.testing.assert_array_equal(one, whole[:1])


@pytest.mark.parametrize("first", [0, 5, 63])
def test_a_shard_draws_the_noise_of_its_own_samples(first):
    data = Gaussian(LINEAR, np.array([0.3, -0.2]), np.array([0.4, 1.3]))
    x_T = NOISE.normal((64, 2), "x_T")
    whole = last(ddpm(data.predict, LINEAR, x_T, 10, noise=NOISE))
    one = last(ddpm(data.predict, LINEAR, x_T[first : first + 1], 10, noise=NOISE.at(first=first)))
    np.testing.assert_array_equal(one, whole[first : first + 1])


@every_sampler
def test_predict_may_split_the_batch(sampler):
    data = Gaussian(LINEAR, np.array([0.3, -0.2]), np.array([0.4, 1.3]))
    context = np.arange(6)

    def sharded(x_t, t, context):
        np.testing.assert_array_equal(context, np.arange(6))
        parts = [data.predict(x_t[i : i + 4], t[i : i + 4], context[i : i + 4]) for i in (0, 4)]
        return tuple(np.concatenate(part) for part in zip(*parts, strict=True))

    x_T = normal(6, 2)
    a = last(sampler(sharded, LINEAR, x_T, 5, context=context))
    np.testing.assert_array_equal(a, last(sampler(data.predict, LINEAR, x_T, 5)))


@every_sampler
def test_inputs_stay_as_they_are_and_images_pass_through(sampler):
    data, x_T = Gaussian(COSINE, np.zeros((4, 4, 1)), 0.5), normal(2, 4, 4, 1, dtype=np.float32)
    x_T.setflags(write=False)
    assert last(sampler(data.predict, COSINE, x_T, 3)).shape == x_T.shape


@every_sampler
def test_a_chain_stops_where_it_is_told(sampler):
    data, x_T = Gaussian(COSINE, np.zeros(2), 0.5), normal(2, 2)
    chain = list(sampler(data.predict, COSINE, x_T, [90, 50.5], end=20.25))
    assert [t for t, _, _ in chain] == [50.5, 20.25]


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


# bad input


@every_sampler
@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([10, 20], "from 10 to 20, but every time must be smaller"),
        ([20, 10, 10], "from 10 to 10"),
        ([101, 50], "steps holds 101, but times from 1 to T = 100"),
        ([50, 0], "steps holds 0"),
        ([50, -3], "steps holds -3"),
        ([50, float("nan")], "steps holds nan"),
        ([], "steps is empty"),
        (0, "number of steps is 0"),
        (101, "number of steps is 101, but an integer from 1 to T = 100"),
        (2.5, "steps is 2.5, but a number of steps or a sequence"),
        ("fast", "steps is 'fast'"),
    ],
)
def test_bad_steps_are_refused(sampler, steps, message):
    with pytest.raises(InputError, match=message):
        last(sampler(lambda *_: None, COSINE, normal(2, 2), steps))


@every_sampler
@pytest.mark.parametrize("end", [-1, 101, 50, float("nan")])
def test_a_bad_end_is_refused(sampler, end):
    with pytest.raises(InputError, match="end"):
        last(sampler(lambda *_: None, COSINE, normal(2, 2), [70, 50], end=end))


@pytest.mark.parametrize("eta", [-0.1, 1.1, float("nan")])
def test_a_bad_eta_is_refused(eta):
    with pytest.raises(InputError, match=r"eta is .*, but a number from 0 to 1"):
        last(ddim(lambda *_: None, COSINE, normal(2, 2), 5, eta, NOISE))


def test_missing_noise_and_unknown_names_are_refused():
    with pytest.raises(InputError, match=r"eta is 0\.5 and noise is None"):
        last(ddim(lambda *_: None, COSINE, normal(2, 2), 5, 0.5))
    with pytest.raises(InputError, match="variance is 'learned'"):
        last(ddpm(lambda *_: None, COSINE, normal(2, 2), 5, "learned", NOISE))
    with pytest.raises(InputError, match="spacing is 'cubic'"):
        spaced_steps(10, 5, "cubic")
    for N, start, end in [(1, 50, 1), (5, 50, 50), (5, 51, 1), (5, 50, 0.5), (5, 49.5, 1), (2.5, 40, 1)]:
        with pytest.raises(InputError, match=r"start|end"):
            log_snr_steps(EMPTY_AT_T, N, start, end)
    for N in (1, 101, 2.5, None):
        with pytest.raises(InputError, match="number of steps is"):
            edm_steps(COSINE, N)
    for sigma_max, rho in [(0, 7), (float("nan"), 7), (80, 0), (80, float("inf"))]:
        with pytest.raises(InputError, match=r"sigma_max is .* and rho"):
            edm_steps(COSINE, 5, sigma_max, rho)


@every_sampler
def test_arrays_that_do_not_fit_are_refused(sampler, monkeypatch):
    x = normal(2, 2)
    bad = np.array([[1.0, np.nan], [0, 0]])
    with pytest.raises(InputError, match="x_T holds NaN"):
        last(sampler(lambda *_: None, COSINE, bad, 5))
    with pytest.raises(InputError, match="x_T has dtype int64"):
        last(sampler(lambda *_: None, COSINE, np.zeros((2, 2), int), 5))
    for x_T, context in [(np.array(1.0), None), (x, np.arange(3)), (x, np.array(3))]:
        with pytest.raises(InputError, match="x_T has shape"):
            last(sampler(lambda *_: None, COSINE, x_T, 5, context=context))
    with pytest.raises(InputError, match=r"x_0_hat has shape \(2, 1\)"):
        last(sampler(lambda x_t, t, context: (x_t[:, :1], x_t), COSINE, x, 5))
    with pytest.raises(InputError, match=r"eps_hat has shape \(1, 2\)"):
        last(sampler(lambda x_t, t, context: (x_t, x_t[:1]), COSINE, x, 5))
    with pytest.raises(InputError, match="eps_hat is float32"):
        last(sampler(lambda x_t, t, context: (x_t, x_t.astype(np.float32)), COSINE, x, 5))

    cupy = ModuleType("cupy")
    cupy.ndarray = type("ndarray", (), {"dtype": np.dtype(np.float64), "shape": (2, 2), "ndim": 2})
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    with pytest.raises(InputError, match="two devices meet"):
        last(sampler(lambda x_t, t, context: (x_t, cupy.ndarray()), COSINE, x, 5))
    with pytest.raises(InputError, match="two devices meet"):
        last(sampler(lambda *_: None, COSINE, x, 5, context=cupy.ndarray()))
