"""The exercises of the notebooks: the right answer passes, and plausible wrong ones are refused with a reason."""

import ast
import functools
import importlib
import importlib.util
import inspect
import itertools
import pkgutil
import re

import jupytext
import numpy as np
import pytest

from tinydiff.course import difference, exercises, problem_sets
from tinydiff.course.exercise import HINTS, PLANTED
from tinydiff.course.homework import exercises_of
from tools import notebooks

pytestmark = pytest.mark.usefixtures("without_child")
LONGEST_ANSWER = 25
APART = 100  # times the tolerance, at least, lie between any two known answers to an exercise
CHECKED = re.compile(r"(?:(\w+) = )?(?:exercises|problems)\.([A-Z0-9_]+)\.check\((\w+)\)")
MAY_IMPORT = {"collections", "functools", "itertools", "math", "numpy", "tinydiff.course"}
OF_THREE_GRADES = [f"{n:02}" for n in (*range(12), 13, *range(20, 27), *range(30, 36))]  # notebooks


def number_of(module):
    """Return "05" for exercises.notebook_05, and "ps3" for problem_sets.ps3."""
    return module.__name__.rpartition(".")[2].removeprefix("notebook_")


MODULES = [
    importlib.import_module(f"{package.__name__}.{m.name}")
    for package in (exercises, problem_sets)
    for m in pkgutil.iter_modules(package.__path__)
    if re.fullmatch(r"notebook_\d\d|ps\d", m.name)
]
EXERCISES = {f"{number_of(m)}.{name}": e for m in MODULES for name, e in exercises_of(m.__name__).items()}
MISTAKES = [(key, text) for key, exercise in EXERCISES.items() for text in exercise.mistakes]
ANSWERS = {number_of(m): importlib.import_module(f"answers.{m.__name__.rpartition('.')[2]}") for m in MODULES}
MORE_ANSWERS = [
    (number, importlib.import_module(f"{module.__name__}_more"))
    for number, module in ANSWERS.items()
    if importlib.util.find_spec(f"{module.__name__}_more")
]
SOURCES = notebooks.sources()


def answers_to(kind):
    """Return (key, answer) for all of a kind of answers in `tests/answers`: RIGHT or WRONG; further ones are slow."""
    return [
        pytest.param(
            f"{number}.{name}",
            answer,
            id=f"{number}.{name}: {what}",
            marks=[pytest.mark.slow] if module.__name__.endswith("_more") else [],
        )
        for number, module in [*ANSWERS.items(), *MORE_ANSWERS]
        for name, answers in getattr(module, kind).items()
        for what, answer in answers.items()
    ]


def cells_of(source):
    return [cell.source for cell in jupytext.reads(source.read_text(encoding="utf-8"), fmt="py:percent").cells]


def imports_of(source):
    statements = ast.parse(source.read_text(encoding="utf-8")).body
    return "\n".join(ast.unparse(s) for s in statements if isinstance(s, (ast.Import, ast.ImportFrom)))


@pytest.mark.parametrize("number", SOURCES)
def test_own_answers_of_a_notebook_are_right_and_what_stands_for_them_is_not(number):
    cells = cells_of(SOURCES[number])
    checks = [match for cell in cells for match in CHECKED.finditer(cell)]
    asked = {f"{number}.{check[2]}" for check in checks}
    assert asked == {key for key in EXERCISES if key.startswith(f"{number}.")}
    assert len(asked) >= 2
    imports = imports_of(SOURCES[number])
    for kept, exercise, answer in (check.groups() for check in checks):
        assert kept == answer, f"write {answer} = exercises.{exercise}.check({answer}), so that the notebook goes on"
        (cell,) = [cell for cell in cells if re.search(rf"^def {answer}\(", cell, re.MULTILINE)]
        solution = re.split("### INSTEAD|### END", cell.split("### BEGIN SOLUTION\n")[1])[0]
        assert len(solution.strip().splitlines()) <= LONGEST_ANSWER
        right, begun = {}, {}
        exec(f"{imports}\n{notebooks.with_solution(cell)}", right)
        exec(f"{imports}\n{notebooks.for_students(cell)}", begun)
        assert list(inspect.signature(begun[answer]).parameters) == EXERCISES[f"{number}.{exercise}"].arguments
        assert EXERCISES[f"{number}.{exercise}"].verdict(right[answer]) == ""
        verdict = EXERCISES[f"{number}.{exercise}"].verdict(begun[answer])
        assert "is not written yet" in verdict or PLANTED in verdict or "NaN" in verdict, "nothing is given away"


@pytest.mark.parametrize("number", OF_THREE_GRADES)
def test_notebook_has_exercises_of_three_grades(number):
    grades = {exercise.grade for key, exercise in EXERCISES.items() if key.startswith(f"{number}.")}
    assert {"transcribe", "derive"} <= grades
    assert grades & {"explore", "debug"}


@pytest.mark.parametrize("module", MODULES, ids=number_of)
def test_references_do_not_use_the_library(module):
    """Otherwise a fault in the library would tell a student that the right answer is wrong."""
    imported = [
        n for n in ast.walk(ast.parse(inspect.getsource(module))) if isinstance(n, (ast.Import, ast.ImportFrom))
    ]
    names = [n.module if isinstance(n, ast.ImportFrom) else alias.name for n in imported for alias in n.names]
    for name in names:
        assert name in MAY_IMPORT or name.startswith("tinydiff.course."), name


