"""The bound on the likelihood of whole batches: all of its terms, or a few drawn from strata; and a tighter bound.

The terms are those of `likelihood.py`, with a time for each sample. Data may be real numbers, which have a density, or
discrete levels of grey, which have probabilities: then the last step is DDPM's decoder, a normal density that is summed
up over each level (Eq. DDPM-13), and the bound is one of bits that a file would need.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from tinydiff.base import (
    Array,
    InputError,
    Noise,
    TrainingError,
    check_choice,
    check_count,
    check_positive,
    checked,
    log_normal_cdf,
    xp_of,
)
from tinydiff.diffusion.alpha_bar import is_on_host
from tinydiff.diffusion.checks import check_match
from tinydiff.diffusion.likelihood import prior_term
from tinydiff.diffusion.process import GaussianDiffusion
from tinydiff.diffusion.targets import Predict
from tinydiff.diffusion.times import per_sample

MOST_LOG_SNR = 20.0  # beyond, either way, a step's fall of the log-SNR says nothing of its price
MOST_CHAINS = 100_000
ON_A_LEVEL = 0.01  # how far a number may be from its level, in widths: float32 rounds them


class Bound(NamedTuple):
    """An upper bound on -log p(x_0), in its parts, each an array of N numbers in nats, float64.

    Parameters
    ----------
    prior : array
        The price of starting from pure noise.
    steps : array
        That of all steps from T to 1.
    data : array
        That of the data themselves, given x_1. For real numbers it is -log of a density, and may be below 0.
    size : int
        How many numbers a sample has.
    """

    prior: Array
    steps: Array
    data: Array
    size: int

    @property
    def nats(self) -> Array:
        """The whole bound, (N,)."""
        return self.prior + self.steps + self.data

    @property
    def bits(self) -> Array:
        """The whole bound in bits for each number of a sample, (N,)."""
        return bits_per_dimension(self.nats, self.size)


@checked()
def bits_per_dimension(nats: float | Array, size: int) -> float | Array:
    """Return nats for a whole sample as bits for each of its numbers, nats / (size log 2) (Eq. BPD-1)."""
    check_count("size", size)
    return nats / (size * math.log(2))


@checked()
def level_cost(x_0: Array, mean: Array, sigma: float, levels: int = 256) -> Array:
    """Return -log P(x_0) in nats, elementwise, by DDPM's decoder (Eq. DDPM-13).

    The levels are spread evenly over [-1, 1]. Each gets what a normal density with this mean and sigma holds between
    the middles to its neighbours; the two at the ends get the tails too. So the probabilities of all levels add to 1.

    Parameters
    ----------
    x_0, mean : arrays of one shape
        `x_0` holds levels, as numbers from -1 to 1.
    sigma : float
        Above 0. With 0.01, as DDPM has it, a level at the mean costs 1.71 bits: that is what remains to be paid by a
        model that knows every pixel.
    levels : int
        At least 2.

    Returns
    -------
    float64 array.

    Raises
    ------
    InputError
        If sigma is not above 0, or, on the host, a number of x_0 is no level.

    References
    ----------
    Ho, Jain, Abbeel, "Denoising diffusion probabilistic models", NeurIPS 2020, Eq. 13.
    """
    check_match(x_0=x_0, mean=mean)
    check_positive("sigma", sigma)
    check_count("levels", levels, least=2)
    xp, half = xp_of(x_0), 1 / (levels - 1)
    x_0, mean = x_0.astype(np.float64), mean.astype(np.float64)
    _check_levels(x_0, levels)
    # the density is symmetric: measure from the mean to the side on which x_0 lies, where the logarithms are exact
    distance = xp.abs(x_0 - mean)
    near, far = log_normal_cdf((half - distance) / sigma), log_normal_cdf((-half - distance) / sigma)
    inside = near + xp.log1p(-xp.exp(far - near))
    lowest = log_normal_cdf((x_0 + half - mean) / sigma)
    highest = log_normal_cdf((mean - x_0 + half) / sigma)
    return -xp.where(x_0 < half - 1, lowest, xp.where(x_0 > 1 - half, highest, inside))


@checked()
def likelihood_bound(
    predict: Predict,
    diffusion: GaussianDiffusion,
    x_0: Array,
    noise: Noise,
    context: Any = None,
    strata: int | None = None,
    levels: int | None = None,
    variance: str = "beta",
) -> Bound:
    """Return the evidence lower bound as a price: at least -log p(x_0), in expectation over the noise (Eq. ELBO-1).

    With `strata` the steps from T to 2 are not all computed. They are cut into strata, one step is drawn from each, and
    its price stands for the others', divided by the probability that it was drawn. So the sum is right in expectation,
    and varies much less than with steps drawn anywhere. Half of the probability is spread evenly over the steps, half
    as the log signal-to-noise ratio falls: for in units of that, a step costs half the squared error of the noise,
    which is between 0 and 1 for each number, wherever the step is. The price of the start is exact, and that of the
    data, which is the largest, is always computed.

    Parameters
    ----------
    predict : callable
        ``predict(x_t, t, context) -> (x_0_hat, eps_hat)``, t an array of shape (N,).
    diffusion : GaussianDiffusion
    x_0 : array, shape (N, ...)
    noise : Noise
        Each term of each sample has its own.
    context : array, shape (N, ...), or None
        Passed on to predict.
    strata : int or None
        How many steps are drawn for each sample, 1 to T - 1; None computes all.
    levels : int or None
        256 for pixels, whose probabilities are then bounded; None for real numbers, which have a density.
    variance : str
        Of the model's steps: ``"beta"`` or ``"beta_tilde"``, as for `ddpm`. With beta-tilde, the last step has that of
        the one before it, since its own is 0.

    Raises
    ------
    InputError
        If the number of strata, the levels or the variance is none of these.
    TrainingError
        If the prediction is not finite.

    References
    ----------
    Ho, Jain, Abbeel (2020), Eq. 5 and 13; Kingma, Salimans, Poole, Ho, "Variational diffusion models" (2021).
    """
    _check(diffusion, x_0, variance)
    prior = prior_term(diffusion, x_0.astype(np.float64))
    steps = 0 * prior
    for k, (t, share) in enumerate(_drawn_steps(diffusion, len(x_0), noise, strata)):
        eps = _normal(noise, x_0, "bound", k)
        steps = steps + _step_price(predict, diffusion, x_0, t, eps, context, variance) / share
    x_1 = diffusion.q_sample(x_0, 1, _normal(noise, x_0, "bound, last"))
    data = _data_price(predict, diffusion, x_0, x_1, context, levels, variance)
    return Bound(prior, steps, data, math.prod(x_0.shape[1:]))


@checked()
def importance_weighted_bound(
    predict: Predict,
    diffusion: GaussianDiffusion,
    x_0: Array,
    noise: Noise,
    chains: int = 16,
    context: Any = None,
    levels: int | None = None,
    variance: str = "beta",
) -> Array:
    """Return a tighter bound, -log of a mean over K chains of p(x_0 .. x_T) / q(x_1 .. x_T | x_0) (Eq. IWAE-1).

    The mean is p(x_0) in expectation, and the logarithm of a mean is at least the mean of logarithms. So in expectation
    the price is at least -log p(x_0), falls with the number of chains, and is the evidence lower bound's for one chain.
    It needs T calls of the model for each chain.

    Parameters
    ----------
    predict, diffusion, x_0, noise, context, levels, variance
        As for `likelihood_bound`.
    chains : int
        K.

    Returns
    -------
    float64 array, shape (N,), in nats.

    References
    ----------
    Burda, Grosse, Salakhutdinov, "Importance weighted autoencoders", ICLR 2016, Eq. 8.
    """
    check_count("chains", chains, most=MOST_CHAINS)
    _check(diffusion, x_0, variance)
    xp = xp_of(x_0)
    prices = xp.stack(
        [_chain_price(predict, diffusion, x_0, noise.at(step=k), context, levels, variance) for k in range(int(chains))]
    )
    least = prices.min(axis=0)
    return least - xp.log(xp.exp(least - prices).mean(axis=0))


def _chain_price(predict, diffusion, x_0, noise, context, levels, variance):
    """Return log q(x_1 .. x_T | x_0) - log p(x_0 .. x_T) of one chain drawn from q, (N,)."""
    T, b = diffusion.T, diffusion.scales(diffusion.T)[1]
    z = _normal(noise, x_0, "chain", T)
    x_t = diffusion.q_sample(x_0, T, z)
    price = _log_normal(z * b, b**2) - _log_normal(x_t, diffusion.scale_at(T) ** 2)
    for t in range(T, 1, -1):
        z = _normal(noise, x_0, "chain", t - 1)
        mean, beta_tilde = diffusion.posterior_mean(x_0, x_t, t), diffusion.posterior_variance(t)
        x_0_hat = _guess(predict, x_t, per_sample(t, x_t), context)
        of_model = diffusion.posterior_mean(x_0_hat, x_t, t)
        x_t = mean + beta_tilde**0.5 * z
        price = price + _log_normal(z * beta_tilde**0.5, beta_tilde)
        price = price - _log_normal(x_t - of_model, _variance(diffusion, t, variance))
    return price + _data_price(predict, diffusion, x_0, x_t, context, levels, variance)


def _drawn_steps(diffusion, n, noise, strata):
    """Yield (t, share): steps from T to 2, one per sample, and how often each is drawn in expectation."""
    T = diffusion.T
    if strata is None:
        for t in range(T, 1, -1):
            yield noise.xp.full(n, t), 1.0
        return
    check_count("strata", strata, most=max(T - 1, 1))
    if T == 1:
        return
    xp, probabilities = noise.xp, _probabilities(diffusion)
    table, edges = xp.asarray(probabilities), xp.asarray(np.cumsum(probabilities)[:-1])
    for k in range(int(strata)):
        u = (k + noise.at(step=k).uniform((n,), "stratum", dtype=np.float64)) / strata
        index = xp.searchsorted(edges, u, side="right")
        yield index + 2, strata * table[index]


def _probabilities(diffusion):
    """Return how probable each step 2 .. T is drawn: half evenly, half as the log signal-to-noise ratio falls."""
    alpha_bar = diffusion.alpha_bar[1:]
    with np.errstate(divide="ignore"):
        log_snr = np.clip(np.log(alpha_bar) - np.log1p(-alpha_bar), -MOST_LOG_SNR, MOST_LOG_SNR)
    fall = -np.diff(log_snr) + 1e-12
    return (fall / fall.sum() + 1 / len(fall)) / 2


def _step_price(predict, diffusion, x_0, t, eps, context, variance):
    """Return KL(q(x_{t-1} | x_t, x_0) || p(x_{t-1} | x_t)) at t > 1, an array of a step per sample, (N,)."""
    x_0_hat = _guess(predict, diffusion.q_sample(x_0, t, eps), t, context)
    xp = xp_of(x_0)
    one = xp.ones((len(x_0), 1))
    weight = diffusion.posterior_mean(one, 0 * one, t)[:, 0]  # by what the mean moves with x_0
    beta_tilde, of_model = diffusion.posterior_variance(t), _variance(diffusion, t, variance)
    change = (beta_tilde - of_model) / of_model
    constant = math.prod(x_0.shape[1:]) * (change - xp.log1p(change))
    return (constant + weight**2 * _sum_of_squares(x_0 - x_0_hat) / of_model) / 2


def _data_price(predict, diffusion, x_0, x_1, context, levels, variance):
    """Return -log p(x_0 | x_1), (N,): of levels a probability, of real numbers a density."""
    mean = diffusion.posterior_mean(_guess(predict, x_1, per_sample(1, x_1), context), x_1, 1)
    of_model = _variance(diffusion, 1, variance)
    if levels is None:
        return -_log_normal(x_0 - mean, of_model)
    return _rows(level_cost(x_0, mean, of_model**0.5, levels)).sum(axis=1)


def _variance(diffusion, t, variance):
    """Return the variance of the model's step from t to t - 1."""
    if variance == "beta":
        return diffusion.reverse_beta(t)
    return diffusion.posterior_variance(2 if not hasattr(t, "shape") and t == 1 else t)


