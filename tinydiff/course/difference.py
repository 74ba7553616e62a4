"""How what an answer gives differs from what was expected: its form, or, in words, what is done otherwise."""

import itertools
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from tinydiff.course.attempt import in_short

SMALLEST_SCALE = 1e-3  # differences are relative to the largest number expected, or to this
DIGITS_OF_HALF = 5e-3  # an answer as near as this was computed in half precision, and is right otherwise

Outputs = list[list[np.ndarray]]  # for each case, an array for each name that is returned


def arrays_of(output: Any, expected: Sequence[np.ndarray], returns: Sequence[str]) -> tuple[list[np.ndarray], str]:
    """Return the arrays of an output, and in words how its form differs from what was expected, or an empty text.

    Any real dtype will do, and lists as well as arrays; shapes must be the expected ones. Where there are no arrays at
    all, the list is empty.
    """
    several, given = len(returns) > 1, output
    if several and isinstance(output, np.ndarray) and len(output.shape) > 0 and len(output) == len(returns):
        output = list(output)
    if several and not (isinstance(output, (tuple, list)) and len(output) == len(returns)):
        number = f", {len(output)} values" if isinstance(output, (tuple, list)) else ""
        return [], f"gives {in_short(given)}{number}, but a tuple ({', '.join(returns)}) was expected."
    arrays, problems = [], []
    for what, given, right in zip(returns, output if several else [output], expected, strict=True):
        try:
            array = np.asarray(given)
        except Exception:  # lists of different lengths, or an object that fails
            array = np.asarray(None)
        if array.dtype.kind not in "biuf":
            kind = f"an array of {array.dtype}" if isinstance(given, np.ndarray) else f"a {type(given).__name__}"
            return [], f"gives {kind} for {what}, but real numbers with shape {right.shape} were expected."
        arrays.append(array)
        if array.shape != right.shape:
            problems.append(
                f"gives {what} with shape {array.shape}, but {right.shape} was expected.{_hint(array, right)}"
            )
        elif not np.isfinite(array).all() and np.isfinite(right).all():
            problems.append(
                f"gives NaN or infinity in {what}: is there a division by 0, or a root of a negative number?"
            )
    return arrays, "".join(problems[:1])


def agree(outputs: Outputs, rights: Outputs, tolerance: float) -> bool:
    """Whether all outputs are the expected ones."""
    pairs = zip(itertools.chain(*outputs), itertools.chain(*rights), strict=True)
    return all(distance(a, b) <= tolerance for a, b in pairs)


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """Return the largest difference of two arrays of one shape, relative to the largest number of the second.

    Whole numbers and truth values must be equal: any difference is infinite.
    """
    if a.shape != b.shape:
        return np.inf
    if b.dtype.kind != "f":
        return 0.0 if np.array_equal(a, b) else np.inf
    off = np.abs(np.asarray(a, np.float64) - b)
    return float(off.max(initial=0.0) / max(np.abs(b).max(initial=0.0), SMALLEST_SCALE))


def in_words(
    name: str,
    called: Sequence[tuple[Sequence[str], Sequence[Any]]],
    outputs: Outputs,
    rights: Outputs,
    returns: Sequence[str],
    tolerance: float,
) -> str:
    """Return in a sentence how outputs differ from the expected ones: in all cases in one way, or where at first.

    Parameters
    ----------
    name : str
        Of the answer.
    called : sequence
        For each case the names and the values of its arguments.
    outputs, rights : lists of lists of arrays
        For each case, what the answer gives and what was expected.
    returns : sequence of texts
        What the function returns.
    tolerance : float
        See `distance`.
    """
    for order in itertools.permutations(range(len(returns))):
        if list(order) != sorted(order) and agree([[one[k] for k in order] for one in outputs], rights, tolerance):
            return f"the values come in another order; return {', '.join(returns)}."
    wrong = [k for k in range(len(returns)) if not agree(_only(outputs, k), _only(rights, k), tolerance)]
    k = wrong[0]
    found, right = [one[k] for one in outputs], [one[k] for one in rights]
    right_ones = [what for j, what in enumerate(returns) if j not in wrong]
    but = f"{_listed(right_ones)} {'is' if len(right_ones) == 1 else 'are'} right, but " if right_ones else ""
    way = _way(found, right, called, tolerance)
    if way:
        return f"{but}{returns[k]} {way}"
    bad = [not agree([[a]], [[b]], tolerance) for a, b in zip(found, right, strict=True)]
    some = f" (right for {bad.count(False)} of {len(bad)} inputs)" if not all(bad) else ""
    first = bad.index(True)
    return f"{but}{_call(name, *called[first])} {_first_number(found[first], right[first], returns[k])}{some}"


def _listed(names):
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _only(outputs, k):
    return [[one[k]] for one in outputs]


