"""Writing the trained model of a run into the run's folder."""

from pathlib import Path
from typing import Any

from tinydiff.base import CheckpointError, write_json
from tinydiff.models import save
from tinydiff.models.store import is_registered
from tinydiff.models.weights import save_weights
from tinydiff.nn import Module


def save_trained(model: Any, folder: Path, about: dict[str, Any]) -> None:
    """Write a trained model into a folder, so that `load` finds it; of a bare network, its weights."""
    if is_registered(model) or not isinstance(model, Module):
        save(folder, model, **about)
    else:
        save_weights(folder / "model.safetensors", model)
        write_json(folder / "config.json", {"about": about}, error=CheckpointError)
