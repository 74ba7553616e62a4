"""Checks of values: what the public pairs refuse besides wrong shapes.

`checked` calls them before a pair, with the pair's arguments of the same names; layers call some in their constructors.
"""

import math
from numbers import Integral
from typing import Any

import numpy as np

from tinydiff.base import (
    Array,
    InputError,
    check_alike,
    check_choice,
    check_count,
    check_divisible,
    check_number,
    check_rank,
    check_shapes,
    shown,
    xp_of,
)
from tinydiff.functional.patches import Padding, Sides, all_sides

LARGEST_FACTOR = 2**16  # by which a picture is enlarged or reduced
MOST_CHANNELS = 2**20  # of the embedding of a time
MOST_CELLS = 2**20  # along each side of a grid
LEAST_LEVELS, MOST_LEVELS = 3, 256  # of a channel that is rounded to a few
MOST_CODES = 2**24  # up to here, float32 counts exactly


def check_softmax(x: Array) -> None:
    """Refuse a last axis of size 0."""
    if not all(x.shape[-1:]):
        raise InputError(f"x has shape {tuple(x.shape)}: a softmax of no numbers is undefined.")


def check_direction(x: Array) -> None:
    """Refuse a last axis of size 0."""
    if not all(x.shape[-1:]):
        raise InputError(f"x has shape {tuple(x.shape)}: no numbers have no direction.")


def check_dropout(x: Array, rate: float, uniform: Array) -> None:
    """Refuse a rate that is not a probability below 1, and random numbers on another device."""
    xp_of(x, uniform)
    if not 0 <= rate < 1:
        raise InputError(f"rate is {shown(rate)}, but a dropout probability 0 <= rate < 1 was expected.")


def check_slope(slope: float) -> None:
    """Refuse a slope that is not from 0 to 1."""
    check_number("slope", slope, 0, 1)


def check_mask(q: Array, k: Array, mask: Array | None) -> None:
    """Refuse a mask that is not boolean, or that cannot be broadcast to (..., queries, keys)."""
    if mask is None:
        return
    check_shapes("q: ... queries d, k: ... keys d", q=q, k=k)
    xp_of(q, mask)
    if mask.dtype != bool:  # a mask to be added, of 0 and -inf, would be read the wrong way round
        raise InputError(f"mask has dtype {mask.dtype}, but bool was expected: True where a query may attend.")
    shape = (*q.shape[:-1], k.shape[-2])
    if mask.ndim > len(shape) or any(m not in (1, n) for m, n in zip(mask.shape[::-1], shape[::-1], strict=False)):
        raise InputError(
            f"mask has shape {tuple(mask.shape)}, which cannot be broadcast to (..., queries, keys) = {tuple(shape)}."
        )


def check_conv(w: Array, stride: int, padding: Padding, algorithm: str | None) -> None:
    """Refuse an even kernel, what `check_stride` and `check_padding` refuse, and an algorithm that does not fit."""
    check_rank("w", w, 4)
    if w.shape[0] % 2 == 0 or w.shape[1] % 2 == 0:
        raise InputError(f"w has shape {tuple(w.shape)}, but kernel sides (its first two) must be odd.")
    check_stride(stride)
    check_padding(padding, w.shape[:2])
    if algorithm is None:
        return
    check_choice("algorithm", algorithm, ("im2col", "shift", "winograd"))
    if algorithm != "im2col" and stride != 1:
        raise InputError(f"algorithm is {shown(algorithm)}, which needs stride 1, but stride is {shown(stride)}.")
    if algorithm == "winograd" and w.shape[:2] != (3, 3):
        raise InputError(f"algorithm is 'winograd', which needs a 3 x 3 kernel, but w has shape {tuple(w.shape)}.")


def check_stride(stride: Any) -> None:
    """Refuse a stride that is not 1 or 2."""
    if not isinstance(stride, Integral) or stride not in (1, 2):
        raise InputError(f"stride is {shown(stride)}, but 1 or 2 was expected.")


def check_padding(padding: Any, kernel: tuple[int, int]) -> None:
    """Refuse a padding that is not made of whole numbers from 0 to below the kernel's side."""
    try:
        (top, bottom), (left, right) = all_sides(padding)
    except (TypeError, ValueError):
        raise InputError(
            f"padding is {shown(padding)}, but an int or ((top, bottom), (left, right)) was expected."
        ) from None
    whole = all(isinstance(side, Integral) for side in (top, bottom, left, right))
    if not (
        whole and 0 <= min(top, bottom, left, right) and max(top, bottom) < kernel[0] and max(left, right) < kernel[1]
    ):
        raise InputError(
            f"padding is {shown(all_sides(padding))}, but integers 0 <= padding < kernel side were expected."
        )


def check_image_size(x: Array, w: Array, padding: Sides) -> None:
    """Refuse an image that is smaller than the kernel, padding included."""
    (kh, kw, _, _), ((top, bottom), (left, right)) = w.shape, padding
    if x.shape[1] + top + bottom < kh or x.shape[2] + left + right < kw:
        raise InputError(
            f"x has shape {tuple(x.shape)}: with padding {padding} it is smaller than the {kh} x {kw} kernel."
        )


