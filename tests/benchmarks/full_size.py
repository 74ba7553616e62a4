"""Stable Diffusion's UNet at full size: forwards at 64 x 64 latents beside PyTorch, in time and memory.

A folder with random weights of 16 bits is made once, 1.7 GB, as diffusers would write it; both read it, each in a
process of its own, in turn, and their outputs are compared. A step with guidance is two rows, with the words and
without:

    python tests/benchmarks/full_size.py --folder runs/full-size

PyTorch and diffusers are needed for the comparison; without them only tinydiff is measured.
"""

import argparse
import importlib.util
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import safetensors.numpy

from tinydiff.models.diffusers import inspect_checkpoint, read_network
from tinydiff.models.diffusers.defaults import UNET_2D_CONDITION
from tinydiff.models.diffusers.names import expected_shapes, names_of
from tinydiff.models.diffusers.networks import new_network
from tinydiff.models.diffusers.said import read_said
from tinydiff.workers import Workers

SIDE, TOKENS, TIME = 64, 77, 500
SAID = {"_class_name": "UNet2DConditionModel", "sample_size": SIDE, "cross_attention_dim": 768}  # of version 1.5
FILE = "diffusion_pytorch_model.safetensors"
Forward = Callable[[np.ndarray, np.ndarray], np.ndarray]


def make_folder(folder: Path) -> None:
    """Write config and random weights, of a size with which numbers stay about 1."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(UNET_2D_CONDITION | SAID, indent=2))
    network = new_network(read_said(folder / "config.json"))
    parameters, rng, arrays = network.named_parameters(), np.random.default_rng(0), {}
    for ours, theirs in names_of(network).items():
        shape, *_ = expected_shapes(parameters[ours], ours, theirs)
        for name in theirs:
            if len(shape) == 1:
                arrays[name] = np.full(shape, ours.endswith("gamma"), np.float16)
            else:
                scale = 0.7 * float(np.prod(shape[1:])) ** -0.5
                arrays[name] = (scale * rng.standard_normal(shape, np.float32)).astype(np.float16)
    safetensors.numpy.save_file(arrays, folder / FILE, metadata={"format": "pt"})


def inputs(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return x_t and the vectors of a text, for so many rows."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((1, SIDE, SIDE, 4), np.float32)
    return x.repeat(rows, axis=0), rng.standard_normal((rows, TOKENS, 768), np.float32)


def by_tinydiff(folder: Path) -> tuple[float, Forward]:
    """Return how long reading took, and the forward of a row or of two, as a chain computes them."""
    start = time.perf_counter()
    network = read_network(folder)
    took = time.perf_counter() - start

    def forward(x: np.ndarray, context: np.ndarray) -> np.ndarray:
        if len(x) == 1:
            return network.forward(x, np.array([TIME + 1]), context)
        return Workers(1).map(network.forward, x, np.full(len(x), TIME + 1), context)

    return took, forward


def by_torch(folder: Path) -> tuple[float, Forward]:
    """Return what `by_tinydiff` does, by diffusers."""
    import torch
    from diffusers import UNet2DConditionModel

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    start = time.perf_counter()
    network = UNet2DConditionModel.from_pretrained(folder).float().eval()
    took = time.perf_counter() - start

    def forward(x: np.ndarray, context: np.ndarray) -> np.ndarray:
        there = torch.from_numpy(x.transpose(0, 3, 1, 2).copy())
        with torch.no_grad():
            y = network(there, TIME, torch.from_numpy(context)).sample
        return y.numpy().transpose(0, 2, 3, 1)

    return took, forward


def measure_here(library: str, folder: Path, runs: int) -> None:
    """Measure a library in this process, and print what was found."""
    read, forward = (by_tinydiff if library == "tinydiff" else by_torch)(folder)
    seconds: dict[str, float] = {}
    for rows in (1, 2):
        x, context = inputs(rows)
        for _ in range(runs):
            start = time.perf_counter()
            y = forward(x, context)
            took = time.perf_counter() - start
            seconds[str(rows)] = min(took, seconds.get(str(rows), np.inf))
    np.save(folder / f"{library}.npy", y)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(json.dumps({"read": read, "seconds": seconds, "peak": peak}))


def measured(library: str, folder: Path, runs: int) -> dict:
    """Return what a process of its own measures, with its output."""
    command = [sys.executable, __file__, "--folder", str(folder), "--runs", str(runs), "--only", library]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1]) | {"y": np.load(folder / f"{library}.npy")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=2, help="forwards in each process")
    parser.add_argument("--rounds", type=int, default=2, help="processes of each library, in turn")
    parser.add_argument("--only", choices=("tinydiff", "torch"), help="measure one in this process")
    options = parser.parse_args()
    if not (options.folder / FILE).is_file():
        make_folder(options.folder)
    if options.only:
        measure_here(options.only, options.folder, options.runs)
        return
    start = time.perf_counter()
    (part,) = inspect_checkpoint(options.folder)
    assert part.tensors is not None
    print(
        f"{part.tensors.size:,} weights in {len(part.tensors.of)} tensors, told in {time.perf_counter() - start:.2f} s"
    )
    there = all(importlib.util.find_spec(name) for name in ("torch", "diffusers"))
    libraries = ("tinydiff", "torch") if there else ("tinydiff",)
    found: dict[str, list[dict]] = {library: [] for library in libraries}
    for _ in range(options.rounds):
        for library in libraries:
            found[library].append(measured(library, options.folder, options.runs))
    if there:
        ours, theirs = (found[library][0]["y"] for library in libraries)
        print(f"outputs differ by {abs(ours - theirs).max():.1e}, of {abs(theirs).max():.2f}")
    for library, rounds in found.items():
        row, two = (min(one["seconds"][rows] for one in rounds) for rows in ("1", "2"))
        read, peak = min(one["read"] for one in rounds), max(one["peak"] for one in rounds)
        print(f"{library:<9} read in {read:.1f} s; a row in {row:.1f} s, two in {two:.1f} s; at most {peak:.2f} GB")
    for rows, what in (("1", "a row"), ("2", "two")) if there else ():
        ratios = (a["seconds"][rows] / b["seconds"][rows] for a, b in zip(*found.values(), strict=True))
        print(f"time of tinydiff over that of PyTorch, {what}:", ", ".join(f"{ratio:.2f}" for ratio in ratios))


if __name__ == "__main__":
    main()
