"""Plant faults in the library, one at a time, and see whether the notebook that teaches the line notices.

    python tools/faults.py                       plants all faults, for all notebooks
    python tools/faults.py 05 06 --jobs 2        for these notebooks, two runs at a time
    python tools/faults.py --out faults.jsonl    writes one line of JSON for each run, too

A notebook shows the library's lines and derives them; its asserts should fail where a line is wrong. The faults are
listed in tools/faults/NN.toml: what each does, in which file, and which text becomes which. For each, a copy of the
package with the fault runs the notebook's code cells, with the solutions. There are four outcomes:

    noticed    an assert of the notebook failed
    stopped    another error, or no end within the time limit: noticed too, but without a sentence for the reader
    blamed     an exercise refused the notebook's own right answer, so that the reader is blamed for the library's fault
    missed     the notebook ran through

Without a fault, a notebook must run through first.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import jupytext

ROOT = Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))  # for tools.notebooks, where this file is started as a script

from tools import notebooks  # noqa: E402

LISTS = ROOT / "tools" / "faults"
PACKAGE = ROOT / "tinydiff"
LINKED = ("weights", "*.npz")  # large, and without code: the copy has links to them
LIMIT, TIMES = 300.0, 4  # seconds, or so many times as long as without a fault: a fault may make a loop without end
REFUSED = "Not yet"  # how the check of an exercise begins where it refuses an answer
OUTCOMES = ("noticed", "stopped", "blamed", "missed")


class FaultError(Exception):
    """A list of faults is not as it must be, or a notebook fails without a fault."""


@dataclass(frozen=True)
class Fault:
    """One change to the library.

    Parameters
    ----------
    what : str
        What is wrong then, as a sentence without its full stop.
    file : str
        The file, from the package's folder on.
    old, new : str
        The text that is replaced, which stands there once, and what replaces it.
    """

    what: str
    file: str
    old: str
    new: str

    def applied(self, text: str) -> str:
        """Return the text of the file with the fault."""
        if (count := text.count(self.old)) != 1:
            raise FaultError(f"{self.file} holds {self.old!r} {count} times, but once was expected ({self.what}).")
        return text.replace(self.old, self.new)


@dataclass(frozen=True)
class Result:
    """How a notebook ran with a fault; the outcome without one, when all is well, is "missed"."""

    notebook: str
    what: str
    outcome: str
    cell: int | None = None
    message: str = ""


def faults_of(number: str) -> list[Fault]:
    """Return the faults that are listed for a notebook."""
    path = LISTS / f"{number}.toml"
    try:
        listed = tomllib.loads(path.read_text(encoding="utf-8"))["fault"]
        return [Fault(**fault) for fault in listed]
    except FileNotFoundError as error:
        raise FaultError(f"There are no faults for notebook {number}: {path} is missing.") from error
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise FaultError(f"{path} is no list of faults ({error}).") from error


def cells_of(source: str) -> list[str]:
    """Return the code cells of a notebook's source, with solutions."""
    cells = jupytext.reads(source, fmt="py:percent").cells
    return [notebooks.with_solution(cell.source) for cell in cells if cell.cell_type == "code"]


def run(number: str, cells: list[str], fault: Fault | None, limit: float = LIMIT) -> Result:
    """Run the cells with a copy of the package that has the fault, and return what came of it."""
    what = "no fault" if fault is None else fault.what
    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        folder = Path(name).resolve()
        copy = copy_of(PACKAGE, folder / "library")
        if fault is not None:
            path = copy / fault.file
            path.write_text(fault.applied(path.read_text(encoding="utf-8")), encoding="utf-8")
        output, ended = _run_cells(cells, copy, folder, limit)
    refusal = next((line for line in output.splitlines() if line.startswith(REFUSED)), "")
    if refusal:
        return Result(number, what, "blamed", message=refusal)
    if ended is None:
        return Result(number, what, "missed")
    message = next(iter(ended["message"].strip().splitlines()), "")
    is_assert = ended["kind"] == "AssertionError" and not ended["inside"]
    described = message if is_assert else f"{ended['kind']}: {message}"
    return Result(number, what, "noticed" if is_assert else "stopped", ended["cell"], described)


def copy_of(package: Path, into: Path) -> Path:
    """Copy a package into a new folder, with links in place of what is large, and return the copy's path."""
    copy = Path(shutil.copytree(package, into / package.name, ignore=shutil.ignore_patterns(*LINKED, "__pycache__")))
    for pattern in LINKED:
        for original in package.rglob(pattern):
            link = copy / original.relative_to(package)
            if link.parent.is_dir():
                link.symlink_to(original, target_is_directory=original.is_dir())
    return copy


