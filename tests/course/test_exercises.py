"""The exercises of the notebooks: the right answer passes, and plausible wrong ones are refused with a reason."""

import ast
import functools
import importlib
import inspect
import itertools
import os
import pkgutil
import re
import signal
import sys
import time
import urllib.request

import jupytext
import nbformat
import numpy as np
import pytest

from tinydiff.base import InputError
from tinydiff.course import Exercise, difference, ending, exercises, falls_with_order, problem_sets
from tinydiff.course.exercise import HINTS
from tools import notebooks

LONGEST_ANSWER = 25
APART = 100  # times the tolerance, at least, lie between any two known answers to an exercise
CHECKED = re.compile(r"(?:(\w+) = )?(?:exercises|problems)\.([A-Z0-9_]+)\.check\((\w+)\)")
MAY_IMPORT = {"collections", "functools", "itertools", "math", "numpy", "tinydiff.course"}
OF_THREE_GRADES = [f"{n:02}" for n in (*range(11), *range(20, 27))]  # notebooks


def exercises_of(module):
    return {name: value for name, value in vars(module).items() if isinstance(value, Exercise)}


def number_of(module):
    """Return "05" for exercises.notebook_05, and "ps3" for problem_sets.ps3."""
    return module.__name__.rpartition(".")[2].removeprefix("notebook_")


MODULES = [
    importlib.import_module(f"{package.__name__}.{m.name}")
    for package in (exercises, problem_sets)
    for m in pkgutil.iter_modules(package.__path__)
]
EXERCISES = {f"{number_of(m)}.{name}": e for m in MODULES for name, e in exercises_of(m).items()}
MISTAKES = [(key, text) for key, exercise in EXERCISES.items() for text in exercise.mistakes]
ANSWERS = {number_of(m): importlib.import_module(f"answers.{m.__name__.rpartition('.')[2]}") for m in MODULES}
SOURCES = {source.name.partition("_")[0]: source for source in sorted(notebooks.SOURCES.glob("*.py"))}


