"""What the loops of all samplers share: the start of a chain, the check of a prediction, the scales, fresh noise."""

import math
from collections.abc import Iterable, Iterator
from typing import Any, Protocol, runtime_checkable

import numpy as np

from tinydiff.base import Array, InputError, arrays_of, check_numbers, shown, xp_of
from tinydiff.diffusion.checks import check_match
from tinydiff.diffusion.process import GaussianDiffusion

MOST_REPEATS = 10_000  # at one noise level: more than any sampler needs
Chain = Iterator[tuple[float, Array, Array]]  # (t, x_t, x_0_hat) after each step; the last x_t is the sample


@runtime_checkable
class NoiseSource(Protocol):
    """What samplers draw noise from: `Noise`, or something else with these two methods."""

    def at(self, **changes: Any) -> "NoiseSource":
        """Return the same source at another step."""
        ...

    def normal(self, shape: tuple, purpose: str, layer: str = "", dtype: Any = np.float32) -> Array:
        """Return standard normal numbers."""
        ...


def last(chain: Chain) -> Array:
    """Run a sampler to its end and return the sample."""
    if not isinstance(chain, Iterable):
        raise InputError(f"chain is {shown(chain)}, but what a sampler returns was expected.")
    sample = None
    for step in chain:
        if not (isinstance(step, tuple) and len(step) == 3):
            raise InputError("chain does not yield (t, x_t, x_0_hat), as a sampler does.")
        _, sample, _ = step
    if sample is None:
        raise InputError("chain is empty, but at least one step of a sampler was expected.")
    return sample


def start(x_T: Array, context: Any) -> Array:
    """Check that x_T and the context fit each other, and return x_T."""
    xp = xp_of(x_T, *arrays_of(context))
    check_match(x_T=x_T)
    for a in arrays_of(context):
        check_numbers("context", a)
    if x_T.ndim == 0 or any(a.shape[:1] != x_T.shape[:1] for a in arrays_of(context)):
        shapes = ", ".join(str(a.shape) for a in arrays_of(context))
        raise InputError(
            f"x_T has shape {x_T.shape} and context {shapes or None}, but (N, ...) and, for a context, the same N were "
            "expected."
        )
    if xp is np and not np.isfinite(x_T).all():
        raise InputError("x_T holds NaN or infinity, but finite numbers were expected.")
    return x_T


def checked_prediction(x_t: Array, prediction: tuple[Array, Array]) -> tuple[Array, Array]:
    """Check that both parts of a prediction, (x_0_hat, eps_hat), are arrays like x_t, and return them."""
    x_0_hat, eps_hat = prediction
    check_match(x_t=x_t, x_0_hat=x_0_hat, eps_hat=eps_hat)
    if (share := getattr(prediction, "share", None)) is not None:
        check_match(x_t=x_t, share=share)
    return x_0_hat, eps_hat


def check_noise(noise: NoiseSource | None, what: str, amount: float | None = None) -> None:
    """Raise `InputError` if there is no noise, but a sampler, or an amount of something above 0, draws some."""
    if noise is None and amount is None:
        raise InputError(f"noise is None, but {what} draws noise at every step: pass noise=Noise(seed).")
    if noise is None and amount is not None and amount > 0:
        raise InputError(f"{what} is {amount} and noise is None, but {what} > 0 draws noise: pass noise=Noise(seed).")


def scales(diffusion: GaussianDiffusion, t: float) -> tuple[float, float]:
    """Return a and b at the time t, on the path of the process, as numbers."""
    a, b = diffusion.scales(t)
    return float(a), float(b)


def sigma_at_T(diffusion: GaussianDiffusion) -> float:
    """Return sigma = b / a where there is most noise."""
    a, b = scales(diffusion, diffusion.T)
    return b / a if a > 0 else math.inf


def old_and_fresh_noise(diffusion: GaussianDiffusion, t: float, s: float, eta: float) -> tuple[float, float]:
    """Return how much of the noise at s is that of x_t, and how much is drawn afresh (Eq. ANCESTRAL-1).

    Their squares add up to b_s^2; eta is the share of what DDPM draws. Over a_s they are sigma_down and sigma_up.
    """
    (a_t, b_t), (a_s, b_s) = scales(diffusion, t), scales(diffusion, s)
    lost = 1 - (a_t * b_s / (a_s * b_t)) ** 2  # (sigma_t^2 - sigma_s^2) / sigma_t^2, also for an infinite sigma_t
    fresh = eta * b_s * lost**0.5
    return (b_s**2 - fresh**2) ** 0.5, fresh


def step_noise(noise: NoiseSource | None, k: int, x: Array, part: str = "") -> Array:
    """Return the noise that step k adds to each sample of x; a step that adds noise more than once names the part."""
    assert noise is not None  # `check_noise` has seen to it
    return noise.at(step=k, xp=xp_of(x)).normal(x.shape, "sampler", layer=part, dtype=x.dtype)
