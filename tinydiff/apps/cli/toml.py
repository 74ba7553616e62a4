"""Options from a TOML file."""

import dataclasses
import inspect
import tomllib
import typing
from pathlib import Path
from typing import Any, Literal

from tinydiff.base import InputError


def read_toml(kind: type, path: Path) -> Any:
    """Return a dataclass of this kind with the fields that a TOML file gives; tables are nested dataclasses."""
    return _from_table(kind(), _table_of(path), str(path))


def read_value(path: Path, name: str) -> Any:
    """Return one entry of a TOML file, or None where it has none of this name."""
    return _table_of(path).get(name)


def _table_of(path):
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"--config {path} cannot be read as TOML ({error}).") from error


def _from_table(default, table, where):
    """Return `default`, a dataclass, with what the table gives in its place."""
    types = typing.get_type_hints(type(default))
    values = {}
    for name, value in table.items():
        if name not in types:
            raise InputError(f"{where} has an option {name!r}; there are: {', '.join(types)}.")
        nested = dataclasses.is_dataclass(types[name])
        if nested != isinstance(value, dict):
            raise InputError(f"{where}: {name} is {value!r}, but {'a table' if nested else 'a value'} was expected.")
        if nested:
            value = _from_table(getattr(default, name), value, f"{where}, [{name}]")
        elif not _fits(value, types[name]):
            expected = inspect.formatannotation(types[name])
            raise InputError(f"{where}: {name} is {value!r}, but {expected} was expected.")
        elif types[name] is Path:
            value = Path(value)
        values[name] = value
    return dataclasses.replace(default, **values)


def _fits(value, kind):
    """Whether a value that TOML knows fits a field of this type."""
    parts = typing.get_args(kind)
    if typing.get_origin(kind) is Literal:
        return value in parts
    if typing.get_origin(kind) is tuple:
        parts = parts[:1] * len(value) if parts[-1] is ... and isinstance(value, list) else parts
        return isinstance(value, list) and len(value) == len(parts) and all(map(_fits, value, parts))
    if parts:  # a union
        return any(_fits(value, part) for part in parts)
    return type(value) in {float: (int, float), Path: (str,)}.get(kind, (kind,))
