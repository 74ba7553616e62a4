"""Keep the line numbers of docs/reading.md right: every step of a reading path is a file, or a function in one.

    python tools/reading_path.py            writes the numbers into the page
    python tools/reading_path.py --check    says which are not as they should be; exit status 1 if any

A step is written as a link, ``[networks/unet.py: UNet.forward](../tinydiff/networks/unet.py)``, and a number,
``, 42 lines``; the tool puts in which lines those are. ``Altogether 300 lines`` is the sum of a section's steps.
"""

import ast
import re
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reading.md"
STEP = re.compile(r"\[(?P<shown>[\w/.]+)(?:: (?P<name>[\w.]+))?\]\(\.\./(?P<path>[\w/.]+\.py)[^)]*\), (?:\d+|N) lines?")
SUM = re.compile(r"Altogether (?:\d+|N) lines")


@dataclass(frozen=True)
class Step:
    """What is to be read: lines `first` to `last` of a file, which are all of it where no name is given."""

    shown: str
    name: str | None
    path: str
    first: int
    last: int

    @property
    def lines(self) -> int:
        """How many lines those are."""
        return self.last - self.first + 1

    def __str__(self) -> str:
        if self.name is None:
            return f"[{self.shown}](../{self.path}), {self.lines} lines"
        return f"[{self.shown}: {self.name}](../{self.path}#L{self.first}-L{self.last}), {self.lines} lines"


def sections(text: str) -> list[str]:
    """Return the page in parts that each begin with a heading, but for the first."""
    return re.split(r"^(?=## )", text, flags=re.MULTILINE)


def steps(text: str) -> list[Step]:
    """Return the steps of a text, with the numbers that the files say."""
    return [step_of(found) for found in STEP.finditer(text)]


def step_of(found: re.Match[str]) -> Step:
    """Return the step that a link names; ValueError if there is no such file or function."""
    path, name = found["path"], found["name"]
    if not (ROOT / path).is_file():
        raise ValueError(f"docs/reading.md names {path}, which does not exist.")
    if not path.endswith(found["shown"]):
        raise ValueError(f"docs/reading.md shows {found['shown']}, but links to {path}.")
    source = (ROOT / path).read_text(encoding="utf-8")
    first, last = (1, len(source.splitlines())) if name is None else place_of(name, source, path)
    return Step(found["shown"], name, path, first, last)


def place_of(name: str, source: str, path: str) -> tuple[int, int]:
    """Return the first and the last line of a function or a class, ``Class.method`` included, with its decorators."""
    node: ast.AST = ast.parse(source)
    for part in name.split("."):
        inside = [child for child in ast.iter_child_nodes(node) if getattr(child, "name", None) == part]
        if not inside:
            raise ValueError(f"docs/reading.md names {name} in {path}, which has no {part}.")
        node = inside[-1]
    assert isinstance(node, (ast.FunctionDef, ast.ClassDef))
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    return first, node.end_lineno or node.lineno


def with_numbers(text: str) -> str:
    """Return the page with the numbers that the files say."""
    found = []
    for section in sections(text):
        total = sum(step.lines for step in steps(section))
        found.append(SUM.sub(f"Altogether {total} lines", STEP.sub(lambda link: str(step_of(link)), section)))
    return "".join(found)


def main(arguments: list[str]) -> int:
    """Write the numbers, or compare them."""
    text = PAGE.read_text(encoding="utf-8")
    right = with_numbers(text)
    if arguments == ["--check"]:
        for old, new in zip(text.splitlines(), right.splitlines(), strict=True):
            if old != new:
                print(f"docs/reading.md says\n  {old}\nbut the files say\n  {new}\nRun python tools/reading_path.py")
        return int(text != right)
    PAGE.write_text(right, encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
