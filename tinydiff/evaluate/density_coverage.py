"""Density and coverage of samples."""

from tinydiff.base import Array, InputError, check_count, check_rank, check_shape, checked, counted, xp_of
from tinydiff.evaluate.neighbours import flat_floats, nearest_neighbours


@checked()
def density_and_coverage(real: Array, drawn: Array, k: int = 5) -> tuple[float, float]:
    """Return (density, coverage) of samples: in how many real balls they lie, and how many of these they reach (DC-1).

    Each real point has a ball that reaches to its k-th nearest other real point. Density is the mean number of balls in
    which a drawn point lies, over k; coverage is the share of balls in which a drawn point lies (Eq. DC-1). All balls
    are round real points. So one strange sample does not make a large ball of its own that covers everything, as it
    does in recall, and one strange real image adds one ball to the density, while it may decide the precision alone.

    Where both sets have one distribution, whatever it is, the mean of density is 1, and that of coverage is
    ``1 - (N-1)...(N-k) / ((M+N-1)...(M+N-k))``, near ``1 - 0.5^k`` for N = M: 0.97 at k = 5.

    Parameters
    ----------
    real, drawn : arrays, shapes (N, F) and (M, F)
        One row of features per image, more than `k` real rows. Compare only figures with the same N and M.
    k : int

    Returns
    -------
    density, coverage : float
        Density may be above 1, where samples crowd in the middle of the real ones.

    Raises
    ------
    InputError
        If shapes do not fit, a number is not finite, no sample was drawn, or there are no more than `k` real images.

    Notes
    -----
    Source: Naeem et al. 2020 (arXiv 2002.09797), Eq. 4 and 5.
    """
    check_rank("real", real, 2)
    check_shape("drawn", drawn, (None, real.shape[1]))
    check_count("k", k)
    if len(real) <= k:
        raise InputError(f"real has {counted(len(real), 'image')}, but more than k = {k} were expected.")
    xp = xp_of(real, drawn)
    _, distances = nearest_neighbours(real, real, k + 1)  # the nearest is the point itself
    radii = distances[:, k]
    real, drawn = flat_floats("real", real), flat_floats("drawn", drawn)
    inside = [(xp.sqrt(((drawn - x) ** 2).sum(axis=1)) <= r).sum() for x, r in zip(real, radii, strict=True)]
    counts = xp.stack(inside)  # of drawn points, in each ball
    return float(counts.sum()) / (k * len(drawn)), float((counts > 0).mean())
