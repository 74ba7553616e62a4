"""Adversarial losses: what a discriminator minimises, what a generator does against it, and how they are weighed."""

from collections import namedtuple

import numpy as np

from tinydiff.base import Array, check_shape, checked, xp_of
from tinydiff.functional.values import check_d_loss, check_fake, check_real_and_fake

HingeDiscriminatorCache = namedtuple("HingeDiscriminatorCache", "short_of_real short_of_fake")
HingeGeneratorCache = namedtuple("HingeGeneratorCache", "fake")

DELTA = 1e-6  # keeps the adaptive weight finite where the adversarial gradient is 0 (Esser et al. 2021, below eq. 7)
LARGEST_WEIGHT = 1e4  # as in the code of the paper


@checked("real fake", check_real_and_fake)
def hinge_discriminator(real: Array, fake: Array) -> tuple[Array, HingeDiscriminatorCache]:
    """Return the hinge loss of a discriminator: real logits should be above 1, fake ones below -1 (Eq. GAN-HINGE-D).

    ``(mean(max(0, 1 - real)) + mean(max(0, 1 + fake))) / 2``: each logit costs what it falls short of its margin, and
    nothing beyond it, so that the discriminator does not go on growing once it is sure. One that answers 0 to
    everything pays 1.

    Parameters
    ----------
    real, fake : arrays of any shapes
        Logits of data, and of what a generator has made; one for each picture, or for each patch of it.

    Returns
    -------
    loss : 0-d array
    cache : HingeDiscriminatorCache

    Raises
    ------
    InputError
        If there are no logits, or the arrays do not share a floating dtype.

    Notes
    -----
    Source: Lim and Ye 2017 (arXiv 1705.02894); written like this, but for the sign and the half, by Miyato et al. 2018
    (arXiv 1802.05957), Eq. 16. The half is that of the code of Esser et al. 2021 (arXiv 2012.09841); it changes no
    optimum.
    """
    xp = xp_of(real, fake)
    short_of_real = xp.maximum(0, 1 - real)
    short_of_fake = xp.maximum(0, 1 + fake)
    loss = 0.5 * (short_of_real.mean() + short_of_fake.mean())
    return loss, HingeDiscriminatorCache(short_of_real, short_of_fake)


@checked(check=check_d_loss)
def hinge_discriminator_backward(d_loss: float | Array, cache: HingeDiscriminatorCache) -> tuple:
    """Return d_real and d_fake: one share for each logit that falls short, up or down (Eq. GAN-HINGE-D2)."""
    short_of_real, short_of_fake = cache
    d_real = (short_of_real > 0) * (-d_loss * (0.5 / short_of_real.size))
    d_fake = (short_of_fake > 0) * (d_loss * (0.5 / short_of_fake.size))
    return d_real.astype(short_of_real.dtype, copy=False), d_fake.astype(short_of_fake.dtype, copy=False)


@checked("fake", check_fake)
def hinge_generator(fake: Array) -> tuple[Array, HingeGeneratorCache]:
    """Return the loss of a generator against a hinge discriminator: ``-mean(fake)`` (Eq. GAN-HINGE-G).

    It has no margin: the generator always gains by a higher logit, also where the discriminator is already deceived.

    Parameters
    ----------
    fake : array
        The discriminator's logits of what the generator has made.

    Returns
    -------
    loss : 0-d array
    cache : HingeGeneratorCache

    Notes
    -----
    Source: Miyato et al. 2018 (arXiv 1802.05957), Eq. 17, but for the sign.
    """
    return -fake.mean(), HingeGeneratorCache(fake)


@checked(check=check_d_loss)
def hinge_generator_backward(d_loss: float | Array, cache: HingeGeneratorCache) -> tuple:
    """Return d_fake, the same for every logit: -d_loss / size (Eq. GAN-HINGE-G2)."""
    (fake,) = cache
    return (xp_of(fake).zeros_like(fake) - d_loss * (1 / fake.size),)


@checked("d_reconstruction d_adversary")
def adaptive_weight(d_reconstruction: Array, d_adversary: Array) -> Array:
    """Return how much the adversarial loss counts: as much as the reconstruction, at the last layer (Eq. GAN-WEIGHT).

    The two losses have no common unit, and the discriminator's gradient changes in size all the time while it learns.
    With this weight, both pull equally strongly at the weights of the decoder's last layer. It is a number like a
    learning rate: no gradient goes through it.

    Parameters
    ----------
    d_reconstruction, d_adversary : arrays of one shape
        The gradients of both losses in the weights of the last layer, over the whole batch.

    Returns
    -------
    weight : 0-d array
        ``norm(d_reconstruction) / (norm(d_adversary) + 1e-6)``, at most 1e4.

    Notes
    -----
    Source: Esser et al. 2021 (arXiv 2012.09841), Eq. 7. The bound is that of their code, which adds 1e-4 instead of
    the paper's 1e-6. Both depend on the scale of the losses: theirs are sums over pixels, ours are means.
    """
    check_shape("d_adversary", d_adversary, d_reconstruction.shape)
    xp = xp_of(d_reconstruction)
    of_reconstruction, of_adversary = (
        xp.sqrt((d.astype(np.float64) ** 2).sum()) for d in (d_reconstruction, d_adversary)
    )
    weight = xp.minimum(of_reconstruction / (of_adversary + DELTA), LARGEST_WEIGHT)
    return weight.astype(d_reconstruction.dtype)
