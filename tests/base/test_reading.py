"""Files and gzip streams are read up to a limit, whatever they say of their size."""

import gzip
import json
import os
import zlib

import pytest

from tinydiff.base import InputError, gunzip, read_at_most, read_table
from tinydiff.base.records import LARGEST_TABLE


def test_a_bomb_is_refused_without_being_unpacked(monkeypatch):
    bomb = gzip.compress(bytes(10**8))
    largest = 0
    make = zlib.decompressobj

    class Watched:
        def __init__(self, *how):
            self.inner = make(*how)

        def decompress(self, data, most):
            nonlocal largest
            part = self.inner.decompress(data, most)
            largest += len(part)
            return part

        def __getattr__(self, name):
            return getattr(self.inner, name)

    monkeypatch.setattr(zlib, "decompressobj", Watched)
    with pytest.raises(ValueError, match="more than 1,000 bytes"):
        gunzip(bomb, 1000)
    assert largest < 10**6


def test_what_gzip_packed_is_unpacked_and_what_is_damaged_refused():
    text = os.urandom(1000) * 300
    packed = gzip.compress(text)
    assert gunzip(packed, len(text)) == text
    assert gunzip(packed + gzip.compress(b"more"), len(text) + 4) == text + b"more"
    wrong_sum = packed[:-6] + bytes([packed[-6] ^ 1]) + packed[-5:]
    for wrong in (packed[:-9], packed[:500], wrong_sum, b"\x1f\x8b", b"text", packed + b"text"):
        with pytest.raises(ValueError, match="not a whole gzip file"):
            gunzip(wrong, len(text))
    with pytest.raises(ValueError, match="more than 1,000 members"):
        gunzip(gzip.compress(b"") * 1001, 10)


def test_a_file_that_is_too_large_endless_or_none_is_refused(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    assert read_at_most(path, 5) == b"12345"
    with pytest.raises(ValueError, match="more than 4 bytes"):
        read_at_most(path, 4)
    os.mkfifo(tmp_path / "pipe")
    for wrong in ("/dev/zero", tmp_path / "pipe", tmp_path):
        with pytest.raises(OSError, match="not a file"):
            read_at_most(wrong, 10)


@pytest.mark.parametrize(("name", "text"), [
    ("a.json", "[" * 200_000),
    ("a.json", '{"a":' * 200_000),
    ("a.json", '{"a": ' + "9" * 5000 + "}"),
    ("a.toml", "a = " + "[" * 100_000),
    ("a.json", json.dumps({"a": "x" * LARGEST_TABLE})),
    ("a.json", "[" * 900 + "]" * 900),
])  # fmt: skip
def test_tables_that_are_bombs_are_one_sentence(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=name) as caught:
        read_table(tmp_path / name)
    assert len(str(caught.value)) < 600
