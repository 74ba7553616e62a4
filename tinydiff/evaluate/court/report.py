"""The report of an arena: a table of verdicts, and which sampler to take for how many calls."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from tinydiff.base import InputError, checked
from tinydiff.evaluate.court.orders import Curve
from tinydiff.evaluate.court.verdict import Verdict, in_digits

ACCURACIES = (1e-2, 1e-3, 1e-4)  # errors for which calls are counted
BUDGETS = (8, 10, 15, 20, 30, 50, 100, 200)  # calls for which the best is named
BEST = 3  # so many are named
AT_A_START = 0.5  # of an order: so much more after a tiny start


@checked()
def arena_report(verdicts: Sequence[Verdict], others: Mapping[str, Curve] | None = None) -> str:
    """Return tables of verdicts: orders that are stated and measured, what limits them, and which to use when.

    Parameters
    ----------
    verdicts : sequence of Verdict
    others : mapping from a label to a Curve, or None
        Curves of what has no verdict, such as a solver that chooses its own steps: they take part in the choice.
    """
    if not verdicts:
        raise InputError("verdicts is empty, but at least one was expected.")
    ode, noisy = [v for v in verdicts if not v.draws_noise], [v for v in verdicts if v.draws_noise]
    parts = []
    if ode:
        parts.append(_ode_table(ode))
        curves = {v.label: v.curves["equal"] for v in ode if "equal" in v.curves} | dict(others or {})
        parts.append("\n".join(["Which to use when (error on the mixture, equal steps in lambda):", *best_of(curves)]))
    if noisy:
        parts.append(_noise_table(noisy))
        curves = {v.label: v.curves["variance"] for v in noisy if "variance" in v.curves}
        parts.append("\n".join(["With noise (error of a Gaussian's variance):", *best_of(curves)]))
    wrong = [v for v in verdicts if not v.is_right]
    if wrong:
        parts.append("\n".join(["Found wrong:", *(f"  {v.label}: {p.sentence}" for v in wrong for p in v.problems)]))
    return "\n\n".join(parts)


def best_of(curves: Mapping[str, Curve]) -> list[str]:
    """Return a line for each number of calls: the samplers with the least error then, the best first."""
    lines = []
    for budget in BUDGETS:
        found = sorted((error, label) for label, curve in curves.items() if (error := error_at(curve, budget)))
        if found:
            best = ", ".join(f"{label} ({error:.1e})" for error, label in found[:BEST])
            lines.append(f"  {budget:>4} calls: {best}")
    return lines


def error_at(curve: Curve, calls: float) -> float | None:
    """Return the error after so many calls, between two that were measured; None outside of them."""
    if not curve.calls[0] <= calls <= curve.calls[-1] or min(curve.errors) <= 0:
        return None
    return float(np.exp(np.interp(math.log(calls), np.log(curve.calls), np.log(curve.errors))))


def limits_of(verdict: Verdict) -> str:
    """Return what limits a sampler's order, in a few words."""
    equal, alternating, after = (verdict.order(grid) for grid in ("equal", "alternating", "graded"))
    words = []
    if after > equal + AT_A_START:
        words.append(f"the start (else {after:.1f})")
    if alternating < equal - AT_A_START:
        words.append("uneven steps")
    if "bend" in verdict.mistakes:
        words.append("half of the bend")
    return ", ".join(words) or "-"


def _ode_table(verdicts):
    head = ["sampler", "calls a step", "stated", "equal", "2 : 1", "tiny start"]
    head += [f"calls for {accuracy:.0e}" for accuracy in ACCURACIES] + ["limited by"]
    rows = []
    for v in verdicts:
        stated = "-" if v.stated is None else f"{v.stated[0]:g}, {v.stated[-1]:g}"
        orders = [in_digits(v.order(grid)) for grid in ("equal", "alternating", "graded")]
        needed = [_needed(v.curves.get("equal"), accuracy) for accuracy in ACCURACIES]
        rows.append([v.label, f"{v.calls_per_step:.2f}", stated, *orders, *needed, limits_of(v)])
    return table(head, rows)


def _noise_table(verdicts):
    head = ["sampler with noise", "calls a step", "stated", "of variance", "calls for 1e-02", "noise that arrives", ""]
    rows = []
    for v in verdicts:
        stated = f"{v.stated[0]:g}" if v.stated and v.stated[0] else "-"
        noise = "-" if v.share_of_noise is None else f"{100 * v.share_of_noise:.1f} %"
        stays = "an error stays" if v.remarks and "stays" in v.remarks[0].sentence else "-"
        curve = v.curves.get("variance")
        rows.append(
            [v.label, f"{v.calls_per_step:.2f}", stated, in_digits(v.order("variance")), _needed(curve, 1e-2), noise]
            + [stays]
        )
    return table(head, rows)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return rows as a table in Markdown whose columns are as wide as they need."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in [head, *rows]]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _needed(curve, accuracy):
    calls = None if curve is None else curve.calls_for(accuracy)
    return "-" if calls is None else f"{math.ceil(calls)}"
