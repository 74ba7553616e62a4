"""Folders of public checkpoints, as diffusers and transformers write them, from tests/fixtures/checkpoints.npz."""

import json
from collections import defaultdict
from functools import cache
from pathlib import Path

import numpy as np
import safetensors.numpy
from parity import drawn_weight

FILES = {"CLIPTextModel": "model.safetensors"}
USUAL = "diffusion_pytorch_model.safetensors"


PROMPTS, SEED = ("a red cat", "dog's"), 3
MERGES = ("r e", "re d</w>", "c a", "ca t</w>", "d o", "do g</w>")


def tokenizer_table() -> dict:
    """Return vocabulary and merges of a tokenizer of CLIP's form, with six merges."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = [chr(byte) for byte in printable] + [chr(256 + i) for i in range(256 - len(printable))]
    tokens = [*letters, *(letter + "</w>" for letter in letters), *(merge.replace(" ", "") for merge in MERGES)]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    return {"vocab": {token: i for i, token in enumerate(tokens)}, "merges": [merge.split(" ") for merge in MERGES]}


@cache
def stored(file: str) -> dict[str, dict[str, np.ndarray]]:
    """Return case -> name -> array, of a file of fixtures."""
    found = defaultdict(dict)
    with np.load(Path(__file__).parent / "fixtures" / f"{file}.npz") as arrays:
        for key in arrays.files:
            case, _, name = key.rpartition("/")
            found[case][name] = arrays[key]
    return dict(found)


def cases() -> dict[str, dict[str, np.ndarray]]:
    """Return the networks: case -> name -> array."""
    return stored("checkpoints")


def weights_of(case: str, dtype=np.float64) -> dict[str, np.ndarray]:
    """Return the weights of a model by the names that it has there."""
    shapes = json.loads(str(cases()[case]["shapes"]))
    return {name: drawn_weight(name, tuple(shape)).astype(dtype) for name, shape in shapes.items()}


def config_of(case: str, said: str = "said") -> dict:
    """Return what its config.json says: all fields, or those that were given."""
    return json.loads(str(cases()[case][said]))


def class_of(config: dict) -> str:
    """Return the class that a config.json names."""
    return config.get("_class_name") or config["architectures"][0]


def write_part(folder: Path, case: str, config: dict | None = None, weights: dict | None = None) -> Path:
    """Write the folder of one part, with a config or weights of one's own if they are given."""
    config = config_of(case) if config is None else config
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    weights = weights_of(case) if weights is None else weights
    file = FILES.get(class_of(config), USUAL)
    safetensors.numpy.save_file(weights, folder / file, metadata={"format": "pt"})
    return folder


def pipelines() -> dict[str, dict[str, np.ndarray]]:
    """Return the pipelines and their chains: (pipeline, or pipeline/chain) -> name -> array."""
    return stored("pipelines")


def write_pipeline(folder: Path, pipeline: str) -> Path:
    """Write the folder of a pipeline, as diffusers saved it."""
    of_pipeline = pipelines()[pipeline]
    for name, text in json.loads(str(of_pipeline["files"])).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for part, shapes in json.loads(str(of_pipeline["shapes"])).items():
        weights = {name: drawn_weight(name, tuple(shape)) for name, shape in shapes.items()}
        file = "model.safetensors" if part == "text_encoder" else USUAL
        safetensors.numpy.save_file(weights, folder / part / file, metadata={"format": "pt"})
    return folder


def scheduler_of(folder: Path, chain: str) -> tuple[Path, int]:
    """Write the config of the scheduler of a chain; return its path, and how many steps were taken."""
    said = json.loads(str(pipelines()[chain]["said"]))
    steps = said.pop("steps")
    path = folder / "scheduler_config.json"
    path.write_text(json.dumps(said))
    return path, steps
