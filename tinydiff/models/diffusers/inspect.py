"""What a public checkpoint is, told from its configs and the headers of its files: no weights are read."""

import contextlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinydiff.base import CheckpointError, TinydiffError, counted, read_table, shown
from tinydiff.models.diffusers.folder import INDEX, SCHEDULER, read_scheduler
from tinydiff.models.diffusers.names import names_of
from tinydiff.models.diffusers.networks import check_tensors, new_network
from tinydiff.models.diffusers.said import read_said
from tinydiff.models.diffusers.schedulers import kind_of, timetable
from tinydiff.models.diffusers.tensors import Tensors, find_tensors
from tinydiff.models.diffusers.tokens import read_tokenizer

BYTES = 4  # of a weight in memory


@dataclass(frozen=True)
class Part:
    """What is said of one part of a checkpoint.

    Parameters
    ----------
    name, class_name : str
    tensors : Tensors or None
        Of a network.
    ours : dict
        The name that a tensor's weights have in tinydiff, by its own name; empty where tinydiff has no such network.
    why_not : str
        Why tinydiff cannot open it, or nothing.
    says : str
        What there is to say besides.
    """

    name: str
    class_name: str
    tensors: Tensors | None = None
    ours: dict[str, str] | None = None
    why_not: str = ""
    says: str = ""


def inspect_checkpoint(folder: str | Path, variant: str | None = None) -> list[Part]:
    """Return the parts of a public checkpoint, and of each whether tinydiff can open it.

    Parameters
    ----------
    folder : str or Path
        A pipeline's, with ``model_index.json``, or that of one part, with ``config.json``.
    variant : str or None
        Which files of weights; None takes the plain ones, or the only ones.

    Raises
    ------
    CheckpointError
        If there is neither file.
    """
    folder = Path(folder)
    if (folder / INDEX).is_file():
        table = read_table(folder / INDEX, CheckpointError)
        named = {
            name: said for name, said in table.items() if isinstance(said, list) and said not in ([None, None], [])
        }
        return [_part(folder / name, name, shown_class(said[-1]), variant) for name, said in named.items()]
    if (folder / "config.json").is_file():
        return [_part(folder, folder.name, "", variant)]
    raise CheckpointError(f"{folder} has neither {INDEX} nor config.json: it is no folder of a public checkpoint.")


def shown_class(name: Any) -> str:
    """Return the name of a class, as a file says it, so that it can be printed."""
    return name if isinstance(name, str) and name.isidentifier() else shown(name)


def _part(folder: Path, name: str, class_name: str, variant: str | None) -> Part:
    """Return what is said of one part; what is wrong with it is a sentence."""
    try:
        if (folder / SCHEDULER).is_file():
            said = read_scheduler(folder / SCHEDULER)
            timetable(said, 50)
            says = f"{kind_of(said)}, {said['beta_schedule']} {said['beta_start']} to {said['beta_end']}"
            return Part(name, said.class_name, says=f"{says}, {said['timestep_spacing']}")
        if not (folder / "config.json").is_file():
            if name == "tokenizer":
                return Part(name, class_name, says=counted(len(read_tokenizer(folder)), "token"))
            return Part(name, class_name, why_not="tinydiff has no such part, and draws without it.")
    except TinydiffError as error:
        return Part(name, class_name, why_not=str(error))
    tensors, found = None, class_name
    with contextlib.suppress(CheckpointError):
        own = read_table(folder / "config.json", CheckpointError).get("_class_name")
        found = class_name or ("" if own is None else shown_class(own))
    try:
        tensors = find_tensors(folder, variant)
        said = read_said(folder / "config.json")
        network = new_network(said)
        check_tensors(network, tensors)
    except TinydiffError as error:
        return Part(name, found, tensors, why_not=str(error))
    ours = {one: mine for mine, theirs in names_of(network).items() for one in theirs}
    return Part(name, said.class_name, tensors, ours)


def weights_of(parts: list[Part]) -> int:
    """Return how many weights the parts have that tinydiff opens."""
    return sum(part.tensors.size for part in parts if part.tensors is not None and part.ours)


def describe_parts(parts: list[Part]) -> list[str]:
    """Return a table of parts, what memory they take, and why tinydiff cannot open some, a line each."""
    row = "{:<16}{:<26}{:>8}{:>16}{:>13}  {}".format
    lines = [row("part", "class", "tensors", "numbers", "on disk", "")]
    for part in parts:
        tensors = part.tensors
        if tensors is None:
            lines.append(row(part.name[:15], part.class_name[:25], "", "", "", part.says).rstrip())
            continue
        dtypes = Counter(tensor.dtype for tensor in tensors.of.values())
        about = f"{', '.join(dtypes)}, {counted(len(tensors.files), 'file')}"
        disk = _megabytes(sum(path.stat().st_size for path in tensors.files))
        lines.append(row(part.name[:15], part.class_name[:25], len(tensors.of), f"{tensors.size:,}", disk, about))
    if weights := weights_of(parts):
        lines.append(f"In memory, as float32: {_megabytes(BYTES * weights)}, and what drawing needs.")
    lines += [f"{part.name}: {part.why_not}" for part in parts if part.why_not]
    if not any(part.why_not for part in parts):
        lines.append("tinydiff opens all of it.")
    return lines


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"


def describe_tensors(part: Part) -> list[str]:
    """Return a line for each tensor of a part: its name, its shape, its dtype, and the name of its weights here."""
    if part.tensors is None:
        return [f"{part.name} has no tensors."]
    ours = part.ours or {}
    width = max(map(len, part.tensors), default=0)
    return [
        f"{name:<{width}}  {'x'.join(map(str, tensor.shape)) or '1':<18}{tensor.dtype:<5}{ours.get(name, '')}".rstrip()
        for name, tensor in part.tensors.of.items()
    ]
