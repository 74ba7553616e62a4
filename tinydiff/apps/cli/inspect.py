"""The command ``tinydiff inspect``."""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from tinydiff.apps.cli.screen import say
from tinydiff.base import InputError, shown
from tinydiff.models import inspect_checkpoint
from tinydiff.models.diffusers import describe_parts, describe_tensors


@dataclass(frozen=True)
class Inspect:
    """Say what a public checkpoint is, a folder that diffusers wrote: its parts, their tensors, what tinydiff lacks.

    Only configs and the headers of files are read.
    """

    folder: Positional[Path]
    """The folder of a pipeline, with model_index.json, or of one part, with config.json."""
    tensors: str | None = None
    """A part, such as unet: each of its tensors, with the name that its weights have in tinydiff."""
    variant: str | None = None
    """Which files of weights, such as fp16; without it, the plain ones, or the only ones there are."""

    def run(self) -> None:
        """Print all of it."""
        parts = inspect_checkpoint(self.folder, self.variant)
        if self.tensors is None:
            say(*describe_parts(parts))
            return
        named = {part.name: part for part in parts}
        if self.tensors not in named:
            raise InputError(f"tensors is {shown(self.tensors)}, but the parts are {', '.join(named)}.")
        say(*describe_tensors(named[self.tensors]))
