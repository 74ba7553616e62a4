"""Weightings of a loss: how much the squared error at one noise counts beside that at another.

A weighting says by what the squared error of x_0 is multiplied, as a function of SNR = a^2 / b^2. Errors of eps, v and
other targets are errors of x_0 over a number that t decides (`Target.gain`), so that a weighting is one loss, whatever
the network predicts.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tinydiff.base import Array, Choices, InputError, check_number, checked, xp_of
from tinydiff.diffusion.alpha_bar import Time
from tinydiff.diffusion.process import GaussianDiffusion
from tinydiff.diffusion.targets import SIGMA_DATA, TARGETS


@dataclass(frozen=True)
class Weighting:
    """One way to weigh.

    Parameters
    ----------
    of : callable
        ``of(snr, gamma)`` returns by what the squared error of x_0 is multiplied.
    gamma : float or None
        The number that papers take for it, where there is one to choose.
    summary : str
        What it is, in one line.
    """

    of: Callable[[Any, Any], Any]
    gamma: float | None
    summary: str


WEIGHTINGS: Choices[Weighting] = Choices(  # by name; "own" stands for none of them
    "weighting",
    {
        "eps": Weighting(lambda snr, gamma: snr, None, "the squared error of eps, DDPM's simple loss"),
        "x_0": Weighting(lambda snr, gamma: 1 + 0 * snr, None, "the squared error of x_0"),
        "v": Weighting(lambda snr, gamma: snr + 1, None, "the squared error of v"),
        "min-snr": Weighting(
            lambda snr, gamma: xp_of(snr).minimum(snr, gamma), 5.0, "that of eps, at most gamma times that of x_0"
        ),
        "soft-min-snr": Weighting(lambda snr, gamma: snr * gamma / (snr + gamma), 5.0, "min-snr with a rounded corner"),
        "p2": Weighting(lambda snr, gamma: snr / (1 + snr) ** gamma, 1.0, "that of eps, less where noise is little"),
        "edm": Weighting(lambda snr, gamma: snr + 1 / SIGMA_DATA**2, None, "the squared error of EDM's F"),
    },
)


@checked()
def loss_weight(weighting: str, kind: str, diffusion: GaussianDiffusion, t: Time, gamma: float | None = None) -> Array:
    """Return by what a weighting multiplies the squared error of a network's output (Eq. WEIGHT-1).

    Parameters
    ----------
    weighting : str
        One of `WEIGHTINGS`.
    kind : str
        What the network predicts, one of `TARGETS`.
    diffusion : GaussianDiffusion
    t : array, shape (N,)
        Steps, above 0.
    gamma : float or None
        For those that have one; None: that of the papers.

    Returns
    -------
    float64 array, shape (N,)

    Raises
    ------
    InputError
        If a name is unknown, t is out of range, or gamma is not above 0, or was given for a weighting that has none.

    References
    ----------
    Hang et al., "Efficient diffusion training via min-SNR weighting strategy", ICCV 2023; Crowson et al., "Scalable
    high-resolution pixel-space image synthesis with hourglass diffusion transformers", 2024 (soft); Choi et al.,
    "Perception prioritized training of diffusion models", CVPR 2022 (P2); Karras et al., "Elucidating the design
    space of diffusion-based generative models", NeurIPS 2022 (EDM).
    """
    chosen = WEIGHTINGS[weighting]
    check_gamma(weighting, gamma)
    number = chosen.gamma if gamma is None else gamma
    return chosen.of(diffusion.snr(t), number) * TARGETS[kind].gain(diffusion, t) ** 2


def check_gamma(weighting: str, gamma: float | None) -> None:
    """Raise `InputError` if gamma is no number above 0, or was given for a weighting that has none."""
    if gamma is None:
        return
    if weighting not in WEIGHTINGS or WEIGHTINGS[weighting].gamma is None:
        have = ", ".join(name for name, one in WEIGHTINGS.items() if one.gamma is not None)
        raise InputError(f"gamma is {gamma}, but the weighting {weighting!r} has none; {have} do: leave it out.")
    check_number("gamma", gamma, 1e-3, 1e6)
