"""What an argument may be, read from its annotation, so that one place refuses what no function can compute with.

Annotations are what readers see already: `Array`, ``float``, ``int | None``. From each of them a list of kinds is made
once, when a function is defined; `taken` then takes a value as the first kind that it fits, or refuses it.

A number of NumPy is taken as a Python number: ``np.float64(0.5) * x`` would turn a float32 array x into float64, and
``np.uint8(200) + 100`` wraps. Arrays must be plain ones (`check_numbers`).
"""

import collections.abc
import inspect
import math
import numbers
import types
import typing
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tinydiff.base.arrays import Array, check_numbers, is_array, module_of
from tinydiff.base.errors import InputError
from tinydiff.base.words import shown

LARGEST = 2**63  # whole numbers are below it, as those in arrays are
NO_CHECK: list["Kind"] = []  # of an annotation that allows anything, or that says too little


class Kind(NamedTuple):
    """One kind of values: its name in a sentence, whether a value is of it, and the value that is used instead."""

    words: str
    fits: Callable[[Any], bool]
    take: Callable[[str, Any], Any] = lambda name, value: value


def kinds_of(f: Callable[..., Any]) -> dict[str, list[Kind]]:
    """Return argument -> the kinds that its annotation allows; arguments that may be anything are left out."""
    found = {}
    for name, parameter in inspect.signature(f).parameters.items():
        several = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        if not several and parameter.annotation is not parameter.empty:
            found[name] = _kinds(_evaluated(parameter.annotation, f))
    return {name: kinds for name, kinds in found.items() if kinds}


def taken(name: str, value: Any, kinds: list[Kind]) -> Any:
    """Return a value as the first of these kinds that it is of; raise `InputError` if it is of none."""
    for kind in kinds:
        if kind.fits(value):
            if kind is ARRAY and value.ndim == 0 and NUMBER not in kinds:
                raise InputError(f"{name} is an array without axes, but at least one axis was expected.")
            return kind.take(name, value)
    if all(kind in (ARRAY, NONE) for kind in kinds):
        module_of({name: value}, some=True)  # says what is wrong with an array
    raise InputError(f"{name} is {_shown(value)}, but {' or '.join(kind.words for kind in kinds)} was expected.")


def _kinds(annotation):
    """Return the kinds that an annotation allows; an empty list means that anything goes."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        members = [_kinds(member) for member in inner]
        return [kind for member in members for kind in member] if all(members) else NO_CHECK
    if annotation in KINDS:
        return [KINDS[annotation]]
    if collections.abc.Callable in (annotation, origin):
        return [CALLABLE]
    if origin is typing.Literal:
        return [_one_of(inner)]
    if annotation is tuple or origin is tuple:
        return [_pair(inner)]
    if origin is not None and issubclass(origin, collections.abc.Mapping):
        return [_mapping(origin, *inner)]
    if origin in (collections.abc.Iterable, collections.abc.Iterator):
        return [_sequence(_is_iterable, inner[0])]
    if origin is collections.abc.Collection:
        return [_sequence(_is_collection, inner[0], "a collection")]
    if origin in (collections.abc.Sequence, list):
        return [_sequence(_is_sequence, inner[0])]
    open_protocol = getattr(annotation, "_is_protocol", False) and not getattr(
        annotation, "_is_runtime_protocol", False
    )
    says_little = annotation in (Any, object) or open_protocol
    return [_instance(annotation)] if isinstance(annotation, type) and not says_little else NO_CHECK


def _instance(kind):
    """Return the kind of a class's instances; for a named tuple, a plain tuple of as many things will do."""
    fields = getattr(kind, "_fields", ())
    article = "an" if kind.__name__[0] in "AEIOU" else "a"
    words = f"{article} {kind.__name__}"
    if not fields:
        return Kind(words, lambda value: isinstance(value, kind) or _may_stand_in(value, kind))
    of_fields = {name: _kinds(annotation) for name, annotation in inspect.get_annotations(kind).items()}

    def take(name, value):
        parts = zip(fields, value, strict=True)
        checked = [
            taken(f"{name}.{field}", part, kinds) if (kinds := of_fields.get(field)) and part is not None else part
            for field, part in parts
        ]
        return kind(*checked) if of_fields else value

    return Kind(
        words,
        lambda value: isinstance(value, kind) or (type(value) is tuple and len(value) == len(fields)),
        take,
    )


def _evaluated(annotation, f):
    """Return what an annotation stands for that is written as a text; where that is not known, `Any`."""
    if not isinstance(annotation, str):
        return annotation
    try:
        return eval(annotation, vars(inspect.getmodule(f)))
    except (NameError, AttributeError, SyntaxError):  # such as a name that only a type checker imports
        return Any


def _one_of(choices):
    """Return the kind of values that equal one of the choices, which is taken instead: NumPy has texts of its own."""
    words = f"one of {', '.join(map(repr, choices))}"
    return Kind(words, lambda v: _is_plain(v) and v in choices, lambda name, v: choices[choices.index(v)])


