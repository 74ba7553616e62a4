"""Records: dataclasses read from, and written as, the tables of JSON and TOML files.

A file's values are checked against the types of the dataclass's fields, and then by its own ``__post_init__``. What is
refused is named as the user wrote it, with the file: ``run.toml: unet.image_size is 0, but ...``.
"""

import dataclasses
import json
import math
import re
import tomllib
import types
import typing
from pathlib import Path
from typing import Any, Literal, TypeVar

from tinydiff.base.errors import DataError, InputError, TinydiffError
from tinydiff.base.files import atomic_write
from tinydiff.base.reading import read_at_most
from tinydiff.base.words import shown

Record = TypeVar("Record")
IN_WORDS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false", Path: "a path"}
IN_WORDS |= {type(None): "null", dict: "a table"}
ACCEPTED = {float: (int, float), Path: (str,)}  # field type -> the Python types of a file's values that fit it
LARGEST_TABLE = 4 * 2**20  # bytes of a file; a model's config.json has some 2,000
LARGEST_WHOLE, LARGEST_NUMBER = 2**63 - 1, 1e300  # what arrays can hold, and what can still be calculated with


def read_table(path: str | Path, error: type[TinydiffError] = InputError) -> dict[str, Any]:
    """Return the names and values that a TOML or JSON file holds (by its suffix).

    Raises
    ------
    error
        If the file cannot be read, is larger than 4 MiB, or holds something else.
    """
    path = Path(path)
    language, loads = ("TOML", tomllib.loads) if path.suffix == ".toml" else ("JSON", json.loads)
    try:
        table = loads(read_at_most(path, LARGEST_TABLE).decode("utf-8"))
    except RecursionError as refusal:
        raise error(f"{path} cannot be read as {language} (its tables or lists are nested too deeply).") from refusal
    except (OSError, ValueError) as refusal:
        raise error(f"{path} cannot be read as {language} ({refusal}).") from refusal
    if not isinstance(table, dict):
        raise error(f"{path} holds {shown(table)}, but names with their values (a table) were expected.")
    return table


def from_table(
    kind: type[Record],
    table: Any,
    source: str,
    error: type[TinydiffError] = InputError,
    default: Record | None = None,
    inside: str = "",
) -> Record:
    """Return a dataclass with the values of a table; tables in it are dataclasses too.

    Parameters
    ----------
    kind : type
        The dataclass.
    table : dict
    source : str
        The file, for errors.
    error : TinydiffError subclass
        What is raised.
    default : dataclass or None
        Its values are used, at every depth, for what the table does not name; None: the dataclass's own defaults.
    inside : str
        Dotted name of this table in its file, such as ``unet``; empty for the whole file.

    Raises
    ------
    error
        If there is no such option, or if a value is of another type or out of the dataclass's bounds.
    """
    where = f"{inside}." if inside else ""
    if not isinstance(table, dict):
        raise error(f"{source}: {inside} is {shown(table)}, but a table was expected.")
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind) if field.init}  # type: ignore[arg-type]
    if unknown := [where + str(name) for name in table if name not in fields]:
        of_which = f" in {inside}" if inside else ""
        more = f" or {len(unknown) - 3:,} others" if len(unknown) > 3 else ""
        names = f"{' or '.join(name[:80] for name in unknown[:3])}{more}"
        raise error(f"{source}: there is no option {names}; there are{of_which}: {', '.join(fields)}.")
    values = {} if default is None else {name: getattr(default, name) for name in fields}
    for name, value in table.items():
        values[name] = _value(value, hints[name], values.get(name), source, error, where + name)
    for name, field in fields.items():
        if name not in values and field.default is field.default_factory is dataclasses.MISSING:
            raise error(f"{source} lacks the option {where}{name}.")
    try:
        return kind(**values)
    except ValueError as refusal:  # InputError is one
        raise error(f"{source}: {with_prefix(where, str(refusal), fields)}") from refusal


