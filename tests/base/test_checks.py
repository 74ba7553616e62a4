"""Arrays that fit together, and values that are checked before a function's first line."""

import inspect
from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np
import pytest

from tinydiff.base import (
    InputError,
    bare,
    check_alike,
    check_choice,
    check_divisible,
    check_positive,
    check_shapes,
    checked,
    checks_arguments,
)
from tinydiff.diffusion.times import spaced_steps
from tinydiff.functional.values import check_padding, check_stride

# Alike: one library, one floating dtype.


def test_arrays_of_one_floating_dtype_are_alike(xp):
    x = xp.ones(2, dtype=xp.float32)
    check_alike(x=x, w=None, b=x)
    check_alike()


@pytest.mark.parametrize("value", [1.0, [1.0, 2.0], "x", np.float32(1)])
def test_what_is_no_array_is_refused_by_name(value):
    with pytest.raises(InputError, match=f"dy is of type {type(value).__name__}"):
        check_alike(dy=value)


def test_arrays_of_two_devices_are_refused_by_name(strict_cupy):
    with pytest.raises(InputError, match=r"x is a numpy array, w is a cupy array.*to_device"):
        check_alike(x=np.ones(2), w=strict_cupy.ones(2))


def test_mixtures_of_dtypes_are_refused_by_name(xp):
    x, w = xp.ones(2, dtype=xp.float32), xp.ones(2)
    with pytest.raises(InputError, match=r"x is float32, w is float64.*astype"):
        check_alike(x=x, w=w)
    with pytest.raises(InputError, match="labels has dtype int64, but a floating dtype"):
        check_alike(labels=xp.ones(2, dtype=xp.int64))


# Shapes.


@pytest.mark.parametrize(
    ("layouts", "shapes"),
    [
        ("x: N H W C", {"x": (2, 3, 4, 5)}),
        ("x: ... c_in, w: c_in c_out, b: c_out", {"x": (2, 3, 5), "w": (5, 4), "b": (4,)}),
        ("x: ... c_in, w: c_in c_out, b: c_out", {"x": (5,), "w": (5, 4), "b": None}),
        ("q: ... n d, k: ... m d", {"q": (2, 3, 4, 5), "k": (2, 3, 6, 5)}),
        ("x: N ... C, gamma: C", {"x": (2, 5), "gamma": (5,)}),
        ("x: N N, s: 1", {"x": (3, 3), "s": (1,)}),
    ],
)
def test_shapes_that_fit(xp, layouts, shapes):
    check_shapes(layouts, **{name: None if shape is None else xp.ones(shape) for name, shape in shapes.items()})


@pytest.mark.parametrize(
    ("layouts", "shapes", "message"),
    [
        ("x: N H W C", {"x": (2, 3)}, r"x has 2 axes (shape (2, 3)), but (N, H, W, C) was expected."),
        ("b: c", {"b": ()}, r"b has 0 axes (shape ()), but (c,) was expected."),
        ("x: N ... C", {"x": (3,)}, r"x has 1 axis (shape (3,)), but (N, ..., C) was expected."),
        (
            "x: ... c_in, w: c_in c_out",
            {"x": (2, 3), "w": (4, 5)},
            "x has shape (2, 3) and w has shape (4, 5): c_in is 3 in x (..., c_in), but 4 in w (c_in, c_out).",
        ),
        (
            "q: ... n d, k: ... m d",
            {"q": (2, 3, 4, 5), "k": (2, 1, 4, 5)},
            "what ... stands for is (2, 3) in q (..., n, d), but (2, 1) in k (..., m, d).",
        ),
        ("x: N N", {"x": (2, 3)}, "x has shape (2, 3), but (N, N) was expected, with one size for N."),
        ("s: 1", {"s": (2,)}, "s has shape (2,), but (1,) was expected."),
        ("x: N C", {"x": (0, 3)}, "x has shape (0, 3), but no axis of (N, C) may have size 0."),
        ("x: ... C", {"x": (0, 3)}, "x has shape (0, 3), but no axis of (..., C) may have size 0."),
    ],
)
def test_shapes_that_do_not_fit_are_one_sentence(layouts, shapes, message):
    for _ in range(2):  # what was found is remembered
        with pytest.raises(InputError) as caught:
            check_shapes(layouts, **{name: np.ones(shape) for name, shape in shapes.items()})
        assert message in str(caught.value)


# Values.


def check_rate(rate):
    check_positive("rate", rate)


@checked("x cache.w", check_rate)
def scale(x, cache=None, rate=2.0):
    """Return x, scaled."""
    return rate * x


class Cache:
    def __init__(self, w):
        self.w = w


def test_values_are_checked_before_the_call_however_they_are_given():
    assert scale(np.ones(1)) == 2
    assert scale(rate=3.0, x=np.ones(1)) == 3
    with pytest.raises(InputError, match="rate is -1, but a positive number"):
        scale(np.ones(1), None, -1)
    with pytest.raises(InputError, match="rate is -1"):
        scale(np.ones(1), rate=-1)
    with pytest.raises(InputError, match="x is of type list"):
        scale([1.0])
    with pytest.raises(InputError, match="x is float64, w is float32"):
        scale(np.ones(1), Cache(np.ones(1, np.float32)))


