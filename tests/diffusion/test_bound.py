"""The bound of whole batches: against exact sums, probabilities that add to 1, and densities that are known."""

import numpy as np
import pytest
from arrays import to_host, to_xp
from scipy import stats

from tinydiff.base import InputError, Noise, TrainingError
from tinydiff.diffusion import (
    Gaussian,
    GaussianDiffusion,
    GaussianMixture,
    GaussianPath,
    bits_per_dimension,
    cosine_schedule,
    importance_weighted_bound,
    level_cost,
    likelihood_bound,
    linear_schedule,
    prior_term,
    step_term,
)

# Means over noise are asserted within 5 standard errors: a false alarm in 2 million; the seeds are fixed.
SIX = GaussianDiffusion(linear_schedule(6, 0.05, 0.7))


def mixture(T):
    diffusion = GaussianDiffusion(cosine_schedule(T))
    means, covariances = np.array([[1.0, 0.5], [-1.0, 0.0]]), [np.array([[0.3, 0.1], [0.1, 0.2]]), 0.1]
    return GaussianMixture(diffusion, [1, 2], means, covariances)


def drawn(n):
    """Return n numbers of the mixture."""
    rng = np.random.default_rng(0)
    first = rng.random(n) < 1 / 3
    of_first = rng.multivariate_normal([1.0, 0.5], [[0.3, 0.1], [0.1, 0.2]], n)
    return np.where(first[:, None], of_first, np.array([-1.0, 0.0]) + 0.1**0.5 * rng.standard_normal((n, 2)))


class Signs(Noise):
    """Noise of -1 and 1 in turn: the mean of what is quadratic in it is exact over two samples."""

    def normal(self, shape, purpose, layer="", dtype=np.float64):
        return np.resize([-1.0, 1.0], shape[0]).reshape(-1, 1) * np.ones(shape)


@pytest.mark.equation("DDPM-13")
@pytest.mark.parametrize("sigma", [0.003, 0.01, 0.3, 5.0])
def test_a_level_costs_what_the_normal_density_holds_between_its_neighbours(sigma):
    levels = np.arange(256) * (2 / 255) - 1
    for mean in (-1.2, -0.5, 0.0, 0.013, 1.0):
        edges = np.concatenate([[-np.inf], (levels[1:] + levels[:-1]) / 2, [np.inf]])
        probabilities = np.diff(stats.norm.cdf(edges, mean, sigma))
        cost = level_cost(levels, np.full(256, mean), sigma)
        assert np.exp(-cost).sum() == pytest.approx(1, abs=1e-9)
        seen = probabilities > 1e-9  # the difference of two cdfs has no more digits
        np.testing.assert_allclose(cost[seen], -np.log(probabilities[seen]), rtol=1e-5, atol=1e-12)


@pytest.mark.equation("DDPM-13")
def test_the_cost_of_a_level_far_out_is_finite_and_that_at_the_mean_is_ddpms_floor():
    x = np.array([100 * 2 / 255 - 1])
    assert level_cost(x, x, 0.01)[0] / np.log(2) == pytest.approx(1.71, abs=5e-3)
    half = 1 / 255
    exact = -np.log2(stats.norm.cdf(half, 0, 0.01) - stats.norm.cdf(-half, 0, 0.01))
    assert level_cost(x, x, 0.01)[0] / np.log(2) == pytest.approx(exact)
    # 100 standard deviations: the nearest edge decides, log Q(z) = -z^2 / 2 - log(z sqrt(2 pi)) + O(1 / z^2)
    z = (1.0 - half) / 0.01
    assert level_cost(x, x + 1, 0.01)[0] == pytest.approx(z**2 / 2 + np.log(z * np.sqrt(2 * np.pi)), rel=1e-6)
    assert level_cost(x, x - 1, 0.01)[0] == pytest.approx(z**2 / 2 + np.log(z * np.sqrt(2 * np.pi)), rel=1e-6)


@pytest.mark.equation("BPD-1")
def test_bits_for_each_number():
    assert bits_per_dimension(np.log(8.0), 3) == pytest.approx(1)
    np.testing.assert_allclose(bits_per_dimension(np.array([0.0, np.log(256) * 784]), 784), [0, 8])


