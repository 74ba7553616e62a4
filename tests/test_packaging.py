"""What is installed: what the distributions hold, what they stand beside, and the workflow that checks it."""

import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from tinydiff.models.store import OF_SCENES
from tinydiff.models.weights import read_arrays, save_weights
from tools import dist_size

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WORKFLOW = ROOT / ".github" / "workflows" / "ci.yml"
SCENES = ROOT / "packages" / "scenes"
MOST_MEGABYTES = 86  # of a wheel; it is nearly all weights, and an index takes 100


class Strided:
    """A module whose weights are in every order that NumPy has."""

    def __init__(self):
        base = np.arange(24, dtype=np.float32).reshape(4, 6)
        arrays = {"c": base, "fortran": np.asfortranarray(base), "transposed": base.T, "columns": base[:, 1:3]}
        arrays |= {"steps": base[::2, ::-1], "kernel": base.reshape(2, 2, 2, 3).transpose(3, 1, 0, 2)}
        self.values = arrays

    def named_parameters(self):
        return {name: type("Parameter", (), {"value": value}) for name, value in self.values.items()}


def test_weights_in_any_order_are_written_right_by_the_safetensors_installed(tmp_path):
    """Version 0.8.0 writes wrong bytes for arrays that are not in C order, without a word."""
    module = Strided()
    save_weights(tmp_path / "weights.safetensors", module)
    found, _ = read_arrays(tmp_path / "weights.safetensors")
    assert found.keys() == module.values.keys()
    for name, value in module.values.items():
        np.testing.assert_array_equal(found[name], value)


def test_weights_are_given_to_safetensors_in_c_order(tmp_path, monkeypatch):
    """Whatever version is installed."""
    given = {}
    monkeypatch.setattr(safetensors.numpy, "save", lambda arrays, **_: given.update(arrays) or b"")
    save_weights(tmp_path / "weights.safetensors", Strided())
    assert given
    assert [name for name, array in given.items() if not array.flags.c_contiguous] == []


def test_no_bound_keeps_tinydiff_from_its_neighbours():
    bounds = dict(re.fullmatch(r"([a-z]+)(.*)", requirement).groups() for requirement in PROJECT["dependencies"])
    assert bounds["safetensors"] == ">=0.4.3"  # transformers asks for more than 0.8
    assert bounds["tyro"] == ">=1.0.14"  # older ones fail: make test-oldest
    assert all(bound.startswith(">=") and "!=" not in bound for bound in bounds.values())


def test_operating_systems_are_those_where_the_tests_run():
    assert [c for c in PROJECT["classifiers"] if c.startswith("Operating System")] == [
        "Operating System :: POSIX :: Linux"
    ]
    assert (ROOT / "tinydiff" / "py.typed").exists()


def test_workflow_is_whole():
    yaml = pytest.importorskip("yaml")
    workflow = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow[True].keys() == {"push", "pull_request"}  # YAML reads "on" as true
    for name, job in workflow["jobs"].items():
        assert job.keys() <= {"name", "runs-on", "timeout-minutes", "strategy", "env", "steps"}, name
        assert 0 < job["timeout-minutes"] <= 60
        matrix = dict(job.get("strategy", {}).get("matrix", {}))
        rows = [*matrix.pop("include", []), dict.fromkeys(matrix)]
        used = set(re.findall(r"\$\{\{ (.*?) \}\}", str(job)))
        assert used == {f"matrix.{key}" for row in rows for key in row}, name
        for step in job["steps"]:
            assert len({"uses", "run"} & step.keys()) == 1
            assert step.keys() <= {"uses", "run", "with"}
            assert re.fullmatch(r"actions/[a-z-]+@v\d+", step.get("uses", "actions/any@v1"))
        for row in rows:
            for command in re.findall(r"make ([a-z-]+(?:\$\{\{ matrix.versions \}\})?)", str(job["steps"])):
                target = command.replace("${{ matrix.versions }}", str(row.get("versions", "oldest")))
                assert target in targets


