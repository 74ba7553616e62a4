"""Bits for each number of many test pictures, in parts: what `tinydiff evaluate --likelihood` measures at once.

A likelihood by the ODE takes seconds for a picture, and so hours for a thousand. Every picture has noise of its own, so
parts give the figures of the whole; what is measured is kept in a file, and the same command goes on:

    TINYDIFF_DATA=... python tests/benchmarks/bits.py mnist --data mnist --n 1000 --keep runs/bits-mnist.npz
"""

import argparse
from pathlib import Path

import numpy as np
from tqdm import tqdm

from tinydiff.base import InputError, atomic_write
from tinydiff.data import load_data
from tinydiff.evaluate import mean_bits, picture_bits
from tinydiff.evaluate.likelihood import STEPS, STRATA, PictureBits
from tinydiff.models import DiffusionModel, load

AT_ONCE = 16


def kept_bits(path: Path, what: str) -> np.ndarray:
    """Return the bits that a file keeps, shape (number measured, parts), or none where there is no file."""
    if not path.exists():
        return np.zeros((0, len(PictureBits._fields)))
    with np.load(path) as kept:
        if str(kept["what"]) != what:
            raise InputError(f"{path} keeps bits of {kept['what']}, but {what} was asked for: give another file.")
        return kept["bits"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a diffusion model of pixels")
    parser.add_argument("--data", required=True, help="whose test pictures are measured")
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--keep", type=Path, required=True, help="the file of what is measured (npz)")
    arguments = parser.parse_args()
    model = load(arguments.model, kind=DiffusionModel)
    images = load_data(arguments.data, "test").resize(model.picture_shape[:2]).images[: arguments.n]
    what = f"{arguments.model} on {arguments.data}, {STRATA} strata, {STEPS} steps"
    try:
        bits = kept_bits(arguments.keep, what)
    except InputError as error:
        parser.error(str(error))
    for start in tqdm(range(len(bits), len(images), AT_ONCE), unit="part", disable=None):
        part = picture_bits(model, images[start : start + AT_ONCE], first=start)
        bits = np.concatenate([bits, np.stack(part, axis=1)])
        atomic_write(arguments.keep, lambda file, bits=bits: np.savez(file, bits=bits, what=what))
    found = PictureBits(*bits[: len(images)].T)
    for name in ("bound", *PictureBits._fields):
        mean, low, high = mean_bits(getattr(found, name))
        print(f"{name:<8}{mean:>8.4f} ({low:.4f} to {high:.4f})")
    print(f"{what}; the first {len(images)} test pictures, seed 0")


if __name__ == "__main__":
    main()