def _guess(predict, x_t, t, context):
    """Return x_0_hat, once it is found to be finite."""
    x_0_hat, _ = predict(x_t, t, context)
    check_match(x_t=x_t, x_0_hat=x_0_hat)
    if not bool(xp_of(x_t).isfinite(x_0_hat).all()):
        raise TrainingError(
            "The model's prediction holds NaN or infinity, so it has no likelihood: its training diverged, or its "
            "weights are damaged. Use another checkpoint."
        )
    return x_0_hat


def _normal(noise, x, purpose, number=0):
    """Return standard normal numbers like x; each number of a term has its own."""
    return noise.normal(x.shape, purpose, layer=str(number), dtype=x.dtype)


def _log_normal(x, variance):
    """Return the log density of N(0, variance I) at x, (N,), float64."""
    size = math.prod(x.shape[1:])
    return -_sum_of_squares(x) / (2 * variance) - 0.5 * size * math.log(2 * math.pi * variance)


def _sum_of_squares(x):
    return (_rows(x).astype(np.float64) ** 2).sum(axis=1)


def _rows(x):
    return x.reshape(len(x), math.prod(x.shape[1:]))


def _check(diffusion, x_0, variance):
    check_match(x_0=x_0)
    check_choice("variance", variance, ("beta", "beta_tilde"))
    if not len(x_0):
        raise InputError("x_0 is empty, but at least one sample was expected.")
    if variance == "beta_tilde" and diffusion.T == 1:
        raise InputError("variance is 'beta_tilde', but that of the only step is 0: take 'beta'.")


def _check_levels(x_0, levels):
    """Raise `InputError`, on the host, unless all numbers are levels from -1 to 1."""
    if not is_on_host(x_0):
        return
    level = (x_0 + 1) * (levels - 1) / 2
    wrong = x_0[(abs(level - np.rint(level)) > ON_A_LEVEL) | (level < -ON_A_LEVEL) | (level > levels - 1 + ON_A_LEVEL)]
    if wrong.size or not np.isfinite(x_0).all():
        value = wrong[0] if wrong.size else np.nan
        raise InputError(
            f"x_0 has the value {value:g}, which is none of the {levels} levels from -1 to 1: give whole levels, or "
            "leave levels out for real numbers, which have a density."
        )
