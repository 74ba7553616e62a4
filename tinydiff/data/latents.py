"""Latents as data: pictures that an autoencoder has encoded once, so that a training need not encode them again."""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
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
    check_numbers,
    check_rank,
    check_shape,
    checked,
    checks_arguments,
    counted,
    printable,
    to_numpy,
    writable_folder,
)
from tinydiff.data.dataset import Dataset, indices_of, library, selection
from tinydiff.data.scenes.sets import DrawnScenes
from tinydiff.workers import MOST_THREADS, Crew, can_fork

PART = 2048  # pictures that are saved together
PIECE = 256  # pictures of them that one process draws and encodes before it takes others


@checks_arguments("__init__", "take")
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
        The checksum of the autoencoder that they belong to, or of the CLIP whose embeddings they are.
    source : str
        What the pictures are, for people.
    of : str
        What has made them, in a word: ``"autoencoder"`` or ``"CLIP"``.
    """

    latents: Any  # elsewhere, numbers of half precision are refused as arguments
    labels: np.ndarray
    captions: tuple[str, ...] | None
    name: str
    autoencoder: str
    source: str = ""
    of: str = "autoencoder"

    def __post_init__(self):
        if type(self.latents) is not np.ndarray:
            found = type(self.latents).__name__
            raise InputError(f"latents is of type {found}, but a plain NumPy array of float16 was expected.")
        if self.latents.dtype != np.float16:
            raise InputError(f"latents has dtype {self.latents.dtype}, but float16 was expected.")
        check_rank("latents", self.latents, 4)
        check_rank("labels", self.labels, 1)
        if self.labels.dtype.kind not in "iu":
            raise InputError(f"labels has dtype {self.labels.dtype}, but whole numbers were expected.")
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
        what = f"latents {sides}" if self.of == "autoencoder" else f"embeddings of {self.shape[-1]} numbers"
        return printable(f"{self.source or self.name}, as {what} of {self.of} {self.autoencoder}")

    def batch(
        self, indices: Array | Sequence[int], xp: Any = np, flip: np.ndarray | None = None
    ) -> tuple[Array, Array]:
        """Return latents (n, h, w, c), float32, and labels (n,), as `Dataset` does for pictures."""
        if flip is not None:
            raise InputError("flip was given, but latents cannot be mirrored: leave it out.")
        indices, xp = indices_of(indices, len(self), "picture"), library(xp)
        return xp.asarray(self.latents[indices].astype(np.float32)), xp.asarray(self.labels[indices])

    def take(self, indices: Array | slice | Sequence[Any]) -> "LatentData":
        """Return the latents of these pictures only (indices, a slice or a mask)."""
        indices, chosen = selection(indices, len(self), "picture")
        captions = None if self.captions is None else tuple(self.captions[i] for i in chosen)
        return replace(self, latents=self.latents[indices], labels=self.labels[indices], captions=captions)

    def identity(self) -> dict[str, Any]:
        """Return what decides the latents and captions: a run is resumed only with the same values."""
        found = hashlib.sha256(self.latents.tobytes())
        found.update("\n".join(self.captions or ()).encode())
        return {self.of: self.autoencoder, "checksum of latents": found.hexdigest()[:16]}


@checked()
def encode_once(
    data: Dataset | DrawnScenes,
    encode: Callable[[Array], Array],
    autoencoder: str,
    folder: Path | str,
    progress: Callable[[int, int], None] | None = None,
    of: str = "autoencoder",
    processes: int = 1,
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
    of : str
        What has made them, in a word, as in `LatentData`.
    processes : int
        How many draw and encode at the same time; more than one only where processes can be forked (`can_fork`), for
        NumPy arrays. Let `encode` use one thread then. It changes the time, not the latents.

    Raises
    ------
    DataError
        If the folder holds latents of other pictures or of another autoencoder, or cannot be read or written.
    InputError
        If there are no pictures, if the folder cannot be made or written, if `encode` returns no latents, or if
        processes cannot be forked.
    """
    check_count("the number of pictures", len(data))
    check_count("processes", processes, most=MOST_THREADS)
    if processes > 1 and not can_fork():
        raise InputError(f"processes is {processes}, but they can be forked on Linux only: give 1.")
    about = {"autoencoder": autoencoder, "data": json.dumps(data.identity(), sort_keys=True)}
    parts: list[np.ndarray] = []
    labels: list[np.ndarray] = []
    files = _parts(len(data), Path(folder))
    if not all(os.path.isfile(path) for _, path in files):
        writable_folder(folder)  # refused before anything is encoded

    def drawn_and_encoded(indices):
        pictures, classes = data.batch(indices)
        return _halved(encode(pictures), len(indices)), np.asarray(classes, np.int64)

    with Crew(drawn_and_encoded, processes, fixed_weights=True) as crew:
        for number, (start, path) in enumerate(files, 1):
            indices = np.arange(start, min(start + PART, len(data)))
            if os.path.isfile(path):
                found = _read(path, about, len(indices), of)
            else:
                pieces = [(indices[i : i + PIECE],) for i in range(0, len(indices), PIECE)]
                latents, classes = zip(*crew(pieces), strict=True)
                found = {"latents": np.concatenate(latents), "labels": np.concatenate(classes)}
                written = safetensors.numpy.save(found, metadata=about)
                _write(path, written)
            if parts and found["latents"].shape[1:] != parts[0].shape[1:]:
                raise DataError(
                    f"{path} holds latents of {found['latents'].shape[1:]}, but {files[0][1]} of {parts[0].shape[1:]}: "
                    f"delete the folder {folder}, and they are made again."
                )
            parts.append(found["latents"])
            labels.append(found["labels"])
            if progress is not None:
                progress(number, len(files))
    captions = None if data.captions is None else tuple(data.captions)
    return LatentData(
        np.concatenate(parts), np.concatenate(labels), captions, data.name, autoencoder, data.describe(), of
    )


