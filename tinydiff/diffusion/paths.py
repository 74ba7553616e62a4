"""Paths from data to noise, x_t = a x_0 + b eps with any a and b: DDPM's path in other units.

How hard it is to see through the noise depends on the ratio of a and b alone. So each path is DDPM's, on which
a^2 + b^2 = 1, times a scale which that ratio decides: alpha_bar = a^2 / (a^2 + b^2), and scale = sqrt(a^2 + b^2). All
formulas follow: x_t is divided by its scale where one begins, and what is an x at s is multiplied by that at s where it
ends. A denoiser of one path is then a denoiser of all.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinydiff.base import Array, Choices, InputError, checks_arguments
from tinydiff.diffusion.alpha_bar import Time, to_multiply
from tinydiff.diffusion.checks import check_match
from tinydiff.diffusion.process import GaussianDiffusion


def variance_preserving(alpha_bar: Any, noise: Any) -> Any:
    """Return the scale of the path with a^2 + b^2 = 1, DDPM's: x_t keeps the variance of data of variance 1."""
    return 1.0


def variance_exploding(alpha_bar: Any, noise: Any) -> Any:
    """Return the scale of the path with a = 1: noise is added, and nothing shrinks (Eq. VE-1)."""
    return 1 / alpha_bar**0.5


def sub_variance_preserving(alpha_bar: Any, noise: Any) -> Any:
    """Return the scale of the path with b = 1 - a^2: less noise than DDPM's at every a (Eq. SUBVP-1)."""
    return 2 / (noise**0.5 + (noise + 4 * alpha_bar) ** 0.5)


def straight(alpha_bar: Any, noise: Any) -> Any:
    """Return the scale of the path with a + b = 1: flow matching's, straight from data to noise (Eq. FLOW-1)."""
    return 1 / (alpha_bar**0.5 + noise**0.5)


# The scale sqrt(a^2 + b^2) as a function of alpha_bar and 1 - alpha_bar, by the name of the path.
PATHS: Choices[Callable[[Any, Any], Any]] = Choices(
    "path",
    {"vp": variance_preserving, "ve": variance_exploding, "sub-vp": sub_variance_preserving, "straight": straight},
)


@checks_arguments("__init__")
@dataclass(frozen=True, eq=False)
class GaussianPath(GaussianDiffusion):
    """A forward process on any of the `PATHS`, with the methods of `GaussianDiffusion`.

    Parameters
    ----------
    alpha_bar : array, shape (T + 1,)
        a^2 / (a^2 + b^2) at every step, as for `GaussianDiffusion`.
    path : str
        ``"vp"``, a^2 + b^2 = 1, is DDPM's; ``"straight"``, a + b = 1, flow matching's; ``"ve"``, a = 1, that of EDM,
        which needs some signal at T; ``"sub-vp"`` has b = 1 - a^2.

    Raises
    ------
    InputError
        If alpha_bar is no such table, the path is unknown, or its noise would be infinite at T.
    """

    path: str = "straight"

    def __post_init__(self):
        super().__post_init__()
        PATHS[self.path]
        least = self.alpha_bar[-1]
        with np.errstate(divide="ignore"):
            scale = PATHS[self.path](least, 1 - least)
        if not np.isfinite(scale):
            raise InputError(
                f"alpha_bar is {least:.3g} at T, but on the path {self.path!r} the noise would be infinite there: take "
                "a schedule that leaves some signal."
            )

    def scale_at(self, t: Time) -> float | Array:
        """Return sqrt(a^2 + b^2), by what x_t is larger than on DDPM's path."""
        alpha_bar, noise = self._shares(t, first=0)
        return PATHS[self.path](alpha_bar, noise)

    def scales(self, t: Time) -> tuple[float | Array, float | Array]:
        """Return a and b at t, in float64."""
        a, b = super().scales(t)
        return self.scale_at(t) * a, self.scale_at(t) * b

    def noise_variance(self, t: Time) -> float | Array:
        """Return b^2 at t, in float64."""
        return self.scale_at(t) ** 2 * super().noise_variance(t)

    def q_sample(self, x_0: Array, t: Time, eps: Array) -> Array:
        """Return x_t ~ q(x_t | x_0), made from standard normal `eps`."""
        return self._large(super().q_sample(x_0, t, eps), t)

    def q_step(self, x_s: Array, t: Time, eps: Array, s: Time | None = None) -> Array:
        """Return x_t ~ q(x_t | x_s), made from standard normal `eps`."""
        s = t - 1 if s is None else s
        return self._large(super().q_step(self._small(s, x_s=x_s), t, eps, s), t)

    def beta(self, t: Time, s: Time | None = None) -> float | Array:
        """Return the variance of q(x_t | x_s) in float64."""
        return self.scale_at(t) ** 2 * super().beta(t, s)

    def reverse_beta(self, t: Time, s: Time | None = None) -> float | Array:
        """Return beta in the units of x_s, in float64."""
        s = t - 1 if s is None else s
        return self.scale_at(s) ** 2 * super().reverse_beta(t, s)

    def posterior_variance(self, t: Time, s: Time | None = None) -> float | Array:
        """Return the variance of q(x_s | x_t, x_0), in float64."""
        s = t - 1 if s is None else s
        return self.scale_at(s) ** 2 * super().posterior_variance(t, s)

    def posterior_mean(self, x_0: Array, x_t: Array, t: Time, s: Time | None = None) -> Array:
        """Return the mean of q(x_s | x_t, x_0)."""
        s = t - 1 if s is None else s
        return self._large(super().posterior_mean(x_0, self._small(t, x_t=x_t), t, s), s)

    def posterior_mean_from_eps(self, x_t: Array, t: Time, eps: Array, s: Time | None = None) -> Array:
        """Return the same mean from the noise in x_t."""
        s = t - 1 if s is None else s
        return self._large(super().posterior_mean_from_eps(self._small(t, x_t=x_t), t, eps, s), s)

    def x_0_from_eps(self, x_t: Array, t: Time, eps: Array) -> Array:
        """Return x_0 = (x_t - b eps) / a."""
        return super().x_0_from_eps(self._small(t, x_t=x_t), t, eps)

    def eps_from_x_0(self, x_t: Array, t: Time, x_0: Array) -> Array:
        """Return eps = (x_t - a x_0) / b."""
        return super().eps_from_x_0(self._small(t, x_t=x_t), t, x_0)

    def x_0_from_v(self, x_t: Array, t: Time, v: Array) -> Array:
        """Return x_0 from the velocity v of DDPM's path, whose a and b make it."""
        return super().x_0_from_v(self._small(t, x_t=x_t), t, v)

    def eps_from_v(self, x_t: Array, t: Time, v: Array) -> Array:
        """Return eps from the velocity v of DDPM's path, whose a and b make it."""
        return super().eps_from_v(self._small(t, x_t=x_t), t, v)

    def score_from_eps(self, eps: Array, t: Time) -> Array:
        """Return the score, the gradient of log q(x_t) in x_t, of an expected noise: -eps / b."""
        return self._small(t, score=super().score_from_eps(eps, t))

    def eps_from_score(self, score: Array, t: Time) -> Array:
        """Return the expected noise, -b score."""
        check_match(score=score)
        return super().eps_from_score(self._large(score, t), t)

    def _large(self, x, t):
        """Return x, which is on DDPM's path, in the units of this one."""
        return to_multiply(self.scale_at(t), x) * x

    def _small(self, t, **array):
        """Return an array, which is in the units of this path, on DDPM's; it is given by its name, for errors."""
        check_match(**array)
        (x,) = array.values()
        return x / to_multiply(self.scale_at(t), x)
