"""Write docs/api.md, the page of the public API: every name that the rooms of tinydiff export, and what it is.

    python tools/public_api.py            writes the page
    python tools/public_api.py --check    says whether it is as it should be; exit status 1 if not

A name is public if it is in the ``__all__`` of a package. It stands on the page once, where it is at home: in the
innermost package that exports it; packages around it only list it, but for `tinydiff`, which shows its few names once
more. What a name is comes from the first line of its docstring, for a constant or a type from the comment beside it.
"""

import ast
import importlib
import inspect
import pkgutil
import re
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import tinydiff
from tinydiff.base import Choices

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "api.md"
LONGEST = 100  # letters of a signature
HEAD = """# The public API

Every public name, from the top room to the bottom one. What is not here belongs to the inside of a room, and may change
without notice. Written by `tools/public_api.py` from the code itself; a test compares. The signatures leave out types,
which the docstrings tell: `help(tinydiff.sample)`.
"""
# From what a person starts to what everything stands on, the order of docs/design.md from below.
ROOMS = (
    *("apps", "course", "evaluate", "train", "models", "plot", "data", "networks", "diffusion", "text", "nn"),
    *("gradcheck", "functional", "workers", "base"),
)


@dataclass(frozen=True)
class Name:
    """A public name, the package where it is at home, and what it stands for."""

    name: str
    home: str
    thing: Any
    kind: str
    meaning: str

    @property
    def signature(self) -> str:
        """The name with its arguments, cut where they are many."""
        if self.kind not in ("function", "class"):
            return self.name
        arguments = _arguments(inspect.signature(self.thing).parameters.values())
        while len(f"{self.name}({', '.join(arguments)})") > LONGEST:
            arguments = [*arguments[: -2 if arguments[-1] == "..." else -1], "..."]
        return f"{self.name}({', '.join(arguments)})"


def packages() -> list[str]:
    """Return the packages that export names, in the order of the page."""
    found = [m.name for m in pkgutil.walk_packages(tinydiff.__path__, "tinydiff.") if m.ispkg]
    exporting = [name for name in found if hasattr(importlib.import_module(name), "__all__")]
    return ["tinydiff", *sorted(exporting, key=lambda name: (ROOMS.index(name.split(".")[1]), name))]


def public_names() -> list[tuple[str, list[Name]]]:
    """Return (package, its names) for every package; what is unknown or unexplained raises ValueError."""
    return [(package, [_described(package, name) for name in exported(package)]) for package in packages()]


def exported(package: str) -> list[str]:
    """Return the names that a package exports."""
    return list(importlib.import_module(package).__all__)


def page() -> str:
    """Return the text of the page."""
    return HEAD + "".join(_section(package, names) for package, names in public_names())


def _section(package, names):
    here = [name for name in names if name.home == package or package == "tinydiff"]
    text = f"\n## {package}\n\n{_first_line(importlib.import_module(package))}\n"
    if here:
        rows = ((f"`{n.signature}`", n.kind, n.meaning) for n in here)
        text += "\n| name | kind | meaning |\n|---|---|---|\n"
        text += "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |\n" for row in rows)
    for home in sorted({n.home for n in names} - {n.home for n in here}):
        listed = ", ".join(f"`{n.name}`" for n in names if n.home == home)
        text += f"\nFrom `{home}`: {listed}.\n"
    return text


def _described(package, name):
    thing, (home, module) = getattr(importlib.import_module(package), name), origin(package, name)
    if _is_type(thing):
        kind = "type"
    elif inspect.isclass(thing):
        kind = "error" if issubclass(thing, Exception) else "class"
    elif isinstance(thing, Choices):
        kind = "list"
    else:
        kind = "function" if inspect.isroutine(thing) else "value"
    in_a_docstring = (inspect.isclass(thing) and thing is not Any) or inspect.isroutine(thing)
    meaning = _first_line(thing) if in_a_docstring else _comment(module, name)
    if kind == "list":
        meaning = f"{meaning or 'what there is, by name'}: {', '.join(thing)}"
    if kind == "value" and isinstance(thing, tuple) and not meaning:
        meaning = ", ".join(map(str, thing))
    if not meaning:
        raise ValueError(f"{module} says of {name} neither in a docstring nor in a comment what it is.")
    return Name(name, home, thing, kind, meaning)


def origin(package: str, name: str) -> tuple[str, str]:
    """Return (home, module): the innermost package that exports a name, and the module that defines it."""
    home, module = package, package
    while (source := _imports(module).get(name)) is not None:
        module = source
        if name in getattr(importlib.import_module(module), "__all__", ()):
            home = module
    # a room may import from the modules of a package inside it that exports the name too
    inner = module.rpartition(".")[0]
    if inner.startswith(package) and name in getattr(importlib.import_module(inner), "__all__", ()):
        home = inner
    return home, module


@cache
def _imports(module):
    """Return name -> module for what a module imports from tinydiff."""
    found = {}
    body = ast.parse(_source(module)).body
    late = [node for branch in body if isinstance(branch, ast.If) for node in branch.body]  # if TYPE_CHECKING
    for node in [*body, *late]:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tinydiff"):
            found |= {alias.asname or alias.name: node.module for alias in node.names}
    return found


@cache
def _source(module):
    return Path(str(importlib.import_module(module).__file__)).read_text(encoding="utf-8")


def _comment(module, name):
    """Return the comment in the line that defines a name, or the first sentence in the lines above it."""
    lines = _source(module).splitlines()
    (at,) = (i for i, line in enumerate(lines) if re.match(rf"{name}\b[^()]*?=|{name}: .*=", line))
    if "  # " in lines[at]:
        return lines[at].partition("  # ")[2]
    above = []
    while lines[at - 1].startswith("# "):
        at -= 1
        above.insert(0, lines[at].removeprefix("# "))
    return " ".join(above).partition(". ")[0]


def _first_line(thing):
    return " ".join((inspect.getdoc(thing) or "").partition("\n\n")[0].split())


def _is_type(thing):
    return thing is Any or hasattr(thing, "__args__") or getattr(thing, "_is_protocol", False)


def _arguments(parameters):
    """Return the arguments as one writes them, without types; those after a star are given by name only."""
    written = [_argument(p) for p in parameters]
    by_name = [i for i, p in enumerate(parameters) if p.kind is p.KEYWORD_ONLY]
    if by_name and not any(p.kind is p.VAR_POSITIONAL for p in parameters):
        written.insert(by_name[0], "*")
    return written


def _argument(parameter):
    stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
    if parameter.default is parameter.empty:
        return stars + parameter.name
    simple = isinstance(parameter.default, (int, float, str, tuple, type(None))) and "<" not in repr(parameter.default)
    return f"{parameter.name}={parameter.default!r}" if simple else f"{parameter.name}=..."


def main(arguments: list[str]) -> int:
    """Write the page, or compare it."""
    text = page()
    if arguments == ["--check"]:
        if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
            print(f"{PAGE.relative_to(ROOT)} is not what the code says: run python tools/public_api.py")
            return 1
        return 0
    PAGE.write_text(text, encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
