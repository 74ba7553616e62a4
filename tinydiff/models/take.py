"""Weights of one network in another: what fits by name and shape is taken, the rest stays as it was drawn."""

from collections.abc import Mapping
from dataclasses import dataclass

from tinydiff.base import xp_of
from tinydiff.nn import Module

MOST_GROUPS = 8  # in one line
DENOISERS = ("unet", "dit")  # what a denoiser is called beside a text encoder


@dataclass(frozen=True)
class Taken:
    """What a network took from another.

    Parameters
    ----------
    taken, new : dict
        Name of each parameter of the network -> how many of its numbers were taken, or stayed as they were. One of
        which some rows were taken is in both.
    left : dict
        The other's parameters whose names the network does not have, in the same way.
    """

    taken: dict[str, int]
    new: dict[str, int]
    left: dict[str, int]

    @property
    def share(self) -> float:
        """The share of the network's numbers that were taken."""
        return sum(self.taken.values()) / (sum(self.taken.values()) + sum(self.new.values()))

    def lines(self) -> list[str]:
        """Return what was taken, what is new, and what was left out, a line each, with the numbers of weights."""
        lines = [f"Taken ({self.share:.1%} of the weights): {_grouped(self.taken, 1)}."]
        if self.new:
            lines.append(f"New, and still to be learned: {_grouped(self.new, 2)}.")
        if self.left:
            lines.append(f"Left out, as they have no place here: {_grouped(self.left, 2)}.")
        return lines


def take_weights(network: Module, start: Module, rows: Mapping[str, Mapping[int, int]] | None = None) -> Taken:
    """Copy from `start` into `network`, in place, each parameter that has the same name and shape.

    A UNet or a DiT that stands alone in one of the two, and beside a text encoder in the other, is found too.

    Parameters
    ----------
    network : Module
        On the CPU, as `start`.
    start : Module
        It is not changed.
    rows : mapping or None
        Parameters, by name, of which single rows are copied instead: row of the network -> row of `start`.

    Returns
    -------
    Taken
        What was taken and what is new.
    """
    rows, found, taken, new = rows or {}, _in_place(start, network), {}, {}
    for name, parameter in network.named_parameters().items():
        value = found.pop(name, None)
        if value is not None and name in rows and value.shape[1:] == parameter.value.shape[1:]:
            for row, of_start in rows[name].items():
                parameter.value[row] = value[of_start]
            if copied := len(rows[name]) * parameter.size // len(parameter.value):
                taken[name] = copied
            if copied < parameter.size:
                new[name] = parameter.size - copied
        elif value is not None and name not in rows and value.shape == parameter.value.shape:
            parameter.value[...] = xp_of(parameter.value).asarray(value, dtype=parameter.value.dtype)
            taken[name] = parameter.size
        else:
            new[name] = parameter.size
    return Taken(taken, new, {name: value.size for name, value in found.items()})


def _in_place(start, network):
    """Return the arrays of `start` by the names that they would have in `network`."""
    arrays = {name: parameter.value for name, parameter in start.named_parameters().items()}
    inside, wanted_inside = _denoiser_in(arrays), _denoiser_in(network.named_parameters())
    if wanted_inside and not inside:
        return {wanted_inside + name: array for name, array in arrays.items()}
    if inside and not wanted_inside:
        return {name.removeprefix(inside): array for name, array in arrays.items()}
    return arrays


def _denoiser_in(names):
    """Return how the names of a denoiser's parameters begin beside a text encoder; nothing where it stands alone."""
    return next((f"{first}." for first in DENOISERS if any(name.startswith(f"{first}.") for name in names)), "")


def _grouped(counts, depth):
    """Return parameters as a text, together by the first parts of their names, the largest groups first."""
    groups: dict[str, int] = {}
    for name, count in counts.items():
        first, *rest = name.split(".")
        parts = rest if first in DENOISERS else [first, *rest]
        group = ".".join(parts[:depth] if len(parts) > depth else parts[:-1])
        groups[group] = groups.get(group, 0) + count
    ordered = sorted(groups.items(), key=lambda item: -item[1])
    listed = ", ".join(f"{group} ({count:,})" for group, count in ordered[:MOST_GROUPS])
    beyond = ordered[MOST_GROUPS:]
    return listed + (f", and {len(beyond)} more ({sum(c for _, c in beyond):,})" if beyond else "") or "nothing"
