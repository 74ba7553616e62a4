"""The card of a trained model, ``CARD.md``: what it learned from, how, for how long, and how to draw with it."""

import os
import platform
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tinydiff.base import CheckpointError, Device, atomic_write, counted, printable
from tinydiff.train import Run, read_log

CARD = "CARD.md"


def write_card(run: Run, folder: Path, device: Device, seconds: float, last_words: str) -> Path:
    """Write the card of a run that has ended into its folder.

    Unlike the files of weights and settings, it differs from run to run: it says how long the training took.

    Parameters
    ----------
    run : Run
    folder : Path
        Of the trained model.
    device : Device
    seconds : float
        How long this command has trained.
    last_words : str
        How to go on with the model.
    """
    text = _text(run, folder.absolute().name, f"{device.name}, {_machine()}", seconds, last_words)
    return atomic_write(folder / CARD, lambda file: file.write(text.encode()), error=CheckpointError)


def _text(run, name, machine, seconds, last_words):
    """Return the card as Markdown."""
    objective, config = run.objective, run.config
    data = [found for found in (getattr(objective, part, None) for part in ("data", "validation")) if found is not None]
    rows = [("data", found.describe()) for found in data]
    names = getattr(getattr(getattr(objective, "model", None), "config", None), "class_names", None)
    if names:
        rows.append(("classes", ", ".join(f"{i} {name}" for i, name in enumerate(names))))
    rows.append(("weights", ", ".join(f"{phase.network.theta.size:,}" for phase in objective.phases)))
    rows.append(("steps", f"{run.step:,} of {counted(config.batch, 'sample')} each{_prolonged(run.prolonged)}"))
    rows += [(label.replace("_", " "), f"{value:.4g}") for label, value in _last(run).items()]
    took = counted(round(seconds), "second") if seconds < 600 else counted(round(seconds / 60), "minute")
    rows.append(("time", f"{took} for the last {counted(run.step - run.first, 'step')}, on {machine}"))
    rows.append(("settings", ", ".join(f"{setting} {_plain(value)}" for setting, value in asdict(config).items())))
    notes = [note for found in data[:1] for note in getattr(found, "notes", ())]
    lines = [f"# {_plain(name)}", "", f"Trained with tinydiff ({type(objective).__name__}).", "", "| | |", "|---|---|"]
    lines += [f"| {label} | {_plain(text)} |" for label, text in rows]
    if notes:
        lines += ["", "Of the data:", "", *(f"- {_plain(note)}" for note in notes)]
    again = shlex.join(["tinydiff", *sys.argv[1:]])
    lines += ["", "To train it again, in another folder (`--out`):", "", "```", again, "```"]
    if last_words:
        lines += ["", last_words]
    return "\n".join(lines) + "\n"


def _prolonged(prolonged):
    return "".join(f", at step {once['at']} to {once['to']} instead of {once['from']}" for once in prolonged)


def _last(run) -> dict[str, Any]:
    """Return the last losses, and the other figures on held-out samples, that the log has."""
    found: dict[str, Any] = {}
    for record in read_log(run.folder):
        held_out = "loss" not in record
        found |= {name: value for name, value in record.items() if "loss" in name or (held_out and name != "step")}
    return found


def _machine() -> str:
    return f"{platform.system()} {platform.machine()}, {counted(os.cpu_count() or 1, 'core')}"


def _plain(value):
    """Return a value so that it breaks no line and no table."""
    return " ".join(printable(str(value), keep="\n\t").replace("|", r"\|").split())
