"""The checker itself: right pairs pass, wrong ones are named."""

import numpy as np
import pytest

from tinydiff.errors import InputError
from tinydiff.functional import linear, linear_backward
from tinydiff.gradcheck import adjoint_check, gradcheck

X = np.random.default_rng(0).standard_normal((3, 4))


def square(x):
    return x * x, (x,)


def square_backward(dy, cache):
    (x,) = cache
    return (2 * x * dy,)


@pytest.mark.equation("GC-1")
def test_a_right_pair_passes_and_says_so():
    report = gradcheck(square, square_backward, (X,))
    assert report.ok
    assert bool(report)
    assert "square: all gradients are right" in str(report)
    assert report.findings[0].error < 1e-8


def test_the_report_names_argument_index_ratio_and_mistake():
    def tripled(dy, cache):
        return (3 * square_backward(dy, cache)[0],)

    (finding,) = gradcheck(square, tripled, (X,)).findings
    assert not finding.ok
    assert finding.ratio == pytest.approx(3)
    assert finding.index == np.unravel_index(np.argmax(abs(2 * square_backward_of_check(X))), X.shape)
    assert "a factor: it is 3 times" in finding.mistake


def square_backward_of_check(x):
    """The gradient with the upstream that gradcheck draws: whatever it is, the worst entry is the largest."""
    seen = []

    def spy(dy, cache):
        seen.append(square_backward(dy, cache)[0])
        return (seen[0],)

    gradcheck(square, spy, (x,))
    return seen[0]


@pytest.mark.parametrize(
    ("wrong", "mistake"),
    [
        (lambda dy, c: (None,), "gives None"),
        (lambda dy, c: (), "gives None"),
        (lambda dy, c: (np.full(dy.shape, np.nan),), "not finite"),
        (lambda dy, c: (2 * c[0] * dy + 1.0,), "a missing constant"),
        (lambda dy, c: ((2 * c[0] * dy)[:, 1:],), "its shape is (3, 3)"),
        (lambda dy, c: (2 * c[0] * dy * (np.arange(4) > 0),), "only 3 of 12 numbers are wrong"),
    ],
)
def test_more_mistakes_are_named(wrong, mistake):
    report = gradcheck(square, wrong, (X,))
    assert not report
    assert mistake in str(report), str(report)


def test_writing_to_an_input_is_named():
    def careless(x):
        x *= 2
        return x, (x,)

    assert "writes to its inputs" in str(gradcheck(careless, square_backward, (X,)))
    assert X.flags.writeable


def test_other_arguments_are_left_alone():
    def power(x, p, *, shift):
        return x**p + shift, (x, p)

    def power_backward(dy, cache):
        x, p = cache
        return dy * p * x ** (p - 1), None

    assert gradcheck(power, power_backward, (abs(X), 3), options={"shift": 1.0})


@pytest.mark.equation("ADJ-1")
def test_the_adjoint_identity_holds_for_a_linear_pair_and_not_for_a_wrong_one():
    w = np.random.default_rng(1).standard_normal((4, 5))
    assert adjoint_check(linear, linear_backward, (X, w)) < 1e-14
    assert adjoint_check(linear, lambda dy, cache: (-linear_backward(dy, cache)[0],), (X, w)) > 0.1


def test_float32_and_no_array_are_refused():
    with pytest.raises(InputError, match="argument 0 is float32, but a float64 array"):
        gradcheck(square, square_backward, (X.astype(np.float32),))
    with pytest.raises(InputError, match="no floating array"):
        gradcheck(square, square_backward, (3,))
