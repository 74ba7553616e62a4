"""An answer that never ends is stopped, whatever it does."""

import itertools
import os
import signal
import sys
import time

import pytest
from an_exercise import an_exercise

from tinydiff.base import ending


def endless(*args):
    n = 0
    while True:
        n += 1


def endless_and_stubborn(*args):
    while True:
        try:
            endless()
        except Exception:
            continue


def endless_on_one_line(x):
    while True: pass  # fmt: skip  # noqa: E701


def endless_in_all_ways(*args):
    while True:
        try:
            endless()
        except:  # noqa: E722
            continue


def forgetful(x):
    sys.settrace(None)
    while True:
        pass


ENDLESS = {
    "many lines": endless,
    "catches exceptions": endless_and_stubborn,
    "one line": endless_on_one_line,
    "lambda": lambda x: [None for _ in iter(int, 1)],
    "generator": lambda x: sum(1 for _ in iter(int, 1)),
    "any": lambda x: any(n < 0 for n in itertools.count()),
    "map": lambda x: list(map(endless_on_one_line, [1])),
    "conditional": lambda x: [n for n in itertools.count() if n < 0],
}


@pytest.mark.parametrize("answer", ENDLESS.values(), ids=ENDLESS)
@pytest.mark.parametrize("with_child", [True, False])
def test_loop_without_end_is_stopped(answer, with_child, monkeypatch):
    monkeypatch.setattr(ending, "MOST_LINES", 20_000)
    monkeypatch.setattr(ending, "MOST_INSTRUCTIONS", 80_000)
    if not with_child:
        monkeypatch.setattr(sys, "platform", "another")
    exercise = an_exercise(lambda x: 2 * x, [(3.0,)], ["y"])
    before = sys.gettrace()
    expected = "ran 20,000 lines, or 80,000 instructions, for a small input: does its loop ever end?"
    assert expected in exercise.verdict(answer)
    assert sys.gettrace() is before


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only on Linux an answer is tried by a child first")
@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda x: sum(iter(int, 1)), "ran for more than 1 seconds for a small input: does it ever end?"),
        pytest.param(lambda x: max(itertools.repeat(1)), "ran for more than 1 seconds", marks=pytest.mark.slow),
        (lambda x: time.sleep(1e6), "ran for more than 1 seconds"),
        pytest.param(endless_in_all_ways, "ran for more than 1 seconds", marks=pytest.mark.slow),
        pytest.param(forgetful, "ran for more than 1 seconds", marks=pytest.mark.slow),
        (lambda x: bytearray(2**40), "takes more than 2 GB of memory"),
        (lambda x: os._exit(0), "ends Python itself"),
        (lambda x: os.kill(os.getpid(), signal.SIGUSR1), "ends Python itself"),
    ],
)
def test_what_no_debugger_sees_is_stopped_too(answer, message, monkeypatch):
    monkeypatch.setattr(ending, "MOST_SECONDS", 1)
    exercise = an_exercise(lambda x: 2 * x, [(3.0,)], ["y"])
    assert message in exercise.verdict(answer)


def test_a_loop_is_stopped_at_the_same_place_each_time(monkeypatch):
    monkeypatch.setattr(ending, "MOST_INSTRUCTIONS", 10_000)
    counts = []

    def counting():
        n = 0
        try:
            while True: n += 1  # fmt: skip  # noqa: E701
        finally:
            counts.append(n)

    for _ in range(3):
        with pytest.raises(ending.TooLong):
            ending.within_steps(counting, ())
    assert counts[0] == counts[1] == counts[2] > 100


def test_what_an_import_runs_is_not_counted(monkeypatch, tmp_path):
    """SciPy's functions, say, load other parts when they are first called, and that takes a million lines."""
    (tmp_path / "long_to_load.py").write_text("x = 0\nfor k in range(50_000):\n    x = x + 1\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(ending, "MOST_LINES", 20_000)

    def answer(x, more=0):
        import long_to_load

        for _ in range(more):
            pass
        return long_to_load.x * x

    assert ending.within_steps(answer, [2]) == 100_000
    with pytest.raises(ending.TooLong):
        ending.within_steps(answer, [2, 30_000])


class Endless:
    def __array__(self, *args, **options):
        while True:
            pass


def test_what_turns_into_an_array_without_end_is_stopped(monkeypatch):
    monkeypatch.setattr(ending, "MOST_INSTRUCTIONS", 80_000)
    assert "does its loop ever end?" in an_exercise(lambda x: 2 * x, [(3.0,)], ["y"]).verdict(lambda x: Endless())


def test_an_answer_may_loop_as_long_as_a_plain_convolution_needs():
    exercise = an_exercise(lambda n: n, [(50_000.0,)], ["n"])
    assert exercise.verdict(lambda n: float(sum(1 for _ in itertools.repeat(None, int(n))))) == ""
