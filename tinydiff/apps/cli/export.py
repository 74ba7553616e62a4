"""The command ``tinydiff export``."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from tinydiff.apps.cli.screen import say
from tinydiff.base import InputError
from tinydiff.models import DiffusionModel, load, write_checkpoint


@dataclass(frozen=True)
class Export:
    """Write a model as a folder that another library opens, and that draws the same pictures there.

    For diffusers a model needs norms of one number of groups (trained with --unet.groups), and one that reads text
    needs a CLIP's text encoder.
    """

    model: Positional[str]
    """A shipped model, by name, or a folder of a trained one."""
    out: Path
    """A new folder."""
    format: Literal["diffusers"] = "diffusers"
    """Which library's."""

    def run(self) -> None:
        """Write it, and say where."""
        if self.out.exists() and not (self.out.is_dir() and not any(self.out.iterdir())):
            raise InputError(f"out is {self.out}, where there is something already: give a new folder.")
        model = load(self.model, kind=DiffusionModel)
        try:
            notes = write_checkpoint(self.out, model)
        except BaseException:
            shutil.rmtree(self.out, ignore_errors=True)  # nothing was there before
            raise
        for note in notes:
            say(note)
        say(f"Wrote {self.model} for {self.format}: {self.out}. To see what it is: tinydiff inspect {self.out}")
