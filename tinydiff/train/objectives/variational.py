"""Variational: the evidence lower bound of a variational autoencoder with a normal decoder."""

import math
from dataclasses import dataclass
from typing import Any

from tinydiff.base import Array, InputError, Noise, check_count, check_shape, checked, checks_arguments, xp_of
from tinydiff.functional import kl_to_standard_normal, kl_to_standard_normal_backward, mse, mse_backward
from tinydiff.networks import VAE
from tinydiff.nn import Gradients, Tape
from tinydiff.train.config import ValidatedConfig
from tinydiff.train.dequantise import MOST_LEVELS, bits_per_number
from tinydiff.train.of_data import OfData

LOG_2_PI = math.log(2 * math.pi)
MOST_SAMPLES = 2**16


@checks_arguments("__init__")
@dataclass(frozen=True)
class VariationalConfig(ValidatedConfig):
    """How a variational autoencoder is trained: the settings of every validated run (`ValidatedConfig`), and two more.

    Parameters
    ----------
    levels : int or None
        How many shades of grey the pictures have: they are dequantised, and bounds on held-out ones are also told in
        bits. None for points, and other data that are real numbers already.
    importance_samples : int
        Samples of z for each held-out picture in the importance-weighted bound; 1 is the bound that is trained.
    """

    levels: int | None = None
    importance_samples: int = 50

    def __post_init__(self):
        super().__post_init__()
        check_count("importance_samples", self.importance_samples, most=MOST_SAMPLES)
        if self.levels is not None:
            check_count("levels", self.levels, least=2, most=MOST_LEVELS)


@checks_arguments("__init__")
class Variational(OfData):
    """The evidence lower bound, negated, in nats for each number of a picture (Eq. VAE-8).

    ``-log p(x)`` is at most ``E_q[-log p(x | z)] + KL(q(z | x) || p(z))``. The decoder is normal, with one deviation
    for all pixels, which is learned; the divergence of two normal distributions is a formula; and z is a smooth
    function of the encoder's mean and log variance, so that the gradient goes through the sample (Eq. VAE-1).

    Parameters
    ----------
    network : VAE
        Trained in place.
    data : Dataset, or anything with its length, `batch()` and `name`
    config : VariationalConfig
    validation : as data, or None
        Held-out data.

    Source: Kingma and Welling 2014 (arXiv 1312.6114), Eq. 7 and 10; the learned deviation: Rybkin et al. 2021 (arXiv
    2006.13202).
    """

    config: VariationalConfig

    def __init__(self, network: VAE, data: Any, config: VariationalConfig, validation: Any = None):
        super().__init__(network, data, config, validation)

    def add_gradient(self, step: int, shard: int, grads: Gradients) -> Array:
        """Add one micro-batch's part of the gradient to `grads`; return its part of the loss (Eq. VAE-8)."""
        x, noise, share = self.drawn(step, shard)
        eps = noise.normal((len(x), self.network.latent), "eps", dtype=x.dtype)
        tape = Tape()
        x_hat, mean, log_variance = self.network.forward(x, eps, tape)
        squares, squares_cache = mse(x_hat, x)
        kl, kl_cache = kl_to_standard_normal(mean, log_variance)
        log_sigma = self.network.log_sigma.value[0]
        precision = xp_of(x).exp(-2 * log_sigma)
        weight = self.network.latent / math.prod(x.shape[1:])  # both losses are means, the bound is a sum

        d_x_hat, _ = mse_backward(share * 0.5 * precision, squares_cache)
        d_mean, d_log_variance = kl_to_standard_normal_backward(share * weight, kl_cache)
        self.network.backward(d_x_hat, d_mean, d_log_variance, tape, grads)
        grads.add(self.network.log_sigma, (share * (1 - precision * squares)).reshape(1))
        return share * (0.5 * precision * squares + log_sigma + 0.5 * LOG_2_PI + weight * kl)

    def validate(self, *networks: Any) -> dict[str, float]:
        """Return bounds on -log p of held-out pictures, in nats for each number; with levels, also in bits.

        ``validation_loss`` is the bound that is trained, with one z for each picture; ``nats`` the importance-weighted
        one, which is tighter.
        """
        if self.validation is None:
            return {}
        (network,), (x, noise), numbers = networks, self.held_out(), math.prod(self.network.config.shape)
        bound, tighter = (
            -float(importance_bound(network, x, noise, samples).mean()) / numbers
            for samples in (1, self.config.importance_samples)
        )
        found = {"validation_loss": bound, "nats": tighter}
        if self.config.levels is not None:
            found["bits"] = float(bits_per_number(tighter, self.config.levels))
        return found


@checked()
def importance_bound(network: VAE, x: Array, noise: Noise, samples: int = 50) -> Array:
    """Return a lower bound on log p(x) in nats, shape (N,), by importance sampling (Eq. VAE-9).

    ``log mean_k p(x | z_k) p(z_k) / q(z_k | x)``, z_k drawn from the encoder's q. With one sample it is the evidence
    lower bound, with one z in the place of its mean; with more it rises, in expectation, towards log p(x).

    Parameters
    ----------
    network : VAE
    x : array, shape (N, H, W, C)
    noise : Noise
    samples : int
        How many z are drawn for each picture.

    Raises
    ------
    InputError
        If the pictures have another shape than the network's.

    Source: Burda, Grosse, Salakhutdinov 2016 (arXiv 1509.00519), Eq. 8.
    """
    check_count("samples", samples, most=MOST_SAMPLES)
    check_shape("x", x, (None, *network.config.shape))
    if not len(x):
        raise InputError("x holds no pictures, but the likelihood of at least one was asked for.")
    xp = xp_of(x)
    mean, log_variance = network.encode(x)
    log_sigma, weights = network.log_sigma.value[0], []
    for sample in range(samples):
        eps = noise.at(step=sample).normal(mean.shape, "importance eps", dtype=x.dtype)
        z = mean + xp.exp(0.5 * log_variance) * eps
        away = ((x - network.decode(z)) * xp.exp(-log_sigma)).reshape(len(x), -1)
        log_likelihood = -0.5 * (away * away + LOG_2_PI).sum(axis=1) - away.shape[1] * log_sigma
        # log p(z) - log q(z | x): the constants of both normal densities cancel
        weights.append(log_likelihood + 0.5 * (eps * eps - z * z + log_variance).sum(axis=1))
    table = xp.stack(weights)
    largest = table.max(axis=0)
    return largest + xp.log(xp.exp(table - largest).mean(axis=0))
