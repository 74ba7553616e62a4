"""Latents as data: pictures that an autoencoder has encoded once, so that a training need not encode them again."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from tinydiff.base import (
    Array,
    DataError,
    InputError,
    atomic_write,
    check_count,
    checked,
    checks_arguments,
    counted,
    printable,
)

PART = 2048  # pictures that are encoded, and saved, together


@checks_arguments("__init__", "batch")
@dataclass(frozen=True, eq=False)
class LatentData:
    """Standardised latents of pictures, as half-precision numbers, turned into float32 one batch at a time.

    Parameters
    ----------
    latents : float16 array, shape (N, h, w, c)
    labels : integer array, shape (N,)
    captions : tuple of str or None
        One text for each picture.
    name : str
        Of the pictures.
    autoencoder : str
        The checksum of the autoencoder that they belong to.
    source : str
        What the pictures are, for people.
    """

    latents: Any  # elsewhere, numbers of half precision are refused as arguments
    labels: np.ndarray
    captions: tuple[str, ...] | None
    name: str
    autoencoder: str
    source: str = ""

    def __post_init__(self):
        if not isinstance(self.latents, np.ndarray) or self.latents.dtype != np.float16 or self.latents.ndim != 4:
            found = f"dtype {self.latents.dtype}" if hasattr(self.latents, "dtype") else type(self.latents).__name__
            raise InputError(f"latents has {found}, but an array of float16 with four axes was expected.")
        for name, given in (("labels", self.labels), ("captions", self.captions)):
            if given is not None and len(given) != len(self.latents):
                raise InputError(f"{name} holds {len(given)}, but there are latents of {len(self.latents)} pictures.")

    def __len__(self) -> int:
        return len(self.latents)

    @property
    def shape(self) -> tuple[int, ...]:
        """Height, width and channels of the latents of a picture."""
        return self.latents.shape[1:]

    def describe(self) -> str:
        """Return one line that says what this is."""
        sides = " x ".join(map(str, self.shape))
        return printable(f"{self.source or self.name}, as latents {sides} of autoencoder {self.autoencoder}")

    def batch(
        self, indices: Array | Sequence[int], xp: Any = np, flip: np.ndarray | None = None
    ) -> tuple[Array, Array]:
        """Return latents (n, h, w, c), float32, and labels (n,), as `Dataset` does for pictures."""
        if flip is not None:
            raise InputError("flip was given, but latents cannot be mirrored: leave it out.")
        indices = np.asarray(indices)
        if indices.size and not (0 <= indices.min() and indices.max() < len(self)):
            raise InputError(
                f"indices run from {indices.min()} to {indices.max()}, but there are {counted(len(self), 'picture')}."
            )
        return xp.asarray(self.latents[indices].astype(np.float32)), xp.asarray(self.labels[indices])

    def take(self, indices: slice) -> "LatentData":
        """Return the latents of these pictures only."""
        captions = None if self.captions is None else self.captions[indices]
        chosen = self.latents[indices], self.labels[indices], captions
        return LatentData(*chosen, self.name, self.autoencoder, self.source)

    def identity(self) -> dict[str, Any]:
        """Return what decides the latents and captions: a run is resumed only with the same values."""
        found = hashlib.sha256(self.latents.tobytes())
        found.update("\n".join(self.captions or ()).encode())
        return {"autoencoder": self.autoencoder, "checksum of latents": found.hexdigest()[:16]}


@checked()
def encode_once(
    data: Any,
    encode: Callable[[Array], Array],
    autoencoder: str,
    folder: Path | str,
    progress: Callable[[int, int], None] | None = None,
) -> LatentData:
    """Return the latents of all pictures of a data set; what a folder holds of them already is not encoded again.

    They are saved in parts, each when it is done, so that an encoding that was stopped goes on.

    Parameters
    ----------
    data : Dataset, DrawnScenes
        Pictures, with ``batch(indices)``, ``captions`` and ``identity()``.
    encode : callable
        ``encode(pictures) -> latents``, such as `LatentAutoencoder.encode`.
    autoencoder : str
        Its checksum.
    folder : str or Path
        Where the parts are kept.
    progress : callable or None
        ``progress(part, parts)`` is called after every part.

    Raises
    ------
    DataError
        If the folder holds latents of other pictures or of another autoencoder, or cannot be read or written.
    """
    check_count("the number of pictures", len(data))
    about = {"autoencoder": autoencoder, "data": json.dumps(data.identity(), sort_keys=True)}
    parts, labels = [], []
    files = _parts(len(data), Path(folder))
    for number, (start, path) in enumerate(files, 1):
        indices = np.arange(start, min(start + PART, len(data)))
        if path.exists():
            found = _read(path, about)
        else:
            pictures, classes = data.batch(indices)
            latents = np.asarray(encode(pictures)).astype(np.float16)
            found = {"latents": latents, "labels": np.asarray(classes, np.int64)}
            written = safetensors.numpy.save(found, metadata=about)
            _write(path, written)
        parts.append(found["latents"])
        labels.append(found["labels"])
        if progress is not None:
            progress(number, len(files))
    captions = None if data.captions is None else tuple(data.captions)
    return LatentData(np.concatenate(parts), np.concatenate(labels), captions, data.name, autoencoder, data.describe())


def _parts(n: int, folder: Path) -> list[tuple[int, Path]]:
    """Return the first picture of each part, and the part's file."""
    return [(start, folder / f"{start:07}.safetensors") for start in range(0, n, PART)]


def _write(path, written):
    atomic_write(path, lambda file: file.write(written), error=DataError)


def _read(path, about):
    """Return the arrays of a part, if it is one of these pictures and this autoencoder."""
    try:
        with safetensors.safe_open(path, framework="np") as file:
            known = file.metadata() or {}
            found = {name: file.get_tensor(name) for name in ("latents", "labels")}
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        raise DataError(f"{path} cannot be read ({error}): delete it, and it is made again.") from error
    for name, what in (("autoencoder", "another autoencoder"), ("data", "other pictures")):
        if known.get(name) != about[name]:
            raise DataError(
                f"{path} holds latents of {what} than asked for ({printable(known.get(name, 'unknown'))[:80]}): delete "
                f"the folder {path.parent}, or give another one."
            )
    return found
