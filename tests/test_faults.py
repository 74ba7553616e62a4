"""The lists of planted faults fit the library, and the tool tells the four outcomes apart."""

import ast
import json

import pytest

from tools import faults, notebooks

SOURCES = {source.name[:2]: source for source in sorted(notebooks.SOURCES.glob("[0-9]*.py"))}
LISTED = [(number, fault) for number in SOURCES for fault in faults.faults_of(number)]

SAMPLE = '''\
# %%
from pathlib import Path

from little import FACTOR, double

# %% [markdown]
# Prose.

# %%
def mine(x):
    """Return 2 x."""
    ### BEGIN SOLUTION
    return 2 * x
    ### INSTEAD
    return x
    ### END SOLUTION


if mine(3) != double(3) and double(3) < 0:
    print("Not yet: that is not twice the number.")

# %%
assert double(4) == mine(4), "the library should double"
Path("left behind.txt").write_text("")
double(4)
'''
LITTLE = '"""Doubles."""\n\nFACTOR = 2\n\n\ndef double(x):\n    """Return 2 x."""\n    return FACTOR * x\n'


@pytest.mark.parametrize("number", SOURCES)
def test_each_notebook_has_faults_that_differ(number):
    listed = faults.faults_of(number)
    assert len(listed) >= 8
    assert len({fault.what for fault in listed}) == len(listed)
    assert len({(fault.file, fault.old, fault.new) for fault in listed}) == len(listed)


@pytest.mark.parametrize(("number", "fault"), LISTED, ids=[f"{number}: {fault.what}" for number, fault in LISTED])
def test_a_fault_changes_one_place_and_the_file_is_still_python(number, fault):
    text = (faults.PACKAGE / fault.file).read_text(encoding="utf-8")
    changed = fault.applied(text)
    assert ast.dump(ast.parse(changed)) != ast.dump(ast.parse(text)), "it changes nothing but comments"
    compile(changed, fault.file, "exec")
    assert not fault.what.endswith(".")


@pytest.fixture
def little(tmp_path, monkeypatch):
    """A package of one function, in the library's place."""
    package = tmp_path / "little"
    package.mkdir()
    (package / "__init__.py").write_text(LITTLE, encoding="utf-8")
    monkeypatch.setattr(faults, "PACKAGE", package)
    return package


@pytest.mark.parametrize(
    ("old", "new", "outcome", "message"),
    [
        ("FACTOR = 2", "FACTOR = 3", "noticed", "the library should double"),
        ("FACTOR * x", "x + x", "missed", ""),
        ("FACTOR * x", "FACTOR * y", "stopped", "NameError: name 'y' is not defined"),
        ("return FACTOR", "assert x < 0\n    return FACTOR", "stopped", "AssertionError:"),
        ("FACTOR = 2", "FACTOR = -2", "blamed", "Not yet: that is not twice the number."),
        ("FACTOR = 2", "import os\nos._exit(3)", "stopped", "SystemExit: Python ended with status 3"),
        ("return FACTOR", "while True:\n        x = x\n    return FACTOR", "stopped", "TimeoutExpired: no end within"),
    ],
)
def test_outcomes(little, old, new, outcome, message):
    fault = faults.Fault("it is wrong", "__init__.py", old, new)
    limit = 3 if "while" in new else faults.LIMIT
    result = faults.run("00", faults.cells_of(SAMPLE), fault, limit)
    assert (result.outcome, result.what) == (outcome, "it is wrong")
    assert result.message.startswith(message)
    assert (little / "__init__.py").read_text(encoding="utf-8") == LITTLE


def test_without_a_fault_the_notebook_runs_through(little):
    assert faults.run("00", faults.cells_of(SAMPLE), None).outcome == "missed"


def test_a_copy_links_what_is_large(tmp_path):
    copy = faults.copy_of(faults.PACKAGE, tmp_path)
    assert (copy / "weights").is_symlink()
    assert (copy / "weights" / "mnist" / "model.safetensors").exists()
    assert (copy / "data" / "digits.npz").is_symlink()
    assert not (copy / "data" / "dataset.py").is_symlink()
    assert not list(copy.rglob("__pycache__"))


def test_a_text_that_is_not_there_once_is_refused(little):
    for old, count in (("FACTOR", 2), ("nowhere", 0)):
        with pytest.raises(faults.FaultError, match=f"holds '{old}' {count} times, but once was expected"):
            faults.Fault("it is wrong", "__init__.py", old, "x").applied(LITTLE)


def test_a_list_that_is_no_list_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(faults, "LISTS", tmp_path)
    with pytest.raises(faults.FaultError, match=r"no faults for notebook 00: .* is missing"):
        faults.faults_of("00")
    for text in ("[[fault]]\nwhat = 1", "[[fault]\n", "x = 1"):
        (tmp_path / "00.toml").write_text(text, encoding="utf-8")
        with pytest.raises(faults.FaultError, match="is no list of faults"):
            faults.faults_of("00")


@pytest.fixture
def course(tmp_path, monkeypatch, little):
    """A course of one notebook, about the package of one function, with two faults."""
    for folder in ("src", "faults"):
        (tmp_path / folder).mkdir()
    (tmp_path / "src" / "07_sample.py").write_text(SAMPLE, encoding="utf-8")
    lines = ['file = "__init__.py"', 'old = "FACTOR = 2"']
    two = ['[[fault]]\nwhat = "triples"', *lines, 'new = "FACTOR = 3"', '[[fault]]\nwhat = "adds"', *lines]
    (tmp_path / "faults" / "07.toml").write_text("\n".join([*two, 'new = "FACTOR = 1 + 1"']), encoding="utf-8")
    monkeypatch.setattr(notebooks, "SOURCES", tmp_path / "src")
    monkeypatch.setattr(faults, "LISTS", tmp_path / "faults")
    return tmp_path


def test_command_reports_each_fault_and_counts(course, capsys):
    out = course / "faults.jsonl"
    assert faults.main(["07", "--jobs", "2", "--out", str(out)]) == 1
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "07  noticed triples in cell 3. the library should double"
    assert printed[1] == "07  missed  adds."
    assert printed[-1].split() == ["all", "1", "0", "0", "1", "2"]
    assert [json.loads(line)["outcome"] for line in out.read_text().splitlines()] == ["noticed", "missed"]


def test_command_refuses_a_notebook_that_fails_without_a_fault(course, capsys):
    source = course / "src" / "07_sample.py"
    source.write_text(SAMPLE.replace("== mine(4)", "!= mine(4)"), encoding="utf-8")
    assert faults.main([]) == 1
    assert "Notebook 07 fails without a fault, in cell 3: the library should double" in capsys.readouterr().err


def test_command_refuses_an_unknown_number(course, capsys):
    with pytest.raises(SystemExit):
        faults.main(["08"])
    assert "there are no faults for 08; there are some for 07" in capsys.readouterr().err
