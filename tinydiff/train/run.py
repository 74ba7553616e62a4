"""A training run: one loop for all objectives, with checks, log, checkpoints and resuming."""

import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from tinydiff.base import (
    CheckpointError,
    FolderLock,
    InputError,
    TrainingError,
    check_count,
    checks_arguments,
    counted,
    sweep,
    xp_of,
)
from tinydiff.train.checkpoint import RunState, checkpoints, load_checkpoint, refuse_a_model, save_checkpoint, step_of
from tinydiff.train.config import FREE
from tinydiff.train.interrupt import interruptible
from tinydiff.train.learner import Learner
from tinydiff.train.log import Log
from tinydiff.train.memory import check_training_fits
from tinydiff.train.objective import Objective
from tinydiff.train.resume import check_same_run, new_steps
from tinydiff.train.saving import save_trained
from tinydiff.workers import MOST_THREADS


@checks_arguments("__init__")
class Run:
    """A training run: an objective, and the folder that keeps the run. A folder with a checkpoint is resumed.

    A run that is resumed has the same options as before, but may have another number of steps: it then goes on with the
    learning rate of that many, and `notes` says so.

    Parameters
    ----------
    objective : Objective
        What is minimised; its networks are trained in place.
    folder : str, Path or None
        Where checkpoints, the log and the trained model go; None keeps nothing.
    hooks : sequence of callables
        ``hook(record)`` gets every record of the log, a dict with "step", for other loggers.
    threads : int or None
        How many shards are computed at the same time; None takes one for each core. This
        changes the time, not the bits.
    processes : bool or None
        Whether processes compute them, where these are supported (Linux), or threads; None takes processes unless the
        network is large, see `processes_pay`. Processes start at the first step: later changes of the weights reach
        them, later changes of the data or of the layers do not.

    Examples
    --------
    >>> run = Run(Denoise(model, data, DenoiseConfig(steps=100)), "runs/mine")  # doctest: +SKIP
    >>> run.run()                                                               # doctest: +SKIP
    """

    def __init__(
        self,
        objective: Objective,
        folder: str | Path | None = None,
        hooks: Sequence[Callable[[dict[str, Any]], None]] = (),
        threads: int | None = None,
        processes: bool | None = None,
    ):
        if threads is not None:
            check_count("threads", threads, most=MOST_THREADS)
        check_training_fits(objective.phases, threads)
        self.objective, self.config = objective, objective.config
        self.folder = None if folder is None else Path(folder)
        self.log, self.lock = Log(self.folder, hooks), FolderLock(self.folder)
        self.learners = {
            phase.name: Learner(phase, self.config.steps, threads, processes) for phase in objective.phases
        }
        if len(self.learners) < len(objective.phases):
            raise InputError("Two phases of the objective have one name, but a checkpoint must tell them apart.")
        if any(learner.in_processes for learner in self.learners.values()):
            for learner in self.learners.values():
                learner.share()
        self.xp = xp_of(objective.phases[0].network.theta)
        self.step = self.saved = 0
        self.best = math.inf
        self.notes: list[str] = []  # sentences on what resuming changed
        self.prolonged: list[dict[str, int]] = []  # at which steps the run was given another number of steps
        # Whether a step was finite stays on the device, where reading it would make the step wait. Before the first one
        # that was, none may be skipped: a run that has never worked is ended at once.
        self.in_a_row = self.xp.asarray(self.config.most_skipped)
        self.skipped = self.xp.asarray(0)
        self.said = 0  # of the skipped steps
        if self.folder is not None:
            self._resume(self.folder)
        self.first = self.step  # the steps that were taken before this run was made

    def train_step(self) -> dict[str, Any]:
        """Take one step of each phase whose turn it is; return losses, gradient norms and learning rates.

        From the first phase on whose loss or gradient is not finite, the step is skipped: weights, moments and averages
        stay as they are. Once more than `config.most_skipped` were skipped in a row, nothing moves any more.
        """
        record: dict[str, Any] = {"step": self.step + 1}
        ok = self.in_a_row <= self.config.most_skipped
        for phase in self.objective.turns(self.step):
            found, ok = self.learners[phase.name].take_step(self.step, ok)
            record |= found
        self.in_a_row = self.xp.where(ok, 0, self.in_a_row + 1)
        self.skipped = self.skipped + self.xp.where(ok, 0, 1)
        self.step += 1
        if self.xp is np or self.step % self.config.check_every == 0:
            self.stop_if_not_finite()
        return record

    def run(self, progress: bool = True, on_step: Callable[["Run"], None] | None = None) -> None:
        """Train until `config.steps`; save on the way and at the end.

        Ctrl-C, SIGTERM, or the end of the terminal, finishes the step, saves, and raises KeyboardInterrupt; a second
        one interrupts at once.

        Parameters
        ----------
        progress : bool
            Show a progress bar on stderr.
        on_step : callable or None
            Called with the run after every step, for example to draw.

        Raises
        ------
        TrainingError
            If the loss or the gradient is not finite in more than `config.most_skipped` steps in a row, or in the
            first. The files are left as they were before.
        InputError
            If another run is training in this folder.
        CheckpointError
            If something cannot be written, or the folder was removed meanwhile.
        """
        config, validate_every = self.config, self.objective.validate_every
        bar = tqdm(total=config.steps, initial=self.step, unit="step", disable=not progress, dynamic_ncols=True)
        started, first = time.perf_counter(), self.step
        with ExitStack() as stack:
            stack.enter_context(bar)
            self._refuse_lost_folder()
            stack.enter_context(self.lock)
            if self.folder is not None:
                sweep(self.folder / "best")  # in which this run may not write
            for learner in self.learners.values():
                stack.enter_context(closing(learner.gradient_sum))
            self._refuse_another_run()
            interrupted = stack.enter_context(interruptible())
            self.log.cut(self.step)
            while self.step < config.steps:
                record = self.train_step()
                self._say_skipped(bar)
                done = self.step == config.steps
                if done or self.step % config.log_every == 0:
                    rate = (self.step - first) * config.batch / (time.perf_counter() - started)
                    self._report(record, rate, bar)
                _show(bar)
                if done or (validate_every is not None and self.step % validate_every == 0):
                    self._validate()
                if on_step is not None:
                    on_step(self)
                if self.folder is not None and (done or interrupted or self.step % config.save_every == 0):
                    self.save()
                if interrupted:
                    raise KeyboardInterrupt
            if self.folder is not None:
                self.lock.check()
                save_trained(self.trained(), self.folder, self._about())

    def trained(self) -> Any:
        """Return the result so far, with the averages of the weights: for a diffusion model, the one to draw with."""
        return self.objective.trained(*self._averaged())

    def validate(self) -> dict[str, float]:
        """Return the objective's metrics on held-out samples, with averaged weights."""
        found = self.objective.validate(*self._averaged())
        if not found:
            raise InputError("There are no held-out samples: give the objective validation=.")
        return found

    def save(self) -> Path:
        """Write a checkpoint."""
        if self.folder is None:
            raise InputError("This run has no folder, so it cannot be saved: give the Run folder=.")
        self.stop_if_not_finite()
        self.lock.check()
        vectors = {name: learner.state() for name, learner in self.learners.items()}
        steps = {name: learner.optimizer.steps for name, learner in self.learners.items()}
        about = {"run": self._identity(), "best": self.best, "steps": steps, **self._prolonged(), **self._skipped()}
        path = save_checkpoint(self.folder, self._networks(), RunState(self.step, vectors, about), self.config.keep)
        self.saved = self.step
        return path

    def stop_if_not_finite(self) -> None:
        """Raise `TrainingError` if a loss or a gradient was not finite in too many steps in a row.

        On a GPU this waits for the last step.
        """
        if int(self.in_a_row) <= self.config.most_skipped:
            return
        phase, bad = next(
            ((name, bad) for name, learner in self.learners.items() if (bad := learner.not_finite())), ("", None)
        )
        owner = f"the {phase}'s " if phase else ""
        where = f"the gradient of {owner}{bad} is not finite" if bad else "the loss or its gradient was not finite"
        if before := min(int(self.skipped) - 1, self.config.most_skipped):
            where += f", and {counted(before, 'step')} before it had to be skipped, too"
        raise TrainingError(
            f"Training stopped at step {self.step}: {where}. Nothing was overwritten; the last checkpoint is that of "
            f"step {self.saved}. {self.objective.remedy(phase)}"
        )

    def _refuse_another_run(self):
        """Raise where another process has trained on in the folder since this run read it."""
        found = [] if self.folder is None else checkpoints(self.folder)
        if found and step_of(found[-1]) > self.saved:
            raise InputError(
                f"{self.folder} holds a checkpoint of step {step_of(found[-1])}, but this run read that of step "
                f"{self.saved}: another process went on from there. Start the run again."
            )

    def _refuse_lost_folder(self):
        """Raise where the checkpoint that this run went on from is gone with its folder."""
        if self.folder is not None and self.saved and not checkpoints(self.folder):
            raise CheckpointError(
                f"{self.folder} was removed after this run had saved step {self.saved} there. Start again, in a folder "
                "that stays."
            )

    def _report(self, record, rate, bar):
        """Log a step, and show its losses beside the progress bar."""
        self.stop_if_not_finite()
        record = {key: float(value) for key, value in (record | self.objective.measure()).items()}
        if int(self.in_a_row):  # this step was skipped, since some of these are not finite
            record = {key: value for key, value in record.items() if math.isfinite(value)}
        record |= {"step": self.step, "images_per_second": round(rate, 1)}
        self._log(record)
        losses = ", ".join(f"{key} {value:.4f}" for key, value in record.items() if key.endswith("loss"))
        bar.set_postfix_str(f"{losses}, {rate:.0f} images/s", refresh=False)

    def _say_skipped(self, bar):
        """Log how many steps were skipped, and say so above the progress bar, if there are more; on a GPU, at times."""
        waits = self.xp is not np and self.step < self.config.steps and self.step % self.config.check_every
        if waits or int(self.skipped) == self.said:
            return
        self.stop_if_not_finite()
        new, self.said = int(self.skipped) - self.said, int(self.skipped)
        self._log({"step": self.step, "skipped_steps": self.said})
        if not bar.disable:
            bar.write(
                f"Step {self.step}: {counted(new, 'step')} skipped, since a loss or its gradient was not finite. "
                f"Of this run, that makes {self.said}.",
                file=sys.stderr,
            )

    def _validate(self):
        found = self.objective.validate(*self._averaged())
        if not found:
            return
        for name, value in found.items():
            if not math.isfinite(value):
                raise TrainingError(
                    f"Training stopped at step {self.step}: the {name.replace('_', ' ')} is {value}. The last "
                    f"checkpoint is that of step {self.saved}. Try a smaller learning rate (lr is {self.config.lr}) or "
                    "a longer warm-up."
                )
        self._log({"step": self.step, **found})
        if (loss := found.get("validation_loss", math.inf)) < self.best:
            self.best = loss
            if self.folder is not None:
                save_trained(self.trained(), self.folder / "best", {**self._about(), **found})

    def _log(self, record):
        self.lock.check()
        self.log.write(record)

    def _averaged(self):
        return [learner.averaged() for learner in self.learners.values()]

    def _networks(self):
        return {name: learner.network for name, learner in self.learners.items()}

    def _about(self):
        return {"step": self.step, "train": asdict(self.config), **self._prolonged(), **self.objective.about()}

    def _prolonged(self):
        return {"prolonged": self.prolonged} if self.prolonged else {}

    def _skipped(self):
        return {"skipped": {"steps": int(self.skipped), "in_a_row": int(self.in_a_row)}} if int(self.skipped) else {}

    def _identity(self):
        """Return everything that decides the bits of a run: it is resumed only with the same values."""
        train = {name: value for name, value in asdict(self.config).items() if name not in FREE}
        of_objective = self.objective.identity()
        assert not train.keys() & of_objective.keys(), "one of the two would be lost"
        identity = {"objective": type(self.objective).__name__, **train, **of_objective}
        return json.loads(json.dumps(identity))  # tuples become lists

    def _resume(self, folder):
        """Go on from the last checkpoint in the folder, if there is one."""
        refuse_a_model("folder", folder)
        found = checkpoints(folder)
        if not found:
            return
        now, defaults = self._identity(), asdict(type(self.config)())

        def accept(step, about):
            check_same_run(folder, about["run"], now, defaults)
            if (before := about["run"].get("steps", now["steps"])) != now["steps"]:
                self.notes.append(new_steps(folder, step, before, self.config))
                self.prolonged = [{"at": step, "from": before, "to": now["steps"]}]

        state = load_checkpoint(found[-1], self._networks(), accept)
        self.prolonged = [*state.about.get("prolonged", []), *self.prolonged]
        self.step = self.saved = state.step
        self.best = state.about["best"]
        skipped = state.about.get("skipped", {"steps": 0, "in_a_row": 0})
        self.said = skipped["steps"]
        self.skipped, self.in_a_row = self.xp.asarray(self.said), self.xp.asarray(skipped["in_a_row"])
        for name, learner in self.learners.items():
            learner.resume(state.vectors[name], state.about.get("steps", {}).get(name, state.step))


def _show(bar):
    """Move the progress bar. One that nobody can see any more, as the terminal was closed, stops no training."""
    try:
        bar.update()
    except OSError:
        bar.disable = True
