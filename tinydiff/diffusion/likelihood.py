"""The evidence lower bound: for a chain of normal steps, an upper bound on -log p(x_0) in nats.

The model goes from t to t - 1 by a normal step whose mean is that of q(x_{t-1} | x_t, x_0) at the predicted x_0, and
whose variance is beta_t, one of the two choices of DDPM, or what a network says of it (`variance_loss`). Then
-log p(x_0) is at most `prior_term` plus the sum of `step_term` over t = 1 .. T, in expectation over the noise.
"""

import math
from typing import Any

import numpy as np

from tinydiff.base import Array, InputError, check_positive, checked
from tinydiff.diffusion.alpha_bar import Time, is_on_host
from tinydiff.diffusion.learned_variance import variance_loss
from tinydiff.diffusion.process import GaussianDiffusion
from tinydiff.diffusion.targets import Predict
from tinydiff.diffusion.times import per_sample


@checked()
def normal_kl(mean_1: float | Array, variance_1: float, mean_2: float | Array, variance_2: float) -> Array:
    """Return the divergence KL(N(mean_1, variance_1) || N(mean_2, variance_2)) in nats, elementwise (Eq. KL-1).

    Parameters
    ----------
    mean_1, mean_2 : numbers or arrays
    variance_1, variance_2 : float
        Above 0.

    Raises
    ------
    InputError
        If a variance is not above 0.
    """
    check_positive("variance_1", variance_1)
    check_positive("variance_2", variance_2)
    shape_1, shape_2 = getattr(mean_1, "shape", ()), getattr(mean_2, "shape", ())
    if any(m != n and 1 not in (m, n) for m, n in zip(shape_1[::-1], shape_2[::-1], strict=False)):
        raise InputError(f"mean_1 has shape {tuple(shape_1)} and mean_2 {tuple(shape_2)}, which do not fit each other.")
    variance_1, variance_2 = float(variance_1), float(variance_2)
    change = (variance_1 - variance_2) / variance_2  # ratio - 1, without its rounding where the two are nearly equal
    log_ratio = math.log1p(change) if abs(change) < 0.5 else math.log(variance_1) - math.log(variance_2)
    return (change - log_ratio) / 2 + ((mean_1 - mean_2) * (2 * variance_2) ** -0.5) ** 2


@checked()
def prior_term(diffusion: GaussianDiffusion, x_0: Array) -> Array:
    """Return KL(q(x_T | x_0) || N(0, I)) in nats, shape (N,): the term for starting from pure noise (Eq. DDPM-5)."""
    alpha_bar = float(diffusion.alpha_bar[-1])
    return _sum(normal_kl(alpha_bar**0.5 * x_0, 1 - alpha_bar, 0.0, 1.0))


@checked()
def step_term(
    predict: Predict,
    diffusion: GaussianDiffusion,
    x_0: Array,
    t: int,
    eps: Array,
    context: Any = None,
) -> Array:
    """Return the term of the step from t to t - 1 in nats, shape (N,), at one x_t per sample (Eq. DDPM-5).

    For t > 1 it is KL(q(x_{t-1} | x_t, x_0) || p(x_{t-1} | x_t)), for t = 1 it is -log p(x_0 | x_1), where p is a
    density: data are real numbers here, not discrete levels of grey. Its mean over eps is a term of the bound.

    Parameters
    ----------
    predict : callable
        ``predict(x_t, t, context) -> (x_0_hat, eps_hat)``, t an array of shape (N,).
    diffusion : GaussianDiffusion
    x_0, eps : arrays, shape (N, ...)
        Data and standard normal noise, from which x_t is made.
    t : int
        From 1 to T.
    context : array, shape (N, ...), or None
        Passed on to predict.

    Raises
    ------
    InputError
        If t is out of range, or arrays differ in shape, dtype or device.

    References
    ----------
    Ho, Jain, Abbeel, "Denoising diffusion probabilistic models", NeurIPS 2020, Eq. 5.
    """
    x_t = diffusion.q_sample(x_0, t, eps)
    prediction = predict(x_t, per_sample(t, x_t), context)
    x_0_hat, _ = prediction
    if (share := getattr(prediction, "share", None)) is not None:
        loss, _ = variance_loss(diffusion, x_0, x_0_hat, per_sample(t, x_t), share)
        return _sum(loss)
    mean, variance = diffusion.posterior_mean(x_0_hat, x_t, t), diffusion.reverse_beta(t)
    if t == 1:
        return _sum((x_0 - mean) ** 2 / (2 * variance) + 0.5 * math.log(2 * math.pi * variance))
    return _sum(normal_kl(diffusion.posterior_mean(x_0, x_t, t), diffusion.posterior_variance(t), mean, variance))


@checked()
def eps_weight(diffusion: GaussianDiffusion, t: Time) -> float | Array:
    """Return what multiplies the squared error of the noise in `step_term`, float64 (Eq. DDPM-12).

    Raises
    ------
    InputError
        On the host, at a step that leaves no signal, where beta is 1: the weight is infinite there.
    """
    beta = diffusion.beta(t) / diffusion.scale_at(t) ** 2  # as a share of the variance of x_t
    if is_on_host(beta) and np.any(beta == 1):
        raise InputError(f"t is {t}, but alpha_bar is 0 there, so eps has no finite weight: take t < {diffusion.T}.")
    return beta / (2 * (1 - beta) * (1 - diffusion.alpha_bar_at(t)))


def _sum(x):
    """Return the sum over all axes but the first."""
    return x.reshape(len(x), math.prod(x.shape[1:])).sum(axis=1)
