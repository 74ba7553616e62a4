"""Generate the notebooks from their sources, check that both are in step, or cut the solutions out.

    python tools/notebooks.py                  writes notebooks/*.ipynb from notebooks/src/*.py
    python tools/notebooks.py --check          changes nothing; fails where a notebook is out of step
    python tools/notebooks.py --student DIR    writes notebooks for students into DIR

A source is a Python file in jupytext's percent format; a notebook holds no outputs. The same source always
gives the same bytes: a cell's id is a hash of its text, and nothing depends on the time. For students, every
block of lines from ``### BEGIN SOLUTION`` to ``### END SOLUTION`` becomes one line that raises an error.
"""

import argparse
import hashlib
import os
import sys
from collections import Counter
from pathlib import Path

import jupytext
import nbformat

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "notebooks" / "src"
NOTEBOOKS = ROOT / "notebooks"
BEGIN, INSTEAD, END = "BEGIN SOLUTION", "### INSTEAD", "END SOLUTION"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
STUB = 'raise NotImplementedError("Your code here.")'


class NotebookError(Exception):
    """A source or a notebook is not as it must be."""


def notebook_text(source_text: str, student: bool = False) -> str:
    """Return the text of the .ipynb file for a source in percent format; for students, with solutions cut."""
    cells = jupytext.reads(source_text, fmt="py:percent").cells
    copies: Counter[str] = Counter()
    for cell in cells:
        digest = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:12]
        copies[digest] += 1
        cell.id = digest if copies[digest] == 1 else f"{digest}-{copies[digest]}"
        cell.metadata.pop("lines_to_next_cell", None)  # jupytext's own note on blank lines
        if cell.cell_type == "code":
            without_solutions = cut_solutions(cell.source)  # always, so that a lost marker is found at once
            cell.source = without_solutions if student else cell.source
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=METADATA)
    nbformat.validate(notebook)
    return nbformat.writes(notebook).rstrip("\n") + "\n"


def cut_solutions(code: str) -> str:
    """Return the code of a cell with each marked block of lines replaced by one that raises an error."""
    kept, inside = [], False
    for line in code.split("\n"):
        begins, ends = BEGIN in line, END in line
        if (begins and inside) or (ends and not inside):
            raise NotebookError(f"'{line.strip()}' without its partner in the cell:\n{code}")
        if begins:
            kept.append(line[: len(line) - len(line.lstrip())] + STUB)
        elif not inside:
            kept.append(line)
        inside = begins or (inside and not ends)
    if inside:
        raise NotebookError(f"'{BEGIN}' without '{END}' in the cell:\n{code}")
    return "\n".join(kept)


def with_solution(code: str) -> str:
    """Return the code of a cell as it runs with its solutions: no markers, and nothing that students get instead."""
    cut_solutions(code)  # a lost marker is found at once
    kept, is_instead = [], False
    for line in code.split("\n"):
        is_marker = BEGIN in line or END in line or line.strip() == INSTEAD
        is_instead = line.strip() == INSTEAD or (is_instead and END not in line)
        if not (is_marker or is_instead):
            kept.append(line)
    return "\n".join(kept)


def generate(folder: Path, student: bool = False) -> dict[Path, str]:
    """Return the text of every notebook by the path in `folder` where it belongs."""
    return {
        folder / f"{source.stem}.ipynb": notebook_text(source.read_text(encoding="utf-8"), student)
        for source in sorted(SOURCES.glob("*.py"))
    }


def write(path: Path, text: str) -> None:
    """Write a text file atomically: the old file or the new one is there, never half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(path.name + ".tmp")
    with open(aside, "w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(aside, path)


def out_of_step() -> list[str]:
    """Return one sentence for each notebook that is not what its source gives, and then what to do."""
    expected = generate(NOTEBOOKS)
    orphans = sorted(set(NOTEBOOKS.glob("*.ipynb")) - set(expected))
    faults = [f"{path.name} has no source in notebooks/src." for path in orphans]
    for path, text in expected.items():
        if not path.exists():
            faults.append(f"{path.name} is missing.")
        elif path.read_text(encoding="utf-8") != text:
            faults.append(f"{path.name} differs from what notebooks/src/{path.stem}.py gives.")
    advice = "Edit the source, not the notebook; then run: python tools/notebooks.py"
    return [*faults, advice] if faults else []


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    parser = argparse.ArgumentParser(description="Generate notebooks/*.ipynb from notebooks/src/*.py.")
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--check", action="store_true", help="change nothing; fail where a notebook is out of step")
    choice.add_argument("--student", metavar="DIR", type=Path, help="write notebooks without solutions")
    options = parser.parse_args(arguments)
    if options.student and options.student.resolve() == NOTEBOOKS:
        parser.error(f"argument --student: {options.student} holds the full notebooks; name another folder")
    try:
        if options.check:
            faults = out_of_step()
            print(*faults, sep="\n", end="\n" if faults else "", file=sys.stderr)
            return int(bool(faults))
        for path, text in generate(options.student or NOTEBOOKS, student=bool(options.student)).items():
            write(path, text)
            print(path)
    except (NotebookError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
