"""The rules of the house that no run would notice: who imports whom, and how a backward is laid out."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "tinydiff"
SOURCES = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")}

# A room imports only from itself and from the rooms before it ...
ROOMS = (
    *("base", "workers", "functional", "gradcheck", "nn", "text", "diffusion", "networks", "data", "plot"),
    *("models", "train", "evaluate", "course", "apps"),
)
# ... and these not even from all of those: diffusion knows no network, pictures are drawn of arrays.
NEVER = {
    "text": {"functional", "gradcheck", "nn"},
    "diffusion": {"gradcheck", "nn", "text"},
    "networks": {"text", "diffusion"},
    "data": {"functional", "gradcheck", "nn", "text", "diffusion", "networks"},
    "plot": set(ROOMS) - {"base", "plot"},
}
MAY_IMPORT_CUPY = ("tinydiff/base/arrays.py",)
LONGEST_PASS = 40
# What would only mean something on the machine where a text was written.
OF_ONE_MACHINE = re.compile(
    r"/work/|/tmp/wk|workplace|\b(this|last|previous|earlier|later|next|another) session\b|shared/(DESIGN|reference)",
    re.IGNORECASE,
)


def imported_modules(source, path):
    """Return the dotted names of all modules that a source imports, also within functions."""
    names = set()
    package = path.removesuffix(".py").removesuffix("/__init__").split("/")
    if not path.endswith("__init__.py"):
        package = package[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*base, *filter(None, [node.module])])
            names |= {f"{base}.{alias.name}" for alias in node.names}
    return names


def room_of(name):
    """Return which room a dotted name or a path belongs to; None outside, "" for tinydiff itself."""
    parts = name.removesuffix(".py").replace("/", ".").split(".")
    if parts[0] != "tinydiff":
        return None
    return "" if len(parts) == 1 or parts[1] in ("__init__", "__main__") else parts[1]


def wrong_arrows(source, path):
    """Return the imports of a source that point up or sideways where they must not."""
    here = room_of(path)
    there = {room_of(name) for name in imported_modules(source, path)} & set(ROOMS)
    return {t for t in there - {here} if ROOMS.index(t) > ROOMS.index(here) or t in NEVER.get(here, ())}


def public_functions_of(source):
    functions = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    return {function.name: function for function in functions if not function.name.startswith("_")}


def body_of(function):
    """Return a function's statements without its docstring."""
    return function.body[1:] if ast.get_docstring(function, clean=False) is not None else function.body


def caches_of(source):
    """Return cache name -> field names, for ``XCache = namedtuple("XCache", "a b")``."""
    caches = {}
    for node in ast.parse(source).body:
        call = node.value if isinstance(node, ast.Assign) else None
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "namedtuple":
            caches[node.targets[0].id] = ast.literal_eval(call.args[1]).split()
    return caches


def names_in(node):
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


def wrong_pairs(source):
    """Return what is wrong with the pairs of a source: one sentence each."""
    wrong, caches, functions = [], caches_of(source), public_functions_of(source)
    public = list(functions)
    for name, function in functions.items():
        if name.endswith("_backward"):
            forward = name.removesuffix("_backward")
            if forward not in public or public.index(name) != public.index(forward) + 1:
                wrong.append(f"{name} does not stand right after {forward}")
            else:
                wrong += wrong_unpacking(function, functions[forward], caches)
        elif names_in(function) & set(caches) and f"{name}_backward" not in functions:
            wrong.append(f"{name} makes a cache, but there is no {name}_backward")
    return wrong


def wrong_unpacking(backward, forward, caches):
    parameter = backward.args.args[1]
    cache = getattr(parameter.annotation, "id", None)
    first = body_of(backward)[0]
    targets = first.targets[0] if isinstance(first, ast.Assign) else None
    names = [getattr(target, "id", "?") for target in getattr(targets, "elts", [])]
    if parameter.arg != "cache" or cache not in caches:
        return [f"{backward.name} does not take a cache: SomeCache of its module as second parameter"]
    if cache not in names_in(forward):
        return [f"{backward.name} unpacks {cache}, which {forward.name} does not make"]
    if not isinstance(getattr(first, "value", None), ast.Name) or first.value.id != "cache" or names != caches[cache]:
        return [f"the first statement of {backward.name} is not: {', '.join(caches[cache])} = cache"]
    return []