def _run_cells(cells, copy, folder, limit):
    """Return what the cells print, and how they ended; they run in a process, and a folder, of their own."""
    cells_file, ended_file, working = folder / "cells.json", folder / "ended.json", folder / "working"
    cells_file.write_text(json.dumps(cells), encoding="utf-8")
    working.mkdir()
    settings = {"PYTHONPATH": str(copy.parent), "MPLBACKEND": "Agg", "PYTHONDONTWRITEBYTECODE": "1"}
    settings |= {"IPYTHONDIR": str(folder / "ipython"), "PYTHONIOENCODING": "utf-8"}
    files = [str(path) for path in (ROOT / "tools" / "run_cells.py", cells_file, ended_file, copy)]
    with open(folder / "output.txt", "w+", encoding="utf-8") as output:
        process = subprocess.Popen(
            [sys.executable, "-u", "-P", *files], cwd=working, env=os.environ | settings, start_new_session=True,
            stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            process.wait(limit)
            lost = {"message": f"Python ended with status {process.returncode}", "kind": "SystemExit"}
        except subprocess.TimeoutExpired:
            lost = {"message": f"no end within {limit:g} seconds", "kind": "TimeoutExpired"}
        finally:
            _end(process)
        output.seek(0)
        printed = output.read()
    if ended_file.exists():
        return printed, json.loads(ended_file.read_text(encoding="utf-8"))
    return printed, {"cell": None, "inside": False, **lost}


def _end(process):
    """End a process and its children, which are in a group of their own."""
    with contextlib.suppress(ProcessLookupError):  # none is left
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def hunt(number: str, jobs: int) -> Iterable[Result]:
    """Yield the result of each fault of a notebook, in their order; refuse a notebook that fails without one."""
    (source,) = notebooks.SOURCES.glob(f"{number}_*.py")
    cells, faults = cells_of(source.read_text(encoding="utf-8")), faults_of(number)
    for fault in faults:
        fault.applied((PACKAGE / fault.file).read_text(encoding="utf-8"))  # all fit, before the first takes its time
    start = time.monotonic()
    sound = run(number, cells, None, TIMES * LIMIT)
    limit = max(LIMIT, TIMES * (time.monotonic() - start))
    if sound.outcome != "missed":
        raise FaultError(f"Notebook {number} fails without a fault, in cell {sound.cell}: {sound.message}")
    pool = ThreadPoolExecutor(jobs)
    try:
        yield from pool.map(lambda fault: run(number, cells, fault, limit), faults)
    finally:
        pool.shutdown(cancel_futures=True)  # Ctrl-C ends it after the runs that have begun


def table(results: list[Result]) -> str:
    """Return how many faults of each notebook had which outcome."""
    row = "{:<10}{:>9}{:>9}{:>9}{:>9}{:>9}".format
    lines = [row("notebook", *OUTCOMES, "all")]
    for number in dict.fromkeys(result.notebook for result in results):
        counts = Counter(result.outcome for result in results if result.notebook == number)
        lines.append(row(number, *(counts[outcome] for outcome in OUTCOMES), counts.total()))
    counts = Counter(result.outcome for result in results)
    return "\n".join([*lines, row("all", *(counts[outcome] for outcome in OUTCOMES), counts.total())])


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status: 1 if a fault was missed, or a reader blamed."""
    known = sorted(path.stem for path in LISTS.glob("*.toml"))
    parser = argparse.ArgumentParser(description="Plant faults in the library; do the notebooks notice?")
    parser.add_argument("numbers", nargs="*", metavar="NN", help="numbers of notebooks, such as 05 (default: all)")
    parser.add_argument("--jobs", type=int, default=1, help="how many runs at a time (default: 1)")
    parser.add_argument("--out", type=Path, help="a file for the results, one line of JSON for each")
    options = parser.parse_args(arguments)
    if wrong := [number for number in options.numbers if number not in known]:
        parser.error(f"there are no faults for {', '.join(wrong)}; there are some for {', '.join(known)}")
    results, failed = [], False
    for number in options.numbers or known:
        try:
            for result in hunt(number, options.jobs):
                results.append(result)
                where = f" in cell {result.cell}" if result.cell else ""
                print(f"{number}  {result.outcome:<8}{result.what}{where}. {result.message}".rstrip(), flush=True)
                if options.out:
                    with open(options.out, "a", encoding="utf-8") as file:
                        file.write(json.dumps(asdict(result), ensure_ascii=False) + "\n")
        except FaultError as error:
            print(error, file=sys.stderr)
            failed = True
    print(table(results))
    return int(failed or any(result.outcome in ("blamed", "missed") for result in results))


if __name__ == "__main__":
    sys.exit(main())