def _pair(inner):
    """Return the kind of a tuple with these types; a list is taken too, since files hold no tuples."""
    if not inner or inner[-1] is Ellipsis:
        kinds, size = _kinds(inner[0]) if inner else NO_CHECK, None
    else:
        kinds, size = [_kinds(member) for member in inner], len(inner)

    def take(name, value):
        of_each = [kinds] * len(value) if size is None else kinds
        pairs = enumerate(zip(value, of_each, strict=True))
        parts = [taken(f"{name}[{i}]", part, of) if of else part for i, (part, of) in pairs]
        return value if hasattr(value, "_fields") else tuple(parts)

    words = "a tuple" if size is None else f"a tuple of {size}"
    return Kind(words, lambda value: isinstance(value, (tuple, list)) and size in (None, len(value)), take)


def _sequence(fits, inner, words="a sequence"):
    """Return the kind of a sequence whose members are of one type; an iterator's are not looked at beforehand."""
    kinds = _kinds(inner)

    def take(name, value):
        _check_group(name, value, kinds)
        if kinds and isinstance(value, np.ndarray) and len(value):
            taken(f"{name}[0]", value[0], kinds)  # the others are of the same dtype
        if not kinds or type(value) not in (list, tuple, set, frozenset):
            return value
        return type(value)(taken(f"{name}[{i}]", member, kinds) for i, member in enumerate(value))

    return Kind(words, fits, take)


def _mapping(kind, of_keys, of_values):
    """Return the kind of a mapping whose keys are of one type, and whose values of another."""
    of_keys, of_values = _kinds(of_keys), _kinds(of_values)

    def take(name, value):
        for key in value:
            if of_keys:
                taken(f"a key of {name}", key, of_keys)
        if not of_values:
            return value
        return {key: taken(f"{name}[{_shown(key)}]", member, of_values) for key, member in value.items()}

    return Kind("a mapping", lambda value: isinstance(value, kind), take)


def _check_group(name, value, kinds):
    """Refuse an array in a sequence's place that is not a plain one with at least one axis."""
    if isinstance(value, np.ndarray):
        if kinds or value.dtype.kind not in "SUO":  # where anything goes, as for labels, an array of texts does too
            check_numbers(name, value)
        module_of({name: value})
        if value.ndim == 0:
            raise InputError(f"{name} is an array without axes, but a sequence was expected.")


def _take_number(name, value):
    if isinstance(value, numbers.Integral):
        return _take_whole(name, value)
    try:
        value = float(value)
    except OverflowError:
        raise InputError(f"{name} is too large for a number of float64.") from None
    if math.isnan(value):
        raise InputError(f"{name} is nan, but a number was expected.")
    return value


def _take_whole(name, value):
    value = int(value)
    if not -LARGEST <= value < LARGEST:
        bound = f"at most {LARGEST - 1}" if value > 0 else f"at least {-LARGEST}"
        raise InputError(f"{name} is {_shown(value)}, but a whole number of {bound} was expected.")
    return value


def _take_array(name, value):
    check_numbers(name, value)
    return value


def _may_stand_in(value, kind):
    """Whether a value is an object of some class, which may act like one of another: no number, text, list or array.

    A class of one's own need not have what is never asked of it. One of the same package must have all that is public:
    it was made for something else, as a model of another kind is.
    """
    is_data = isinstance(value, (numbers.Number, str, bytes, collections.abc.Collection)) or is_array(value)
    if is_data or type(value).__module__ in ("builtins", "numpy", "datetime"):
        return False
    if _package(type(value)) != _package(kind):
        return True
    return all(hasattr(type(value), name) or name in getattr(value, "__dict__", ()) for name in _public_names(kind))


def _package(kind):
    return kind.__module__.partition(".")[0]


def _public_names(kind):
    """Return the names of methods, properties and fields that users of a class may read."""
    return [name for name in {*dir(kind), *getattr(kind, "__dataclass_fields__", ())} if not name.startswith("_")]


def _is_bool(value):
    return isinstance(value, (bool, np.bool_))


def _is_iterable(value):
    return isinstance(value, collections.abc.Iterable) and not isinstance(value, (str, bytes, dict, set, frozenset))


def _is_sequence(value):
    sequence = isinstance(value, (collections.abc.Sequence, np.ndarray))
    return sequence and not isinstance(value, (str, bytes))


def _is_collection(value):
    return isinstance(value, collections.abc.Collection) and not isinstance(value, (str, bytes, dict))


def _is_plain(value):
    return isinstance(value, (str, int, float, type(None)))


def _shown(value):
    """Return a value for a sentence: short, and what kind it is where that is not seen."""
    if is_array(value):
        return f"an array of shape {tuple(value.shape)}"
    if _package(type(value)) == _package(Kind):
        return f"of type {type(value).__name__}"
    text = shown(value)
    return text if isinstance(value, (str, int, float, complex, type(None))) else f"{text} ({type(value).__name__})"


ARRAY = Kind("an array", is_array, _take_array)
NONE = Kind("None", lambda value: value is None)
CALLABLE = Kind("a function", callable)
WHOLE = Kind("a whole number", lambda value: isinstance(value, numbers.Integral) and not _is_bool(value), _take_whole)
NUMBER = Kind("a number", lambda value: isinstance(value, numbers.Real) and not _is_bool(value), _take_number)
KINDS = {
    Array: ARRAY,
    np.ndarray: ARRAY,
    type(None): NONE,
    None: NONE,
    int: WHOLE,
    float: NUMBER,
    bool: Kind("True or False", _is_bool, lambda name, value: bool(value)),
    str: Kind("a text", lambda value: isinstance(value, str), lambda name, value: str(value)),
}