@pytest.mark.parametrize("path", [path for path in SOURCES if room_of(path)])
def test_imports_point_downwards(path):
    assert room_of(path) in ROOMS, f"{path} is in no room: add it to ROOMS, in its place"
    assert wrong_arrows(SOURCES[path], path) == set()


@pytest.mark.parametrize("path", SOURCES)
def test_cupy_is_imported_in_few_places(path):
    packages = {name.partition(".")[0] for name in imported_modules(SOURCES[path], path)}
    if not path.startswith(MAY_IMPORT_CUPY):
        assert packages & {"cupy", "cupyx", "cupy_backends"} == set()


@pytest.mark.parametrize("path", [path for path in SOURCES if path.startswith("tinydiff/functional/")])
def test_pairs_stand_together_and_a_backward_unpacks_its_cache_first(path):
    assert wrong_pairs(SOURCES[path]) == []


def test_pairs_are_exported_together():
    paths = [path for path in SOURCES if path.startswith("tinydiff/functional/")]
    names = {name for path in paths for name in public_functions_of(SOURCES[path])}
    exported = {name.rpartition(".")[2] for name in imported_modules(SOURCES["tinydiff/functional/__init__.py"], "")}
    backwards = {name for name in names if name.endswith("_backward")}
    assert backwards
    assert {*backwards, *(name.removesuffix("_backward") for name in backwards)} <= exported


@pytest.mark.parametrize("name", ["forward", "backward"])
def test_each_pass_of_the_unet_fits_on_a_screen(name):
    classes = {
        node.name: node for node in ast.parse(SOURCES["tinydiff/networks/unet.py"]).body if hasattr(node, "name")
    }
    (function,) = (node for node in classes["UNet"].body if getattr(node, "name", "") == name)
    body = body_of(function)
    assert body[-1].end_lineno - body[0].lineno + 1 <= LONGEST_PASS


def test_texts_mean_something_elsewhere():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("this is no git checkout, so nothing says which files belong to the project")
    found = []
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if path == Path(__file__) or not path.is_file():
            continue
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue  # not a text
        found += [f"{name}:{i}: {line.strip()}" for i, line in enumerate(lines, 1) if OF_ONE_MACHINE.search(line)]
    assert found == []


# The checks themselves can fail.


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("tinydiff/diffusion/samplers/ddim.py", "from tinydiff.networks import UNet"),
        ("tinydiff/diffusion/samplers/ddim.py", "def f():\n    import tinydiff.nn.module"),
        ("tinydiff/functional/conv.py", "from tinydiff import nn"),
        ("tinydiff/functional/conv.py", "from .. import train"),
        ("tinydiff/functional/conv.py", "from ..train.optim import AdamW"),
        ("tinydiff/base/errors.py", "from tinydiff.workers import pieces"),
        ("tinydiff/data/__init__.py", "from tinydiff import functional as F"),
    ],
)
def test_wrong_arrows_are_seen(path, source):
    assert wrong_arrows(source, path)
    assert wrong_arrows("from tinydiff.base import InputError\nimport numpy", "tinydiff/nn/module.py") == set()


GOOD_PAIR = '''
FCache = namedtuple("FCache", "x w")

def f(x, w):
    return x * w, FCache(x, w)

def _g(x):
    return x

def f_backward(dy, cache: FCache):
    """Return dx."""
    x, w = cache
    return dy * w, dy * x
'''


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("x, w = cache\n", "w, x = cache\n"),
        ("x, w = cache\n", "x, _ = cache\n"),
        ("x, w = cache\n", "dy = dy + 0\n    x, w = cache\n"),
        ("x, w = cache\n", "x, w = cache[0], cache[1]\n"),
        ("f_backward", "f_grad"),
        ("def _g", "def g"),
        ("cache: FCache", "cache"),
        ("FCache(x, w)", "(x, w)"),
        ("(dy, cache: FCache)", "(dy, memory: FCache)"),
    ],
)
def test_wrong_pairs_are_seen(right, wrong):
    assert wrong_pairs(GOOD_PAIR) == []
    assert wrong_pairs(GOOD_PAIR.replace(right, wrong))


@pytest.mark.parametrize("text", ["see /work/main", "In an earlier session", "the workplace has", "shared/DESIGN.md"])
def test_texts_of_one_machine_are_seen(text):
    assert OF_ONE_MACHINE.search(text)
    assert not OF_ONE_MACHINE.search("a working session of network/workers")