def _call(name, names, values):
    return f"{name}({', '.join(f'{n}={in_short(v)}' for n, v in zip(names, values, strict=True))})"


def _first_number(a, b, what):
    """Return the rest of a sentence about the number that is furthest off."""
    off = np.abs(np.asarray(a, np.float64) - b)
    index = np.unravel_index(off.argmax(), off.shape)
    where = f" at index {', '.join(map(str, index))}" if index else ""
    if b.dtype.kind != "f":
        return f"gives {a[index]} for {what}{where}, but {b[index]} was expected."
    return f"gives {float(a[index]):.5g} for {what}{where}, but {float(b[index]):.5g} was expected."


def _hint(array, right):
    """Return a sentence on why a shape may be another, or an empty text."""

    def same(a):
        return a.shape == right.shape and distance(a, right) < DIGITS_OF_HALF

    if array.ndim >= 2 and same(array.T):
        return " It is the transpose."
    if array.size == right.size and same(array.reshape(right.shape)):
        return " The numbers are right, but their shape is not."
    for axis in range(array.ndim):
        if same(array.sum(axis)) or same(array.sum(axis, keepdims=True)):
            return f" A sum over axis {axis} is missing."
        if same(array.mean(axis)) or same(array.mean(axis, keepdims=True)):
            return f" A mean over axis {axis} is missing."
    return ""


def _way(found, right, called, tolerance):
    """Return the rest of a sentence if all arrays differ from the right ones in one way, or an empty text."""
    if right[0].dtype.kind != "f":
        return ""
    if max(map(distance, found, right)) < DIGITS_OF_HALF and any(a.dtype == np.float16 for a in found):
        return "is right to three digits only: it was computed in float16; use float32 or float64."
    found = [np.asarray(a, np.float64) for a in found]

    def after(change: Callable[[np.ndarray], np.ndarray]) -> bool:
        return all(distance(change(a), b) <= tolerance for a, b in zip(found, right, strict=True))

    if not any(a.any() for a in found):
        return "is 0 everywhere."
    if after(np.negative):
        return "has the wrong sign."
    factor = _factor(found, right, called, tolerance)
    if factor:
        return factor
    axes = range(min(a.ndim for a in found))
    if len(axes) >= 2 and after(lambda a: a.swapaxes(-1, -2)):
        return "is transposed: its last two axes are exchanged."
    for axis in axes:
        if after(partial(np.flip, axis=axis)):
            return f"runs backwards along axis {axis}."
        for shift in (1, -1):
            if after(partial(np.roll, shift=shift, axis=axis)):
                return f"is shifted by one place along axis {axis}."
    offset = float((found[0] - right[0]).mean())
    if after(lambda a: a - offset):
        return f"is {abs(offset):.5g} too {'large' if offset > 0 else 'small'} everywhere."
    return ""


def _factor(found, right, called, tolerance):
    """Return the rest of a sentence if all arrays are off by a factor: a number, or an argument's root or square."""
    squares = [float((b * b).sum()) for b in right]
    if not all(squares):
        return ""
    factors = [float((a * b).sum()) / square for a, b, square in zip(found, right, squares, strict=True)]
    if not all(factors):
        return ""
    scaled = [a / factor for a, factor in zip(found, factors, strict=True)]
    if not all(distance(a, b) <= tolerance for a, b in zip(scaled, right, strict=True)):
        return ""
    if np.ptp(factors) <= 1e-4 * abs(factors[0]):
        return f"is {factors[0]:.5g} times what was expected, for all inputs."
    for text, values in _quantities(called).items():
        for power, written in ((1, text), (0.5, f"{text} ** 0.5"), (2, f"{text} ** 2")):
            sizes = np.array(values, np.float64) ** power
            if np.allclose(sizes, factors, rtol=1e-4):
                return f"is {written} times what was expected, for all inputs."
            if np.allclose(1 / sizes, factors, rtol=1e-4):
                return f"is what was expected, divided by {written}, for all inputs."
    if all(b.size == 1 for b in right):  # single numbers always differ by a factor
        return ""
    return f"is off by a factor for each input ({', '.join(f'{factor:.4g}' for factor in factors[:3])})."


def _quantities(called):
    """Return what may make a factor, text -> a number for each case: positive arguments, and the sizes of arrays."""
    quantities: dict[str, list[float]] = {}
    for names, values in called:
        for name, value in zip(names, values, strict=True):
            if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0:
                quantities.setdefault(name, []).append(value)
                if value < 1:
                    quantities.setdefault(f"(1 - {name})", []).append(1 - value)
            if isinstance(value, np.ndarray) and value.size:
                quantities.setdefault(f"{name}.size", []).append(value.size)
                for axis, n in enumerate(value.shape):
                    quantities.setdefault(f"{name}.shape[{axis}]", []).append(n)
    return {text: values for text, values in quantities.items() if len(values) == len(called)}
