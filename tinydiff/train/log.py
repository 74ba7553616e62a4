"""The log of a run: one record a line, in log.jsonl."""

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tinydiff.base import CheckpointError, atomic_write, checked

NAME = "log.jsonl"


class Log:
    """Where records go: a file in the run's folder, if it has one, and hooks.

    Parameters
    ----------
    folder : Path or None
    hooks : sequence of callables
        ``hook(record)`` gets every record, a dict with "step".
    """

    def __init__(self, folder: Path | None, hooks: Sequence[Callable[[dict[str, Any]], None]] = ()):
        self.folder, self.hooks = folder, hooks

    def write(self, record: dict[str, Any]) -> None:
        """Append a record to the file, and hand it to the hooks."""
        if self.folder is not None:
            path = self.folder / NAME
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                with open(path, "a", encoding="utf-8") as file:
                    file.write(json.dumps(record, allow_nan=False) + "\n")
            except OSError as error:
                raise CheckpointError(f"{path} cannot be written: {error.strerror}.") from error
        for hook in self.hooks:
            hook(record)

    def cut(self, step: int) -> None:
        """Drop the records of later steps, which come after the last checkpoint and will be repeated."""
        if self.folder is None or not (path := self.folder / NAME).exists():
            return
        lines = [line for line in _lines(path) if _step_of(line) <= step]
        text = "".join(f"{line}\n" for line in lines)
        atomic_write(path, lambda file: file.write(text.encode()), error=CheckpointError)


@checked()
def read_log(folder: str | Path) -> list[dict[str, Any]]:
    """Return the records of a run's log, if there is one; a line that a killed process left incomplete is skipped."""
    path = Path(folder) / NAME
    lines = _lines(path) if path.exists() else []
    return [json.loads(line) for line in lines if _step_of(line) < math.inf]


def _lines(path):
    return path.read_text(encoding="utf-8", errors="replace").splitlines()  # a damaged line is dropped, not the file


def _step_of(line):
    """Return the step of a record; infinity for a line that is none, as after a process was killed while it wrote."""
    try:
        step = json.loads(line)["step"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return math.inf
    return step if type(step) is int else math.inf
