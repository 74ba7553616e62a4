"""The public API: one page lists it, every name in it means one thing, and asking for it is quick."""

import importlib
import pkgutil
import subprocess
import sys
from collections import defaultdict

import pytest

import tinydiff
from tools import public_api

PACKAGES = public_api.packages()
# Folders of modules that are imported one by one.
WITHOUT_NAMES = {
    "tinydiff.apps",
    "tinydiff.course.exercises",
    "tinydiff.course.problem_sets",
    "tinydiff.data.scenes.objects",
    "tinydiff.data.scenes.places",
    "tinydiff.functional.fast",
}
# Two kinds of captioned pictures, each a package of its own, are made by the same three verbs.
OF_AVATARS_AND_OF_SCENES = ("compose", "describe", "render")
# What takes long to import, and is only needed by some functions.
LATE = {"scipy", "matplotlib", "PIL", "tqdm", "gradio", "ipywidgets", "pooch", "tyro"}


def meanings(packages):
    """Return name -> the different things that it stands for, by their packages."""
    found = defaultdict(dict)
    for package in packages:
        for name in public_api.exported(package):
            found[name].setdefault(id(getattr(importlib.import_module(package), name)), []).append(package)
    return {name: list(places.values()) for name, places in found.items()}


def test_the_page_is_what_the_code_says():
    assert public_api.main(["--check"]) == 0


def test_a_page_that_is_not_what_the_code_says_is_refused(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(public_api, "ROOT", tmp_path)
    monkeypatch.setattr(public_api, "PAGE", tmp_path / "api.md")
    assert public_api.main(["--check"]) == 1
    assert public_api.main([]) == 0
    assert public_api.main(["--check"]) == 0
    page = (tmp_path / "api.md").read_text(encoding="utf-8")
    (tmp_path / "api.md").write_text(page.replace("`conv2d(x, w, b=None", "`conv2d(x, w, b"), encoding="utf-8")
    assert public_api.main(["--check"]) == 1
    assert capsys.readouterr().out.endswith("api.md is not what the code says: run python tools/public_api.py\n" * 2)


def test_every_folder_says_what_is_public():
    folders = {m.name for m in pkgutil.walk_packages(tinydiff.__path__, "tinydiff.") if m.ispkg}
    assert folders - set(PACKAGES) == WITHOUT_NAMES


@pytest.mark.parametrize("package", PACKAGES)
def test_public_names_exist_once(package):
    names = public_api.exported(package)
    assert len(names) == len(set(names))
    assert [name for name in names if not hasattr(importlib.import_module(package), name)] == []
    assert [name for name in names if name.startswith("_")] == []


def test_a_name_means_the_same_thing_in_every_package():
    two = {name: places for name, places in meanings(PACKAGES).items() if len(places) > 1}
    assert two == {name: [["tinydiff.data.avatars"], ["tinydiff.data.scenes"]] for name in OF_AVATARS_AND_OF_SCENES}


def test_names_of_the_inside_are_not_on_the_page():
    names = {name for package in PACKAGES for name in public_api.exported(package)}
    assert {"check_choice", "conv2d", "load"} <= names
    assert not names & {"choose_algorithm", "winograd_conv", "guided_predictor"}


@pytest.mark.parametrize(
    ("package", "name", "home", "module"),
    [
        ("tinydiff", "load", "tinydiff.models", "tinydiff.models.store"),
        ("tinydiff.diffusion", "ddim", "tinydiff.diffusion.samplers", "tinydiff.diffusion.samplers.ddim"),
        ("tinydiff.functional", "conv2d", "tinydiff.functional", "tinydiff.functional.conv"),
        ("tinydiff.plot", "bells", "tinydiff.plot.course", "tinydiff.plot.course.densities"),
    ],
)
def test_a_name_is_at_home_in_the_innermost_package(package, name, home, module):
    assert public_api.origin(package, name) == (home, module)


def test_the_first_import_is_a_small_one():
    code = "import sys, tinydiff; tinydiff.load; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "tinydiff.models" in done.stdout.split()
    assert set(done.stdout.split()) & LATE == set()
