"""Guidance: a prediction is pushed towards what was asked for.

Every function here takes ``predict(x_t, t, context) -> (x_0_hat, eps_hat)`` and returns another one, so that they go
with each other and with every sampler. Guide what is not clipped, and bound the result last (`bounded`).

The *scale* s counts from nothing: s = 0 is the prediction without the condition, s = 1 the one with it, above 1 goes
beyond. The paper of classifier-free guidance writes w = s - 1, Imagen calls s itself w.
"""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from tinydiff.backend import xp_of
from tinydiff.condition import Condition, map_arrays
from tinydiff.diffusion.gaussian import GaussianDiffusion
from tinydiff.errors import InputError, check_choice, check_number, check_shape, is_real

Predict = Callable[..., tuple[Any, Any]]


def classifier_guidance(
    predict: Predict,
    diffusion: GaussianDiffusion,
    log_probability_gradient: Callable[..., Any],
    scale: float = 1.0,
    interval: tuple[float, float] | None = None,
) -> Predict:
    """Return a prediction pushed along a classifier's gradient: eps_hat - s b grad log p(y | x_t) (Eq. CG-14).

    Because the score itself is changed, it holds for every sampler, random or not. (Algorithm 1 of the paper shifts
    the mean of a random step instead, which is the same to first order in the step.)

    Parameters
    ----------
    predict : callable
        Without knowledge of y.
    diffusion : GaussianDiffusion
    log_probability_gradient : callable
        ``f(x_t, t, context)`` returns the gradient of log p(context | x_t) in x_t, an array like x_t.
    scale : float
    interval : (float, float) or None
        As for `classifier_free_guidance`: outside it s = 1, and the gradient counts once.

    Source: Dhariwal and Nichol 2021 (arXiv 2105.05233), Eq. 14 and Algorithm 2.
    """
    check_number("scale", scale, -1e6, 1e6)
    check_interval(interval)

    def guided(x_t, t, context=None):
        _, eps_hat = predict(x_t, t, None)
        gradient = log_probability_gradient(x_t, t, context)
        check_shape("the gradient of the log-probability", gradient, x_t.shape)
        s = _scale_at(t, scale, interval, x_t)
        eps_hat = eps_hat + diffusion.eps_from_score(s * gradient, t)  # a score of s grad is noise -b s grad
        return diffusion.x_0_from_eps(x_t, t, eps_hat), eps_hat

    return guided


