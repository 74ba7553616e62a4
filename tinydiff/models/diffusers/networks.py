"""Networks of public checkpoints: their weights in ours, and ours in theirs."""

from pathlib import Path
from typing import Any

import numpy as np

from tinydiff.base import CheckpointError, counted, printable
from tinydiff.models.diffusers.names import expected_shapes, is_table, names_of, read_layout
from tinydiff.models.diffusers.said import Said, read_said
from tinydiff.models.diffusers.shapes import SHAPES
from tinydiff.models.diffusers.tensors import Tensors, find_tensors
from tinydiff.models.weights import FLOATS, check_finite
from tinydiff.networks import Autoencoder, TextEncoder, UNet
from tinydiff.nn import weights_left_out, weights_that_fit

NETWORKS: dict[str, Any] = {
    "UNet2DModel": UNet,
    "UNet2DConditionModel": UNet,
    "AutoencoderKL": Autoencoder,
    "CLIPTextModel": TextEncoder,
}


def read_network(
    folder: str | Path, class_name: str | None = None, variant: str | None = None, dtype: Any = np.float32
) -> UNet | Autoencoder | TextEncoder:
    """Return the network of one part of a public checkpoint: a UNet, an autoencoder or a text encoder.

    Parameters
    ----------
    folder : str or Path
        Such as ``unet``, with ``config.json`` and a file of weights.
    class_name : str or None
        Which class it must be, such as ``"UNet2DModel"``; None takes any that tinydiff knows.
    variant : str or None
        Which file of weights, such as ``"fp16"``; None takes the plain one.
    dtype : dtype
        Of the network; weights of 16 bits are converted one after the other.

    Raises
    ------
    CheckpointError
        If a file cannot be read, or weights and config do not fit together.
    InputError
        If the class, or what the config says, is something that tinydiff does not have.
    """
    folder = Path(folder)
    said, tensors = read_said(folder / "config.json", class_name), find_tensors(folder, variant)
    network = new_network(said, dtype)
    fill(network, tensors)
    return network


def new_network(said: Said, dtype: Any = np.float32) -> UNet | Autoencoder | TextEncoder:
    """Return a network of the shape that a config.json says, whose weights are still to be read."""
    with weights_left_out(), weights_that_fit():
        return NETWORKS[said.class_name](SHAPES[said.class_name](said), dtype=dtype)


def fill(network: UNet | Autoencoder | TextEncoder, tensors: Tensors) -> None:
    """Copy the weights of a checkpoint into a network, one after the other.

    Raises
    ------
    CheckpointError
        If there are weights of other names or shapes; the network is then as it was. Or if there are numbers that are
        none; it is then filled in part, and must not be used.
    """
    check_tensors(network, tensors)
    names, parameters = names_of(network), network.named_parameters()
    with tensors.reader() as read:
        for ours, theirs in names.items():
            arrays = [read(name) for name in theirs]
            for name, array in zip(theirs, arrays, strict=True):
                check_finite(str(tensors.of[name].file), name, array)
            parameters[ours].value[...] = read_layout(arrays, parameters[ours], is_table(ours))


def check_tensors(network: UNet | Autoencoder | TextEncoder, tensors: Tensors) -> None:
    """Raise `CheckpointError` unless a checkpoint has just the weights of a network, each of its shape."""
    names, parameters = names_of(network), network.named_parameters()
    _check_names(tensors, {name for of_one in names.values() for name in of_one})
    for ours, theirs in names.items():
        _check_shapes(tensors, theirs, expected_shapes(parameters[ours], ours, theirs))


def _check_names(tensors: Tensors, wanted: set[str]) -> None:
    """Raise unless there are just the weights that the config asks for."""
    missing, extra = sorted(wanted - set(tensors)), sorted(set(tensors) - wanted)
    where = _folder(tensors)
    if missing:
        raise CheckpointError(
            f"{where} lacks {missing[0]}, which its config.json asks for ({counted(len(missing), 'tensor')} missing, "
            f"{len(extra)} besides): the folder is not whole, or its config is of another model."
        )
    if extra:
        raise CheckpointError(
            f"{where} holds {printable(extra[0])[:80]}, for which its config.json has no place "
            f"({counted(len(extra), 'tensor')} so): tinydiff lacks this part, or the config is of another model."
        )


def _check_shapes(tensors: Tensors, names: tuple[str, ...], allowed: list[tuple[int, ...]]) -> None:
    """Raise unless tensors have a shape that the config says, and are floating numbers."""
    for name in names:
        tensor = tensors.of[name]
        if tensor.shape not in allowed:
            raise CheckpointError(
                f"{tensor.file} holds {name} of shape {tensor.shape}, but by its config.json it is {allowed[0]}."
            )
        if tensor.dtype not in FLOATS:
            raise CheckpointError(
                f"{tensor.file} holds {name} as {tensor.dtype}, but {', '.join(FLOATS)} were expected, which are "
                "floating numbers: convert the file, or use another variant."
            )


def _folder(tensors: Tensors) -> Path:
    return tensors.files[0] if len(tensors.files) == 1 else tensors.files[0].parent