def test_a_wrong_call_names_the_function():
    with pytest.raises(TypeError, match="scale: missing a required argument: 'x'"):
        scale()


def test_the_bare_function_is_the_one_that_was_written():
    assert scale.bare([1.0], rate=1) == [1.0]
    assert bare(scale) is scale.bare
    assert bare(check_rate) is check_rate


def test_name_docstring_signature_and_source_stay():
    assert (scale.__name__, scale.__doc__) == ("scale", "Return x, scaled.")
    assert list(inspect.signature(scale).parameters) == ["x", "cache", "rate"]
    assert "return rate * x" in inspect.getsource(scale)


class Stubborn:
    """A value that does not even say what it is."""

    def __repr__(self):
        raise RuntimeError("no")


@pytest.mark.parametrize(
    "value",
    [10**5000, -(10**5000), [10**5000], Stubborn(), "x" * 10**6],
    ids=["large", "negative", "in a list", "stubborn", "long"],
)
def test_a_value_that_cannot_be_written_out_is_refused_in_a_sentence(value):
    @checked()
    def f(count: int, share: float, cut: tuple[int, int]):
        return count, share, cut

    for given in ((value, 0.5, (1, 1)), (1, value, (1, 1)), (1, 0.5, (1, value))):
        with pytest.raises(InputError, match="was expected") as caught:
            f(*given)
        assert len(str(caught.value)) < 250
    for refused in (
        lambda: check_choice("how", value, ("a", "b")),
        lambda: check_divisible("channels", value, "groups", 0),
        lambda: check_divisible("channels", 7, "groups", value),
        lambda: check_positive("lr", value),
        lambda: check_stride(value),
        lambda: check_padding(value, (3, 3)),
        lambda: spaced_steps(10, value),
    ):
        with pytest.raises(InputError) as caught:
            refused()
        assert len(str(caught.value)) < 250


class Pair(NamedTuple):
    """Two arrays that belong together."""

    x: np.ndarray
    y: np.ndarray | None = None


@checked()
def described(texts: Collection[str] = (), arrays: Mapping[str, np.ndarray] | None = None, pair: Pair | None = None):
    return texts, arrays, pair


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"texts": ["a", 3]}, r"texts\[1\] is 3, but a text"),
        ({"texts": {3}}, r"texts\[0\] is 3, but a text"),
        ({"texts": np.ones(2)}, r"texts\[0\] is .*, but a text"),
        ({"texts": "ab"}, "texts is 'ab', but a collection"),
        ({"arrays": {3: np.ones(2)}}, "a key of arrays is 3, but a text"),
        ({"arrays": {"a": [1.0]}}, r"arrays\['a'\] is of type list"),
        ({"pair": (np.ones(2), "b")}, "pair.y is of type str|pair.y is 'b'"),
        ({"pair": (np.ones(2),)}, "but a Pair"),
        ({"texts": 10**5000}, "texts is a whole number of about 5,0.. digits"),
    ],
)
def test_the_members_of_a_collection_are_what_its_annotation_says(given, sentence):
    with pytest.raises(InputError, match=sentence):
        described(**given)


def test_a_plain_tuple_arrives_as_the_named_one_that_it_stands_for():
    _, _, pair = described(pair=(np.ones(2), None))
    assert isinstance(pair, Pair)


class Kettle:
    size: int = 1

    def boil(self):
        """Return what it boils."""


class Mock:
    """From elsewhere, without anything in it."""


class Pan(Mock):
    """From where the kettle comes from, too, but it boils nothing."""


class Samovar(Mock):
    size = 2

    def boil(self):
        """Return what it boils."""


def test_a_class_of_the_same_package_stands_in_for_another_only_if_it_has_all_that_is_public():
    @checked()
    def tea(kettle: Kettle):
        return kettle

    Mock.__module__ = "elsewhere"
    for value in (Kettle(), Samovar(), Mock()):
        assert tea(value) is value
    for value, found in ((Pan(), r"<.*Pan.*> \(Pan\)"), ("iron", "'iron'"), (3, "3")):
        with pytest.raises(InputError, match=f"kettle is {found}, but a Kettle was expected"):
            tea(value)


@checks_arguments()
class Made:
    """A class with a class method and a static one."""

    @classmethod
    def of(cls, n: int) -> int:
        return n

    @staticmethod
    def twice(n: int) -> int:
        return 2 * n


@pytest.mark.parametrize("f", [Made.of, Made.twice])
def test_class_methods_and_static_ones_are_checked_too(f):
    assert type(f(np.int8(100))) is int
    with pytest.raises(InputError, match="n is 'x', but a whole number"):
        f("x")


@pytest.mark.parametrize("count", [2**62, 2**40])
def test_what_no_memory_can_hold_is_a_sentence(count):
    @checked()
    def zeros(n: int):
        return np.zeros((n, 2**20))

    with pytest.raises(InputError, match="zeros: its arguments ask for too much"):
        zeros(count)
