"""Spherical interpolation between two arrays of noise."""

from tinydiff.base import Array, check_number, checked, power_of_two, xp_of
from tinydiff.diffusion.checks import check_match


@checked()
def slerp(a: Array, b: Array, share: float) -> Array:
    """Interpolate between two arrays of noise along an arc, sample by sample (Eq. SLERP-1).

    Normal noise of many numbers lies near a sphere. A straight line between two of its points goes through the inside
    of the sphere, where such noise is never found.

    Parameters
    ----------
    a, b : arrays, shape (N, ...)
    share : float
        0 returns a, 1 returns b.

    Notes
    -----
    If a or b is zero there is no arc, and between opposite directions there are many: then the line is straight.

    Source: Shoemake 1985; for DDIM, Song, Meng, Ermon 2021, appendix D.5.
    """
    check_number("share", share, 0, 1)
    check_match(a=a, b=b)
    xp, axes = xp_of(a), tuple(range(1, a.ndim))
    # an angle does not depend on lengths, and the squares of very large or small numbers are no floats
    p, q = (x / power_of_two(abs(x).max(axis=axes, keepdims=True)) for x in (a, b))
    lengths = [xp.sqrt((x * x).sum(axis=axes, keepdims=True)) for x in (p, q)]
    product = lengths[0] * lengths[1]
    cosine = (p * q).sum(axis=axes, keepdims=True) / xp.where(product > 0, product, 1)
    angle = xp.arccos(xp.clip(cosine, -1, 1))
    is_opposite = cosine < -1 + 1e-5  # to float32, whose cosines are wrong by 1e-7, an angle of pi or nearly
    is_straight = (angle < 1e-4) | is_opposite | (product == 0)
    sine = xp.where(is_straight, 1, xp.sin(angle))
    w_a = xp.where(is_straight, 1 - share, xp.sin((1 - share) * angle) / sine)
    w_b = xp.where(is_straight, share, xp.sin(share * angle) / sine)
    return (w_a * a + w_b * b).astype(a.dtype)
