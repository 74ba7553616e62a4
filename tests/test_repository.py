"""The files around the code agree with each other and with the code."""

import doctest
import importlib
import pkgutil
import re
import tomllib
from pathlib import Path

import pytest

import tinydiff

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def text_of(name):
    return (ROOT / name).read_text(encoding="utf-8")


def canonical(requirement):
    return re.match(r"[A-Za-z0-9._-]+", requirement).group().lower().replace("_", "-")


def test_version_is_the_same_everywhere():
    version = PYPROJECT["project"]["version"]
    assert tinydiff.__version__ == version
    assert re.search(r"^version: (\S+)$", text_of("CITATION.cff"), re.MULTILINE).group(1) == version
    assert f"## [{version}]" in text_of("CHANGELOG.md")


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", ".ci/run"])
def test_every_make_command_that_is_named_exists(name):
    targets = set(re.findall(r"^([a-z-]+):", text_of("Makefile"), re.MULTILINE))
    named = set(re.findall(r"(?:`|^|exec )make ([a-z-]+)", text_of(name), re.MULTILINE))
    assert named
    assert named <= targets


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_to_files_of_the_repository_exist(name):
    links = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", text_of(name))
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_requirements_pin_every_dependency():
    lines = [line for line in text_of("requirements.txt").splitlines() if line and not line.startswith("#")]
    assert all("==" in line for line in lines)
    extras = PYPROJECT["project"]["optional-dependencies"]
    wanted = PYPROJECT["project"]["dependencies"] + extras["test"] + extras["notebooks"]
    assert {canonical(r) for r in wanted} <= {canonical(line) for line in lines}


def test_commit_hooks_run_the_pinned_versions():
    pins = set(re.findall(r'"([a-z]+==[0-9.]+)"', text_of(".pre-commit-config.yaml")))
    dev = PYPROJECT["project"]["optional-dependencies"]["dev"]
    assert pins
    assert pins <= {*dev, *text_of("requirements.txt").splitlines()}


@pytest.mark.parametrize(
    "name", [m.name for m in pkgutil.walk_packages(tinydiff.__path__, "tinydiff.") if "__main__" not in m.name]
)
def test_examples_in_docstrings_give_what_they_show(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0