def build(project, folder, *options):
    pytest.importorskip("hatchling", reason="this test builds the package: pip install hatchling")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-d", folder, *options], cwd=project, check=True)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    build(ROOT, folder)
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return wheel, sdist


@pytest.fixture(scope="module")
def built_scenes(tmp_path_factory):
    if not (SCENES / "pyproject.toml").exists() or not all(map(is_whole, OF_SCENES)):
        pytest.skip("the weights of this package are in a clone of the repository only")
    folder = tmp_path_factory.mktemp("dist")
    build(SCENES, folder, "-t", "wheel")
    (wheel,) = folder.glob("*.whl")
    return wheel


def is_whole(name):
    return (ROOT / "tinydiff" / "weights" / name / "config.json").exists()


@pytest.mark.slow
def test_wheel_holds_the_package_and_its_models_and_nothing_else(built):
    wheel, _ = built
    names = dist_size.sizes(wheel).keys()
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"tinydiff"}
    assert "tinydiff/py.typed" in names
    source = {str(path.relative_to(ROOT)) for path in (ROOT / "tinydiff").rglob("*") if path.is_file()}
    elsewhere = tuple(f"tinydiff/weights/{name}/" for name in OF_SCENES)
    assert {name for name in source if "__pycache__" not in name and not name.startswith(elsewhere)} <= names
    assert wheel.stat().st_size < MOST_MEGABYTES * 1e6
    assert "tinydiff/weights" in dist_size.report(wheel)
    with zipfile.ZipFile(wheel) as file:
        about = file.read(next(name for name in names if name.endswith("METADATA"))).decode()
    assert "Requires-Dist: tyro>=1.0.14" in about
    assert "Description-Content-Type: text/markdown" in about


@pytest.mark.slow
def test_models_in_a_package_of_their_own_are_found_once_it_is_installed(built, built_scenes, tmp_path):
    """Installed alone, tinydiff says where they are; beside it, they load; and no file is in both."""
    wheel, _ = built
    of_both = dist_size.sizes(wheel).keys() & dist_size.sizes(built_scenes).keys()
    assert of_both == set()
    assert built_scenes.stat().st_size < MOST_MEGABYTES * 1e6
    load = "import sys, tinydiff\nfor name in sys.argv[1:]: print(type(tinydiff.load(name)).__name__)"
    environment = {"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin"}

    def loaded():
        command = [sys.executable, "-c", load, *OF_SCENES]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    zipfile.ZipFile(wheel).extractall(tmp_path)
    alone = loaded()
    assert alone.returncode == 1
    assert "it is in the package tinydiff-scenes" in alone.stderr
    zipfile.ZipFile(built_scenes).extractall(tmp_path)
    assert loaded().stdout.split() == ["Cascade", "LatentDiffusion", "UnClip"]


def test_the_package_of_scenes_holds_what_the_main_one_leaves_out():
    if not (SCENES / "pyproject.toml").exists():
        pytest.skip("this package is in a clone of the repository only")
    about = tomllib.loads((SCENES / "pyproject.toml").read_text(encoding="utf-8"))
    assert about["project"]["version"] == PROJECT["version"]
    included = about["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"].values()
    assert sorted(included) == [f"tinydiff/weights/{name}" for name in OF_SCENES]
    main = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"]
    assert main["wheel"]["exclude"] == [f"/tinydiff/weights/{name}" for name in OF_SCENES]


@pytest.mark.slow
def test_source_distribution_passes_its_own_tests(built, tmp_path):
    _, sdist = built
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (folder,) = tmp_path.iterdir()
    tests = ["tests/test_repository.py", "tests/test_packaging.py", "tests/base", "tests/functional/test_linear.py"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
    environment = {"PYTHONPATH": str(folder), "MPLBACKEND": "Agg", "PATH": "/usr/bin:/bin"}
    run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout[-3000:]
