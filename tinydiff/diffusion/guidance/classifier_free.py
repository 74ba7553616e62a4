"""Classifier-free guidance: away from the prediction of the same network without the condition."""

from typing import Any

from tinydiff.base import (
    Condition,
    InputError,
    arrays_of,
    check_number,
    check_numbers,
    checked,
    map_arrays,
    xp_of,
)
from tinydiff.diffusion.guidance.interval import check_interval, is_never_within, scale_at
from tinydiff.diffusion.guidance.rescale import rescaled
from tinydiff.diffusion.prediction import with_share_of
from tinydiff.diffusion.process import GaussianDiffusion
from tinydiff.diffusion.targets import Predict

CONDITIONAL = slice(0, None, 2)  # the rows with the condition, which come first of each pair


@checked()
def classifier_free_guidance(
    predict: Predict,
    diffusion: GaussianDiffusion,
    null_context: Any,
    scale: float,
    interval: tuple[float, float] | None = None,
    rescale: float = 0.0,
) -> Predict:
    """Return null + s (conditional - null), from one call with twice the batch (Eq. CFG-6).

    The two rows of a sample, with and without the condition, are next to each other in that batch, so that their
    position depends only on the sample's index.

    Parameters
    ----------
    predict : callable
        Not clipped: guidance follows the line through two predictions, and clipping them first would bend it.
    diffusion : GaussianDiffusion
    null_context : array or `Condition`
        The context of the prediction without the condition, one row for all samples or a row for each: "no class", the
        empty prompt, or a negative prompt, from which the picture is pushed away.
    scale : float
        s above; with s = 1, only the conditional prediction is computed.
    interval : (float, float) or None
        Guide only at times low < t <= high, and take s = 1 elsewhere (Kynkaanniemi et al. 2024, arXiv 2404.07724).
    rescale : float
        0 .. 1: how far the guided x_0_hat is brought back to the standard deviation of the conditional one, image by
        image (Eq. RESCALE-16).

    Source: Ho and Salimans 2022 (arXiv 2207.12598), Eq. 6, where s is 1 + w.
    """
    check_number("scale", scale, -1e6, 1e6)
    check_number("rescale", rescale, 0, 1)
    check_interval(interval)
    if null_context is None:
        raise InputError("null_context is None, but guidance starts from a prediction without the condition.")

    for a in arrays_of(null_context):
        check_numbers("null_context", a)

    def guided(x_t, t, context=None):
        _check_both(context, null_context)
        if scale == 1 or is_never_within(t, interval):
            return predict(x_t, t, context)
        contexts = map_arrays(_in_pairs, context, null_context)
        both = predict(_in_pairs(x_t, x_t), _in_pairs(t, t), contexts)
        x_0_hat, eps_hat = both
        s = scale_at(t, scale, interval, x_t)
        guided_x_0 = x_0_hat[1::2] + s * (x_0_hat[0::2] - x_0_hat[1::2])
        if rescale == 0:
            guided_eps = eps_hat[1::2] + s * (eps_hat[0::2] - eps_hat[1::2])
            return with_share_of(both, guided_x_0, guided_eps, CONDITIONAL)
        guided_x_0 = rescaled(guided_x_0, x_0_hat[0::2], rescale)
        return with_share_of(both, guided_x_0, diffusion.eps_from_x_0(x_t, t, guided_x_0), CONDITIONAL)

    return guided


def _in_pairs(rows, null_rows):
    """Return a_0, b_0, a_1, b_1, ... for rows a and null rows b, of which there may be one for all."""
    xp = xp_of(rows, null_rows)
    if null_rows.shape[1:] != rows.shape[1:] or null_rows.shape[:1] not in ((1,), rows.shape[:1]):
        raise InputError(f"null_context has shape {tuple(null_rows.shape)}, but context has {tuple(rows.shape)}.")
    pairs = xp.stack([rows, xp.broadcast_to(null_rows, rows.shape)], axis=1)
    return pairs.reshape(2 * len(rows), *rows.shape[1:])


def _check_both(context, null_context):
    """Raise `InputError` unless both hold the same kinds of arrays: a kind that one lacks would silently not guide."""
    if context is None:
        raise InputError("context is None, but guidance goes from null_context to a condition: give one.")
    held, null_held = (
        [name for name, array in c._asdict().items() if array is not None] if isinstance(c, Condition) else ["an array"]
        for c in (context, null_context)
    )
    if held != null_held:
        raise InputError(f"context holds {', '.join(held)}, but null_context {', '.join(null_held)}: give both alike.")
