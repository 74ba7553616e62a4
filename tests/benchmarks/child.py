"""Memory and time of training, measured in a process of its own: memory that was touched once is never given back."""

import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from sides import PyTorch, Tinydiff

from tinydiff.workers import default_threads, keep_freed_memory


class Training(NamedTuple):
    """What a child found: megabytes after import and at most, seconds for an image, and what was measured."""

    imported: float
    peak: float
    seconds: float
    micro_batch: int
    parameters: int


def train_in_child(config: dict, batch: int, who: str | int, steps: int = 2) -> Training:
    """Train a few steps at some batch size: "tinydiff", or PyTorch with the "whole batch" or so many images at once."""
    request = json.dumps({"config": config, "batch": batch, "who": who, "steps": steps})
    done = subprocess.run([sys.executable, __file__, request], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"The measurement of {who} at batch {batch} failed:\n{done.stderr}")
    return Training(*json.loads(done.stdout))


def train(config: dict, batch: int, who: str | int, steps: int) -> Training:
    """Measure in this process, the child."""
    keep_freed_memory()  # before PyTorch is imported: its threads would otherwise take other memory
    if who == "tinydiff":
        imported = peak_memory()
        ours = Tinydiff(config, batch)
        step, crew = ours.train_step, ours.gradient_sum.crew
    else:
        import torch  # noqa: F401  # before the baseline is taken

        imported, crew = peak_memory(), None
        ours = Tinydiff(config, batch, threads=1)  # never runs
        step = partial(PyTorch(ours, default_threads()).train_step, who)
    seconds = []
    for _ in range(steps):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    peak = peak_memory() if crew is None else memory_of_crew(crew)
    ours.gradient_sum.close()
    per_image = statistics.median(seconds[1:]) / batch
    return Training(imported, peak, per_image, ours.micro_batch, ours.network.theta.size)


def peak_memory() -> float:
    """Return this process's largest resident size so far, in MB."""
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss would start at the parent's: Linux carries it over fork and exec
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / 1e6
    unit = 1 if platform.system() == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def memory_of_crew(crew: Any) -> float:
    """Return the memory of this process and of its crew, in MB, what they share counted once.

    It is read after the steps; freed memory is kept (`keep_freed_memory`), so that is the most there was.
    """
    pids = [os.getpid(), *(process.pid for process, _ in crew.others)]
    rollups = [Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines() for pid in pids]
    return sum(int(line.split()[1]) for lines in rollups for line in lines if line.startswith("Pss:")) * 1024 / 1e6


if __name__ == "__main__":
    print(json.dumps(train(**json.loads(sys.argv[1]))))