def _parts(n: int, folder: Path) -> list[tuple[int, Path]]:
    """Return the first picture of each part, and the part's file."""
    return [(start, folder / f"{start:07}.safetensors") for start in range(0, n, PART)]


def _halved(latents, n):
    """Return what `encode` gave for n pictures as half-precision numbers, on the host."""
    check_shape("encode(pictures)", latents, (n, None, None, None))
    check_numbers("encode(pictures)", latents)
    if not latents.size:
        raise InputError(f"encode returned latents of shape {latents.shape}, but no axis may have size 0.")
    with np.errstate(over="ignore"):
        halved = to_numpy(latents).astype(np.float16)
    if not np.isfinite(halved).all():
        raise InputError(
            "encode returned numbers that are not finite, or too large for half precision (65,504): the autoencoder's "
            "weights are of no use, or its latents are not standardised."
        )
    return halved


def _write(path, written):
    atomic_write(path, lambda file: file.write(written), error=DataError)


def _read(path, about, n, of):
    """Return the arrays of a part, if it is one of these pictures and this autoencoder, and is whole."""
    try:
        with safetensors.safe_open(path, framework="np") as file:
            known = file.metadata() or {}
            found = {name: file.get_tensor(name) for name in ("latents", "labels")}
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        raise DataError(f"{path} cannot be read ({error}): delete it, and it is made again.") from error
    kept = "embeddings" if of == "CLIP" else "latents"
    if known.get("autoencoder") != about["autoencoder"]:
        maker = printable(known.get("autoencoder", "unknown"))[:80]
        raise DataError(
            f"{path} holds {kept} of another {of} than asked for ({maker}): delete the folder {path.parent}, or give "
            "another one."
        )
    if known.get("data") != about["data"]:
        raise DataError(
            f"{path} holds {kept} of other pictures than those asked for: ask for the same data, as many, and treated "
            f"alike (images, fit, background), or give another folder than {path.parent}."
        )
    latents, labels = found["latents"], found["labels"]
    whole = latents.ndim == 4 and len(latents) == n and latents.dtype == np.float16 and np.isfinite(latents).all()
    if not (whole and labels.shape == (n,) and labels.dtype == np.int64):
        raise DataError(
            f"{path} does not hold latents and labels of {counted(n, 'picture')}: delete the folder {path.parent}, and "
            "they are made again."
        )
    return found
