"""Is a backward right? A check by finite differences, with a report that names the likely mistake.

A gradient is right if, for every direction d, its product with d is the slope of the function along d (Eq. GC-1).
One random direction already tests every entry; three make it next to impossible to miss a wrong gradient. Only where
the check fails is the whole gradient computed by finite differences, entry by entry, to say where and how it is wrong.
"""

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tinydiff.base import InputError, check_count, checked
from tinydiff.gradcheck.diagnosis import diagnose, named_sizes, wrong_parameters, wrong_shape
from tinydiff.gradcheck.report import Finding, GradcheckReport

STEP = 1e-5  # the error of a central difference is about STEP^2 from its formula and 1e-16 / STEP from rounding
DIRECTIONS = 3


@checked()
def gradcheck(
    f: Callable[..., tuple],
    f_backward: Callable[..., Sequence],
    args: Sequence[Any],
    wrt: Sequence[int] | None = None,
    seed: int = 0,
    tolerance: float = 1e-7,
    name: str | None = None,
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
    name : str or None
        Title of the report; None takes the forward's name.
    options : mapping or None
        Further arguments of the forward, by name.

    Returns
    -------
    GradcheckReport

    Raises
    ------
    InputError
        If an array to check or the output is not float64, if there is nothing to check, or if the forward gives
        another output when it is called again.

    Examples
    --------
    >>> from tinydiff.functional import linear, linear_backward
    >>> x, w, b = np.ones((2, 3)), np.ones((3, 4)), np.ones(4)
    >>> bool(gradcheck(linear, linear_backward, (x, w, b)))
    True
    """
    check_count("seed", seed, least=0)
    name = name or getattr(f, "__name__", "the pair")
    case = _Case(name, f, f_backward, _argument_names(f, len(args)), args, options or {})
    return _report(case, wrt, seed, tolerance, diagnose)


@checked()
def adjoint_check(
    f: Callable[..., tuple],
    f_backward: Callable[..., Sequence],
    args: Sequence[Any],
    seed: int = 0,
    options: Mapping[str, Any] | None = None,
) -> float:
    """Return the relative error of a pair in ``<A x, y> = <x, A^T y>`` (Eq. ADJ-1); x is its first argument.

    For an operation that is linear in x the backward *is* the transpose, and no finite difference is needed: the
    identity holds to rounding, about 1e-15.
    """
    check_count("seed", seed, least=0)
    if not len(args):
        raise InputError("args is empty, but the arguments of the forward were expected.")
    y, cache = f(*args, **(options or {}))
    dy = np.random.default_rng(seed).standard_normal(y.shape)
    dx = f_backward(dy, cache)[0]
    left, right = float((y * dy).sum()), float((args[0] * dx).sum())
    return abs(left - right) / (float(np.linalg.norm(y) * np.linalg.norm(dy)) + 1e-300)


@checked()
def check_module(
    model: Any,
    inputs: Sequence[Any],
    new_tape: Callable[[], Any],
    new_gradients: Callable[[Any], Any],
    wrt: Sequence[int] | None = None,
    seed: int = 0,
    tolerance: float = 1e-7,
) -> GradcheckReport:
    """Compare a whole module's backward with finite differences, in theta and in its inputs (Eq. GC-1).

    The module is checked as the pair that it is, with theta as its first argument.

    Parameters
    ----------
    model : Module
        With float64 weights. No layer may have only zeros as weights: that would hide mistakes.
    inputs : sequence
        ``y = model.forward(*inputs, tape=tape)``; floating arrays must be float64.
    new_tape : callable
        Makes an empty tape: ``Tape``, or ``lambda: Tape(Noise(0))`` where there is dropout.
    new_gradients : callable
        Makes the accumulator for the gradients of parameters: ``Gradients``.
    wrt : sequence of int or None
        Which inputs to check besides theta; None takes all floating arrays.
    seed, tolerance
        As in `gradcheck`.

    Returns
    -------
    GradcheckReport
        Where theta's gradient is wrong, it names the parameters. The backward runs from the last layer to the first, so
        a mistake makes the gradients of all earlier layers wrong and leaves those of later ones right: look at the
        last parameter that is wrong, and at the layer that follows it.

    Raises
    ------
    InputError
        As in `gradcheck`, and if the backward leaves something on the tape.

    Examples
    --------
    >>> from tinydiff.nn import Gradients, Linear, Tape
    >>> layer = Linear(3, 4, np.random.default_rng(0), dtype=np.float64)
    >>> bool(check_module(layer, [np.ones((2, 3))], Tape, Gradients))
    True
    """
    check_count("seed", seed, least=0)
    if not all(hasattr(model, method) for method in ("forward", "backward", "bind")):
        raise InputError(f"model is of type {type(model).__name__}, but a Module was expected.")
    names = _argument_names(model.forward, len(inputs))

    def pair(theta, *inputs):
        bound, tape = model.bind(theta), new_tape()
        return bound.forward(*inputs, tape=tape), (bound, tape)

    def pair_backward(dy, cache):
        bound, tape = cache
        grads = new_gradients(bound.parameters())
        d_inputs = bound.backward(dy, tape, grads)
        if len(tape):
            raise InputError(f"The backward left {len(tape)} entries on the tape: a layer's backward was not called.")
        if hasattr(d_inputs, "_fields"):  # a model's named tuple: d_x_t belongs to x_t, wherever it stands
            return grads.flat, *(getattr(d_inputs, f"d_{name}", None) for name in names)
        return grads.flat, *(d_inputs if isinstance(d_inputs, tuple) else (d_inputs,))

    def explain(i, gradient, slope, sizes):
        if i:
            return diagnose(i, gradient, slope, sizes)
        return None, None, wrong_parameters(model.parameters(), gradient, slope, seed, tolerance)

    case = _Case(type(model).__name__, pair, pair_backward, ["theta", *names], (model.theta, *inputs), {})
    return _report(case, None if wrt is None else [0, *(i + 1 for i in wrt)], seed, tolerance, explain)


class _Case:
    """A pair, and what it is called with: read-only copies, so that a pair that writes to them is caught."""

    def __init__(self, name, f, f_backward, labels, args, options):
        self.name, self.f, self.f_backward, self.labels = name, f, f_backward, labels
        self.args = [_frozen(a) for a in args]
        self.options = {key: _frozen(a) for key, a in options.items()}

    def forward(self, args):
        """Return (y, cache)."""
        return self.f(*args, **self.options)

    def slope(self, dy, i, direction):
        """Return the slope of sum(y * dy) in argument i along a direction, by a central difference."""
        step = STEP * 30 / max(30.0, float(np.linalg.norm(direction)))  # in many dimensions a direction is long
        ends = []
        for sign in (1, -1):
            moved = list(self.args)
            moved[i] = self.args[i] + sign * step * direction
            ends.append(float((self.forward(moved)[0] * dy).sum()))
        return (ends[0] - ends[1]) / (2 * step)


def _report(case, wrt, seed, tolerance, explain):
    """Compare the gradients of the arguments `wrt` with slopes; `explain` says why a wrong one may be wrong."""
    if wrt is None:
        wrt = [i for i, a in enumerate(case.args) if isinstance(a, np.ndarray) and a.dtype.kind == "f"]
    _check_arguments(case.args, case.labels, wrt)
    rng = np.random.default_rng([seed, DIRECTIONS])  # not default_rng(seed), which may have drawn the arguments
    y, dy, gradients, mistake = _run(case, rng)
    if mistake:
        findings = [Finding(i, case.labels[i], False, np.inf, mistake=mistake) for i in wrt]
        return GradcheckReport(case.name, tolerance, findings)
    sizes = named_sizes([*zip(case.labels, case.args, strict=True), ("the output", y)])
    findings = []
    for i in wrt:
        slope = functools.partial(case.slope, dy, i)
        gradient = gradients[i] if i < len(gradients) else None
        error, mistake = _error(case.args[i], gradient, slope, rng)
        index = ratio = None
        if not (error <= tolerance or mistake):
            index, ratio, mistake = explain(i, np.asarray(gradient), slope, sizes)
        findings.append(Finding(i, case.labels[i], error <= tolerance, error, index, ratio, mistake))
    return GradcheckReport(case.name, tolerance, findings)


def _run(case, rng):
    """Return y, a random dy, the gradients, and what is wrong with all of them, or ""."""
    try:
        y, cache = case.forward(case.args)
        _check_output(case.name, y, case.forward(case.args)[0])
        dy = _frozen(np.asarray(rng.standard_normal(np.shape(y))))
        gradients = case.f_backward(dy, cache)
    except ValueError as refusal:
        if "read-only" not in str(refusal):
            raise
        return None, None, (), "it writes to its inputs or to dy, which belong to the caller; make a copy first."
    if not isinstance(gradients, (tuple, list)):
        return y, dy, (), "the backward must return a tuple, one gradient per argument: `return (dx,)`."
    return y, dy, gradients, ""


def _error(x, gradient, slope_along, rng):
    """Return (relative error, mistake); the mistake is empty unless it can be seen without comparing numbers."""
    if gradient is None:
        return np.inf, "the backward gives None for it, but it has a gradient."
    gradient = np.asarray(gradient)
    if gradient.shape != x.shape:
        return np.inf, wrong_shape(gradient.shape, x.shape)
    if not np.isfinite(gradient).all():
        return np.inf, "it is not finite: it holds NaN or infinity."
    error, norm = 0.0, float(np.linalg.norm(gradient))
    for _ in range(DIRECTIONS):
        direction = rng.standard_normal(x.shape)
        slope = slope_along(direction)
        scale = max(abs(slope), norm, 1e-8)
        error = float(np.maximum(error, abs(float((gradient * direction).sum()) - slope) / scale))  # keeps NaN
    return error, "" if np.isfinite(error) else "not in the backward: the forward's output is not finite."


def _argument_names(f, count):
    """Return the names of the first arguments of a function, or their positions where they have none."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = [p.name for p in inspect.signature(f).parameters.values() if p.kind in kinds]
    return [names[i] if i < len(names) else f"number {i}" for i in range(count)]


def _frozen(a):
    """Return a read-only copy of an array: a pair must not write to what belongs to the caller."""
    if isinstance(a, np.ndarray):
        a = a.copy()
        a.setflags(write=False)
    return a


def _check_arguments(args, labels, wrt):
    for i in wrt:
        check_count("an entry of wrt", i, least=0, most=len(args) - 1)
        if not (isinstance(args[i], np.ndarray) and args[i].dtype == np.float64):
            kind = getattr(args[i], "dtype", type(args[i]).__name__)
            raise InputError(
                f"argument {i} ({labels[i]}) is {kind}, but a float64 array was expected: "
                "finite differences need its precision."
            )
    if not wrt:
        raise InputError("There is no floating array among the arguments, so there is no gradient to check.")


def _check_output(name, y, again):
    dtype = getattr(y, "dtype", type(y).__name__)
    if dtype != np.float64:
        raise InputError(f"{name} gives {dtype} for float64 arguments; a pair must keep the dtype.")
    if not np.allclose(y, again, rtol=1e-9, atol=1e-9 * float(np.max(np.abs(y), initial=0)), equal_nan=True):
        raise InputError(f"{name} gives another output when called again; random numbers must be an argument.")
