"""Activations, softmax and dropout: pairs that act on each number, or along the last axis."""

import math
from collections import namedtuple
from typing import Any

from tinydiff.backend import erf, xp_of
from tinydiff.errors import InputError, check_divisible, check_shape

SiLUCache = namedtuple("SiLUCache", "y sigmoid")
GELUCache = namedtuple("GELUCache", "x cdf")
GEGLUCache = namedtuple("GEGLUCache", "value gate cdf")
SoftmaxCache = namedtuple("SoftmaxCache", "y")
DropoutCache = namedtuple("DropoutCache", "factor")


def silu(x: Any) -> tuple[Any, SiLUCache]:
    """Return ``x * sigmoid(x)``, also called swish (Eq. SILU-1; Elfwing et al. 2017, arXiv 1702.03118).

    The sigmoid is computed as ``(1 + tanh(x / 2)) / 2``, which cannot overflow.
    """
    xp = xp_of(x=x)
    sigmoid = xp.tanh(0.5 * x)
    sigmoid += 1
    sigmoid *= 0.5
    y = x * sigmoid
    return y, SiLUCache(y, sigmoid)


def silu_backward(dy: Any, cache: SiLUCache) -> tuple[Any]:
    """Return ``dx = dy * (sigmoid + y * (1 - sigmoid))`` (Eq. SILU-2).

    Written with y, which the next layer keeps anyway, x need not be kept.
    """
    y, sigmoid = cache
    check_shape("dy", dy, y.shape)
    dx = 1 - sigmoid
    dx *= y
    dx += sigmoid
    dx *= dy
    return (dx,)


def gelu(x: Any) -> tuple[Any, GELUCache]:
    """Return ``x * Phi(x)``, Phi the standard normal distribution function (Eq. GELU-1; arXiv 1606.08415)."""
    xp_of(x=x)
    cdf = 0.5 * (1 + erf(x * 0.5**0.5))
    return x * cdf, GELUCache(x, cdf)


def gelu_backward(dy: Any, cache: GELUCache) -> tuple[Any]:
    """Return ``dx = dy * (Phi(x) + x * phi(x))``, phi the standard normal density (Eq. GELU-2)."""
    x, cdf = cache
    xp = xp_of(dy=dy, x=x)
    check_shape("dy", dy, x.shape)
    pdf = xp.exp(-0.5 * x * x) * (2 * math.pi) ** -0.5
    return (dy * (cdf + x * pdf),)


def geglu(x: Any) -> tuple[Any, GEGLUCache]:
    """Return ``value * gelu(gate)``, from the two halves of x (Eq. GEGLU-1; Shazeer 2020, arXiv 2002.05202).

    The last axis of x is cut in two; the value comes first, as in Stable Diffusion.
    """
    xp_of(x=x)
    check_divisible("the last axis of x", x.shape[-1], "value and gate", 2)
    value, gate = x[..., : x.shape[-1] // 2], x[..., x.shape[-1] // 2 :]
    y, (_, cdf) = gelu(gate)
    return value * y, GEGLUCache(value, gate, cdf)


def geglu_backward(dy: Any, cache: GEGLUCache) -> tuple[Any]:
    """Return ``dx``: ``dy * gelu(gate)`` for the value, ``dy * value * gelu'(gate)`` for the gate (Eq. GEGLU-2)."""
    value, gate, cdf = cache
    xp = xp_of(dy=dy, value=value)
    check_shape("dy", dy, value.shape)
    (d_gate,) = gelu_backward(dy * value, GELUCache(gate, cdf))
    return (xp.concatenate([dy * gate * cdf, d_gate], axis=-1),)


def softmax(x: Any) -> tuple[Any, SoftmaxCache]:
    """Return ``exp(x) / sum(exp(x))`` along the last axis (Eq. SM-1).

    The largest entry is subtracted first: the result is the same, and no exponential can overflow.
    """
    xp = xp_of(x=x)
    if not all(x.shape[-1:]):
        raise InputError(f"x has shape {tuple(x.shape)}: a softmax of no numbers is undefined.")
    y = xp.exp(x - x.max(axis=-1, keepdims=True))
    y /= y.sum(axis=-1, keepdims=True)
    return y, SoftmaxCache(y)


def softmax_backward(dy: Any, cache: SoftmaxCache) -> tuple[Any]:
    """Return ``dx = y * (dy - sum(dy * y))`` (Eq. SM-2): the Jacobian diag(y) - y y^T, never written out."""
    (y,) = cache
    check_shape("dy", dy, y.shape)
    return (y * (dy - (dy * y).sum(axis=-1, keepdims=True)),)


def dropout(x: Any, rate: float, uniform: Any) -> tuple[Any, DropoutCache]:
    """Set a share `rate` of the entries to zero and scale the others up to keep the mean (Eq. DROP-1).

    Parameters
    ----------
    x : array
    rate : float
        Probability of a zero, 0 <= rate < 1.
    uniform : array, shape of x
        Independent uniform numbers in (0, 1). They are an argument, so that the function is pure and a replay
        draws the same mask.
    """
    xp_of(x=x)
    xp_of(x, uniform)
    if not 0 <= rate < 1:
        raise InputError(f"rate is {rate}, but a dropout probability 0 <= rate < 1 was expected.")
    check_shape("uniform", uniform, x.shape)
    factor = (uniform >= rate).astype(x.dtype)
    factor *= 1 / (1 - rate)
    return x * factor, DropoutCache(factor)


def dropout_backward(dy: Any, cache: DropoutCache) -> tuple[Any]:
    """Return ``dx``: what was dropped gets no gradient, what was scaled gets a scaled one (Eq. DROP-2)."""
    (factor,) = cache
    check_shape("dy", dy, factor.shape)
    return (dy * factor,)
