"""What the court says of a sampler: what was measured, what is wrong with it, and which mistake that looks like."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tinydiff.evaluate.court.orders import Curve
from tinydiff.evaluate.court.stated import label_of

# The mistakes that the court knows by name, and what each is.
MISTAKES = {
    "returns_nothing": "it returns or yields nothing",
    "no_chain": "what it returns is no chain of (t, x_t, x_0_hat)",
    "wrong_shape": "x changes its shape",
    "not_finite": "NaN or infinity",
    "never_ends": "it never ends",
    "changes_input": "it changes its input",
    "raises": "it raises an error",
    "stops_early": "it stops before the end of the steps",
    "not_consistent": "it does not come nearer to the exact path with more steps",
    "order": "its order is lower than stated",
    "start": "an order is lost in the first steps",
    "bend": "a part of the second derivative is missing",
    "uneven": "an order is lost on uneven steps",
    "half_noise": "half of the noise's variance: a step's noise is that of half a step",
    "no_noise": "the noise is drawn and not used",
    "variance_too_small": "too little variance, however many steps",
    "variance_too_large": "too much variance, however many steps",
    "mean": "the mean is wrong",
    "unsteady": "its random numbers depend on the samples",
    "too_much_noise": "it draws more random numbers than can be followed",
    "small_numbers": "NaN or infinity for some numbers of steps",
}


@dataclass(frozen=True)
class Finding:
    """One thing that the court found.

    Parameters
    ----------
    mistake : str
        Which, one of `MISTAKES`; empty for a remark.
    sentence : str
    """

    mistake: str
    sentence: str


@dataclass(frozen=True)
class Verdict:
    """What was measured of a sampler, and what that says.

    Parameters
    ----------
    name : str
    options : mapping
    draws_noise : bool
        Whether it drew noise with these options. Then its variance was judged, else its path.
    stated : tuple of float or None
        Orders that it states: on equal and on alternating steps; with noise, that of the variance.
    curves : mapping
        Errors against calls: by the name of a grid, "equal", "alternating" and "graded"; with noise, "variance".
    calls_per_step : float
        Predictions that it asks for in a long chain, over its steps.
    problems, remarks : tuple of Finding
        What is wrong, the likeliest cause first; and what is worth to know.
    share_of_noise : float or None
        With noise: the variance of the fresh noise that arrives, over what would be right, at the largest N.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    draws_noise: bool = False
    stated: tuple[float, ...] | None = None
    curves: Mapping[str, Curve] = field(default_factory=dict)
    calls_per_step: float = math.nan
    problems: tuple[Finding, ...] = ()
    remarks: tuple[Finding, ...] = ()
    share_of_noise: float | None = None

    @property
    def label(self) -> str:
        """Name and options, as in a table."""
        return label_of(self.name, self.options)

    @property
    def is_right(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    @property
    def mistakes(self) -> tuple[str, ...]:
        """The mistakes by name, see `MISTAKES`."""
        return tuple(problem.mistake for problem in self.problems)

    def order(self, grid: str = "equal") -> float:
        """Return the order that was measured on a grid, or of the variance; NaN where none was."""
        return self.curves[grid].order if grid in self.curves else math.nan

    def record(self) -> dict[str, Any]:
        """Return all of it as numbers and texts, as JSON has them."""
        return {
            "sampler": self.name,
            "options": dict(self.options),
            "draws_noise": self.draws_noise,
            "stated": list(self.stated) if self.stated else None,
            "calls_per_step": _plain(self.calls_per_step),
            "share_of_noise": self.share_of_noise,
            "orders": {grid: _plain(curve.order) for grid, curve in self.curves.items()},
            "curves": {
                grid: {"steps": list(c.numbers), "calls": list(c.calls), "errors": list(c.errors)}
                for grid, c in self.curves.items()
            },
            "problems": [vars(problem) for problem in self.problems],
            "remarks": [vars(remark) for remark in self.remarks],
        }

    def __str__(self) -> str:
        """Return the verdict as one reads it."""
        called = ", ".join([self.name, *(f"{option} {value}" for option, value in self.options.items())])
        lines = [f"{called}: {'right' if self.is_right else 'wrong'}"]
        lines += [f"  {'wrong':<12} {problem.sentence}" for problem in self.problems]
        if "variance" in self.curves:
            lines.append(f"  {'variance':<12} {_errors(self.curves['variance'])}")
        elif "equal" in self.curves:
            lines.append(f"  {'order':<12} {self._orders()}")
            lines.append(f"  {'error':<12} {_errors(self.curves['equal'])}")
        if not math.isnan(self.calls_per_step):
            lines.append(f"  {'calls':<12} {self.calls_per_step:.3g} a step")
        return "\n".join([*lines, *(f"  {'remark':<12} {remark.sentence}" for remark in self.remarks)])

    def _orders(self):
        words = f"{in_digits(self.order())} on equal steps, {in_digits(self.order('alternating'))} on alternating ones"
        if "graded" in self.curves:
            words += f", {in_digits(self.order('graded'))} after a start in tiny steps"
        return words + (f" (stated: {self.stated[0]:g} and {self.stated[-1]:g})" if self.stated else "")


def in_digits(order: float) -> str:
    """Return an order as a table has it; a dash where none was measured."""
    return "-" if math.isnan(order) else f"{order:.2f}"


def _errors(curve: Curve) -> str:
    pairs = zip(curve.errors, curve.calls, strict=True)
    return "error " + ", ".join(f"{error:.2g} after {calls} calls" for error, calls in pairs)


def _plain(number):
    return None if math.isnan(number) else number
