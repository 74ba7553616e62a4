"""The numbers of the house: how long a file and a function may be, how many arguments and how many rooms there are."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("tinydiff", "tests", "tools", "examples")
PATHS = sorted(path.relative_to(ROOT).as_posix() for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
LONGEST_FILE = 400  # lines
LONGEST_WITHOUT_DOCSTRING = 40  # lines of a function
MOST_ARGUMENTS = 8  # of a public function; a dataclass may have more fields
MOST_OF_A_SAMPLER = 11  # the seven that all have, in one order, and four of its own
MOST_ENTRIES = 20  # directly under tinydiff/
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)


def too_long(source):
    """Return how many lines a source has beyond what it may have."""
    return max(0, len(source.splitlines()) - LONGEST_FILE)


def arguments_of(function, in_class):
    """Return how many arguments a caller can give: ``*args`` and ``**options`` count as one each, self does not."""
    a = function.args
    first_is_given = in_class and not any(getattr(d, "id", "") == "staticmethod" for d in function.decorator_list)
    return len([*a.posonlyargs, *a.args, *a.kwonlyargs, *filter(None, (a.vararg, a.kwarg))]) - first_is_given


def with_too_many_arguments(source, most=MOST_ARGUMENTS):
    """Return the public functions, methods and constructors of a source that have too many arguments."""
    wrong = []
    body = ast.parse(source).body
    for holder in [None, *(node for node in body if isinstance(node, ast.ClassDef) and node.name[0] != "_")]:
        for function in body if holder is None else holder.body:
            if not isinstance(function, FUNCTION):
                continue
            is_public = function.name[0] != "_" or function.name in ("__init__", "__call__")
            if is_public and arguments_of(function, holder is not None) > most:
                wrong.append(function.name if holder is None else f"{holder.name}.{function.name}")
    return wrong


def without_docstring(source):
    """Return the functions that are long and say nothing of themselves; a class speaks for its constructor."""
    tree = ast.parse(source)
    spoken_for = {
        id(node)
        for holder in ast.walk(tree)
        if isinstance(holder, ast.ClassDef) and ast.get_docstring(holder)
        for node in holder.body
        if getattr(node, "name", "") == "__init__"
    }
    return [
        node.name
        for node in ast.walk(tree)
        if isinstance(node, FUNCTION)
        and node.end_lineno - node.lineno + 1 > LONGEST_WITHOUT_DOCSTRING
        and not ast.get_docstring(node)
        and id(node) not in spoken_for
    ]


@pytest.mark.parametrize("path", PATHS)
def test_a_file_is_read_in_one_sitting(path):
    source = (ROOT / path).read_text(encoding="utf-8")
    assert too_long(source) == 0, f"{path} has more than {LONGEST_FILE} lines: which two subjects has it?"
    assert without_docstring(source) == []
    if path.startswith("tinydiff/"):
        is_sampler = path.startswith("tinydiff/diffusion/samplers/")
        assert with_too_many_arguments(source, MOST_OF_A_SAMPLER if is_sampler else MOST_ARGUMENTS) == []


def test_the_front_door_shows_few_rooms():
    entries = [path.name for path in (ROOT / "tinydiff").iterdir() if path.name != "__pycache__"]
    assert len(entries) <= MOST_ENTRIES, sorted(entries)


# The checks themselves can fail.

EIGHT = ", ".join(f"a{i}" for i in range(8))


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        (f"def f({EIGHT}): pass", f"def f({EIGHT}, b): pass"),
        (f"def _f({EIGHT}, b): pass", f"async def f({EIGHT}, *, b): pass"),
        (f"class A:\n def f(self, {EIGHT}): pass", f"class A:\n def f(self, {EIGHT}, *b): pass"),
        (f"class A:\n def __init__(self, {EIGHT}): pass", f"class A:\n def __init__(self, {EIGHT}, **b): pass"),
        (f"class _A:\n def f(self, {EIGHT}, b): pass", f"class A:\n @staticmethod\n def f({EIGHT}, b): pass"),
        (f"@dataclass\nclass A:\n {'; '.join(f'a{i}: int' for i in range(9))}", f"@d\ndef f({EIGHT}, b=1): pass"),
    ],
)
def test_too_many_arguments_are_seen(good, bad):
    assert with_too_many_arguments(good) == []
    assert with_too_many_arguments(bad)


def test_long_files_and_silent_functions_are_seen():
    assert not too_long("x = 1\n" * LONGEST_FILE)
    assert too_long("x = 1\n" * (LONGEST_FILE + 1))
    short, long = (" x = 1\n" * (LONGEST_WITHOUT_DOCSTRING + more) for more in (-1, 0))
    assert without_docstring(f"def f():\n{short}def g():\n '''Do.'''\n{long}") == []
    assert without_docstring(f"def f():\n{long}") == ["f"]
    in_class = long.replace(" x", "  x")
    assert without_docstring(f"class A:\n '''An A.'''\n def __init__(self):\n{in_class}") == []
    assert without_docstring(f"class A:\n def __init__(self):\n{in_class} def g(self):\n{in_class}") == [
        "__init__",
        "g",
    ]
