"""Every public function, given every kind of bad argument: one clear sentence, or the right result, nothing else."""

import dataclasses
import importlib
import inspect
import math
import warnings
from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import pytest
from matplotlib.figure import Figure
from spoiled import spoil

from tinydiff.base import TinydiffError
from tinydiff.nn import Module
from tools import public_api

# Rooms whose every public function has an honest call in `tests/honest_calls`.
ROOMS = (
    *("base", "workers", "functional", "gradcheck", "nn", "text", "diffusion", "networks", "data", "plot", "models"),
    *("train", "evaluate", "course"),
)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """Let no file be left behind where a function takes a bad argument for the name of one."""
    monkeypatch.chdir(tmp_path)


def calls_of(room):
    return importlib.import_module(f"honest_calls.{room}").CALLS


ALL = [(room, name) for room in ROOMS for name in calls_of(room)]
OF_MODELS = ("models", "evaluate", "plot")  # where most calls draw something, which takes minutes together


def outcome(f, arguments):
    """Return (result, warnings), or the error and what it says."""
    with warnings.catch_warnings(record=True) as said, np.errstate(all="ignore"):
        warnings.simplefilter("always")
        try:
            result = f(**arguments)
            return "result", (list(result) if isinstance(result, Iterator) else result), said
        except Exception as error:
            return "error", error, said


def equal(a, b):
    """Whether two results are the same: types and dtypes to the letter, floats within rounding."""
    if isinstance(a, (np.ndarray, np.generic)):
        if type(a) is not type(b) or a.dtype != b.dtype or a.shape != b.shape:
            return False
        exact = a.dtype.kind not in "fc"
        return np.array_equal(a, b) if exact else np.allclose(a, b, rtol=1e-5, atol=1e-6, equal_nan=True)
    if dataclasses.is_dataclass(a) and not isinstance(a, type):
        return type(a) is type(b) and equal(vars(a), vars(b))
    if isinstance(a, dict):
        return isinstance(b, dict) and list(a) == list(b) and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, (tuple, list)):
        return type(a) is type(b) and len(a) == len(b) and all(map(equal, a, b))
    if isinstance(a, Module):
        return type(a) is type(b) and equal(state_of(a), state_of(b))
    if isinstance(a, Figure):
        return type(a) is type(b) and equal(drawn(a), drawn(b))
    if hasattr(a, "tobytes"):  # a picture of Pillow
        return type(a) is type(b) and a.tobytes() == b.tobytes()
    if isinstance(a, (bool, int, float, str, bytes, type(None))):
        close = isinstance(a, float) and math.isclose(a, b, rel_tol=1e-5)
        return type(a) is type(b) and (a == b or a != a or close)
    return type(a) is type(b)


def state_of(module):
    """Return what a module computes with: its weights, and the numbers and texts of every layer."""
    plain = (bool, int, float, str, tuple, type(None))
    options = {
        f"{path}.{name}": value
        for path, layer in module.named_modules()
        for name, value in vars(layer).items()
        if isinstance(value, plain) and name != "path"
    }
    return {name: p.value for name, p in module.named_parameters().items()} | options


def drawn(figure):
    """Return the numbers of a figure: its lines, its images, and where its areas and points are."""
    axes = figure.axes
    lines = [np.asarray(line.get_xydata(), float) for a in axes for line in a.lines]
    images = [np.asarray(image.get_array(), float) for a in axes for image in a.images]
    areas = [np.asarray(path.vertices, float) for a in axes for c in a.collections for path in c.get_paths()]
    texts = [text.get_text() for a in axes for text in a.texts]
    return [*lines, *images, *areas, *texts]


def may_be_none(parameter):
    return "None" in str(parameter.annotation).replace("|", " ").split()


def faults(room, name):
    """Return how many inputs were tried, and a line for each that ended in neither a refusal nor the right result."""
    f, honest = calls_of(room)[name]()
    kind, right, said = outcome(f, honest)
    assert (kind, said) == ("result", []), f"the honest call of {name} fails: {right} {said}"
    optional = {p.name for p in inspect.signature(f).parameters.values() if p.default is None or may_be_none(p)}
    found, tried = [], 0
    _, honest = calls_of(room)[name]()  # anew: the call above may have changed what it was given
    for argument, value in honest.items():
        if argument == "dtype":
            continue
        alike, wrong, odd = spoil(value)
        tries = [*alike.items(), *wrong.items(), *odd.items()]
        every = getattr(spelled(room), "SLOW", {}).get(name, 1)
        if every > 1:  # what is refused is refused at once; of the others, which are computed, one in so many
            tries = [*wrong.items(), *[*alike.items(), *odd.items()][len(argument) % every :: every]]
        for label, bad in tries:
            f, fresh = calls_of(room)[name]()
            tried += 1
            kind, result, said = outcome(f, {**fresh, argument: bad})
            where = f"{name}({argument} = {label})"
            if kind == "error":
                if not isinstance(result, TinydiffError):
                    found.append(f"raw: {where}: {type(result).__name__}: {result!s:.100}")
            elif label in wrong and not (bad is None and argument in optional):
                found.append(f"silent: {where} is computed without a word")
            elif label in alike and (not equal(right, result) or said):
                found.append(f"silent: {where} gives another result, or a warning")
    return tried, found


@pytest.mark.parametrize(
    ("room", "name"), [pytest.param(*one, marks=pytest.mark.slow if one[0] in OF_MODELS else ()) for one in ALL]
)
def test_a_bad_argument_is_refused_in_a_sentence_or_computed_rightly(room, name):
    _, found = faults(room, name)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("room", ROOMS)
def test_every_public_function_has_an_honest_call(room):
    """A new public function must be added to its room in `tests/honest_calls`."""
    records = getattr(spelled(room), "RECORDS", ())
    wanted = set()
    for name, thing in exported(room).items():
        if inspect.isclass(thing) and name in records:
            continue
        wanted.add(name)
        if inspect.isclass(thing):
            methods = [m for m, g in vars(thing).items() if inspect.isfunction(g) and not m.startswith("_")]
            wanted |= {f"{name}.{method}" for method in methods}
    assert wanted - set(calls_of(room)) - set(getattr(spelled(room), "WITHOUT", ())) == set()


def exported(room):
    """Return name -> function or class, of all packages of a room.

    Where two packages have a name for two things, the package stands before it: avatars.render, scenes.render.
    """
    things = defaultdict(dict)
    for package, names in public_api.public_names():
        for name in names:
            if package.split(".")[1:2] == [room] and name.kind in ("function", "class"):
                things[name.name][name.home] = name.thing
    return {
        name if len(homes) == 1 else f"{home.rpartition('.')[2]}.{name}": thing
        for name, homes in things.items()
        for home, thing in homes.items()
    }


def spelled(room):
    return importlib.import_module(f"honest_calls.{room}")


if __name__ == "__main__":  # the figures of all rooms: python tests/test_public_inputs.py
    totals = [0, 0, 0, 0]
    for room, name in ALL:
        try:
            tried, found = faults(room, name)
        except AssertionError as error:
            tried, found = 0, [f"raw: {error}"]
        print(*found, sep="\n", end="\n" if found else "")
        counts = (1, tried, sum(line.startswith("raw") for line in found), sum(line.startswith("si") for line in found))
        totals = [a + b for a, b in zip(totals, counts, strict=True)]
    print("functions {}, inputs {}, raw errors {}, silent {}".format(*totals))