def answers_to(kind):
    """Return (key, answer) for all of a kind of answers in `tests/answers`: RIGHT or WRONG."""
    return [
        pytest.param(f"{number}.{name}", answer, id=f"{number}.{name}: {what}")
        for number, module in ANSWERS.items()
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
        assert EXERCISES[f"{number}.{exercise}"].verdict(right[answer]) == ""
        assert EXERCISES[f"{number}.{exercise}"].verdict(begun[answer]) != ""


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


@pytest.mark.slow
@pytest.mark.parametrize("number", SOURCES)
def test_notebook_goes_on_where_nothing_is_answered(number, tmp_path):
    nbclient = pytest.importorskip("nbclient")
    text = notebooks.notebook_text(SOURCES[number].read_text(encoding="utf-8"))
    notebook = nbformat.reads(text, as_version=4)
    nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    printed = [output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", [])]
    goes_on = [line for text in printed for line in text.splitlines() if line.startswith("The notebook goes on")]
    assert len(goes_on) == sum(key.startswith(f"{number}.") for key in EXERCISES)


@pytest.mark.parametrize("key", EXERCISES)
def test_exercise_has_all_that_each_has(key):
    exercise = EXERCISES[key]
    assert exercise.verdict(exercise.reference) == ""
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
    assert EXERCISES[key].verdict(EXERCISES[key].mistakes[text]) == f"Not yet: {text}"
    assert re.fullmatch(r"[a-zA-Z`].*[.?]", text)
    assert "\n" not in text


@pytest.mark.parametrize(("key", "answer"), answers_to("RIGHT"))
def test_another_right_answer_is_right(key, answer):
    assert EXERCISES[key].verdict(answer) == ""


@pytest.mark.parametrize(("key", "answer"), answers_to("WRONG"))
def test_another_wrong_answer_is_refused(key, answer):
    assert EXERCISES[key].verdict(answer).startswith("Not yet: ")


def an_exercise(reference, cases, returns, **more):
    return Exercise("transcribe", reference, cases, returns, {}, ["a.", "b.", "c."], "Indeed.", **more)


def endless(*args):
    n = 0
    while True:
        n += 1


def endless_and_stubborn(*args):
    while True:
        try:
            endless()
        except Exception:
            continue


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


def endless_on_one_line(x):
    while True: pass  # fmt: skip  # noqa: E701


def endless_in_all_ways(*args):
    while True:
        try:
            endless()
        except:  # noqa: E722
            continue


def forgetful(x):
    sys.settrace(None)
    while True:
        pass


ENDLESS = {
    "many lines": endless,
    "catches exceptions": endless_and_stubborn,
    "one line": endless_on_one_line,
    "lambda": lambda x: [None for _ in iter(int, 1)],
    "generator": lambda x: sum(1 for _ in iter(int, 1)),
    "any": lambda x: any(n < 0 for n in itertools.count()),
    "map": lambda x: list(map(endless_on_one_line, [1])),
    "conditional": lambda x: [n for n in itertools.count() if n < 0],
}


@pytest.mark.parametrize("answer", ENDLESS.values(), ids=ENDLESS)
@pytest.mark.parametrize("with_child", [True, False])
def test_loop_without_end_is_stopped(answer, with_child, monkeypatch):
    monkeypatch.setattr(ending, "MOST_LINES", 20_000)
    monkeypatch.setattr(ending, "MOST_INSTRUCTIONS", 80_000)
    if not with_child:
        monkeypatch.setattr(sys, "platform", "another")
    exercise = an_exercise(lambda x: 2 * x, [(3.0,)], ["y"])
    before = sys.gettrace()
    expected = "ran 20,000 lines, or 80,000 instructions, for a small input: does its loop ever end?"
    assert expected in exercise.verdict(answer)
    assert sys.gettrace() is before


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only on Linux an answer is tried by a child first")
@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda x: sum(iter(int, 1)), "ran for more than 1 seconds for a small input: does it ever end?"),
        pytest.param(lambda x: max(itertools.repeat(1)), "ran for more than 1 seconds", marks=pytest.mark.slow),
        (lambda x: time.sleep(1e6), "ran for more than 1 seconds"),
        pytest.param(endless_in_all_ways, "ran for more than 1 seconds", marks=pytest.mark.slow),
        pytest.param(forgetful, "ran for more than 1 seconds", marks=pytest.mark.slow),
        (lambda x: bytearray(2**40), "takes more than 2 GB of memory"),
        (lambda x: os._exit(0), "ends Python itself"),
        (lambda x: os.kill(os.getpid(), signal.SIGUSR1), "ends Python itself"),
    ],
)
def test_what_no_debugger_sees_is_stopped_too(answer, message, monkeypatch):
    monkeypatch.setattr(ending, "MOST_SECONDS", 1)
    exercise = an_exercise(lambda x: 2 * x, [(3.0,)], ["y"])
    assert message in exercise.verdict(answer)


def test_a_loop_is_stopped_at_the_same_place_each_time(monkeypatch):
    monkeypatch.setattr(ending, "MOST_INSTRUCTIONS", 10_000)
    counts = []

    def counting():
        n = 0
        try:
            while True: n += 1  # fmt: skip  # noqa: E701
        finally:
            counts.append(n)

    for _ in range(3):
        with pytest.raises(ending.TooLong):
            ending.within_steps(counting, ())
    assert counts[0] == counts[1] == counts[2] > 100


def test_an_answer_prints_and_remembers_once(capsys):
    calls = []

    def answer(x):
        print("looking at", x)
        calls.append(x)
        return 2 * x

    assert an_exercise(lambda x: 2 * x, [(3.0,)], ["y"]).verdict(answer) == ""
    assert capsys.readouterr().out == "looking at 3.0\n"
    assert calls == [3.0]


