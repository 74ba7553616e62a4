"""Exact denoisers of known densities: samplers, likelihoods and guidance are tested against them.

Each density q(x_0) here stays in closed form when noise is added, so its best denoiser, its log density and its
score at any t are known. The arithmetic is float64 on the device of x_t; results have the dtype of x_t.
"""

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np

from tinydiff.base import Array, InputError, check_numbers, check_shape, checks_arguments, shown, xp_of
from tinydiff.diffusion.alpha_bar import Time
from tinydiff.diffusion.checks import check_match
from tinydiff.diffusion.process import GaussianDiffusion
from tinydiff.functional.values import check_labels


@checks_arguments("__init__", "predict", "predict_backward", "score", "log_density")
class Density:
    """A density of clean data whose noisy versions q(x_t) are known exactly.

    A subclass states one formula, `posterior`, and its gradient; the rest follows. Everywhere x_t is an array
    (N, *shape), and t a step index, ``0 < t <= T``: a number, or an array of shape (N,).

    Parameters
    ----------
    diffusion : GaussianDiffusion
    shape : tuple
        Shape of one sample, such as ``(2,)`` or ``(8, 8, 1)``; D is its size.
    smooth : bool
        Whether there is a density at t = 0 too: no point masses, no direction without variance.
    """

    def __init__(self, diffusion: GaussianDiffusion, shape: tuple, smooth: bool):
        self.diffusion = diffusion
        self.shape = tuple(shape)
        self.smooth = smooth

    def posterior(self, x: Array, alpha_bar: Array) -> tuple[Array, Array]:
        """Return E[x_0 | x_t], (N, D), and log q(x_t), (N,), of float64 x (N, D) on DDPM's path, alpha_bar (N, 1)."""
        raise NotImplementedError

    def posterior_backward(self, x: Array, alpha_bar: Array, d_x_0_hat: Array) -> Array:
        """Return the gradient of x, (N, D), of that of E[x_0 | x_t], (N, D), arguments as for `posterior`."""
        raise NotImplementedError

    def predict(self, x_t: Array, t: Time, context: Any = None) -> tuple[Array, Array]:
        """Return the exact ``(x_0_hat, eps_hat)``: the means of x_0 and of eps given x_t.

        `context` is there because samplers pass one; these densities have no conditions.
        """
        x_0_hat, eps_hat = self._denoise(x_t, t)
        return x_0_hat.astype(x_t.dtype), eps_hat.astype(x_t.dtype)

    def predict_backward(self, x_t: Array, t: Time, d_x_0_hat: Array) -> Array:
        """Return the gradient of x_t, from that of x_0_hat: d times the Jacobian of x_0_hat (Eq. TWEEDIE-2).

        The Jacobian is a / b^2 times the covariance of x_0 given x_t. It is symmetric, so this is also by how much
        x_0_hat changes when x_t moves along d.
        """
        check_match(x_t=x_t, d_x_0_hat=d_x_0_hat)
        x, alpha_bar, scale = self._flat(x_t, t, False)
        d_x = self.posterior_backward(x, alpha_bar, d_x_0_hat.reshape(x.shape).astype(np.float64))
        return (d_x / scale).reshape(x_t.shape).astype(x_t.dtype)

    def score(self, x_t: Array, t: Time) -> Array:
        """Return the gradient of log q(x_t) in x_t, (a x_0_hat - x_t) / b^2 (Eq. TWEEDIE-1)."""
        _, eps_hat = self._denoise(x_t, t)
        return self.diffusion.score_from_eps(eps_hat, t).astype(x_t.dtype)

    def log_density(self, x_t: Array, t: Time) -> Array:
        """Return log q(x_t) in nats, shape (N,). Smooth densities allow t = 0."""
        x, alpha_bar, scale = self._flat(x_t, t, self.smooth)
        _, log_q = self.posterior(x, alpha_bar)
        return (log_q - x.shape[1] * xp_of(x).log(scale)[:, 0]).astype(x_t.dtype)

    def _denoise(self, x_t, t):
        x, alpha_bar, _ = self._flat(x_t, t, False)
        x_0_hat, _ = self.posterior(x, alpha_bar)
        x_0_hat = x_0_hat.reshape(x_t.shape)
        return x_0_hat, self.diffusion.eps_from_x_0(x_t.astype(np.float64), t, x_0_hat)

    def _flat(self, x_t, t, clean):
        """Return x_t on DDPM's path (N, D), alpha_bar at t, and by what x_t is larger (N, 1), all in float64.

        `clean` allows t = 0.
        """
        check_match(x_t=x_t)
        check_shape("x_t", x_t, (None, *self.shape))
        xp = xp_of(x_t)
        if isinstance(t, Real):
            t = xp.full(len(x_t), t)
        alpha_bar: Array = self.diffusion.alpha_bar_at(t)
        if not clean and xp is np and (alpha_bar == 1).any():
            raise InputError("t is 0, where this needs some noise: a step index from 1 to T was expected.")
        xp_of(x_t, t)
        check_shape("t", t, (len(x_t),))
        scale = xp.zeros(len(x_t)) + self.diffusion.scale_at(t)
        x = x_t.reshape(len(x_t), math.prod(self.shape)).astype(np.float64)
        return x / scale[:, None], alpha_bar[:, None], scale[:, None]


