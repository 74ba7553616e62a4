"""The command ``tinydiff arena``."""

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from tinydiff import plot
from tinydiff.apps.cli.drawings import kept_folder
from tinydiff.apps.cli.options import DeviceName, ProgressBar, refuse_given
from tinydiff.apps.cli.screen import say
from tinydiff.base import InputError, atomic_write, check_count
from tinydiff.diffusion import SAMPLERS
from tinydiff.evaluate.court import (
    NOISY,
    ODE,
    Curve,
    Stated,
    StatedNoise,
    arena_report,
    court,
    errors_on_model,
    tolerance_curve,
)
from tinydiff.evaluate.court.orders import ROUNDING
from tinydiff.evaluate.court.report import best_of
from tinydiff.evaluate.court.schedulers import SCHEDULERS, judge_schedulers
from tinydiff.evaluate.court.verdict import Verdict
from tinydiff.models import DiffusionModel, load

RECORDS, REPORT = "arena.json", "arena.txt"
ODE_PICTURE, NOISE_PICTURE, MODEL_PICTURE = "arena.png", "arena-noise.png", "arena-model.png"
WRITTEN = (RECORDS, REPORT, ODE_PICTURE, NOISE_PICTURE, MODEL_PICTURE)
CHOOSES_ITS_STEPS = "adaptive"


@dataclass(frozen=True)
class Arena:
    """Judge samplers: error against calls of the network, orders, moments, on what is exact and on a model.

    Every sampler is measured on a mixture whose paths are known, or, if it draws noise, on a Gaussian whose variance
    is: a table, a picture, and a file of all numbers.
    """

    called: ClassVar = {"sampler": "samplers"}

    samplers: str | None = None
    """Which, with commas between them, such as unipc,dpmpp_2m; without it, all, but for those that are another one
    under their options."""
    all: bool = False
    """Also those that are the same as another one, number for number."""
    model: str | None = None
    """Also a model that ships with tinydiff, or a folder: how far samplers end from a fine solution of its ODE."""
    n: int = 32
    """How many starts on the model, from seed 0."""
    diffusers: bool = False
    """Judge the schedulers of diffusers, where it is installed, instead of the samplers of tinydiff."""
    out: Path = Path("arena")
    """Folder for the picture, the tables and the numbers. If it holds those of another run, they go into a new folder
    in it: 2, 3, ..."""
    device: DeviceName = "auto"
    """Where the model computes."""

    def run(self) -> None:
        """Judge, print the tables, and save them with the picture."""
        check_count("n", self.n, most=4096)
        if self.model is None:
            refuse_given(self, "n device", "only a model has starts and a place where it computes: give a --model too")
        if self.samplers is not None or self.diffusers:
            refuse_given(self, "all", "others than all are asked for: leave one of them out")
        entries = self._entries()
        ode = [entry for entry in entries if isinstance(entry, Stated)]
        if self.model is not None and not ode:
            raise InputError("samplers are such as draw noise, whose paths no reference has: name others, or no model.")
        model = None if self.model is None else load(self.model, self.device, kind=DiffusionModel)
        if model is not None:
            model.check_draws()
        with contextlib.ExitStack() as held:
            folder = held.enter_context(kept_folder(self.out, WRITTEN))
            verdicts = self._verdicts(entries)
            others = self._others()
            report = arena_report(verdicts, others) if verdicts else _of_curves(others)
            records: dict[str, Any] = {"samplers": [verdict.record() for verdict in verdicts]}
            saved = _save_pictures(folder, verdicts, others)
            if model is not None:
                of_model, record = self._on_model(model, ode, folder)
                report, records["model"] = f"{report}\n\n{of_model}", record
                saved.append(folder / MODEL_PICTURE)
            _write(folder / REPORT, report)
            _write(folder / RECORDS, json.dumps(records, indent=1, allow_nan=False))
            say(*report.split("\n"))
            say(f"Saved {', '.join(map(str, [*saved, folder / REPORT, folder / RECORDS]))}.")

    def _entries(self) -> list[Stated | StatedNoise]:
        """Return which samplers, with which options."""
        if self.diffusers:
            if self.samplers is not None or self.model is not None:
                raise InputError("diffusers is given, and samplers or a model besides: leave one of them out.")
            return []
        known: list[Stated | StatedNoise] = [*ODE, *NOISY]
        every = [entry for entry in known if self.all or not getattr(entry, "same_as", "")]
        if self.samplers is None:
            return every
        names = self._names()
        for name in names:
            SAMPLERS[name]  # refuses an unknown one
        found = [entry for entry in known if entry.name in names]
        stated = {entry.name for entry in found}
        return found + [Stated(name, {}, 0, 0) for name in names if name not in stated and not SAMPLERS[name].own_steps]

    def _names(self) -> list[str]:
        """Return the samplers that were named."""
        return list(dict.fromkeys(name.strip() for name in (self.samplers or "").split(",")))

    def _verdicts(self, entries: Sequence[Stated | StatedNoise]) -> list[Verdict]:
        """Return a verdict on each."""
        with ProgressBar("Judging", "sampler") as bar:
            if self.diffusers:
                return judge_schedulers(SCHEDULERS, bar)
            found = []
            for i, entry in enumerate(entries, 1):
                found.append(court(entry.name, entry.options, to_zero=False))  # tests hold the list to that
                bar(i, len(entries))
            return found

    def _others(self) -> dict[str, Curve]:
        """Return the curve of the solver that chooses its own steps, if it is asked for."""
        asked = self.samplers is None or CHOOSES_ITS_STEPS in self._names()
        return {CHOOSES_ITS_STEPS: tolerance_curve()} if asked and not self.diffusers else {}

    def _on_model(self, model: DiffusionModel, ode: Sequence[Stated], folder: Path) -> tuple[str, dict[str, Any]]:
        """Return the report on a model and its record; save its picture."""
        with ProgressBar("Walking", "chain") as bar:
            found = errors_on_model(model, ode, self.n, progress=bar)
        orders = {entry.label: entry.order for entry in ode}
        lines = [f"On {Path(str(self.model)).name}, {self.n} starts: root mean square error of a value of the pictures"]
        lines[0] += f" (the reference itself: {found.fineness:.1e})"
        lines += best_of(found.curves)
        title = f"Samplers on {Path(str(self.model)).name}: error against calls"
        drawn = {label: (c.calls, c.errors, orders[label]) for label, c in found.curves.items()}
        _picture(folder / MODEL_PICTURE, drawn, title, "root mean square error of a value", found.fineness)
        curves = {label: {"calls": list(c.calls), "errors": list(c.errors)} for label, c in found.curves.items()}
        return "\n".join(lines), {"name": str(self.model), "n": self.n, "fineness": found.fineness, "curves": curves}


