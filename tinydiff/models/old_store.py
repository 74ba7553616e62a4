"""Saving and loading diffusion models."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from tinydiff.base import CheckpointError, Device, atomic_write, select_device, to_device
from tinydiff.models.config import ModelConfig
from tinydiff.models.diffusion import DiffusionModel
from tinydiff.models.store import TOKENIZER, find_folder, load_weights, read_settings, save_weights
from tinydiff.networks import TextConfig, UNetConfig
from tinydiff.text import Tokenizer


def save_model(folder: str | Path, model: DiffusionModel, theta: Any = None, **about: Any) -> Path:
    """Write a model folder; `theta`, for example an EMA, if given, instead of the network's own.

    Parameters
    ----------
    folder : str or Path
    model : DiffusionModel
    theta : array or None
    **about
        Further entries for config.json that describe where the weights come from.
    """
    folder = Path(folder)
    save_weights(folder / "model.safetensors", model.network, theta)
    settings = {"model": dataclasses.asdict(model.config), "micro_batch": model.micro_batch, **about}
    if model.tokenizer is not None:
        model.tokenizer.save(folder / TOKENIZER)
    text = json.dumps(settings, indent=2) + "\n"
    atomic_write(folder / "config.json", lambda file: file.write(text.encode()), error=CheckpointError)
    return folder


def load_model(name: str | Path = "mnist", device: Device | None = None) -> DiffusionModel:
    """Return a model that ships with tinydiff, by name, or one from a folder.

    Raises
    ------
    CheckpointError
        If the folder does not hold a whole model.
    InputError
        If there is no such name or folder.
    """
    folder = find_folder(name)
    settings = read_settings(folder)
    try:
        unet = UNetConfig(**settings["model"].pop("unet"))
        text = settings["model"].pop("text", None)
        config = ModelConfig(unet=unet, text=None if text is None else TextConfig(**text), **settings["model"])
        network = config.network()
        tokenizer = None if text is None else Tokenizer.load(folder / TOKENIZER)
        model = DiffusionModel(network, config, settings.get("micro_batch", 8), tokenizer=tokenizer)
    except (KeyError, TypeError, AttributeError, ValueError, MemoryError) as error:
        raise CheckpointError(f"{folder / 'config.json'} does not describe a diffusion model ({error}).") from error
    load_weights(folder / "model.safetensors", network)
    device = select_device("cpu") if device is None else device
    if device.kind != "cpu":
        model = dataclasses.replace(model, network=network.bind(to_device(network.theta, device)))
    return model
