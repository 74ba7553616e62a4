"""The code of a variational autoencoder: samples that have a gradient, and the divergence from N(0, 1)."""

import math

import numpy as np
import pytest
from pairs import assert_refuses_dy, assert_right, assert_same_on, assert_wrong, random

from tinydiff.base import InputError
from tinydiff.diffusion.likelihood import normal_kl
from tinydiff.functional import (
    kl_to_standard_normal,
    kl_to_standard_normal_backward,
    reparameterise,
    reparameterise_backward,
)

MEAN, LOG_VARIANCE, EPS = random(2, 3, 4), random(2, 3, 4, seed=1), random(2, 3, 4, seed=2)


@pytest.mark.equation("VAE-1")
@pytest.mark.equation("VAE-2")
def test_a_sample_is_the_mean_plus_so_many_standard_deviations(xp):
    z, _ = reparameterise(MEAN, LOG_VARIANCE, EPS)
    for i in np.ndindex(MEAN.shape):
        assert z[i] == pytest.approx(MEAN[i] + math.sqrt(math.exp(LOG_VARIANCE[i])) * EPS[i], rel=1e-12)
    assert_right(reparameterise, reparameterise_backward, (MEAN, LOG_VARIANCE, EPS))
    assert_same_on(xp, reparameterise, reparameterise_backward, (MEAN, LOG_VARIANCE, EPS))
    assert_refuses_dy(reparameterise, reparameterise_backward, (MEAN, LOG_VARIANCE, EPS), (2, 3), (2, 3, 1))


def test_samples_have_the_moments_that_they_should():
    """Of n samples of N(m, v), the mean is off by sqrt(v / n), the variance by v sqrt(2 / n).

    All four bounds are 4.5 such deviations: with another seed, right code fails once in 37,000 runs.
    """
    n, eps = 100_000, random(100_000, seed=3)
    for mean, variance in [(0.5, 4.0), (-3.0, 0.01)]:
        z, _ = reparameterise(np.full(n, mean), np.full(n, math.log(variance)), eps)
        assert abs(z.mean() - mean) < 4.5 * math.sqrt(variance / n)
        assert abs(z.var() - variance) < 4.5 * variance * math.sqrt(2 / n)


def test_at_eps_0_the_sample_is_the_mean_and_the_variance_gets_no_gradient():
    z, cache = reparameterise(MEAN, LOG_VARIANCE, 0 * EPS)
    np.testing.assert_array_equal(z, MEAN)
    d_mean, d_log_variance, _ = reparameterise_backward(EPS, cache)
    np.testing.assert_array_equal(d_mean, EPS)
    assert not d_log_variance.any()
    assert not np.shares_memory(d_mean, EPS)  # who receives it may add into it


@pytest.mark.equation("VAE-3")
@pytest.mark.equation("VAE-4")
def test_the_divergence_is_that_of_two_bells(xp):
    loss, _ = kl_to_standard_normal(MEAN, LOG_VARIANCE)
    expected = [normal_kl(MEAN[i], math.exp(LOG_VARIANCE[i]), 0.0, 1.0) for i in np.ndindex(MEAN.shape)]
    assert float(loss) == pytest.approx(sum(map(float, expected)) / MEAN.size, rel=1e-12)
    assert_right(kl_to_standard_normal, kl_to_standard_normal_backward, (MEAN, LOG_VARIANCE))
    assert_same_on(xp, kl_to_standard_normal, kl_to_standard_normal_backward, (MEAN, LOG_VARIANCE))


@pytest.mark.parametrize(("mean", "log_variance"), [(0.0, 0.0), (1.5, 0.3), (-0.2, -4.0), (0.1, 1.0)])
def test_the_divergence_is_its_integral(mean, log_variance):
    """The mean of log p - log q under p, by the midpoint rule over 20 standard deviations."""
    sigma = math.exp(log_variance / 2)
    x = mean + sigma * (np.arange(20_000) + 0.5 - 10_000) / 1000
    log_p = -0.5 * ((x - mean) / sigma) ** 2 - math.log(sigma)
    log_q = -0.5 * x * x
    integral = (np.exp(log_p) * (log_p - log_q)).sum() * sigma / 1000 / math.sqrt(2 * math.pi)
    loss, _ = kl_to_standard_normal(np.array([mean]), np.array([log_variance]))
    assert float(loss) == pytest.approx(integral, rel=1e-8, abs=1e-12)


def test_only_a_standard_normal_costs_nothing_and_the_mean_is_over_all_numbers():
    zero = np.zeros((2, 3))
    loss, cache = kl_to_standard_normal(zero, zero)
    assert float(loss) == 0
    assert not any(d.any() for d in kl_to_standard_normal_backward(1.0, cache))
    one = zero.copy()
    one[0, 0] = 1
    assert float(kl_to_standard_normal(one, zero)[0]) == pytest.approx(0.5 / 6)
    tiny = np.array([1e-9])  # of which exp(..) - 1 would keep 7 digits, and its square none
    assert float(kl_to_standard_normal(0 * tiny, tiny)[0]) >= 0


def forgets_the_noise(dy, cache):
    d_mean, d_log_variance, d_eps = reparameterise_backward(dy, cache)
    return d_mean, d_log_variance / cache.eps, d_eps


def of_sigma_instead_of_log_variance(dy, cache):
    d_mean, d_log_variance, d_eps = reparameterise_backward(dy, cache)
    return d_mean, 2 * d_log_variance, d_eps


def sums_instead_of_means(d_loss, cache):
    return tuple(cache.mean.size * d for d in kl_to_standard_normal_backward(d_loss, cache))


def test_wrong_backwards_are_caught():
    args = (MEAN, LOG_VARIANCE, EPS)
    assert_wrong(reparameterise, forgets_the_noise, args, "WRONG")
    assert_wrong(reparameterise, of_sigma_instead_of_log_variance, args, "a factor: it is 2 times")
    assert_wrong(kl_to_standard_normal, sums_instead_of_means, args[:2], "a factor: it is 24 times")


def test_bad_inputs_are_one_clear_sentence():
    for call, words in [
        (lambda: reparameterise(MEAN, LOG_VARIANCE[..., :1], EPS), r"log_variance has shape \(2, 3, 1\)"),
        (lambda: reparameterise(MEAN, LOG_VARIANCE, EPS[0]), r"eps has shape \(3, 4\)"),
        (lambda: reparameterise(MEAN, LOG_VARIANCE.astype("f4"), EPS), "different dtypes"),
        (lambda: kl_to_standard_normal(MEAN, LOG_VARIANCE[:1]), r"log_variance has shape \(1, 3, 4\)"),
        (lambda: kl_to_standard_normal(MEAN[:0], MEAN[:0]), "mean of no numbers"),
    ]:
        with pytest.raises(InputError, match=words):
            call()