def _of_curves(curves: Mapping[str, Curve]) -> str:
    """Return what is said of samplers that choose their own steps, and of no others."""
    lines = [f"{label} {calls:>6} calls: error {error:.2e}" for label, c in curves.items()
             for calls, error in zip(c.calls, c.errors, strict=True)]  # fmt: skip
    return "\n".join(lines)


def _save_pictures(folder: Path, verdicts: Sequence[Verdict], others: Mapping[str, Curve]) -> list[Path]:
    """Save the pictures of what was judged; return where they are."""
    exact = "Error against calls, on a mixture whose paths are known"
    with_noise = "With noise: error of the variance of a Gaussian"
    pictures: tuple[tuple[str, str, str, str, Mapping[str, Curve]], ...] = (
        (ODE_PICTURE, "equal", exact, "largest error of a path", others),
        (NOISE_PICTURE, "variance", with_noise, "error of the variance, as a share", {}),
    )
    saved = []
    for file, measured, title, y_label, besides in pictures:
        drawn = {v.label: (v.curves[measured], v.stated) for v in verdicts if measured in v.curves}
        drawn |= {label: (curve, (2,)) for label, curve in besides.items()}
        if drawn:
            lines = {label: (c.calls, c.errors, stated[0] if stated else 0) for label, (c, stated) in drawn.items()}
            _picture(folder / file, lines, title, y_label, ROUNDING)
            saved.append(folder / file)
    return saved


def _picture(path: Path, lines: Mapping[str, tuple[Any, Any, float]], title: str, y_label: str, floor: float) -> None:
    drawn = {
        name: plot.Line(np.array(calls, float), np.array(errors, float), order)
        for name, (calls, errors, order) in lines.items()
        if max(errors) > floor
    }
    if drawn:
        plot.save_image(plot.error_against_calls(drawn, title, y_label, floor=floor), path)


def _write(path: Path, text: str) -> None:
    atomic_write(path, lambda file: file.write(f"{text}\n".encode()))
