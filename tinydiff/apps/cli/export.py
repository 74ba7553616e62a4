"""The command ``tinydiff export``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from tinydiff.apps.cli.drawings import new_folder
from tinydiff.apps.cli.screen import say
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
        with new_folder(self.out):
            notes = write_checkpoint(self.out, load(self.model, kind=DiffusionModel))
        for note in notes:
            say(note)
        say(f"Wrote {self.model} for {self.format}: {self.out}. To see what it is: tinydiff inspect {self.out}")
