"""Generate the notebooks from their sources, and check that they are in step.

    python tools/notebooks.py                  writes notebooks/*.ipynb and notebooks/solutions/*.ipynb
    python tools/notebooks.py --check          changes nothing; fails where a notebook is out of step

A source, in notebooks/src, is a Python file in jupytext's percent format; a notebook holds no outputs. The same source
always gives the same bytes: a cell's id is a hash of its text, and nothing depends on the time.

In a source, the lines from ``### BEGIN SOLUTION`` to ``### END SOLUTION`` are an answer. In the folder that students
open they become one line that raises an error, or what follows ``### INSTEAD``, as where a fault is to be found. In
solutions/ the answers are there, and their cells folded.
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
BEGIN, INSTEAD, END = "### BEGIN SOLUTION", "### INSTEAD", "### END SOLUTION"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
FOLDED = {"jupyter": {"source_hidden": True}, "tags": ["hide-input"]}  # for JupyterLab, and for a page made of it
STUB = 'raise NotImplementedError("Your code here.")'


class NotebookError(Exception):
    """A source or a notebook is not as it must be."""


def sources() -> dict[str, Path]:
    """Return the sources of all notebooks by number, such as "05" or "ps3"."""
    return {source.name.partition("_")[0]: source for source in sorted(SOURCES.glob("*.py"))}


def notebook_text(source_text: str, solved: bool = False) -> str:
    """Return the text of the .ipynb file for a source in percent format, for students, or with the solutions."""
    cells = jupytext.reads(source_text, fmt="py:percent").cells
    copies: Counter[str] = Counter()
    for cell in cells:
        digest = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:12]
        copies[digest] += 1
        cell.id = digest if copies[digest] == 1 else f"{digest}-{copies[digest]}"
        cell.metadata.pop("lines_to_next_cell", None)  # jupytext's own note on blank lines
        if cell.cell_type == "code":
            if solved and BEGIN in cell.source:
                cell.metadata.update(FOLDED)
            cell.source = with_solution(cell.source) if solved else for_students(cell.source)
        elif solved:
            cell.source = cell.source.replace("](../", "](../../")  # the folder is one further down
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=METADATA)
    nbformat.validate(notebook)
    return nbformat.writes(notebook).rstrip("\n") + "\n"


def for_students(code: str) -> str:
    """Return the code of a cell with each answer replaced by what stands for it, or by a line that raises an error."""
    return "\n".join(line for line, part in _parts(code) if part in ("text", "instead"))


def with_solution(code: str) -> str:
    """Return the code of a cell with its answers, without the marks and without what stands for them."""
    return "\n".join(line for line, part in _parts(code) if part in ("text", "solution"))


def _parts(code):
    """Yield each line of a cell with the part that it belongs to: text, solution, instead, or mark."""
    part, indent = "text", ""
    for line in code.split("\n"):
        if BEGIN in line and part == "text":
            indent, part = line[: len(line) - len(line.lstrip())], "solution"
            yield line, "mark"
        elif INSTEAD in line and part == "solution":
            part = "instead"
            yield line, "mark"
        elif END in line and part in ("solution", "instead"):
            if part == "solution":
                yield indent + STUB, "instead"
            yield line, "mark"
            part = "text"
        elif any(mark in line for mark in (BEGIN, INSTEAD, END)):
            raise NotebookError(f"'{line.strip()}' without its partner in the cell:\n{code}")
        else:
            yield line, part
    if part != "text":
        raise NotebookError(f"'{BEGIN}' without '{END}' in the cell:\n{code}")


def generate(folder: Path) -> dict[Path, str]:
    """Return the text of every notebook by the path in `folder` where it belongs."""
    texts = {}
    for source in sorted(SOURCES.glob("*.py")):
        text = source.read_text(encoding="utf-8")
        texts[folder / f"{source.stem}.ipynb"] = notebook_text(text)
        texts[folder / "solutions" / f"{source.stem}.ipynb"] = notebook_text(text, solved=True)
    return texts


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
    found = {*NOTEBOOKS.glob("*.ipynb"), *NOTEBOOKS.glob("solutions/*.ipynb")}
    faults = [f"{name_of(path)} has no source in notebooks/src." for path in sorted(found - set(expected))]
    for path, text in expected.items():
        if not path.exists():
            faults.append(f"{name_of(path)} is missing.")
        elif path.read_text(encoding="utf-8") != text:
            faults.append(f"{name_of(path)} differs from what notebooks/src/{path.stem}.py gives.")
    advice = "Edit the source, not the notebook; then run: python tools/notebooks.py"
    return [*faults, advice] if faults else []


def name_of(path: Path) -> str:
    """Return a notebook's name as it is called in sentences, such as solutions/05_gradients_by_hand.ipynb."""
    return path.relative_to(NOTEBOOKS).as_posix()


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    parser = argparse.ArgumentParser(description="Generate notebooks/*.ipynb from notebooks/src/*.py.")
    parser.add_argument("--check", action="store_true", help="change nothing; fail where a notebook is out of step")
    options = parser.parse_args(arguments)
    try:
        if options.check:
            faults = out_of_step()
            print(*faults, sep="\n", end="\n" if faults else "", file=sys.stderr)
            return int(bool(faults))
        for path, text in generate(NOTEBOOKS).items():
            write(path, text)
            print(path)
    except (NotebookError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
