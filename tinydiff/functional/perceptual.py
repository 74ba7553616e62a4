"""How different two pictures look to a network that has learned to see: the distance of their feature maps."""

from collections import namedtuple
from collections.abc import Sequence

from tinydiff.base import Array, checked
from tinydiff.functional.norm import unit_length, unit_length_backward
from tinydiff.functional.values import check_d_loss, check_maps

PerceptualDistanceCache = namedtuple("PerceptualDistanceCache", "differences units_a units_b")


@checked(check=check_maps)
def perceptual_distance(maps_a: Sequence[Array], maps_b: Sequence[Array]) -> tuple[Array, PerceptualDistanceCache]:
    """Return how far apart the features of two batches of pictures are, from 0 to 4 (Eq. PERC-1).

    At each position of a feature map, the features are a vector, which is brought to length 1 (Eq. UNIT-1): what counts
    is which features are there, and not how strongly the network answers. Of the two directions the squared distance is
    taken, 2 - 2 cos of the angle between them; it is averaged over positions and pictures, and then over the levels, so
    that a level with many positions counts no more than another. A vector shorter than 1e-12 is divided by 1e-12.

    Source: Zhang et al. 2018 (LPIPS, arXiv 1801.03924), Eq. 1, which sums over the levels and weighs the channels by
    learned numbers; here the average is taken, and all channels weigh the same.

    Parameters
    ----------
    maps_a, maps_b : sequences of arrays (N, ..., C)
        The feature maps of each level, such as `AttributeClassifier.maps` returns, of two batches of pictures.

    Returns
    -------
    loss : 0-d array
    cache : PerceptualDistanceCache

    Raises
    ------
    InputError
        If there are no maps, or if two of one level differ in shape, dtype or device.
    """
    differences, units_a, units_b = [], [], []
    loss, levels = 0.0, len(maps_a)
    for a, b in zip(maps_a, maps_b, strict=True):
        (direction_a, unit_a), (direction_b, unit_b) = unit_length.bare(a), unit_length.bare(b)
        difference = direction_a - direction_b
        loss = loss + (difference * difference).sum(axis=-1).mean() * (1 / levels)
        differences.append(difference)
        units_a.append(unit_a)
        units_b.append(unit_b)
    return loss, PerceptualDistanceCache(differences, units_a, units_b)


@checked(check=lambda d_loss, cache: check_d_loss(d_loss, cache[0]))
def perceptual_distance_backward(d_loss: float | Array, cache: PerceptualDistanceCache) -> tuple[list, list]:
    """Return d_maps_a and d_maps_b, a list each: the difference of the directions, through Eq. UNIT-2 (Eq. PERC-2)."""
    differences, units_a, units_b = cache
    d_maps_a: list[Array] = []
    d_maps_b: list[Array] = []
    for difference, unit_a, unit_b in zip(differences, units_a, units_b, strict=True):
        positions = difference.size // difference.shape[-1]
        d_direction = difference * (d_loss * (2 / (len(differences) * positions)))
        d_maps_a += unit_length_backward.bare(d_direction, unit_a)
        d_maps_b += unit_length_backward.bare(-d_direction, unit_b)
    return d_maps_a, d_maps_b