@pytest.mark.parametrize("key", EXERCISES)
def test_reference_agrees_with_the_library(key):
    number, _, name = key.partition(".")
    library, exercise = ANSWERS[number].LIBRARY[name], EXERCISES[key]
    if isinstance(library, str):
        assert library.endswith("."), "say in a sentence why the library has no such function"
        return
    for mine, theirs in zip(exercise.outputs(exercise.reference), exercise.outputs(library), strict=True):
        for a, b in zip(mine, theirs, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6 * (abs(b).max(initial=0) + 1e-3))


@pytest.mark.parametrize("key", EXERCISES)
def test_exercise_has_all_that_each_has(key):
    exercise = EXERCISES[key]
    assert exercise.verdict(lambda *args: exercise.reference(*args)) == ""
    assert exercise.verdict(exercise.reference).startswith("Not yet: this is the course's own")
    assert len(exercise.mistakes) >= 3
    assert exercise.praise.endswith(".")
    assert len(set(exercise.hints)) == HINTS
    assert all(re.fullmatch(r"[^\n]*[.?`]", hint) for hint in exercise.hints)


@pytest.mark.parametrize("key", EXERCISES)
@pytest.mark.parametrize("dtype", [np.float32, np.longdouble])
def test_right_answer_in_another_dtype_is_right(key, dtype):
    exercise = EXERCISES[key]

    def cast(value):
        return value.astype(dtype) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value

    def answer(*args):
        output = exercise.reference(*map(cast, args))
        return cast(output) if len(exercise.returns) == 1 else tuple(map(cast, output))

    assert exercise.verdict(functools.update_wrapper(answer, exercise.reference)) == ""


@pytest.mark.parametrize("key", [key for key, exercise in EXERCISES.items() if exercise.judge is None])
def test_inputs_tell_all_known_answers_apart(key):
    exercise = EXERCISES[key]
    found = {text: exercise.outputs(f) for text, f in {"right": exercise.reference, **exercise.mistakes}.items()}
    for (one, a), (other, b) in itertools.combinations(found.items(), 2):
        apart = max(difference.distance(*pair) for pair in zip(itertools.chain(*b), itertools.chain(*a), strict=True))
        assert apart >= APART * exercise.tolerance or not np.isfinite(apart), f"{one} / {other}: {apart:.1e}"


@pytest.mark.parametrize(("key", "text"), MISTAKES, ids=[f"{key}: {text[:40]}" for key, text in MISTAKES])
def test_mistake_is_named(key, text):
    exercise = EXERCISES[key]
    hint = f" {exercise.hints[0]}" if text == PLANTED else ""
    assert exercise.verdict(exercise.mistakes[text]) == f"Not yet: {text}{hint}"
    assert re.fullmatch(r"[a-zA-Z`].*[.?]", text)
    assert "\n" not in text


@pytest.mark.parametrize(("key", "answer"), answers_to("RIGHT"))
def test_another_right_answer_is_right(key, answer):
    assert EXERCISES[key].verdict(answer) == ""


@pytest.mark.parametrize(("key", "answer"), answers_to("WRONG"))
def test_another_wrong_answer_is_refused(key, answer):
    assert EXERCISES[key].verdict(answer).startswith("Not yet: ")


def unwritten(*args):
    raise NotImplementedError("Your code here.")


def failing(*args):
    nothing = []
    return nothing[0]


def changing(*args):
    for array in args:
        if isinstance(array, np.ndarray):
            array[...] = 0
    raise ValueError("read-only, as there was no array")


BAD = {
    "returned nothing|Not yet": lambda *args: None,
    "shape|a tuple": lambda *args: np.zeros((7, 7, 7)),
    "gives an array of <U4|a tuple|shape": lambda *args: np.array(["text"]),
    "raised IndexError in line 3": failing,
    "is not written yet": unwritten,
    "changes its input": changing,
    r"takes the arguments \(\)": lambda: 1,
    "but a function was expected": 3.0,
    "raised RecursionError": lambda *args: BAD["raised RecursionError"](*args),
}


@pytest.mark.parametrize("key", [next(key for key in EXERCISES if key.startswith(number)) for number in ANSWERS])
@pytest.mark.parametrize("message", BAD)
def test_bad_answer_gets_one_sentence_and_the_notebook_goes_on(key, message, capsys):
    exercise = EXERCISES[key]
    verdict = exercise.verdict(BAD[message])
    assert re.search(message, verdict), verdict
    assert "\n" not in verdict
    assert exercise.check(BAD[message]) is exercise.reference
    assert capsys.readouterr().out.startswith(f"{verdict}\nThe notebook goes on with the course's own. ")


def test_a_wrong_answer_is_told_how_to_ask_for_a_hint(capsys):
    EXERCISES["01.STEP"].check(lambda x, beta, eps: x)
    assert capsys.readouterr().out.endswith("Stuck? exercises.STEP.hint() helps.\n")
