"""Is a backward right? A check by finite differences, with a report that names the likely mistake.

A gradient is right if, for every direction d, its product with d is the slope of the function along d (Eq. GC-1).
One direction already sees every entry; three random ones leave a wrong gradient no chance. Only where the check fails
is the whole gradient computed number by number, to say where and how it is wrong.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinydiff.errors import InputError

STEP = 1e-5  # the error of a central difference is about STEP^2 from its formula and 1e-16 / STEP from rounding
DIRECTIONS = 3
SMALL = 4000  # gradients up to this many entries are diagnosed number by number


@dataclass(frozen=True)
class Finding:
    """What was found of one argument's gradient.

    Parameters
    ----------
    argument : int
        Position among the forward's arguments.
    ok : bool
    error : float
        Largest relative error over the directions; infinite if the gradient is no array of the right shape.
    index : tuple or None
        Where the gradient is furthest off.
    ratio : float or None
        The backward's number there, divided by the right one.
    mistake : str
        What is likely wrong, in words; empty if nothing is.
    """

    argument: int
    ok: bool
    error: float
    index: tuple | None = None
    ratio: float | None = None
    mistake: str = ""


@dataclass(frozen=True)
class GradcheckReport:
    """The result of `gradcheck`: true if all gradients are right; print it to read it."""

    name: str
    tolerance: float
    findings: list[Finding] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether all gradients are right."""
        return all(f.ok for f in self.findings)

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        lines = [f"{self.name}: {'all gradients are right' if self.ok else 'WRONG'} (tolerance {self.tolerance:.0e})"]
        for f in self.findings:
            lines.append(f"  argument {f.argument}: {'right' if f.ok else 'WRONG'}, relative error {f.error:.1e}")
            if f.index is not None:
                lines.append(f"    worst at index {f.index}: yours is {f.ratio:.4g} times the right number")
            if f.mistake:
                lines.append(f"    likely: {f.mistake}")
        return "\n".join(lines)

    __repr__ = __str__


def gradcheck(
    f: Callable[..., tuple],
    f_backward: Callable[..., Sequence],
    args: Sequence[Any],
    wrt: Sequence[int] | None = None,
    seed: int = 0,
    tolerance: float = 1e-7,
    options: Mapping[str, Any] | None = None,
) -> GradcheckReport:
    """Compare a pair's backward with finite differences of its forward (Eq. GC-1).

    Parameters
    ----------
    f : callable
        ``y, cache = f(*args, **options)``
    f_backward : callable
        ``gradients = f_backward(dy, cache)``, in the order of the arguments.
    args : sequence
        The forward's arguments; floating arrays must be float64.
    wrt : sequence of int or None
        Which arguments to check; None takes all floating arrays.
    seed : int
        Of the random upstream gradient (never ones: they hide mistakes) and of the directions.
    tolerance : float
        Largest relative error.
    options : mapping or None
        Further arguments of the forward, by name.

    Returns
    -------
    GradcheckReport

    Raises
    ------
    InputError
        If an array to check is not float64, or there is none.

    Examples
    --------
    >>> from tinydiff.functional import linear, linear_backward
    >>> x, w, b = np.ones((2, 3)), np.ones((3, 4)), np.ones(4)
    >>> bool(gradcheck(linear, linear_backward, (x, w, b)))
    True
    """
    options = options or {}
    args = [a.copy() if isinstance(a, np.ndarray) else a for a in args]
    if wrt is None:
        wrt = [i for i, a in enumerate(args) if isinstance(a, np.ndarray) and a.dtype.kind == "f"]
    for i in wrt:
        if not (isinstance(args[i], np.ndarray) and args[i].dtype == np.float64):
            kind = getattr(args[i], "dtype", type(args[i]).__name__)
            raise InputError(f"argument {i} is {kind}, but a float64 array was expected: differences need the digits.")
    if not wrt:
        raise InputError("There is no floating array among the arguments, so there is no gradient to check.")
    for a in args:
        if isinstance(a, np.ndarray):
            a.setflags(write=False)  # a pair must not write to its inputs

    name = getattr(f, "__name__", "the pair")
    rng = np.random.default_rng([seed, DIRECTIONS])  # not default_rng(seed), which may have drawn the arguments
    try:
        y, cache = f(*args, **options)
        dy = np.asarray(rng.standard_normal(np.shape(y)))
        dy.setflags(write=False)
        gradients = f_backward(dy, cache)
    except ValueError as error:
        if "read-only" not in str(error):
            raise
        mistake = "it writes to its inputs or to dy, which belong to the caller; make a copy first."
        return GradcheckReport(name, tolerance, [Finding(i, False, float("inf"), mistake=mistake) for i in wrt])

    def along(i, direction):
        """Return the slope of sum(y * dy) in argument i along a direction, by a central difference."""
        ends = []
        for sign in (1, -1):
            moved = list(args)
            moved[i] = args[i] + sign * STEP * direction
            ends.append(float((f(*moved, **options)[0] * dy).sum()))
        return (ends[0] - ends[1]) / (2 * STEP)

    findings = [
        _check_one(i, args[i], gradients[i] if i < len(gradients) else None, along, rng, tolerance) for i in wrt
    ]
    return GradcheckReport(name, tolerance, findings)