@checks_arguments("__init__", "flow")
class Gaussian(Density):
    """A Gaussian with any covariance.

    Parameters
    ----------
    diffusion : GaussianDiffusion
    mean : array
        Of the shape of a sample.
    covariance : number, array like `mean`, or array (D, D)
        One variance for all entries, a variance for each, or the full matrix.

    Raises
    ------
    InputError
        If the covariance has another shape, is not symmetric, or has an eigenvalue below 0.
    """

    def __init__(self, diffusion: GaussianDiffusion, mean: Array | Sequence, covariance: float | Array | Sequence):
        self.mean = _table("mean", mean).reshape(-1)
        self.variances, self.axes = _principal_axes(_table("covariance", covariance), np.shape(mean))
        super().__init__(diffusion, np.shape(mean), smooth=bool(self.variances.min() > 0))

    def posterior(self, x: Array, alpha_bar: Array) -> tuple[Array, Array]:
        """Return E[x_0 | x_t] and log q(x_t), computed along the principal axes (Eq. GAUSS-1)."""
        xp, a = xp_of(x), alpha_bar**0.5
        y, variances = self._along_axes(x - a * xp.asarray(self.mean)), xp.asarray(self.variances)
        total = alpha_bar * variances + (1 - alpha_bar)
        x_0_hat = self._from_axes(a * variances / total * y) + xp.asarray(self.mean)
        return x_0_hat, -0.5 * (y * y / total + xp.log(2 * np.pi * total)).sum(axis=1)

    def posterior_backward(self, x: Array, alpha_bar: Array, d_x_0_hat: Array) -> Array:
        """Return the gradient of x: E[x_0 | x_t] is linear in it (Eq. TWEEDIE-2)."""
        variances = xp_of(x).asarray(self.variances)
        gain = alpha_bar**0.5 * variances / (alpha_bar * variances + (1 - alpha_bar))
        return self._from_axes(gain * self._along_axes(d_x_0_hat))

    def flow(self, x_t: Array, t: Time, s: Time) -> Array:
        """Return x_s at the end of the probability-flow ODE that starts from x_t (Eq. GAUSS-2).

        The ODE keeps every marginal q(x_t). For a Gaussian it moves each principal coordinate so that its number
        of standard deviations from the mean stays the same. Times may run either way, and s may be 0.
        """
        x, alpha_bar_t, _ = self._flat(x_t, t, self.smooth)
        _, alpha_bar_s, scale_s = self._flat(x_t, s, True)
        xp = xp_of(x)
        mean, variances = xp.asarray(self.mean), xp.asarray(self.variances)
        total_t, total_s = (alpha_bar * variances + (1 - alpha_bar) for alpha_bar in (alpha_bar_t, alpha_bar_s))
        y = self._along_axes(x - alpha_bar_t**0.5 * mean)
        x_s = self._from_axes((total_s / total_t) ** 0.5 * y) + alpha_bar_s**0.5 * mean
        return (scale_s * x_s).reshape(x_t.shape).astype(x_t.dtype)

    def _along_axes(self, x):
        return x if self.axes is None else x @ xp_of(x).asarray(self.axes)

    def _from_axes(self, y):
        return y if self.axes is None else y @ xp_of(y).asarray(self.axes).T