def classifier_free_guidance(
    predict: Predict,
    diffusion: GaussianDiffusion,
    null_context: Any,
    scale: float,
    interval: tuple[float, float] | None = None,
    rescale: float = 0.0,
) -> Predict:
    """Return null + s (conditional - null), from one call with twice the batch (Eq. CFG-6).

    Samples stand in pairs, with and without the condition, so that a sample's place depends on its index alone.

    Parameters
    ----------
    predict : callable
        Not clipped: clipping each branch by itself would bend the line between them.
    diffusion : GaussianDiffusion
    null_context : array or `Condition`
        What the second branch is told, in one row for all samples, or in a row for each: "no class", the empty prompt,
        or a negative prompt, which the picture is pushed away from.
    scale : float
        s above; s = 1 calls the conditional branch alone.
    interval : (float, float) or None
        Guide at times low < t <= high alone, and take s = 1 elsewhere (Kynkaanniemi et al. 2024, arXiv 2404.07724).
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

    def guided(x_t, t, context=None):
        xp = xp_of(x_t)
        _check_alike(context, null_context)
        if scale == 1 or (interval is not None and xp is np and not _within(t, interval).any()):
            return predict(x_t, t, context)  # no null branch is needed; a GPU would have to wait for this to be known

        def in_pairs(rows, null_rows):
            null_rows = xp.broadcast_to(null_rows, rows.shape)
            return xp.stack([rows, null_rows], axis=1).reshape(2 * len(rows), *rows.shape[1:])

        contexts = map_arrays(in_pairs, context, null_context)
        x_0_hat, eps_hat = predict(xp.repeat(x_t, 2, axis=0), xp.repeat(t, 2, axis=0), contexts)
        s = _scale_at(t, scale, interval, x_t)
        guided_x_0 = x_0_hat[1::2] + s * (x_0_hat[0::2] - x_0_hat[1::2])
        if rescale == 0:
            return guided_x_0, eps_hat[1::2] + s * (eps_hat[0::2] - eps_hat[1::2])
        guided_x_0 = rescaled(guided_x_0, x_0_hat[0::2], rescale)
        return guided_x_0, diffusion.eps_from_x_0(x_t, t, guided_x_0)

    return guided


def autoguidance(
    predict: Predict, weak_predict: Predict, scale: float, interval: tuple[float, float] | None = None
) -> Predict:
    """Return weak + s (strong - weak): away from what a worse model of the same thing says (Eq. AUTO-1).

    Parameters
    ----------
    predict, weak_predict : callable
        Not clipped. The weak one is smaller, or was trained for less time; both get the condition.
    scale, interval
        As for `classifier_free_guidance`.

    Source: Karras et al. 2024 (arXiv 2406.02507), Eq. 3.
    """
    check_number("scale", scale, -1e6, 1e6)
    check_interval(interval)

    def guided(x_t, t, context=None):
        strong = predict(x_t, t, context)
        if scale == 1:
            return strong
        s = _scale_at(t, scale, interval, x_t)
        x_0_hat, eps_hat = (b + s * (a - b) for a, b in zip(strong, weak_predict(x_t, t, context), strict=True))
        return x_0_hat, eps_hat

    return guided


def bounded(predict: Predict, diffusion: GaussianDiffusion, how: str = "static", percentile: float = 0.995) -> Predict:
    """Return a prediction whose x_0_hat lies in [-1, 1], and whose eps_hat is derived from it.

    Parameters
    ----------
    predict : callable
    diffusion : GaussianDiffusion
    how : str
        ``"static"`` clips. ``"dynamic"`` clips at the given percentile of each image's absolute values, where that is
        above 1, and divides by it, which keeps guided pictures from being all black and white (Eq. DYN-1).
    percentile : float
        0 .. 1.

    Source: Saharia et al. 2022 (Imagen, arXiv 2205.11487), section 2.3.
    """
    check_choice("how", how, ("static", "dynamic"))
    check_number("percentile", percentile, 0, 1)

    def within(x_t, t, context=None):
        x_0_hat, _ = predict(x_t, t, context)
        xp = xp_of(x_0_hat)
        if how == "static":
            x_0_hat = xp.clip(x_0_hat, -1, 1)
        else:
            largest = xp.quantile(abs(x_0_hat).reshape(len(x_0_hat), -1), percentile, axis=1)
            largest = xp.maximum(largest, 1).reshape(-1, *[1] * (x_0_hat.ndim - 1)).astype(x_0_hat.dtype)
            x_0_hat = xp.clip(x_0_hat, -largest, largest) / largest
        return x_0_hat, diffusion.eps_from_x_0(x_t, t, x_0_hat)

    return within


def rescaled(guided: Any, given: Any, share: float) -> Any:
    """Return `guided`, each sample brought so far to the standard deviation of `given` (Eq. RESCALE-16).

    A sample of one value alone, whose deviation is 0, stays as it is.

    Source: Lin et al. 2023 (arXiv 2305.08891), Eq. 15 and 16, taken on x_0_hat.
    """
    xp, share = xp_of(guided), float(share)  # a NumPy float64 would make float64 of float32 arrays
    axes = tuple(range(1, guided.ndim))
    own, wanted = (x.std(axis=axes, keepdims=True) for x in (guided, given))
    factor = xp.where(own > 0, wanted, 1) / xp.where(own > 0, own, 1)
    return share * guided * factor + (1 - share) * guided


def check_interval(interval: tuple[float, float] | None) -> None:
    """Raise `InputError` unless the interval is None or two times from 0, the lower one first."""
    if interval is None:
        return
    times = tuple(interval) if isinstance(interval, Iterable) else ()
    if not (len(times) == 2 and all(is_real(t) for t in times) and 0 <= times[0] < times[1]):
        raise InputError(f"interval is {interval!r}, but two times, the lower one first, were expected.")


def _check_alike(context, null_context):
    """Raise `InputError` unless both hold the same: what one of them lacks would silently not be guided."""
    if context is None:
        raise InputError("context is None, but guidance goes from null_context to a condition: give one.")
    held, null_held = (
        [name for name, array in c._asdict().items() if array is not None] if isinstance(c, Condition) else ["an array"]
        for c in (context, null_context)
    )
    if held != null_held:
        raise InputError(f"context holds {', '.join(held)}, but null_context {', '.join(null_held)}: give both alike.")


def _scale_at(t, scale, interval, x):
    """Return the scale for each sample, ready to multiply arrays like x: 1 outside the interval."""
    xp = xp_of(x)
    s = xp.full(len(x), scale, x.dtype)
    if interval is not None:
        s = xp.where(_within(t, interval), s, 1).astype(x.dtype)
    return s.reshape(-1, *[1] * (x.ndim - 1))


def _within(t, interval):
    low, high = interval
    return (low < t) & (t <= high)
