"""Time tinydiff against PyTorch eager on the same UNet with the same weights: ``make bench``.

First their outputs and gradients are compared; then both run in turns, on one thread and on all cores; then a child
process each trains at batch 128 for its peak memory. ``--write`` puts the tables into docs/benchmarks.md.
"""

import argparse
import dataclasses
import datetime
import importlib.metadata
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info

import tinydiff
from tinydiff.diffusion.samplers import last, step_pairs
from tinydiff.errors import TinydiffError
from tinydiff.files import atomic_write
from tinydiff.functional import mse, mse_backward
from tinydiff.lanes import LaneSum
from tinydiff.model import DiffusionModel, ModelConfig
from tinydiff.nn import Gradients, Tape, UNet, UNetConfig
from tinydiff.noise import Noise
from tinydiff.parallel import default_threads, keep_freed_memory
from tinydiff.train import AdamW

HERE = Path(__file__).resolve().parent
REPORT = HERE.parent.parent / "docs" / "benchmarks.md"
TOLERANCE = {"output": 1e-5, "gradients": 1e-4, "sample": 1e-3}  # float32: largest difference / largest number
LANES, LR, BETAS, EMA_DECAY = 2, 1e-4, (0.9, 0.99), 0.999
COMPARED_STEPS = 4  # of DDIM, for which samples are compared
SAMPLE_BATCHES = (64, 1)
MEMORY_BATCH = 128
TORCH_MICRO_BATCHES = ("whole batch", 16, 8)
CHOOSE_KERNELS = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")
COLUMNS = ("tinydiff", *TORCH_MICRO_BATCHES)
SEED = 0
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