def test_right_answer_is_kept(capsys):
    exercise = an_exercise(lambda x: 2 * x, [(3.0,)], ["y"])

    def answer(x):
        return x + x

    assert exercise.check(answer) is answer
    assert capsys.readouterr().out == "Right. Indeed.\n"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda x: x, r"y is 0.5 times what was expected, for all inputs"),
        (lambda x: x.astype(np.float16) * 2.001, "it was computed in float16"),
        (lambda x: x**2, r"<lambda>\(x=<array of shape \(6,\)>\) gives 25 for y at index 5, but 10 was expected"),
        (lambda x: -2 * x, "y has the wrong sign"),
        (lambda x: 2 * x[::-1], "y runs backwards along axis 0"),
        (lambda x: 2 * np.roll(x, 1), "y is shifted by one place along axis 0"),
        (lambda x: 2 * x + 3, "y is 3 too large everywhere"),
        (lambda x: 0 * x, "y is 0 everywhere"),
        (lambda x: 2 * x[:, None], "The numbers are right, but their shape is not"),
        (lambda x: (2 * x)[None] * np.ones((2, 1)) / 2, "A sum over axis 0 is missing"),
        (lambda x: x[:2], r"gives y with shape \(2,\), but \(6,\) was expected"),
        (lambda x: x / 0, "NaN or infinity"),
        (lambda x: [[1.0, 2.0], [3.0]], r"gives a list for y, but real numbers with shape \(6,\) were expected"),
        (lambda x: {"y": x}, "gives a dict for y"),
        (lambda x: "y", "gives a str for y"),
        (lambda x: np.array([None] * 6), "gives an array of object for y"),
        (lambda x: 1j * x, "gives an array of complex128 for y"),
        (lambda x: sys.exit(), "raised SystemExit"),
    ],
)
def test_unknown_mistake_is_described(answer, message):
    exercise = an_exercise(lambda x: 2 * x, [(np.arange(6.0),)], ["y"])
    with np.errstate(all="ignore"):
        assert re.search(message, exercise.verdict(answer))


def test_an_answer_cannot_spoil_the_cases_or_swallow_ctrl_c():
    exercise = an_exercise(lambda times: float(len(times)), [([3, 2, 1],)], ["n"])
    assert "changes its input times" in exercise.verdict(lambda times: [times.pop() for _ in range(3)])
    assert exercise.verdict(lambda times: float(len(times))) == ""

    def interrupted(times):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        exercise.verdict(interrupted)


def test_tuples_and_whole_numbers_are_compared():
    exercise = an_exercise(lambda x: (x, len(x)), [(np.ones(2),)], ["x", "n"])
    assert exercise.verdict(lambda x: [x, 2]) == ""
    assert "gives x with shape (), but (2,) was expected" in exercise.verdict(lambda x: x)
    assert "gives 3, but a tuple (x, n) was expected" in exercise.verdict(lambda x: 3.0)
    assert "gives 3 for n, but 2 was expected" in exercise.verdict(lambda x: (x, 3))


def in_place(x, rate):
    x *= rate


def test_an_answer_may_write_to_an_argument_where_the_text_allows_it():
    exercise = an_exercise(lambda x, rate: rate * x, [(np.arange(6.0), 3.0)], ["x"], changes=["x"])
    assert exercise.verdict(in_place) == ""
    assert exercise.verdict(lambda x, rate: rate * x) == ""
    assert exercise.verdict(lambda x, rate: None) == "Not yet: x is 0.33333 times what was expected, for all inputs."
    elsewhere = an_exercise(lambda x, rate: rate * x, [(np.arange(6.0), 3.0)], ["x"])
    assert "changes its input in line 2" in elsewhere.verdict(in_place)


def test_a_factor_is_told_by_the_argument_that_it_is():
    cases = [(np.arange(1.0, 3.0), 0.25), (np.arange(1.0, 5.0), 0.09)]
    exercise = an_exercise(lambda x, beta: x * (1 - beta), cases, ["y"])
    assert "y is beta ** 0.5 times what" in exercise.verdict(lambda x, beta: x * (1 - beta) * beta**0.5)
    assert "y is 1 / x.size times what" in exercise.verdict(lambda x, beta: x * (1 - beta) / len(x))
    assert "y is a factor (0.75, 0.91) times" not in exercise.verdict(lambda x, beta: x)


