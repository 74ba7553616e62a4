"""Make the data sets that ship with tinydiff, from full MNIST and scikit-learn's digits.

    TINYDIFF_DATA=folder/with/mnist python tools/make_data.py      (needs scikit-learn, at this moment only)

mnist-small: the first 600 training and the first 100 test images of every class, in the order of MNIST.
digits: all 1,797 images of scikit-learn's digits, 0 .. 16 scaled to 0 .. 255; the last 300 are the test split.
"""

import hashlib
import io
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from tinydiff.data import load
from tinydiff.files import atomic_write

FOLDER = Path(__file__).resolve().parent.parent / "tinydiff" / "data"


def main():
    arrays = {}
    for split, per_class in (("train", 600), ("test", 100)):
        full = load("mnist", split)
        chosen = np.sort(np.concatenate([np.flatnonzero(full.labels == c)[:per_class] for c in range(10)]))
        arrays[f"{split}_images"] = full.images[chosen, ..., 0]
        arrays[f"{split}_labels"] = full.labels[chosen].astype(np.uint8)
    write("mnist-small.npz", arrays)

    digits = load_digits()
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    labels = digits.target.astype(np.uint8)
    train, test = slice(0, -300), slice(-300, None)
    write(
        "digits.npz",
        {
            "train_images": images[train],
            "train_labels": labels[train],
            "test_images": images[test],
            "test_labels": labels[test],
        },
    )


def write(name, arrays):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    atomic_write(FOLDER / name, lambda file: file.write(buffer.getvalue()))
    pixels = hashlib.sha256(b"".join(arrays[key].tobytes() for key in sorted(arrays))).hexdigest()
    print(f"{name}: {len(buffer.getvalue()):,} bytes, SHA-256 of the arrays in the order of their names: {pixels}")


if __name__ == "__main__":
    main()
