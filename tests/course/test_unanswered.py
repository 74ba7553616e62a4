"""Every notebook, run by a student who has answered nothing yet, goes on to its end and says so at each exercise.

These are run by `make notebooks`, beside the notebooks with all answers.
"""

import nbformat
import pytest

from tinydiff.course.homework import exercises_of
from tools import notebooks

SOURCES = notebooks.sources()
SECONDS = 600  # that a cell may take


def number_of_exercises(number):
    module = f"problem_sets.{number}" if number.startswith("ps") else f"exercises.notebook_{number}"
    return len(exercises_of(f"tinydiff.course.{module}"))


@pytest.mark.slow
@pytest.mark.parametrize("number", SOURCES)
def test_notebook_goes_on_where_nothing_is_answered(number, tmp_path):
    nbclient = pytest.importorskip("nbclient")
    text = notebooks.notebook_text(SOURCES[number].read_text(encoding="utf-8"))
    notebook = nbformat.reads(text, as_version=4)
    nbclient.NotebookClient(notebook, timeout=SECONDS, resources={"metadata": {"path": str(tmp_path)}}).execute()
    printed = [output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", [])]
    goes_on = [line for text in printed for line in text.splitlines() if line.startswith("The notebook goes on")]
    assert len(goes_on) == number_of_exercises(number)