def check_norm(eps: float) -> None:
    """Refuse a negative eps."""
    check_number("eps", eps, 0, float("inf"))


def check_group_norm(gamma: Array, groups: int | None, eps: float) -> None:
    """Refuse a negative eps, and a number of groups that the channels cannot be divided into."""
    check_norm(eps)
    check_rank("gamma", gamma, 1)
    if groups is not None:
        check_divisible("the number of channels", len(gamma), "groups", groups)


def check_factor(factor: Any) -> None:
    """Refuse a factor that is not a whole number from 1."""
    if not isinstance(factor, Integral) or factor < 1 or int(factor) > LARGEST_FACTOR:
        raise InputError(f"factor is {shown(factor)}, but an integer from 1 to {LARGEST_FACTOR} was expected.")


def check_indices(indices: Array, table: Array) -> None:
    """Refuse indices that are not integers or, on the host, not rows of the table."""
    xp_of(indices, table)
    check_rank("table", table, 2)
    check_labels("indices", indices, len(table))


def check_code_indices(codebook: Array, indices: Array, z: Array) -> None:
    """Refuse indices that are not integers or, on the host, not rows of the codebook, and no vectors."""
    xp_of(z, indices)
    check_rank("codebook", codebook, 2)
    check_some("z", z)
    check_labels("indices", indices, len(codebook))


def check_codes(z: Array, indices: Array, codes: int) -> None:
    """Refuse a number of codes that is none, and indices that are not integers or, on the host, not of codes."""
    xp_of(z, indices)
    check_count("codes", codes, most=MOST_CODES)
    check_some("z", z)
    check_labels("indices", indices, codes)


def check_average(decay: float, smoothing: float) -> None:
    """Refuse a decay that is no share, and a negative smoothing."""
    check_number("decay", decay, 0, 1)
    check_number("smoothing", smoothing, 0, 1)


def check_restart(below: float) -> None:
    """Refuse a negative count."""
    check_number("below", below, 0, 1e9)


def check_counts_of_codes(counts: Array) -> None:
    """Refuse, on the host, counts below 0, and what is no number."""
    if xp_of(counts).__name__ == "numpy" and not (counts >= 0).all():
        raise InputError("counts holds numbers below 0, or NaN, but numbers from 0 were expected.")


def check_scalar_levels(levels: Any) -> None:
    """Refuse levels that are not a few whole numbers, or that make more codes than can be counted."""
    if not isinstance(levels, tuple):
        raise InputError(f"levels is {shown(levels)}, but a tuple of whole numbers was expected, such as (8, 5, 5).")
    if not levels:
        raise InputError("levels is empty, but the number of levels of each channel was expected, such as 8, 5, 5.")
    for i, count in enumerate(levels):
        if not (isinstance(count, (int, np.integer)) and LEAST_LEVELS <= count <= MOST_LEVELS):
            raise InputError(
                f"levels[{i}] is {shown(count)}, but a whole number from {LEAST_LEVELS} to {MOST_LEVELS} was expected."
            )
    if (codes := math.prod(levels)) > MOST_CODES:
        raise InputError(f"levels makes {codes:,} codes, but at most {MOST_CODES:,} were expected: give fewer.")


def check_scalar_indices(indices: Array, levels: tuple[int, ...]) -> None:
    """Refuse what `check_scalar_levels` does, and indices that are not numbers of codes."""
    check_scalar_levels(levels)
    check_labels("indices", indices, math.prod(levels))


def check_classes(logits: Array, labels: Array) -> None:
    """Refuse empty logits, and labels that are not integers or, on the host, not classes."""
    xp_of(logits, labels)
    check_rank("logits", logits, 2)
    check_some("logits", logits)
    check_labels("labels", labels, logits.shape[1])


def check_asked(logits: Array, labels: Array) -> None:
    """Refuse what `check_classes` refuses, but for labels of -1, of rows that are not asked."""
    xp_of(logits, labels)
    check_rank("logits", logits, 2)
    check_some("logits", logits)
    classes, on_host = logits.shape[1], xp_of(labels) is np
    if labels.dtype.kind not in "iu":
        raise InputError(f"labels has dtype {labels.dtype}, but integers were expected.")
    if on_host and labels.size and not (-1 <= labels.min() and labels.max() < classes):
        worst = labels.max() if labels.max() >= classes else labels.min()
        raise InputError(
            f"labels holds {worst}, but integers from 0 to {classes - 1} were expected, or -1 for a row not asked."
        )


def check_labels(name: str, labels: Array, classes: int) -> None:
    """Raise `InputError` unless labels are integers and, on the host, from 0 to classes - 1."""
    if labels.dtype.kind not in "iu":
        raise InputError(f"{name} has dtype {labels.dtype}, but integers were expected.")
    if xp_of(labels).__name__ == "numpy" and labels.size and not (0 <= labels.min() and labels.max() < classes):
        worst = labels.max() if labels.max() >= classes else labels.min()
        raise InputError(f"{name} holds {worst}, but integers from 0 to {classes - 1} were expected.")


