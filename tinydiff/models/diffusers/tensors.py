"""The files of weights of one part of a public checkpoint: one, or several shards and an index; never a pickle."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinydiff.base import CheckpointError, InputError, printable, read_at_most, shown
from tinydiff.models.weights import opened

STEMS = ("diffusion_pytorch_model", "model")  # what diffusers and transformers call the file of a part
PICKLES = (".bin", ".ckpt", ".pt", ".pth", ".pkl")
LARGEST_INDEX = 64 * 2**20
OLD_NAMES = {".query.": ".to_q.", ".key.": ".to_k.", ".value.": ".to_v.", ".proj_attn.": ".to_out.0."}
PREFIX, NOT_LEARNED = "text_model.", ("embeddings.position_ids",)


@dataclass(frozen=True)
class Tensor:
    """Where a tensor lies, and what it is, as its file's header says."""

    file: Path
    name: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class Tensors:
    """The tensors of a part by name, as today's diffusers and transformers call them.

    Parameters
    ----------
    of : dict
        Name -> `Tensor`.
    files : tuple of Path
    """

    of: dict[str, Tensor]
    files: tuple[Path, ...]

    def __iter__(self) -> Iterator[str]:
        return iter(self.of)

    @property
    def size(self) -> int:
        """How many numbers they hold."""
        return sum(int(np.prod(tensor.shape)) for tensor in self.of.values())

    @contextmanager
    def reader(self) -> Iterator[Any]:
        """Yield a function that reads the array of a name; files are mapped, so that only what is asked for is read."""
        with ExitStack() as stack:
            opened_files = {path: stack.enter_context(opened(path)) for path in self.files}

            def read(name: str) -> np.ndarray:
                tensor = self.of[name]
                return opened_files[tensor.file].get_tensor(tensor.name)

            yield read


def find_tensors(folder: Path, variant: str | None = None) -> Tensors:
    """Return the tensors of a part, of which only headers are read.

    Parameters
    ----------
    folder : Path
        With ``diffusion_pytorch_model.safetensors``, ``model.safetensors``, or an index of shards.
    variant : str or None
        Such as ``"fp16"``, which stands before the suffix; None takes the plain file, or the only one there is.

    Raises
    ------
    CheckpointError
        If there is no such file, or one cannot be read, or shards do not add up.
    InputError
        If there are only pickles, or there are several variants to choose from.
    """
    index = _index(folder, variant)
    files = [_single(folder, variant)] if index is None else sorted(set(index.values()))
    found: dict[str, Tensor] = {}
    for path in files:
        with opened(path) as file:
            for name in file.keys():  # noqa: SIM118
                part = file.get_slice(name)
                if index is not None and index.get(name) != path:
                    raise CheckpointError(f"{path} holds {printable(name)}, of which the index says something else.")
                found[name] = Tensor(path, name, tuple(part.get_shape()), part.get_dtype())
    if index is not None and (missing := [name for name in index if name not in found]):
        raise CheckpointError(
            f"{index[missing[0]]} lacks {printable(missing[0])}, which the index says it holds "
            f"({len(missing)} are missing): the folder is not whole."
        )
    return Tensors(_named_as_today(found), tuple(files))


def _single(folder, variant):
    """Return the one file of weights of a part."""
    there = sorted(path for stem in STEMS for path in folder.glob(f"{stem}*.safetensors"))
    asked = [path for stem in STEMS for path in there if path.name == _file(stem, variant)]
    if asked:
        return asked[0]
    if variant is not None:
        known = sorted({path.name.split(".")[1] for path in there if path.name.count(".") == 2})
        raise InputError(
            f"variant is {shown(variant)}, but {folder} has {' and '.join(known) or 'no variants'}: name one of them, "
            "or leave it out."
        )
    if len(there) == 1:
        return there[0]
    if there:
        raise InputError(
            f"{folder} holds {' and '.join(path.name for path in there)}: say which, such as variant = "
            f"{there[0].name.split('.')[1]!r}."
        )
    pickles = sorted(path.name for path in folder.glob("*") if path.suffix in PICKLES)
    if pickles:
        raise InputError(
            f"{folder} holds {pickles[0]}, a pickle, which may run any code when it is read: take the file of weights "
            "that ends with .safetensors, or convert it where you trust it."
        )
    raise CheckpointError(f"{folder} holds no {_file(STEMS[0], None)}: the folder is not whole.")


def _index(folder, variant):
    """Return name -> file of an index of shards, or None where there is none."""
    middle = "" if variant is None else f".{variant}"
    paths = [folder / f"{stem}.safetensors.index{middle}.json" for stem in STEMS]
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        return None
    try:
        table = json.loads(read_at_most(path, LARGEST_INDEX).decode("utf-8"))
        weights = table["weight_map"]
        files = {str(name): folder / Path(str(file)).name for name, file in weights.items()}
    except RecursionError as error:
        raise CheckpointError(f"{path} cannot be read as an index of shards (its lists are too deep).") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path} cannot be read as an index of shards ({error!r}).") from error
    if not files:
        raise CheckpointError(f"{path} names no shards.")
    for file in sorted(set(files.values())):
        if not file.is_file():
            raise CheckpointError(f"{file} is missing, which {path.name} names: the folder is not whole.")
    return files


def _file(stem, variant):
    return f"{stem}.safetensors" if variant is None else f"{stem}.{variant}.safetensors"


def _named_as_today(found: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors by today's names: without the prefix of a text encoder, and with attention called anew."""
    named = {}
    for name, tensor in found.items():
        for old, new in OLD_NAMES.items():
            name = name.replace(old, new)
        name = name.removeprefix(PREFIX)
        if name not in NOT_LEARNED:
            named[name] = tensor
    return named