def test_values_in_another_order_and_those_that_are_right_are_told():
    exercise = an_exercise(lambda x: (2 * x, 3 * x), [(np.arange(4.0),)], ["dx", "dw"])
    assert "the values come in another order; return dx, dw." in exercise.verdict(lambda x: (3 * x, 2 * x))
    assert "dx is right, but dw has the wrong sign." in exercise.verdict(lambda x: (2 * x, -3 * x))


UNFRIENDLY = {
    "megabytes": (lambda x: [print("a" * 10_000) for _ in range(300)], "2,998,300 characters more", "gives a list"),
    "the network": (lambda x: urllib.request.urlopen("http://127.0.0.1:9"), "", "asks for the network"),
    "the keyboard": (lambda x: input("x?"), "", "asks for what is typed"),
    "a sentence of many lines": (lambda x: int("a\n" * 500), "", "raised ValueError"),
}


@pytest.mark.parametrize(("answer", "printed", "message"), UNFRIENDLY.values(), ids=UNFRIENDLY)
def test_an_unfriendly_answer_ends_in_one_sentence(answer, printed, message, capsys):
    verdict = an_exercise(lambda x: 2 * x, [(3.0,)], ["y"]).verdict(answer)
    assert message in verdict.replace(" in line 1", "")
    assert "\n" not in verdict
    assert len(verdict) < 400
    out, err = capsys.readouterr()
    assert printed in out
    assert len(out + err) < 2_200


class Endless:
    def __array__(self, *args, **options):
        while True:
            pass


def test_what_turns_into_an_array_without_end_is_stopped(monkeypatch):
    monkeypatch.setattr(ending, "MOST_INSTRUCTIONS", 80_000)
    assert "does its loop ever end?" in an_exercise(lambda x: 2 * x, [(3.0,)], ["y"]).verdict(lambda x: Endless())


def test_an_answer_that_lifts_the_protection_of_its_input_is_noticed():
    def stubborn(x):
        x.setflags(write=True)
        x += x
        return x

    assert "changes its input x" in an_exercise(lambda x: 2 * x, [(np.ones(3),)], ["y"]).verdict(stubborn)


def test_hints_are_given_on_request(capsys):
    exercise = an_exercise(lambda x: 2 * x, [(3.0,)], ["y"])
    exercise.hint()
    exercise.hint(3)
    assert capsys.readouterr().out == "Hint 1 of 3: a. (hint(2) says more.)\nHint 3 of 3: c.\n"
    with pytest.raises(InputError, match="level is 4, but "):
        exercise.hint(4)


@pytest.mark.parametrize(("order", "wrong"), [(1, ""), (2, "to the power -0.9"), (0, "hardly falls")])
def test_a_sampler_is_judged_by_its_order(order, wrong):
    """Euler's polygon has order 1; a polygon with a wrong slope has none."""

    def euler(steps):
        x = 1.0
        for _ in range(steps):
            x += (x if order else 0.9 * x) / steps
        return x

    judge = falls_with_order([8, 16, 32, 64], [np.array([np.e])] * 4, order=max(order, 1))
    said = judge([[np.array([euler(steps)])] for steps in (8, 16, 32, 64)])
    assert wrong in said
    assert bool(said) == bool(wrong)


def test_an_answer_may_loop_as_long_as_a_plain_convolution_needs():
    exercise = an_exercise(lambda n: n, [(50_000.0,)], ["n"])
    assert exercise.verdict(lambda n: float(sum(1 for _ in itertools.repeat(None, int(n))))) == ""


def test_a_wrong_answer_is_told_how_to_ask_for_a_hint(capsys):
    EXERCISES["01.STEP"].check(lambda x, beta, eps: x)
    assert capsys.readouterr().out.endswith("Stuck? exercises.STEP.hint() helps.\n")