def check_prediction(prediction: Array) -> None:
    """Refuse an empty array, whose mean is undefined."""
    check_some("prediction", prediction)


def check_real_and_fake(real: Array, fake: Array) -> None:
    """Refuse empty arrays, whose mean is undefined."""
    check_some("real", real)
    check_some("fake", fake)


def check_fake(fake: Array) -> None:
    """Refuse an empty array, whose mean is undefined."""
    check_some("fake", fake)


def check_edges(prediction: Array) -> None:
    """Refuse what is no batch of images, and images in which no pixel has a neighbour above and one beside it."""
    check_rank("prediction", prediction, 4)
    check_some("prediction", prediction)
    if min(prediction.shape[1:3]) < 2:
        raise InputError(
            f"prediction has shape {tuple(prediction.shape)}, but images of at least 2 x 2 pixels were expected: edges "
            "are differences of neighbours."
        )


def check_clamp(least: float, most: float) -> None:
    """Refuse bounds that leave nothing between them."""
    if not least < most:
        raise InputError(f"least is {shown(least)} and most is {shown(most)}, but least < most was expected.")


def check_posterior(mean: Array) -> None:
    """Refuse an empty array, whose mean is undefined."""
    check_some("mean", mean)


def check_logits(logits: Array) -> None:
    """Refuse an empty array, whose mean is undefined."""
    check_some("logits", logits)


def check_d_loss(d_loss: Any, cache: Any) -> None:
    """Refuse an upstream gradient that is no number, and no array of one number in the dtype of the loss."""
    if hasattr(d_loss, "dtype") and (d_loss.ndim > 0 or d_loss.dtype != cache[0].dtype):
        raise InputError(
            f"d_loss is an array of shape {tuple(d_loss.shape)} and dtype {d_loss.dtype}, but a number, or an array () "
            f"of {cache[0].dtype}, was expected."
        )


def check_dy(dy: Array) -> None:
    """Refuse a gradient without entries."""
    if not dy.size:
        raise InputError(f"dy has shape {tuple(dy.shape)}, but no axis may have size 0.")


def check_maps(maps_a: Any, maps_b: Any) -> None:
    """Refuse feature maps that are not, level by level, two arrays of one shape with at least one number."""
    for name, maps in (("maps_a", maps_a), ("maps_b", maps_b)):
        if not isinstance(maps, (list, tuple)) or not maps:
            what = "empty" if isinstance(maps, (list, tuple)) else f"of type {type(maps).__name__}"
            raise InputError(f"{name} is {what}, but a list of feature maps, one for each level, was expected.")
    if len(maps_a) != len(maps_b):
        raise InputError(f"maps_a has {len(maps_a)} levels and maps_b {len(maps_b)}, but as many were expected.")
    for i, (a, b) in enumerate(zip(maps_a, maps_b, strict=True)):
        check_alike(**{f"maps_a[{i}]": a, f"maps_b[{i}]": b, "maps_a[0]": maps_a[0]})
        check_shapes(f"maps_a[{i}]: N ... C, maps_b[{i}]: N ... C", **{f"maps_a[{i}]": a, f"maps_b[{i}]": b})


def check_some(name: str, x: Array) -> None:
    """Raise `InputError` if an array is empty, so that its mean is undefined."""
    if not x.size:
        raise InputError(f"{name} has shape {tuple(x.shape)}: the mean of no numbers is undefined.")


def check_timesteps(t: Array, channels: int, max_period: float, variant: str) -> None:
    """Refuse an unknown variant, an odd number of channels, and a period that is not above 1."""
    xp_of(t)
    check_rank("t", t, 1)
    if t.dtype.kind == "b":
        raise InputError("t holds True and False, but step indices were expected.")
    right = (t >= 0) & (t < np.inf)  # NaN is neither
    if xp_of(t).__name__ == "numpy" and not right.all():
        raise InputError(f"t holds {np.extract(~right, t)[0]}, but step indices from 0 were expected.")
    check_choice("variant", variant, ("stable-diffusion", "ddpm"))
    check_divisible("channels", channels, "the two halves", 2)
    if not 4 <= channels <= MOST_CHANNELS:
        raise InputError(f"channels is {channels}, but at least 4 were expected, and at most {MOST_CHANNELS}.")
    check_period(max_period)


def check_grid(height: int, width: int, channels: int, max_period: float) -> None:
    """Refuse sides that are no counts, channels that are not four equal parts, and a period that is not above 1."""
    check_count("height", height, most=MOST_CELLS)
    check_count("width", width, most=MOST_CELLS)
    check_divisible("channels", channels, "the sines and cosines of rows and columns", 4)
    check_count("channels", channels, least=8, most=MOST_CHANNELS)
    check_period(max_period)


def check_period(max_period: float) -> None:
    """Refuse a period that is not above 1."""
    if not max_period > 1:
        raise InputError(f"max_period is {max_period}, but a number above 1 was expected, such as 10000.")
