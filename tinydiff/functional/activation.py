"""Activations, softmax, dropout and a clamp: pairs that act on each number, or along the last axis."""

import math
from collections import namedtuple

import numpy as np

from tinydiff.base import Array, check_divisible, check_shape, checked, erf, is_plain, xp_of
from tinydiff.functional.values import check_clamp, check_dropout, check_slope, check_softmax

SiLUCache = namedtuple("SiLUCache", "y sigmoid")
GELUCache = namedtuple("GELUCache", "x cdf")
QuickGELUCache = namedtuple("QuickGELUCache", "y sigmoid")
GEGLUCache = namedtuple("GEGLUCache", "value gate cdf")
LeakyReLUCache = namedtuple("LeakyReLUCache", "x slope")
SoftmaxCache = namedtuple("SoftmaxCache", "y")
DropoutCache = namedtuple("DropoutCache", "factor")
ClampCache = namedtuple("ClampCache", "inside")

# Phi(x) = (1 + tanh(x p(x^2))) / 2. The coefficients of p are a weighted least-squares fit of artanh(2 Phi(x) - 1) / x
# for |x| up to 5.6; the weights make the largest error of Phi as small as possible. Beyond, x p(x^2) grows on, and from
# 10 on tanh is exactly 1 in float32: at LARGEST_X it is 11.8, so that Phi is exactly 0 or 1 for all larger |x|. It must
# be, since GELU multiplies it by x.
TANH_SERIES = (0.79788494, 0.036333085, -3.2594974e-5, -5.5306206e-5, 3.9647488e-6, -1.3226385e-7, 1.7561893e-9)
LARGEST_X = 6.0
FAR_OUT = 1e3  # from here on the normal density is 0
QUICK = 1.702  # the slope in quick GELU, with which the sigmoid is nearest to Phi


@checked("x")
def silu(x: Array) -> tuple[Array, SiLUCache]:
    """Return ``x * sigmoid(x)``, also called swish (Eq. SILU-1; Elfwing et al. 2017, arXiv 1702.03118).

    The sigmoid is computed as ``(1 + tanh(x / 2)) / 2``, which cannot overflow.
    """
    xp = xp_of(x)
    sigmoid = xp.tanh(0.5 * x)
    sigmoid += 1
    sigmoid *= 0.5
    y = x * sigmoid
    return y, SiLUCache(y, sigmoid)


@checked("dy cache.y")
def silu_backward(dy: Array, cache: SiLUCache) -> tuple[Array]:
    """Return ``dx = dy * (sigmoid + y * (1 - sigmoid))`` (Eq. SILU-2).

    Because it is written with y, which the next layer keeps anyway, x need not be kept.
    """
    y, sigmoid = cache
    check_shape("dy", dy, y.shape)
    dx = 1 - sigmoid
    dx *= y
    dx += sigmoid
    dx *= dy
    return (dx,)


@checked("x")
def gelu(x: Array) -> tuple[Array, GELUCache]:
    """Return ``x * Phi(x)``, Phi the standard normal distribution function (Eq. GELU-1; arXiv 1606.08415)."""
    cdf = _normal_cdf(xp_of(x), x)
    return x * cdf, GELUCache(x, cdf)


def _normal_cdf(xp, x):
    """Return Phi(x); in float32 as (1 + tanh(x p(x^2))) / 2, which takes a fifth of the time of the error function.

    The series of p begins like the well-known approximation of GELU, 0.798 (1 + 0.0447 x^2), and goes on until its
    error, at most 3e-8, is below the spacing of float32 numbers near 1. The plain twin is the error function.
    """
    if is_plain() or x.dtype != xp.float32:
        return 0.5 * (1 + erf(x * 0.5**0.5))
    x = xp.clip(x, -LARGEST_X, LARGEST_X)
    squared = x * x
    *lower, highest = TANH_SERIES
    cdf = highest * squared  # Horner's rule for p(x^2), from the highest coefficient down
    for coefficient in lower[:0:-1]:
        cdf += coefficient
        cdf *= squared
    cdf += lower[0]
    cdf *= x
    xp.tanh(cdf, out=cdf)
    cdf += 1
    cdf *= 0.5
    return cdf


@checked("dy cache.x")
def gelu_backward(dy: Array, cache: GELUCache) -> tuple[Array]:
    """Return ``dx = dy * (Phi(x) + x * phi(x))``, phi the standard normal density (Eq. GELU-2)."""
    x, cdf = cache
    xp = xp_of(x)
    check_shape("dy", dy, x.shape)
    pdf = xp.clip(x, -FAR_OUT, FAR_OUT)  # the square of x itself might be infinite
    pdf *= pdf
    pdf *= -0.5
    xp.exp(pdf, out=pdf)
    pdf *= (2 * math.pi) ** -0.5
    return (dy * (cdf + x * pdf),)


@checked("x")
def quick_gelu(x: Array) -> tuple[Array, QuickGELUCache]:
    """Return ``x * sigmoid(1.702 x)``, which is near to GELU, from which it differs by up to 0.02 (Eq. QGELU-1).

    OpenAI's CLIP was trained with it, and so the text encoder of Stable Diffusion 1.

    Source: Hendrycks and Gimpel 2016 (arXiv 1606.08415), section 2.
    """
    _, (_, sigmoid) = silu.bare(QUICK * x)
    y = x * sigmoid
    return y, QuickGELUCache(y, sigmoid)


