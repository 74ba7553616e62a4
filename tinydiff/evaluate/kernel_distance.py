"""The kernel distance between two clouds of features, KID where the features are Inception's."""

from tinydiff.base import Array, InputError, check_rank, check_shape, checked, counted, xp_of
from tinydiff.evaluate.numbers import finite

CHUNK = 1024  # rows of kernels at a time: bounds the memory, and changes only the rounding


@checked()
def kernel_distance(features_1: Array, features_2: Array) -> float:
    """Return the squared maximum mean discrepancy of two sets of features, without bias (Eq. KID-1).

    The kernel is ``k(x, y) = (x.y / F + 1)^3``, of features of width F. Multiplied out, it compares the means of the
    two clouds, their second and their third moments, and nothing beyond. No pair of a feature with itself is counted:
    that is why the estimate has the right mean for every number of images, and why it is negative half of the time
    where both clouds have one distribution. Such a figure is not rounded up to 0, since its mean would be wrong then.

    Parameters
    ----------
    features_1, features_2 : arrays, shapes (N, F) and (M, F)
        One row of features per image, at least two rows. More images make the figure more certain, and not smaller.

    Returns
    -------
    float
        Its unit is that of the kernel, so compare only figures of the same features. It is no "KID" unless these are of
        the Inception network.

    Raises
    ------
    InputError
        If shapes do not fit, a number is not finite, or there are fewer than two images.

    Notes
    -----
    Source: Binkowski et al. 2018 (arXiv 1801.01401), section 4.1; the estimate is Gretton et al. 2012, Eq. 3.
    """
    xp_of(features_1, features_2)
    check_rank("features_1", features_1, 2)
    check_shape("features_2", features_2, (None, features_1.shape[1]))
    for name, features in (("features_1", features_1), ("features_2", features_2)):
        if len(features) < 2:
            raise InputError(f"{name} has {counted(len(features), 'sample')}, but at least 2 were expected.")
    x, y = finite("features_1", features_1), finite("features_2", features_2)
    n, m = len(x), len(y)
    within_x = (_sum_of_kernels(x, x) - _kernel((x * x).sum(axis=1), x).sum()) / (n * (n - 1))
    within_y = (_sum_of_kernels(y, y) - _kernel((y * y).sum(axis=1), y).sum()) / (m * (m - 1))
    return float(within_x + within_y - 2 * _sum_of_kernels(x, y) / (n * m))


def _kernel(products, x):
    return (products / x.shape[1] + 1) ** 3


def _sum_of_kernels(x, y):
    """Return the sum of the kernel over all pairs."""
    return sum(_kernel(x[i : i + CHUNK] @ y.T, x).sum() for i in range(0, len(x), CHUNK))
