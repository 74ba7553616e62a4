"""A learned variance: its range, the loss that teaches it, and where it is known what it should be.

Seeds are fixed; where a test draws, it says how often it would fail by chance.
"""

import numpy as np
import pytest
from arrays import to_host, to_xp
from diffusions import COSINE, LINEAR, Constant, normal

from tinydiff.base import InputError, Noise
from tinydiff.diffusion import (
    SAMPLERS,
    Gaussian,
    GaussianDiffusion,
    GaussianPath,
    autoguidance,
    best_variance,
    bounded,
    classifier_free_guidance,
    classifier_guidance,
    cosine_schedule,
    ddim,
    ddpm,
    last,
    learned_log_variance,
    log_variance_range,
    predictor,
    step_term,
    variance_loss,
)
from tinydiff.diffusion.editing import keep_known
from tinydiff.diffusion.prediction import Prediction

SHORT = GaussianDiffusion(cosine_schedule(6, max_beta=0.9))
STEPS = [(100, 75), (75, 40), (40, 12), (12, 1), (7.5, 2.25)]


def betas(diffusion, t, s):
    """Return beta and beta-tilde of the step from t to s, by hand, for data of DDPM's path."""
    alpha_bar_t, alpha_bar_s = diffusion.alpha_bar_at(t), diffusion.alpha_bar_at(s)
    beta = 1 - alpha_bar_t / alpha_bar_s
    return beta, (1 - alpha_bar_s) / (1 - alpha_bar_t) * beta


def says(share, scale=0.5):
    """Return a prediction that says a variance."""

    def predict(x_t, t, context=None):
        return Prediction(scale * x_t, x_t, np.full_like(x_t, share))

    return predict


@pytest.mark.pitfall(3)
@pytest.mark.equation("IDDPM-15")
def test_pitfall_3_the_ends_of_the_range_are_beta_and_beta_tilde_of_the_step_that_is_taken():
    """Also where steps are left out; and between the ends it is the logarithm that is linear."""
    for t, s in STEPS:
        beta, beta_tilde = betas(COSINE, t, s)
        for share, expected in ((1, beta), (-1, beta_tilde), (0, (beta * beta_tilde) ** 0.5)):
            said = np.full((2, 3), float(share))
            found = learned_log_variance(COSINE, said, np.array([t, t], float), np.array([s, s], float))
            np.testing.assert_allclose(found, np.log(expected), rtol=1e-12)
            np.testing.assert_allclose(learned_log_variance(COSINE, said, t, s), found, rtol=1e-12)
    of_all_steps, _ = betas(COSINE, 75, 74)
    assert betas(COSINE, 75, 40)[0] > 10 * of_all_steps  # the test would notice the betas of all steps


@pytest.mark.pitfall(3)
@pytest.mark.equation("IDDPM-15")
def test_pitfall_3_the_sampler_takes_the_variance_of_its_own_steps():
    """The noise is 1 in every step, so the difference to a chain without noise shows sigma."""
    x_T, steps = normal(3, 2), [100, 60, 20]
    for share, which in ((1, 0), (-1, 1)):
        chains = [list(ddpm(says(share), COSINE, x_T, steps, noise=Constant(value))) for value in (0.0, 1.0)]
        (_, silent, _), (_, noisy, _) = (chain[0] for chain in chains)
        np.testing.assert_allclose((noisy - silent) ** 2, betas(COSINE, 100, 60)[which], rtol=1e-12)
    for name, share in (("beta", 1.0), ("beta_tilde", -1.0)):
        fixed = last(ddpm(says(0.3), COSINE, x_T, steps, name, Noise(0)))
        np.testing.assert_allclose(last(ddpm(says(share), COSINE, x_T, steps, noise=Noise(0))), fixed, rtol=1e-12)
        np.testing.assert_allclose(last(ddpm(says(share), COSINE, x_T, steps, "learned", Noise(0))), fixed, rtol=1e-12)


@pytest.mark.equation("IDDPM-15")
def test_the_last_step_has_the_smaller_variance_of_the_one_before():
    """As in the authors' code, whose first log beta-tilde is that of the second step."""
    low, high = log_variance_range(LINEAR, np.array([1, 2]))
    assert low[0] == pytest.approx(np.log(betas(LINEAR, 2, 1)[1]), rel=1e-9)
    assert low[0] == low[1]
    assert high[0] == pytest.approx(np.log(1 - LINEAR.alpha_bar[1]), rel=1e-9)
    assert (low < high).all()
    low, high = log_variance_range(LINEAR, 1000, 0)  # a chain of one step
    assert low == high
    low, _ = log_variance_range(COSINE, 20.0, 0)
    assert low == pytest.approx(np.log(betas(COSINE, 40, 20)[1]), rel=1e-12)


