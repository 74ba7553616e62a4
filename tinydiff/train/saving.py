"""The finished model of a run is written into the run's folder."""

import dataclasses
import json
from functools import singledispatch
from pathlib import Path
from typing import Any

from tinydiff.base import CheckpointError, atomic_write
from tinydiff.models import ClipModel, DiffusionModel, save_clip, save_model
from tinydiff.models.store import save_weights
from tinydiff.networks import Classifier, NoisyClassifier
from tinydiff.nn import Module


@singledispatch
def save_trained(model: Any, folder: Path, about: dict[str, Any]) -> None:
    """Write a trained model into a folder, and what is said about it into its config.json."""
    raise TypeError(f"A run's result of type {type(model).__name__} cannot be saved.")


@save_trained.register
def _(model: DiffusionModel, folder: Path, about: dict[str, Any]) -> None:
    save_model(folder, model, **about)


@save_trained.register
def _(model: ClipModel, folder: Path, about: dict[str, Any]) -> None:
    save_clip(folder, model, **about)


@save_trained.register
def _(model: Classifier, folder: Path, about: dict[str, Any]) -> None:
    _save(model, folder, {"classifier": dataclasses.asdict(model.config), **about})


@save_trained.register
def _(model: NoisyClassifier, folder: Path, about: dict[str, Any]) -> None:
    _save(model, folder, {"noisy_classifier": dataclasses.asdict(model.config), **about})


@save_trained.register
def _(model: Module, folder: Path, about: dict[str, Any]) -> None:
    _save(model, folder, about)


def _save(network, folder, settings):
    save_weights(folder / "model.safetensors", network)
    text = json.dumps(settings, indent=2) + "\n"
    atomic_write(folder / "config.json", lambda file: file.write(text.encode()), error=CheckpointError)
