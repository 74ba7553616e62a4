"""Finding the portrait of a caption and the caption of a portrait: how often, and how often at best."""

import numpy as np
import pytest
from clips import learned

from tinydiff.base import InputError
from tinydiff.data.avatars import compose, describe
from tinydiff.data.avatars.pairs import match_probabilities, words_said, words_shown
from tinydiff.evaluate import retrieval
from tinydiff.evaluate.retrieval import first_answers


@pytest.fixture(scope="module")
def trained():
    return learned()


def test_an_exact_reader_finds_as_many_portraits_as_it_expects():
    """So the captions are written as `match_probabilities` says: 400 trials, five standard deviations (a false alarm in
    2 million, and the seed is fixed)."""
    portraits = compose(400, split="test")
    found = match_probabilities(words_said(portraits, describe(portraits, split="test")), words_shown(portraits))
    p = found.max(axis=1)
    _, hits = first_answers(found.T)
    assert abs(hits - p.sum()) < 5 * (p * (1 - p)).sum() ** 0.5


def test_first_answers_count_the_diagonal_and_share_ties():
    assert first_answers(np.array([[3.0, 1, 0], [4, 2, 1], [0, 0, 5]])) == (2.0, 2.0)
    assert first_answers(np.zeros((4, 4))) == (1.0, 1.0)
    with pytest.raises(InputError, match="one column for each row"):
        first_answers(np.zeros((2, 3)))


@pytest.mark.slow
def test_a_report_of_retrieval(trained):
    small = retrieval(trained, n=20)
    assert 0 <= small.captions.value <= 1
    assert max(small.ceilings) <= 1
    assert "chance" in str(small)
    assert "5.00%" in str(small)