def test_the_range_on_other_paths_is_in_the_units_of_x_s():
    for name in ("straight", "ve", "sub-vp"):
        path = GaussianPath(cosine_schedule(100, max_beta=0.99), name)
        vp = GaussianDiffusion(path.alpha_bar)
        for mine, its in zip(log_variance_range(path, 60, 30), log_variance_range(vp, 60, 30), strict=True):
            assert mine - 2 * np.log(path.scale_at(30)) == pytest.approx(its, rel=1e-12)


@pytest.mark.equation("ADPM-1")
@pytest.mark.parametrize("variances", [[1.0, 1.0], [0.5, 2.0], [1e-6, 0.1]])
def test_the_best_variance_is_that_of_the_true_step_back(variances):
    """Of Gaussian data the step back is Gaussian; its variance by Bayes' rule, from q(x_s) and q(x_t | x_s)."""
    data = Gaussian(COSINE, np.zeros(2), np.array(variances))
    for t, s in STEPS:
        alpha_bar_t, alpha_bar_s = COSINE.alpha_bar_at(t), COSINE.alpha_bar_at(s)
        prior = alpha_bar_s * data.variances + 1 - alpha_bar_s  # of x_s
        keep, add = alpha_bar_t / alpha_bar_s, 1 - alpha_bar_t / alpha_bar_s
        expected = 1 / (1 / prior + keep / add)
        left = data.variances * (1 - alpha_bar_t) / (alpha_bar_t * data.variances + 1 - alpha_bar_t)  # of x_0 given x_t
        found = [best_variance(COSINE, float(one), t, s) for one in left]
        np.testing.assert_allclose(found, expected, rtol=1e-9)
    beta, beta_tilde = betas(COSINE, 60, 30)
    best = best_variance(COSINE, float(1 - COSINE.alpha_bar_at(60)), 60, 30)
    assert best == pytest.approx(beta, rel=1e-9)  # of standard normal data
    assert best_variance(COSINE, 1e-300, 60, 30) == pytest.approx(beta_tilde)  # of a single point


def share_of(diffusion, variance, t, s):
    """Return what a network must say for this variance: Eq. IDDPM-15 solved for the share."""
    low, high = log_variance_range(diffusion, t, s)
    return (2 * np.log(variance) - low - high) / (high - low)


@pytest.mark.equation("ADPM-1")
@pytest.mark.equation("IDDPM-15")
@pytest.mark.parametrize("N", [2, 3, 7])
def test_with_the_best_variance_few_steps_draw_gaussian_data_exactly(N):
    """Each step back is then the true one, so that every x_s has its marginal; beta and beta-tilde miss it.

    The chain is linear, so its variance follows from impulses: x_T, and the noise of each step, one at a time.
    """
    S = np.array([0.05, 0.6])
    data, steps = Gaussian(COSINE, np.zeros(2), S), [float(t) for t in np.linspace(100, 100 / N, N)]
    end = 4.0
    following = dict(zip(steps, [*steps[1:], end], strict=True))

    def predict(x_t, t, context=None):
        x_0_hat, eps_hat = data.predict(x_t, t)
        alpha_bar = COSINE.alpha_bar_at(t[0])
        left = S * (1 - alpha_bar) / (alpha_bar * S + 1 - alpha_bar)
        t, s = float(t[0]), following[t[0]]
        share = share_of(COSINE, np.array([best_variance(COSINE, float(one), t, s) for one in left]), t, s)
        return Prediction(x_0_hat, eps_hat, np.broadcast_to(share, x_t.shape))

    class Impulse(Constant):
        def __init__(self, step, at_step=None):
            self.step, self.at_step = step, at_step

        def at(self, step, xp):
            return Impulse(self.step, step)

        def normal(self, shape, purpose, layer="", dtype=np.float64):
            return np.full(shape, float(self.step == self.at_step))

    def variance(how):
        start = COSINE.alpha_bar_at(100.0) * S + 1 - COSINE.alpha_bar_at(100.0)
        of_start = last(ddpm(predict, COSINE, np.ones((1, 2)), steps, how, Constant(0.0), end=end))
        of_noise = [last(ddpm(predict, COSINE, np.zeros((1, 2)), steps, how, Impulse(k), end=end)) for k in range(N)]
        return (start * of_start**2 + sum(response**2 for response in of_noise))[0]

    true = COSINE.alpha_bar_at(end) * S + 1 - COSINE.alpha_bar_at(end)
    np.testing.assert_allclose(variance("learned"), true, rtol=1e-9)
    assert (abs(variance("beta") / true - 1) > 0.02).all()
    assert (abs(variance("beta_tilde") / true - 1) > 0.02).all()


