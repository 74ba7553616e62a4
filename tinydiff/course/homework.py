"""A notebook of exercises is run from top to bottom, and what its checks say is gathered.

It is run in a process of its own, without Jupyter: what it prints is not shown, and its pictures are not either.
"""

import ast
import importlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinydiff.base import DataError, check_count, checked, read_at_most
from tinydiff.course.attempt import reason_of
from tinydiff.course.exercise import Exercise

MOST_BYTES = 2**26  # of a notebook
IMPORTED = re.compile(r"^from (tinydiff\.course\.\w+) import (\w+) as (\w+)", re.MULTILINE)


@dataclass(frozen=True)
class Answer:
    """What the check of one exercise says: `wrong` is a sentence, empty if the answer is right."""

    name: str
    grade: str
    wrong: str


@dataclass(frozen=True)
class Homework:
    """What is said of a notebook: an answer to each of its exercises, and what stopped cells."""

    path: Path
    answers: list[Answer]
    troubles: list[str]

    @property
    def right(self) -> int:
        """How many exercises are solved."""
        return sum(not answer.wrong for answer in self.answers)


@checked()
def check_notebook(path: Path, seconds: int = 600) -> Homework:
    """Run a notebook, and return what the checks of its exercises say.

    Parameters
    ----------
    path : Path
        Of an .ipynb file.
    seconds : int
        After which it is stopped.

    Raises
    ------
    DataError
        If the file cannot be read, is no notebook, or has no exercises.
    """
    check_count("seconds", seconds)
    cells = _cells(path)
    imported = IMPORTED.search("\n".join(cells))
    if imported is None:
        raise DataError(f"{path} has no exercises: it imports none of tinydiff.course.")
    exercises = exercises_of(f"{imported[1]}.{imported[2]}")
    with tempfile.TemporaryDirectory() as folder:
        said = Path(folder) / "said.jsonl"
        task = {"cells": cells, "module": imported[3], "said": str(said)}
        environment = {**os.environ, "MPLBACKEND": "Agg", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        late = ""
        try:
            subprocess.run(
                [sys.executable, "-c", "from tinydiff.course.homework import run_task; run_task()"],
                input=json.dumps(task),
                text=True,
                cwd=folder,
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            late = f"The notebook was stopped after {seconds} seconds; a cell does not end, or takes very long."
        lines = said.read_text(encoding="utf-8").splitlines() if said.exists() else []
    return _gathered(path, exercises, [json.loads(line) for line in lines], late)


def exercises_of(module: str) -> dict[str, Exercise]:
    """Return the exercises of a module by their names, in the order of the file."""
    try:
        found = vars(importlib.import_module(module))
    except ImportError as error:
        raise DataError(f"There are no exercises {module}: {error}.") from error
    return {name: value for name, value in found.items() if isinstance(value, Exercise)}


def _gathered(path, exercises, said, late):
    """Return the homework of what a run said: of each exercise its last check counts."""
    wrong = {line["exercise"]: line["wrong"] for line in said if "exercise" in line}
    missing = "not checked: its cell with .check(...) is missing, or was not reached."
    answers = [Answer(name, one.grade, wrong.get(name, missing)) for name, one in exercises.items()]
    troubles = [line["trouble"] for line in said if "trouble" in line]
    if not late and not any("end" in line for line in said):
        late = "The notebook ended Python itself, and what follows was not reached."
    return Homework(path, answers, [*troubles, *filter(None, [late])])


def _cells(path):
    """Return the code of a notebook's cells."""
    try:
        text = read_at_most(path, MOST_BYTES)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from error
    try:
        cells = json.loads(text)["cells"]
        code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is no notebook: it holds no cells that can be read.") from error
    return code


def run_task() -> None:
    """Run the cells that stdin holds, in this process, and write what is said to a file, a line for each thing."""
    task = json.load(sys.stdin)
    with open(task["said"], "w", encoding="utf-8") as file:

        def tell(**what: Any) -> None:
            file.write(json.dumps(what) + "\n")
            file.flush()

        namespace: dict[str, Any] = {"__name__": "__main__"}
        for number, code in enumerate(task["cells"], 1):
            for what in _run_cell(number, code, namespace, task["module"]):
                tell(**what)
        tell(end=True)


def _run_cell(number: int, code: str, namespace: dict[str, Any], module: str) -> Iterator[dict[str, str]]:
    """Run the statements of a cell; yield the verdict of each check, and what stops the cell."""
    plain = "\n".join("" if line.lstrip().startswith(("%", "!")) else line for line in code.split("\n"))
    try:
        for statement in ast.parse(plain, filename="in the cell").body:
            check = _check_in(statement, module)
            if check:
                kept, exercise, answer = check
                one: Exercise = getattr(namespace[module], exercise)
                given = namespace.get(answer)
                wrong = one.verdict(given) if answer in namespace else f"{answer} is not defined: did its cell fail?"
                yield {"exercise": exercise, "wrong": wrong}
                namespace[kept] = one.reference if wrong else given
            else:
                exec(compile(ast.Module([statement], []), "in the cell", "exec"), namespace)
    except BaseException as error:  # of the reader's own; the cells that follow are run all the same
        why = reason_of(error)
        yield {"trouble": f"Cell {number} raised {type(error).__name__}{f': {why}' if why else ''}"}


def _check_in(statement, module):
    """Return (kept, exercise, answer) for ``kept = module.EXERCISE.check(answer)``, or None."""
    text = ast.unparse(statement)
    found = re.fullmatch(rf"(\w+) = {module}\.(\w+)\.check\((\w+)\)", text)
    return found and found.groups()
