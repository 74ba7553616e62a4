"""Samplers: from noise to a sample, a generator of ``(t, x_t, x_0_hat)``.

Each takes ``predict(x_t, t, context) -> (x_0_hat, eps_hat)`` and visits the times ``steps``, then ``end``. After each
step it yields the time reached, x there, and the x_0_hat that led there; the last x_t is the sample. Nothing
runs before the first value is asked for; `last` runs a chain to its end.

Below, a step goes from t to an earlier s, with a = sqrt(alpha_bar) and b = sqrt(1 - alpha_bar) at both. Coefficients
are float64 Python numbers, so x keeps its dtype. Where alpha_bar is 0 (pure noise) every formula is written so that it
stays finite; whether `predict` can tell x_0 there is up to it.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinydiff.base import InputError, arrays_of, check_shape, xp_of

Chain = Iterator[tuple[float, Any, Any]]


def last(chain: Chain) -> Any:
    """Run a sampler to its end and return the sample."""
    for _, x_t, _ in chain:
        sample = x_t
    return sample


def start(x_T, context):
    """Return x_T, once it and the context are seen to fit each other."""
    xp = xp_of(x_T=x_T)
    xp_of(x_T, *arrays_of(context))
    if x_T.ndim == 0 or any(a.shape[:1] != x_T.shape[:1] for a in arrays_of(context)):
        shapes = ", ".join(str(a.shape) for a in arrays_of(context))
        raise InputError(
            f"x_T has shape {x_T.shape} and context {shapes or None}, but (N, ...) and, for a context, the same N were "
            "expected."
        )
    if xp is np and not np.isfinite(x_T).all():
        raise InputError("x_T holds NaN or infinity, but finite numbers were expected.")
    return x_T


def predict_at(predict, x_t, t, context):
    """Call predict with one t per sample, so that it may split or double the batch, and check what it returns."""
    x_0_hat, eps_hat = predict(x_t, xp_of(x_t).full(len(x_t), t), context)
    xp_of(x_t=x_t, x_0_hat=x_0_hat, eps_hat=eps_hat)
    check_shape("x_0_hat", x_0_hat, x_t.shape)
    check_shape("eps_hat", eps_hat, x_t.shape)
    return x_0_hat, eps_hat


def scales(diffusion, t):
    """Return a and b at the time t."""
    alpha_bar = diffusion.alpha_bar_at(t)
    return alpha_bar**0.5, (1 - alpha_bar) ** 0.5


def step_noise(noise, k, x):
    """Return the noise that step k adds to each sample of x."""
    return noise.at(step=k, xp=xp_of(x)).normal(x.shape, "sampler", dtype=x.dtype)
