"""Rescaling: guided pictures get back the contrast of those without guidance."""

from tinydiff.base import Array, xp_of


def rescaled(guided: Array, given: Array, share: float) -> Array:
    """Return `guided`, with standard deviations moved towards those of `given` by a share, 0 .. 1 (Eq. RESCALE-16).

    A constant sample, whose standard deviation is 0, stays as it is.

    Source: Lin et al. 2023 (arXiv 2305.08891), Eq. 15 and 16, taken on x_0_hat.
    """
    xp, share = xp_of(guided), float(share)  # a NumPy float64 would make float64 of float32 arrays
    axes = tuple(range(1, guided.ndim))
    own, wanted = (x.std(axis=axes, keepdims=True) for x in (guided, given))
    factor = xp.where(own > 0, wanted, 1) / xp.where(own > 0, own, 1)
    return share * guided * factor + (1 - share) * guided
