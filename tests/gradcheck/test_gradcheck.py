"""The checker itself: right pairs pass, wrong ones are named."""

from collections import namedtuple

import numpy as np
import pytest

from tinydiff.base import InputError
from tinydiff.functional import avg_pool, avg_pool_backward, linear, linear_backward
from tinydiff.gradcheck import adjoint_check, check_module, gradcheck
from tinydiff.nn import Gradients, Linear, Module, SiLU, Tape

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
        (lambda dy, c: (0 * dy,), "all zeros: this path was forgotten"),
        (
            lambda dy, c: (2 * c[0] * dy / 3,),
            "a factor: it is 0.333333 times the right one everywhere. 3 is the number of",
        ),
        (lambda dy, c: ((2 * c[0] * dy).T,), "a transpose: its shape is (4, 3)"),
        (lambda dy, c: (np.stack([2 * c[0] * dy] * 2),), "a missing sum: its shape is (2, 3, 4)"),
        (lambda dy, c: 2 * c[0] * dy, "must return a tuple"),
        (lambda dy, c: (np.multiply(dy, 2 * c[0], out=dy),), "writes to its inputs or to dy"),
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
    with pytest.raises(InputError, match=r"argument 0 \(x\) is float32, but a float64 array"):
        gradcheck(square, square_backward, (X.astype(np.float32),))
    with pytest.raises(InputError, match="no floating array"):
        gradcheck(square, square_backward, (3,))


def test_a_sum_that_was_forgotten_along_an_axis_of_size_1_is_named():
    def add(x, b):
        return x + b, ()

    report = gradcheck(add, lambda dy, cache: (dy, dy), (X, X[:, :1]))
    assert "sum over axis (1,) with keepdims=True" in str(report)


def test_a_factor_is_named_after_the_size_it_equals():
    report = gradcheck(avg_pool, lambda dy, c: (avg_pool_backward(dy, c)[0] * 7,), (np.ones((1, 4, 4, 7)),))
    assert "7 is the size of axis 3 of x: a sum instead of a mean" in str(report)


def test_the_report_has_a_title_and_can_raise():
    gradcheck(square, square_backward, (X,)).raise_if_wrong()
    report = gradcheck(square, lambda dy, c: (dy,), (X,), name="my square")
    with pytest.raises(AssertionError, match=r"my square: WRONG .*\n  argument 0 \(x\): WRONG"):
        report.raise_if_wrong()


def test_a_mistake_of_one_millionth_in_one_number_is_caught():
    def nearly(dy, cache):
        dx = square_backward(dy, cache)[0]
        dx[1, 2] *= 1 + 1e-5
        return (dx,)

    assert not gradcheck(square, nearly, (X + 3,))


def test_a_forward_that_is_random_or_loses_digits_is_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(InputError, match="another output when called again"):
        gradcheck(lambda x: (x * rng.uniform(size=x.shape), ()), square_backward, (X,))
    with pytest.raises(InputError, match="gives float32 for float64 arguments"):
        gradcheck(lambda x: (x.astype(np.float32), ()), square_backward, (X,))


def test_arrays_among_the_options_are_frozen_too():
    def shifted(x, *, shift):
        shift += 1
        return x + shift, ()

    assert "writes to its inputs" in str(gradcheck(shifted, lambda dy, c: (dy,), (X,), options={"shift": np.ones(4)}))


def test_a_step_along_a_long_direction_is_shorter():
    """With 40,000 numbers a direction is 200 long; a whole step along it would leave the straight part of the curve."""
    x = np.random.default_rng(0).standard_normal(40_000) / 100
    report = gradcheck(lambda x: (np.square(x @ x)[None], x), lambda dy, x: (dy * 4 * (x @ x) * x,), (x,))
    assert report, str(report)


class Twice(Module):
    """Two linear layers, the first of them read twice."""

    def __init__(self, pair=(linear, linear_backward)):
        rng = np.random.default_rng(0)
        self.first = Linear(4, 4, rng, dtype=np.float64)
        self.second = Linear(4, 3, rng, dtype=np.float64, pair=pair)
        self.act = SiLU()
        self.pack()

    def forward(self, x, tape=None):
        h = self.first.forward(self.first.forward(x, tape), tape)
        return self.second.forward(self.act.forward(h, tape), tape)

    def backward(self, dy, tape, grads=None):
        dh = self.act.backward(self.second.backward(dy, tape, grads), tape, grads)
        return self.first.backward(self.first.backward(dh, tape, grads), tape, grads)


@pytest.mark.equation("GC-1")
def test_a_module_is_checked_in_theta_and_in_its_inputs():
    report = check_module(Twice(), [X], Tape, Gradients)
    assert report, str(report)
    assert [f.label for f in report.findings] == ["theta", "x"]


def test_the_parameters_before_a_mistake_in_a_module_are_named():
    def wrong(dy, cache, need_dx=True, need_dw=True):
        dx, dw, db = linear_backward(dy, cache)
        return -dx, dw, db

    report = str(check_module(Twice((linear, wrong)), [X], Tape, Gradients))
    assert "2 of 4 parameters are wrong, the last ones first.weight, first.bias." in report
    assert "argument 1 (x): WRONG" in report
    assert "likely: the sign" in report


def test_a_module_whose_backward_forgets_a_layer_is_refused():
    class Forgetful(Twice):
        def backward(self, dy, tape, grads=None):
            return self.act.backward(self.second.backward(dy, tape, grads), tape, grads)

    with pytest.raises(InputError, match="left 2 entries on the tape"):
        check_module(Forgetful(), [X], Tape, Gradients)
    with pytest.raises(InputError, match=r"argument 1 \(x\) is float32"):
        check_module(Twice(), [X.astype(np.float32)], Tape, Gradients)


def test_a_models_named_gradients_belong_to_the_inputs_of_that_name():
    Named = namedtuple("Named", "d_context d_x")

    class Model(Twice):
        def forward(self, x, context, tape=None):
            return super().forward(x + context, tape)

        def backward(self, dy, tape, grads=None):
            d = super().backward(dy, tape, grads)
            return Named(d.sum(axis=0), d)

    assert check_module(Model(), [X, X[0]], Tape, Gradients)
    assert len(check_module(Model(), [X, X[0]], Tape, Gradients, wrt=[1]).findings) == 2


def test_an_axis_of_one_number_is_no_forgotten_mean():
    x = np.random.default_rng(0).standard_normal((1, 7))
    report = gradcheck(lambda x: (x**3, (x,)), lambda dy, cache: (dy * np.sin(cache[0]),), [x])
    assert not report.ok
    assert "along axis" not in str(report)