def adjoint_check(
    f: Callable[..., tuple],
    f_backward: Callable[..., Sequence],
    args: Sequence[Any],
    seed: int = 0,
    options: Mapping[str, Any] | None = None,
) -> float:
    """Return how far a pair is from ``<A x, y> = <x, A^T y>``, relatively (Eq. ADJ-1); x is its first argument.

    For an operation that is linear in x the backward *is* the transpose, and no finite difference is needed: the
    identity holds to rounding, about 1e-15.
    """
    y, cache = f(*args, **(options or {}))
    dy = np.random.default_rng(seed).standard_normal(y.shape)
    dx = f_backward(dy, cache)[0]
    left, right = float((y * dy).sum()), float((args[0] * dx).sum())
    return abs(left - right) / (float(np.linalg.norm(y) * np.linalg.norm(dy)) + 1e-300)


def _check_one(i, x, gradient, along, rng, tolerance):
    if gradient is None:
        return Finding(i, False, float("inf"), mistake="the backward gives None for it, but it has a gradient.")
    gradient = np.asarray(gradient)
    if gradient.shape != x.shape:
        return Finding(i, False, float("inf"), mistake=_wrong_shape(gradient.shape, x.shape))
    if not np.isfinite(gradient).all():
        return Finding(i, False, float("inf"), mistake="it is not finite: it holds NaN or infinity.")
    error = 0.0
    for _ in range(DIRECTIONS):
        direction = rng.standard_normal(x.shape)
        slope = along(i, direction)
        scale = max(abs(slope), float(np.linalg.norm(gradient)), 1e-8)
        error = float(np.maximum(error, abs(float((gradient * direction).sum()) - slope) / scale))  # keeps NaN
    if error <= tolerance:
        return Finding(i, True, error)
    if not np.isfinite(error):
        return Finding(i, False, error, mistake="none of the backward: the forward's output is not finite.")
    if x.size > SMALL:
        return Finding(i, False, error, mistake=f"check it on an array of at most {SMALL} numbers to hear more.")
    right = np.empty(x.shape)
    for index in np.ndindex(x.shape):
        unit = np.zeros(x.shape)
        unit[index] = 1
        right[index] = along(i, unit)
    worst = np.unravel_index(np.argmax(abs(gradient - right)), x.shape)
    ratio = float(gradient[worst] / right[worst]) if right[worst] else float("inf")
    return Finding(i, False, error, tuple(int(k) for k in worst), ratio, _likely_mistake(gradient, right))


def _wrong_shape(found, expected):
    if found == expected[::-1]:
        return f"a transpose: its shape is {found}, but the argument's is {expected}."
    if len(found) > len(expected) and found[len(found) - len(expected) :] == expected:
        return f"a missing sum: it has shape {found}, the argument {expected}; sum over the leading axes."
    return f"its shape is {found}, but the argument's is {expected}."


def _likely_mistake(yours, right):
    """Say in words how a wrong gradient differs from the right one."""

    def same(a, b):
        return a.shape == b.shape and np.allclose(a, b, rtol=1e-4, atol=1e-6 * (abs(b).max() + 1e-12))

    if same(-yours, right):
        return "the sign."
    if not yours.any():
        return "it is all zeros: this path was forgotten."
    factor = float((yours * right).sum() / (right * right).sum()) if right.any() else 0.0
    if factor and same(yours / factor, right):
        return f"a factor: it is {factor:.6g} times the right one everywhere. A size, a mean instead of a sum?"
    if yours.ndim >= 2 and same(yours.swapaxes(-1, -2), right):
        return "a transpose: its last two axes are exchanged."
    if yours.ndim >= 2 and same(yours[::-1, ::-1], right):
        return "flipped taps: its first two axes run backwards."
    if same(yours - yours.mean(), right - right.mean()):
        return "a missing constant: it is off by the same number everywhere, as if a path through a mean was forgotten."
    for axis in range(yours.ndim):
        if same(yours - yours.mean(axis, keepdims=True), right - right.mean(axis, keepdims=True)):
            return f"a missing term that is the same along axis {axis}, as if a path through a mean was forgotten."
    off = abs(yours - right) > 1e-4 * abs(right).max()
    if off.mean() < 0.5:
        return f"only {off.sum()} of {off.size} numbers are wrong: an edge, or a place that was left out."
    return "a missing or a wrong term: it is off by no constant factor. Which path to the output is missing?"
