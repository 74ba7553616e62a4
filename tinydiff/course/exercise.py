"""An exercise: it checks an answer, and names the likely mistake."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinydiff.base import checks_arguments
from tinydiff.course.ending import TooLong, tried, within_steps


@checks_arguments("__init__")
@dataclass(frozen=True)
class Exercise:
    """A function for the reader to write, with all that is needed to check it and to explain a mistake.

    An answer is run on a few small inputs. What it returns is compared with the reference, and then with known
    mistakes, so that a message can say which one was made.

    Parameters
    ----------
    reference : callable
        The right answer, made of the library's functions where possible.
    cases : sequence of tuples
        The arguments of each call; the answer gets copies, with arrays read-only.
    returns : sequence of texts
        Names of what the function returns; more than one for a tuple.
    mistakes : mapping from text to callable
        A sentence that explains a plausible mistake, and a function that makes it. No two of them, and no
        mistake and the reference, may agree on all cases.
    praise : str
        What is said about the right answer.
    tolerance : float
        Largest difference, relative to the largest number expected.

    Examples
    --------
    >>> double = Exercise(lambda x: 2 * x, [(3.0,)], ["y"], {"That is the square of x.": lambda x: x * x}, "Indeed.")
    >>> mine = double.check(lambda x: x + x)
    Right. Indeed.
    >>> print(double.verdict(lambda x: x**2))
    Not yet: That is the square of x.
    """

    reference: Callable[..., Any]
    cases: Sequence[tuple]
    returns: Sequence[str]
    mistakes: Mapping[str, Callable[..., Any]]
    praise: str
    tolerance: float = 1e-6

    def check(self, answer: Any) -> Callable[..., Any]:
        """Print whether an answer is right; return it if so, else the reference.

        With ``my_step = STEP.check(my_step)`` a notebook can go on after a wrong answer.
        """
        wrong = self.verdict(answer)
        print(f"{wrong}\nThe notebook goes on with the library's." if wrong else f"Right. {self.praise}")
        return self.reference if wrong else answer

    def verdict(self, answer: Any) -> str:
        """Return what is wrong with an answer as a sentence, or an empty text."""
        if not callable(answer):
            return f"Not yet: the answer is {answer!r}, but a function was expected."
        name = getattr(answer, "__name__", "the answer")
        known = any(answer is one for one in (self.reference, *self.mistakes.values()))
        endless = "" if known else tried(lambda: [within_steps(answer, _read_only(case)) for case in self.cases])
        if endless:
            return f"Not yet: {name} {endless}"
        outputs = []
        for case in self.cases:
            output, wrong = _call(answer, name, case)
            if wrong:
                return wrong
            outputs.append(output)
        expected = [self.reference(*_read_only(case)) for case in self.cases]
        if self._agree(outputs, expected):
            return ""
        for explanation, mistake in self.mistakes.items():
            if self._agree(outputs, [mistake(*_read_only(case)) for case in self.cases]):
                return f"Not yet: {explanation}"
        return f"Not yet: {self._first_difference(name, outputs, expected)}"

    def _agree(self, outputs, expected):
        return all(not self._difference(a, b) for a, b in zip(outputs, expected, strict=True))

    def _first_difference(self, name, outputs, expected):
        for case, output, right in zip(self.cases, outputs, expected, strict=True):
            difference = self._difference(output, right)
            if difference:
                return f"{name}({', '.join(map(_short, case))}) {difference}"
        return ""

    def _difference(self, output, expected):
        """Return how an output differs from what was expected, in words, or an empty text."""
        several = len(self.returns) > 1
        if several and not (isinstance(output, (tuple, list)) and len(output) == len(self.returns)):
            return f"gives {_short(output)}, but a tuple ({', '.join(self.returns)}) was expected."
        outputs, rights = (output, expected) if several else ([output], [expected])
        for what, one, right in zip(self.returns, outputs, rights, strict=True):
            given, right = one, np.asarray(right)
            try:
                one = np.asarray(given)
            except ValueError:  # a list of lists of different lengths
                one = np.asarray(None)
            if one.dtype.kind not in "biufc":
                kind = "an array of objects" if isinstance(given, np.ndarray) else f"a {type(given).__name__}"
                return f"gives {kind} for {what}, but numbers with shape {right.shape} were expected."
            if one.shape != right.shape:
                return f"gives {what} with shape {one.shape}, but {right.shape} was expected."
            if one.dtype != right.dtype:
                return f"gives {what} with dtype {one.dtype}, but {right.dtype} was expected."
            if one.dtype.kind != "f":
                if not np.array_equal(one, right):
                    return f"gives {_short(one)} for {what}, but {_short(right)} was expected."
                continue
            if not np.isfinite(one).all():
                return f"gives NaN or infinity in {what}: is there a division by 0, or a root of a negative number?"
            off = abs(one - right)
            if off.size and off.max() > self.tolerance * max(abs(right).max(), 1e-3):
                index = np.unravel_index(off.argmax(), off.shape)
                where = f" at index {', '.join(map(str, index))}" if index else ""
                return f"gives {float(one[index]):.5g} for {what}{where}, but {float(right[index]):.5g} was expected."
        return ""


def _call(answer, name, case):
    """Return (output, problem) of an answer for a case; the problem, a sentence, is empty if there is an output."""
    try:
        output = within_steps(answer, _read_only(case))
    except NotImplementedError:
        return None, f"{name} is not written yet."
    except TooLong as endless:
        return None, f"Not yet: {name} {endless}"
    except (Exception, SystemExit) as error:  # whatever an answer may raise; Ctrl-C still stops
        if isinstance(error, ValueError) and "read-only" in str(error):
            return None, f"Not yet: {name} changes its input{_line(answer, error)}; make a new array instead."
        return None, f"Not yet: {name} raised {type(error).__name__}{_line(answer, error)}: {error}"
    if output is None:
        return None, f"Not yet: {name} returned nothing (None): does it end with a return?"
    return output, ""


def _line(answer, error):
    """Return " in line 3" for an error that came from line 3 of the answer, or an empty text."""
    code, line, trace = getattr(answer, "__code__", None), "", error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code is code:
            line = f" in line {trace.tb_lineno - code.co_firstlineno + 1}"
        trace = trace.tb_next
    return line


def _read_only(case):
    """Return copies of the arguments, with read-only arrays, so that an answer cannot change the originals."""
    args = []
    for value in case:
        if isinstance(value, list):
            value = list(value)
        if isinstance(value, np.ndarray):
            value = value.copy()
            value.setflags(write=False)
        args.append(value)
    return args


def _short(value):
    """Return a value as text; a large array as its shape, a function as its name."""
    if isinstance(value, np.ndarray) and value.size > 4:
        return f"<array of shape {value.shape}>"
    if isinstance(value, np.ndarray):
        return str((np.round(value, 4) if value.dtype.kind == "f" else value).tolist())
    if callable(value):
        return getattr(value, "__name__", "a function")
    if isinstance(value, float):
        return f"{value:.4g}"
    text = repr(value)
    return text if len(text) < 40 else f"<{type(value).__name__}>"
