"""The code of a variational autoencoder: a normal distribution for each number, drawn from and kept near N(0, 1)."""

from collections import namedtuple

from tinydiff.base import Array, check_shape, checked, xp_of
from tinydiff.functional.values import check_d_loss, check_posterior

ReparameteriseCache = namedtuple("ReparameteriseCache", "sigma eps")
KLToStandardNormalCache = namedtuple("KLToStandardNormalCache", "mean variance_less_1")


@checked("mean log_variance eps")
def reparameterise(mean: Array, log_variance: Array, eps: Array) -> tuple[Array, ReparameteriseCache]:
    """Return ``z = mean + exp(log_variance / 2) eps``, a sample of N(mean, exp(log_variance)) (Eq. VAE-1).

    Randomness comes in as an argument, so z is a differentiable function of mean and log_variance. A log_variance
    that a network gives should be clamped first, as `Autoencoder.encode` does: from 178 on float32 has no sigma.

    Parameters
    ----------
    mean, log_variance : arrays of one shape
    eps : array of the same shape
        Standard normal numbers.

    Returns
    -------
    z : array, shape of mean
    cache : ReparameteriseCache

    Source: Kingma and Welling 2014 (arXiv 1312.6114), section 2.4.
    """
    check_shape("log_variance", log_variance, mean.shape)
    check_shape("eps", eps, mean.shape)
    sigma = xp_of(mean).exp(0.5 * log_variance)
    return mean + sigma * eps, ReparameteriseCache(sigma, eps)


@checked("dy cache.sigma")
def reparameterise_backward(dy: Array, cache: ReparameteriseCache) -> tuple[Array, Array, Array]:
    """Return d_mean = dy, d_log_variance = dy sigma eps / 2, and d_eps = dy sigma (Eq. VAE-2).

    sigma = exp(log_variance / 2), whose derivative is sigma / 2.
    """
    sigma, eps = cache
    check_shape("dy", dy, sigma.shape)
    d_eps = dy * sigma
    return dy.copy(), 0.5 * d_eps * eps, d_eps


@checked("mean log_variance", check_posterior)
def kl_to_standard_normal(mean: Array, log_variance: Array) -> tuple[Array, KLToStandardNormalCache]:
    """Return KL(N(mean, exp(log_variance)) || N(0, 1)) in nats, the mean over all latent numbers (Eq. VAE-3).

    Papers and diffusers sum over the h w c latent numbers of an image: their number is h w c times this one.

    Parameters
    ----------
    mean, log_variance : arrays of one shape

    Returns
    -------
    loss : 0-d array
    cache : KLToStandardNormalCache

    Source: Kingma and Welling 2014 (arXiv 1312.6114), appendix B; Eq. KL-1 with the second bell the standard one.
    """
    check_shape("log_variance", log_variance, mean.shape)
    variance_less_1 = xp_of(mean).expm1(log_variance)  # exact near 0, where exp(..) - 1 would lose digits
    loss = 0.5 * (mean * mean + variance_less_1 - log_variance).mean()
    return loss, KLToStandardNormalCache(mean, variance_less_1)


@checked(check=check_d_loss)
def kl_to_standard_normal_backward(d_loss: float | Array, cache: KLToStandardNormalCache) -> tuple[Array, Array]:
    """Return d_mean = d_loss mean / n and d_log_variance = d_loss (variance - 1) / (2 n), n numbers (Eq. VAE-4)."""
    mean, variance_less_1 = cache
    share = d_loss * (1 / mean.size)
    return mean * share, variance_less_1 * (0.5 * share)