@pytest.mark.equation("IDDPM-16")
@pytest.mark.parametrize("path", ["vp", "straight"])
def test_the_gradient_of_the_bound_in_the_share_is_that_of_differences(path):
    diffusion = GaussianPath(cosine_schedule(100), path)
    t, h = np.array([1, 2, 9, 50, 100]), 1e-6
    x_0, x_0_hat, share = normal(5, 3), normal(5, 3, seed=1), normal(5, 3, seed=2)
    _, d_share = variance_loss(diffusion, x_0, x_0_hat, t, share)
    above, below = (variance_loss(diffusion, x_0, x_0_hat, t, share + sign * h)[0] for sign in (1, -1))
    np.testing.assert_allclose(d_share, (above - below) / (2 * h), rtol=1e-6, atol=1e-7)


@pytest.mark.equation("IDDPM-16")
@pytest.mark.equation("DDPM-5")
def test_the_loss_is_the_divergence_of_two_normal_steps():
    """Integrated on a grid; and where all say beta, it is the term of the bound as it was before."""
    x_0, x_0_hat, share, x_t = (normal(1, 1, seed=seed) for seed in range(4))
    z = np.linspace(-8, 8, 200_001)
    for t in (2, 30, 100):
        (loss,), _ = variance_loss(COSINE, x_0, x_0_hat, np.array([t]), share)
        _, of_point = betas(COSINE, t, t - 1)
        mean = COSINE.posterior_mean(x_0, x_t, t)[0, 0]
        guess = COSINE.posterior_mean(x_0_hat, x_t, t)[0, 0]
        variance = np.exp(learned_log_variance(COSINE, share, t)[0, 0])
        x = mean + of_point**0.5 * z
        log_q = -0.5 * z**2 - 0.5 * np.log(2 * np.pi * of_point)
        log_p = -0.5 * (x - guess) ** 2 / variance - 0.5 * np.log(2 * np.pi * variance)
        divergence = np.trapezoid(np.exp(log_q) * (log_q - log_p), x)
        assert loss[0] == pytest.approx(divergence, rel=1e-6)
    x_0, eps = normal(4, 3), normal(4, 3, seed=1)
    for t in (1, 2, 40):
        without = step_term(lambda x_t, t, context: (0.3 * x_t, x_t), COSINE, x_0, t, eps)
        np.testing.assert_allclose(step_term(says(1, 0.3), COSINE, x_0, t, eps), without, rtol=1e-9)


@pytest.mark.equation("IDDPM-16")
@pytest.mark.equation("ADPM-1")
def test_a_learned_variance_becomes_the_best_one():
    """A share for each step and number, moved along its gradient on Gaussian data with the exact mean.

    The mean of the gradient over eps and x_0 is taken exactly, by Gauss' rule; so nothing is left to chance.
    """
    S = np.array([0.02, 0.3, 3.0])
    data = Gaussian(SHORT, np.zeros(3), S)
    nodes, weights = np.polynomial.hermite_e.hermegauss(6)
    first, second = (grid.ravel() for grid in np.meshgrid(nodes, nodes))
    probability = np.outer(weights, weights).ravel()[:, None] / (2 * np.pi)
    x_0, eps = first[:, None] * S**0.5, np.repeat(second[:, None], 3, axis=1)
    for t in range(2, SHORT.T + 1):
        times = np.full(len(x_0), t)
        x_0_hat, _ = data.predict(SHORT.q_sample(x_0, times, eps), times)
        share = np.zeros(3)
        low, high = log_variance_range(SHORT, t)
        for _ in range(400):
            _, d_share = variance_loss(SHORT, x_0, x_0_hat, times, np.broadcast_to(share, x_0.shape))
            share = share - 4 / (high - low) ** 2 * (probability * d_share).sum(axis=0)
        alpha_bar = SHORT.alpha_bar_at(t)
        left = S * (1 - alpha_bar) / (alpha_bar * S + 1 - alpha_bar)
        found = np.exp(learned_log_variance(SHORT, share[None], t))[0]
        np.testing.assert_allclose(found, [best_variance(SHORT, float(one), t) for one in left], rtol=1e-6)


