"""Answers to the exercises by small edits of a right one: which are taken, and which are refused."""

import importlib
import itertools
import math
import re
from pathlib import Path

import numpy as np
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("without_child")]  # more than a thousand of them
EDITED = Path(__file__).parents[1] / "answers" / "edited"
BEGINS = re.compile(r"^(exercise |right: |wrong: |right with |wrong with )", re.MULTILINE)


def edit(source, edits):
    for one in edits.split(" ;; "):
        old, _, new = one.partition(" =>")
        assert old in source, f"{old} does not stand in the answer that is edited"
        source = source.replace(old, new.removeprefix(" "))
    return source


def answers_in(text):
    """Return (exercise, whether it is right, what it is, source) for each answer in a file."""
    found, name, base = [], "", ""
    _, *parts = BEGINS.split(text)
    for begin, part in zip(parts[::2], parts[1::2], strict=True):
        what, _, source = part.partition("\n")
        if begin == "exercise ":
            name, base = what, ""
            continue
        base = base or source
        found.append((name, begin.startswith("right"), what, source if begin.endswith(": ") else edit(base, what)))
    return found


ANSWERS = [
    pytest.param(path.stem, *one, id=f"{path.stem}.{one[0]}: {one[2]}")
    for path in sorted(EDITED.glob("*.txt"))
    for one in answers_in(path.read_text(encoding="utf-8"))
]


def built(source):
    """Return the function that a source defines."""
    names = {"itertools": itertools, "math": math, "np": np, "pairwise": itertools.pairwise}
    exec(source, names)
    return names["f"]


@pytest.mark.parametrize(("module", "name", "right", "what", "source"), ANSWERS)
def test_edited_answer_is_taken_or_refused(module, name, right, what, source):
    package = "exercises" if module.startswith("notebook") else "problem_sets"
    exercise = getattr(importlib.import_module(f"tinydiff.course.{package}.{module.partition('.')[0]}"), name)
    verdict = exercise.verdict(built(source))
    assert "NameError" not in verdict
    assert (verdict == "") == right, verdict or "a wrong answer is taken"