@checks_arguments("__init__", "log_class_probability", "class_gradient")
class GaussianMixture(Density):
    """A mixture of K Gaussians.

    Parameters
    ----------
    diffusion : GaussianDiffusion
    weights : array, shape (K,)
        Positive; they are divided by their sum.
    means : array, shape (K, *shape)
    covariances : sequence of length K
        For each component, what `Gaussian` takes.

    Raises
    ------
    InputError
        If the numbers of weights, means and covariances differ, or a weight is not positive.
    """

    def __init__(
        self,
        diffusion: GaussianDiffusion,
        weights: Array | Sequence,
        means: Array | Sequence,
        covariances: Array | Sequence,
    ):
        self.log_weights = _log_weights(weights, len(means))
        if len(covariances) != len(means):
            raise InputError(
                f"covariances has length {len(covariances)}, but one for each of {len(means)} means was expected."
            )
        self.components = [Gaussian(diffusion, m, c) for m, c in zip(means, covariances, strict=True)]
        super().__init__(diffusion, np.shape(means)[1:], smooth=all(c.smooth for c in self.components))

    def posterior(self, x: Array, alpha_bar: Array) -> tuple[Array, Array]:
        """Return E[x_0 | x_t], the components' means weighted by p(k | x_t), and log q(x_t) (Eq. GMM-1)."""
        x_0_hats, share, log_q = self._of_components(x, alpha_bar)
        x_0_hat = sum(share[:, k, None] * x_0_hat for k, x_0_hat in enumerate(x_0_hats))
        return x_0_hat, log_q

    def posterior_backward(self, x: Array, alpha_bar: Array, d_x_0_hat: Array) -> Array:
        """Return the gradient of x: through the components' means, and through their shares (Eq. TWEEDIE-2)."""
        x_0_hats, share, _ = self._of_components(x, alpha_bar)
        a, mean = alpha_bar**0.5, sum(share[:, k, None] * x_0_hat for k, x_0_hat in enumerate(x_0_hats))
        d_x = 0 * x
        for k, (component, x_0_hat) in enumerate(zip(self.components, x_0_hats, strict=True)):
            of_share = (d_x_0_hat * x_0_hat).sum(axis=1, keepdims=True) * a / (1 - alpha_bar) * (x_0_hat - mean)
            d_x = d_x + share[:, k, None] * (component.posterior_backward(x, alpha_bar, d_x_0_hat) + of_share)
        return d_x

    def log_class_probability(self, x_t: Array, t: Time, classes: Array) -> Array:
        """Return log p(k | x_t), shape (N,), for a component k = `classes`, (N,), of each sample (Eq. CLASS-1).

        It is the output of a perfect classifier of noisy samples.
        """
        k, xp = self._classes(x_t, classes), xp_of(x_t)
        log_qs = xp.stack([c.log_density(x_t, t) for c in self.components], axis=1)
        log_joint = log_qs + xp.asarray(self.log_weights)
        return log_joint[xp.arange(len(k)), k] - self.log_density(x_t, t)

    def class_gradient(self, x_t: Array, t: Time, classes: Array) -> Array:
        """Return the gradient of log p(k | x_t) in x_t: the component's score less the mixture's (Eq. CLASS-1)."""
        k, xp = self._classes(x_t, classes), xp_of(x_t)
        scores = xp.stack([c.score(x_t, t) for c in self.components])
        return scores[k, xp.arange(len(k))] - self.score(x_t, t)

    def _of_components(self, x, alpha_bar):
        """Return each component's E[x_0 | x_t], the shares p(k | x_t), (N, K), and log q(x_t)."""
        xp = xp_of(x)
        x_0_hats, log_qs = zip(*(c.posterior(x, alpha_bar) for c in self.components), strict=True)
        share, log_q = _softmax_and_log_sum(xp.stack(log_qs, axis=1) + xp.asarray(self.log_weights))
        return x_0_hats, share, log_q

    def _classes(self, x_t, classes):
        check_shape("classes", classes, (len(x_t),))
        check_labels("classes", classes, len(self.components))
        return classes


