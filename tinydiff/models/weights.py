"""Weights by name, in safetensors files."""

from pathlib import Path

import numpy as np
import safetensors.numpy

from tinydiff.base import Array, CheckpointError, atomic_write, to_numpy
from tinydiff.nn import Module


def save_weights(path: Path, module: Module, theta: Array | None = None) -> None:
    """Write a module's parameters by name, as safetensors, atomically; with `theta`, those instead of its own."""
    bound = module if theta is None else module.bind(theta)
    # safetensors 0.8.0 silently corrupts arrays that are not C-contiguous
    arrays = {name: np.asarray(to_numpy(p.value), order="C") for name, p in bound.named_parameters().items()}
    data = safetensors.numpy.save(arrays)
    atomic_write(path, lambda file: file.write(data), error=CheckpointError)


def load_weights(path: Path, module: Module) -> None:
    """Read a module's parameters from a file that `save_weights` wrote.

    Raises
    ------
    CheckpointError
        If the file cannot be read, or holds other parameters than the module has.
    """
    arrays, _ = read_arrays(path)
    check_fits(str(path), arrays, module)
    for name, parameter in module.named_parameters().items():
        if not np.isfinite(arrays[name]).all():
            raise CheckpointError(f"{path} holds NaN or infinity in {name}: it is damaged, or its training diverged.")
        parameter.value[...] = arrays[name]


def read_arrays(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return the arrays of a safetensors file by name, and its metadata."""
    try:
        with safetensors.safe_open(path, framework="np") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} does not exist.") from error
    except (OSError, TypeError, safetensors.SafetensorError) as error:  # TypeError: a dtype that NumPy does not know
        raise CheckpointError(
            f"{path} cannot be read as a safetensors file ({error}). If it is not whole, delete it and use "
            "another copy, such as the checkpoint before it."
        ) from error


def check_fits(source: str, arrays: dict[str, Array], module: Module) -> None:
    """Raise `CheckpointError` unless the arrays have the names and shapes of the module's parameters."""
    parameters = module.named_parameters()
    missing, extra = [n for n in parameters if n not in arrays], [n for n in arrays if n not in parameters]
    if missing or extra:
        which = f"it lacks {missing[0]}" if missing else f"it has {extra[0]} besides"
        raise CheckpointError(f"{source} is of another architecture: {which} ({len(missing) + len(extra)} differ).")
    for name, p in parameters.items():
        if arrays[name].shape != p.value.shape:
            raise CheckpointError(
                f"{source} is of another architecture: {name} has shape {arrays[name].shape}, but the model's has "
                f"{p.value.shape}."
            )
