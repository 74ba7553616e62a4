"""Problem set 3: what is said of a wrong forward or backward names the link that is wrong."""

import re

import numpy as np
import pytest
from answers import ps3 as answers

from tinydiff.course.exercise import PLANTED
from tinydiff.course.problem_sets import ps3 as problems


@pytest.mark.parametrize(("answer", "said"), answers.SAID, ids=[said for _, said in answers.SAID])
def test_a_wrong_backward_is_told_which_link_is_wrong(answer, said):
    assert re.search(said, problems.BACKWARD.verdict(answer))


@pytest.mark.parametrize(
    ("answer", "said"),
    {
        "another constant": "L are; compare your u with the text, letter by letter",
        "a squared": "the loss is right where w_2 is 0, .* compare your h, u and a with the text",
        "m upside down": r"your function gives [0-9.]+ for loss, but [0-9.]+ was expected. .* look at L first",
    }.items(),
)
def test_a_wrong_forward_is_told_which_part_of_it_is_right(answer, said):
    assert re.search(said, problems.FORWARD.verdict(answers.WRONG["FORWARD"][answer]))


def test_an_untouched_fault_is_not_told():
    """It is the student who is to find it."""

    def untouched(dy, x, w, s):
        a = np.tanh(x @ w)
        dh = s * dy * (1 - (s * a) ** 2)
        return dy + dh @ w.T, x.T @ dh, (dy * a).sum()

    assert PLANTED in problems.GATE.verdict(untouched)
    for told in ("tanh", "bracket", "dh"):
        assert told not in problems.GATE.verdict(untouched)
