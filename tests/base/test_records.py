"""Dataclasses from the tables of files: every type that the configurations use, and what is refused in which words."""

import json
import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import pytest

from tinydiff.base import (
    CheckpointError,
    InputError,
    check_count,
    from_table,
    read_table,
    to_table,
    with_prefix,
    write_json,
)


@dataclass(frozen=True)
class Inner:
    width: int = 4
    rate: float = 0.1

    def __post_init__(self):
        check_count("width", self.width)


@dataclass(frozen=True)
class Outer:
    name: str
    on: bool = False
    size: int | tuple[int, int] = 8
    levels: tuple[int, ...] = ()
    betas: tuple[float, float] = (0.9, 0.99)
    kind: Literal["eps", "v"] = "eps"
    inner: Inner = field(default_factory=Inner)
    maybe: Inner | None = None
    out: Path | None = None
    about: dict[str, Any] = field(default_factory=dict)


FULL = Outer("x", True, (8, 16), (1, 2), (0.1 + 0.2, 1 / 3), "v", Inner(2), Inner(3, 1e-300), Path("a/b"), {"k": [1]})


def refusal(table, kind=Outer):
    with pytest.raises(InputError) as caught:
        from_table(kind, table, "file.toml")
    return str(caught.value)


@pytest.mark.parametrize("record", [FULL, Outer("y"), replace(FULL, size=9, maybe=None, out=None)])
def test_written_as_json_and_read_again_a_record_is_the_same(tmp_path, record):
    """With all bits of its floats, and tuples that JSON does not know."""
    path = write_json(tmp_path / "record.json", to_table(record))
    assert from_table(Outer, read_table(path), str(path)) == record


def test_a_record_is_a_table_that_json_knows():
    table = to_table(FULL)
    assert json.loads(json.dumps(table)) == table
    assert table["size"] == [8, 16]
    assert table["out"] == "a/b"
    assert table["maybe"] == {"width": 3, "rate": 1e-300}


def test_what_a_table_does_not_name_is_that_of_the_default_at_every_depth():
    assert from_table(Outer, {"name": "z"}, "f") == Outer("z")
    assert from_table(Outer, {"inner": {"rate": 0.5}}, "f", default=FULL) == replace(FULL, inner=Inner(2, 0.5))
    assert from_table(Outer, {"maybe": {"rate": 0.5}}, "f", default=Outer("y")).maybe == Inner(4, 0.5)
    assert from_table(Outer, {"maybe": None}, "f", default=FULL).maybe is None


def test_whole_numbers_are_numbers_and_truth_values_are_not():
    assert from_table(Inner, {"rate": 1}, "f").rate == 1
    assert "width is True, but a whole number was expected" in refusal({"width": True}, Inner)
    assert "rate is False, but a number was expected" in refusal({"rate": False}, Inner)
    assert "on is 1, but true or false was expected" in refusal({"name": "x", "on": 1})


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({"nam": 1, "inner": {}, "sise": 2}, "there is no option nam or sise; there are: name, on, size, levels"),
        ({"name": "x", "inner": {"with": 1}}, "there is no option inner.with; there are in inner: width, rate."),
        ({}, "file.toml lacks the option name."),
        ({"name": 3}, "file.toml: name is 3, but a text was expected."),
        ({"name": "x", "size": [8]}, "size is [8], but a whole number or a list of 2 whole numbers was expected."),
        ({"name": "x", "size": [8, 8.5]}, "size is [8, 8.5], but a whole number or a list of 2"),
        ({"name": "x", "levels": 3}, "levels is 3, but a list of whole numbers was expected."),
        ({"name": "x", "levels": [1, "a"]}, "levels is [1, 'a'], but a list of whole numbers"),
        ({"name": "x", "betas": [0.9]}, "betas is [0.9], but a list of 2 numbers was expected."),
        ({"name": "x", "kind": "y"}, "kind is 'y', but one of 'eps', 'v' was expected."),
        ({"name": "x", "kind": {"v": 1}}, "kind is {'v': 1}, but one of"),
        ({"name": "x", "inner": 3}, "file.toml: inner is 3, but a table was expected."),
        ({"name": "x", "maybe": 3}, "maybe is 3, but a table or null was expected."),
        ({"name": "x", "out": 3}, "out is 3, but a path or null was expected."),
        ({"name": "x", "about": 3}, "about is 3, but a table was expected."),
        ({"name": "x", "inner": {"width": 0}}, "file.toml: inner.width is 0, but a whole number of at least 1"),
        ({"name": "x", "maybe": {"width": 0}}, "file.toml: maybe.width is 0, but a whole number of at least 1"),
    ],
)
def test_what_is_refused_is_named_as_the_user_wrote_it(table, sentence):
    assert sentence in refusal(table)
    assert "\n" not in refusal(table)


def test_the_error_is_of_the_kind_that_was_asked_for():
    for table in ({"rate": "x"}, {"width": 0}, {"x": 0}, 3):
        with pytest.raises(CheckpointError):
            from_table(Inner, table, "f", CheckpointError)


def test_a_sentence_gets_a_prefix_only_before_a_name():
    assert with_prefix("unet.", "heads = 3 is odd", ["heads"]) == "unet.heads = 3 is odd"
    assert with_prefix("unet.", "The heads are odd", ["heads"]) == "unet: The heads are odd"
    assert with_prefix("", "The heads are odd", ["heads"]) == "The heads are odd"


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.toml", b"= =", "cannot be read as TOML"),
        ("a.toml", b"x = '\xff'", "cannot be read as TOML"),
        ("a.json", b"{", "cannot be read as JSON"),
        ("a.json", b"[" * 100_000, "cannot be read as JSON"),
        ("a.json", b"[1, 2]", "holds [1, 2], but names with their values"),
        ("a.json", None, "cannot be read as JSON"),
    ],
)
def test_a_file_that_is_no_table_is_one_sentence(tmp_path, name, data, words):
    path = tmp_path / name
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(InputError) as caught:
        read_table(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


def test_toml_and_json_hold_the_same_records(tmp_path):
    (tmp_path / "a.toml").write_text('name = "x"\nsize = [8, 16]\n[inner]\nwidth = 2\n')
    (tmp_path / "a.json").write_text('{"name": "x", "size": [8, 16], "inner": {"width": 2}}')
    of_toml, of_json = (from_table(Outer, read_table(tmp_path / name), name) for name in ("a.toml", "a.json"))
    assert of_toml == of_json == Outer("x", size=(8, 16), inner=Inner(2))


def test_infinity_survives_json(tmp_path):
    path = write_json(tmp_path / "a.json", {"best": math.inf})
    assert read_table(path) == {"best": math.inf}
