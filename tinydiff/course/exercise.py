"""An exercise: it checks an answer, names the likely mistake, and gives hints."""

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from tinydiff.base import check_count, checks_arguments
from tinydiff.base.ending import tried, within_steps
from tinydiff.course.attempt import attempt, copies, result_of, watched
from tinydiff.course.difference import Outputs, agree, arrays_of, in_another_order, in_words

HINTS = 3  # from "where to look" to "nearly the line itself"
PLANTED = "the fault is still there."


@checks_arguments("__init__", "hint")
@dataclass(frozen=True)
class Exercise:
    """A function for the reader to write, with all that is needed to check it and to explain a mistake.

    An answer is run on a few small inputs. What it returns is compared with the reference, then with known
    mistakes, so that a message can say which one was made, and then with what is often done otherwise: a sign,
    a factor, a transpose. Numbers of any real dtype are accepted that are near enough.

    Parameters
    ----------
    grade : str
        "transcribe" a formula that stands above, "derive" what does not, "explore" by an experiment, or "debug".
    reference : callable
        The right answer, written in NumPy alone: a fault in the library must not turn against a right answer. Its
        arguments are called what the text calls them.
    cases : sequence of tuples
        The arguments of each call; the answer gets copies, with arrays read-only.
    returns : sequence of texts
        Names of what the function returns; more than one for a tuple.
    mistakes : mapping from text to callable
        A sentence that explains a plausible mistake, and a function that makes it. Any two of them, and each and
        the reference, differ in some case by a hundred times the tolerance or more. Where there is a fault to find, the
        first is `PLANTED`, the fault itself: a sentence would give it away, and the first hint follows instead.
    hints : sequence of texts
        Three: where to look, what to do, nearly the line itself.
    praise : str
        What is said about the right answer.
    tolerance : float
        Largest difference, relative to the largest number expected. The default lets float32 pass.
    changes : sequence of texts
        Arguments that an answer may write to, where the text allows it; they are the output if nothing is returned.
    judge : callable, optional
        Says what is wrong with the outputs of all cases, as the rest of a sentence, or an empty text; in place of the
        comparison with the reference, where there are many right answers. See `tinydiff.course.judges`.

    Examples
    --------
    >>> double = Exercise(
    ...     "transcribe",
    ...     reference=lambda x: 2 * x,
    ...     cases=[(3.0,)],
    ...     returns=["y"],
    ...     mistakes={"that is the square of x.": lambda x: x * x},
    ...     hints=["What is x + x?", "Multiply.", "By 2."],
    ...     praise="Indeed.",
    ... )
    >>> mine = double.check(lambda x: x + x)
    Right. Indeed.
    >>> print(double.verdict(lambda x: x**2))
    Not yet: that is the square of x.
    >>> double.hint(2)
    Hint 2 of 3: Multiply. (hint(3) says more.)
    """

    grade: Literal["transcribe", "derive", "explore", "debug"]
    reference: Callable[..., Any]
    cases: Sequence[tuple]
    returns: Sequence[str]
    mistakes: Mapping[str, Callable[..., Any]]
    hints: Sequence[str]
    praise: str
    tolerance: float = 1e-5
    changes: Sequence[str] = ()
    judge: Callable[[list], str] | None = None

    @property
    def arguments(self) -> list[str]:
        """Names of the arguments that an answer takes."""
        return list(inspect.signature(self.reference).parameters)[: len(self.cases[0])]

    def check(self, answer: Any) -> Callable[..., Any]:
        """Print whether an answer is right; return it if so, else the reference.

        With ``my_step = STEP.check(my_step)`` a notebook can go on after a wrong answer.
        """
        wrong = self.verdict(answer)
        if wrong:
            print(f"{wrong}\nThe notebook goes on with the course's own. Stuck? {self._name()}.hint() helps.")
            return self.reference
        print(f"Right. {self.praise}")
        return answer

    def hint(self, level: int = 1) -> None:
        """Print a hint; level 1 says where to look, 2 what to do, 3 nearly all."""
        check_count("level", level, 1, len(self.hints))
        more = f" (hint({level + 1}) says more.)" if level < len(self.hints) else ""
        print(f"Hint {level} of {len(self.hints)}: {self.hints[level - 1]}{more}")

    def verdict(self, answer: Any) -> str:
        """Return what is wrong with an answer as a sentence, or an empty text."""
        if not callable(answer):
            return f"Not yet: the answer is a {type(answer).__name__}, but a function was expected."
        if answer is self.reference:
            return "Not yet: this is the course's own, which stood in for yours: run the cell with your answer again."
        name = getattr(answer, "__name__", "the answer")
        of_the_course = any(answer is one for one in self.mistakes.values())
        endless = "" if of_the_course else tried(lambda: self._run(answer))
        if endless:
            return f"Not yet: {name} {endless}"
        outputs: Outputs = []
        expected, form = self.outputs(self.reference), ""
        with watched():
            for case, right in zip(self.cases, expected, strict=True):
                output, problem = attempt(answer, name, case, self.arguments, self.changes)
                if problem:
                    known = self._known(outputs, expected)
                    return f"Not yet: {known}" if known else problem
                arrays, problem = arrays_of(output, right, self.returns)
                if not arrays:
                    return f"Not yet: {name} {problem}"
                outputs.append(arrays)
                form = form or problem
            wrong = self._wrong(name, outputs, expected, form)
        return f"Not yet: {wrong}" if wrong else ""

    def outputs(self, function: Callable[..., Any], most: int | None = None) -> Outputs:
        """Return what a function gives in each case, or in the first ones: an array for each name that is returned."""
        found = []
        for case in self.cases[:most]:
            output = function(*copies(case, self.arguments, self.changes))
            found.append(list(map(np.asarray, output if len(self.returns) > 1 else [output])))
        return found

    def _run(self, answer):
        with watched():
            for case in self.cases:
                within_steps(result_of, [answer, copies(case, self.arguments, self.changes)])

    def _name(self):
        """Return what a notebook calls this exercise, such as exercises.STEP."""
        for package, called in {"exercises": "exercises", "problem_sets": "problems"}.items():
            for module in [m for name, m in sys.modules.items() if name.startswith(f"tinydiff.course.{package}.")]:
                for name, value in vars(module).items():
                    if value is self:
                        return f"{called}.{name}"
        return "the exercise"

    def _known(self, outputs, expected):
        """Return the sentence of the mistake that gives these outputs (of all or the first cases), or an empty text."""
        if agree(outputs, expected[: len(outputs)], self.tolerance):
            return ""
        for explanation, mistake in self.mistakes.items():
            if agree(outputs, self.outputs(mistake, len(outputs)), self.tolerance):
                return f"{PLANTED} {self.hints[0]}" if explanation == PLANTED else explanation
        return ""

    def _wrong(self, name, outputs, expected, form):
        """Return what is wrong with outputs as a sentence: a known mistake, their form, or how they differ."""
        if not form and self.judge is None and agree(outputs, expected, self.tolerance):
            return ""
        known = self._known(outputs, expected)
        if known:
            return known
        order = in_another_order(outputs, expected, self.returns, self.tolerance)
        if order:
            return order
        if form:
            return f"{name} {form}"
        if self.judge is not None:
            return self.judge(outputs)
        called = [(self.arguments, case) for case in self.cases]
        return in_words(name, called, outputs, expected, self.returns, self.tolerance)