@checked("dy cache.y")
def quick_gelu_backward(dy: Array, cache: QuickGELUCache) -> tuple[Array]:
    """Return ``dx = dy * (sigmoid + 1.702 y * (1 - sigmoid))`` (Eq. QGELU-2)."""
    y, sigmoid = cache
    check_shape("dy", dy, y.shape)
    return (dy * (sigmoid + QUICK * y * (1 - sigmoid)),)


@checked("x")
def geglu(x: Array) -> tuple[Array, GEGLUCache]:
    """Return ``value * gelu(gate)``, from the two halves of x (Eq. GEGLU-1; Shazeer 2020, arXiv 2002.05202).

    The last axis of x is cut in two; the value comes first, as in Stable Diffusion.
    """
    check_divisible("the last axis of x", x.shape[-1], "value and gate", 2)
    value, gate = x[..., : x.shape[-1] // 2], x[..., x.shape[-1] // 2 :]
    y, (_, cdf) = gelu.bare(gate)
    y *= value
    return y, GEGLUCache(value, gate, cdf)


@checked("dy cache.value")
def geglu_backward(dy: Array, cache: GEGLUCache) -> tuple[Array]:
    """Return ``dx``: ``dy * gelu(gate)`` for the value, ``dy * value * gelu'(gate)`` for the gate (Eq. GEGLU-2)."""
    value, gate, cdf = cache
    xp = xp_of(value)
    check_shape("dy", dy, value.shape)
    (d_gate,) = gelu_backward.bare(dy * value, GELUCache(gate, cdf))
    return (xp.concatenate([dy * gate * cdf, d_gate], axis=-1),)


@checked("x", check_slope)
def leaky_relu(x: Array, slope: float = 0.2) -> tuple[Array, LeakyReLUCache]:
    """Return x where it is positive, and ``slope * x`` elsewhere (Eq. LRELU-1; Maas et al. 2013).

    Parameters
    ----------
    x : array
    slope : float
        From 0, which gives ReLU, to 1; 0.2 is usual in discriminators: where a unit is off, a gradient still passes,
        and it is all that the generator learns from.
    """
    return xp_of(x).where(x > 0, x, slope * x), LeakyReLUCache(x, slope)


@checked("dy cache.x")
def leaky_relu_backward(dy: Array, cache: LeakyReLUCache) -> tuple[Array]:
    """Return ``dx``: dy where x was positive, and ``slope * dy`` elsewhere, also at 0 (Eq. LRELU-2)."""
    x, slope = cache
    check_shape("dy", dy, x.shape)
    return (xp_of(x).where(x > 0, dy, slope * dy),)


@checked("x", check_softmax)
def softmax(x: Array) -> tuple[Array, SoftmaxCache]:
    """Return ``exp(x) / sum(exp(x))`` along the last axis (Eq. SM-1).

    The largest entry is subtracted first: the result is the same, and no exponential can overflow.
    """
    xp = xp_of(x)
    with np.errstate(over="ignore"):  # a difference may be -inf, whose exponential is 0
        y = x - x.max(axis=-1, keepdims=True)
    xp.exp(y, out=y)
    y /= y.sum(axis=-1, keepdims=True)
    return y, SoftmaxCache(y)


@checked("dy cache.y")
def softmax_backward(dy: Array, cache: SoftmaxCache) -> tuple[Array]:
    """Return ``dx = y * (dy - sum(dy * y))`` (Eq. SM-2): the Jacobian diag(y) - y y^T, never written out."""
    (y,) = cache
    check_shape("dy", dy, y.shape)
    return (y * (dy - (dy * y).sum(axis=-1, keepdims=True)),)


@checked("x", check_dropout)
def dropout(x: Array, rate: float, uniform: Array) -> tuple[Array, DropoutCache]:
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
    check_shape("uniform", uniform, x.shape)
    factor = (uniform >= rate).astype(x.dtype)
    factor *= 1 / (1 - rate)
    return x * factor, DropoutCache(factor)


@checked("dy cache.factor")
def dropout_backward(dy: Array, cache: DropoutCache) -> tuple[Array]:
    """Return ``dx``: a dropped entry gets no gradient, a scaled entry a scaled one (Eq. DROP-2)."""
    (factor,) = cache
    check_shape("dy", dy, factor.shape)
    return (dy * factor,)


@checked("x", check_clamp)
def clamp(x: Array, least: float, most: float) -> tuple[Array, ClampCache]:
    """Return the nearest number from `least` to `most` (Eq. CLAMP-1).

    Parameters
    ----------
    x : array
    least, most : float
    """
    inside = ((x >= least) & (x <= most)).astype(x.dtype)
    return xp_of(x).clip(x, least, most), ClampCache(inside)


@checked("dy cache.inside")
def clamp_backward(dy: Array, cache: ClampCache) -> tuple[Array]:
    """Return ``dx``: dy inside the bounds and on them, 0 outside, where x changes nothing (Eq. CLAMP-2)."""
    (inside,) = cache
    check_shape("dy", dy, inside.shape)
    return (dy * inside,)