@pytest.mark.equation("ELBO-1")
@pytest.mark.parametrize("process", [SIX, GaussianDiffusion(cosine_schedule(20))], ids=["linear", "cosine"])
def test_all_terms_are_the_sum_of_the_terms(process):
    x = np.repeat([[0.4], [2.5]], 2, axis=0)
    exact = Gaussian(process, np.array([0.7]), 0.3)
    bound = likelihood_bound(exact.predict, process, x, Signs(0))
    eps = np.array([[-1.0], [1.0]])
    for i in (0, 1):
        pair = x[2 * i : 2 * i + 2]
        terms = [step_term(exact.predict, process, pair, t, eps).mean() for t in range(1, process.T + 1)]
        assert bound.steps[2 * i : 2 * i + 2].mean() == pytest.approx(sum(terms[1:]), rel=1e-9)
        assert bound.data[2 * i : 2 * i + 2].mean() == pytest.approx(terms[0], rel=1e-9)
        assert bound.prior[2 * i] == pytest.approx(prior_term(process, pair)[0])
    np.testing.assert_allclose(bound.nats, bound.prior + bound.steps + bound.data)
    np.testing.assert_allclose(bound.bits, bound.nats / np.log(2))


@pytest.mark.equation("ELBO-1")
def test_with_the_smaller_variance_a_step_costs_the_squared_distance_of_the_means():
    x, exact = np.array([[0.4], [0.4]]), Gaussian(SIX, np.array([0.7]), 0.3)
    bound = likelihood_bound(exact.predict, SIX, x, Signs(0), variance="beta_tilde")
    steps = 0.0
    for t in range(2, 7):
        for eps in (-1.0, 1.0):
            x_t = SIX.q_sample(x[:1], t, np.array([[eps]]))
            m, m_hat = (SIX.posterior_mean(x_0, x_t, t) for x_0 in (x[:1], exact.predict(x_t, t)[0]))
            steps += float((m - m_hat)[0, 0]) ** 2 / (2 * SIX.posterior_variance(t)) / 2
    assert bound.steps.mean() == pytest.approx(steps)


@pytest.mark.equation("ELBO-1")
@pytest.mark.parametrize("strata", [1, 7, 99])
def test_strata_give_the_whole_sum_in_expectation(strata):
    exact = mixture(100)
    x = np.repeat([[0.3, -0.2]], 4000, axis=0)
    part = likelihood_bound(exact.predict, exact.diffusion, x, Noise(1), strata=strata)
    whole = likelihood_bound(exact.predict, exact.diffusion, x[:1000], Noise(2))
    error = np.hypot(part.steps.std() / 4000**0.5, whole.steps.std() / 1000**0.5)
    assert abs(part.steps.mean() - whole.steps.mean()) < 5 * error
    assert (part.prior == whole.prior[0]).all()


def test_strata_vary_less_than_steps_drawn_anywhere():
    exact, process = mixture(100), mixture(100).diffusion
    x, n = np.repeat([[0.3, -0.2]], 2000, axis=0), 2000
    of_strata = likelihood_bound(exact.predict, process, x, Noise(1), strata=8).steps
    rng, anywhere = np.random.default_rng(1), np.zeros(n)
    for _ in range(8):
        t, eps = rng.integers(2, 101, n), rng.standard_normal((n, 2))
        _, eps_hat = exact.predict(process.q_sample(x, t, eps), t)
        beta, beta_tilde, alpha_bar = process.beta(t), process.posterior_variance(t), process.alpha_bar[t]
        weight = beta / (2 * (1 - beta) * (1 - alpha_bar))  # Eq. DDPM-12
        constant = beta_tilde / beta - 1 - np.log(beta_tilde / beta)
        anywhere += 99 / 8 * (weight * ((eps - eps_hat) ** 2).sum(axis=1) + constant)
    assert of_strata.mean() == pytest.approx(anywhere.mean(), abs=5 * anywhere.std() / n**0.5)
    assert of_strata.std() < anywhere.std() / 1.5


@pytest.mark.equation("IWAE-1")
def test_the_triangle_of_truth_bound_and_tighter_bound():
    """On average over the data; of one draw either bound may lie on the other side."""
    n, gaps = 1500, {}
    x = drawn(n)
    for T in (5, 10, 40):
        exact = mixture(T)
        truth = -exact.log_density(x, 0)
        bound = likelihood_bound(exact.predict, exact.diffusion, x, Noise(0)).nats - truth
        tighter = importance_weighted_bound(exact.predict, exact.diffusion, x, Noise(0), 8) - truth
        for gap in (bound, tighter):
            assert gap.mean() > -5 * gap.std() / n**0.5
        difference = bound - tighter
        assert difference.mean() > 3 * difference.std() / n**0.5 or T == 40  # where both gaps have nearly closed
        gaps[T] = bound.mean(), tighter.mean()
    bounds, tighter = zip(*gaps.values(), strict=True)
    assert bounds[0] > 1.5 * bounds[1] > 1.5 * 1.5 * bounds[2]
    assert tighter[0] > tighter[1] > tighter[2]


