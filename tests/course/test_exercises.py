"""The exercises of the notebooks: the right answer passes, and plausible wrong ones are refused with a reason."""

import ast
import importlib
import itertools
import os
import pkgutil
import re
import signal
import sys
import time

import jupytext
import nbformat
import numpy as np
import pytest

from tinydiff.course import Exercise, ending, exercises
from tools import notebooks

LONGEST_ANSWER = 8
CHECKED = re.compile(r"(?:(\w+) = )?exercises\.([A-Z0-9_]+)\.check\((\w+)\)")


def exercises_of(module):
    return {name: value for name, value in vars(module).items() if isinstance(value, Exercise)}


MODULES = [importlib.import_module(f"{exercises.__name__}.{m.name}") for m in pkgutil.iter_modules(exercises.__path__)]
EXERCISES = {f"{m.__name__[-2:]}.{name}": e for m in MODULES for name, e in exercises_of(m).items()}
MISTAKES = [(key, text) for key, exercise in EXERCISES.items() for text in exercise.mistakes]


def cells_of(source):
    return [cell.source for cell in jupytext.reads(source.read_text(encoding="utf-8"), fmt="py:percent").cells]


def imports_of(source):
    statements = ast.parse(source.read_text(encoding="utf-8")).body
    return "\n".join(ast.unparse(s) for s in statements if isinstance(s, (ast.Import, ast.ImportFrom)))


SOURCES = {source.name[:2]: source for source in sorted(notebooks.SOURCES.glob("*.py"))}


@pytest.mark.parametrize("number", SOURCES)
def test_notebook_has_two_short_exercises_and_its_own_answers_are_right(number):
    cells = cells_of(SOURCES[number])
    checks = [match for cell in cells for match in CHECKED.finditer(cell)]
    asked = {f"{number}.{check[2]}" for check in checks}
    assert asked == {key for key in EXERCISES if key.startswith(number)}
    assert len(asked) >= 2
    imports = imports_of(SOURCES[number])
    for kept, exercise, answer in (check.groups() for check in checks):
        assert kept == answer, f"write {answer} = exercises.{exercise}.check({answer}), so that the notebook goes on"
        (cell,) = [cell for cell in cells if re.search(rf"^def {answer}\(", cell, re.MULTILINE)]
        solution = cell.split("### BEGIN SOLUTION\n")[1].split("### END SOLUTION")[0]
        assert len(solution.strip().splitlines()) <= LONGEST_ANSWER
        names = {}
        exec(f"{imports}\n{cell}", names)
        assert EXERCISES[f"{number}.{exercise}"].verdict(names[answer]) == ""


@pytest.mark.slow
@pytest.mark.parametrize("number", SOURCES)
def test_notebook_goes_on_where_nothing_is_answered(number, tmp_path):
    nbclient = pytest.importorskip("nbclient")
    text = notebooks.notebook_text(SOURCES[number].read_text(encoding="utf-8"), student=True)
    notebook = nbformat.reads(text, as_version=4)
    nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    printed = [output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", [])]
    unwritten = [line for text in printed for line in text.splitlines() if line.endswith("is not written yet.")]
    assert len(unwritten) == sum(key.startswith(number) for key in EXERCISES)


@pytest.mark.parametrize("key", EXERCISES)
def test_reference_is_right_and_three_mistakes_are_known(key):
    exercise = EXERCISES[key]
    assert exercise.verdict(exercise.reference) == ""
    assert len(exercise.mistakes) >= 3
    assert exercise.praise.endswith(".")


@pytest.mark.parametrize(("key", "text"), MISTAKES, ids=[f"{key}: {text[:40]}" for key, text in MISTAKES])
def test_mistake_is_named(key, text):
    assert EXERCISES[key].verdict(EXERCISES[key].mistakes[text]) == f"Not yet: {text}"
    assert re.fullmatch(r"[a-zA-Z`].*[.?]", text)
    assert "\n" not in text


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
    "returned nothing": lambda *args: None,
    "shape|a tuple": lambda *args: np.zeros((7, 7, 7)),
    "gives an array of objects|a tuple|shape": lambda *args: np.array(["text"]),
    "raised IndexError in line 3": failing,
    "is not written yet": unwritten,
    "changes its input": changing,
    "raised TypeError": lambda: 1,
    "but a function was expected": 3.0,
    "raised RecursionError": lambda *args: BAD["raised RecursionError"](*args),
}


