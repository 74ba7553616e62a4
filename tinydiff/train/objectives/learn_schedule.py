"""LearnSchedule: the times at which a denoiser is looked at, so that its bound varies least (VDM)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinydiff.base import Array, InputError, Noise, check_finite, checks_arguments, xp_of
from tinydiff.diffusion.alpha_bar import to_multiply
from tinydiff.diffusion.continuous_bound import continuous_term, noised, slope_gradient
from tinydiff.networks.noise_schedule import NoiseSchedule
from tinydiff.nn import Gradients, Tape
from tinydiff.train.config import ValidatedConfig
from tinydiff.train.objective import Objective
from tinydiff.train.order import shuffled


@checks_arguments("__init__")
@dataclass(frozen=True)
class LearnScheduleConfig(ValidatedConfig):
    """How a schedule is learned: the settings of every validated run, and one more.

    Parameters
    ----------
    ends : bool
        Whether its ends are learned too, by the bound itself; else they stay.
    """

    lr: float = 3e-2
    ema: float | None = None
    ends: bool = False


@checks_arguments("__init__")
class LearnSchedule(Objective):
    """The schedule learns where to look, of a denoiser that stands still (Kingma et al. 2021).

    The bound is a mean over random times. Inside, the schedule is moved so that this mean varies least, which leaves
    the bound as it is; its ends by the bound.

    Parameters
    ----------
    schedule : NoiseSchedule
        Trained in place.
    denoise : callable
        ``denoise(x_t, gamma) -> eps_hat`` on DDPM's path, gamma an array (N,); see `in_gamma`.
    x_0 : array, shape (N, ...)
        The data.
    config : LearnScheduleConfig
    validation : array or None
        Held-out data.

    Raises
    ------
    InputError
        If the data are not finite numbers, or there are none.
    """

    config: LearnScheduleConfig

    def __init__(
        self,
        schedule: NoiseSchedule,
        denoise: Callable[[Array, Array], Array],
        x_0: Array,
        config: LearnScheduleConfig,
        validation: Array | None = None,
    ):
        super().__init__(schedule, config)
        self.denoise, self.x_0, self.validation = denoise, x_0, validation
        for name, data in (("x_0", x_0), ("validation", validation)):
            if data is not None:
                check_finite(name, data)
                if not len(data):
                    raise InputError(f"{name} is empty: there is nothing to learn from.")

    def add_gradient(self, step: int, shard: int, grads: Gradients) -> Array:
        """Add one micro-batch's part of the gradient; return its part of the mean square (Eq. VDM-VAR)."""
        noise, part = self.noise(step, shard), self.config.part(shard)
        x_0 = self.x_0[shuffled(len(self.x_0), self.config.batch, step, self.config.seed)[part]]
        n, tape = len(x_0), Tape()
        t = self._times(noise, n)
        gamma, slope, curvature = self.network.forward(t, tape)
        eps = noise.normal(x_0.shape, "eps", dtype=x_0.dtype)
        term = continuous_term(eps, self.denoise(noised(x_0, gamma, eps), gamma), slope.astype(x_0.dtype))
        term = term.astype(np.float64)
        share = n / self.config.batch
        d_gamma, d_slope = slope_gradient(term, slope, curvature)
        self.network.backward(share / n * d_gamma, share / n * d_slope, tape, grads, ends=False)
        if self.config.ends:
            d_first, d_last = end_gradients(self.denoise, x_0, eps, self.network.ends)
            self.network.move_ends(share / n * d_first, share / n * d_last, grads)
        return share * (term**2).mean()

    def validate(self, *networks: Any) -> dict[str, float]:
        """Return the bound on held-out data without its ends, in nats, and its standard deviation over times and eps.

        The times and eps are the same every time.
        """
        (network,), x_0 = networks, self.validation
        if x_0 is None:
            return {}
        n = min(self.config.validation_images, len(x_0))
        x_0, noise = x_0[:n], Noise(0, xp=xp_of(x_0))
        gamma, slope, _ = network.forward((noise.xp.arange(n) + 0.5) / n)
        order = noise.xp.argsort(noise.uniform((n,), "order"))
        gamma, slope = gamma[order], slope[order]
        eps = noise.normal(x_0.shape, "validation eps", dtype=x_0.dtype)
        term = continuous_term(eps, self.denoise(noised(x_0, gamma, eps), gamma), slope.astype(x_0.dtype))
        return {
            "validation_loss": float((term.astype(np.float64) ** 2).mean()),
            "bound": float(term.mean()),
            "deviation": float(term.std()),
        }

    def _times(self, noise, n):
        """Return stratified times 0 .. 1 of a micro-batch (Eq. STRATA-1)."""
        begin = noise.at(first=0).uniform((1,), "t", dtype=np.float64)
        return (begin + (noise.first + noise.xp.arange(n)) / self.config.batch) % 1


def end_gradients(
    denoise: Callable[[Array, Array], Array], x_0: Array, eps: Array, ends: tuple[float, float]
) -> tuple[Array, Array]:
    """Return the gradients of the whole bound in gamma_0 and gamma_1, an unbiased draw for each sample (Eq. VDM-ENDS).

    The bound is KL(q(x_T | x_0) || N(0, I)) at gamma_1, half the integral of the error, and -log p(x_0 | x_t) at
    gamma_0, of the density N(x_t / a, b^2 / a^2), which is that of x_0 if all that is known is x_t. With each end the
    integral grows or shrinks by half the error there.

    Parameters
    ----------
    denoise : callable
    x_0, eps : arrays, shape (N, ...)
    ends : (float, float)
        gamma_0 and gamma_1.

    Returns
    -------
    two arrays, shape (N,)
    """
    xp = xp_of(x_0, eps)
    half_errors = []
    for end in ends:
        gamma = xp.full(len(x_0), end)
        half_errors.append(continuous_term(eps, denoise(noised(x_0, gamma, eps), gamma), xp.ones(len(x_0), x_0.dtype)))
    signal, noise = (1 / (1 + xp.exp(sign * xp.asarray(ends[1]))) for sign in (1, -1))
    of_prior = (to_multiply(float(signal * noise), x_0) * (1 - x_0**2) - float(signal)) / 2
    size = x_0[0].size
    return size / 2 - half_errors[0], of_prior.reshape(len(x_0), -1).sum(axis=1) + half_errors[1]
