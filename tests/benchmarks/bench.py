"""Time tinydiff against PyTorch eager on the same UNet with the same weights: ``make bench``.

First their outputs and gradients are compared; then both run in turns, on one thread and on all cores. Then come where
a step's time goes, peak memory and growth, each in child processes, and torch.compile if there is a C++ compiler.
``--write`` puts the tables into docs/benchmarks.md.
"""

import argparse
import datetime
import importlib.metadata
import os
import platform
import shutil
import statistics
import sys
import time
import tomllib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from child import train_in_child
from growth import growth_table, measure
from sides import SAMPLE_BATCHES, PyTorch, Tinydiff, compare
from threadpoolctl import threadpool_info
from where import where_table

import tinydiff
from tinydiff.base import TinydiffError, atomic_write
from tinydiff.workers import default_threads, keep_freed_memory

HERE = Path(__file__).resolve().parent
REPORT = HERE.parent.parent / "docs" / "benchmarks.md"
MEMORY_BATCH = 128
TORCH_MICRO_BATCHES = ("whole batch", 16, 8)
CHOOSE_KERNELS = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")
COLUMNS = ("tinydiff", *TORCH_MICRO_BATCHES)
HOW = """\
Written by `make bench` (`tests/benchmarks/bench.py --write`): tinydiff against PyTorch eager, the same UNet with the
same weights, in turns. PyTorch runs in its default layout, with the fused AdamW, and gets the best of three ways to
cut a batch. Both libraries choose the kernels that suit the processor; environment variables that force others are
dropped. A train step is forward, backward, AdamW and the average of the weights; a DDIM step is one call of the
network and the update. The configurations and the goals are in `tests/benchmarks/configs.toml`; a ratio below 1 means
that tinydiff is faster."""
TORCH_MISSING = (
    "make bench compares tinydiff with PyTorch, which is not installed here. "
    f"Install it with: {sys.executable} -m pip install torch"
)


def time_in_turns(runs: dict, rounds: int) -> dict:
    """Return name -> seconds of each round; in a round every one of `runs` is called once."""
    seconds: dict = {name: [] for name in runs}
    for turn in range(-1, rounds):  # round -1 warms up
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            if turn >= 0:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def row(what: str, images: int, seconds: dict, goal: float) -> str:
    """Return a line of the table: medians in images/s, the ratio of times round by round, and the goal."""
    best = min(seconds.keys() - {"tinydiff"}, key=lambda name: statistics.median(seconds[name]))
    found = ratios(seconds, best)
    rates = [f"{images / statistics.median(seconds[name]):.1f}" if name in seconds else "" for name in COLUMNS]
    return f"| {what} | {' | '.join(rates)} | {show(found)} | {verdict(statistics.median(found), goal)} |"


def ratios(seconds: dict, other: str) -> list[float]:
    """Return our time / the other's, round by round, in order of size."""
    return sorted(a / b for a, b in zip(seconds["tinydiff"], seconds[other], strict=True))


def show(found: list[float]) -> str:
    return f"**{statistics.median(found):.2f}** ({found[0]:.2f}-{found[-1]:.2f})"


def verdict(ratio: float, goal: float) -> str:
    return f"{goal} {'reached' if ratio <= goal else '**missed**'}"