class Tinydiff:
    """Our side: one train step, and sampling."""

    def __init__(self, config: dict, batch: int, threads: int | None = None):
        unet = UNetConfig(**config["unet"])
        self.micro_batch = config["micro_batch"]
        self.network = UNet(unet)
        noise = Noise(0)
        self.network.theta[...] += 0.02 * noise.normal((1, self.network.theta.size), "weights")[0]  # no zeros left
        shape = (batch, unet.image_size, unet.image_size, unet.in_channels)
        self.x_t, self.eps = noise.normal(shape, "x_t"), noise.normal(shape, "eps")
        self.t = noise.integers(1, 1000, batch, "t")
        self.model = DiffusionModel(self.network, ModelConfig(unet, "linear", kind="eps"), self.micro_batch, threads)
        self.ema = self.network.theta.copy()
        self.parameters = self.network.parameters()
        self.gradient_sum = LaneSum(self.add_gradient, -(-batch // self.micro_batch), self.ema, LANES, threads)
        if self.gradient_sum.crew is not None:
            self.network.move_to(self.gradient_sum.zeros(self.ema.shape, self.ema.dtype))
        self.optimizer = AdamW(self.network.theta, self.network.decay_mask(), BETAS, weight_decay=0.01)

    def gradient(self) -> np.ndarray:
        """Return the gradient of the loss of the whole batch."""
        self.gradient_sum()
        return self.gradient_sum.totals[0]

    def add_gradient(self, shard: int, flat: np.ndarray) -> None:
        images = slice(shard * self.micro_batch, (shard + 1) * self.micro_batch)
        tape, grads = Tape(), Gradients(self.parameters, flat)
        eps_hat = self.network.forward(self.x_t[images], self.t[images], tape=tape)
        _, cache = mse(eps_hat, self.eps[images])
        d_eps_hat, _ = mse_backward(len(eps_hat) / len(self.x_t), cache)
        self.network.backward(d_eps_hat, tape, grads)

    def train_step(self) -> None:
        self.optimizer.step(self.gradient(), LR, ema=self.ema, decay=EMA_DECAY)

    def chain(self, batch: int, steps: int) -> Iterator:
        """Return DDIM's chain; a single image is a shard of its own."""
        model = dataclasses.replace(self.model, micro_batch=min(batch, self.micro_batch))
        return model.chain(batch, SEED, steps=steps)


class PyTorch:
    """The other side, from our weights and inputs, in micro-batches of so many images or in one piece."""

    def __init__(self, ours: Tinydiff, threads: int):
        import torch
        import torch_unet

        torch.set_num_threads(threads)
        self.torch = torch
        self.named = {name: p.value for name, p in ours.network.named_parameters().items()}
        self.gradients_of = torch_unet.gradients_of
        self.network = torch_unet.UNet(ours.network.config)
        torch_unet.load_from(self.network, self.named)
        self.x_t, self.eps = (torch.from_numpy(x).permute(0, 3, 1, 2).contiguous() for x in (ours.x_t, ours.eps))
        self.t = torch.from_numpy(ours.t)
        self.diffusion = ours.model.diffusion
        self.parameters = list(self.network.parameters())
        self.optimizer = torch.optim.AdamW(self.parameters, lr=LR, betas=BETAS, weight_decay=0.01, fused=True)
        self.ema = [p.detach().clone() for p in self.parameters]

    def shards(self, micro_batch):
        size = len(self.x_t) if micro_batch == "whole batch" else micro_batch
        return [slice(start, start + size) for start in range(0, len(self.x_t), size)]

    def compute_gradients(self, micro_batch="whole batch") -> None:
        self.optimizer.zero_grad()
        for images in self.shards(micro_batch):
            eps_hat = self.network(self.x_t[images], self.t[images])
            (((eps_hat - self.eps[images]) ** 2).sum() / self.eps.numel()).backward()

    def train_step(self, micro_batch) -> None:
        self.compute_gradients(micro_batch)
        self.optimizer.step()
        self.torch._foreach_lerp_(self.ema, [p.detach() for p in self.parameters], 1 - EMA_DECAY)

    def chain(self, batch: int, steps: int, micro_batch: str | int = "whole batch") -> Iterator:
        """Yield x_t after every step of DDIM, from the noise that tinydiff's chain starts with."""
        _, *shape = self.x_t.shape
        x_T = Noise(SEED).normal((batch, *shape[1:], shape[0]), "x_T")
        x_t = self.torch.from_numpy(x_T).permute(0, 3, 1, 2).contiguous()
        size = batch if micro_batch == "whole batch" else micro_batch
        alpha_bar = self.diffusion.alpha_bar
        for t, s in step_pairs(self.diffusion, steps):
            with self.torch.inference_mode():
                a_t, a_s = float(alpha_bar[int(t)]), float(alpha_bar[int(s)])
                step = self.torch.full((size,), int(t))
                parts = [self.network(x, step[: len(x)]) for x in x_t.split(size)]
                eps_hat = self.torch.cat(parts)
                x_0_hat = ((x_t - (1 - a_t) ** 0.5 * eps_hat) / a_t**0.5).clamp(-1, 1)
                eps_hat = (x_t - a_t**0.5 * x_0_hat) / (1 - a_t) ** 0.5
                x_t = a_s**0.5 * x_0_hat + (1 - a_s) ** 0.5 * eps_hat
            yield x_t


def compare(ours: Tinydiff, theirs: PyTorch) -> str:
    """Return how far outputs, gradients and samples differ; exit if by more than float32 explains."""
    with theirs.torch.inference_mode():
        output = theirs.network(theirs.x_t, theirs.t)
    theirs.compute_gradients()
    gradients = theirs.gradients_of(theirs.network, theirs.named)
    differences = {
        "output": difference(ours.model.network_output(ours.x_t, ours.t), to_nhwc(output)),
        "gradients": difference(ours.gradient(), np.concatenate([g.ravel() for g in gradients.values()])),
        "sample": difference(
            last(ours.chain(SAMPLE_BATCHES[0], COMPARED_STEPS)),
            to_nhwc(list(theirs.chain(SAMPLE_BATCHES[0], COMPARED_STEPS))[-1]),
        ),
    }
    for name, value in differences.items():
        if not value <= TOLERANCE[name]:
            sys.exit(
                f"The {name} differ by {value:.1e}, more than {TOLERANCE[name]:.0e}: the timings would mean nothing."
            )
    return ", ".join(f"{name} {value:.0e} (at most {TOLERANCE[name]:.0e})" for name, value in differences.items())


def difference(ours, theirs) -> float:
    return float(abs(ours - theirs).max() / abs(theirs).max())


def to_nhwc(x) -> np.ndarray:
    return x.permute(0, 2, 3, 1).numpy()


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
    ratios = sorted(a / b for a, b in zip(seconds["tinydiff"], seconds[best], strict=True))
    ratio = statistics.median(ratios)
    rates = [f"{images / statistics.median(seconds[name]):.1f}" if name in seconds else "" for name in COLUMNS]
    reached = "reached" if ratio <= goal else "**missed**"
    return f"| {what} | {' | '.join(rates)} | **{ratio:.2f}** ({ratios[0]:.2f}-{ratios[-1]:.2f}) | {goal} {reached} |"


def peak_memory() -> float:
    """Return this process's largest resident size so far, in MB."""
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss would start at the parent's: Linux carries it over fork and exec
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / 1e6
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def memory_of_crew(crew: Any) -> float:
    """Return the memory of this process and of its crew, in MB, what they share counted once.

    It is read after the steps; freed memory is kept (`keep_freed_memory`), so that is the most there was.
    """
    pids = [os.getpid(), *(process.pid for process, _ in crew.others)]
    rollups = [Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines() for pid in pids]
    return sum(int(line.split()[1]) for lines in rollups for line in lines if line.startswith("Pss:")) * 1024 / 1e6


def measure_memory(config: dict, who: str) -> None:
    """Train two steps in this process, a child, and print the memory after import and the peak."""
    if who == "tinydiff":
        imported = peak_memory()
        ours = Tinydiff(config, MEMORY_BATCH)
        steps, crew = [ours.train_step] * 2, ours.gradient_sum.crew
    else:
        import torch  # noqa: F401  # before the baseline is taken

        imported, crew = peak_memory(), None
        theirs = PyTorch(Tinydiff(config, MEMORY_BATCH, threads=1), default_threads())  # ours never runs
        micro_batch = who if who == "whole batch" else int(who)
        steps = [partial(theirs.train_step, micro_batch)] * 2
    for step in steps:
        step()
    print(json.dumps([imported, peak_memory() if crew is None else memory_of_crew(crew)]))


def memory_table(configs: list[dict]) -> list[str]:
    lines = [
        f"Peak memory of training at batch {MEMORY_BATCH}, MB, each in its own process (after import), and ours / "
        "PyTorch's with the whole batch; the goal is 0.3. 32, 16 and 8 are PyTorch adding up gradients of so many "
        "images. Of our processes, what they share is counted once.",
        "",
        "| configuration | tinydiff (its micro-batch) | PyTorch, whole batch | 32 | 16 | 8 | ratio |",
        "|---|---|---|---|---|---|---|",
    ]
    for config in configs:
        found = []
        for who in ("tinydiff", "whole batch", 32, 16, 8):
            command = [sys.executable, __file__, "--config", config["name"], "--memory-of", str(who)]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                sys.exit(f"The memory measurement of {who} failed:\n{done.stderr}")
            found.append(json.loads(done.stdout))
        cells = [f"{peak:.0f} ({imported:.0f})" for imported, peak in found]
        cells[0] += f" ({config['micro_batch']} images)"
        lines.append(f"| {config['name']} | {' | '.join(cells)} | **{found[0][1] / found[1][1]:.2f}** |")
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
    forced = [name for name in CHOOSE_KERNELS if name in os.environ]
    if forced:  # they are read when the libraries are loaded, so this process begins anew
        print(f"Without {', '.join(forced)}: both libraries choose the kernels that suit the processor.", flush=True)
        environment = {name: value for name, value in os.environ.items() if name not in forced}
        os.execve(sys.executable, [sys.executable, *sys.argv], environment)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", help="only the configuration of this name in configs.toml")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--write", action="store_true", help=f"write the tables to {REPORT.name}")
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)  # what a child process is started with
    args = parser.parse_args()
    configs = tomllib.loads((HERE / "configs.toml").read_text())["config"]
    names = [config["name"].partition(":")[0] for config in configs]
    if args.config is not None and args.config.partition(":")[0] not in names:
        parser.error(f"--config is {args.config!r}, but one of {', '.join(names)} was expected.")
    if args.rounds < 1:
        parser.error(f"--rounds is {args.rounds}, but at least 1 was expected.")
    if args.config is not None:
        configs = [configs[names.index(args.config.partition(":")[0])]]
    if args.memory_of is None:
        keep_freed_memory()  # before PyTorch is imported: its threads would otherwise take other memory
    if args.memory_of:
        measure_memory(configs[0], args.memory_of)
        return
    try:
        import torch  # noqa: F401
    except ImportError:
        print(TORCH_MISSING, file=sys.stderr)
        sys.exit(2)
    load = load_average()
    tables = [speed_table(configs, args.rounds, threads) for threads in sorted({1, default_threads()}, reverse=True)]
    tables.append(memory_table(configs))
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