@pytest.mark.parametrize("key", EXERCISES)
@pytest.mark.parametrize("message", BAD)
def test_bad_answer_gets_one_sentence_and_the_notebook_goes_on(key, message, capsys):
    exercise = EXERCISES[key]
    verdict = exercise.verdict(BAD[message])
    assert re.search(message, verdict), verdict
    assert "\n" not in verdict
    assert exercise.check(BAD[message]) is exercise.reference
    assert capsys.readouterr().out == f"{verdict}\nThe notebook goes on with the library's.\n"


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
    exercise = Exercise(lambda x: 2 * x, [(3.0,)], ["y"], {}, "Indeed.")
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
    exercise = Exercise(lambda x: 2 * x, [(3.0,)], ["y"], {}, "Indeed.")
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

    assert Exercise(lambda x: 2 * x, [(3.0,)], ["y"], {}, "Indeed.").verdict(answer) == ""
    assert capsys.readouterr().out == "looking at 3.0\n"
    assert calls == [3.0]


def test_right_answer_is_kept(capsys):
    exercise = Exercise(lambda x: 2 * x, [(3.0,)], ["y"], {}, "Indeed.")

    def answer(x):
        return x + x

    assert exercise.check(answer) is answer
    assert capsys.readouterr().out == "Right. Indeed.\n"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda x: x, r"<lambda>\(<array of shape \(6,\)>\) gives 5 for y at index 5, but 10 was expected"),
        (lambda x: x.astype(np.float32) * 2, "gives y with dtype float32, but float64 was expected"),
        (lambda x: x[:2], r"gives y with shape \(2,\), but \(6,\) was expected"),
        (lambda x: x / 0, "NaN or infinity"),
        (lambda x: [[1.0, 2.0], [3.0]], r"gives a list for y, but numbers with shape \(6,\) were expected"),
        (lambda x: {"y": x}, "gives a dict for y"),
        (lambda x: "y", "gives a str for y"),
        (lambda x: np.array([None] * 6), "gives an array of objects for y"),
        (lambda x: 1j * x, "gives y with dtype complex128"),
        (lambda x: sys.exit(), "raised SystemExit"),
    ],
)
def test_unknown_mistake_is_described(answer, message):
    exercise = Exercise(lambda x: 2 * x, [(np.arange(6.0),)], ["y"], {}, "Indeed.")
    with np.errstate(all="ignore"):
        assert re.search(message, exercise.verdict(answer))


def test_an_answer_cannot_spoil_the_cases_or_swallow_ctrl_c():
    exercise = Exercise(lambda times: float(len(times)), [([3, 2, 1],)], ["n"], {}, "Indeed.")
    assert "expected" in exercise.verdict(lambda times: [times.pop() for _ in range(3)])
    assert exercise.verdict(lambda times: float(len(times))) == ""

    def interrupted(times):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        exercise.verdict(interrupted)


def test_tuples_and_whole_numbers_are_compared():
    exercise = Exercise(lambda x: (x, len(x)), [(np.ones(2),)], ["x", "n"], {}, "Indeed.")
    assert exercise.verdict(lambda x: [x, 2]) == ""
    assert "gives [1.0, 1.0], but a tuple (x, n) was expected" in exercise.verdict(lambda x: x)
    assert "gives 3 for n, but 2 was expected" in exercise.verdict(lambda x: (x, 3))


def test_an_answer_may_loop_as_long_as_a_plain_convolution_needs():
    exercise = Exercise(lambda n: n, [(50_000.0,)], ["n"], {}, "Indeed.")
    assert exercise.verdict(lambda n: float(sum(1 for _ in itertools.repeat(None, int(n))))) == ""
