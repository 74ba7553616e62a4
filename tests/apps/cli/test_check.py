"""``tinydiff check``: a line for each exercise of a notebook, and an exit status."""

import json
import re

import pytest

from tinydiff.apps.cli import main

IMPORT = "from tinydiff.course.exercises import notebook_01 as exercises"
ANSWERS = {
    "STEP": "def f(x, beta, eps):\n    return (1 - beta) ** 0.5 * x + beta**0.5 * eps",
    "SCHEDULE": "import numpy as np\ndef f(T, a, b):\n    return np.r_[1, np.cumprod(1 - np.linspace(a, b, T))]",
    "JUMP": "def f(x, s, t, eps):\n    return (t / s) ** 0.5 * x + (1 - t / s) ** 0.5 * eps",
    "WALK": (
        "def f(x, table, times, noises):\n    for s, t, eps in zip(times, times[1:], noises):\n"
        "        a = table[t] / table[s]\n        x = a**0.5 * x + (1 - a) ** 0.5 * eps\n    return x"
    ),
}


@pytest.fixture
def homework(tmp_path, monkeypatch):
    """Return a function that writes answers into a notebook 01 in this folder."""
    monkeypatch.chdir(tmp_path)

    def write(answers):
        code = [IMPORT, *(f"{code}\nf = exercises.{name}.check(f)" for name, code in answers.items())]
        cells = [{"cell_type": "code", "source": source} for source in code]
        (tmp_path / "01_one_noising_step.ipynb").write_text(json.dumps({"cells": cells}), encoding="utf-8")

    return write


def test_all_right(homework, capsys):
    homework(ANSWERS)
    assert main(["check", "01"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("01_one_noising_step.ipynb:\n  STEP      Right.\n")
    assert said.endswith("4 of 4 are right.\n")


def test_one_wrong(homework, capsys):
    homework(ANSWERS | {"JUMP": "def f(x, s, t, eps):\n    return t**0.5 * x + (1 - t) ** 0.5 * eps"})
    with pytest.raises(SystemExit) as left:
        main(["check", "01_one_noising_step.ipynb"])
    assert left.value.code == 1
    said = capsys.readouterr().out
    assert "  JUMP      Not yet: that jumps from x_0;" in said
    assert said.endswith("3 of 4 are right.\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check"], "ps1 to ps8"),
        (["check", "README.md"], "--what is 'README.md', but ps1 to ps8"),
        (["check", "99"], "There is no notebook 99_*.ipynb here"),
        (["check", "01", "--seconds", "0"], "--seconds is 0"),
    ],
)
def test_what_cannot_be_checked_is_told(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err


@pytest.mark.slow
def test_a_set_is_found_in_the_project(capsys, tmp_path, monkeypatch):
    """Nothing is solved in the students' folder."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        main(["check", "01"])
    said = capsys.readouterr().out
    assert "my_step is not written yet." in said
    assert re.search(r"\n0 of \d are right\.\n$", said)
