"""The check of an exercise: what it takes, what it says, and what an answer may do."""

import re
import sys
import urllib.request

import numpy as np
import pytest
from an_exercise import an_exercise

from tinydiff.base import InputError
from tinydiff.course import falls_with_order


def test_an_answer_prints_and_remembers_once(capsys):
    calls = []

    def answer(x):
        print("looking at", x)
        calls.append(x)
        return 2 * x

    assert an_exercise(lambda x: 2 * x, [(3.0,)], ["y"]).verdict(answer) == ""
    assert capsys.readouterr().out == "looking at 3.0\n"
    assert calls == [3.0]


def test_right_answer_is_kept(capsys):
    exercise = an_exercise(lambda x: 2 * x, [(3.0,)], ["y"])

    def answer(x):
        return x + x

    assert exercise.check(answer) is answer
    assert capsys.readouterr().out == "Right. Indeed.\n"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda x: x, r"y is 0.5 times what was expected, for all inputs"),
        (lambda x: x.astype(np.float16) * 2.001, "it was computed in float16"),
        (lambda x: x**2, r"<lambda>\(x=<array of shape \(6,\)>\) gives 25 for y at index 5, but 10 was expected"),
        (lambda x: -2 * x, "y has the wrong sign"),
        (lambda x: 2 * x[::-1], "y runs backwards along axis 0"),
        (lambda x: 2 * np.roll(x, 1), "y is shifted by one place along axis 0"),
        (lambda x: 2 * x + 3, "y is 3 too large everywhere"),
        (lambda x: 0 * x, "y is 0 everywhere"),
        (lambda x: 2 * x[:, None], "The numbers are right, but their shape is not"),
        (lambda x: (2 * x)[None] * np.ones((2, 1)) / 2, "A sum over axis 0 is missing"),
        (lambda x: x[:2], r"gives y with shape \(2,\), but \(6,\) was expected"),
        (lambda x: x / 0, "NaN or infinity"),
        (lambda x: [[1.0, 2.0], [3.0]], r"gives a list for y, but real numbers with shape \(6,\) were expected"),
        (lambda x: {"y": x}, "gives a dict for y"),
        (lambda x: "y", "gives a str for y"),
        (lambda x: np.array([None] * 6), "gives an array of object for y"),
        (lambda x: 1j * x, "gives an array of complex128 for y"),
        (lambda x: sys.exit(), "raised SystemExit"),
    ],
)
def test_unknown_mistake_is_described(answer, message):
    exercise = an_exercise(lambda x: 2 * x, [(np.arange(6.0),)], ["y"])
    with np.errstate(all="ignore"):
        assert re.search(message, exercise.verdict(answer))


def test_an_answer_cannot_spoil_the_cases_or_swallow_ctrl_c():
    exercise = an_exercise(lambda times: float(len(times)), [([3, 2, 1],)], ["n"])
    assert "changes its input times" in exercise.verdict(lambda times: [times.pop() for _ in range(3)])
    assert exercise.verdict(lambda times: float(len(times))) == ""

    def interrupted(times):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        exercise.verdict(interrupted)


def test_tuples_and_whole_numbers_are_compared():
    exercise = an_exercise(lambda x: (x, len(x)), [(np.ones(2),)], ["x", "n"])
    assert exercise.verdict(lambda x: [x, 2]) == ""
    assert "gives x with shape (), but (2,) was expected" in exercise.verdict(lambda x: x)
    assert "gives 3, but a tuple (x, n) was expected" in exercise.verdict(lambda x: 3.0)
    assert "gives 3 for n, but 2 was expected" in exercise.verdict(lambda x: (x, 3))


def in_place(x, rate):
    x *= rate


def test_an_answer_may_write_to_an_argument_where_the_text_allows_it():
    exercise = an_exercise(lambda x, rate: rate * x, [(np.arange(6.0), 3.0)], ["x"], changes=["x"])
    assert exercise.verdict(in_place) == ""
    assert exercise.verdict(lambda x, rate: rate * x) == ""
    assert exercise.verdict(lambda x, rate: None) == "Not yet: x is 0.33333 times what was expected, for all inputs."
    elsewhere = an_exercise(lambda x, rate: rate * x, [(np.arange(6.0), 3.0)], ["x"])
    assert "changes its input in line 2" in elsewhere.verdict(in_place)