def memory_table(configs: list[dict]) -> list[str]:
    lines = [
        f"Peak memory of training at batch {MEMORY_BATCH}, MB, each in its own process (after import), and ours / "
        "PyTorch's with the whole batch. 32, 16 and 8 are PyTorch adding up gradients of so many images. Of our "
        "processes, what they share is counted once.",
        "",
        "| configuration | tinydiff (its micro-batch) | PyTorch, whole batch | 32 | 16 | 8 | ratio | goal |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for config in configs:
        found = [train_in_child(config, MEMORY_BATCH, who) for who in ("tinydiff", "whole batch", 32, 16, 8)]
        cells = [f"{training.peak:.0f} ({training.imported:.0f})" for training in found]
        cells[0] += f" ({found[0].micro_batch} images)"
        ratio, goal = found[0].peak / found[1].peak, config["goal"]["memory"]
        lines.append(f"| {config['name']} | {' | '.join(cells)} | **{ratio:.2f}** | {verdict(ratio, goal)} |")
        print(lines[-1], flush=True)
    return lines


def compiled_table(configs: list[dict], rounds: int) -> list[str]:
    """Compare with PyTorch's compiler, which needs another one, for C++."""
    threads = default_threads()
    if not any(map(shutil.which, ("c++", "g++", "clang++"))):
        return ["`torch.compile` was not measured: there is no C++ compiler on this machine."]
    lines = [
        f"Beside `torch.compile`, {threads} threads: images per second of a train step of the whole batch, medians of "
        f"{rounds} rounds, the ratio of times, and the seconds that compiling takes before the first step.",
        "",
        "| | tinydiff | compiled | ratio | seconds to compile |",
        "|---|---|---|---|---|",
    ]
    for config in configs:
        ours = Tinydiff(config, config["batch"], threads)
        theirs = PyTorch(ours, threads)
        theirs.network = theirs.torch.compile(theirs.network)
        start = time.perf_counter()
        theirs.train_step("whole batch")
        to_compile = time.perf_counter() - start
        runs = {"tinydiff": ours.train_step, "compiled": partial(theirs.train_step, "whole batch")}
        seconds = time_in_turns(runs, rounds)
        ours.gradient_sum.close()
        rates = " | ".join(f"{config['batch'] / statistics.median(values):.1f}" for values in seconds.values())
        lines.append(f"| {config['name']} | {rates} | {show(ratios(seconds, 'compiled'))} | {to_compile:.0f} |")
        print(lines[-1], flush=True)
    return lines


def speed_table(configs: list[dict], rounds: int, threads: int) -> list[str]:
    goal_of = "train_one_thread" if threads == 1 else "train"
    how_many = "one thread" if threads == 1 else f"{threads} threads"
    lines = [
        f"On {how_many}: images per second, medians of {rounds} rounds, and the ratio of times, tinydiff / best "
        "PyTorch (range).",
        "",
        "| | tinydiff | PyTorch, whole batch | 16 | 8 | ratio | goal |",
        "|---|---|---|---|---|---|---|",
    ]
    for config in configs:
        ours = Tinydiff(config, config["batch"], threads)
        theirs = PyTorch(ours, threads)
        print(f"{config['name']}, {how_many}. Differences: {compare(ours, theirs)}", flush=True)
        train = {name: partial(theirs.train_step, name) for name in TORCH_MICRO_BATCHES}
        seconds = time_in_turns({"tinydiff": ours.train_step, **train}, rounds)
        ours.gradient_sum.close()
        what = f"train step, {config['name']}, batch {config['batch']}"
        lines.append(row(what, config["batch"], seconds, config["goal"][goal_of]))
        print(lines[-1], flush=True)
        for batch in SAMPLE_BATCHES if threads > 1 else ():
            seconds = time_ddim(ours, theirs, batch, rounds)
            goal = config["goal"]["sample" if batch > 1 else "sample_one_image"]
            lines.append(row(f"DDIM step, {config['name']}, batch {batch}", batch, seconds, goal))
            print(lines[-1], flush=True)
    return lines


def time_ddim(ours: Tinydiff, theirs: PyTorch, batch: int, rounds: int) -> dict:
    """Return seconds of a DDIM step; each chain goes on from round to round."""
    steps = 1 if batch > 1 else 10  # in a round
    micro_batches = TORCH_MICRO_BATCHES if batch > 1 else TORCH_MICRO_BATCHES[:1]
    total = steps * (rounds + 1)
    chains = {"tinydiff": ours.chain(batch, total)} | {name: theirs.chain(batch, total, name) for name in micro_batches}
    runs = {name: partial(advance, chain, steps) for name, chain in chains.items()}
    seconds = time_in_turns(runs, rounds)
    return {name: [s / steps for s in values] for name, values in seconds.items()}


def advance(chain: Iterator, steps: int) -> None:
    for _ in range(steps):
        next(chain)


def machine(load: float) -> str:
    packages = [f"{name} {importlib.metadata.version(name)}" for name in ("numpy", "torch")]
    versions = ", ".join([f"Python {platform.python_version()}", f"tinydiff {tinydiff.__version__}", *packages])
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        cpu = next((line.split(": ")[1] for line in info.read_text().splitlines() if "model name" in line), cpu)
    blas = {f"{found['internal_api']} for {found.get('architecture', '?')}" for found in threadpool_info()}
    return (
        f"{datetime.date.today()}, {cpu}, {default_threads()} cores, {versions}, NumPy's BLAS "
        f"{', '.join(sorted(b for b in blas if 'openmp' not in b))}; load at the start {load:.1f}."
    )


def load_average() -> float:
    """Return the load of the last minute, and say so if others compute here: PyTorch's threads suffer more."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if load > 0.5:
        print(f"The load of this machine is {load:.1f}: other processes run, and ratios will mislead.", file=sys.stderr)
    return load


def main() -> None:
    """Measure tinydiff against PyTorch, print the tables, and write them to the report where ``--write`` says so."""
    forced = [name for name in CHOOSE_KERNELS if name in os.environ]
    if forced:  # they are read when the libraries are loaded, so this process begins anew
        print(f"Without {', '.join(forced)}: both libraries choose the kernels that suit the processor.", flush=True)
        environment = {name: value for name, value in os.environ.items() if name not in forced}
        os.execve(sys.executable, [sys.executable, *sys.argv], environment)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", help="only the configuration of this name in configs.toml")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--write", action="store_true", help=f"write the tables to {REPORT.name}")
    args = parser.parse_args()
    configs = tomllib.loads((HERE / "configs.toml").read_text())["config"]
    names = [config["name"].partition(":")[0] for config in configs]
    if args.config is not None and args.config.partition(":")[0] not in names:
        parser.error(f"--config is {args.config!r}, but one of {', '.join(names)} was expected.")
    if args.rounds < 1:
        parser.error(f"--rounds is {args.rounds}, but at least 1 was expected.")
    if args.config is not None:
        configs = [configs[names.index(args.config.partition(":")[0])]]
    keep_freed_memory()  # before PyTorch is imported: its threads would otherwise take other memory
    try:
        import torch  # noqa: F401
    except ImportError:
        print(TORCH_MISSING, file=sys.stderr)
        sys.exit(2)
    load = load_average()
    tables = [speed_table(configs, args.rounds, threads) for threads in sorted({1, default_threads()}, reverse=True)]
    tables += [
        where_table(configs),
        memory_table(configs),
        growth_table(measure()),
        compiled_table(configs, args.rounds),
    ]
    text = "\n".join(
        ["# Benchmarks", "", HOW, "", machine(load), *(line for table in tables for line in ("", *table)), ""]
    )
    print("\n" + "\n".join(text.splitlines()[4:]))
    if args.write:
        try:
            atomic_write(REPORT, lambda file: file.write(text.encode()))
        except TinydiffError as error:
            sys.exit(str(error))


if __name__ == "__main__":
    main()
