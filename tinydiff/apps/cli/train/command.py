"""What ``tinydiff train`` does whatever is minimised: it prepares, runs, saves, and says how to go on."""

import dataclasses
import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from tinydiff import plot
from tinydiff.apps.cli.options import DeviceName
from tinydiff.apps.cli.screen import say
from tinydiff.apps.cli.train.card import write_card
from tinydiff.base import Choices, Device, Size, counted, select_device, to_device, to_table, write_json
from tinydiff.data import Dataset, load_data
from tinydiff.train import Objective, Run, TrainConfig, read_log
from tinydiff.train.checkpoint import refuse_a_model

OBJECTIVES: Choices[type["TrainCommand"]] = Choices("objective")  # what can be trained, each with its options
Kind = TypeVar("Kind", bound=type["TrainCommand"])


def trains(objective: str) -> Callable[[Kind], Kind]:
    """Put a class of options on the list of objectives, under the name that its field `objective` has."""

    def register(kind):
        OBJECTIVES[objective] = kind
        return kind

    return register


@dataclass(frozen=True)
class TrainCommand:
    """The options that every objective has; a subclass adds its own, and `train`, how to train."""

    given: ClassVar[frozenset[str] | None] = None  # dotted names of the options that were typed, or None: all count so

    config: Path | None = None
    """A TOML file with any of these options; what is also given on the command line wins."""
    objective: str = ""
    """What is minimised. Each objective has options of its own: see --help with it."""
    out: Path = Path("runs/mine")
    """Folder for checkpoints, the log and the trained model."""
    threads: int | None = None
    """How many work at the same time; without it, one for each core. It changes the time, not the result."""
    processes: bool | None = None
    """Whether they are processes, where those can be made (Linux), or threads; without it, by the network's size."""
    device: DeviceName = "auto"
    """Where to compute."""
    train: TrainConfig = dataclasses.field(default_factory=TrainConfig)
    """How to train."""

    def prepare(self, device: Device) -> Objective:
        """Return the objective: its data read, its network made."""
        raise NotImplementedError

    def settings(self, objective: Any) -> dict[str, Any]:
        """Return all options as they were resolved, for run.json."""
        return to_table(replace(self, train=objective.config))

    def last_words(self, run: Run, where: str) -> str:
        """Return what is said at the end, and how to go on with the model in the folder `where`."""
        return ""

    def run(self) -> None:
        """Train, or go on with a run that was stopped."""
        refuse_a_model("out", self.out)  # before pictures are read
        device = select_device(self.device)
        objective = self.prepare(device)
        run = Run(objective, self.out, threads=self.threads, processes=self.processes)
        with run.lock:  # before anything is written there
            if not run.lock.is_locked:
                say(f"The file system of {self.out} has no locks: do not start another run there.")
            write_json(self.out / "run.json", self.settings(objective))
            if run.step == objective.config.steps and not run.notes:
                say(f"{self.out} has trained {counted(run.step, 'step')} already; a larger --train.steps goes on.")
            elif run.step:
                say(" ".join([f"Going on from step {run.step} in {self.out}.", *run.notes]))
            if run.step < objective.config.warmup >= objective.config.steps:
                say(_too_short(objective.config))
            started = time.perf_counter()
            try:
                run.run()
            except KeyboardInterrupt:
                again = shlex.join(["tinydiff", *sys.argv[1:]])
                say("", f"Stopped after step {run.step}; saved up to step {run.saved}. To go on: {again}")
                raise
            seconds = time.perf_counter() - started
            log = read_log(self.out)
            curve = plot.save_image(plot.loss_curve(log), self.out / "loss.png") if log else "without a log"
            where = shlex.quote(str(Path.cwd() / self.out))  # whole: `mnist` alone would name the shipped model
            last_words = self.last_words(run, where)
            if run.step > run.first:  # else the card of the run that took the steps stays
                write_card(run, self.out, device, seconds, last_words)
        say(f"Trained {counted(run.step, 'step')}: {curve}. {last_words}")


def _too_short(config):
    return (
        f"The learning rate rises for {config.warmup} steps (--train.warmup), but the run has {config.steps}: it ends "
        "before the rate has reached its peak."
    )


def on_device(network: Any, device: Device) -> Any:
    """Return the network with its weights where the device is."""
    return network if device.kind == "cpu" else network.bind(to_device(network.theta, device))


def training_and_test(name: str, size: Size) -> tuple[Dataset, Dataset]:
    """Return both splits of a data set by name, as images of this size."""
    return load_data(name, "train").resize(size), load_data(name, "test").resize(size)
