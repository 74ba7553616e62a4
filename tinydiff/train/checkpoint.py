"""Checkpoints: the whole state of a run in one file, which is written whole or not at all.

A checkpoint stores its arrays by the parameters' names, not by offsets: ``theta/stem.weight``, ``ema/stem.weight``, and
Adam's moments ``m/...`` and ``v/...``; where several networks learn, the phase's name stands before:
``generator/theta/...``. The state of the random numbers and of the data order is (seed, step), because both are pure
functions of it.
"""

import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from tinydiff.base import Array, CheckpointError, InputError, atomic_write, to_numpy
from tinydiff.models.weights import check_fits, read_arrays
from tinydiff.nn import Module

PARTS = ("theta", "ema", "m", "v")


@dataclass(frozen=True)
class RunState:
    """What is needed to resume a run bit for bit.

    Parameters
    ----------
    step : int
        Steps taken.
    vectors : dict
        For each phase, by name, its flat vectors ``theta``, ``ema``, ``m`` and ``v``.
    about : dict
        Configuration, seed, best validation loss: anything that JSON can represent.
    """

    step: int
    vectors: dict[str, dict[str, Array]]
    about: dict[str, Any]


def refuse_a_model(name: str, folder: str | Path) -> None:
    """Raise `InputError` if a folder holds a model, but no checkpoint: a training could not go on, but overwrite it.

    Parameters
    ----------
    name : str
        What the folder is called in the sentence, such as ``"out"``.
    folder : str or Path
    """
    if os.path.isfile(Path(folder) / "config.json") and not checkpoints(Path(folder)):
        raise InputError(
            f"{name} is {folder}, which holds a model, but no checkpoint from which its training could go on: give "
            "another folder, so that it is not lost."
        )


def save_checkpoint(folder: Path, networks: dict[str, Module], state: RunState, keep: int) -> Path:
    """Write ``step-NNNNNNNN.safetensors`` atomically, then remove all but the last `keep` of them.

    Parameters
    ----------
    folder : Path
    networks : dict
        Phase name -> network.
    state : RunState
    keep : int

    Raises
    ------
    CheckpointError
        If the folder cannot be written or the disk is full; no partial file is left, older ones stay.
    """
    arrays = {}
    for phase, network in networks.items():
        for part in PARTS:
            vector = to_numpy(state.vectors[phase][part])
            for name, p in network.named_parameters().items():
                value = vector[p.offset : p.offset + p.size].reshape(p.value.shape)
                # safetensors 0.8.0 corrupts any other order
                arrays[f"{_prefix(phase, part)}{name}"] = np.asarray(value, order="C")
    # one entry: safetensors writes several in a random order, but equal states should be equal bytes
    about = {"run": json.dumps({"step": state.step, "about": state.about})}
    data = safetensors.numpy.save(arrays, metadata=about)
    path = folder / f"step-{state.step:08d}.safetensors"
    atomic_write(path, lambda file: file.write(data), error=CheckpointError)
    for old in checkpoints(folder)[:-keep]:
        old.unlink(missing_ok=True)
    return path


def load_checkpoint(
    path: Path, networks: dict[str, Module], accept: Callable[[int, dict[str, Any]], None] | None = None
) -> RunState:
    """Read a checkpoint for these networks, phase name -> network.

    Parameters
    ----------
    path : Path
    networks : dict
    accept : callable or None
        ``accept(step, about)`` may refuse what the checkpoint says, before its arrays are compared with the networks.

    Raises
    ------
    CheckpointError
        If the file cannot be read, is truncated, or belongs to another architecture.
    """
    arrays, metadata = read_arrays(path)
    step, about = _step_and_about(path, metadata)
    if accept is not None:
        accept(step, about)
    vectors: dict[str, dict[str, Array]] = {phase: {} for phase in networks}
    for phase, network in networks.items():
        for part in PARTS:
            prefix = _prefix(phase, part)
            own = {name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)}
            check_fits(str(path), own, network)
            vectors[phase][part] = np.concatenate([own[name].reshape(-1) for name in network.named_parameters()])
    return RunState(step, vectors, about)


def _step_and_about(path, metadata):
    """Return what the metadata of a checkpoint say; at first they had two entries, one for each."""
    try:
        if "run" in metadata:
            found = json.loads(metadata["run"])
            step, about = int(found["step"]), found["about"]
        else:
            step, about = int(metadata["step"]), json.loads(metadata["about"])
    except (KeyError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise CheckpointError(f"{path} is not a checkpoint of a training run (it lacks {error}).") from error
    if not (isinstance(about, dict) and isinstance(about.get("run"), dict) and isinstance(about.get("best"), float)):
        raise CheckpointError(f"{path} is not a checkpoint of a training run: it does not say of which.")
    return step, about


def checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints in a folder, oldest first."""
    return sorted(p for p in folder.glob("step-*.safetensors") if re.fullmatch(r"step-\d{8}\.safetensors", p.name))


def _prefix(phase, part):
    return f"{phase}/{part}/" if phase else f"{part}/"


def step_of(checkpoint: Path) -> int:
    """Return the step of a checkpoint, which is in its name."""
    return int(checkpoint.stem.removeprefix("step-"))