@pytest.mark.parametrize("name", sorted(set(SAMPLERS) - {"ddpm"}))
def test_samplers_that_take_no_variance_draw_as_if_none_were_said(name):
    chosen, x_T = SAMPLERS[name], normal(2, 2)
    plain, with_share = (
        last(chosen(predict, COSINE, x_T, 4, Noise(0)))
        for predict in (lambda x_t, t, context=None: (0.5 * x_t, x_t), says(0.7))
    )
    np.testing.assert_array_equal(plain, with_share)


def test_guidance_and_bounds_move_the_mean_and_keep_the_conditional_variance():
    x_t, t = normal(3, 2, 2, 1), np.full(3, 50.0)

    def predict(x_t, t, context=None):
        """The share tells the rows with the condition, 1, from those without, 0."""
        share = np.zeros_like(x_t) if context is None else np.broadcast_to(context[:, None, None, None], x_t.shape)
        return Prediction(0.5 * x_t, x_t, share.astype(x_t.dtype))

    condition, nothing = np.ones(3), np.zeros(1)
    for rescale in (0.0, 0.7):
        guided = classifier_free_guidance(predict, COSINE, nothing, 3.0, rescale=rescale)(x_t, t, condition)
        np.testing.assert_array_equal(guided.share, 1)
    for guided in (
        autoguidance(predict, says(0.2), 2.0)(x_t, t, condition),
        bounded(predict, COSINE)(x_t, t, condition),
        bounded(predict, COSINE, "dynamic")(x_t, t, condition),
        keep_known(predict, COSINE, x_t, np.ones((1, 2, 2, 1)))(x_t, t, condition),
    ):
        np.testing.assert_array_equal(guided.share, 1)
    pushed = classifier_guidance(predict, COSINE, lambda x_t, t, context: x_t, 2.0)(x_t, t, condition)
    np.testing.assert_array_equal(pushed.share, 0)  # the network is told nothing there
    assert not hasattr(bounded(lambda x_t, t, context: (x_t, x_t), COSINE)(x_t, t), "share")


def test_a_network_of_twice_the_channels_is_cut_in_halves(xp):
    x_t, t = to_xp(xp, normal(2, 3, 3, 2).astype(np.float32)), to_xp(xp, np.array([3.0, 40.0]))

    def network(x_t, t, context):
        return xp.concatenate([0.1 * x_t, 0.7 + 0 * x_t], axis=-1)

    found = predictor(network, COSINE, "v", learned_variance=True)(x_t, t)
    plain = predictor(lambda x_t, t, context: 0.1 * x_t, COSINE, "v")(x_t, t)
    for mine, its in zip(found, plain, strict=True):
        np.testing.assert_array_equal(to_host(mine), to_host(its))
    np.testing.assert_array_equal(to_host(found.share), np.float32(0.7))
    log_variance = learned_log_variance(COSINE, found.share, t, t - 1)
    assert log_variance.dtype == np.float32
    with pytest.raises(InputError, match="network_output has shape"):
        predictor(lambda x_t, t, context: x_t[..., :1], COSINE, "v", learned_variance=True)(x_t, t)


def test_what_cannot_be_is_refused():
    x = normal(2, 2)
    with pytest.raises(InputError, match="variance is 'learned', but predict says none"):
        last(ddpm(lambda x_t, t, context: (x_t, x_t), COSINE, x, 5, "learned", Noise(0)))
    with pytest.raises(InputError, match="share"):
        last(ddpm(lambda x_t, t, context: Prediction(x_t, x_t, x_t[:1]), COSINE, x, 5, noise=Noise(0)))
    with pytest.raises(InputError, match="t is"):
        best_variance(COSINE, 0.1, np.array([3.0]))
    with pytest.raises(InputError, match="squared_error is -1"):
        best_variance(COSINE, -1.0, 3)
    assert last(ddim(says(0.2), COSINE, x, 5)).shape == x.shape
