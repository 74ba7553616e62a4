"""What samplers of the list state of themselves: the tests hold them to it, and so does the court.

An order is the power by which the error falls on steps that are equal in lambda, and on steps that alternate 2 : 1. Of
samplers that draw noise it is that of the error of a Gaussian's variance, on equal steps; 0 says that an error stays
however many steps there are. The tests in `tests/diffusion/samplers` hold every line of both tables against SciPy.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class Stated(NamedTuple):
    """A sampler with options, its orders on equal and on alternating steps, and which other one it is."""

    name: str
    options: dict[str, Any]
    order: float
    order_on_alternating: float
    same_as: str = ""

    @property
    def label(self) -> str:
        """Name and options, as in a table."""
        return label_of(self.name, self.options)


class StatedNoise(NamedTuple):
    """A sampler that draws noise, and by which power the error of the variance falls at least."""

    name: str
    options: dict[str, Any]
    order: float

    @property
    def label(self) -> str:
        """Name and options, as in a table."""
        return label_of(self.name, self.options)


def label_of(name: str, options: Mapping[str, Any]) -> str:
    """Return a sampler's name with its options: ``dpm_solver, order 3``."""
    return ", ".join([name, *(f"{option} {value}" for option, value in options.items())])


ODE = [  # samplers that draw no noise, with options, and the orders that they state
    Stated("ddim", {}, 1, 1),
    Stated("euler", {}, 1, 1, "ddim"),
    Stated("heun", {}, 2, 2),
    Stated("edm", {"churn": 0.0}, 2, 2, "heun"),
    Stated("restart", {"repeats": 0}, 2, 2, "heun"),
    Stated("dpm_2", {}, 2, 2, "dpm_solver, order 2"),
    Stated("dpm_solver", {"order": 1}, 1, 1, "ddim"),
    Stated("dpm_solver", {"order": 2}, 2, 2),
    Stated("dpm_solver", {"order": 3}, 3, 3),
    Stated("dpmpp_singlestep", {"order": 2}, 2, 2),
    Stated("dpmpp_singlestep", {"order": 3}, 3, 3),
    Stated("dpmpp_2m", {}, 2, 2),
    Stated("dpmpp_3m", {}, 3, 3),
    Stated("dpmpp_3m_as_published", {}, 2, 2),
    Stated("dpmpp_2m_sde", {"eta": 0.0}, 2, 2, "dpmpp_2m"),
    Stated("dpmpp_sde", {"eta": 0.0}, 2, 2, "dpmpp_singlestep, order 2"),
    Stated("dpmpp_3m_sde", {"eta": 0.0}, 2, 2),  # its first step is of order 1
    Stated("lms", {"order": 1}, 1, 1, "ddim"),
    Stated("lms", {"order": 2}, 2, 2),
    Stated("lms", {"order": 3}, 3, 3),
    Stated("lms", {"order": 4}, 4, 4),
    Stated("deis", {"order": 2}, 2, 2),
    Stated("deis", {"order": 3}, 3, 3),
    Stated("deis", {"order": 4}, 4, 4),
    Stated("plms", {"begin": "heun"}, 2, 1),
    Stated("plms", {"begin": "runge_kutta"}, 2, 1),
    Stated("unipc", {"order": 1}, 2, 2),
    Stated("unipc", {"order": 2}, 3, 3),
    Stated("unipc", {"order": 3}, 4, 4),
    Stated("sa_solver", {"tau": 0.0, "predictor": 1, "corrector": 0}, 1, 1, "ddim"),
    Stated("sa_solver", {"tau": 0.0, "predictor": 2, "corrector": 0}, 2, 2),
    Stated(
        "sa_solver", {"tau": 0.0, "predictor": 3, "corrector": 0}, 2, 2, "dpmpp_3m_sde, eta 0.0"
    ),  # its first step is of order 1
    Stated("sa_solver", {"tau": 0.0, "predictor": 2, "corrector": 2}, 2, 2),
    Stated("sa_solver", {"tau": 0.0, "predictor": 2, "corrector": 3}, 3, 3),
    Stated("sa_solver", {"tau": 0.0, "predictor": 3, "corrector": 4}, 3, 3),  # its first step is of order 2
]
NOISY = [  # samplers that draw noise, with options, and the order that they state of the variance
    StatedNoise("ddpm", {"variance": "beta"}, 1),
    StatedNoise("ddpm", {"variance": "beta_tilde"}, 1),
    StatedNoise("ddim", {"eta": 1.0}, 1),
    StatedNoise("euler_ancestral", {}, 1),
    StatedNoise("er_sde", {"order": 1}, 1),
    StatedNoise("er_sde", {"order": 2}, 2),
    StatedNoise("er_sde", {"order": 3}, 2),
    StatedNoise("dpm_2", {"eta": 1.0}, 2),
    StatedNoise("dpmpp_2m_sde", {}, 2),
    StatedNoise("dpmpp_sde", {}, 2),
    StatedNoise("dpmpp_3m_sde", {}, 2),
    StatedNoise("sa_solver", {}, 2),
    StatedNoise("sa_solver", {"corrector": 0}, 2),
    StatedNoise("sa_solver", {"predictor": 3, "corrector": 4}, 2),
    StatedNoise("edm", {"churn": 5.0, "s_noise": 1.0}, 2),
    StatedNoise("restart", {}, 0),  # what its inner steps lose stays, however many outer ones there are
    StatedNoise("predictor_corrector", {}, 0),  # a finite step of Langevin's leaves too much variance
    StatedNoise("annealed_langevin", {}, 0),
]


def stated_for(name: str, options: dict[str, Any], noisy: bool) -> tuple[float, ...] | None:
    """Return the orders that a sampler of the list states with these options; None where it states none."""
    entries: Sequence[Stated | StatedNoise] = NOISY if noisy else ODE
    for entry in entries:
        if entry.name == name and entry.options == options:
            return (entry.order, entry.order_on_alternating) if isinstance(entry, Stated) else (entry.order,)
    return None
