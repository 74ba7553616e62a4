"""Run the code cells of a notebook as IPython would, up to the first error, and write down how it ended.

    python -P tools/run_cells.py CELLS.json ENDED.json PACKAGE

`tools/faults.py` starts it for each fault. CELLS holds a list of texts. ENDED gets null if all cells ran, or else the
number of the cell (from 1), the kind of the error, its message, and whether it was raised inside the folder PACKAGE.
"""

import json
import sys
import traceback
from pathlib import Path

from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config


def run(cells: list[str], package: Path) -> dict | None:
    """Return how the first cell that fails ended, or None."""
    quiet = Config()
    quiet.HistoryManager.enabled = False
    quiet.InteractiveShell.colors = "nocolor"
    shell = InteractiveShell.instance(config=quiet)
    for number, code in enumerate(cells, 1):
        result = shell.run_cell(code, store_history=False)
        error = result.error_before_exec or result.error_in_exec
        if error is not None:
            frames = traceback.extract_tb(error.__traceback__)
            inside = bool(frames) and Path(frames[-1].filename).is_relative_to(package)
            return {"cell": number, "kind": type(error).__name__, "message": str(error), "inside": inside}
    return None


if __name__ == "__main__":
    cells_file, ended_file, package = map(Path, sys.argv[1:])
    ended = run(json.loads(cells_file.read_text(encoding="utf-8")), package)
    ended_file.write_text(json.dumps(ended), encoding="utf-8")
