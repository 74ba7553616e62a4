"""Rescaling: guided pictures get back the contrast of those without guidance."""

from tinydiff.base import Array, check_number, checked, xp_of
from tinydiff.diffusion.checks import check_match


@checked()
def rescaled(guided: Array, given: Array, share: float) -> Array:
    """Return `guided`, with standard deviations moved towards those of `given` by a share, 0 .. 1 (Eq. RESCALE-16).

    A constant sample, whose standard deviation is 0, stays as it is.

    Source: Lin et al. 2023 (arXiv 2305.08891), Eq. 15 and 16, taken on x_0_hat.
    """
    check_number("share", share, 0, 1)
    check_match(guided=guided, given=given)
    xp = xp_of(guided)
    axes = tuple(range(1, guided.ndim))
    own, wanted = (x.std(axis=axes, keepdims=True) for x in (guided, given))
    factor = xp.where(own > 0, wanted, 1) / xp.where(own > 0, own, 1)
    return share * guided * factor + (1 - share) * guided
