"""Every notebook runs to its end, and each exercise in it twice: with its answer, and by a student who has none yet.

Where an answer was found right, its cell is run again as students are given it; so the notebook says that it goes on
with the course's own, and does. One run of a notebook, which may train a network, then shows both. `make notebooks`
runs these.
"""

import copy

import nbformat
import pytest

from tinydiff.course.homework import exercises_of
from tools import notebooks

SOURCES = notebooks.sources()
SECONDS = 900  # that a cell may take


def number_of_exercises(number):
    module = f"problem_sets.{number}" if number.startswith("ps") else f"exercises.notebook_{number}"
    return len(exercises_of(f"tinydiff.course.{module}"))


def answered_and_then_not(source):
    """Return the notebook of a source in which each exercise, once checked with its answer, is tried without one."""
    text = source.read_text(encoding="utf-8")
    solved, open_ = (nbformat.reads(notebooks.notebook_text(text, solved), as_version=4) for solved in (True, False))
    cells, unanswered = [], []
    for with_answer, without in zip(solved.cells, open_.cells, strict=True):
        cells.append(with_answer)
        has_answer = with_answer.cell_type == "code" and with_answer.source != without.source
        if has_answer:
            unanswered.append(without)
        if with_answer.cell_type == "code" and ".check(" in with_answer.source:
            again = [*unanswered, *([] if has_answer else [with_answer])]
            cells += [nbformat.v4.new_code_cell(cell.source) for cell in copy.deepcopy(again)]
            unanswered = []
    solved.cells = cells + [nbformat.v4.new_code_cell(cell.source) for cell in unanswered]  # of problems nobody checks
    return solved


@pytest.mark.slow
@pytest.mark.parametrize("number", SOURCES)
def test_notebook_runs_with_answers_and_goes_on_without(number, tmp_path):
    nbclient = pytest.importorskip("nbclient")
    notebook = answered_and_then_not(SOURCES[number])
    nbclient.NotebookClient(notebook, timeout=SECONDS, resources={"metadata": {"path": str(tmp_path)}}).execute()
    printed = [output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", [])]
    lines = [line for text in printed for line in text.splitlines()]
    exercises = number_of_exercises(number)
    assert len([line for line in lines if line.startswith("Right. ")]) == exercises
    assert len([line for line in lines if line.startswith("The notebook goes on")]) == exercises
