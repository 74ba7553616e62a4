"""Weights by name, in safetensors files."""

import hashlib
import json
import math
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from tinydiff.base import Array, CheckpointError, InputError, atomic_write, printable, to_numpy
from tinydiff.nn import Module

FLOATS = ("F16", "F32", "F64")  # as safetensors calls them; NumPy has no bfloat16


def save_weights(path: Path, module: Module, theta: Array | None = None, half: bool = False) -> None:
    """Write a module's parameters by name, as safetensors, atomically; with `theta`, those instead of its own.

    With `half` they are rounded to numbers of 16 bits, about three digits, which takes half the room.
    """
    bound = module if theta is None else module.bind(theta)
    # safetensors 0.8.0 silently corrupts arrays that are not C-contiguous
    arrays = {name: np.asarray(to_numpy(p.value), order="C") for name, p in bound.named_parameters().items()}
    if half:
        arrays = {name: _halved(name, array) for name, array in arrays.items()}
    write_arrays(path, arrays)


def write_arrays(path: Path, arrays: dict[str, np.ndarray], about: dict[str, str] | None = None) -> None:
    """Write arrays by name, which must be C-contiguous, as safetensors, atomically."""
    data = safetensors.numpy.save(arrays, metadata=about)
    atomic_write(path, lambda file: file.write(data), error=CheckpointError)


def checksum_of(said: Any, arrays: Iterable[Array], dtype: str = "<f4") -> str:
    """Return 16 hexadecimal digits that name what has these settings, as JSON takes them, and these weights."""
    found = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
    for array in arrays:
        found.update(to_numpy(array).astype(dtype).tobytes())
    return found.hexdigest()[:16]


def without_later(said: dict[str, Any], later: dict[str, Any]) -> dict[str, Any]:
    """Return settings without options that came after the first checksums, where these have what was built before.

    So what could be made before is called today as it was.
    """
    return {name: value for name, value in said.items() if name not in later or value != later[name]}


def _halved(name, array):
    """Return an array as float16, unless a number is too large for it."""
    if (largest := abs(array).max(initial=0)) > np.finfo(np.float16).max:
        raise InputError(f"half is True, but {name} holds {largest:g}, and float16 ends at 65,504: save it in full.")
    return array.astype(np.float16)


def load_weights(path: Path, module: Module) -> None:
    """Read a module's parameters from a file that `save_weights` wrote.

    Numbers of 16, 32 and 64 bits are taken, and become those of the module.

    Raises
    ------
    CheckpointError
        If the file cannot be read, holds other parameters than the module has, or numbers that are none, or too large.
    """
    arrays, _ = read_arrays(path)
    check_fits(str(path), arrays, module)
    for name, parameter in module.named_parameters().items():
        check_finite(str(path), name, arrays[name])
        with np.errstate(over="ignore"):
            parameter.value[...] = arrays[name]
        if not np.isfinite(parameter.value).all():
            raise CheckpointError(
                f"{path} holds numbers beyond those of {parameter.value.dtype} in {name}: it is damaged, or not a file "
                "of weights."
            )


def count_weights(path: Path) -> int:
    """Return how many numbers a safetensors file holds, as its header says; the arrays are not read.

    The header is sound: the file is exactly as long as its arrays take.
    """
    with opened(path) as file:
        return sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118


def read_arrays(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return the arrays of a safetensors file by name, and its metadata; only floating types are taken.

    Raises
    ------
    CheckpointError
        If the file cannot be read, or holds something else than numbers of 16, 32 or 64 bits.
    """
    with opened(path) as file:
        for name in file.keys():  # noqa: SIM118
            dtype = file.get_slice(name).get_dtype()
            if dtype not in FLOATS:
                raise CheckpointError(
                    f"{path} holds {printable(name)} as {dtype}, but {', '.join(FLOATS)} were expected, which are "
                    "floating numbers: convert the file, or use another copy."
                )
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Open a safetensors file; what it refuses is told in a sentence."""
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            raise OSError("it is not a file")
        with safetensors.safe_open(path, framework="np") as file:
            yield file
    except CheckpointError:
        raise
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} does not exist.") from error
    except (OSError, TypeError, ValueError, OverflowError, safetensors.SafetensorError) as error:
        raise CheckpointError(
            f"{path} cannot be read as a safetensors file ({error}). If it is not whole, delete it and use "
            "another copy, such as the checkpoint before it."
        ) from error


def check_finite(source: str, name: str, array: np.ndarray) -> None:
    """Raise `CheckpointError` if an array from a file holds NaN or infinity."""
    if not np.isfinite(array).all():
        raise CheckpointError(f"{source} holds NaN or infinity in {name}: it is damaged, or its training diverged.")


def check_fits(source: str, arrays: dict[str, Array], module: Module) -> None:
    """Raise `CheckpointError` unless the arrays have the names and shapes of the module's parameters."""
    parameters = module.named_parameters()
    missing, extra = [n for n in parameters if n not in arrays], [n for n in arrays if n not in parameters]
    if missing or extra:
        which = f"it lacks {missing[0]}" if missing else f"it has {printable(extra[0])[:80]} besides"
        raise CheckpointError(f"{source} is of another architecture: {which} ({len(missing) + len(extra)} differ).")
    for name, p in parameters.items():
        if arrays[name].shape != p.value.shape:
            raise CheckpointError(
                f"{source} is of another architecture: {name} has shape {arrays[name].shape}, but the model's has "
                f"{p.value.shape}."
            )