@checks_arguments("__init__")
class FiniteData(Density):
    """A finite data set: a point mass on each of K samples. Its denoiser is that of a network that memorised them.

    Parameters
    ----------
    diffusion : GaussianDiffusion
    points : array, shape (K, *shape)
    weights : array, shape (K,), or None
        Positive; they are divided by their sum. None: all equal.

    Raises
    ------
    InputError
        If there is no point, or a weight is not positive.
    """

    def __init__(self, diffusion: GaussianDiffusion, points: Array | Sequence, weights: Array | Sequence | None = None):
        self.log_weights = _log_weights(np.ones(len(points)) if weights is None else weights, len(points))
        self.points = _table("points", points).reshape(len(points), -1)
        super().__init__(diffusion, np.shape(points)[1:], smooth=False)

    def posterior(self, x: Array, alpha_bar: Array) -> tuple[Array, Array]:
        """Return E[x_0 | x_t], the points weighted by their probability given x_t, and log q(x_t) (Eq. DATA-1)."""
        xp, b_squared = xp_of(x), 1 - alpha_bar
        points, share, log_sum = self._shares(x, alpha_bar)
        return share @ points, log_sum - 0.5 * x.shape[1] * xp.log(2 * np.pi * b_squared[:, 0])

    def posterior_backward(self, x: Array, alpha_bar: Array, d_x_0_hat: Array) -> Array:
        """Return the gradient of x: through the shares of the points (Eq. TWEEDIE-2)."""
        points, share, _ = self._shares(x, alpha_bar)
        d_share = d_x_0_hat @ points.T
        d_logits = share * (d_share - (share * d_share).sum(axis=1, keepdims=True))
        return alpha_bar**0.5 / (1 - alpha_bar) * (d_logits @ points)

    def _shares(self, x, alpha_bar):
        """Return the points, the probability of each given x_t, (N, K), and the log of the sum that they share."""
        xp = xp_of(x)
        points, a, b_squared = xp.asarray(self.points), alpha_bar**0.5, 1 - alpha_bar
        # |x - a p|^2 by one matrix product, since (N, K, D) differences of images would not fit the memory
        squares = (x * x).sum(axis=1, keepdims=True) + alpha_bar * (points * points).sum(axis=1)
        distance_squared = xp.maximum(squares - 2 * a * (x @ points.T), 0)
        log_joint = xp.asarray(self.log_weights) - distance_squared / (2 * b_squared)
        return points, *_softmax_and_log_sum(log_joint)


def _table(name, numbers):
    """Return numbers, or lists of them, as float64."""
    try:
        table = np.asarray(numbers)
    except ValueError:  # rows of different lengths
        table = np.asarray(None)
    check_numbers(name, table)
    if not (table.size and np.isfinite(table).all()):
        raise InputError(f"{name} is {shown(numbers)}, but finite numbers, and at least one, were expected.")
    return table.astype(np.float64)


def _softmax_and_log_sum(z):
    """Return softmax(z) and log sum exp(z) over the last axis; the largest entry is subtracted, so exp is safe."""
    xp = xp_of(z)
    largest = z.max(axis=1, keepdims=True)
    e = xp.exp(z - largest)
    total = e.sum(axis=1, keepdims=True)
    return e / total, (largest + xp.log(total))[:, 0]


def _log_weights(weights, n):
    weights = _table("weights", weights)
    check_shape("weights", weights, (n,))
    if not (n and (weights > 0).all() and np.isfinite(weights).all()):
        raise InputError(f"weights is {shown(weights)}, but one or more finite numbers above 0 were expected.")
    return np.log(weights / weights.sum())


def _principal_axes(covariance, shape):
    """Return the variances along the principal axes, (D,), and the axes as columns, (D, D) or None if trivial."""
    size = int(np.prod(shape))
    if covariance.ndim == 0 or covariance.shape == shape:
        variances, axes = np.broadcast_to(covariance, shape).reshape(-1), None
    elif covariance.shape == (size, size) and np.allclose(covariance, covariance.T):
        variances, axes = np.linalg.eigh(covariance)
        variances = np.where(np.abs(variances) < 1e-13 * np.abs(variances).max(), 0, variances)  # rounding
    else:
        raise InputError(
            f"covariance has shape {covariance.shape}, but a number, {shape}, or a symmetric matrix "
            f"({size}, {size}) was expected."
        )
    if not (variances >= 0).all():
        raise InputError(f"covariance has the eigenvalue {variances.min()}, but variances of 0 or above were expected.")
    return variances, axes
