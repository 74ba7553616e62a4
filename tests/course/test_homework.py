"""A notebook of exercises is run in a process of its own, and what its checks say is gathered."""

import json
import os
import signal
import sys

import pytest

from tinydiff.base import DataError
from tinydiff.course import check_notebook

IMPORT = "from tinydiff.course.exercises import notebook_01 as exercises"
RIGHT = "def my_step(x, beta, eps):\n    return (1 - beta) ** 0.5 * x + beta**0.5 * eps"
CHECK = "my_step = exercises.STEP.check(my_step)"


def notebook(folder, *cells):
    """Write a notebook of code cells, with a text before each, and return its path."""
    content = [
        {"cell_type": kind, "source": source} for cell in cells for kind, source in (("markdown", "#"), ("code", cell))
    ]
    path = folder / "mine.ipynb"
    path.write_text(
        json.dumps({"cells": content, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}), encoding="utf-8"
    )
    return path


def said_of(name, homework):
    (answer,) = [answer for answer in homework.answers if answer.name == name]
    return answer.wrong


def test_answers_are_checked_in_the_order_of_the_file(tmp_path):
    homework = check_notebook(notebook(tmp_path, IMPORT, RIGHT, CHECK))
    assert [answer.name for answer in homework.answers] == ["STEP", "SCHEDULE", "JUMP", "WALK"]
    assert said_of("STEP", homework) == ""
    assert said_of("WALK", homework).startswith("not checked: its cell with .check(...) is missing")
    assert homework.right == 1
    assert homework.troubles == []


def test_a_wrong_answer_gets_its_sentence_and_the_notebook_goes_on(tmp_path):
    wrong = RIGHT.replace("beta**0.5 * eps", "beta * eps")
    used = "assert my_step(1.0, 0.19, 0.0) == 0.9"  # of the course's own
    homework = check_notebook(notebook(tmp_path, IMPORT, wrong, f"{CHECK}\n{used}"))
    assert said_of("STEP", homework).startswith("Not yet: the image is right, but the noise is multiplied by beta")
    assert homework.troubles == []


@pytest.mark.parametrize(
    ("cell", "trouble"),
    [
        ("1 / 0", "Cell 2 raised ZeroDivisionError: division by zero"),
        ("def f(:", "Cell 2 raised SyntaxError"),
        ("unknown", "Cell 2 raised NameError: name 'unknown' is not defined"),
        ("raise SystemExit", "Cell 2 raised SystemExit"),
        ("class Mute(Exception):\n    def __str__(self): raise ValueError\nraise Mute", "Cell 2 raised Mute"),
        ("raise ValueError('a\\nb' * 999)", "Cell 2 raised ValueError: a b"),
    ],
)
def test_a_cell_that_fails_is_told_and_the_next_is_run(tmp_path, cell, trouble):
    homework = check_notebook(notebook(tmp_path, IMPORT, cell, RIGHT, CHECK))
    assert said_of("STEP", homework) == ""
    assert len(homework.troubles) == 1
    assert homework.troubles[0].startswith(trouble)
    assert len(homework.troubles[0]) < 300


def test_an_answer_whose_cell_failed_is_told_so_and_the_course_s_own_is_not_taken_for_it(tmp_path):
    homework = check_notebook(notebook(tmp_path, IMPORT, "def my_step(:", CHECK, CHECK))
    assert said_of("STEP", homework).startswith("Not yet: this is the course's own")
    assert homework.troubles == ["Cell 2 raised SyntaxError: invalid syntax (in the cell, line 1)"]
    homework = check_notebook(notebook(tmp_path, IMPORT, "def my_step(:", CHECK))
    assert said_of("STEP", homework) == "my_step is not defined: did its cell fail?"


@pytest.mark.parametrize("line", ["%matplotlib inline", "!ls", "print('x' * 10**6)", "display = print\ndisplay(1)"])
def test_what_only_a_notebook_understands_is_passed_over_and_what_is_printed_not_shown(tmp_path, line, capfd):
    homework = check_notebook(notebook(tmp_path, IMPORT, line, RIGHT, CHECK))
    assert said_of("STEP", homework) == ""
    assert homework.troubles == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_a_notebook_that_does_not_end_is_stopped_and_what_was_checked_before_counts(tmp_path):
    homework = check_notebook(notebook(tmp_path, IMPORT, RIGHT, CHECK, "while True: pass"), seconds=20)
    assert said_of("STEP", homework) == ""
    assert homework.troubles == ["The notebook was stopped after 20 seconds; a cell does not end, or takes very long."]


@pytest.mark.skipif(sys.platform == "win32", reason="signals are others there")
@pytest.mark.parametrize("end", ["import os\nos._exit(0)", f"import os\nos.kill(os.getpid(), {int(signal.SIGTERM)})"])
def test_a_cell_that_ends_python_is_told(tmp_path, end):
    homework = check_notebook(notebook(tmp_path, IMPORT, RIGHT, CHECK, end))
    assert homework.right == 1
    assert homework.troubles == ["The notebook ended Python itself, and what follows was not reached."]


def test_the_last_check_of_an_answer_counts(tmp_path):
    homework = check_notebook(notebook(tmp_path, IMPORT, RIGHT, CHECK, "def my_step(): pass", CHECK))
    assert "takes the arguments ()" in said_of("STEP", homework)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no json", "is no notebook"),
        ("[1, 2]", "is no notebook"),
        ('{"cells": [{"source": 3}]}', "is no notebook"),
        ('{"cells": []}', "has no exercises"),
        (None, "cannot be read: No such file"),
    ],
)
def test_a_file_that_is_no_notebook_of_exercises_is_refused(tmp_path, text, message):
    path = tmp_path / "mine.ipynb"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        check_notebook(path)


def test_exercises_that_do_not_exist_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"There are no exercises tinydiff\.course\.exercises\.notebook_99"):
        check_notebook(notebook(tmp_path, IMPORT.replace("01", "99")))


def test_the_notebook_itself_and_its_folder_are_not_touched(tmp_path):
    path = notebook(tmp_path, IMPORT, "open('made.txt', 'w').close()", RIGHT, CHECK)
    before = path.read_bytes()
    check_notebook(path)
    assert os.listdir(tmp_path) == ["mine.ipynb"]
    assert path.read_bytes() == before