def with_prefix(prefix: str, sentence: str, names: typing.Container[str]) -> str:
    """Return a sentence such as "image_size is 0, ..." with a prefix such as ``unet.`` before the name it begins with.

    A sentence that begins with none of the names keeps its words, after the prefix and a colon.
    """
    first = re.match(r"\w*", sentence)
    if not prefix or (first and first[0] in names):
        return prefix + sentence
    return f"{prefix.removesuffix('.')}: {sentence}"


def to_table(record: Any) -> dict[str, Any]:
    """Return a dataclass as a table for JSON, in which dataclasses are tables, tuples lists, and paths texts."""
    return {field.name: _for_json(getattr(record, field.name)) for field in dataclasses.fields(record)}


def write_json(path: str | Path, table: dict[str, Any], error: type[TinydiffError] = DataError) -> Path:
    """Write a table as JSON, atomically; every float is written so that it is read again with all its bits."""
    text = json.dumps(_for_json(table), indent=2) + "\n"
    return atomic_write(path, lambda file: file.write(text.encode()), error=error)


def _value(value, kind, default, source, error, name):
    """Return a file's value, converted to this type."""
    choices = typing.get_args(kind) if _is_union(kind) else (kind,)
    records = [choice for choice in choices if isinstance(choice, type) and dataclasses.is_dataclass(choice)]
    if records and isinstance(value, dict):
        (record,) = records  # no field is a union of two dataclasses
        return from_table(record, value, source, error, default if isinstance(default, record) else None, name)
    if _fits(value, kind):
        return _converted(value, kind)
    expected = " or ".join(_in_words(choice) for choice in choices)
    if largest := _too_large(value, choices):
        expected += f", not above {largest:,},"
    raise error(f"{source}: {name} is {shown(value)}, but {expected} was expected.")


def _too_large(value, choices):
    """Return the largest whole number that a field takes, where only its size is wrong; else None."""
    is_large = type(value) is int and abs(value) > LARGEST_WHOLE
    return LARGEST_WHOLE if is_large and int in choices else None


def _is_union(kind):
    return typing.get_origin(kind) in (typing.Union, types.UnionType)


def _fits(value, kind):
    """Whether a value of JSON or TOML fits a field of this type, which is not a dataclass."""
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return True
    if origin is Literal:
        return any(value == part and type(value) is type(part) for part in parts)
    if origin is tuple:
        parts = parts[:1] * len(value) if parts[-1] is ... and isinstance(value, list) else parts
        return isinstance(value, list) and len(value) == len(parts) and all(map(_fits, value, parts))
    if _is_union(kind):
        return any(_fits(value, part) for part in parts)
    kind = origin or kind
    return type(value) in ACCEPTED.get(kind, (kind,)) and _within(value, kind)


def _within(value, kind):
    """Whether a number is finite, and not too large for arrays: JSON and TOML know NaN, infinity, and any digits."""
    if kind is int:
        return abs(value) <= LARGEST_WHOLE
    return kind is not float or (math.isfinite(value) if type(value) is float else abs(value) <= LARGEST_NUMBER)


def _converted(value, kind):
    """Convert a value that fits to what the field holds: a list to a tuple, a text to a path."""
    if _is_union(kind):
        kind = next(choice for choice in typing.get_args(kind) if _fits(value, choice))
    if kind is Path:
        return Path(value)
    if typing.get_origin(kind) is tuple:
        parts = typing.get_args(kind)
        parts = parts[:1] * len(value) if parts[-1] is ... else parts
        return tuple(map(_converted, value, parts))
    return value


def _in_words(kind):
    """Return the name of a type for an error sentence, with its article."""
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        return "a table"
    if origin is Literal:
        return f"one of {', '.join(map(repr, parts))}"
    if origin is tuple:
        of_what = {int: "whole numbers", float: "numbers", str: "texts"}.get(parts[0], "values")
        return f"a list of {of_what}" if parts[-1] is ... else f"a list of {len(parts)} {of_what}"
    return IN_WORDS.get(origin or kind, str(kind))


def _for_json(value):
    """Return a value as JSON can hold it."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return to_table(value)
    if isinstance(value, dict):
        return {name: _for_json(v) for name, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_for_json(v) for v in value]
    return str(value) if isinstance(value, Path) else value
