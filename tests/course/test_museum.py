"""The bug museum: each test that an exhibit names is there, and marked with its pitfall; symptoms lead somewhere."""

import re
from pathlib import Path

import pytest

from tinydiff.base import InputError
from tinydiff.course import museum_label, what_now
from tinydiff.course.museum import EXHIBITS, SYMPTOMS

ROOT = Path(__file__).resolve().parent.parent.parent
LISTED = 25  # pitfalls, see tests/test_pitfalls.py


@pytest.mark.parametrize("number", EXHIBITS)
def test_the_test_that_is_named_exists_and_is_marked_with_the_pitfall(number):
    file, name = EXHIBITS[number].test.split("::")
    text = (ROOT / file).read_text(encoding="utf-8")
    (decorators,) = re.findall(rf"((?:^[@ )\]].*\n)*)^def {name}\(", text, re.MULTILINE)
    assert f"@pytest.mark.pitfall({number})" in decorators


def test_the_museum_shows_a_dozen_or_more():
    assert len(EXHIBITS) >= 12
    assert all(1 <= number <= LISTED for number in EXHIBITS)


@pytest.mark.parametrize("number", EXHIBITS)
def test_each_exhibit_is_in_the_notebook(number):
    text = (ROOT / "notebooks" / "src" / "19_the_bug_museum.py").read_text(encoding="utf-8")
    assert f"({number})" in text
    assert museum_label(number).startswith(f"Pitfall {number} ")


def test_each_symptom_of_an_exhibit_leads_back_to_it():
    """Whoever asks what to do about what an exhibit shows is told of its pitfall."""
    for number, (symptom, *_) in EXHIBITS.items():
        if symptom != "figures":
            found = [int(n) for n in re.findall(r"\d+", "".join(re.findall(r"pitfalls?[\d and]*", what_now(symptom))))]
            assert number in found, (number, symptom)


@pytest.mark.parametrize("symptom", SYMPTOMS)
def test_what_now_asks_questions_in_order(symptom):
    first, *lines = what_now(symptom).split("\n")
    assert first == f"My samples are {symptom}: what now?"
    assert len(lines) == len(SYMPTOMS[symptom]) >= 3
    for i, line in enumerate(lines, 1):
        assert re.fullmatch(rf"  {i}\. [A-Z].*\? Yes: .*\.", line)


def test_what_is_not_in_the_museum_is_refused_in_a_sentence():
    with pytest.raises(InputError, match=r"symptom is 'fine', but .*black"):
        what_now("fine")
    with pytest.raises(InputError, match="number is 99, but one of 2, 4, 5"):
        museum_label(99)
