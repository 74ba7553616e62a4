"""Stable Diffusion's UNet at full size: one step at 64 x 64 latents beside PyTorch, in time and memory.

A folder with random weights of 16 bits is made once, 1.7 GB, as diffusers would write it; both read it, each in a
process of its own, in turn, and their outputs are compared:

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
from pathlib import Path

import numpy as np
import safetensors.numpy

from tinydiff.models.diffusers import inspect_checkpoint, read_network
from tinydiff.models.diffusers.defaults import UNET_2D_CONDITION
from tinydiff.models.diffusers.names import expected_shapes, names_of
from tinydiff.models.diffusers.networks import new_network
from tinydiff.models.diffusers.said import read_said

SIDE, TOKENS, TIME = 64, 77, 500
SAID = {"_class_name": "UNet2DConditionModel", "sample_size": SIDE, "cross_attention_dim": 768}  # of version 1.5
FILE = "diffusion_pytorch_model.safetensors"


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


def inputs() -> tuple[np.ndarray, np.ndarray]:
    """Return x_t and the vectors of a text."""
    rng = np.random.default_rng(1)
    return rng.standard_normal((1, SIDE, SIDE, 4), np.float32), rng.standard_normal((1, TOKENS, 768), np.float32)


def by_tinydiff(folder: Path, runs: int) -> tuple[np.ndarray, float, list[float]]:
    """Return the output, and how long reading and each forward took."""
    x, context = inputs()
    start = time.perf_counter()
    network = read_network(folder)
    read, seconds = time.perf_counter() - start, []
    for _ in range(runs):
        start = time.perf_counter()
        y = network.forward(x, np.array([TIME + 1]), context)
        seconds.append(time.perf_counter() - start)
    return y, read, seconds


def by_torch(folder: Path, runs: int) -> tuple[np.ndarray, float, list[float]]:
    """Return what `by_tinydiff` does, by diffusers."""
    import torch
    from diffusers import UNet2DConditionModel

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    x, context = inputs()
    there, words = torch.from_numpy(x.transpose(0, 3, 1, 2).copy()), torch.from_numpy(context)
    start = time.perf_counter()
    network = UNet2DConditionModel.from_pretrained(folder).float().eval()
    read, seconds = time.perf_counter() - start, []
    with torch.no_grad():
        for _ in range(runs):
            start = time.perf_counter()
            y = network(there, TIME, words).sample
            seconds.append(time.perf_counter() - start)
    return y.numpy().transpose(0, 2, 3, 1), read, seconds


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
        y, read, seconds = (by_tinydiff if options.only == "tinydiff" else by_torch)(options.folder, options.runs)
        np.save(options.folder / f"{options.only}.npy", y)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(json.dumps({"read": read, "seconds": seconds, "peak": peak}))
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
        best = min(second for one in rounds for second in one["seconds"])
        read, peak = min(one["read"] for one in rounds), max(one["peak"] for one in rounds)
        print(f"{library:<9} read in {read:.1f} s, a forward in {best:.1f} s, at most {peak:.2f} GB")
    if there:
        ratios = [min(a["seconds"]) / min(b["seconds"]) for a, b in zip(*found.values(), strict=True)]
        print("time of tinydiff over that of PyTorch:", ", ".join(f"{ratio:.2f}" for ratio in ratios))


if __name__ == "__main__":
    main()