def test_a_factor_is_told_by_the_argument_that_it_is():
    cases = [(np.arange(1.0, 3.0), 0.25), (np.arange(1.0, 5.0), 0.09)]
    exercise = an_exercise(lambda x, beta: x * (1 - beta), cases, ["y"])
    assert "y is beta ** 0.5 times what" in exercise.verdict(lambda x, beta: x * (1 - beta) * beta**0.5)
    assert "y is what was expected, divided by x.size, for" in exercise.verdict(lambda x, beta: x * (1 - beta) / len(x))
    assert "y is off by a factor for each input (2, 3)." in exercise.verdict(
        lambda x, beta: x * (1 - beta) * (2 if beta > 0.1 else 3)
    )


def test_values_in_another_order_and_those_that_are_right_are_told():
    exercise = an_exercise(lambda x: (2 * x, 3 * x), [(np.arange(4.0),)], ["dx", "dw"])
    assert "the values come in another order; return dx, dw." in exercise.verdict(lambda x: (3 * x, 2 * x))
    assert "dx is right, but dw has the wrong sign." in exercise.verdict(lambda x: (2 * x, -3 * x))


UNFRIENDLY = {
    "megabytes": (lambda x: [print("a" * 10_000) for _ in range(300)], "2,998,300 characters more", "gives a list"),
    "the network": (lambda x: urllib.request.urlopen("http://127.0.0.1:9"), "", "asks for the network"),
    "the keyboard": (lambda x: input("x?"), "", "asks for what is typed"),
    "a sentence of many lines": (lambda x: int("a\n" * 500), "", "raised ValueError"),
}


@pytest.mark.parametrize(("answer", "printed", "message"), UNFRIENDLY.values(), ids=UNFRIENDLY)
def test_an_unfriendly_answer_ends_in_one_sentence(answer, printed, message, capsys):
    verdict = an_exercise(lambda x: 2 * x, [(3.0,)], ["y"]).verdict(answer)
    assert message in verdict.replace(" in line 1", "")
    assert "\n" not in verdict
    assert len(verdict) < 400
    out, err = capsys.readouterr()
    assert printed in out
    assert len(out + err) < 2_200


def test_an_answer_that_lifts_the_protection_of_its_input_is_noticed():
    def stubborn(x):
        x.setflags(write=True)
        x += x
        return x

    assert "changes its input x" in an_exercise(lambda x: 2 * x, [(np.ones(3),)], ["y"]).verdict(stubborn)


def test_hints_are_given_on_request(capsys):
    exercise = an_exercise(lambda x: 2 * x, [(3.0,)], ["y"])
    exercise.hint()
    exercise.hint(3)
    assert capsys.readouterr().out == "Hint 1 of 3: a. (hint(2) says more.)\nHint 3 of 3: c.\n"
    with pytest.raises(InputError, match="level is 4, but "):
        exercise.hint(4)


@pytest.mark.parametrize(("order", "wrong"), [(1, ""), (2, "to the power -0.9"), (0, "hardly falls")])
def test_a_sampler_is_judged_by_its_order(order, wrong):
    """Euler's polygon has order 1; a polygon with a wrong slope has none."""

    def euler(steps):
        x = 1.0
        for _ in range(steps):
            x += (x if order else 0.9 * x) / steps
        return x

    judge = falls_with_order([8, 16, 32, 64], [np.array([np.e])] * 4, order=max(order, 1))
    said = judge([[np.array([euler(steps)])] for steps in (8, 16, 32, 64)])
    assert wrong in said
    assert bool(said) == bool(wrong)


def test_an_answer_that_fails_in_a_later_case_gets_the_sentence_of_its_mistake_in_the_first():
    cases = [(np.ones((2, 2)), np.arange(4.0).reshape(2, 2)), (np.ones((2, 3)), np.ones((3, 4)))]
    exercise = an_exercise(lambda x, w: x @ w, cases, ["y"], {"w is transposed.": lambda x, w: x @ w.T})
    assert exercise.verdict(lambda x, w: x @ w.T) == "Not yet: w is transposed."
    said = exercise.verdict(lambda x, w: x @ w if len(w) < 3 else x @ w.T)
    assert said.startswith("Not yet: <lambda> raised ValueError in line 1: matmul")
    assert said.endswith("(here x is (2, 3), w is (3, 4))")