@pytest.mark.equation("IWAE-1")
def test_one_chain_is_the_bound_and_more_chains_are_below_it():
    exact, x = Gaussian(SIX, np.array([0.0]), 1.5), np.full((6000, 1), 0.4)
    one = importance_weighted_bound(exact.predict, SIX, x, Noise(3), 1)
    of_signs = likelihood_bound(exact.predict, SIX, x[:2], Signs(0)).nats.mean()
    assert abs(one.mean() - of_signs) < 5 * one.std() / 6000**0.5
    means = [importance_weighted_bound(exact.predict, SIX, x, Noise(3), k).mean() for k in (1, 4, 16)]
    assert means[0] > means[1] > means[2]


@pytest.mark.equation("IWAE-1")
@pytest.mark.parametrize("variance", ["beta", "beta_tilde"])
def test_the_probabilities_of_all_levels_add_to_one(variance):
    """exp(-price) of one chain is the probability in expectation, also of a model that is wrong."""
    process = GaussianDiffusion(
        np.array([1, 0.5, 0.35, 0.175])
    )  # beta-tilde above beta / 2: weights of finite variance
    levels, n = np.array([-1, -1 / 3, 1 / 3, 1]), 20000

    def predict(x_t, t, context=None):
        return np.tanh(2 * x_t), x_t

    x = np.repeat(levels, n)[:, None]
    prices = importance_weighted_bound(predict, process, x, Noise(0), 1, levels=4, variance=variance)
    weights = np.exp(-prices).reshape(4, n)
    error = (weights.var(axis=1).sum() / n) ** 0.5
    assert error < 0.02
    assert abs(weights.mean(axis=1).sum() - 1) < 5 * error


@pytest.mark.parametrize("path", ["straight", "ve", "sub-vp"])
def test_the_bound_does_not_depend_on_the_units_of_the_path(path):
    table, x = cosine_schedule(30), drawn(4)
    found = []
    for process in (GaussianDiffusion(table), GaussianPath(table, path)):
        exact = GaussianMixture(process, [1, 1], np.eye(2), [0.2, 0.3])
        found.append(likelihood_bound(exact.predict, process, x, Noise(0)).nats)
        found.append(importance_weighted_bound(exact.predict, process, x, Noise(0), 2))
    np.testing.assert_allclose(found[2], found[0], rtol=1e-7)
    np.testing.assert_allclose(found[3], found[1], rtol=1e-7)


def test_the_bound_is_float64_and_alike_on_every_device(xp):
    exact = Gaussian(SIX, np.zeros((2, 2)), 0.5)
    x = (np.array([[[0, 255], [3, 128]], [[7, 9], [200, 50]]]) * (2 / 255) - 1).astype(np.float32)
    for arguments in ({"levels": 256}, {"levels": None, "strata": 3}, {"variance": "beta_tilde"}):
        on_host = likelihood_bound(exact.predict, SIX, x, Noise(0), **arguments)
        there = likelihood_bound(exact.predict, SIX, to_xp(xp, x), Noise(0, xp=xp), **arguments)
        for ours, theirs in zip(there[:3], on_host[:3], strict=True):
            assert ours.dtype == np.float64
            np.testing.assert_allclose(to_host(ours), theirs, rtol=1e-5)


def test_a_model_that_is_not_finite_has_no_likelihood():
    def predict(x_t, t, context=None):
        return x_t * np.nan, x_t

    for f in (likelihood_bound, importance_weighted_bound):
        with pytest.raises(TrainingError, match="NaN or infinity, so it has no likelihood"):
            f(predict, SIX, np.zeros((2, 2)), Noise(0))


def test_what_has_no_bound_is_refused():
    predict, x = Gaussian(SIX, np.zeros(1), 1.0).predict, np.zeros((2, 1))
    for strata in (0, 6):
        with pytest.raises(InputError, match="strata is"):
            likelihood_bound(predict, SIX, x, Noise(0), strata=strata)
    with pytest.raises(InputError, match="none of the 256 levels"):
        likelihood_bound(predict, SIX, x, Noise(0), levels=256)
    with pytest.raises(InputError, match="variance is 'learned'"):
        likelihood_bound(predict, SIX, x, Noise(0), variance="learned")
    with pytest.raises(InputError, match="x_0 is empty"):
        likelihood_bound(predict, SIX, x[:0], Noise(0))
    one = GaussianDiffusion(linear_schedule(1, 0.5, 0.5))
    with pytest.raises(InputError, match="that of the only step is 0"):
        likelihood_bound(Gaussian(one, np.zeros(1), 1.0).predict, one, x, Noise(0), variance="beta_tilde")
    assert np.isfinite(likelihood_bound(Gaussian(one, np.zeros(1), 1.0).predict, one, x, Noise(0)).nats).all()
